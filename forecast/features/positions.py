"""Where the lagged year and the states of each row are in dense arrays, and reading them there.

Arrays are computed era by era, a stretch of years after another with the states of its time. The
system grew from 23 states to nearly 200, and dense arrays over all years and all states that ever
were are four-fifths empty. A feature says how many years back it looks (`Feature.lookback`), so an
era with that many years before it, and with the states that were members at some time in it, is
all that its values need.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from xarray.backends import BackendArray
from xarray.core import indexing

from forecast.errors import DataError
from forecast.features.registry import Level
from forecast.panel.columns import COMBINE, Side
from forecast.panel.types import Panel, lazily

__all__ = ["Positions", "eras", "excerpt"]

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.intp]


#: Cells of an array (years × states²) that take about as long as starting another era.
START_COST = 100_000


def eras(needed: BoolArray, member: BoolArray, lookback: int | None) -> list[slice]:
    """Stretches of years that together hold all that are needed.

    Of the years that are needed (year,), membership (year, state) and the years before each that
    its values depend on (None for all: one era from the first year). Slices are into the years of
    the world, without the years to look back. An era goes on until the states that are not there
    in all of it cost more than a new one, which has to look back anew.
    """
    years = np.flatnonzero(needed)
    if not years.size:
        return []
    first, stop = int(years[0]), int(years[-1]) + 1
    if lookback is None:
        return [slice(0, stop)]
    found, start = [], first
    there = np.zeros(member.shape[1], dtype=bool)
    used = 0
    for year in range(first, stop):
        with_this = there | member[year]
        now = int(member[year].sum()) ** 2
        wasted = (year + 1 - start) * int(with_this.sum()) ** 2 - (used + now)
        if year > start and wasted > START_COST + lookback * now:
            found.append(slice(start, year))
            start, used, with_this = year, 0, member[year]
        there, used = with_this, used + now
    found.append(slice(start, stop))
    return [era for era in found if needed[era].any()]


def excerpt(world: xr.Dataset, years: slice, states: IntArray) -> xr.Dataset:
    """Some years of the world, with some states and the treaties that have members in them.

    The world is `ordered`; positions of states ascend, and all others must be outside the system in
    those years.
    """
    near = world.isel(year=years)
    chosen: dict[str, IntArray] = {}
    if len(states) < near.sizes["state"]:
        chosen = {dim: states for dim in ("state", "other") if dim in near.dims}
    if "treaty_member" in near:
        bound = near["treaty_member"].to_numpy().any(axis=(0, 2))
        if not bound.all():
            chosen["treaty"] = np.flatnonzero(bound)
    if not chosen:
        return near
    parts = {name: _part(variable, chosen) for name, variable in near.variables.items()}
    return xr.Dataset(parts, attrs=near.attrs).set_coords(list(near.coords))


def _part(variable: xr.Variable, chosen: dict[str, IntArray]) -> xr.Variable:
    """Positions along some dimensions, taken when the values are first asked for."""
    positions = [chosen.get(str(dim)) for dim in variable.dims]
    if all(at is None for at in positions):
        return variable
    part = _Part(variable.to_numpy(), positions)
    values = part.taken() if variable.ndim == 1 else lazily(part)
    return xr.Variable(variable.dims, values, variable.attrs)


class _Part(BackendArray):
    """Some positions along each dimension of an array (None: all of them)."""

    def __init__(self, values: npt.NDArray[Any], positions: list[IntArray | None]) -> None:
        self.values, self.positions, self.dtype = values, positions, values.dtype
        self.shape = tuple(
            n if at is None else len(at) for n, at in zip(values.shape, positions, strict=True)
        )

    def taken(self) -> npt.NDArray[Any]:
        """The part; one dimension after another is several times faster than all at once."""
        values = self.values
        for axis, at in enumerate(self.positions):
            if at is not None:
                values = values.take(at, axis=axis)
        return values

    def __getitem__(self, key: indexing.ExplicitIndexer) -> npt.NDArray[Any]:
        found: npt.NDArray[Any] = indexing.explicit_indexing_adapter(
            key, self.shape, indexing.IndexingSupport.BASIC, lambda at: self.taken()[at]
        )
        return found


@dataclass(frozen=True, eq=False)
class Positions:
    """Rows of a panel whose lagged year a world holds."""

    rows: slice | IntArray
    year: IntArray  # position of each row's lagged year, (row,)
    sides: tuple[IntArray, ...]  # of the state, or of the two states, of each row, (row,)
    states: int  # number of states of the world

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
