"""Whether probabilities can be believed: calibration on one sheet and in parts, checks of a fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import beta

from forecast.errors import ArgumentError, shown, wrong_type
from forecast.evaluation.backtest_result import Backtest
from forecast.evaluation.calibration import Reliability
from forecast.evaluation.calibration_record import CalibrationRecord
from forecast.evaluation.record_forms import FEW
from forecast.inference.fit import Fit
from forecast.plot.intervals import (
    BLUE,
    GREY,
    MUTED,
    ORANGE,
    axes_for,
    figure_of,
    intervals,
    new_axes,
)
from forecast.text import count, group_words

if TYPE_CHECKING:
    from forecast.evaluation.check_tables import CheckResult

__all__ = ["calibration", "check", "ladder", "murphy", "pit", "ratios", "reliability"]

Draws = tuple[npt.NDArray[np.float64], float]

_TICKS = (1e-4, 1e-3, 1e-2, 0.1, 0.5, 1.0)
_KINDS = {"all": "All", "relevance": "Political relevance", "stratum": "On record between the two",
          "decade": "Decade", "region": "Region"}  # fmt: skip
_LEVELS = {"onset": "any conflict", "fatal": "a death or more", "deaths_25": "more than 25 deaths",
           "deaths_1000": "1,000 deaths or more"}  # fmt: skip


def calibration(record: CalibrationRecord) -> Figure:
    """A calibration record on one sheet: reliability, ratios, Murphy diagram, yearly counts.

    Parameters
    ----------
    record : CalibrationRecord
        From `forecast.evaluation.calibration_record.calibration_record`, or that of a fit.

    Returns
    -------
    matplotlib.figure.Figure
    """
    first, second, third, fourth = new_axes(2, 2, (10.5, 9.0))
    reliability(record, ax=first)
    ratios(record.ratios, level=record.level, ax=second)
    murphy(record.murphy, ax=third)
    pit(record.counts, level=record.level, ax=fourth)
    ahead = "one year" if record.horizon == 1 else f"{record.horizon} years"
    figure = figure_of(first)
    figure.suptitle(
        f"{record.model}: {record.rows:,} {record.unit} of {record.years}, {ahead} ahead,"
        f" {record.events:,} onsets",
        fontsize=11,
    )
    return figure


def reliability(
    result: CalibrationRecord | Backtest | Fit | Reliability,
    *,
    horizon: int = 1,
    ax: Axes | None = None,
) -> Axes:
    """Observed frequency against forecast on logarithmic axes, with the consistency band.

    Most forecasts are below 1%, so both axes are logarithmic; zero lies on the lower edge. Bars
    along the axis are the shares of rows by forecast. A record has dots too: bands of probability
    that are not nearly empty, at their mean forecast.

    Parameters
    ----------
    result : CalibrationRecord, Backtest, Fit or Reliability
        A record, that of a fit, a backtest (of the model under test), or a curve alone.
    horizon : int
        Years ahead, of a backtest.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Raises
    ------
    ArgumentError
        A fit without a record, since a fit is no forecast; a horizon that was not backtested.
    """
    found, bands = _curve_of(result, horizon)
    curve, level = found.curve, found.level
    ax = new_axes(1, 1, (5.0, 4.6))[0] if ax is None else ax
    table = curve.sort_values("forecast")
    x = table["forecast"].to_numpy(float)
    low = 10.0 ** np.floor(np.log10(max(float(x.min()), 1e-4)))
    names = ["forecast", "observed", "lower", "upper"]
    x, observed, lower, upper = np.maximum(table[names].to_numpy(float), low).T
    ax.fill_between(x, lower, upper, color=GREY, alpha=0.4, lw=0,
                    label=f"{level:.0%} consistency band")  # fmt: skip
    ax.plot([low, 1.0], [low, 1.0], color=MUTED, lw=0.9, ls="--")
    ax.plot(x, observed, color=BLUE, lw=1.7, label="isotonic (CORP)")
    highest = max(x.max(), observed.max(), upper.max())
    if bands is not None:
        shown = bands[bands["rows"] >= FEW]
        shown = shown[shown["stratum"] == "all"] if "stratum" in shown else shown
        rate, *ends = (np.maximum(shown[n], low) for n in ("rate", "lower", "upper"))
        ax.errorbar(
            shown["expected"] / shown["rows"], rate, yerr=[rate - ends[0], ends[1] - rate],
            fmt="o", ms=4, lw=1.3, color=ORANGE, label=f"bands, {level:.0%} Jeffreys",
        )  # fmt: skip
        highest = max(highest, *ends[1])
    top = float(min(1.0, 1.3 * highest))
    edges = np.geomspace(low, top, 31)
    share = np.histogram(x, edges, weights=table["rows"])[0]
    ax.bar(edges[:-1], 0.12 * share / max(share.max(), 1), np.diff(edges), align="edge", alpha=0.25,
           color=BLUE, transform=ax.get_xaxis_transform())  # fmt: skip
    _percent_axis(ax, "x", low, top)
    _percent_axis(ax, "y", low, top)
    ax.set(xlabel="forecast probability (log)", ylabel="observed frequency (log)")
    ax.legend(frameon=False, fontsize=8, loc="upper left")
    return ax


def _curve_of(
    result: CalibrationRecord | Backtest | Fit | Reliability, horizon: int
) -> tuple[Reliability, pd.DataFrame | None]:
    """The curve of a result, and bands of probability where it has them."""
    if isinstance(result, Fit):
        if result.record is None:
            raise ArgumentError(
                "reliability: the fit has no record of forecasts, and its own rows, which it has "
                "seen, are none; forecast.backtest makes some."
            )
        result = result.record
    if isinstance(result, CalibrationRecord):
        return result.reliability, result.bands
    if isinstance(result, Backtest):
        curves = result.reliability
        if (horizon, result.model) not in curves:
            valid = sorted({h for h, _ in curves})
            raise ArgumentError(f"horizon={shown(horizon)}: the backtest has {valid}.")
        return curves[horizon, result.model], None
    if not isinstance(result, Reliability):
        raise wrong_type(
            "reliability", result, "a backtest, a calibration record or a fit that has one."
        )
    return result, None


def _percent_axis(ax: Axes, which: str, low: float, top: float) -> None:
    """Logarithmic axis of probabilities from `low` to `top`, with ticks in percent."""
    ticks = [t for t in _TICKS if 0.99 * low <= t <= top and (t != 0.5 or top < 1.0)]
    ax.set(**{f"{which}scale": "log", f"{which}lim": (low, top)})
    ax.set(**{f"{which}ticks": ticks, f"{which}ticklabels": [f"{100 * t:g}%" for t in ticks]})


def ratios(table: pd.DataFrame, *, level: float, ax: Axes | None = None) -> Axes:
    """Expected over observed events, in total and by group (`CalibrationRecord.ratios`)."""
    own = table[table["observed"] > 0]
    kinds = own["kind"].map(own["kind"].value_counts())
    own = own[(own["kind"] == "all") | (kinds > 1)]
    bars = own[["lower", "upper"]].assign(
        value=own["ratio"],
        heading=[_KINDS.get(kind, str(kind)) for kind in own["kind"]],
        label=[
            f"{group_words(r['kind'], r['group'])} ({count(r['observed'])} of {count(r['rows'])})"
            for r in own.to_dict("records")
        ],
    )
    axis = f"expected / observed (log; {level:.0%} exact Poisson interval)"
    ax = axes_for(bars, 6.2) if ax is None else ax
    return intervals(bars, ax=ax, axis=axis, reference=1.0, log=True)


def murphy(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Mean elementary score by cost-loss ratio, of the model and, where known, of climatology.

    ``theta``, ``score`` and ``reference`` as in `CalibrationRecord.murphy`.
    """
    ax = new_axes(1, 1, (5.0, 3.7))[0] if ax is None else ax
    if "reference" in table:
        ax.plot(table["theta"], 1e4 * table["reference"], color=MUTED, lw=1.6, ls="--",
                label="climatology")  # fmt: skip
    ax.plot(table["theta"], 1e4 * table["score"], color=BLUE, lw=1.7, label="this model")
    _percent_axis(ax, "x", float(table["theta"].min()), float(table["theta"].max()))
    ax.set_ylim(0.0, 1.2 * ax.get_ylim()[1])  # with room for the legend
    ax.set_xlabel("cost-loss ratio θ: who acts above this probability (log)")
    ax.set_ylabel("mean loss × 10⁴ per row (lower is better)")
    ax.legend(frameon=False, fontsize=8, loc="upper left")
    return ax


