"""The joint proposal of log scales and latent vector from which the posterior is resampled."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import scipy.linalg as sl
from scipy.special import gammaln

from forecast.inference.conditional import Conditional, conditional, scale_jacobian
from forecast.inference.latent import Latent
from forecast.inference.row_kernels import compiled
from forecast.inference.rows import each_part

__all__ = ["Proposal", "propose"]

FloatArray = npt.NDArray[np.float64]
SingleArray = npt.NDArray[np.float32]

_ANCHORS = np.array([-2.5, -1.25, 0.0, 1.25, 2.5])  # along the axis of the group block
_EVERY = (0, 2, 4)  # the anchors at which skewness is allowed for
_LEAST_FALL = 0.3  # of the log density by the axis of the group block, beyond the last anchor
_WIDE = 0.03  # share of the wide part in the density of each independent variable behind theta
_LEAST_PRECISION = 0.25  # of a log scale: further out the tables know better
_SMALLEST = -40.0  # log scale whose precision single precision can hold
_PAIRS = 16  # antithetic pairs for the Kullback–Leibler optimal mean
_GRID = np.linspace(-24.0, 10.0, 1361)  # of each independent variable behind theta


@compiled
def _cholesky(P: SingleArray) -> SingleArray:
    """Lower factor. Compiled for the call alone: numpy's takes twice as long, scipy's the lock."""
    return np.linalg.cholesky(P)


@dataclass(frozen=True, eq=False)
class Proposal:
    """Joint proposal of theta and ``w``; its density is exact whatever it approximates.

    theta = center + root x, with independent x_j whose log density is linear between the points
    of `grid`; ``w`` given theta has the mean and
    the precision of a Gaussian approximation and slightly heavier tails.
    """

    latent: Latent
    center: FloatArray  # (k,)
    root: FloatArray  # (k, k), triangular once the group block is put first
    anchors: FloatArray  # (T,), log scales of the group block, ascending
    informations: SingleArray  # (T, size, size)
    linears: FloatArray  # (T, size)
    constants: FloatArray  # (T,)
    tables: FloatArray  # (k, grid), log densities of x_j up to a constant

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
        return self.center + x @ self.root.T, density

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
            share = (at - self.anchors[low]) / (self.anchors[high] - self.anchors[low])
        P = self.informations[low] * np.float32(1.0 - share)
        if share:
            P += self.informations[high] * np.float32(share)
        self.latent.add_prior_precision(P, np.maximum(theta, _SMALLEST))
        # Single precision: the density is that of the Gaussian with this U, whatever it rounds.
        U = _cholesky(P).T.astype(np.float64)
        pull = self.latent.prior_pull
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

    def latents(self, theta: FloatArray, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
        """``w`` given each theta, with its log density.

        In the whitened coordinates each component is Student t, with more degrees of freedom
        the more components there are: a Gaussian has lighter tails than a skewed posterior,
        and then the weights have no bound.
        """
        nu = max(4.0, 3.0 * np.sqrt(self.latent.size), self.latent.size / 4.0)
        z = rng.standard_t(nu, (len(theta), self.latent.size))
        log_t = np.sum(
            gammaln((nu + 1) / 2) - gammaln(nu / 2) - 0.5 * np.log(nu * np.pi)
            - (nu + 1) / 2 * np.log1p(z**2 / nu),
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


def _corrections(
    latent: Latent, at: Conditional, modes: FloatArray, normals: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Skewness of the likelihood at a conditional mode, and the gradient that allows for it.

    Antithetic pairs from the Gaussian at the mode, on which the linear part cancels.

    Parameters
    ----------
    normals : numpy.ndarray, shape (pairs, size)
        Standard normal numbers; the same for every anchor, so that differences are smooth.

    Returns
    -------
    force : numpy.ndarray, shape (size,)
        Mean gradient of the log likelihood by ``w`` less that at the mode.
    gradient : numpy.ndarray, shape (blocks,)
        Of the log marginal posterior by theta.
    """
    U = normals @ np.linalg.cholesky(at.covariance).T
    b = latent.group
    sigma = 1.0 if b is None else float(np.exp(at.theta[b]))
    force, square = np.zeros(latent.size), 0.0
    for u in U:
        for sign in (1.0, -1.0):
            moments = latent.moments(at.mode + sign * u, sigma, modes.copy(), quick=True)
            force += latent.rows.transpose(moments.residual - at.moments.residual) / (2 * len(U))
            square += float(np.sum(moments.mean**2 + moments.variance)) / (2 * len(U))
    gradient = at.gradient.copy()
    shift = at.covariance @ force
    if b is not None:
        moved = latent.moments(at.mode + shift, sigma, modes.copy(), quick=True)
        square += float(np.sum(moved.mean**2 + moved.variance))
        square -= float(np.sum(at.moments.mean**2 + at.moments.variance))
        prior = sigma**2 / latent.design.blocks[b].scale_prior ** 2
        gradient[b] = -latent.levels + square / sigma**2 + 1.0 - prior
    for kept, where in latent.slices.items():
        f0 = at.mode[latent.p + where.start : latent.p + where.stop]
        f1 = f0 + shift[latent.p + where.start : latent.p + where.stop]
        K = latent.structures[kept] * np.exp(-2 * at.theta[kept])
        gradient[kept] += float(f1 @ K @ f1 - f0 @ K @ f0)
    return force, gradient


def _scale_precision(latent: Latent, at: Conditional, modes: FloatArray) -> FloatArray:
    """Curvature of minus the log marginal posterior of theta, (k, k)."""
    J, b = scale_jacobian(latent, at), latent.group
    if b is not None:
        sd = 1.0 / np.sqrt(at.curvature[b])
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
    return -J


