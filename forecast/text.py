"""Numbers and names as text: two significant digits or as many as are known, sign and unit."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

from forecast.errors import ArgumentError

__all__ = [
    "count", "group_words", "interval", "listed", "number", "number_interval", "percent",
    "percentage", "percentage_interval", "points", "points_interval", "ratio", "rounded",
    "rounding_step", "significant", "slug", "term_words",
]  # fmt: skip

_MISSING = "–"
_SHARE = 0.25  # of the widest uncertainty, which a step of rounding is at most
_MOST = 2  # significant digits of a value with a known uncertainty
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
    knot, _, first = knot.partition("/")
    return f"{words}: {knot} against {first or 0}" if knot else words


def rounding_step(value: float, widths: Iterable[float] = ()) -> float:
    """Largest power of ten that loses nothing that is known.

    The step is at most a quarter of the widest uncertainty, so that rounding moves a number by
    at most an eighth of it; and it leaves `value` one or two significant digits, however wide or
    narrow that is. (The rule of reports of measurements, for intervals instead of s.d.: Particle
    Data Group, *Review of Particle Physics*, introduction, section 5.3.)

    `widths` are those of whatever makes it uncertain: its interval, the interval of the record of
    such forecasts, the bin over which that record is an average. Widths that are not finite are not
    known; with none known one significant digit is left. A `value` of 0 has no digits: the widths
    alone decide.
    """
    if not math.isfinite(value):
        raise ArgumentError(f"A value that is not finite has no digits: {value}.")
    known = [w for w in widths if math.isfinite(w) and w > 0.0]
    size = None if value == 0.0 else math.floor(math.log10(abs(value)) + 1e-12)
    if not known:
        return 10.0 ** (size if size is not None else 0)
    power = math.floor(math.log10(_SHARE * max(known)) + 1e-12)
    if size is not None:
        power = min(max(power, size - _MOST + 1), size)
    return float(10.0**power)


def rounded(value: float, step: float) -> float:
    """Nearest multiple of a power of ten, as the float nearest to that decimal number."""
    return round(value, -round(math.log10(step)))


def percentage(probability: float, step: float) -> str:
    """Probability as a percentage in multiples of `step` (a probability too): ``3.1%``.

    What would round to 0 without being 0 is written as below the step, and likewise at 1.
    """
    return f"{_in_steps(probability, step)}%"


def percentage_interval(lower: float, upper: float, step: float) -> str:
    """Two probabilities as percentages in multiples of `step`: ``1.7–5.2%``."""
    return f"{_in_steps(lower, step)}–{_in_steps(upper, step)}%"


def _in_steps(probability: float, step: float) -> str:
    if not 0.0 < step <= 1.0:
        raise ArgumentError(f"`step` must lie in (0, 1], found {step}.")
    places = max(0, -round(math.log10(step)) - 2)
    times = round(probability / step)
    if times == 0 and probability > 0.0:
        return f"<{100.0 * step:.{places}f}"
    if times * step >= 1.0 - 1e-12 and probability < 1.0:
        return f">{100.0 * (1.0 - step):.{places}f}" if step < 0.5 else ">50"
    return f"{100.0 * step * times:.{places}f}"
