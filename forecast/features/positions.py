"""Where the lagged year and the states of each row are in dense arrays, and reading them there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt
import xarray as xr

from forecast.errors import DataError
from forecast.features.eras import excerpt
from forecast.features.registry import Level
from forecast.panel.types import Panel

__all__ = ["COMBINE", "Positions", "Side"]

Side = Literal["a", "b", "sum", "mean", "min", "max", "product", "absdiff", "none"]
IntArray = npt.NDArray[np.intp]

#: How the values of the two sides become one. NaN on either side is NaN.
COMBINE: Mapping[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "a": lambda a, b: a,
    "b": lambda a, b: b,
    "sum": lambda a, b: a + b,
    "mean": lambda a, b: (a + b) / 2,
    "min": np.minimum,
    "max": np.maximum,
    "product": lambda a, b: a * b,
    "absdiff": lambda a, b: np.abs(a - b),
}


@dataclass(frozen=True, eq=False)
class Positions:
    """Rows of a panel whose lagged year a world holds.

    Attributes
    ----------
    rows : slice or numpy.ndarray of intp
        The rows.
    year : numpy.ndarray of intp, shape (row,)
        Position of each row's lagged year.
    sides : tuple of numpy.ndarray of intp, shape (row,)
        Position of the state, or of the two states, of each row.
    states : int
        Number of states of the world.
    """

    rows: slice | IntArray
    year: IntArray
    sides: tuple[IntArray, ...]
    states: int

    @classmethod
    def of(cls, panel: Panel, world: xr.Dataset) -> Positions:
        """Positions of the rows of a panel; fastest if they are sorted by year.

        A row with a state that the world does not have is a `DataError`.
        """
        first, codes = int(world["year"][0]), world["state"].to_numpy()
        year = panel.data["year"].to_numpy().astype(np.intp) - (panel.lag + first)
        place = np.full(int(codes.max(initial=0)) + 2, -1, dtype=np.intp)  # the last: no state
        place[codes] = np.arange(len(codes))
        sides = []
        for name in ("ccode",) if panel.unit == "state-year" else ("ccode_a", "ccode_b"):
            wanted = panel.data[name].to_numpy()
            found = place[wanted.clip(-1, len(place) - 1)]
            if (absent := found < 0).any():
                raise DataError(
                    f"column {name!r}, row {int(np.flatnonzero(absent)[0])}: state "
                    f"{int(wanted[absent][0])} is not in the world of "
                    f"{first}–{int(world['year'][-1])}"
                )
            sides.append(found)
        every = cls(slice(0, len(year)), year, tuple(sides), len(codes))
        return every.between(0, world.sizes["year"])

    @cached_property
    def _rising(self) -> bool:
        return bool((self.year[1:] >= self.year[:-1]).all())

    def between(self, start: int, stop: int) -> Positions:
        """The rows with ``start <= year < stop``; views of these if they follow each other."""
        at: slice | IntArray
        if self._rising:
            at = slice(*np.searchsorted(self.year, (start, stop)).tolist())
            if at == slice(0, len(self.year)):
                return self
        else:
            at = np.flatnonzero((self.year >= start) & (self.year < stop))
        rows = self.rows
        if isinstance(rows, slice) and isinstance(at, slice):
            rows = slice(rows.start + at.start, rows.start + at.stop)
        else:
            rows = np.r_[rows][at]
        return Positions(rows, self.year[at], tuple(side[at] for side in self.sides), self.states)

    def needed(self, years: int) -> npt.NDArray[np.bool_]:
        """Which of the years of the world some row needs."""
        return np.bincount(self.year, minlength=years) > 0

    def within(
        self, world: xr.Dataset, era: slice, lookback: int | None
    ) -> tuple[xr.Dataset, Positions]:
        """The excerpt of their world from which the features of an era are computed, and its rows.

        It holds `lookback` years before the era too; with None the whole world so far.
        """
        rows = self.between(era.start, era.stop)
        if lookback is None:
            return world.isel(year=slice(0, era.stop)), rows
        first = max(era.start - lookback, 0)
        # A state may enter in the year of the row: it is not a member in the lagged year.
        there = world["member"].to_numpy()[first : era.stop].any(axis=0)
        for side in rows.sides:
            there[side] = True
        place = np.cumsum(there) - 1
        near = excerpt(world, slice(first, era.stop), np.flatnonzero(there))
        sides = tuple(place[side] for side in rows.sides)
        return near, Positions(rows.rows, rows.year - first, sides, near.sizes["state"])

    @cached_property
    def _in_states(self) -> tuple[IntArray, ...]:
        """Where each side is in the values of a (year, state) array."""
        return tuple(self.year * self.states + side for side in self.sides)

    @cached_property
    def _in_pairs(self) -> tuple[IntArray, IntArray]:
        """Where side a towards b, and b towards a, are in a (year, state, other) array."""
        a, b = self.sides
        return self._in_states[0] * self.states + b, self._in_states[1] * self.states + a

    def values(self, dense: np.ndarray, level: Level, side: Side) -> np.ndarray:
        """Value of each row: of an array of the level's shape, the sides made one by `COMBINE`."""
        if level == "system":
            return np.asarray(dense[self.year])
        flat, at = dense.reshape(-1), self._in_states if level == "state" else self._in_pairs
        if side in ("none", "a", "b"):
            return np.asarray(flat.take(at[side == "b"]))
        return COMBINE[side](flat.take(at[0]), flat.take(at[1]))
