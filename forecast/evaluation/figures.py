"""Figures of the checks. Made without pyplot, so that nothing is shown or kept open."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from forecast.evaluation.inputs import FloatArray

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from forecast.evaluation.calibration import Reliability

__all__ = ["khat", "predictive", "reliability_curve", "sensitivity"]

_BLUE, _ORANGE, _GREY = "#2166ac", "#d6604d", "#b0b0b0"


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def predictive(
    statistics: dict[str, tuple[FloatArray, float]],
) -> Figure:
    """Each statistic's 90% and 50% predictive interval and the observed value, in s.d."""
    figure = _figure(7.0, 0.8 + 0.24 * len(statistics))
    axes = figure.subplots()
    for i, (draws, observed) in enumerate(statistics.values()):
        centre, spread = float(np.median(draws)), float(np.std(draws)) or 1.0
        low, quarter, three, high = (np.quantile(draws, [0.05, 0.25, 0.75, 0.95]) - centre) / spread
        axes.plot([low, high], [i, i], color=_GREY, lw=2, solid_capstyle="butt")
        axes.plot([quarter, three], [i, i], color=_GREY, lw=5, solid_capstyle="butt")
        axes.plot([(observed - centre) / spread], [i], "o", color=_ORANGE, ms=5)
    axes.set_yticks(range(len(statistics)), list(statistics), fontsize=8)
    axes.invert_yaxis()
    axes.axvline(0.0, color="0.8", lw=0.8, zorder=0)
    axes.set_xlabel("s.d. from the predictive median\n(bars: 50% and 90% intervals; dot: observed)")
    return figure


def khat(rows: FloatArray, units: FloatArray, limits: tuple[float, float]) -> Figure:
    """Sorted Pareto shapes of rows and units that have a tail to smooth, each with its limit."""
    figure = _figure(7.0, 3.0)
    for axes, values, title, limit in zip(
        figure.subplots(1, 2, sharey=True), (rows, units), ("rows", "units"), limits, strict=True
    ):
        shown = np.sort(values[np.isfinite(values)])[::-1]
        axes.plot(np.arange(1, shown.size + 1), shown, ".", ms=3, color=_BLUE)
        axes.axhline(limit, color=_ORANGE, lw=1)
        axes.set_xlabel(f"{title} with a tail ({shown.size} of {values.size}), by rank")
        if shown.size:
            axes.set_xscale("log")
    figure.axes[0].set_ylabel("Pareto k")
    return figure


def reliability_curve(curve: Reliability) -> Figure:
    """CORP curve on square-root axes, where rare events have room, with its band."""
    figure = _figure(4.5, 4.5)
    axes = figure.subplots()
    table = curve.curve
    axes.fill_between(
        table["forecast"],
        table["lower"],
        table["upper"],
        color=_GREY,
        alpha=0.5,
        lw=0,
        label=f"{curve.level:.0%} consistency band",
    )
    axes.plot(table["forecast"], table["observed"], color=_BLUE, lw=1.5, label="isotonic")
    top = float(max(table["forecast"].max(), table["observed"].max()))
    axes.plot([0, top], [0, top], color="0.5", lw=0.8, ls="--")
    axes.set_xscale("function", functions=(_root, np.square))
    axes.set_yscale("function", functions=(_root, np.square))
    ticks = [t for t in (0.0, 0.01, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0) if t <= top]
    axes.set_xticks(ticks, [f"{t:g}" for t in ticks])
    axes.set_yticks(ticks, [f"{t:g}" for t in ticks])
    axes.set(xlabel="forecast probability", ylabel="observed frequency")
    axes.set(xlim=(0, top), ylim=(0, top))
    axes.legend(frameon=False, fontsize=8)
    return figure


def _root(x: FloatArray) -> FloatArray:
    return np.sqrt(np.maximum(x, 0.0))


def sensitivity(table: pd.DataFrame, limit: float) -> Figure:
    """Prior against likelihood sensitivity of every parameter; those above the limit named."""
    figure = _figure(5.0, 4.0)
    axes = figure.subplots()
    axes.plot(table["likelihood"], table["prior"], "o", ms=4, color=_BLUE)
    axes.axhline(limit, color=_ORANGE, lw=1)
    for row in table[table["prior"] >= limit].itertuples():
        axes.annotate(str(row.parameter), (row.likelihood, row.prior), fontsize=7)
    axes.set(xlabel="sensitivity to the likelihood", ylabel="sensitivity to the prior")
    return figure
