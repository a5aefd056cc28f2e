"""Features of a simulated world: what the record and the simulated onsets make of each term.

A count is an index into a short list of raw values, so that its design columns are looked up and
not computed two million times; what fades with the years is a value each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from forecast.errors import ArgumentError
from forecast.features.positions import COMBINE
from forecast.features.registry import get_feature
from forecast.simulation import kernels
from forecast.simulation.dynamics import Allies, Record, Track

if TYPE_CHECKING:
    from forecast.modeling.columns import ColumnCode

__all__ = ["Rows", "Values", "lookup", "status_values"]

BoolArray = npt.NDArray[np.bool_]
IndexArray = npt.NDArray[np.int16]
Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]
Rows = slice | npt.NDArray[np.integer[Any]]

#: Simulated onsets stand for parts of a conflict of their states, counted in so many.
_PARTS = 100


@dataclass(frozen=True, eq=False)
class Values:
    """Raw values of a simulated feature for every row and draw.

    Attributes
    ----------
    index : numpy.ndarray, shape (R, D or 1), or None
        Position of each value in `raw`; None if `raw` holds the values themselves.
    raw : numpy.ndarray, shape (V,), or (R, D or 1)
    """

    index: npt.NDArray[np.integer[Any]] | None
    raw: npt.NDArray[np.floating[Any]]

    def array(self) -> npt.NDArray[np.floating[Any]]:
        """The values, (R, D or 1)."""
        return self.raw if self.index is None else self.raw[self.index]

    def rows(self, at: Rows) -> Values:
        """Those of some rows."""
        if self.index is None:
            return Values(None, self.raw[at])
        return Values(self.index[at], self.raw)


def status_values(code: ColumnCode, peace: int, rows: int) -> Values:
    """Values of a feature of `OWN_STATUS` for pairs that have been at peace for `peace` years.

    With 0 a dispute was active in the year before, and ended in it.
    """
    held = float(peace)
    if code.feature == "dispute_last_year":
        held = float(peace == 0)
    elif code.feature == "under_way":
        held = 0.0
    elif code.feature == "long_peace":
        held = float(peace > _option(code, "years"))
    return Values(np.zeros((rows, 1), dtype=np.int16), np.array([held]))


def _option(code: ColumnCode, name: str) -> float:
    """An option of a term's feature; the registered default if the model does not set it."""
    given = {**get_feature(str(code.feature)).options, **dict(code.options)}
    return float(given[name])


def lookup(
    code: ColumnCode,
    record: Record,
    own: Track,
    others: Track,
    allies: Allies,
    at: Rows = slice(None),
) -> Values:
    """Raw values of one simulated term at the end of a year.

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
    at : slice or numpy.ndarray of int
        Rows that are wanted.
    """
    feature = str(code.feature)
    if feature == "peace_years":
        return Values(own.peace[at], _integers(own.peace))
    if feature == "disputes_total":
        return Values(own.total[at], _integers(own.total))
    if feature == "dispute_last_year":
        return _zero_one(own.active[at])
    if feature == "under_way":
        return _zero_one(own.under_way[at])
    if feature == "long_peace":
        return _zero_one(own.peace[at] > _option(code, "years"))
    if feature in ("ally_in_dispute_with_opponent", "ally_in_dispute_elsewhere"):
        sides = allies.opponent if feature.endswith("opponent") else allies.elsewhere
        return _combine(sides[0][at], sides[1][at], code.side)
    if feature == "disputes_with_allies":
        if code.name not in allies.known:
            allies.known[code.name] = _with_allies(code, record, others, allies)
        return Values(None, allies.known[code.name][at])
    if feature == "other_disputes_decayed":
        if code.name in allies.known:
            return Values(None, allies.known[code.name][at])
        found = _others_decayed(code, record, others, allies, at)
        if isinstance(at, slice) and at == slice(None):
            allies.known[code.name] = found
        return Values(None, found)
    if feature == "rivalry":
        return _rivals(code, record, own, at)
    if feature.endswith("decayed"):
        return Values(None, _decayed(code, record, own, others, at))
    return _windowed(code, record, own, others, at)


