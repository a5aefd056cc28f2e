"""Blocs and how they divide the system and its regions."""

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.feature_worlds import DEFENSE, NONAGGRESSION, Story, Treaty, random_world, value

from forecast.errors import ArgumentError
from forecast.features import get_feature
from forecast.features.structure import blocs, communities

seeds = st.integers(0, 10**9)
SIX = dict.fromkeys((2, 20, 200, 290, 310, 365), 0.1)


def pact(name, *states, terms=DEFENSE, start=1980):
    return Treaty(name, dict.fromkeys(states, terms), start)


def of(story, name, *codes, **options):
    return value(story.world(), name, story.years[0], *codes, **options)


TWO_BLOCS = Story(
    (1985, 1985),
    SIX,
    [pact("w", 2, 20, 200), pact("e", 290, 310, 365), pact("x", 2, 290, terms=NONAGGRESSION)],
)


def test_two_equal_blocs():
    # Two triangles: Q = 2 · (3/6 − (6/12)²) = 1/2, and polarization is at its highest.
    assert of(TWO_BLOCS, "modularity") == pytest.approx(0.5)
    assert of(TWO_BLOCS, "polarization") == pytest.approx(1)
    assert of(TWO_BLOCS, "polarization", alpha=1.6) == pytest.approx(1)


def test_a_pact_across():
    across = Story((1985, 1985), SIX, [*TWO_BLOCS.treaties, pact("d", 2, 365)])
    # Seven pacts, three in each bloc, seven ends in each: Q = 2 · (3/7 − (7/14)²).
    assert of(across, "modularity") == pytest.approx(2 * (3 / 7 - 1 / 4))
    # One of the nine pairs across is bound.
    assert of(across, "polarization") == pytest.approx(8 / 9)


def test_unequal_blocs_and_states_alone():
    story = Story((1985, 1985), {2: 0.4, 20: 0.2, 290: 0.2, 365: 0.2}, [pact("w", 2, 20)])
    # Shares 0.6, 0.2, 0.2: 4 · Σ p² (1 − p).
    expected = 4 * (0.36 * 0.4 + 2 * 0.04 * 0.8)
    assert of(story, "polarization") == pytest.approx(expected)
    assert of(story, "polarization", alpha=1.5) == pytest.approx(
        2**2.5 * (0.6**2.5 * 0.4 + 2 * 0.2**2.5 * 0.8)
    )
    assert of(story, "modularity") == pytest.approx(0)  # one bloc holds all the pacts


def test_nobody_and_everybody():
    alone = Story((1985, 1985), SIX)
    assert np.isnan(of(alone, "modularity"))  # no pact: no blocs to speak of
    assert of(alone, "polarization") == pytest.approx(4 * 6 * (1 / 6) ** 2 * (5 / 6))
    together = Story((1985, 1985), SIX, [pact("all", *SIX)])
    assert of(together, "modularity") == pytest.approx(0)
    assert of(together, "polarization") == pytest.approx(0)


def test_missing_capability_is_left_out_of_the_shares():
    world = TWO_BLOCS.world()
    world["capability"][0, 5] = np.nan  # 365: shares 3/5 and 2/5
    got = float(get_feature("polarization")(world)[0])
    assert got == pytest.approx(4 * (0.36 * 0.4 + 0.16 * 0.6))
    world["capability"][0, :] = np.nan
    assert np.isnan(get_feature("polarization")(world)).all()


@given(seed=seeds)
@settings(max_examples=15, deadline=None)
def test_modularity_of_the_blocs_against_networkx(seed):
    world = random_world(seed, first=1991)
    found = get_feature("modularity")(world).to_numpy()
    _, label = blocs(world)
    owes = world["obligations"].sel(obligation="defense").to_numpy()
    covered = world["obligation_covered"].to_numpy()
    for s in range(len(found)):
        graph = nx.from_numpy_array(owes[s] | owes[s].T)
        if not covered[s] or not graph.number_of_edges():
            assert np.isnan(found[s])
            continue
        parts = [set(np.flatnonzero(label[s] == b).tolist()) for b in np.unique(label[s])]
        expected = nx.community.modularity(graph, parts)
        assert found[s] == pytest.approx(expected, abs=1e-6)


