"""Deterrence and entanglement: pacts in the dyad and with outsiders, allies in disputes.

'Outside' means minus the other member of the dyad. A directed feature is the value of `state`
against `other`: with ``side="b"`` of a directed panel it is the target's (the literature's
target_outside_defence), with ``side="a"`` the challenger's.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from forecast.errors import UnknownNameError
from forecast.features import arrays, successions
from forecast.features.registry import feature
from forecast.features.shared import shared
from forecast.sources.tables import OBLIGATIONS

__all__ = [
    "ally_in_dispute_elsewhere",
    "ally_in_dispute_with_opponent",
    "bloc_parity",
    "outside_allies",
    "outside_defense",
    "outside_defense_capability",
    "outside_neutrality",
    "outside_neutrality_capability",
    "outside_offense",
    "outside_offense_capability",
    "pact_in_dyad",
    "shared_allies",
]

LEEDS = "Leeds 2003; Johnson & Leeds 2011"
ENTANGLEMENT = "Snyder 1984; Siverson & Starr 1991 on diffusion through alliances"


@feature(
    family="deterrence",
    level="dyad",
    unit="0/1",
    bounds=(0, 1),
    sign="free",
    formula="1 if o(i→j) or o(j→i) in the class",
    source=LEEDS + "; expected − for defence",
    needs=("obligation", "member"),
    pre_treatment=True,
)
def pact_in_dyad(world: xr.Dataset, *, obligation: str = "defense") -> np.ndarray:
    """Whether the two are bound by an obligation of the class, in either direction."""
    if obligation not in OBLIGATIONS:
        raise UnknownNameError("obligation class", obligation, OBLIGATIONS)
    owes = arrays.obligation_strength(world, obligation) > 0
    return np.asarray(owes | owes.transpose(0, 2, 1))


@shared
def outside(world: xr.Dataset, obligation: str) -> np.ndarray:
    """Whether somebody other than `other` owes `state` the obligation."""
    bound = arrays.defenders(world, obligation) > 0
    return np.asarray(bound.sum(axis=2, keepdims=True) - bound > 0)


@shared
def outside_capability(world: xr.Dataset, obligation: str) -> np.ndarray:
    """Capability of those other than `other` that owe `state` the obligation."""
    bound, share = arrays.defenders(world, obligation), arrays.capability(world)
    missing = np.isnan(share)
    each = bound * np.where(missing, 0.0, share)[:, None, :]
    unknown = bound * missing[:, None, :]
    total = np.maximum(each.sum(axis=2, keepdims=True) - each, 0.0)
    return np.where(unknown.sum(axis=2, keepdims=True) - unknown > 0, np.nan, total)


@feature(
    family="deterrence",
    level="directed",
    unit="0/1",
    bounds=(0, 1),
    sign="free",
    formula="1 if some k ≠ j has o(k→i), DEFENSE",
    source=LEEDS + "; − for the target, + for a challenger",
    needs=("obligation", "member"),
    pre_treatment=True,
)
def outside_defense(world: xr.Dataset) -> np.ndarray:
    """Whether a state outside the dyad is bound to defend the state."""
    return outside(world, "defense")


@feature(
    family="deterrence",
    level="directed",
    unit="share of world capability",
    bounds=(0, 1),
    sign="free",
    formula="Σ_{k≠j} o(k→i) c_k, DEFENSE",
    source=LEEDS,
    needs=("obligation", "capability", "member"),
    pre_treatment=True,
)
def outside_defense_capability(world: xr.Dataset) -> np.ndarray:
    """Capability of the states outside the dyad that are bound to defend the state."""
    return outside_capability(world, "defense")


@feature(
    family="deterrence",
    level="directed",
    unit="0/1",
    bounds=(0, 1),
    sign="+",
    formula="1 if some k ≠ j has o(k→i), OFFENSE",
    source=LEEDS + "; + for the challenger",
    needs=("obligation", "member"),
    pre_treatment=True,
)
def outside_offense(world: xr.Dataset) -> np.ndarray:
    """Whether a state outside the dyad is bound to join the state's attack."""
    return outside(world, "offense")


@feature(
    family="deterrence",
    level="directed",
    unit="share of world capability",
    bounds=(0, 1),
    sign="+",
    formula="Σ_{k≠j} o(k→i) c_k, OFFENSE",
    source=LEEDS,
    needs=("obligation", "capability", "member"),
    pre_treatment=True,
)
def outside_offense_capability(world: xr.Dataset) -> np.ndarray:
    """Capability of the states outside the dyad that are bound to join the state's attack."""
    return outside_capability(world, "offense")


@feature(
    family="deterrence",
    level="directed",
    unit="0/1",
    bounds=(0, 1),
    sign="+",
    formula="1 if some k ≠ j has o(k→i), NEUTRALITY",
    source=LEEDS + "; + for the challenger",
    needs=("obligation", "neutrality", "member"),
    pre_treatment=True,
)
def outside_neutrality(world: xr.Dataset) -> np.ndarray:
    """Whether a state outside the dyad has promised the state to stay neutral."""
    return outside(world, "neutrality")


