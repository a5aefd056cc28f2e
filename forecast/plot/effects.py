"""What terms say and add to forecasts, and what a forecast and a scenario say of pairs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Literal

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import laplace, norm, t

from forecast.errors import ArgumentError
from forecast.evaluation.alliance_gains import ALL, group_label
from forecast.plot.intervals import axes_for, figure_of, intervals, new_axes
from forecast.risk.explain import simulated_states
from forecast.simulation.levels import as_severity, of_level
from forecast.text import group_words, percent, term_words

__all__ = ["coefficients", "differences", "gains", "risks", "scenario", "slopes"]


_ENDS = ["lower", "upper"]


def coefficients(table: pd.DataFrame, *, ax: Axes | None = None) -> Figure:
    """Coefficients by family, each with its interval and, in grey, the 90% interval of its prior.

    Parameters
    ----------
    table : pandas.DataFrame
        From `forecast.report.model.term_table`; columns that only say whether a value is known
        are left out.
    ax : matplotlib.axes.Axes, optional
        Where to draw.
    """
    own = table[~table["column"].str.contains(":") & (table["column"] != "intercept")]
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
        label=own["column"].map(term_words),
        back_lower=center - half,
        back_upper=center + half,
    )
    return intervals(bars, ax=ax, axis=f"coefficient (log-odds){_level(own)}; grey: prior")


def slopes(
    table: pd.DataFrame, *, names: Mapping[str, str] | None = None, ax: Axes | None = None
) -> Figure:
    """Coefficients that differ between levels: eras, or groups of pairs.

    Parameters
    ----------
    table : pandas.DataFrame
        From `forecast.report.model.slope_table`: ``term``, ``era``, ``years``, ``mean``,
        ``lower``, ``upper``; ``family``, if it is there, heads the terms.
    names : mapping of str to str, optional
        Levels to show, by ``era``, and what they are called; by default all, by their years.
    ax : matplotlib.axes.Axes, optional
        Where to draw.
    """
    own = table if names is None else table[table["era"].isin(list(names))]
    if names is not None:
        own = own.sort_values("era", key=lambda e: e.map(list(names).index), kind="stable")
    family = own["family"] if "family" in own else pd.Series("", index=own.index)
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


def _level(table: pd.DataFrame) -> str:
    level = f"{float(table['level'].iloc[0]):.0%}" if "level" in table and len(table) else ""
    return f" ({level} equal-tailed interval)" if level else ""


def differences(
    table: pd.DataFrame, *, method: Callable[[str], str] = str, ax: Axes | None = None
) -> Figure:
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


def scenario(
    result: xr.Dataset,
    *,
    by: Literal["pair", "state"] = "pair",
    named: Collection[str | int] = (),
    top: int = 8,
    ax: Axes | None = None,
) -> Figure:
    """Largest differences in risk between a scenario and the status quo.

    Parameters
    ----------
    result : xarray.Dataset
        From `forecast.simulate` with a scenario; the end of its horizon is shown.
    by : {"pair", "state"}
        Whose risk.
    named : collection of str or int
        The states that the edits name: they, or pairs with one of them, come first, and as many
        others below.
    top : int
        Rows of each group.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Raises
    ------
    ArgumentError
        The result has no scenario.
    UnknownNameError
        A state that was not simulated; the nearest name is suggested.
    """
    if "difference" not in result["world"]:
        raise ArgumentError("The result has no scenario; simulate one to see its changes.")
    risk = result["cumulative_risk" if by == "pair" else "state_risk"].isel(year=-1)
    names = dict(zip(result["state"].to_numpy(), result["state_name"].to_numpy(), strict=True))
    codes = (
        np.stack([result["ccode_a"].to_numpy(), result["ccode_b"].to_numpy()])
        if by == "pair"
        else result["state"].to_numpy()[None]
    )
    party = np.isin(codes, simulated_states(result, list(named))).any(axis=0)
    mean, lower, upper = 100 * risk.sel(world="difference").to_numpy().astype(float)
    before, after = (
        risk.sel(world=world, estimate="mean").to_numpy() for world in ("status_quo", "scenario")
    )
    order = np.argsort(-np.abs(mean), kind="stable")
    what = "Pairs with a state named in the edits" if by == "pair" else "States named in the edits"
    groups = {what: order[party[order]][:top]} if len(named) else {}
    groups |= {("Third pairs (spill-overs)" if by == "pair" else "Others") if len(named) else "":
               order[~party[order]][:top]}  # fmt: skip
    table = pd.DataFrame(
        [
            {
                "heading": heading,
                "label": " – ".join(str(names[code]).split("/")[0] for code in codes[:, i])
                + f" ({percent(before[i])} → {percent(after[i])})",
                "value": mean[i],
                "lower": lower[i],
                "upper": upper[i],
            }
            for heading, rows in groups.items()
            for i in rows
        ],
        columns=["heading", "label", "value", "lower", "upper"],
    )
    ax = axes_for(table) if ax is None else ax
    ax.set_title(str(result.attrs["scenario"]), loc="left")
    level, kind = result.attrs["interval_level"], result.attrs["interval_kind"]
    event = of_level("onset", as_severity(result.attrs.get("severity", "onset")))
    axis = f"difference in probability of an {event} by the end of {int(risk['year'])}, points"
    return intervals(table, ax=ax, axis=f"{axis} ({level:.0%} {kind} interval)")


def risks(table: pd.DataFrame, *, ax: Axes | None = None) -> Figure:
    """Probability that a conflict begins, by pair, with the base rate of its stratum as a tick.

    Parameters
    ----------
    table : pandas.DataFrame
        From `forecast.risk` of several pairs; the longest horizon in it is shown, the likeliest
        pair first. An asterisk marks a conflict that is under way: the risk is of a further one.
    ax : matplotlib.axes.Axes, optional
        Where to draw.
    """
    last = table[table["horizon"] == table["horizon"].max()].sort_values(
        "probability", ascending=False
    )
    mark = np.where(last["status"] == "under way", " *", "")
    bars = (100 * last[["lower", "upper"]]).assign(
        value=100 * last["probability"],
        mark=100 * last["base_rate"],
        label=last["state_a"] + " – " + last["state_b"] + mark,
        series=np.where(
            last["stratum"].str.endswith(", remote"), "remote pair", "politically relevant pair"
        ),
    )
    first, end = int(last["first_year"].iloc[0]), int(last["last_year"].iloc[0])
    years = str(first) if first == end else f"{first}–{end}"
    axis = f"probability of at least one onset, {years} (%); tick: base rate of the stratum"
    return intervals(bars, ax=ax, axis=axis, reference=None)
