"""Plain arrays that features share: obligations, capabilities, windows, rivals, successors.

Every function takes the dense world (`forecast.panel.world.build_world`) and returns numpy
arrays whose first axis is the year. Obligation strengths are in [0, 1].
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import xarray as xr

from forecast.errors import ArgumentError, UnknownNameError
from forecast.sources.tables import OBLIGATIONS

__all__ = [
    "CAPABILITY_FLOOR",
    "OBLIGATION_WEIGHTS",
    "SUCCESSIONS",
    "Succession",
    "Weights",
    "allied",
    "capability",
    "count_once",
    "covered_total",
    "defence_pacts",
    "defenders",
    "dispute_onsets",
    "entry_year",
    "inherited",
    "known_past",
    "obligation_strength",
    "past",
    "positive",
    "relabelled_past",
    "rivals",
    "scaled_count",
    "sum_over",
    "treaty_ties",
]

FloatArray = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
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


@dataclass(frozen=True)
class Succession:
    """A state that continues under another code: its allies neither gained nor lost an ally.

    Attributes
    ----------
    predecessor, successor : int
        COW state numbers.
    year : int
        First calendar year of the successor (both codes hold in it).
    reason : str
        Why the successor is the same ally.
    """

    predecessor: int
    successor: int
    year: int
    reason: str


#: Relabelled states only. A state that breaks away (the Soviet and Yugoslav republics, the
#: Czech Republic and Slovakia, Syria in 1961) is a new member and counts as succession; one
#: that is absorbed and leaves its alliance (the GDR in 1990) is a loss to its former allies.
SUCCESSIONS: tuple[Succession, ...] = (
    Succession(
        260,
        255,
        1990,
        "COW numbers the Federal Republic 260 until unification and 255 after it; the GDR "
        "acceded to the Federal Republic (Basic Law, art. 23), whose treaties went on.",
    ),
    Succession(
        678,
        679,
        1990,
        "COW numbers the Yemen Arab Republic 678 and unified Yemen 679; the unified republic "
        "kept the seat and the multilateral treaties of the north.",
    ),
    Succession(
        680,
        679,
        1990,
        "South Yemen merged into the unified republic, which is bound by the treaties of both; "
        "an ally of both parts has lost neither.",
    ),
)


def positive(name: str, value: int) -> int:
    """`value`, checked to be an integer of at least 1."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise ArgumentError(f"{name} must be a whole number of years, at least 1; found {value!r}")
    return int(value)


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


def obligation_strength(world: xr.Dataset, weights: Weights = "defense") -> FloatArray:
    """Strength o(i→k) of what `state` i owes `other` k, shape (year, state, other).

    A pair is bound as strongly as its strongest class: several classes, or several treaties,
    do not add up.
    """
    flags = world["obligations"].to_numpy()
    strength = np.zeros(flags.shape[:3], dtype=np.float32)
    for index, weight in enumerate(_weight_vector(weights)):
        if weight > 0:
            np.maximum(strength, weight * flags[..., index], out=strength)
    strength[:, *_diagonal(strength)] = 0
    return strength


def _diagonal(pairs: np.ndarray) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    index = np.arange(pairs.shape[-1])
    return index, index


def _successions(world: xr.Dataset) -> list[tuple[int, int, int]]:
    """(position of predecessor, position of successor, year) of those with both codes present."""
    position = {int(code): i for i, code in enumerate(world["state"].to_numpy())}
    return [
        (position[s.predecessor], position[s.successor], s.year)
        for s in SUCCESSIONS
        if s.predecessor in position and s.successor in position
    ]


def count_once(values: np.ndarray, world: xr.Dataset, *, pairs: bool = True) -> np.ndarray:
    """Copy of (year, …, state) in which a relabelled state is one state in that year.

    A status holds in a year if it held on any day, so in 1990 both 260 and 255 are allies of
    NATO's members. On the last axis the successor stands for both.

    Parameters
    ----------
    values : numpy.ndarray, shape (year, …, state)
        Flags or strengths.
    pairs : bool
        Whether the axis before the last is over states too: nobody is then an ally, or a
        threat, of its own successor.
    """
    values = values.copy()
    years = world["year"].to_numpy()
    for old, new, year in _successions(world):
        for s in np.flatnonzero(years == year):
            values[s, ..., new] = np.maximum(values[s, ..., new], values[s, ..., old])
            values[s, ..., old] = 0
            if pairs:
                values[s, old, new] = 0
                values[s, new, new] = 0
    return values


