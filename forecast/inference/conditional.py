"""The Gaussian approximation of the latent vector given the scales; their mode; skewness there."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import scipy.linalg as sl

from forecast.arrays import FloatArray
from forecast.inference.latent import Latent, Moments

__all__ = ["Conditional", "Measure", "conditional", "scale_jacobian", "scale_mode", "skewed"]


_DECREMENT = 1e-3  # squared distance to the mode, in posterior standard deviations, to stop at
_LONGEST = 1.0  # step of a log scale
_FAR = 0.5  # step of a log scale, in standard deviations, after which curvature is taken anew
_LEAST_CURVATURE = 0.3  # of the log marginal posterior by a log scale, in the search
_PAIRS = 6  # antithetic pairs of the Kullback–Leibler optimal mean
_SHIFT = 0.4  # of all predictors, about a standard deviation of one, to see how they bend
_MOST = 0.9  # parameter of the skewed coordinates
_NORMAL, _WEIGHT = np.polynomial.hermite_e.hermegauss(64)
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

    The search starts at `w`, and for the group effects at `modes` (levels,), overwritten. `near`
    is at a theta nearby, whose Hessian serves until it is too old. Without `refresh` the Hessian
    of `near`, or of the start, stays in the result unless it proved too old: enough where only the
    gradient is wanted and the scale of the group block is the same.
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
    under the Gaussian approximation of ``w``: −m + E[|D f|²]/σ² and that of the prior.
    """
    gradient, curvature = np.empty(theta.size), 0.0
    for b, scale in enumerate(latent.scales):
        variance = float(np.exp(2 * theta[b]))
        prior, bend = scale.pull(theta[b])
        if b == latent.group:
            m = latent.levels
            product = sums @ covariance.astype(sums.dtype)
            spread = np.einsum("gi,gi->g", product, sums) * moments.variance
            conditional_variance = moments.variance + spread
            square = float(np.sum(moments.mean**2 + conditional_variance))
            lost = float(np.sum(conditional_variance)) / variance
            curvature = 2.0 * max(m - lost, 0.3) + bend
        else:
            at, K = latent.slices[b], latent.structures[b]
            f, m = w[at] - latent.prior_mean[at], len(K)
            square = float(f @ K @ f) + float(np.sum(K * covariance[at, at]))
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
    effect = {b: at.mode[at_b] - latent.prior_mean[at_b] for b, at_b in where.items()}
    pulled = {b: latent.structures[b] @ f for b, f in effect.items()}
    for b, at_b in where.items():
        variance, K = np.exp(2.0 * at.theta[b]), latent.structures[b]
        square = float(effect[b] @ pulled[b] + np.sum(K * at.covariance[at_b, at_b]))
        for c, at_c in where.items():
            shared = at.covariance[at_b, at_c]
            moved = 2.0 * float(pulled[b] @ shared @ pulled[c])
            moved += float(np.sum((K @ shared) * (shared @ latent.structures[c])))
            J[b, c] = 2.0 * moved / variance * np.exp(-2.0 * at.theta[c])
        J[b, b] -= 2.0 * square / variance + latent.scales[b].pull(at.theta[b])[1]
    if latent.group is not None:
        mean, spread, b = at.moments.mean, at.moments.variance, latent.group
        variance = float(np.exp(2.0 * at.theta[b]))
        moved = 4.0 * np.sum(spread * mean**2) + 2.0 * np.sum(spread**2)
        slope = moved / variance**2 - 2.0 * np.sum(mean**2 + spread) / variance
        slope -= latent.scales[b].pull(at.theta[b])[1]
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

    `within` is the standard deviations of each log scale at which a step is too small to matter;
    `covariance`, if known, about that of the log scales in the posterior.
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


