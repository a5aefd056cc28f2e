"""The tables of a data set as Parquet files in a folder, one a table; those kept in the cache."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import Path as ZipPath

import pandas as pd

from forecast.errors import ArtifactError
from forecast.files import MARKER, keep_newest, replace_folder, unseal
from forecast.sources.embedded import COMPUTED, tables_from_frames
from forecast.sources.tables import TABLES, Coverage, Tables

__all__ = [
    "about_tables",
    "frames_of",
    "open_tables",
    "read_tables",
    "save_tables",
    "tables_of",
    "write_tables",
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


def write_tables(tables: Tables, folder: Path) -> dict[str, Any]:
    """Write every table into a folder; gives what `read_tables` must be told (JSON)."""
    folder.mkdir(exist_ok=True)
    for name, frame in frames_of(tables).items():
        frame.to_parquet(folder / f"{name}.parquet", index=False)
    return about_tables(tables)


def read_tables(
    folder: Path | ZipPath, about: Mapping[str, Any], *, computed: bool = False
) -> Tables:
    """Tables of `write_tables`.

    With `computed`, columns that are computed from others are taken as they are, by the code that
    wrote them; else they are made anew, and the content must have its fingerprint (ArtifactError).
    """
    frames = {}
    for name in (*TABLES, *about.get("extra", ())):
        with (folder / f"{name}.parquet").open("rb") as file:
            frame = pd.read_parquet(file)
        dates = frame.select_dtypes("datetime").columns
        frames[name] = frame.astype(dict.fromkeys(dates, "datetime64[s]"))
    if computed:
        return Tables(
            **{table: frames.pop(table) for table in TABLES},
            coverage={name: Coverage.from_dict(c) for name, c in about["coverage"].items()},
            name=about["name"],
            fingerprint=about["fingerprint"],
            extra=frames,
        )
    for name, frame in frames.items():
        frames[name] = frame.drop(columns=list(COMPUTED), errors="ignore")
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
    except (FileNotFoundError, ArtifactError):
        return None


def save_tables(folder: Path, key: str, tables: Tables) -> None:
    """Keep tables with their computed columns under a key: whole or not at all."""
    ours = [f"{name}.parquet" for name in frames_of(tables)]
    with replace_folder(folder / FOLDER / key, ours=ours, about=about_tables(tables)) as staging:
        write_tables(tables, staging)
    keep_newest(folder / FOLDER, _KEPT)
