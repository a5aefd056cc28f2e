"""The joint proposal of log scales and latent vector from which the posterior is resampled."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import scipy.linalg as sl
from scipy.interpolate import CubicSpline
from scipy.special import gammaln, logsumexp

from forecast.arrays import FloatArray, SingleArray
from forecast.inference.conditional import Conditional, Measure, conditional, scale_jacobian, skewed
from forecast.inference.latent import Latent
from forecast.inference.linear_map import each_part
from forecast.inference.row_kernels import compiled
from forecast.inference.warm_start import Outline

__all__ = ["Proposal", "propose"]


_HIGH = 2.5  # standard deviations from the mode to the last anchor of the group block
_LOW = 6.0  # to the first: that of a block that may not be needed has an exponential tail
_LOWEST = 1.6  # log scale below the mode to go at most: a fifth of a scale is almost none
_APART = 0.02  # of log scales of anchors, at least
_TRIALS = 8  # antithetic pairs of proposals by which the density of a scale is found
_LEAST_FALL = 0.3  # of the log density by the axis of the group block, beyond the last point
_WIDE = 0.05  # share of the wide part in the density of each independent variable behind theta
_LEAST_PRECISION = 0.25  # of a log scale: further out the tables know better
_SMALLEST = -40.0  # log scale whose precision single precision can hold
_GRID = np.linspace(-24.0, 10.0, 1361)  # of each independent variable behind theta


@compiled
def _cholesky(P: SingleArray) -> SingleArray:
    """Lower factor. Compiled for the call alone: numpy's takes twice as long, scipy's the lock."""
    return np.linalg.cholesky(P)


@dataclass(frozen=True, eq=False)
class Proposal:
    """Joint proposal of theta and ``w``; its density is exact whatever it approximates.

    theta = center + root x (but see `_place`), with independent x_j whose log density is linear
    between the points of `_GRID`; ``w`` given theta has the mean, the precision and the skewness
    of the posterior's approximation, and slightly heavier tails.
    """

    latent: Latent
    center: FloatArray  # (k,)
    root: FloatArray  # (k, k), triangular once the group block is put first
    anchors: FloatArray  # (T,), log scales of the group block, ascending
    informations: SingleArray  # (T, size, size)
    linears: FloatArray  # (T, size)
    constants: FloatArray  # (T,)
    tables: FloatArray  # (k, grid), log densities of x_j up to a constant
    outline: Outline  # that it is made from

    def scales(self, rng: np.random.Generator, draws: int) -> tuple[FloatArray, FloatArray]:
        """Draws of theta with their log density."""
        k = self.center.size
        x, density = np.empty((draws, k)), np.zeros(draws)
        width = _GRID[1] - _GRID[0]
        for j, table in enumerate(self.tables):
            # Between two points the density is exponential: its mass is the logarithmic mean.
            slope = np.diff(table)
            small = np.abs(slope) < 1e-9
            safe = np.where(small, 1.0, slope)
            mass = np.exp(table[:-1]) * np.where(small, 1.0, np.expm1(safe) / safe) * width
            cumulative = np.cumsum(mass)
            u = rng.random(draws) * cumulative[-1]
            cell = np.minimum(np.searchsorted(cumulative, u), mass.size - 1)
            v = rng.random(draws)
            inside = np.where(small[cell], v, np.log1p(v * np.expm1(safe[cell])) / safe[cell])
            x[:, j] = _GRID[cell] + inside * width
            density += table[cell] + inside * slope[cell] - np.log(cumulative[-1])
        if k:
            density -= np.linalg.slogdet(self.root)[1]
        return _place(self.latent.group, self.center, self.root, x), density

    def gaussian(self, theta: FloatArray) -> tuple[FloatArray, FloatArray, float]:
        """``w`` given theta as U⁻¹(half + z) with z standard normal, and log p(theta | y).

        U (size, size) is upper triangular in the order of LAPACK, U'U the precision of ``w``.
        The last is up to a constant, and as good as the quadratic likelihood of the anchors.
        """
        low, high, share = 0, 0, 0.0
        if self.latent.group is not None:
            at = float(np.clip(theta[self.latent.group], self.anchors[0], self.anchors[-1]))
            high = min(int(np.searchsorted(self.anchors, at, side="right")), self.anchors.size - 1)
            low = high - 1
            # In the scale itself the likelihood changes more evenly than in its logarithm.
            here, first, last = np.exp([at, self.anchors[low], self.anchors[high]])
            share = float((here - first) / (last - first))
        P = self.informations[low] * np.float32(1.0 - share)
        if share:
            P += self.informations[high] * np.float32(share)
        self.latent.add_prior_precision(P, np.maximum(theta, _SMALLEST))
        # Single precision: the density is that of the Gaussian with this U, whatever it rounds.
        U = _cholesky(P).T.astype(np.float64)
        pull = self.latent.prior_pull(np.maximum(theta, _SMALLEST))
        linear = (1.0 - share) * self.linears[low] + share * self.linears[high] + pull
        half = sl.blas.dtrsv(U, linear, trans=1)
        evidence = (
            float(self.latent.log_scale_prior(theta))
            - sum((w.stop - w.start) * theta[b] for b, w in self.latent.slices.items())
            - float(np.sum(np.log(np.diag(U))))
            + 0.5 * float(half @ half - self.latent.prior_mean @ pull)
            + float((1.0 - share) * self.constants[low] + share * self.constants[high])
        )
        return U, half, evidence

    def evidence(
        self, theta: FloatArray, modes: FloatArray, rng: np.random.Generator
    ) -> FloatArray:
        """Estimates of the log marginal posterior of theta up to a constant, one for each row.

        By importance sampling with the same antithetic pairs for all: their differences are about
        .1 off.
        """
        latent = self.latent
        x = rng.standard_normal((_TRIALS, latent.size))
        x = np.concatenate([x, -x])
        z, stretch = skewed(x, self.outline.thirds, np.inf)
        log_density = -0.5 * np.sum(x**2, axis=1) - np.sum(stretch, axis=1)
        out = np.empty(len(theta))
        for t, here in enumerate(theta):
            U, half, _ = self.gaussian(here)
            W = sl.solve_triangular(U, (half + z).T, check_finite=False).T
            sigmas = np.full(len(W), np.exp(latent.group_scale(here)))
            value = latent.log_likelihoods(W, sigmas, modes)
            value += latent.log_prior(W, here) - log_density - np.sum(np.log(np.diag(U)))
            out[t] = logsumexp(value) - np.log(len(W))
        return out

    def latents(self, theta: FloatArray, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
        """``w`` given each theta, with its log density.

        In the whitened coordinates each component is Student t, with more degrees of freedom
        the more components there are: a Gaussian has lighter tails than a skewed posterior,
        and then the weights have no bound.
        """
        nu = max(4.0, 3.0 * np.sqrt(self.latent.size), self.latent.size / 2.0)
        x = rng.standard_t(nu, (len(theta), self.latent.size))
        z, stretch = skewed(x, self.outline.thirds, nu)
        log_t = np.sum(
            gammaln((nu + 1) / 2) - gammaln(nu / 2) - 0.5 * np.log(nu * np.pi)
            - (nu + 1) / 2 * np.log1p(x**2 / nu) - stretch,
            axis=1,
        )  # fmt: skip
        W, density = np.empty_like(z), np.empty(len(z))

        def run(s0: int, s1: int) -> None:
            for s in range(s0, s1):
                U, half, _ = self.gaussian(theta[s])
                W[s] = sl.blas.dtrsv(U, half + z[s])
                density[s] = np.sum(np.log(np.diag(U))) + log_t[s]

        cuts = np.linspace(0, len(z), 9).astype(int)
        each_part(run, [(int(i), int(j)) for i, j in pairwise(cuts) if j > i])
        return W, density


def _place(group: int | None, center: FloatArray, root: FloatArray, x: FloatArray) -> FloatArray:
    """Theta of the independent variables behind it, (..., k): center + root x, bent at low scales.

    Where the group block has next to no scale, less of it changes nothing: the other scales move
    along with its square there. The determinant of the map stays that of `root`.
    """
    theta = center + x @ root.T
    if group is not None:
        below, twice = np.minimum(x[..., group], 0.0), 2.0 * root[group, group]
        bent = np.expm1(twice * below) / twice - below
        others = np.arange(center.size) != group
        theta[..., others] += bent[..., None] * root[others, group]
    return np.asarray(theta)


def _scale_covariance(
    latent: Latent, at: Conditional, modes: FloatArray
) -> tuple[FloatArray, list[Conditional]]:
    """Covariance of theta by the curvature of its log marginal posterior, (k, k).

    With the conditional modes a standard deviation of the group block on either side.
    """
    J, b = scale_jacobian(latent, at), latent.group
    ends: list[Conditional] = []
    if b is not None:
        sd = 1.0 / np.sqrt(at.curvature)
        for _ in range(3):  # until the step is about one standard deviation
            ends = []
            for sign in (-1.0, 1.0):
                theta = at.theta.copy()
                theta[b] += sign * sd
                ends.append(conditional(latent, theta, at.mode, modes.copy(), at))
            slope = (ends[1].gradient - ends[0].gradient) / (2 * sd)
            found = 1.0 / np.sqrt(max(-slope[b], _LEAST_PRECISION))
            if 0.6 < found / sd < 1.7:
                break
            sd = found
        J[:, b] = J[b] = slope
    values, vectors = np.linalg.eigh(-J)
    return (vectors / np.maximum(values, _LEAST_PRECISION)) @ vectors.T, ends


def propose(
    latent: Latent,
    at: Conditional,
    modes: FloatArray,
    rng: np.random.Generator,
    *,
    outline: Outline | None = None,
) -> Proposal:
    """Anchors around the mode of theta, and the proposal that they define.

    An `outline` is of a posterior like this one; without it, it is found.
    """
    if outline is not None and outline.spans(float(latent.group_scale(at.theta))):
        axes, near = _revisit(latent, at, modes, outline)
    else:
        axes, near, outline = _explore(latent, at, modes, rng)
    scales = [float(latent.group_scale(anchor.theta)) for anchor in near]
    linears, constants = [], []
    for anchor, scale in zip(near, scales, strict=True):
        Q, w, H = latent.prior_precision(anchor.theta), anchor.mode, anchor.information
        force = outline.force(scale)
        linear = (H + Q) @ (w + anchor.covariance @ force) - Q @ latent.prior_mean
        linears.append(linear)
        constants.append(anchor.moments.value - linear @ w + 0.5 * w @ H @ w)
    flat = Proposal(
        latent,
        *axes,
        np.array(scales),
        np.array([anchor.information for anchor in near], dtype=np.float32),
        np.array(linears),
        np.array(constants),
        np.empty((0, _GRID.size)),
        outline,
    )
    return replace(flat, tables=_tables(flat, modes, rng))


def _explore(
    latent: Latent, at: Conditional, modes: FloatArray, rng: np.random.Generator
) -> tuple[tuple[FloatArray, FloatArray], list[Conditional], Outline]:
    """Axes, anchors ascending by the scale of the group block, and the outline of the posterior."""
    measure = Measure(latent, at, modes, rng)
    covariance, ends = _scale_covariance(latent, at, modes)
    force = measure.force(at)
    axes = _axes(latent, at, covariance, force)
    near = measured = [at]
    if (g := latent.group) is not None:
        middle, sd = at.theta[g], np.sqrt(covariance[g, g])
        low = min(middle - min(_LOW * sd, _LOWEST), ends[0].theta[g] - _APART)
        high = max(middle + _HIGH * sd, ends[1].theta[g] + _APART)
        first, last = (
            _anchor(latent, axes, scale, end, modes)
            for scale, end in zip((low, high), ends, strict=True)
        )
        near, measured = [first, ends[0], at, ends[1], last], [first, at, last]
    outline = Outline(
        covariance,
        np.array([latent.group_scale(anchor.theta) for anchor in measured]),
        np.array([force if anchor is at else measure.force(anchor) for anchor in measured]),
        measure.thirds,
        latent.labels_of(latent.design),
        Latent.scales_of(latent.design),
        latent.rows.n,
    )
    return axes, near, outline


def _revisit(
    latent: Latent, at: Conditional, modes: FloatArray, outline: Outline
) -> tuple[tuple[FloatArray, FloatArray], list[Conditional]]:
    """Axes, and anchors where those of an outline are."""
    force = outline.force(float(latent.group_scale(at.theta)))
    axes = _axes(latent, at, outline.covariance, force)
    if latent.group is None:
        return axes, [at]
    low, _, high = outline.scales
    first, last = (_anchor(latent, axes, scale, at, modes) for scale in (low, high))
    return axes, [first, at, last]


def _anchor(
    latent: Latent,
    axes: tuple[FloatArray, FloatArray],
    scale: float,
    near: Conditional,
    modes: FloatArray,
) -> Conditional:
    """Conditional mode at a log scale of the group block, on its axis."""
    (center, root), g = axes, latent.group
    assert g is not None
    x = np.zeros(center.size)
    x[g] = (scale - center[g]) / root[g, g]
    return conditional(latent, _place(g, center, root, x), near.mode, modes.copy(), near)


def _axes(
    latent: Latent, at: Conditional, covariance: FloatArray, force: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Center and root of `Proposal`; the center is the mode of theta with a force on ``w``.

    One Newton step from the mode without it.
    """
    root = np.zeros_like(covariance)
    order = sorted(range(len(root)), key=lambda b: b != latent.group)  # the group block first
    root[np.ix_(order, order)] = np.linalg.cholesky(covariance[np.ix_(order, order)])
    gradient, shift = at.gradient.copy(), at.covariance @ force
    for kept, where in latent.slices.items():
        f0 = at.mode[where] - latent.prior_mean[where]
        f1 = f0 + shift[where]
        K = latent.structures[kept] * np.exp(-2 * at.theta[kept])
        gradient[kept] += float(f1 @ K @ f1 - f0 @ K @ f0)
    sd = np.sqrt(np.diag(covariance))
    return at.theta + np.clip(covariance @ gradient, -sd, sd), root


