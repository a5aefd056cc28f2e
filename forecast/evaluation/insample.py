"""One pass over the rows of a fit: what the checks need, without holding draws × rows.

A hundred thousand rows and a thousand draws are 400 MB even in float32. The rows are taken in
chunks of whole units (pairs or states); of each chunk only means, leave-one-out densities, sums
by unit and by draw, and the replicated onsets (a few hundred per draw) are kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
import xarray as xr

from forecast.draws import thinned
from forecast.errors import ArgumentError
from forecast.evaluation.importance import loo_from_log_likelihood
from forecast.evaluation.scores import FloatArray
from forecast.inference.gauss_hermite import CAP, node_values, rule
from forecast.inference.predict import posterior_values, predictor
from forecast.modeling.design import Block, Design

if TYPE_CHECKING:
    from forecast.inference.fit import Fit

__all__ = ["InSample", "PosteriorDraws", "in_sample", "posterior_draws", "unit_index"]

Float32Array = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

_CELLS = 4_000_000  # rows × draws held at once: 16 MB an array in float32
_UNITS = 2_000  # units without an onset that are left out whole
_UNIT_DRAWS = 500  # that leave out whole units with their effect integrated out
_WIDE = 4  # a block with more uses per row than this is multiplied as a dense matrix


@dataclass(frozen=True, eq=False)
class PosteriorDraws:
    """Draws of a fit as plain arrays, chains joined.

    `beta` is (draws, p), in the order of the design's columns; by block `sigma`, (draws,), and
    `effects`, (draws, levels).
    """

    beta: FloatArray
    sigma: dict[str, FloatArray]
    effects: dict[str, FloatArray]

    @property
    def draws(self) -> int:
        """Number of draws."""
        return int(self.beta.shape[0])


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


def posterior_draws(fit: Fit, design: Design, *, draws: int) -> PosteriorDraws:
    """At most `draws` posterior draws, evenly spaced over the chains, checked by the design."""
    posterior = fit.posterior["posterior"].to_dataset()
    names = [str(name) for name in posterior["term"].to_numpy()]
    if names != list(design.names):
        raise ArgumentError(
            f"The posterior has the terms {names}, the design of its panel {list(design.names)}; "
            "this is not the panel that the fit was made on."
        )

    values = posterior_values(fit, min(draws, posterior.sizes["chain"] * posterior.sizes["draw"]))
    effects: dict[str, FloatArray] = {}
    for block in design.blocks:
        levels = posterior[f"level_{block.name}"].to_numpy().astype(str)
        if not np.array_equal(levels, block.levels.astype(str)):
            raise ArgumentError(
                f"The posterior has {levels.size} levels of {block.name!r}, the design "
                f"{block.levels.size}, or in another order; this is not the panel of the fit."
            )
        effects[block.name] = values(f"effect_{block.name}")
    sigma = {block.name: values(f"sigma_{block.name}") for block in design.blocks}
    return PosteriorDraws(values("beta"), sigma, effects)


def in_sample(design: Design, posterior: PosteriorDraws, *, seed: int) -> InSample:
    """Go once through the rows of a fit.

    At most `_UNIT_DRAWS` draws leave out whole units where the unit's effect is integrated out. Of
    more than `_UNITS` units without an onset, that many taken at random are left out.
    """
    year = design.rows["year"].to_numpy().astype(np.int64)
    unit = unit_index(design.rows)
    order = np.lexsort((year, unit))
    unit, year, y = unit[order], year[order], design.y[order]
    own = _own_block(design, unit, order)
    start = np.concatenate([[0], np.flatnonzero(np.diff(unit)) + 1, [unit.size]])
    rngs = np.random.SeedSequence(seed)
    left, weight = _left_out(np.add.reduceat(y, start[:-1]) > 0.0, rngs.spawn(1)[0])
    n, draws = y.size, posterior.draws
    probability, row_elpd, row_khat = np.empty(n), np.empty(n), np.empty(n)
    total = np.zeros(draws)
    some = thinned(draws, _UNIT_DRAWS)
    by_unit = np.empty((some.size if own else draws, left.size))
    onsets: list[tuple[IntArray, IntArray]] = []
    predictors = _Predictor(design, posterior, own)
    for first, last in _chunks(start, draws):
        rows = slice(start[first], start[last])
        outcome = y[rows]
        eta, rest = predictors(order[rows])
        p, log_likelihood = _bernoulli(eta, outcome)
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
            by_unit[:, begin:end] = _integrated(
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


class _Predictor:
    """Linear predictor of chunks of rows, shape (rows, draws), float32."""

    def __init__(self, design: Design, posterior: PosteriorDraws, own: Block | None) -> None:
        self.X = design.X.astype(np.float32)
        self.beta = posterior.beta.astype(np.float32)
        self.own = own
        self.blocks = [
            (
                sp.csr_array(block.matrix.astype(np.float32)),
                np.asfortranarray(posterior.effects[block.name], dtype=np.float32),
                block is own,
            )
            for block in design.blocks
        ]

    def __call__(self, rows: IntArray) -> tuple[Float32Array, Float32Array]:
        """Predictor with all effects, and without those of the unit's own block."""
        groups: dict[bool, list[Any]] = {False: [(self.X[rows], self.beta)], True: []}
        for matrix, effects, is_own in self.blocks:
            weights = matrix[rows]
            wide = weights.nnz > _WIDE * rows.size
            groups[is_own].append((weights.toarray() if wide else weights, effects))
        rest = predictor(*groups[False])
        return (rest if self.own is None else rest + predictor(*groups[True])), rest


