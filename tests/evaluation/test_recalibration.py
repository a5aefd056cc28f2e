"""Rolling recalibration: learnt from earlier forecast years only, by hand where it can be."""

import numpy as np
import pytest
from scipy.special import expit, logit

from forecast.errors import ArgumentError
from forecast.evaluation.calibration import recalibrate
from forecast.evaluation.recalibration import rolling_recalibration


@pytest.fixture
def forecasts(rng):
    """Forecasts of 30 years whose log odds are too extreme by half and too high by one."""
    year = np.repeat(np.arange(1970, 2000), 200)
    truth = rng.normal(-2.0, 1.0, year.size)
    y = (rng.uniform(size=year.size) < expit(truth)).astype(float)
    return year, y, expit(1.5 * truth + 1.0)


def test_line_of_an_origin_is_that_of_the_years_before_it(forecasts):
    year, y, p = forecasts
    found = rolling_recalibration(year, year, y, p, years=15).lines
    past = (year >= 1975) & (year < 1990)
    by_hand = recalibrate(y[past], p[past])
    assert found.loc[1990, ["first", "last", "rows"]].tolist() == [1975, 1989, 15 * 200]
    assert found.loc[1990, "intercept"] == by_hand.intercept
    assert found.loc[1990, "slope"] == by_hand.slope
    assert found.loc[1999, "slope"] == pytest.approx(1 / 1.5, abs=0.1)


def test_forecasts_stay_raw_until_ten_years_are_on_record(forecasts):
    year, y, p = forecasts
    found = rolling_recalibration(year, year, y, p, years=15)
    early = found.lines.loc[:1979]
    assert (early["intercept"] == 0).all()
    assert (early["slope"] == 1).all()
    assert early.loc[1979, "remark"] == "9 earlier forecast years, 10 needed: left raw"
    assert found.lines.loc[1980, "remark"] == ""
    np.testing.assert_array_equal(found.apply(1979, p), p)


def test_outcomes_of_the_origin_or_later_change_nothing(forecasts):
    year, y, p = forecasts
    first = rolling_recalibration(year, year, y, p, years=15).lines.loc[:1990]
    other = np.where(year >= 1990, 1 - y, y)
    again = rolling_recalibration(year, year, other, p, years=15).lines.loc[:1990]
    np.testing.assert_array_equal(first[["intercept", "slope"]], again[["intercept", "slope"]])


def test_at_a_longer_horizon_only_known_outcomes_count(forecasts):
    """An origin at horizon 3 forecasts two years later; the outcome of that year is not known."""
    year, y, p = forecasts
    origin = year - 2
    found = rolling_recalibration(origin, year, y, p, years=15).lines
    assert found.loc[1990, ["first", "last"]].tolist() == [1975, 1989]
    assert found.loc[1968, "rows"] == 0


def test_applied_to_draws_and_missing_forecasts(forecasts):
    year, y, p = forecasts
    found = rolling_recalibration(year, year, y, p, years=15)
    line = found.lines.loc[1995]
    draws = np.array([[0.1, np.nan], [0.3, 0.0]])
    moved = found.apply(1995, draws)
    expected = expit(line["intercept"] + line["slope"] * logit(0.3))
    assert moved[1, 0] == pytest.approx(expected)
    assert np.isnan(moved[0, 1])
    assert 0 < moved[1, 1] < 1e-4


def test_one_class_is_left_raw_and_too_few_years_are_refused(forecasts):
    year, y, p = forecasts
    none = rolling_recalibration(year, year, np.zeros_like(y), p, years=15).lines
    assert "needs events" in none.loc[1990, "remark"]
    with pytest.raises(ArgumentError, match="recalibrate=5: expected at least 10 years"):
        rolling_recalibration(year, year, y, p, years=5)
