"""Deterrence and entanglement: pacts in the dyad and with outsiders, allies in disputes.

'Outside' means minus the other member of the dyad. A directed feature is the value of `state`
against `other`: with ``side="b"`` of a directed panel it is the target's (the literature's
target_outside_defence), with ``side="a"`` the challenger's.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import xarray as xr

from forecast.errors import UnknownNameError
from forecast.features import arrays, successions
from forecast.features.history import decayed_onsets
from forecast.features.registry import feature
from forecast.features.shared import shared
from forecast.features.simulated import Values, from_conflicts
from forecast.sources.tables import OBLIGATIONS

LEEDS = "Leeds 2003; Johnson & Leeds 2011"
_feature = partial(feature, family="deterrence", source=LEEDS)
ENTANGLEMENT = "Snyder 1984; Siverson & Starr 1991 on diffusion through alliances"


@_feature(
    level="dyad",
    unit="0/1",
    formula="1 if o(i→j) or o(j→i) in the class",
    source=LEEDS + "; expected − for defence",
    needs=("obligation", "member"),
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


@_feature(
    level="directed",
    unit="0/1",
    formula="1 if some k ≠ j has o(k→i), DEFENSE",
    source=LEEDS + "; − for the target, + for a challenger",
    needs=("obligation", "member"),
)
def outside_defense(world: xr.Dataset) -> np.ndarray:
    """Whether a state outside the dyad is bound to defend the state."""
    return outside(world, "defense")


@_feature(
    level="directed",
    unit="share of world capability",
    bounds=(0, 1),
    formula="Σ_{k≠j} o(k→i) c_k, DEFENSE",
    needs=("obligation", "capability", "member"),
)
def outside_defense_capability(world: xr.Dataset) -> np.ndarray:
    """Capability of the states outside the dyad that are bound to defend the state."""
    return outside_capability(world, "defense")


@_feature(
    level="directed",
    unit="0/1",
    sign="+",
    formula="1 if some k ≠ j has o(k→i), OFFENSE",
    source=LEEDS + "; + for the challenger",
    needs=("obligation", "member"),
)
def outside_offense(world: xr.Dataset) -> np.ndarray:
    """Whether a state outside the dyad is bound to join the state's attack."""
    return outside(world, "offense")


@_feature(
    level="directed",
    unit="share of world capability",
    bounds=(0, 1),
    sign="+",
    formula="Σ_{k≠j} o(k→i) c_k, OFFENSE",
    needs=("obligation", "capability", "member"),
)
def outside_offense_capability(world: xr.Dataset) -> np.ndarray:
    """Capability of the states outside the dyad that are bound to join the state's attack."""
    return outside_capability(world, "offense")


@_feature(
    level="directed",
    unit="0/1",
    sign="+",
    formula="1 if some k ≠ j has o(k→i), NEUTRALITY",
    source=LEEDS + "; + for the challenger",
    needs=("obligation", "neutrality", "member"),
)
def outside_neutrality(world: xr.Dataset) -> np.ndarray:
    """Whether a state outside the dyad has promised the state to stay neutral."""
    return outside(world, "neutrality")


@_feature(
    level="directed",
    unit="share of world capability",
    bounds=(0, 1),
    sign="+",
    formula="Σ_{k≠j} o(k→i) c_k, NEUTRALITY",
    needs=("obligation", "neutrality", "capability", "member"),
)
def outside_neutrality_capability(world: xr.Dataset) -> np.ndarray:
    """Capability of the states outside the dyad that have promised the state to stay neutral."""
    return outside_capability(world, "neutrality")


@shared
def defence_ties(world: xr.Dataset) -> np.ndarray:
    """D(i) as 0/1 float32, (year, state, other)."""
    return (arrays.defenders(world) > 0).astype(np.float32)


@_feature(
    level="dyad",
    unit="states",
    sign="-",
    formula="|D(i) ∩ D(j)|",
    source="Kimball 2006; project definition",
    needs=("obligation", "member"),
)
def shared_allies(world: xr.Dataset) -> np.ndarray:
    """Number of third states that are bound to defend both."""
    ties = defence_ties(world)
    return np.asarray(np.matmul(ties, ties.transpose(0, 2, 1)))


@_feature(
    level="directed",
    unit="states",
    formula="|D(i) \\ D(j) \\ {j}|",
    source="project definition: multilateral pacts are mismeasured without this split",
    needs=("obligation", "member"),
)
def outside_allies(world: xr.Dataset) -> np.ndarray:
    """Number of third states that are bound to defend the state and not the other."""
    ties = defence_ties(world)
    third = 1 - np.maximum(ties, np.eye(ties.shape[1], dtype=np.float32))
    return np.asarray(np.matmul(ties, third.transpose(0, 2, 1)))


@_feature(
    level="dyad",
    unit="ratio",
    bounds=(0, 1),
    formula="min/max over the two sides of c_i + Σ c_k, k ∈ D(i) \\ D(j) \\ {j}",
    source="project definition; Organski & Kugler 1980 on parity",
    needs=("obligation", "capability", "member"),
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


@_feature(
    level="directed",
    unit="0/1",
    sign="+",
    formula="1 if some k ≠ j with a defence pact with i (either way) is in a dispute with j",
    source=ENTANGLEMENT,
    needs=("obligation", "conflict", "member"),
    simulate=from_conflicts(lambda past: past.ally_in_dispute(with_opponent=True)),
)
def ally_in_dispute_with_opponent(world: xr.Dataset) -> np.ndarray:
    """Whether an ally of the state is in an active dispute with the other."""
    ally = arrays.allied(world).astype(np.float32)
    return np.asarray(np.matmul(ally, active_disputes(world)) > 0)


@_feature(
    level="directed",
    unit="0/1",
    sign="+",
    formula="1 if some k ≠ j with a defence pact with i is in a dispute with some m ∉ {i, j}",
    source=ENTANGLEMENT,
    needs=("obligation", "conflict", "member"),
    simulate=from_conflicts(lambda past: past.ally_in_dispute(with_opponent=False)),
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


@_feature(
    level="directed",
    unit="decayed onsets",
    sign="+",
    formula="Σ_{k≠i} A_jk · decayed onsets of i with k; A: a defence pact either way",
    source="Snyder 1984 and Siverson & Starr 1991 on conflict that spreads along alliances",
    needs=("conflict", "obligation", "member"),
    whole_record=True,
    simulate=from_conflicts(lambda past, half_life: Values(None, past.with_allies(half_life))),
)
def disputes_with_allies(world: xr.Dataset, *, half_life: float = 3.0) -> np.ndarray:
    """Recent disputes of the state with the allies of the other: `side="sum"` takes both ways.

    The count, and its memory, behind `ally_in_dispute_with_opponent`.
    """
    own = decayed_onsets(world, half_life)
    ally = successions.count_once(arrays.allied(world), world).astype(np.float32)
    # The diagonal of both is zero: neither i itself nor j is among the allies k.
    return np.asarray(np.matmul(own, ally.transpose(0, 2, 1)))
