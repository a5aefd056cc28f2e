"""A scenario beside the status quo: where a difference comes from, how far it leads.

A pair's risk differs between scenario and status quo for two reasons. Its own alliance features are
others, as the edits say; and other pairs, whose features are edited too, have more or fewer
simulated disputes, which enter its history and its allies' quarrels. The first is the difference
with the edited features in the simulated worlds of the status quo; the second is the rest. Both
are of one draw and one set of random numbers, so they add up to the whole draw by draw.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import xarray as xr

from forecast.draws import Stream, generator
from forecast.features.arrays import allied
from forecast.features.gather import compute_features
from forecast.features.registry import get_feature
from forecast.features.strata import STRATUM_COLUMNS
from forecast.panel.rows import relevant_pairs
from forecast.simulation.dynamics import is_simulated
from forecast.simulation.engine import Paths, cumulative, own_hazard

if TYPE_CHECKING:
    from forecast.inference.fit import Fit
    from forecast.modeling.covariates import ColumnCode
    from forecast.simulation.dynamics import Record
    from forecast.simulation.ending import Endings
    from forecast.simulation.future import Future
    from forecast.simulation.predictor import Coefficients

__all__ = [
    "SOURCES",
    "UNUSUAL",
    "Split",
    "Support",
    "add_support",
    "editable_terms",
    "edited_pairs",
    "extrapolation_words",
    "outside",
    "part_columns",
    "same_years",
    "split",
    "timing_words",
]

BoolArray = npt.NDArray[np.bool_]
Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]

#: The parts of a difference.
SOURCES: tuple[str, str] = ("own", "contagion")


@dataclass(frozen=True, eq=False)
class Split:
    """Draws of the two parts of the differences in cumulative risk.

    `edited` (horizon, R): pairs whose own alliances differ in the year; `rows` (n,): those that
    differ in any; of the others the whole difference is contagion. `own`, `contagion` (horizon, n,
    D): of these pairs; their sum is the difference of the draw.
    """

    edited: BoolArray
    rows: npt.NDArray[np.intp]
    own: Float32Array
    contagion: Float32Array

    def first_year(self, origin: int) -> int | None:
        """First year in which the edits can act on any pair; None if in none of the horizon."""
        same = same_years(self.edited)
        return origin + 1 + same if same < len(self.edited) else None


def timing_words(first_year: int | None, last: int) -> str:
    """When the edits can act, as a sentence; from `Split.first_year` and the last year."""
    if first_year is None:
        return (
            f"The edits change no feature of any pair by {last}, since they take effect too late or"
            " what they say is in force already: no risk moves."
        )
    return (
        f"The edits can act from {first_year} on: the risk of a year follows from the alliances of"
        " the year before."
    )


def part_columns(parts: xr.DataArray) -> dict[str, npt.NDArray[np.float64]]:
    """Parts of the difference, years before pairs, as columns: ``own``, ``own_lower`` and so on."""
    return {
        source if estimate == "mean" else f"{source}_{estimate}": parts.sel(
            source=source, estimate=estimate
        )
        .to_numpy()
        .ravel()
        .astype(float)
        for source in SOURCES
        for estimate in ("mean", "lower", "upper")
    }


def edited_pairs(base: Future, future: Future, record: Record) -> BoolArray:
    """Pairs whose own alliances an edit changes, by year ahead; (horizon, R).

    A design column of the pair differs, or who the allies of one of the two are.
    """
    changed = (future.X != base.X).any(axis=(0, 3))
    years = base.world["year"].to_numpy()
    before = slice(
        int(np.searchsorted(years, record.origin)), len(years) - 1
    )  # features are those of the year before
    moved = (allied(base.world)[before] != allied(future.world)[before]).any(axis=2)
    return np.asarray(changed | moved[:, record.a] | moved[:, record.b])


def same_years(edited: BoolArray) -> int:
    """In how many years, from the first on, no pair is edited."""
    acts = edited.any(axis=1)
    return int(acts.argmax()) if acts.any() else len(acts)


def split(
    fit: Fit,
    future: Future,
    record: Record,
    coefficients: Coefficients,
    endings: Endings,
    *,
    now: Paths,
    whole: Float32Array,
    edited: BoolArray,
    given: Float32Array | None = None,
) -> Split:
    """Parts of the differences between two simulations that share every random number.

    `future` is the scenario, `now` what was simulated of the status quo, `whole` the differences in
    cumulative risk (horizon, R, D), `edited` from `edited_pairs`; `given` (horizon, R, D) the
    probability that an onset comes to the level of severity that the differences are of.
    """
    rows = np.flatnonzero(edited.any(axis=0))
    if not rows.size:
        none = np.empty((len(edited), 0, coefficients.draws), dtype=np.float32)
        return Split(edited, rows, none, none)
    share = np.float32(1.0) if given is None else given[:, rows]
    first = same_years(edited)
    own = own_hazard(fit, future, record, coefficients, endings, world=now, rows=rows, first=first)
    own_part = cumulative(own * share) - cumulative(now.hazard[:, rows] * share)
    return Split(edited, rows, own_part, whole[:, rows] - own_part)


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
    the rows of the pair's kind: how unusual a combination of alliances is, whatever else the pair
    is like. Its percentile is the share of these rows that are nearer to their mean. Of the rows of
    the fit at most 20,000 are taken, at random by its seed.
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
    named = ", ".join(
        f"{name} ({n:,})" for name, n in sorted(each.items(), key=lambda one: -one[1]) if n
    )
    number = int(leaves.any("term").sum())
    leave = "pair leaves" if number == 1 else "pairs leave"
    out = f"{number:,} {leave} the range of the fit in {named}" if number else ""
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
