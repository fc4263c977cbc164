"""What Holdfast's commands have in common: help with examples, kept as it is written."""

from __future__ import annotations

from argparse import RawDescriptionHelpFormatter
from typing import Any

from django.core.management.base import BaseCommand, CommandParser


class ExampleCommand(BaseCommand):
    """A command whose ``--help`` ends with ``examples``."""

    examples: str = ""

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        kwargs.update(
            epilog=f"Examples:\n{self.examples}", formatter_class=RawDescriptionHelpFormatter
        )
        return super().create_parser(prog_name, subcommand, **kwargs)