def _zero_one(values: BoolArray) -> Values:
    return Values(values.astype(np.int16), np.array([0.0, 1.0]))


def _rivals(code: ColumnCode, record: Record, own: Track, at: Rows) -> Values:
    """Whether the pair had enough onsets within the window to be rivals."""
    window = int(_option(code, "rival_window"))
    mine = own.onsets[max(0, len(own.onsets) - window) :]
    # Near the start of the record the window holds fewer years, as in the feature.
    observed = max(0, window - len(own.onsets))
    first = record.onset.shape[0] - min(observed, record.onset.shape[0])
    count = record.onset[first:, at].sum(axis=0)[:, None] + _sum(mine, own.active.shape)[at]
    return _zero_one(count >= _option(code, "rival_onsets"))


def _with_allies(code: ColumnCode, record: Record, others: Track, allies: Allies) -> Float32Array:
    """Fading onsets of each side with the allies of the other; never those of the pair itself."""
    keep = 0.5 ** (1.0 / _option(code, "half_life"))
    ahead = len(others.onsets)
    weight = keep ** (np.arange(len(record.pairs))[::-1] + ahead)
    before = np.einsum("y,yij->ij", weight, record.pairs)
    seen = (allies.ties.astype(np.float64) @ before.T).T  # [i, j]: of i, with allies of j
    faded = others.faded(keep)
    rows, draw = np.nonzero(faded)
    out = np.zeros((2, *faded.shape), dtype=np.float32)
    kernels.add_allies(
        record.a[rows], record.b[rows], draw, faded[rows, draw], record.a, allies.ties.indptr,
        allies.ties.indices, record.row_of, out,
    )  # fmt: skip
    for side, (i, j) in enumerate(((record.a, record.b), (record.b, record.a))):
        out[side] += seen[i, j].astype(np.float32)[:, None]
    return np.asarray(COMBINE[code.side](*out), dtype=np.float32)


def _others_decayed(
    code: ColumnCode, record: Record, others: Track, allies: Allies, at: Rows
) -> Float32Array:
    """Fading onsets of the two states with others than each other."""
    keep = 0.5 ** (1.0 / _option(code, "half_life"))
    weight = keep ** (np.arange(record.onset.shape[0])[::-1] + len(others.onsets))
    pair = (weight @ record.onset[:, at]).astype(np.float32)
    share, faded = np.float32(record.distinct), others.faded(keep)
    name = f"fading onsets of states, {keep}"
    if name not in allies.known:
        seen = (weight @ record.state_onsets).astype(np.float32)[:, None]
        allies.known[name] = seen + share * (_incidence(record) @ faded)
    level = allies.known[name]
    if code.side in ("max", "min"):
        rows = np.arange(record.a.size)[at]
        out = np.empty((rows.size, faded.shape[1]), dtype=np.float32)
        kernels.with_others(
            level, pair, share, faded, record.a, record.b, rows, code.side == "max", out
        )
        return out
    apart = pair[:, None] + share * faded[at]
    sides = [np.maximum(level[side[at]] - apart, 0) for side in (record.a, record.b)]
    return np.asarray(COMBINE[code.side](*sides), dtype=np.float32)


def _decayed(code: ColumnCode, record: Record, own: Track, others: Track, at: Rows) -> Float32Array:
    """Fading onsets of the pair, of its states or of the system."""
    keep = 0.5 ** (1.0 / _option(code, "half_life"))
    ahead = len(others.onsets)
    weight = keep ** (np.arange(record.onset.shape[0])[::-1] + ahead)
    pair = (weight @ record.onset[:, at]).astype(np.float32)[:, None]
    if code.feature == "disputes_decayed":
        return np.asarray(pair + own.faded(keep)[at])
    # The dyad's own simulated onsets that are in the others' world but not on its own path.
    apart = others.faded(keep)[at] - own.faded(keep)[at]
    if code.feature == "system_disputes_decayed":
        total = weight @ record.system_onsets + others.faded(keep).sum(axis=0)
        exposure = weight @ record.system_states
        exposure += np.sum(keep ** np.arange(ahead)) * record.system_states[-1]
        return np.asarray(100.0 * (total[None, :] - apart) / exposure, dtype=np.float32)
    seen = (weight @ record.state_onsets).astype(np.float32)[:, None]
    share = np.float32(record.distinct)
    level = seen + share * (_incidence(record) @ others.faded(keep))
    apart = apart * share
    sides = [np.maximum(level[side[at]] - apart, 0) for side in (record.a, record.b)]
    return np.asarray(COMBINE[code.side](*sides), dtype=np.float32)


