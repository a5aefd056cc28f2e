"""Eras: stretches of years that are computed one after another, with the states of their time.

The system grew from 23 states to nearly 200, and dense arrays over all years and all states that
ever were are four-fifths empty. A feature says how many years back it looks
(`Feature.lookback`), so an era with that many years before it, and with the states that were
members at some time in it, is all that its values need.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from xarray.backends import BackendArray
from xarray.core import indexing

from forecast.panel.types import lazily

__all__ = ["eras", "excerpt"]

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
