"""Helpers to run graphs that have the shape of models of other engines."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from executions import services
from executions.models import FOR_PEOPLE, Execution, Job, Step
from executions.worker import queue
from tests.factories import FindingFactory, WorkflowFactory
from workflows import editing
from workflows.models import FindingType, Workflow

TERMINATE = {"type": "end", "data": {"terminate": True}}
FIRST = {"type": "join", "data": {"needed": 1, "others": "cancel"}}
"""The join that continues with the first branch and cancels the others."""


def setting(**values: Any) -> dict[str, Any]:
    """Return a node that sets fields and, with ``_`` before the name, variables."""
    named = {name.replace("_", "$", 1) if name[0] == "_" else name: values[name] for name in values}
    return {"type": "set_field", "data": {"values": named}}


def when(field: str, op: str, value: Any) -> dict[str, Any]:
    """Return a condition that leaves by ``yes`` if the comparison holds."""
    rule = {"field": field, "op": op, "value": value}
    return {"type": "condition", "data": {"branches": [{"handle": "yes", "rule": rule}]}}


def waiting(interval: str) -> dict[str, Any]:
    """Return a wait for this duration."""
    return {"type": "wait", "data": {"interval": interval}}


def calling(callee: Workflow, **data: Any) -> dict[str, Any]:
    """Return a call of a workflow."""
    return {"type": "run_workflow", "data": {"workflow": callee.cuid, **data}}


class Peers:
    """Workflows of one type that may call each other."""

    def __init__(self) -> None:
        self.kind: FindingType | None = None

    def save(self, source: dict[str, Any]) -> Workflow:
        """Return a new workflow with this graph."""
        more = {} if self.kind is None else {"entity_name_type": self.kind}
        workflow = WorkflowFactory(**more)
        self.kind = workflow.entity_name_type
        editing.save_graph(workflow, source, based_on=1)
        return workflow

    def start(self, source: dict[str, Any], *, by: Any = None, **fields: Any) -> Run:
        """Start a new workflow with this graph on an entity with these fields."""
        workflow = self.save(source)
        finding = FindingFactory(entity_name_type=self.kind, fields=fields)
        return Run(services.start(workflow, finding, by=by))


class Run:
    """An execution with its descendants."""

    def __init__(self, root: Execution) -> None:
        self.root = root

    @property
    def open_steps(self) -> list[Step]:
        """The open steps of the whole tree, the oldest first."""
        steps = Step.objects.open().select_related("execution").order_by("pk")
        tree = steps.filter(execution=self.root) | steps.filter(execution__root=self.root)
        return list(tree)

    @property
    def offered(self) -> str:
        """The open forms and approvals, sorted, with blanks between them."""
        return " ".join(sorted(one.node_id for one in self.open_steps if one.type in FOR_PEOPLE))

    @property
    def status(self) -> str:
        """The status of the execution."""
        self.root.refresh_from_db()
        return self.root.status

    @property
    def fields(self) -> dict[str, Any]:
        """The fields of the entity."""
        self.root.entity.refresh_from_db()
        fields: dict[str, Any] = self.root.entity.fields
        return fields

    def submit(self, *nodes: str, **data: Any) -> Run:
        """Submit the oldest open form of each node; ``node.handle`` names an action."""
        for name in nodes:
            node, _, action = name.partition(".")
            step = self._step(node)
            answers = data or ({} if action else {"answer": False})
            services.submit(step.execution, step=step.cuid, data=answers, action=action or None)
        return self

    def pass_time(self, node: str) -> Run:
        """Let the timer or the deadline of the oldest open step of a node pass."""
        jobs = Job.objects.filter(step=self._step(node))
        due = jobs.get().due_at
        jobs.update(due_at=due - timedelta(days=400))
        assert queue.serve_due() == 1
        return self

    def skip(self, node: str) -> Run:
        """Leave the oldest open step of a node as an operator."""
        step = self._step(node)
        services.skip(step.execution, step=step.cuid, why="Test")
        return self

    def _step(self, node: str) -> Step:
        return next(step for step in self.open_steps if step.node_id == node)
