"""The latent Gaussian logit as arrays: likelihood with one block integrated out, and its prior.

The coefficients and all blocks but one form the vector ``w`` (beta first, then the effects of
the *kept* blocks). The largest iid block in which every row has exactly one level of weight one
(dyads in a dyad-year panel) is integrated out, level by level, by quadrature. What is left is
log-concave in ``w``, has a few hundred dimensions, and is close to Gaussian.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from forecast.errors import DataError
from forecast.inference import group_kernels as kernels
from forecast.inference import row_kernels
from forecast.inference.group_draws import draw_effects
from forecast.inference.rows import Rows, each_part
from forecast.modeling.design import Block, Design

__all__ = ["Latent", "Moments", "check_design"]

FloatArray = npt.NDArray[np.float64]
SingleArray = npt.NDArray[np.float32]

_MOST_SINGLE = 8.0  # largest predictor whose odds are kept in single precision
# The groups are always cut into this many parts, whatever the number of threads, so that sums are
# taken in the same order and the numbers do not depend on the machine's load.
_PARTS = 4


def check_design(design: Design) -> None:
    """Refuse what `Design` lets pass but no sampler could use.

    Raises
    ------
    DataError
        No rows; a group without levels, or with weights that are not finite; a prior that is
        not proper.
    """
    n = design.y.size
    if n == 0:
        raise DataError("The design has no rows: nothing to fit. Widen the years or population.")
    for name, mean, sd in zip(design.names, design.prior_mean, design.prior_sd, strict=True):
        if not (np.isfinite(mean) and np.isfinite(sd) and sd > 0):
            raise DataError(
                f"Prior of {name!r} is Normal({mean}, {sd}), expected a finite mean and a "
                "positive standard deviation."
            )
    for block in design.blocks:
        if len(block.levels) == 0 or not np.isfinite(block.matrix.data).all():
            raise DataError(
                f"Block {block.name!r} has {len(block.levels)} levels, expected at least one, "
                "with weights that are finite."
            )


def _eliminable(block: Block) -> bool:
    """Whether each row has exactly one level, of weight one, of an iid block."""
    per_row = np.diff(block.matrix.indptr)
    return bool(
        block.structure == "iid" and (per_row == 1).all() and (block.matrix.data == 1.0).all()
    )


@dataclass(frozen=True, eq=False)
class Moments:
    """Log likelihood at one ``w``, with its derivatives and the group block's moments."""

    value: float
    residual: FloatArray
    weight: FloatArray
    slope: FloatArray
    bend: FloatArray
    mean: FloatArray
    variance: FloatArray


