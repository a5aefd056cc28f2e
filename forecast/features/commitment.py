"""Commitment balance: what a state owes against what it is owed.

o(i→k) is the strength of i's obligation to k: defence only by default, ``"ordinal"`` the named
alternative (see `arrays.OBLIGATION_WEIGHTS`).
"""

from __future__ import annotations

from functools import partial

import numpy as np
import xarray as xr

from forecast.errors import ArgumentError
from forecast.features import arrays, rivalry, successions
from forecast.features.arrays import Weights
from forecast.features.needs import as_at_origin
from forecast.features.registry import feature
from forecast.features.shared import shared

SOURCE = "project definition"
_feature = partial(feature, family="commitment")


@shared
def owed(world: xr.Dataset, weights: Weights) -> np.ndarray:
    """o(i→k) with relabelled partners counted once; (year, state, other)."""
    return successions.count_once(arrays.obligation_strength(world, weights), world)


@_feature(
    level="state",
    unit="log ratio",
    bounds=(None, None),
    formula="log((Σ_k o(k→i) c_k + e) / (Σ_k o(i→k) c_i + e)), e = 1e−4",
    source=SOURCE + "; Morrow 1991 on asymmetric alliances",
    needs=("obligation", "capability", "member"),
)
def commitment_balance(
    world: xr.Dataset, *, weights: Weights = "defense", e: float = 1e-4
) -> np.ndarray:
    """Security imported over security exported, in logs.

    0 without obligations and for a symmetric pact of equals; > 0 is a net importer of security.
    """
    if not e > 0:
        raise ArgumentError(f"e must be greater than 0; found {e!r}")
    share = arrays.capability(world)
    imported = arrays.sum_over(arrays.defenders(world, weights), share)
    partners = owed(world, weights).sum(axis=2, dtype=np.float64)
    exported = np.where(partners > 0, partners * share, 0.0)
    return np.asarray(np.log((imported + e) / (exported + e)))


@_feature(
    level="state",
    unit="conflicts per year",
    sign="+",
    formula="Σ_k o(i→k) · (distinct conflicts that k came into in the last w years, per year)",
    source=SOURCE + "; Snyder 1984 on entrapment",
    needs=("obligation", "conflict", "member"),
    simulate=as_at_origin("the partners' rate of the last w years is taken to go on"),
)
def commitments_owed_risk(
    world: xr.Dataset, *, weights: Weights = "defense", window: int = 10
) -> np.ndarray:
    """Disputes per year that the state could be called into.

    A window that is partly covered uses its covered years if they are at least half of it.
    """
    rate = arrays.conflicts_of_states(world, window) / window
    return arrays.sum_over(owed(world, weights), rate)


@_feature(
    level="state",
    unit="ratio",
    sign="+",
    formula="Σ_k o(i→k) · Σ_m c_m [m rival or unallied land neighbour of k, m ≠ i] / c_i",
    source=SOURCE + "; Kennedy 1987 on overstretch",
    needs=("obligation", "capability", "conflict", "contiguity", "member"),
    simulate=rivalry.LISTED,
)
def overextension(
    world: xr.Dataset,
    *,
    weights: Weights = "defense",
    rivals: str = "auto",
    rival_window: int = 20,
    rival_onsets: int = 2,
) -> np.ndarray:
    """Capability that threatens the state's protégés, over the state's own.

    A threat to k is a rival of k (see `rivalry.rival_pairs`), allied or not, or a state with a land
    border with k and no defence pact with it. The state itself is no threat that it must meet.
    """
    rival, known = rivalry.rival_pairs(world, rivals, window=rival_window, minimum=rival_onsets)
    member = world["member"].to_numpy()
    border = world["contiguity"].to_numpy() == 1
    threat = (rival | (border & ~arrays.allied(world))) & member[:, None, :]
    threat = successions.count_once(threat, world).astype(np.float32)
    share, partners = arrays.capability(world), owed(world, weights)
    total = arrays.sum_over(partners, arrays.sum_over(threat, share))
    # Take out the state's own capability where it is itself the threat to its protégé.
    itself = np.einsum("sik,ski->si", partners, threat, dtype=np.float64)
    own = np.where(itself > 0, itself * share, 0.0)
    ratio = np.where(total == 0, 0.0, np.maximum(total - own, 0.0) / share)
    return arrays.where_known(ratio, known)


