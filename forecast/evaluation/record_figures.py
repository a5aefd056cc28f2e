"""Figures of a calibration record. Made without pyplot, so that nothing is shown or kept open."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import beta

from forecast.evaluation.record_text import FEW

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from forecast.evaluation.calibration_record import CalibrationRecord

__all__ = ["murphy_axes", "pit_axes", "ratio_axes", "record_figure", "reliability_axes"]

_BLUE, _ORANGE, _GREY = "#2166ac", "#d6604d", "#b0b0b0"
_TICKS = (1e-4, 1e-3, 1e-2, 0.1, 1.0)


def record_figure(record: CalibrationRecord) -> Figure:
    """Reliability on log axes, expected over observed, Murphy diagram and PIT, on one sheet."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.0, 9.0), layout="constrained")
    first, second, third, fourth = figure.subplots(2, 2).ravel()
    reliability_axes(first, record)
    ratio_axes(second, record)
    murphy_axes(third, record)
    pit_axes(fourth, record)
    ahead = "one year" if record.horizon == 1 else f"{record.horizon} years"
    figure.suptitle(
        f"{record.model}: {record.rows:,} {record.unit} of {record.years}, {ahead} ahead,"
        f" {record.events:,} onsets",
        fontsize=11,
    )
    return figure


def reliability_axes(axes: Axes, record: CalibrationRecord) -> None:
    """CORP curve with its consistency band, and bands of probability with Jeffreys intervals.

    Both axes are logarithmic: most forecasts are below 1%. Zero lies on the lower edge.
    """
    table = record.reliability.curve
    low = 10.0 ** np.floor(np.log10(max(float(table["forecast"].min()), 1e-4)))
    edge = {name: np.maximum(table[name], low) for name in ("observed", "lower", "upper")}
    axes.fill_between(
        table["forecast"], edge["lower"], edge["upper"], color=_GREY, alpha=0.45, lw=0,
        label=f"{record.level:.0%} consistency band",
    )  # fmt: skip
    axes.plot([low, 1.0], [low, 1.0], color="0.5", lw=0.8, ls="--")
    axes.plot(table["forecast"], edge["observed"], color=_BLUE, lw=1.5, label="isotonic (CORP)")
    bands = record.bands[(record.bands["stratum"] == "all") & (record.bands["rows"] >= FEW)]
    mean = bands["expected"] / bands["rows"]
    rate, lower, upper = (np.maximum(bands[n], low) for n in ("rate", "lower", "upper"))
    axes.errorbar(
        mean, rate, yerr=[rate - lower, upper - rate], fmt="o", ms=4, lw=1.2, color=_ORANGE,
        label=f"bands, {record.level:.0%} Jeffreys",
    )  # fmt: skip
    top = float(min(1.0, 1.4 * max(table["forecast"].max(), upper.max() if len(upper) else 0.0)))
    ticks = [t for t in _TICKS if low <= t <= top]
    axes.set(xscale="log", yscale="log", xlim=(low, top), ylim=(low, top))
    axes.set_xticks(ticks, [f"{100 * t:g}%" for t in ticks])
    axes.set_yticks(ticks, [f"{100 * t:g}%" for t in ticks])
    axes.set(xlabel="forecast probability (log)", ylabel="observed frequency (log)")
    axes.legend(frameon=False, fontsize=8, loc="upper left")


def ratio_axes(axes: Axes, record: CalibrationRecord) -> None:
    """Expected over observed events, in total and by stratum, decade and region."""
    table = record.ratios[record.ratios["observed"] > 0].reset_index(drop=True)
    gaps = (table["kind"] != table["kind"].shift()).cumsum()
    place = np.arange(len(table)) + 0.6 * gaps.to_numpy()
    axes.axvline(1.0, color="0.5", lw=0.8, ls="--")
    axes.hlines(place, table["lower"], table["upper"], color=_BLUE, lw=1.6)
    axes.plot(table["ratio"], place, "o", ms=4.5, color=_BLUE)
    names = [f"{r['group']} ({r['observed']:.0f})" for r in table.to_dict("records")]
    axes.set_yticks(place, names, fontsize=8)
    axes.invert_yaxis()
    axes.set_xscale("log")
    ends = (float(table["lower"].min()), float(table["upper"].max()))
    wide = ends[1] > 4.0 * ends[0]
    candidates = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0) if wide else (0.5, 0.7, 1.0, 1.4, 2.0)
    ticks = [t for t in candidates if ends[0] <= t <= ends[1]]
    axes.set_xticks(ticks, [f"{t:g}" for t in ticks])
    axes.minorticks_off()
    axes.set_xlabel(f"expected / observed (log; {record.level:.0%} interval)")
    axes.set_title("onsets observed in brackets", fontsize=9)


def murphy_axes(axes: Axes, record: CalibrationRecord) -> None:
    """Mean elementary score by cost-loss ratio, of the model and of climatology."""
    table = record.murphy
    if "reference" in table:
        axes.plot(
            table["theta"], 1e4 * table["reference"], color=_GREY, lw=1.5, ls="--",
            label="climatology",
        )  # fmt: skip
    axes.plot(table["theta"], 1e4 * table["score"], color=_BLUE, lw=1.5, label="model")
    ticks = [t for t in (0.001, 0.01, 0.1, 0.5) if table["theta"].min() <= t]
    axes.set_xscale("log")
    axes.set_xticks(ticks, [f"{100 * t:g}%" for t in ticks])
    axes.set_ylim(0.0, None)
    axes.set(xlabel="cost-loss ratio θ (log)", ylabel="mean loss × 10⁴ per row (lower is better)")
    axes.legend(frameon=False, fontsize=8, loc="upper left")


def pit_axes(axes: Axes, record: CalibrationRecord) -> None:
    """Sorted PIT of the yearly counts against uniform quantiles, with a pointwise band."""
    pit = np.sort(record.counts["pit"].to_numpy())
    n = pit.size
    rank = np.arange(1, n + 1)
    tail = (1.0 - record.level) / 2.0
    low, high = (beta.ppf(q, rank, n + 1 - rank) for q in (tail, 1.0 - tail))
    place = rank / (n + 1)
    axes.fill_between(
        place, low, high, color=_GREY, alpha=0.45, lw=0,
        label=f"{record.level:.0%} of uniform samples (pointwise)",
    )  # fmt: skip
    axes.plot([0.0, 1.0], [0.0, 1.0], color="0.5", lw=0.8, ls="--")
    axes.plot(place, pit, "o", ms=4, color=_BLUE, label="years")
    axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    inside = int(record.counts["inside"].sum())
    level = float(record.counts["level"].iloc[0])
    axes.set_title(f"{inside} of {n} years inside their {level:.0%} interval", fontsize=9)
    axes.set(xlabel="uniform quantile", ylabel="PIT of the yearly number of onsets")
    axes.legend(frameon=False, fontsize=8, loc="upper left")
