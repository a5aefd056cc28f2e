"""Charts written directly as SVG, so that they take the colours and the type of the page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

__all__ = ["Bar", "Scale", "interval_chart"]

_LABEL, _WIDTH, _ROW = 250.0, 760.0, 22.0
_LETTERS = 40  # of a label in _LABEL units


@dataclass(frozen=True)
class Scale:
    """Axis from data to a line on the page.

    Attributes
    ----------
    first, last : float
        Ends in units of the data.
    log : bool
        Logarithmic; both ends are then positive.
    """

    first: float
    last: float
    log: bool = False

    @classmethod
    def around(cls, values: Sequence[float], *, include: float, log: bool = False) -> Scale:
        """Axis that holds all finite values and `include`, with some room."""
        known = [v for v in values if math.isfinite(v) and (v > 0 or not log)] + [include]
        low, high = min(known), max(known)
        if log:
            return cls(min(low / 1.15, include / 1.5), max(high * 1.15, include * 1.5), log=True)
        room = 0.06 * (high - low) or 1.0
        return cls(low - room, high + room)

    def at(self, value: float, start: float, end: float) -> float:
        """Position of a value between two coordinates, kept on the axis."""
        f = math.log if self.log else float
        value = min(max(value, self.first), self.last)
        share = (f(value) - f(self.first)) / (f(self.last) - f(self.first))
        return start + share * (end - start)

    def ticks(self) -> list[float]:
        """Round values along the axis."""
        if self.log:
            powers = range(math.floor(math.log10(self.first)), math.ceil(math.log10(self.last)) + 1)
            wide = math.log10(self.last / self.first) > 2.5
            steps = (1.0,) if wide else (1.0, 2.0, 5.0)
            every = [s * 10.0**k for k in powers for s in steps]
            return [t for t in every if self.first <= t <= self.last]
        raw = (self.last - self.first) / 5
        size = 10.0 ** math.floor(math.log10(raw))
        step = next(m * size for m in (1, 2, 5, 10) if m * size >= raw)
        start = math.ceil(self.first / step)
        return [k * step for k in range(start, math.floor(self.last / step) + 1)]


@dataclass(frozen=True)
class Bar:
    """One estimate with its interval.

    Attributes
    ----------
    label : str
        Row label; rows that follow each other with an equal label share one line group.
    value, lower, upper : float
        Estimate and ends of the interval; not finite is not drawn.
    series : int
        Colour, 0 to 2.
    heading : str
        Heading above the row when it differs from the row before.
    """

    label: str
    value: float
    lower: float
    upper: float
    series: int = 0
    heading: str = ""


def _short(label: str) -> str:
    """Label that fits into its column."""
    return label if len(label) <= _LETTERS else label[: _LETTERS - 1].rstrip(" –") + "…"


def _tick_text(value: float) -> str:
    return f"{value:g}".replace("-", "−")


def interval_chart(
    bars: Sequence[Bar],
    *,
    title: str,
    axis: str,
    reference: float,
    log: bool = False,
    series: Sequence[str] = (),
) -> Markup:
    """Dots with intervals, one row per label, and a line at the reference.

    Parameters
    ----------
    bars : sequence of Bar
        Rows from the top down.
    title : str
        What the chart shows, for people who cannot see it.
    axis : str
        Label of the axis, with the unit.
    reference : float
        Value of 'no difference'.
    log : bool
        Logarithmic axis.
    series : sequence of str
        Names of the colours when there are several.
    """
    ends = [v for bar in bars for v in (bar.value, bar.lower, bar.upper)]
    scale = Scale.around(ends, include=reference, log=log)
    left, right = _LABEL + 10.0, _WIDTH - 16.0
    parts: list[str] = []
    top = y = 26.0 if series else 8.0
    height = _ROW + 6.0 if series else _ROW
    before: Bar | None = None
    for bar in bars:
        if before is not None and (bar.heading, bar.label) != (before.heading, before.label):
            y += height
        if bar.heading and (before is None or bar.heading != before.heading):
            parts.append(
                f'<text x="0" y="{y + 17:.0f}" class="heading">{escape(bar.heading)}</text>'
            )
            y += _ROW
        if before is None or (bar.heading, bar.label) != (before.heading, before.label):
            parts.append(
                f'<text x="{_LABEL:.0f}" y="{y + height / 2 + 4:.0f}" class="label">'
                f"{escape(_short(bar.label))}</text>"
            )
        before = bar
        at = y + height / 2 + (7.0 * (bar.series - (len(series) - 1) / 2) if series else 0.0)
        if math.isfinite(bar.lower) and math.isfinite(bar.upper):
            x0, x1 = (scale.at(v, left, right) for v in (bar.lower, bar.upper))
            parts.append(
                f'<line x1="{x0:.1f}" x2="{x1:.1f}" y1="{at:.1f}" y2="{at:.1f}"'
                f' class="ci s{bar.series}"/>'
            )
        if math.isfinite(bar.value):
            x = scale.at(bar.value, left, right)
            parts.append(f'<circle cx="{x:.1f}" cy="{at:.1f}" r="3.6" class="dot s{bar.series}"/>')
    bottom = y + height + 2.0
    grid = [
        f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top:.0f}" y2="{bottom:.0f}" class="grid"/>'
        f'<text x="{x:.1f}" y="{bottom + 16:.0f}" class="tick">{_tick_text(tick)}</text>'
        for tick in scale.ticks()
        for x in (scale.at(tick, left, right),)
    ]
    x = scale.at(reference, left, right)
    grid.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top:.0f}" y2="{bottom:.0f}" class="ref"/>')
    key = "".join(
        f'<circle cx="{left + 6 + 150 * i:.0f}" cy="10" r="3.6" class="dot s{i}"/>'
        f'<text x="{left + 15 + 150 * i:.0f}" y="14" class="key">{escape(name)}</text>'
        for i, name in enumerate(series)
    )
    centre = (left + right) / 2
    return Markup(
        f'<svg class="chart" viewBox="0 0 {_WIDTH:g} {bottom + 42:.0f}" role="img"'
        f' aria-label="{escape(title)}">{key}{"".join(grid)}{"".join(parts)}'
        f'<text x="{centre:.0f}" y="{bottom + 35:.0f}" class="axis">{escape(axis)}</text></svg>'
    )
