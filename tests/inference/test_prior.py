from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import scipy.sparse as sp
from support.modeling_panels import hand_panel, hand_rows, random_panel, rows, spec

from forecast.errors import ArgumentError
from forecast.inference.predict import onset_statistics, prior_draws, prior_predictive
from forecast.modeling.design import Block, Design, encode
from forecast.modeling.priors import ScalePrior


def test_no_draws() -> None:
    with pytest.raises(ArgumentError, match="draws must be at least 1, found 0"):
        prior_draws(encode(spec(), hand_panel())[0], draws=0, seed=1)


def test_statistics_by_hand() -> None:
    data = rows([1990, 1990, 1991, 1991, 1992], [(2, 20), (2, 70), (2, 20), (2, 70), (2, 20)])
    y = np.array([[1, 0, 1, 0, 1], [0, 0, 0, 0, 0], [1, 1, 1, 1, 0]], dtype=bool)
    found = onset_statistics(y, data)
    np.testing.assert_array_equal(found["onsets"], [[1, 1, 1], [0, 0, 0], [2, 2, 0]])
    np.testing.assert_allclose(found["rate"], [0.6, 0.0, 0.8])
    np.testing.assert_allclose(found["share_without"], [0.5, 1.0, 0.0])
    np.testing.assert_allclose(found["share_3_or_more"], [0.5, 0.0, 0.0])
    np.testing.assert_allclose(found["share_5_or_more"], 0.0)
    np.testing.assert_array_equal(found["year"], [1990, 1991, 1992])


def test_draws_have_the_priors_moments() -> None:
    design, _ = encode(spec(), hand_panel())
    draws = prior_draws(design, draws=20_000, seed=11)
    np.testing.assert_allclose(draws.beta.mean(axis=0), design.prior_mean, atol=0.05)
    np.testing.assert_allclose(draws.beta.std(axis=0), design.prior_sd, rtol=0.03)
    # E[sigma^2] of a half-normal is its squared scale; the walk's variance grows by one a step.
    np.testing.assert_allclose(draws.effects["dyad"].var(axis=0), 1.0, rtol=0.08)
    np.testing.assert_allclose(draws.effects["era"].var(axis=0), 0.09 * np.arange(1, 4), rtol=0.08)
    np.testing.assert_allclose(np.mean(draws.sigma["state"]), 0.5 * np.sqrt(2 / np.pi), rtol=0.03)


def test_predictive_rate_is_that_of_the_predictor() -> None:
    # An intercept alone, held at logit(.2) by a tiny prior s.d.
    design = Design(
        y=np.array([1.0, 0, 0, 0, 0, 0, 0, 0]),
        X=np.ones((8, 1)),
        names=("intercept",),
        prior_mean=np.array([np.log(0.25)]),
        prior_sd=np.array([1e-9]),
        blocks=(),
        rows=hand_rows(),
    )
    found = prior_predictive(design, draws=4000, seed=2)
    np.testing.assert_allclose(found["rate"].mean(), 0.2, atol=0.01)
    np.testing.assert_allclose(found["onsets"].mean("draw"), 0.2, atol=0.03)
    assert float(found["observed_rate"]) == 0.125
    assert found["observed_onsets"].values.tolist() == [1, 0, 0, 0, 0, 0, 0, 0]


def test_blocks_enter() -> None:
    # One level of huge scale used by the first four rows: their outcomes move together.
    matrix = sp.csr_array(np.array([[1.0]] * 4 + [[0.0]] * 4))
    design = Design(
        y=np.array([1.0, 0, 0, 0, 0, 0, 0, 0]),
        X=np.ones((8, 1)),
        names=("intercept",),
        prior_mean=np.zeros(1),
        prior_sd=np.full(1, 1e-9),
        blocks=(Block("dyad", "iid", np.array(["x"]), matrix, ScalePrior(1e6)),),
        rows=hand_rows(),
    )
    onsets = prior_predictive(design, draws=400, seed=3)["onsets"].to_numpy()
    assert set(onsets[:, :4].sum(axis=1)) == {0, 4}
    assert len(set(onsets[:, 4:].sum(axis=1))) == 5


def test_the_seed_decides() -> None:
    design, _ = encode(spec(), hand_panel())
    one = prior_predictive(design, draws=30, seed=5)
    assert one.identical(prior_predictive(design, draws=30, seed=5))
    assert not one.identical(prior_predictive(design, draws=30, seed=6))
    child = np.random.SeedSequence(5).spawn(1)[0]
    assert prior_predictive(design, draws=30, seed=child).identical(
        prior_predictive(design, draws=30, seed=np.random.SeedSequence(5).spawn(1)[0])
    )


def test_marginal_base_rate_centres_the_prior_predictive() -> None:
    """What the option is for: the plain logit of a rare rate gives several times the onsets."""
    rng = np.random.default_rng(8)
    given = random_panel(rng, 1500)
    rare = dataclasses.replace(
        given, data=given.data.assign(outcome=("row", (rng.random(1500) < 0.02).astype(float)))
    )
    rates = {}
    for mean in ("base_rate", "marginal_base_rate"):
        design, _ = encode(spec(intercept={"mean": mean, "sd": 0.1, "reason": "test"}), rare)
        found = prior_predictive(design, draws=300, seed=9)
        rates[mean] = float(found["rate"].mean() / found["observed_rate"])
    assert 0.6 < rates["marginal_base_rate"] < 1.6
    assert rates["base_rate"] > 2 * rates["marginal_base_rate"]
