"""Draws: their intervals, a selection of them, and the streams of random numbers they come from.

What is asked of them is checked here, and before the work: seeds, numbers, levels.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from forecast.errors import ArgumentError, shown

__all__ = [
    "SEEDS",
    "Stream",
    "check_draws",
    "check_level",
    "check_seed",
    "check_whole",
    "check_years",
    "equal_tailed",
    "estimates",
    "generator",
    "is_whole",
    "named_estimates",
    "thinned",
]

#: The largest seed: what a file keeps as a whole number.
SEEDS = 2**63 - 1


class Stream(IntEnum):
    """What random numbers are drawn for; each purpose has a stream of its own."""

    CAPABILITIES = 1
    ONSETS = 2
    ENDINGS = 4
    RECORDING = 5
    JOINT_ONSETS = 6
    SHARED_NUMBERS = 7
    OUTSIDE_PAIRS = 8
    SEVERITY = 9
    OBSERVED_RATES = 10
    LEVELS_REACHED = 11
    REPLICATES = 12
    PRIOR = 13
    SUPPORT = 6  # chooses rows, where the other draws shares: the two never meet


def equal_tailed(draws: npt.NDArray[Any], level: float) -> npt.NDArray[Any]:
    """Lower and upper end of the equal-tailed interval over the last axis.

    Parameters
    ----------
    draws : numpy.ndarray, shape (…, D)
        Draws of each quantity.
    level : float
        Probability content.

    Returns
    -------
    numpy.ndarray, shape (2, …)
        The quantiles (1 ± level) / 2 of `numpy.quantile`, between draws linear. Single-precision
        numbers are sorted in vector registers, several times faster than they are partitioned.
    """
    ordered = np.sort(draws, axis=-1)
    tail = (1.0 - level) / 2.0
    place = np.array([tail, 1.0 - tail]) * (draws.shape[-1] - 1)
    low, high = np.floor(place).astype(int), np.ceil(place).astype(int)
    share = (place - low).astype(ordered.dtype)
    below, above = (np.moveaxis(ordered[..., at], -1, 0) for at in (low, high))
    share = share.reshape(2, *(1,) * (draws.ndim - 1))
    return np.asarray(below + (above - below) * share)


def estimates(draws: npt.NDArray[Any], level: float) -> npt.NDArray[np.float64]:
    """Mean, and lower and upper end of the equal-tailed interval, over the last axis; (3, …)."""
    return np.stack([draws.mean(axis=-1, dtype=np.float64), *equal_tailed(draws, level)])


def named_estimates(
    draws: npt.NDArray[Any], level: float, names: tuple[str, str, str]
) -> dict[str, float]:
    """`estimates` of one quantity under the names of mean, lower and upper end."""
    return dict(zip(names, estimates(draws, level).tolist(), strict=True))


def check_level(level: float) -> float:
    """Refuse what is no probability of an interval."""
    number = isinstance(level, float | int | np.floating) and not isinstance(level, bool)
    if not number or not 0.0 < level < 1.0:
        raise ArgumentError(
            f"level={shown(level)}: expected a probability between 0 and 1, such as 0.9."
        )
    return float(level)


def check_whole(name: str, value: object, least: int, most: int) -> None:
    """Refuse what is no whole number of this range."""
    if not is_whole(value) or not least <= value <= most:  # type: ignore[operator]
        raise ArgumentError(
            f"{name}={shown(value)}: expected a whole number, {least:,} to {most:,}."
        )


def check_draws(draws: object) -> None:
    """Refuse what is no number of draws; None is all of them."""
    if draws is not None:
        check_whole("draws", draws, 1, 10_000_000)


def check_years(name: str, years: object) -> tuple[int, int]:
    """First and last calendar year of a span, as they were given; an error if they are none."""
    pair = tuple(years) if isinstance(years, tuple | list | np.ndarray) else ()
    if len(pair) != 2 or not all(map(is_whole, pair)):
        raise ArgumentError(
            f"{name}={shown(years)}: expected the first and the last year, whole numbers such as "
            "(1990, 2020)."
        )
    first, last = int(pair[0]), int(pair[1])
    if first > last:
        raise ArgumentError(
            f"{name}=({first}, {last}): expected the first and the last year; {first} is after "
            f"{last}."
        )
    return first, last


def is_whole(value: object) -> bool:
    """Whether it is a whole number, of Python or numpy; truths are none."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def check_seed(seed: object) -> None:
    """Refuse what no random numbers can descend from."""
    check_whole("seed", seed, 0, SEEDS)


def thinned(available: int, wanted: int | None) -> npt.NDArray[np.int64]:
    """Places of at most `wanted` of so many draws, evenly spaced from the first to the last."""
    number = available if wanted is None else min(wanted, available)
    return np.linspace(0, available - 1, number).round().astype(np.int64)


def generator(seed: int, *key: int) -> np.random.Generator:
    """Random numbers of one purpose, of `Stream`, and of what else tells a stream from others.

    They depend on nothing but the seed and the key: neither on the order of calls nor on workers.
    """
    return np.random.default_rng(np.random.SeedSequence([seed, *key]))
