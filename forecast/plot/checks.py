"""Figures of the checks of a fit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from forecast.errors import ArgumentError
from forecast.plot.calibration import reliability
from forecast.plot.intervals import BLUE, GREY, MUTED, ORANGE, figure_of, new_axes

if TYPE_CHECKING:
    from forecast.evaluation.calibration import Reliability
    from forecast.evaluation.check_tables import CheckResult

__all__ = ["check"]

Draws = tuple[npt.NDArray[np.float64], float]


def check(result: CheckResult, *, ax: Axes | None = None) -> Figure:
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


def _predictive(statistics: Mapping[str, Draws], ax: Axes | None) -> Figure:
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
    return figure_of(ax)


def _khat(shown: Mapping[str, tuple[npt.NDArray[np.float64], float]], ax: Axes | None) -> Figure:
    """Sorted Pareto shapes of rows and units that have a tail to smooth, each with its limit."""
    ax = new_axes(1, 1, (6.0, 3.4))[0] if ax is None else ax
    for (title, (values, limit)), colour in zip(shown.items(), (BLUE, ORANGE), strict=True):
        known = np.sort(values[np.isfinite(values)])[::-1]
        ax.plot(np.linspace(0, 1, known.size), known, ".", ms=3, color=colour,
                label=f"{title} with a tail: {known.size} of {values.size}")  # fmt: skip
        ax.axhline(limit, color=colour, lw=1, ls="--")
    ax.set(xlabel="share of them, by rank (dashed: limits)", ylabel="Pareto k")
    ax.legend(frameon=False, fontsize=8)
    return figure_of(ax)


def _sensitivity(table: pd.DataFrame, ax: Axes | None) -> Figure:
    """Prior against likelihood sensitivity of every parameter; those above the limit named."""
    ax = new_axes(1, 1, (5.4, 4.0))[0] if ax is None else ax
    limit = float(table["limit"].iloc[int(table["prior"].argmax())])
    ax.plot(table["likelihood"], table["prior"], "o", ms=4, color=BLUE)
    ax.axhline(limit, color=ORANGE, lw=1)
    for row in table[table["prior"] >= limit].itertuples():
        ax.annotate(str(row.parameter), (row.likelihood, row.prior), fontsize=7)
    ax.set(xlabel="sensitivity to the likelihood", ylabel="sensitivity to the prior")
    return figure_of(ax)


def _reliability(curve: Reliability, ax: Axes | None) -> Figure:
    return reliability(curve.curve, level=curve.level, ax=ax)


_FIGURES: dict[str, Callable[[Any, Axes | None], Figure]] = {
    "prior_predictive": _predictive,
    "posterior_predictive": _predictive,
    "loo": _khat,
    "reliability": _reliability,
    "prior_sensitivity": _sensitivity,
}
