"""A specification and a panel in; design arrays, and the recipe to encode new rows alike, out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
import xarray as xr

from forecast.errors import ArgumentError, DataError, SpecificationError, UnknownNameError
from forecast.modeling.alliance import AllianceCode, fit_alliance
from forecast.modeling.blocks import BlockCode, RowBlock, fit_block
from forecast.modeling.columns import ColumnCode, fit_columns
from forecast.modeling.design import Block, Design
from forecast.modeling.spec import ModelSpec, Smooth, Term
from forecast.panel.types import Panel

__all__ = ["Encoding", "Rows", "encode"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
_COORDINATES = ("year", "ccode", "ccode_a", "ccode_b")


@dataclass(frozen=True, eq=False)
class Rows:
    """New rows, encoded as at the fit.

    Attributes
    ----------
    X : numpy.ndarray, shape (n, p)
        Population-level columns, intercept first.
    names : tuple of str, length p
        Their names.
    blocks : tuple of RowBlock
        Weights on known and on new levels.
    rows : xarray.Dataset
        Coordinates of the n rows.
    kept : numpy.ndarray, shape (n,), int
        Positions of the rows in what was given; shorter than it when a term of policy
        ``drop`` is missing.
    dropped, imputed : dict of str to int
        Rows left out, and missing values put at the mean, by term.
    """

    X: FloatArray
    names: tuple[str, ...]
    blocks: tuple[RowBlock, ...]
    rows: xr.Dataset
    kept: IntArray
    dropped: dict[str, int] = field(default_factory=dict)
    imputed: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Encoding:
    """Everything needed to encode new rows exactly as at the fit.

    Attributes
    ----------
    unit : str
        Unit of the rows.
    lag : int
        Years by which features are lagged.
    base_rate : float
        Share of rows with an onset in the fit.
    rows : int
        Rows of the fit.
    years : tuple of int
        First and last year of the fit.
    terms : tuple of ColumnCode
        Terms, then smooths.
    blocks : tuple of BlockCode
        Groups of effects, without the treaties.
    alliance : AllianceCode or None
        Alliance-level regression.
    dropped : tuple of (str, int)
        Rows left out of the fit for a missing value, by term; ``outcome`` are rows past the
        coverage of the outcome.
    notes : tuple of str
        What was left out or found remarkable while encoding.
    """

    unit: str
    lag: int
    base_rate: float
    rows: int
    years: tuple[int, int]
    terms: tuple[ColumnCode, ...]
    blocks: tuple[BlockCode, ...]
    alliance: AllianceCode | None
    dropped: tuple[tuple[str, int], ...]
    notes: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the design columns, intercept first."""
        names = ["intercept", *(name for term in self.terms for name in term.names)]
        return (*names, *(self.alliance.names if self.alliance else ()))

    @property
    def term_slices(self) -> dict[str, list[int]]:
        """Positions in `names` of the columns of each term."""
        slices: dict[str, list[int]] = {}
        start = 1
        for term in self.terms:
            slices[term.name] = list(range(start, start + len(term.names)))
            start += len(term.names)
        for name in self.alliance.names if self.alliance else ():
            slices[name] = [start]
            start += 1
        return slices

    def columns(self, term: str, raw: npt.ArrayLike) -> FloatArray:
        """Design columns of raw values of one term, elementwise.

        Parameters
        ----------
        term : str
            Name of a term or smooth.
        raw : array_like, shape (...)
            Raw values of its feature.

        Returns
        -------
        numpy.ndarray, shape (..., k)
            k = ``len(term_slices[term])``.
        """
        for code in self.terms:
            if code.name == term:
                return code(raw)
        raise UnknownNameError("term", term, [code.name for code in self.terms])

    def block(self, name: str) -> BlockCode:
        """Code of the group of effects `name`."""
        for code in self.blocks:
            if code.name == name:
                return code
        raise UnknownNameError("group of effects", name, [code.name for code in self.blocks])

    def apply(self, new: Panel | xr.Dataset) -> Rows:
        """Encode new rows.

        Parameters
        ----------
        new : Panel or xarray.Dataset
            Rows; features that a panel lacks are computed from its world. A dataset must hold
            one variable per term.

        Raises
        ------
        DataError
            A missing value in a term of policy ``error``: names row and column.
        ArgumentError
            A column is not there, the unit differs, or a row lies before the fit.
        """
        if isinstance(new, Panel):
            if new.unit != self.unit or new.lag != self.lag:
                raise ArgumentError(
                    f"The panel is of unit {new.unit!r} with lag {new.lag}, the fit of unit "
                    f"{self.unit!r} with lag {self.lag}"
                )
            new = complete(new, self.terms)
        data = new.data if isinstance(new, Panel) else new
        kept, dropped = _usable(self.terms, data)
        data = data.isel(row=kept)
        rows = _coordinates(data)
        n = rows.sizes["row"]
        parts = [np.ones((n, 1))]
        imputed: dict[str, int] = {}
        for term in self.terms:
            raw = data[term.name].to_numpy().astype(np.float64)
            columns = term(raw)
            if not np.isfinite(columns).all():
                bad = int(np.flatnonzero(~np.isfinite(columns).all(axis=1))[0])
                raise DataError(
                    f"{term.name} = {raw[bad]!r} in row {describe(rows, bad)}: not in the domain "
                    f"of transform {term.transform!r}"
                )
            missing = int(np.isnan(raw).sum())
            if missing:
                imputed[term.name] = missing
            parts.append(columns)
        alliance: list[RowBlock] = []
        if self.alliance is not None:
            world = new.world if isinstance(new, Panel) else None
            columns, block, at_mean = self.alliance.apply(world, rows)
            imputed |= {f"alliance:{name}": count for name, count in at_mean.items()}
            parts.append(columns)
            alliance.append(block)
        X = np.ascontiguousarray(np.concatenate(parts, axis=1))
        blocks = tuple(code.apply(rows, X, self.names) for code in self.blocks)
        return Rows(X, self.names, (*blocks, *alliance), rows, kept, dropped, imputed)

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary for JSON; `from_dict` reads it back to an equal encoding."""
        return {
            "unit": self.unit,
            "lag": self.lag,
            "base_rate": self.base_rate,
            "rows": self.rows,
            "years": list(self.years),
            "terms": [term.to_dict() for term in self.terms],
            "blocks": [block.to_dict() for block in self.blocks],
            "alliance": self.alliance.to_dict() if self.alliance else None,
            "dropped": dict(self.dropped),
            "notes": list(self.notes),
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`."""
        alliance = content["alliance"]
        return cls(
            unit=content["unit"],
            lag=content["lag"],
            base_rate=content["base_rate"],
            rows=content["rows"],
            years=(content["years"][0], content["years"][1]),
            terms=tuple(ColumnCode.from_dict(term) for term in content["terms"]),
            blocks=tuple(BlockCode.from_dict(block) for block in content["blocks"]),
            alliance=None if alliance is None else AllianceCode.from_dict(alliance),
            dropped=tuple(dict(content["dropped"]).items()),
            notes=tuple(content["notes"]),
        )