def pit(counts: pd.DataFrame, *, level: float, ax: Axes | None = None) -> Axes:
    """Sorted PIT of the yearly counts against uniform quantiles, with a pointwise band.

    Order statistics of uniform values are beta. ``pit``, ``year``, ``inside`` and ``level`` as in
    `CalibrationRecord.counts`; the years outside of the band are named.
    """
    ax = new_axes(1, 1, (5.0, 3.7))[0] if ax is None else ax
    table = counts.sort_values("pit", ignore_index=True)
    n = len(table)
    rank = np.arange(1, n + 1)
    tail = (1.0 - level) / 2.0
    low, high = (beta.ppf(q, rank, n + 1 - rank) for q in (tail, 1.0 - tail))
    place, found = rank / (n + 1), table["pit"].to_numpy(float)
    ax.fill_between(place, low, high, color=GREY, alpha=0.4, lw=0,
                    label=f"{level:.0%} of uniform samples (pointwise)")  # fmt: skip
    ax.plot([0.0, 1.0], [0.0, 1.0], color=MUTED, lw=0.9, ls="--")
    ax.plot(place, found, "o", ms=4, color=BLUE, label="years")
    for i in np.flatnonzero((found < low) | (found > high)):
        ax.annotate(f"{table['year'][i]:.0f}", (place[i], found[i]), (4, -8),
                    textcoords="offset points", fontsize=7)  # fmt: skip
    ax.set(xlim=(0, 1), ylim=(0, 1))
    ax.set(xlabel="uniform quantile", ylabel="PIT of the yearly number of onsets")
    if "inside" in counts:
        inside, of = int(counts["inside"].sum()), float(counts["level"].iloc[0])
        ax.set_title(f"{inside} of {n} years inside their {of:.0%} interval", loc="left")
    ax.legend(frameon=False, fontsize=8, loc="upper left")
    return ax


