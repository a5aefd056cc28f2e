"""The linear map from the latent vector to the predictor of every row, and its transpose.

Varying slopes (an effect for each era times a column of X) would put a dozen entries into every
row of the sparse matrix, and reading them would take most of the time of a fit. But within one
era they only change the coefficients of X. So rows are kept sorted by *part* (era), and each part
has its own coefficients ``B_e = S_e w``: dense products with X do all of it, and only the plain
memberships (two states, one step of the walk) stay sparse.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from forecast.inference import row_kernels
from forecast.threads import cores

__all__ = ["BATCH", "Rows", "each_part", "threads"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
UnsignedArray = npt.NDArray[np.uint32]
SingleArray = npt.NDArray[np.float32]

#: Draws whose predictors are made in one pass over the rows.
BATCH = 16
_MAX_PARTS = 64
_MOST_MEMBERS = 8
_LANES = 8
# The rows are always cut into this many pieces, whatever the number of threads, so that sums are
# taken in the same order and the numbers do not depend on the machine's load.
_PIECES = 4


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

    Attributes
    ----------
    n, p, size : int
        Rows, columns of X, length of ``w``.
    """

    def __init__(self, X: FloatArray, matrices: Sequence[sp.csr_array]) -> None:
        self.n, self.p = X.shape
        offsets = self.p + np.cumsum([0] + [int(matrix.shape[1]) for matrix in matrices])
        self.size = int(offsets[-1])
        part = np.zeros(self.n, dtype=np.int64)
        slopes: list[tuple[IntArray, IntArray, IntArray]] = []
        plain: list[int] = []
        for b, matrix in enumerate(matrices):
            found = _interaction(X, matrix)
            joint = None if found is None else _joint(part, found[0])
            if found is None or joint is None or int(joint.max(initial=0)) >= _MAX_PARTS:
                plain.append(b)
            else:
                part = joint
                slopes.append((found[0], found[1], found[2] + int(offsets[b])))
        order = np.argsort(part, kind="stable")
        #: Where the row of the caller is in our order.
        self.place: IntArray = np.empty(self.n, dtype=np.int64)
        self.place[order] = np.arange(self.n)
        self._unsigned = self.place.astype(np.uint32)  # no test for negative places in a loop
        self._order = order
        self._sorted = bool((np.diff(part) >= 0).all())
        # Rows of a whole number of vector registers: twice as fast as 29 columns.
        self.width = -(-self.p // _LANES) * _LANES
        self.X = np.zeros((self.n, self.width))
        self.X[:, : self.p] = X[order]
        self._single = self.X.astype(np.float32)
        ends = np.searchsorted(part[order], np.arange(int(part.max(initial=0)) + 2))
        self._bounds = [(int(ends[e]), int(ends[e + 1])) for e in range(ends.size - 1)]
        self._spread = [self._coefficients(order[i0], slopes) for i0, _ in self._bounds]
        self._touched = [S.nonzero() for S in self._spread]
        self._pieces = [
            (e, int(i), int(j))
            for e, (i0, i1) in enumerate(self._bounds)
            for i, j in _cut(i0, i1, max(1, round(_PIECES * (i1 - i0) / max(self.n, 1))))
        ]
        self.rest = np.concatenate(
            [np.arange(offsets[b], offsets[b + 1]) for b in plain] or [np.empty(0, dtype=np.int64)]
        ).astype(np.int64)
        Z = sp.csr_array((self.n, 0), dtype=np.float64)
        if plain:
            Z = sp.csr_array(sp.hstack([matrices[b] for b in plain], format="csr"))[order]
            Z.sum_duplicates()  # sorts the columns of each row as well
        self._indptr = Z.indptr.astype(np.int64)
        self._indices = Z.indices.astype(np.int32)
        self._values = Z.data.astype(np.float64)
        self._sparse = Z.astype(np.float32)
        self._members = self._fixed_width(Z[self.place])

    def _fixed_width(self, Z: sp.csr_array) -> tuple[UnsignedArray, SingleArray] | None:
        """Columns and weights of each row, (most per row, n), padded; None if that is wasteful."""
        uses = np.diff(Z.indptr)
        most = int(uses.max(initial=0))
        if most > _MOST_MEMBERS:
            return None
        column = np.full((most, self.n), Z.shape[1], dtype=np.uint32)
        weight = np.zeros((most, self.n), dtype=np.float32)
        row = np.repeat(np.arange(self.n), uses)
        which = np.arange(row.size) - Z.indptr[row]
        column[which, row], weight[which, row] = Z.indices, Z.data
        return column, weight

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

    def predictor(self, w: FloatArray) -> FloatArray:
        """X beta + Z f in the caller's order, shape (n,)."""
        a = np.empty(self.n)
        f = np.ascontiguousarray(w[self.rest])
        B = [S @ w for S in self._spread]
        each_part(
            lambda e, i0, i1: row_kernels.predictor(
                self.X, B[e], self._indptr, self._indices, self._values, f, i0, i1, a
            ),
            self._pieces,
        )
        return a if self._sorted else a[self.place]

    def predictors(self, W: FloatArray) -> SingleArray:
        """`predictor` of each of a few ``w`` (draws, size) in single precision, one thread.

        Returns
        -------
        numpy.ndarray, shape (draws, n)
        """
        A = np.empty((len(W), self.n), np.float32)
        for S, (i0, i1) in zip(self._spread, self._bounds, strict=True):
            B = (W @ S.T).astype(np.float32)
            if len(W) == 1:
                np.matmul(self._single[i0:i1], B[0], out=A[0, i0:i1])
            else:
                np.matmul(B, self._single[i0:i1].T, out=A[:, i0:i1])
        F = np.zeros((len(W), self.rest.size + 1), np.float32)  # the last effect is that of none
        F[:, :-1] = W[:, self.rest]
        if self._members is None:
            A += (self._sparse @ F[:, :-1].T).T
            return A if self._sorted else np.take(A, self.place, axis=1)
        out = np.empty_like(A)
        row_kernels.add_members(A, self._unsigned, *self._members, F, out)
        return out

    def transpose(self, r: FloatArray) -> FloatArray:
        """(X, Z)' r for r in the caller's order, shape (size,)."""
        r = r if self._sorted else r[self._order]

        def run(e: int, i0: int, i1: int) -> tuple[int, FloatArray, FloatArray]:
            b, f = np.zeros(self.width), np.zeros(self.rest.size)
            row_kernels.transpose(
                self.X, self._indptr, self._indices, self._values, r, i0, i1, b, f
            )
            return e, b, f

        out = np.zeros(self.size)
        for e, b, f in each_part(run, self._pieces):
            out += self._spread[e].T @ b
            out[self.rest] += f
        return out

    def cross(self, weight: FloatArray) -> FloatArray:
        """(X, Z)' diag(weight) (X, Z), shape (size, size)."""
        weight = weight if self._sorted else weight[self._order]
        m = self.rest.size

        def run(e: int, i0: int, i1: int) -> tuple[int, FloatArray, FloatArray, FloatArray]:
            XX = np.zeros((self.width, self.width))
            ZX, ZZ = np.zeros((m, self.width)), np.zeros((m, m))
            row_kernels.cross_products(
                self.X, self._indptr, self._indices, self._values, weight, i0, i1, XX, ZX, ZZ
            )
            return e, XX, ZX, ZZ

        H = np.zeros((self.size, self.size))
        for e, XX, ZX, ZZ in each_part(run, self._pieces):
            S = self._spread[e]
            H += S.T @ (S.T @ _whole(XX)).T
            block = (S.T @ ZX.T).T  # (m, size)
            H[self.rest] += block
            H[:, self.rest] += block.T
            H[np.ix_(self.rest, self.rest)] += _whole(ZZ)
        return H

    def sums(self, value: FloatArray, group: npt.NDArray[np.int32], groups: int) -> FloatArray:
        """``Σ_{i in g} value_i (X_i, Z_i)`` of every group, shape (groups, size).

        Parameters
        ----------
        value, group : numpy.ndarray, shape (n,)
            In the caller's order; group numbers from 0.
        groups : int
        """
        value, group = (value, group) if self._sorted else (value[self._order], group[self._order])

        def run(e: int, i0: int, i1: int) -> tuple[int, FloatArray]:
            one = np.zeros((groups, self.width))
            row_kernels.group_sums(self.X, value, group, i0, i1, one)
            return e, one

        out = np.zeros((groups, self.size))
        parts = [(e, i0, i1) for e, (i0, i1) in enumerate(self._bounds)]
        for e, one in each_part(run, parts):
            columns, effects = self._touched[e]
            out[:, effects] += one[:, columns]
        rest = np.zeros((groups, self.rest.size))
        row_kernels.sparse_group_sums(self._indptr, self._indices, self._values, value, group, rest)
        out[:, self.rest] += rest
        return out


def _whole(lower: FloatArray) -> FloatArray:
    """The symmetric matrix of a lower triangle."""
    return np.asarray(lower + np.tril(lower, -1).T)


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
    for j in range(q):
        same = [k for k in np.flatnonzero(X[0] == values[0, j]) if (X[:, k] == values[:, j]).all()]
        if not same:
            return None
        columns.append(int(same[0]))
    return pattern.astype(np.int64), np.array(columns), effects
