"""From a feature's raw values to its design columns, fitted once and applied unchanged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt

from forecast.errors import SpecificationError
from forecast.modeling.spline import natural_cubic
from forecast.modeling.terms import Side, Smooth, Term

__all__ = ["ColumnCode", "fit_columns", "location_scale", "transform"]

FloatArray = npt.NDArray[np.float64]


def transform(values: npt.ArrayLike, name: str) -> FloatArray:
    """Elementwise transformation of a raw feature.

    Parameters
    ----------
    values : array_like
        Raw values; NaN stays NaN.
    name : {"identity", "log", "log1p", "sqrt", "positive"}
        ``positive`` is 1 where the value is above zero, else 0.

    Returns
    -------
    numpy.ndarray, same shape
        Not finite where the transformation is not defined.
    """
    x = np.asarray(values, dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        if name == "log":
            return np.log(x)
        if name == "log1p":
            return np.log1p(x)
        if name == "sqrt":
            return np.sqrt(x)
    if name == "positive":
        return np.where(np.isnan(x), np.nan, (x > 0).astype(np.float64))
    return x


def location_scale(x: FloatArray, weights: FloatArray | None = None) -> tuple[float, float]:
    """Mean and divisor that put a column on the common scale of the priors.

    Binary (only 0 and 1): centred, divisor 1. Anything else: centred, divided by two standard
    deviations, so that its coefficient compares with that of a balanced binary.

    Parameters
    ----------
    x : numpy.ndarray, shape (n,)
        Values; NaN is left out.
    weights : numpy.ndarray, shape (n,), optional
        Weights of the values; equal by default.

    Notes
    -----
    A. Gelman, "Scaling regression inputs by dividing by two standard deviations", *Statistics
    in Medicine* 27 (2008), 2865-2873.
    """
    here = ~np.isnan(x)
    known = x[here]
    share = None if weights is None else weights[here]
    mean = float(np.average(known, weights=share))
    if bool(np.isin(known, (0.0, 1.0)).all()):
        return mean, 1.0
    return mean, 2.0 * float(np.sqrt(np.average((known - mean) ** 2, weights=share)))


@dataclass(frozen=True)
class ColumnCode:
    """How one term or smooth becomes design columns.

    Attributes
    ----------
    name : str
        The term; also the panel variable that holds its raw values.
    feature : str or None
        Registered feature; None for a column that comes with the panel.
    options : tuple of (str, value)
        Options of the feature.
    side : str
        How the two sides of a dyad become one value.
    transform : str
        Transformation before scaling.
    missing : {"error", "indicator", "drop"}
        What a missing value does.
    knots : tuple of float
        Knots on the transformed scale; empty for a term.
    names : tuple of str, length k
        Names of the design columns.
    center, scale : tuple of float, length k
        Column = (value - center) / scale.
    value, indicator : bool
        Whether the value column(s) and the has-a-value column are in the design.
    at_entry : {"missing", "current"}
        What a state's first year does.
    seen : tuple of (float, float) or None
        Smallest and largest raw value in the rows of the fit; None if there was none.
    """

    name: str
    feature: str | None
    options: tuple[tuple[str, Any], ...]
    side: Side
    transform: str
    missing: str
    knots: tuple[float, ...]
    names: tuple[str, ...]
    center: tuple[float, ...]
    scale: tuple[float, ...]
    value: bool
    indicator: bool
    at_entry: Literal["missing", "current"] = "missing"
    seen: tuple[float, float] | None = None

    @property
    def value_names(self) -> tuple[str, ...]:
        """Names of the columns that hold values, without the has-a-value column."""
        return self.names[:-1] if self.indicator else self.names

    def __call__(self, raw: npt.ArrayLike) -> FloatArray:
        """Design columns of raw values.

        Parameters
        ----------
        raw : array_like, shape (...)
            Raw values of the feature.

        Returns
        -------
        numpy.ndarray, shape (..., k)
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

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary for JSON."""
        return asdict(self) | {"options": dict(self.options)}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`, also after JSON turned tuples into lists."""
        values = {f.name: content[f.name] for f in fields(cls) if f.name in content}
        for key, value in values.items():
            if isinstance(value, list):
                values[key] = tuple(value)
        values["options"] = tuple(sorted(dict(content["options"]).items()))
        return cls(**values)


def fit_columns(term: Term | Smooth, raw: FloatArray) -> tuple[ColumnCode, list[str]]:
    """Fitted code of one term, and remarks on what had to be left out.

    Parameters
    ----------
    term : Term or Smooth
        From the specification.
    raw : numpy.ndarray, shape (n,)
        Raw values in the rows of the fit (missing ones already refused or dropped if the
        term's policy says so).

    Raises
    ------
    SpecificationError
        The column is constant and the term does not say ``if_constant = "drop"``, or the
        transformation is not defined for a value.
    """
    bare = ColumnCode(
        name=term.name,
        feature=term.feature,
        options=tuple(sorted(term.options.items())),
        side=term.side,
        transform=term.transform,
        missing="error" if isinstance(term, Smooth) else term.missing,
        knots=(),
        names=(),
        center=(),
        scale=(),
        value=True,
        indicator=False,
        at_entry=term.at_entry,
        seen=None if np.isnan(raw).all() else (float(np.nanmin(raw)), float(np.nanmax(raw))),
    )
    x = transform(raw, term.transform)
    undefined = ~np.isnan(raw) & ~np.isfinite(x)
    if undefined.any():
        raise SpecificationError(
            f"Term {term.name!r}: transform {term.transform!r} is not defined for "
            f"{float(raw[undefined][0])!r} ({int(undefined.sum())} rows)"
        )
    if isinstance(term, Smooth):
        knots = tuple(float(v) for v in transform(np.array(term.knots), term.transform))
        basis = natural_cubic(x, knots)
        if bool((np.ptp(basis, axis=0) == 0).all()):
            raise _constant(term.name, raw)
        names = tuple(f"{term.name}[{knot:g}]" for knot in term.knots[1:])
        center = tuple(float(v) for v in basis.mean(axis=0))
        ones = (1.0,) * len(names)
        return replace(bare, knots=knots, names=names, center=center, scale=ones), []

    known = x[~np.isnan(x)]
    notes: list[str] = []
    if known.size == 0:
        if term.missing == "indicator" and term.if_constant == "drop":
            # A table that the data set does not hold: neither a value nor a mark tells rows apart.
            note = f"{term.name}: no value in this sample, left out"
            return replace(bare, value=False), [note]
        raise SpecificationError(f"Term {term.name!r}: every value is missing")
    value = bool(known.min() != known.max())
    if not value and term.if_constant == "error":
        raise _constant(term.name, known)
    if not value:
        notes.append(f"{term.name}: constant ({known[0]:g}) in this sample, left out")
    names_: list[str] = []
    center_: list[float] = []
    scale_: list[float] = []
    if value:
        mean, divisor = location_scale(x)
        names_.append(term.name)
        center_.append(mean)
        scale_.append(divisor)
    indicator = term.missing == "indicator" and known.size < x.size
    if indicator:
        names_.append(f"{term.name}:has_value")
        center_.append(known.size / x.size)
        scale_.append(1.0)
    fitted = replace(
        bare,
        names=tuple(names_),
        center=tuple(center_),
        scale=tuple(scale_),
        value=value,
        indicator=indicator,
    )
    return fitted, notes


def _constant(name: str, values: FloatArray) -> SpecificationError:
    return SpecificationError(
        f"Term {name!r} is constant ({values[0]:g}) in all {values.size} rows with a value, so "
        'it cannot be told from the intercept: remove it or set if_constant = "drop"'
    )
