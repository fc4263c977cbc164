"""Names that look alike: they differ in case, invisible characters or Unicode form."""

from __future__ import annotations

import hashlib
import re
import unicodedata

# Control, format and unassigned characters; then letters that show nothing.
_INVISIBLE_CATEGORIES = ("Cc", "Cf", "Cn", "Co")
_FILLERS = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
LENGTH = 64


def fold_name(name: str) -> str:
    """Return the form of a name by which look-alikes are equal; empty if nothing is visible."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    spaced = " ".join(folded.split())
    return " ".join(
        _FILLERS.sub(
            "",
            "".join(
                char for char in spaced if unicodedata.category(char) not in _INVISIBLE_CATEGORIES
            ),
        ).split()
    )


def hash_name(name: str) -> str:
    """Return the digest of a folded name, for a unique column."""
    return hashlib.sha256(fold_name(name).encode("utf-8", "surrogatepass")).hexdigest()
