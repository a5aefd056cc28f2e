"""Block bootstrap: of scores and paired differences, the wider interval, its coverage."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from forecast.errors import ArgumentError
from forecast.evaluation.bootstrap import (
    WEIGHTED,
    block_bootstrap_mean,
    paired_difference,
    score_intervals,
)
from forecast.evaluation.scores import score_forecasts


def made(n=600, seed=0):
    rng = np.random.default_rng(seed)
    p = np.round(rng.beta(1, 12, n), 2)  # with ties
    p = np.clip(p, 0.005, 0.99)
    y = (rng.random(n) < p).astype(float)
    year = np.repeat(np.arange(12), n // 12)
    dyad = np.tile(np.arange(n // 12), 12)
    return y, p, year, dyad


def test_values_are_the_scores_of_the_rows():
    y, p, year, dyad = made()
    base = np.full_like(p, 0.06)
    found = score_intervals(
        y, p, blocks={"year": year, "dyad": dyad}, reference=base, seed=1, resamples=50
    )
    expected = score_forecasts(y, p, reference=base)
    assert set(found) == set(WEIGHTED)
    for name, score in found.items():
        assert score.value == pytest.approx(expected[name]), name
        assert score.lower < score.value < score.upper
        assert score.block in ("year", "dyad") and score.blocks in (12, 50)


def test_weighted_scores_are_those_of_repeated_rows():
    """Counting a row twice is the same as having it twice (scikit-learn's weights agree)."""
    y, p, *_ = made(300, seed=3)
    weight = np.random.default_rng(1).integers(0, 4, y.size)
    rows = np.repeat(np.arange(y.size), weight)
    order = np.argsort(-p, kind="stable")
    from forecast.evaluation.bootstrap import _Rows, _weighted
    from forecast.evaluation.scores import brier_rows, log_loss_rows

    base = np.full_like(p, 0.06)
    made_rows = _Rows(
        y[order], log_loss_rows(y, p)[order], brier_rows(y, p)[order],
        log_loss_rows(y, base)[order], brier_rows(y, base)[order],
        np.flatnonzero(np.diff(p[order], append=-1.0)),
    )  # fmt: skip
    expected = score_forecasts(y[rows], p[rows], reference=base[rows])
    found = _weighted(weight[order][None].astype(float), made_rows)
    for name in WEIGHTED:
        assert found[name][0] == pytest.approx(expected[name]), name
    assert expected["auc"] == pytest.approx(roc_auc_score(y, p, sample_weight=weight))
    assert expected["average_precision"] == pytest.approx(
        average_precision_score(y, p, sample_weight=weight)
    )


def test_the_interval_of_a_mean_is_that_of_the_plain_bootstrap():
    from forecast.evaluation.scores import log_loss_rows

    y, p, year, _ = made(6000)
    loss = log_loss_rows(y, p)
    plain = paired_difference(
        loss, np.zeros_like(loss), blocks={"year": year}, seed=5, level=0.95, resamples=4000
    )
    found = score_intervals(y, p, blocks={"year": year}, seed=6, level=0.95, resamples=2000)
    half = (plain.upper - plain.lower) / 2
    assert found["log_loss"].lower == pytest.approx(plain.lower, abs=0.15 * half)
    assert found["log_loss"].upper == pytest.approx(plain.upper, abs=0.15 * half)


def test_rows_that_hang_together_widen_the_interval():
    rng = np.random.default_rng(2)
    dyad = np.repeat(np.arange(60), 20)
    p = np.full(dyad.size, 0.2)
    p[::2] = 0.1999
    y = (rng.random(60) < 0.2).astype(float)[dyad]  # every year of a pair comes out alike
    shuffled = rng.permutation(dyad)
    alike = score_intervals(y, p, blocks={"dyad": dyad}, seed=1)["brier"]
    apart = score_intervals(y, p, blocks={"dyad": shuffled}, seed=1)["brier"]
    assert alike.upper - alike.lower > 2 * (apart.upper - apart.lower)


def test_degenerate_input():
    y, p, year, _ = made()
    one = score_intervals(y, p, blocks={"year": np.zeros_like(year)}, seed=1)
    assert one["auc"].block == "" and np.isnan(one["auc"].lower)
    assert "log_loss_skill" not in one
    none = score_intervals(np.zeros_like(y), p, blocks={"year": year}, seed=1, resamples=5)
    assert np.isnan(none["auc"].value) and np.isnan(none["average_precision"].value)
    assert none["log_loss"].lower < none["log_loss"].upper
    with pytest.raises(ArgumentError, match="blocks"):
        score_intervals(y, p, blocks={"year": year[:-1]}, seed=1)
    with pytest.raises(ArgumentError, match="resamples"):
        score_intervals(y, p, blocks={"year": year}, seed=1, resamples=0)


def test_the_same_seed_gives_the_same_numbers():
    y, p, year, dyad = made()
    options = {"blocks": {"year": year, "dyad": dyad}, "resamples": 40}
    assert score_intervals(y, p, seed=1, **options) == score_intervals(y, p, seed=1, **options)
    assert score_intervals(y, p, seed=1, **options) != score_intervals(y, p, seed=2, **options)


def test_differences_that_cannot_be_made():
    with pytest.raises(ArgumentError, match="paired by row"):
        paired_difference([1.0, 2.0], [1.0], blocks={"year": [1, 2]}, seed=1)
    with pytest.raises(ArgumentError, match="None of the blocks"):
        paired_difference([1.0, 2.0], [1.0, 1.0], blocks={"year": [1, 1]}, seed=1)
    with pytest.raises(ArgumentError, match="`first` holds nan"):
        paired_difference([np.nan, 2.0], [1.0, 1.0], blocks={"year": [1, 2]}, seed=1)
    with pytest.raises(ArgumentError, match="at least two blocks"):
        block_bootstrap_mean([1.0], [1], resamples=3, rng=np.random.default_rng(1))


def test_identical_forecasts_differ_by_nothing():
    a = np.arange(6.0)
    result = paired_difference(a, a, blocks={"year": [1, 1, 2, 2, 3, 3]}, seed=1)
    assert (result.mean, result.lower, result.upper) == (0.0, 0.0, 0.0)


def test_reports_the_wider_interval_and_says_which():
    rng = np.random.default_rng(0)
    year = np.repeat(np.arange(30), 40)
    dyad = np.tile(np.arange(40), 30)
    first = rng.normal(0, 0.1, 1200) + rng.normal(0, 1, 30)[year]  # the years hang together
    result = paired_difference(first, np.zeros(1200), blocks={"year": year, "dyad": dyad}, seed=3)
    assert result.block == "year"
    assert (result.lower, result.upper) == result.intervals["year"]
    assert "block bootstrap by year" in result.kind
    assert result.blocks == {"year": 30, "dyad": 40}
    width = {k: u - low for k, (low, u) in result.intervals.items()}
    # iid intervals would be 5 times too narrow; theory: 2 * 1.645 * sd(block means) / sqrt(30)
    block_sd = first.reshape(30, 40).mean(axis=1).std()
    assert width["year"] == pytest.approx(2 * 1.645 * block_sd / np.sqrt(30), rel=0.1)
    again = paired_difference(first, np.zeros(1200), blocks={"year": year, "dyad": dyad}, seed=3)
    assert again == result


def test_a_kind_with_one_block_is_left_out():
    result = paired_difference(
        [1.0, 2.0, 4.0], [0.0, 0.0, 0.0], blocks={"year": [1, 1, 1], "dyad": [1, 2, 3]}, seed=1
    )
    assert list(result.intervals) == ["dyad"]
    assert result.blocks["year"] == 1


def test_bootstrap_interval_covers_the_truth_at_its_level():
    rng = np.random.default_rng(11)
    block = np.repeat(np.arange(40), 5)
    inside = 0
    for i in range(200):
        values = rng.normal(0, 1, 200) + rng.normal(0, 1, 40)[block]
        r = paired_difference(
            values, np.zeros(200), blocks={"year": block}, seed=i, resamples=300, level=0.9
        )
        inside += r.lower <= 0.0 <= r.upper
    assert 0.82 <= inside / 200 <= 0.96