def encode(spec: ModelSpec, panel: Panel) -> tuple[Design, Encoding]:
    """Design arrays of the rows of a panel, and the fitted encoding.

    Parameters
    ----------
    spec : ModelSpec
        Model specification.
    panel : Panel
        Rows; features that it lacks are computed from its world.

    Returns
    -------
    design : Design
        Rows with a known outcome inside the window of the specification.
    encoding : Encoding

    Raises
    ------
    ArgumentError
        Panel and specification differ in unit, population, outcome or lag.
    DataError
        Missing values under policy ``error``; no row, no onset or nothing but onsets.
    SpecificationError
        A constant column, or columns that are linearly dependent.
    """
    panel, dropped = _sample(spec, panel)
    data = panel.data
    kept, missing = _usable(spec.entries, data)
    data = data.isel(row=kept)
    y = data["outcome"].to_numpy().astype(np.float64)
    if y.size == 0 or y.min() == y.max():
        raise DataError(
            f"The sample of model {spec.name!r} has {y.size} rows, {int(y.sum())} with an onset: "
            "a fit needs rows with and without"
        )
    rows = _coordinates(data)
    codes: list[ColumnCode] = []
    notes: list[str] = []
    for term in spec.entries:
        code, remarks = fit_columns(term, data[term.name].to_numpy().astype(np.float64))
        codes.append(code)
        notes += remarks
    codes, shared = _share_indicators(codes, data)
    year = rows["year"].to_numpy()
    level = spec.alliance_level
    encoding = Encoding(
        unit=spec.unit,
        lag=spec.lag,
        base_rate=float(y.mean()),
        rows=int(y.size),
        years=(int(year.min()), int(year.max())),
        terms=tuple(codes),
        blocks=(),
        alliance=None if level is None else fit_alliance(level, panel.world, rows, spec.lag),
        dropped=tuple((dropped | missing).items()),
        notes=(*notes, *shared),
    )
    bare = encoding.apply(panel.with_data(data))
    close = _check_independent(bare.X, bare.names)
    blocks = [fit_block(group, spec, rows, bare.X, bare.names) for group in spec.varying]
    encoding = replace(
        encoding,
        blocks=tuple(block for block in blocks if block is not None),
        notes=(*encoding.notes, *close),
    )
    return _design(spec, encoding, bare, y), encoding


