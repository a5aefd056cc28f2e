"""The joint proposal of log scales and latent vector from which the posterior is resampled."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import scipy.linalg as sl
from scipy.special import gammaln

from forecast.inference.conditional import Conditional, conditional
from forecast.inference.latent import Latent
from forecast.inference.row_kernels import compiled
from forecast.inference.rows import each_part

__all__ = ["Proposal", "propose"]

FloatArray = npt.NDArray[np.float64]
SingleArray = npt.NDArray[np.float32]

_DEGREES = 8.0  # of the Student t for log scales
_PAIRS = 16  # antithetic pairs for the Kullback–Leibler optimal mean
_GRID = np.linspace(-14.0, 10.0, 961)  # of each independent variable behind theta


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
        self.latent.add_prior_precision(P, theta)
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
        nu = max(10.0, 4.0 * np.sqrt(self.latent.size))
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


def propose(
    latent: Latent, at: Conditional, modes: FloatArray, rng: np.random.Generator
) -> Proposal:
    """Anchors around the mode of theta, and the proposal that they define."""
    k = at.theta.size
    sd = 1.0 / np.sqrt(at.curvature)
    J = np.empty((k, k))
    sides = np.empty((2, k))
    for b in range(k):
        for _ in range(3):  # until the step is about one standard deviation
            ends = []
            for sign in (-1.0, 1.0):
                theta = at.theta.copy()
                theta[b] += sign * sd[b]
                ends.append(
                    conditional(latent, theta, at.mode, modes.copy(), at, refresh=b == latent.group)
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
    root = np.zeros((k, k))
    order = sorted(range(k), key=lambda b: b != latent.group)  # the group block first
    if k:
        values, vectors = np.linalg.eigh(-0.5 * (J + J.T))
        covariance = (vectors / np.maximum(values, 0.25)) @ vectors.T
        root[np.ix_(order, order)] = np.linalg.cholesky(covariance[np.ix_(order, order)])
    normals = rng.standard_normal((_PAIRS, latent.size))
    force, gradient = _corrections(latent, at, modes, normals)
    center = at.theta + np.clip(root @ (root.T @ gradient), -sd, sd)
    anchors, forces = [at], [force]
    if latent.group is not None:
        # The likelihood of `w` changes with the scale of the group block alone.
        anchors, forces = [], []
        reached = at
        for x in (-2.5, -1.25, 0.0, 1.25, 2.5):
            theta = center + root[:, latent.group] * x
            reached = conditional(latent, theta, reached.mode, modes.copy(), reached)
            anchors.append(reached)
            forces.append(np.zeros(latent.size))
        for i in (0, 2, 4):
            forces[i] = _corrections(latent, anchors[i], modes, normals[: _PAIRS // 2])[0]
        forces[1], forces[3] = (forces[0] + forces[2]) / 2, (forces[2] + forces[4]) / 2
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
    return replace(flat, tables=_tables(flat, sides / np.diag(root)))


def _tables(proposal: Proposal, sides: FloatArray) -> FloatArray:
    """Log densities of the independent variables behind theta on `_GRID`, (k, grid).

    Along the axis of a kept block the surrogate of the anchors is followed: it has the
    exponential tail of a scale that may be zero. Along that of the group block, whose likelihood
    is not Gaussian, it is a two-piece Student t. Both with a tenth of a wide Student t, so that
    the weights stay bounded where the surrogate is wrong.
    """
    latent, k = proposal.latent, proposal.center.size
    wide = np.log(0.1) - 2.5 * np.log1p((_GRID / 2.0) ** 2 / 4.0) + np.log(0.375 / 2.0)
    tables = np.empty((k, _GRID.size))

    def table(j: int) -> None:
        if j == latent.group:
            t = np.where(_GRID < 0, _GRID / sides[0, j], _GRID / sides[1, j])
            body = -(_DEGREES + 1) / 2 * np.log1p(t**2 / _DEGREES)
        else:
            coarse = np.concatenate([np.linspace(-14, -5, 7), np.linspace(-4, 4, 21), [5, 7, 10]])
            value = np.array(
                [proposal.gaussian(proposal.center + proposal.root[:, j] * x)[2] for x in coarse]
            )
            body = np.interp(_GRID, coarse, value)
        body = body - body.max()
        body -= np.log(np.sum(np.exp(body)) * (_GRID[1] - _GRID[0]))
        tables[j] = np.logaddexp(np.log(0.9) + body, wide)

    each_part(table, [(j,) for j in range(k)])
    return tables
