"""Charts of a calibration record: reliability, Murphy diagram, PIT of yearly counts."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from markupsafe import Markup, escape
from scipy.stats import beta

from forecast.evaluation.record_text import FEW
from forecast.report.charts import Scale

__all__ = ["murphy_chart", "pit_chart", "reliability_chart"]

_LEFT, _RIGHT, _TOP = 62.0, 500.0, 12.0


def _frame(title: str, height: float, body: str, x_axis: str, y_axis: str, bottom: float) -> Markup:
    """The chart around its marks, with the names of both axes."""
    middle = (_LEFT + _RIGHT) / 2
    return Markup(
        f'<svg class="chart square" viewBox="0 0 520 {height:.0f}" role="img"'
        f' aria-label="{escape(title)}">{body}'
        f'<text x="{middle:.0f}" y="{bottom + 38:.0f}" class="axis">{escape(x_axis)}</text>'
        f'<text transform="translate(13 {(_TOP + bottom) / 2:.0f}) rotate(-90)" class="axis">'
        f"{escape(y_axis)}</text></svg>"
    )


def _percent(value: float) -> str:
    return f"{100 * value:g}%"


def reliability_chart(
    curve: pd.DataFrame, bands: pd.DataFrame, *, title: str, level: float
) -> Markup:
    """Observed frequency against forecast on logarithmic axes, with the consistency band.

    Frequencies below the smallest tick, zero among them, are drawn on the lower edge. Bars
    along the axis are the shares of rows by forecast.

    Parameters
    ----------
    curve : pandas.DataFrame
        Columns ``forecast``, ``observed``, ``lower``, ``upper``, ``rows``.
    bands : pandas.DataFrame
        Bands of probability with ``rows``, ``expected``, ``rate``, ``lower``, ``upper``: dots
        with intervals at the mean forecast of each band, but for those with next to no rows.
    title : str
        What the chart shows, for people who cannot see it.
    level : float
        Probability of band and intervals.
    """
    table = curve.sort_values("forecast")
    shown = bands[bands["rows"] >= FEW]
    least = max(float(table["forecast"].min()), 1e-4)
    first = 10.0 ** math.floor(math.log10(least))
    highest = [*table[["forecast", "observed", "upper"]].to_numpy().ravel(), *shown["rate"]]
    last = min(1.0, float(max(highest)) * 1.2)
    scale = Scale(first, last, log=True)
    bottom = 400.0

    def x(value: float) -> float:
        return scale.at(value, _LEFT, _RIGHT)

    def y(value: float) -> float:
        return scale.at(value, bottom, _TOP)

    def points(column: str, *, backwards: bool = False) -> list[str]:
        pairs = list(zip(table["forecast"], table[column], strict=True))
        return [f"{x(f):.1f},{y(v):.1f}" for f, v in (pairs[::-1] if backwards else pairs)]

    ticks = "".join(
        f'<line x1="{x(t):.1f}" x2="{x(t):.1f}" y1="{_TOP}" y2="{bottom}" class="grid"/>'
        f'<line x1="{_LEFT}" x2="{_RIGHT}" y1="{y(t):.1f}" y2="{y(t):.1f}" class="grid"/>'
        f'<text x="{x(t):.1f}" y="{bottom + 18:.0f}" class="tick">{_percent(t)}</text>'
        f'<text x="{_LEFT - 8:.0f}" y="{y(t) + 4:.1f}" class="label">{_percent(t)}</text>'
        for t in scale.ticks()
    )
    bins = 30
    shares = [0.0] * bins
    for forecast, rows in zip(table["forecast"], table["rows"], strict=True):
        shares[int(scale.at(float(forecast), 0.0, bins - 1e-9))] += float(rows)
    most = max(shares) or 1.0
    wide = (_RIGHT - _LEFT) / bins
    counts = "".join(
        f'<rect x="{_LEFT + i * wide + 0.5:.1f}" width="{wide - 1:.1f}"'
        f' y="{bottom - 46 * share / most:.1f}" height="{46 * share / most:.1f}" class="count"/>'
        for i, share in enumerate(shares)
        if share
    )
    dots = "".join(
        f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{y(r["lower"]):.1f}" y2="{y(r["upper"]):.1f}"'
        f' class="ci s1"/><circle cx="{at:.1f}" cy="{y(r["rate"]):.1f}" r="3.6" class="dot s1"/>'
        for r in shown.to_dict("records")
        for at in (x(r["expected"] / r["rows"]),)
    )
    band = " ".join(points("lower") + points("upper", backwards=True))
    body = (
        f'{ticks}{counts}<polygon points="{band}" class="band"/>'
        f'<line x1="{_LEFT}" y1="{bottom}" x2="{_RIGHT}" y2="{_TOP}" class="ref"/>'
        f'<polyline points="{" ".join(points("observed"))}" class="curve"/>{dots}'
        f'<text x="{_RIGHT - 6:.0f}" y="{bottom - 54:.0f}" class="note">shaded: {level:.0%}'
        f" consistency band</text>"
    )
    return _frame(
        title, 446, body, "forecast probability (log)", "observed frequency (log)", bottom
    )


def murphy_chart(table: pd.DataFrame, *, title: str) -> Markup:
    """Mean elementary score of the model, and of climatology, against the cost-loss ratio.

    Parameters
    ----------
    table : pandas.DataFrame
        ``theta``, ``score`` and, where there is one, ``reference``.
    title : str
        What the chart shows, for people who cannot see it.
    """
    bottom = 300.0
    names = [n for n in ("reference", "score") if n in table]
    scale = Scale(float(table["theta"].min()), float(table["theta"].max()), log=True)
    top = 1e4 * float(table[names].to_numpy().max()) * 1.25  # with room for the key
    up = Scale(0.0, top)

    def x(value: float) -> float:
        return scale.at(value, _LEFT, _RIGHT)

    def y(value: float) -> float:
        return up.at(value, bottom, _TOP)

    def line(column: str) -> str:
        pairs = zip(table["theta"], 1e4 * table[column], strict=True)
        return " ".join(f"{x(t):.1f},{y(s):.1f}" for t, s in pairs)

    grid = "".join(
        f'<line x1="{x(t):.1f}" x2="{x(t):.1f}" y1="{_TOP}" y2="{bottom}" class="grid"/>'
        f'<text x="{x(t):.1f}" y="{bottom + 18:.0f}" class="tick">{_percent(t)}</text>'
        for t in scale.ticks()
    ) + "".join(
        f'<line x1="{_LEFT}" x2="{_RIGHT}" y1="{y(t):.1f}" y2="{y(t):.1f}" class="grid"/>'
        f'<text x="{_LEFT - 8:.0f}" y="{y(t) + 4:.1f}" class="label">{t:g}</text>'
        for t in up.ticks()
    )
    words = {"score": "this model", "reference": "climatology"}
    style = {"score": "curve", "reference": "curve other"}
    lines = "".join(f'<polyline points="{line(n)}" class="{style[n]}"/>' for n in names)
    labels = "".join(
        f'<line x1="{_LEFT + 12}" x2="{_LEFT + 40}" y1="{_TOP + 12 + 18 * i}"'
        f' y2="{_TOP + 12 + 18 * i}" class="{style[name]}"/>'
        f'<text x="{_LEFT + 48}" y="{_TOP + 16 + 18 * i}" class="key">{words[name]}</text>'
        for i, name in enumerate(reversed(names))
    )
    return _frame(
        title, bottom + 46, grid + lines + labels,
        "cost-loss ratio θ: who acts above this probability (log)",
        "mean loss × 10⁴ per row", bottom,
    )  # fmt: skip


def pit_chart(counts: pd.DataFrame, *, title: str, level: float) -> Markup:
    """Sorted PIT of the yearly counts against what a uniform sample would give.

    Parameters
    ----------
    counts : pandas.DataFrame
        ``pit`` and ``year`` of every year.
    title : str
        What the chart shows, for people who cannot see it.
    level : float
        Pointwise probability of the band: order statistics of uniform values are beta.
    """
    bottom = 300.0
    table = counts.sort_values("pit", ignore_index=True)
    n = len(table)
    rank = np.arange(1, n + 1)
    tail = (1.0 - level) / 2.0
    low, high = (np.asarray(beta.ppf(q, rank, n + 1 - rank)) for q in (tail, 1.0 - tail))
    expected = np.asarray(rank / (n + 1))
    scale = Scale(0.0, 1.0)

    def x(value: float) -> float:
        return scale.at(value, _LEFT, _RIGHT)

    def y(value: float) -> float:
        return scale.at(value, bottom, _TOP)

    grid = "".join(
        f'<line x1="{x(t):.1f}" x2="{x(t):.1f}" y1="{_TOP}" y2="{bottom}" class="grid"/>'
        f'<line x1="{_LEFT}" x2="{_RIGHT}" y1="{y(t):.1f}" y2="{y(t):.1f}" class="grid"/>'
        f'<text x="{x(t):.1f}" y="{bottom + 18:.0f}" class="tick">{t:g}</text>'
        f'<text x="{_LEFT - 8:.0f}" y="{y(t) + 4:.1f}" class="label">{t:g}</text>'
        for t in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
    )
    ends = [f"{x(e):.1f},{y(v):.1f}" for e, v in zip(expected, low, strict=True)]
    ends += [f"{x(e):.1f},{y(v):.1f}" for e, v in zip(expected[::-1], high[::-1], strict=True)]
    dots = "".join(
        f'<circle cx="{x(e):.1f}" cy="{y(v):.1f}" r="3.6" class="dot s0">'
        f"<title>{year}: {v:.2f}</title></circle>"
        for e, v, year in zip(expected, table["pit"], table["year"], strict=True)
    )
    body = (
        f'{grid}<polygon points="{" ".join(ends)}" class="band"/>'
        f'<line x1="{_LEFT}" y1="{bottom}" x2="{_RIGHT}" y2="{_TOP}" class="ref"/>{dots}'
        f'<text x="{_RIGHT - 6:.0f}" y="{bottom - 8:.0f}" class="note">shaded: {level:.0%} of'
        f" uniform samples, year by year</text>"
    )
    return _frame(title, bottom + 46, body, "uniform quantile", "PIT of the yearly count", bottom)
