"""Candidates: the groups and users that a node of a version assigns, as accounts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db import models
from django.db.models import Q

from workflows.db.cuid import LENGTH
from workflows.db.json_values import canonical
from workflows.graph import node_types

GROUPS, USERS = "groups", "users"
EXCLUDE, STARTER, SUBMITTER = "exclude", "starter", "submitter"
DEADLINE, ESCALATE = "deadline", "escalate"
EXCLUDES_SOMEBODY = Q(excludes_starter=True) | Q(excludes_submitters=True)
"""The condition for candidates of an approval that excludes somebody from its vote."""
_NODE_TYPES = node_types()  # a view: types that are registered later appear in it


class Candidate(models.Model):
    """A candidate group or user of a node of a version, or of one reassigned step.

    The candidates that a deadline adds have a key of their own (``is_escalation``). The graph
    stores names. This row stores the account that had the name when the version was saved. It is
    unknown while no account has the name, and has no account after its deletion.
    """

    # Set on unsaved rows; ``key`` stores it.
    escalates: bool = False

    FROZEN: ClassVar = ("version_id", "node_id", "is_group", "name", "step", "key")

    version = models.ForeignKey(
        "workflows.Version", models.CASCADE, related_name="candidates", db_index=False
    )
    node_id = models.CharField(max_length=128)
    is_group = models.BooleanField()
    name = models.TextField()
    group = models.ForeignKey(
        "auth.Group", models.SET_NULL, null=True, related_name="+", db_index=False
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+", db_index=False
    )
    is_unknown = models.BooleanField(default=False)
    needed = models.PositiveIntegerField(default=1)
    # Whom an approval excludes (``exclude``); the same for all candidates of a node.
    excludes_starter = models.BooleanField(default=False, db_default=False)
    excludes_submitters = models.BooleanField(default=False, db_default=False)
    step = models.CharField(max_length=LENGTH, blank=True, default="")
    # The steps of these candidates have the same text in ``assignees``.
    key = models.TextField()

    objects = models.Manager()

    class Meta:
        ordering: ClassVar = ["pk"]
        default_permissions = ()
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=Q(group__isnull=True) | Q(user__isnull=True),
                name="workflows_candidate_one",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["key"], name="workflows_candidate_key"),
            models.Index(fields=["version", "node_id"], name="workflows_candidate_node"),
            models.Index(
                fields=["group"], condition=Q(group__isnull=False), name="workflows_candidate_group"
            ),
            models.Index(
                fields=["user"], condition=Q(user__isnull=False), name="workflows_candidate_user"
            ),
            models.Index(
                fields=["id"], condition=Q(is_unknown=True), name="workflows_candidate_unknown"
            ),
            models.Index(
                fields=["key"],
                condition=EXCLUDES_SOMEBODY,
                name="workflows_candidate_excludes",
            ),
        ]

    def __str__(self) -> str:
        return f"{'group' if self.is_group else 'user'} “{self.current_name}”"

    @property
    def is_deleted(self) -> bool:
        """Return True if the account has been deleted."""
        return not self.is_unknown and self.group_id is None and self.user_id is None

    @property
    def is_escalation(self) -> bool:
        """Return True if the deadline of the node adds this candidate."""
        return self.key == node_key(self.version_id, self.node_id, escalates=True)

    @property
    def current_name(self) -> str:
        """Return the present name of the account, or the stored name if there is no account."""
        if self.group is not None:
            return self.group.name
        return self.user.get_username() if self.user is not None else self.name


def node_key(version_id: int | None, node_id: str, *, escalates: bool = False) -> str:
    """Return the key of the candidates of a node of a version, or of those its deadline adds."""
    key = {"node": node_id, "version": version_id}
    return canonical({ESCALATE: True, **key} if escalates else key)


def step_key(cuid: str) -> str:
    """Return the key of the candidates of one reassigned step."""
    return canonical({"step": cuid})


@dataclass(frozen=True, slots=True)
class AssigneeName:
    """The name of a group or user in a graph, with its JSON pointer."""

    node_id: str
    is_group: bool
    name: str
    pointer: str = ""
    needed: int = 1
    excludes_starter: bool = False
    excludes_submitters: bool = False
    escalates: bool = False


def find_assignee_names(source: Any) -> Iterator[AssigneeName]:
    """Yield the names of groups and users in a graph. Skips damaged nodes."""
    nodes = source.get("nodes") if isinstance(source, dict) else None
    for index, node in enumerate(nodes if isinstance(nodes, list) else ()):
        if isinstance(node, dict):
            yield from _named_at(node, f"/nodes/{index}/data")


def _named_at(node: dict[str, Any], pointer: str) -> Iterator[AssigneeName]:
    found = read_assignees(node.get("type"), node.get("data"))
    if found is None:
        return
    data = node["data"]
    node_id, rule = str(node.get("id")), read_voting_rule(data)
    where, named = found
    for is_group, name, at in _names_in(named, f"{pointer}{where}"):
        yield AssigneeName(node_id, is_group, name, at, **rule)
    deadline = data.get(DEADLINE)
    escalate = deadline.get(ESCALATE) if isinstance(deadline, dict) else None
    if isinstance(escalate, dict):
        for is_group, name, at in _names_in(escalate, f"{pointer}/{DEADLINE}/{ESCALATE}"):
            yield AssigneeName(node_id, is_group, name, at, **rule, escalates=True)


def _names_in(named: Mapping[str, Any], pointer: str) -> Iterator[tuple[bool, str, str]]:
    """Yield for each name whether it is that of a group, the name, and its JSON pointer."""
    for key in (GROUPS, USERS):
        names = named.get(key)
        seen: set[str] = set()
        for place, name in enumerate(names if isinstance(names, list) else ()):
            if isinstance(name, str) and name not in seen:
                seen.add(name)
                yield key == GROUPS, name, f"{pointer}/{key}/{place}"


def read_assignees(type_name: Any, data: Any) -> tuple[str, dict[str, Any]] | None:
    """Return the pointer and the ``groups``/``users`` of a node; None if it names nobody."""
    node_type = _NODE_TYPES.get(type_name) if isinstance(type_name, str) else None
    key = None if node_type is None else node_type.people_at
    if key is None or not isinstance(data, dict):
        return None
    named = data.get(key) if key else data
    if not isinstance(named, dict) or not (named.get(GROUPS) or named.get(USERS)):
        return None
    return f"/{key}" if key else "", named


def read_voting_rule(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of candidates that follow from the data of their node.

    ``needed`` is the number of people that the node needs: the votes of an approval, otherwise 1.
    """
    needed, excluded = data.get("needed"), data.get(EXCLUDE)
    excluded = excluded if isinstance(excluded, list) else []
    return {
        # A larger number may not fit into the column, and cannot be reached anyway.
        "needed": min(needed, 10_000) if type(needed) is int and needed > 1 else 1,
        "excludes_starter": STARTER in excluded,
        "excludes_submitters": SUBMITTER in excluded,
    }