def complete(panel: Panel, terms: Sequence[Term | Smooth | ColumnCode]) -> Panel:
    """Panel with the raw column of every term, computing those that it lacks."""
    absent = [term for term in terms if term.name not in panel.data]
    if not absent:
        return panel
    for term in absent:
        if term.feature is None or panel.world is None:
            raise ArgumentError(
                f"The panel has no column {term.name!r}"
                + (" and no world to compute it from" if term.feature else "")
                + f"; its columns are {', '.join(map(str, panel.data.data_vars))}"
            )
    from forecast.features.gather import FeatureRequest, compute_features

    requests = [
        FeatureRequest(
            name=term.name, feature=str(term.feature), options=dict(term.options), side=term.side
        )
        for term in absent
    ]
    return compute_features(panel, requests)


def describe(rows: xr.Dataset, row: int) -> str:
    """Row in words, e.g. ``17 (750-770 in 1999)``."""
    sides = [str(int(rows[c][row])) for c in ("ccode", "ccode_a", "ccode_b") if c in rows]
    return f"{row} ({'-'.join(sides)} in {int(rows['year'][row])})"


def _sample(spec: ModelSpec, panel: Panel) -> tuple[Panel, dict[str, int]]:
    for key in ("unit", "population", "outcome", "lag"):
        found, wanted = getattr(panel, key), getattr(spec, key)
        if found != wanted:
            raise ArgumentError(
                f"Model {spec.name!r} is of {key} {wanted!r}, the panel of {key} {found!r}"
            )
    first, last = spec.years
    if first is not None or last is not None:
        panel = panel.select_years(first if first is not None else -9999, last or 9999)
    known = np.isfinite(panel.data["outcome"].to_numpy())
    dropped = {} if known.all() else {"outcome": int((~known).sum())}
    panel = panel.with_data(panel.data.isel(row=known))
    return complete(panel, spec.entries), dropped


def _usable(
    terms: Sequence[Term | Smooth | ColumnCode], data: xr.Dataset
) -> tuple[IntArray, dict[str, int]]:
    """Positions of the rows without a missing value that the terms' policies forbid."""
    keep = np.ones(data.sizes["row"], dtype=bool)
    dropped: dict[str, int] = {}
    for term in terms:
        if term.name not in data:
            raise ArgumentError(f"The rows have no column {term.name!r}")
        policy = "error" if isinstance(term, Smooth) else term.missing
        gone = np.isnan(data[term.name].to_numpy().astype(np.float64))
        if policy == "error" and gone.any():
            raise DataError(
                f"Column {term.name!r} is missing in {int(gone.sum())} of {gone.size} rows, first "
                f"in row {describe(data, int(np.flatnonzero(gone)[0]))}. Its policy is "
                'missing = "error"; "indicator" and "drop" are the alternatives.'
            )
        if policy == "drop" and gone.any():
            dropped[term.name] = int((gone & keep).sum())
            keep &= ~gone
    return np.flatnonzero(keep), dropped


