"""Numbers and names as text: two significant digits, the sign and the unit always there."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

__all__ = [
    "count",
    "group_words",
    "interval",
    "listed",
    "number",
    "number_interval",
    "percent",
    "points",
    "points_interval",
    "ratio",
    "significant",
    "slug",
    "term_words",
]

_MISSING = "–"
#: Groups of pairs by what is on record between them, and by political relevance.
_GROUPS = {
    "first ever": "no conflict on record",
    "quiet": "an old conflict",
    "recurrent": "a recent conflict",
    "new dyad": "pairs new to the model",
    "relevant": "politically relevant",
}


def significant(value: float, digits: int = 2) -> str:
    """Plain decimal notation with so many significant digits."""
    if value == 0:
        return "0"
    whole = round(value, digits - 1 - math.floor(math.log10(abs(value))))
    places = max(0, digits - 1 - math.floor(math.log10(abs(whole))))
    return f"{whole:.{places}f}"


def percent(probability: float) -> str:
    """Probability as a percentage: ``34%``, ``3.4%``, ``0.34%``, ``<0.01%``."""
    if not math.isfinite(probability):
        return _MISSING
    if probability < 1e-4:
        return "0%" if probability == 0 else "<0.01%"
    if probability > 0.995:
        return f"{100 * probability:.1f}%"
    return f"{significant(100 * probability)}%"


def interval(lower: float, upper: float) -> str:
    """Ends of an interval of probabilities: ``2.1–5.4%``."""
    if not (math.isfinite(lower) and math.isfinite(upper)):
        return _MISSING
    low, high = percent(lower), percent(upper)
    return f"{low.removesuffix('%')}–{high}"


def points(difference: float, *, unit: bool = True) -> str:
    """Difference of two probabilities in percentage points, with its sign."""
    if not math.isfinite(difference):
        return _MISSING
    value = 100 * difference
    text = "0" if abs(value) < 0.005 else significant(abs(value), 1 if abs(value) < 0.1 else 2)
    sign = "" if text == "0" else "+" if value > 0 else "−"
    return f"{sign}{text}{' points' if unit else ''}"


def points_interval(lower: float, upper: float) -> str:
    """Ends of an interval of differences: ``+0.10 to +0.68``, in percentage points."""
    return f"{points(lower, unit=False)} to {points(upper, unit=False)}"


def ratio(value: float) -> str:
    """Ratio to the base rate: ``12×``."""
    if not math.isfinite(value):
        return _MISSING
    return f"{value:.0f}×" if value >= 100 else f"{significant(value)}×"


def number(value: float, places: int = 2, *, sign: bool = False) -> str:
    """Number with so many decimals and a real minus sign."""
    if not math.isfinite(value):
        return _MISSING
    text = f"{value:+.{places}f}" if sign else f"{value:.{places}f}"
    return text.replace("-", "−")


def number_interval(
    value: float, lower: float, upper: float, places: int = 2, *, sign: bool = False
) -> str:
    """Number with its interval: ``0.25 (0.10 to 0.41)``."""
    middle, low, high = (number(v, places, sign=sign) for v in (value, lower, upper))
    return f"{middle} ({low} to {high})"


def count(value: float) -> str:
    """Whole number with thin separators of thousands."""
    return f"{value:,.0f}".replace(",", "\u202f")


def listed(items: Iterable[str], *, limit: int = 8) -> str:
    """Items joined as in a sentence; beyond the limit they are counted."""
    every = list(items)
    shown = every[:limit]
    if len(every) > limit:
        shown.append(f"{len(every) - limit} more")
    return shown[0] if len(shown) == 1 else ", ".join(shown[:-1]) + f" and {shown[-1]}"


def slug(name: str) -> str:
    """Name as part of a file name: lower-case letters, digits and underscores."""
    kept = "".join(c if c.isascii() and c.isalnum() else " " for c in name.lower())
    return "_".join(kept.split()) or "scenario"


def group_words(kind: str, group: str) -> str:
    """Name of a group of rows in the tables of a backtest or record, in plain words."""
    if kind == "all":
        return "all pairs"
    if kind == "peace":
        return f"peace {group}"
    past, remote, _ = group.partition(", remote")
    return _GROUPS.get(past, past) + (", remote" if remote else "")


def term_words(name: str) -> str:
    """Name of a term or of a column of the design, in plain words."""
    name, _, knot = name.rstrip("]").partition("[")
    words = re.sub(r"(?<!politically)_(far|relevant)$", r" × \1", name).replace("_", " ")
    words = words.replace("defense", "defence")
    return f"{words}: {knot} against 0" if knot else words
