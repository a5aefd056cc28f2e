"""The map: geometry of the states of today, and what a simulation says of each."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import PolyCollection
from matplotlib.colors import BoundaryNorm
from matplotlib.figure import Figure

from forecast.errors import UnknownNameError
from forecast.plot.intervals import LINE, MUTED, figure_of, new_axes
from forecast.risk.explain import simulated_state
from forecast.simulation.levels import as_severity, of_level

__all__ = ["BINS", "geometry", "state_map"]

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
) -> Figure:
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
    matplotlib.figure.Figure
        Natural Earth geometry, Equal Earth projection; no statement on any claim. Posterior means:
        a map carries no uncertainty.
    """
    if world is None:
        world = "difference" if "difference" in result["world"] else "status_quo"
    if extent not in EXTENTS:
        raise UnknownNameError("extent", extent, list(EXTENTS))
    outlined = {simulated_state(result, state) for state in named}
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
    figure = figure_of(ax)
    figure.colorbar(
        ScalarMappable(norm, colours), ax=ax, orientation="horizontal", shrink=0.7, aspect=40,
        pad=0.02, ticks=edges,
        label=f"{what} of at least one {event}, {years} ({'percentage points' if change else '%'})",
    )  # fmt: skip
    return figure
