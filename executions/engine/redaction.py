r"""Redaction of secrets in answers: they are found in any encoding and replaced by their names.

A text is decoded in layers (``\u0041``, ``&#65;``, ``%41``, one inside the other). A layer maps
each of its characters to the original text. Making and searching a layer takes linear time, and
the number of layers is limited.
"""

from __future__ import annotations

import base64
import html
import re
from array import array
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from workflows.db.json_values import is_number, parse_json

_DEEPEST = 3
_MOST_DECODED = 8 * 1024 * 1024
"""The maximum number of characters in all layers of one text, which limits the time."""
_PART = 8
"""The minimum length of a text inside a secret, or of a part of its Base64, to search for."""
_SPELLED = 24
"""The maximum number of characters that encode one character of a secret."""

_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_CODECS = ("utf-8", "cp1252", "iso-8859-15")
"""The codecs that may have decoded a secret wrongly (``http_client.CHARSETS``)."""
_CONTROLS = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v", "a": "\a"}
_HEX = "[0-9A-Fa-f]"
_TAIL = f"%[89ABab]{_HEX}"


def _unescaped(found: re.Match[str]) -> str | None:
    text = found[0]
    if text[1:2] == "u" and len(text) == 12:
        high, low = int(text[2:6], 16), int(text[8:12], 16)
        return chr(0x10000 + ((high & 0x3FF) << 10) + (low & 0x3FF))
    digits = text[2:].strip("{}") if text[1] in "uUx" else ""
    if digits:
        number = int(digits, 16)
        return chr(number) if number <= 0x10FFFF else None
    if text[1:].isdecimal():
        return chr(int(text[1:], 8))
    return _CONTROLS.get(text[1], text[1])


def _from_html(found: re.Match[str]) -> str | None:
    decoded = html.unescape(found[0])
    return decoded if decoded != found[0] else None


def _from_percent(found: re.Match[str]) -> str | None:
    if found[0] == "+":
        return " "
    raw = bytes.fromhex(found[0].replace("%", ""))
    return raw.decode("utf-8" if len(raw) > 1 else "latin-1", "replace")


_PERCENT = (
    f"%[CcDd]{_HEX}{_TAIL}|%[Ee]{_HEX}(?:{_TAIL}){{2}}|%[Ff][0-7](?:{_TAIL}){{3}}|%{_HEX}{{2}}"
)
_ESCAPE = (
    rf"\\u[dD][89abAB]{_HEX}{{2}}\\u[dD][c-fC-F]{_HEX}{{2}}|\\u{_HEX}{{4}}"
    rf"|\\u\{{{_HEX}{{1,6}}\}}|\\U{_HEX}{{8}}|\\x{_HEX}{{2}}|\\[0-3][0-7]{{2}}|\\."
)
_HTML = rf"&(?:#0{{0,20}}\d{{1,7}}|#[xX]0{{0,20}}{_HEX}{{1,6}}|[A-Za-z][A-Za-z0-9]{{1,31}});?"
_Decode = Callable[[re.Match[str]], "str | None"]
_CODINGS: tuple[tuple[re.Pattern[str], _Decode], ...] = (
    (re.compile(_ESCAPE, re.S), _unescaped),
    (re.compile(_HTML), _from_html),
    (re.compile(_PERCENT), _from_percent),
    (re.compile(rf"{_PERCENT}|\+"), _from_percent),
    # Some encoders escape only quotes and slashes.
    (re.compile(r"\\[\"'/]"), lambda found: found[0][1]),
    # UTF-16 decoded as another charset.
    (re.compile("\0"), lambda _: ""),
)
_CODED = re.compile(r"[\\&%+\0]")


@dataclass(frozen=True, slots=True)
class _Layer:
    """A decoded text; ``starts`` and ``ends`` are the positions in the original text."""

    text: str
    starts: Any
    ends: Any

    def decoded(self, pattern: re.Pattern[str], decode: _Decode) -> _Layer | None:
        """Return the next layer of this encoding; None if the text does not use it."""
        parts: list[str] = []
        starts, ends, place = array("L"), array("L"), 0
        for found in pattern.finditer(self.text):
            char = decode(found)
            if char is None:
                continue
            begin, end = found.span()
            parts += (self.text[place:begin], char)
            starts.extend(self.starts[place:begin])
            ends.extend(self.ends[place:begin])
            starts.extend([self.starts[begin]] * len(char))
            ends.extend([self.ends[end - 1]] * len(char))
            place = end
        if not parts:
            return None
        starts.extend(self.starts[place:])
        ends.extend(self.ends[place:])
        return _Layer("".join(parts) + self.text[place:], starts, ends)


def _layers(text: str) -> Iterator[_Layer]:
    count = len(text)
    layers = [_Layer(text, array("L", range(count)), array("L", range(1, count + 1)))]
    yield layers[0]
    if not _CODED.search(text):
        return
    known, decoded_so_far = {text}, 0
    for _ in range(_DEEPEST):
        following = []
        for layer in layers:
            for pattern, decode in _CODINGS:
                decoded = layer.decoded(pattern, decode)
                if decoded is None or decoded.text in known:
                    continue
                known.add(decoded.text)
                following.append(decoded)
                yield decoded
                decoded_so_far += count
                if decoded_so_far > _MOST_DECODED:
                    return
        layers = following


