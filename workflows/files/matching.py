"""What a file speaks of, found in the database: by cuid, or by title and name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from graphlib import CycleError, TopologicalSorter
from typing import Any

from workflows import guards
from workflows.audit.log import values_of
from workflows.db.cuid import new_cuid
from workflows.db.json_values import below
from workflows.files.file_schema import (
    FINDING,
    FileProblem,
    InvalidFile,
    Named,
    TypeEntry,
    WorkflowEntry,
    WorkflowFile,
)
from workflows.files.import_plan import Item, Plan, Stored, TypeTarget, type_key
from workflows.models import FindingType, RecordType, Reference, Version, Workflow

CUID, TITLE = "cuid", "title"
WAYS = (CUID, TITLE)
LISTED = 10


def planned(file: WorkflowFile, match: str) -> Plan:
    """What bringing this file in would do here, by plain reads.

    Raises:
        InvalidFile: what it names is missing or ambiguous here, or its calls have a cycle.
    """
    return _Matching(file, match).plan()


class _Matching:
    def __init__(self, file: WorkflowFile, match: str) -> None:
        self.file = file
        self.match = match
        self.problems: list[FileProblem] = []
        self.notes: list[str] = []
        self.types: dict[int, TypeTarget] = {}
        named = [entry.named for entry in file.workflows]
        named += [call for entry in file.workflows for call in entry.calls.values()]
        rows = Workflow._base_manager.select_related("entity_name_type", "primary_record_type")
        self.by_cuid = {
            row.cuid: row for row in rows.filter(cuid__in={one.cuid for one in named if one.cuid})
        }
        self.by_title: dict[str, list[Workflow]] = defaultdict(list)
        titles = {one.title for one in named if one.title is not None}
        for row in rows.filter(title__in=titles).order_by("pk"):
            self.by_title[row.title].append(row)

    def report(self, pointer: str, detail: str) -> None:
        self.problems.append(self.file.problem(pointer, detail))

    def plan(self) -> Plan:
        for index, entry in enumerate(self.file.types):
            self.types[index] = self.type_of(entry)
        self.refuse_ambiguous_titles()
        items = [self.item(entry) for entry in self.file.workflows]
        self.give_up()
        by_cuid = {item.entry.named.cuid: item for item in items if item.entry.named.cuid}
        outside: dict[int, Workflow] = {}
        for item in items:
            item.source = self.resolved(item, items, by_cuid, outside)
        self.give_up()
        self.read_stored(items)
        order, reached = self.order(items, outside)
        self.give_up()
        used = {id(item.kind) for item in items}
        missing = [row for row in self.types.values() if row.row is None and id(row) in used]
        unused = [row for row in self.types.values() if row.row is None and id(row) not in used]
        self.notes += [
            f"The {row.noun} “{row.name}” is not created: no workflow of the file has it."
            for row in unused
        ]
        return Plan(items, order, missing, self.notes, reached)

    def give_up(self) -> None:
        if self.problems:
            raise InvalidFile(self.problems)

    # Types

    def type_of(self, entry: TypeEntry) -> TypeTarget:
        """The type of an entry: the row that is here, or what is to be created."""
        model: Any = FindingType if entry.noun == FINDING else RecordType
        named, name = entry.named, entry.named.title or ""
        of_cuid = model._base_manager.filter(cuid=named.cuid).first() if named.cuid else None
        of_name = model._base_manager.filter(name=name).first()
        by_cuid = self.match == CUID and named.cuid is not None
        row = of_cuid if by_cuid else of_name
        if row is None and by_cuid and of_name:
            self.report(
                named.pointer,
                f"The {entry.noun} “{name}” has the cuid {of_name.cuid} here, not {named.cuid}; "
                "to go by titles and names: --match title.",
            )
        elif row is None and of_cuid:
            self.report(
                named.pointer,
                f"The cuid {named.cuid} is that of the {entry.noun} “{of_cuid.name}” here, not of "
                f"“{name}”; to go by cuids: --match cuid.",
            )
        elif row is None:
            self.judge_name(model, named, name)
        if row is None:
            return TypeTarget(entry.noun, named.cuid or new_cuid(), name, None, entry)
        if (row.name, row.description) != (name, entry.description):
            self.notes.append(
                f"The {entry.noun} “{row.name}” ({row.cuid}) has another name or description in "
                "the file; it stays as it is here."
            )
        return TypeTarget(entry.noun, row.cuid, row.name, row)

    def judge_name(self, model: Any, named: Named, name: str) -> None:
        """Report that a type would be created whose name nobody could tell from another's."""
        try:
            guards.refuse_name(name, model._base_manager.all())
        except (guards.NameInUse, guards.NameUnseen) as refusal:
            self.report(named.pointer, str(refusal.message))

    def type_named(self, noun: str, named: Named) -> TypeTarget:
        """What a workflow names: an entry of the file, or what is here beside it."""
        for index, entry in enumerate(self.file.types):
            if entry.noun != noun:
                continue
            other = entry.named
            if named.cuid and other.cuid:
                is_same = named.cuid == other.cuid
            else:
                is_same = named.title == other.title
            if is_same:
                if named.title is not None and named.title != other.title:
                    self.report(
                        named.pointer,
                        f"The {noun} {named.cuid} is named “{other.title}” elsewhere in the file, "
                        f"not “{named.title}”.",
                    )
                return self.types[index]
        model: Any = FindingType if noun == FINDING else RecordType
        by_name = named.cuid is None or (self.match == TITLE and named.title is not None)
        wanted = {"name": named.title} if by_name else {"cuid": named.cuid}
        row = model._base_manager.filter(**wanted).first()
        if row is None:
            self.report(named.pointer, f"No {noun} {named} is in the file, and none is here.")
            return TypeTarget(noun, "", "")
        return TypeTarget(noun, row.cuid, row.name, row)

    # Workflows

    def refuse_ambiguous_titles(self) -> None:
        if self.match == CUID:
            return
        seen: set[str] = set()
        for entry in self.file.workflows:
            title = entry.named.title or ""
            if title in seen:
                says = f"Two workflows of the file have the title “{title}”: --match cuid."
                self.report(below(entry.named.pointer, "title"), says)
            seen.add(title)

    def item(self, entry: WorkflowEntry) -> Item:
        kind = self.type_named(entry.type_noun, entry.type_named)
        named, title = entry.named, entry.named.title or ""
        of_cuid = self.by_cuid.get(named.cuid or "")
        if self.match == CUID:
            if named.cuid is None:
                says = f"“{title}” has no cuid; to go by titles: --match title."
                self.report(named.pointer, says)
            if of_cuid is None and (others := self.by_title[title]):
                self.notes.append(
                    f"“{title}” ({named.cuid}) is created beside another of that title "
                    f"({_cuids(others)}); to go by titles: --match title."
                )
            row = of_cuid
        else:
            row = self.one_titled(named)
            if row is None and of_cuid is not None and not self.by_title[title]:
                self.report(
                    named.pointer,
                    f"The cuid {named.cuid} is that of “{of_cuid.title}” here, not of “{title}”; "
                    "to go by cuids: --match cuid.",
                )
        return Item(entry, row.cuid if row else named.cuid or new_cuid(), kind, row, None)

    def one_titled(self, named: Named) -> Workflow | None:
        """The workflow of this title here; that there are several is a problem."""
        rows = self.by_title[named.title or ""]
        if len(rows) > 1:
            self.report(
                named.pointer,
                f"{len(rows)} workflows have the title “{named.title}” here ({_cuids(rows)}); "
                "to go by cuids: --match cuid.",
            )
        return rows[0] if len(rows) == 1 else None

    def resolved(
        self,
        item: Item,
        items: list[Item],
        by_cuid: dict[str, Item],
        outside: dict[int, Workflow],
    ) -> dict[str, Any]:
        """The source with the cuids that its callees have here; notes who is not in the file."""
        nodes = list(item.entry.source["nodes"])
        for index, named in item.entry.calls.items():
            cuid = self.callee(named, items, by_cuid, outside)
            nodes[index] = {**nodes[index], "data": {**nodes[index]["data"], "workflow": cuid}}
        return {"nodes": nodes, "edges": item.entry.source["edges"]}

    def callee(
        self,
        named: Named,
        items: list[Item],
        by_cuid: dict[str, Item],
        outside: dict[int, Workflow],
    ) -> str:
        found = by_cuid.get(named.cuid) if named.cuid else None
        if found is not None and named.title is not None and named.title != found.title:
            says = f"{named.cuid} is titled “{found.title}” in the file, not “{named.title}”."
            self.report(named.pointer, says)
        by_title = named.cuid is None or self.match == TITLE
        if found is None and by_title and named.title is not None:
            titled = [item for item in items if item.title == named.title]
            if len(titled) > 1:
                says = f"Several workflows of the file have the title “{named.title}”: name a cuid."
                self.report(named.pointer, says)
            found = titled[0] if titled else None
        if found is not None:
            return found.cuid
        known = len(self.problems)
        row = (
            self.one_titled(named)
            if by_title and named.title is not None
            else self.by_cuid.get(named.cuid or "")
        )
        if row is None:
            if len(self.problems) == known:
                says = f"It calls {named}, which is not in the file, and not here."
                self.report(named.pointer, says)
            return named.cuid or ""
        outside[row.pk] = row
        return row.cuid

    def read_stored(self, items: list[Item]) -> None:
        ids = [item.row.pk for item in items if item.row]
        latest = Version.objects.filter(workflow_id__in=ids).latest_of_each().order_by()
        sources = dict(latest.values_list("workflow_id", "source"))
        for item in items:
            if (row := item.row) is not None:
                item.stored = Stored(
                    values_of(row, item.values),
                    row.state,
                    row.starts_on_creation,
                    type_key(row),
                    str(row.context_type),
                    sources.get(row.pk, {}),
                )

    def order(self, items: list[Item], outside: dict[int, Workflow]) -> tuple[list[Item], set[int]]:
        """Callees first; and the ids of all that are matched or called."""
        by_cuid = {item.cuid: item for item in items}
        titles = {item.cuid: item.title for item in items}
        graph = {item.cuid: _called(item.source) for item in items}
        reached = {item.row.pk for item in items if item.row} | set(outside)
        fresh = set(outside)
        titles |= {row.cuid: row.title for row in outside.values()}
        while fresh:
            # Whom those call that are not in the file: the way may lead back into it.
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
            way = " calls ".join(f"“{titles[cuid]}”" for cuid in cycle)
            first = next((by_cuid[cuid] for cuid in cycle if cuid in by_cuid), None)
            pointer = first.entry.named.pointer if first else ""
            self.report(pointer, f"The calls have a cycle: {way}.")
            return [], reached
        return [by_cuid[cuid] for cuid in sequence if cuid in by_cuid], reached


def _called(source: dict[str, Any]) -> set[str]:
    return {
        node["data"]["workflow"] for node in source["nodes"] if node.get("type") == "run_workflow"
    }


def _cuids(rows: Iterable[Workflow]) -> str:
    cuids = [row.cuid for row in rows]
    more = len(cuids) - LISTED
    return ", ".join(cuids[:LISTED]) + (f" and {more} more" if more > 0 else "")
