from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest

from forecast.inference.fit import Fit
from forecast.simulation.dynamics import Track
from forecast.simulation.joint import Joint, any_begins, none_begins, sizes_on_record, weight_of
from forecast.simulation.paired import StatusQuo, status_quo
from forecast.sources.tables import Tables

DRAWS = 40_000


@pytest.fixture(scope="module")
def now(known_fit: Fit) -> StatusQuo:
    return status_quo(known_fit, horizon=3, draws=None, seed=9)


def begun(p: np.ndarray, hub: list[int], weight: float) -> np.ndarray:
    """Onsets of one simulated year, (pairs, draws)."""
    joint = Joint(np.array(hub, np.int32), np.full(DRAWS, weight, np.float32), states=max(hub) + 1)
    quiet = np.zeros((p.size, 1), dtype=np.int16)
    track = Track(quiet > 0, quiet, quiet, quiet)
    stays, severe = np.zeros((2, DRAWS), np.float32), np.zeros(DRAWS, np.float32)
    risk = np.repeat(p.astype(np.float32)[:, None], DRAWS, axis=1)
    together = (joint.numbers(3, 0), joint)
    track.step(risk, stays, severe, np.random.default_rng(8), together)
    return track.onsets[0]


@pytest.mark.parametrize("weight", [0.0, 0.35, 1.0])
def test_the_probability_of_each_pair_is_what_it_was(weight: float) -> None:
    p = np.array([0.3, 0.1, 0.03, 0.1, 0.3])
    onset = begun(p, [0, 0, 0, 1, 1], weight)
    error = np.sqrt(p * (1 - p) / DRAWS)
    assert (np.abs(onset.mean(axis=1) - p) < 4 * error).all()


def test_pairs_of_a_hub_begin_together_and_others_do_not() -> None:
    onset = begun(np.array([0.1, 0.1, 0.1]), [0, 0, 1], 0.5)
    both = [(onset[i] & onset[j]).mean() for i, j in ((0, 1), (0, 2))]
    # Both by the shared number: .25 · .1; otherwise apart.
    assert both[0] == pytest.approx(0.25 * 0.1 + 0.75 * 0.01, abs=0.004)
    assert both[1] == pytest.approx(0.01, abs=0.002)


@pytest.mark.parametrize("weight", [0.2, 0.9])
def test_none_begins_as_often_as_in_simulated_worlds(weight: float) -> None:
    p, hub = np.array([0.2, 0.05, 0.1, 0.02, 0.1, 0.3]), [0, 0, 0, 1, 1, 2]
    exact = none_begins(p[:, None], np.array(hub), np.array([weight], np.float32))
    assert exact[0] == pytest.approx((~begun(p, hub, weight).any(axis=0)).mean(), abs=0.01)


def test_none_begins_at_the_ends() -> None:
    p, hub = np.array([[0.2], [0.05], [0.1]]), np.zeros(3, int)
    apart, as_one = (none_begins(p, hub, np.array([w], np.float32))[0] for w in (0, 1))
    assert apart == pytest.approx(0.8 * 0.95 * 0.9, rel=1e-12)
    assert as_one == pytest.approx(0.8, rel=1e-12)
    small = none_begins(np.array([[1e-9]]), np.zeros(1, int), np.array([0.4], np.float32))
    assert 1 - small[0] == pytest.approx(1e-9, rel=1e-6)


def test_the_weight_gives_the_share_that_is_on_record() -> None:
    p, hub = np.array([0.2, 0.1, 0.1, 0.1, 0.05, 0.3, 0.2]), [0, 0, 0, 0, 0, 1, 1]
    weight = float(weight_of(np.array([0.15]), p[:, None].astype(np.float32), np.array(hub))[0])
    # By hand: pairs of a hub that decide by its number, where that number lies below theirs.
    rng = np.random.default_rng(2)
    at_hub, shared = rng.random((7, DRAWS)) < weight, rng.random((2, DRAWS))
    begin = at_hub & (shared[hub] < p[:, None])
    number = np.stack([begin[:5].sum(axis=0), begin[5:].sum(axis=0)])
    assert number[number > 1].sum() / (p.sum() * DRAWS) == pytest.approx(0.15, abs=0.008)
    ends = weight_of(np.array([0.0, 1.0]), p[:, None].astype(np.float32), np.array(hub))
    assert ends.tolist() == [0.0, 1.0]


