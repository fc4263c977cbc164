"""CSV cells are never formulas."""

from __future__ import annotations

import pytest

from workflows.values.csv_cells import build_response, format_cell

STARTS = ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"]

UNSEEN = ["\u3000", "\u2003", "\u2028", "\x1f", "\u00ad", "\u202e", "\u200e\u180e"]


@pytest.mark.parametrize("before", ["", " ", "\u200b", "\ufeff", "\u00a0 ", *UNSEEN])
@pytest.mark.parametrize("start", STARTS)
def test_formula_is_escaped(start, before):
    assert format_cell(f"{before}{start}1+1") == f"'{before}{start}1+1"


@pytest.mark.parametrize("value", ["1=1", "Übermäßig", "a@b.c", "", " x", -1, 1.5, "'=1"])
def test_other_values_are_unchanged(value):
    assert format_cell(value) == value


def test_byte_order_mark_is_written_only_for_spreadsheets():
    rows = [["title"], ["Übermäßig"]]
    for for_spreadsheets in (False, True):
        answer = build_response("x", rows, for_spreadsheets=for_spreadsheets)
        assert answer["Content-Type"] == "text/csv; charset=utf-8"
        body = b"".join(answer)
        assert body.startswith(b"\xef\xbb\xbf") is for_spreadsheets
        assert body.decode("utf-8-sig") == "title\r\nÜbermäßig\r\n"
