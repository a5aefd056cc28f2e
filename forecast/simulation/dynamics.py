"""What simulated conflicts change: clocks, counts and allies in dispute, per draw.

Arrays are (rows R, draws D). `forecast.simulation.lookup` reads the features off them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.sparse as sp
import xarray as xr

from forecast.errors import ArgumentError
from forecast.features.history import disputes_total, peace_years
from forecast.features.needs import Rule
from forecast.features.registry import get_feature
from forecast.features.successions import continued
from forecast.simulation import kernels
from forecast.simulation.ending import disputes_at

if TYPE_CHECKING:
    from forecast.modeling.covariates import ColumnCode
    from forecast.simulation.joint import Joint
    from forecast.sources.tables import Tables

__all__ = ["STATUSES", "Allies", "Record", "Track", "is_simulated", "rule_of"]

#: No dispute of the pair was active in the year; one was, and is over; one is open on its last day.
STATUSES: tuple[str, ...] = ("at peace", "ended", "under way")


def is_simulated(code: ColumnCode) -> bool:
    """Whether a simulation carries the values of a term forward draw by draw."""
    return code.feature is not None and rule_of(code) is not None


def rule_of(code: ColumnCode) -> Rule | None:
    """How the feature of a term moves with simulated conflicts, as its registration says."""
    return get_feature(str(code.feature)).rule(dict(code.options))


BoolArray = npt.NDArray[np.bool_]
IndexArray = npt.NDArray[np.int16]
IntArray = npt.NDArray[np.integer[Any]]
Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Record:
    """What had happened by the end of the origin year, for the rows of a simulation.

    `a`, `b` (R,) are positions of the two sides among the S states. `onset` (years, R): onsets of
    the pairs in every year up to the origin (last row), since the later entry of the two; `pairs`
    (years, S, S): the same of all pairs. `active` (R,): a dispute was active on some day of the
    origin year; `going` (R,): of a pair with one under way (open on its last day) 2 · age + severe
    in the year to come, as in `forecast.simulation.ending.Endings.stays`, else 0. `peace`, `total`
    (R,): years of peace and number of onsets at its end. `elsewhere` (2, pairs): positions of pairs
    outside the rows with a dispute active in it. `state_onsets` (years, S): distinct conflicts that
    began, by state, since its entry. `system_onsets`, `system_states` (years,): dyadic onsets of
    the whole system, and number of states in it.

    `distinct`: distinct conflicts that a state's dyadic onset stands for: of all states and years,
    conflicts that began over pairs in which one did. A coalition's war on a state is one conflict
    of it and as many onsets as the coalition has members.
    """

    origin: int
    a: npt.NDArray[np.intp]
    b: npt.NDArray[np.intp]
    states: int
    onset: npt.NDArray[np.uint8]
    pairs: npt.NDArray[np.uint8]
    active: BoolArray
    going: IndexArray
    peace: IndexArray
    total: IndexArray
    elsewhere: npt.NDArray[np.intp]
    state_onsets: npt.NDArray[np.int64]
    system_onsets: npt.NDArray[np.int64]
    system_states: npt.NDArray[np.int64]
    distinct: float

    @property
    def under_way(self) -> BoolArray:
        """Pairs with a dispute open on the last day of the origin year, (R,)."""
        return self.going > 0

    @property
    def status(self) -> npt.NDArray[np.str_]:
        """How things stood at the end of the origin year, (R,); see `STATUSES`."""
        which = self.active.astype(np.int64) + self.under_way
        return np.asarray(np.asarray(STATUSES)[which])

    @cached_property
    def row_of(self) -> npt.NDArray[np.int32]:
        """Row of each pair of states, in either order, (S, S); -1 for none."""
        found = np.full((self.states, self.states), -1, dtype=np.int32)
        found[self.a, self.b] = np.arange(self.a.size)
        found[self.b, self.a] = np.arange(self.a.size)
        return found

    @cached_property
    def incidence(self) -> sp.csr_array:
        """Which rows involve each state, (S, R)."""
        rows = np.arange(self.a.size)
        ones = np.ones(2 * self.a.size, dtype=np.float32)
        place = (np.concatenate([self.a, self.b]), np.tile(rows, 2))
        return sp.csr_array((ones, place), shape=(self.states, self.a.size))

    @classmethod
    def of(
        cls,
        world: xr.Dataset,
        rows: xr.Dataset,
        origin: int,
        *,
        states: npt.NDArray[np.integer],
        tables: Tables,
    ) -> Record:
        """Record of `rows` in a world that covers conflicts up to `origin`.

        Positions are among `states` (COW numbers, ascending): those of the world to come, which
        lacks the states that ended long ago. `tables` are those behind the world; ages and deaths
        of its disputes are read from them.
        """
        # Treaties are not needed here, and copying them would take most of the time.
        past = world.drop_dims(["treaty", "obligation"]).sel(year=slice(None, origin))
        covered = past["conflict_covered"].to_numpy()
        if not covered[-1]:
            raise ArgumentError(f"Conflicts are not covered in the origin year {origin}.")
        system_onsets = past["onset_count"].to_numpy().sum(axis=(1, 2), dtype=np.int64) // 2
        system_states = np.where(covered, past["member"].to_numpy().sum(axis=1), 0).astype(np.int64)
        conflicts = int(past["dispute_onset_count"].to_numpy().sum())
        distinct = conflicts / max(2 * int(system_onsets.sum()), 1) if conflicts else 1.0
        past = continued(past).sel(state=states, other=states)
        a = np.searchsorted(states, rows["ccode_a"].to_numpy())
        b = np.searchsorted(states, rows["ccode_b"].to_numpy())
        # History starts anew when a state enters the system again.
        entry = past["entry_year"].to_numpy()[-1].astype(np.int64)
        entry = np.where(past["member"].to_numpy()[-1], entry, origin + 1)
        since = past["year"].to_numpy()[:, None] >= entry
        since &= covered[:, None]
        onset = past["onset_count"].to_numpy()
        pairs = onset * (since[:, :, None] & since[:, None, :])
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
            going=_going(tables, rows, origin, past["open"].to_numpy()[-1, a, b]),
            peace=np.nan_to_num(peace_years(last).to_numpy()[-1, a, b]).astype(np.int16),
            total=np.nan_to_num(disputes_total(last).to_numpy()[-1, a, b]).astype(np.int16),
            elsewhere=np.stack(np.nonzero(outside)),
            state_onsets=past["dispute_onset_count"].to_numpy().astype(np.int64) * since,
            system_onsets=system_onsets,
            system_states=system_states,
            distinct=distinct,
        )


def _going(tables: Tables, rows: xr.Dataset, origin: int, under_way: BoolArray) -> IndexArray:
    """Age and severity of the disputes under way, as `Record.going`."""
    found = disputes_at(tables, origin)
    pairs = pd.MultiIndex.from_arrays([rows["ccode_a"].to_numpy(), rows["ccode_b"].to_numpy()])
    known = (2 * found["age"] + found["severe"]).reindex(pairs, fill_value=0).to_numpy()
    return np.where(under_way, known, 0).astype(np.int16)


@dataclass(eq=False)
class Track:
    """State of the simulated world at the end of a year, for every row and draw; each (R, D).

    `active`: a dispute was active on some day of the last simulated year; `going`: of one open at
    its end 2 · age + severe, as in `Record.going`, else 0; `peace`, `total`: years of peace, onsets
    so far; `onsets`: simulated onsets of every year since the origin.
    """

    active: BoolArray
    going: IndexArray
    peace: IndexArray
    total: IndexArray
    onsets: list[BoolArray] = field(default_factory=list)
    _faded: dict[float, Float32Array] = field(default_factory=dict)

    @classmethod
    def start(cls, record: Record) -> Track:
        """State at the end of the origin year, the same in all draws: D = 1 until a step."""
        names = ("active", "going", "peace", "total")
        return cls(*(getattr(record, name)[:, None] for name in names))

    @property
    def under_way(self) -> BoolArray:
        """Pairs with a dispute open at the end of the last simulated year, (R, D)."""
        return self.going > 0

    def quiet_year(self) -> None:
        """Advance one year in which nothing begins; what is under way goes on."""
        self._advance(np.zeros(self.going.shape, dtype=bool), self.going)

    def step(
        self,
        probability: Float32Array,
        stays: Float32Array,
        severe: Float32Array,
        rng: np.random.Generator,
        together: tuple[Float32Array, Joint] | None = None,
    ) -> None:
        """Advance one year: disputes begin with `probability` (R, D), go on, and end.

        `stays` is `forecast.simulation.ending.Endings.stays`, `severe` (D,) the share of new
        disputes that come to more than 25 deaths. Two random numbers are drawn for every row and
        draw, whatever happens; `together` are those that the pairs of a hub share, and who shares
        them.
        """
        shape = probability.shape
        onset, going = np.empty(shape, dtype=bool), np.empty(shape, dtype=np.int16)
        first, second = (rng.random(shape, dtype=np.float32) for _ in range(2))
        if together is not None:
            shared, joint = together
            kernels.share_numbers(first, shared, joint.hub, joint.weight)
        before = np.ascontiguousarray(np.broadcast_to(self.going, shape))
        kernels.begin_and_end(probability, stays, severe, first, second, before, onset, going)
        self._advance(onset, going)

    def replay(self, onset: BoolArray, going: IndexArray) -> None:
        """Advance one year in which is known what begins and what is open at its end; (R, D)."""
        self._advance(onset, going)

    def _advance(self, onset: BoolArray, going: IndexArray) -> None:
        self.active = onset | self.under_way
        self.going = going
        self.peace = np.where(self.active, 0, self.peace + 1).astype(np.int16)
        self.total = (self.total + onset).astype(np.int16)
        self.onsets.append(onset)
        self._faded = {k: np.float32(k) * faded + onset for k, faded in self._faded.items()}

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
    """Alliances and allies in dispute at the end of a year; what is asked for is made once.

    `ties` (S, S): who is allied with whom: either of the two owes the other defence. `active` (R,
    D): disputes active in the year; both tracks of a simulation share it, since a dyad's own
    dispute is never an ally's. `first`: whether the year is the origin, in which disputes of pairs
    outside the rows count too. `known`: what depends on everybody's disputes of the year and not on
    what the row's own pair went through, (R or S, D) by name.
    """

    record: Record
    ties: sp.csr_array
    active: BoolArray
    first: bool
    known: dict[tuple[Any, ...], Float32Array] = field(default_factory=dict)

    @classmethod
    def of(cls, record: Record, allied: BoolArray, active: BoolArray, *, first: bool) -> Allies:
        """From the matrix of who is allied with whom, (S, S)."""
        return cls(record, sp.csr_array(allied), active, first)

    @property
    def graph(self) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        """Ties as the loops read them."""
        return self.ties.indptr, self.ties.indices

    @cached_property
    def _disputes(self) -> tuple[IntArray, IntArray, IntArray]:
        """The two states and the draw of each active dispute."""
        draws = self.active.shape[1]
        rows, column = np.nonzero(self.active)
        a, b = self.record.a[rows], self.record.b[rows]
        if self.first:
            others = self.record.elsewhere
            a = np.concatenate([a, np.repeat(others[0], draws)])
            b = np.concatenate([b, np.repeat(others[1], draws)])
            column = np.concatenate([column, np.tile(np.arange(draws), others.shape[1])])
        return a, b, column

    @cached_property
    def opponent(self) -> npt.NDArray[np.int8]:
        """Whether sides a and b of the rows have an ally in dispute with the other; (2, R, D)."""
        found = np.zeros((2, *self.active.shape), dtype=np.int8)
        record = self.record
        kernels.mark_opponent(*self._disputes, record.a, *self.graph, record.row_of, found)
        return found

    @cached_property
    def elsewhere(self) -> npt.NDArray[np.int8]:
        """Whether they have an ally in dispute with a third state; (2, R, D)."""
        found = np.zeros((2, *self.active.shape), dtype=np.int8)
        record, (a, b, column) = self.record, self._disputes
        order = np.argsort(column, kind="stable")
        start = np.searchsorted(column[order], np.arange(self.active.shape[1] + 1))
        ends = (a[order], b[order], start)
        kernels.mark_elsewhere(*ends, record.a, record.b, *self.graph, record.states, found)
        return found
