"""Where a scenario's difference comes from: own alliances and contagion, held exactly."""

from __future__ import annotations

import numpy as np
import pytest

from forecast.inference.fit import Fit
from forecast.simulation.apply import apply_scenario
from forecast.simulation.comparison import Split, edited_pairs, same_years, split
from forecast.simulation.engine import Paths, cumulative, own_hazard, simulate_paths
from forecast.simulation.future import Future, prepare_future
from forecast.simulation.paired import StatusQuo, status_quo
from forecast.simulation.predictor import Coefficients
from forecast.simulation.scenario import Scenario
from forecast.simulation.simulate import simulate

HORIZON, DRAWS, SEED = 4, 60, 3
UKRAINE = Scenario("Ukraine").join("NATO", ["UKR"], 2026)


def worlds(fit: Fit, scenario: Scenario) -> tuple[StatusQuo, Future, Paths, Split]:
    now = status_quo(fit, horizon=HORIZON, draws=DRAWS, seed=SEED)
    assert fit.panel.tables is not None
    origin = now.record.origin
    edited = apply_scenario(
        fit.panel.tables, scenario, first_year=origin + 1, last_year=origin + HORIZON
    )
    options = {"origin": origin, "horizon": HORIZON, "paths": 8, "seed": SEED}
    future = prepare_future(fit, edited, rows=now.future.rows, **options)
    world = (now.record, Coefficients(fit, draws=DRAWS, seed=SEED), now.endings)
    then = simulate_paths(fit, future, *world, seed=SEED)
    pairs = edited_pairs(now.future, future, now.record)
    whole = then.cumulative() - now.paths.cumulative()
    return now, future, then, split(fit, future, *world, now=now.paths, whole=whole, edited=pairs)


@pytest.fixture(scope="module")
def ukraine(known_fit: Fit) -> tuple[StatusQuo, Future, Paths, Split]:
    return worlds(known_fit, UKRAINE)


def test_the_parts_add_up_to_the_whole_in_every_draw(
    ukraine: tuple[StatusQuo, Future, Paths, Split],
) -> None:
    now, _, then, parts = ukraine
    whole = then.cumulative()[:, parts.rows] - now.paths.cumulative()[:, parts.rows]
    assert parts.rows.size > 100
    assert np.abs(parts.own).max() > 1e-3
    assert np.abs(parts.contagion).max() > 1e-3
    # Single precision: a unit in the last place of a probability.
    np.testing.assert_allclose(parts.own + parts.contagion, whole, rtol=0, atol=2.5e-7)


def test_without_other_edits_the_replayed_world_gives_the_same_hazards(
    known_fit: Fit, ukraine: tuple[StatusQuo, Future, Paths, Split]
) -> None:
    """The world of the status quo is rebuilt from its onsets and ends, not simulated anew."""
    now, *_ = ukraine
    rows = np.arange(now.record.a.size)
    coefficients = Coefficients(known_fit, draws=DRAWS, seed=SEED)
    found = own_hazard(
        known_fit, now.future, now.record, coefficients, now.endings, world=now.paths, rows=rows
    )
    np.testing.assert_allclose(found, now.paths.hazard, rtol=1e-4, atol=1e-8)


def test_years_before_an_edit_acts_are_those_of_the_status_quo(
    known_fit: Fit, ukraine: tuple[StatusQuo, Future, Paths, Split]
) -> None:
    """Taken from it or simulated anew, the scenario is the same to the last bit."""
    now, future, then, parts = ukraine
    world = (now.record, Coefficients(known_fit, draws=DRAWS, seed=SEED), now.endings)
    years = same_years(parts.edited)
    assert years == 1
    quick = simulate_paths(known_fit, future, *world, seed=SEED, same=(now.paths, years))
    for name in ("annual", "hazard", "onsets"):
        np.testing.assert_array_equal(getattr(quick, name), getattr(then, name))
    assert all((one != other).nnz == 0 for one, other in zip(quick.going, then.going, strict=True))


def test_a_pair_without_an_edit_has_contagion_only(
    known_fit: Fit, ukraine: tuple[StatusQuo, Future, Paths, Split]
) -> None:
    now, future, then, parts = ukraine
    edited = edited_pairs(now.future, future, now.record).any(axis=0)
    assert np.array_equal(np.flatnonzero(edited), parts.rows)
    result = simulate(known_fit, UKRAINE, horizon=HORIZON, draws=DRAWS, seed=SEED)
    rest = result.isel(dyad=~edited)
    assert not rest["difference_parts"].sel(source="own").to_numpy().any()
    np.testing.assert_array_equal(
        rest["difference_parts"].sel(source="contagion"),
        rest["cumulative_risk"].sel(world="difference"),
    )
    whole = then.cumulative() - now.paths.cumulative()
    assert np.abs(whole[:, ~edited]).max() > 0, "contagion reaches pairs without an edit"


def test_means_of_the_parts_add_up_in_the_result(known_fit: Fit) -> None:
    result = simulate(known_fit, UKRAINE, horizon=HORIZON, draws=DRAWS, seed=SEED)
    parts = result["difference_parts"].sel(estimate="mean").sum("source")
    whole = result["cumulative_risk"].sel(world="difference", estimate="mean", drop=True)
    np.testing.assert_allclose(parts, whole, rtol=0, atol=1e-7)
    bounds = result["difference_parts"]
    assert bool((bounds.sel(estimate="lower") <= bounds.sel(estimate="upper")).all())


def test_in_the_first_year_that_an_edit_acts_nothing_has_spread(
    ukraine: tuple[StatusQuo, Future, Paths, Split],
) -> None:
    """Disputes of others differ only once a year was simulated under the edit."""
    now, _, then, parts = ukraine
    first = parts.first_year(now.record.origin)
    assert first is not None
    h = first - now.record.origin - 1
    np.testing.assert_allclose(parts.contagion[h], 0.0, atol=1e-5)
    np.testing.assert_array_equal(then.onsets[:h], now.paths.onsets[:h])
    assert np.abs(parts.contagion[-1]).max() > 1e-3


def test_cumulative_is_one_less_the_product_of_survival() -> None:
    hazard = np.array([[[0.5, 0.0]], [[0.5, 1.0]]], dtype=np.float32)
    np.testing.assert_allclose(cumulative(hazard)[:, 0], [[0.5, 0.0], [0.75, 1.0]], rtol=1e-6)


@pytest.mark.parametrize(
    ("scenario", "first"),
    [
        (Scenario("x").join("NATO", ["UKR"], 2026), 2027),
        (Scenario("x").join("NATO", ["UKR"], "2026-12-31"), 2027),
        (Scenario("x").leave("NATO", ["USA"], 2027), 2028),
        # It was bound on some day of 2027, which is what the features of 2028 see.
        (Scenario("x").leave("NATO", ["USA"], "2027-06-01"), 2029),
        (Scenario("x").join("NATO", ["UKR"], 2028), None),
    ],
)
def test_the_first_year_is_one_later_than_the_edit(
    known_fit: Fit, scenario: Scenario, first: int | None
) -> None:
    horizon = 4 if first == 2029 else 3
    result = simulate(known_fit, scenario, horizon=horizon, draws=20)
    assert result.attrs["first_year"] == first
    difference = result["cumulative_risk"].sel(world="difference", estimate="mean")
    years = result["year"].to_numpy()
    moved = np.abs(difference).max("dyad").to_numpy() > 0
    expected = np.zeros_like(moved) if first is None else years >= first
    assert moved.tolist() == expected.tolist()
    said = "change no feature of any pair by 2028" if first is None else f"act from {first} on"
    assert said in result.attrs["timing"]
