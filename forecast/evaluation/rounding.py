"""How many digits of a probability its uncertainty supports."""

from __future__ import annotations

import math
from collections.abc import Iterable

from forecast.errors import ArgumentError

__all__ = ["percentage", "percentage_interval", "rounded", "rounding_step"]

_SHARE = 0.25
_MOST = 2


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
    return f"{_number(probability, step)}%"


def percentage_interval(lower: float, upper: float, step: float) -> str:
    """Two probabilities as percentages in multiples of `step`: ``1.7–5.2%``."""
    return f"{_number(lower, step)}–{_number(upper, step)}%"


def _number(probability: float, step: float) -> str:
    if not 0.0 < step <= 1.0:
        raise ArgumentError(f"`step` must lie in (0, 1], found {step}.")
    places = max(0, -round(math.log10(step)) - 2)
    times = round(probability / step)
    if times == 0 and probability > 0.0:
        return f"<{100.0 * step:.{places}f}"
    if times * step >= 1.0 - 1e-12 and probability < 1.0:
        return f">{100.0 * (1.0 - step):.{places}f}" if step < 0.5 else ">50"
    return f"{100.0 * step * times:.{places}f}"
