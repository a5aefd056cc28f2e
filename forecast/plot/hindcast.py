"""A named case from the years before it: with the change, without it, and what happened."""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING, Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from forecast.errors import ArgumentError
from forecast.plot.intervals import PALETTE, figure_of, intervals, lines_of, new_axes
from forecast.simulation.levels import LEVEL_WORDS, as_severity

if TYPE_CHECKING:
    from forecast.cases.hindcast_answer import Hindcast

__all__ = ["hindcast"]

_MOST = 6  # lines of a picture


def hindcast(result: Hindcast, *, severity: str = "onset", ax: Axes | None = None) -> Figure:
    """Probabilities with and without the change of a case, and on the right what happened.

    Parameters
    ----------
    result : Hindcast
        From `forecast.hindcast`.
    severity : {"onset", "fatal", "deaths_25", "deaths_1000"}
        Level of the disputes.
    ax : matplotlib.axes.Axes, optional
        Where to draw what comes first in the result; by default a figure with all of it: pairs and
        sets, what was forecast year by year, and hazards of settlement by month.

    Raises
    ------
    UnknownNameError, ArgumentError
        No such level; a result without anything to draw.
    """
    level = as_severity(severity)
    parts = []
    if len(result.forecasts):
        parts.append((_pairs, result.forecasts[result.forecasts["severity"] == level]))
    if len(result.yearly):
        parts += [(_years, part) for _, part in result.yearly.groupby("asks", sort=False)]
    if len(result.settlement):
        parts.append((_months, result.settlement))
    if not parts:
        raise ArgumentError(f"The hindcast of {result.case!r} has nothing to draw.")
    if ax is not None:
        axes = [ax]
    else:
        heights = [
            3.0 if draw is _years else 1.2 + 0.42 * len(table.groupby(["question", "who"]))
            for draw, table in parts
        ]
        axes = new_axes(
            len(parts), 1, (8.6, max(sum(heights), 2.6)), gridspec_kw={"height_ratios": heights}
        )
    for draw, (_, table), where in zip([p[0] for p in parts], parts, axes, strict=False):
        draw(result, table, where)
    axes[0].set_title(result.title, loc="left", pad=26 if parts[0][0] is not _years else 6)
    return figure_of(axes[0])


def _pairs(result: Hindcast, table: pd.DataFrame, ax: Axes) -> None:
    """Pairs and sets of each question: both worlds side by side."""
    spans = result.fits.set_index("question")
    headings = [
        f"{name}: fitted to {spans.loc[name, 'fitted_last']}, forecast {first}–{last}"
        for name, first, last in zip(
            table["question"], table["first_year"], table["last_year"], strict=True
        )
    ]
    bars = _worlds(table, heading=headings, label=table["who"])
    bars = bars.assign(mark=100 * bars["base_rate"])[bars["value"].notna()]
    if result.forecasts["without"].isna().all():
        bars = bars.assign(series="forecast")
    known = bool(bars["mark"].notna().any())
    event = LEVEL_WORDS[str(table["severity"].iloc[0])]
    axis = f"probability that {event}, in these years, % (log; {result.level:.0%} interval"
    intervals(bars, ax=ax, reference=None, log=True,
              axis=f"{axis}{'; tick: base rate' if known else ''})")  # fmt: skip
    place, _ = lines_of(bars)
    words = {True: "came", False: "did not come"}
    for (heading, label), y in place.items():
        here = bars[(bars["heading"] == heading) & (bars["label"] == label)]["happened"].iloc[0]
        ax.annotate("not known yet" if pd.isna(here) else words[bool(here)], (1.01, y),
                    xycoords=("axes fraction", "data"), va="center",
                    fontweight="bold" if pd.notna(here) and here else "normal")  # fmt: skip


def _worlds(table: pd.DataFrame, **about: Any) -> pd.DataFrame:
    """Bars of both worlds, those of the first above."""
    return pd.concat(
        [
            table.assign(
                **about, series=words, value=100 * table[world],
                lower=100 * table[f"{world}_lower"], upper=100 * table[f"{world}_upper"],
            )
            for world, words in (("with", "with the change"), ("without", "without it"))
        ]
    )  # fmt: skip


def _years(result: Hindcast, table: pd.DataFrame, ax: Axes) -> None:
    """Probability of each year by pair; a dot where a dispute began."""
    alone = table[table["probability"].notna()]
    grouped = alone.groupby("who", sort=False)
    means = grouped["probability"].mean()
    # Those first between whom one began, and then the likeliest.
    order = grouped["happened"].any().astype(float) * 2 + means
    chosen = list(order.sort_values(ascending=False, kind="stable").index[:_MOST])
    looks = zip(cycle(PALETTE), cycle(("-", "-", "-", "-", "-", "--", "--")), strict=False)
    for who, (colour, dash) in zip([w for w in means.index if w in chosen], looks, strict=False):
        own = alone[alone["who"] == who]
        ax.plot(own["year"], 100 * own["probability"], dash, color=colour, lw=1.6, label=who)
        came = own[own["happened"].astype(bool)]
        ax.plot(came["year"], 100 * came["probability"], "o", color=colour, ms=7)
    ax.set_yscale("log")
    low, high = ax.get_ylim()
    ticks = [t for t in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100) if low <= t <= high]
    ax.set_yticks(ticks, [f"{t:g}" for t in ticks])
    ax.minorticks_off()
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    begins = table["asks"].iloc[0] == "begins"
    fitted = result.fits.set_index("question").loc[table["question"].iloc[0], "fitted_last"]
    ax.set_ylabel("% a year")
    ax.set_xlabel(
        f"{'one state begins a dispute with the other' if begins else 'a dispute begins'}: forecast"
        f" from the year before, by a fit to {fitted} (log); dot: it did"
    )
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)


def _months(result: Hindcast, table: pd.DataFrame, ax: Axes) -> None:
    """Hazard of settlement in the first month of a dispute, both worlds side by side."""
    first = table[table["month"] == 1]
    heading = "Settled in the first month of a dispute"
    bars = _worlds(first, heading=heading, label=first["who"] + ", " + first["question"])
    intervals(bars, ax=ax, reference=None, axis=f"% ({result.level:.0%} interval)")
