"""What terms say, in log-odds and as probabilities, and what they add to forecasts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import laplace, norm, t

from forecast.errors import ArgumentError, UnknownNameError, wrong_type
from forecast.evaluation.alliance_gains import ALL, group_label
from forecast.evaluation.effects import Effects
from forecast.inference.fit import Fit, as_fit
from forecast.plot.intervals import PALETTE, figure_of, intervals, new_axes
from forecast.text import group_words, percent, term_words

__all__ = ["coefficients", "differences", "effects", "gains", "slopes"]


_ENDS = ["lower", "upper"]


def coefficients(result: Fit | pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Coefficients by family, each with its interval and, in grey, the 90% interval of its prior.

    Parameters
    ----------
    result : Fit or pandas.DataFrame
        A fit, or its `summary`; columns that only say whether a value is known are left out.
    ax : matplotlib.axes.Axes, optional
        Where to draw.
    """
    table = _part(result, "coefficient")
    own = table[~table["column"].str.contains(":has_value") & (table["column"] != "intercept")]
    families = list(dict.fromkeys(own["family"]))
    own = own.sort_values("family", key=lambda f: f.map(families.index), kind="stable")
    prior = own["prior"].str.extract(r"(\w+)\(([^,]*), ([^,)]*)(?:, df=(.*))?\)")
    center = prior[1].astype(float)
    half = prior[2].astype(float) * [
        float({"Normal": norm, "Laplace": laplace}.get(name, t(df)).isf(0.05))
        for name, df in zip(prior[0], prior[3].astype(float), strict=True)
    ]
    bars = own[_ENDS].assign(
        value=own["mean"],
        heading=own["family"],
        label=own["name"],
        back_lower=center - half,
        back_upper=center + half,
    )
    return intervals(bars, ax=ax, axis=f"coefficient (log-odds){_level(own)}; grey: prior")