@feature(
    family="deterrence",
    level="directed",
    unit="share of world capability",
    bounds=(0, 1),
    sign="+",
    formula="Σ_{k≠j} o(k→i) c_k, NEUTRALITY",
    source=LEEDS,
    needs=("obligation", "neutrality", "capability", "member"),
    pre_treatment=True,
)
def outside_neutrality_capability(world: xr.Dataset) -> np.ndarray:
    """Capability of the states outside the dyad that have promised the state to stay neutral."""
    return outside_capability(world, "neutrality")


@shared
def defence_ties(world: xr.Dataset) -> np.ndarray:
    """D(i) as 0/1 float32, (year, state, other)."""
    return (arrays.defenders(world) > 0).astype(np.float32)


@feature(
    family="deterrence",
    level="dyad",
    unit="states",
    bounds=(0, None),
    sign="-",
    formula="|D(i) ∩ D(j)|",
    source="Kimball 2006; project definition",
    needs=("obligation", "member"),
    pre_treatment=True,
)
def shared_allies(world: xr.Dataset) -> np.ndarray:
    """Number of third states that are bound to defend both."""
    ties = defence_ties(world)
    return np.asarray(np.matmul(ties, ties.transpose(0, 2, 1)))


@feature(
    family="deterrence",
    level="directed",
    unit="states",
    bounds=(0, None),
    sign="free",
    formula="|D(i) \\ D(j) \\ {j}|",
    source="project definition: multilateral pacts are mismeasured without this split",
    needs=("obligation", "member"),
    pre_treatment=True,
)
def outside_allies(world: xr.Dataset) -> np.ndarray:
    """Number of third states that are bound to defend the state and not the other."""
    ties = defence_ties(world)
    third = 1 - np.maximum(ties, np.eye(ties.shape[1], dtype=np.float32))
    return np.asarray(np.matmul(ties, third.transpose(0, 2, 1)))


@feature(
    family="deterrence",
    level="dyad",
    unit="ratio",
    bounds=(0, 1),
    sign="free",
    formula="min/max over the two sides of c_i + Σ c_k, k ∈ D(i) \\ D(j) \\ {j}",
    source="project definition; Organski & Kugler 1980 on parity",
    needs=("obligation", "capability", "member"),
    pre_treatment=True,
)
def bloc_parity(world: xr.Dataset) -> np.ndarray:
    """Weaker over stronger side, each with the allies that are not the other's too."""
    ties, share = defence_ties(world), arrays.capability(world)
    missing = np.isnan(share)
    # Neither the other side's ally nor the other side itself.
    third = 1 - np.maximum(ties, np.eye(ties.shape[1], dtype=np.float32)).transpose(0, 2, 1)

    def outside_total(amount: np.ndarray) -> np.ndarray:
        return np.asarray(np.matmul(ties * amount[:, None, :].astype(np.float32), third))

    side = outside_total(np.where(missing, 0.0, share)) + share[:, :, None]
    side = np.where(outside_total(missing) > 0, np.nan, side)
    other = side.transpose(0, 2, 1)
    return np.minimum(side, other) / np.maximum(side, other)


@shared
def active_disputes(world: xr.Dataset) -> np.ndarray:
    """Disputes active in the year as 0/1 float32, (year, state, other).

    What a predecessor was in its last year is its successor's; on the last axis it is told once.
    """
    active = successions.continued(world)["dispute"].to_numpy()
    if world.attrs.get("succession") != "restart":
        active = successions.count_once(active, world)
    return np.asarray(active, dtype=np.float32)


@feature(
    family="deterrence",
    level="directed",
    unit="0/1",
    bounds=(0, 1),
    sign="+",
    formula="1 if some k ≠ j with a defence pact with i (either way) is in a dispute with j",
    source=ENTANGLEMENT,
    needs=("obligation", "conflict", "member"),
    pre_treatment=False,
)
def ally_in_dispute_with_opponent(world: xr.Dataset) -> np.ndarray:
    """Whether an ally of the state is in an active dispute with the other."""
    ally = arrays.allied(world).astype(np.float32)
    return np.asarray(np.matmul(ally, active_disputes(world)) > 0)


@feature(
    family="deterrence",
    level="directed",
    unit="0/1",
    bounds=(0, 1),
    sign="+",
    formula="1 if some k ≠ j with a defence pact with i is in a dispute with some m ∉ {i, j}",
    source=ENTANGLEMENT,
    needs=("obligation", "conflict", "member"),
    pre_treatment=False,
)
def ally_in_dispute_elsewhere(world: xr.Dataset) -> np.ndarray:
    """Whether an ally of the state is in an active dispute with a third state.

    For each ally k of i, its disputes other than with i are counted; one of them is with a
    third state unless it is the only one and with j. So all pairs are two matrix products.
    """
    dispute = active_disputes(world)
    ally = arrays.allied(world).astype(np.float32)
    others = dispute.sum(axis=2)[:, None, :] - dispute
    engaged = ally * (others >= 1)
    only_one = ally * (others == 1)
    with_j = np.matmul(only_one, dispute)
    number = engaged.sum(axis=2, keepdims=True) - engaged - with_j
    return np.asarray(number > 0.5)
