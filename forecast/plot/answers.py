"""What forecasts and scenarios say of pairs and states, and what rival theories do."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes

from forecast.draws import check_whole
from forecast.errors import ArgumentError, wrong_type
from forecast.plot.intervals import axes_for, intervals, require_simulation
from forecast.risk.explain import simulated_states
from forecast.risk.rival_words import rival_table
from forecast.simulation.levels import as_severity, of_level
from forecast.text import percent

__all__ = ["risks", "rivals", "scenario"]


def scenario(
    result: xr.Dataset,
    *,
    by: Literal["pair", "state"] = "pair",
    named: Collection[str | int] = (),
    top: int = 8,
    ax: Axes | None = None,
) -> Axes:
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
    require_simulation(result, "plot.scenario(result)")
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
    return intervals(table, ax=ax, axis=_difference_words(result, int(risk["year"])))


def _difference_words(result: xr.Dataset, year: int) -> str:
    """What an axis of differences by the end of a year says."""
    event = of_level("onset", as_severity(result.attrs.get("severity", "onset")))
    kept = f"{result.attrs['interval_level']:.0%} {result.attrs['interval_kind']} interval"
    return f"difference in probability of an {event} by the end of {year}, points ({kept})"


def risks(table: pd.DataFrame, *, top: int = 40, ax: Axes | None = None) -> Axes:
    """Probability that a conflict begins, by pair, with the base rate of its stratum as a tick.

    Parameters
    ----------
    table : pandas.DataFrame
        From `forecast.risk` of several pairs; the longest horizon in it is shown, the likeliest
        pair first. An asterisk marks a conflict that is under way: the risk is of a further one.
    top : int
        How many pairs at most; where there are more, the title says of how many.
    ax : matplotlib.axes.Axes, optional
        Where to draw.
    """
    if not isinstance(table, pd.DataFrame) or "horizon" not in table:
        raise wrong_type("plot.risks(table)", table, "the table of forecast.risk of several pairs.")
    check_whole("top", top, 1, 1_000)
    every = table[table["horizon"] == table["horizon"].max()]
    last = every.sort_values("probability", ascending=False).head(top)
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
    ax = axes_for(bars) if ax is None else ax
    if len(last) < len(every):
        ax.set_title(f"The likeliest {len(last)} of {len(every):,} pairs", loc="left", pad=28)
    return intervals(bars, ax=ax, axis=axis, reference=None)


def rivals(
    result: xr.Dataset,
    pairs: Collection[tuple[str | int, str | int]] | None = None,
    *,
    top: int = 4,
    ax: Axes | None = None,
) -> Axes:
    """What a scenario does to some pairs under each theory, by whether the record refutes it.

    Parameters
    ----------
    result : xarray.Dataset
        From `forecast.simulate` with theories; the end of its horizon is shown.
    pairs : collection of (str or int, str or int), optional
        Pairs of states; by default those that change most under a theory that stands.
    top : int
        How many, if none are given.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Raises
    ------
    ArgumentError, UnknownNameError
        A result without theories or a scenario; a state that was not simulated.
    """
    require_simulation(result, "plot.rivals(result)")
    table = rival_table(result, None if pairs is None else list(pairs), top=top)
    bars = (100 * table[["lower", "upper"]]).assign(
        value=100 * table["difference"],
        heading=table["state_a"] + " – " + table["state_b"],
        label=table["theory"],
        series=table["standing"],
    )
    ax = axes_for(bars) if ax is None else ax
    ax.set_title(str(result.attrs["scenario"]), loc="left", pad=28)
    return intervals(bars, ax=ax, axis=_difference_words(result, int(table["last_year"].iloc[0])))
