"""The destination of a move: a version of the root and its call closure, and what forbids it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from django.db.models import Q
from django.utils.translation import gettext

from executions.engine.move_plan import Obstacle
from executions.models import Execution, closure_checksum
from executions.services.call_closure import lock_closure, read_closure
from workflows.guards.secrets import find_secrets, find_unknown_secrets
from workflows.models import Reference, Version, Workflow

VERSION = "/version"


@dataclass(slots=True)
class Destination:
    """The versions that the executions of a tree would run. ``versions`` begins with the root's.

    ``version`` is None if there is no such version.
    """

    version: Version | None = None
    versions: list[Version] = field(default_factory=list)
    obstacles: list[Obstacle] = field(default_factory=list)

    @property
    def pinned(self) -> list[Version]:
        """The versions of all workflows that the root's version can call."""
        return self.versions[1:]

    @property
    def pinned_numbers(self) -> dict[str, int]:
        """The numbers of the pinned versions by the cuid of the callee."""
        return {version.workflow.cuid: version.number for version in self.pinned}

    def version_of(self, workflow_id: int) -> Version | None:
        """Return the version of a workflow of the tree; None if it is called no more."""
        found = (row for row in self.versions if row.workflow_id == workflow_id)
        return next(found, None)

    def is_present(self, root: Execution) -> bool:
        """Return True if the tree has these versions already."""
        if self.version is None or root.version_id != self.version.pk:
            return False
        stored = None if root.closure is None else root.closure.checksum
        pinned = self.pinned
        return stored == (closure_checksum(self.version.pk, pinned) if pinned else None)


def find_destination(
    root: Execution, to: Version | int | None, *, lock: bool = True
) -> Destination:
    """Find the versions of a move of this root, and check them.

    Args:
        to: the version of the root or its number; None for the latest.
        lock: lock the versions. The root must be locked then.

    Raises:
        locks.TryAgain: a graph was saved meanwhile.
    """
    named = None
    if to is not None:
        own = Version.objects.filter(workflow=root.workflow_id).defer("source")
        named = own.filter(Q(pk=to.pk) if isinstance(to, Version) else Q(number=to)).first()
        if named is None:
            return Destination(obstacles=[_unknown_version(root.workflow)])
    find_closure = lock_closure if lock else read_closure
    versions = find_closure(root.workflow_id, named)
    root.workflow = versions[0].workflow
    found = Destination(versions[0], versions)
    found.obstacles = list(_Judge(root, found, is_latest=named is None).find_obstacles())
    return found


def _unknown_version(workflow: Workflow) -> Obstacle:
    return Obstacle(
        "unknown_version",
        gettext("The workflow “{title}” has no such version.").format(title=workflow.title),
        gettext("Name a version of this workflow."),
        VERSION,
    )


class _Judge:
    """The check of a destination."""

    def __init__(self, root: Execution, destination: Destination, *, is_latest: bool) -> None:
        self.root = root
        self.versions = destination.versions
        self.own = destination.versions[0]
        later = Version.objects.filter(workflow=self.own.workflow_id, number__gt=self.own.number)
        self.is_latest = is_latest or not later.exists()

    def find_obstacles(self) -> Iterator[Obstacle]:
        """Yield the obstacles that do not depend on the open steps."""
        for version in self.versions:
            title = version.workflow.title
            if version.workflow.state != Workflow.State.ACTIVE:
                yield Obstacle(
                    "not_active",
                    gettext("The workflow “{title}” is not active.").format(title=title),
                    gettext("Activate “{title}” first.").format(title=title),
                    VERSION,
                )
            if version.context_key != self.root.context_key:
                yield Obstacle(
                    "other_context",
                    gettext("“{version}” has another finding type or record type.").format(
                        version=version
                    ),
                    gettext("Choose a version with the type of the execution."),
                    VERSION,
                )
            if getattr(version, "waits", False):
                yield Obstacle(
                    "draining",
                    gettext("A change of the type of “{title}” is on hold.").format(title=title),
                    gettext("Wait until the change has been applied, or withdraw it."),
                    VERSION,
                )
        if not self.is_latest:
            yield from self._find_obstacles_of_older()

    def _find_obstacles_of_older(self) -> Iterator[Obstacle]:
        """Yield the obstacles that saving the latest version has excluded."""
        callees = [row.pk for row in self.versions[1:]]
        calls_back = Reference._base_manager.filter(
            version__in=callees, callee=self.own.workflow_id
        )
        if callees and calls_back.exists():
            yield Obstacle(
                "call_cycle",
                gettext("A workflow that “{version}” calls now calls “{title}” itself.").format(
                    version=self.own, title=self.own.workflow.title
                ),
                gettext("Choose another version."),
                VERSION,
            )
        for problem in find_unknown_secrets(find_secrets(self.own.source)):
            yield Obstacle(
                problem.code,
                problem.detail,
                gettext("Ask an administrator to create the secret first."),
                VERSION,
            )
