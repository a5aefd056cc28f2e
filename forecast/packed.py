"""Rows on disk, packed: each column in the smallest type that holds it exactly, read when used.

Two files: ``columns.bin``, the columns one after another, and ``columns.json``, what they are,
with a CRC-32 of each and, in its first line, the SHA-256 of the rest. Opening checks every byte
and maps the columns into memory; a column becomes an array of its own type when it is read.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr
from xarray.backends import BackendArray
from xarray.core import indexing

from forecast.errors import ArtifactError
from forecast.panel.types import lazily
from forecast.parallel import in_threads

__all__ = ["LAYOUT", "open_rows", "save_rows"]

#: Version of the layout.
LAYOUT = 1

_FILE, _ABOUT = "columns.bin", "columns.json"
#: Bytes at a multiple of which each column begins.
_ALIGN = 64
#: Stands for NaN in a column of small whole numbers.
_MISSING = -128

Array = npt.NDArray[Any]


def _pack(values: Array) -> tuple[Array, dict[str, Any]]:
    """The column in the smallest type that gives it back exactly, and how."""
    kind = values.dtype.kind
    about: dict[str, Any] = {"dtype": values.dtype.str}
    if kind in "UO":
        codes, labels = pd.factorize(values)
        if kind == "O" and not all(isinstance(label, str) for label in labels):
            raise ArtifactError(f"a column holds {type(labels[0]).__name__}, expected text")
        about["labels"] = [str(label) for label in labels]
        return codes.astype(_smallest(0, len(labels))), about
    if kind in "biu":
        low, high = (int(values.min()), int(values.max())) if values.size else (0, 0)
        return values.astype(_smallest(low, high)), about
    if kind != "f":
        raise ArtifactError(f"a column is of type {values.dtype}, expected numbers or text")
    known = values[~np.isnan(values)]
    if (np.abs(known) < -_MISSING).all() and (known == np.rint(known)).all():
        return np.where(np.isnan(values), _MISSING, values).astype(np.int8), about
    with np.errstate(over="ignore"):
        single = values.astype(np.float32)
    return (single if np.array_equal(single, values, equal_nan=True) else values), about


def _smallest(low: int, high: int) -> np.dtype[Any]:
    """The smallest type of whole numbers for values between the two."""
    types = map(np.dtype, ("i1", "i2", "i4", "i8"))
    return next(t for t in types if np.iinfo(t).min <= low and high <= np.iinfo(t).max)


class _Column(BackendArray):
    """A packed column in the type that it had."""

    def __init__(self, packed: Array, about: dict[str, Any]) -> None:
        self.packed, self.shape, self.dtype = packed, packed.shape, np.dtype(about["dtype"])
        self.labels = np.array(about["labels"], dtype=self.dtype) if "labels" in about else None

    def __getitem__(self, key: indexing.ExplicitIndexer) -> Array:
        found: Array = indexing.explicit_indexing_adapter(
            key, self.shape, indexing.IndexingSupport.OUTER_1VECTOR, self._unpacked
        )
        return found

    def _unpacked(self, key: Any) -> Array:
        packed = self.packed[key]
        if self.labels is not None:
            return np.asarray(self.labels[packed])
        values = packed.astype(self.dtype)
        if self.dtype.kind == "f" and packed.dtype == np.int8:
            values[packed == _MISSING] = np.nan
        return np.asarray(values)


def save_rows(data: xr.Dataset, folder: Path, **about: Any) -> None:
    """Write a dataset of one dimension into an empty folder.

    Parameters
    ----------
    data : xarray.Dataset
        One dimension, ``row``; numbers and text.
    folder : pathlib.Path
        Where ``columns.bin`` and ``columns.json`` go.
    **about
        Anything that JSON can hold, given back by `open_rows`.

    Raises
    ------
    ArtifactError
        A column is neither numbers nor text.
    """
    columns: dict[str, dict[str, Any]] = {}
    with (folder / _FILE).open("wb") as file:
        for name, variable in data.variables.items():
            packed, how = _pack(variable.to_numpy())
            content = np.ascontiguousarray(packed).tobytes()
            columns[str(name)] = how | {
                "packed": packed.dtype.str,
                "offset": file.tell(),
                "bytes": len(content),
                "crc32": zlib.crc32(content),
                "coordinate": name in data.coords,
                "attrs": {str(key): _plain(value) for key, value in variable.attrs.items()},
            }
            file.write(content + bytes(-len(content) % _ALIGN))
        size = file.tell()
    body = {
        "layout": LAYOUT,
        "rows": data.sizes["row"],
        "bytes": size,
        "columns": columns,
        "attrs": {str(key): _plain(value) for key, value in data.attrs.items()},
        "about": about,
    }
    text = json.dumps(body, ensure_ascii=False).encode()
    digest = hashlib.sha256(text).hexdigest().encode()
    (folder / _ABOUT).write_bytes(digest + b"\n" + text)


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


def open_rows(folder: Path) -> tuple[xr.Dataset, dict[str, Any]]:
    """Dataset written by `save_rows`, every byte checked, its columns read when they are used.

    Parameters
    ----------
    folder : pathlib.Path
        Folder of the two files.

    Returns
    -------
    data : xarray.Dataset
        Equal to the one that was saved.
    about : dict
        As given to `save_rows`.

    Raises
    ------
    FileNotFoundError
        There is no such entry.
    ArtifactError
        A file is damaged or of another layout.
    """
    digest, _, text = (folder / _ABOUT).read_bytes().partition(b"\n")
    if hashlib.sha256(text).hexdigest().encode() != digest:
        raise ArtifactError(f"{folder / _ABOUT} is damaged.")
    body = json.loads(text)
    if body["layout"] != LAYOUT:
        raise ArtifactError(f"{folder}: layout {body['layout']}, expected {LAYOUT}.")
    if (size := (folder / _FILE).stat().st_size) != body["bytes"]:
        raise ArtifactError(f"{folder / _FILE} has {size} bytes, expected {body['bytes']}.")
    content = np.memmap(folder / _FILE, mode="r") if size else np.empty(0, dtype=np.uint8)
    columns: dict[str, dict[str, Any]] = body["columns"]
    raw = {
        name: np.asarray(content[how["offset"] : how["offset"] + how["bytes"]])
        for name, how in columns.items()
    }

    def check(name: str) -> None:
        if zlib.crc32(raw[name]) != columns[name]["crc32"]:
            raise ArtifactError(f"{folder / _FILE}: column {name!r} is damaged.")

    in_threads(check, [(name,) for name in columns])
    made = {
        name: xr.Variable("row", lazily(_Column(raw[name].view(how["packed"]), how)), how["attrs"])
        for name, how in columns.items()
    }
    names = [name for name, how in columns.items() if how["coordinate"]]
    return xr.Dataset(made, attrs=body["attrs"]).set_coords(names), body["about"]