def slopes(
    result: Fit | pd.DataFrame,
    *,
    names: Mapping[str, str] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Coefficients that differ between levels: eras, or groups of pairs.

    Parameters
    ----------
    result : Fit or pandas.DataFrame
        A fit, or its `summary`.
    names : mapping of str to str, optional
        Levels to show, by ``era``, and what they are called; by default the eras of the model, by
        their years, or, if no slope differs between them, all there are.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Raises
    ------
    ArgumentError
        No coefficient of the fit varies.
    """
    own = _part(result, "slope")
    if own.empty:
        raise ArgumentError("slopes: no coefficient of the fit varies; plot.coefficients has all.")
    if names is None:
        spans = own[own["era"] != own["years"]]
        own = own if spans.empty else spans
    else:
        own = own[own["era"].isin(list(names))]
        own = own.sort_values("era", key=lambda e: e.map(list(names).index), kind="stable")
    family = own["family"]
    order = {t: i for i, t in enumerate(dict.fromkeys(zip(family, own["term"], strict=True)))}
    bars = own[_ENDS].assign(
        value=own["mean"],
        heading=family,
        label=own["term"].map(term_words),
        series=own["years"] if names is None else own["era"].map(names),
        order=[order[t] for t in zip(family, own["term"], strict=True)],
    )
    first = bars.groupby("heading", sort=False)["order"].transform("min")
    bars = bars.assign(first=first).sort_values(["first", "order"], kind="stable")
    return intervals(bars, ax=ax, axis=f"change in log-odds of an onset{_level(own)}")


def _part(result: Fit | pd.DataFrame, kind: str) -> pd.DataFrame:
    """The rows of one kind of the summary of a fit."""
    table = result if isinstance(result, pd.DataFrame) else as_fit(result, "plot").summary()
    table = table[table["kind"] == kind] if "kind" in table else table
    return table.reset_index() if table.index.name == "name" else table


def effects(
    result: Effects,
    *,
    show: Literal["difference", "ratio", "curve"] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Average predictive comparisons, or the curve of a term, on the scale of probabilities.

    Parameters
    ----------
    result : Effects
        From `forecast.effects`.
    show : {"difference", "ratio", "curve"}, optional
        Differences in percentage points, ratios, or the curve of one term; by default the curve
        where there is one term with more than two values, else the differences.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Raises
    ------
    ArgumentError
        Nothing of that name to show; a curve of two terms, or of profiles.
    """
    if not isinstance(result, Effects):
        raise wrong_type("plot.effects", result, "what forecast.effects gives.")
    terms = result.curves["term"].nunique()
    if show is None:
        rich = terms == 1 and result.curves["value"].nunique() > 2
        show = "curve" if rich else "difference"
    if show not in ("difference", "ratio", "curve"):
        raise UnknownNameError("show", show, ["difference", "ratio", "curve"])
    if show == "curve":
        if terms != 1:
            raise ArgumentError(f"show='curve': there are {terms} terms, expected one.")
        return _curve(result, ax)
    ratio = show == "ratio"
    table = result.table[result.table["rows"] > 0]
    ends = table[["ratio_lower", "ratio_upper"] if ratio else _ENDS] * (1 if ratio else 100)
    about = [
        f"{percent(r['probability_low'])} → {percent(r['probability_high'])}"
        for r in table.to_dict("records")
    ]
    of = table["group_label"] if result.by else table["label"]
    bars = ends.set_axis(_ENDS, axis=1).assign(
        value=table[show] * (1 if ratio else 100),
        heading=table["label"] + ", " + table["contrast"] if result.by else table["contrast"],
        label=[f"{name} ({change})" for name, change in zip(of, about, strict=True)],
    )
    what = "ratio of the probabilities" if ratio else "difference, in percentage points"
    axis = f"{result.outcome}: {what} ({result.level:.0%} equal-tailed interval)"
    return intervals(bars, ax=ax, axis=axis, reference=float(ratio))


def _curve(result: Effects, ax: Axes | None) -> Axes:
    """Average probability by the value of a term, a line and band for each group."""
    ax = new_axes(1, 1, (6.4, 3.8))[0] if ax is None else ax
    groups = result.curves[result.curves["rows"] > 0].groupby("group", sort=False)
    for k, (_, part) in enumerate(groups):
        colour = PALETTE[k % len(PALETTE)]
        label = part["group_label"].iloc[0]
        value, *lines = part[["value", "probability", *_ENDS]].to_numpy(float).T
        ax.fill_between(value, 100 * lines[1], 100 * lines[2], color=colour, alpha=0.2, lw=0)
        dash = "-" if k < len(PALETTE) else "--"
        ax.plot(value, 100 * lines[0], dash, color=colour, lw=1.7, label=label)
    ax.set_ylim(bottom=0.0)
    ax.set_xlabel(result.curves["label"].iloc[0])
    ax.set_ylabel(f"average probability of {result.outcome} (%)\n"
                  f"{result.level:.0%} equal-tailed interval")  # fmt: skip
    if result.by:
        ax.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return ax


def _level(table: pd.DataFrame) -> str:
    level = f"{float(table['level'].iloc[0]):.0%}" if "level" in table and len(table) else ""
    return f" ({level} equal-tailed interval)" if level else ""


def differences(
    table: pd.DataFrame, *, method: Callable[[str], str] = str, ax: Axes | None = None
) -> Axes:
    """Log loss of a model less that of each other method, over all rows and by years of peace.

    Parameters
    ----------
    table : pandas.DataFrame
        `forecast.backtest(…).differences`, of one horizon.
    method : callable
        What a method is called, by its name.
    ax : matplotlib.axes.Axes, optional
        Where to draw.
    """
    own = table[(table["score"] == "log_loss") & table["kind"].isin(["all", "peace"])]
    own = own.sort_values("kind", kind="stable")  # all before peace
    bars = (1e4 * own[_ENDS]).assign(
        value=1e4 * own["mean"],
        heading=[
            group_words(str(kind), str(group)).capitalize()
            for kind, group in zip(own["kind"], own["group"], strict=True)
        ],
        label=[f"against {method(str(name))}" for name in own["against"]],
    )
    level = f" ({own['level'].iloc[0]:.0%} interval)" if len(own) else ""
    axis = f"difference in log loss × 10⁴ per pair and year{level}; below 0 the model is better"
    return intervals(bars, ax=ax, axis=axis)


def gains(table: pd.DataFrame) -> Figure:
    """What alliance terms add: by family over all test years, then all of them by time and stratum.

    Parameters
    ----------
    table : pandas.DataFrame
        From `forecast.evaluation.alliance_gains.alliance_gains`.
    """
    table = table[~table["recalibrated"]]
    every = table[table["left_out"] == ALL]
    parts = {
        "By family of terms": table[table["kind"] == "all"],
        "All terms, by era and decade": every[every["kind"].isin(("era", "decade"))],
        "All terms, by stratum": every[every["kind"].isin(("stratum", "peace"))],
    }
    height = 1.4 + 0.27 * max(map(len, parts.values()))
    axes = new_axes(1, 3, (12.5, max(height, 3.2)))
    for ax, (title, part) in zip(axes, parts.items(), strict=True):
        names = [
            ("all alliance terms" if r["left_out"] == ALL else str(r["left_out"]))
            if title == "By family of terms"
            else f"{group_label(r)} ({r['events']:,} onsets)"
            for r in part.to_dict("records")
        ]
        bars = (1e4 * part[_ENDS]).assign(value=1e4 * part["gain"], label=names)
        axis = "gain in log loss × 10⁴ per row\n(above 0: alliances help)"
        intervals(bars, ax=ax, axis=axis)
        ax.set_title(title, loc="left")
    return figure_of(axes[0])
