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
from forecast.scenario import kernels
from forecast.scenario.dynamics import Allies, Record, Track

if TYPE_CHECKING:
    from forecast.modeling.columns import ColumnCode

__all__ = ["Values", "lookup", "status_values"]

BoolArray = npt.NDArray[np.bool_]
IndexArray = npt.NDArray[np.int16]
Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]


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

    def rows(self, at: npt.NDArray[np.integer[Any]]) -> Values:
        """Those of some rows."""
        if self.index is None:
            return Values(None, self.raw[at])
        return Values(self.index[at], self.raw)


def status_values(code: ColumnCode, peace: int, rows: int) -> Values:
    """Values of a feature of `OWN_STATUS` for pairs that have been at peace for `peace` years."""
    held = float(peace)
    if code.feature == "dispute_last_year":
        held = float(peace == 0)
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
    """
    feature = str(code.feature)
    if feature == "peace_years":
        return Values(own.peace, _integers(own.peace))
    if feature == "disputes_total":
        return Values(own.total, _integers(own.total))
    if feature == "dispute_last_year":
        return Values(own.active.astype(np.int16), np.array([0.0, 1.0]))
    if feature == "long_peace":
        quiet = own.peace > _option(code, "years")
        return Values(quiet.astype(np.int16), np.array([0.0, 1.0]))
    if feature in ("ally_in_dispute_with_opponent", "ally_in_dispute_elsewhere"):
        sides = allies.opponent if feature.endswith("opponent") else allies.elsewhere
        return Values(*_combine(sides[0], sides[1], code.side))
    if feature == "disputes_with_allies":
        return Values(None, _with_allies(code, record, others, allies))
    if feature == "rivalry":
        return _rivals(code, record, own)
    if feature.endswith("decayed"):
        return Values(None, _decayed(code, record, own, others))
    return Values(*_windowed(code, record, own, others))


def _rivals(code: ColumnCode, record: Record, own: Track) -> Values:
    """Whether the pair had enough onsets within the window to be rivals."""
    window = int(_option(code, "rival_window"))
    mine = own.onsets[max(0, len(own.onsets) - window) :]
    # Near the start of the record the window holds fewer years, as in the feature.
    observed = max(0, window - len(own.onsets))
    count = record.onset[record.onset.shape[0] - min(observed, record.onset.shape[0]) :].sum(axis=0)
    rival = count[:, None] + _sum(mine, own.active.shape) >= _option(code, "rival_onsets")
    return Values(rival.astype(np.int16), np.array([0.0, 1.0]))


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
    sides = (
        seen[record.a, record.b][:, None] + out[0],
        seen[record.b, record.a][:, None] + out[1],
    )
    return np.asarray(COMBINE[code.side](*sides), dtype=np.float32)


def _decayed(code: ColumnCode, record: Record, own: Track, others: Track) -> Float32Array:
    """Fading onsets of the pair, of its states (with others than each other) or the system."""
    keep = 0.5 ** (1.0 / _option(code, "half_life"))
    ahead = len(others.onsets)
    weight = keep ** (np.arange(record.onset.shape[0])[::-1] + ahead)
    pair = (weight @ record.onset).astype(np.float32)[:, None]
    if code.feature == "disputes_decayed":
        return np.asarray(pair + own.faded(keep))
    # The dyad's own simulated onsets that are in the others' world but not on its own path.
    apart = others.faded(keep) - own.faded(keep)
    if code.feature == "system_disputes_decayed":
        total = weight @ record.system_onsets + others.faded(keep).sum(axis=0)
        exposure = weight @ record.system_states
        exposure += np.sum(keep ** np.arange(ahead)) * record.system_states[-1]
        return np.asarray(100.0 * (total[None, :] - apart) / exposure, dtype=np.float32)
    seen = (weight @ record.state_onsets)[:, None]
    level = (seen + _incidence(record) @ others.faded(keep)).astype(np.float32)
    if code.feature == "other_disputes_decayed":
        apart = pair + others.faded(keep)
    sides = [np.maximum(level[side] - apart, 0) for side in (record.a, record.b)]
    return np.asarray(COMBINE[code.side](*sides), dtype=np.float32)


def _windowed(
    code: ColumnCode, record: Record, own: Track, others: Track
) -> tuple[IndexArray, Float64Array]:
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
    total = _incidence(record) @ _sum(onsets, onsets[0].shape).astype(np.float32)
    return np.rint(total).astype(np.int64)


def _incidence(record: Record) -> sp.csr_array:
    """Which rows involve each state, (S, R)."""
    rows = np.arange(record.a.size)
    ones = np.ones(2 * record.a.size, dtype=np.float32)
    place = (np.concatenate([record.a, record.b]), np.tile(rows, 2))
    return sp.csr_array((ones, place), shape=(record.states, record.a.size))


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
    elif side == "product":
        both = a * b
    else:
        both = a if side == "a" else b
    return both.astype(np.int16), _integers(both) * unit
