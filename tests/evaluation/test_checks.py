"""Checks: each can pass and each can fail; LOO against brute force; replicates by hand."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from scipy.integrate import quad
from scipy.special import expit
from scipy.stats import norm

from forecast.errors import ArgumentError, UnknownNameError
from forecast.evaluation import checks as ck
from forecast.evaluation.insample import in_sample, posterior_draws
from forecast.evaluation.replicates import Events, replicated_statistics
from forecast.inference.fit import fit as fit_model
from forecast.modeling.encode import encode
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
        assert isinstance(one.passed, bool)
        assert one.text.endswith(".")
        assert one.text == two.text
        pd.testing.assert_frame_equal(one.table, two.table)
        assert one.to_dict()["name"] == one.name
        if one.figure is not None:
            assert isinstance(one.figure(), Figure)
    by_name = {r.name: r for r in results}
    assert by_name["diagnostics"].passed == fitted.gate().passed
    assert by_name["prior_predictive"].passed
    assert by_name["posterior_predictive"].passed
    assert by_name["loo"].passed
    assert by_name["reliability"].passed


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
    assert "not for: onsets a year" in result.text


def test_posterior_predictive_reliability_and_loo_fail_when_the_model_is_wrong(context):
    shifted = replace(context.posterior, beta=context.posterior.beta + np.eye(1, 5)[0] * 1.5)
    sample = in_sample(context.design, shifted, seed=1)
    wrong = changed(context, sample=sample)
    assert not ck.check_posterior_predictive(wrong).passed
    result = ck.check_reliability(wrong)
    assert not result.passed
    assert sample.probability.sum() > 2 * sample.outcome.sum()
    good, bad = ck.check_loo(context), ck.check_loo(wrong)
    assert bad.table["elpd"].iloc[0] < good.table["elpd"].iloc[0]
    khat = context.sample.row_khat.copy()
    khat[:100] = 0.9
    trust = ck.check_loo(changed(context, sample=replace(context.sample, row_khat=khat)))
    assert not trust.passed
    assert "exceeds 0.7 for 100 of" in trust.text


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
    from forecast.evaluation.insample import _integrated

    pick = int(np.argmax(np.bincount(design.blocks[0].matrix.indices, weights=design.y)))
    rows = np.flatnonzero(design.blocks[0].matrix.indices == pick)
    rest = few.beta @ design.X[rows].T
    y = design.y[rows]
    found = _integrated(rest, y, np.array([0, rows.size]), few.sigma["dyad"])[:, 0]
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


def test_statistics_of_onsets_by_hand():
    # unit 0: rows 0-5 (years 1990-95), unit 1: rows 6-9 (1990-93)
    unit = np.array([0] * 6 + [1] * 4)
    year = np.array([*range(1990, 1996), *range(1990, 1994)])
    # data set 0: onsets in rows 1, 3, 9; data set 1: row 6; data set 2: none
    e = Events(np.array([0, 0, 0, 1]), np.array([1, 3, 9, 6]), 3, unit, year)
    assert e.counts(unit, 2).tolist() == [[2, 1], [0, 1], [0, 0]]
    # longest peace: unit 0: max(1, 1, 2) = 2, unit 1: 3 -> 2.5; then 6 and 3 -> 4.5; 6, 4 -> 5
    assert e.longest_peace().tolist() == [2.5, 4.5, 5.0]
    # last = 1998: onsets up to 1993 count; 1991 recurs in 1993, 1993 of unit 1 does not
    share = e.recurrence(1998)
    assert share[0] == pytest.approx(1 / 3)
    assert share[1] == 0.0
    assert np.isnan(share[2])


def test_statistics_without_any_replicated_onset():
    unit, year = np.array([0, 0, 1]), np.array([1990, 1991, 1990])
    empty = np.array([], dtype=np.int64)
    e = Events(empty, empty, 2, unit, year)
    assert e.longest_peace().tolist() == [1.5, 1.5]
    assert e.counts(unit, 2).sum() == 0
    assert np.isnan(e.recurrence(2000)).all()


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


def test_progress_is_silent_when_off(fitted, capsys):
    ck.check(fitted, seed=1, checks=["diagnostics"])
    assert capsys.readouterr() == ("", "")
