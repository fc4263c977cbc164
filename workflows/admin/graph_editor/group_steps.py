"""Steps of the graph editor that edit several nodes. Copied nodes are in the session."""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext, ngettext

from workflows.graph.edit_steps import GraphEditError, Source
from workflows.graph.node_groups import copy_nodes, delete_nodes, paste_nodes

CLIPBOARD = "graph_clipboard"
"""The key of the session for the copied nodes."""
MOST_COPIED = 200
"""Every request reads the session, so that it has to stay small."""


@dataclass(frozen=True, slots=True)
class GroupEdit:
    """The changed source, the description of the change, and the nodes to check afterwards."""

    source: Source
    description: str
    checked: list[str] = field(default_factory=list)


def copy_to_session(session: Any, source: Source, ids: Sequence[str]) -> str:
    """Store a copy of nodes in the session; return a message.

    Raises:
        GraphEditError: a node does not exist, or there are none or too many.
    """
    copied = copy_nodes(source, ids)
    number = len(copied["nodes"])
    if number > MOST_COPIED:
        text = gettext("Copy at most %(most)s nodes at once.")
        raise GraphEditError(text % {"most": MOST_COPIED})
    session[CLIPBOARD] = copied
    return ngettext(
        "%(number)s node was copied. You can paste it into this or another graph.",
        "%(number)s nodes were copied. You can paste them into this or another graph.",
        number,
    ) % {"number": number}


def edit_group(
    source: Source, step: str, ids: Sequence[str], session: MutableMapping[str, Any]
) -> GroupEdit:
    """Run the step ``delete_nodes``, ``duplicate_nodes`` or ``paste``.

    Raises:
        GraphEditError: the step is impossible.
    """
    if step == "delete_nodes":
        if not ids:
            raise GraphEditError(gettext("Select the nodes first."))
        text = ngettext("delete %(number)s node", "delete %(number)s nodes", len(ids))
        return GroupEdit(delete_nodes(source, ids), text % {"number": len(ids)})
    if step == "paste":
        copied = session.get(CLIPBOARD)
        if copied is None:
            raise GraphEditError(gettext("Copy nodes first."))
        text = gettext("paste %(number)s nodes")
    else:
        copied = copy_nodes(source, ids)
        text = gettext("duplicate %(number)s nodes")
    changed, fresh = paste_nodes(source, copied)
    return GroupEdit(changed, text % {"number": len(fresh)}, fresh)