def test_conflicts_after_the_origin_say_nothing() -> None:
    table = pd.DataFrame(
        {
            "conflict_id": ["x", "x", "x", "y", "y", "z"],
            "ccode_a": [2, 2, 2, 2, 200, 2],
            "ccode_b": [630, 640, 645, 365, 365, 710],
            "start": pd.to_datetime(
                ["1990-01-02", "1990-05-01", "1991-01-01", "1992-01-01", "1992-03-01", "1980-01-01"]
            ),
        }
    )
    tables = cast("Tables", cast("Any", SimpleNamespace(conflicts=table)))
    assert sorted(sizes_on_record(tables, 1991)) == [1, 1, 2]
    assert sorted(sizes_on_record(tables, 1992)) == [1, 1, 2, 2]


def test_a_simulation_uses_the_share_on_record(now: StatusQuo, tables: Tables) -> None:
    sizes = sizes_on_record(tables, 2025)
    share = sizes[sizes > 1].sum() / sizes.sum()
    assert 0.15 < share < 0.25
    joint = now.paths.joint
    expected = weight_of(np.array([share]), now.paths.annual[0][:, ::4], joint.hub)
    assert joint.weight.mean() == pytest.approx(expected[0], abs=0.03)
    assert 0 < joint.weight.std() < 0.1
    # The hub of a pair is the one of its states with more onsets to expect.
    mean, record = now.paths.annual[0].mean(axis=1), now.record
    for row in (0, 50, 500):
        other = record.a[row] + record.b[row] - joint.hub[row]
        of = [mean[(record.a == s) | (record.b == s)].sum() for s in (joint.hub[row], other)]
        assert of[0] >= of[1]


def test_of_one_pair_it_is_the_pairs_own_probability(now: StatusQuo) -> None:
    row = int(now.paths.annual[0].mean(axis=1).argmax())
    paths = now.paths
    only = (paths.hazard[:, [row]], paths.onsets[:, [row]], paths.joint.hub[[row]])
    found = any_begins(*only, paths.joint.weight)
    np.testing.assert_allclose(found, paths.cumulative()[:, row], rtol=1e-5)


def test_any_begins_as_often_as_in_the_simulated_worlds(known_fit: Fit) -> None:
    found, counted, apart = [], [], []
    for seed in range(4):
        now = status_quo(known_fit, horizon=3, draws=None, seed=seed)
        paths, record = now.paths, now.record
        mean = paths.annual[0].mean(axis=1)
        of_state = sum(np.bincount(s, mean, record.states) for s in (record.a, record.b))
        for state in np.argsort(-of_state)[[0, 3, 10]]:
            at = np.flatnonzero((record.a == state) | (record.b == state))
            pairs = (paths.hazard[:, at], paths.onsets[:, at], paths.joint.hub[at])
            found.append(any_begins(*pairs, paths.joint.weight).mean(axis=1))
            apart.append(any_begins(*pairs, np.zeros_like(paths.joint.weight)).mean(axis=1))
            counted.append([paths.onsets[:h, at].any(axis=(0, 1)).mean() for h in (1, 2, 3)])
    exact, worlds, independent = (
        np.reshape(values, (4, 3, 3)).mean(axis=0) for values in (found, counted, apart)
    )
    error = np.sqrt(worlds * (1 - worlds) / (4 * paths.onsets.shape[2]))
    assert (np.abs(exact - worlds) < 4 * error + 1e-3).all()
    assert (independent > exact).all()


def test_no_conflict_with_several_pairs_means_none_together(now: StatusQuo) -> None:
    paths, record = now.paths, now.record
    sides = (record.a, record.b)
    for sizes in (np.ones(9, dtype=np.int64), np.zeros(0, dtype=np.int64)):
        joint = Joint.of(paths.annual[0], sides, states=record.states, sizes=sizes, seed=1)
        assert (joint.weight == 0).all()
    assert (replace(paths.joint, states=3).numbers(1, 2).shape) == (3, paths.joint.weight.size)
