"""A mechanism that practitioners name: what fits say of it, by measure and era."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from forecast.errors import UnknownNameError
from forecast.evaluation.mechanisms import overall
from forecast.plot.intervals import axes_for, heights, intervals

__all__ = ["mechanism"]


def mechanism(table: pd.DataFrame, name: str, *, ax: Axes | None = None) -> Axes:
    """Ratio of the probabilities that a mechanism compares, by measure and era, with its verdict.

    Parameters
    ----------
    table : pandas.DataFrame
        From `forecast.mechanisms`, of one fit or of several one after the other
        (`pandas.concat`).
    name : str
        A mechanism of the table, such as ``"entanglement"``.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        In the shade is the side that is expected of a measure; filled dots: the interval excludes
        no difference, which is the verdict of the table.

    Raises
    ------
    UnknownNameError
        The table has no such mechanism.
    """
    own = table[table["mechanism"] == name]
    if own.empty:
        raise UnknownNameError("mechanism", name, sorted(set(table["mechanism"])))
    place = {short: i for i, short in enumerate(dict.fromkeys(own["short"]))}
    own = own.sort_values("short", key=lambda short: short.map(place), kind="stable")
    bars = pd.DataFrame(
        {
            "heading": own["short"],
            "label": own["first"].astype(str) + "–" + own["last"].astype(str),
            "value": own["ratio"],
            "lower": own["ratio_lower"],
            "upper": own["ratio_upper"],
            "series": own["data"],
        }
    )
    ax = axes_for(bars) if ax is None else ax
    level = f"{float(own['level'].iloc[0]):.0%} {own['interval'].iloc[0]} interval"
    axis = f"probability with what is named over that without it ({level})"
    intervals(bars, ax=ax, axis=axis, reference=1.0, log=True)
    _shade(ax, bars, own["sign"].to_numpy() == "+")
    ax.set_title(f"{own['title'].iloc[0]}: {overall(own['verdict'])}", loc="left", pad=28)
    return ax


def _shade(ax: Axes, bars: pd.DataFrame, more: np.ndarray) -> None:
    """The expected side of each line, from its heading down."""
    low, high = ax.get_xlim()
    for y, side in dict(zip(heights(bars), more, strict=True)).items():
        start, width = (1.0, high - 1.0) if side else (low, 1.0 - low)
        ax.barh(y, width, left=start, height=1.0, color="#eef3f7", lw=0, zorder=-1)
    ax.set_xlim(low, high)
