"""Figures as inline SVG that follows the colours of the page they stand in."""

from __future__ import annotations

import io
import re
from html import escape

from matplotlib import rc_context
from matplotlib.figure import Figure

from forecast.plot.intervals import BLUE, GREEN, GREY, LINE, MUTED, ORANGE

__all__ = ["themed_svg"]

#: Colours of the figures, and what the style sheet of the page calls them.
_COLOURS = {
    "#000000": "var(--ink)", "#ffffff": "var(--paper)", BLUE: "var(--s0)", ORANGE: "var(--s1)",
    GREEN: "var(--s2)", GREY: "var(--soft)", MUTED: "var(--muted)", LINE: "var(--line)",
}  # fmt: skip


def themed_svg(figure: Figure, *, name: str, label: str) -> str:
    """Figure as an SVG element: text as text, no width of its own, ids that clash with no other.

    `name` is unique on the page and begins all ids; `label` says what the figure shows to people
    who cannot see it.
    """
    figure.patch.set_alpha(0.0)
    out = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    svg = out.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.S)
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'(xlink:href|href)="#', rf'\1="#{name}-', svg)
    svg = svg.replace("url(#", f"url(#{name}-")
    for colour, variable in _COLOURS.items():
        svg = svg.replace(colour, variable)
    # Text has no fill of its own in matplotlib's output: it would stay black on a dark page.
    family = r"""(font: (?:\w+ )*[\d.]+px|font-family:) ['A-Za-z][^";]*"""
    svg = re.sub(family, r"\1 var(--sans)", svg)
    view = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)
    size = f"max-width:{float(view[1]) * 1.3:.0f}px" if view else ""
    for attribute in ("width", "height"):
        svg = re.sub(rf'<svg ([^>]*?){attribute}="[^"]*"', r"<svg \1", svg, count=1)
    head = f'<svg class="mpl" role="img" aria-label="{escape(label)}" style="{size}" '
    return svg.replace("<svg ", head, 1).strip()
