"""Rows of a panel as one Parquet file, from which each column is read when it is first used."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import xarray as xr
from xarray.backends import BackendArray
from xarray.core import indexing

from forecast.errors import ArtifactError
from forecast.panel.types import lazily

__all__ = ["packed_rows", "read_rows"]

#: Key of the file's metadata: types, attributes and which columns are coordinates, as JSON.
_ABOUT = b"forecast"


def packed_rows(data: xr.Dataset) -> bytes:
    """Parquet of a dataset of the dimension ``row``; a column is of numbers or text, or refused."""
    arrays: dict[str, pa.Array] = {}
    columns: dict[str, Any] = {}
    for key, variable in data.variables.items():
        name, values = str(key), variable.to_numpy()
        try:
            arrays[name] = pa.array(values)
        except pa.ArrowException:
            arrays[name] = pa.nulls(0)
        if values.dtype.kind not in "biufUO" or (
            values.dtype.kind in "UO" and values.size and not pa.types.is_string(arrays[name].type)
        ):
            raise ArtifactError(f"Column {name!r} is of {values.dtype}: expected numbers or text.")
        columns[name] = {
            "dtype": values.dtype.str,
            "coordinate": key in data.coords,
            "attrs": _plain(variable.attrs),
        }
    about = json.dumps({"attrs": _plain(data.attrs), "columns": columns}, ensure_ascii=False)
    table = pa.table(arrays).replace_schema_metadata({_ABOUT: about.encode()})
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", compression_level=1)
    return bytes(sink.getvalue().to_pybytes())


def _plain(attrs: Any) -> dict[str, Any]:
    return {str(k): v.item() if hasattr(v, "item") else v for k, v in attrs.items()}


def read_rows(path: Path | zipfile.Path) -> xr.Dataset:
    """Dataset of `packed_rows`; the packed content stays in memory, columns are read when used."""
    import pyarrow.parquet as pq

    content = path.read_bytes()
    file = pq.ParquetFile(pa.BufferReader(content))
    rows = file.metadata.num_rows
    about = json.loads(file.schema_arrow.metadata[_ABOUT])
    columns = about["columns"]
    made = {
        name: xr.Variable("row", lazily(_Column(content, name, rows, how["dtype"])), how["attrs"])
        for name, how in columns.items()
    }
    names = [name for name, how in columns.items() if how["coordinate"]]
    return xr.Dataset(made, attrs=about["attrs"]).set_coords(names)


class _Column(BackendArray):
    """A column of a Parquet file in memory, in the type that it had."""

    def __init__(self, content: bytes, name: str, rows: int, dtype: str) -> None:
        self.content, self.name, self.shape, self.dtype = content, name, (rows,), np.dtype(dtype)

    def __getitem__(self, key: indexing.ExplicitIndexer) -> npt.NDArray[Any]:
        found: npt.NDArray[Any] = indexing.explicit_indexing_adapter(
            key, self.shape, indexing.IndexingSupport.OUTER_1VECTOR, lambda at: self._read()[at]
        )
        return found

    def _read(self) -> npt.NDArray[Any]:
        import pyarrow.parquet as pq

        file = pq.ParquetFile(pa.BufferReader(self.content))
        column = file.read([self.name]).column(0)
        if self.dtype.kind == "U":  # each text once
            codes = column.combine_chunks().dictionary_encode()
            labels = np.asarray(codes.dictionary.to_pylist(), dtype=self.dtype)
            return labels[codes.indices.to_numpy()] if len(labels) else np.empty(0, self.dtype)
        return np.array(column.to_numpy(), dtype=self.dtype)
