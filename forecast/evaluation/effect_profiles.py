"""What `effects` compares: values that terms are set to, and groups of rows to average over."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from forecast.arrays import BoolArray, FloatArray, IntArray
from forecast.errors import ArgumentError, UnknownNameError, shown
from forecast.features.registry import get_feature, registered_features
from forecast.features.strata import STRATA, strata_of_rows
from forecast.inference.fit import Fit
from forecast.modeling.covariates import ColumnCode, transform
from forecast.modeling.encoding import raw_values
from forecast.panel.types import Panel
from forecast.text import group_words, term_words

__all__ = ["Groups", "Move", "columns_of", "grouped", "moves_of", "profile"]

_POINTS = 13  # of a curve
_RANGE = (0.005, 0.995)  # quantiles between which a curve runs
_MOST_GROUPS = 12  # values of a column by which rows are grouped
_INVERSE: Mapping[str, Callable[[FloatArray], FloatArray]] = {
    "log": np.exp,
    "log1p": np.expm1,
    "sqrt": np.square,
    "identity": np.asarray,
}


@dataclass(frozen=True, eq=False)
class Move:
    """Profiles that rows are set to: first and second are compared, the others are of the curve."""

    name: str
    contrast: str  # in words
    terms: tuple[str, ...]
    profiles: tuple[Mapping[str, float], ...]  # a value of each term
    ends: tuple[float, float] | None  # None: two profiles
    curve: tuple[tuple[float, int], ...]  # value, and which profile has it; ascending

    def known(self, data: xr.Dataset) -> BoolArray:
        """Rows in which every term has a value."""
        missing = [np.isnan(raw_values(data, term)) for term in self.terms]
        return np.asarray(~np.any(missing, axis=0))


def moves_of(
    fit: Fit,
    data: xr.Dataset,
    name: str | None,
    contrast: Sequence[Any] | None,
    values: Sequence[float] | None,
) -> list[Move]:
    """The comparisons that are asked for: one, or one for each term that a feature is in."""
    pair = None if contrast is None else _pair(contrast)
    if name is None:
        if pair is None or not all(isinstance(end, Mapping) for end in pair):
            raise ArgumentError(
                "effects: expected the name of a term or feature, or contrast=({…}, {…}) with two "
                "profiles of terms."
            )
        return [_between(fit, pair, values)]
    if pair is not None and any(isinstance(end, Mapping) for end in pair):
        raise ArgumentError(
            "contrast: two profiles name their terms themselves; leave out the name "
            f"{shown(name)}, or give two numbers."
        )
    return [_of_column(fit, data, codes, pair, values) for codes in columns_of(fit, name)]


def profile(fit: Fit, given: object, where: str) -> dict[str, float]:
    """Values of terms as they were given, by the names of the terms, each in its domain."""
    if not isinstance(given, Mapping):
        raise ArgumentError(f"{where}={shown(given)}: expected values by term, {{'term': 0.5}}.")
    found: dict[str, float] = {}
    for name, value in given.items():
        columns = columns_of(fit, name)
        if len(columns) > 1:
            listed = ", ".join(codes[0].name for codes in columns)
            raise ArgumentError(f"{where}: {name!r} is in several terms, say which: {listed}.")
        found |= {code.name: _in_domain(code, value, where) for code in columns[0]}
    return found


def _pair(contrast: object) -> tuple[Any, Any]:
    found = tuple(contrast) if isinstance(contrast, tuple | list | np.ndarray) else ()
    if len(found) != 2:
        raise ArgumentError(
            f"contrast={shown(contrast)}: expected two values, (0, 1), or two profiles, ({{…}}, "
            "{…})."
        )
    return found[0], found[1]


def columns_of(fit: Fit, name: object) -> list[list[ColumnCode]]:
    """Terms of a name, or of a feature, those of the same column together."""
    if not isinstance(name, str):
        raise ArgumentError(f"name={shown(name)}: expected the name of one term or feature.")
    codes = fit.encoding.terms
    own = [code for code in codes if code.name == name]
    chosen = own or [code for code in codes if code.feature == name and name is not None]
    if not chosen:
        _refuse(fit, name)
    columns: dict[object, list[ColumnCode]] = {}
    for code in chosen:
        columns.setdefault(_made(code), [c for c in codes if _made(c) == _made(code)])
    kept = [every for every in columns.values() if any(code.value_names for code in every)]
    if not kept:
        raise ArgumentError(
            f"{name!r} was left out of the fit of {fit.spec.name!r}: it is constant, or has no "
            "value, in its rows."
        )
    return kept


def _made(code: ColumnCode) -> object:
    """What decides the values of a column: terms that agree in it are moved together."""
    return (code.feature, code.options, code.side, code.at_entry) if code.feature else code.name


def _refuse(fit: Fit, name: object) -> None:
    terms = [code.name for code in fit.encoding.terms]
    for interaction in fit.spec.interactions:
        if interaction.name == name:
            raise ArgumentError(
                f"{name!r} is a product of {interaction.of[0]!r} and {interaction.of[1]!r}, and "
                "moves with them: ask for one of the two, or two profiles of both."
            )
    if str(name) in fit.encoding.names:
        raise ArgumentError(f"{name!r} is a column of the design, expected one of its terms.")
    if name in {feature.name for feature in registered_features()}:
        raise ArgumentError(
            f"Feature {name!r} is in no term of model {fit.spec.name!r}; its terms are "
            f"{', '.join(terms)}."
        )
    features = [code.feature for code in fit.encoding.terms if code.feature]
    raise UnknownNameError(f"term or feature of model {fit.spec.name!r}:", name, terms + features)


def _in_domain(code: ColumnCode, value: object, where: str) -> float:
    number = isinstance(value, float | int | np.number) and not isinstance(value, complex)
    if not number or not np.isfinite(value):  # type: ignore[call-overload]
        raise ArgumentError(f"{where}: {code.name} = {shown(value)}, expected a number.")
    x = float(value)  # type: ignore[arg-type]
    low, high = (None, None) if code.feature is None else get_feature(code.feature).bounds
    one = code.side in ("none", "a", "b", "min", "max", "mean")
    outside = one and ((low is not None and x < low) or (high is not None and x > high))
    if outside or not np.isfinite(transform(x, code.transform)):
        least, most = ("…" if end is None else f"{end:g}" for end in (low, high))
        raise ArgumentError(
            f"{where}: {code.name} = {x:g} is no value of "
            + (f"feature {code.feature!r}, {least} to {most}." if outside
               else f"transform {code.transform!r}.")
        )  # fmt: skip
    return x


def _of_column(
    fit: Fit,
    data: xr.Dataset,
    codes: list[ColumnCode],
    pair: tuple[Any, Any] | None,
    values: Sequence[float] | None,
) -> Move:
    name, raw = codes[0].name, raw_values(data, codes[0].name)
    known = raw[~np.isnan(raw)]
    if not known.size:
        raise ArgumentError(f"{name!r} has no value in these rows.")
    curve = _curve(codes[0], known, values)
    if pair is None:
        pair = (curve[0], curve[-1]) if values is not None else _usual(codes[0], known)
    for code in codes:
        ends = tuple(_in_domain(code, end, "contrast") for end in pair)
    points = np.unique([*curve, *ends])
    order = [*ends, *(x for x in points if x not in ends)]
    return Move(
        name,
        f"{ends[0]:.3g} → {ends[1]:.3g}",
        tuple(code.name for code in codes),
        tuple({code.name: float(x) for code in codes} for x in order),
        (ends[0], ends[1]),
        tuple((float(x), order.index(x)) for x in points),
    )


def _between(fit: Fit, pair: tuple[Any, Any], values: object) -> Move:
    if values is not None:
        raise ArgumentError("values: a curve is of one term; two profiles have none.")
    first, second = (profile(fit, end, "contrast") for end in pair)
    if set(first) != set(second) or not first:
        raise ArgumentError(
            f"contrast: the two profiles name {sorted(first)} and {sorted(second)}, expected "
            "values of the same terms in both."
        )
    words = [", ".join(f"{term_words(n)} {v:.3g}" for n, v in p.items()) for p in (first, second)]
    return Move("profiles", " → ".join(words), tuple(first), (first, second), None, ())


def _binary(code: ColumnCode, known: FloatArray) -> bool:
    return code.transform == "positive" or bool(np.isin(known, (0.0, 1.0)).all())


def _usual(code: ColumnCode, known: FloatArray) -> tuple[float, float]:
    """0 and 1, or half a standard deviation below and above the mean, within what was seen."""
    if _binary(code, known):
        return 0.0, 1.0
    mean, half = float(known.mean()), float(known.std() / 2.0)
    return max(mean - half, float(known.min())), min(mean + half, float(known.max()))


def _curve(code: ColumnCode, known: FloatArray, values: Sequence[float] | None) -> list[float]:
    """Values of the curve, ascending: evenly spaced on the scale on which the term enters."""
    if values is not None:
        if not isinstance(values, tuple | list | range | np.ndarray) or not len(values):
            raise ArgumentError(f"values={shown(values)}: expected numbers, such as (0, 5, 10).")
        return [_in_domain(code, value, "values") for value in values]
    if _binary(code, known):
        return [0.0, 1.0]
    low, high = np.quantile(known, _RANGE)
    if low == high:
        low, high = known.min(), known.max()
    if (few := np.unique(known)).size <= _POINTS:
        return [float(x) for x in few if low <= x <= high]
    start, stop = transform(np.array([low, high]), code.transform).tolist()
    grid = _INVERSE[code.transform](np.linspace(start, stop, _POINTS))
    # Back from a logarithm, the ends stay within what was seen.
    return [float(x) for x in np.clip(grid, low, high)]


@dataclass(frozen=True, eq=False)
class Groups:
    """Groups of rows: the position of that of each row (n,), -1 for none; their names."""

    of_row: IntArray
    names: tuple[str, ...]
    labels: tuple[str, ...]  # in words


def grouped(fit: Fit, panel: Panel, by: str | None) -> Groups:
    """Groups of the rows of a panel.

    Raises `ArgumentError`: The rows have no such groups, or too many.
    """
    data = panel.data
    year = data["year"].to_numpy().astype(np.int64)
    if by is None:
        return Groups(np.zeros(year.size, dtype=np.int64), ("all",), ("all rows",))
    if by == "era":
        return _eras(fit, year)
    if by == "decade":
        decades, place = np.unique(year // 10 * 10, return_inverse=True)
        names = tuple(f"{decade}s" for decade in decades.tolist())
        return Groups(place.astype(np.int64), names, names)
    if by == "stratum":
        if not {"ccode_a", "ccode_b"} <= set(map(str, data.coords)):
            raise ArgumentError(f"by='stratum': rows of unit {panel.unit!r} are not of pairs.")
        found = strata_of_rows(panel, fit.spec.under_way)
        names = tuple(name for name in STRATA if (found == name).any())
        place = np.array([names.index(name) for name in found.tolist()], dtype=np.int64)
        return Groups(place, names, tuple(group_words("stratum", name) for name in names))
    return _values(fit, data, by)


def _eras(fit: Fit, year: IntArray) -> Groups:
    eras = fit.spec.eras
    if not eras:
        raise ArgumentError(
            f"by='era': model {fit.spec.name!r} has no [[era]]; by='decade' needs none."
        )
    place = np.full(year.size, -1, dtype=np.int64)
    for i, era in enumerate(eras):
        place[era.holds(year)] = i
    there = [i for i in range(len(eras)) if (place == i).any()]
    anew = np.full(len(eras) + 1, -1, dtype=np.int64)
    anew[there] = np.arange(len(there))
    labels = (f"{eras[i].name.replace('_', ' ')} {eras[i].first}–{eras[i].last or ''}"
              for i in there)  # fmt: skip
    return Groups(anew[place], tuple(eras[i].name for i in there), tuple(labels))


def _values(fit: Fit, data: xr.Dataset, by: object) -> Groups:
    columns = [str(n) for n, v in data.data_vars.items() if v.dims == ("row",)]
    if by not in columns:
        raise UnknownNameError(
            "groups of rows by", by, ["era", "decade", "stratum", *columns],
            "Expected 'era', 'decade', 'stratum', or a term or column of few values.",
        )  # fmt: skip
    name = str(by)
    codes, values = pd.factorize(data[name].to_numpy(), sort=True)
    if not 1 <= len(values) <= _MOST_GROUPS:
        raise ArgumentError(
            f"by={name!r}: the rows have {len(values):,} different values, expected 1 to "
            f"{_MOST_GROUPS}."
        )
    names = tuple(f"{v:g}" if isinstance(v, float | np.floating) else str(v) for v in values)
    words = term_words(name)
    yes = {"0": f"{words}: no", "1": f"{words}: yes"} if set(names) <= {"0", "1"} else {}
    return Groups(codes.astype(np.int64), names, tuple(yes.get(n, f"{words} {n}") for n in names))
