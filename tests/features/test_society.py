"""Regimes, trade, organisations, distance: by hand, and what is missing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.feature_worlds import Story, random_world, value

from forecast.errors import ArgumentError, UnknownNameError
from forecast.features import get_feature
from forecast.features.registry import registered_features

YEAR = 2000
TABLES = {
    "polyarchy": {(YEAR, 2): 0.9, (YEAR, 200): 0.75, (YEAR, 365): 0.25},
    "polity": {(YEAR, 2): 10.0, (YEAR, 200): 6.0, (YEAR, 365): -9.0},
    "imports": {(YEAR, 2): 600.0, (YEAR, 200): 100.0, (YEAR, 365): 0.0},
    "exports": {(YEAR, 2): 400.0, (YEAR, 200): 100.0, (YEAR, 365): 0.0},
    "trade_flow": {(YEAR, 2, 200): 30.0, (YEAR, 200, 2): 20.0, (YEAR, 2, 365): 5.0,
                   (YEAR, 200, 365): 0.0, (YEAR, 365, 200): 0.0},
    "joint_igos": {(YEAR, 2, 200): 40.0, (YEAR, 2, 365): 0.0},
    "distance_km": {(YEAR, 2, 200): 5000.0, (YEAR, 200, 220): 0.0},
}  # fmt: skip
STORY = Story((1999, 2001), dict.fromkeys((2, 200, 220, 365), 0.1), extra=TABLES)
SOCIETY = [
    f.name for f in registered_features() if f.family == "society" and not f.lookback({})
] + ["distance"]
seeds = st.integers(0, 10**9)


def of(name, *codes, **options):
    return value(STORY.world(), name, YEAR, *codes, **options)


def test_regimes():
    assert of("polyarchy", 2) == np.float32(0.9)
    assert of("regime_distance", 2, 365) == pytest.approx(0.65)
    assert of("lowest_polyarchy", 365, 2) == 0.25
    assert of("joint_democracy", 2, 200) == 1
    assert of("joint_democracy", 2, 365) == 0
    assert of("joint_democracy", 2, 200, threshold=0.75) == 1  # at the threshold
    assert of("joint_democracy", 2, 200, threshold=0.76) == 0
    # 220 is not coded: missing, also next to an autocracy.
    for name in ("regime_distance", "lowest_polyarchy", "joint_democracy"):
        assert np.isnan(of(name, 2, 220)) and np.isnan(of(name, 365, 220))


def test_regime_change():
    levels = {(1999, 2): 0.9, (2000, 2): 0.9, (1999, 365): 0.6, (2000, 365): 0.25, (2000, 200): 0.7}
    world = Story((1998, 2001), STORY.states, extra={"polyarchy": levels}).world()
    assert value(world, "regime_change", YEAR, 2, window=1) == 0
    assert value(world, "regime_change", YEAR, 365, window=1) == pytest.approx(0.35)
    assert np.isnan(value(world, "regime_change", YEAR, 200, window=1))  # not coded then
    assert np.isnan(value(world, "regime_change", YEAR, 2, window=5))  # before the record
    with pytest.raises(ArgumentError, match=r"window must be .* found 0"):
        get_feature("regime_change")(world, window=0)


def test_polity_is_a_measure_of_its_own():
    assert of("polity", 365) == -9
    assert of("joint_democracy", 2, 200, measure="polity") == 1  # 6 is the usual cut
    assert of("joint_democracy", 2, 200, measure="polity", threshold=7) == 0
    assert of("joint_democracy", 2, 365, measure="polity") == 0
    assert np.isnan(of("joint_democracy", 2, 220, measure="polity"))
    # V-Dem cannot stand in for Polity, nor Polity for V-Dem.
    for there, other in (("polyarchy", "polity"), ("polity", "polyarchy")):
        world = Story(STORY.years, STORY.states, extra={there: TABLES[there]}).world()
        assert value(world, "joint_democracy", YEAR, 2, 200, measure=there) == 1
        assert np.isnan(get_feature("joint_democracy")(world, measure=other)).all()
    # Each has its own years.
    late = {"regime": (2001, 2001)}
    world = Story(STORY.years, STORY.states, extra=TABLES, covered=late).world()
    assert np.isnan(value(world, "joint_democracy", YEAR, 2, 200))
    assert value(world, "joint_democracy", YEAR, 2, 200, measure="polity") == 1


def test_trade():
    # 2 imports 30 from 200 and sells it 20, of 1000; for 200 it is 50 of 200.
    assert of("trade_dependence", 2, 200) == pytest.approx(0.05)
    assert of("trade_dependence", 200, 2) == pytest.approx(0.25)
    assert of("trade_interdependence", 2, 200) == of("trade_interdependence", 200, 2)
    assert of("trade_interdependence", 2, 200) == pytest.approx(0.05)
    # No trade with each other is 0, if there is trade at all; a flow that is not known is missing.
    assert of("trade_dependence", 200, 365) == 0
    assert np.isnan(of("trade_dependence", 365, 200))
    assert np.isnan(of("trade_dependence", 2, 365))


def test_organisations_and_distance():
    assert of("joint_igos", 2, 200) == pytest.approx(np.log(41))
    assert of("joint_igos", 2, 200, scale="count") == 40
    assert of("joint_igos", 2, 365) == 0
    assert np.isnan(of("joint_igos", 200, 365))
    assert of("distance", 200, 2) == pytest.approx(np.log(5001))
    assert of("distance", 200, 220) == 0
    assert np.isnan(of("distance", 2, 220))


@pytest.mark.parametrize("name", SOCIETY)
def test_absent_table_and_uncovered_years_are_missing(name):
    bare = Story(STORY.years, STORY.states).world()
    assert np.isnan(get_feature(name)(bare)).all()
    need = next(iter(get_feature(name).needs - {"member"}))
    covered = Story(STORY.years, STORY.states, extra=TABLES, covered={need: (2001, 2001)})
    assert np.isnan(get_feature(name)(covered.world())).all()
    assert np.isfinite(get_feature(name)(STORY.world())).any()


@given(seed=seeds)
@settings(max_examples=10, deadline=None)
def test_trade_dependence_adds_up_and_does_not_depend_on_the_currency(seed):
    world = random_world(seed, gaps=False)
    one = get_feature("trade_dependence")(world).to_numpy()
    flow = world["trade_flow"].to_numpy()
    whole = (world["imports"] + world["exports"]).to_numpy()[:, :, None]
    known = ~np.isnan(one)
    np.testing.assert_allclose(
        (one * whole)[known], (flow + flow.transpose(0, 2, 1))[known], rtol=1e-4, atol=1e-5
    )
    money = ("trade_flow", "imports", "exports")
    dearer = world.assign({name: world[name] * np.float32(7) for name in money})
    np.testing.assert_allclose(get_feature("trade_dependence")(dearer), one, rtol=1e-5)
    weak = get_feature("trade_interdependence")(world).to_numpy()
    both = known & known.transpose(0, 2, 1)
    np.testing.assert_array_equal(~np.isnan(weak), both)
    assert (weak[both] <= one[both]).all()


def test_bad_options():
    world = STORY.world()
    with pytest.raises(ArgumentError, match=r"threshold must be in \(0, 1\]; found 0"):
        get_feature("joint_democracy")(world, threshold=0)
    with pytest.raises(ArgumentError, match=r"threshold must be in \(-10, 10\]; found 11"):
        get_feature("joint_democracy")(world, measure="polity", threshold=11)
    with pytest.raises(UnknownNameError, match="Did you mean 'polity'"):
        get_feature("joint_democracy")(world, measure="polity2")
    with pytest.raises(UnknownNameError, match="Did you mean 'count'"):
        get_feature("joint_igos")(world, scale="counts")
