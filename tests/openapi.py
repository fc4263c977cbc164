"""The committed OpenAPI document, read once."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml

FILE = Path(__file__).parent.parent / "docs" / "openapi.yaml"
# PyYAML is many times faster with libyaml, if that is installed.
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@cache
def committed() -> str:
    """Return the text of the file."""
    return FILE.read_text()


@cache
def schema() -> dict[str, Any]:
    """Return the data of the file."""
    described: dict[str, Any] = yaml.load(committed(), Loader=LOADER)
    return described