def _group_table(x: FloatArray, values: FloatArray, step: float) -> FloatArray:
    """Log density on `_GRID` along the axis of the group block, from some values.

    Above the last the slope stays. Below the first the likelihood nears that of no group effects
    as the square of their scale, log L(σ) = log L(0) + c σ², so that only the Jacobian is left:
    the exponential tail of a scale that may be zero. `step` is the change of the log scale by x.
    """
    curve = CubicSpline(x, values)
    inside = np.clip(_GRID, x[0], x[-1])
    first, last = float(curve(x[0], 1)), min(float(curve(x[-1], 1)), -_LEAST_FALL)
    below, above = np.minimum(_GRID - x[0], 0.0), np.maximum(_GRID - x[-1], 0.0)
    tail = step * below + (first - step) * np.expm1(2 * step * below) / (2 * step)
    return np.asarray(curve(inside) + tail + last * above)


def _tables(proposal: Proposal, modes: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Log densities of the independent variables behind theta on `_GRID`, (k, grid).

    Along the axis of a kept block the surrogate of the anchors is followed: it has the
    exponential tail of a scale that may be zero. Along that of the group block, whose likelihood
    is not Gaussian, the marginal density of theta is estimated at some points. Both with a little
    of a wide Student t, so that the weights stay bounded where the surrogate is wrong.
    """
    latent, k = proposal.latent, proposal.center.size
    wide = np.log(_WIDE) - 2.5 * np.log1p((_GRID / 2.0) ** 2 / 4.0) + np.log(0.375 / 2.0)
    tables = np.empty((k, _GRID.size))

    def keep(j: int, body: FloatArray) -> None:
        body = body - body.max()
        body -= np.log(np.sum(np.exp(body)) * (_GRID[1] - _GRID[0]))
        tables[j] = np.logaddexp(np.log1p(-_WIDE) + body, wide)

    def kept_block(j: int) -> None:
        coarse = np.concatenate([np.linspace(-24, -5, 9), np.linspace(-4, 4, 21), [5, 7, 10]])
        axis = proposal.root[:, j]
        value = [proposal.gaussian(proposal.center + axis * x)[2] for x in coarse]
        keep(j, np.interp(_GRID, coarse, value))

    each_part(kept_block, [(j,) for j in range(k) if j != latent.group])
    if (g := latent.group) is not None:
        step = float(proposal.root[g, g])
        first, last = (proposal.anchors[[0, -1]] - proposal.center[g]) / step
        x = np.linspace(max(first, -_HIGH), last, 7)
        if first < -_HIGH:
            x = np.concatenate([[first, 0.5 * (first - _HIGH)], x])
        theta = _place(g, proposal.center, proposal.root, x[:, None] * np.eye(k)[g])
        keep(g, _group_table(x, proposal.evidence(theta, modes, rng), step))
    return tables
