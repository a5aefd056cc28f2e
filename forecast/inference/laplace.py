"""Nested Laplace over the log scales, corrected by importance sampling.

The posterior of theta = log sigma (one per block) and of the latent ``w`` is sampled in four
steps, none of which leaves an approximation in the result other than Monte Carlo error:

1. One block (dyads) is integrated out by quadrature; see `forecast.inference.latent`.
2. The mode of the marginal posterior of theta, and anchors around it; at every anchor the
   conditional mode of ``w`` and the curvature there (Rue, Martino & Chopin 2009, JRSS B 71:319).
   The Gaussian at the mode is moved to the mean that is optimal in Kullback–Leibler divergence
   (Opper & Archambeau 2009, Neural Computation 21:786), which takes out the skewness to first
   order.
3. theta from a two-piece Student t, ``w`` given theta from the Gaussian whose likelihood part
   is blended from the anchors and whose prior part is exact at that theta; importance weights,
   smoothed as a generalised Pareto tail (PSIS; Vehtari et al. 2024, JMLR 25:72), whose shape
   k̂ says whether they can be trusted; resampling in proportion to them.
4. The integrated block drawn exactly from its one-dimensional conditionals.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import scipy.linalg as sl
from scipy.special import gammaln

from forecast.errors import DataError
from forecast.inference.latent import Latent, Moments
from forecast.modeling.design import Design

__all__ = ["Draws", "sample_laplace"]

FloatArray = npt.NDArray[np.float64]

_DEGREES = 8.0  # of the Student t for log scales
_PAIRS = 24  # antithetic pairs for the Kullback–Leibler optimal mean
_MAX_ROUNDS = 8


@dataclass(frozen=True, eq=False)
class Draws:
    """Posterior draws in the layout of a `Design`.

    Attributes
    ----------
    beta : numpy.ndarray, shape (draws, p)
    effects : dict of str to numpy.ndarray, shape (draws, levels)
        By block.
    scales : dict of str to numpy.ndarray, shape (draws,)
    importance_ess : float
        Effective sample size of the importance weights, (Σw)² / Σw².
    pareto_k : float
        Shape of the tail of the importance weights.
    proposals : int
        Number of proposals that were weighted.
    """

    beta: FloatArray
    effects: dict[str, FloatArray]
    scales: dict[str, FloatArray]
    importance_ess: float
    pareto_k: float
    proposals: int


@dataclass(frozen=True, eq=False)
class _Conditional:
    """Gaussian approximation of ``w`` given theta."""

    theta: FloatArray
    mode: FloatArray
    moments: Moments
    information: FloatArray
    covariance: FloatArray
    gradient: FloatArray  # of the log marginal posterior by theta
    curvature: FloatArray  # rough, positive; of minus the same


def conditional(
    latent: Latent,
    theta: FloatArray,
    w: FloatArray,
    modes: FloatArray,
    information: FloatArray | None = None,
) -> _Conditional:
    """Mode and curvature of ``w`` given theta, by Newton steps that reuse an old Hessian.

    Parameters
    ----------
    latent : Latent
    theta : numpy.ndarray, shape (blocks,)
        Log scales.
    w : numpy.ndarray, shape (size,)
        Start.
    modes : numpy.ndarray, shape (levels,)
        Start of the group effects; overwritten.
    information : numpy.ndarray, optional
        Negative Hessian of the log likelihood at a theta nearby.
    """
    Q = latent.prior_precision(theta)
    sigma = 1.0 if latent.group is None else float(np.exp(theta[latent.group]))

    def objective(moments: Moments, w: FloatArray) -> float:
        r = w - latent.prior_mean
        return moments.value - 0.5 * float(r @ Q @ r)

    moments = latent.moments(w, sigma, modes)
    value = objective(moments, w)
    fresh = information is None
    H = latent.information(moments)[0] if information is None else information
    factor = sl.cho_factor(H + Q, lower=True, check_finite=False)
    last = np.inf
    for _ in range(100):
        gradient = latent.transpose(moments.residual) - Q @ (w - latent.prior_mean)
        step = sl.cho_solve(factor, gradient, check_finite=False)
        decrement = float(gradient @ step)
        if decrement < 1e-6:
            break
        if not fresh and decrement > 0.1 * last:
            H = latent.information(moments)[0]
            factor = sl.cho_factor(H + Q, lower=True, check_finite=False)
            fresh, last = True, np.inf
            continue
        last, length = decrement, 1.0
        while True:
            trial = w + length * step
            new = latent.moments(trial, sigma, modes)
            new_value = objective(new, trial)
            if new_value >= value + 1e-4 * length * decrement or length < 1e-6:
                break
            length *= 0.5
        w, moments, value, fresh = trial, new, new_value, False
        if length < 1e-6:
            break
    H, sums = latent.information(moments)
    factor = sl.cho_factor(H + Q, lower=True, check_finite=False)
    covariance = sl.cho_solve(factor, np.eye(latent.size), check_finite=False)
    gradient, curvature = _scale_gradient(latent, theta, w, moments, covariance, sums)
    return _Conditional(theta, w, moments, H, covariance, gradient, curvature)


def _scale_gradient(
    latent: Latent,
    theta: FloatArray,
    w: FloatArray,
    moments: Moments,
    covariance: FloatArray,
    sums: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Gradient of the log marginal posterior of theta, and a rough curvature.

    By Fisher's identity it is the expectation of the gradient of the joint log density, here
    under the Gaussian approximation of ``w``: −m + E[|D f|²]/σ² + 1 − σ²/s².
    """
    gradient, curvature = np.empty(theta.size), np.empty(theta.size)
    for b, block in enumerate(latent.design.blocks):
        variance = float(np.exp(2 * theta[b]))
        if b == latent.group:
            spread = np.einsum("gi,gi->g", sums @ covariance, sums) * moments.variance
            conditional_variance = moments.variance + spread
            square = float(np.sum(moments.mean**2 + conditional_variance))
            lost = float(np.sum(conditional_variance)) / variance
        else:
            at = slice(latent.p + latent.slices[b].start, latent.p + latent.slices[b].stop)
            K = latent.structures[b]
            traced = float(np.sum(K * covariance[at, at]))
            square = float(w[at] @ K @ w[at]) + traced
            lost = traced / variance
        m = len(block.levels)
        prior = variance / block.scale_prior**2
        gradient[b] = -m + square / variance + 1.0 - prior
        curvature[b] = 2.0 * max(m - lost, 0.3) + 2.0 * prior
    return gradient, curvature


