"""YAML and JSON texts that survive a round trip unchanged.

Only the part of YAML that JSON can express is read: no tags, anchors or aliases, one document, each
key once. Texts that look like a date or like ``yes`` stay texts.
"""

from __future__ import annotations

import json
import re
from typing import Any

import yaml

from workflows.db.json_values import (
    MAX_DEPTH,
    InexactNumber,
    below,
    canonical,
    exact_float,
    quoted,
)
from workflows.files.file_schema import FileProblem, InvalidFile

YAML, JSON = "yaml", "json"
FORMATS = (YAML, JSON)

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
_WORDS = {
    "": None,
    "~": None,
    "null": None,
    "Null": None,
    "NULL": None,
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
}
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Inline(dict[str, Any]):
    """An object that YAML writes on one line."""


# The emitter of libyaml formats some texts differently, so a file would depend on the
# installation; this one is pure Python.
class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        """Write a repeated value in full."""
        return True


# Line breaks that YAML would read back as another break.
_BREAK = re.compile("[\r\x85\u2028\u2029]")


def _write_text(dumper: _Dumper, text: str) -> Any:
    style = '"' if _BREAK.search(text) else "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _write_inline(dumper: _Dumper, row: Inline) -> Any:
    return dumper.represent_mapping("tag:yaml.org,2002:map", row, flow_style=True)


_Dumper.add_representer(str, _write_text)
_Dumper.add_representer(Inline, _write_inline)
# Texts that other readers take for a number are quoted.
_Dumper.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$"),
    list("-+.0123456789"),
)
_Dumper.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"^0o?[0-7]+$"), ["0"])


def dump(data: dict[str, Any], form: str) -> str:
    """Return the text of these values; keys keep their order."""
    if form == JSON:
        return json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    text: str = yaml.dump(
        data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=2**30, line_break="\n"
    )
    return text


def canonical_copy(value: Any) -> Any:
    """Return a copy as every database returns it: sorted keys, integers without a fraction."""
    return json.loads(canonical(value))


def parse(raw: bytes) -> tuple[Any, dict[str, int]]:
    """Return the values of a YAML or JSON text, and their lines by JSON pointer.

    A text that begins with a brace is JSON; its lines are empty.

    Raises:
        InvalidFile: the text is neither, or uses something that is not supported.
    """
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise _invalid("", line, "The text is not UTF-8.") from None
    if text.lstrip(" \t\r\n").startswith("{"):
        return _read_json(text), {}
    return _read_yaml(text)


def _invalid(pointer: str, line: int | None, detail: str) -> InvalidFile:
    return InvalidFile([FileProblem(pointer, line, detail)])


class _DuplicateKey(ValueError):
    pass


def _read_json(text: str) -> Any:
    try:
        return json.loads(
            text,
            object_pairs_hook=_build_object,
            parse_constant=_reject_constant,
            parse_float=exact_float,
        )
    except json.JSONDecodeError as error:
        detail = f"Invalid JSON: {error.msg}, column {error.colno}."
        raise _invalid("", error.lineno, detail) from None
    except _DuplicateKey as error:
        raise _invalid("", None, str(error)) from None
    except InexactNumber as error:
        raise _invalid("", None, f"The number {error}.") from None
    except ValueError as error:
        raise _invalid("", None, f"Invalid JSON: {error}.") from None
    except RecursionError:
        raise _invalid("", None, "The values are nested too deeply.") from None


def _build_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # Python would silently keep the last value.
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        key = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise _DuplicateKey(
            f"The key {quoted(key)} occurs twice in one object ({_identify(found)})."
        )
    return found


def _identify(row: dict[str, Any]) -> str:
    names = [f"{key} {quoted(row[key])}" for key in ("cuid", "title", "name", "id") if key in row]
    return names[0] if names else "keys: " + ", ".join(quoted(key) for key in list(row)[:5])


def _reject_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number")


def _read_yaml(text: str) -> tuple[Any, dict[str, int]]:
    builder = _ValueBuilder()
    try:
        for event in yaml.parse(text, Loader=_Loader):
            builder.take(event)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else None
        raise _invalid("", line, f"Invalid YAML: {error.problem or error.context}.") from None
    except yaml.YAMLError as error:
        raise _invalid("", None, f"Invalid YAML: {' '.join(str(error).split())}.") from None
    return builder.value, builder.lines


class _ValueBuilder:
    """Builds values from the events of a YAML text."""

    def __init__(self) -> None:
        self.value: Any = None
        self.lines: dict[str, int] = {}
        self._documents = 0
        # The open lists and objects, each with its pointer and a list: for an object that list has
        # the key whose value comes next, or is empty if a key comes next.
        self._open: list[tuple[Any, str, list[str]]] = []

    def take(self, event: Any) -> None:
        line = event.start_mark.line + 1
        if isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                raise _invalid("", line, "A file must have only one document.")
        elif isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            detail = "Anchors and aliases (& and *) are not supported. Repeat the value."
            raise _invalid(self._pointer(), line, detail)
        elif isinstance(event, (yaml.ScalarEvent, yaml.SequenceStartEvent, yaml.MappingStartEvent)):
            if event.tag is not None:
                detail = f"Tags are not supported: {quoted(str(event.tag))}."
                raise _invalid(self._pointer(), line, detail)
            self._take_value(event, line)
        elif isinstance(event, (yaml.SequenceEndEvent, yaml.MappingEndEvent)):
            self._open.pop()

    def _take_value(self, event: Any, line: int) -> None:
        if self._awaits_key():
            return self._take_key(event, line)
        pointer = self._pointer()
        self.lines[pointer] = line
        if isinstance(event, yaml.ScalarEvent):
            return self._put(_scalar(event, pointer, line))
        if len(self._open) > MAX_DEPTH:
            detail = f"The values are nested more than {MAX_DEPTH} levels deep."
            raise _invalid(pointer, line, detail)
        value: Any = [] if isinstance(event, yaml.SequenceStartEvent) else {}
        self._put(value)
        self._open.append((value, pointer, []))
        return None

    def _awaits_key(self) -> bool:
        return bool(self._open) and isinstance(self._open[-1][0], dict) and not self._open[-1][2]

    def _take_key(self, event: Any, line: int) -> None:
        container, pointer, key = self._open[-1]
        if not isinstance(event, yaml.ScalarEvent):
            raise _invalid(pointer, line, "A key must be text, not a list or an object.")
        if event.value in container:
            raise _invalid(pointer, line, f"The key {quoted(event.value)} occurs twice.")
        key.append(event.value)

    def _pointer(self) -> str:
        if not self._open:
            return ""
        container, pointer, key = self._open[-1]
        if isinstance(container, list):
            return below(pointer, len(container))
        return below(pointer, *key)

    def _put(self, value: Any) -> None:
        if not self._open:
            self.value = value
            return
        container, _, key = self._open[-1]
        if isinstance(container, list):
            container.append(value)
        else:
            container[key.pop()] = value


def _scalar(event: Any, pointer: str, line: int) -> Any:
    text: str = event.value
    if not event.implicit[0]:
        # Quoted text or a block.
        return text
    if text in _WORDS:
        return _WORDS[text]
    if not _NUMBER.fullmatch(text):
        return text
    try:
        return json.loads(text, parse_float=exact_float)
    except ValueError:
        raise _invalid(pointer, line, "The number has too many digits.") from None