def _bernoulli(eta: Float32Array, y: FloatArray) -> tuple[Float32Array, Float32Array]:
    """Probability (rows, draws) and log likelihood (draws, rows) of Bernoulli outcomes."""
    small = np.exp(-np.abs(eta))
    p = np.where(eta < 0.0, small, np.float32(1.0)) / (np.float32(1.0) + small)
    log_likelihood = -np.log1p(small)
    surprise = np.minimum(np.where(y[:, None] == 1.0, eta, -eta), np.float32(0.0))
    log_likelihood += surprise
    return p.astype(np.float32, copy=False), log_likelihood.T


def _chunks(start: IntArray, draws: int) -> Iterator[tuple[int, int]]:
    """Ranges of whole units with about `_CELLS` cells."""
    rows = max(1, _CELLS // draws)
    first, units = 0, start.size - 1
    while first < units:
        last = int(np.searchsorted(start, start[first] + rows, side="right")) - 1
        last = min(max(last, first + 1), units)
        yield first, last
        first = last


def unit_index(rows: xr.Dataset) -> IntArray:
    """Position of each row's unit, 0 … units - 1."""
    names = ["ccode"] if "ccode" in rows else ["ccode_a", "ccode_b"]
    codes = np.stack([rows[name].to_numpy().astype(np.int64) for name in names], axis=1)
    return np.unique(codes, axis=0, return_inverse=True)[1].ravel().astype(np.int64)


def _left_out(
    event: npt.NDArray[np.bool_], seed: np.random.SeedSequence
) -> tuple[IntArray, FloatArray]:
    """Units to leave out, ascending, and how many each stands for: all those with an onset."""
    quiet = np.flatnonzero(~event)
    kept = min(quiet.size, _UNITS)
    sampled = np.random.default_rng(seed).choice(quiet, kept, replace=False)
    left = np.sort(np.concatenate([np.flatnonzero(event), sampled]))
    return left, np.where(event[left], 1.0, quiet.size / max(kept, 1))


def _own_block(design: Design, unit: IntArray, order: IntArray) -> Block | None:
    """The iid block with one effect for each unit, if there is one."""
    for block in design.blocks:
        matrix = block.matrix
        single = bool((np.diff(matrix.indptr) == 1).all() and (matrix.data == 1.0).all())
        if block.structure != "iid" or not single:
            continue
        level = matrix.indices[order]  # one stored entry per row, so entry i is that of row i
        same_unit, same_level = np.diff(unit) == 0, np.diff(level) == 0
        if np.array_equal(same_unit, same_level) and np.unique(level).size == unit[-1] + 1:
            return block
    return None


def _integrated(rest: FloatArray, y: FloatArray, bounds: IntArray, sigma: FloatArray) -> FloatArray:
    """Log likelihood of each unit with its own effect integrated out, shape (draws, units)."""
    units = bounds.size - 1
    events = np.add.reduceat(y, bounds[:-1])
    linear = np.add.reduceat(y * rest - np.maximum(rest - CAP, 0.0), bounds[:-1], axis=1)
    modes = np.zeros(units)
    for s, e in enumerate(np.exp(np.minimum(rest, CAP))):
        quadrature = rule(sigma[s])
        modes, *_, value = node_values(e, events, bounds, 0, units, sigma[s], modes, *quadrature)
        linear[s] += value
    return np.asarray(linear)
