"""Names that people take for one: they differ in case, in what is not seen, or in Unicode form."""

from __future__ import annotations

import hashlib
import re
import unicodedata

# Categories: what controls, formats, and combines with nothing; then letters that show nothing.
_CATEGORIES = ("Cc", "Cf", "Cn", "Co")
_FILLERS = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
LENGTH = 64


def look(name: str) -> str:
    """Return what is left of a name where nothing counts that people do not tell apart.

    Empty where nothing of it is seen.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    spaced = " ".join(folded.split())
    return " ".join(
        _FILLERS.sub(
            "",
            "".join(char for char in spaced if unicodedata.category(char) not in _CATEGORIES),
        ).split()
    )


def key(name: str) -> str:
    """Return the digest of what a name looks like; a unique column keeps it once."""
    return hashlib.sha256(look(name).encode("utf-8", "surrogatepass")).hexdigest()