def _needles(secret: str) -> tuple[str, ...]:
    """Return the texts to search for: the secret, long texts inside it, its Base64 and hex."""
    plain = {secret, secret.strip(), *_texts_in(secret)} - {""}
    found = set(plain)
    for text in plain:
        found |= _with_other_line_ends(text)
        for source in ("utf-8", "latin-1"):
            raw = _encoded(text, source)
            if len(raw) >= _PART:
                found |= {raw.hex(), raw.hex().upper()}
                found |= _in_base64(raw)
            if not text.isascii():
                found |= {raw.decode(codec, "replace") for codec in _CODECS}
    return tuple(sorted(found - {""}, key=len, reverse=True))


def _encoded(text: str, codec: str) -> bytes:
    """Return the bytes of a text; empty if the codec lacks one of its characters."""
    try:
        return text.encode(codec, "surrogatepass" if codec == "utf-8" else "strict")
    except UnicodeEncodeError:
        return b""


def _with_other_line_ends(text: str) -> set[str]:
    """Return a multiline text, such as a PEM key, with each kind of line ending."""
    lines = text.splitlines()
    return {end.join(lines) for end in ("\n", "\r\n")} if len(lines) > 1 else set()


def _in_base64(raw: bytes) -> set[str]:
    """Return the Base64 characters that do not depend on the bytes before and after."""
    found = set()
    for before in range(3):
        coded = base64.b64encode(b"\0" * before + raw).decode().rstrip("=")
        # The first characters depend on the bytes before, the last one on those after.
        middle = coded[-(-before * 8 // 6) : (before + len(raw)) * 8 // 6]
        if len(middle) >= _PART:
            found |= {middle, middle.replace("+", "-").replace("/", "_")}
    return found


def _texts_in(secret: str) -> set[str]:
    """Return the long texts inside a JSON secret, such as the key of a service account."""
    if secret.lstrip()[:1] not in ("{", "["):
        return set()
    try:
        values = [parse_json(secret)]
    except (ValueError, RecursionError):
        return set()
    found = set()
    while values:
        value = values.pop()
        if isinstance(value, str) and len(value) >= _PART:
            found.add(value)
        elif isinstance(value, (list, dict)):
            values.extend(value.values() if isinstance(value, dict) else value)
    return found


def _as_number(text: str) -> Decimal | None:
    if not _NUMBER.fullmatch(text):
        return None
    try:
        return Decimal(text)
    except InvalidOperation:
        return None


_Span = tuple[int, int, str]


class Redaction:
    """Replaces secrets by their names in texts and JSON values."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        """Prepare the search for these secrets, values by names."""
        self._needles = [(name, _needles(secret)) for name, secret in secrets.items()]
        numbers = ((name, _as_number(secret.strip())) for name, secret in secrets.items())
        self._numbers = {name: number for name, number in numbers if number is not None}
        self._margin = _SPELLED * max(map(len, secrets.values()), default=0)

    def of(self, value: Any) -> Any:
        """Return a JSON value with every secret in its texts, keys and numbers replaced."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.of(item) for item in value]
        if isinstance(value, dict):
            return {self.of(key): self.of(item) for key, item in value.items()}
        if is_number(value) and self._numbers:
            name = self._named(str(value))
            return value if name is None else _placeholder(name)
        return value

    def text(self, text: str) -> str:
        """Return the text with every secret in it replaced."""
        return self._replaced(text, len(text))

    def beginning(self, text: str, most: int) -> str:
        """Return the first ``most`` characters; a secret is never cut in two."""
        return self._replaced(text[: most + self._margin], most)[:most]

    def _replaced(self, text: str, most: int) -> str:
        parts: list[str] = []
        place = 0
        for begin, end, name in self._spans(text):
            if begin >= most:
                break
            parts += (text[place:begin], _placeholder(name))
            place = end
        return "".join(parts) + text[place:most]

    def _spans(self, text: str) -> list[_Span]:
        if not self._needles or not (self._numbers or self._may_contain_secret(text)):
            return []
        found = [span for layer in _layers(text) for span in self._found(layer)]
        joined: list[_Span] = []
        # The longest first: one secret may be part of another.
        for begin, end, name in sorted(found, key=lambda span: (span[0], -span[1])):
            if joined and begin < joined[-1][1]:
                first, last, longest = joined[-1]
                joined[-1] = (first, max(last, end), longest)
            else:
                joined.append((begin, end, name))
        return joined

    def _may_contain_secret(self, text: str) -> bool:
        if _CODED.search(text):
            return True
        return any(needle in text for _, needles in self._needles for needle in needles)

    def _found(self, layer: _Layer) -> Iterator[_Span]:
        for name, needles in self._needles:
            for needle in needles:
                place = layer.text.find(needle)
                while place >= 0:
                    end = place + len(needle)
                    yield layer.starts[place], layer.ends[end - 1], name
                    place = layer.text.find(needle, end)
        if self._numbers:
            for found in _NUMBER.finditer(layer.text):
                named = self._named(found[0])
                if named is not None:
                    yield layer.starts[found.start()], layer.ends[found.end() - 1], named

    def _named(self, text: str) -> str | None:
        """Return the name of the secret that is the same number in any notation."""
        number = _as_number(text)
        if number is None:
            return None
        for name, secret in self._numbers.items():
            # The answer may have rounded the number to a 64-bit float.
            if number == secret or float(number) == float(secret):
                return name
        return None


def _placeholder(name: str) -> str:
    return f"{{{{secret:{name}}}}}"
