"""The example workflows: files that anybody may load, to try Holdfast out or to start from."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from django.db.models import Q
from django.utils.functional import Promise
from django.utils.translation import gettext, gettext_lazy

from workflows.files.file_schema import FINDING, RECORD, WorkflowEntry, WorkflowFile
from workflows.files.importing import import_file
from workflows.files.reading import read_file
from workflows.models import FindingType, RecordType, Workflow
from workflows.refusals import MessageError
from workflows.values.name_folding import hash_name

_FILE = Path(__file__).with_name("examples.yaml")
_TYPE_MODELS: tuple[tuple[str, Any], ...] = ((FINDING, FindingType), (RECORD, RecordType))


@dataclass(frozen=True, slots=True)
class Example:
    """An example: its name, its text, and the cuids of its workflows, the main one first."""

    name: str
    title: Promise
    summary: Promise
    cuids: tuple[str, ...]


EXAMPLES = (
    Example(
        "validation",
        gettext_lazy("Validation with approvals"),
        gettext_lazy(
            "A finding is assessed, and approved twice by people who did not assess it. "
            "A rejection returns it for rework."
        ),
        ("cmx3b9ki7o27bamjslpbt7o4p",),
    ),
    Example(
        "exception",
        gettext_lazy("Exception with expiry"),
        gettext_lazy(
            "An exception is requested and granted, and waits for its date. "
            "Before it expires, it is renewed or closed."
        ),
        ("cmx3b9ki7o2dunt2lb5oweyyy",),
    ),
    Example(
        "attestation",
        gettext_lazy("Yearly attestation"),
        gettext_lazy(
            "A schedule starts it for each model one year after the date in the field "
            "attested_on. The record is confirmed or corrected."
        ),
        ("cmx3b9ki7gvopbxa1pmylecqe",),
    ),
    Example(
        "escalation",
        gettext_lazy("Escalation"),
        gettext_lazy(
            "After a deadline, more people may answer. After another one, administrators decide."
        ),
        ("cmx3b9ki74tvxpbrvhwyah5vr",),
    ),
    Example(
        "for-each",
        gettext_lazy("Review for each area"),
        gettext_lazy(
            "Somebody chooses areas. Each gets a review of its own, in a called workflow, and "
            "one conclusion is written at the end."
        ),
        ("cmx3b9ki729izk7i5ygcap8om", "cmx3b9ki7j4740pgs1pphe0iz"),
    ),
)
"""The examples in their order."""

NAMES = tuple(example.name for example in EXAMPLES)


class ExampleClash(MessageError):
    """A workflow or a type with the name of an example exists already."""

    message = gettext_lazy("A record with the name of an example exists already.")


@dataclass(frozen=True, slots=True)
class ExampleState:
    """An example as this database has it.

    Attributes:
        workflow: its main workflow; None unless all of its workflows exist.
        clash: why it cannot be loaded; empty if it can, or if it is loaded.
    """

    example: Example
    workflow: Workflow | None
    clash: str = ""


def read_examples() -> list[ExampleState]:
    """Return the state of each example, in four statements."""
    stored = _stored_workflows()
    clashes = _Clashes(stored)
    found = []
    for example in EXAMPLES:
        is_loaded = stored.keys() >= set(example.cuids)
        workflow = stored[example.cuids[0]] if is_loaded else None
        clash = "" if is_loaded else clashes.find(example)
        found.append(ExampleState(example, workflow, clash))
    return found


def load_examples(
    names: Collection[str] = NAMES, *, apply: bool = True, by: Any = None
) -> list[Workflow]:
    """Create the workflows of these examples that do not exist yet, all of them or none.

    A workflow that was loaded before is left as it is, even if it was edited or renamed.

    Args:
        names: the names of the examples.
        apply: commit them. Otherwise they are created and rolled back.

    Returns:
        The created workflows; with ``apply=False``, the ones that would be created.

    Raises:
        ExampleClash: another workflow or type has a name that an example needs.
        files.ImportRefusal: a guard has refused it, for example because a group does not exist.
    """
    stored = _stored_workflows()
    clashes = _Clashes(stored)
    chosen = [example for example in EXAMPLES if example.name in names]
    if found := [clash for example in chosen if (clash := clashes.find(example))]:
        raise ExampleClash(" ".join(dict.fromkeys(found)))
    cuids = {cuid for example in chosen for cuid in example.cuids} - stored.keys()
    if not cuids:
        return []
    plan = import_file(_select(cuids), apply=apply, by=by, why=gettext("Loaded as an example"))
    return [item.row for item in plan.items if item.row is not None]


@cache
def _whole_file() -> WorkflowFile:
    return read_file(_FILE.read_bytes())


def _select(cuids: Collection[str]) -> WorkflowFile:
    """Return the file with these workflows and their types only."""
    file = _whole_file()
    entries = [entry for entry in file.workflows if entry.ref.cuid in cuids]
    used = {entry.type_ref.cuid for entry in entries}
    return replace(
        file, workflows=entries, types=[one for one in file.types if one.ref.cuid in used]
    )


def _stored_workflows() -> dict[str, Workflow]:
    cuids = [entry.ref.cuid for entry in _whole_file().workflows]
    return {row.cuid: row for row in Workflow.objects.filter(cuid__in=cuids)}


class _Clashes:
    """The names of the examples that other records have, read in three statements."""

    def __init__(self, stored: Collection[str]) -> None:
        file = _whole_file()
        self.entries = {str(entry.ref.cuid): entry for entry in file.workflows}
        self.missing = self.entries.keys() - set(stored)
        titles = [entry.ref.title for entry in file.workflows]
        taken = Workflow.objects.filter(title__in=titles).exclude(cuid__in=self.entries)
        self.titles = set(taken.values_list("title", flat=True))
        self.types: set[str] = set()
        for noun, model in _TYPE_MODELS:
            names = {one.ref.cuid: one.ref.title or "" for one in file.types if one.noun == noun}
            keys = {hash_name(name): cuid for cuid, name in names.items()}
            rows = model.objects.filter(Q(cuid__in=names) | Q(name_key__in=keys))
            found = dict(rows.values_list("cuid", "name_key"))
            self.types |= {
                str(cuid)
                for key, cuid in keys.items()
                if cuid not in found and key in found.values()
            }

    def find(self, example: Example) -> str:
        """Return why an example cannot be loaded; an empty text if it can."""
        entries = [self.entries[cuid] for cuid in example.cuids if cuid in self.missing]
        return self._of_titles(entries) or self._of_types(entries)

    def _of_titles(self, entries: Sequence[WorkflowEntry]) -> str:
        for entry in entries:
            if entry.ref.title in self.titles:
                text = gettext("Another workflow has the title “%(title)s”. Rename it first.")
                return text % {"title": entry.ref.title}
        return ""

    def _of_types(self, entries: Sequence[WorkflowEntry]) -> str:
        for entry in entries:
            if entry.type_ref.cuid in self.types:
                text = gettext("Another type has the name “%(name)s”. Rename it first.")
                return text % {"name": entry.type_ref.title}
        return ""
