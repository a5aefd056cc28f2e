"""The latent Gaussian logit as arrays: likelihood with one block integrated out, and its prior.

The coefficients and all blocks but one form the vector ``w`` (beta first, then the effects of
the *kept* blocks). The largest iid block in which every row has exactly one level of weight one
(dyads in a dyad-year panel) is integrated out, level by level, by quadrature. What is left is
log-concave in ``w``, has a few hundred dimensions, and is close to Gaussian.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from forecast.arrays import FloatArray, IntArray, UnsignedArray
from forecast.inference import gauss_hermite
from forecast.inference import row_kernels as kernels
from forecast.inference.linear_map import LinearMap, each_part
from forecast.inference.rejection import chunk_draws, draw_effects
from forecast.inference.trapezoid import chunk_values, grids
from forecast.modeling.design import Block, Design, check_design

__all__ = ["Latent", "Moments"]


# The groups are always cut into this many parts, whatever the number of threads, so that sums are
# taken in the same order and the numbers do not depend on the machine's load.
_PARTS = 4


def _odds(a: Any) -> tuple[Any, float]:
    """exp(a), capped, and the sum of what the cap cut off.

    In single precision only where ``a`` is and nothing can overflow; then in the place of ``a``.
    """
    if a.dtype == np.float32:
        if a.max(initial=0.0) < kernels.MOST_SINGLE:
            return np.exp(a, out=a), 0.0
        a = a.astype(np.float64)
    if a.max(initial=0.0) > gauss_hermite.CAP:
        lost = float(np.sum(np.maximum(a - gauss_hermite.CAP, 0.0)))
        return np.exp(np.minimum(a, gauss_hermite.CAP)), lost
    return np.exp(a), 0.0


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

    `group` is the position in ``design.blocks`` of the block that is integrated out, or None;
    `kept` are those of the others, in the order in which their effects stand in ``w``, each in its
    one of the `slices`. `p` coefficients and `m` kept effects are `size` in all. `scales` are the
    priors of the log scales: of the blocks, then of coefficients whose prior is not normal (see
    `forecast.modeling.priors`), which have slices too.
    """

    def __init__(self, design: Design) -> None:
        check_design(design)
        self.design = design
        self.group = self.group_of(design)
        self.kept = tuple(b for b in range(len(design.blocks)) if b != self.group)
        n, self.p = design.X.shape
        if self.group is None:
            order = np.arange(n)
            self.start: IntArray = np.array([0, n], dtype=np.int64)
            self.levels = 0
        else:
            block = design.blocks[self.group]
            level = block.matrix.indices
            order = np.argsort(level, kind="stable")
            self.levels = len(block.levels)
            # A level without rows is an empty range; its posterior is its prior.
            self.start = np.searchsorted(level[order], np.arange(self.levels + 1)).astype(np.int64)
        self.y = np.ascontiguousarray(design.y[order], dtype=np.float64)
        self.events = np.add.reduceat(np.append(self.y, 0.0), self.start[:-1]) * (
            np.diff(self.start) > 0
        )
        offsets = self.p + np.cumsum([0] + [len(design.blocks[b].levels) for b in self.kept])
        self.slices = {
            b: slice(int(offsets[i]), int(offsets[i + 1])) for i, b in enumerate(self.kept)
        }
        self.size = int(offsets[-1])
        self.m = self.size - self.p
        # A coefficient that is normal only given a scale of its own is a group of one.
        self.scales = [block.scale_prior for block in design.blocks]
        for j, tail in design.tails.items():
            self.slices[len(self.scales)] = slice(j, j + 1)
            self.scales.append(tail.mixing(float(design.prior_sd[j])))
        self._precision: FloatArray = design.prior_sd**-2.0
        self._precision[list(design.tails)] = 0.0
        matrices = [design.blocks[b].matrix for b in self.kept]
        self.rows = LinearMap(design.X, matrices, self.start, order)
        self._events_at = np.flatnonzero(self.y > 0.5)
        #: Derivative by ``w`` of the part of the log likelihood that is linear in it, Σ_i y_i a_i.
        self._pull = self.rows.total(self._events_at)
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

    @staticmethod
    def scales_of(design: Design) -> tuple[str, ...]:
        """Names of the log scales."""
        names = [block.name for block in design.blocks]
        return (*names, *(f"beta[{design.names[j]}]" for j in design.tails))

    def _balanced_parts(self) -> list[tuple[int, int]]:
        """Ranges of groups (or of rows, without a group block) with about equal numbers of rows."""
        n = self.y.size
        cuts = np.linspace(0, n, _PARTS + 1).astype(np.int64)
        if self.group is not None:
            cuts = np.searchsorted(self.start, cuts)
            cuts[0], cuts[-1] = 0, self.levels
        return [(int(i), int(j)) for i, j in pairwise(cuts) if j > i]

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
        """Log likelihood with the group block of scale `sigma` integrated out; derivatives by row.

        `modes` (levels,) is where to start the search for each conditional mode, overwritten with
        the modes; `shift` is added to the predictor of every row. `quick` is in single precision
        with half the nodes: off by less than .05 in all, which is enough to find a proposal;
        otherwise it is in double precision with twice the nodes.
        """
        a = self.rows.predictor(w, np.float32 if quick else np.float64)
        if shift:
            a += a.dtype.type(shift)
        n = self.y.size
        if self.group is None:
            residual, weight = np.empty(n), np.empty(n)
            values = each_part(
                lambda i0, i1: kernels.plain_moments(a, self.y, i0, i1, residual, weight),
                self._group_parts,
            )
            none = np.empty(0)
            return Moments(float(sum(values)), residual, weight, none, none, none, none)
        e, lost = _odds(a)
        residual, weight, slope, bend = (np.empty(n, e.dtype) for _ in range(4))
        rule = gauss_hermite.rule(sigma, 0.5 if quick else 2.0)
        mean, variance = np.empty(self.levels), np.empty(self.levels)

        def part(g0: int, g1: int) -> float:
            mode, d, factor, share, value = gauss_hermite.node_values(
                e, self.events, self.start, g0, g1, sigma, modes, *rule
            )
            modes[g0:g1] = mode
            first, second = np.empty_like(d), np.empty_like(d)
            gauss_hermite.polynomials(d, share, mean[g0:g1], variance[g0:g1], first, second)
            gauss_hermite.row_moments(
                e, self.y, self.start, g0, g1, factor, share, first, second, residual, weight,
                slope, bend,
            )  # fmt: skip
            return float(np.sum(value))

        values = each_part(part, self._group_parts)
        linear = float(self._pull @ w) + shift * float(np.sum(self.events))
        value = linear + float(sum(values)) - lost
        return Moments(value, residual, weight, slope, bend, mean, variance)

    def information(self, moments: Moments) -> tuple[FloatArray, FloatArray]:
        """Negative Hessian of the log likelihood by ``w`` (size, size), and the sums of ``slope``.

        (X, Z)' diag(weight) (X, Z) minus, for every group, the outer products of its sums of
        ``slope`` and ``bend``: the covariance of the score given ``w`` (Louis 1982), projected
        on the first two polynomials of the group effect. Never less than the exact Hessian.
        The sums (levels, size) are minus the derivative of each standardised group effect's
        conditional mean by ``w``.
        """
        H = self.rows.cross(moments.weight)
        first = np.empty((self.levels, self.size))
        if self.group is not None:
            for value in (moments.bend, moments.slope):
                first = self.rows.sums(value)
                H -= first.T @ first
        return H, first

    def log_likelihoods(self, W: FloatArray, sigmas: FloatArray, modes: FloatArray) -> FloatArray:
        """Log likelihood (draws,) of many ``w`` (draws, size), the group block integrated out.

        Predictors and products over rows are in single precision (each log likelihood is off by
        about 1e-4, a hundredth of what would be seen in an importance weight); sums of
        logarithms are in double. `modes` (levels,), where searches start, are left as they are.
        """
        order = np.argsort(sigmas, kind="stable")  # those of one batch are to be alike
        draws = self.rows.batches(W[order])
        shape = len(draws.B), kernels.LANES
        lanes = np.append(order, np.repeat(order[-1:], draws.B.size and -len(W) % kernels.LANES))
        if self.group is None:

            def plain(_: int, span: kernels.Span) -> FloatArray:
                total = np.empty(shape)
                kernels.chunk_plain(self.rows.chunks, draws, span, self.y, total)
                return total

            values = np.sum(self.rows.each_chunk(plain), axis=0)
        else:
            nodes = grids(sigmas[lanes].reshape(shape))

            def run(_: int, span: kernels.Span) -> FloatArray:
                total = np.empty(shape)
                failed = np.empty((shape[0], span.g1 - span.g0, shape[1]), dtype=np.bool_)
                if chunk_values(self.rows.chunks, draws, span, self.events, nodes, total, failed):
                    for b, s in zip(*np.nonzero(failed.any(axis=1)), strict=True):
                        at = lanes[b * shape[1] + s]
                        groups = span.g0 + np.flatnonzero(failed[b, :, s])
                        total[b, s] += self._direct(groups, W[at], sigmas[at], modes)
                return total

            values = np.sum(self.rows.each_chunk(run), axis=0)
            # Rounded as the odds are, so that what rounding does to both cancels.
            for B, totals in zip(draws, self.rows.totals(self._events_at), strict=True):
                B = B.reshape(shape[0], totals.size, shape[1])
                values += np.einsum("bks,k->bs", B, totals.ravel(), dtype=np.float64)
        out = np.empty(len(W))
        out[lanes] = values.ravel()
        return out

    def _of_groups(self, groups: IntArray, w: FloatArray) -> tuple[FloatArray, IntArray]:
        """Predictors of the rows of some groups, and where those of each group begin."""
        first, last = self.start[groups], self.start[groups + 1]
        start = np.concatenate([[0], np.cumsum(last - first)])
        at = np.arange(start[-1]) + np.repeat(first - start[:-1], last - first)
        return self.rows.predictor_of(at, w), start

    def _direct(self, groups: IntArray, w: FloatArray, sigma: float, modes: FloatArray) -> float:
        """Log likelihood of some groups but its linear part: by nodes around each mode."""
        a, start = self._of_groups(groups, w)
        e, lost = _odds(a)
        found = gauss_hermite.node_values(
            e, self.events[groups], start, 0, groups.size, sigma, modes[groups],
            *gauss_hermite.rule(sigma),
        )  # fmt: skip
        return float(np.sum(found[-1])) - lost

    def draw_group(
        self,
        W: FloatArray,
        sigmas: FloatArray,
        modes: FloatArray,
        seeds: UnsignedArray,
        copies: IntArray | None = None,
    ) -> FloatArray:
        """An exact draw of every group effect given each ``w``; shape (draws, levels).

        `copies` says which ``w`` each row of the result is given; one each by default.
        """
        copies = np.arange(len(W)) if copies is None else copies
        draws = self.rows.batches(W)
        shape = len(draws.B), kernels.LANES
        place = np.argsort(copies, kind="stable")
        first = np.searchsorted(copies[place], np.arange(draws.B.shape[0] * shape[1] + 1))
        scale = np.append(sigmas, np.repeat(sigmas[-1:], -len(W) % shape[1])).reshape(shape)
        out = np.empty((copies.size, self.levels))

        def run(c: int, span: kernels.Span) -> None:
            failed = np.empty(shape, dtype=np.bool_)
            rng = np.random.Generator(np.random.SFC64([c, *seeds[:4].tolist()]))
            own = rng.integers(0, 2**32, shape[0], dtype=np.uint32)
            size = copies.size, span.g1 - span.g0
            if chunk_draws(
                self.rows.chunks, draws, span, self.events, scale, modes, own,
                rng.standard_normal(size), rng.random(size), first, place, out, failed,
            ):  # fmt: skip
                groups = np.arange(span.g0, span.g1)
                some = slice(span.g0, span.g1)
                for s in np.flatnonzero(failed.ravel()[: len(W)]):
                    a, start = self._of_groups(groups, W[s])
                    e, _ = _odds(a)
                    for at in place[first[s] : first[s + 1]]:
                        seed = int(rng.integers(0, 2**32))
                        draw_effects(
                            e, self.events[some], start, sigmas[s], modes[some], seed, out[at, some]
                        )

        self.rows.each_chunk(run)
        return out

    # -- prior -----------------------------------------------------------------------------

    @cached_property
    def structures(self) -> dict[int, FloatArray]:
        """Precision of each kept block at sigma = 1, (levels, levels)."""
        out = {}
        for b in self.kept:
            block = self.design.blocks[b]
            D = block.increments(np.eye(len(block.levels)))
            out[b] = D @ D.T
        return out | {b: np.eye(1) for b in range(len(self.design.blocks), len(self.scales))}

    def prior_precision(self, theta: FloatArray) -> FloatArray:
        """Prior precision of ``w`` at log scales `theta`, (size, size)."""
        Q = np.zeros((self.size, self.size))
        self.add_prior_precision(Q, theta)
        return Q

    def add_prior_precision(self, matrix: FloatArray, theta: FloatArray) -> None:
        """Add the prior precision of ``w`` at log scales `theta` to a matrix, in place."""
        diagonal = np.einsum("ii->i", matrix)  # a view
        diagonal[: self.p] += self._precision
        for b, where in self.slices.items():
            if b >= len(self.design.blocks) or self.design.blocks[b].structure == "iid":
                diagonal[where] += np.exp(-2.0 * theta[b])
            else:
                matrix[where, where] += self.structures[b] * np.exp(-2.0 * theta[b])

    def prior_pull(self, theta: FloatArray) -> FloatArray:
        """Prior precision times prior mean of ``w`` at log scales `theta`."""
        pull = np.concatenate([self.design.prior_mean / self.design.prior_sd**2, np.zeros(self.m)])
        for b, j in enumerate(self.design.tails, len(self.design.blocks)):
            pull[j] = self.design.prior_mean[j] * np.exp(-2.0 * theta[b])
        return pull

    @cached_property
    def prior_mean(self) -> FloatArray:
        """Prior mean of ``w``."""
        return np.concatenate([self.design.prior_mean, np.zeros(self.m)])

    def log_prior(self, W: FloatArray, theta: FloatArray) -> FloatArray:
        """Log prior density of ``w`` and the log scales; broadcasts over leading axes.

        Of a log scale it has the Jacobian of the logarithm.
        """
        z = (W[..., : self.p] - self.design.prior_mean) / self.design.prior_sd
        z[..., list(self.design.tails)] = 0.0
        normal = np.delete(self.design.prior_sd, list(self.design.tails))
        total = -0.5 * np.sum(z**2, axis=-1) - float(
            np.sum(np.log(normal)) + 0.5 * normal.size * np.log(2 * np.pi)
        )
        for b, where in self.slices.items():
            r = W[..., where] - self.prior_mean[where]
            if b < len(self.design.blocks):
                r = self.design.blocks[b].increments(r)
            total = total - 0.5 * np.sum(r**2, axis=-1) * np.exp(-2.0 * theta[..., b])
            total = total - r.shape[-1] * (theta[..., b] + 0.5 * np.log(2 * np.pi))
        return np.asarray(total + self.log_scale_prior(theta))

    def log_scale_prior(self, theta: FloatArray) -> FloatArray:
        """Log prior density of the log scales."""
        total = np.zeros(theta.shape[:-1])
        for b, prior in enumerate(self.scales):
            total = total + prior.log_density(theta[..., b])
        return total
