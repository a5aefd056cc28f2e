"""Design arrays: what a specification and a panel become before any sampler sees them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
import xarray as xr

from forecast.arrays import FloatArray
from forecast.errors import ArgumentError, DataError, SpecificationError
from forecast.modeling.alliance import AllianceCode, fit_alliance
from forecast.modeling.blocks import BlockCode, RowBlock, fit_block
from forecast.modeling.covariates import ColumnCode, ProductCode, fit_columns, fit_product
from forecast.modeling.encoding import (
    EncodedRows,
    Encoding,
    chosen_rows,
    complete,
    coordinates,
    raw_values,
    usable_rows,
)
from forecast.modeling.priors import ScalePrior, Tail
from forecast.modeling.spec import ModelSpec
from forecast.panel.types import Panel

__all__ = ["Block", "Design", "check_design", "encode", "encode_as", "fitted_rows"]


_BLOCK = 65_536  # rows that are centred at once


@dataclass(frozen=True, eq=False)
class Block:
    """A group of effects that share one scale.

    ``iid``: f_l ~ Normal(0, sigma). ``random_walk``: f_1 ~ Normal(0, sigma), f_l ~
    Normal(f_{l-1}, sigma) in the order of `levels`, anew for each of the `chains`; with
    sigma ~ `scale_prior`, which with a horseshoe gives each effect a scale of its own too.
    """

    name: str  # the posterior holds ``effect_<name>`` and ``sigma_<name>``
    structure: Literal["iid", "random_walk"]
    levels: npt.NDArray[np.str_]  # labels of the effects, (m,)
    matrix: sp.csr_array  # weights with which each row uses the effects, (n, m), several per row
    scale_prior: ScalePrior
    chains: int = 1  # walks of equal length that follow each other in `levels`; 1 if iid

    def __post_init__(self) -> None:
        if self.matrix.shape[1] != self.levels.size:
            raise ArgumentError(
                f"Block {self.name!r}: {self.levels.size} levels, but the matrix has "
                f"{self.matrix.shape[1]} columns"
            )
        if not self.scale_prior.scale > 0:
            raise ArgumentError(
                f"Block {self.name!r}: the scale of scale_prior must be positive, found "
                f"{self.scale_prior}"
            )
        if self.chains < 1 or self.levels.size % self.chains:
            raise ArgumentError(
                f"Block {self.name!r}: {self.levels.size} levels are not {self.chains} walks of "
                "equal length"
            )

    def increments(self, effects: FloatArray) -> FloatArray:
        """Independent Normal(0, sigma) variables behind the effects (last axis: the levels)."""
        if self.structure == "iid":
            return effects
        walks = effects.reshape(*effects.shape[:-1], self.chains, -1)
        steps = np.diff(walks, axis=-1, prepend=0.0)
        return np.asarray(steps.reshape(effects.shape))

    def effects(self, increments: FloatArray) -> FloatArray:
        """Inverse of `increments`."""
        if self.structure == "iid":
            return increments
        walks = increments.reshape(*increments.shape[:-1], self.chains, -1)
        return np.asarray(np.cumsum(walks, axis=-1).reshape(increments.shape))


@dataclass(frozen=True, eq=False)
class Design:
    """Arrays of the hierarchical logit: logit p = X beta + sum over blocks of Z_b f_b.

    With beta_j ~ Normal(prior_mean_j, prior_sd_j), but for columns in `tails`, whose prior has
    these tails about the same mean and scale. The first column is the intercept.
    """

    y: FloatArray  # outcome, 0.0 or 1.0, (n,)
    X: FloatArray  # population-level columns, (n, p), C-contiguous
    names: tuple[str, ...]  # of the columns
    prior_mean: FloatArray  # (p,)
    prior_sd: FloatArray  # (p,)
    blocks: tuple[Block, ...]  # groups of effects
    rows: xr.Dataset  # the coordinates of the rows (dimension ``row``)
    tails: Mapping[int, Tail] = field(default_factory=dict)  # by position of the column

    def __post_init__(self) -> None:
        n, p = self.X.shape
        lengths = {"names": len(self.names), "prior_mean": self.prior_mean.size}
        for what, length in (lengths | {"prior_sd": self.prior_sd.size}).items():
            if length != p:
                raise ArgumentError(f"Design: X has {p} columns, but {what} has length {length}")
        if self.y.shape != (n,) or not np.isin(self.y, (0.0, 1.0)).all():
            raise ArgumentError(f"Design: y must hold 0 or 1 for each of the {n} rows of X")
        if not np.isfinite(self.X).all():
            row, column = np.argwhere(~np.isfinite(self.X))[0]
            raise ArgumentError(f"Design: X is not finite in row {row}, {self.names[column]!r}")
        for block in self.blocks:
            if block.matrix.shape[0] != n:
                raise ArgumentError(
                    f"Design: X has {n} rows, but block {block.name!r} has {block.matrix.shape[0]}"
                )

    def chosen(self, rows: npt.NDArray[np.intp]) -> Design:
        """Some rows, in the given order; levels that none of them uses stay."""
        return replace(
            self,
            y=self.y[rows],
            X=np.ascontiguousarray(self.X[rows]),
            blocks=tuple(replace(b, matrix=sp.csr_array(b.matrix[rows])) for b in self.blocks),
            rows=self.rows.isel(row=rows),
        )


def check_design(design: Design) -> None:
    """Refuse what `Design` lets pass but no sampler could use.

    Raises `DataError`: No rows; a group without levels, or with weights that are not finite; a
    prior that is not proper.
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