def propose(
    latent: Latent,
    at: Conditional,
    modes: FloatArray,
    rng: np.random.Generator,
    *,
    covariance: FloatArray | None = None,
) -> Proposal:
    """Anchors around the mode of theta, and the proposal that they define.

    Parameters
    ----------
    latent, at, modes
        See `forecast.inference.conditional`.
    rng : numpy.random.Generator
    covariance : numpy.ndarray, shape (blocks, blocks), optional
        About that of theta in the posterior; found if it is not given.
    """
    k = at.theta.size
    values, vectors = np.linalg.eigh(
        _scale_precision(latent, at, modes) if covariance is None else np.linalg.inv(covariance)
    )
    covariance = (vectors / np.maximum(values, _LEAST_PRECISION)) @ vectors.T
    sd = np.sqrt(np.diag(covariance))
    root = np.zeros((k, k))
    order = sorted(range(k), key=lambda b: b != latent.group)  # the group block first
    root[np.ix_(order, order)] = np.linalg.cholesky(covariance[np.ix_(order, order)])
    normals = rng.standard_normal((_PAIRS, latent.size))
    force, gradient = _corrections(latent, at, modes, normals)
    center = at.theta + np.clip(root @ (root.T @ gradient), -sd, sd)
    anchors, forces, slopes = [at], [force], np.empty(0)
    if latent.group is not None:
        # The likelihood of `w` changes with the scale of the group block alone.
        anchors, reached, axis = [], at, root[:, latent.group]
        for x in _ANCHORS:
            reached = conditional(latent, center + axis * x, reached.mode, modes.copy(), reached)
            anchors.append(reached)
        corrected = [
            _corrections(latent, anchors[i], modes, normals[: _PAIRS // 2]) for i in _EVERY
        ]
        forces = _between([force for force, _ in corrected])
        more = _between(
            [g - anchors[i].gradient for i, (_, g) in zip(_EVERY, corrected, strict=True)]
        )
        slopes = np.array([axis @ (a.gradient + g) for a, g in zip(anchors, more, strict=True)])
    linears, constants = [], []
    for anchor, force in zip(anchors, forces, strict=True):
        Q, w, H = latent.prior_precision(anchor.theta), anchor.mode, anchor.information
        linear = (H + Q) @ (w + anchor.covariance @ force) - Q @ latent.prior_mean
        linears.append(linear)
        constants.append(anchor.moments.value - linear @ w + 0.5 * w @ H @ w)
    flat = Proposal(
        latent,
        center,
        root,
        np.array([0.0 if latent.group is None else a.theta[latent.group] for a in anchors]),
        np.array([a.information for a in anchors], dtype=np.float32),
        np.array(linears),
        np.array(constants),
        np.empty((0, _GRID.size)),
    )
    return replace(flat, tables=_tables(flat, slopes))


def _between(three: list[FloatArray]) -> list[FloatArray]:
    """Of every other anchor to all of them."""
    a, b, c = three
    return [a, (a + b) / 2, b, (b + c) / 2, c]


def _group_table(slopes: FloatArray, step: float) -> FloatArray:
    """Log density on `_GRID` along the axis of the group block, from its slopes at the anchors.

    Between anchors the slope is linear; above the last it stays. Below the first the likelihood
    nears that of no group effects as the square of their scale, log L(σ) = log L(0) + c σ², so
    that only the Jacobian is left: the exponential tail of a scale that may be zero.

    Parameters
    ----------
    slopes : numpy.ndarray, shape (anchors,)
        Of the log density by x.
    step : float
        Change of the log scale by x.
    """
    slopes = np.append(slopes[:-1], min(slopes[-1], -_LEAST_FALL))
    below = np.minimum(_GRID - _ANCHORS[0], 0.0)
    slope = np.interp(_GRID, _ANCHORS, slopes)
    slope = np.where(below < 0, step + (slopes[0] - step) * np.exp(2 * step * below), slope)
    width = _GRID[1] - _GRID[0]
    return np.asarray(np.append(0.0, np.cumsum((slope[:-1] + slope[1:]) * width / 2)))


def _tables(proposal: Proposal, slopes: FloatArray) -> FloatArray:
    """Log densities of the independent variables behind theta on `_GRID`, (k, grid).

    Along the axis of a kept block the surrogate of the anchors is followed: it has the
    exponential tail of a scale that may be zero. Along that of the group block, whose likelihood
    is not Gaussian, it is made from the `slopes` at the anchors. Both with a little of a wide
    Student t, so that the weights stay bounded where the surrogate is wrong.
    """
    latent, k = proposal.latent, proposal.center.size
    wide = np.log(_WIDE) - 2.5 * np.log1p((_GRID / 2.0) ** 2 / 4.0) + np.log(0.375 / 2.0)
    tables = np.empty((k, _GRID.size))

    def table(j: int) -> None:
        if j == latent.group:
            body = _group_table(slopes, float(proposal.root[j, j]))
        else:
            coarse = np.concatenate([np.linspace(-24, -5, 9), np.linspace(-4, 4, 21), [5, 7, 10]])
            value = np.array(
                [proposal.gaussian(proposal.center + proposal.root[:, j] * x)[2] for x in coarse]
            )
            body = np.interp(_GRID, coarse, value)
        body = body - body.max()
        body -= np.log(np.sum(np.exp(body)) * (_GRID[1] - _GRID[0]))
        tables[j] = np.logaddexp(np.log1p(-_WIDE) + body, wide)

    each_part(table, [(j,) for j in range(k)])
    return tables