def ladder(table: pd.DataFrame, *, level: float, ax: Axes | None = None) -> Axes:
    """Events observed at every level of severity, with interval, and what was expected (ticks).

    `forecast.evaluation.yearly_counts.ladder_table`: ``scope``, ``severity``, ``observed``,
    ``expected``, ``lower``, ``upper``.
    """
    bars = table[["lower", "upper"]].assign(
        value=table["observed"].astype(float),
        mark=table["expected"],
        heading=[
            group_words("all" if s == "all" else "relevance", str(s)).capitalize()
            for s in table["scope"]
        ],
        label=[_LEVELS.get(str(s), str(s)) for s in table["severity"]],
    )
    bars["lower"] = bars["lower"].where(bars["lower"] > 0, 0.3)
    axis = f"events (log): observed, {level:.0%} exact Poisson interval; tick: expected"
    return intervals(bars, ax=ax, axis=axis, reference=None, log=True)


def check(result: CheckResult, *, ax: Axes | None = None) -> Axes:
    """What a check looked at.

    Parameters
    ----------
    result : CheckResult
        One of `forecast.check`.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Raises
    ------
    ArgumentError
        A check without a figure, as those that are not judged.
    """
    if result.shown is None or result.name not in _FIGURES:
        raise ArgumentError(f"The check {result.name!r} has no figure; its table has the numbers.")
    return _FIGURES[result.name](result.shown, ax)


def _predictive(statistics: Mapping[str, Draws], ax: Axes | None) -> Axes:
    """Each statistic's 90% and 50% predictive interval and the observed value, in s.d."""
    ax = new_axes(1, 1, (7.0, 0.8 + 0.24 * len(statistics)))[0] if ax is None else ax
    for i, (draws, observed) in enumerate(statistics.values()):
        centre, spread = float(np.median(draws)), float(np.std(draws)) or 1.0
        low, quarter, three, high = (np.quantile(draws, [0.05, 0.25, 0.75, 0.95]) - centre) / spread
        ax.plot([low, high], [i, i], color=GREY, lw=2, solid_capstyle="butt")
        ax.plot([quarter, three], [i, i], color=GREY, lw=5, solid_capstyle="butt")
        ax.plot([(observed - centre) / spread], [i], "o", color=ORANGE, ms=5)
    ax.set_yticks(range(len(statistics)), list(statistics), fontsize=8)
    ax.invert_yaxis()
    ax.axvline(0.0, color=MUTED, lw=0.8, zorder=0)
    ax.set_xlabel("s.d. from the predictive median\n(bars: 50% and 90% intervals; dot: observed)")
    return ax


def _khat(shown: Mapping[str, tuple[npt.NDArray[np.float64], float]], ax: Axes | None) -> Axes:
    """Sorted Pareto shapes of rows and units that have a tail to smooth, each with its limit."""
    ax = new_axes(1, 1, (6.0, 3.4))[0] if ax is None else ax
    for (title, (values, limit)), colour in zip(shown.items(), (BLUE, ORANGE), strict=True):
        known = np.sort(values[np.isfinite(values)])[::-1]
        ax.plot(np.linspace(0, 1, known.size), known, ".", ms=3, color=colour,
                label=f"{title} with a tail: {known.size} of {values.size}")  # fmt: skip
        ax.axhline(limit, color=colour, lw=1, ls="--")
    ax.set(xlabel="share of them, by rank (dashed: limits)", ylabel="Pareto k")
    ax.legend(frameon=False, fontsize=8)
    return ax


def _sensitivity(table: pd.DataFrame, ax: Axes | None) -> Axes:
    """Prior against likelihood sensitivity of every parameter; those above the limit named."""
    ax = new_axes(1, 1, (5.4, 4.0))[0] if ax is None else ax
    limit = float(table["limit"].iloc[int(table["prior"].argmax())])
    ax.plot(table["likelihood"], table["prior"], "o", ms=4, color=BLUE)
    ax.axhline(limit, color=ORANGE, lw=1)
    for row in table[table["prior"] >= limit].itertuples():
        ax.annotate(str(row.parameter), (row.likelihood, row.prior), fontsize=7)
    ax.set(xlabel="sensitivity to the likelihood", ylabel="sensitivity to the prior")
    return ax


def _reliability(curve: Reliability, ax: Axes | None) -> Axes:
    return reliability(curve, ax=ax)


_FIGURES: dict[str, Callable[[Any, Axes | None], Axes]] = {
    "prior_predictive": _predictive,
    "posterior_predictive": _predictive,
    "loo": _khat,
    "reliability": _reliability,
    "prior_sensitivity": _sensitivity,
}
