"""Print the score of a mutation run by module, and each surviving mutant as a diff.

Usage: python -m tests.mutation.score SESSION [SESSION ...]
"""

from __future__ import annotations

import sqlite3
import sys
from collections import Counter

QUERY = """
    SELECT spec.module_path, spec.start_pos_row, spec.operator_name, result.test_outcome,
        result.diff
    FROM mutation_specs spec JOIN work_results result USING (job_id)
    WHERE result.worker_outcome = 'NORMAL' ORDER BY 1, 2
"""


def main(sessions: list[str]) -> None:
    killed: Counter[str] = Counter()
    tested: Counter[str] = Counter()
    for session in sessions:
        for module, line, operator, outcome, diff in sqlite3.connect(session).execute(QUERY):
            tested[module] += 1
            if outcome == "SURVIVED":
                print(f"\n{module}:{line} {operator}\n{diff}")
            else:
                killed[module] += 1
    print(f"\n{'module':40} {'tested':>6} {'killed':>6}")
    for module, number in sorted(tested.items()):
        print(f"{module:40} {number:6} {killed[module]:6} {killed[module] / number:5.0%}")
    total = tested.total()
    print(f"{'all':40} {total:6} {killed.total():6} {killed.total() / max(total, 1):5.0%}")


if __name__ == "__main__":
    main(sys.argv[1:])
