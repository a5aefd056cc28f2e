"""US troops hosted: by hand, the United States themselves, and what is missing."""

import numpy as np
import pytest
from support.feature_worlds import Story, value

from forecast.features import FeatureRequest, feature_arrays, get_feature

YEAR = 2000
EXTRA = {
    "us_troops": {(YEAR, 200): 0.0, (YEAR, 255): 99.0, (YEAR, 365): 1000.0},
    "host_population": {(YEAR, 2): 3e8, (YEAR, 200): 6e7, (YEAR, 255): 9.9e6},
    "host_personnel": {(YEAR, 2): 1e6, (YEAR, 255): 297.0, (YEAR, 365): 0.0},
}
STATES = dict.fromkeys((2, 200, 220, 255, 365), 0.1)
WORLD = Story((1999, 2001), STATES, extra=EXTRA).world()


def of(name, code):
    return value(WORLD, name, YEAR, code)


def test_by_hand():
    assert of("us_troops", 255) == pytest.approx(np.log(100))
    assert of("us_troops_per_capita", 255) == pytest.approx(np.log(2))
    assert of("us_troops_share", 255) == 0.25
    assert of("us_troops", 200) == of("us_troops_per_capita", 200) == 0  # known to be none
    assert of("us_troops_share", 365) == 1  # an army of none


def test_the_united_states_host_none_and_the_unknown_is_missing():
    for name in ("us_troops", "us_troops_per_capita", "us_troops_share"):
        assert of(name, 2) == 0
        assert np.isnan(of(name, 220))
    assert np.isnan(of("us_troops_per_capita", 365))  # population unknown
    assert np.isnan(of("us_troops_share", 200))


@pytest.mark.parametrize("gone", ["host_population", "host_personnel"])
def test_capabilities_without_a_size(gone):
    bare = WORLD.drop_vars(gone)
    name = {"host_population": "us_troops_per_capita", "host_personnel": "us_troops_share"}[gone]
    assert np.isnan(get_feature(name)(bare)).all()
    assert np.isfinite(get_feature("us_troops")(bare)).any()


def test_of_a_dyad_and_of_the_target():
    sides = ("b", "max", "absdiff")
    requests = [FeatureRequest(side, "us_troops", {}, side=side) for side in sides]
    found = feature_arrays(WORLD, requests)
    at = {"year": YEAR, "state": 365, "other": 255}
    challenger, target = np.log(1001), np.log(100)
    assert float(found["b"].sel(at)) == pytest.approx(target)
    assert float(found["max"].sel(at)) == pytest.approx(challenger)
    assert float(found["absdiff"].sel(at)) == pytest.approx(challenger - target)
