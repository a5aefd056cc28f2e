"""Features that simulated conflicts change: clocks, counts and allies in dispute, per draw.

Arrays are (rows R, draws D). Each feature is an index into a short list of raw values, so that
its design columns are looked up and not computed two million times.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
import xarray as xr

from forecast.errors import ArgumentError
from forecast.scenario import kernels

if TYPE_CHECKING:
    from forecast.modeling.columns import ColumnCode

__all__ = ["OWN_STATUS", "SIMULATED", "Allies", "Record", "Track", "lookup"]

#: Features whose values a simulation carries forward draw by draw.
SIMULATED: frozenset[str] = frozenset(
    {
        "peace_years",
        "disputes_total",
        "disputes_recent",
        "dispute_last_year",
        "state_disputes_recent",
        "system_disputes_recent",
        "ally_in_dispute_with_opponent",
        "ally_in_dispute_elsewhere",
    }
)

#: Those that say how long the pair itself has been at peace.
OWN_STATUS: frozenset[str] = frozenset({"peace_years", "dispute_last_year"})

BoolArray = npt.NDArray[np.bool_]
IndexArray = npt.NDArray[np.int16]
Float64Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Record:
    """What had happened by the end of the origin year, for the rows of a simulation.

    Attributes
    ----------
    origin : int
        Last year of the record.
    a, b : numpy.ndarray, shape (R,)
        Positions of the two sides among the states.
    states : int
        Number of states S.
    onset : numpy.ndarray, shape (years, R), bool
        Onsets of the pairs in every year up to the origin (last row: the origin).
    active, began : numpy.ndarray, shape (R,), bool
        Dispute active, and begun, in the origin year.
    peace, total : numpy.ndarray, shape (R,), int16
        Years of peace and number of onsets at the end of the origin year.
    elsewhere : numpy.ndarray, shape (2, pairs)
        Positions of pairs outside the rows with a dispute active in the origin year.
    state_onsets : numpy.ndarray, shape (years, S)
        Distinct conflicts that began, by state.
    system_onsets, system_states : numpy.ndarray, shape (years,)
        Dyadic onsets of the whole system, and number of states in it.
    continues : tuple of float
        Share of disputes that are still active in the next calendar year: after the year in
        which they began, and after a later year.
    """

    origin: int
    a: npt.NDArray[np.intp]
    b: npt.NDArray[np.intp]
    states: int
    onset: BoolArray
    active: BoolArray
    began: BoolArray
    peace: IndexArray
    total: IndexArray
    elsewhere: npt.NDArray[np.intp]
    state_onsets: npt.NDArray[np.int64]
    system_onsets: npt.NDArray[np.int64]
    system_states: npt.NDArray[np.int64]
    continues: tuple[float, float]

    @classmethod
    def of(
        cls,
        world: xr.Dataset,
        rows: xr.Dataset,
        origin: int,
        *,
        states: npt.NDArray[np.integer],
    ) -> Record:
        """Record of `rows` in a world that covers conflicts up to `origin`.

        Positions are among `states` (COW numbers, ascending): those of the world to come, which
        lacks the states that ended long ago.
        """
        from forecast.features.history import disputes_total, peace_years

        # Treaties are not needed here, and copying them would take most of the time.
        past = world.drop_dims(["treaty", "obligation"]).sel(year=slice(None, origin))
        covered = past["conflict_covered"].to_numpy()
        if not covered[-1]:
            raise ArgumentError(f"Conflicts are not covered in the origin year {origin}.")
        system_onsets = past["onset"].to_numpy().sum(axis=(1, 2)).astype(np.int64) // 2
        system_states = past["member"].to_numpy().sum(axis=1).astype(np.int64)
        continues = _continuation(past["onset"].to_numpy(), past["dispute"].to_numpy())
        past = past.sel(state=states, other=states)
        a = np.searchsorted(states, rows["ccode_a"].to_numpy())
        b = np.searchsorted(states, rows["ccode_b"].to_numpy())
        onset = past["onset"].to_numpy()
        dispute = past["dispute"].to_numpy()
        last = past.isel(year=slice(int(np.flatnonzero(covered)[0]), None))
        outside = np.triu(dispute[-1], k=1)
        outside[np.minimum(a, b), np.maximum(a, b)] = False
        return cls(
            origin=origin,
            a=a,
            b=b,
            states=states.size,
            onset=onset[:, a, b],
            active=dispute[-1, a, b],
            began=onset[-1, a, b],
            peace=np.nan_to_num(peace_years(last).to_numpy()[-1, a, b]).astype(np.int16),
            total=np.nan_to_num(disputes_total(last).to_numpy()[-1, a, b]).astype(np.int16),
            elsewhere=np.stack(np.nonzero(outside)),
            state_onsets=past["dispute_onset_count"].to_numpy().astype(np.int64),
            system_onsets=system_onsets,
            system_states=system_states,
            continues=continues,
        )


def _continuation(onset: BoolArray, dispute: BoolArray) -> tuple[float, float]:
    """Share of dispute years followed by another one that is no new onset (Jeffreys mean)."""
    now, following = dispute[:-1], dispute[1:] & ~onset[1:]
    first = now & onset[:-1]
    later = now & ~onset[:-1]
    return (
        float((np.sum(first & following) + 0.5) / (np.sum(first) + 1.0)),
        float((np.sum(later & following) + 0.5) / (np.sum(later) + 1.0)),
    )


@dataclass(eq=False)
class Track:
    """State of the simulated world at the end of a year, for every row and draw.

    Attributes
    ----------
    active, began : numpy.ndarray, shape (R, D), bool
        Dispute active, and begun, in the last simulated year.
    peace, total : numpy.ndarray, shape (R, D), int16
        Years of peace; onsets so far.
    onsets : list of numpy.ndarray, shape (R, D), bool
        Simulated onsets of every year since the origin.
    """

    active: BoolArray
    began: BoolArray
    peace: IndexArray
    total: IndexArray
    onsets: list[BoolArray] = field(default_factory=list)

    @classmethod
    def start(cls, record: Record, draws: int) -> Track:
        """State at the end of the origin year."""

        def wide(values: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
            return np.repeat(values[:, None], draws, axis=1)

        return cls(
            active=wide(record.active).astype(bool),
            began=wide(record.began).astype(bool),
            peace=wide(record.peace).astype(np.int16),
            total=wide(record.total).astype(np.int16),
        )

    def step(self, onset: BoolArray, continuing: BoolArray) -> None:
        """Advance one year: `onset` begins a dispute, `continuing` keeps one alive."""
        self.active = onset | continuing
        self.began = onset
        self.peace = np.where(self.active, 0, self.peace + 1).astype(np.int16)
        self.total = (self.total + onset).astype(np.int16)
        self.onsets.append(onset)


def lookup(
    code: ColumnCode,
    record: Record,
    own: Track,
    others: Track,
    allies: Allies,
) -> tuple[IndexArray, Float64Array]:
    """Index (R, D or 1) and raw values (V,) of one simulated term at the end of a year.

    Parameters
    ----------
    code : ColumnCode
        The term.
    record : Record
        The past.
    own : Track
        What the row's own dyad went through.
    others : Track
        What everybody went through. Where it differs from `own` (the path on which the dyad
        itself has no onset) the dyad's own simulated onsets are taken out of the counts of
        its states and the system.
    allies : Allies
        Allies in dispute in that year.
    """
    options = dict(code.options)
    feature = str(code.feature)
    if feature == "peace_years":
        return own.peace, _integers(own.peace)
    if feature == "disputes_total":
        return own.total, _integers(own.total)
    if feature == "dispute_last_year":
        return own.active.astype(np.int16), np.array([0.0, 1.0])
    if feature in ("ally_in_dispute_with_opponent", "ally_in_dispute_elsewhere"):
        sides = allies.opponent if feature.endswith("opponent") else allies.elsewhere
        return _combine(sides[0], sides[1], code.side)
    year = record.origin + len(others.onsets)
    window = int(options.get("window", 5 if feature == "system_disputes_recent" else 10))
    simulated = others.onsets[max(0, len(others.onsets) - window) :]
    observed = slice(record.onset.shape[0] - (window - (year - record.origin)), None)
    if observed.start < 0:
        raise ArgumentError(
            f"Term {code.name!r} looks back {window} years from {year}, before the record of"
            " conflicts begins."
        )
    if window <= year - record.origin:
        observed = slice(record.onset.shape[0], None)
    if feature == "disputes_recent":
        mine = own.onsets[max(0, len(own.onsets) - window) :]
        count = record.onset[observed].sum(axis=0)[:, None] + _sum(mine, own.active.shape)
        return count.astype(np.int16), _integers(count)
    # The dyad's own simulated onsets that are in the others' world but not on its own path.
    apart = _sum(simulated, others.active.shape) - _sum(
        own.onsets[max(0, len(own.onsets) - window) :], own.active.shape
    )
    if feature == "state_disputes_recent":
        seen = record.state_onsets[observed].sum(axis=0)[:, None]
        totals = seen + _by_state(record, simulated, others.active.shape[1])
        return _combine(totals[record.a] - apart, totals[record.b] - apart, code.side)
    total = record.system_onsets[observed].sum() + sum(
        (onset.sum(axis=0) for onset in simulated), start=np.zeros(others.active.shape[1], int)
    )
    ahead = min(year - record.origin, window)
    exposure = record.system_states[observed].sum() + ahead * record.system_states[-1]
    index = total[None, :] - apart
    low = int(index.min())
    values = np.arange(low, int(index.max()) + 1) * 100.0 / max(int(exposure), 1)
    return (index - low).astype(np.int16), values


def _sum(parts: list[BoolArray], shape: tuple[int, ...]) -> npt.NDArray[np.int16]:
    total = np.zeros(shape, dtype=np.int16)
    for part in parts:
        total += part
    return total


def _integers(values: npt.NDArray[np.generic]) -> Float64Array:
    return np.arange(int(values.max()) + 1, dtype=np.float64)


def _by_state(record: Record, onsets: list[BoolArray], draws: int) -> npt.NDArray[np.int64]:
    """Simulated onsets of each state, (S, D); each dyadic onset is a conflict of its own."""
    if not onsets:
        return np.zeros((record.states, draws), dtype=np.int64)
    rows = np.arange(record.a.size)
    ones = np.ones(record.a.size, dtype=np.float32)
    incidence = sp.csr_array(
        (np.tile(ones, 2), (np.concatenate([record.a, record.b]), np.tile(rows, 2))),
        shape=(record.states, record.a.size),
    )
    total = incidence @ _sum(onsets, onsets[0].shape).astype(np.float32)
    return np.rint(total).astype(np.int64)


def _combine(
    a: npt.NDArray[np.integer], b: npt.NDArray[np.integer], side: str
) -> tuple[IndexArray, Float64Array]:
    """Two sides' whole numbers as one, as in `forecast.features.gather`."""
    unit = 1.0
    if side in ("sum", "mean"):
        both, unit = a + b, 0.5 if side == "mean" else 1.0
    elif side in ("min", "max"):
        both = (np.minimum if side == "min" else np.maximum)(a, b)
    elif side == "absdiff":
        both = np.abs(a - b)
    else:
        both = a if side == "a" else b
    return both.astype(np.int16), _integers(both) * unit


