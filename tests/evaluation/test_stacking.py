"""Stacking: weights from earlier forecast years only, and better than any member."""

import numpy as np
import pytest
from scipy.special import expit, logit

from forecast.errors import UnknownNameError
from forecast.evaluation.backtest import BacktestPlan, backtest
from forecast.evaluation.calibration import recalibrate
from forecast.evaluation.recalibration import rolling_stack, stack_name
from forecast.evaluation.scores import log_loss


@pytest.fixture
def forecasts(rng):
    """Two methods that know one half of what matters each, over 30 years."""
    year = np.repeat(np.arange(1970, 2000), 300)
    one, two = rng.normal(size=(2, year.size))
    y = (rng.uniform(size=year.size) < expit(-2.0 + one + two)).astype(float)
    return year, y, {"one": expit(-1.6 + one), "two": expit(-1.6 + two)}


def stacked(pool, year, members):
    one, two = members.values()
    made = [pool.apply(t, [two[year == t]], one[year == t]) for t in np.unique(year)]
    return np.concatenate(made)


def test_a_stack_of_two_halves_beats_both(forecasts):
    year, y, members = forecasts
    pool = rolling_stack(year, year, y, members)
    late = year >= 1985
    loss = log_loss(y[late], stacked(pool, year, members)[late]).value
    alone = [log_loss(y[late], p[late]).value for p in members.values()]
    assert loss < min(alone) - 0.01
    last = pool.lines.loc[1999]
    # Of logits that add up: nearly one each, held back a little towards a half.
    assert last["one"] == pytest.approx(1.0, abs=0.15)
    assert last["two"] == pytest.approx(1.0, abs=0.15)
    assert last["rows"] == 29 * 300


def test_outcomes_of_the_origin_or_later_change_nothing(forecasts):
    year, y, members = forecasts
    first = rolling_stack(year, year, y, members).lines.loc[:1990]
    other = np.where(year >= 1990, 1 - y, y)
    again = rolling_stack(year, year, other, members).lines.loc[:1990]
    assert first.equals(again)


def test_the_first_member_stays_alone_until_ten_years_are_on_record(forecasts):
    year, y, members = forecasts
    pool = rolling_stack(year, year, y, members)
    assert pool.lines.loc[1979, "remark"] == "9 earlier forecast years, 10 needed: one alone"
    assert pool.lines.loc[1979, ["intercept", "one", "two"]].tolist() == [0.0, 1.0, 0.0]
    assert pool.lines.loc[1980, "remark"] == ""
    np.testing.assert_array_equal(
        pool.apply(1975, [members["two"]], members["one"]), members["one"]
    )


def test_a_stack_of_one_is_a_recalibration(forecasts):
    year, y, members = forecasts
    line = rolling_stack(year, year, y, {"one": members["one"]}).lines.loc[1999]
    by_hand = recalibrate(y[year < 1999], members["one"][year < 1999])
    assert line["one"] == pytest.approx(by_hand.slope, abs=0.02)
    assert line["intercept"] == pytest.approx(by_hand.intercept, abs=0.03)


def test_draws_of_the_first_member_are_moved_one_by_one(forecasts):
    year, y, members = forecasts
    pool = rolling_stack(year, year, y, members)
    draws = expit(logit(members["one"][:7]) + np.array([[-0.5], [0.0], [0.5]]))
    moved = pool.apply(1995, [members["two"][:7]], draws)
    assert moved.shape == (3, 7)
    assert (np.diff(moved, axis=0) > 0).all()
    middle = pool.apply(1995, [members["two"][:7]], members["one"][:7])
    np.testing.assert_allclose(moved[1], middle)


def test_only_methods_of_the_backtest_can_be_stacked(panel):
    with pytest.raises(UnknownNameError, match=r"'histori'.*Did you mean 'history'"):
        backtest(
            BacktestPlan(
                model="dyad_onset", origins=[2000], seed=1, baselines=["history"], stack=["histori"]
            ),
            panel,
        )


def test_its_name_says_what_is_in_it():
    assert stack_name(["model", "boosting"]) == "model + boosting"