def defenders(world: xr.Dataset, weights: Weights = "defense") -> FloatArray:
    """Strength with which `other` k is bound to `state` i: D(i), shape (year, state, other).

    Relabelled allies are counted once (`count_once`).
    """
    return count_once(obligation_strength(world, weights).transpose(0, 2, 1), world)


def allied(world: xr.Dataset) -> BoolArray:
    """Whether either of the two owes the other defence; symmetric (year, state, other)."""
    owes = obligation_strength(world) > 0
    return np.asarray(owes | owes.transpose(0, 2, 1))


def past(values: np.ndarray, window: int) -> np.ndarray:
    """Values of `window` years before, aligned to the year axis; zeros before the first year."""
    shifted = np.zeros_like(values)
    shifted[window:] = values[:-window]
    return shifted


def known_past(world: xr.Dataset, need: str, window: int) -> BoolArray:
    """Whether year s − window lies in the world and is covered by the source, shape (year,)."""
    return np.asarray(past(world[f"{need}_covered"].to_numpy(), window))


def inherited(pairs: np.ndarray, world: xr.Dataset, window: int) -> np.ndarray:
    """D of `window` years before, in which successors take the places of their predecessors.

    Parameters
    ----------
    pairs : numpy.ndarray, shape (year, state, other)
        Strengths in each year.
    window : int
        Years to look back.

    Returns
    -------
    numpy.ndarray, shape (year, state, other)
        What was in force in s − window, told in the codes of year s.
    """
    before = past(pairs, window)
    years = world["year"].to_numpy()
    for old, new, year in _successions(world):
        spans = (years - window < year) & (years >= year)
        before[spans, :, new] = np.maximum(before[spans, :, new], before[spans, :, old])
        before[spans, :, old] = 0
        before[spans, new, :] = np.maximum(before[spans, new, :], before[spans, old, :])
        before[spans, new, new] = 0
    return before


def relabelled_past(before: np.ndarray, world: xr.Dataset, window: int) -> np.ndarray:
    """Values of states `window` years before, (year, state), under the codes of year s.

    Where the successor had no value of its own (NaN) it takes its predecessor's; of several
    predecessors the first in `SUCCESSIONS`.
    """
    before = before.copy()
    years = world["year"].to_numpy()
    for old, new, year in _successions(world):
        spans = (years - window < year) & (years >= year)
        own = before[spans, new]
        before[spans, new] = np.where(np.isnan(own), before[spans, old], own)
    return before


def entry_year(world: xr.Dataset) -> npt.NDArray[np.int_]:
    """First year of the running membership spell, a relabelled state's being its predecessor's."""
    entry = world["entry_year"].to_numpy().astype(np.int_)
    years, member = world["year"].to_numpy(), world["member"].to_numpy()
    for old, new, year in _successions(world):
        held = np.flatnonzero(member[:, old] & (years <= year))
        if held.size:
            spans = years >= year
            entry[spans, new] = np.minimum(entry[spans, new], entry[held[-1], old])
    return entry


def defence_pacts(world: xr.Dataset) -> BoolArray:
    """Whether some member of the treaty owes defence under it in the year; (year, treaty)."""
    pledge = world["treaty_pledge"].sel(obligation="defense")
    return np.asarray(pledge.to_numpy().any(axis=2))


def capability(world: xr.Dataset) -> Float64Array:
    """Capability share, floored at `CAPABILITY_FLOOR`, NaN where missing; (year, state)."""
    return np.asarray(np.maximum(world["capability"].to_numpy(), CAPABILITY_FLOOR))


