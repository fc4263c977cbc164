"""Test command of cosmic-ray: runs the tests that execute the mutated line, quickest first.

``tests/mutation/run record`` records with coverage.py which test executes which line on each
database, and how long each test takes. ``git diff`` shows the mutated line. The tests run on
SQLite first, then on PostgreSQL.
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
"""Recorded seconds of tests per mutant and database, without the quickest test of each module."""

DATABASES = ("sqlite", "postgresql")
HUNK = re.compile(r"^@@ -(\d+)(?:,(\d+))? ", re.M)


def find_mutation() -> tuple[str, set[int]]:
    """Return the file that differs from the commit, and its changed lines.

    Raises:
        SystemExit: no file or several files differ.
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


def enclosing_lines(file: str, lines: set[int]) -> set[int]:
    """Return the lines of the smallest function or class around these lines, with decorators.

    Decorators, defaults and constants run at import, before any test. The tests of their function,
    or else of the whole file, are used instead.
    """
    show = ["git", "show", f"HEAD:{file}"]
    source = subprocess.run(show, capture_output=True, text=True, check=True).stdout
    ranges = [(1, len(source.splitlines()))]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            first = min([node.lineno, *(row.lineno for row in node.decorator_list)])
            if first <= min(lines) and max(lines) <= (node.end_lineno or 0):
                ranges.append((first, node.end_lineno or 0))
    first, last = min(ranges, key=lambda pair: pair[1] - pair[0])
    return set(range(first, last + 1))


def find_tests(recorded: Path, file: str, lines: set[int]) -> list[str]:
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
        enclosing = enclosing_lines(file, lines)
        tests = _tests(by_line.get(line, ()) for line in enclosing)
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
    file, lines = find_mutation()
    for database in DATABASES:
        tests = find_tests(Path(os.environ["RECORDED"]) / database, file, lines)
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
