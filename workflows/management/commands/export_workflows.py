"""``manage.py export_workflows``: export workflows and all that they call."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management import CommandError
from django.core.management.base import CommandParser

from workflows import files
from workflows.guards import count
from workflows.management.command import ExampleCommand
from workflows.management.lookup import find_workflow
from workflows.management.progress import show_progress
from workflows.models import Workflow


class Command(ExampleCommand):
    """Write workflows as YAML or JSON; the output is the same until a workflow changes."""

    help = (
        "Export workflows and all that they call as one YAML or JSON file, which people can review "
        "and import_workflows can read. Without arguments: all workflows that are not retired."
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
            help="cuid, or title if unique",
        )
        which.add_argument(
            "--all", action="store_true", help="all workflows, including retired ones"
        )
        parser.add_argument("--output", metavar="FILE", help="write to this file instead of stdout")
        formats = parser.add_mutually_exclusive_group()
        formats.add_argument(
            "--format",
            choices=files.FORMATS,
            help="default: yaml, or json if FILE ends with .json",
        )
        formats.add_argument("--json", action="store_true", help="same as --format json")

    def handle(self, *args: Any, **options: Any) -> None:
        output = options["output"]
        ends_json = output is not None and output.lower().endswith(".json")
        form = files.JSON if options["json"] or ends_json else files.YAML
        rows = Workflow._base_manager.all()
        workflows = (
            [find_workflow(text) for text in options["workflows"]]
            if options["workflows"]
            else list(rows if options["all"] else rows.exclude(state=Workflow.State.RETIRED))
        )
        with show_progress(f"Writing {count(len(workflows), 'workflow')}"):
            text, number = files.export_workflows(workflows, options["format"] or form)
        if output is None:
            self.stdout.write(text, ending="")
            return
        try:
            Path(output).write_text(text, encoding="utf-8", newline="\n")
        except OSError as error:
            raise CommandError(f"Cannot write {output}: {error.strerror}.") from None
        self.stderr.write(f"Wrote {count(number, 'workflow')} to {output}.")
