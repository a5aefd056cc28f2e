"""Structure of the alliance network around a state or pair."""

from __future__ import annotations

from functools import partial

import numpy as np
import xarray as xr

from forecast.features import arrays, successions
from forecast.features.registry import feature
from forecast.features.shared import shared

_feature = partial(feature, family="structure", needs=("obligation", "treaty", "member"))


@_feature(
    level="state",
    unit="share",
    formula="share of k∈D(i) bound by a treaty with ≥ 3 members; missing without allies",
    source="project definition; Olson & Zeckhauser 1966",
)
def multilateral_share(world: xr.Dataset) -> np.ndarray:
    """Share of the state's defenders that are bound by a multilateral treaty."""
    member = world["treaty_member"].to_numpy()
    large = successions.count_once(member, world, pairs=False).sum(axis=2) >= 3
    multilateral = successions.count_once(arrays.treaty_ties(world, large), world)
    defended = arrays.defenders(world) > 0
    return arrays.over((defended & multilateral).sum(axis=2), defended.sum(axis=2))


@_feature(
    level="state",
    unit="0/1",
    formula="1 if no defence, neutrality or non-aggression obligation by or towards i",
    source="project definition",
    needs=("obligation", "member"),
)
def nonaligned(world: xr.Dataset) -> np.ndarray:
    """Whether the state has no defence, neutrality or non-aggression tie at all."""
    classes = ("defense", "neutrality", "nonaggression")
    owes = arrays.obligation_strength(world, dict.fromkeys(classes, 1.0)) > 0
    return np.asarray(~(owes.any(axis=2) | owes.any(axis=1)))


def bound_together(world: xr.Dataset, treaties: np.ndarray) -> np.ndarray:
    """Whether both are members of one of the treaties; symmetric (year, state, other)."""
    member = world["treaty_member"].to_numpy()
    inside = member[:, treaties].astype(np.float32)
    return np.asarray(np.matmul(inside.transpose(0, 2, 1), inside) > 0)


@_feature(
    level="dyad",
    unit="0/1",
    sign="-",
    formula="1 if a treaty between the two binds its members to settle disputes peacefully",
    source="Long, Nordstrom & Baek 2007; Mattes & Vonnahme 2010",
)
def peaceful_settlement(world: xr.Dataset) -> np.ndarray:
    """Whether the two are members of a treaty with a duty of peaceful settlement.

    Missing where none is known and they share a treaty whose provisions the source does not code.
    """
    settles = world["treaty_settlement"].to_numpy().astype(np.float32)
    bound = bound_together(world, settles == 1)
    uncoded = np.isnan(settles)
    if not uncoded.any():
        return bound
    return np.where(bound_together(world, uncoded) & ~bound, np.nan, bound)


@_feature(
    level="state",
    unit="depth items",
    bounds=(0, 5),
    sign="-",
    formula="mean over k∈D(i) of the depth items of k's deepest defence treaty with i",
    source="Leeds & Anac 2005; Alley 2021 (items: integrated command, coordination, basing, "
    "military aid, organisation)",
)
def pact_depth(world: xr.Dataset) -> np.ndarray:
    """Mean depth of the state's defence ties; missing without allies or where it is not coded."""
    return arrays.mean_over_defenders(
        world, arrays.best_tie(world, world["treaty_depth"].to_numpy())
    )


@_feature(
    level="state",
    unit="standard deviations",
    bounds=(None, None),
    sign="-",
    formula="mean over k∈D(i) of the latent depth θ of k's deepest defence treaty with i",
    source="Benson & Clinton 2016; Alley 2021; two-parameter logistic model of the provisions, "
    "`forecast.panel.treaties`",
)
def treaty_depth(world: xr.Dataset) -> np.ndarray:
    """Mean latent depth of the state's defence ties; missing without allies.

    The depth of a treaty is the trait behind its peacetime provisions (integrated command,
    coordination, basing, aid, organisation, subordination, contribution, companion agreements),
    in standard deviations over all treaties of the data set; a provision that the data do not
    code is left out.
    """
    return arrays.mean_over_defenders(world, latent_depth(world))


@_feature(
    level="dyad",
    unit="standard deviations",
    bounds=(None, None),
    sign="-",
    formula="latent depth θ of the deepest defence treaty between the two; missing without one",
    source="Benson & Clinton 2016; Alley 2021",
)
def treaty_depth_in_dyad(world: xr.Dataset) -> np.ndarray:
    """Latent depth of the deepest treaty under which one of the two owes the other defence."""
    deepest = latent_depth(world)
    return np.asarray(np.fmax(deepest, deepest.transpose(0, 2, 1)))


@shared
def latent_depth(world: xr.Dataset) -> np.ndarray:
    """Latent depth of the deepest treaty under which `other` owes `state` defence."""
    return arrays.best_tie(world, world["treaty_latent_depth"].to_numpy())
