"""Calibration: errors, identities, literal values, scikit-learn as the oracle."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from forecast.errors import ArgumentError
from forecast.evaluation import calibration as cal
from forecast.evaluation.scores import brier_score, log_loss
from forecast.evaluation.yearly_counts import pit_counts


@pytest.fixture(scope="module")
def calibrated():
    rng = np.random.default_rng(8)
    p = expit(rng.normal(-3.0, 1.2, 8000))
    return (rng.uniform(size=p.size) < p).astype(float), p


def test_errors():
    with pytest.raises(ArgumentError, match="`probability` holds nan"):
        cal.reliability([0, 1], [np.nan, 0.1], seed=1)
    with pytest.raises(ArgumentError, match="`rule` must be"):
        cal.decompose([0, 1], [0.1, 0.2], rule="auc")
    with pytest.raises(ArgumentError, match="found 0 events in 2 rows"):
        cal.recalibrate([0, 0], [0.1, 0.2])
    with pytest.raises(ArgumentError, match="all are the same"):
        cal.recalibrate([0, 1], [0.1, 0.1])
    with pytest.raises(ArgumentError, match="separate"):
        cal.recalibrate([0, 0, 1], [0.1, 0.2, 0.3])
    with pytest.raises(ArgumentError, match="`thetas`"):
        cal.murphy([0, 1], [0.1, 0.2], thetas=(0.0, 0.5))


def test_isotonic_literal():
    # 1 before 0 is a violation: both get 1/2
    assert cal.isotonic([0, 1, 0, 1], [0.1, 0.2, 0.3, 0.4]) == pytest.approx([0, 0.5, 0.5, 1])
    # rows with the same forecast get the same value
    assert cal.isotonic([1, 0, 1], [0.2, 0.2, 0.9]) == pytest.approx([0.5, 0.5, 1])


@given(st.integers(0, 10_000), st.integers(3, 80), st.sampled_from([3, 10, 1000]))
@settings(max_examples=60, deadline=None)
def test_isotonic_agrees_and_decomposition_is_an_identity(seed, n, steps):
    rng = np.random.default_rng(seed)
    p = rng.integers(0, steps + 1, n) / steps
    y = rng.integers(0, 2, n).astype(float)
    assert cal.isotonic(y, p) == pytest.approx(IsotonicRegression().fit_transform(p, y), abs=1e-9)
    for rule, mean in (("brier", brier_score), ("log_loss", lambda a, b: log_loss(a, b).value)):
        d = cal.decompose(y, p, rule=rule)
        assert d.score == pytest.approx(mean(y, p))
        assert d.score == pytest.approx(d.miscalibration - d.discrimination + d.uncertainty)
        assert d.miscalibration >= -1e-7
        assert d.discrimination >= -1e-7


def test_uncertainty_of_the_brier_score_is_the_variance():
    d = cal.decompose([0, 0, 0, 1], [0.1, 0.2, 0.3, 0.4])
    assert d.uncertainty == pytest.approx(0.25 * 0.75)
    assert d.discrimination == pytest.approx(0.25 * 0.75)  # perfect after recalibration


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_one_class_is_flat_and_exact(value):
    r = cal.reliability([value] * 20, np.linspace(0.1, 0.9, 20), seed=1, resamples=20)
    assert (r.curve["observed"] == value).all()
    brier = r.decompositions["brier"]
    assert brier.uncertainty == brier.discrimination == 0.0
    assert brier.score == pytest.approx(brier.miscalibration)


def test_band_holds_a_calibrated_forecast_and_not_a_distorted_one(calibrated):
    y, p = calibrated
    good = cal.reliability(y, p, seed=2)
    assert good.outside < 0.25
    bad = cal.reliability(y, expit(logit(p) + 0.8), seed=2)
    assert bad.outside > 0.8
    mcb = {k: d.decompositions["brier"].miscalibration for k, d in (("g", good), ("b", bad))}
    assert mcb["b"] > 3 * mcb["g"]
    assert good.curve["rows"].sum() == y.size
    assert len(good.curve) <= 201
    assert good.curve["observed"].is_monotonic_increasing
    again = cal.reliability(y, p, seed=2)
    assert again.to_dict() == good.to_dict()


def test_recalibration_agrees_with_scikit_learn_and_recovers(calibrated):
    y, p = calibrated
    distorted = expit((logit(p) - 0.5) / 0.7)  # logit p = 0.5 + 0.7 * logit distorted
    r = cal.recalibrate(y, distorted)
    x = logit(distorted)[:, None]
    oracle = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(x, y)
    assert r.intercept == pytest.approx(oracle.intercept_[0], abs=1e-4)
    assert r.slope == pytest.approx(oracle.coef_[0, 0], abs=1e-4)
    assert r.slope_interval[0] < 0.7 < r.slope_interval[1]
    assert r.intercept_interval[0] < 0.5 < r.intercept_interval[1]
    back = expit(r.intercept + r.slope * logit(distorted))
    assert back.sum() == pytest.approx(y.sum())  # the score equation of the intercept
    fixed = cal.recalibrate(y, back)
    assert (fixed.intercept, fixed.slope) == (
        pytest.approx(0.0, abs=1e-6),
        pytest.approx(1.0, abs=1e-6),
    )


def test_expected_to_observed():
    y = [1, 0, 0, 1, 0, 0]
    p = [0.5, 0.5, 0.5, 0.5, 0.1, 0.3]
    total = cal.expected_to_observed(y, p, level=0.9)
    assert total.ratio == pytest.approx(2.4 / 2)
    # Garwood 90% limits of an observed 2: 0.3554, 6.2958
    assert total.lower == pytest.approx(2.4 / 6.2958, rel=1e-4)
    assert total.upper == pytest.approx(2.4 / 0.3554, rel=1e-3)
    nothing = cal.expected_to_observed(y[4:], p[4:], level=0.9)
    assert np.isnan(nothing.ratio)
    assert np.isnan(nothing.upper)
    assert nothing.lower == pytest.approx(0.4 / 2.9957, rel=1e-4)


def test_murphy_integrates_to_the_brier_score(calibrated):
    y, p = calibrated
    edges = np.linspace(0, 1, 2001)
    mid = (edges[:-1] + edges[1:]) / 2
    table = cal.murphy(y, p, thetas=tuple(mid))
    assert 2 * table["score"].mean() == pytest.approx(brier_score(y, p), rel=1e-3)


def test_murphy_literal_and_skill():
    table = cal.murphy([1, 0, 0], [0.01, 0.3, 0.05], reference=[1 / 3] * 3, thetas=(0.05, 0.5))
    # theta .05: the event is missed (.95), one false alarm (.05; .05 does not exceed .05)
    assert table["score"].tolist() == pytest.approx([(0.95 + 0.05) / 3, 0.5 / 3])
    assert table["reference"].tolist() == pytest.approx([0.1 / 3, 0.5 / 3])
    assert table["skill"].tolist() == pytest.approx([-9.0, 0.0])
    assert len(cal.murphy([1, 0], [0.3, 0.1])) == len(cal.THETAS)


def test_pit_of_calibrated_counts_is_uniform_and_of_biased_ones_not():
    rng = np.random.default_rng(1)
    distances = []
    for seed in range(20):
        rate = rng.gamma(4.0, 2.0, 400)
        observed = rng.poisson(rate)
        draws = rng.poisson(rate, size=(500, 400))
        u = pit_counts(observed, draws, seed=seed)
        assert ((u >= 0) & (u <= 1)).all()
        distances.append(np.abs(np.sort(u) - (np.arange(400) + 0.5) / 400).max())
    # Kolmogorov distance: mean .87 / sqrt(400) = .043, and 5% of them above .068
    assert np.mean(distances) == pytest.approx(0.043, abs=0.008)
    assert np.mean(np.array(distances) > 0.068) <= 0.2
    assert pit_counts(observed + 6, draws, seed=3).mean() > 0.8
    with pytest.raises(ArgumentError, match="shape"):
        pit_counts([1, 2], [[1], [2]], seed=1)


def test_clusters_undo_what_copies_of_rows_do_to_the_interval(calibrated):
    y, p = (values[:2000] for values in calibrated)
    index = np.arange(y.size)
    alone = cal.recalibrate(y, p, clusters={"row": index})
    copies = np.repeat(index, 9)
    plain = cal.recalibrate(y[copies], p[copies])
    robust = cal.recalibrate(y[copies], p[copies], clusters={"one": 0 * copies, "row": copies})
    assert robust.slope == pytest.approx(alone.slope)
    np.testing.assert_allclose(robust.slope_interval, alone.slope_interval, rtol=0.02)
    assert np.diff(plain.slope_interval) == pytest.approx(
        np.diff(alone.slope_interval) / 3, rel=0.1
    )
    assert plain.kind == "Wald, independent rows"
    assert robust.kind.endswith("clusters by row")
    with pytest.raises(ArgumentError, match="clusters"):
        cal.recalibrate(y, p, clusters={"row": index[:-1]})
