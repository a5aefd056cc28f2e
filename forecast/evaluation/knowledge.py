"""What was known before an origin: a data set cut as if it had been released then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from forecast.errors import CoverageError
from forecast.sources.tables import TABLES, Coverage, Tables

__all__ = ["known_before"]

#: Tables of spells in which an end may not be known yet, and of what happens in a year.
_RUNNING = {"outcome": "ongoing", "settlement": "none"}


def known_before(tables: Tables, origin: int) -> Tables:
    """The tables without anything that happened in `origin` or later.

    What began later is not there; what ended later runs on (its end is open, a dispute's outcome
    ``"ongoing"``); yearly values of later years are gone, and every table covers no year after
    ``origin - 1``.

    Parameters
    ----------
    tables : Tables
        A data set.
    origin : int
        First year that is not known.

    Returns
    -------
    Tables
        Not checked again, and without a fingerprint of its own content: that of `tables`, with
        the year.

    Raises
    ------
    CoverageError
        A table that begins in `origin` or later.

    Notes
    -----
    The level and the deaths of a dispute that was running at the end of ``origin - 1`` are those
    of its whole length: sources code them once. Dates are as coded by later scholarship.
    """
    last = origin - 1
    for name in TABLES:
        if tables.coverage[name].first > last:
            raise CoverageError(
                f"{name} are covered from {tables.coverage[name].first}; nothing is known before "
                f"{origin}."
            )
    frames: dict[str, Any] = {name: _cut(getattr(tables, name), last) for name in TABLES}
    # the pledges of a treaty that is not signed yet
    signed = set(frames["alliances"]["alliance_id"])
    frames["members"] = _of(frames["members"], signed)
    kept = {n for n in tables.extra if tables.coverage[n].first <= last}
    extra = {name: _cut(tables.extra[name], last) for name in kept}
    if "treaty_design" in extra:
        extra["treaty_design"] = _of(extra["treaty_design"], signed)
    return replace(
        tables,
        **frames,
        extra=extra,
        coverage=_coverage(tables.coverage, last, {*TABLES, *kept}),
        fingerprint=f"{tables.fingerprint}|before={origin}",
    )


def _cut(frame: pd.DataFrame, last: int) -> pd.DataFrame:
    if "start" in frame:
        begun = frame["start"].dt.year <= last
        frame = frame[begun].reset_index(drop=True)
        running = (frame["end"].dt.year > last).to_numpy()
        if running.any():
            frame = frame.copy()
            frame.loc[running, "end"] = pd.NaT
            for column, value in _RUNNING.items():
                if column in frame:
                    frame.loc[running, column] = value
        return frame
    if "year" in frame:
        return frame[frame["year"].to_numpy() <= last].reset_index(drop=True)
    return frame


def _of(frame: pd.DataFrame, treaties: set[str]) -> pd.DataFrame:
    return frame[np.isin(frame["alliance_id"].to_numpy(dtype=object), list(treaties))].reset_index(
        drop=True
    )


def _before(year: int | None, last: int) -> int | None:
    return year if year is not None and year < last else None


def _coverage(coverage: Mapping[str, Coverage], last: int, names: set[str]) -> dict[str, Coverage]:
    found = {}
    for name in names:
        cover = coverage[name]
        found[name] = replace(
            cover,
            last=min(cover.last, last),
            amended_after=_before(cover.amended_after, last),
            declared_after=_before(cover.declared_after, last),
        )
    return found