def _windowed(code: ColumnCode, record: Record, own: Track, others: Track, at: Rows) -> Values:
    """Onsets of the last years of the pair, of its states or of the system."""
    feature = str(code.feature)
    year = record.origin + len(others.onsets)
    window = int(_option(code, "window"))
    simulated = others.onsets[max(0, len(others.onsets) - window) :]
    observed = slice(record.onset.shape[0] - (window - (year - record.origin)), None)
    if observed.start < 0:
        raise ArgumentError(
            f"Term {code.name!r} looks back {window} years from {year}, before the record of"
            " conflicts begins."
        )
    if window <= year - record.origin:
        observed = slice(record.onset.shape[0], None)
    mine = _sum(own.onsets[max(0, len(own.onsets) - window) :], own.active.shape)[at]
    if feature == "disputes_recent":
        count = record.onset[observed][:, at].sum(axis=0)[:, None] + mine
        return Values(count.astype(np.int16), _integers(count))
    every = _sum(simulated, others.active.shape)
    # The dyad's own simulated onsets that are in the others' world but not on its own path.
    apart = every[at] - mine
    if feature == "state_disputes_recent":
        share = round(_PARTS * record.distinct)
        seen = _PARTS * record.state_onsets[observed].sum(axis=0)[:, None]
        totals = (seen + share * _by_state(record, every)).astype(np.int32)
        apart = share * apart.astype(np.int32)
        sides = (totals[record.a[at]] - apart, totals[record.b[at]] - apart)
        return _combine(*sides, code.side, unit=1.0 / _PARTS)
    total = record.system_onsets[observed].sum() + every.sum(axis=0, dtype=np.int64)
    ahead = min(year - record.origin, window)
    exposure = record.system_states[observed].sum() + ahead * record.system_states[-1]
    index = total[None, :] - apart
    low = int(index.min())
    values = np.arange(low, int(index.max()) + 1) * 100.0 / max(int(exposure), 1)
    return Values((index - low).astype(np.int16), values)


def _sum(parts: list[BoolArray], shape: tuple[int, ...]) -> npt.NDArray[np.int16]:
    total = np.zeros(shape, dtype=np.int16)
    for part in parts:
        total += part
    return total


def _integers(values: npt.NDArray[np.generic]) -> Float64Array:
    return np.arange(int(values.max()) + 1, dtype=np.float64)


def _by_state(record: Record, onsets: npt.NDArray[np.int16]) -> npt.NDArray[np.int64]:
    """Dyadic onsets of each state, (S, D)."""
    return np.rint(_incidence(record) @ onsets.astype(np.float32)).astype(np.int64)


def _incidence(record: Record) -> sp.csr_array:
    """Which rows involve each state, (S, R)."""
    rows = np.arange(record.a.size)
    ones = np.ones(2 * record.a.size, dtype=np.float32)
    place = (np.concatenate([record.a, record.b]), np.tile(rows, 2))
    return sp.csr_array((ones, place), shape=(record.states, record.a.size))


def _combine(
    a: npt.NDArray[np.integer], b: npt.NDArray[np.integer], side: str, unit: float = 1.0
) -> Values:
    """Two sides' numbers of a unit as one, as in `forecast.features.gather`."""
    if side in ("sum", "mean"):
        both, unit = a + b, 0.5 * unit if side == "mean" else unit
    elif side in ("min", "max"):
        both = (np.minimum if side == "min" else np.maximum)(a, b)
    elif side == "absdiff":
        both = np.abs(a - b)
    elif side == "product":
        return Values(None, (a * unit) * (b * unit))
    else:
        both = a if side == "a" else b
    return Values(both.astype(np.int16), _integers(both) * unit)
