import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from forecast.errors import ArgumentError
from forecast.evaluation.bootstrap import WEIGHTED, paired_difference, score_intervals
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