def found_in(edges: np.ndarray) -> list[int]:
    upper = edges[np.triu_indices(len(edges), k=1)]
    return list(communities(np.packbits(upper).tobytes(), len(edges)))


def matrix(graph: nx.Graph) -> np.ndarray:
    return nx.to_numpy_array(graph, nodelist=sorted(graph)) > 0


def test_communities_of_known_graphs():
    assert found_in(matrix(nx.barbell_graph(5, 0))) == [0] * 5 + [1] * 5
    ring = nx.convert_node_labels_to_integers(nx.ring_of_cliques(6, 5))
    assert found_in(matrix(ring)) == [clique for clique in range(6) for _ in range(5)]
    assert found_in(np.zeros((3, 3), dtype=bool)) == [0, 1, 2]
    assert found_in(np.zeros((0, 0), dtype=bool)) == []
    edges = np.zeros((4, 4), dtype=bool)
    edges[1, 3] = edges[3, 1] = True
    assert found_in(edges) == [0, 1, 2, 1]  # nodes alone are communities of their own
    assert found_in(~np.eye(30, dtype=bool)) == [0] * 30


def test_communities_of_a_known_network():
    """Zachary's karate club: the best partition has modularity 0.4198 (Brandes et al. 2008)."""
    graph = nx.karate_club_graph()
    label = np.array(found_in(matrix(graph)))
    parts = [set(np.flatnonzero(label == b).tolist()) for b in np.unique(label)]
    assert nx.community.modularity(graph, parts, weight=None) > 0.415


def test_the_same_every_time():
    world = random_world(7)
    first = get_feature("modularity")(world).to_numpy()
    communities.cache_clear()
    np.testing.assert_array_equal(get_feature("modularity")(world).to_numpy(), first)


def test_regional_inclusion():
    regions = {2: "Americas", 20: "Americas", 200: "Europe", 290: "Europe", 310: "Europe",
               365: "Europe", 900: "Oceania"}  # fmt: skip
    story = Story(
        (1985, 1985),
        {**SIX, 900: 0.1, 380: (0.1, 1990, 9999)},
        [
            pact("nato", 2, 20, 200),
            pact("warsaw", 290, 310, 365),
            pact("pair", 200, 290),
            pact("talk", 200, 290, 310, 365, terms=NONAGGRESSION),
            pact("anzus", 2, 900),
        ],
        regions={**regions, 380: "Europe"},
    )
    assert of(story, "regional_inclusion", 2) == 1  # Canada is all the rest of the Americas
    assert of(story, "regional_inclusion", 310) == pytest.approx(2 / 3)
    assert of(story, "regional_inclusion", 290) == pytest.approx(2 / 3)  # the larger of its two
    assert of(story, "regional_inclusion", 200) == pytest.approx(1 / 3)
    assert np.isnan(of(story, "regional_inclusion", 900))  # nobody else in its region
    bare = Story((1985, 1985), SIX, regions=regions)
    assert of(bare, "regional_inclusion", 310) == 0


@given(seed=seeds)
@settings(max_examples=10, deadline=None)
def test_regional_inclusion_against_sets(seed):
    world = random_world(seed, first=1991, gaps=False)
    found = get_feature("regional_inclusion")(world).to_numpy()
    region, member = world["region"].to_numpy(), world["member"].to_numpy()
    party = world["treaty_member"].to_numpy()
    owed = world["treaty_pledge"].sel(obligation="defense").to_numpy().any(axis=2)
    y = int(np.random.default_rng(seed).integers(len(member)))
    for i in np.flatnonzero(member[y]):
        others = {k for k in np.flatnonzero(member[y]) if k != i and region[k] == region[i]}
        if not others:
            assert np.isnan(found[y, i])
            continue
        shares = [
            len(others & set(np.flatnonzero(party[y, p]))) / len(others)
            for p in range(party.shape[1])
            if owed[y, p] and party[y, p, i]
        ]
        assert found[y, i] == pytest.approx(max(shares, default=0))


def test_bad_options():
    for alpha in (0.5, 2.0, float("nan")):
        with pytest.raises(ArgumentError, match=r"alpha must be from 1 to 1\.6"):
            get_feature("polarization")(TWO_BLOCS.world(), alpha=alpha)
