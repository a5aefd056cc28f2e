"""Dependency: how much of a state's security is other states' capability.

E_i = Σ_{k∈D(i)} w_k c_k, where w_k is the strength of k's obligation to i (`weights`: defence
only by default; ``"ordinal"`` = 1, 1, .5, .25, .15 over defence, offence, neutrality,
non-aggression, consultation is the named alternative; a mapping gives one's own).
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from forecast.features import arrays
from forecast.features.arrays import Weights
from forecast.features.registry import feature
from forecast.features.shared import shared

__all__ = [
    "ally_concentration",
    "autonomy",
    "external_share",
    "has_ally",
    "patron_share",
    "patron_withdrawal_loss",
]

SOURCE = "project definition; Morrow 1991 and Lake 2009 on security reliance"
NEEDS = ("obligation", "capability", "member")


def sum_and_largest(strength: np.ndarray, amount: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Σ_k w_k a_k and the largest w_k a_k; 0 without allies, NaN when an ally's amount is missing.

    Parameters
    ----------
    strength : numpy.ndarray, shape (year, state, other)
        w_k for each state.
    amount : numpy.ndarray, shape (year, state)
        a_k.

    Returns
    -------
    total, top : numpy.ndarray, shape (year, state)
    """
    total = arrays.sum_over(strength, amount)
    known = np.where(np.isnan(amount), 0.0, amount).astype(np.float64)
    top = (strength * known[:, None, :]).max(axis=2, initial=0.0)
    return total, np.where(np.isnan(total), np.nan, top)


@shared
def allied_capability(world: xr.Dataset, weights: Weights) -> tuple[np.ndarray, np.ndarray]:
    """E_i and the largest w_k c_k, (year, state)."""
    return sum_and_largest(arrays.defenders(world, weights), arrays.capability(world))


def concentration(strength: np.ndarray, amount: np.ndarray, total: np.ndarray) -> np.ndarray:
    """Σ_k (w_k a_k)² / total²; NaN without allies."""
    squares = arrays.sum_over(strength**2, amount**2)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(total > 0, np.minimum(squares / total**2, 1.0), np.nan)


def loss_of_largest(total: np.ndarray, top: np.ndarray, own: np.ndarray) -> np.ndarray:
    """log((total + own) / (total − top + own)); 0 without allies."""
    with np.errstate(invalid="ignore"):
        loss = np.log1p(top / (np.maximum(total - top, 0.0) + own))
    return np.where(total == 0, 0.0, loss)


def share_of_security(part: np.ndarray, total: np.ndarray, own: np.ndarray) -> np.ndarray:
    """`part` / (E + c); 0 without allies, whatever the own capability."""
    with np.errstate(invalid="ignore"):
        return np.where(total == 0, 0.0, part / (total + own))


@feature(
    family="dependency",
    level="state",
    unit="share",
    bounds=(0, 1),
    sign="free",
    formula="E_i / (E_i + c_i); n equal allies of equal size give n/(n+1)",
    source=SOURCE,
    needs=NEEDS,
    pre_treatment=True,
)
def external_share(world: xr.Dataset, *, weights: Weights = "defense") -> np.ndarray:
    """Share of the state's security that its allies' capability makes up; 0 without allies."""
    total, _ = allied_capability(world, weights)
    return share_of_security(total, total, arrays.capability(world))


@feature(
    family="dependency",
    level="state",
    unit="share",
    bounds=(0, 1),
    sign="free",
    formula="max_k w_k c_k / (E_i + c_i)",
    source=SOURCE,
    needs=NEEDS,
    pre_treatment=True,
)
def patron_share(world: xr.Dataset, *, weights: Weights = "defense") -> np.ndarray:
    """Share of the state's security that its largest ally makes up; 0 without allies."""
    total, top = allied_capability(world, weights)
    return share_of_security(top, total, arrays.capability(world))


@feature(
    family="dependency",
    level="state",
    unit="index",
    bounds=(0, 1),
    sign="free",
    formula="Σ_k (w_k c_k / E_i)²; from 1/n to 1, missing without allies",
    source="Herfindahl 1950",
    needs=NEEDS,
    pre_treatment=True,
)
def ally_concentration(world: xr.Dataset, *, weights: Weights = "defense") -> np.ndarray:
    """Herfindahl index of the allies' capability; missing without allies (see `has_ally`)."""
    total, _ = allied_capability(world, weights)
    return concentration(arrays.defenders(world, weights), arrays.capability(world), total)


@feature(
    family="dependency",
    level="state",
    unit="0/1",
    bounds=(0, 1),
    sign="free",
    formula="1 if D(i) is not empty",
    source=SOURCE,
    needs=("obligation", "member"),
    pre_treatment=True,
)
def has_ally(world: xr.Dataset, *, weights: Weights = "defense") -> np.ndarray:
    """Whether anybody is bound to the state."""
    return np.asarray((arrays.defenders(world, weights) > 0).any(axis=2))


@feature(
    family="dependency",
    level="state",
    unit="share",
    bounds=(0, 1),
    sign="free",
    formula="1 − external_share = c_i / (E_i + c_i); never together with it in a model",
    source=SOURCE,
    needs=NEEDS,
    pre_treatment=True,
)
def autonomy(world: xr.Dataset, *, weights: Weights = "defense") -> np.ndarray:
    """Share of the state's security that is its own capability; 1 without allies."""
    total, _ = allied_capability(world, weights)
    return 1.0 - share_of_security(total, total, arrays.capability(world))


@feature(
    family="dependency",
    level="state",
    unit="log ratio",
    bounds=(0, None),
    sign="+",
    formula="log((E_i + c_i) / (E_i − max_k w_k c_k + c_i))",
    source=SOURCE,
    needs=NEEDS,
    pre_treatment=True,
)
def patron_withdrawal_loss(world: xr.Dataset, *, weights: Weights = "defense") -> np.ndarray:
    """Log fall of the state's security if its largest ally left; 0 without allies."""
    total, top = allied_capability(world, weights)
    return loss_of_largest(total, top, arrays.capability(world))
