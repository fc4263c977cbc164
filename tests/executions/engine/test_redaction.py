"""Redaction: secrets in any encoding are replaced by their names."""

from __future__ import annotations

import base64
import html
import json
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, quote_plus

import pytest

from executions.engine.http_client import CHARSETS
from executions.engine.redaction import Redaction

VALUE = "quo\"te'/ü€😀 \\ and+more%41&amp;\n<x>"
NAME = "{{secret:B}}"


def each(form: str) -> Callable[[str], str]:
    """Encode every character by its number."""
    return lambda text: "".join(form.format(ord(char)) for char in text)


def in_utf_16(text: str) -> str:
    raw = text.encode("utf-16-be")
    return "".join(f"\\u{raw[n]:02x}{raw[n + 1]:02x}" for n in range(0, len(raw), 2))


def in_percent(text: str) -> str:
    return "".join(f"%{byte:02x}" for byte in text.encode())


SPELLINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "JSON": json.dumps,
    "JSON without ASCII": lambda text: json.dumps(text, ensure_ascii=False),
    "JSON with slashes": lambda text: json.dumps(text).replace("/", "\\/"),
    "JSON as Go writes it": lambda text: (
        json.dumps(text).replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003E")
    ),
    "JSON numbers": in_utf_16,
    "JSON numbers in capitals": lambda text: in_utf_16(text).upper().replace("\\U", "\\u"),
    "JSON in JSON": lambda text: json.dumps(json.dumps(text)),
    "JSON in JSON in JSON": lambda text: json.dumps(json.dumps(json.dumps(text))),
    "Python": repr,
    "JavaScript": each("\\u{{{:X}}}"),
    "hexadecimal escapes": lambda text: text.encode("unicode_escape").decode(),
    "escaped quotes": lambda text: text.replace('"', '\\"').replace("'", "\\'"),
    "HTML": html.escape,
    "HTML decimal": each("&#{};"),
    "HTML decimal with zeros": each("&#0000{};"),
    "HTML hexadecimal": each("&#x{:x};"),
    "HTML hexadecimal in capitals": each("&#X{:X};"),
    "HTML names": lambda text: html.escape(text).replace("/", "&sol;").replace("+", "&plus;"),
    "HTML in JSON": lambda text: json.dumps(html.escape(text)),
    "HTML in JSON as Go writes it": lambda text: json.dumps(html.escape(text)).replace(
        "&", "\\u0026"
    ),
    "JSON in HTML": lambda text: html.escape(json.dumps(text)),
    "an address": quote,
    "a part of an address": lambda text: quote(text, safe=""),
    "a form": quote_plus,
    "percent": in_percent,
    "percent in capitals": lambda text: in_percent(text).upper(),
    "percent twice": lambda text: quote(quote(text, safe=""), safe=""),
    "an address in JSON": lambda text: json.dumps(quote_plus(text)),
    "JSON in an address": lambda text: quote(json.dumps(text), safe=""),
    "UTF-16 read as UTF-8": lambda text: "\0".join(text),
    "Base64": lambda text: base64.b64encode(text.encode()).decode(),
    "Base64 of a pair": lambda text: base64.b64encode(f"user:{text}".encode()).decode(),
    "Base64 for addresses": lambda text: base64.urlsafe_b64encode(f"ab{text}cd".encode()).decode(),
    "hexadecimal": lambda text: text.encode().hex(),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_secret_is_found_in_any_encoding(spelling: str) -> None:
    spelled = SPELLINGS[spelling](VALUE)
    redaction = Redaction({"A": "other", "B": VALUE})
    found = redaction.text(f"before <{spelled}> behind")
    assert NAME in found
    assert found.startswith("before <") and found.endswith("> behind")
    # Only quotes or Base64 characters of the neighbours are left.
    assert len(found) < len("before <> behind") + len(NAME) + 16
    assert redaction.of({"a": [spelled], spelled: 1}) == {
        "a": [redaction.text(spelled)],
        redaction.text(spelled): 1,
    }