def sum_over(strength: np.ndarray, amount: Float64Array) -> Float64Array:
    """Σ_k strength[…, i, k] · amount[…, k]; NaN where a partner that counts has none.

    Parameters
    ----------
    strength : numpy.ndarray, shape (year, n, state)
    amount : numpy.ndarray, shape (year, state)

    Returns
    -------
    numpy.ndarray, shape (year, n)
    """
    missing = np.isnan(amount)
    total = np.matmul(strength, np.where(missing, 0.0, amount)[..., None], dtype=np.float64)[..., 0]
    if missing.any():
        touched = np.matmul(strength, missing.astype(strength.dtype)[..., None])[..., 0] > 0
        total[touched] = np.nan
    return np.asarray(total, dtype=np.float64)


def covered_total(
    values: np.ndarray, covered: BoolArray, window: int
) -> tuple[Float64Array, npt.NDArray[np.int_]]:
    """Sum over the covered ones of the last `window` years (s included), and their number.

    Parameters
    ----------
    values : numpy.ndarray, shape (year, …)
    covered : numpy.ndarray, shape (year,)
    window : int

    Returns
    -------
    total : numpy.ndarray, shape (year, …)
    years : numpy.ndarray, shape (year,)
    """
    shape = (-1,) + (1,) * (values.ndim - 1)
    running = np.cumsum(np.where(covered.reshape(shape), values, 0), axis=0, dtype=np.float64)
    number = np.cumsum(covered)
    return running - past(running, window), number - past(number, window)


def scaled_count(values: np.ndarray, covered: BoolArray, window: int) -> Float64Array:
    """Count over the last `window` years (s included), for a full window.

    Where the window is partly covered the count is scaled up from the covered years; where less
    than half of it is covered, the count is NaN.
    """
    total, years = covered_total(values, covered, window)
    factor = np.where(2 * years >= window, window / np.maximum(years, 1), np.nan)
    return np.asarray(total * factor.reshape((-1,) + (1,) * (total.ndim - 1)))


def dispute_onsets(world: xr.Dataset) -> BoolArray:
    """Whether any dispute between the two began in the year; symmetric (year, state, other).

    A pair's history is that of all its disputes, also when the outcome that is modelled is a
    narrower one (``onset`` of a war, say): a dispute-year at risk is one with a new onset.
    """
    if world.attrs.get("outcome", "onset") == "onset":
        return np.asarray(world["onset"].to_numpy())
    return np.asarray((world["dispute"] & world["at_risk"]).to_numpy())


def rivals(world: xr.Dataset, *, window: int = 20, minimum: int = 2) -> tuple[BoolArray, BoolArray]:
    """Pairs with at least `minimum` dispute onsets in the last `window` years (s included).

    The stand-in for Thompson & Dreyer's strategic rivalries. Near the start of coverage the
    window holds fewer years; it is used from the year in which half of it is covered.

    Returns
    -------
    rival : numpy.ndarray of bool, shape (year, state, other)
        Symmetric.
    known : numpy.ndarray of bool, shape (year,)
        Whether at least half of the window is covered.
    """
    onset = dispute_onsets(world)
    total, years = covered_total(onset, world["conflict_covered"].to_numpy(), window)
    return total >= minimum, np.asarray(2 * years >= window)


def treaty_ties(world: xr.Dataset, treaties: BoolArray, obligation: str = "defense") -> BoolArray:
    """Ties that run through some treaties only: whether `other` k owes `state` i.

    Parameters
    ----------
    treaties : numpy.ndarray of bool, shape (year, treaty)
        The treaties to look at in each year.
    obligation : str
        Obligation class.

    Returns
    -------
    numpy.ndarray of bool, shape (year, state, other)
    """
    member = world["treaty_member"].to_numpy()
    pledge = world["treaty_pledge"].sel(obligation=obligation).to_numpy()
    ties = np.zeros((member.shape[0], member.shape[2], member.shape[2]), dtype=bool)
    for s, chosen in enumerate(treaties):
        inside = member[s, chosen].astype(np.float32)
        owing = pledge[s, chosen].astype(np.float32)
        ties[s] = inside.T @ owing > 0
    # Two members of one year were bound to each other only if they were so on the same day.
    owes = world["obligations"].sel(obligation=obligation).transpose("year", "other", "state")
    return np.asarray(ties & owes.to_numpy())
