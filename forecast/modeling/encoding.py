"""`Encoding`: everything needed to encode new rows exactly as at the fit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt
import xarray as xr

from forecast.arrays import FloatArray, IntArray
from forecast.errors import ArgumentError, DataError, UnknownNameError, nearest
from forecast.modeling.alliance import AllianceCode
from forecast.modeling.blocks import BlockCode, RowBlock, describe
from forecast.modeling.covariates import ColumnCode, ProductCode
from forecast.modeling.terms import Smooth, Term
from forecast.panel.types import Panel
from forecast.unmeasured import why_unmeasured

if TYPE_CHECKING:
    from forecast.features.gather import FeatureRequest

__all__ = [
    "EncodedRows", "Encoding", "complete", "coordinates", "raw_values", "requests", "usable_rows",
]  # fmt: skip

_COORDINATES = ("year", "ccode", "ccode_a", "ccode_b", "conflict_id")


@dataclass(frozen=True, eq=False)
class EncodedRows:
    """New rows, encoded as at the fit."""

    X: FloatArray  # population-level columns, (n, p), intercept first
    names: tuple[str, ...]  # of the columns
    blocks: tuple[RowBlock, ...]  # weights on known and on new levels
    rows: xr.Dataset  # coordinates of the n rows
    #: Positions of the rows in what was given, (n,); shorter than it when a term of policy
    #: ``drop`` is missing.
    kept: IntArray
    dropped: dict[str, int] = field(default_factory=dict)  # rows left out, by term
    imputed: dict[str, int] = field(default_factory=dict)  # missing values put at the mean


@dataclass(frozen=True)
class Encoding:
    """Everything needed to encode new rows exactly as at the fit."""

    unit: str
    lag: int  # years by which features are lagged
    base_rate: float  # share of rows with an onset in the fit
    rows: int  # of the fit
    years: tuple[int, int]  # first and last of the fit
    terms: tuple[ColumnCode, ...]  # terms, then smooths
    blocks: tuple[BlockCode, ...]  # groups of effects, without the treaties
    alliance: AllianceCode | None  # alliance-level regression
    #: Rows left out of the fit for a missing value, by term; ``outcome`` are rows past the
    #: coverage of the outcome, ``excluded years`` those that the model says not to fit.
    dropped: tuple[tuple[str, int], ...]
    notes: tuple[str, ...]  # what was left out or found remarkable while encoding
    interactions: tuple[ProductCode, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the design columns, intercept first."""
        names = ["intercept", *self.term_names]
        names += [name for product in self.interactions for name in product.names]
        return (*names, *(self.alliance.names if self.alliance else ()))

    @property
    def term_names(self) -> tuple[str, ...]:
        """Names of the columns of terms and smooths."""
        return tuple(name for term in self.terms for name in term.names)

    @property
    def term_slices(self) -> dict[str, list[int]]:
        """Positions in `names` of the columns of each term, interaction and treaty feature."""
        codes: list[ColumnCode | ProductCode] = [*self.terms, *self.interactions]
        widths = [(code.name, len(code.names)) for code in codes]
        widths += [(name, 1) for name in (self.alliance.names if self.alliance else ())]
        ends = accumulate((width for _, width in widths), initial=1)
        return {name: list(range(at, at + k)) for (name, k), at in zip(widths, ends, strict=False)}

    @property
    def requests(self) -> list[FeatureRequest]:
        """Features to compute for new rows, one column per term."""
        return requests(self.terms)

    def columns(self, term: str, raw: npt.ArrayLike) -> FloatArray:
        """Design columns (..., k) of raw values (...) of one term or smooth, elementwise."""
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

    def apply(self, new: Panel | xr.Dataset) -> EncodedRows:
        """Encode new rows; features that a panel lacks are computed from its world.

        A dataset must hold one variable per term.

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
        kept, dropped = usable_rows(self.terms, data)
        data = chosen_rows(data, kept)
        rows = coordinates(data)
        X = np.empty((rows.sizes["row"], len(self.names)))
        X[:, 0] = 1.0
        place = {name: slice(at[0], at[-1] + 1) for name, at in self.term_slices.items() if at}
        imputed: dict[str, int] = {}
        for term in self.terms:
            raw = raw_values(data, term.name)
            columns = term(raw)
            if not np.isfinite(columns).all():
                bad = int(np.flatnonzero(~np.isfinite(columns).all(axis=1))[0])
                raise DataError(
                    f"{term.name} = {float(raw[bad])!r} in row {describe(rows, bad)}: not in the "
                    f"domain of transform {term.transform!r}"
                )
            if missing := int(np.isnan(raw).sum()):
                imputed[term.name] = missing
            if term.names:
                X[:, place[term.name]] = columns
        values = X[:, 1 : 1 + len(self.term_names)]
        for product in self.interactions:
            X[:, place[product.name]] = product(values, self.term_names)
        alliance: list[RowBlock] = []
        if self.alliance is not None:
            world = new.world if isinstance(new, Panel) else None
            columns, block, at_mean = self.alliance.apply(world, rows)
            imputed |= {f"alliance:{name}": count for name, count in at_mean.items()}
            X[:, X.shape[1] - columns.shape[1] :] = columns
            alliance.append(block)
        blocks = tuple(code.apply(rows, X, self.names) for code in self.blocks)
        return EncodedRows(X, self.names, (*blocks, *alliance), rows, kept, dropped, imputed)

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary for JSON; `from_dict` reads it back to an equal encoding."""
        return {
            **{name: getattr(self, name) for name in ("unit", "lag", "base_rate", "rows")},
            "years": list(self.years),
            "terms": [term.to_dict() for term in self.terms],
            "blocks": [block.to_dict() for block in self.blocks],
            "alliance": self.alliance.to_dict() if self.alliance else None,
            "dropped": dict(self.dropped),
            "notes": list(self.notes),
            "interactions": [product.to_dict() for product in self.interactions],
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`."""
        alliance = content["alliance"]
        return cls(
            **{name: content[name] for name in ("unit", "lag", "base_rate", "rows")},
            years=(content["years"][0], content["years"][1]),
            terms=tuple(ColumnCode.from_dict(term) for term in content["terms"]),
            blocks=tuple(BlockCode.from_dict(block) for block in content["blocks"]),
            alliance=None if alliance is None else AllianceCode.from_dict(alliance),
            dropped=tuple(dict(content["dropped"]).items()),
            notes=tuple(content["notes"]),
            # Fits that were stored before there were interactions have none.
            interactions=tuple(map(ProductCode.from_dict, content.get("interactions", ()))),
        )


def requests(terms: Iterable[Term | Smooth | ColumnCode]) -> list[FeatureRequest]:
    """Feature requests of the terms that name a registered feature; one column per term."""
    from forecast.features.gather import FeatureRequest

    return [
        FeatureRequest(t.name, t.feature, dict(t.options), t.side, at_entry=t.at_entry)
        for t in terms
        if t.feature is not None
    ]


def complete(panel: Panel, terms: Iterable[Term | Smooth | ColumnCode]) -> Panel:
    """Panel with the raw column of every term, computing those that it lacks.

    Raises `ArgumentError`: A term without a registered feature is not a column of the panel.
    `DataError`: A column is missing and the panel has no world to compute it from.
    """
    from forecast.features.gather import compute_features

    terms = tuple(terms)
    for term in terms:
        if term.feature is None and term.name not in panel.data:
            columns = [str(name) for name in panel.data.data_vars]
            hint = nearest(term.name, columns)
            reason = why_unmeasured(term.name, columns)
            raise ArgumentError(
                f"Term {term.name!r} names no registered feature, so the panel must hold a column "
                f"of that name (panel.with_data puts your own on it); found {', '.join(columns)}"
                + (f". {reason}" if reason else f". Did you mean {hint!r}?" if hint else "")
            )
    return compute_features(panel, requests(terms))


def raw_values(data: xr.Dataset, name: str) -> FloatArray:
    """Raw column as float64.

    Raises `ArgumentError`: The column is not there. `DataError`: It does not hold one number per
    row.
    """
    if name not in data:
        raise ArgumentError(f"The rows have no column {name!r}")
    column = data[name]
    if column.dims != ("row",) or column.dtype.kind not in "biuf":
        raise DataError(
            f"Column {name!r} must hold one number per row, found dtype {column.dtype} over "
            f"{tuple(map(str, column.dims))}. Groups of your own (text, categories) become columns"
            " of 0 and 1 by panel.with_data(frame), which names them NAME_LEVEL, or by"
            " pandas.get_dummies before forecast.panel_from_frame."
        )
    return column.to_numpy().astype(np.float64)


def chosen_rows(data: xr.Dataset, rows: IntArray) -> xr.Dataset:
    """Some rows of a dataset; itself, not a copy, if that is all of them."""
    return data if rows.size == data.sizes["row"] else data.isel(row=rows)


def usable_rows(
    terms: Sequence[Term | Smooth | ColumnCode], data: xr.Dataset
) -> tuple[IntArray, dict[str, int]]:
    """Positions of rows that can be encoded, and how many a term of policy ``drop`` leaves out.

    Raises `DataError`: A missing value in a term of policy ``error``.
    """
    keep = np.ones(data.sizes["row"], dtype=bool)
    dropped: dict[str, int] = {}
    for term in terms:
        policy = "error" if isinstance(term, Smooth) else term.missing
        gone = np.isnan(raw_values(data, term.name))
        if policy == "error" and gone.any():
            raise DataError(
                f"Column {term.name!r} is missing in {int(gone.sum())} of {gone.size} rows, first "
                f"in row {describe(data, int(np.flatnonzero(gone)[0]))}. Its policy is "
                'missing = "error"; "indicator" and "drop" are the alternatives.'
            )
        if policy == "drop" and gone.any():
            if count := int((gone & keep).sum()):
                dropped[term.name] = count
            keep &= ~gone
    return np.flatnonzero(keep), dropped


def coordinates(data: xr.Dataset) -> xr.Dataset:
    """Only the year and the state codes of the rows."""
    return xr.Dataset(coords={name: data[name] for name in _COORDINATES if name in data})