class Measure:
    """Measures skewness at a conditional mode and at others nearby.

    Means under a Gaussian are over antithetic pairs, on which the linear part cancels. Most of
    what is left is quadratic in the predictor of a row, and the mean of that is known: it is
    taken from the pairs as a control variate.

    The control variate is of the mode `at`; the others see the same pairs. `modes` (levels,) is
    where to start the search for each conditional mode of the group block.
    """

    def __init__(
        self, latent: Latent, at: Conditional, modes: FloatArray, rng: np.random.Generator
    ) -> None:
        self._latent, self._modes = latent, modes
        self._normals = rng.standard_normal((_PAIRS, latent.size))
        sigma = float(np.exp(latent.group_scale(at.theta)))
        low, high = (
            latent.moments(at.mode, sigma, modes.copy(), quick=True, shift=shift).residual
            for shift in (-_SHIFT, _SHIFT)
        )
        bend = (low + high - 2.0 * at.moments.residual.astype(np.float64)) / _SHIFT**2
        U = sl.cholesky(at.information + latent.prior_precision(at.theta), check_finite=False)
        spread, self.thirds = latent.rows.powers(sl.lapack.dtrtri(U)[0].T, bend)
        seen, _ = latent.rows.powers(self._steps(at), bend)
        self._missed = latent.rows.transpose(0.5 * bend * (spread - seen / _PAIRS))

    def _steps(self, at: Conditional) -> FloatArray:
        """One of each pair, from the Gaussian at a mode, (pairs, size)."""
        return np.asarray(self._normals @ np.linalg.cholesky(at.covariance).T)

    def force(self, at: Conditional) -> FloatArray:
        """That of `Outline` at one mode."""
        latent = self._latent
        sigma = float(np.exp(latent.group_scale(at.theta)))
        difference = np.zeros_like(at.moments.residual)
        for u in self._steps(at):
            for step in (u, -u):
                moments = latent.moments(at.mode + step, sigma, self._modes.copy(), quick=True)
                difference += moments.residual - at.moments.residual
        return self._missed + latent.rows.transpose(difference) / (2 * _PAIRS)


def skewed(x: FloatArray, thirds: FloatArray, nu: float) -> tuple[FloatArray, FloatArray]:
    """Student t variables made skewed, with the logarithm of the derivative.

    z = (x cosh ε + √(1 + x²) sinh ε − m) / s, the sinh–arcsinh transformation (Jones & Pewsey
    2009, Biometrika 96:761), with m and s such that mean and variance stay those of x, and ε such
    that a standard normal x gets the third moment of a density proportional to
    exp(−z²/2 + third z³/6) to first order.

    x is (draws, size) with nu degrees of freedom, thirds (size,).
    """
    epsilon, moment = _skewed_thirds()
    epsilon = np.interp(thirds, moment, epsilon)
    ch, sh = np.cosh(epsilon), np.sinh(epsilon)
    variance = 1.0 if np.isinf(nu) else nu / (nu - 2.0)
    root = np.sqrt(1.0 + x**2)
    center = _mean_root(nu)
    m = center * sh
    s = np.sqrt(ch**2 + sh**2 * (1.0 + variance - center**2) / variance)
    return (x * ch + root * sh - m) / s, np.log((ch + x / root * sh) / s)


@cache
def _skewed_thirds() -> tuple[FloatArray, FloatArray]:
    """Parameters, and the third moments that they give a standard normal variable."""
    epsilon = np.linspace(-_MOST, _MOST, 181)
    S = _NORMAL * np.cosh(epsilon)[:, None] + np.sqrt(1 + _NORMAL**2) * np.sinh(epsilon)[:, None]
    weight = _WEIGHT / _WEIGHT.sum()
    S -= (S @ weight)[:, None]
    return epsilon, (S**3 @ weight) / (S**2 @ weight) ** 1.5


@cache
def _mean_root(nu: float) -> float:
    """E √(1 + x²) of a Student t variable."""
    from scipy.integrate import quad
    from scipy.stats import t

    return float(quad(lambda x: 2.0 * np.sqrt(1.0 + x * x) * t.pdf(x, nu), 0.0, np.inf)[0])
