"""Where a scenario's difference comes from: the pair's own features, or other pairs' disputes.

A pair's risk differs between scenario and status quo for two reasons. Its own alliance features are
others, as the edits say; and other pairs, whose features are edited too, have more or fewer
simulated disputes, which enter its history and its allies' quarrels. The first is the difference
with the edited features in the simulated worlds of the status quo; the second is the rest. Both
are of one draw and one set of random numbers, so they add up to the whole draw by draw.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import xarray as xr

from forecast.features.arrays import allied
from forecast.simulation.engine import Paths, cumulative, own_hazard

if TYPE_CHECKING:
    from forecast.inference.fit import Fit
    from forecast.simulation.coefficients import Coefficients
    from forecast.simulation.dynamics import Record
    from forecast.simulation.ending import Endings
    from forecast.simulation.future import Future

__all__ = [
    "SOURCES",
    "Split",
    "edited_pairs",
    "part_columns",
    "same_years",
    "split",
    "timing_words",
]

#: The parts of a difference.
SOURCES: tuple[str, str] = ("own", "contagion")

BoolArray = npt.NDArray[np.bool_]
Float32Array = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Split:
    """Draws of the two parts of the differences in cumulative risk.

    Attributes
    ----------
    edited : numpy.ndarray, shape (horizon, R), bool
        Pairs whose own alliances differ in the year; see `edited_pairs`.
    rows : numpy.ndarray of int, shape (n,)
        Those that differ in any; of the others the whole difference is contagion.
    own, contagion : numpy.ndarray, shape (horizon, n, D), float32
        Of these pairs; their sum is the difference of the draw.
    """

    edited: BoolArray
    rows: npt.NDArray[np.intp]
    own: Float32Array
    contagion: Float32Array

    def first_year(self, origin: int) -> int | None:
        """First year in which the edits can act on any pair; None if in none of the horizon."""
        same = same_years(self.edited)
        return origin + 1 + same if same < len(self.edited) else None


def timing_words(first_year: int | None, last: int) -> str:
    """When the edits can act, as a sentence.

    Parameters
    ----------
    first_year : int or None
        See `Split.first_year`.
    last : int
        Last year of the forecast.
    """
    if first_year is None:
        return (
            f"The edits change no feature of any pair by {last}, since they take effect too late or"
            " what they say is in force already: no risk moves."
        )
    return (
        f"The edits can act from {first_year} on: the risk of a year follows from the alliances of"
        " the year before."
    )


def part_columns(parts: xr.DataArray) -> dict[str, npt.NDArray[np.float64]]:
    """Parts of the difference as columns of a table (``own``, ``own_lower`` and so on).

    Parameters
    ----------
    parts : xarray.DataArray
        ``difference_parts`` of a result, years before pairs.
    """
    return {
        source if estimate == "mean" else f"{source}_{estimate}": parts.sel(
            source=source, estimate=estimate
        )
        .to_numpy()
        .ravel()
        .astype(float)
        for source in SOURCES
        for estimate in ("mean", "lower", "upper")
    }


def edited_pairs(base: Future, future: Future, record: Record) -> BoolArray:
    """Pairs whose own alliances an edit changes, by year ahead; (horizon, R).

    A design column of the pair differs, or who the allies of one of the two are.
    """
    changed = (future.X != base.X).any(axis=(0, 3))
    years = base.world["year"].to_numpy()
    before = slice(
        int(np.searchsorted(years, record.origin)), len(years) - 1
    )  # features are those of the year before
    moved = (allied(base.world)[before] != allied(future.world)[before]).any(axis=2)
    return np.asarray(changed | moved[:, record.a] | moved[:, record.b])


def same_years(edited: BoolArray) -> int:
    """In how many years, from the first on, no pair is edited."""
    acts = edited.any(axis=1)
    return int(acts.argmax()) if acts.any() else len(acts)


def split(
    fit: Fit,
    future: Future,
    record: Record,
    coefficients: Coefficients,
    endings: Endings,
    *,
    now: Paths,
    whole: Float32Array,
    edited: BoolArray,
    given: Float32Array | None = None,
) -> Split:
    """Parts of the differences between two simulations that share every random number.

    Parameters
    ----------
    fit, record, coefficients, endings
        As in `forecast.simulation.engine.simulate_paths`.
    future : Future
        The scenario.
    now : Paths
        What was simulated of the status quo.
    whole : numpy.ndarray, shape (horizon, R, D)
        Differences in cumulative risk.
    edited : numpy.ndarray, shape (horizon, R), bool
        From `edited_pairs`.
    given : numpy.ndarray, shape (horizon, R, D), optional
        Probability that an onset comes to the level of severity that the differences are of.
    """
    rows = np.flatnonzero(edited.any(axis=0))
    if not rows.size:
        none = np.empty((len(edited), 0, coefficients.draws), dtype=np.float32)
        return Split(edited, rows, none, none)
    share = np.float32(1.0) if given is None else given[:, rows]
    first = same_years(edited)
    own = own_hazard(fit, future, record, coefficients, endings, world=now, rows=rows, first=first)
    own_part = cumulative(own * share) - cumulative(now.hazard[:, rows] * share)
    return Split(edited, rows, own_part, whole[:, rows] - own_part)
