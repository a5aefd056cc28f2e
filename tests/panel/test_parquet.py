"""Rows as Parquet come back exactly, in their types, when they are used."""

import pickle

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from forecast.errors import ArtifactError
from forecast.panel.parquet import packed_rows, read_rows

COLUMNS = {
    "flags": np.array([0.0, 1.0, np.nan]),
    "counts": np.array([-127.0, 127.0, 3.0]),
    "beyond": np.array([-128.0, 128.0, np.nan]),
    "single": np.array([0.5, np.float32(0.1), np.inf]),
    "double": np.array([0.1, 1e300, np.nan]),
    "single32": np.array([0.5, 2.0, np.nan], dtype=np.float32),
    "year": np.array([1816, 1999, 2025]),
    "large": np.array([0, 2**40, -(2**40)]),
    "is": np.array([True, False, True]),
    "name": np.array(["Österreich", "", "a"]),
    "text": np.array(["x", "y", "x"], dtype=object),
}


def test_columns_come_back_exactly(tmp_path):
    data = xr.Dataset({k: ("row", v, {"unit": k}) for k, v in COLUMNS.items()}, attrs={"n": 3})
    data = data.set_coords("year")
    path = tmp_path / "rows.parquet"
    path.write_bytes(packed_rows(data))
    found = read_rows(path)
    assert list(found.variables) == list(data.variables)
    xr.testing.assert_identical(found.compute(), data)
    for name, values in COLUMNS.items():
        assert found[name].dtype == values.dtype, name
    part = found.isel(row=[2, 0])
    xr.testing.assert_identical(part.compute(), data.isel(row=[2, 0]))
    found["counts"][0] = 5  # a copy in memory: what is on disk stays as it is
    xr.testing.assert_identical(read_rows(path).compute(), data)
    sent = pickle.loads(pickle.dumps(read_rows(path)))  # to a worker that has not this disk
    path.unlink()
    xr.testing.assert_identical(sent.compute(), data)


def test_any_reader_of_parquet_reads_the_rows(tmp_path):
    data = xr.Dataset({k: ("row", v) for k, v in COLUMNS.items()})
    (tmp_path / "rows.parquet").write_bytes(packed_rows(data))
    frame = pd.read_parquet(tmp_path / "rows.parquet")
    assert list(frame) == list(COLUMNS)
    np.testing.assert_array_equal(frame["beyond"], COLUMNS["beyond"])


def test_no_rows(tmp_path):
    data = xr.Dataset({k: ("row", v[:0]) for k, v in COLUMNS.items()})
    path = tmp_path / "rows.parquet"
    path.write_bytes(packed_rows(data))
    xr.testing.assert_identical(read_rows(path).compute(), data)


def test_what_cannot_be_kept_is_refused(tmp_path):
    data = xr.Dataset({"when": ("row", np.array(["2000-01-01"], dtype="datetime64[s]"))})
    with pytest.raises(ArtifactError, match="expected numbers or text"):
        (tmp_path / "rows.parquet").write_bytes(packed_rows(data))
    mixed = xr.Dataset({"mixed": ("row", np.array([1, "a"], dtype=object))})
    with pytest.raises(ArtifactError, match="'mixed' is of object"):
        (tmp_path / "rows.parquet").write_bytes(packed_rows(mixed))
