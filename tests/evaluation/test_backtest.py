"""Backtest: refusals, no hindsight, refits at each origin, tables that add up."""

import json
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from support.evaluation_panels import backtest_of

from forecast.errors import ArgumentError, CoverageError
from forecast.evaluation.backtest import BacktestPlan
from forecast.evaluation.baselines import Climatology, Logit, baseline
from forecast.evaluation.forecasters import ModelForecaster, comparison
from forecast.evaluation.origins import panel_at_horizon, training_panel
from forecast.evaluation.rolling import Shared
from forecast.evaluation.scores import log_loss
from forecast.evaluation.skill_table import skill_table
from forecast.features import FeatureRequest, compute_features
from forecast.modeling.spec import load_model
from forecast.panel.build import load_panel
from forecast.panel.rows import rows_by


@dataclass(frozen=True)
class Recorder:
    """A method that writes down what it was shown and forecasts with draws."""

    name: str = "recorder"
    seen: list = field(default_factory=list)

    def columns(self):
        return ()

    def fit(self, panel, *, seed, previous=None):
        self.seen.append((int(panel.data["year"].max()), panel.fingerprint, previous))
        return Drawn(float(panel.data["outcome"].mean()))


@dataclass(frozen=True)
class Drawn:
    rate: float

    def predict(self, panel, *, seed):
        rng = np.random.default_rng(seed)
        return np.clip(rng.normal(self.rate, 0.01, (40, panel.data.sizes["row"])), 1e-4, 1)

    def warm_start(self):
        return f"start at {self.rate}"


def run(methods, panel, **options):
    return backtest_of(methods, panel, **({"seed": 5, "resamples": 100} | options))


@pytest.fixture(scope="module")
def result(panel):
    methods = [baseline("history"), Climatology(), baseline("conflictology"), Recorder()]
    return run(methods, panel, origins=(1985, 1986, 1987, 1990))


def test_refuses_origins_without_training_or_target_years(panel):
    with pytest.raises(CoverageError, match="no training rows: at horizon 1 the first year is 195"):
        run([Climatology()], panel, origins=(1950,))
    with pytest.raises(CoverageError, match="forecasts 2000, for which no outcome is known"):
        run([Climatology()], panel, origins=(1999, 2000))


def test_refuses_a_long_horizon_without_a_world(panel):
    with pytest.raises(ArgumentError, match="only horizon 1 can be scored"):
        run([Climatology()], panel, origins=(1985,), horizons=(3,))
    with pytest.raises(ArgumentError, match="at least 1"):
        panel_at_horizon(panel, 0)


def test_refuses_two_methods_of_one_name(panel):
    with pytest.raises(ArgumentError, match="same name"):
        run([Climatology(), Climatology()], panel, origins=(1985,))


def test_refits_at_each_origin_on_earlier_years_and_hands_the_start_on(panel):
    recorder = Recorder()
    run([Climatology(), recorder], panel, origins=(1985, 1986, 1987, 1990))
    seen = {last: (fingerprint, start) for last, fingerprint, start in recorder.seen}
    assert sorted(seen) == [1984, 1985, 1986, 1989]
    assert len({fingerprint for fingerprint, _ in seen.values()}) == 4
    # the first fit of a decade begins anew, the others of it where that one ended
    assert seen[1984][1] is None
    assert seen[1989][1] is None
    assert seen[1985][1] == seen[1986][1] != seen[1984][1]


def test_refit_every_few_years_and_sliding_window(panel):
    recorder = Recorder()
    first = run(
        [Climatology(), recorder], panel, origins=tuple(range(1980, 1992)), refit=5, window=20
    )
    assert sorted(last for last, _, _ in recorder.seen) == [1979, 1984, 1989]
    mine = first.forecasts.query("model == 'climatology'")
    rates = mine.groupby("origin")["probability"].agg(["min", "max"])
    assert (rates["min"] == rates["max"]).all()
    assert rates.loc[[1980, 1984], "min"].nunique() == 1
    for fitted in (1980, 1985, 1990):
        y = panel.select_years(fitted - 20, fitted - 1).data["outcome"].to_numpy()
        assert rates.loc[fitted, "min"] == pytest.approx((y.sum() + 0.5) / (y.size + 1))


