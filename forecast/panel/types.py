"""`Panel`: the rows at risk, what happened in them, the world behind them; what it can be made of.

Units, populations and outcomes, and which go together (`choose`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass, fields
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal, get_args

import pandas as pd
import xarray as xr
from xarray.backends import BackendArray
from xarray.core import indexing

from forecast.cards import Card, Carded
from forecast.draws import check_whole, check_years
from forecast.errors import ArgumentError, nearest, wrong_type
from forecast.panel.dispute_rows import Ending
from forecast.panel.events import Escalation, Outcome, Succession, UnderWay
from forecast.sources.tables import Tables, vintage_words
from forecast.unmeasured import why_unmeasured

if TYPE_CHECKING:
    from forecast.panel.columns import Side
    from forecast.sources.frame_codes import Codes

__all__ = [
    "CHOICES",
    "OUTCOMES",
    "Choices",
    "Deferred",
    "Ending",
    "Escalation",
    "OnDemand",
    "Outcome",
    "Panel",
    "Population",
    "Succession",
    "UnderWay",
    "Unit",
    "choose",
    "lazily",
    "populations_of",
    "unit_of",
    "ways_of",
]


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


@dataclass(frozen=True, eq=False, repr=False)
class Panel(Carded):
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
    world: xr.Dataset | None
    tables: Tables | None
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

    def with_data(
        self,
        data: xr.Dataset | pd.DataFrame,
        *,
        a: str | None = None,
        b: str | None = None,
        year: str | None = "year",
        side: Side = "none",
        lag: int | None = None,
        codes: Codes = "auto",
    ) -> Panel:
        """Copy with columns of a frame of your own, or with other rows (an xarray.Dataset).

        Every column of a frame but its keys becomes a column of the panel, which a term of a
        model names; its fingerprint changes. Rows stay as they are. A column of groups (text or
        pandas categories, up to 20 levels) becomes a column of 0 and 1, ``NAME_LEVEL``, for each
        level but the first.

        Parameters
        ----------
        data : pandas.DataFrame or xarray.Dataset
            Frame: one row for each pair and year, state and year, year, or (``year=None``) pair or
            state. Dataset: the rows to have instead.
        a, b : str, optional
            Columns of the states; found by the names that are usual (``ccode1``, ``ccode2``;
            ``ccode`` …) if not given. Only `a`: a value for each state.
        year : str or None
            Column of the calendar year; None for what does not change.
        side : {"none", "a", "b", "sum", "mean", "min", "max", "product", "absdiff"}
            How the values of the two states (or directions) of a pair become one.
        lag : int, optional
            Years by which the columns are lagged here: the row of year t has the value of the year
            t - lag. By default the lag of the panel, as of our features; 0 if the frame has them
            lagged already.
        codes : {"auto", "cow", "gw", "iso", "names", "labels"}
            In which code the states are, as in `forecast.panel_from_frame`.

        Returns
        -------
        Panel
            What the frame does not have, for a row, is missing (NaN), never zero: a term says by
            ``missing`` what is done with such rows. The attributes of a column have its lag and
            the years that it ``covers``.

        Raises
        ------
        ArgumentError, DataError, UnknownNameError
            A column that is not there or is there already, a value that is no number, two rows of
            one key, a state that is not known.
        """
        if isinstance(data, pd.DataFrame):
            from forecast.panel.columns import with_frame

            return with_frame(self, data, a=a, b=b, year=year, side=side, lag=lag, codes=codes)
        if not isinstance(data, xr.Dataset):
            raise wrong_type(
                "with_data", data, "a pandas.DataFrame of columns or an xarray.Dataset of rows."
            )
        twin = copy(self)  # not `replace`, which would read, and so make, a deferred world
        object.__setattr__(twin, "data", data)
        return twin

    def to_dataframe(self, *, names: bool = False) -> pd.DataFrame:
        """Rows as a frame: keys, outcome, then every other column.

        Parameters
        ----------
        names : bool
            Also the names of the states in the year of the row, beside their codes: ``state``, or
            ``state_a`` and ``state_b``.
        """
        from forecast.panel.columns import rows_frame

        return rows_frame(self, names=names)

    def select_years(self, first: int, last: int) -> Panel:
        """Rows with ``first <= year <= last`` (both included)."""
        first, last = check_years("years", (first, last))
        year = self.data["year"].to_numpy()
        return self.with_data(self.data.isel(row=(year >= first) & (year <= last)))

    def card(self) -> Card:
        """Which rows these are, and of which data."""
        about = self.to_dict()
        known = int(self.data["outcome"].count())
        facts = [
            ("rows", f"{about['rows']:,} {self.unit}s"
             + (f", {about['years'][0]}–{about['years'][1]}" if about["years"] else "")),
            ("population", self.population or "as they were given"),
            ("outcome", f"{self.outcome}: {about['onsets']:,} of {known:,} rows"),
        ]  # fmt: skip
        columns = [
            n for n, c in self.data.data_vars.items() if n != "outcome" and c.dtype.kind == "f"
        ]
        if columns:
            more = f" and {len(columns) - 8} more" if len(columns) > 8 else ""
            facts.append(("columns", ", ".join(map(str, columns[:8])) + more))
        facts.append(("lag", f"{self.lag} year{'s' if self.lag != 1 else ''}, of every feature"))
        facts.append(("data", vintage_words(about["data"], about["coverage"])))
        unknown = about["rows"] - known
        late = (
            f"{unknown:,} rows past the coverage of the outcome: they can be forecast, not fitted"
        )
        return Card("Panel", facts, [(None, late)] if unknown else [])

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


Unit = Literal[
    "dyad-year",
    "directed-dyad-year",
    "state-year",
    "dispute-dyad",
    "dispute-dyad-month",
    "alliance-year",
]
Population = Literal[
    "politically_relevant", "all", "contiguous", "major_power", "same_region", "originators"
]

#: Of pairs of states, whether or not they are in a dispute.
_OF_PAIRS = tuple(p for p in get_args(Population) if p != "originators")
#: Populations of each unit, its default first.
_POPULATIONS: Mapping[str, tuple[str, ...]] = {
    "dyad-year": ("all", *(p for p in _OF_PAIRS if p != "all")),
    "directed-dyad-year": _OF_PAIRS,
    "state-year": ("all", "major_power"),
    "dispute-dyad": ("all", *(p for p in get_args(Population) if p != "all")),
    "dispute-dyad-month": ("all", *(p for p in get_args(Population) if p != "all")),
    "alliance-year": ("all",),
}

#: Outcomes of each unit that has its own, its default first.
_OUTCOMES: Mapping[str, tuple[str, ...]] = {
    "dispute-dyad": tuple(reversed(get_args(Escalation))),
    "dispute-dyad-month": get_args(Ending),
}
#: Outcomes of all units.
OUTCOMES: tuple[str, ...] = (*get_args(Outcome), *get_args(Escalation), *get_args(Ending))


@dataclass(frozen=True)
class Choices:
    """Options of a panel that go together."""

    unit: Unit
    population: Population
    outcome: Outcome | Escalation | Ending
    lag: int
    under_way: UnderWay
    succession: Succession = "continue"

    @property
    def events(self) -> Outcome:
        """Which conflicts are onsets in the world behind the panel."""
        return "onset" if self.unit in _OUTCOMES else self.outcome  # type: ignore[return-value]


#: Names of the options: what a panel, and a model that asks for one, say of the rows.
CHOICES: tuple[str, ...] = tuple(option.name for option in fields(Choices))


def choose(
    unit: str,
    population: str | None,
    outcome: str | None,
    lag: int,
    under_way: str = "stratum",
    succession: str = "continue",
) -> Choices:
    """Checked options, with the defaults of the unit; an error names what is allowed."""
    if unit not in get_args(Unit):
        raise _wrong("unit", unit, get_args(Unit))
    populations = _POPULATIONS[unit]
    outcomes = _OUTCOMES.get(unit, get_args(Outcome))
    population = populations[0] if population is None else population
    outcome = outcomes[0] if outcome is None else outcome
    for name, value, valid, known in (
        ("population", population, populations, get_args(Population)),
        ("outcome", outcome, outcomes, OUTCOMES),
        ("under_way", under_way, ways_of(unit), get_args(UnderWay)),
        ("succession", succession, get_args(Succession), get_args(Succession)),
    ):
        if value not in valid:
            raise _wrong(name, value, valid, unit if value in known else None)
    check_whole("lag", lag, 1, 1000)  # every feature is lagged
    return Choices(unit, population, outcome, int(lag), under_way, succession)  # type: ignore[arg-type]


def populations_of(unit: str) -> tuple[str, ...]:
    """Which pairs or states the rows of a unit may be of, the default first."""
    return _POPULATIONS.get(unit, ("all",))


def unit_of(outcome: str) -> str:
    """The unit that has an outcome of its own, or pairs and years."""
    return next((unit for unit, own in _OUTCOMES.items() if outcome in own), "dyad-year")


def ways_of(unit: str) -> tuple[str, ...]:
    """What a pair with a dispute under way may be in a panel of a unit, the default first.

    Rows that are no years of pairs are never left out for a dispute that goes on: a state in one
    can begin another.
    """
    return get_args(UnderWay) if unit in ("dyad-year", "directed-dyad-year") else ("stratum",)


def _wrong(name: str, value: str, valid: tuple[str, ...], unit: str | None = None) -> ArgumentError:
    if name == "outcome" and unit is None and (reason := why_unmeasured(str(value), OUTCOMES)):
        raise ArgumentError(f"{name}={value!r}: {reason} The outcomes are {', '.join(valid)}.")
    of = f" for unit={unit!r}" if unit else ""
    near = None if unit else nearest(str(value), valid)
    hint = f" Did you mean {near!r}?" if near else ""
    return ArgumentError(f"{name}={value!r}: expected one of {', '.join(valid)}{of}.{hint}")
