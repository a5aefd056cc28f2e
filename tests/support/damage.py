"""What can happen to a file on its way to a reader, as hypothesis draws it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from forecast.errors import ForecastError

__all__ = [
    "CELLS", "LONGEST", "damaged_bytes", "damaged_json", "damaged_table", "reading_or_error",
]  # fmt: skip

#: Characters of the longest message; a value in it is cut.
LONGEST = 2000

#: Cells that no column expects: empty, huge, not finite, out of range, text, marks of a layout.
CELLS: tuple[str, ...] = (
    "", " ", "NA", "-9", "0", "-1", "1", "2", "2.5", ".", "-", "nan", "NaN", "inf", "-inf",
    "1e308", "-1e308", "1e400", "1e18", "1e10", "1e-320", "292277026597", "-292277026597",
    "292277026597000", "9223372036854775807", "-9223372036854775808", "99999999999999999999",
    "2147483648", "4294967296", "32768", "200", "255", "999", "1000", "1001", "-999999", "1800",
    "0001", "9999", "10000", "999999999999", "1" * 5000, "text", "x" * 300_000, "9" * 300_000,
    "'", '"', '""', '"""', '"unclosed', "a,b", "a;b", "a\tb", "\0", "\x01", "\x85", "\u2028",
    "\r", "\n", "\r\n", "٢٠٠٠", "２０００", "²", "\u202eabc", "é", "\ufeff", "1_000", "0x10", "+1",
    " 5 ", "1,000", "True", "None", "0000-00-00", "0001-01-01", "9999-12-31", "10000-01-01",
    "1900-02-30", "-1900-01-01", "1900-01-01T00:00", "01/02/1900", "=cmd|' /C calc'!A0", "{0}",
    "%s", "a" * 131_073,
)  # fmt: skip

#: Values of JSON that no key expects.
_VALUES: tuple[Any, ...] = (
    None, True, [], {}, [[]], 0, -1, 1.5, 10**18, 10**400, -(10**18), 1e308, float("nan"),
    float("inf"), ["a"] * 100_000, {"first": 1, "last": 10**18}, {"first": -5, "last": 9999},
)  # fmt: skip

Rows = list[list[str]]
Draw = Callable[[st.SearchStrategy[Any]], Any]


def _text(rows: Rows, end: str = "\n") -> str:
    return "".join(",".join(cells) + end for cells in rows)


def _quoted(cell: str) -> str:
    return f'"{cell}"' if set(cell) & {",", '"'} else cell


def _place(draw: Draw, rows: Rows) -> tuple[int, int]:
    row = draw(st.integers(0, len(rows) - 1))
    return row, draw(st.integers(0, max(len(rows[row]) - 1, 0)))


def _cell(draw: Draw, rows: Rows) -> None:
    row, column = _place(draw, rows)
    if row == 0 and draw(st.integers(0, 3)):  # headers are damaged less often than values
        row = len(rows) - 1
    rows[row][column : column + 1] = [draw(st.sampled_from(CELLS))]


def _column(draw: Draw, rows: Rows) -> None:
    _, column = _place(draw, rows)
    cell = draw(st.sampled_from(CELLS))
    for cells in rows[1:]:
        cells[column : column + 1] = [cell]


def _drop_row(draw: Draw, rows: Rows) -> None:
    del rows[draw(st.integers(0, len(rows) - 1))]


def _repeat_row(draw: Draw, rows: Rows) -> None:
    rows.append(list(rows[draw(st.integers(0, len(rows) - 1))]))


def _repeat_with_other_cell(draw: Draw, rows: Rows) -> None:
    _repeat_row(draw, rows)
    column = draw(st.integers(0, max(len(rows[-1]) - 1, 0)))
    rows[-1][column : column + 1] = [draw(st.sampled_from(CELLS))]


def _swap_rows(draw: Draw, rows: Rows) -> None:
    one, two = (draw(st.integers(0, len(rows) - 1)) for _ in range(2))
    rows[one], rows[two] = rows[two], rows[one]


def _swap_columns(draw: Draw, rows: Rows) -> None:
    one, two = (draw(st.integers(0, max(map(len, rows)) - 1)) for _ in range(2))
    for cells in rows:
        if max(one, two) < len(cells):
            cells[one], cells[two] = cells[two], cells[one]


