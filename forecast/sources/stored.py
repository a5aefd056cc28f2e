"""The tables of a data set as files of an artifact or a panel keep them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import pandas as pd

from forecast.sources.capability import COMPUTED
from forecast.sources.embedded import tables_from_frames
from forecast.sources.tables import TABLES, Coverage, Tables

__all__ = ["about_tables", "frames_of", "read_frame", "tables_of"]


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


def read_frame(file: Path | BinaryIO) -> pd.DataFrame:
    """Table of a Parquet file as its reader gave it: no computed columns, dates in seconds."""
    frame = pd.read_parquet(file).drop(columns=list(COMPUTED), errors="ignore")
    dates = frame.select_dtypes("datetime").columns
    return frame.astype(dict.fromkeys(dates, "datetime64[s]"))


def tables_of(frames: Mapping[str, pd.DataFrame], about: Mapping[str, Any]) -> Tables:
    """Tables again, from their frames and what `about_tables` said."""
    return tables_from_frames(
        {name: frames[name] for name in TABLES},
        coverage={name: Coverage.from_dict(cover) for name, cover in about["coverage"].items()},
        name=about["name"],
        extra={name: frames[name] for name in about.get("extra", ())},
        known=about["fingerprint"],
    )
