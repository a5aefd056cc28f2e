"""The plan of a backtest: what it refuses, that a file gives it back, what a folder belongs to."""

import pickle

import numpy as np
import pytest

import forecast as fc
from forecast.errors import ArgumentError, SpecificationError
from forecast.evaluation.baselines import Climatology, baseline
from forecast.evaluation.plan import BacktestPlan, Origins

GIVEN = {"model": "dyad_onset", "origins": range(2006, 2009), "seed": 1}


def test_a_file_gives_the_plan_back(tmp_path):
    plan = BacktestPlan(
        **GIVEN,
        horizons=np.array([3, 1]),
        baselines=["history", Climatology(), "convention"],
        nuts_at=[2006],
        recalibrate=15,
        under_way="drop",
        periods=[{"name": "late – “recent”", "first": 2007}],
    )
    assert plan.origins.years == (2006, 2007, 2008)
    assert plan.horizons == (1, 3)
    (tmp_path / "plan.toml").write_text(plan.to_toml(), encoding="utf-8")
    again = BacktestPlan.from_toml(tmp_path / "plan.toml")
    assert again.to_dict() | {"baselines": 0} == plan.to_dict() | {"baselines": 0}
    assert again.to_toml() == plan.model_copy(update={"baselines": again.baselines}).to_toml()
    table = BacktestPlan(**(GIVEN | {"origins": {"first": 1960, "step": 4}}))
    assert table.origins == Origins(first=1960, step=4)
    (tmp_path / "plan.toml").write_text(table.to_toml())
    assert BacktestPlan.from_toml(tmp_path / "plan.toml") == table
    assert pickle.loads(pickle.dumps(table)) == table


def test_its_hash_is_that_of_its_content():
    plan = BacktestPlan(**GIVEN)
    assert plan.sha256 == BacktestPlan(**GIVEN, refit=1).sha256
    assert plan.sha256 != BacktestPlan(**GIVEN, refit=2).sha256
    spec = fc.load_model("dyad_onset")
    bare, whole = (BacktestPlan(**(GIVEN | {"model": m})) for m in (spec.without(), spec))
    assert bare.sha256 != whole.sha256


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"baseline": ()}, r"unknown key 'baseline'; did you mean 'baselines'\?"),
        ({"seed": -1}, "seed = -1: "),
        ({"seed": True}, "seed = True: .*valid integer"),
        ({"horizons": ()}, r"horizons = \(\): "),
        ({"horizons": 3}, "horizons = 3: "),
        ({"horizons": [0]}, r"horizons\[0\] = 0: "),
        ({"origins": ()}, "`origins` is empty"),
        ({"origins": "2006"}, "origins = '2006': "),
        ({"origins": {"first": 2006, "years": [2006]}}, "'first' or 'years', found both"),
        ({"window": 0}, "window = 0: "),
        ({"multi_step": "simulated"}, r"did you mean 'simulate'\?"),
        ({"model": 3}, "expected a name, file, specification or method"),
    ],
)
def test_a_value_that_cannot_be_is_named(wrong, message):
    with pytest.raises(SpecificationError, match=message):
        BacktestPlan(**(GIVEN | wrong))


def test_a_method_without_a_file_is_in_no_file():
    plan = BacktestPlan(**(GIVEN | {"model": fc.load_model("dyad_onset").without()}))
    with pytest.raises(ArgumentError, match="has no file to name"):
        plan.to_toml()
    assert BacktestPlan(**(GIVEN | {"model": baseline("history")})).to_dict()["model"] == "history"


def test_a_model_needs_years_and_a_seed_and_a_plan_neither(panel):
    with pytest.raises(ArgumentError, match="without years and seed"):
        fc.backtest("dyad_onset", panel)
    with pytest.raises(ArgumentError, match=r"years=2006: expected the first and the last year"):
        fc.backtest("dyad_onset", panel, years=2006, seed=1)
    with pytest.raises(ArgumentError, match=r"years=\(2020, 2016\): .*; 2020 is after 2016"):
        fc.backtest("dyad_onset", panel, years=(2020, 2016), seed=1)
    with pytest.raises(SpecificationError, match=r"\[origins\]: first = 2020 is after last = 2016"):
        BacktestPlan(**(GIVEN | {"origins": {"first": 2020, "last": 2016}}))
    with pytest.raises(SpecificationError, match=r"1 \('a'\): first = 2010 is after last = 2000"):
        BacktestPlan(**GIVEN, periods=[{"name": "a", "first": 2010, "last": 2000}])
    with pytest.raises(ArgumentError, match="The plan decides horizon, seed"):
        fc.backtest(BacktestPlan(**GIVEN), panel, horizon=3, seed=2)
    with pytest.raises(ArgumentError, match="'history' is no model that could be compared"):
        fc.backtest(BacktestPlan(model=baseline("history"), origins=[1990], seed=1), panel)
    with pytest.raises(ArgumentError, match="no model that NUTS could fit"):
        BacktestPlan(
            model=baseline("history"), origins=[1990], seed=1, baselines=(), nuts_at=[1990]
        ).methods()


def test_the_usual_call_is_the_plan_of_its_arguments(panel, monkeypatch):
    seen = {}

    def of(plan, panel):
        seen["plan"] = plan
        raise KeyboardInterrupt

    monkeypatch.setattr("forecast.evaluation.backtest.Shared.of", of)
    with pytest.raises(KeyboardInterrupt):
        fc.backtest("dyad_onset", panel, years=(1990, 1992), horizon=(1, 3), seed=4)
    wanted = BacktestPlan(model="dyad_onset", origins=range(1990, 1993), horizons=(1, 3), seed=4)
    assert seen["plan"] == wanted


def test_what_is_only_scored_differently_needs_no_other_folder(panel):
    """Scores can be made anew from a run; its forecasts cannot."""
    plan = BacktestPlan(**(GIVEN | {"origins": [1990]}), baselines=())
    same = BacktestPlan(
        **(GIVEN | {"origins": [1990]}), baselines=(), resamples=20, recalibrate=10, stack=()
    )
    assert plan.identity(panel) == same.identity(panel)
    other = BacktestPlan(**(GIVEN | {"origins": [1990]}), baselines=(), draws=50)
    assert plan.identity(panel) != other.identity(panel)
