"""Tasks that nodes perform outside any transaction, and their two failures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from executions.engine.redaction import Redaction


@dataclass(frozen=True, slots=True)
class Task:
    """The work for an open step, frozen when the step was entered."""

    step: str
    """The cuid of the step, the same on every attempt."""
    data: Mapping[str, Any]
    fields: Mapping[str, Any]
    attempt: int = 1
    read_secret: Callable[[str], str] | None = None
    _revealed: dict[str, str] = field(default_factory=dict, repr=False)

    def secret(self, name: str) -> str:
        """Return the value of a secret. Raise ``GiveUp`` if it cannot be read."""
        if name not in self._revealed:
            try:
                if self.read_secret is None:
                    raise LookupError("Secrets cannot be read here.")
                self._revealed[name] = self.read_secret(name)
            except LookupError as error:
                raise GiveUp(getattr(error, "incident_code", "no_secret"), str(error)) from None
        return self._revealed[name]

    def redacted(self, value: Any) -> Any:
        """Return a JSON value with every secret that was read replaced by its name."""
        return self.redaction().of(value)

    def redaction(self) -> Redaction:
        """Return the redaction of the secrets that were read."""
        return Redaction(self._revealed)


class TryAgain(Exception):
    """A failure that a retry may solve; ``after`` is the minimum delay."""

    def __init__(self, code: str, detail: str, after: timedelta | None = None) -> None:
        super().__init__(detail)
        self.code, self.detail, self.after = code, detail, after


class GiveUp(Exception):
    """A failure that a retry would repeat: the step gets an incident at once."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code, self.detail = code, detail
