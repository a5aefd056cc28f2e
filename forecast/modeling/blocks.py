"""Groups of effects: which level a row uses, with which weight, known at the fit or new."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
import xarray as xr

from forecast.arrays import BoolArray, FloatArray, IntArray
from forecast.errors import ArgumentError, SpecificationError
from forecast.modeling.covariates import Code
from forecast.modeling.spec import ModelSpec
from forecast.modeling.terms import Varying

__all__ = ["BlockCode", "RowBlock", "describe", "dispute_of", "fit_block", "split_levels"]


#: Labels of a dyad are "a-b"; inside, the key a * _BASE + b sorts them by number.
_BASE = 100_000
_MOST_LISTED = 1 << 22


@dataclass(frozen=True, eq=False)
class RowBlock:
    """How rows use one group of effects; see `forecast.modeling.design.Block`."""

    name: str
    structure: Literal["iid", "random_walk"]
    matrix: sp.csr_array  # weights over the levels of the fit, (n, m)
    #: Weights over levels that the fit did not see, (n, k). iid: each is a fresh draw from
    #: Normal(0, sigma), shared by the rows that use it. random_walk: the steps after the last one
    #: of the fit, in order and without gaps; each adds a fresh increment.
    unknown: sp.csr_array
    unknown_levels: tuple[str, ...]  # their labels, (k,)
    chains: int = 1  # the unknown steps of one walk follow those of another

    @property
    def unknown_weight(self) -> FloatArray:
        """Sum of absolute weights on unknown levels, shape (n,)."""
        return np.asarray(abs(self.unknown).sum(axis=1), dtype=np.float64)


@dataclass(frozen=True)
class BlockCode(Code):
    """Levels of one group of effects, as found at the fit.

    The name is ``state``, ``challenger``, ``target``, ``dyad``, ``dispute``, ``era``, ``year``, or
    a kind of slopes, as in `forecast.modeling.terms.Varying.block`.
    """

    name: str
    structure: Literal["iid", "random_walk"]
    #: COW codes, ``"a-b"`` dyads, ids of disputes, first years of walk steps, or ``"term|era"``,
    #: ``"term|step"``, ``"term|stratum"``.
    levels: tuple[str, ...]
    step: int = 0  # years of a step of the walk; 0 if iid
    eras: tuple[tuple[str, int, int | None], ...] = ()  # of slopes that vary by era
    columns: tuple[str, ...] = ()  # design columns whose coefficients vary
    by: tuple[str, ...] = ()  # binary design columns whose combinations are strata

    @property
    def is_slope(self) -> bool:
        """Whether the effects are deviations of coefficients."""
        return bool(self.columns)

    @property
    def chains(self) -> int:
        """Number of walks: one, or one for each column whose slope walks."""
        return len(self.columns) if self.is_slope and self.structure == "random_walk" else 1

    def apply(self, rows: xr.Dataset, X: FloatArray, names: tuple[str, ...]) -> RowBlock:
        """Weights of rows, with design columns X (n, p), on the levels of the fit and on new ones.

        Raises `ArgumentError`: A row lies before the first step of the walk, or in no era.
        """
        if self.name == "dispute":
            return self._disputes(rows)
        keys, weights = self._keys(rows, X, names)
        matrix, unknown, extra = split_levels(keys, weights, _parse(self))
        if self.structure == "random_walk" and extra.size:
            first, last = (int(self.levels[end].rpartition("|")[2]) for end in (0, -1))
            if (extra % _BASE).min() < first:
                raise ArgumentError(
                    f"A row of the step {int((extra % _BASE).min())} lies before the first year of "
                    f"the fit ({first}); a random walk is not continued backwards"
                )
            # Every step up to the furthest: the walk passes through those without rows too.
            steps = np.arange(last + self.step, int((extra % _BASE).max()) + 1, self.step)
            every = (np.arange(self.chains)[:, None] * _BASE + steps).ravel()
            unknown = sp.csr_array(
                (unknown.data, np.searchsorted(every, extra)[unknown.indices], unknown.indptr),
                shape=(unknown.shape[0], every.size),
            )
            extra = every
        labels = tuple(self._label(int(key)) for key in extra)
        return RowBlock(self.name, self.structure, matrix, unknown, labels, self.chains)

    def strata_of(self, X: npt.NDArray[Any], names: Sequence[str]) -> IntArray:
        """Number of the stratum of each row (...), told by its design columns X (..., p).

        It is which of the binary columns `by` are above their mean: a missing value, which is at
        the mean, counts as 0.
        """
        held = X[..., [list(names).index(column) for column in self.by]] > 0
        return np.asarray(held @ (1 << np.arange(len(self.by))), dtype=np.int64)

    def era_of(self, years: npt.ArrayLike) -> IntArray:
        """Position in `eras` of each year.

        Raises `ArgumentError`: A year is in no era.
        """
        year = np.asarray(years)
        found = np.full(year.shape, -1, dtype=np.int64)
        for position, (_, first, last) in enumerate(self.eras):
            found[(year >= first) & (year <= (np.inf if last is None else last))] = position
        if (found < 0).any():
            spans = ", ".join(f"{n} {a}-{'' if b is None else b}" for n, a, b in self.eras)
            raise ArgumentError(
                f"Year {int(year[found < 0].flat[0])} is in no [[era]] of the model ({spans})"
            )
        return found

    def step_of(self, years: npt.ArrayLike) -> IntArray:
        """First year of the walk step that holds each year."""
        return np.asarray(years, dtype=np.int64) // self.step * self.step

    def _keys(
        self, rows: xr.Dataset, X: FloatArray, names: tuple[str, ...]
    ) -> tuple[npt.NDArray[np.integer], FloatArray]:
        """Integer key and weight of every use of a level, both of shape (n, uses per row)."""
        n = rows.sizes["row"]
        if self.is_slope:
            part = self._parts(rows, X, names)
            width = len(self.columns)
            # Half the memory of the usual kind: there may be dozens for each row.
            offset = np.arange(width, dtype=np.int32) * np.int32(self._part_count)
            keys: npt.NDArray[np.integer] = offset + part[:, None].astype(np.int32)
            weights: FloatArray = X[:, [names.index(column) for column in self.columns]]
            return keys.reshape(n, width), weights
        if self.name == "era":
            keys = self.step_of(rows["year"].to_numpy())[:, None]
        elif self.name == "year":
            keys = rows["year"].to_numpy().astype(np.int64)[:, None]
        elif "ccode" in rows:
            keys = _codes(rows, "ccode")[:, None]
        else:
            a, b = _codes(rows, "ccode_a"), _codes(rows, "ccode_b")
            if self.name == "state":
                keys = np.stack([a, b], axis=1)
            elif self.name == "dyad":
                keys = (np.minimum(a, b) * _BASE + np.maximum(a, b))[:, None]
            else:
                keys = (a if self.name == "challenger" else b)[:, None]
        return keys, np.ones(keys.shape)

    def _parts(self, rows: xr.Dataset, X: FloatArray, names: tuple[str, ...]) -> IntArray:
        """In which part of the rows each row is, for its slopes."""
        if self.by:
            return self.strata_of(X, names)
        year = rows["year"].to_numpy()
        return self.step_of(year) if self.structure == "random_walk" else self.era_of(year)

    def part_label(self, part: int) -> str:
        """Label of an era, step or stratum."""
        if self.structure == "random_walk":
            return str(part)
        if self.by:
            return ",".join(f"{column}={part >> bit & 1}" for bit, column in enumerate(self.by))
        return self.eras[part][0]

    def _disputes(self, rows: xr.Dataset) -> RowBlock:
        """Weights on disputes: names, which are no numbers, in their place among all names."""
        ids = dispute_of(rows)
        new = tuple(sorted(set(ids.tolist()) - set(self.levels)))
        place = {name: at for at, name in enumerate((*self.levels, *new))}
        keys = np.array([place[name] for name in ids.tolist()], dtype=np.int64)[:, None]
        known = np.arange(len(self.levels), dtype=np.int64)
        matrix, unknown, _ = split_levels(keys, np.ones(keys.shape), known)
        return RowBlock(self.name, self.structure, matrix, unknown, new)

    def _label(self, key: int) -> str:
        if self.name == "dyad":
            return f"{key // _BASE}-{key % _BASE}"
        if self.is_slope:
            column, part = divmod(key, self._part_count)
            return f"{self.columns[column]}|{self.part_label(part)}"
        return str(key)

    @property
    def _part_count(self) -> int:
        """Bound of the numbers of parts."""
        if self.structure == "random_walk":
            return _BASE
        return 1 << len(self.by) if self.by else len(self.eras)


def fit_block(
    group: Varying, spec: ModelSpec, rows: xr.Dataset, X: FloatArray, names: tuple[str, ...]
) -> BlockCode | None:
    """Levels of a group in the rows of the fit; None for slopes when no column is left."""
    columns: tuple[str, ...] = ()
    strata: tuple[str, ...] = ()
    eras: tuple[tuple[str, int, int | None], ...] = ()
    if group.name == "slope":
        columns = tuple(t for t in spec.slope_terms(group.block) if t in names)
        strata = tuple(t for t in group.by if t in names)
        if not columns or (group.by and not strata):
            return None
        for column in strata:
            _check_binary(column, X[:, names.index(column)])
        if not group.by and group.structure == "iid":
            eras = tuple((era.name, era.first, era.last) for era in spec.eras)
    bare = BlockCode(group.block, group.structure, (), group.step or 0, eras, columns, strata)
    if group.name == "dispute":
        disputes = tuple(np.unique(dispute_of(rows)).tolist())
        return replace(bare, levels=disputes)
    try:
        if bare.is_slope:  # of every column in every part
            part = np.unique(bare._parts(rows, X, names))
            keys = np.add.outer(np.arange(len(columns)) * bare._part_count, part).ravel()
        else:
            keys = np.unique(bare._keys(rows, X, names)[0])
    except ArgumentError as error:
        raise SpecificationError(str(error)) from None
    if group.structure == "random_walk":
        steps = np.arange(keys[0] % _BASE, (keys % _BASE).max() + 1, bare.step)
        keys = (np.arange(bare.chains)[:, None] * _BASE + steps).ravel()
    return replace(bare, levels=tuple(bare._label(int(key)) for key in keys))


def _check_binary(column: str, values: FloatArray) -> None:
    """Refuse a column that does not split the rows in two (0 is a missing value at its mean)."""
    found = np.unique(values[values != 0.0])
    if found.size != 2 or found[0] * found[1] > 0:
        raise SpecificationError(
            f"[[varying]] 'slope': by = {column!r} must be binary (0 or 1, or transform = "
            f'"positive"), found {found.size} different values'
        )


def split_levels(
    keys: npt.NDArray[np.integer], weights: FloatArray, known: IntArray
) -> tuple[sp.csr_array, sp.csr_array, IntArray]:
    """Weights over known keys (n, m), over the others (n, extra), and those others, ascending.

    `keys` and `weights` (n, k) are of each use of a level; `known` (m,) the keys of the levels in
    the order of the levels, unique.
    """
    n, k = keys.shape
    every = (known, keys)
    if k > 1 and all(v.size and v.min() >= 0 and v.max() < _MOST_LISTED for v in every):
        # Many uses of few levels: a table of their places is quicker than a search for each.
        places = np.full(_MOST_LISTED, -1, dtype=np.int32)
        places[known] = np.arange(known.size)
        place = places[keys]
        if (place >= 0).all() and (place[:, 1:] > place[:, :-1]).all():
            kind = np.int32 if n * k < 1 << 31 else np.int64
            indptr = np.arange(n + 1, dtype=kind) * kind(k)
            matrix = sp.csr_array((weights.ravel(), place.ravel(), indptr), (n, known.size))
            return matrix, sp.csr_array((n, 0), dtype=np.float64), known[:0]
    order = np.argsort(known)
    ranked = known[order]
    place = np.minimum(np.searchsorted(ranked, keys), max(known.size - 1, 0))
    is_known = ranked[place] == keys if known.size else np.zeros(keys.shape, dtype=bool)
    extra, inverse = np.unique(keys[~is_known], return_inverse=True)

    def csr(mask: BoolArray, indices: IntArray, width: int) -> sp.csr_array:
        indptr = np.concatenate([[0], np.cumsum(mask.sum(axis=1))])
        matrix = sp.csr_array((weights[mask], indices, indptr), shape=(n, width))
        matrix.sort_indices()
        return matrix

    matrix = csr(is_known, order[place[is_known]] if known.size else extra[:0], known.size)
    return matrix, csr(~is_known, inverse, extra.size), extra


def _parse(code: BlockCode) -> IntArray:
    if code.name == "dyad":
        pairs = [level.split("-") for level in code.levels]
        return np.array([int(a) * _BASE + int(b) for a, b in pairs], dtype=np.int64)
    if code.is_slope:
        pairs = [level.split("|") for level in code.levels]
        if code.structure == "random_walk":
            places = {str(part): int(part) for _, part in pairs}
        else:
            places = {code.part_label(part): part for part in range(code._part_count)}
        return np.array(
            [code.columns.index(c) * code._part_count + places[p] for c, p in pairs], dtype=np.int64
        )
    return np.array([int(level) for level in code.levels], dtype=np.int64)


def _codes(rows: xr.Dataset, name: str) -> IntArray:
    if name not in rows:
        raise ArgumentError(f"The rows have no {name!r}: found {sorted(map(str, rows.variables))}")
    return rows[name].to_numpy().astype(np.int64)


def dispute_of(rows: xr.Dataset) -> npt.NDArray[np.str_]:
    """Dispute of each row: the id without the suffix that counts a pair's spells in it.

    Raises `ArgumentError`: The rows are not of disputes.
    """
    if "conflict_id" not in rows:
        raise ArgumentError(
            f"The rows have no 'conflict_id': found {sorted(map(str, rows.variables))}"
        )
    ids = rows["conflict_id"].to_numpy().astype(np.str_)
    return np.array([name.partition(".")[0] for name in ids.tolist()], dtype=np.str_)


def describe(rows: xr.Dataset, row: int) -> str:
    """Row in words, e.g. ``17 (750-770 in 1999)``."""
    sides = [str(int(rows[c][row])) for c in ("ccode", "ccode_a", "ccode_b") if c in rows]
    return f"{row} ({'-'.join(sides)} in {int(rows['year'][row])})"
