"""Likelihood of the rows of a fit, in chunks; and with the effects of a group integrated out.

A hundred thousand rows and a thousand draws are 400 MB even in float32. Who goes through them does
so in chunks of rows, and keeps of each chunk what is wanted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
import xarray as xr

from forecast.arrays import FloatArray, IntArray
from forecast.errors import ArgumentError
from forecast.inference.gauss_hermite import CAP, node_values, rule
from forecast.inference.predict import PriorDraws, posterior_values, predictor
from forecast.modeling.design import Block, Design

if TYPE_CHECKING:
    from forecast.inference.fit import Fit

__all__ = [
    "PosteriorDraws", "RowPredictor", "bernoulli", "chunks", "integrated", "log_prior",
    "own_block", "posterior_draws", "unit_index",
]  # fmt: skip

Float32Array = npt.NDArray[np.float32]

_CELLS = 4_000_000  # rows × draws held at once: 16 MB an array in float32
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


def posterior_draws(fit: Fit, design: Design, *, draws: int | None = None) -> PosteriorDraws:
    """At most `draws` posterior draws, evenly spaced over the chains, checked by the design."""
    posterior = fit.posterior["posterior"].to_dataset()
    names = [str(name) for name in posterior["term"].to_numpy()]
    if names != list(design.names):
        raise ArgumentError(
            f"The posterior has the terms {names}, the design of its panel {list(design.names)}; "
            "this is not the panel that the fit was made on."
        )
    values = posterior_values(fit, None if draws is None else min(draws, fit.draws))
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


def log_prior(design: Design, posterior: PosteriorDraws | PriorDraws) -> dict[str, FloatArray]:
    """Log prior density of the top level: ``beta`` (draws, p), and ``sigma_<block>`` (draws,).

    p(effect | sigma) is part of the model, not of the prior.
    """
    z = (posterior.beta - design.prior_mean) / design.prior_sd
    beta = -0.5 * z**2 - 0.5 * np.log(2.0 * np.pi)
    for j, tail in design.tails.items():
        beta[:, j] = tail.distribution.logpdf(z[:, j])
    found: dict[str, FloatArray] = {"beta": beta - np.log(design.prior_sd)}
    for block in design.blocks:
        theta = np.log(posterior.sigma[block.name])
        found[f"sigma_{block.name}"] = block.scale_prior.log_density(theta) - theta
    return found


class RowPredictor:
    """Linear predictor of chunks of rows, shape (rows, draws), float32."""

    def __init__(
        self, design: Design, posterior: PosteriorDraws | PriorDraws, own: Block | None = None
    ) -> None:
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

    def __call__(self, rows: IntArray | slice) -> tuple[Float32Array, Float32Array]:
        """Predictor with all effects, and without those of the block `own`."""
        X = self.X[rows]
        groups: dict[bool, list[Any]] = {False: [(X, self.beta)], True: []}
        for matrix, effects, is_own in self.blocks:
            weights = matrix[rows]
            wide = weights.nnz > _WIDE * len(X)
            groups[is_own].append((weights.toarray() if wide else weights, effects))
        rest = predictor(*groups[False])
        return (rest if self.own is None else rest + predictor(*groups[True])), rest


def bernoulli(eta: Float32Array, y: FloatArray) -> tuple[Float32Array, Float32Array]:
    """Probability (rows, draws) and log likelihood (draws, rows) of Bernoulli outcomes."""
    small = np.exp(-np.abs(eta))
    p = np.where(eta < 0.0, small, np.float32(1.0)) / (np.float32(1.0) + small)
    log_likelihood = -np.log1p(small)
    surprise = np.minimum(np.where(y[:, None] == 1.0, eta, -eta), np.float32(0.0))
    log_likelihood += surprise
    return p.astype(np.float32, copy=False), log_likelihood.T


def chunks(start: IntArray, draws: int, cells: int = _CELLS) -> Iterator[tuple[int, int]]:
    """Ranges of whole units, whose rows begin at `start`, with about so many rows × draws."""
    rows = max(1, cells // draws)
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


def own_block(design: Design, unit: IntArray, order: IntArray) -> Block | None:
    """The iid block with one effect for each unit, if there is one; rows sorted by unit."""
    for block in design.blocks:
        matrix = block.matrix
        single = bool((np.diff(matrix.indptr) == 1).all() and (matrix.data == 1.0).all())
        # given its scale alone the effect of a horseshoe is not normal
        if block.structure != "iid" or not single or block.scale_prior.form == "horseshoe":
            continue
        level = matrix.indices[order]  # one stored entry per row, so entry i is that of row i
        same_unit, same_level = np.diff(unit) == 0, np.diff(level) == 0
        if np.array_equal(same_unit, same_level) and np.unique(level).size == unit[-1] + 1:
            return block
    return None


def integrated(rest: FloatArray, y: FloatArray, bounds: IntArray, sigma: FloatArray) -> FloatArray:
    """Log likelihood of each unit with its own effect integrated out, shape (draws, units).

    `rest` is the predictor without that effect, (draws, rows); the rows of unit u are
    ``bounds[u]:bounds[u + 1]``.
    """
    units = bounds.size - 1
    events = np.add.reduceat(y, bounds[:-1])
    linear = np.add.reduceat(y * rest - np.maximum(rest - CAP, 0.0), bounds[:-1], axis=1)
    modes = np.zeros(units)
    for s, e in enumerate(np.exp(np.minimum(rest, CAP))):
        quadrature = rule(sigma[s])
        modes, *_, value = node_values(e, events, bounds, 0, units, sigma[s], modes, *quadrature)
        linear[s] += value
    return np.asarray(linear)