class Latent:
    """Likelihood and prior of a design, with its rows sorted by the level of the group block.

    Parameters
    ----------
    design : Design
        Checked arrays.

    Attributes
    ----------
    group : int or None
        Position in ``design.blocks`` of the block that is integrated out.
    kept : tuple of int
        Positions of the other blocks, in the order in which their effects stand in ``w``.
    p, m, size : int
        Coefficients, kept effects, and their sum.
    slices : dict of int to slice
        Where the effects of each kept block stand in ``w``.
    """

    def __init__(self, design: Design) -> None:
        check_design(design)
        self.design = design
        self.group = self.group_of(design)
        self.kept = tuple(b for b in range(len(design.blocks)) if b != self.group)
        n, self.p = design.X.shape
        if self.group is None:
            order = np.arange(n)
            self.start: npt.NDArray[np.int64] = np.array([0, n], dtype=np.int64)
            self.levels = 0
        else:
            block = design.blocks[self.group]
            level = block.matrix.indices
            order = np.argsort(level, kind="stable")
            self.levels = len(block.levels)
            # A level without rows is an empty range; its posterior is its prior.
            self.start = np.searchsorted(level[order], np.arange(self.levels + 1)).astype(np.int64)
        self.y = np.ascontiguousarray(design.y[order], dtype=np.float64)
        self._events_at = np.flatnonzero(self.y > 0.5)
        self.events = np.add.reduceat(np.append(self.y, 0.0), self.start[:-1]) * (
            np.diff(self.start) > 0
        )
        offsets = self.p + np.cumsum([0] + [len(design.blocks[b].levels) for b in self.kept])
        self.slices = {
            b: slice(int(offsets[i]), int(offsets[i + 1])) for i, b in enumerate(self.kept)
        }
        self.size = int(offsets[-1])
        self.m = self.size - self.p
        self.rows = Rows(
            np.asarray(design.X, dtype=np.float64)[order],
            [design.blocks[b].matrix[order] for b in self.kept],
            self.start,
        )
        self._group_parts = self._balanced_parts()

    @staticmethod
    def group_of(design: Design) -> int | None:
        """Position of the block to integrate out: the largest in which that can be done."""
        candidates = [b for b, block in enumerate(design.blocks) if _eliminable(block)]
        return max(candidates, key=lambda b: len(design.blocks[b].levels), default=None)

    @classmethod
    def labels_of(cls, design: Design) -> npt.NDArray[np.str_]:
        """Names of the entries of ``w``: terms, and levels of the kept blocks with their block."""
        group = cls.group_of(design)
        labels = list(design.names)
        for b, block in enumerate(design.blocks):
            if b != group:
                labels += [f"{block.name}[{level}]" for level in block.levels.tolist()]
        return np.array(labels, dtype=np.str_)

    def _balanced_parts(self) -> list[tuple[int, int]]:
        """Ranges of groups (or of rows, without a group block) with about equal numbers of rows."""
        n = self.y.size
        cuts = np.linspace(0, n, _PARTS + 1).astype(np.int64)
        if self.group is not None:
            cuts = np.searchsorted(self.start, cuts)
            cuts[0], cuts[-1] = 0, self.levels
        return [(int(i), int(j)) for i, j in pairwise(cuts) if j > i]

    def _odds(self, a: FloatArray | SingleArray) -> tuple[Any, float]:
        """exp(a), capped, and the part of the log likelihood that is linear in ``a``.

        In single precision only where ``a`` is and nothing can overflow; then in the place of
        ``a``.
        """
        linear = float(np.sum(a[self._events_at], dtype=np.float64))
        if a.dtype == np.float32:
            if a.max() < _MOST_SINGLE:
                return np.exp(a, out=a), linear
            a = a.astype(np.float64)
        if a.max() > kernels.CAP:
            linear -= float(np.sum(np.maximum(a - kernels.CAP, 0.0)))
            a = np.minimum(a, kernels.CAP)
        return np.exp(a), linear

    def group_scale(self, theta: FloatArray) -> FloatArray:
        """Log scale of the group block in log scales (..., blocks); zero without one."""
        return np.zeros(theta.shape[:-1]) if self.group is None else theta[..., self.group]

    # -- likelihood ------------------------------------------------------------------------

    def moments(
        self,
        w: FloatArray,
        sigma: float,
        modes: FloatArray,
        *,
        quick: bool = False,
        shift: float = 0.0,
    ) -> Moments:
        """Log likelihood with the group block integrated out, and its derivatives by row.

        Parameters
        ----------
        w : numpy.ndarray, shape (size,)
        sigma : float
            Scale of the group block (ignored without one).
        modes : numpy.ndarray, shape (levels,)
            Where to start the search for each conditional mode; overwritten with the modes.
        quick : bool
            In single precision with half the nodes: off by less than .05 in all, which is
            enough to find a proposal. Otherwise in double precision with twice the nodes.
        shift : float
            Added to the predictor of every row.
        """
        a = self.rows.predictor(w, np.float32 if quick else np.float64)
        if shift:
            a += a.dtype.type(shift)
        n = self.y.size
        if self.group is None:
            residual, weight = np.empty(n), np.empty(n)
            values = each_part(
                lambda i0, i1: row_kernels.plain_moments(a, self.y, i0, i1, residual, weight),
                self._group_parts,
            )
            none = np.empty(0)
            return Moments(float(sum(values)), residual, weight, none, none, none, none)
        e, linear = self._odds(a)
        residual, weight, slope, bend = (np.empty(n, e.dtype) for _ in range(4))
        rule = kernels.rule(sigma, 0.5 if quick else 2.0)
        mean, variance = np.empty(self.levels), np.empty(self.levels)

        def part(g0: int, g1: int) -> float:
            mode, d, factor, share, value = kernels.node_values(
                e, self.events, self.start, g0, g1, sigma, modes, *rule
            )
            modes[g0:g1] = mode
            first, second = np.empty_like(d), np.empty_like(d)
            kernels.polynomials(d, share, mean[g0:g1], variance[g0:g1], first, second)
            kernels.row_moments(
                e, self.y, self.start, g0, g1, factor, share, first, second, residual, weight,
                slope, bend,
            )  # fmt: skip
            return float(np.sum(value))

        values = each_part(part, self._group_parts)
        return Moments(linear + float(sum(values)), residual, weight, slope, bend, mean, variance)

    def information(self, moments: Moments) -> tuple[FloatArray, FloatArray]:
        """Negative Hessian of the log likelihood by ``w``, and the groups' sums of ``slope``.

        (X, Z)' diag(weight) (X, Z) minus, for every group, the outer products of its sums of
        ``slope`` and ``bend``: the covariance of the score given ``w`` (Louis 1982), projected
        on the first two polynomials of the group effect. Never less than the exact Hessian.

        Returns
        -------
        information : numpy.ndarray, shape (size, size)
        sums : numpy.ndarray, shape (levels, size)
            Minus the derivative of each standardised group effect's conditional mean by ``w``.
        """
        H = self.rows.cross(moments.weight)
        first = np.empty((self.levels, self.size))
        if self.group is not None:
            for value in (moments.bend, moments.slope):
                first = self.rows.sums(value)
                H -= first.T @ first
        return H, first

    def log_likelihoods(self, W: FloatArray, sigmas: FloatArray, modes: FloatArray) -> FloatArray:
        """Log likelihood of many ``w`` at once, the group block integrated out.

        Predictors and products over rows are in single precision (each log likelihood is off by
        about 1e-4, a hundredth of what would be seen in an importance weight); sums of
        logarithms are in double.

        Parameters
        ----------
        W : numpy.ndarray, shape (draws, size)
        sigmas : numpy.ndarray, shape (draws,)
        modes : numpy.ndarray, shape (levels,)
            Start of each search for a conditional mode; left as it is.

        Returns
        -------
        numpy.ndarray, shape (draws,)
        """
        out = np.empty(len(W))

        def one(s: int, a: SingleArray) -> None:
            if self.group is None:
                out[s] = row_kernels.plain_log_likelihood(a, self.y, 0, a.size)
            else:
                e, linear = self._odds(a)
                *_, value = kernels.node_values(
                    e,
                    self.events,
                    self.start,
                    0,
                    self.levels,
                    sigmas[s],
                    modes,
                    *kernels.rule(sigmas[s]),
                )
                out[s] = linear + float(np.sum(value))

        self._each_draw(W, one)
        return out

    def draw_group(
        self, W: FloatArray, sigmas: FloatArray, modes: FloatArray, seeds: npt.NDArray[np.uint32]
    ) -> FloatArray:
        """An exact draw of every group effect given each ``w``; shape (draws, levels)."""
        out = np.empty((len(W), self.levels))

        def one(s: int, a: SingleArray) -> None:
            e, _ = self._odds(a)
            draw_effects(e, self.events, self.start, sigmas[s], modes, seeds[s], out[s])

        self._each_draw(W, one)
        return out

    def _each_draw(self, W: FloatArray, one: Callable[[int, SingleArray], None]) -> None:
        """Call ``one(s, X beta_s + Z f_s)`` for every draw; predictors are made in batches."""

        def run(s0: int, s1: int) -> None:
            for s, a in enumerate(self.rows.predictors(W[s0:s1]), start=s0):
                one(s, a)

        size = self.rows.batch
        each_part(run, [(s, min(s + size, len(W))) for s in range(0, len(W), size)])

    # -- prior -----------------------------------------------------------------------------

    def increments(self, f: FloatArray, b: int) -> FloatArray:
        """Independent Normal(0, sigma) variables behind the effects of block `b` (last axis)."""
        return self.design.blocks[b].increments(f)

    @cached_property
    def structures(self) -> dict[int, FloatArray]:
        """Precision of each kept block at sigma = 1, (levels, levels)."""
        out = {}
        for b in self.kept:
            D = self.increments(np.eye(len(self.design.blocks[b].levels)), b)
            out[b] = D @ D.T
        return out

    def prior_precision(self, theta: FloatArray) -> FloatArray:
        """Prior precision of ``w`` at log scales `theta`, (size, size)."""
        Q = np.zeros((self.size, self.size))
        self.add_prior_precision(Q, theta)
        return Q

    def add_prior_precision(self, matrix: FloatArray, theta: FloatArray) -> None:
        """Add the prior precision of ``w`` at log scales `theta` to a matrix, in place."""
        diagonal = np.einsum("ii->i", matrix)  # a view
        diagonal[: self.p] += self.design.prior_sd**-2.0
        for b, where in self.slices.items():
            if self.design.blocks[b].structure == "iid":
                diagonal[where] += np.exp(-2.0 * theta[b])
            else:
                matrix[where, where] += self.structures[b] * np.exp(-2.0 * theta[b])

    @cached_property
    def prior_pull(self) -> FloatArray:
        """Prior precision times prior mean of ``w``; the same at all scales."""
        return np.concatenate([self.design.prior_mean / self.design.prior_sd**2, np.zeros(self.m)])

    @cached_property
    def prior_mean(self) -> FloatArray:
        """Prior mean of ``w``."""
        return np.concatenate([self.design.prior_mean, np.zeros(self.m)])

    def log_prior(self, W: FloatArray, theta: FloatArray) -> FloatArray:
        """Log prior density of ``w`` and the log scales; broadcasts over leading axes.

        log sigma_b has the density of HalfNormal(scale) with the Jacobian of the logarithm.
        """
        z = (W[..., : self.p] - self.design.prior_mean) / self.design.prior_sd
        total = -0.5 * np.sum(z**2, axis=-1) - float(
            np.sum(np.log(self.design.prior_sd)) + 0.5 * self.p * np.log(2 * np.pi)
        )
        for b, where in self.slices.items():
            r = self.increments(W[..., where], b)
            total = total - 0.5 * np.sum(r**2, axis=-1) * np.exp(-2.0 * theta[..., b])
            total = total - r.shape[-1] * (theta[..., b] + 0.5 * np.log(2 * np.pi))
        return np.asarray(total + self.log_scale_prior(theta))

    def log_scale_prior(self, theta: FloatArray) -> FloatArray:
        """Log prior density of the log scales."""
        total = np.zeros(theta.shape[:-1])
        for b, block in enumerate(self.design.blocks):
            s = block.scale_prior
            total = total + (
                0.5 * np.log(2 / np.pi) - np.log(s) - 0.5 * np.exp(2 * theta[..., b]) / s**2
                + theta[..., b]
            )  # fmt: skip
        return total
