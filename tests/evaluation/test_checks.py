"""Checks: true models pass, false ones fail; LOO against brute force; replicates by hand."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from scipy.integrate import quad
from scipy.special import expit, logit
from scipy.stats import norm
from simulated_calibration import simulate_outcomes
from support.evaluation_panels import simulate_panel

from forecast import plot
from forecast.errors import ArgumentError, UnknownNameError
from forecast.evaluation import checks as ck
from forecast.evaluation import insample
from forecast.evaluation.backtest import BacktestPlan, backtest
from forecast.evaluation.calibration_record import calibration_record, record_of
from forecast.evaluation.check_tables import (
    counts,
    earlier_onsets,
    judged,
    reliability_of,
    replicated_statistics,
)
from forecast.evaluation.insample import in_sample
from forecast.inference.diagnostics import khat_limit
from forecast.inference.fit import fit as fit_model
from forecast.inference.row_likelihood import integrated, posterior_draws
from forecast.modeling.design import encode
from forecast.modeling.spec import ModelSpec


def _term(name, family="geography"):
    return {
        "name": name,
        "family": family,
        "pre_treatment": True,
        "prior": {"mean": 0.0, "sd": 1.0},
        "reason": "test",
    }


def small_spec(**changes):
    content = {
        "name": "small",
        "description": "A small model of the simulated panel.",
        "unit": "dyad-year",
        "population": "all",
        "intercept": {"reason": "test"},
        "term": [
            _term("land_contiguity"),
            _term("major_powers", "power"),
            _term("peace_years", "history"),
            _term("ally", "commitment"),
        ],
        "varying": [{"name": "dyad", "scale": {"sd": 1.0}, "reason": "test"}],
    }
    return ModelSpec.from_dict(content | changes)


@pytest.fixture(scope="module")
def fitted(panel):
    short = panel.select_years(1950, 1979)
    free = short.with_data(
        short.data.assign(peace_years=short.data["peace_years"], ally=short.data["ally"])
    )
    return fit_model(small_spec(), free, seed=3, draws=400)


@pytest.fixture(scope="module")
def context(fitted):
    return ck.CheckContext(fitted, 11)


def changed(context, **parts):
    """The same context with some shared parts replaced."""
    other = ck.CheckContext(parts.pop("fit", context.fit), context.seed)
    for name in ("design", "posterior", "sample"):
        other.__dict__[name] = parts.get(name, getattr(context, name))
    return other


def test_unknown_check(fitted):
    with pytest.raises(UnknownNameError, match="Did you mean 'loo'"):
        ck.check(fitted, seed=1, checks=["lo"])


def test_a_fit_of_another_panel_is_refused(fitted, panel):
    spec = small_spec(term=[_term("land_contiguity"), _term("major_powers", "power")])
    design = encode(spec, panel.select_years(1950, 1960))[0]
    with pytest.raises(ArgumentError, match="not the panel that the fit was made on"):
        posterior_draws(fitted, design, draws=10)


def test_every_check_runs_and_is_reproducible(fitted):
    results = ck.check(fitted, seed=7)
    assert [r.name for r in results] == list(ck.CHECKS)
    again = ck.check(fitted, seed=7)
    for one, two in zip(results, again, strict=True):
        assert isinstance(one.passed, bool) or one.name == "reliability"
        assert one.text.endswith(".")
        assert one.text == two.text
        pd.testing.assert_frame_equal(one.table, two.table)
        assert json.dumps(one.to_dict(), allow_nan=False)
        assert one.to_dict()["name"] == one.name
        if one.shown is not None:
            assert isinstance(plot.check(one), Axes)
    by_name = {r.name: r for r in results}
    assert by_name["diagnostics"].passed == fitted.gate().passed
    assert by_name["prior_predictive"].passed
    assert by_name["posterior_predictive"].passed
    assert by_name["loo"].passed
    assert by_name["reliability"].passed is None
    assert "Not judged" in by_name["reliability"].text


def test_one_check_alone_does_not_touch_the_others(fitted):
    results = ck.check(fitted, seed=7, checks=["diagnostics"])
    assert [r.name for r in results] == ["diagnostics"]
    assert "value" in results[0].table


def test_diagnostics_fails_with_the_gate(context):
    bad = replace(context.fit, diagnostics=replace(context.fit.diagnostics, pareto_k=1.5))
    result = ck.check_diagnostics(changed(context, fit=bad))
    assert not result.passed
    assert "fails the publication gate" in result.text


def test_prior_predictive_fails_under_an_absurd_prior(context):
    absurd = replace(context.design, prior_mean=context.design.prior_mean + 6.0)
    result = ck.check_prior_predictive(changed(context, design=absurd))
    assert not result.passed
    assert "all but onsets a year." in result.text


def test_posterior_predictive_and_loo_fail_when_the_model_is_wrong(context):
    shifted = replace(context.posterior, beta=context.posterior.beta + np.eye(1, 5)[0] * 1.5)
    sample = in_sample(context.design, shifted, seed=1)
    wrong = changed(context, sample=sample)
    assert not ck.check_posterior_predictive(wrong).passed
    assert sample.probability.sum() > 2 * sample.outcome.sum()
    good, bad = ck.check_loo(context), ck.check_loo(wrong)
    assert bad.table["elpd"].iloc[0] < good.table["elpd"].iloc[0]
    assert good.passed
    assert bad.passed is False
    assert "s.e., leaving out: row, unit." in bad.text
    khat = np.minimum(context.sample.row_khat, 0.6)
    khat[:100] = 0.65  # of 2,200 draws that would do
    trust = ck.check_loo(changed(context, sample=replace(context.sample, row_khat=khat)))
    assert trust.passed is None
    assert "Not judged" in trust.text
    assert "exceeds 0.62, the limit for so many draws, for 100 of" in trust.text


def test_prior_sensitivity_passes_under_wide_priors_and_sees_one_that_fights_the_data(context):
    wide = replace(context.design, prior_sd=context.design.prior_sd * 10)
    assert ck.check_prior_sensitivity(changed(context, design=wide)).passed
    fought = replace(
        context.design,
        prior_mean=context.design.prior_mean + np.array([0, 3, 0, 0, 0.0]),
        prior_sd=np.array([1, 0.05, 1, 1, 1.0]),
    )
    result = ck.check_prior_sensitivity(changed(context, design=fought))
    assert not result.passed
    assert "land_contiguity" in result.text


def test_in_sample_pass_agrees_with_plain_arithmetic(context):
    design, posterior, sample = context.design, context.posterior, context.sample
    block = design.blocks[0]
    eta = posterior.beta @ design.X.T + (block.matrix @ posterior.effects["dyad"].T).T
    p = expit(eta)
    order = np.lexsort((design.rows["year"], design.rows["ccode_b"], design.rows["ccode_a"]))
    np.testing.assert_allclose(sample.probability, p.mean(axis=0)[order], rtol=2e-5)
    ll = np.where(design.y == 1, np.log(p), np.log1p(-p))
    np.testing.assert_allclose(sample.log_likelihood, ll.sum(axis=1), rtol=1e-5)
    np.testing.assert_array_equal(sample.outcome, design.y[order])
    assert sample.integrated
    draw, row = sample.replicated
    counts = np.bincount(draw, minlength=sample.draws)
    assert counts.mean() == pytest.approx(p.sum() / sample.draws, rel=0.02)
    assert (np.diff(draw * len(order) + row) > 0).all()


def test_left_out_units_are_integrated_out(context):
    """Quadrature of one unit against scipy, for one draw at a time."""
    design, posterior = context.design, context.posterior
    few = replace(
        posterior,
        beta=posterior.beta[:30],
        sigma={"dyad": posterior.sigma["dyad"][:30]},
        effects={"dyad": posterior.effects["dyad"][:30]},
    )
    pick = int(np.argmax(np.bincount(design.blocks[0].matrix.indices, weights=design.y)))
    rows = np.flatnonzero(design.blocks[0].matrix.indices == pick)
    rest = few.beta @ design.X[rows].T
    y = design.y[rows]
    found = integrated(rest, y, np.array([0, rows.size]), few.sigma["dyad"])[:, 0]
    for s in (0, 7, 29):
        sigma = few.sigma["dyad"][s]

        def density(d, s=s, sigma=sigma):
            p = expit(rest[s] + d)
            return np.prod(np.where(y == 1, p, 1 - p)) * norm.pdf(d, 0, sigma)

        exact = quad(density, -8 * sigma, 8 * sigma, epsabs=0, epsrel=1e-8, limit=200)[0]
        assert found[s] == pytest.approx(np.log(exact), abs=1e-4)


def test_leave_one_row_out_agrees_with_refitting(panel):
    """Without varying effects the fit is cheap: leave rows out for real."""
    spec = small_spec(term=[_term("land_contiguity"), _term("major_powers", "power")], varying=[])
    short = panel.select_years(1950, 1952)
    full = fit_model(spec, short, seed=3, draws=1000)
    context = ck.CheckContext(full, 1)
    s = context.sample
    assert not s.integrated
    y = short.data["outcome"].to_numpy()
    key = {
        (int(t), int(a), int(b)): i
        for i, (t, a, b) in enumerate(
            zip(s.year, s.rows["ccode_a"].values, s.rows["ccode_b"].values, strict=True)
        )
    }
    for i in [*np.flatnonzero(y == 1)[:3], 5]:
        row = short.data.isel(row=[i])
        rest = short.with_data(short.data.isel(row=np.delete(np.arange(y.size), i)))
        again = fit_model(spec, rest, seed=4, draws=1000)
        # the encoding of the remaining rows differs by a hair; predict through it
        from forecast.inference.predict import predict

        p = float(predict(again, short.with_data(row), seed=1).mean())
        exact = np.log(p if y[i] == 1 else 1 - p)
        place = key[tuple(int(row[n].item()) for n in ("year", "ccode_a", "ccode_b"))]
        assert s.row_elpd[place] == pytest.approx(exact, abs=0.06)


def test_groups_of_onsets_by_hand():
    # unit 0: rows 0-5 (years 1990-95), unit 1: rows 6-9 (1990-93)
    unit = np.array([0] * 6 + [1] * 4)
    year = np.array([*range(1990, 1996), *range(1990, 1994)])
    # data set 0: onsets in rows 1, 3, 9; data set 1: row 6; data set 2: none
    draw, row = np.array([0, 0, 0, 1]), np.array([1, 3, 9, 6])
    assert counts(draw, row, 3, unit, 2).tolist() == [[2, 1], [0, 1], [0, 0]]
    assert counts(draw, row, 3, np.where(unit == 0, -1, 0), 1).tolist() == [[1], [1], [0]]
    y = np.zeros(10)
    y[[1, 3, 9]] = 1.0
    since, number = earlier_onsets(y, unit, year)
    assert since.tolist() == [-1, -1, 1, 2, 1, 2, -1, -1, -1, -1]
    assert number.tolist() == [0, 0, 1, 1, 2, 2, 0, 0, 0, 0]
    assert (earlier_onsets(np.zeros(10), unit, year)[0] == -1).all()


def test_rows_of_one_year_do_not_know_each_other():
    """Two disputes of a pair in one year: the second is no recurrence of the first."""
    unit, year = np.zeros(4, dtype=int), np.array([1990, 1991, 1991, 1994])
    since, number = earlier_onsets(np.array([1.0, 1.0, 0.0, 0.0]), unit, year)
    assert since.tolist() == [-1, 1, 1, 3]
    assert number.tolist() == [0, 1, 1, 2]


def test_the_limit_of_distances_is_kept_by_all_but_the_rate():
    rng = np.random.default_rng(5)
    failed = 0
    for _ in range(400):
        rate = rng.gamma(2.0, [1.0, 5.0, 30.0])
        both = {str(k): rng.poisson(r, 201).astype(float) for k, r in enumerate(rate)}
        distance, limit = judged({k: (v[1:], v[0]) for k, v in both.items()}, rate=0.05)
        failed += (distance > limit).any()
    assert 4 <= failed <= 34  # binomial of 400 at 5%, four s.d. to either side, and it can fail
    far = {"a": (rng.poisson(9.0, 200).astype(float), 40.0), "b": (np.full(200, 3.0), 3.0)}
    distance, limit = judged(far, rate=0.05)
    assert distance[0] > limit > distance[1]


def test_dyadic_onset_counts_for_both_states(context):
    found = replicated_statistics(context.sample)
    named = replicated_statistics(context.sample, names={2: "United States of America"})
    assert "onsets of United States of America" in named
    states = {k: v for k, v in found.items() if k.startswith("onsets of state")}
    assert len(states) == 10
    rows = context.sample.rows
    y = context.sample.outcome == 1
    for name, (_, observed) in states.items():
        code = int(name.split()[-1])
        mine = (rows["ccode_a"].to_numpy() == code) | (rows["ccode_b"].to_numpy() == code)
        assert observed == (y & mine).sum()


@pytest.fixture(scope="module", params=[1, 2])
def dependent(request):
    """Rows with strong dependence on the year before: odds 12 times as high after an onset."""
    return simulate_panel(seed=request.param, again=2.5, last=1979)


def history(*names):
    terms = [_term("land_contiguity"), _term("major_powers", "power"), _term("ally", "commitment")]
    return small_spec(
        term=[*terms, *(_term(name, "history") for name in names)],
        varying=[{"name": "dyad", "scale": {"sd": 0.6}, "reason": "test"}],
        intercept={"sd": 0.7, "reason": "test"},
    )


def test_a_true_model_with_state_dependence_passes_every_check(dependent):
    fitted = fit_model(history("peace_years", "dispute_last_year"), dependent, seed=3, draws=400)
    scored = backtest(
        BacktestPlan(
            model=fitted.spec, origins=range(1975, 1980), refit=5, draws=200, seed=4, baselines=()
        ),
        dependent,
    )
    fitted = replace(fitted, record=record_of(scored, specification=fitted.spec.sha256))
    found = {r.name: r for r in ck.check(fitted, seed=5)}
    assert {name: r.text for name, r in found.items() if not r.passed} == {}
    assert "onsets 1 year after the last" in set(found["posterior_predictive"].table["statistic"])


def test_a_model_without_the_history_fails_on_it(dependent):
    fitted = fit_model(history(), dependent, seed=3, draws=400)
    result = ck.check(fitted, seed=5, checks=["posterior_predictive"])[0]
    assert result.passed is False
    assert "onsets 1 year after the last" in result.text.split("all but ")[1]


@pytest.mark.parametrize("seed", [1, 2])
def test_priors_that_are_true_are_in_no_conflict(panel, seed):
    """Truth from the prior: twenty parameters are sensitive, which is no fault."""
    short = panel.select_years(1950, 1969)
    design, _ = encode(small_spec(), short)
    simulated, _ = simulate_outcomes(design, np.random.default_rng(seed))
    data = short.data.assign(outcome=("row", simulated.y))
    fitted = fit_model(small_spec(), short.with_data(data), seed=3, draws=400)
    result = ck.check(fitted, seed=5, checks=["prior_sensitivity"])[0]
    assert result.passed, result.text
    assert (result.table["limit"] >= 0.05).all()


def test_reliability_is_told_from_the_record_and_fails_when_rates_change():
    spec = history("peace_years")
    later = simulate_panel(seed=3, late=1.5, last=1979)
    scored = backtest(
        BacktestPlan(
            model=spec, origins=range(1976, 1980), refit=4, draws=200, seed=4, baselines=()
        ),
        later,
    )
    result = reliability_of(record_of(scored))
    assert result.passed is False
    assert "is that of: yearly totals" in result.text


def test_reliability_fails_when_forecasts_are_too_extreme():
    rng = np.random.default_rng(6)
    p = expit(rng.normal(-3.0, 1.0, 20_000))
    rows = pd.DataFrame(
        {
            "horizon": 1, "year": np.repeat(np.arange(10), 2_000) + 1990, "model": "m",
            "ccode_a": np.tile(np.arange(2_000), 10), "ccode_b": 5_000,
            "outcome": (rng.uniform(size=p.size) < p).astype(float), "probability": p,
        }
    )  # fmt: skip
    good = reliability_of(calibration_record(rows, model="m", seed=1, resamples=20))
    assert good.passed, good.text
    assert "No predictive distribution of yearly totals" in good.text
    rows["probability"] = expit(1.5 * logit(p) + 1.5)
    bad = reliability_of(calibration_record(rows, model="m", seed=1, resamples=20))
    assert bad.passed is False
    assert "is that of: recalibration slope" in bad.text


def test_a_record_of_another_specification_is_not_judged(context):
    fit = replace(context.fit)
    rows = pd.DataFrame(
        {"horizon": 1, "year": [1990, 1990, 1991, 1991], "model": "m", "ccode_a": [1, 2, 1, 2],
         "ccode_b": 9, "outcome": [0.0, 1.0, 1.0, 0.0], "probability": [0.2, 0.4, 0.3, 0.5]}
    )  # fmt: skip
    other = calibration_record(rows, model="m", seed=1, resamples=20, specification="f" * 64)
    result = ck.check_reliability(ck.CheckContext(replace(fit, record=other), 1))
    assert result.passed is None
    assert "of another specification" in result.text


def test_many_rows_cost_fewer_draws_and_units(context, monkeypatch):
    fit = context.fit
    whole = context.sample
    monkeypatch.setattr(ck, "CELLS", 250 * context.design.y.size)
    monkeypatch.setattr(ck, "PRIOR_ROWS", 1_000)
    monkeypatch.setattr(insample, "_UNITS", 60)
    few = ck.CheckContext(fit, context.seed)
    assert few.posterior.draws == 250
    text = ck.check_prior_predictive(few).text
    assert "among 33 of 300 units, taken at random" in text
    part = few.sample
    assert part.units.size < whole.units.size == 300
    assert part.unit_weight.sum() == pytest.approx(300)
    event = np.bincount(whole.unit, weights=whole.outcome) > 0
    assert event[part.units].sum() == event.sum()
    assert (part.unit_weight == 1.0).sum() == event.sum()
    one, all_ = ck.check_loo(few).table.iloc[1], ck.check_loo(context).table.iloc[1]
    assert one["elpd"] == pytest.approx(all_["elpd"], rel=0.02)
    assert "units all with an onset and 60 others, weighted" in ck.check_loo(few).text


def test_the_limit_of_pareto_k_knows_the_draws():
    assert khat_limit(100) == pytest.approx(0.5)
    assert khat_limit(1000) == pytest.approx(2 / 3)
    assert khat_limit(2200) == khat_limit(10**6) == 0.7
    with pytest.raises(ArgumentError, match="draws=10, expected more than 10"):
        khat_limit(10)


def test_progress_is_silent_when_off(fitted, capsys):
    ck.check(fitted, seed=1, checks=["diagnostics"])
    assert capsys.readouterr() == ("", "")
