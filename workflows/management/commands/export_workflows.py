"""``manage.py export_workflows``: workflows with all that they call as one file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management import CommandError
from django.core.management.base import CommandParser

from workflows import files
from workflows.guards import count
from workflows.management.command import ExampleCommand
from workflows.management.lookup import workflow_named
from workflows.management.progress import at_work
from workflows.models import Workflow


class Command(ExampleCommand):
    """Write workflows as YAML or JSON: the same bytes as long as nothing changes."""

    help = (
        "Write workflows, and all that they call, as one YAML or JSON file that people can review "
        "and import_workflows brings in. Without a name: all that are not retired."
    )
    examples = """\
  manage.py export_workflows > workflows.yaml
  manage.py export_workflows "Policy review" --output policy.yaml
  manage.py export_workflows WORKFLOW_CUID --format json | jq -r '.workflows[].title'
  manage.py export_workflows --all --output everything.json
"""

    def add_arguments(self, parser: CommandParser) -> None:
        which = parser.add_mutually_exclusive_group()
        which.add_argument(
            "workflows",
            nargs="*",
            default=[],
            metavar="WORKFLOW",
            help="cuid, or title where it is unique",
        )
        which.add_argument("--all", action="store_true", help="all, the retired ones too")
        parser.add_argument("--output", metavar="FILE", help="write it there, not to stdout")
        form = parser.add_mutually_exclusive_group()
        form.add_argument(
            "--format",
            choices=files.FORMATS,
            help="default: yaml, or json where FILE ends with .json",
        )
        form.add_argument("--json", action="store_true", help="the same as --format json")

    def handle(self, *args: Any, **options: Any) -> None:
        output = options["output"]
        ends_json = output is not None and output.lower().endswith(".json")
        form = files.JSON if options["json"] or ends_json else files.YAML
        rows = Workflow._base_manager.all()
        workflows = (
            [workflow_named(text) for text in options["workflows"]]
            if options["workflows"]
            else list(rows if options["all"] else rows.exclude(state=Workflow.State.RETIRED))
        )
        with at_work(f"Writing {count(len(workflows), 'workflow')}"):
            text, number = files.export(workflows, options["format"] or form)
        if output is None:
            self.stdout.write(text, ending="")
            return
        try:
            Path(output).write_text(text, encoding="utf-8", newline="\n")
        except OSError as error:
            raise CommandError(f"{output} cannot be written: {error.strerror}.") from None
        self.stderr.write(f"{count(number, 'workflow')} written to {output}.")
