"""What the priors of a model say, before the fit."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes

from forecast.evaluation.prior_scale import prior_table
from forecast.modeling.spec import ModelSpec
from forecast.panel.types import Panel
from forecast.plot.intervals import intervals
from forecast.text import term_words

__all__ = ["prior"]

_FAR = 1000.0  # below the observed rate, by a factor, a probability is none


def prior(
    model: ModelSpec | str | Path | pd.DataFrame,
    panel: Panel | None = None,
    *,
    draws: int = 1000,
    seed: int = 1,
    ax: Axes | None = None,
) -> Axes:
    """What the priors say on the scale of probabilities: base rate, and each term's effect.

    Parameters
    ----------
    model : ModelSpec, str, Path or pandas.DataFrame
        A specification, its name or its file; or a table of
        `forecast.evaluation.prior_scale.prior_table`, which says what is drawn.
    panel : Panel, optional
        Rows of the model; by default those of the embedded data, which for all pairs of states
        takes a while.
    draws, seed : int
        Draws of the priors, and their seed.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        The base rate with the observed one as a tick; for each term the probability where it is
        low and where it is high. Where the two intervals of a term are alike, its prior says
        nothing of its sign; where they reach over a factor of a hundred, it says nothing at all.
    """
    table = model if isinstance(model, pd.DataFrame) else prior_table(
        model, panel, draws=draws, seed=seed
    )  # fmt: skip
    first = table["term"] == "base rate"
    words = table["term"].map(term_words)
    bars = pd.DataFrame(
        {
            "heading": table["family"].where(~first, "all rows"),
            "label": words.where(~first, "base rate"),
            "series": table["end"].where(~first, "mean probability (tick: observed)"),
            "value": table["median"],
            "lower": table["lower"],
            "upper": table["upper"],
            "mark": table["at"].where(first),
        }
    )
    rate = float(table.loc[first, "at"].iloc[0])
    level = f"{float(table['level'].iloc[0]):.0%}"
    axis = (
        f"probability before the fit (median, {level} equal-tailed interval); dashed: observed "
        "rate\n"
        "a term low or high (5% and 95% quantile, or 0 and 1), all else average; "
        "lines that end at the left go on"
    )
    shown = intervals(bars, ax=ax, axis=axis, reference=rate, log=True)
    shown.set_xlim(left=max(shown.get_xlim()[0], rate / _FAR))
    return shown
