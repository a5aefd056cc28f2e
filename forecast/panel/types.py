"""`Panel`: the rows at risk, what happened in them, and the world they were read from."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import xarray as xr
from xarray.backends import BackendArray
from xarray.core import indexing

from forecast.panel.options import CHOICES
from forecast.sources.tables import Tables

__all__ = ["Deferred", "OnDemand", "Panel", "lazily"]


class Deferred[T]:
    """A value that is made once, when it is first needed, by whichever thread needs it.

    What `make` raises is raised again each time.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made: list[T] = []
        self._lock = Lock()

    def get(self) -> T:
        """The value."""
        with self._lock:
            if not self._made:
                self._made.append(self._make())
            return self._made[0]


class OnDemand[T]:
    """Attribute of a frozen dataclass that may be given as a value or as a `Deferred` one.

    Read as an attribute it is the value, made if need be. Copies of the object made without
    reading it (`copy.copy`) share what is deferred.
    """

    def __init__(self, name: str) -> None:
        self._slot = f"_{name}"

    def __get__(self, instance: object | None, owner: type) -> T:
        if instance is None:
            raise AttributeError(self._slot)
        value: T | Deferred[T] = instance.__dict__[self._slot]
        return value.get() if isinstance(value, Deferred) else value

    def __set__(self, instance: object, value: T | Deferred[T]) -> None:
        instance.__dict__[self._slot] = value


def lazily(array: BackendArray) -> Any:
    """Values of a variable that are made when they are first used, once, and never written to.

    As xarray wraps the arrays of a file.
    """
    lazy: Any = indexing.LazilyIndexedArray(array)
    return indexing.MemoryCachedArray(indexing.CopyOnWriteArray(lazy))  # type: ignore[no-untyped-call]


@dataclass(frozen=True, eq=False)
class Panel:
    """Rows of one unit and population, with the outcome and any features computed so far.

    Attributes
    ----------
    data : xarray.Dataset
        One dimension ``row``. Coordinates ``year`` and either ``ccode_a``, ``ccode_b``
        (``ccode_a < ccode_b`` in an undirected panel), ``ccode`` or ``alliance_id``. Variable
        ``outcome`` (float, 0/1; NaN for rows past the coverage of the outcome, which can be
        forecast but not fitted), and one float variable per computed feature term.
    world : xarray.Dataset or None
        Dense arrays over (year, state, other, obligation) from which features are computed;
        None for a panel that was read from a file with its features already in it. A panel from
        the cache makes it when it is first read.
    tables : Tables or None
        The tidy tables behind `world`; read, like it, when first asked for.
    unit : str
        ``"state-year"``, ``"dyad-year"`` (undirected), ``"directed-dyad-year"``,
        ``"dispute-dyad"``, ``"dispute-dyad-month"`` or ``"alliance-year"``.
    population : str or None
        Which states or pairs, e.g. ``"all"`` or ``"politically_relevant"``; None for rows read
        from a file that does not say.
    outcome : str
        Name of the outcome, e.g. ``"onset"``.
    lag : int
        Years by which every feature is lagged.
    fingerprint : str
        SHA-256 (hex) over the tables' fingerprint and the choices.
    under_way : str or None
        What pairs are whose dispute is under way on 1 January, as in `forecast.load_panel`; None
        for rows read from a file that does not say.
    succession : str or None
        Whether history goes on with a state under a new number, as in `forecast.load_panel`; None
        for rows read from a file that does not say.
    """

    data: xr.Dataset
    world: xr.Dataset | None = field(repr=False)
    tables: Tables | None = field(repr=False)
    unit: str
    population: str | None
    outcome: str
    lag: int
    fingerprint: str
    under_way: str | None = None
    succession: str | None = None

    @property
    def choices(self) -> dict[str, Any]:
        """The options of `forecast.load_panel` that say which rows these are."""
        return {name: getattr(self, name) for name in CHOICES}

    def with_data(self, data: xr.Dataset) -> Panel:
        """Copy with other rows or further feature variables."""
        twin = copy(self)  # not `replace`, which would read, and so make, a deferred world
        object.__setattr__(twin, "data", data)
        return twin

    def select_years(self, first: int, last: int) -> Panel:
        """Rows with ``first <= year <= last`` (both included)."""
        year = self.data["year"].to_numpy()
        return self.with_data(self.data.isel(row=(year >= first) & (year <= last)))

    def to_dict(self) -> dict[str, Any]:
        """Plain description (no rows) for JSON."""
        year = self.data["year"].to_numpy()
        outcome = self.data["outcome"]
        return {
            **self.choices,
            "rows": int(self.data.sizes["row"]),
            "years": [int(year.min()), int(year.max())] if year.size else [],
            "onsets": int(outcome.sum(skipna=True)),
            "fingerprint": self.fingerprint,
            "data": self.tables.name if self.tables is not None else None,
            "coverage": self.tables.vintage if self.tables is not None else {},
        }


for _name in ("world", "tables"):  # may be given as `Deferred`; read, they are what it makes
    setattr(Panel, _name, OnDemand(_name))
