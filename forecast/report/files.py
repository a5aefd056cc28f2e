"""Tables as files: rounded, digested, and written as Parquet, CSV and JSON."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

__all__ = ["as_csv", "digest", "rounded", "write_tables"]

#: Significant digits kept: what two machines agree on, and what a float32 holds.
_DIGITS = {"float64": 12, "float32": 7}
_POWERS = np.array([float(f"1e{k}") for k in range(23)])
#: Longer tables are written as Parquet and CSV only; as JSON they would be tens of megabytes.
JSON_ROWS = 20_000


def rounded(table: pd.DataFrame) -> pd.DataFrame:
    """Copy with floats as float64 of 12 significant digits (7 where they were float32)."""
    result = table.reset_index(drop=True).copy()
    for position, dtype in enumerate(table.dtypes):
        digits = _DIGITS.get(str(dtype))
        if digits is not None:
            name = table.columns[position]
            result[name] = _significant(table[name].to_numpy(dtype=np.float64), digits)
    return result


def _significant(values: npt.NDArray[np.float64], digits: int) -> npt.NDArray[np.float64]:
    """The floats that are nearest to the decimal numbers with so many significant digits."""
    known = np.isfinite(values) & (values != 0)
    size = np.zeros(values.shape, dtype=np.int64)
    size[known] = np.floor(np.log10(np.abs(values[known]))).astype(np.int64)
    place = digits - 1 - size
    # Powers of ten up to the 22nd are exact, and so is the quotient of a whole number by one.
    exact = known & (place >= 0) & (place <= 22)
    power = _POWERS[place[exact]]
    result = np.array(values)
    result[exact] = np.rint(values[exact] * power) / power
    for i in np.flatnonzero(known & ~exact):
        result[i] = float(f"{values[i]:.{digits}g}")
    return result


def _json_lines(table: pd.DataFrame) -> str:
    """Rows as JSON, one a line; a missing or infinite value is null."""
    kept = table.replace([np.inf, -np.inf], np.nan).astype(object)
    rows = kept.where(kept.notna(), None).to_dict("records")

    def plain(value: Any) -> Any:
        return value.tolist() if hasattr(value, "tolist") else str(value)

    encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, default=plain).encode
    return ",\n".join(map(encode, rows))


def as_csv(tables: Mapping[str, pd.DataFrame]) -> dict[str, bytes]:
    """Each table as CSV: what is digested and written."""
    import pyarrow as pa
    from pyarrow import csv

    options = csv.WriteOptions(include_header=False, quoting_style="needed")
    found = {}
    for name, table in tables.items():
        if table.empty:
            found[name] = table.to_csv(index=False, lineterminator="\n").encode()
            continue
        # Many times as fast as pandas; lists, which it cannot write, are text before.
        arrow = pa.Table.from_pandas(table, preserve_index=False)
        for i, field in enumerate(arrow.schema):
            if pa.types.is_nested(field.type):
                texts = pa.array([str(value) for value in table[field.name]])
                arrow = arrow.set_column(i, field.name, texts)
            elif pa.types.is_null(field.type):
                arrow = arrow.set_column(i, field.name, arrow[i].cast(pa.string()))
        out = pa.BufferOutputStream()
        csv.write_csv(arrow, out, options)
        head = table.iloc[:0].to_csv(index=False, lineterminator="\n").encode()
        found[name] = head + out.getvalue().to_pybytes()
    return found


def digest(csv: Mapping[str, bytes]) -> str:
    """SHA-256 (hex) over the names and contents of tables, whatever their order."""
    found = hashlib.sha256()
    for name in sorted(csv):
        found.update(name.encode() + b"\0" + csv[name] + b"\0")
    return found.hexdigest()


def write_tables(
    tables: Mapping[str, pd.DataFrame], csv: Mapping[str, bytes], folder: Path
) -> dict[str, list[str]]:
    """Write every table into `folder`; names of the files by table."""
    written = {}
    for name, table in tables.items():
        files = [f"{name}.parquet", f"{name}.csv"]
        table.to_parquet(folder / files[0], index=False)
        (folder / files[1]).write_bytes(csv[name])
        if len(table) <= JSON_ROWS:
            files.append(f"{name}.json")
            (folder / files[2]).write_text(f"[\n{_json_lines(table)}\n]\n", encoding="utf-8")
        written[name] = files
    return written
