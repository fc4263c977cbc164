"""The storage of files: a local folder, or a bucket of S3."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.settings.environments import ROOT, Reader
from workflows_project import environment


def test_files_are_stored_in_a_private_folder_by_default(settings_from: Reader) -> None:
    storage = settings_from(DEBUG="1").values["STORAGES"]["default"]
    assert storage["OPTIONS"] == {
        "location": str(ROOT / "media"),
        "file_permissions_mode": 0o600,
        "directory_permissions_mode": 0o700,
    }
    values = settings_from(DEBUG="1", MEDIA_ROOT="/srv/files").values
    assert values["STORAGES"]["default"]["OPTIONS"]["location"] == "/srv/files"


def test_files_are_stored_in_a_bucket_if_one_is_set(
    settings_from: Reader, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(environment, "find_spec", lambda _: object())
    key = tmp_path / "key"
    key.write_text("secret\n")
    found = settings_from(
        DEBUG="1", S3_BUCKET="b", S3_REGION="eu", S3_SECRET_ACCESS_KEY_FILE=str(key)
    )
    assert found.problems == []
    storage = found.values["STORAGES"]["default"]
    assert storage["BACKEND"] == "storages.backends.s3.S3Storage"
    assert storage["OPTIONS"] == {
        "bucket_name": "b",
        "file_overwrite": False,
        "region_name": "eu",
        "secret_key": "secret",
    }


def test_bucket_without_its_package_is_reported(
    settings_from: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "find_spec", lambda _: None)
    (problem,) = settings_from(DEBUG="1", S3_BUCKET="b").problems
    assert "django-storages" in problem


@pytest.mark.parametrize("value", ["0", "-1", "25MB"])
def test_invalid_maximum_size_is_reported(settings_from: Reader, value: str) -> None:
    found = settings_from(DEBUG="1", FILE_MAX_BYTES=value)
    assert "FILE_MAX_BYTES" in found.problems[0]
    assert found.values["FILE_MAX_BYTES"] == 26_214_400
