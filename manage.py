#!/usr/bin/env python
"""Command line of Holdfast."""

import gc
import os
import sys

COULD_NOT_RUN = 3


def main() -> None:
    """Run the named command."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "workflows_project.settings")
    # Imports and migrations create many objects that stay, and each search for garbage reads them.
    gc.set_threshold(20_000, 10, 20)
    try:
        run_command()
    except KeyboardInterrupt:
        # Also while modules are imported.
        sys.exit("Interrupted.")
    except BrokenPipeError:
        # The reader closed the pipe. Otherwise Python writes to it again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def run_command() -> None:
    """Run the named command. Exit with a sentence if the database cannot be used."""
    from django.core.management import execute_from_command_line
    from django.db import DatabaseError, InterfaceError

    try:
        execute_from_command_line(sys.argv)
        sys.stdout.flush()
    except (DatabaseError, InterfaceError) as error:
        # Commands of Django and of other packages; those of Holdfast raise CommandError.
        from workflows.management.command import explain_database_error

        reason = explain_database_error(error)
        if reason is None:
            raise
        sys.stderr.write(f"CommandError: {reason}\n")
        sys.exit(COULD_NOT_RUN)


if __name__ == "__main__":
    main()
