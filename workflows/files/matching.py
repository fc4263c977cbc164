"""Matching of a file with the database, by cuid or by title and name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from graphlib import CycleError, TopologicalSorter
from typing import Any

from workflows import guards
from workflows.audit.log import read_values
from workflows.db.cuid import new_cuid
from workflows.db.json_values import below
from workflows.files.file_schema import (
    FINDING,
    FileProblem,
    InvalidFile,
    NameRef,
    TypeEntry,
    WorkflowEntry,
    WorkflowFile,
)
from workflows.files.import_plan import Plan, PlanItem, StoredWorkflow, TypeTarget, type_key
from workflows.models import FindingType, RecordType, Reference, Version, Workflow

CUID, TITLE = "cuid", "title"
MATCH_KEYS = (CUID, TITLE)
LISTED = 10


def build_plan(file: WorkflowFile, match: str) -> Plan:
    """Return the plan to import this file; it only reads.

    Raises:
        InvalidFile: a name in the file is missing or ambiguous, or the calls have a cycle.
    """
    return _PlanBuilder(file, match).build()


class _PlanBuilder:
    def __init__(self, file: WorkflowFile, match: str) -> None:
        self.file = file
        self.match = match
        self.problems: list[FileProblem] = []
        self.notes: list[str] = []
        self.types: dict[int, TypeTarget] = {}
        refs = [entry.ref for entry in file.workflows]
        refs += [call for entry in file.workflows for call in entry.calls.values()]
        rows = Workflow._base_manager.select_related("entity_name_type", "primary_record_type")
        self.by_cuid = {
            row.cuid: row for row in rows.filter(cuid__in={one.cuid for one in refs if one.cuid})
        }
        self.by_title: dict[str, list[Workflow]] = defaultdict(list)
        titles = {one.title for one in refs if one.title is not None}
        for row in rows.filter(title__in=titles).order_by("pk"):
            self.by_title[row.title].append(row)

    def report(self, pointer: str, detail: str) -> None:
        self.problems.append(self.file.problem(pointer, detail))

    def build(self) -> Plan:
        for index, entry in enumerate(self.file.types):
            self.types[index] = self.match_type(entry)
        self.check_titles()
        items = [self.match_workflow(entry) for entry in self.file.workflows]
        self.raise_problems()
        by_cuid = {item.entry.ref.cuid: item for item in items if item.entry.ref.cuid}
        outside: dict[int, Workflow] = {}
        for item in items:
            item.source = self.resolve_source(item, items, by_cuid, outside)
        self.raise_problems()
        self.read_current(items)
        order, reached = self.order_items(items, outside)
        self.raise_problems()
        used = {id(item.type_target) for item in items}
        missing = [row for row in self.types.values() if row.row is None and id(row) in used]
        unused = [row for row in self.types.values() if row.row is None and id(row) not in used]
        self.notes += [
            f"The {row.noun} “{row.name}” is not created because no workflow of the file uses it."
            for row in unused
        ]
        return Plan(items, order, missing, self.notes, reached)

    def raise_problems(self) -> None:
        if self.problems:
            raise InvalidFile(self.problems)

    # Types

    def match_type(self, entry: TypeEntry) -> TypeTarget:
        """Return the target of a type entry: an existing row, or a type to create."""
        model: Any = FindingType if entry.noun == FINDING else RecordType
        ref, name = entry.ref, entry.ref.title or ""
        of_cuid = model._base_manager.filter(cuid=ref.cuid).first() if ref.cuid else None
        of_name = model._base_manager.filter(name=name).first()
        by_cuid = self.match == CUID and ref.cuid is not None
        row = of_cuid if by_cuid else of_name
        if row is None and by_cuid and of_name:
            self.report(
                ref.pointer,
                f"The {entry.noun} “{name}” exists with the cuid {of_name.cuid}, not {ref.cuid}. "
                "Use --match title to match by titles and names.",
            )
        elif row is None and of_cuid:
            self.report(
                ref.pointer,
                f"The cuid {ref.cuid} belongs to the {entry.noun} “{of_cuid.name}”, not to "
                f"“{name}”. Use --match cuid to match by cuids.",
            )
        elif row is None:
            self.check_name(model, ref, name)
        if row is None:
            return TypeTarget(entry.noun, ref.cuid or new_cuid(), name, None, entry)
        if (row.name, row.description) != (name, entry.description):
            self.notes.append(
                f"The {entry.noun} “{row.name}” ({row.cuid}) has another name or description in "
                "the file. The import does not change it."
            )
        return TypeTarget(entry.noun, row.cuid, row.name, row)

    def check_name(self, model: Any, ref: NameRef, name: str) -> None:
        """Report a type to create whose name is invisible or looks like an existing one."""
        try:
            guards.refuse_name(name, model._base_manager.all())
        except (guards.NameInUse, guards.InvisibleName) as refusal:
            self.report(ref.pointer, str(refusal.message))

    def find_type(self, noun: str, ref: NameRef) -> TypeTarget:
        """Return the target of a workflow's type: an entry of the file, or an existing type."""
        for index, entry in enumerate(self.file.types):
            if entry.noun != noun:
                continue
            other = entry.ref
            if ref.cuid and other.cuid:
                is_same = ref.cuid == other.cuid
            else:
                is_same = ref.title == other.title
            if is_same:
                if ref.title is not None and ref.title != other.title:
                    self.report(
                        ref.pointer,
                        f"The {noun} {ref.cuid} has the name “{other.title}” elsewhere in the "
                        f"file, not “{ref.title}”.",
                    )
                return self.types[index]
        model: Any = FindingType if noun == FINDING else RecordType
        by_name = ref.cuid is None or (self.match == TITLE and ref.title is not None)
        wanted = {"name": ref.title} if by_name else {"cuid": ref.cuid}
        row = model._base_manager.filter(**wanted).first()
        if row is None:
            self.report(
                ref.pointer, f"The {noun} {ref} is neither in the file nor in the database."
            )
            return TypeTarget(noun, "", "")
        return TypeTarget(noun, row.cuid, row.name, row)

    # Workflows

    def check_titles(self) -> None:
        if self.match == CUID:
            return
        seen: set[str] = set()
        for entry in self.file.workflows:
            title = entry.ref.title or ""
            if title in seen:
                detail = f"Two workflows of the file have the title “{title}”. Use --match cuid."
                self.report(below(entry.ref.pointer, "title"), detail)
            seen.add(title)

    def match_workflow(self, entry: WorkflowEntry) -> PlanItem:
        type_target = self.find_type(entry.type_noun, entry.type_ref)
        ref, title = entry.ref, entry.ref.title or ""
        of_cuid = self.by_cuid.get(ref.cuid or "")
        if self.match == CUID:
            if ref.cuid is None:
                detail = f"“{title}” has no cuid. Use --match title to match by titles."
                self.report(ref.pointer, detail)
            if of_cuid is None and (others := self.by_title[title]):
                self.notes.append(
                    f"“{title}” ({ref.cuid}) is created although another workflow has this title "
                    f"({_join_cuids(others)}). Use --match title to match by titles."
                )
            row = of_cuid
        else:
            row = self.find_by_title(ref)
            if row is None and of_cuid is not None and not self.by_title[title]:
                self.report(
                    ref.pointer,
                    f"The cuid {ref.cuid} belongs to “{of_cuid.title}”, not to “{title}”. "
                    "Use --match cuid to match by cuids.",
                )
        return PlanItem(entry, row.cuid if row else ref.cuid or new_cuid(), type_target, row, None)

    def find_by_title(self, ref: NameRef) -> Workflow | None:
        """Return the existing workflow of this title; report a problem if there are several."""
        rows = self.by_title[ref.title or ""]
        if len(rows) > 1:
            self.report(
                ref.pointer,
                f"{len(rows)} workflows have the title “{ref.title}” ({_join_cuids(rows)}). "
                "Use --match cuid to match by cuids.",
            )
        return rows[0] if len(rows) == 1 else None

    def resolve_source(
        self,
        item: PlanItem,
        items: list[PlanItem],
        by_cuid: dict[str, PlanItem],
        outside: dict[int, Workflow],
    ) -> dict[str, Any]:
        """Return the source with the cuids of its callees; add callees beside the file to
        ``outside``.
        """
        nodes = list(item.entry.source["nodes"])
        for index, ref in item.entry.calls.items():
            cuid = self.match_callee(ref, items, by_cuid, outside)
            nodes[index] = {**nodes[index], "data": {**nodes[index]["data"], "workflow": cuid}}
        return {"nodes": nodes, "edges": item.entry.source["edges"]}

    def match_callee(
        self,
        ref: NameRef,
        items: list[PlanItem],
        by_cuid: dict[str, PlanItem],
        outside: dict[int, Workflow],
    ) -> str:
        found = by_cuid.get(ref.cuid) if ref.cuid else None
        if found is not None and ref.title is not None and ref.title != found.title:
            detail = f"{ref.cuid} has the title “{found.title}” in the file, not “{ref.title}”."
            self.report(ref.pointer, detail)
        by_title = ref.cuid is None or self.match == TITLE
        if found is None and by_title and ref.title is not None:
            titled = [item for item in items if item.title == ref.title]
            if len(titled) > 1:
                detail = f"Several workflows of the file have the title “{ref.title}”. Name a cuid."
                self.report(ref.pointer, detail)
            found = titled[0] if titled else None
        if found is not None:
            return found.cuid
        known = len(self.problems)
        row = (
            self.find_by_title(ref)
            if by_title and ref.title is not None
            else self.by_cuid.get(ref.cuid or "")
        )
        if row is None:
            if len(self.problems) == known:
                detail = f"The callee {ref} is neither in the file nor in the database."
                self.report(ref.pointer, detail)
            return ref.cuid or ""
        outside[row.pk] = row
        return row.cuid

    def read_current(self, items: list[PlanItem]) -> None:
        ids = [item.row.pk for item in items if item.row]
        latest = Version.objects.filter(workflow_id__in=ids).latest_of_each().order_by()
        sources = {row.workflow_id: row.source_with_positions for row in latest}
        for item in items:
            if (row := item.row) is not None:
                item.stored = StoredWorkflow(
                    read_values(row, item.values),
                    row.state,
                    row.starts_on_creation,
                    type_key(row),
                    str(row.context_type),
                    sources.get(row.pk, {}),
                )

    def order_items(
        self, items: list[PlanItem], outside: dict[int, Workflow]
    ) -> tuple[list[PlanItem], set[int]]:
        """Return the items, callees first, and the ids of all workflows matched or called."""
        by_cuid = {item.cuid: item for item in items}
        titles = {item.cuid: item.title for item in items}
        graph = {item.cuid: _callees_of(item.source) for item in items}
        reached = {item.row.pk for item in items if item.row} | set(outside)
        fresh = set(outside)
        titles |= {row.cuid: row.title for row in outside.values()}
        while fresh:
            # Workflows beside the file may call workflows of the file.
            latest = Version.objects.filter(workflow_id__in=fresh).latest_of_each()
            rows = Reference._base_manager.filter(version__in=latest).values_list(
                "version__workflow__cuid", "callee_id", "callee__cuid", "callee__title"
            )
            fresh = set()
            for caller, pk, cuid, title in rows:
                graph.setdefault(caller, set()).add(cuid)
                titles.setdefault(cuid, title)
                if pk not in reached:
                    fresh.add(pk)
            reached |= fresh
        try:
            sequence = list(TopologicalSorter(graph).static_order())
        except CycleError as error:
            # Each of them calls the one before it.
            cycle = list(reversed(error.args[1]))
            path = " calls ".join(f"“{titles[cuid]}”" for cuid in cycle)
            first = next((by_cuid[cuid] for cuid in cycle if cuid in by_cuid), None)
            pointer = first.entry.ref.pointer if first else ""
            self.report(pointer, f"The calls have a cycle: {path}.")
            return [], reached
        return [by_cuid[cuid] for cuid in sequence if cuid in by_cuid], reached


def _callees_of(source: dict[str, Any]) -> set[str]:
    return {
        node["data"]["workflow"] for node in source["nodes"] if node.get("type") == "run_workflow"
    }


def _join_cuids(rows: Iterable[Workflow]) -> str:
    cuids = [row.cuid for row in rows]
    more = len(cuids) - LISTED
    return ", ".join(cuids[:LISTED]) + (f" and {more} more" if more > 0 else "")
