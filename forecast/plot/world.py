"""The world: geometry of its states, a map of what a simulation says of each, and their history."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import PolyCollection
from matplotlib.colors import BoundaryNorm
from matplotlib.figure import Figure
from scipy.stats import beta

from forecast.errors import UnknownNameError
from forecast.plot.intervals import (
    LINE,
    MUTED,
    PALETTE,
    figure_of,
    new_axes,
    require_simulation,
)
from forecast.risk.explain import simulated_states
from forecast.simulation.levels import as_severity, of_level
from forecast.text import listed

if TYPE_CHECKING:
    import pandas as pd

    from forecast.panel.types import Panel

__all__ = ["BINS", "features", "geometry", "onsets", "state_map"]


#: Lower ends of the colour classes (probability); the first class begins at 0.
BINS: tuple[float, ...] = (0.02, 0.05, 0.1, 0.2, 0.4, 0.7, 0.9)
_CHANGES = (-8, -4, -2, -1, -0.2, 0.2, 1, 2, 4, 8)
#: What of the Equal Earth drawing `state_map` can cut out: left, right, bottom, top in its units.
EXTENTS = {
    "world": (0, 10_000, 4620, 0),
    "europe": (4350, 6600, 1700, 150),
    "europe and northern asia": (4350, 8500, 2000, 150),
}


@lru_cache(maxsize=1)
def geometry() -> dict[str, Any]:
    """Paths of states by ISO 3166 code, and places of those too small for one (world.json)."""
    path = Path(__file__).with_name("world.json")
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def rings(path: str) -> list[np.ndarray]:
    """Closed rings (n, 2) of an SVG path of one absolute start and relative steps each."""
    parts = (np.array(re.findall(r"-?\d+", part), float) for part in path.split("z") if part)
    return [numbers.reshape(-1, 2).cumsum(axis=0) for numbers in parts]


def state_map(
    result: xr.Dataset,
    *,
    world: str | None = None,
    named: Collection[str | int] = (),
    extent: str = "world",
    ax: Axes | None = None,
) -> Axes:
    """Probability that a state is a party to at least one onset, or its change, on a map.

    Parameters
    ----------
    result : xarray.Dataset
        From `forecast.simulate`; the end of its horizon is shown.
    world : {"status_quo", "scenario", "difference"}, optional
        Which; by default the difference where there is a scenario.
    named : collection of str or int
        States with a black outline.
    extent : {"world", "europe", "europe and northern asia"}
        What is shown.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        Natural Earth geometry, Equal Earth projection; no statement on any claim. Posterior means:
        a map carries no uncertainty.
    """
    require_simulation(result, "plot.state_map(result)")
    if world is None:
        world = "difference" if "difference" in result["world"] else "status_quo"
    if world not in (worlds := [str(one) for one in result["world"].to_numpy()]):
        raise UnknownNameError("world", world, worlds, f"It has {listed(worlds)}.")
    if extent not in EXTENTS:
        raise UnknownNameError("extent", extent, list(EXTENTS))
    outlined = set(simulated_states(result, list(named)))
    change = world == "difference"
    values = result["state_risk"].isel(year=-1).sel(world=world, estimate="mean").to_numpy()
    known = {
        str(iso3): (int(code), 100 * float(value))
        for iso3, code, value in zip(
            result["state_iso3"].to_numpy(), result["state"].to_numpy(), values, strict=True
        )
    }
    edges = list(_CHANGES) if change else [0.0, *(100 * b for b in BINS), 100.0]
    colours = colormaps["RdBu_r" if change else "YlOrBr"].resampled(len(edges) - 1)
    norm = BoundaryNorm(edges, colours.N)
    left, right, bottom, top = EXTENTS[extent]
    if ax is None:
        ax = new_axes(1, 1, (7.0, 0.9 + 7.0 * (bottom - top) / (right - left)))[0]
    for iso3, path in geometry()["paths"].items():
        code, value = known.get(iso3, (0, np.nan))
        ax.add_collection(
            PolyCollection(
                rings(path), facecolor=LINE if np.isnan(value) else colours(norm(value)),
                edgecolor="black" if code in outlined else MUTED,
                lw=1.0 if code in outlined else 0.3,
                zorder=3 if code in outlined else 2,
            )
        )  # fmt: skip
    dots = {i: p for i, p in geometry()["dots"].items() if i in known}
    if dots:
        x, y = 10 * np.array(list(dots.values())).T
        ax.scatter(x, y, s=6, c=[colours(norm(known[i][1])) for i in dots], edgecolor=MUTED, lw=0.3,
                   zorder=3)  # fmt: skip
    ax.set(xlim=(left, right), ylim=(bottom, top), aspect="equal", xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    what = "change in the probability" if change else "probability"
    event = of_level("onset", as_severity(result.attrs.get("severity", "onset")))
    years = f"{int(result['year'][0])}–{int(result['year'][-1])}"
    figure_of(ax).colorbar(
        ScalarMappable(norm, colours), ax=ax, orientation="horizontal", shrink=0.7, aspect=40,
        pad=0.02, ticks=edges,
        label=f"{what} of at least one {event}, {years} ({'percentage points' if change else '%'})",
    )  # fmt: skip
    return ax


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