def encode(spec: ModelSpec, panel: Panel) -> tuple[Design, Encoding]:
    """Design arrays of the rows of a panel, and the fitted encoding.

    Rows are those with a known outcome inside the window of the specification; features that the
    panel lacks are computed from its world.

    Raises `ArgumentError`: Panel and specification differ in unit, population, outcome, lag or
    `under_way`. `DataError`: Missing values under policy ``error``; no row, no onset or nothing but
    onsets. `SpecificationError`: A constant column, or columns that are linearly dependent.
    """
    panel, dropped = fitted_rows(spec, panel)
    data = panel.data
    y = data["outcome"].to_numpy().astype(np.float64)
    if y.size == 0 or y.min() == y.max():
        raise DataError(
            f"The sample of model {spec.name!r} has {y.size} rows, {int(y.sum())} with an onset: "
            "a fit needs rows with and without"
        )
    rows = coordinates(data)
    fitted = [fit_columns(term, raw_values(data, term.name)) for term in spec.entries]
    notes = [note for _, remarks in fitted for note in remarks]
    codes, shared = _share_indicators([code for code, _ in fitted], data)
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
        dropped=tuple(dropped.items()),
        notes=(*notes, *shared),
    )
    if spec.interactions:
        X = encoding.apply(panel).X
        made = [fit_product(i, encoding.terms, X, encoding.names) for i in spec.interactions]
        products = tuple(product for product, _ in made if product is not None)
        more = [note for _, remarks in made for note in remarks]
        encoding = replace(encoding, interactions=products, notes=(*encoding.notes, *more))
        del X
    encoded = encoding.apply(panel)
    del panel, data  # the raw columns: as much memory as X
    close = _check_independent(encoded.X, encoded.names)
    groups = (fit_block(group, spec, rows, encoded.X, encoded.names) for group in spec.varying)
    blocks = tuple(block for block in groups if block is not None)
    encoding = replace(encoding, blocks=blocks, notes=(*encoding.notes, *close))
    used = tuple(block.apply(rows, encoded.X, encoded.names) for block in blocks)
    encoded = replace(encoded, blocks=(*used, *encoded.blocks))
    return _design(spec, encoding, encoded, y), encoding


def encode_as(
    spec: ModelSpec, encoding: Encoding, panel: Panel
) -> tuple[Design, tuple[RowBlock, ...], bool]:
    """Design arrays of new rows, in the columns and levels of a fit.

    With how the rows use levels that the fit did not see, and whether the outcome of every row is
    known; one that is not stands as 0. A ``marginal_base_rate`` intercept has the prior that the
    spread of these rows gives.

    Raises `ArgumentError`: The encoding is of another specification; see also `Encoding.apply`.
    """
    wanted = [entry.name for entry in spec.entries]
    if (found := [code.name for code in encoding.terms]) != wanted:
        raise ArgumentError(
            f"The encoding has the terms {found}, model {spec.name!r} has {wanted}: it is of "
            "another fit"
        )
    rows = encoding.apply(panel)
    outcome = panel.data["outcome"].to_numpy()[rows.kept] if "outcome" in panel.data else np.nan
    y = np.broadcast_to(outcome, rows.kept.shape).astype(np.float64)
    design = _design(spec, encoding, rows, np.nan_to_num(y))
    return design, rows.blocks, bool(np.isfinite(y).all())


def fitted_rows(spec: ModelSpec, panel: Panel) -> tuple[Panel, dict[str, int]]:
    """The rows that a fit uses, with the raw column of every term; and how many are left out why.

    Raises `ArgumentError`, `DataError`: As `encode`.
    """
    for key, found in panel.choices.items():
        wanted = getattr(spec, key)
        if found not in (wanted, None):
            other = f"with_{key}" if key in ("population", "under_way", "outcome") else None
            how = f"; spec.{other}({found!r}) gives the model of these rows" if other else ""
            raise ArgumentError(
                f"Model {spec.name!r} is of {key} {wanted!r}, the panel of {key} {found!r}{how}"
            )
    first, last = spec.years
    if first is not None or last is not None:
        panel = panel.select_years(
            first if first is not None else -9999, 9999 if last is None else last
        )
    known = np.isfinite(panel.data["outcome"].to_numpy())
    dropped = {} if known.all() else {"outcome": int((~known).sum())}
    if spec.exclusions:
        year = panel.data["year"].to_numpy()
        out = np.any([(year >= e.first) & (year <= e.last) for e in spec.exclusions], axis=0)
        if count := int((out & known).sum()):
            dropped["excluded years"] = count
        known &= ~out
    panel = panel.with_data(chosen_rows(panel.data, np.flatnonzero(known)))
    panel = complete(panel, spec.entries)
    kept, missing = usable_rows(spec.entries, panel.data)
    return panel.with_data(chosen_rows(panel.data, kept)), dropped | missing