def test_outcomes_from_the_origin_on_cannot_change_a_forecast(panel, result):
    data = panel.data.copy()
    late = (data["year"] >= 1987).to_numpy()
    data["outcome"] = ("row", np.where(late, 1 - data["outcome"], data["outcome"]))
    methods = [baseline("history"), Climatology(), baseline("conflictology"), Recorder()]
    other = run(methods, panel.with_data(data), origins=(1985, 1986, 1987))
    before = result.forecasts.query("origin <= 1987").reset_index(drop=True)
    for column in ("probability", "lower", "upper"):
        np.testing.assert_array_equal(before[column], other.forecasts[column])
    assert (before["outcome"] != other.forecasts["outcome"]).any()


def test_forecasts_do_not_depend_on_which_other_origins_are_run(panel, result):
    alone = run(
        [baseline("history"), Climatology(), baseline("conflictology"), Recorder()],
        panel,
        origins=(1990,),
    )
    same = result.forecasts.query("origin == 1990").reset_index(drop=True)
    np.testing.assert_array_equal(same["probability"], alone.forecasts["probability"])


def test_training_panel_ends_before_the_origin(panel):
    assert int(training_panel(panel, 1970).data["year"].max()) == 1969


def test_row_level_forecasts(panel, result):
    f = result.forecasts
    expected = ["origin", "horizon", "year", "ccode_a", "ccode_b", "outcome", "model"]
    assert {*expected, "probability", "lower", "upper", "stratum"} <= set(f.columns)
    assert "unit" not in f
    assert (f["year"] == f["origin"] + f["horizon"] - 1).all()
    per_model = f.groupby("model").size()
    target = np.isin(panel.data["year"], [1985, 1986, 1987, 1990]).sum()
    assert (per_model == target).all()
    drawn = f[f["model"] == "recorder"]
    assert ((drawn["lower"] < drawn["probability"]) & (drawn["probability"] < drawn["upper"])).all()
    assert f.loc[f["model"] == "history", "lower"].isna().all()
    assert set(f["stratum"]) == {"first ever", "quiet", "recurrent"}


def test_scores_agree_with_the_forecasts(result):
    f = result.forecasts
    scores = result.scores.set_index(["model", "kind", "group"])
    for model in ("history", "conflictology"):
        mine = f[f["model"] == model]
        row = scores.loc[(model, "all", "all")]
        assert row["log_loss"] == pytest.approx(
            log_loss(mine["outcome"], mine["probability"]).value
        )
        quiet = mine[mine["stratum"] == "quiet"]
        assert scores.loc[(model, "stratum", "quiet"), "rows"] == len(quiet)
    assert scores.loc[("climatology", "all", "all"), "brier_skill"] == 0.0
    assert scores.loc[("history", "all", "all"), "log_loss_skill"] > 0.0
    strata = result.scores.query("kind == 'stratum' and model == 'history'")
    assert strata["rows"].sum() == scores.loc[("history", "all", "all"), "rows"]
    assert ("history", "peace", "> 10 years") in scores.index


def test_differences_are_paired_and_to_every_other_method(result):
    d = result.differences.query("kind == 'all' and score == 'log_loss'").set_index("against")
    assert set(d.index) == {"climatology", "conflictology", "recorder"}
    scores = result.scores.query("kind == 'all'").set_index("model")["log_loss"]
    gain = scores["history"] - scores["climatology"]
    assert d.loc["climatology", "mean"] == pytest.approx(gain)
    assert (d["lower"] <= d["mean"]).all()
    assert (d["mean"] <= d["upper"]).all()


def test_calibration_counts_and_reliability(result):
    c = result.calibration.set_index("model")
    identity = c["brier_miscalibration"] - c["brier_discrimination"] + c["brier_uncertainty"]
    np.testing.assert_allclose(identity, c["brier_score"])
    assert np.isnan(c.loc["climatology", "slope"]) or c.loc["climatology", "remark"] == ""
    assert c.loc["history", "slope_lower"] < 1.3
    assert set(result.reliability) == {(1, name) for name in c.index}
    assert len(result.counts) == 4 * 4
    assert result.counts["pit"].between(0, 1).all()
    total = result.ratios.query("kind == 'all' and model == 'history'").iloc[0]
    f = result.forecasts.query("model == 'history'")
    assert total["ratio"] == pytest.approx(f["probability"].sum() / f["outcome"].sum())


