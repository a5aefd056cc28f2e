"""Nested Laplace over the log scales, corrected by importance sampling.

The posterior of theta = log sigma (one per block) and of the latent ``w`` is sampled in four
steps, none of which leaves an approximation in the result other than Monte Carlo error:

1. One block (dyads) is integrated out by quadrature; see `forecast.inference.latent`.
2. The mode of the marginal posterior of theta, and anchors around it; at every anchor the
   conditional mode of ``w`` and the curvature there (Rue, Martino & Chopin 2009, JRSS B 71:319).
   The Gaussian at the mode is moved to the mean that is optimal in Kullback–Leibler divergence
   (Opper & Archambeau 2009, Neural Computation 21:786), which takes out the skewness to first
   order, and skewed itself by its third derivatives; see `forecast.inference.conditional`.
3. theta from tabulated densities, ``w`` given theta from that skewed Gaussian, whose likelihood
   part is interpolated between the anchors and whose prior part is exact at that theta;
   importance weights, smoothed as a generalised Pareto tail (PSIS; Vehtari et al. 2024,
   JMLR 25:72), whose shape k̂ says whether they can be trusted; resampling in proportion to them.
4. The integrated block drawn exactly from its one-dimensional conditionals.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from forecast.arrays import FloatArray, IntArray
from forecast.errors import DataError
from forecast.inference.conditional import scale_mode
from forecast.inference.latent import Latent
from forecast.inference.proposal import Proposal, propose
from forecast.inference.warm_start import Outline, Start
from forecast.modeling.design import Design

__all__ = ["Draws", "evidence", "resample", "sample_laplace", "smooth_weights"]


_MAX_ROUNDS = 16
_DOUBTFUL = 0.6  # Pareto k̂ that is told from more proposals: of 600 its standard error is about .1
_MOST_PROPOSALS = 3  # a draw, for that
_LEAST_SHARE = 0.3  # of proposals that are worth something, from the scales of another fit
_LARGE = 20_000  # rows
_GROUPS = 400


@dataclass(frozen=True, eq=False)
class Draws:
    """Posterior draws in the layout of a `Design`."""

    beta: FloatArray  # (draws, p)
    effects: dict[str, FloatArray]  # (draws, levels), by block
    scales: dict[str, FloatArray]  # (draws,), by block
    importance_ess: float  # effective sample size of the importance weights, (Σw)² / Σw²
    pareto_k: float  # shape of their tail
    proposals: int  # that were weighted
    log_evidence: float  # log marginal likelihood, log ∫ p(y | w, θ) p(w, θ) dw dθ
    log_evidence_error: float  # its Monte Carlo error
    outline: Outline  # what the proposals were made from; for a `Start` of a posterior like this


@dataclass(frozen=True, eq=False)
class _Weighted:
    """Proposals with what their weights say."""

    theta: FloatArray  # (proposals, blocks)
    W: FloatArray  # (proposals, size)
    log_weights: FloatArray
    share: FloatArray  # smoothed weights, summing to one
    ess: float
    pareto_k: float


def sample_laplace(
    design: Design,
    *,
    seed: np.random.SeedSequence,
    draws: int,
    start: Start | None = None,
    report: Callable[[str, float], None] | None = None,
) -> Draws:
    """Posterior draws of a hierarchical logit by nested Laplace and importance resampling.

    `start` is where the search for the mode begins, e.g. what a fit with one year less has found;
    `report` is called with what is being done and the share that is done (0 to 1).
    """
    tell = report or (lambda _what, _share: None)
    streams = seed.spawn(_MAX_ROUNDS + 3)
    latent = Latent(design)
    modes = np.zeros(latent.levels)
    tell("mode of the scales", 0.0)
    begin = start or _start(design, latent)
    covariance = None if begin.outline is None else begin.outline.covariance
    at = scale_mode(latent, begin.theta, begin.w, modes, covariance=covariance)
    tell("curvature around the mode", 0.2)
    rng = np.random.default_rng(streams[0])
    proposal = propose(latent, at, modes, rng, outline=begin.outline)
    found = _weighted(proposal, modes, streams[3:], draws, tell, begin.outline is not None)
    if found is None:  # the earlier posterior is too unlike this one: find what it should have told
        proposal = propose(latent, at, modes, np.random.default_rng(streams[0]))
        found = _weighted(proposal, modes, streams[4:], draws, tell)
        assert found is not None
    log_evidence, error = evidence(found.log_weights)
    chosen = resample(found.share, draws, np.random.default_rng(streams[1]))
    theta, W = found.theta[chosen], found.W[chosen]
    effects: dict[str, FloatArray] = {}
    scales = {block.name: np.exp(theta[:, b]) for b, block in enumerate(design.blocks)}
    tell("effects", 0.9)
    for b, block in enumerate(design.blocks):
        if b == latent.group:
            seeds = streams[2].generate_state(draws, np.uint32).astype(np.uint32)
            first, copies = np.unique(chosen, return_index=True, return_inverse=True)[1:]
            sigmas = scales[block.name][first]
            effects[block.name] = latent.draw_group(W[first], sigmas, modes, seeds, copies)
        else:
            effects[block.name] = W[:, latent.slices[b]]
    tell("done", 1.0)
    return Draws(
        W[:, : latent.p], effects, scales, found.ess, found.pareto_k, found.share.size,
        log_evidence, error, proposal.outline,
    )  # fmt: skip


def _weighted(
    proposal: Proposal,
    modes: FloatArray,
    streams: Sequence[np.random.SeedSequence],
    draws: int,
    tell: Callable[[str, float], None],
    borrowed: bool = False,
) -> _Weighted | None:
    """Proposals with their weights; None if those of a `borrowed` outline are worth too little.

    They are added, at most ``draws / 2`` at a time, until the effective sample size of the weights
    is at least ``max(400, draws / 2)`` and the shape of their tail is known, in as many rounds as
    there are streams.
    """
    latent, target = proposal.latent, max(400.0, 0.5 * draws)
    batch = most = max(250, draws // 2)
    thetas, latents, weights = [], [], []
    for done, stream in enumerate(streams):
        tell("importance sampling", min(0.4 + 0.1 * done, 0.8))
        rng = np.random.default_rng(stream)
        theta, density = proposal.scales(rng, batch)
        W, given = proposal.latents(theta, rng)
        likelihood = latent.log_likelihoods(W, np.exp(latent.group_scale(theta)), modes)
        weights.append(likelihood + latent.log_prior(W, theta) - density - given)
        thetas.append(theta)
        latents.append(W)
        share, k = smooth_weights(np.concatenate(weights))
        ess = 1.0 / float(np.sum(share**2))
        if ess >= target and (k < _DOUBTFUL or share.size >= _MOST_PROPOSALS * draws):
            break
        if done == 0 and borrowed and ess < _LEAST_SHARE * batch:
            return None
        # As many again as the share that was worth something promises to be enough.
        more = 1.1 * share.size * (target / ess - 1.0)
        batch = most if ess >= target else int(np.clip(more, 100, most))
    theta, W = np.concatenate(thetas), np.concatenate(latents)
    return _Weighted(theta, W, np.concatenate(weights), share, ess, k)


def _start(design: Design, latent: Latent) -> Start:
    """Where the search for the mode begins if nothing is known.

    Of a large design those of every fourth group: most of the way is gone on few rows.
    """
    if latent.group is not None and design.y.size > _LARGE and latent.levels > _GROUPS:
        block = design.blocks[latent.group]
        some = design.chosen(np.flatnonzero(block.matrix.indices % 4 == 0))
        blocks = list(some.blocks)
        blocks[latent.group] = replace(
            block, levels=block.levels[::4], matrix=blocks[latent.group].matrix[:, ::4]
        )
        some = replace(some, blocks=tuple(blocks))
        part = Latent(some)
        if part.group == latent.group:
            first = _start(some, part)
            at = scale_mode(part, first.theta, first.w, np.zeros(part.levels), within=0.5)
            return Start(at.theta, at.mode)
    scales = np.array([prior.start for prior in latent.scales])
    return Start(np.log(scales), latent.prior_mean.copy())


def smooth_weights(log_weights: FloatArray) -> tuple[FloatArray, float]:
    """Shares of the draws with the tail smoothed, summing to one, and Pareto k.

    Pareto-smoothed importance sampling (Vehtari et al. 2024, JMLR 25:72).
    """
    from arviz_stats import base

    good = np.isfinite(log_weights)
    if not good.any():
        raise DataError(
            "No proposal has a finite posterior density: the columns of the design are on wildly "
            "different scales. Standardise them (a unit of order one)."
        )
    # An impossible proposal has a negligible weight instead of none.
    finite = np.where(good, log_weights, log_weights[good].min() - 50.0)
    # psislw smooths the weights exp(-x): it takes log likelihoods to leave out.
    smoothed, k = cast(Any, base).array_stats.psislw(-finite)
    share = np.exp(smoothed - smoothed.max())
    return share / share.sum(), float(k)


def evidence(log_weights: FloatArray) -> tuple[float, float]:
    """Log of the mean weight, and its Monte Carlo error.

    With weights p(y | w, θ) p(w, θ) / q(w, θ), every density with its constant, the mean is the
    marginal likelihood of the outcomes, so that models of the same outcomes can be compared. The
    error is that of the mean relative to it, √((n Σw²/(Σw)² − 1) / n). The weights are not
    smoothed: the mean of the smoothed ones is slightly too small.
    """
    finite = np.where(np.isfinite(log_weights), log_weights, -np.inf)
    top = finite.max()
    w = np.exp(finite - top)
    relative = np.sum(w**2) / np.sum(w) ** 2 - 1.0 / w.size
    return float(top + np.log(w.mean())), float(np.sqrt(max(relative, 0.0)))


def resample(share: FloatArray, draws: int, rng: np.random.Generator) -> IntArray:
    """Positions of `draws` draws, each as often as its share: systematic, then shuffled.

    The shuffle keeps copies of one draw from being neighbours.
    """
    places = (rng.random() + np.arange(draws)) / draws
    chosen = np.minimum(np.searchsorted(np.cumsum(share), places), share.size - 1)
    return np.asarray(rng.permutation(chosen), dtype=np.int64)
