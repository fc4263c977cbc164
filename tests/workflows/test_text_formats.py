"""YAML and JSON texts survive a round trip unchanged."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from workflows.db.json_values import canonical
from workflows.files import text_formats
from workflows.files.file_schema import InvalidFile

TEXTS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0")
) | st.sampled_from(
    [
        *("yes", "No", "on", "null", "~", "", "=", "<<", "1e5", "010", "0o7", "0x1f", "1_000"),
        *("12:30", "2026-01-31", ".5", "-", "- a", "# b", "a: b", "{a}", "&a", "*a", "!a", "%a"),
        *("a\nb", "a\n", "\na", " a\nb", "a \nb", "a\n\n", "\n", "\r\n", "a\tb\nc", "😀\n😀"),
        *("\u0085", "\u2028a", "\ufeff", "'", '"', "---", "...", "---\nb", "true", "1.0", "+1"),
    ]
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


@given(
    st.dictionaries(TEXTS, VALUES, min_size=1, max_size=4), st.sampled_from(text_formats.FORMATS)
)
def test_text_survives_a_round_trip(data: dict[str, Any], form: str) -> None:
    found, _ = text_formats.parse(text_formats.dump(data, form).encode())
    assert canonical(found) == canonical(data)


@given(st.dictionaries(TEXTS, TEXTS, min_size=1, max_size=4))
def test_other_yaml_readers_read_the_same_texts(data: dict[str, Any]) -> None:
    assert yaml.safe_load(text_formats.dump(data, text_formats.YAML)) == data


def test_long_text_is_a_block_and_a_position_one_line() -> None:
    data = {"about": "One.\nTwo: 😀\n", "position": text_formats.Inline({"x": 0, "y": 1.5})}
    assert text_formats.dump(data, text_formats.YAML) == (
        "about: |\n  One.\n  Two: 😀\nposition: {x: 0, y: 1.5}\n"
    )


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: yes", "yes"),
        ("a: 010", "010"),
        ("a: 2026-01-31", "2026-01-31"),
        ("a: 12:30", "12:30"),
        ("a: .inf", ".inf"),
        ("a: 1e2", 100.0),
        ("a: -3", -3),
        ("a: '3'", "3"),
        ("a: true", True),
        ("a: ~", None),
        ("a:", None),
        ("\ufeffa: 1", 1),
        ('{"a": 1}', 1),
        (' \n\t{"a": "\\ud83d\\ude00"}', "😀"),
    ],
)
def test_plain_scalar_is_a_json_value_or_text(text: str, value: Any) -> None:
    found = text_formats.parse(text.encode())[0]["a"]
    assert (found, type(found)) == (value, type(value))


def test_lines_are_found_by_pointer() -> None:
    _, lines = text_formats.parse(b"a:\n- b: 1\n- c:\n  - d\n")
    assert lines == {"": 1, "/a": 2, "/a/0": 2, "/a/0/b": 2, "/a/1": 3, "/a/1/c": 4, "/a/1/c/0": 4}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"a: &x 1\nb: *x\n", "line 1, /a: Anchors and aliases (& and *) are not supported"),
        (b"a: *x\n", "line 1, /a: Anchors and aliases"),
        (b"a: [&x [1]]", "line 1, /a/0: Anchors"),
        (b"a: 1\nb: 2\na: 3\n", "line 3: The key 'a' occurs twice."),
        (b"a:\n- b: 1\n  b: 2\n", "line 3, /a/0: The key 'b' occurs twice."),
        (b"a: !!python/object/apply:os.system [ls]", "line 1, /a: Tags are not supported: 'tag"),
        (b"a: !!str 1", "Tags are not supported"),
        (b"a: 1\n---\nb: 2\n", "line 2: A file must have only one document"),
        (b"? [a]\n: 1\n", "line 1: A key must be text, not a list or an object."),
        (b"a: [1\n", "Invalid YAML"),
        (b"a: \x01", "Invalid YAML"),
        (b"a: \xff", "line 1: The text is not UTF-8."),
        (b"a: " + b"[" * 70, "nested more than 64 levels deep"),
        (b"a: " + b"1" * 5000, "line 1, /a: The number has too many digits."),
        (b'{"a": 1, "a": 2}', "The key 'a' occurs twice in one object"),
        (b'{"title": "T", "a": 1, "a": 2}', "twice in one object (title 'T')"),
        (b'{"a": NaN}', "Invalid JSON: NaN is not a number."),
        (b'{"a": 1,}', "line 1: Invalid JSON"),
        (b'{"a": ' + b"[" * 100_000, "nested too deeply"),
        (b'{"a": ' + b"1" * 5000 + b"}", "Invalid JSON"),
    ],
)
def test_unsupported_text_is_rejected(text: bytes, said: str) -> None:
    with pytest.raises(InvalidFile) as refused:
        text_formats.parse(text)
    assert said in "\n".join(map(str, refused.value.problems))


def test_alias_bomb_is_rejected_at_the_first_anchor() -> None:
    lines = ["a0: &a0 [x, x]", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 60))]
    with pytest.raises(InvalidFile, match="line 1"):
        text_formats.parse("\n".join(lines).encode())