def test_to_dict_is_json(result):
    text = json.dumps(result.to_dict(), allow_nan=False)
    back = json.loads(text)
    assert back["settings"]["origins"] == [1985, 1986, 1987, 1990]
    assert back["model"] == "history"


def test_rows_that_a_method_cannot_forecast_are_left_out_for_all(panel):
    class Half(Recorder):
        def fit(self, panel, *, seed, previous=None):
            return Gappy(0.1)

    class Gappy(Drawn):
        def predict(self, panel, *, seed):
            p = Drawn.predict(self, panel, seed=seed)
            p[:, ::3] = np.nan
            return p

    r = run([Climatology(), Half()], panel, origins=(1985,))
    n = panel.select_years(1985, 1985).data.sizes["row"]
    assert r.settings["rows_left_out"] == -(-n // 3)
    assert (r.forecasts.groupby("model").size() == n - r.settings["rows_left_out"]).all()


def test_a_pair_without_earlier_rows_is_a_new_dyad_in_its_first_year(panel):
    data = panel.data
    pair = ((data["ccode_a"] == 2) & (data["ccode_b"] == 3)).to_numpy()
    late = panel.with_data(data.isel(row=~pair | (data["year"] >= 1985).to_numpy()))
    f = run([Climatology()], late, origins=(1984, 1985, 1986)).forecasts
    new = f[f["stratum"] == "new dyad"]
    assert new[["year", "ccode_a", "ccode_b"]].to_numpy().tolist() == [[1985, 2, 3]]


def test_states_have_no_strata(panel):
    data = panel.data.rename(ccode_a="ccode").drop_vars("ccode_b")
    r = run(
        [baseline("conflictology"), Climatology()],
        replace(panel, unit="state-year", data=data),
        origins=(1990,),
    )
    assert "stratum" not in r.forecasts
    assert "ccode" in r.forecasts


def test_custom_method_beside_the_shipped_ones(panel):
    own = Logit("mine", baseline("history").columns()[:2])
    r = run([own, Climatology()], panel, origins=(1985,))
    assert r.model == "mine"


@pytest.fixture(scope="module")
def embedded(tables):
    return load_panel(data=tables, population="politically_relevant")


def test_conflicts_from_the_origin_on_cannot_change_a_forecast(tables, embedded):
    """On real data and through the world: at every horizon features stop before the origin."""
    origin = 2004
    early = tables.conflicts["start"].dt.year < origin
    without = load_panel(
        data=replace(tables, conflicts=tables.conflicts[early]), population="politically_relevant"
    )
    methods = [baseline("history"), baseline("climatology"), baseline("conflictology")]
    options = {"origins": (origin,), "horizons": (1, 3)}
    keys = ["horizon", "model", "year", "ccode_a", "ccode_b"]
    seen = [run(methods, p, **options).forecasts.set_index(keys) for p in (embedded, without)]
    joined = seen[0].join(seen[1].add_suffix("_without"), how="inner")
    assert len(joined) > 0.95 * len(seen[0])
    np.testing.assert_allclose(joined["probability"], joined["probability_without"], rtol=1e-9)
    np.testing.assert_array_equal(joined["stratum"], joined["stratum_without"])
    assert joined["outcome"].sum() > 0
    assert joined["outcome_without"].sum() == 0


def test_steps_past_the_record_are_left_out_and_listed(embedded):
    last = int(embedded.data["year"].max())
    r = run([Climatology()], embedded, origins=(last - 1, last), horizons=(1, 2))
    assert r.settings["steps_without_outcome"] == [[last, 2]]
    assert set(map(tuple, r.forecasts[["origin", "horizon"]].to_numpy())) == {
        (last - 1, 1), (last, 1), (last - 1, 2),
    }  # fmt: skip


def test_rows_under_way_are_a_stratum_and_the_convention_a_part_of_the_table(embedded):
    r = run([baseline("history"), Climatology()], embedded, origins=(2004, 2014))
    rows = embedded.data.isel(row=np.isin(embedded.data["year"], (2004, 2014)))
    own = r.forecasts[r.forecasts["model"] == "history"]
    under_way = rows["under_way_1_january"].to_numpy() == 1
    np.testing.assert_array_equal(own["stratum"] == "under way", under_way)
    np.testing.assert_array_equal(own["continues"], under_way & (rows["outcome"].to_numpy() == 0))
    assert own.loc[under_way, "outcome"].sum() < 0.2 * under_way.sum()  # the table, not all onsets
    assert "under way" in set(r.scores.loc[r.scores["kind"] == "stratum", "group"])
    table = skill_table(r, resamples=100).skill.query("model == 'history'").set_index("period")
    every, field, stratum = (
        table.loc[f"all test years (2004–2014){more}"]
        for more in ("", ", by the convention", ", under way")
    )
    assert every["rows"] == len(own)
    assert field["rows"] == len(own) - own["continues"].sum()
    assert stratum["rows"] == under_way.sum()
    kept = own[~own["continues"]]
    assert field["log_loss"] == log_loss(kept["outcome"], kept["probability"]).value
    assert field["onsets"] == every["onsets"]
    assert np.isnan(field["years_inside"])  # the counts are those of all rows


def test_each_method_learns_from_the_rows_of_its_own_rule(embedded):
    """A model as it says, a baseline as the model under test; forecast are the panel's rows."""
    own = load_model("dyad_onset")
    field = load_model("dyad_onset_historical").with_under_way("convention")
    subject = ModelForecaster(field)
    methods = [subject, comparison("stratum:dyad_onset", subject), baseline("history")]
    assert methods[1].spec == own
    years = embedded.select_years(1990, 2004)
    plan = BacktestPlan(model=field, origins=[2004], seed=1, multi_step="direct")
    shared = Shared(plan, tuple(methods), {}, tables=None)
    learnt = [shared.learnt(i, years, 2004) for i in range(3)]
    assert [p.under_way for p in learnt] == ["convention", "stratum", "convention"]
    continuing = int(years.select_years(1990, 2003).data["continues"].sum())
    sizes = [p.data.sizes["row"] for p in learnt]
    assert sizes[0] == sizes[2] == sizes[1] - continuing
    assert continuing > 0
    few = rows_by(years, "convention")
    with pytest.raises(ArgumentError, match="Load it with under_way='stratum'"):
        shared.learnt(1, few, 2004)
    # What the model is told of its rows, its rivals are told too.
    columns = [r.name for r in comparison("history", ModelForecaster(own)).columns()]
    assert columns == [*(r.name for r in baseline("history").columns()), "under_way"]
    assert comparison("history", subject) == baseline("history")


def test_longer_horizon_lags_every_feature_further(embedded):
    far = panel_at_horizon(embedded, 3)
    assert far.lag == embedded.lag + 2
    assert int(far.data["year"].min()) == int(embedded.data["year"].min()) + 2
    request = [FeatureRequest("disputes_total", "disputes_total")]
    near = compute_features(embedded, request).data.to_dataframe()
    late = compute_features(far, request).data.to_dataframe()
    one = near.query("ccode_a == 2 and ccode_b == 365").set_index("year")
    three = late.query("ccode_a == 2 and ccode_b == 365").set_index("year")
    both = three.index.intersection(one.index + 2)
    assert len(both) > 20
    np.testing.assert_array_equal(
        three.loc[both, "disputes_total"], one.loc[both - 2, "disputes_total"]
    )


def test_history_beats_climatology_on_the_embedded_data(embedded):
    methods = [baseline("history"), baseline("climatology"), baseline("conflictology")]
    r = run(methods, embedded, origins=(1980, 1990, 2000, 2010, 2020), resamples=200)
    scores = r.scores.query("kind == 'all'").set_index("model")
    assert scores.loc["history", "log_loss_skill"] > 0.1
    assert 0.75 < scores.loc["history", "auc"] < 0.97
    assert {"stratum", "decade", "region", "peace"} <= set(r.scores["kind"])
