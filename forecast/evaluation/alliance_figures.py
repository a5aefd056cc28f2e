"""Figures of what alliances add to forecasts. Made without pyplot: nothing is shown or kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from forecast.evaluation.alliance_gains import ALL, group_label

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["gain_axes", "gain_figure", "slope_figure"]

_COLOURS = ("#2166ac", "#d6604d", "#4d9221", "#7b3294", "#767676")


def gain_axes(axes: Axes, table: pd.DataFrame, labels: Sequence[str], title: str) -> None:
    """Gain per row and interval, one line per row of a part of `alliance_gains`."""
    place = np.arange(len(table))
    value, low, high = (1e4 * table[name].to_numpy() for name in ("gain", "lower", "upper"))
    clear = (low > 0.0) | (high < 0.0)
    axes.axvline(0.0, color="0.5", lw=0.8, ls="--", zorder=0)
    axes.hlines(place, low, high, color=_COLOURS[0], lw=1.8)
    axes.plot(value[clear], place[clear], "o", ms=6, color=_COLOURS[0])
    axes.plot(value[~clear], place[~clear], "o", ms=6, mfc="white", color=_COLOURS[0])
    axes.set_yticks(place, list(labels), fontsize=9)
    axes.set_ylim(len(table) - 0.5, -0.5)
    axes.set_title(title, fontsize=10, loc="left")
    axes.set_xlabel("gain in log loss × 10⁴ per row\n(above 0: alliances help)", fontsize=8.5)
    axes.spines[["top", "right"]].set_visible(False)


def gain_figure(gains: pd.DataFrame) -> Figure:
    """Families over all test years; then all alliance terms by era, decade and stratum.

    Filled dots: the interval excludes 0.
    """
    from matplotlib.figure import Figure

    gains = gains[~gains["recalibrated"]]
    whole = gains[gains["kind"] == "all"]
    time = gains[(gains["left_out"] == ALL) & gains["kind"].isin(("era", "decade"))]
    kind = gains[(gains["left_out"] == ALL) & gains["kind"].isin(("stratum", "peace"))]
    height = 1.4 + 0.27 * max(len(whole), len(time), len(kind))
    figure = Figure(figsize=(12.5, max(height, 3.2)), layout="constrained")
    first, second, third = figure.subplots(1, 3)
    names = ["all alliance terms" if n == ALL else str(n) for n in whole["left_out"]]
    gain_axes(first, whole, names, "By family of terms")
    gain_axes(second, time, _counted(time), "All terms, by era and decade")
    gain_axes(third, kind, _counted(kind), "All terms, by stratum")
    return figure


def _counted(table: pd.DataFrame) -> list[str]:
    """Names of groups with their events."""
    return [f"{group_label(r)} ({r['events']:,} onsets)" for r in table.to_dict("records")]


def slope_figure(slopes: pd.DataFrame) -> Figure:
    """Coefficient of each alliance term in each era, terms together by family.

    Parameters
    ----------
    slopes : pandas.DataFrame
        ``term``, ``family``, ``years`` (of the era), ``mean``, ``lower``, ``upper``, ``level``.
    """
    from matplotlib.figure import Figure

    families = list(dict.fromkeys(slopes["family"]))
    terms = [t for f in families for t in dict.fromkeys(slopes.loc[slopes["family"] == f, "term"])]
    eras = list(dict.fromkeys(slopes["years"]))
    family = dict(zip(slopes["term"], slopes["family"], strict=True))
    gap = {f: 0.8 * i for i, f in enumerate(families)}
    place = {term: i + gap[family[term]] for i, term in enumerate(terms)}
    figure = Figure(figsize=(8.0, 1.2 + 0.32 * len(terms) + 0.2 * len(families)),
                    layout="constrained")  # fmt: skip
    axes = figure.subplots()
    axes.axvline(0.0, color="0.5", lw=0.8, ls="--", zorder=0)
    for k, era in enumerate(eras):
        part = slopes[slopes["years"] == era]
        at = np.array([place[t] for t in part["term"]]) + 0.16 * (k - (len(eras) - 1) / 2)
        colour = _COLOURS[k % len(_COLOURS)]
        axes.hlines(at, part["lower"], part["upper"], color=colour, lw=1.5)
        axes.plot(part["mean"], at, "o", ms=4, color=colour, label=str(era))
    axes.set_yticks(
        list(place.values()), [t.replace("_", " ").replace("defense", "defence") for t in place],
        fontsize=8.5,
    )  # fmt: skip
    for name in families:
        top = min(place[t] for t in terms if family[t] == name)
        axes.text(1.01, top, name, transform=axes.get_yaxis_transform(), fontsize=9, va="center")
    axes.invert_yaxis()
    level = f"{float(slopes['level'].iloc[0]):.0%}"
    axes.set_xlabel(f"change in log-odds of an onset ({level} equal-tailed interval)")
    figure.legend(loc="outside upper center", ncols=len(eras), frameon=False, fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    return figure