def _swap_values(draw: Draw, rows: Rows) -> None:
    _swap_columns(draw, rows[1:] or rows)


def _drop_column(draw: Draw, rows: Rows) -> None:
    _, column = _place(draw, rows)
    for cells in rows:
        del cells[column : column + 1]


def _repeat_column(draw: Draw, rows: Rows) -> None:
    _, column = _place(draw, rows)
    for cells in rows:
        cells += cells[column : column + 1]


def _header_only(draw: Draw, rows: Rows) -> None:
    del rows[1:]


def _many_columns(draw: Draw, rows: Rows) -> None:
    more = draw(st.sampled_from((1, 100, 3000)))
    for number, cells in enumerate(rows):
        cells += [f"more{i}" for i in range(more)] if number == 0 else ["1"] * more


_CHANGES = (
    _cell, _cell, _cell, _cell, _column, _column, _drop_row, _repeat_row, _repeat_with_other_cell,
    _swap_rows, _swap_columns, _swap_values, _drop_column, _repeat_column, _header_only,
    _many_columns,
)  # fmt: skip


@st.composite
def damaged_bytes(draw: Draw, raw: bytes) -> bytes:
    """The bytes cut, flipped, with others put in, or read as another encoding."""
    kind = draw(st.sampled_from(("cut", "flip", "flips", "nul", "insert", "swap", "repeat")))
    at = draw(st.integers(0, max(len(raw) - 1, 0)))
    if kind == "cut":
        return raw[:at]
    if kind == "flip" or kind == "flips":
        damaged = bytearray(raw)
        for _ in range(1 if kind == "flip" else 20):
            if damaged:
                damaged[draw(st.integers(0, len(damaged) - 1))] ^= 1 << draw(st.integers(0, 7))
        return bytes(damaged)
    if kind == "nul":
        return raw[:at] + b"\0" * draw(st.sampled_from((1, 4, 4096))) + raw[at:]
    if kind == "insert":
        return raw[:at] + draw(st.binary(max_size=16)) + raw[at:]
    end = draw(st.integers(at, len(raw)))
    if kind == "swap":
        return raw[:at] + raw[end:] + raw[at:end]
    return raw[:end] + raw[at:end] + raw[end:]


@st.composite
def damaged_table(draw: Draw, text: str) -> bytes:
    """A table of comma-separated text after one to three changes."""
    rows = [[_quoted(cell) for cell in row] for row in csv.reader(io.StringIO(text))]
    for _ in range(draw(st.integers(1, 3))):
        if rows:
            draw(st.sampled_from(_CHANGES))(draw, rows)
    end = draw(st.sampled_from(("\n", "\n", "\n", "\r\n", "\r", "\n\n")))
    written = _text(rows, end)
    encoding = draw(st.sampled_from(("utf-8", "utf-8", "utf-8", "utf-8-sig", "latin-1", "utf-16")))
    raw = written.encode(encoding, errors="replace")
    return draw(damaged_bytes(raw)) if draw(st.integers(0, 3)) == 0 else raw


@st.composite
def damaged_json(draw: Draw, text: str) -> bytes:
    """A JSON document after one change of a value anywhere in it, or of its bytes."""
    if draw(st.integers(0, 3)) == 0:
        return draw(damaged_bytes(text.encode("utf-8")))
    document = json.loads(text)
    places: list[tuple[Any, Any]] = []

    def walk(node: Any) -> None:
        for key in list(node) if isinstance(node, dict) else range(len(node)):
            places.append((node, key))
            if isinstance(node[key], dict | list):
                walk(node[key])

    walk(document)
    node, key = draw(st.sampled_from(places))
    if isinstance(node, dict) and draw(st.integers(0, 5)) == 0:
        node[draw(st.sampled_from(CELLS))] = node.pop(key)
    else:
        node[key] = draw(st.sampled_from((*_VALUES, *CELLS)))
    return json.dumps(document, ensure_ascii=draw(st.booleans())).encode("utf-8")


def reading_or_error(call: Callable[[], Any], *files: str) -> Any:
    """What `call` gives, or the error of ours, whose message is short and names one of `files`."""
    try:
        return call()
    except ForecastError as error:
        text = str(error)
        assert len(text) <= LONGEST, f"{len(text)} characters: {text[:500]}"
        assert any(name in text for name in files), text
        return error
