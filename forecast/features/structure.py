"""Structure of the alliance network: around a state or pair, and the blocs of the system.

The defence graph of a year has the states in the system as nodes and an edge where either of two
owes the other defence. Its blocs are the communities of greatest modularity that the method of
Louvain finds (Blondel et al. 2008; networkx), the same ones every time; a state without a pact is
a bloc of its own. Features of the system have one value a year,
some 200 in all: no panel of dyads makes more of them.
"""

from __future__ import annotations

from functools import lru_cache, partial

import numpy as np
import numpy.typing as npt
import xarray as xr

from forecast.arrays import IntArray
from forecast.errors import ArgumentError
from forecast.features import arrays, successions
from forecast.features.registry import feature
from forecast.features.shared import shared

_of_blocs = partial(feature, family="structure")
_feature = partial(_of_blocs, needs=("obligation", "treaty", "member"))


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


#: Louvain's method visits nodes in a random order: of so many orders the best partition is taken.
_ORDERS = 3


@lru_cache(maxsize=1024)
def communities(edges: bytes, size: int) -> tuple[int, ...]:
    """Community of each node, numbered in the order of their first nodes.

    `edges` is the upper triangle of the adjacency matrix, packed bits; the key under which the
    answer is kept, as most years have the graph of the year before.
    """
    import networkx as nx

    upper = np.triu_indices(size, k=1)
    held = np.unpackbits(np.frombuffer(edges, dtype=np.uint8), count=len(upper[0])).astype(bool)
    if not held.any():
        return tuple(range(size))
    graph = nx.empty_graph(size)
    graph.add_edges_from(zip(*(ends[held].tolist() for ends in upper), strict=True))
    found = (nx.community.louvain_communities(graph, seed=seed) for seed in range(_ORDERS))
    best = max(found, key=lambda parts: nx.community.modularity(graph, parts))
    number = {node: at for at, part in enumerate(sorted(best, key=min)) for node in part}
    return tuple(number[node] for node in range(size))


@shared
def blocs(world: xr.Dataset) -> tuple[npt.NDArray[np.bool_], IntArray]:
    """Edges of the defence graph among members, and the bloc of each state.

    Edges are symmetric, (year, state, other); the number of a bloc, (year, state), is -1 outside
    the system. In the year of a relabelling the successor stands for both codes.
    """
    member = successions.count_once(world["member"].to_numpy(), world, pairs=False)
    edges = successions.count_once(arrays.allied(world), world)
    edges = (edges | edges.transpose(0, 2, 1)) & member[:, :, None] & member[:, None, :]
    label = np.full(member.shape, -1, dtype=np.int64)
    for s, inside in enumerate(member):
        here = np.flatnonzero(inside)
        block = edges[s][np.ix_(here, here)]
        packed = np.packbits(block[np.triu_indices(here.size, k=1)]).tobytes()
        label[s, here] = communities(packed, here.size)
    return edges, label


def _one_hot(label: IntArray) -> npt.NDArray[np.float64]:
    """Membership of blocs, (state, bloc)."""
    return np.asarray(label[:, None] == np.arange(label.max(initial=-1) + 1), dtype=np.float64)


@_of_blocs(
    level="system",
    unit="modularity",
    bounds=(-0.5, 1),
    formula="Q = Σ_b (m_b / m − (d_b / 2m)²): m pacts, m_b inside bloc b, d_b ends of pacts in b",
    source="Newman & Girvan 2004; Blondel et al. 2008; Maoz 2010 on alliance networks",
    needs=("obligation", "member"),
)
def modularity(world: xr.Dataset) -> np.ndarray:
    """How far the defence pacts of the year keep within blocs; missing without a pact.

    0 if there is one bloc; close to 1 with many blocs that have no pacts across.
    """
    edges, label = blocs(world)
    out = np.full(len(label), np.nan)
    for s, one in enumerate(edges):
        ends = one.sum(axis=1, dtype=np.float64)
        if total := ends.sum():
            bloc = _one_hot(label[s])
            inside = ((one.astype(np.float64) @ bloc) * bloc).sum(axis=0)
            out[s] = (inside / total - (ends @ bloc / total) ** 2).sum()
    return out


@_of_blocs(
    level="system",
    unit="index",
    formula="2^(1+α) Σ_a Σ_b p_a^(1+α) p_b (1 − t_ab): p_b the bloc's share of capability, t_ab "
    "the share of pairs across a and b with a defence pact; α = 1",
    source="Esteban & Ray 1994; Montalvo & Reynal-Querol 2005 (α = 1); Maoz 2006 on alliance "
    "polarization",
    needs=("obligation", "capability", "member"),
)
def polarization(world: xr.Dataset, *, alpha: float = 1.0) -> np.ndarray:
    """How close the system is to two equal blocs with no pacts between them, which gives 1.

    Parameters
    ----------
    world : xarray.Dataset
        Dense world.
    alpha : float
        Weight of the blocs' cohesion against their number, from 1 to 1.6 (Esteban & Ray).

    Returns
    -------
    numpy.ndarray, shape (year,)
        States whose capability is missing are left out of the shares; 0 if all are one bloc.
        Missing where nobody's capability is known.
    """
    if not 1 <= alpha <= 1.6:
        raise ArgumentError(f"alpha must be from 1 to 1.6; found {alpha!r}")
    edges, label = blocs(world)
    share = np.nan_to_num(np.where(label >= 0, arrays.capability(world), 0.0))
    out = np.full(len(label), np.nan)
    for s, one in enumerate(edges):
        if not (total := share[s].sum()):
            continue
        bloc = _one_hot(label[s])
        p, size = share[s] @ bloc / total, bloc.sum(axis=0)
        across = bloc.T @ (one.astype(np.float64) @ bloc)
        apart = 1 - across / (size[:, None] * size[None, :])
        np.fill_diagonal(apart, 0)
        out[s] = 2 ** (1 + alpha) * (p ** (1 + alpha) @ apart @ p)
    return out


@_of_blocs(
    level="state",
    unit="share",
    formula="max over i's defence pacts of the share of its region's other states that are in it",
    source="project definition; Lake & Morgan 1997 on regional orders",
    needs=("obligation", "treaty", "member"),
)
def regional_inclusion(world: xr.Dataset) -> np.ndarray:
    """Share of the state's region that is inside a common defence bloc with it.

    A bloc is a treaty under which some member owes defence. 0 without one; missing for a state
    that is alone in its region.
    """
    member = successions.count_once(world["member"].to_numpy(), world, pairs=False)
    inside = successions.count_once(world["treaty_member"].to_numpy(), world, pairs=False)
    pact = arrays.defence_pacts(world)
    names = world["region"].to_numpy()
    region = (names[:, None] == np.unique(names)).astype(np.float32)
    home = region.argmax(axis=1)
    out = np.full(member.shape, np.nan)
    for s, here in enumerate(member):
        party = inside[s, pact[s]].astype(np.float32)
        others = (party @ region)[:, home] - 1  # of each state's region in each treaty
        largest = (party * others).max(axis=0, initial=0.0) + 0.0  # no negative zero
        number = (here @ region)[home] - 1
        out[s] = np.where(here & (number > 0), largest / np.maximum(number, 1), np.nan)
    return out
