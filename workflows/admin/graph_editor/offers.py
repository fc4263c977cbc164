"""The values that the pickers of a form offer, by the ``format`` of a text in its schema."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from workflows.admin.graph_editor.data_inputs import Options


@dataclass(frozen=True, slots=True)
class Offers:
    """The values that pickers offer.

    Args:
        choices: for texts that are one of these values.
        suggestions: for texts that may have other values, too.
    """

    choices: Mapping[str, Options] = field(default_factory=dict)
    suggestions: Mapping[str, Options] = field(default_factory=dict)


NO_OFFERS = Offers()
