"""Cells of CSV: nothing that a spreadsheet would take for a formula."""

from __future__ import annotations

import pytest

from workflows.values.csv_cells import build_response, format_cell

STARTS = ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"]

UNSEEN = ["\u3000", "\u2003", "\u2028", "\x1f", "\u00ad", "\u202e", "\u200e\u180e"]


@pytest.mark.parametrize("before", ["", " ", "\u200b", "\ufeff", "\u00a0 ", *UNSEEN])
@pytest.mark.parametrize("start", STARTS)
def test_text_that_begins_a_formula_is_quoted(start, before):
    assert format_cell(f"{before}{start}1+1") == f"'{before}{start}1+1"


@pytest.mark.parametrize("value", ["1=1", "Übermäßig", "a@b.c", "", " x", -1, 1.5, "'=1"])
def test_other_values_stay_as_they_are(value):
    assert format_cell(value) == value


def test_file_says_utf_8_and_begins_with_a_mark_for_spreadsheets_alone():
    rows = [["title"], ["Übermäßig"]]
    for for_spreadsheets in (False, True):
        answer = build_response("x", rows, for_spreadsheets=for_spreadsheets)
        assert answer["Content-Type"] == "text/csv; charset=utf-8"
        body = b"".join(answer)
        assert body.startswith(b"\xef\xbb\xbf") is for_spreadsheets
        assert body.decode("utf-8-sig") == "title\r\nÜbermäßig\r\n"
