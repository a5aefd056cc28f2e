"""Matplotlib figures as inline SVG that follows the colours of the page."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from markupsafe import Markup

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["inline_svg"]

#: Colours of the checks' figures, and what the page calls them.
_COLOURS = {
    "#000000": "var(--ink)",
    "#ffffff": "none",
    "#2166ac": "var(--s0)",
    "#d6604d": "var(--s1)",
    "#b0b0b0": "var(--soft)",
    "#808080": "var(--muted)",
    "#cccccc": "var(--line)",
}


def inline_svg(make: Callable[[], Figure], *, name: str, label: str) -> Markup:
    """Figure as an SVG element: text as text, no width of its own, ids that clash with no other.

    Parameters
    ----------
    make : callable
        Makes the figure.
    name : str
        Unique on the page; prefix of all ids.
    label : str
        What the figure shows, for people who cannot see it.
    """
    import matplotlib as mpl

    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": name, "font.size": 9}):
        figure = make()
        figure.patch.set_alpha(0.0)
        out = io.StringIO()
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
    svg = re.sub(r"font: ([\d.]+px) [^\"';]*(?:'[^']*'[^\"';]*)*", r"font: \1 var(--sans)", svg)
    view = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)
    size = f"max-width:{float(view[1]) * 1.25:.0f}px" if view else ""
    head = f'<svg class="mpl" role="img" aria-label="{Markup.escape(label)}" style="{size}" '
    svg = re.sub(r'<svg ([^>]*?)width="[^"]*"', r"<svg \1", svg, count=1)
    svg = re.sub(r'<svg ([^>]*?)height="[^"]*"', r"<svg \1", svg, count=1)
    return Markup(svg.replace("<svg ", head, 1))
