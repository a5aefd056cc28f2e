"""What the rules of features read of a simulated world, and the values that they make of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from forecast.errors import ArgumentError
from forecast.features.needs import Past, Rows, Values
from forecast.features.registry import get_feature
from forecast.panel.columns import COMBINE, Side
from forecast.simulation import kernels
from forecast.simulation.dynamics import Allies, Record, Track, rule_of

if TYPE_CHECKING:
    from forecast.modeling.covariates import ColumnCode

__all__ = ["Rows", "Values", "lookup", "status_values"]

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.integer[Any]]
Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]

#: Simulated onsets stand for parts of a conflict of their states, counted in so many.
_PARTS = 100


@dataclass(frozen=True)
class _AtPeace:
    """The status of pairs without a dispute under way, so many years of peace behind them."""

    years: int

    @property
    def peace(self) -> IntArray:
        return np.array([[self.years]])

    @property
    def active(self) -> BoolArray:
        return np.asarray(self.peace == 0)

    @property
    def under_way(self) -> BoolArray:
        return np.array([[False]])


def status_values(code: ColumnCode, peace: int, rows: int) -> Values | None:
    """Values of a feature for pairs that have been at peace for `peace` years.

    With 0 a dispute was active in the year before, and ended in it. None if more than the status
    of the pair itself decides them.
    """
    rule = rule_of(code)
    if rule is None or not get_feature(str(code.feature)).moves.of_status:
        return None
    held = rule(_AtPeace(peace)).array()[0, 0]
    return Values(np.zeros((rows, 1), dtype=np.int16), np.array([held], dtype=np.float64))


def lookup(
    code: ColumnCode,
    record: Record,
    own: Track,
    others: Track,
    allies: Allies,
    at: Rows = slice(None),
) -> Values:
    """Raw values of one simulated term at the end of a year, of some rows.

    `own` is what the row's own dyad went through, `others` what everybody did. Where they differ
    (the path on which the dyad itself has no onset) the dyad's own simulated onsets are taken out
    of the counts of its states and the system.
    """
    rule = rule_of(code)
    assert rule is not None
    past: Past = _Simulated(record, own, others, allies, at, code.side, code.name)
    return rule(past)


@dataclass(frozen=True, eq=False)
class _Simulated:
    """The past of some rows, on record and simulated: `forecast.features.needs.Past`."""

    record: Record
    own: Track
    others: Track
    allies: Allies
    at: Rows
    side: Side
    term: str

    @property
    def peace(self) -> IntArray:
        return self.own.peace[self.at]

    @property
    def active(self) -> BoolArray:
        return self.own.active[self.at]

    @property
    def under_way(self) -> BoolArray:
        return self.own.under_way[self.at]

    @property
    def total(self) -> IntArray:
        return self.own.total[self.at]

    def onsets(self, window: int, *, shorter: bool = False) -> IntArray:
        seen = self.record.onset[self._seen(window, shorter=shorter)][:, self.at]
        return np.asarray(seen.sum(axis=0, dtype=np.int64)[:, None] + self._mine(window))

    def faded(self, half_life: float) -> Float32Array:
        return np.asarray(
            self._pair(half_life)[:, None] + self.own.faded(_keep(half_life))[self.at]
        )

    def of_states(self, window: int) -> Values:
        every, share = _sum(self.others, window), round(_PARTS * self.record.distinct)
        seen = _PARTS * self.record.state_onsets[self._seen(window)].sum(axis=0)[:, None]
        simulated = np.rint(self.record.incidence @ every.astype(np.float32)).astype(np.int64)
        totals = (seen + share * simulated).astype(np.int32)
        apart = share * (every[self.at] - self._mine(window)).astype(np.int32)
        a, b = (totals[side[self.at]] - apart for side in (self.record.a, self.record.b))
        return _combine(a, b, self.side, unit=1.0 / _PARTS)

    def of_states_faded(self, half_life: float) -> Float32Array:
        apart = self._apart(half_life) * np.float32(self.record.distinct)
        return self._both(self._states(half_life), apart)

    def with_others(self, half_life: float) -> Float32Array:
        known, key = self.allies.known, ("with others", half_life, self.side)
        if key in known:
            return known[key][self.at]
        record, faded = self.record, self.others.faded(_keep(half_life))
        pair, level = self._pair(half_life), self._states(half_life)
        share = np.float32(record.distinct)
        if self.side in ("max", "min"):
            rows = np.arange(record.a.size)[self.at]
            out = np.empty((rows.size, faded.shape[1]), dtype=np.float32)
            kernels.with_others(
                level, pair, share, faded, record.a, record.b, rows, self.side == "max", out
            )
        else:
            out = self._both(level, pair[:, None] + share * faded[self.at])
        if isinstance(self.at, slice) and self.at == slice(None):
            known[key] = out
        return out

    def with_allies(self, half_life: float) -> Float32Array:
        known, key = self.allies.known, ("with allies", half_life, self.side)
        if key not in known:
            record, ties = self.record, self.allies.ties
            before = np.einsum("y,yij->ij", self._weight(half_life), record.pairs)
            seen = (ties.astype(np.float64) @ before.T).T  # [i, j]: of i, with allies of j
            faded = self.others.faded(_keep(half_life))
            rows, draw = np.nonzero(faded)
            out = np.zeros((2, *faded.shape), dtype=np.float32)
            kernels.add_allies(
                record.a[rows], record.b[rows], draw, faded[rows, draw], record.a,
                *self.allies.graph, record.row_of, out,
            )  # fmt: skip
            for side, (i, j) in enumerate(((record.a, record.b), (record.b, record.a))):
                out[side] += seen[i, j].astype(np.float32)[:, None]
            known[key] = np.asarray(COMBINE[self.side](*out), dtype=np.float32)
        return known[key][self.at]

    def ally_in_dispute(self, *, with_opponent: bool) -> Values:
        a, b = self.allies.opponent if with_opponent else self.allies.elsewhere
        return _combine(a[self.at], b[self.at], self.side)

    def of_system(self, window: int) -> tuple[IntArray, int]:
        every, seen = _sum(self.others, window), self._seen(window)
        total = self.record.system_onsets[seen].sum() + every.sum(axis=0, dtype=np.int64)
        states = self.record.system_states
        ahead = min(len(self.others.onsets), window) * states[-1]
        apart = every[self.at] - self._mine(window)
        return total[None, :] - apart, max(int(states[seen].sum() + ahead), 1)

    def of_system_faded(self, half_life: float) -> tuple[Float64Array, float]:
        keep, weight, states = _keep(half_life), self._weight(half_life), self.record.system_states
        total = weight @ self.record.system_onsets + self.others.faded(keep).sum(axis=0)
        exposure = weight @ states
        exposure += np.sum(keep ** np.arange(len(self.others.onsets))) * states[-1]
        return total[None, :] - self._apart(half_life), float(exposure)

    def _seen(self, window: int, *, shorter: bool = False) -> slice:
        """Years of the record that the window still holds."""
        years, ahead = len(self.record.onset), len(self.others.onsets)
        if window - ahead > years and not shorter:
            raise ArgumentError(
                f"Term {self.term!r} looks back {window} years from {self.record.origin + ahead},"
                " before the record of conflicts begins."
            )
        return slice(years - min(max(window - ahead, 0), years), None)

    def _mine(self, window: int) -> npt.NDArray[np.int16]:
        """Simulated onsets of the pair itself in the window."""
        return _sum(self.own, window)[self.at]

    def _apart(self, half_life: float) -> Float32Array:
        """The dyad's own fading onsets in the others' world that are not on its own path."""
        keep = _keep(half_life)
        return np.asarray(self.others.faded(keep)[self.at] - self.own.faded(keep)[self.at])

    def _weight(self, half_life: float) -> Float64Array:
        """Weight of the years of the record, (years,)."""
        age = np.arange(len(self.record.onset))[::-1] + len(self.others.onsets)
        return np.asarray(_keep(half_life) ** age)

    def _pair(self, half_life: float) -> Float32Array:
        """Fading onsets of the pair on record, (rows,)."""
        seen = self._weight(half_life) @ self.record.onset[:, self.at]
        return np.asarray(seen, dtype=np.float32)

    def _states(self, half_life: float) -> Float32Array:
        """Fading conflicts of each state, (S, D)."""
        known, key = self.allies.known, ("states", half_life)
        if key not in known:
            seen = (self._weight(half_life) @ self.record.state_onsets).astype(np.float32)[:, None]
            simulated = self.record.incidence @ self.others.faded(_keep(half_life))
            known[key] = np.asarray(seen + np.float32(self.record.distinct) * simulated)
        return known[key]

    def _both(self, level: Float32Array, apart: Float32Array) -> Float32Array:
        """What the two states have without what is theirs apart, as one."""
        sides = (self.record.a[self.at], self.record.b[self.at])
        return np.asarray(
            COMBINE[self.side](*(np.maximum(level[side] - apart, 0) for side in sides)),
            dtype=np.float32,
        )


def _keep(half_life: float) -> float:
    return float(0.5 ** (1.0 / half_life))


def _sum(track: Track, window: int) -> npt.NDArray[np.int16]:
    """Simulated onsets of the last `window` years, (R, D)."""
    total = np.zeros(track.active.shape, dtype=np.int16)
    for onset in track.onsets[max(0, len(track.onsets) - window) :]:
        total += onset
    return total


def _combine(a: IntArray, b: IntArray, side: Side, unit: float = 1.0) -> Values:
    """Two sides' numbers of a unit as one, as in `forecast.features.gather`."""
    if side == "product":
        return Values(None, (a * unit) * (b * unit))
    both = a + b if side == "mean" else COMBINE[side](a, b)
    unit = 0.5 * unit if side == "mean" else unit
    each = np.arange(int(both.max(initial=0)) + 1, dtype=np.float64)
    return Values(both.astype(np.int16), each * unit)
