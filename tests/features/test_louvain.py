"""Communities: known graphs, and modularity no worse than networkx finds."""

import networkx as nx
import numpy as np
import pytest

from forecast.features.louvain import louvain


def matrix(graph: nx.Graph) -> np.ndarray:
    return nx.to_numpy_array(graph, nodelist=sorted(graph)) > 0


def modularity(edges: np.ndarray, label: np.ndarray) -> float:
    """As networkx's, which the tests of the features compare."""
    bloc = (label[:, None] == np.unique(label)).astype(float)
    ends = edges.sum(axis=1)
    inside = np.diagonal(bloc.T @ edges.astype(float) @ bloc)
    return float((inside / ends.sum() - (ends @ bloc / ends.sum()) ** 2).sum())


def test_two_cliques_and_a_bridge():
    graph = nx.barbell_graph(5, 0)
    assert louvain(matrix(graph)).tolist() == [0] * 5 + [1] * 5


def test_a_ring_of_cliques():
    graph = nx.convert_node_labels_to_integers(nx.ring_of_cliques(6, 5))
    assert louvain(matrix(graph)).tolist() == [clique for clique in range(6) for _ in range(5)]


def test_no_edges_and_nodes_alone():
    assert louvain(np.zeros((3, 3), dtype=bool)).tolist() == [0, 1, 2]
    assert louvain(np.zeros((0, 0), dtype=bool)).tolist() == []
    edges = np.zeros((4, 4), dtype=bool)
    edges[1, 3] = edges[3, 1] = True
    assert louvain(edges).tolist() == [0, 1, 2, 1]


def test_one_clique_is_one_community():
    assert (louvain(~np.eye(30, dtype=bool)) == 0).all()


def test_a_known_network():
    """Zachary's karate club: the best partition has modularity 0.4198 (Brandes et al. 2008)."""
    graph = nx.karate_club_graph()
    assert modularity(matrix(graph), louvain(matrix(graph))) > 0.415


@pytest.mark.parametrize("seed", range(12))
def test_modularity_against_networkx(seed):
    """Overlapping pacts: cliques of random members."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(10, 80))
    edges = np.zeros((n, n), dtype=bool)
    for _ in range(int(rng.integers(2, 15))):
        inside = rng.choice(n, int(rng.integers(2, max(3, n // 4))), replace=False)
        edges[np.ix_(inside, inside)] = True
    np.fill_diagonal(edges, False)
    graph = nx.from_numpy_array(edges)
    label = louvain(edges)
    found = modularity(edges, label)
    theirs = nx.community.louvain_communities(graph, weight=None, seed=1)
    assert found >= nx.community.modularity(graph, theirs) - 0.02
    # No single node gains by moving: what the method promises.
    for node in range(n):
        for other in np.unique(label):
            moved = label.copy()
            moved[node] = other
            assert modularity(edges, moved) <= found + 1e-9
