"""The Gaussian approximation of the latent vector given the scales, and the mode of the scales."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.linalg as sl

from forecast.inference.latent import Latent, Moments

__all__ = ["Conditional", "conditional", "scale_jacobian", "scale_mode"]

FloatArray = npt.NDArray[np.float64]

_DECREMENT = 1e-3  # squared distance to the mode, in posterior standard deviations, to stop at
_LONGEST = 1.0  # step of a log scale
_FAR = 0.5  # step of a log scale, in standard deviations, after which curvature is taken anew
_LEAST_CURVATURE = 0.3  # of the log marginal posterior by a log scale, in the search
_NOISE = 2e-7  # relative, of a log likelihood in single precision


@dataclass(frozen=True, eq=False)
class Conditional:
    """Gaussian approximation of ``w`` given theta."""

    theta: FloatArray
    mode: FloatArray
    moments: Moments
    information: FloatArray
    sums: FloatArray
    covariance: FloatArray
    gradient: FloatArray  # of the log marginal posterior by theta
    curvature: float  # of minus the same by the group block, rough, positive; zero without one


def conditional(
    latent: Latent,
    theta: FloatArray,
    w: FloatArray,
    modes: FloatArray,
    near: Conditional | None = None,
    *,
    refresh: bool = True,
) -> Conditional:
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
    near : Conditional, optional
        At a theta nearby; its Hessian serves until it is too old.
    refresh : bool
        False keeps the Hessian of `near`, or of the start, in the result unless it proved too
        old: enough where only the gradient is wanted and the scale of the group block is the same.
    """
    Q = latent.prior_precision(theta)
    sigma = float(np.exp(latent.group_scale(theta)))

    def objective(moments: Moments, w: FloatArray) -> float:
        r = w - latent.prior_mean
        return moments.value - 0.5 * float(r @ Q @ r)

    moments = latent.moments(w, sigma, modes, quick=True)
    value = objective(moments, w)
    fresh, stale = near is None, False
    H, sums = latent.information(moments) if near is None else (near.information, near.sums)
    factor = sl.cho_factor(H + Q, lower=True, check_finite=False)
    last = np.inf
    for _ in range(100):
        gradient = latent.rows.transpose(moments.residual) - Q @ (w - latent.prior_mean)
        step = sl.cho_solve(factor, gradient, check_finite=False)
        decrement = float(gradient @ step)
        if decrement < _DECREMENT:
            break
        if not fresh and decrement > 0.1 * last:
            H, sums = latent.information(moments)
            stale = True
            factor = sl.cho_factor(H + Q, lower=True, check_finite=False)
            fresh, last = True, np.inf
            continue
        last, length = decrement, 1.0
        while True:
            trial = w + length * step
            new = latent.moments(trial, sigma, modes, quick=True)
            new_value = objective(new, trial)
            if (
                new_value >= value + 1e-4 * length * decrement - _NOISE * abs(value)
                or length < 1e-6
            ):
                break
            length *= 0.5
        w, moments, value, fresh = trial, new, new_value, False
        if length < 1e-6:
            break
    if refresh or stale:
        H, sums = latent.information(moments)
        factor = sl.cho_factor(H + Q, lower=True, check_finite=False)
    lower = sl.lapack.dpotri(factor[0], lower=True)[0]
    covariance = np.tril(lower) + np.tril(lower, -1).T
    gradient, curvature = _scale_gradient(latent, theta, w, moments, covariance, sums)
    return Conditional(theta, w, moments, H, sums, covariance, gradient, curvature)


def _scale_gradient(
    latent: Latent,
    theta: FloatArray,
    w: FloatArray,
    moments: Moments,
    covariance: FloatArray,
    sums: FloatArray,
) -> tuple[FloatArray, float]:
    """Gradient of the log marginal posterior of theta, and `Conditional.curvature`.

    By Fisher's identity it is the expectation of the gradient of the joint log density, here
    under the Gaussian approximation of ``w``: −m + E[|D f|²]/σ² + 1 − σ²/s².
    """
    gradient, curvature = np.empty(theta.size), 0.0
    for b, block in enumerate(latent.design.blocks):
        m, variance = len(block.levels), float(np.exp(2 * theta[b]))
        prior = variance / block.scale_prior**2
        if b == latent.group:
            product = sums @ covariance.astype(sums.dtype)
            spread = np.einsum("gi,gi->g", product, sums) * moments.variance
            conditional_variance = moments.variance + spread
            square = float(np.sum(moments.mean**2 + conditional_variance))
            lost = float(np.sum(conditional_variance)) / variance
            curvature = 2.0 * max(m - lost, 0.3) + 2.0 * prior
        else:
            at, K = latent.slices[b], latent.structures[b]
            square = float(w[at] @ K @ w[at]) + float(np.sum(K * covariance[at, at]))
        gradient[b] = -m + square / variance + 1.0 - prior
    return gradient, curvature


