"""Plain arrays that features share: obligations, capabilities, treaty ties, windows over years.

Every function takes the dense world (`forecast.panel.world.build_world`) and returns numpy
arrays whose first axis is the year. Obligation strengths are in [0, 1]. Counts over windows of
covered years restart when a state enters the system anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import xarray as xr

from forecast.arrays import BoolArray, IntArray
from forecast.draws import is_whole
from forecast.errors import ArgumentError, UnknownNameError
from forecast.features.shared import shared
from forecast.features.successions import continued, count_once, past
from forecast.panel import history
from forecast.sources.tables import OBLIGATIONS

__all__ = [
    "CAPABILITY_FLOOR", "OBLIGATION_WEIGHTS", "Weights", "allied", "best_tie", "capability",
    "conflicts_of_states", "counted", "covered_events", "covered_years", "decayed_count",
    "defence_pacts", "defenders", "dispute_onsets", "either", "half", "half_life_years",
    "known_members", "known_past", "mean_over_defenders", "obligation_strength", "outside", "over",
    "positive", "recent_count", "sum_over", "ties_of_treaties", "treaty_ties", "where_known",
    "windowed_sum",
]  # fmt: skip

FloatArray = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]
Weights = str | Mapping[str, float]

#: A state with a zero or unknown-but-tiny share counts as this much, so that ratios exist.
CAPABILITY_FLOOR = 1e-6

#: Named weights of the obligation classes. A bare class name means that class alone.
OBLIGATION_WEIGHTS: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        **{name: {name: 1.0} for name in OBLIGATIONS},
        "ordinal": {
            "defense": 1.0,
            "offense": 1.0,
            "neutrality": 0.5,
            "nonaggression": 0.25,
            "consultation": 0.15,
        },
    }
)


def _weight_vector(weights: Weights) -> FloatArray:
    """Weights in the order of `OBLIGATIONS`."""
    if isinstance(weights, str):
        if weights not in OBLIGATION_WEIGHTS:
            raise UnknownNameError("obligation weights", weights, OBLIGATION_WEIGHTS)
        weights = OBLIGATION_WEIGHTS[weights]
    for name, value in weights.items():
        if name not in OBLIGATIONS:
            raise UnknownNameError("obligation class", name, OBLIGATIONS)
        if not 0.0 <= float(value) <= 1.0:
            raise ArgumentError(f"weight of obligation {name!r} must be in [0, 1]; found {value!r}")
    return np.array([weights.get(name, 0.0) for name in OBLIGATIONS], dtype=np.float32)


@shared
def obligation_strength(world: xr.Dataset, weights: Weights = "defense") -> FloatArray:
    """Strength o(i→k) of what `state` i owes `other` k, shape (year, state, other).

    A pair is bound as strongly as its strongest class: several classes, or several treaties,
    do not add up.
    """
    flags = world["obligations"].to_numpy()
    strength = np.zeros(flags.shape[:3], dtype=np.float32)
    for weight, index in sorted(zip(_weight_vector(weights), range(len(OBLIGATIONS)), strict=True)):
        if weight > 0:  # in rising order, so that the strongest class is written last
            strength[flags[..., index]] = weight
    itself = np.arange(strength.shape[-1])
    strength[:, itself, itself] = 0
    return strength


@shared
def defenders(world: xr.Dataset, weights: Weights = "defense") -> FloatArray:
    """Strength with which `other` k is bound to `state` i: D(i), shape (year, state, other).

    Relabelled allies are counted once (`count_once`).
    """
    return count_once(obligation_strength(world, weights).transpose(0, 2, 1), world)


def either(ties: BoolArray) -> BoolArray:
    """Whether either of the two is tied to the other; symmetric (year, state, other)."""
    return np.asarray(ties | ties.transpose(0, 2, 1))


def outside(ties: BoolArray) -> BoolArray:
    """Whether somebody other than `other` is tied to `state`."""
    return np.asarray(ties.sum(axis=2, keepdims=True) - ties.astype(np.int16) > 0)


def over(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """`part` / `whole`; NaN where the whole is zero or unknown."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(whole > 0, part / whole, np.nan)


@shared
def allied(world: xr.Dataset) -> BoolArray:
    """Whether either of the two owes the other defence; symmetric (year, state, other)."""
    return either(obligation_strength(world) > 0)


@shared
def capability(world: xr.Dataset) -> Float64Array:
    """Capability share, floored at `CAPABILITY_FLOOR`, NaN where missing; (year, state)."""
    return np.asarray(np.maximum(world["capability"].to_numpy(), CAPABILITY_FLOOR))


