"""Groups of effects: which level a row uses, with which weight, known at the fit or new."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
import xarray as xr

from forecast.errors import ArgumentError, SpecificationError
from forecast.modeling.spec import Era, ModelSpec, Varying

__all__ = ["BlockCode", "RowBlock", "describe", "dispute_of", "fit_block", "split_levels"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

#: Labels of a dyad are "a-b"; inside, the key a * _BASE + b sorts them by number.
_BASE = 100_000


@dataclass(frozen=True, eq=False)
class RowBlock:
    """How rows use one group of effects.

    Attributes
    ----------
    name, structure : str
        As in `forecast.modeling.design.Block`.
    matrix : scipy.sparse.csr_array, shape (n, m)
        Weights over the levels of the fit.
    unknown : scipy.sparse.csr_array, shape (n, k)
        Weights over levels that the fit did not see. iid: each is a fresh draw from
        Normal(0, sigma), shared by the rows that use it. random_walk: the steps after the
        last one of the fit, in order and without gaps; each adds a fresh increment.
    unknown_levels : tuple of str, length k
        Their labels.
    """

    name: str
    structure: Literal["iid", "random_walk"]
    matrix: sp.csr_array
    unknown: sp.csr_array
    unknown_levels: tuple[str, ...]

    @property
    def unknown_weight(self) -> FloatArray:
        """Sum of absolute weights on unknown levels, shape (n,)."""
        return np.asarray(abs(self.unknown).sum(axis=1), dtype=np.float64)


@dataclass(frozen=True)
class BlockCode:
    """Levels of one group of effects, as found at the fit.

    Attributes
    ----------
    name : {"state", "challenger", "target", "dyad", "dispute", "era", "slope"}
        Group.
    structure : {"iid", "random_walk"}
        As in the specification.
    levels : tuple of str
        COW codes, ``"a-b"`` dyads, ids of disputes, first years of walk steps, or
        ``"term|era"``.
    scale_prior : float
        sigma ~ HalfNormal(scale_prior).
    step : int
        Years per step of the walk; 0 otherwise. A step starts at a multiple of `step`.
    eras : tuple of (name, first, last or None)
        Eras of the slopes; empty otherwise.
    columns : tuple of str
        Design columns whose slope varies; empty otherwise.
    """

    name: str
    structure: Literal["iid", "random_walk"]
    levels: tuple[str, ...]
    scale_prior: float
    step: int = 0
    eras: tuple[tuple[str, int, int | None], ...] = ()
    columns: tuple[str, ...] = ()

    def apply(self, rows: xr.Dataset, X: FloatArray, names: tuple[str, ...]) -> RowBlock:
        """Weights of rows on the levels of the fit and on new levels.

        Parameters
        ----------
        rows : xarray.Dataset
            Row coordinates ``year`` and ``ccode_a``, ``ccode_b`` or ``ccode``.
        X : numpy.ndarray, shape (n, p)
            Design columns of the rows.
        names : tuple of str, length p
            Their names.

        Raises
        ------
        ArgumentError
            A row lies before the first step of the walk, or in no era.
        """
        if self.name == "dispute":
            return self._disputes(rows)
        keys, weights = self._keys(rows, X, names)
        matrix, unknown, extra = split_levels(keys, weights, _parse(self))
        if self.name == "era" and extra.size:
            first, last = int(self.levels[0]), int(self.levels[-1])
            if extra.min() < first:
                raise ArgumentError(
                    f"A row of the step {int(extra.min())} lies before the first year of the fit "
                    f"({first}); a random walk is not continued backwards"
                )
            # Every step up to the furthest: the walk passes through those without rows too.
            steps = np.arange(last + self.step, int(extra.max()) + 1, self.step)
            unknown = sp.csr_array(
                (unknown.data, np.searchsorted(steps, extra)[unknown.indices], unknown.indptr),
                shape=(unknown.shape[0], steps.size),
            )
            extra = steps
        labels = tuple(self._label(int(key)) for key in extra)
        return RowBlock(self.name, self.structure, matrix, unknown, labels)

    def era_of(self, years: npt.ArrayLike) -> IntArray:
        """Position in `eras` of each year.

        Raises
        ------
        ArgumentError
            A year is in no era.
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

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary for JSON."""
        return {
            "name": self.name,
            "structure": self.structure,
            "levels": list(self.levels),
            "scale_prior": self.scale_prior,
            "step": self.step,
            "eras": [list(era) for era in self.eras],
            "columns": list(self.columns),
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`."""
        return cls(
            name=content["name"],
            structure=content["structure"],
            levels=tuple(content["levels"]),
            scale_prior=content["scale_prior"],
            step=content["step"],
            eras=tuple((n, a, b) for n, a, b in content["eras"]),
            columns=tuple(content["columns"]),
        )

    def _keys(
        self, rows: xr.Dataset, X: FloatArray, names: tuple[str, ...]
    ) -> tuple[IntArray, FloatArray]:
        """Integer key and weight of every use of a level, both of shape (n, uses per row)."""
        n = rows.sizes["row"]
        if self.name == "slope":
            era = self.era_of(rows["year"].to_numpy())
            width = len(self.columns)
            keys = np.arange(width)[None, :] * len(self.eras) + era[:, None]
            weights: FloatArray = X[:, [names.index(column) for column in self.columns]]
            return keys.reshape(n, width), weights
        if self.name == "era":
            keys = self.step_of(rows["year"].to_numpy())[:, None]
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
        if self.name == "slope":
            return f"{self.columns[key // len(self.eras)]}|{self.eras[key % len(self.eras)][0]}"
        return str(key)


