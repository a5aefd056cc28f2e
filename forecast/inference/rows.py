"""The linear map from the latent vector to the predictor of every row, and its transpose.

Varying slopes (an effect for each era times a column of X) would put a dozen entries into every
row of the sparse matrix, and reading them would take most of the time of a fit. But within one
era they only change the coefficients of X. So rows are kept sorted by *part* (era), and each part
has its own coefficients ``B_e = S_e w``: dense products with X do all of it, and only the plain
memberships stay sparse. Those that are the same in all rows of a group (the two states of a dyad)
are taken once a group instead of once a row.

Work that only has to find a proposal is done in single precision, block of rows by block of rows
with sums of blocks in double: a few parts in a million.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from forecast.inference import row_kernels
from forecast.threads import cores

__all__ = ["Rows", "each_part", "threads"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
UnsignedArray = npt.NDArray[np.uint32]
SingleArray = npt.NDArray[np.float32]

_BATCH = 16
_MOST_VALUES = 4_000_000  # predictors held at once by one thread
_MAX_PARTS = 64
_MOST_MEMBERS = 8
_LANES = 8
_PROBES = 256
_BLOCK = 4096  # rows whose products are summed in the precision of the rows
# The rows are always cut into this many pieces, whatever the number of threads, so that sums are
# taken in the same order and the numbers do not depend on the machine's load.
_PIECES = 4
_SINGLE = np.dtype(np.float32)
_NONE = np.empty(0, dtype=np.int64)


def threads() -> int:
    """Threads that the sampler uses: one a core, at most one a piece of the rows."""
    return min(_PIECES, cores())


def each_part(work: Callable[..., Any], parts: Sequence[tuple[Any, ...]]) -> list[Any]:
    """Results of ``work(*part)``, in the order of `parts`, one thread a core."""
    if len(parts) < 2 or threads() == 1:
        return [work(*part) for part in parts]
    return list(_pool(os.getpid()).map(lambda part: work(*part), parts))


@cache
def _pool(_process: int) -> ThreadPoolExecutor:
    """Threads that are kept between calls; a forked process makes its own."""
    return ThreadPoolExecutor(threads(), thread_name_prefix="rows")


class Rows:
    """``X beta + Z f`` of rows that are sorted by group, for ``w = (beta, f)``.

    Parameters
    ----------
    X : numpy.ndarray, shape (n, p)
        Population-level columns, rows in the order of the caller.
    matrices : sequence of scipy.sparse.csr_array, each (n, m_b)
        Weights with which the rows use the effects of each block; ``f`` holds the effects of
        the blocks one after the other.
    start : numpy.ndarray, shape (groups + 1,)
        First row of each group, and n.

    Attributes
    ----------
    n, p, size : int
        Rows, columns of X, length of ``w``.
    """

    def __init__(self, X: FloatArray, matrices: Sequence[sp.csr_array], start: IntArray) -> None:
        self.n, self.p = X.shape
        offsets = self.p + np.cumsum([0] + [int(matrix.shape[1]) for matrix in matrices])
        self.size = int(offsets[-1])
        self._kept = threading.local()
        self._start = start
        self._groups = start.size - 1
        group = np.repeat(np.arange(self._groups, dtype=np.int32), np.diff(start))
        part = np.zeros(self.n, dtype=np.int64)
        slopes: list[tuple[IntArray, IntArray, IntArray]] = []
        shared: list[int] = []
        plain: list[int] = []
        for b, matrix in enumerate(matrices):
            found = _interaction(X, matrix)
            joint = None if found is None else _joint(part, found[0])
            if found is not None and joint is not None and joint.max(initial=0) < _MAX_PARTS:
                part = joint
                slopes.append((found[0], found[1], found[2] + int(offsets[b])))
            elif sp.csr_array(matrix - matrix[start[group]]).count_nonzero() == 0:
                shared.append(b)
            else:
                plain.append(b)
        order = np.argsort(part, kind="stable")
        self._order = order
        self._sorted = bool((np.diff(part) >= 0).all())
        place = np.empty(self.n, dtype=np.uint32)  # where the row of the caller is in our order
        place[order] = np.arange(self.n)
        self._place = place
        # Rows of a whole number of vector registers: twice as fast as 29 columns.
        self.width = -(-self.p // _LANES) * _LANES
        dense = np.zeros((self.n, self.width))
        dense[:, : self.p] = X if self._sorted else X[order]
        self._dense: dict[Any, Any] = {dense.dtype: dense, _SINGLE: dense.astype(_SINGLE)}
        self._theirs = group
        self._group = group if self._sorted else group[order]
        ends = np.searchsorted(part[order], np.arange(int(part.max(initial=0)) + 2))
        bounds = [(int(ends[e]), int(ends[e + 1])) for e in range(ends.size - 1)]
        self._bounds = bounds
        self._spread = [self._coefficients(order[i0], slopes) for i0, _ in bounds]
        #: Columns of X and effects of the slopes of each part.
        self._slopes = [
            (
                np.concatenate([columns for _, columns, _ in slopes] or [_NONE]),
                np.concatenate([e[pattern[order[i0]]] for pattern, _, e in slopes] or [_NONE]),
            )
            for i0, _ in bounds
        ]
        self._pieces = [
            (e, int(i), int(j))
            for e, (i0, i1) in enumerate(bounds)
            for i, j in _cut(i0, i1, max(1, round(_PIECES * (i1 - i0) / max(self.n, 1))))
        ]

        def levels(chosen: list[int]) -> IntArray:
            ranges = [np.arange(offsets[b], offsets[b + 1]) for b in chosen]
            return np.concatenate(ranges or [_NONE]).astype(np.int64)

        def stacked(chosen: list[int], rows: Any) -> sp.csr_array:
            if not chosen or not self.n:
                return sp.csr_array((len(rows), levels(chosen).size), dtype=np.float64)
            Z = sp.csr_array(sp.hstack([matrices[b] for b in chosen], format="csr"))[rows]
            Z.sum_duplicates()  # sorts the columns of each row as well
            return sp.csr_array(Z, dtype=np.float64)

        #: Effects that all rows of a group use alike, and their weights by group.
        self._common = levels(shared)
        self._commons = stacked(shared, np.minimum(start[:-1], max(self.n - 1, 0)))
        #: The other plain memberships.
        self.rest = levels(plain)
        Z = stacked(plain, np.arange(self.n))
        ours = Z if self._sorted else sp.csr_array(Z[order])
        narrow = int(np.diff(Z.indptr).max(initial=0)) <= _MOST_MEMBERS
        #: Memberships as they are, if padding all rows to the longest would be wasteful.
        self._wide = None if narrow else ours
        self._members = self._fixed_width(Z if narrow else sp.csr_array(Z.shape))
        self._entries = (
            ours.indptr.astype(np.int64), ours.indices.astype(np.int32), ours.data,
        )  # fmt: skip

    def _fixed_width(self, Z: sp.csr_array) -> tuple[UnsignedArray, dict[Any, Any]]:
        """Columns of each row, (most per row, n), padded, and weights by precision."""
        uses = np.diff(Z.indptr)
        most = int(uses.max(initial=0))
        column = np.full((most, self.n), Z.shape[1], dtype=np.uint32)
        weight = np.zeros((most, self.n))
        row = np.repeat(np.arange(self.n), uses)
        which = np.arange(row.size) - Z.indptr[row]
        column[which, row], weight[which, row] = Z.indices, Z.data
        return column, {weight.dtype: weight, _SINGLE: weight.astype(_SINGLE)}

    def _scratch(self, name: str, shape: tuple[int, int], kind: Any) -> Any:
        """An array of this thread that is used again by the next call; its values are anything."""
        key, size = f"{name}_{kind}", shape[0] * shape[1]
        kept = getattr(self._kept, key, None)
        if kept is None or kept.size < size:
            kept = np.empty(size, kind)
            setattr(self._kept, key, kept)
        return kept[:size].reshape(shape)

    @property
    def batch(self) -> int:
        """Draws whose predictors are best made in one pass over the rows."""
        return int(np.clip(_MOST_VALUES // max(self.n, 1), 1, _BATCH))

    def _coefficients(
        self, row: int, slopes: Sequence[tuple[IntArray, IntArray, IntArray]]
    ) -> sp.csr_array:
        """S_e (width, size): what each column of X is multiplied by in the part of `row`."""
        column, at = [np.arange(self.p)], [np.arange(self.p)]
        for pattern, columns, effects in slopes:
            column.append(columns)
            at.append(effects[pattern[row]])
        i, j = np.concatenate(column), np.concatenate(at)
        return sp.csr_array((np.ones(i.size), (i, j)), shape=(self.width, self.size))

    def predictor(self, w: FloatArray, kind: Any = np.float64) -> Any:
        """X beta + Z f in the caller's order and the precision `kind`, shape (n,)."""
        X, kind = self._dense[np.dtype(kind)], np.dtype(kind)
        a, out = np.empty(self.n, kind), np.empty(self.n, kind)
        B = [(S @ w).astype(kind) for S in self._spread]
        each_part(
            lambda e, i0, i1: np.matmul(X[i0:i1], B[e], out=a[i0:i1]),
            self._pieces,
        )
        common, F = self._effects(w, kind)
        if self._wide is not None:
            a += self._wide @ F[:-1]
        column, weight = self._members
        cuts = _cut(0, self.n, _PIECES)
        each_part(
            lambda i0, i1: row_kernels.add_members_once(
                a, self._place, self._theirs, common, column, weight[kind], F, i0, i1, out
            ),
            cuts,
        )
        return out

    def predictors(self, W: FloatArray) -> SingleArray:
        """`predictor` of each of a few ``w`` (draws, size) in single precision, one thread.

        Returns
        -------
        numpy.ndarray, shape (draws, n)
            To be used, or overwritten, before the next call in the same thread: memory that is
            taken anew for every batch costs more than the work.
        """
        X = self._dense[_SINGLE]
        A = self._scratch("dense", (self.n, len(W)), _SINGLE)
        for S, (i0, i1) in zip(self._spread, self._bounds, strict=True):
            np.matmul(X[i0:i1], (S @ W.T).astype(_SINGLE), out=A[i0:i1])
        common, F = self._effects(W.T, _SINGLE)
        if self._wide is not None:
            A += self._wide @ F[:-1]
        column, weight = self._members
        out = self._scratch("whole", (len(W), self.n), _SINGLE)
        row_kernels.add_members(
            A, self._place, self._start, common, column, weight[_SINGLE], F, out
        )
        return np.asarray(out)

    def powers(self, W: FloatArray, weight: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Sums of squares and of cubes of the predictors of many ``w`` (draws, size).

        Returns
        -------
        squares : numpy.ndarray, shape (n,)
            Over the draws, row by row.
        cubes : numpy.ndarray, shape (draws,)
            Over the rows, each times its `weight`.
        """
        cubes = np.zeros(len(W))

        def run(s0: int, s1: int) -> FloatArray:
            squares = np.zeros(self.n)
            for s in range(s0, s1, self.batch):
                end = min(s + self.batch, s1)
                row_kernels.add_powers(self.predictors(W[s:end]), weight, squares, cubes[s:end])
            return squares

        return np.sum(each_part(run, _cut(0, len(W), _PIECES)), axis=0), cubes

    def _effects(self, W: FloatArray, kind: Any) -> tuple[Any, Any]:
        """What each group gets from effects it uses alike, and the effects that rows pick from.

        The last of the latter is that of no membership. Draws, if any, are along the last axis.
        """
        F = np.zeros((self.rest.size + 1, *W.shape[1:]), kind)
        F[:-1] = W[self.rest]
        return np.ascontiguousarray(self._commons @ W[self._common], dtype=kind), F

    def transpose(self, r: Any) -> FloatArray:
        """(X, Z)' r for r in the caller's order, shape (size,)."""
        X = self._dense[r.dtype]
        ours = r if self._sorted else r[self._order]

        def run(e: int, i0: int, i1: int) -> tuple[int, FloatArray, FloatArray]:
            b, f = np.zeros(self.width), np.zeros(self.rest.size)
            for i, j in _blocks(i0, i1):
                b += ours[i:j] @ X[i:j]
            row_kernels.member_sums(*self._entries, ours, i0, i1, f)
            return e, b, f

        out = np.zeros(self.size)
        for e, b, f in each_part(run, self._pieces):
            out += self._spread[e].T @ b
            out[self.rest] += f
        if self._common.size:
            out[self._common] = self._commons.T @ row_kernels.segment_sums(r, self._start)
        return out

    def cross(self, weight: Any) -> FloatArray:
        """(X, Z)' diag(weight) (X, Z) for weights of 0 or more, shape (size, size)."""
        X = self._dense[weight.dtype]
        ours = weight if self._sorted else weight[self._order]
        root = np.sqrt(ours)[:, None]
        m = self.rest.size

        def run(e: int, i0: int, i1: int) -> tuple[int, FloatArray, FloatArray, FloatArray]:
            XX = np.zeros((self.width, self.width))
            ZX, ZZ = np.zeros((m, self.width)), np.zeros((m, m))
            for i, j in _blocks(i0, i1):
                scaled = X[i:j] * root[i:j]
                XX += scaled.T @ scaled
            if m:
                row_kernels.member_products(X, *self._entries, ours, i0, i1, ZX, ZZ)
            return e, XX, ZX, ZZ

        H = np.zeros((self.size, self.size))
        rest, common = self.rest, self._common
        for e, XX, ZX, ZZ in each_part(run, self._pieces):
            S = self._spread[e]
            H += S.T @ (S.T @ XX).T
            if m:
                block = (S.T @ ZX.T).T  # (m, size)
                H[rest] += block
                H[:, rest] += block.T
                H[np.ix_(rest, rest)] += ZZ + np.tril(ZZ, -1).T
        if common.size:
            # All rows of a group have these memberships, so that sums by group are enough.
            block = self._commons.T @ self.sums(weight)
            H[common], H[:, common] = block, block.T
        return H

    def sums(self, value: Any) -> Any:
        """``Σ_{i in g} value_i (X_i, Z_i)`` of every group, shape (groups, size).

        Parameters
        ----------
        value : numpy.ndarray, shape (n,)
            In the caller's order; its precision is that of the result.
        """
        X = self._dense[value.dtype]
        ours = value if self._sorted else value[self._order]
        out = np.zeros((self._groups, self.size), value.dtype)
        for (columns, effects), (i0, i1) in zip(self._slopes, self._bounds, strict=True):
            row_kernels.group_sums(
                X, self.p, columns, effects, self.rest, *self._entries, ours, self._group, i0, i1,
                out,
            )  # fmt: skip
        if self._common.size:
            G, total = self._commons, row_kernels.segment_sums(value, self._start)
            row_kernels.spread_sums(G.indptr, G.indices, G.data, total, self._common, out)
        return out


def _blocks(i0: int, i1: int) -> Iterable[tuple[int, int]]:
    return ((i, min(i + _BLOCK, i1)) for i in range(i0, i1, _BLOCK))


def _cut(i0: int, i1: int, pieces: int) -> list[tuple[int, int]]:
    cuts = np.linspace(i0, i1, pieces + 1).astype(int).tolist()
    return [(i, j) for i, j in pairwise(cuts) if j > i]


def _joint(a: IntArray, b: IntArray) -> IntArray:
    """Number of the pair (a, b) of each row, from 0."""
    pair = a * (int(b.max(initial=0)) + 1) + b
    return np.asarray(np.unique(pair, return_inverse=True)[1], dtype=np.int64)


def _interaction(X: FloatArray, matrix: sp.csr_array) -> tuple[IntArray, IntArray, IntArray] | None:
    """A block that is columns of X times the indicators of a partition of the rows, or None.

    Returns
    -------
    pattern : numpy.ndarray, shape (n,)
        Which part of the partition a row is in.
    columns : numpy.ndarray, shape (q,)
        Columns of X.
    effects : numpy.ndarray, shape (parts, q)
        The effect that multiplies each of them in each part.
    """
    n = matrix.shape[0]
    uses = np.diff(matrix.indptr)
    if n == 0 or uses.min() != uses.max() or uses[0] < 3:
        return None  # one or two memberships are cheaper as they are
    matrix = matrix.sorted_indices()
    q = int(uses[0])
    used = matrix.indices.reshape(n, q)
    values = matrix.data.reshape(n, q)
    # A pattern is known by its first level if the partition is one; checked below.
    first, where, pattern = np.unique(used[:, 0], return_index=True, return_inverse=True)
    effects = used[where].astype(np.int64)
    if first.size > _MAX_PARTS or not (used == effects[pattern]).all():
        return None
    columns = []
    some = np.linspace(0, n - 1, min(n, _PROBES)).astype(np.int64)
    for j in range(q):
        alike = (X[some] == values[some, j][:, None]).all(axis=0)
        same = [k for k in np.flatnonzero(alike) if (X[:, k] == values[:, j]).all()]
        if not same:
            return None
        columns.append(int(same[0]))
    return pattern.astype(np.int64), np.array(columns), effects