def sum_over(strength: np.ndarray, amount: Float64Array) -> Float64Array:
    """Σ_k strength[…, i, k] · amount[…, k], (year, n); NaN where a partner that counts has none."""
    if strength.dtype == np.bool_:
        strength = strength.astype(np.float32)
    missing = np.isnan(amount)
    total = np.matmul(strength, np.where(missing, 0.0, amount)[..., None], dtype=np.float64)[..., 0]
    if missing.any():
        touched = np.matmul(strength, missing.astype(strength.dtype)[..., None])[..., 0] > 0
        total[touched] = np.nan
    return np.asarray(total, dtype=np.float64)


def defence_pacts(world: xr.Dataset) -> BoolArray:
    """Whether some member of the treaty owes defence under it in the year; (year, treaty)."""
    pledge = world["treaty_pledge"].sel(obligation="defense")
    return np.asarray(pledge.to_numpy().any(axis=2))


@shared
def ties_of_treaties(world: xr.Dataset, obligation: str = "defense") -> tuple[IntArray, IntArray]:
    """Treaty, and flat position in (year, state, other), of each tie of each treaty and year.

    A tie is a pair of members of the treaty of which `other` owes `state` the obligation under it.
    """
    member = world["treaty_member"].to_numpy()
    _, treaties, n = member.shape
    pledge = world["treaty_pledge"].sel(obligation=obligation).to_numpy()
    group, owing = np.divmod(np.flatnonzero(np.ascontiguousarray(pledge)), n)
    # Members follow each other by year and treaty: a pledge is paired with those of its own.
    insiders = np.flatnonzero(member) % n
    size = member.reshape(-1, n).sum(axis=1)
    start = np.cumsum(size) - size
    repeat = size[group]
    within = np.arange(repeat.sum()) - np.repeat(np.cumsum(repeat) - repeat, repeat)
    state = insiders[np.repeat(start[group], repeat) + within]
    other, group = np.repeat(owing, repeat), np.repeat(group, repeat)
    position = (group // max(treaties, 1) * n + state) * n + other
    # Two members of one year were bound to each other only if they were so on the same day.
    owes = world["obligations"].sel(obligation=obligation).to_numpy().transpose(0, 2, 1)
    held = np.ascontiguousarray(owes).reshape(-1)[position]
    return (group % max(treaties, 1))[held], position[held]


def treaty_ties(world: xr.Dataset, treaties: BoolArray, obligation: str = "defense") -> BoolArray:
    """Ties that run through some treaties only, (year, state, other), as `defenders`.

    `treaties` are those to look at in each year, (year, treaty).
    """
    ties = np.zeros(_of_pairs(world), dtype=bool)
    treaty, position = ties_of_treaties(world, obligation)
    year = position // (ties.shape[1] * ties.shape[2])
    ties.reshape(-1)[position[treaties[year, treaty]]] = True
    return ties


def _of_pairs(world: xr.Dataset) -> tuple[int, int, int]:
    return world.sizes["year"], world.sizes["state"], world.sizes["state"]


def best_tie(world: xr.Dataset, score: np.ndarray) -> npt.NDArray[np.float32]:
    """Highest score among the treaties under which `other` owes `state` defence.

    Of scores of treaties, (treaty,); (year, state, other), NaN where none with a score binds the
    two.
    """
    best = np.full(_of_pairs(world), -np.inf, dtype=np.float32)
    treaty, position = ties_of_treaties(world)
    values = np.where(np.isnan(score), -np.inf, score).astype(np.float32)
    np.maximum.at(best.reshape(-1), position, values[treaty])
    best[np.isneginf(best)] = np.nan
    return best


def mean_over_defenders(
    world: xr.Dataset, values: npt.NDArray[np.floating]
) -> npt.NDArray[np.float64]:
    """Mean of `values` over the defenders k for which they are known; NaN without any.

    Values are (year, state, other), NaN for pairs that do not count. A code that stands for two in
    a year of relabelling takes the higher value of the two.
    """
    known = ~np.isnan(values)
    low = values.min(where=known, initial=np.inf) if known.any() else 0.0
    # Zero is "no tie" to count_once: known values are moved to 1 and above.
    ties = count_once(np.where(known, values - low + 1, 0), world)
    number = (ties > 0).sum(axis=2)
    total = ties.sum(axis=2, dtype=np.float64)
    return over(total, number) + low - 1


def positive(name: str, value: int) -> int:
    """`value`, checked to be an integer of at least 1."""
    if not is_whole(value) or value < 1:
        raise ArgumentError(f"{name} must be a whole number of years, at least 1; found {value!r}")
    return int(value)


def half_life_years(value: float) -> float:
    """`value`, checked to be a positive number of years."""
    number = isinstance(value, (int, float, np.integer, np.floating))
    if isinstance(value, bool) or not number or not 0 < value < np.inf:
        raise ArgumentError(f"half_life must be a number of years greater than 0; found {value!r}")
    return float(value)


def known_past(world: xr.Dataset, need: str, window: int) -> BoolArray:
    """Whether year s − window lies in the world and is covered by the source, shape (year,)."""
    return np.asarray(past(world[f"{need}_covered"].to_numpy(), window))


def where_known(values: np.ndarray, known: BoolArray) -> Float64Array:
    """`values` as float, NaN in the years that are not known; `known` has shape (year,)."""
    return np.where(_by_year(known, values), values, np.nan)


def _by_year(of_year: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Numbers of years, to be broadcast against `values`."""
    return of_year.reshape((-1,) + (1,) * (values.ndim - 1))


def windowed_sum[T: np.generic](values: npt.NDArray[T], window: int) -> npt.NDArray[T]:
    """Sum over the last `window` years (s included), shape as `values`."""
    running = np.cumsum(values, axis=0)
    return np.asarray(running - past(running, window))


def covered_years(world: xr.Dataset, window: int) -> npt.NDArray[np.int_]:
    """How many of the last `window` years (s included) have covered conflicts, shape (year,)."""
    return windowed_sum(world["conflict_covered"].to_numpy().astype(np.int_), window)


def half(world: xr.Dataset, window: int) -> BoolArray:
    """Whether conflicts are covered in at least half of the last `window` years, shape (year,)."""
    return np.asarray(2 * covered_years(world, window) >= window)


def covered_events(world: xr.Dataset, events: np.ndarray) -> np.ndarray:
    """`events` (year first) with 0 in the years whose conflicts are not covered."""
    return np.where(_by_year(world["conflict_covered"].to_numpy(), events), events, 0)


def counted(world: xr.Dataset, events: np.ndarray, window: int) -> npt.NDArray[np.int16]:
    """Covered events of the last `window` years (s included), while the states are in the system.

    `events` of each year: (year, state, other) or (year, state).
    """
    count = history.windowed_count(
        covered_events(world, events),
        window,
        member=world["member"].to_numpy(),
        entry_year=world["entry_year"].to_numpy(),
    )
    return np.asarray(count, dtype=np.int16)


def recent_count(world: xr.Dataset, events: np.ndarray, window: int) -> Float64Array:
    """As `counted`, for a full window.

    Where the window is partly covered the count is scaled up from the covered years; where less
    than half of it is covered, it is NaN.
    """
    years = covered_years(world, positive("window", window))
    factor = np.where(half(world, window), window / np.maximum(years, 1), np.nan)
    return np.asarray(counted(world, events, window) * _by_year(factor, events))


def conflicts_of_states(world: xr.Dataset, window: int) -> Float64Array:
    """Distinct conflicts that each state came into, as `recent_count`; (year, state)."""
    world = continued(world)
    return recent_count(world, world["dispute_onset_count"].to_numpy(), window)


def known_members(world: xr.Dataset) -> BoolArray:
    """Members of the system in covered years: clocks and counts start where coverage does."""
    covered = world["conflict_covered"].to_numpy()
    return np.asarray(world["member"].to_numpy() & covered[:, None])


def decayed_count(world: xr.Dataset, events: np.ndarray, half_life: float) -> np.ndarray:
    """Events so far, weighted by 2^(−age / half_life), while the states are in the system.

    Never missing: what lies before coverage, or before a state's entry, is not counted. `events`
    as in `counted`; the half-life in years.
    """
    return history.decayed_count(
        covered_events(world, events),
        half_life_years(half_life),
        member=known_members(world),
        entry_year=world["entry_year"].to_numpy(),
    )


def dispute_onsets(world: xr.Dataset) -> npt.NDArray[np.uint8]:
    """How many disputes between the two began in the year; symmetric (year, state, other).

    A pair's history is that of all its disputes, also when the outcome that is modelled is a
    narrower one (``onset`` of a war, say).
    """
    return np.asarray(world["onset_count"].to_numpy())
