"""Run the tests that execute the mutated line, quickest first: the test command of cosmic-ray.

``tests/mutation/run record`` has recorded with coverage.py which test executes which line on
each database, and how long each test takes. The mutated line is what ``git diff`` shows. The
tests on SQLite run first; a mutant that survives them meets those on PostgreSQL.
"""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from coverage import CoverageData

BUDGET = 15.0
"""Seconds of tests for each mutant and database, as recorded; a module's quickest test is free."""

DATABASES = ("sqlite", "postgresql")
HUNK = re.compile(r"^@@ -(\d+)(?:,(\d+))? ", re.M)


def mutated() -> tuple[str, set[int]]:
    """Return the file that differs from the commit, and the lines that were changed there.

    Raises:
        SystemExit: nothing differs, or more than one file.
    """
    command = ["git", "diff", "-U0", "--no-ext-diff", "HEAD", "--", "executions", "workflows"]
    diff = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    files = re.findall(r"^--- a/(.+)$", diff, re.M)
    if len(files) != 1:
        raise SystemExit(f"Expected one mutated file, found {files or 'none'}.")
    lines: set[int] = set()
    for first, count in HUNK.findall(diff):
        lines |= set(range(int(first), int(first) + max(int(count or 1), 1)))
    return files[0], lines


def widened(file: str, lines: set[int]) -> set[int]:
    """Return the lines of the smallest function or class around these, decorators included.

    Decorators, defaults and constants run at import, when no test does. What uses them then
    stands for them: the function they belong to, else the whole file.
    """
    show = ["git", "show", f"HEAD:{file}"]
    source = subprocess.run(show, capture_output=True, text=True, check=True).stdout
    around = [(1, len(source.splitlines()))]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            first = min([node.lineno, *(row.lineno for row in node.decorator_list)])
            if first <= min(lines) and max(lines) <= (node.end_lineno or 0):
                around.append((first, node.end_lineno or 0))
    first, last = min(around, key=lambda pair: pair[1] - pair[0])
    return set(range(first, last + 1))


def covering(recorded: Path, file: str, lines: set[int]) -> list[str]:
    """Return the tests that execute one of these lines, quickest first, within the budget."""
    if not recorded.exists():
        return []
    data = CoverageData(str(recorded))
    data.read()
    path = next((name for name in data.measured_files() if name.endswith("/" + file)), None)
    if path is None:
        return []
    by_line = data.contexts_by_lineno(path)
    tests = _tests(by_line.get(line, ()) for line in lines)
    if not tests:
        whole = widened(file, lines)
        tests = _tests(by_line.get(line, ()) for line in whole)
    if not tests:
        tests = _tests(by_line.values())
    seconds = json.loads(Path(f"{recorded}.json").read_text())
    chosen: list[str] = []
    spent, seen = 0.0, Counter[str]()
    for test in sorted(tests, key=lambda test: seconds.get(test, 0.0)):
        module = test.split("::")[0]
        seen[module] += 1
        if spent < BUDGET or seen[module] == 1:
            chosen.append(test)
            spent += seconds.get(test, 0.0)
    return chosen


def _tests(contexts: Iterable[Iterable[str]]) -> set[str]:
    return {name.rpartition("|")[0] for names in contexts for name in names if "|" in name}


def main() -> int:
    file, lines = mutated()
    for database in DATABASES:
        tests = covering(Path(os.environ["RECORDED"]) / database, file, lines)
        if not tests:
            continue
        options = ["--postgres"] if database == "postgresql" else []
        arguments = Path(f".mutation-{database}.txt")
        arguments.write_text("\n".join(tests))
        command = [sys.executable, "-m", "pytest", "-x", "-q", "--tb=no", "--no-header"]
        done = subprocess.run([*command, *options, f"@{arguments}"], check=False)
        if done.returncode:
            return done.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
