"""Scores: errors first, then literal reference values, then independent implementations."""

import numpy as np
import pytest
import scoringrules
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from forecast.errors import ArgumentError
from forecast.evaluation import scores

Y = [0, 0, 1, 1]
P = [0.1, 0.4, 0.35, 0.8]


@pytest.mark.parametrize(
    ("outcome", "probability", "message"),
    [
        ([0, np.nan], [0.1, 0.2], "`outcome` holds nan at index 1"),
        ([0, 1], [0.1, np.nan], "`probability` holds nan at index 1"),
        ([0, 2], [0.1, 0.2], "must be 0 or 1, found 2.0 at index 1"),
        ([0, 1], [0.1, 1.2], r"must lie in \[0, 1\], found 1.2 at index 1"),
        ([0, 1], [0.1], "2 rows but `probability` has 1"),
        ([], [], "is empty"),
        ([[0, 1]], [[0.1, 0.2]], "1 dimension"),
    ],
)
@pytest.mark.parametrize(
    "score", [scores.log_loss, scores.brier_score, scores.area_under_roc, scores.average_precision]
)
def test_invalid_input_is_refused_by_every_score(score, outcome, probability, message):
    with pytest.raises(ArgumentError, match=message):
        score(outcome, probability)


def test_infinite_log_loss_is_an_error_without_a_clip():
    with pytest.raises(ArgumentError, match=r"Row 1 was given probability 0 and came out 1"):
        scores.log_loss([0, 1], [0.0, 0.0], clip=0.0)
    with pytest.raises(ArgumentError, match="`clip` must lie in"):
        scores.log_loss([0, 1], [0.5, 0.5], clip=0.5)


def test_log_loss_states_and_counts_its_clip():
    result = scores.log_loss([1, 0, 1], [0.0, 0.0, 0.5], clip=1e-3)
    assert result.clip == 1e-3
    assert result.clipped == 2
    assert result.would_be_infinite == 1
    expected = (-np.log(1e-3) - np.log(1 - 1e-3) + np.log(2)) / 3
    assert result.value == pytest.approx(expected)


def test_literal_values():
    assert scores.log_loss(Y, P).value == pytest.approx(0.4722879)
    assert scores.log_loss(Y, P).clipped == 0
    assert scores.brier_score(Y, P) == pytest.approx(0.158125)
    assert scores.area_under_roc(Y, P) == pytest.approx(0.75)
    assert scores.average_precision(Y, P) == pytest.approx(0.8333333)


def test_constant_forecast_ranks_nothing():
    y = [1, 0, 0, 0]
    assert scores.area_under_roc(y, [0.3] * 4) == 0.5
    assert scores.average_precision(y, [0.3] * 4) == 0.25


@pytest.mark.parametrize("value", [0, 1])
def test_one_class(value):
    y = [value] * 3
    p = [0.2, 0.2, 0.7]
    assert np.isnan(scores.area_under_roc(y, p))
    precision = scores.average_precision(y, p)
    assert np.isnan(precision) if value == 0 else precision == pytest.approx(1.0)
    assert np.isfinite(scores.log_loss(y, p).value)


def test_skill():
    assert scores.skill(0.08, 0.1) == pytest.approx(0.2)
    assert scores.skill(0.2, 0.1) == pytest.approx(-1.0)
    assert np.isnan(scores.skill(0.0, 0.0))


@given(st.integers(0, 10_000), st.integers(5, 60), st.sampled_from([2, 5, 1000]))
@settings(max_examples=60, deadline=None)
def test_agrees_with_scikit_learn_and_scoringrules(seed, n, steps):
    """`steps` coarse values make ties."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    y[:2] = [0, 1]
    p = rng.integers(0, steps + 1, n) / (steps + 1) + 1e-4
    assert scores.area_under_roc(y, p) == pytest.approx(sk.roc_auc_score(y, p))
    assert scores.average_precision(y, p) == pytest.approx(sk.average_precision_score(y, p))
    assert scores.log_loss(y, p).value == pytest.approx(sk.log_loss(y, p))
    assert scores.brier_score(y, p) == pytest.approx(np.mean(scoringrules.brier_score(y, p)))


def test_crps_agrees_with_scoringrules():
    rng = np.random.default_rng(4)
    draws = rng.poisson(4.0, size=(50, 7))
    observed = rng.poisson(4.0, size=7)
    expected = scoringrules.crps_ensemble(observed, draws.T, estimator="nrg")
    assert scores.crps_counts(observed, draws) == pytest.approx(expected)


def test_crps_literal_values_and_errors():
    # |x-y| = 1, 1; |x-x'| = 2 on half of the pairs: 1 - 0.5 * 1 = 0.5
    assert scores.crps_counts([1], [[0], [2]]) == pytest.approx([0.5])
    assert scores.crps_counts([1], [[3]]) == pytest.approx([2.0])
    with pytest.raises(ArgumentError, match=r"shape \(draws, 2\)"):
        scores.crps_counts([1, 2], [[3], [2]])


def test_interval_score():
    y, low, high = [1.0, 5.0, 9.0], [2.0, 4.0, 4.0], [6.0, 6.0, 6.0]
    expected = [4 + 2 / 0.1 * 1, 2.0, 2 + 2 / 0.1 * 3]
    assert scores.interval_score(y, low, high, level=0.9) == pytest.approx(expected)
    assert scores.interval_score(y, low, high, level=0.9) == pytest.approx(
        scoringrules.interval_score(np.array(y), np.array(low), np.array(high), 0.1)
    )
    with pytest.raises(ArgumentError, match="`lower` is above `upper` at index 0"):
        scores.interval_score([1.0], [2.0], [0.0], level=0.9)
    with pytest.raises(ArgumentError, match="level="):
        scores.interval_score(y, low, high, level=1.0)


def test_score_forecasts_is_one_row_with_skill():
    row = scores.score_forecasts(Y, P, reference=[0.5] * 4)
    assert row["rows"] == 4
    assert row["events"] == 2
    assert row["expected"] == pytest.approx(1.65)
    assert row["brier_skill"] == pytest.approx(1 - 0.158125 / 0.25)
    assert row["log_loss_skill"] == pytest.approx(1 - 0.4722879 / np.log(2))
