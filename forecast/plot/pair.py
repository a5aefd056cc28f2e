"""The history of a pair: what happened between the two, and what was forecast."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from forecast.draws import check_level, equal_tailed
from forecast.errors import ArgumentError
from forecast.inference.fit import Fit, as_fit
from forecast.inference.predict import predict
from forecast.modeling.encoding import complete
from forecast.panel.columns import row_names
from forecast.panel.types import Panel
from forecast.plot.intervals import BLUE, MUTED, ORANGE, new_axes
from forecast.simulation.severity import levels_reached
from forecast.sources.codes import resolve_states

if TYPE_CHECKING:
    from forecast.evaluation.backtest_result import Backtest

__all__ = ["history"]

#: What a dispute came to, and how it is drawn; where deaths are not known, as without any.
_LEVELS = (
    ("no deaths known", 22, "white"), ("deaths", 40, "#f4b183"),
    ("more than 25 deaths", 62, ORANGE), ("1,000 deaths or more", 90, "#7f1d1d"),
)  # fmt: skip


def history(
    fit: Fit,
    a: str | int,
    b: str | int,
    *,
    backtest: Backtest | None = None,
    level: float = 0.9,
    ax: Axes | None = None,
) -> Axes:
    """Probability of an onset between two states year by year, and the onsets that came.

    Parameters
    ----------
    fit : Fit
        Of pairs and years: its probabilities are those of rows that it has seen, and say so.
    a, b : str or int
        The two states, by name or code; of directed rows challenger and target.
    backtest : Backtest, optional
        Of the same rows: what was forecast for each year from the years before it.
    level : float
        Probability of the intervals, which are of the probability, not of what happens.
    ax : matplotlib.axes.Axes, optional
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        Dots along the upper edge: disputes by the year in which they began, larger and darker the
        more lives they cost.

    Raises
    ------
    ArgumentError, UnknownNameError
        Rows that are not of pairs; a state that is not known; a pair that is in no row.
    """
    fit = as_fit(fit, "plot.history(fit, a, b)")
    check_level(level)
    panel, title = _rows_of_pair(fit.panel, a, b)
    ax = new_axes(1, 1, (8.2, 3.4))[0] if ax is None else ax
    panel = complete(panel, fit.encoding.terms)
    chance = predict(fit, panel)
    year = panel.data["year"].to_numpy()[chance.attrs["kept"]]
    _line(ax, year, chance.mean("draw").to_numpy(), equal_tailed(chance.to_numpy().T, level),
          MUTED, f"the fit, {year.min()}–{year.max()}, which has seen what came")  # fmt: skip
    if backtest is not None:
        own = _forecasts(backtest, panel)
        ends = np.stack([own["lower"].to_numpy(float), own["upper"].to_numpy(float)])
        _line(ax, own["year"].to_numpy(), own["probability"].to_numpy(float), ends, BLUE,
              f"forecast from the years before ({backtest.level:.0%} interval)")  # fmt: skip
    top = ax.get_ylim()[1] * 1.12
    ax.set_ylim(0.0, top)
    ticks = [t for t in ax.get_yticks() if 0 <= t <= top]
    ax.set_yticks(ticks, [f"{100 * t:g}%" for t in ticks])
    _onsets(ax, panel)
    if (goes_on := panel.data.get("under_way")) is not None and (goes_on == 1).any():
        every = panel.data["year"].to_numpy()
        held = every[goes_on.to_numpy() == 1]
        ax.hlines(np.full(held.size, 0.985), held - 0.5, held + 0.5, lw=3, color=ORANGE, alpha=0.5,
                  transform=ax.get_xaxis_transform(), label="under way on 1 January")  # fmt: skip
    ax.set_ylabel(f"probability of {fit.spec.outcome} in the year")
    ax.set_title(f"{title} (bands: {level:.0%} equal-tailed)", loc="left", pad=16)
    ax.legend(loc="upper left", bbox_to_anchor=(0.0, -0.08), ncols=2, frameon=False, fontsize=8)
    return ax


def _rows_of_pair(panel: Panel, a: str | int, b: str | int) -> tuple[Panel, str]:
    """Rows of a pair, and the names of the two in the last of them."""
    if not {"ccode_a", "ccode_b"} <= set(map(str, panel.data.coords)):
        raise ArgumentError(f"history: rows of unit {panel.unit!r} are not of pairs of states.")
    if panel.tables is None:
        raise ArgumentError("history: the panel of the fit was read without the names of states.")
    last = int(panel.data["year"].max())
    one, other = resolve_states(panel.tables, [a, b], year=last)
    first, second = (panel.data[name].to_numpy() for name in ("ccode_a", "ccode_b"))
    mine = (first == one) & (second == other)
    if panel.unit != "directed-dyad-year":
        mine |= (first == other) & (second == one)
    if not mine.any():
        raise ArgumentError(
            f"history: {a} and {b} are in no row of the fit, which is of population "
            f"{panel.population!r}."
        )
    rows = panel.with_data(panel.data.isel(row=np.flatnonzero(mine)))
    names = row_names(rows, rows.data.isel(row=[-1]))
    sides = (str(names[key][0]) for key in ("state_a", "state_b"))
    return rows, " – ".join(sides)


def _line(
    ax: Axes, year: np.ndarray, mean: np.ndarray, ends: np.ndarray, colour: str, label: str
) -> None:
    """A line and its band, broken where a year has no row."""
    every = np.arange(year.min(), year.max() + 1)
    at = np.searchsorted(every, year)
    values = np.full((3, every.size), np.nan)
    values[:, at] = mean, *ends
    ax.fill_between(every, values[1], values[2], color=colour, alpha=0.3, lw=0)
    ax.plot(every, values[0], color=colour, lw=1.7, label=label, marker=".", ms=3)


def _forecasts(backtest: Backtest, panel: Panel) -> pd.DataFrame:
    """One year ahead, of the model under test and one pair, by year."""
    table = backtest.forecasts
    keys = {name: int(panel.data[name].to_numpy()[0]) for name in ("ccode_a", "ccode_b")}
    mine = (table["horizon"] == 1) & (table["model"] == backtest.model)
    for name, code in keys.items():
        mine &= table[name] == code
    if not mine.any():
        raise ArgumentError(f"backtest: it has no forecast one year ahead of the pair {keys}.")
    return table[mine].sort_values("year")


def _onsets(ax: Axes, panel: Panel) -> None:
    """Disputes along the upper edge, by what they came to."""
    assert panel.tables is not None
    data = panel.data
    came = data["outcome"].to_numpy() == 1
    year = data["year"].to_numpy()[came]
    reached = levels_reached(panel.tables, last=int(data["year"].max()))
    sides = np.sort([[int(data[n].to_numpy()[0]) for n in ("ccode_a", "ccode_b")]])[0]
    level = [int(np.nansum(reached.loc[key].to_numpy())) if (key := (y, *sides)) in reached.index
             else 0 for y in year.tolist()]  # fmt: skip
    for step, (words, size, colour) in enumerate(_LEVELS):
        if (own := year[np.array(level, dtype=int) == step]).size:
            ax.scatter(own, np.full(own.size, 1.03), s=size, color=colour, edgecolor=ORANGE,
                       lw=0.9, zorder=4, clip_on=False, label=f"a dispute began: {words}",
                       transform=ax.get_xaxis_transform())  # fmt: skip