@pytest.mark.parametrize("value", [1000, 1000.0, "1000", "1e3", "1.0E+03", "0001000", "1000.0"])
def test_number_is_found_in_any_notation(value: Any) -> None:
    assert Redaction({"B": "1000"}).of({"pin": [value]}) == {"pin": [NAME]}
    assert Redaction({"B": "1e3"}).of(value) == NAME


def test_number_in_a_text_is_found() -> None:
    redaction = Redaction({"B": "-12.50"})
    assert redaction.text('{"a": -125e-1, "b": 12.5}') == f'{{"a": {NAME}, "b": 12.5}}'


def test_rounded_number_is_found() -> None:
    secret = "12345678901234567890123"
    assert Redaction({"B": secret}).of(json.loads(f"{secret}.0")) == NAME


def test_other_values_are_unchanged() -> None:
    value = {"a": [1, 2.5, True, None, "100% &amp; \\u0041 + b"], "b": 10**400}
    assert Redaction({"A": "1000", "B": "hunter2"}).of(value) == value
    assert Redaction({}).of("%41") == "%41"
    assert Redaction({"A": ""}).of("text") == "text"


@pytest.mark.parametrize("sent", ["utf-8", "latin-1"])
@pytest.mark.parametrize(
    "read", sorted(set(CHARSETS.values()) - {"utf-16", "utf-16-le", "utf-16-be"})
)
def test_secret_is_found_when_it_was_decoded_with_another_charset(sent: str, read: str) -> None:
    secret = "gehéim-wört-für-alle"
    raw = secret.encode(sent)
    redaction = Redaction({"B": secret})
    if read != "ascii":
        assert redaction.text(f"<{raw.decode(read, 'replace')}>") == f"<{NAME}>"
    assert redaction.text(f"<{raw.hex()}>") == f"<{NAME}>"
    assert NAME in redaction.text(base64.b64encode(b"user:" + raw).decode())


def test_multiline_secret_is_found_with_any_line_ends() -> None:
    key = "-----BEGIN-----\nAbC/d+eF\n-----END-----\n"
    for secret in (key, key.replace("\n", "\r\n")):
        for end in ("\n", "\r\n"):
            echoed = "\n".join(key.splitlines()).replace("\n", end)
            found = Redaction({"B": secret}).text(json.dumps({"key": echoed}))
            assert found == f'{{"key": "{NAME}"}}'


def test_longer_secret_wins_over_one_inside_it() -> None:
    redaction = Redaction({"A": "hunter", "B": "hunter2-and-more"})
    assert redaction.text("hunter2-and-more hunter2") == f"{NAME} {{{{secret:A}}}}2"


def test_text_inside_a_json_secret_is_found() -> None:
    key = {"type": "service", "private_key": "-----BEGIN\nabc"}
    redaction = Redaction({"B": json.dumps(key)})
    assert redaction.of({"echo": key}) == {"echo": {"type": "service", "private_key": NAME}}


@pytest.mark.parametrize("spelling", ["plain", "JSON numbers", "percent", "HTML decimal"])
def test_beginning_of_a_text_never_cuts_a_secret(spelling: str) -> None:
    spelled = SPELLINGS[spelling]("hunter2-and-more")
    for most in range(1, len(spelled) + 20, 3):
        text = f"token: {spelled} " * 40
        beginning = Redaction({"B": "hunter2-and-more"}).beginning(text, most)
        assert len(beginning) <= most
        assert spelled[: len(spelled) // 4] not in beginning


@pytest.mark.parametrize(
    "text",
    [
        "a" * 10**5,
        "\\" * 10**5,
        "%25" * 30_000,
        "%" * 10**5,
        "&amp;" * 20_000,
        "&#" + "0" * 10**5,
        "&a" * 50_000,
        "\\u005c" * 16_000,
        "1e3," * 25_000,
        "9" * 10**5,
        "\0" * 10**5,
        "hunter2-and-mor" * 6_000,
    ],
    ids=range(12),
)
def test_long_text_takes_linear_time(text: str) -> None:
    redaction = Redaction({"A": "\\" * 40 + "x", "B": "1000", "C": "hunter2-and-more"})
    began = time.process_time()
    redaction.text(text)
    # Quadratic work would take minutes.
    assert time.process_time() - began < 2
