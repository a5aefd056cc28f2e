"""Plain arrays that features share: obligations, capabilities, treaty ties.

Every function takes the dense world (`forecast.panel.world.build_world`) and returns numpy
arrays whose first axis is the year. Obligation strengths are in [0, 1].
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import xarray as xr

from forecast.errors import ArgumentError, UnknownNameError
from forecast.features.shared import shared
from forecast.features.successions import count_once
from forecast.sources.tables import OBLIGATIONS

__all__ = [
    "CAPABILITY_FLOOR",
    "OBLIGATION_WEIGHTS",
    "Weights",
    "allied",
    "capability",
    "defence_pacts",
    "defenders",
    "obligation_strength",
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
    strength[:, *_diagonal(strength)] = 0
    return strength


def _diagonal(pairs: np.ndarray) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    index = np.arange(pairs.shape[-1])
    return index, index


@shared
def defenders(world: xr.Dataset, weights: Weights = "defense") -> FloatArray:
    """Strength with which `other` k is bound to `state` i: D(i), shape (year, state, other).

    Relabelled allies are counted once (`count_once`).
    """
    return count_once(obligation_strength(world, weights).transpose(0, 2, 1), world)


@shared
def allied(world: xr.Dataset) -> BoolArray:
    """Whether either of the two owes the other defence; symmetric (year, state, other)."""
    owes = obligation_strength(world) > 0
    return np.asarray(owes | owes.transpose(0, 2, 1))


@shared
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


def defence_pacts(world: xr.Dataset) -> BoolArray:
    """Whether some member of the treaty owes defence under it in the year; (year, treaty)."""
    pledge = world["treaty_pledge"].sel(obligation="defense")
    return np.asarray(pledge.to_numpy().any(axis=2))


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
    for s, chosen in enumerate(treaties & member.any(axis=2)):
        inside = member[s, chosen].astype(np.float32)
        owing = pledge[s, chosen].astype(np.float32)
        ties[s] = inside.T @ owing > 0
    # Two members of one year were bound to each other only if they were so on the same day.
    owes = world["obligations"].sel(obligation=obligation).transpose("year", "other", "state")
    return np.asarray(ties & owes.to_numpy())
