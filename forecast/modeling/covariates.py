"""From raw values of features to design columns, and products of those; fitted once, then fixed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import lru_cache
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
from scipy.interpolate import CubicSpline

from forecast.arrays import FloatArray
from forecast.errors import SpecificationError
from forecast.modeling.terms import Interaction, Side, Smooth, Term

__all__ = [
    "Code", "ColumnCode", "ProductCode", "fit_columns", "fit_product", "location_scale",
    "natural_cubic", "transform",
]  # fmt: skip


def transform(values: npt.ArrayLike, name: str) -> FloatArray:
    """Identity, log, log1p, sqrt, or positive (1 above zero, else 0) of raw values, elementwise.

    Not finite where it is not defined; NaN stays NaN.
    """
    x = np.asarray(values, dtype=np.float64)
    if name == "positive":
        return np.where(np.isnan(x), np.nan, (x > 0).astype(np.float64))
    if name == "identity":
        return x
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray({"log": np.log, "log1p": np.log1p, "sqrt": np.sqrt}[name](x))


def natural_cubic(x: npt.ArrayLike, knots: Sequence[float]) -> FloatArray:
    """Cardinal basis of the natural cubic splines with k knots, shape (..., k - 1).

    Column j is the natural cubic spline that is 1 at knot j+1 and 0 at every other knot, so a
    coefficient is the value of the smooth at its knot minus the value at the first knot (whose
    own column is left out: the intercept carries it). Linear beyond the outer knots.
    """
    curve, slopes = _cardinal(tuple(knots))
    values = np.asarray(x, dtype=np.float64)
    inside = np.clip(values, knots[0], knots[-1])
    basis: FloatArray = curve(inside)
    beyond = values - inside
    for slope, part in zip(slopes, (np.minimum(beyond, 0.0), np.maximum(beyond, 0.0)), strict=True):
        if part.any():
            basis += part[..., None] * slope
    return basis


@lru_cache(maxsize=64)
def _cardinal(knots: tuple[float, ...]) -> tuple[CubicSpline, FloatArray]:
    """Interpolants of the unit vectors but the first, and their slopes at both ends."""
    curve = CubicSpline(knots, np.eye(len(knots))[:, 1:], bc_type="natural")
    return curve, curve([knots[0], knots[-1]], 1)


def location_scale(x: FloatArray, weights: FloatArray | None = None) -> tuple[float, float]:
    """Mean and divisor that put a column on the common scale of the priors; NaN is left out.

    Binary (only 0 and 1): centred, divisor 1. Anything else: centred, divided by two standard
    deviations, so that its coefficient compares with that of a balanced binary (A. Gelman,
    "Scaling regression inputs by dividing by two standard deviations", *Statistics in Medicine*
    27 (2008), 2865-2873).
    """
    here = ~np.isnan(x)
    known = x[here]
    share = None if weights is None else weights[here]
    mean = float(np.average(known, weights=share))
    if bool(np.isin(known, (0.0, 1.0)).all()):
        return mean, 1.0
    return mean, 2.0 * float(np.sqrt(np.average((known - mean) ** 2, weights=share)))


class Code:
    """Base of what a fit found out about its columns and groups: a dataclass that JSON keeps."""

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary for JSON."""
        content: dict[str, Any] = asdict(self)  # type: ignore[call-overload]
        return content | ({"options": dict(content["options"])} if "options" in content else {})

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`, also after JSON turned tuples into lists."""
        names = [f.name for f in fields(cls) if f.name in content]  # type: ignore[arg-type]
        found = {name: _tuple(content[name]) for name in names}
        if "options" in found:
            found["options"] = tuple(sorted(dict(content["options"]).items()))
        return cls(**found)


def _tuple(value: Any) -> Any:
    return tuple(map(_tuple, value)) if isinstance(value, list | tuple) else value


@dataclass(frozen=True)
class ColumnCode(Code):
    """How one term or smooth becomes k design columns."""

    name: str  # the term; also the panel variable that holds its raw values
    feature: str | None  # registered feature; None for a column that comes with the panel
    options: tuple[tuple[str, Any], ...]  # of the feature
    side: Side
    transform: str  # before scaling
    missing: str  # "error", "indicator" or "drop"
    knots: tuple[float, ...]  # on the transformed scale; empty for a term
    names: tuple[str, ...]  # of the k design columns
    center: tuple[float, ...]  # column = (value - center) / scale
    scale: tuple[float, ...]
    value: bool  # whether the value column(s) are in the design
    indicator: bool  # whether the has-a-value column is
    at_entry: Literal["missing", "current"] = "missing"  # what a state's first year does
    #: Smallest and largest raw value in the rows of the fit; None if there was none.
    seen: tuple[float, float] | None = None

    @property
    def value_names(self) -> tuple[str, ...]:
        """Names of the columns that hold values, without the has-a-value column."""
        return self.names[:-1] if self.indicator else self.names

    def __call__(self, raw: npt.ArrayLike) -> FloatArray:
        """Design columns of raw values, elementwise, shape (..., k).

        NaN where the value is missing and the policy is not ``indicator``.
        """
        x = transform(raw, self.transform)
        parts: list[FloatArray] = []
        if self.knots:
            parts.append(natural_cubic(x, self.knots))
        elif self.value:
            parts.append(x[..., None])
        if self.indicator:
            parts.append((~np.isnan(x))[..., None].astype(np.float64))
        if not parts:
            return np.empty((*x.shape, 0))
        out = np.concatenate(parts, axis=-1)
        out -= np.asarray(self.center)
        out /= np.asarray(self.scale)
        if self.missing == "indicator" and self.value:
            # Any constant does, given the indicator; the centre leaves the scale untouched.
            out[..., 0] = np.where(np.isnan(x), 0.0, out[..., 0])
        return out


def fit_columns(term: Term | Smooth, raw: FloatArray) -> tuple[ColumnCode, list[str]]:
    """Code of one term from its raw values (n,), and remarks on what had to be left out.

    Raises `SpecificationError`: The column is constant and the term does not say ``if_constant =
    "drop"``, or the transformation is not defined for a value.
    """
    bare = ColumnCode(
        name=term.name, feature=term.feature, options=tuple(sorted(term.options.items())),
        side=term.side, transform=term.transform,
        missing="error" if isinstance(term, Smooth) else term.missing,
        knots=(), names=(), center=(), scale=(), value=True, indicator=False,
        at_entry=term.at_entry,
        seen=None if np.isnan(raw).all() else (float(np.nanmin(raw)), float(np.nanmax(raw))),
    )  # fmt: skip
    x = transform(raw, term.transform)
    undefined = ~np.isnan(raw) & ~np.isfinite(x)
    if undefined.any():
        raise SpecificationError(
            f"Term {term.name!r}: transform {term.transform!r} is not defined for "
            f"{float(raw[undefined][0])!r} ({int(undefined.sum())} rows)"
        )
    if isinstance(term, Term):
        return _fit_term(term, x, bare)
    knots = tuple(float(v) for v in transform(np.array(term.knots), term.transform))
    basis = natural_cubic(x, knots)
    if bool((np.ptp(basis, axis=0) == 0).all()):
        raise _constant(term.name, raw)
    names = tuple(f"{term.name}[{knot:g}]" for knot in term.knots[1:])
    center = tuple(float(v) for v in basis.mean(axis=0))
    return replace(bare, knots=knots, names=names, center=center, scale=(1.0,) * len(names)), []


def _fit_term(term: Term, x: FloatArray, bare: ColumnCode) -> tuple[ColumnCode, list[str]]:
    known = x[~np.isnan(x)]
    if known.size == 0:
        if term.missing == "indicator" and term.if_constant == "drop":
            # A table that the data set does not hold: neither a value nor a mark tells rows apart.
            return replace(bare, value=False), [f"{term.name}: no value in this sample, left out"]
        raise SpecificationError(f"Term {term.name!r}: every value is missing")
    value = bool(known.min() != known.max())
    if not value and term.if_constant == "error":
        raise _constant(term.name, known)
    notes = [] if value else [f"{term.name}: constant ({known[0]:g}) in this sample, left out"]
    indicator = term.missing == "indicator" and known.size < x.size
    columns = [(term.name, *location_scale(x))] if value else []
    columns += [(f"{term.name}:has_value", known.size / x.size, 1.0)] if indicator else []
    names, center, scale = zip(*columns, strict=True) if columns else ((), (), ())
    fitted = replace(
        bare, names=names, center=center, scale=scale, value=value, indicator=indicator
    )
    return fitted, notes


def _constant(name: str, values: FloatArray) -> SpecificationError:
    return SpecificationError(
        f"Term {name!r} is constant ({values[0]:g}) in all {values.size} rows with a value, so "
        'it cannot be told from the intercept: remove it or set if_constant = "drop"'
    )


@dataclass(frozen=True)
class ProductCode(Code):
    """How an interaction becomes k design columns: centred products of standardised columns.

    The coefficient of a product is by how much the coefficient of one term grows when the other
    goes up by one unit of its column: from 0 to 1, or by two standard deviations.
    """

    name: str
    of: tuple[str, str]  # the two terms
    names: tuple[str, ...]  # of the design columns: `name`, or one for each column of a smooth
    left: tuple[str, ...]  # columns of the first and of the second term that are multiplied
    right: tuple[str, ...]
    center: tuple[float, ...]  # mean of each product in the rows of the fit

    def __call__(self, X: npt.NDArray[Any], names: Sequence[str]) -> FloatArray:
        """Design columns (..., k) from those of the terms, (..., p), with their names."""
        place = {name: at for at, name in enumerate(names)}
        left = X[..., [place[name] for name in self.left]]
        right = X[..., [place[name] for name in self.right]]
        out: FloatArray = left * right - np.asarray(self.center)
        return out


def fit_product(
    interaction: Interaction, terms: Sequence[ColumnCode], X: FloatArray, names: Sequence[str]
) -> tuple[ProductCode | None, list[str]]:
    """Code of an interaction of fitted terms, and a remark if it had to be left out (None).

    X (n, p) holds the columns of all terms, with their names.

    Raises `SpecificationError`: The product is a combination of the two terms (no row has both,
    say), or one of them has no column, and the interaction does not say ``if_constant = "drop"``.
    """
    first, second = (next(t for t in terms if t.name == name) for name in interaction.of)
    pairs = [(a, b) for a in first.value_names for b in second.value_names]
    bare = ProductCode(
        name=interaction.name,
        of=interaction.of,
        names=tuple(_label(interaction.name, a, b) for a, b in pairs),
        left=tuple(a for a, _ in pairs),
        right=tuple(b for _, b in pairs),
        center=(0.0,) * len(pairs),
    )
    product = bare(X, names)
    place = [list(names).index(name) for name in (*first.value_names, *second.value_names)]
    if pairs and _adds_something(product, X[:, place]):
        return replace(bare, center=tuple(float(v) for v in product.mean(axis=0))), []
    if interaction.if_constant == "drop":
        return None, [f"{interaction.name}: nothing beyond its two terms in this sample, left out"]
    raise SpecificationError(
        f"Interaction {interaction.name!r} of {first.name!r} and {second.name!r} says nothing "
        "beyond the two in this sample: no row (or every row) has both, or "
        'one of them is constant. Remove it or set if_constant = "drop"'
    )


def _adds_something(product: FloatArray, parts: FloatArray) -> bool:
    """Whether every product has something that no combination of the two terms has."""
    base = np.column_stack([np.ones(len(parts)), parts])
    solution = np.linalg.lstsq(base, product, rcond=None)[0]
    rest = ((product - base @ solution) ** 2).sum(axis=0)
    whole = ((product - product.mean(axis=0)) ** 2).sum(axis=0)
    return bool((rest > 1e-9 * whole).all() and (whole > 0).all())


def _label(name: str, *columns: str) -> str:
    """``name``, or ``name[knot]`` for the column of a smooth."""
    knots = [column[column.index("[") :] for column in columns if "[" in column]
    return name + "".join(knots)
