"""Select a random sample of mutants in each module, and the share of this process.

Usage: python -m tests.mutation.sample SESSION JOB/JOBS [NUMBER]
"""

from __future__ import annotations

import random
import sys
from collections import defaultdict

from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import WorkerOutcome, WorkResult


def main(session: str, part: str, number: str = "") -> None:
    job, jobs = map(int, part.split("/"))
    skipped = WorkResult(output="not sampled", worker_outcome=WorkerOutcome.SKIPPED)
    with use_db(session, WorkDB.Mode.open) as database:
        modules = defaultdict(list)
        for item in database.pending_work_items:
            row = item.mutations[0]
            position = (row.start_pos, row.operator_name, row.occurrence)
            modules[str(row.module_path)].append((position, item.job_id))
        for module, mutants in modules.items():
            # All processes use the same order, so that their shares are disjoint.
            mutants.sort()
            random.Random(module).shuffle(mutants)
            chosen = mutants[: int(number)] if number else mutants
            own = {job_id for _, job_id in chosen[job - 1 :: jobs]}
            for _, job_id in mutants:
                if job_id not in own:
                    database.set_result(job_id, skipped)


if __name__ == "__main__":
    main(*sys.argv[1:])