def scale_jacobian(latent: Latent, at: Conditional) -> FloatArray:
    """Derivative of the gradient by theta, without what ties the group block to others, (k, k).

    The likelihood is taken as quadratic in ``w``: dw/dθ_c = 2 C K_c w_c / σ_c² and
    dC/dθ_c = 2 C K_c C / σ_c², with the covariance C and the precisions K_c at σ_c = 1; and as
    quadratic in every group effect given ``w``.
    """
    J = np.zeros((at.theta.size, at.theta.size))
    where = latent.slices
    pulled = {b: latent.structures[b] @ at.mode[at_b] for b, at_b in where.items()}
    for b, at_b in where.items():
        variance, K = np.exp(2.0 * at.theta[b]), latent.structures[b]
        square = float(at.mode[at_b] @ pulled[b] + np.sum(K * at.covariance[at_b, at_b]))
        for c, at_c in where.items():
            shared = at.covariance[at_b, at_c]
            moved = 2.0 * float(pulled[b] @ shared @ pulled[c])
            moved += float(np.sum((K @ shared) * (shared @ latent.structures[c])))
            J[b, c] = 2.0 * moved / variance * np.exp(-2.0 * at.theta[c])
        prior = variance / latent.design.blocks[b].scale_prior ** 2
        J[b, b] -= 2.0 * square / variance + 2.0 * prior
    if latent.group is not None:
        mean, spread, b = at.moments.mean, at.moments.variance, latent.group
        variance = float(np.exp(2.0 * at.theta[b]))
        moved = 4.0 * np.sum(spread * mean**2) + 2.0 * np.sum(spread**2)
        prior = variance / latent.design.blocks[b].scale_prior ** 2
        slope = moved / variance**2 - 2.0 * np.sum(mean**2 + spread) / variance - 2.0 * prior
        J[b, b] = min(float(slope), -_LEAST_CURVATURE)
    return J


def scale_mode(
    latent: Latent,
    theta: FloatArray,
    w: FloatArray,
    modes: FloatArray,
    *,
    within: float = 0.2,
    covariance: FloatArray | None = None,
) -> Conditional:
    """Root of the gradient by theta: Newton's method, with a secant for the group block.

    Parameters
    ----------
    latent, theta, w, modes
        See `conditional`.
    within : float
        Standard deviations of each log scale at which a step is too small to matter.
    covariance : numpy.ndarray, shape (blocks, blocks), optional
        About that of the log scales in the posterior.
    """
    fresh = covariance is None
    at = conditional(latent, theta, w, modes, refresh=fresh)
    J = scale_jacobian(latent, at) if covariance is None else -np.linalg.inv(covariance)
    for _ in range(40):
        # Where the density is not log-concave in theta, up the slope all the same.
        values, vectors = np.linalg.eigh(-J)
        inverse = (vectors / np.maximum(np.abs(values), _LEAST_CURVATURE)) @ vectors.T
        step = inverse @ at.gradient
        step *= _LONGEST / np.max(np.abs(step), initial=_LONGEST)
        far = float(np.max(np.abs(step) / np.sqrt(np.diag(inverse)), initial=0.0))
        if far < within:
            break
        fresh = far > _FAR
        new = conditional(latent, at.theta + step, at.mode, modes, at, refresh=fresh)
        change, g = new.gradient - at.gradient, latent.group
        at, slope = new, 0.0 if g is None else J[g, g]
        J = scale_jacobian(latent, at)
        if g is not None:
            # Group effects are too far from Gaussian for that: a secant.
            small = abs(step[g]) < 0.1 * within * np.sqrt(inverse[g, g])
            J[g, g] = slope if small else min(change[g] / step[g], 0.5 * J[g, g])
    return at if fresh else conditional(latent, at.theta, at.mode, modes, at)