@_feature(
    level="dyad",
    unit="index",
    formula="1 − 2·min(o(i→j), o(j→i)) / (o(i→j) + o(j→i)); missing without obligations",
    source=SOURCE + "; Leeds et al. 2002 on asymmetric obligations",
    needs=("obligation", "member"),
)
def asymmetry(world: xr.Dataset, *, weights: Weights = "defense") -> np.ndarray:
    """How one-sided the obligations between the two are: 0 mutual, 1 one-way."""
    one = arrays.obligation_strength(world, weights)
    other = one.transpose(0, 2, 1)
    both = one + other
    return 1 - arrays.over(2 * np.minimum(one, other), both)


@shared
def fewest_conditions(world: xr.Dataset) -> np.ndarray:
    """Condition flags on k's defence obligation to i; NaN without one; (year, i, k).

    With several treaties the least conditional one binds.
    """
    return np.abs(arrays.best_tie(world, -world["treaty_conditions"].to_numpy()))


@_feature(
    level="state",
    unit="condition flags",
    bounds=(0, 6),
    sign="-",
    formula="mean over k∈D(i) of the condition flags on k's obligation; missing without allies",
    source="Leeds et al. 2002; Benson 2012 on conditional deterrent pacts",
    needs=("obligation", "treaty", "member"),
)
def conditionality(world: xr.Dataset) -> np.ndarray:
    """Mean number of conditions on the defence that the state is owed.

    Of several treaties with one ally the least conditional counts.
    """
    return arrays.mean_over_defenders(world, fewest_conditions(world))


@_feature(
    level="directed",
    unit="condition flags",
    bounds=(0, 6),
    formula="condition flags on o(i→j), DEFENSE; missing without the obligation",
    source="Leeds et al. 2002",
    needs=("obligation", "treaty", "member"),
)
def conditionality_in_dyad(world: xr.Dataset) -> np.ndarray:
    """Number of conditions on the state's defence obligation to the other."""
    return fewest_conditions(world).transpose(0, 2, 1)


@_feature(
    level="state",
    unit="index",
    formula="mean over i's defence pacts of Σ_m (c_m / Σ c)²; missing without a pact",
    source="Herfindahl 1950; Olson & Zeckhauser 1966 on alliances of unequals",
    needs=("obligation", "treaty", "capability", "member"),
)
def within_pact_concentration(world: xr.Dataset) -> np.ndarray:
    """Herfindahl index of capability inside each defence pact, averaged over the state's pacts.

    The state itself is one of the members. A pact left with one member is none.
    """
    index, live = pact_concentration(world)
    live = live & arrays.defence_pacts(world)
    member = world["treaty_member"].to_numpy()
    pact, state = np.divmod(np.flatnonzero(member), member.shape[2])
    inside = live.reshape(-1)[pact]
    pact, state = pact[inside], state[inside]
    at = pact // member.shape[1] * member.shape[2] + state
    size = member.shape[0] * member.shape[2]
    number = np.bincount(at, minlength=size)
    total = np.bincount(at, weights=index.reshape(-1)[pact], minlength=size)
    return arrays.over(total, number).reshape(member.shape[0], member.shape[2])


def pact_concentration(world: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Herfindahl index of the members' capability, and whether they are at least two.

    Both (year, treaty). The index is NaN when a member's capability is missing or there are none.
    """
    member = successions.count_once(world["treaty_member"].to_numpy(), world, pairs=False)
    years, treaties, n = member.shape
    # Few states are in few treaties: entries instead of products with mostly zeros.
    pact, state = np.divmod(np.flatnonzero(member), n)
    share = arrays.capability(world)[pact // max(treaties, 1), state]
    number, total, squares = (
        np.bincount(pact, weights=of_member, minlength=years * treaties).reshape(years, treaties)
        for of_member in (np.ones_like(share), share, share**2)
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        index = np.minimum(squares / total**2, 1.0)
    return index, number >= 2
