"""Deterrence and entanglement: pacts in the dyad and with outsiders, allies in disputes.

'Outside' means minus the other member of the dyad. A directed feature is the value of `state`
against `other`: with ``side="b"`` of a directed panel it is the target's (the literature's
target_outside_defence), with ``side="a"`` the challenger's.

Old and new defence pacts are told apart: what has lasted commits, what was just signed may signal.
A tie is *new* in s if every defence treaty through which it runs was formed within the last w
years (s included), and *established* if one is older. Before 1945 the two went with opposite
signs (Senese & Vasquez 2008; Kenwick et al. 2015), so that a term for both together cancels.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import numpy.typing as npt
import xarray as xr

from forecast.errors import UnknownNameError
from forecast.features import arrays, successions
from forecast.features.history import decayed_onsets
from forecast.features.needs import Values, from_conflicts
from forecast.features.registry import Sign, feature
from forecast.features.shared import shared
from forecast.sources.tables import OBLIGATIONS

AGE = "Senese & Vasquez 2008; Kenwick, Vasquez & Powers 2015"
LEEDS = "Leeds 2003; Johnson & Leeds 2011"
_feature = partial(feature, family="deterrence", source=LEEDS, needs=("obligation", "member"))
ENTANGLEMENT = "Snyder 1984; Siverson & Starr 1991 on diffusion through alliances"
BoolArray = npt.NDArray[np.bool_]
_by_age = partial(
    feature, family="deterrence", source=AGE, needs=("obligation", "treaty", "member")
)


@_feature(
    level="dyad",
    unit="0/1",
    formula="1 if o(i→j) or o(j→i) in the class",
    source=LEEDS + "; expected − for defence",
)
def pact_in_dyad(world: xr.Dataset, *, obligation: str = "defense") -> np.ndarray:
    """Whether the two are bound by an obligation of the class, in either direction."""
    if obligation not in OBLIGATIONS:
        raise UnknownNameError("obligation class", obligation, OBLIGATIONS)
    return arrays.either(arrays.obligation_strength(world, obligation) > 0)


@shared
def outside(world: xr.Dataset, obligation: str) -> np.ndarray:
    """Whether somebody other than `other` owes `state` the obligation."""
    return arrays.outside(arrays.defenders(world, obligation) > 0)


@shared
def outside_capability(world: xr.Dataset, obligation: str) -> np.ndarray:
    """Capability of those other than `other` that owe `state` the obligation."""
    bound, share = arrays.defenders(world, obligation), arrays.capability(world)
    missing = np.isnan(share)
    each = bound * np.where(missing, 0.0, share)[:, None, :]
    unknown = bound * missing[:, None, :]
    total = np.maximum(each.sum(axis=2, keepdims=True) - each, 0.0)
    return np.where(unknown.sum(axis=2, keepdims=True) - unknown > 0, np.nan, total)


def _register_outside(obligation: str, bound: str, sign: Sign, expected: str) -> None:
    """Register the presence and the capability of outsiders that owe a state an obligation."""
    needs = {"obligation", "member"} | ({obligation} & {"neutrality"})
    owed = f"o(k→i){{}}, {obligation.upper()}"

    def present(world: xr.Dataset) -> np.ndarray:
        return outside(world, obligation)

    def capability(world: xr.Dataset) -> np.ndarray:
        return outside_capability(world, obligation)

    present.__name__ = f"outside_{obligation}"
    present.__doc__ = f"Whether a state outside the dyad {bound.format('is', 'has')}."
    capability.__name__ = f"outside_{obligation}_capability"
    capability.__doc__ = (
        f"Capability of the states outside the dyad that {bound.format('are', 'have')}."
    )
    register = partial(_feature, level="directed", sign=sign)
    register(
        unit="0/1",
        formula=f"1 if some k ≠ j has {owed.format('')}",
        source=f"{LEEDS}; {expected}",
        needs=needs,
    )(present)
    register(
        unit="share of world capability",
        bounds=(0, 1),
        formula=f"Σ_{{k≠j}} {owed.format(' c_k')}",
        source=LEEDS,
        needs=needs | {"capability"},
    )(capability)


_register_outside(
    "defense", "{0} bound to defend the state", "free", "− for the target, + for a challenger"
)
_register_outside("offense", "{0} bound to join the state's attack", "+", "+ for the challenger")
_register_outside(
    "neutrality", "{1} promised the state to stay neutral", "+", "+ for the challenger"
)


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


def _old(world: xr.Dataset, window: int) -> BoolArray:
    """Treaties with a defence obligation formed `window` or more years ago, (year, treaty)."""
    arrays.positive("window", window)
    age = world["year"].to_numpy()[:, None] - world["treaty_start"].to_numpy()[None, :]
    return np.asarray(arrays.defence_pacts(world) & (age >= window))


@shared
def ties_by_age(world: xr.Dataset, window: int) -> tuple[BoolArray, BoolArray]:
    """Established and new ties, each (year, state, other): `other` owes `state` defence."""
    owed = arrays.defenders(world) > 0
    old = arrays.treaty_ties(world, _old(world, window))
    old = successions.count_once(old, world) & owed
    return old, owed & ~old


@_by_age(
    level="dyad",
    unit="0/1",
    sign="-",
    formula="1 if i and j have a defence pact that was formed w or more years ago",
)
def established_pact_in_dyad(world: xr.Dataset, *, window: int = 5) -> np.ndarray:
    """Whether a defence pact that has lasted for `window` years binds the two."""
    return arrays.either(ties_by_age(world, window)[0])


@_by_age(
    level="dyad",
    unit="0/1",
    formula="1 if i and j have a defence pact, and none that was formed w or more years ago",
)
def new_pact_in_dyad(world: xr.Dataset, *, window: int = 5) -> np.ndarray:
    """Whether only defence pacts younger than `window` years bind the two."""
    established, new = ties_by_age(world, window)
    return np.asarray(arrays.either(new) & ~arrays.either(established))


@_by_age(
    level="directed",
    unit="0/1",
    sign="-",
    formula="1 if some k ≠ j owes i defence under a treaty formed w or more years ago",
)
def outside_established_defense(world: xr.Dataset, *, window: int = 5) -> np.ndarray:
    """Whether an outside state has been bound to defend the state for `window` years."""
    return arrays.outside(ties_by_age(world, window)[0])


@_by_age(
    level="directed",
    unit="0/1",
    formula="1 if some k ≠ j owes i defence, under treaties formed within w years only",
)
def outside_new_defense(world: xr.Dataset, *, window: int = 5) -> np.ndarray:
    """Whether an outside state has newly come to be bound to defend the state."""
    return arrays.outside(ties_by_age(world, window)[1])


@_by_age(
    family="expansion",
    level="state",
    unit="0/1",
    sign="-",
    formula="1 if i is in a defence pact that was formed w or more years ago",
)
def established_pact(world: xr.Dataset, *, window: int = 5) -> np.ndarray:
    """Whether the state has a defence pact that is not new; `new_pact` is the other half."""
    old = _old(world, window)
    return np.asarray((world["treaty_member"].to_numpy() & old[:, :, None]).any(axis=1))