def resolve_candidates(named: Iterable[AssigneeName], previous: Any = None) -> list[Candidate]:
    """Return unsaved candidates for these names; unknown if no account has the name.

    Args:
        named: the names.
        previous: the previous version. A name that a node had there keeps its account, so that
            groups and users can be renamed between two versions.
    """
    wanted = list(named)
    if not wanted:
        return []
    known = [] if previous is None else _resolved(previous)
    at_node = {(row.node_id, row.is_group, row.name): row for row in known}
    anywhere = {(row.is_group, row.name): row for row in known}
    accounts = _accounts(wanted)
    return [
        _candidate(
            one,
            at_node.get((one.node_id, one.is_group, one.name)),
            accounts.get((one.is_group, one.name)),
            anywhere.get((one.is_group, one.name)),
        )
        for one in wanted
    ]


def _resolved(version: Any) -> list[Candidate]:
    rows = Candidate.objects.filter(version=version, step="")
    return list(rows.filter(Q(group__isnull=False) | Q(user__isnull=False)))


def _accounts(named: Iterable[AssigneeName]) -> dict[tuple[bool, str], int]:
    """Return the ids of the groups and users with these names."""
    users: Any = get_user_model()._default_manager
    tables = {True: (Group.objects, "name"), False: (users, get_user_model().USERNAME_FIELD)}
    found: dict[tuple[bool, str], int] = {}
    for is_group, (rows, column) in tables.items():
        names = {one.name for one in named if one.is_group == is_group}
        if names:
            pairs = rows.filter(**{f"{column}__in": names}).values_list(column, "pk")
            found |= {(is_group, name): pk for name, pk in pairs}
    return found


def _candidate(
    named: AssigneeName, before: Candidate | None, account: int | None, elsewhere: Candidate | None
) -> Candidate:
    row = Candidate(
        node_id=named.node_id,
        is_group=named.is_group,
        name=named.name,
        needed=named.needed,
        excludes_starter=named.excludes_starter,
        excludes_submitters=named.excludes_submitters,
    )
    row.escalates = named.escalates
    same = before or (elsewhere if account is None else None)
    if same is not None:
        row.group_id, row.user_id = same.group_id, same.user_id
    elif account is None:
        row.is_unknown = True
    elif named.is_group:
        row.group_id = account
    else:
        row.user_id = account
    return row


def save_candidates(candidates: Iterable[Candidate], version: Any) -> None:
    """Save candidates as those of a version."""
    rows = list(candidates)
    for row in rows:
        row.version = version
        row.key = node_key(version.pk, row.node_id, escalates=row.escalates)
    if rows:
        Candidate._base_manager.bulk_create(rows)


def copy_candidates(previous: Any) -> list[Candidate]:
    """Return unsaved copies of a version's candidates, for a version with the same graph."""
    rows = list(Candidate.objects.filter(version=previous, step=""))
    for row in rows:
        row.escalates = row.is_escalation
        row.pk, row._state.adding = None, True
    return rows


def link_account(account: Any) -> int:
    """Link the unknown candidates with the name of this group or user to the account.

    Returns:
        The number of candidates.
    """
    is_group = isinstance(account, Group)
    name = account.name if is_group else account.get_username()
    rows = Candidate._base_manager
    unknown = rows.filter(is_unknown=True, is_group=is_group, name=name)
    return unknown.update(is_unknown=False, **{"group" if is_group else "user": account})
