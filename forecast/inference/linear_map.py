"""The linear map from the latent vector to the predictor of every row, and its transpose.

Varying slopes (an effect for each era times a column of X) would put a dozen entries into every
row of the sparse matrix, and reading them would take most of the time of a fit. But within one
era they only change the coefficients of X. So the rows are cut into chunks that fit into the
cache, and in each chunk they are kept sorted by *part* (era, stratum), which has its own
coefficients ``B_e = S_e w``: dense products with X do all of it, and only the plain memberships
stay sparse. Those that are the same in all rows of a group (the two states of a dyad) are taken
once a group instead of once a row.

Work that only has to find a proposal is done in single precision, block of rows by block of rows
with sums of blocks in double: a few parts in a million.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import scipy.sparse as sp

from forecast.arrays import FloatArray, IntArray, SingleArray
from forecast.inference import row_kernels as kernels
from forecast.parallel import cores, in_kept_threads

__all__ = ["LinearMap", "each_part", "threads"]


_CHUNK = 2048  # rows whose columns stay in the cache
_COPIED = 65_536  # rows that are put into another order at once
_MAX_PARTS = 64
_LANES = 8
_PROBES = 256
_BLOCK = 4096  # rows whose products are summed in the precision of the rows
# The rows are always cut into this many pieces, whatever the number of threads, so that sums are
# taken in the same order and the numbers do not depend on the machine's load.
_PIECES = 4
_SINGLE = np.dtype(np.float32)
_NONE = np.empty(0, dtype=np.int64)

#: Which part of a partition each row is in, (n,); columns of X, (q,); and the effect that
#: multiplies each of them in each part, (parts, q).
type _Slopes = tuple[IntArray, IntArray, IntArray]


def threads() -> int:
    """Threads that the sampler uses: one a core, at most one a piece of the rows."""
    return min(_PIECES, cores())


def each_part(work: Callable[..., Any], parts: Sequence[tuple[Any, ...]]) -> list[Any]:
    """Results of ``work(*part)``, in the order of `parts`, one thread a core."""
    return in_kept_threads(work, parts, threads())


class LinearMap:
    """``X beta + Z f`` of n rows that are sorted by group, for ``w = (beta, f)`` (size,).

    `matrices` (n, m_b) are the weights with which the rows use the effects of each block; ``f``
    holds the effects of the blocks one after the other. `start` (groups + 1,) is the first row of
    each group, and n; `order` (n,) says which rows of `X` and `matrices` the rows sorted by group
    are: in all that follows they are in that order, the caller's. `spans` are chunks of rows, at
    the ends of groups if there are several.
    """

    def __init__(
        self, X: FloatArray, matrices: Sequence[sp.csr_array], start: IntArray, order: IntArray
    ) -> None:
        self.n, self.p = X.shape
        offsets = self.p + np.cumsum([0] + [int(matrix.shape[1]) for matrix in matrices])
        self.size = int(offsets[-1])
        self._source, self._start, self._groups = X, start, start.size - 1
        self._theirs = np.repeat(np.arange(self._groups, dtype=np.int32), np.diff(start))
        part, slopes, members, shared = self._sorted_out(matrices, offsets, order)
        plain = [b for b in members if b not in shared]
        edges = self._edges()
        parts = int(part.max(initial=0)) + 1
        key = np.repeat(np.arange(edges.size - 1), np.diff(edges)) * parts + part[order]
        ours = np.argsort(key, kind="stable")
        self._order, self._sorted = ours, bool((np.diff(key) >= 0).all())
        self._from = order[ours]
        place = np.empty(self.n, dtype=np.uint32)
        place[ours] = np.arange(self.n)
        key = key[ours]
        ends = np.flatnonzero(np.diff(key, prepend=-1, append=-1))
        segments = np.stack([key[ends[:-1]] % parts, ends[:-1], ends[1:]], axis=1)
        self.spans = self._cut(edges, segments)
        some = np.zeros(parts, dtype=np.int64)  # a row of each part, which stands for all
        some[part] = np.arange(self.n)
        self._part = part[self._from].astype(np.uint8)
        #: Columns of X and effects of the slopes of each part.
        self._slopes = [
            (
                np.concatenate([_NONE, *(columns for _, columns, _ in slopes)]),
                np.concatenate([_NONE, *(effects[at[row]] for at, _, effects in slopes)]),
            )
            for row in some.tolist()
        ]
        self._spread = [self._coefficients(*of_part) for of_part in self._slopes]
        self._group = self._theirs[ours]

        def levels(chosen: list[int]) -> IntArray:
            return np.concatenate([_NONE, *(np.arange(offsets[b], offsets[b + 1]) for b in chosen)])

        def stacked(chosen: list[int], rows: Any) -> sp.csr_array:
            if not chosen or not self.n:
                return sp.csr_array((len(rows), levels(chosen).size), dtype=np.float64)
            Z = sp.csr_array(sp.hstack([members[b] for b in chosen], format="csr"))[rows]
            Z.sum_duplicates()  # sorts the columns of each row as well
            return sp.csr_array(Z, dtype=np.float64)

        # Effects that all rows of a group use alike, and their weights by group; then the others.
        self._common, self.rest = levels(shared), levels(plain)
        self._commons = C = stacked(shared, np.minimum(start[:-1], max(self.n - 1, 0)))
        self._members = Z = stacked(plain, ours)
        self.chunks = kernels.ChunkRows(
            self._copied(_SINGLE), segments, place, start,
            *(kernels.Members(m.indptr.astype(np.int64), m.indices.astype(np.int32), m.data)
              for m in (Z, C)),
        )  # fmt: skip

    def _sorted_out(
        self, matrices: Sequence[sp.csr_array], offsets: IntArray, order: IntArray
    ) -> tuple[IntArray, list[_Slopes], dict[int, sp.csr_array], list[int]]:
        """Part of each row; slopes; other memberships by block; which groups use alike."""
        start, part = self._start, np.zeros(self.n, dtype=np.int64)
        slopes: list[_Slopes] = []
        members: dict[int, sp.csr_array] = {}
        shared: list[int] = []
        for b, matrix in enumerate(matrices):
            found = _interaction(self._source, matrix)
            joint = None if found is None else _joint(part, found[0])
            if found is not None and joint is not None and joint.max(initial=0) < _MAX_PARTS:
                part = joint
                slopes.append((found[0], found[1], found[2] + int(offsets[b])))
                continue
            members[b] = mine = sp.csr_array(matrix[order])
            if sp.csr_array(mine - mine[start[self._theirs]]).count_nonzero() == 0:
                shared.append(b)
        return part, slopes, members, shared

    def _edges(self) -> IntArray:
        """First row of each chunk, and n."""
        wanted = np.arange(0, self.n + _CHUNK, _CHUNK)
        if self._groups > 1:
            wanted = self._start[np.minimum(np.searchsorted(self._start, wanted), self._groups)]
        return np.unique(np.append(wanted[wanted < self.n], self.n)).astype(np.int64)

    def _cut(self, edges: IntArray, segments: IntArray) -> list[kernels.Span]:
        """Ranges of segments, groups and rows of each chunk."""
        if self._groups > 1:
            at = np.searchsorted(self._start, edges)
            at[0], at[-1:] = 0, self._groups
            groups = np.stack([at[:-1], at[1:]], axis=1)
        else:
            groups = np.tile([0, self._groups], (edges.size - 1, 1))
        first = np.searchsorted(segments[:, 1], edges)
        bounds = np.column_stack([first[:-1], first[1:], groups, edges[:-1], edges[1:]])
        return [kernels.Span(*bound) for bound in bounds.tolist()]

    def _copied(self, kind: Any) -> Any:
        """X in our order. Rows of a whole number of vector registers: twice as fast as 29."""
        X = np.zeros((self.n, -(-self.p // _LANES) * _LANES), kind)
        for i in range(0, self.n, _COPIED):
            X[i : i + _COPIED, : self.p] = self._source[self._from[i : i + _COPIED]]
        return X

    @cached_property
    def _double(self) -> FloatArray:
        return np.asarray(self._copied(np.float64))

    def _columns(self, kind: Any) -> Any:
        """X in our order and a precision."""
        return self.chunks.X if np.dtype(kind) == _SINGLE else self._double

    @cached_property
    def _pieces(self) -> list[tuple[int, kernels.Span]]:
        """Consecutive chunks as one span each, with their number."""
        cuts = np.unique(np.linspace(0, len(self.spans), _PIECES + 1).astype(int)).tolist()
        ends = [(self.spans[i], self.spans[j - 1]) for i, j in pairwise(cuts)]
        spans = [kernels.Span(a.s0, z.s1, a.g0, z.g1, a.i0, z.i1) for a, z in ends]
        return list(enumerate(spans))

    def _segments(self, span: kernels.Span) -> Iterable[tuple[int, int, int]]:
        """Part, first row and end, ours, of rows that are one product."""
        for e, j0, j1 in self.chunks.segments[span.s0 : span.s1].tolist():
            for j in range(j0, j1, _BLOCK):
                yield e, j, min(j + _BLOCK, j1)

    def _coefficients(self, columns: IntArray, effects: IntArray) -> sp.csr_array:
        """S_e (width, size): what each column of X is multiplied by in a part."""
        i, j = (np.concatenate([np.arange(self.p), more]) for more in (columns, effects))
        width = -(-self.p // _LANES) * _LANES
        return sp.csr_array((np.ones(i.size), (i, j)), shape=(width, self.size))

    def predictor(self, w: FloatArray, kind: Any = np.float64) -> Any:
        """X beta + Z f in the caller's order and the precision `kind`, shape (n,)."""
        X, kind = self._columns(kind), np.dtype(kind)
        a, out = np.empty(self.n, kind), np.empty(self.n, kind)
        B = [(S @ w).astype(kind) for S in self._spread]
        F, common = w[self.rest].astype(kind), (self._commons @ w[self._common]).astype(kind)

        def run(_: int, span: kernels.Span) -> None:
            for e, j0, j1 in self._segments(span):
                np.matmul(X[j0:j1], B[e], out=a[j0:j1])
            kernels.add_members(
                a, self.chunks.place, self._theirs, common, self.chunks.members, F, span.i0,
                span.i1, out,
            )  # fmt: skip

        each_part(run, self._pieces)
        return out

    def predictor_of(self, rows: IntArray, w: FloatArray) -> FloatArray:
        """`predictor` of some rows, in double precision."""
        ours = self.chunks.place[rows].astype(np.int64)
        B = np.stack([S @ w for S in self._spread])[:, : self.p]
        a = np.einsum("ij,ij->i", self._source[self._from[ours]], B[self._part[ours]])
        a += (self._commons @ w[self._common])[self._theirs[rows]]
        return np.asarray(a + self._members[ours] @ w[self.rest])

    def batches(self, W: FloatArray) -> kernels.Batches:
        """Many ``w`` (draws, size) in batches, the last one filled up with the last ``w``."""
        lanes = kernels.LANES
        W = np.concatenate([W, np.repeat(W[-1:], -len(W) % lanes, axis=0)])

        def side_by_side(values: Any) -> SingleArray:  # (draws, k) -> (batches, k, lanes)
            values = np.asarray(values, dtype=_SINGLE).reshape(len(W) // lanes, lanes, -1)
            return np.ascontiguousarray(values.transpose(0, 2, 1))

        return kernels.Batches(
            np.stack([side_by_side((S @ W.T).T) for S in self._spread], axis=1),
            side_by_side(W[:, self.rest]),
            side_by_side(W[:, self._common]),
        )

    def totals(self, rows: IntArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Sums over some rows: X by part (parts, width), weights of `rest` and of `_common`."""
        ours = self.chunks.place[rows].astype(np.int64)
        X = np.zeros((len(self._spread), self.chunks.X.shape[1]))
        np.add.at(X[:, : self.p], self._part[ours], self._source[self._from[ours]])
        common = self._commons[self._theirs[rows]]
        return X, self._members[ours].sum(axis=0), np.asarray(common.sum(axis=0))

    def total(self, rows: IntArray) -> FloatArray:
        """Derivative of the sum of some rows' predictors by ``w``, (size,)."""
        X, rest, common = self.totals(rows)
        out = np.zeros(self.size)
        for S, of_part in zip(self._spread, X, strict=True):
            out += S.T @ of_part
        out[self.rest] += rest
        out[self._common] += common
        return out

    def each_chunk(self, work: Callable[[int, kernels.Span], Any]) -> list[Any]:
        """Results of ``work(number, span)`` of every chunk, in order."""
        return each_part(work, list(enumerate(self.spans)))

    def powers(self, W: FloatArray, weight: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Sums of the predictors of many ``w`` (draws, size).

        Of squares over the draws, (n,), and of cubes over the rows, each times its `weight`,
        (draws,).
        """
        # What fills up the last batch is to add nothing.
        draws = self.batches(np.concatenate([W, np.zeros((-len(W) % kernels.LANES, self.size))]))
        squares = np.empty(self.n)

        def run(_: int, span: kernels.Span) -> FloatArray:
            cubes = np.empty((len(draws.B), kernels.LANES))
            kernels.chunk_powers(self.chunks, draws, span, weight, squares, cubes)
            return cubes.ravel()

        return squares, np.sum(self.each_chunk(run), axis=0)[: len(W)]

    def transpose(self, r: Any) -> FloatArray:
        """(X, Z)' r for r in the caller's order, shape (size,)."""
        X = self._columns(r.dtype)
        ours = r if self._sorted else r[self._order]

        def run(_: int, span: kernels.Span) -> tuple[FloatArray, FloatArray]:
            b, f = np.zeros((len(self._spread), X.shape[1])), np.zeros(self.rest.size)
            for e, j0, j1 in self._segments(span):
                b[e] += ours[j0:j1] @ X[j0:j1]
            kernels.member_sums(self.chunks.members, ours, span.i0, span.i1, f)
            return b, f

        out = np.zeros(self.size)
        for b, f in each_part(run, self._pieces):
            for S, of_part in zip(self._spread, b, strict=True):
                out += S.T @ of_part
            out[self.rest] += f
        if self._common.size:
            out[self._common] = self._commons.T @ kernels.segment_sums(r, self._start)
        return out

    def cross(self, weight: Any) -> FloatArray:
        """(X, Z)' diag(weight) (X, Z) for weights of 0 or more, shape (size, size)."""
        X = self._columns(weight.dtype)
        ours = weight if self._sorted else weight[self._order]
        root = np.sqrt(ours)[:, None]
        parts, width, m = len(self._spread), X.shape[1], self.rest.size

        def run(_: int, span: kernels.Span) -> tuple[FloatArray, FloatArray, FloatArray]:
            XX = np.zeros((parts, width, width))
            ZX, ZZ = np.zeros((parts, m, width)), np.zeros((m, m))
            for e, j0, j1 in self._segments(span):
                scaled = X[j0:j1] * root[j0:j1]
                XX[e] += scaled.T @ scaled
                if m:
                    kernels.member_products(X, self.chunks.members, ours, j0, j1, ZX[e], ZZ)
            return XX, ZX, ZZ

        H = np.zeros((self.size, self.size))
        rest, common = self.rest, self._common
        for XX, ZX, ZZ in each_part(run, self._pieces):
            for e, S in enumerate(self._spread):
                H += S.T @ (S.T @ XX[e]).T
                if m:
                    block = (S.T @ ZX[e].T).T  # (m, size)
                    H[rest] += block
                    H[:, rest] += block.T
            if m:
                H[np.ix_(rest, rest)] += ZZ + np.tril(ZZ, -1).T
        if common.size:
            # All rows of a group have these memberships, so that sums by group are enough.
            block = self._commons.T @ self.sums(weight)
            H[common], H[:, common] = block, block.T
        return H

    def sums(self, value: Any) -> Any:
        """``Σ_{i in g} value_i (X_i, Z_i)`` of every group, (groups, size), as precise as `value`.

        `value` (n,) is in the caller's order.
        """
        X = self._columns(value.dtype)
        ours = value if self._sorted else value[self._order]
        out = np.zeros((self._groups, self.size), value.dtype)

        def run(_: int, span: kernels.Span) -> None:
            for e, j0, j1 in self._segments(span):
                kernels.group_sums(
                    X, self.p, *self._slopes[e], self.rest, self.chunks.members, ours,
                    self._group, j0, j1, out,
                )  # fmt: skip

        # Each group is in one piece, so that threads add to rows of their own; one alone is in all.
        for pieces in [self._pieces] if self._groups > 1 else [[piece] for piece in self._pieces]:
            each_part(run, pieces)
        if self._common.size:
            total = kernels.segment_sums(value, self._start)
            kernels.spread_sums(self.chunks.common, total, self._common, out)
        return out


def _joint(a: IntArray, b: IntArray) -> IntArray:
    """Number of the pair (a, b) of each row, from 0."""
    pair = a * (int(b.max(initial=0)) + 1) + b
    return np.asarray(np.unique(pair, return_inverse=True)[1], dtype=np.int64)


def _interaction(X: FloatArray, matrix: sp.csr_array) -> _Slopes | None:
    """A block that is columns of X times the indicators of a partition of the rows, or None."""
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
