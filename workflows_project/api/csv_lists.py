"""Lists as CSV (RFC 4180): all filtered rows, streamed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django.http import StreamingHttpResponse
from rest_framework.exceptions import NotAcceptable
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.serializers import Serializer

from workflows.values import csv_cells
from workflows_project.api import accepted_formats


class CSVRenderer(BaseRenderer):
    """Marks the format of lists that stream their own CSV."""

    media_type = "text/csv"
    format = "csv"
    charset = "utf-8"

    def render(self, data: Any, media_type: Any = None, context: Any = None) -> Any:
        """Raise ``NotAcceptable``: only lists are available as CSV."""
        raise NotAcceptable


class CSVNegotiation(DefaultContentNegotiation):
    """Content negotiation that offers CSV for lists."""

    def select_renderer(self, request: Request, renderers: Any, format_suffix: Any = None) -> Any:
        """Return the renderer and its media type. Raise ``NotAcceptable`` if none fits."""
        json = JSONRenderer.media_type
        has_format = format_suffix or request.META.get("QUERY_STRING")
        is_json = renderers[0].media_type == json
        # Nearly every request: parsing media types would take longer than rendering.
        if is_json and not has_format and request.META.get("HTTP_ACCEPT", "*/*") in ("*/*", json):
            return renderers[0], json
        view = request.parser_context["view"]
        is_read = request.method in ("GET", "HEAD")
        if getattr(view, "action", None) == "list" or (is_read and getattr(view, "lists", False)):
            renderers = [*renderers, CSVRenderer()]
        name = request.query_params.get(self.settings.URL_FORMAT_OVERRIDE) or format_suffix
        if name:
            renderers = self.filter_renderers(renderers, name)
        by_type = {renderer.media_type: renderer for renderer in renderers}
        header = "*/*" if name else request.META.get("HTTP_ACCEPT", "*/*")
        chosen = accepted_formats.choose(header, by_type)
        if chosen is None:
            raise NotAcceptable(available_renderers=renderers)
        return by_type[chosen], chosen

    def filter_renderers(self, renderers: Any, format: Any) -> Any:
        """Return the renderers of this format. Raise ``NotAcceptable`` if there is none."""
        found = [renderer for renderer in renderers if renderer.format == format]
        if not found:
            raise NotAcceptable
        return found


def stream_rows(
    view: Any, chunks: Iterable[list[Any]], names: list[str] | None
) -> StreamingHttpResponse:
    """Return a CSV response with the rows, as the view serializes them.

    ``names`` selects the fields; None selects all.
    """
    name = view.request.resolver_match.url_name.removesuffix("-list")
    return csv_cells.build_response(name, _rows(view, chunks, names))


def _rows(view: Any, chunks: Iterable[list[Any]], names: list[str] | None) -> Iterator[list[Any]]:
    columns = [path for path in _columns(view.get_serializer()) if not names or path[0] in names]
    yield [".".join(path) for path in columns]
    for chunk in chunks:
        for row in view.get_serializer(chunk, many=True).data:
            yield [_value_at(row, path) for path in columns]


def _columns(serializer: Any) -> Iterator[tuple[str, ...]]:
    """Yield the path of each column. Nested objects have a column for each of their fields."""
    for name, field in serializer.fields.items():
        if isinstance(field, Serializer):
            for path in _columns(field):
                yield (name, *path)
        else:
            yield (name,)


def _value_at(row: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        row = None if row is None else row[name]
    return row
