"""What simulated conflicts change: clocks, counts and allies in dispute, per draw.

Arrays are (rows R, draws D). `forecast.scenario.lookup` reads the features off them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
import xarray as xr

from forecast.errors import ArgumentError
from forecast.scenario import kernels

if TYPE_CHECKING:
    from forecast.modeling.columns import ColumnCode

__all__ = ["OWN_STATUS", "SIMULATED", "Allies", "Record", "Track", "is_simulated"]

#: Features whose values a simulation carries forward draw by draw.
SIMULATED: frozenset[str] = frozenset(
    {
        "peace_years",
        "disputes_total",
        "disputes_recent",
        "dispute_last_year",
        "state_disputes_recent",
        "system_disputes_recent",
        "disputes_decayed",
        "state_disputes_decayed",
        "other_disputes_decayed",
        "system_disputes_decayed",
        "long_peace",
        "ally_in_dispute_with_opponent",
        "ally_in_dispute_elsewhere",
        "disputes_with_allies",
    }
)


def is_simulated(code: ColumnCode) -> bool:
    """Whether a simulation carries the values of a term forward draw by draw.

    Rivalry is, where it is told from disputes alone; a list of rivalries stays as it was.
    """
    if code.feature == "rivalry":
        return dict(code.options).get("rivals") == "disputes"
    return code.feature in SIMULATED


#: Those that say how long the pair itself has been at peace.
OWN_STATUS: frozenset[str] = frozenset({"peace_years", "dispute_last_year", "long_peace"})

BoolArray = npt.NDArray[np.bool_]
IndexArray = npt.NDArray[np.int16]
Float32Array = npt.NDArray[np.float32]
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
        Onsets of the pairs in every year up to the origin (last row: the origin), since the
        later entry of the two.
    pairs : numpy.ndarray, shape (years, S, S), bool
        The same of all pairs of states.
    active, began : numpy.ndarray, shape (R,), bool
        Dispute active, and begun, in the origin year.
    peace, total : numpy.ndarray, shape (R,), int16
        Years of peace and number of onsets at the end of the origin year.
    elsewhere : numpy.ndarray, shape (2, pairs)
        Positions of pairs outside the rows with a dispute active in the origin year.
    state_onsets : numpy.ndarray, shape (years, S)
        Distinct conflicts that began, by state, since its entry.
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
    pairs: BoolArray
    active: BoolArray
    began: BoolArray
    peace: IndexArray
    total: IndexArray
    elsewhere: npt.NDArray[np.intp]
    state_onsets: npt.NDArray[np.int64]
    system_onsets: npt.NDArray[np.int64]
    system_states: npt.NDArray[np.int64]
    continues: tuple[float, float]

    @cached_property
    def row_of(self) -> npt.NDArray[np.int32]:
        """Row of each pair of states, in either order, (S, S); -1 for none."""
        found = np.full((self.states, self.states), -1, dtype=np.int32)
        found[self.a, self.b] = np.arange(self.a.size)
        found[self.b, self.a] = np.arange(self.a.size)
        return found

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
        system_states = np.where(covered, past["member"].to_numpy().sum(axis=1), 0).astype(np.int64)
        continues = _continuation(past["onset"].to_numpy(), past["dispute"].to_numpy())
        past = past.sel(state=states, other=states)
        a = np.searchsorted(states, rows["ccode_a"].to_numpy())
        b = np.searchsorted(states, rows["ccode_b"].to_numpy())
        # History starts anew when a state enters the system again.
        entry = past["entry_year"].to_numpy()[-1].astype(np.int64)
        entry = np.where(past["member"].to_numpy()[-1], entry, origin + 1)
        since = past["year"].to_numpy()[:, None] >= entry
        since &= covered[:, None]
        onset = past["onset"].to_numpy()
        pairs = onset & since[:, :, None] & since[:, None, :]
        dispute = past["dispute"].to_numpy()
        last = past.isel(year=slice(int(np.flatnonzero(covered)[0]), None))
        outside = np.triu(dispute[-1], k=1)
        outside[np.minimum(a, b), np.maximum(a, b)] = False
        return cls(
            origin=origin,
            a=a,
            b=b,
            states=states.size,
            onset=pairs[:, a, b],
            pairs=pairs,
            active=dispute[-1, a, b],
            began=onset[-1, a, b],
            peace=np.nan_to_num(peace_years(last).to_numpy()[-1, a, b]).astype(np.int16),
            total=np.nan_to_num(disputes_total(last).to_numpy()[-1, a, b]).astype(np.int16),
            elsewhere=np.stack(np.nonzero(outside)),
            state_onsets=past["dispute_onset_count"].to_numpy().astype(np.int64) * since,
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
    _faded: dict[float, Float32Array] = field(default_factory=dict)

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
        for keep, faded in self._faded.items():
            faded *= np.float32(keep)
            faded += onset

    def faded(self, keep: float) -> Float32Array:
        """Simulated onsets, weighing `keep` times as much with each year that passed; (R, D)."""
        if keep not in self._faded:
            total = np.zeros(self.active.shape, dtype=np.float32)
            for onset in self.onsets:
                total *= np.float32(keep)
                total += onset
            self._faded[keep] = total
        return self._faded[keep]


@dataclass(frozen=True, eq=False)
class Allies:
    """Alliances and allies in dispute at the end of a year.

    Attributes
    ----------
    ties : scipy.sparse.csr_array, shape (S, S)
        Who is allied with whom.
    opponent, elsewhere : pair of numpy.ndarray, each (R, D), int8
        Whether side a, and side b, has an ally in dispute with the other, and with a third state.
    """

    ties: sp.csr_array
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
        row_of = record.row_of
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
        return cls(
            ties=friends, opponent=(opponent[0], opponent[1]), elsewhere=(other[0], other[1])
        )
