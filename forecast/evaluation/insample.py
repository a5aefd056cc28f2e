"""One pass over the rows of a fit: what the checks need, without holding draws × rows.

A hundred thousand rows and a thousand draws are 400 MB even in float32. The rows are taken in
chunks of whole units (pairs or states); of each chunk only means, leave-one-out densities, sums
by unit and by draw, and the replicated onsets (a few hundred per draw) are kept.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xarray as xr

from forecast.arrays import IntArray
from forecast.draws import thinned
from forecast.evaluation.importance import loo_from_log_likelihood
from forecast.evaluation.scores import FloatArray
from forecast.inference.row_likelihood import (
    PosteriorDraws,
    RowPredictor,
    bernoulli,
    chunks,
    integrated,
    own_block,
    unit_index,
)
from forecast.modeling.design import Design

__all__ = ["InSample", "in_sample"]

_UNITS = 2_000  # units without an onset that are left out whole
_UNIT_DRAWS = 500  # that leave out whole units with their effect integrated out


@dataclass(frozen=True, eq=False)
class InSample:
    """What a fit says about its own rows, ordered by unit and year.

    Of n rows: their coordinates, `outcome`, `year`, `unit` (position of the pair or state,
    ascending), posterior mean of the `probability`, log predictive density leaving out the row
    (`row_elpd`) and its Pareto shape (`row_khat`, -inf: no tail to smooth).

    Of the `units` that were left out whole (all, or of many those with an onset and some others):
    how many each stands for (`unit_weight`), log predictive density and shape, leaving out all
    their rows, from `unit_draws` draws. `integrated`: the effect of the left-out unit was
    integrated out by quadrature, so that it is forecast as a unit that was never seen.

    Of all rows together: `log_likelihood` of each of the `draws`; `replicated`, draw and row of
    every onset of the replicated outcomes, sorted by draw, then row.
    """

    rows: xr.Dataset
    outcome: FloatArray
    year: IntArray
    unit: IntArray
    probability: FloatArray
    draws: int
    log_likelihood: FloatArray
    replicated: tuple[IntArray, IntArray]
    row_elpd: FloatArray
    row_khat: FloatArray
    units: IntArray
    unit_weight: FloatArray
    unit_elpd: FloatArray
    unit_khat: FloatArray
    unit_draws: int
    integrated: bool


def in_sample(design: Design, posterior: PosteriorDraws, *, seed: int) -> InSample:
    """Go once through the rows of a fit.

    At most `_UNIT_DRAWS` draws leave out whole units where the unit's effect is integrated out. Of
    more than `_UNITS` units without an onset, that many taken at random are left out.
    """
    year = design.rows["year"].to_numpy().astype(np.int64)
    unit = unit_index(design.rows)
    order = np.lexsort((year, unit))
    unit, year, y = unit[order], year[order], design.y[order]
    own = own_block(design, unit, order)
    start = np.concatenate([[0], np.flatnonzero(np.diff(unit)) + 1, [unit.size]])
    rngs = np.random.SeedSequence(seed)
    left, weight = _left_out(np.add.reduceat(y, start[:-1]) > 0.0, rngs.spawn(1)[0])
    n, draws = y.size, posterior.draws
    probability, row_elpd, row_khat = np.empty(n), np.empty(n), np.empty(n)
    total = np.zeros(draws)
    some = thinned(draws, _UNIT_DRAWS)
    by_unit = np.empty((some.size if own else draws, left.size))
    onsets: list[tuple[IntArray, IntArray]] = []
    predictors = RowPredictor(design, posterior, own)
    for first, last in chunks(start, draws):
        rows = slice(start[first], start[last])
        outcome = y[rows]
        eta, rest = predictors(order[rows])
        p, log_likelihood = bernoulli(eta, outcome)
        probability[rows] = p.mean(axis=1, dtype=np.float64)
        total += log_likelihood.sum(axis=1, dtype=np.float64)
        row_elpd[rows], row_khat[rows] = loo_from_log_likelihood(log_likelihood)
        rng = np.random.default_rng(rngs.spawn(1)[0])
        row, draw = np.nonzero(rng.random(p.shape, dtype=np.float32) < p)
        onsets.append((draw, row + start[first]))
        begin, end = np.searchsorted(left, [first, last])
        if begin == end:
            continue
        chosen, bounds = _rows_of(left[begin:end], start, start[first])
        if own is None:
            by_unit[:, begin:end] = np.add.reduceat(
                log_likelihood[:, chosen].astype(np.float64), bounds[:-1], axis=1
            )
        else:
            by_unit[:, begin:end] = integrated(
                np.ascontiguousarray(rest[np.ix_(chosen, some)].T, dtype=np.float64),
                outcome[chosen],
                bounds,
                posterior.sigma[own.name][some],
            )
    unit_elpd, unit_khat = loo_from_log_likelihood(by_unit)
    draw, row = (np.concatenate(found) for found in zip(*onsets, strict=True))
    by_draw = np.lexsort((row, draw))
    return InSample(
        rows=design.rows.isel(row=order),
        outcome=y,
        year=year,
        unit=unit,
        probability=probability,
        draws=draws,
        log_likelihood=total,
        replicated=(draw[by_draw], row[by_draw]),
        row_elpd=row_elpd,
        row_khat=row_khat,
        units=left,
        unit_weight=weight,
        unit_elpd=unit_elpd,
        unit_khat=unit_khat,
        unit_draws=int(by_unit.shape[0]),
        integrated=own is not None,
    )


def _rows_of(units: IntArray, start: IntArray, origin: int) -> tuple[IntArray, IntArray]:
    """Rows of some units, counted from `origin`, and where each unit's begin and end in them."""
    size = start[units + 1] - start[units]
    bounds = np.concatenate([[0], np.cumsum(size)]).astype(np.int64)
    return np.repeat(start[units] - origin - bounds[:-1], size) + np.arange(bounds[-1]), bounds


def _left_out(
    event: npt.NDArray[np.bool_], seed: np.random.SeedSequence
) -> tuple[IntArray, FloatArray]:
    """Units to leave out, ascending, and how many each stands for: all those with an onset."""
    quiet = np.flatnonzero(~event)
    kept = min(quiet.size, _UNITS)
    sampled = np.random.default_rng(seed).choice(quiet, kept, replace=False)
    left = np.sort(np.concatenate([np.flatnonzero(event), sampled]))
    return left, np.where(event[left], 1.0, quiet.size / max(kept, 1))
