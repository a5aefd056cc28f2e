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

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.linalg as sl
from scipy.special import gammaln

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


def _scale_mode(latent: Latent, theta: FloatArray, w: FloatArray, modes: FloatArray) -> _Conditional:
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
        self.latent.each_part(
            run, [(int(i), int(j)) for i, j in zip(cuts[:-1], cuts[1:], strict=True) if j > i]
        )
        return W, density


def _force(
    latent: Latent, at: _Conditional, modes: FloatArray, rng: np.random.Generator
) -> FloatArray:
    """Mean gradient of the log likelihood under the Gaussian at its mode, less that at the mode.

    Antithetic pairs cancel the linear part, so that only the skewness is left.
    """
    root = np.linalg.cholesky(at.covariance)
    sigma = 1.0 if latent.group is None else float(np.exp(at.theta[latent.group]))
    total = np.zeros(latent.size)
    for _ in range(_PAIRS):
        u = root @ rng.standard_normal(latent.size)
        for sign in (1.0, -1.0):
            moments = latent.moments(at.mode + sign * u, sigma, modes.copy())
            total += latent.transpose(moments.residual - at.moments.residual)
    return total / (2 * _PAIRS)


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
                ends.append(
                    conditional(latent, theta, at.mode, modes.copy(), at.information)
                )
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
    force = _force(latent, at, modes, rng)
    linears = []
    for anchor in anchors:
        Q = latent.prior_precision(anchor.theta)
        mean = anchor.mode + anchor.covariance @ force
        linears.append((anchor.information + Q) @ mean - Q @ latent.prior_mean)
    units = np.array([a.theta - at.theta for a in anchors]).reshape(len(anchors), k)
    return _Proposal(
        latent,
        at.theta,
        root,
        sides[0] / width * 1.1,
        sides[1] / width * 1.1,
        sl.solve_triangular(root, units.T, lower=True).T if k else units,
        np.array([a.information for a in anchors]),
        np.array(linears),
    )
