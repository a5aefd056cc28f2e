r"""Expansion: who came under whose protection, and who left, within the last w years.

N_w(i, s) = D(i, s) \ D(i, s − w), where D(i, s) are the states with a defence obligation towards
i in s. Relabelled successors (`successions.SUCCESSIONS`) are neither gained nor lost. A window that
reaches before the covered years gives NaN.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import xarray as xr

from forecast.features import arrays, rivalry, successions
from forecast.features.registry import feature
from forecast.features.shared import shared

SOURCE = "project definition; Senese & Vasquez 2008 and Kenwick et al. 2015 on new alliances"
_feature = partial(
    feature, family="expansion", source=SOURCE, needs=("obligation", "treaty", "member")
)
COUNT = "states"
POINTS = "share of world capability"


@shared
def gained(world: xr.Dataset, window: int) -> tuple[np.ndarray, np.ndarray]:
    """N_w(i, s), (year, state, other), and the years for which it is known, (year,)."""
    now = arrays.defenders(world) > 0
    before = successions.inherited(now, world, arrays.positive("window", window))
    return now & ~before, arrays.known_past(world, "obligation", window)


@shared
def lost(world: xr.Dataset, window: int) -> tuple[np.ndarray, np.ndarray]:
    r"""D(i, s − w) \ D(i, s), in the shapes of `gained`."""
    now = arrays.defenders(world) > 0
    before = successions.inherited(now, world, arrays.positive("window", window))
    return before & ~now, arrays.known_past(world, "obligation", window)


@_feature(
    level="state",
    unit=COUNT,
    sign="-",
    formula="|N_w(i)|, N_w(i) = D(i, s) \\ D(i, s−w)",
    needs=("obligation", "member"),
)
def own_expansion(world: xr.Dataset, *, window: int = 5) -> np.ndarray:
    """States that are bound to defend the state and were not `window` years before."""
    new, known = gained(world, window)
    return arrays.where_known(new.sum(axis=2), known)


@_feature(
    level="state",
    unit=POINTS,
    bounds=(0, 1),
    sign="-",
    formula="Σ_{k∈N_w(i)} c_k",
    needs=("obligation", "capability", "member"),
)
def own_expansion_capability(world: xr.Dataset, *, window: int = 5) -> np.ndarray:
    """Capability (of year s) of the defenders gained within `window` years."""
    new, known = gained(world, window)
    return arrays.where_known(arrays.sum_over(new, arrays.capability(world)), known)


@_feature(
    level="state",
    unit=COUNT,
    sign="+",
    formula="|D(i, s−w) \\ D(i, s)|",
    needs=("obligation", "member"),
)
def own_contraction(world: xr.Dataset, *, window: int = 5) -> np.ndarray:
    """States that were bound to defend the state `window` years before and no longer are."""
    gone, known = lost(world, window)
    return arrays.where_known(gone.sum(axis=2), known)


@_feature(
    level="state",
    unit=POINTS,
    bounds=(0, 1),
    sign="+",
    formula="Σ_{k∈D(i, s−w) \\ D(i, s)} c_k(s−w)",
    needs=("obligation", "capability", "member"),
)
def own_contraction_capability(world: xr.Dataset, *, window: int = 5) -> np.ndarray:
    """Capability of the defenders lost, as of `window` years before.

    A lost ally may no longer exist (the GDR), so it counts with what it had when it was one.
    """
    gone, known = lost(world, window)
    before = successions.relabelled_past(arrays.capability(world), world, window)
    known = known & arrays.known_past(world, "capability", window)
    return arrays.where_known(arrays.sum_over(gone, before), known)


@_feature(
    level="state",
    unit=COUNT,
    formula="|{k∈N_w(i): k older than w years, bound to i only by treaties younger than w years}|",
)
def expansion_by_formation(world: xr.Dataset, *, window: int = 5) -> np.ndarray:
    """Defenders gained through a new treaty."""
    new, old_treaty, newborn, known = _ways(world, window)
    return arrays.where_known((new & ~newborn & ~old_treaty).sum(axis=2), known)


@_feature(
    level="state",
    unit=COUNT,
    formula="|{k∈N_w(i): k older than w years, bound to i by a treaty older than w years}|",
)
def expansion_by_accession(world: xr.Dataset, *, window: int = 5) -> np.ndarray:
    """Defenders gained through an old treaty: one of the two acceded, or promised more."""
    new, old_treaty, newborn, known = _ways(world, window)
    return arrays.where_known((new & ~newborn & old_treaty).sum(axis=2), known)


@_feature(level="state", unit=COUNT, formula="|{k∈N_w(i): k entered the system within w years}|")
def expansion_by_succession(world: xr.Dataset, *, window: int = 5) -> np.ndarray:
    """Defenders gained that are themselves new states.

    Comes before the other two ways, so that the three add up to `own_expansion`.
    """
    new, _, newborn, known = _ways(world, window)
    return arrays.where_known((new & newborn).sum(axis=2), known)


@shared
def _ways(world: xr.Dataset, window: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """New defenders, those bound by an old treaty, those newly born, and the known years."""
    new, known = gained(world, window)
    since = world["year"].to_numpy() - window
    old = world["treaty_start"].to_numpy()[None, :] <= since[:, None]
    old_treaty = successions.count_once(arrays.treaty_ties(world, old), world)
    newborn = successions.entry_year(world) > since[:, None]
    return new, old_treaty, newborn[:, None, :], known


@_feature(
    level="state",
    unit=COUNT,
    sign="+",
    formula="Σ_{r rival of i} |N_w(r)|; rivals as in `rivalry`",
    source=SOURCE + "; Thompson & Dreyer 2012; Diehl & Goertz 2000",
    needs=("obligation", "conflict", "member"),
    simulate=rivalry.LISTED,
)
def rival_expansion(
    world: xr.Dataset,
    *,
    window: int = 5,
    rivals: str = "auto",
    rival_window: int = 20,
    rival_onsets: int = 2,
) -> np.ndarray:
    """Defenders gained by the rivals of the state, summed over rivals."""
    new, known = gained(world, window)
    rival, rival_known = rivalry.rivals_once(world, rivals, rival_window, rival_onsets)
    count = new.sum(axis=2).astype(np.float64)
    return arrays.where_known(arrays.sum_over(rival, count), known & rival_known)


@_feature(
    level="state",
    unit=POINTS,
    sign="+",
    formula="Σ_{r rival of i} Σ_{k∈N_w(r)} c_k; may exceed 1, as an ally is counted for each rival",
    source=SOURCE + "; Thompson & Dreyer 2012; Diehl & Goertz 2000",
    needs=("obligation", "capability", "conflict", "member"),
    simulate=rivalry.LISTED,
)
def rival_expansion_capability(
    world: xr.Dataset,
    *,
    window: int = 5,
    rivals: str = "auto",
    rival_window: int = 20,
    rival_onsets: int = 2,
) -> np.ndarray:
    """Capability gained by the rivals of the state, summed over rivals."""
    new, known = gained(world, window)
    rival, rival_known = rivalry.rivals_once(world, rivals, rival_window, rival_onsets)
    points = arrays.sum_over(new, arrays.capability(world))
    return arrays.where_known(arrays.sum_over(rival, points), known & rival_known)


@_feature(
    level="directed",
    unit=COUNT,
    sign="+",
    formula="|{k∈N_w(j): k shares a land border with i, k∉D(i)}|",
    needs=("obligation", "contiguity", "member"),
)
def frontier_expansion(world: xr.Dataset, *, window: int = 5) -> np.ndarray:
    """New defenders of the other side at the state's own land border that are not its allies."""
    frontier, new, known = _frontier(world, window)
    return arrays.where_known(np.matmul(frontier, new.transpose(0, 2, 1)), known)


