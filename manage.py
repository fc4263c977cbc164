#!/usr/bin/env python
"""Command line of Holdfast."""

import os
import sys


def main() -> None:
    """Run the named command."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "workflows_project.settings")
    from django.core.management import execute_from_command_line

    try:
        execute_from_command_line(sys.argv)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader closed the pipe. Otherwise Python writes to it again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


if __name__ == "__main__":
    main()