@dataclass(frozen=True, eq=False)
class Allies:
    """Allies in dispute at the end of a year; each a pair (side a, side b) of (R, D) int8."""

    opponent: tuple[npt.NDArray[np.int8], npt.NDArray[np.int8]]
    elsewhere: tuple[npt.NDArray[np.int8], npt.NDArray[np.int8]]

    @classmethod
    def of(
        cls,
        record: Record,
        allied: BoolArray,
        active: BoolArray,
        *,
        elsewhere: bool,
        first: bool,
    ) -> Allies:
        """Which sides of which rows have an ally in dispute.

        Parameters
        ----------
        record : Record
            Rows.
        allied : numpy.ndarray, shape (S, S), bool
            Either of the two owes the other defence.
        active : numpy.ndarray, shape (R, D), bool
            Disputes active in the year; both tracks of a simulation share it, since a dyad's
            own dispute is never an ally's.
        elsewhere : bool
            Whether disputes of allies with third states are needed (slower).
        first : bool
            Whether the year is the origin, in which disputes of pairs outside the rows count too.
        """
        row_of = np.full((record.states, record.states), -1, dtype=np.int32)
        row_of[record.a, record.b] = np.arange(record.a.size)
        row_of[record.b, record.a] = np.arange(record.a.size)
        draws = active.shape[1]
        rows, column = np.nonzero(active)
        a, b = record.a[rows], record.b[rows]
        if first:
            others = record.elsewhere
            a = np.concatenate([a, np.repeat(others[0], draws)])
            b = np.concatenate([b, np.repeat(others[1], draws)])
            column = np.concatenate([column, np.tile(np.arange(draws), others.shape[1])])
        friends = sp.csr_array(allied)
        graph = (friends.indptr, friends.indices)
        opponent = np.zeros((2, record.a.size, draws), dtype=np.int8)
        kernels.mark_opponent(a, b, column, record.a, *graph, row_of, opponent)
        other = np.zeros_like(opponent)
        if elsewhere:
            order = np.argsort(column, kind="stable")
            start = np.searchsorted(column[order], np.arange(draws + 1))
            pairs = (a[order], b[order], start)
            kernels.mark_elsewhere(*pairs, record.a, record.b, *graph, record.states, other)
        return cls(opponent=(opponent[0], opponent[1]), elsewhere=(other[0], other[1]))
