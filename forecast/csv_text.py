"""Tables as CSV, in which no cell runs when a spreadsheet opens it.

Text that a spreadsheet would take for a formula (it begins with ``=``, ``+``, ``-``, ``@``, a tab
or the end of a line, and is no number) gets an apostrophe before it; so does text that has
apostrophes before such a sign already. Who takes one apostrophe off where one of the signs comes
after it, and after no others but apostrophes, has the text as it was, as Parquet and JSON have it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = ["as_csv"]

_RUNS = r"^'*[=+\-@\t\r\n＝＋－＠]"
_NUMBER = r"^[+\-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+\-]?[0-9]+)?%?$"


def as_csv(table: pd.DataFrame) -> bytes:
    """A table as CSV: UTF-8, comma, LF, quotes where they are needed."""
    import pyarrow as pa
    from pyarrow import csv

    head = table.iloc[:0].to_csv(index=False, lineterminator="\n").encode()
    if table.empty:
        return head
    # Many times as fast as pandas; lists, which it cannot write, are text before.
    arrow = pa.Table.from_pandas(table, preserve_index=False)
    for i, field in enumerate(arrow.schema):
        if pa.types.is_nested(field.type):
            texts = pa.array([str(value) for value in table[field.name]])
            arrow = arrow.set_column(i, field.name, texts)
        elif pa.types.is_null(field.type) or pa.types.is_dictionary(field.type):
            arrow = arrow.set_column(i, field.name, arrow[i].cast(pa.string()))
        if pa.types.is_string(arrow[i].type) or pa.types.is_large_string(arrow[i].type):
            arrow = arrow.set_column(i, field.name, _tame(arrow[i]))
    out = pa.BufferOutputStream()
    csv.write_csv(arrow, out, csv.WriteOptions(include_header=False, quoting_style="needed"))
    return bytes(head + out.getvalue().to_pybytes())


def _tame(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Cells that a spreadsheet would run, with an apostrophe before them."""
    import pyarrow as pa
    import pyarrow.compute as pc

    runs = pc.and_not(
        pc.match_substring_regex(column, _RUNS), pc.match_substring_regex(column, _NUMBER)
    )
    if not pc.any(runs).as_py():
        return column
    before, between = (pa.scalar(text, column.type) for text in ("'", ""))
    return pc.if_else(runs, pc.binary_join_element_wise(before, column, between), column)