def _scale_mode(
    latent: Latent, theta: FloatArray, w: FloatArray, modes: FloatArray
) -> _Conditional:
    """Root of the gradient by theta: Broyden's method, steps capped."""
    at = conditional(latent, theta, w, modes)
    J = np.diag(-at.curvature)
    for _ in range(40):
        step = np.linalg.solve(J, -at.gradient)
        if not np.isfinite(step).all() or step @ at.gradient <= 0:
            J = np.diag(-at.curvature)
            step = at.gradient / at.curvature
        if np.max(np.abs(step) * np.sqrt(at.curvature), initial=0.0) < 0.05:
            break
        step *= min(1.0, 0.7 / np.max(np.abs(step)))
        new = conditional(latent, at.theta + step, at.mode, modes, at.information)
        change = new.gradient - at.gradient
        J = J + np.outer(change - J @ step, step) / float(step @ step)
        at = new
    return at


@dataclass(frozen=True, eq=False)
class _Proposal:
    """Joint proposal of theta and ``w``; its density is exact whatever it approximates."""

    latent: Latent
    center: FloatArray  # (k,)
    root: FloatArray  # (k, k), lower triangular
    left: FloatArray  # (k,) scales of the two-piece t
    right: FloatArray
    anchors: FloatArray  # (T, k), in units of `root`
    informations: FloatArray  # (T, size, size)
    linears: FloatArray  # (T, size)

    def scales(self, rng: np.random.Generator, draws: int) -> tuple[FloatArray, FloatArray]:
        """Draws of theta with their log density."""
        k = self.center.size
        t = np.abs(rng.standard_t(_DEGREES, (draws, k)))
        negative = rng.random((draws, k)) * (self.left + self.right) < self.left
        scale = np.where(negative, self.left, self.right)
        z = np.where(negative, -t, t) * scale
        nu = _DEGREES
        log_t = (
            gammaln((nu + 1) / 2) - gammaln(nu / 2) - 0.5 * np.log(nu * np.pi)
            - (nu + 1) / 2 * np.log1p(t**2 / nu)
        )  # fmt: skip
        density = np.sum(np.log(2.0 / (self.left + self.right)) + log_t, axis=1)
        density = density - np.sum(np.log(np.diag(self.root)))
        return self.center + z @ self.root.T, density

    def gaussian(self, theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Mean and Cholesky factor of the precision of ``w`` given theta."""
        unit = sl.solve_triangular(self.root, theta - self.center, lower=True)
        distance = np.sum((self.anchors - unit) ** 2, axis=1)
        share = np.exp(-0.5 * (distance - distance.min()))
        share /= share.sum()
        Q = self.latent.prior_precision(theta)
        factor = np.linalg.cholesky(np.tensordot(share, self.informations, axes=1) + Q)
        linear = share @ self.linears + Q @ self.latent.prior_mean
        mean = sl.cho_solve((factor, True), linear, check_finite=False)
        return mean, factor

    def latents(self, theta: FloatArray, z: FloatArray) -> tuple[FloatArray, FloatArray]:
        """``w`` given each theta, from standard normal `z`, with its log density."""
        W, density = np.empty_like(z), np.empty(len(z))

        def run(s0: int, s1: int) -> None:
            for s in range(s0, s1):
                mean, factor = self.gaussian(theta[s])
                W[s] = mean + sl.solve_triangular(
                    factor, z[s], lower=True, trans="T", check_finite=False
                )
                density[s] = (
                    np.sum(np.log(np.diag(factor))) - 0.5 * z[s] @ z[s]
                    - 0.5 * z[s].size * np.log(2 * np.pi)
                )  # fmt: skip

        cuts = np.linspace(0, len(z), 9).astype(int)
        self.latent.each_part(run, [(int(i), int(j)) for i, j in pairwise(cuts) if j > i])
        return W, density


def _corrections(
    latent: Latent, at: _Conditional, modes: FloatArray, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Skewness of the likelihood at the mode, and the gradient by theta that allows for it.

    Antithetic pairs from the Gaussian at the mode, on which the linear part cancels.

    Returns
    -------
    force : numpy.ndarray, shape (size,)
        Mean gradient of the log likelihood by ``w`` less that at the mode.
    gradient : numpy.ndarray, shape (blocks,)
    """
    root = np.linalg.cholesky(at.covariance)
    sigma = 1.0 if latent.group is None else float(np.exp(at.theta[latent.group]))

    def even(U: FloatArray) -> tuple[FloatArray, float]:
        total, square = np.zeros(latent.size), 0.0
        for u in U:
            for sign in (1.0, -1.0):
                moments = latent.moments(w + sign * u, sigma, modes.copy())
                total += latent.transpose(moments.residual - reference.residual)
                square += float(np.sum(moments.mean**2 + moments.variance))
        return total / (2 * len(U)), square / (2 * len(U))

    U = rng.standard_normal((_PAIRS, latent.size)) @ root.T
    w, reference = at.mode, at.moments
    force, square = even(U)
    gradient = at.gradient.copy()
    shift = at.covariance @ force
    if latent.group is not None:
        w = at.mode + shift
        square = even(U[: _PAIRS // 2])[1]
        b = latent.group
        prior = sigma**2 / latent.design.blocks[b].scale_prior ** 2
        gradient[b] = -latent.levels + square / sigma**2 + 1.0 - prior
    for b, where in latent.slices.items():
        f0 = at.mode[latent.p + where.start : latent.p + where.stop]
        f1 = f0 + shift[latent.p + where.start : latent.p + where.stop]
        K = latent.structures[b] * np.exp(-2 * at.theta[b])
        gradient[b] += float(f1 @ K @ f1 - f0 @ K @ f0)
    return force, gradient


def _propose(
    latent: Latent, at: _Conditional, modes: FloatArray, rng: np.random.Generator
) -> _Proposal:
    """Anchors around the mode of theta, and the proposal that they define."""
    k = at.theta.size
    sd = 1.0 / np.sqrt(at.curvature)
    anchors, J = [at], np.empty((k, k))
    sides = np.empty((2, k))
    for b in range(k):
        for _ in range(3):  # until the step is about one standard deviation
            ends = []
            for sign in (-1.0, 1.0):
                theta = at.theta.copy()
                theta[b] += sign * sd[b]
                ends.append(conditional(latent, theta, at.mode, modes.copy(), at.information))
            slope = (ends[1].gradient[b] - ends[0].gradient[b]) / (2 * sd[b])
            found = 1.0 / np.sqrt(max(-slope, 0.25))
            if 0.6 < found / sd[b] < 1.7:
                break
            sd[b] = found
        J[:, b] = (ends[1].gradient - ends[0].gradient) / (2 * sd[b])
        for side, end in enumerate(ends):
            bend = abs(end.gradient[b] - at.gradient[b]) / sd[b]
            sides[side, b] = 1.0 / np.sqrt(max(bend, 0.1))
        anchors += ends
    root = np.zeros((0, 0))
    if k:
        values, vectors = np.linalg.eigh(-0.5 * (J + J.T))
        covariance = (vectors / np.maximum(values, 0.25)) @ vectors.T
        root = np.linalg.cholesky(covariance)
    width = np.diag(root)
    force, gradient = _corrections(latent, at, modes, rng)
    center = at.theta + np.clip(root @ (root.T @ gradient), -sd, sd)
    linears = []
    for anchor in anchors:
        Q = latent.prior_precision(anchor.theta)
        mean = anchor.mode + anchor.covariance @ force
        linears.append((anchor.information + Q) @ mean - Q @ latent.prior_mean)
    units = np.array([a.theta - center for a in anchors]).reshape(len(anchors), k)
    return _Proposal(
        latent,
        center,
        root,
        sides[0] / width,
        sides[1] / width,
        sl.solve_triangular(root, units.T, lower=True).T if k else units,
        np.array([a.information for a in anchors]),
        np.array(linears),
    )


def sample_laplace(
    design: Design,
    *,
    seed: np.random.SeedSequence,
    draws: int,
    start: tuple[FloatArray, FloatArray] | None = None,
    report: Callable[[str, float], None] | None = None,
) -> Draws:
    """Posterior draws of a hierarchical logit by nested Laplace and importance resampling.

    Parameters
    ----------
    design : Design
        Arrays of the model.
    seed : numpy.random.SeedSequence
        All randomness comes from it.
    draws : int
        Draws to return. Proposals are added, `draws` at a time, until the effective sample
        size of the weights is at least ``max(500, draws / 2)`` (at most eight times).
    start : (log scales, w), optional
        Where to start the search for the mode, e.g. that of a fit with one year less.
    report : callable, optional
        Called with what is being done and the share that is done (0 to 1).

    Returns
    -------
    Draws
    """
    from arviz_stats import base

    statistics = cast(Any, base).array_stats

    tell = report or (lambda _what, _share: None)
    streams = seed.spawn(_MAX_ROUNDS + 3)
    latent = Latent(design)
    blocks = design.blocks
    modes = np.zeros(latent.levels)
    tell("mode of the scales", 0.0)
    theta, w = start or (
        np.log([0.6 * block.scale_prior for block in blocks]),
        latent.prior_mean.copy(),
    )
    at = _scale_mode(latent, np.asarray(theta, dtype=np.float64), w, modes)
    tell("curvature around the mode", 0.2)
    proposal = _propose(latent, at, modes, np.random.default_rng(streams[0]))
    target = max(500.0, 0.5 * draws)
    thetas, latents, weights = [], [], []
    for done in range(_MAX_ROUNDS):
        tell("importance sampling", min(0.4 + 0.2 * done, 0.8))
        rng = np.random.default_rng(streams[3 + done])
        theta, density = proposal.scales(rng, draws)
        W, given = proposal.latents(theta, rng.standard_normal((draws, latent.size)))
        sigma = np.ones(draws) if latent.group is None else np.exp(theta[:, latent.group])
        likelihood = latent.log_likelihoods(W, sigma, modes)
        weights.append(likelihood + latent.log_prior(W, theta) - density - given)
        thetas.append(theta)
        latents.append(W)
        # psislw smooths the weights exp(-x): it takes log likelihoods to leave out.
        smoothed, k = statistics.psislw(-_finite(np.concatenate(weights)))
        share = np.exp(smoothed - smoothed.max())
        share /= share.sum()
        ess = 1.0 / float(np.sum(share**2))
        if ess >= target:
            break
    rng = np.random.default_rng(streams[1])
    # Systematic resampling, then a shuffle so that neighbours are not copies of each other.
    places = (rng.random() + np.arange(draws)) / draws
    chosen = np.minimum(np.searchsorted(np.cumsum(share), places), share.size - 1)
    chosen = rng.permutation(chosen)
    theta, W = np.concatenate(thetas)[chosen], np.concatenate(latents)[chosen]
    effects: dict[str, FloatArray] = {}
    scales = {block.name: np.exp(theta[:, b]) for b, block in enumerate(blocks)}
    tell("effects", 0.9)
    for b, block in enumerate(blocks):
        if b == latent.group:
            seeds = streams[2].generate_state(draws, np.uint32).astype(np.uint32)
            effects[block.name] = latent.draw_group(W, scales[block.name], modes, seeds)
        else:
            where = latent.slices[b]
            effects[block.name] = W[:, latent.p + where.start : latent.p + where.stop]
    tell("done", 1.0)
    return Draws(W[:, : latent.p], effects, scales, ess, float(k), share.size)


def _finite(log_weights: FloatArray) -> FloatArray:
    """Log weights in which an impossible proposal has a negligible weight instead of none."""
    good = np.isfinite(log_weights)
    if not good.any():
        raise DataError(
            "No proposal has a finite posterior density: the columns of the design are on wildly "
            "different scales. Standardise them (a unit of order one)."
        )
    return np.where(good, log_weights, log_weights[good].min() - 50.0)