def _coordinates(data: xr.Dataset) -> xr.Dataset:
    return xr.Dataset(coords={name: data[name] for name in _COORDINATES if name in data})


def _share_indicators(
    codes: list[ColumnCode], data: xr.Dataset
) -> tuple[list[ColumnCode], list[str]]:
    """Leave out a has-a-value column that equals an earlier one."""
    seen: dict[bytes, str] = {}
    out, notes = [], []
    for code in codes:
        if code.indicator:
            pattern = np.isnan(data[code.name].to_numpy()).tobytes()
            if pattern in seen:
                notes.append(
                    f"{code.name}: missing in the same rows as {seen[pattern]}, one column"
                )
                code = replace(
                    code, indicator=False, names=code.names[:-1], center=code.center[:-1],
                    scale=code.scale[:-1],
                )  # fmt: skip
            else:
                seen[pattern] = code.name
        out.append(code)
    return out, notes


def _check_independent(X: FloatArray, names: tuple[str, ...]) -> list[str]:
    """Refuse linearly dependent columns; remark on pairs that are nearly the same."""
    if X.shape[1] < 3:
        return []
    centred = X[:, 1:] - X[:, 1:].mean(axis=0)
    length = np.sqrt((centred**2).sum(axis=0))
    flat = np.flatnonzero(length <= 1e-12 * np.sqrt(X.shape[0]))
    if flat.size:
        raise SpecificationError(f"Column {names[1 + int(flat[0])]!r} is constant in the sample")
    correlation = (centred / length).T @ (centred / length)
    values, vectors = np.linalg.eigh(correlation)
    if values[0] < 1e-9:
        involved = np.flatnonzero(np.abs(vectors[:, 0]) > 0.05)
        listed = ", ".join(repr(names[1 + int(j)]) for j in involved)
        raise SpecificationError(
            f"The columns {listed} are linearly dependent: each is a combination of the others, "
            "so their coefficients cannot be told apart. Remove one."
        )
    close = np.argwhere(np.triu(np.abs(correlation) > 0.95, k=1))
    return [
        f"{names[1 + i]} and {names[1 + j]}: correlation {correlation[i, j]:.3f}" for i, j in close
    ]


def _design(spec: ModelSpec, encoding: Encoding, bare: Rows, y: FloatArray) -> Design:
    priors = {term.name: term.prior for term in spec.entries}
    logit = float(np.log(encoding.base_rate / (1.0 - encoding.base_rate)))
    mean = [logit if spec.intercept.mean == "base_rate" else float(spec.intercept.mean)]
    sd = [spec.intercept.sd]
    for code in encoding.terms:
        mean += [priors[code.name].mean] * len(code.names)
        sd += [priors[code.name].sd] * len(code.names)
    blocks: list[Block] = []
    for block in encoding.blocks:
        matrix = block.apply(bare.rows, bare.X, bare.names).matrix
        blocks.append(_block(block.name, block.structure, block.levels, matrix, block.scale_prior))
    if encoding.alliance is not None and spec.alliance_level is not None:
        code_, level = encoding.alliance, spec.alliance_level
        mean += [level.prior.mean] * len(code_.names)
        sd += [level.prior.sd] * len(code_.names)
        blocks.append(
            _block("alliance", "iid", code_.levels, bare.blocks[-1].matrix, code_.scale_prior)
        )
    return Design(
        y=y,
        X=bare.X,
        names=bare.names,
        prior_mean=np.array(mean),
        prior_sd=np.array(sd),
        blocks=tuple(blocks),
        rows=bare.rows,
    )


def _block(
    name: str, structure: Literal["iid", "random_walk"], levels: Sequence[str], matrix: Any,
    scale_prior: float,
) -> Block:  # fmt: skip
    return Block(name, structure, np.array(levels, dtype=np.str_), matrix, scale_prior)
