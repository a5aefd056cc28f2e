"""The Gaussian approximation of the latent vector given the scales, and the mode of the scales."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.linalg as sl

from forecast.inference.latent import Latent, Moments

__all__ = ["Conditional", "conditional", "scale_mode"]

FloatArray = npt.NDArray[np.float64]

_DECREMENT = 1e-3  # squared distance to the mode, in posterior standard deviations, to stop at
_FAR = 0.5  # step of a log scale, in standard deviations, after which curvature is taken anew
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
    curvature: FloatArray  # rough, positive; of minus the same


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
        False keeps the Hessian of `near` in the result unless it proved too old: enough where
        only the gradient is wanted and the scale of the group block is the same.
    """
    Q = latent.prior_precision(theta)
    sigma = 1.0 if latent.group is None else float(np.exp(theta[latent.group]))

    def objective(moments: Moments, w: FloatArray) -> float:
        r = w - latent.prior_mean
        return moments.value - 0.5 * float(r @ Q @ r)

    moments = latent.moments(w, sigma, modes, quick=True)
    value = objective(moments, w)
    fresh = stale = near is None
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
) -> tuple[FloatArray, FloatArray]:
    """Gradient of the log marginal posterior of theta, and a rough curvature.

    By Fisher's identity it is the expectation of the gradient of the joint log density, here
    under the Gaussian approximation of ``w``: −m + E[|D f|²]/σ² + 1 − σ²/s².
    """
    gradient, curvature = np.empty(theta.size), np.empty(theta.size)
    for b, block in enumerate(latent.design.blocks):
        variance = float(np.exp(2 * theta[b]))
        if b == latent.group:
            product = sums @ covariance.astype(sums.dtype)
            spread = np.einsum("gi,gi->g", product, sums) * moments.variance
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


def scale_mode(
    latent: Latent,
    theta: FloatArray,
    w: FloatArray,
    modes: FloatArray,
    *,
    within: float = 0.05,
) -> Conditional:
    """Root of the gradient by theta: Broyden's method, steps capped.

    Parameters
    ----------
    latent, theta, w, modes
        See `conditional`.
    within : float
        Standard deviations of each log scale at which a step is too small to matter.
    """
    at = conditional(latent, theta, w, modes)
    J = np.diag(-at.curvature)
    for _ in range(40):
        step = np.linalg.solve(J, -at.gradient)
        if not np.isfinite(step).all() or step @ at.gradient <= 0:
            J = np.diag(-at.curvature)
            step = at.gradient / at.curvature
        if np.max(np.abs(step) * np.sqrt(at.curvature), initial=0.0) < within:
            break
        step *= min(1.0, 0.7 / np.max(np.abs(step)))
        far = float(np.max(np.abs(step) * np.sqrt(at.curvature), initial=0.0))
        new = conditional(latent, at.theta + step, at.mode, modes, at, refresh=far > _FAR)
        change = new.gradient - at.gradient
        J = J + np.outer(change - J @ step, step) / float(step @ step)
        at = new
    return conditional(latent, at.theta, at.mode, modes, at)
