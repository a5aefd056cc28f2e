"""Paired differences: errors, the wider interval, coverage of the bootstrap."""

import numpy as np
import pytest

from forecast.errors import ArgumentError
from forecast.evaluation.bootstrap import block_bootstrap_mean, paired_difference


def test_errors():
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
    assert result.to_dict()["level"] == 0.9


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
