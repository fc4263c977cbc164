"""Workflows as files that people can review; a strict reader, and an all-or-nothing import."""

from workflows.files.exporting import export_workflows
from workflows.files.file_schema import FORMAT, FileProblem, InvalidFile, WorkflowFile, find_line
from workflows.files.import_plan import CHANGED, CREATED, UNCHANGED, Plan, PlanItem
from workflows.files.importing import ImportRefusal, import_file
from workflows.files.matching import CUID, MATCH_KEYS, TITLE
from workflows.files.reading import read_file
from workflows.files.text_formats import FORMATS, JSON, YAML

__all__ = [
    "CHANGED",
    "CREATED",
    "CUID",
    "FORMAT",
    "FORMATS",
    "JSON",
    "MATCH_KEYS",
    "TITLE",
    "UNCHANGED",
    "YAML",
    "FileProblem",
    "ImportRefusal",
    "InvalidFile",
    "Plan",
    "PlanItem",
    "WorkflowFile",
    "export_workflows",
    "find_line",
    "import_file",
    "read_file",
]