@_feature(
    level="directed",
    unit=POINTS,
    bounds=(0, 1),
    sign="+",
    formula="Σ c_k over {k∈N_w(j): k shares a land border with i, k∉D(i)}",
    needs=("obligation", "contiguity", "capability", "member"),
)
def frontier_expansion_capability(world: xr.Dataset, *, window: int = 5) -> np.ndarray:
    """Capability of the other side's new defenders at the state's own land border."""
    frontier, new, known = _frontier(world, window)
    share = arrays.capability(world).astype(np.float32)
    missing = np.isnan(share)[:, None, :]
    amount = np.where(missing, np.float32(0), frontier * share[:, None, :])
    total = np.matmul(amount, new.transpose(0, 2, 1))
    unknown = np.matmul(frontier * missing, new.transpose(0, 2, 1)) > 0
    return arrays.where_known(np.where(unknown, np.nan, total), known)


@shared
def _frontier(world: xr.Dataset, window: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Unallied land neighbours of each state, new defenders of each state, known years."""
    new, known = gained(world, window)
    border = world["contiguity"].to_numpy() == 1
    unallied = border & ~(arrays.defenders(world) > 0)
    return unallied.astype(np.float32), new.astype(np.float32), known


@_feature(
    level="dyad",
    unit="0/1",
    sign="+",
    formula="1 if |N_w(i)| > 0 and |N_w(j)| > 0",
    source="Vasquez 1993, alliance and counter-alliance",
    needs=("obligation", "member"),
)
def mutual_expansion(world: xr.Dataset, *, window: int = 5) -> np.ndarray:
    """Whether both sides gained defenders within `window` years."""
    new, known = gained(world, window)
    grew = new.any(axis=2)
    return arrays.where_known(grew[:, :, None] & grew[:, None, :], known)


@_feature(
    level="state",
    unit="0/1",
    formula="1 if a defence pact of i was formed within w years",
    source="Senese & Vasquez 2008; positive before 1945, contested since",
)
def new_pact(world: xr.Dataset, *, window: int = 5) -> np.ndarray:
    """Whether the youngest defence pact of the state was formed within `window` years.

    A treaty's first year is known even when it lies before coverage, so there is no gap at the
    start. A renewal under the same treaty is not a formation.
    """
    arrays.positive("window", window)
    years, start = world["year"].to_numpy(), world["treaty_start"].to_numpy()
    age = years[:, None] - start[None, :]
    young = arrays.defence_pacts(world) & (age >= 0) & (age < window)
    member = world["treaty_member"].to_numpy()
    return np.asarray((member & young[:, :, None]).any(axis=1))
