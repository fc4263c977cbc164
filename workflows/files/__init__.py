"""Workflows as files: written so that people can review them, read back strictly, brought in
all at once or not at all.
"""

from workflows.files.exporting import export
from workflows.files.file_schema import FORMAT, FileProblem, InvalidFile, WorkflowFile, line_of
from workflows.files.import_plan import CHANGED, CREATED, UNCHANGED, Item, Plan
from workflows.files.importing import NotBroughtIn, bring_in
from workflows.files.matching import CUID, TITLE, WAYS
from workflows.files.reading import read
from workflows.files.text_formats import FORMATS, JSON, YAML

__all__ = [
    "CHANGED",
    "CREATED",
    "CUID",
    "FORMAT",
    "FORMATS",
    "JSON",
    "TITLE",
    "UNCHANGED",
    "WAYS",
    "YAML",
    "FileProblem",
    "InvalidFile",
    "Item",
    "NotBroughtIn",
    "Plan",
    "WorkflowFile",
    "bring_in",
    "export",
    "line_of",
    "read",
]
