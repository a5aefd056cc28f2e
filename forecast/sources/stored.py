"""The tables of a data set as Parquet files in a folder, one a table; those kept in the cache."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from zipfile import Path as ZipPath

import pandas as pd

from forecast.errors import ArtifactError, StorageError
from forecast.files import MARKER, unseal
from forecast.folders import keep_newest, replace_folder, write_all
from forecast.sources.embedded import tables_from_frames
from forecast.sources.tables import TABLES, Coverage, Tables

__all__ = [
    "about_tables",
    "frames_of",
    "open_tables",
    "packed_tables",
    "read_tables",
    "save_tables",
    "tables_of",
]

#: Below the cache folder, by the content that they were made from.
FOLDER = "derived/tables"
#: Sets of tables that are kept there; the oldest go first.
_KEPT = 6


def frames_of(tables: Tables) -> dict[str, pd.DataFrame]:
    """Every table by name, the extra ones included."""
    return {name: getattr(tables, name) for name in TABLES} | dict(tables.extra)


def about_tables(tables: Tables) -> dict[str, Any]:
    """What is kept beside the tables, for JSON: name, fingerprint, coverage, names of extras."""
    return {
        "name": tables.name,
        "fingerprint": tables.fingerprint,
        "coverage": tables.vintage,
        "extra": sorted(tables.extra),
    }


def packed_tables(tables: Tables) -> dict[str, bytes]:
    """File of every table by its name; `about_tables` says what `read_tables` must be told."""
    return {
        f"{name}.parquet": frame.to_parquet(index=False)
        for name, frame in frames_of(tables).items()
    }


def read_tables(
    folder: Path | ZipPath, about: Mapping[str, Any], *, computed: bool = False
) -> Tables:
    """Tables of `packed_tables`.

    With `computed`, columns that are computed from others are taken as they are, by the code that
    wrote them; else they are made anew, and the content must have its fingerprint (ArtifactError).
    """
    frames = {}
    for name in (*TABLES, *about.get("extra", ())):
        with (folder / f"{name}.parquet").open("rb") as file:
            frames[name] = pd.read_parquet(file)
    if computed:
        for name, frame in frames.items():
            dates = frame.select_dtypes("datetime").columns
            frames[name] = frame.astype(dict.fromkeys(dates, "datetime64[s]"))
        return Tables(
            **{table: frames.pop(table) for table in TABLES},
            coverage={name: Coverage.from_dict(c) for name, c in about["coverage"].items()},
            name=about["name"],
            fingerprint=about["fingerprint"],
            extra=frames,
        )
    tables = tables_of(frames, about)
    if tables.fingerprint != about["fingerprint"]:
        raise ArtifactError(f"The tables in {folder} do not have their own fingerprint.")
    return tables


def tables_of(frames: Mapping[str, pd.DataFrame], about: Mapping[str, Any]) -> Tables:
    """Tables again, from their frames and what `about_tables` said."""
    return tables_from_frames(
        {name: frames[name] for name in TABLES},
        coverage={name: Coverage.from_dict(cover) for name, cover in about["coverage"].items()},
        name=about["name"],
        extra={name: frames[name] for name in about.get("extra", ())},
        known=about["fingerprint"],
    )


def open_tables(folder: Path, key: str) -> Tables | None:
    """Tables with this key, or None if there are none in the cache, or they are not whole."""
    place = folder / FOLDER / key
    try:
        return read_tables(place, unseal(place, MARKER), computed=True)
    except (OSError, ArtifactError):
        return None


def save_tables(folder: Path, key: str, tables: Tables) -> None:
    """Keep tables with their computed columns under a key, where the cache can be written."""
    files = packed_tables(tables)
    place = folder / FOLDER / key
    with suppress(StorageError):
        with replace_folder(place, ours=list(files), about=about_tables(tables)) as staging:
            write_all(staging, files)
        keep_newest(folder / FOLDER, _KEPT)
