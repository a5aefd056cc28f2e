"""What is on record: onsets by year, and features of states over time."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import beta

from forecast.plot.intervals import MUTED, PALETTE, figure_of, new_axes

if TYPE_CHECKING:
    import pandas as pd

    from forecast.panel.types import Panel

__all__ = ["features", "onsets"]

_DASHES = ("-", "--", "-.", ":")


def onsets(panel: Panel, part: Panel | None = None) -> Figure:
    """Onsets by year, and their rate per 1,000 rows in periods of five years, logarithmic.

    Parameters
    ----------
    panel : Panel
        From `forecast.load_panel`.
    part : Panel, optional
        Rows of it, as politically relevant pairs: they and all others are drawn apart.

    Returns
    -------
    matplotlib.figure.Figure
        Intervals are 90% equal-tailed of the Jeffreys posterior, rows of a period taken as
        exchangeable.
    """
    whole = _by_year(panel)
    groups = {"all": whole} if part is None else {}
    if part is not None:
        own = _by_year(part).reindex(whole.index, fill_value=0)
        groups = {str(part.population).replace("_", " "): own, "all others": whole - own}
    top, bottom = new_axes(2, 1, (7.0, 5.2), sharex=True)
    below = np.zeros(len(whole))
    for (label, yearly), colour, marker in zip(groups.items(), PALETTE, "oDs^v", strict=False):
        top.bar(yearly.index, yearly["sum"], bottom=below, width=0.8, color=colour, label=label)
        below = below + yearly["sum"].to_numpy()
        period = yearly.groupby(5 * ((yearly.index - 1) // 5) + 1).sum()
        came, stayed = period["sum"] + 0.5, period["size"] - period["sum"] + 0.5
        rate = 1000 * came / (came + stayed)
        low, high = (1000 * beta.ppf(q, came, stayed) for q in (0.05, 0.95))
        bottom.errorbar(period.index + 2, rate, yerr=[rate - low, high - rate], fmt=marker, ms=4,
                        color=colour, elinewidth=1.2)  # fmt: skip
    top.set(ylabel="onsets per year", ylim=(0, 1.2 * below.max()))
    top.legend(frameon=False, ncols=len(groups), loc="upper left")
    bottom.set(yscale="log", xlabel="year", ylabel="onsets per 1,000 rows")
    return figure_of(top)


def _by_year(panel: Panel) -> pd.DataFrame:
    """Onsets (``sum``) and rows (``size``) of each year."""
    outcome: pd.DataFrame = panel.data[["outcome", "year"]].to_dataframe()
    return outcome.groupby("year")["outcome"].agg(["sum", "size"])


def features(
    panel: Panel, names: Mapping[str, str], states: Mapping[str, Collection[int]]
) -> Figure:
    """Features of some states over time, one picture each.

    Parameters
    ----------
    panel : Panel
        Of state-years, with the features as columns (`forecast.features.compute_features`).
    names : mapping of str to str
        Columns, and what their axes are called.
    states : mapping of str to collection of int
        COW numbers of a state by its name: one line, though the number may have changed.
    """
    values = panel.data[[*names, "year", "ccode"]].to_dataframe()
    values["year"] -= panel.lag  # a row of year t holds the state of affairs of t − 1
    axes: list[Axes] = new_axes(len(names), 1, (7.0, 0.5 + 1.9 * len(names)), sharex=True)
    for ax, (name, label) in zip(axes, names.items(), strict=True):
        for (state, codes), colour, dash in zip(states.items(), PALETTE, _DASHES, strict=False):
            one = values[values["ccode"].isin(codes)].dropna(subset=name).sort_values("year")
            ax.plot(one["year"], one[name], dash, color=colour, lw=1.6, label=state)
        ax.set_ylabel(label)
        if values[name].min() < 0:
            ax.axhline(0, color=MUTED, lw=0.8, zorder=0)
    axes[-1].set_xlabel("year")
    figure = figure_of(axes[0])
    handles = axes[0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside upper center", ncols=len(states), frameon=False)
    return figure