def _share_indicators(
    codes: list[ColumnCode], data: xr.Dataset
) -> tuple[list[ColumnCode], list[str]]:
    """Leave out a has-a-value column that equals an earlier one."""
    seen: dict[bytes, str] = {}
    out, notes = [], []
    for code in codes:
        if code.indicator:
            pattern = np.isnan(raw_values(data, code.name)).tobytes()
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


def _centred_products(X: FloatArray) -> FloatArray:
    """Sums of products of the columns of X less their means, (p, p), without a copy of X."""
    mean, total = X.mean(axis=0), np.zeros((X.shape[1], X.shape[1]))
    for i in range(0, len(X), _BLOCK):
        part = X[i : i + _BLOCK] - mean
        total += part.T @ part
    return total


def _check_independent(X: FloatArray, names: tuple[str, ...]) -> list[str]:
    """Refuse linearly dependent columns; remark on pairs that are nearly the same."""
    if X.shape[1] < 3:
        return []
    products = _centred_products(X[:, 1:])
    length = np.sqrt(np.diag(products))
    flat = np.flatnonzero(length <= 1e-12 * np.sqrt(X.shape[0]))
    if flat.size:
        raise SpecificationError(f"Column {names[1 + int(flat[0])]!r} is constant in the sample")
    correlation = products / np.outer(length, length)
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


def _design(spec: ModelSpec, encoding: Encoding, encoded: EncodedRows, y: FloatArray) -> Design:
    priors = {term.name: term.prior for term in (*spec.entries, *spec.interactions)}
    columns: list[ColumnCode | ProductCode] = [*encoding.terms, *encoding.interactions]
    each = [priors[column.name] for column in columns for _ in column.names]
    codes: list[BlockCode | AllianceCode] = [*encoding.blocks]
    scales = {group.block: group.scale for group in spec.varying}
    if encoding.alliance is not None and spec.alliance_level is not None:
        level = spec.alliance_level
        each += [level.prior] * len(encoding.alliance.names)
        scales[encoding.alliance.name] = level.scale
        codes.append(encoding.alliance)
    blocks = [
        Block(
            code.name, code.structure, np.array(code.levels, np.str_), rows.matrix,
            scales[code.name].prior, rows.chains,
        )
        for code, rows in zip(codes, encoded.blocks, strict=True)
    ]  # fmt: skip
    tails = [spec.intercept.tail, *(prior.tail for prior in each)]
    design = Design(
        y=y,
        X=encoded.X,
        names=encoded.names,
        prior_mean=np.array([0.0, *(prior.mean for prior in each)]),
        prior_sd=np.array([spec.intercept.width, *(prior.width for prior in each)]),
        blocks=tuple(blocks),
        rows=encoded.rows,
        tails={j: tail for j, tail in enumerate(tails) if tail is not None},
    )
    design.prior_mean[0] = _intercept_mean(spec, design, encoding.base_rate)
    return design


def _intercept_mean(spec: ModelSpec, design: Design, rate: float) -> float:
    """Prior mean of the intercept.

    For ``marginal_base_rate``: E[logistic(m + sqrt(V) Z)] is about logistic(m / sqrt(1 + c^2 V))
    with c = 16 sqrt(3) / (15 pi) (Zeger, Liang and Albert, *Biometrics* 44 (1988), 1049-1060), so
    m = logit(rate) sqrt(1 + c^2 V), V the prior variance of the rest of the linear predictor over
    draws and rows.
    """
    if not isinstance(spec.intercept.mean, str):
        return spec.intercept.mean
    logit = float(np.log(rate / (1.0 - rate)))
    if spec.intercept.mean == "base_rate":
        return logit
    variance = float((design.X[:, 1:] @ design.prior_mean[1:]).var())
    spread = np.diag(_centred_products(design.X[:, 1:])) / design.y.size
    squares = design.prior_sd**2
    for j, tail in design.tails.items():
        squares[j] *= tail.variance
    variance += float(squares[1:] @ spread)
    for block in design.blocks:
        # A walk's variance grows by step.
        steps = np.arange(len(block.levels)) % (len(block.levels) // block.chains)
        growth = steps + 1 if block.structure == "random_walk" else 1.0
        squared = np.bincount(
            block.matrix.indices, block.matrix.data**2, minlength=len(block.levels)
        )
        squared /= design.y.size
        variance += block.scale_prior.mean_square * float((squared * growth).sum())
    if not np.isfinite(variance):
        raise SpecificationError(
            f"Model {spec.name!r}: [intercept] mean = 'marginal_base_rate' needs priors with a "
            "variance, which a Student or half t with df <= 2 and a horseshoe have not; expected "
            "mean = 'base_rate' or a number"
        )
    return logit * float(np.sqrt(1.0 + (16.0 * np.sqrt(3.0) / (15.0 * np.pi)) ** 2 * variance))