def fit_block(
    group: Varying,
    spec: ModelSpec,
    rows: xr.Dataset,
    X: FloatArray,
    names: tuple[str, ...],
) -> BlockCode | None:
    """Levels of a group in the rows of the fit; None for slopes when no column is left.

    Parameters
    ----------
    group : Varying
        From the specification.
    spec : ModelSpec
        The specification.
    rows : xarray.Dataset
        Row coordinates.
    X : numpy.ndarray, shape (n, p)
        Design columns.
    names : tuple of str, length p
        Their names.
    """
    columns = tuple(t for t in spec.slope_terms() if t in names) if group.name == "slope" else ()
    if group.name == "slope" and not columns:
        return None
    bare = BlockCode(
        name=group.name,
        structure=group.structure,
        levels=(),
        scale_prior=group.scale.sd,
        step=group.step or 0,
        eras=tuple(_span(era) for era in spec.eras) if group.name == "slope" else (),
        columns=columns,
    )
    if group.name == "dispute":
        disputes = tuple(np.unique(dispute_of(rows)).tolist())
        return BlockCode(**{**bare.__dict__, "levels": disputes})
    try:
        keys = np.unique(bare._keys(rows, X, names)[0])
    except ArgumentError as error:
        raise SpecificationError(str(error)) from None
    if group.name == "era":
        keys = np.arange(keys[0], keys[-1] + 1, bare.step)
    return BlockCode(**{**bare.__dict__, "levels": tuple(bare._label(int(key)) for key in keys)})


def split_levels(
    keys: IntArray, weights: FloatArray, known: IntArray
) -> tuple[sp.csr_array, sp.csr_array, IntArray]:
    """Weights over known keys, weights over the others, and those others.

    Parameters
    ----------
    keys : numpy.ndarray, shape (n, k), int
        Key of each use of a level.
    weights : numpy.ndarray, shape (n, k)
        Its weight.
    known : numpy.ndarray, shape (m,), int, any order, unique
        Keys of the levels, in the order of the levels.

    Returns
    -------
    matrix : scipy.sparse.csr_array, shape (n, m)
    unknown : scipy.sparse.csr_array, shape (n, extra)
    extra : numpy.ndarray, shape (extra,), ascending
    """
    n = keys.shape[0]
    order = np.argsort(known)
    ranked = known[order]
    place = np.minimum(np.searchsorted(ranked, keys), max(known.size - 1, 0))
    is_known = ranked[place] == keys if known.size else np.zeros(keys.shape, dtype=bool)
    extra, inverse = np.unique(keys[~is_known], return_inverse=True)

    def csr(mask: npt.NDArray[np.bool_], indices: IntArray, width: int) -> sp.csr_array:
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
    if code.name == "slope":
        names = [era[0] for era in code.eras]
        pairs = [level.split("|") for level in code.levels]
        return np.array(
            [code.columns.index(c) * len(names) + names.index(e) for c, e in pairs],
            dtype=np.int64,
        )
    return np.array([int(level) for level in code.levels], dtype=np.int64)


def _codes(rows: xr.Dataset, name: str) -> IntArray:
    if name not in rows:
        raise ArgumentError(f"The rows have no {name!r}: found {sorted(map(str, rows.variables))}")
    return rows[name].to_numpy().astype(np.int64)


def dispute_of(rows: xr.Dataset) -> npt.NDArray[np.str_]:
    """Dispute of each row: the id without the suffix that counts a pair's spells in it.

    Raises
    ------
    ArgumentError
        The rows are not of disputes.
    """
    if "conflict_id" not in rows:
        raise ArgumentError(
            f"The rows have no 'conflict_id': found {sorted(map(str, rows.variables))}"
        )
    ids = rows["conflict_id"].to_numpy().astype(np.str_)
    return np.array([name.partition(".")[0] for name in ids.tolist()], dtype=np.str_)


def _span(era: Era) -> tuple[str, int, int | None]:
    return era.name, era.first, era.last


def describe(rows: xr.Dataset, row: int) -> str:
    """Row in words, e.g. ``17 (750-770 in 1999)``."""
    sides = [str(int(rows[c][row])) for c in ("ccode", "ccode_a", "ccode_b") if c in rows]
    return f"{row} ({'-'.join(sides)} in {int(rows['year'][row])})"
