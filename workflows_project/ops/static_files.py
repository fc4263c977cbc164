"""Static files with a hash in their names, compressed, for long caching."""

from __future__ import annotations

from django.conf import settings
from whitenoise.storage import CompressedManifestStaticFilesStorage


class HashedFiles(CompressedManifestStaticFilesStorage):  # type: ignore[misc]
    """WhiteNoise's storage. A page without collected files is shown without styles."""

    # Otherwise every page fails with 500 if ``collectstatic`` was forgotten.
    manifest_strict = False

    def stored_name(self, name: str) -> str:
        """Return the name with its hash, or the plain name if the file was not collected."""
        try:
            return str(super().stored_name(name))
        except ValueError:
            return name


def are_collected() -> bool:
    """Return True if ``collectstatic`` has run, or need not run."""
    if settings.DEBUG:
        return True
    storage = HashedFiles()
    return storage.read_manifest() is not None
