"""The graphs of a planned move side by side, with links that change where steps continue."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext

from executions.admin.move_plan import AGAIN, MappingRow, MovePlans, PlannedWorkflow, write_options
from executions.engine.move_mapping import mapping_key
from workflows.admin.graph_diagram import SELECTED, Mark, build_diagram, render_diagram
from workflows.graph.comparison import list_objects
from workflows.models import Version

PICTURES = "pictures"
"""The id of the section with the graphs."""

States = dict[str, tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Picture:
    """A graph with its title; ``diagram`` is None if it is too large."""

    key: str
    title: str
    diagram: SafeString | None


@dataclass(slots=True)
class WorkflowPictures:
    """The graphs of a workflow before and after the move.

    ``title`` is that of a called workflow. ``picked`` is the node whose target the links set.
    """

    title: str
    picked: MappingRow | None
    before: list[Picture] = field(default_factory=list)
    after: Picture | None = None


def draw_pictures(plans: MovePlans, page: str, picked: str) -> list[WorkflowPictures]:
    """Draw the graphs of all workflows in the planned trees, the root's first.

    Args:
        page: the address of the page, without a query.
        picked: the key of the node whose target is to be set; by default the first one that has
            an obstacle and no target.
    """
    rows = list(plans.rows)
    wanted = [row for row in rows if row.key == picked]
    wanted += [row for row in rows if row.problems and not row.chosen]
    row = next(iter(wanted), None)
    return [
        _Painter(plans, workflow, page, number).draw(row)
        for number, workflow in enumerate(plans.workflows.values())
    ]


class _Painter:
    """The pictures of one workflow. ``number`` makes their ids unique on the page."""

    def __init__(self, plans: MovePlans, workflow: PlannedWorkflow, page: str, number: int) -> None:
        self.plans = plans
        self.workflow = workflow
        self.page = page
        self.number = number

    def draw(self, picked: MappingRow | None) -> WorkflowPictures:
        workflow = self.workflow
        is_root = workflow.cuid == self.plans.root
        picked = picked if picked in workflow.rows.values() else None
        found = WorkflowPictures("" if is_root else workflow.title, picked)
        for version in workflow.old.values():
            found.before.append(self._before(version, picked))
        if workflow.new is not None:
            found.after = self._after(workflow.new, picked)
        return found

    def _before(self, version: Version, picked: MappingRow | None) -> Picture:
        """Draw a graph in which links pick the node whose target is to be set."""
        rows = self.workflow.rows
        states: States = {}
        for node, row in rows.items():
            text = " ".join(row.problems) or gettext("Current step")
            names = ["failed" if row.problems else "here", SELECTED if row is picked else ""]
            states[node] = " ".join(filter(None, names)), text
        urls = {
            node: self._url(
                f"after-{self.number}", step=mapping_key(self.workflow.cuid, node, self.plans.root)
            )
            for node in [*rows, *_find_arrivals(version, rows)]
        }
        numbers = {node: self.workflow.before[version.pk, node] for node in rows}
        title = gettext("Now: version %(number)s") % {"number": version.number}
        return self._draw(f"before-{version.pk}", title, version, numbers, states, urls)

    def _after(self, version: Version, picked: MappingRow | None) -> Picture:
        """Draw a graph in which links set the target of the picked node."""
        numbers = self.workflow.after
        states: States = {node: ("here", gettext("Current step")) for node in numbers}
        urls = {}
        if picked is not None:
            for node, choice, text in _targets(picked):
                urls[node] = self._url(PICTURES, **{picked.name: choice})
                names = [
                    "here" if node in numbers else "",
                    "" if choice.startswith(AGAIN) else "offered",
                    SELECTED if node == picked.target_id else "",
                ]
                states[node] = " ".join(filter(None, names)), text
        title = gettext("After the move: version %(number)s") % {"number": version.number}
        return self._draw(f"after-{self.number}", title, version, numbers, states, urls)

    def _url(self, anchor: str, **more: str) -> str:
        return f"{self.page}?{write_options(self.plans.options, **more)}#{anchor}"

    def _draw(
        self,
        key: str,
        title: str,
        version: Version,
        numbers: Mapping[str, int],
        states: States,
        urls: Mapping[str, str],
    ) -> Picture:
        diagram = build_diagram(
            version.source_with_positions,
            urls=urls,
            marks={node: [_mark(number)] for node, number in numbers.items() if number},
            states=states,
        )
        name = f"{self.workflow.title}, {title}"
        return Picture(key, title, render_diagram(diagram, name, f"graph-{key}"))


def _targets(row: MappingRow) -> Iterator[tuple[str, str, str]]:
    """Yield the nodes that a step can go to, with the value of the field and its meaning."""
    continues = {row.node_id: ""} if row.stay else {}
    continues |= {node: node for node, _ in row.nodes}
    for choice, _ in row.again:
        node = choice.removeprefix(AGAIN)
        if node not in continues:
            yield node, choice, gettext("Close “%(label)s” and begin here") % {"label": row.label}
    for node, choice in continues.items():
        yield node, choice, gettext("Let “%(label)s” continue here") % {"label": row.label}


def _find_arrivals(version: Version, rows: Mapping[str, MappingRow]) -> list[str]:
    """Return the nodes before the joins that wait: a mapping can name their edges."""
    joins = {node for node, row in rows.items() if row.is_join}
    edges = list_objects(version.source, "edges") if joins else []
    found = [str(edge.get("source")) for edge in edges if str(edge.get("target")) in joins]
    return [node for node in dict.fromkeys(found) if node not in rows]


def _mark(number: int) -> Mark:
    text = ngettext("%(number)s open step", "%(number)s open steps", number)
    return Mark(str(number), text % {"number": number})
