"""How far pairs are from the rows of a fit, in what edits of alliances can move."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import xarray as xr

from forecast.draws import Stream, generator
from forecast.features.gather import compute_features
from forecast.features.registry import get_feature
from forecast.features.strata import STRATUM_COLUMNS
from forecast.panel.rows import relevant_pairs
from forecast.simulation.dynamics import is_simulated

if TYPE_CHECKING:
    from forecast.inference.fit import Fit
    from forecast.modeling.covariates import ColumnCode
    from forecast.simulation.dynamics import Record
    from forecast.simulation.future import Future

__all__ = ["UNUSUAL", "Support", "add_support", "editable_terms", "extrapolation_words", "outside"]

#: Rows of the fit that distances are compared with: percentiles are good to half a point.
_ROWS = 20_000
#: Share of the range of a feature by which a value may exceed it: the longest peace is a year
#: longer every year.
_SLACK = 0.02
#: Variance, in standardised units, of a column that does not vary among the rows: a pair that
#: moves in it is far away.
_RIDGE = 1e-4

#: Percentile of distance from which on the alliances of a pair are said to be unusual.
UNUSUAL = 95

BoolArray = npt.NDArray[np.bool_]
Float64Array = npt.NDArray[np.float64]


def outside(code: ColumnCode, raw: npt.NDArray[np.floating]) -> BoolArray:
    """Whether raw values of a term lie outside those seen in the fit, by more than a fiftieth."""
    if not code.seen:
        return np.zeros(raw.shape, dtype=bool)
    low, high = code.seen
    slack = _SLACK * (high - low)
    return np.asarray((raw < low - slack) | (raw > high + slack))


def editable_terms(fit: Fit) -> list[ColumnCode]:
    """Terms of alliances, as far as no simulated dispute changes them: what an edit moves."""
    return [
        code
        for code in fit.encoding.terms
        if not is_simulated(code)
        and code.value
        and code.feature is not None
        and "obligation" in get_feature(code.feature).needs
    ]


class Support:
    """Rows of a fit that pairs are compared with: of politically relevant pairs, and of others.

    The distance is Mahalanobis's, of the design columns of `editable_terms` from their mean over
    the rows of the pair's kind: how unusual a combination of alliances is, whatever else the
    pair is like. Its percentile is the share of these rows that are nearer to their mean.

    Parameters
    ----------
    fit : Fit
        The fit; of its rows at most 20,000 are taken, at random by its seed.
    record, future : Record, Future
        Pairs, and the world of the years ahead.
    """

    def __init__(self, fit: Fit, record: Record, future: Future) -> None:
        first, last = fit.encoding.years
        panel = fit.panel.select_years(first, last)
        known = np.flatnonzero(np.isfinite(panel.data["outcome"].to_numpy()))
        if known.size > _ROWS:
            rng = generator(fit.seed, Stream.SUPPORT)
            known = np.sort(rng.choice(known, _ROWS, replace=False))
        panel = panel.with_data(panel.data.isel(row=known))
        encoded = fit.encoding.apply(panel)
        told = compute_features(panel.with_data(panel.data.isel(row=encoded.kept)), [_RELEVANT])
        relevant = told.data[_RELEVANT.name].to_numpy() == 1
        self.terms = editable_terms(fit)
        names = [name for code in self.terms for name in code.value_names]
        self._columns = [fit.encoding.names.index(name) for name in names]
        world = future.world.sel(year=[record.origin])
        self.relevant: BoolArray = np.asarray(relevant_pairs(world)[0])[record.a, record.b]
        columns = encoded.X[:, self._columns]
        self._kinds = {kind: _Distances(columns[relevant == kind]) for kind in (True, False)}

    def percentile(self, future: Future, h: int) -> Float64Array:
        """Percentile, 0 to 100, of each pair's distance in year h ahead, (R,).

        NaN where the fit has no row of the pair's kind, or no term of alliances.
        """
        columns = future.X[:, h][..., self._columns].mean(axis=0, dtype=np.float64)
        found = np.full(len(columns), np.nan)
        for kind, distances in self._kinds.items():
            here = self.relevant == kind
            found[here] = distances.percentile(columns[here])
        return found

    def leaves(self, base: Future, future: Future) -> BoolArray:
        """Whether pairs leave the range of the fit with an edit, (terms, R).

        In a year ahead the value under the edit is outside, and that under the status quo is not.
        """
        found = [
            (outside(code, future.raw[code.name]) & ~outside(code, base.raw[code.name])).any(axis=0)
            for code in self.terms
        ]
        return np.stack(found) if found else np.zeros((0, self.relevant.size), dtype=bool)


def add_support(result: xr.Dataset, support: Support, base: Future, future: Future) -> None:
    """Put ``leaves_range`` and ``distance_percentile`` into the result of a scenario."""
    last = future.X.shape[1] - 1
    before, after = support.percentile(base, last), support.percentile(future, last)
    result["distance_percentile"] = (("world", "dyad"), np.stack([before, after, after - before]))
    result["distance_percentile"].attrs["unit"] = (
        "percentile of distance from the mean of the fit's rows, 0 to 100"
    )
    leaves = xr.DataArray(
        support.leaves(base, future),
        dims=("term", "dyad"),
        coords={"term": [code.name for code in support.terms]},
        attrs={"unit": "whether the feature leaves the range seen in the fit"},
    )
    result["leaves_range"] = leaves


def extrapolation_words(result: xr.Dataset) -> str:
    """How many pairs the edits take away from what the fit has seen, as a sentence."""
    leaves = result["leaves_range"]
    each = {str(name): int(leaves.sel(term=name).sum()) for name in leaves["term"].to_numpy()}
    named = ", ".join(f"{name} ({n:,})" for name, n in sorted(each.items(), key=_last) if n)
    number = int(leaves.any("term").sum())
    out = f"{_pairs(number)} the range of the fit in {named}" if number else ""
    before, after = (result["distance_percentile"].sel(world=w) for w in ("status_quo", "scenario"))
    far = int(((after > UNUSUAL) & (before <= UNUSUAL)).sum())
    rare = (
        f"{far:,} pair{'s' if far != 1 else ''} come{'s' if far == 1 else ''} to have alliances"
        f" more unusual than those of {UNUSUAL}% of the fit's rows"
        if far
        else ""
    )
    if not out and not rare:
        return "No pair leaves what the fit has seen."
    return f"Extrapolation: {' and '.join(filter(None, (out, rare)))}."


def _pairs(number: int) -> str:
    return f"{number:,} pair leaves" if number == 1 else f"{number:,} pairs leave"


def _last(item: tuple[str, int]) -> int:
    return -item[1]


_RELEVANT = next(c for c in STRATUM_COLUMNS if c.feature == "politically_relevant")


class _Distances:
    """Distances of some rows from their mean."""

    def __init__(self, columns: Float64Array) -> None:
        self._none = columns.size == 0 or len(columns) <= columns.shape[1]
        if self._none:
            return
        self._mean = columns.mean(axis=0)
        covariance = np.atleast_2d(np.cov(columns, rowvar=False))
        self._inverse = np.linalg.inv(covariance + _RIDGE * np.eye(len(covariance)))
        self._sorted = np.sort(self._of(columns))

    def _of(self, columns: Float64Array) -> Float64Array:
        away = columns - self._mean
        return np.asarray(np.einsum("ij,jk,ik->i", away, self._inverse, away))

    def percentile(self, columns: Float64Array) -> Float64Array:
        if self._none:
            return np.full(len(columns), np.nan)
        below = np.searchsorted(self._sorted, self._of(columns))
        return np.asarray((100.0 * below / self._sorted.size).round(1))
