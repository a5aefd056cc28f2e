"""A Bayesian model through the backtest: refits, warm starts, comparison without alliances."""

import numpy as np
import pytest

from forecast.errors import ArgumentError, UnknownNameError
from forecast.evaluation.backtest import BacktestPlan, backtest
from forecast.evaluation.baselines import Logit
from forecast.evaluation.forecasters import ModelForecaster, comparison
from forecast.features import FeatureRequest
from forecast.modeling.spec import ModelSpec


def _term(name, family):
    prior = {"mean": 0.0, "sd": 1.0}
    return {"name": name, "family": family, "pre_treatment": True, "prior": prior, "reason": "t"}


def spec(*terms):
    return ModelSpec.from_dict(
        {
            "name": "small",
            "description": "A small model of the simulated panel.",
            "unit": "dyad-year",
            "population": "all",
            "intercept": {"reason": "test"},
            "term": [_term(*t) for t in terms],
            "varying": [{"name": "dyad", "scale": {"sd": 1.0}, "reason": "test"}],
        }
    )


LAND, PEACE, ALLY = (
    ("land_contiguity", "geography"),
    ("peace_years", "history"),
    ("ally", "commitment"),
)


def test_model_without_alliances_cannot_be_compared_with_itself(panel):
    with pytest.raises(ArgumentError, match="no alliance term"):
        backtest(BacktestPlan(model=spec(LAND, PEACE), origins=[1960], seed=1), panel)


def test_model_is_refitted_and_compared(panel):
    # a method of the caller's own, which need not be hashable
    own = Logit("mine", (FeatureRequest("state_disputes_max", "state_disputes_recent", {}, "max"),))
    result = backtest(
        BacktestPlan(
            model=spec(LAND, PEACE, ALLY),
            origins=[1965, 1966],
            seed=1,
            draws=300,
            baselines=("without_alliances", own),
            resamples=100,
        ),
        panel.select_years(1950, 1966),
    )
    assert result.model == "small"
    assert set(result.scores["model"]) == {"small", "without_alliances", "mine", "climatology"}
    assert len(result.fits) == 4
    assert result.fits["fit_id"].is_unique  # one fit for each origin and model
    f = result.forecasts.query("model == 'small'")
    assert ((f["lower"] < f["probability"]) & (f["probability"] < f["upper"])).all()
    assert 0.4 < f["probability"].sum() / f["outcome"].sum() < 2.5
    assert np.isfinite(result.differences["mean"]).all()
    assert set(result.differences["against"]) == {"without_alliances", "mine", "climatology"}


def test_what_a_model_can_be_compared_with():
    subject = ModelForecaster(spec(LAND, PEACE, ALLY), draws=300)
    bare = comparison("without_alliances", subject)
    assert (bare.name, bare.draws, len(bare.spec.terms)) == ("without_alliances", 300, 2)
    assert comparison("dyad_onset", subject).name == "dyad_onset"
    other = comparison("without_alliances:dyad_onset", subject)
    assert other.name == "dyad_onset_without_alliances"
    assert comparison(spec(LAND), subject).name == "small"
    with pytest.raises(UnknownNameError, match="Did you mean 'history'"):
        comparison("histroy", subject)


@pytest.mark.long
def test_nuts_at_a_chosen_origin_agrees_with_laplace(panel):
    result = backtest(
        BacktestPlan(
            model=spec(LAND, PEACE, ALLY),
            origins=[1965, 1966],
            seed=1,
            draws=500,
            baselines=(),
            nuts_at=[1966],
            nuts_draws=500,
            resamples=100,
        ),
        panel.select_years(1950, 1966),
    )
    check = result.nuts.set_index("origin")
    assert check.index.tolist() == [1966]
    assert check.loc[1966, "mean_absolute_difference"] < 0.002
    assert check.loc[1966, "expected_nuts"] == pytest.approx(check.loc[1966, "expected"], rel=0.03)
    assert check.loc[1966, "log_loss_nuts"] == pytest.approx(check.loc[1966, "log_loss"], abs=1e-3)
    assert "small (NUTS)" in set(result.fits["model"])
    assert "small (NUTS)" not in set(result.scores["model"])
    with pytest.raises(ArgumentError, match="nuts_at"):
        backtest(
            BacktestPlan(model=spec(LAND, PEACE, ALLY), origins=[1966], seed=1, nuts_at=[1970]),
            panel,
        )
