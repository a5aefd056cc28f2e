"""A mechanism that practitioners name: what the fits say of it, measure by measure and era by era."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from forecast.errors import UnknownNameError
from forecast.evaluation.mechanisms import overall
from forecast.plot.intervals import axes_for, intervals

__all__ = ["mechanism"]

def mechanism(table: pd.DataFrame, name: str, *, ax: Axes | None = None) -> Figure:
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
    matplotlib.figure.Figure
        Filled dots: the interval of the difference excludes 0, which is the verdict of the table;
        the expected side of each measure is written in its heading.

    Raises
    ------
    UnknownNameError
        The table has no such mechanism.
    """
    own = table[table["mechanism"] == name]
    if own.empty:
        raise UnknownNameError("mechanism", name, sorted(set(table["mechanism"])))
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
    axis = f"probability after the first against without it, ratio ({level})"
    figure = intervals(bars, ax=ax, axis=axis, reference=1.0, log=True)
    ax.set_title(f"{own['title'].iloc[0]}: {overall(own['verdict'])}", loc="left")
    return figure
