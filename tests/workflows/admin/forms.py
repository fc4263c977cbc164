"""Values that a browser submits for an unchanged form."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

BUTTONS = ("submit", "button", "file", "image", "reset")


class _Forms(HTMLParser):
    """A parser that collects the URLs and values of the forms of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[tuple[str, dict[str, list[str]]]] = []
        self.open = self.is_in_template = False
        self.select: dict[str, Any] | None = None
        self.textarea: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.is_in_template |= tag == "template"
        if self.is_in_template:
            return
        if tag == "form":
            self.forms.append((given.get("action") or "", {}))
            self.open = True
        elif tag == "input" and given.get("type") not in BUTTONS and "disabled" not in given:
            if given.get("type") not in ("checkbox", "radio") or "checked" in given:
                self._add(given.get("name"), given.get("value") or "")
        elif tag == "select" and "disabled" not in given:
            self.select = {"name": given.get("name"), "many": "multiple" in given, "found": []}
        elif tag == "option" and self.select is not None:
            self.select.setdefault("first", given.get("value") or "")
            if "selected" in given:
                self.select["found"].append(given.get("value") or "")
        elif tag == "textarea" and "disabled" not in given:
            self.textarea = given.get("name")
            self._add(self.textarea, "")

    def handle_data(self, data: str) -> None:
        if self.textarea is not None and self.open:
            values = self.forms[-1][1][self.textarea]
            values[-1] += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "template":
            self.is_in_template = False
        elif tag == "form":
            self.open = False
        elif tag == "textarea" and self.textarea is not None:
            values = self.forms[-1][1][self.textarea] if self.open else [""]
            # Browsers drop the first line break and send the others as CRLF.
            values[-1] = values[-1].removeprefix("\n").replace("\n", "\r\n")
            self.textarea = None
        elif tag == "select" and self.select is not None:
            found = self.select["found"]
            if not found and not self.select["many"] and "first" in self.select:
                found = [self.select["first"]]
            for value in found:
                self._add(self.select["name"], value)
            self.select = None

    def _add(self, name: str | None, value: str) -> None:
        if name and self.open:
            self.forms[-1][1].setdefault(name, []).append(value)


def rows(name: str, *texts: str) -> dict[str, str]:
    """Return what a browser submits for a list of texts."""
    return {f"rows/{name}#rows": str(len(texts))} | {
        f"rows/{name}/{number}": text for number, text in enumerate(texts)
    }


def form_of(response: Any, address: str = "", *, having: str = "") -> dict[str, Any]:
    """Return the values that an unchanged form submits.

    Args:
        response: the page.
        address: the URL of the form; if empty, the first form with the input ``having``.
        having: the name of an input of the form.

    Raises:
        AssertionError: the page has no such form.
    """
    parser = _Forms()
    parser.feed(response.content.decode())
    for action, values in parser.forms:
        if action == address if address else having in values:
            return {name: found if len(found) > 1 else found[0] for name, found in values.items()}
    raise AssertionError(f"The page has no form with {having!r} that leads to {address!r}.")
