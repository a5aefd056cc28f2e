"""Forecasts several years ahead: only what was known, the same as predictions one year ahead."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from forecast.errors import ArgumentError, CoverageError
from forecast.evaluation.backtest import BacktestPlan, backtest
from forecast.evaluation.origins import (
    at_risk_draws,
    known_before,
    simulated_forecasts,
    target_panel,
    training_panel,
)
from forecast.inference.fit import fit
from forecast.inference.predict import predict
from forecast.modeling.encoding import complete
from forecast.modeling.spec import ModelSpec
from forecast.panel.build import load_panel

KEYS = ["horizon", "model", "year", "ccode_a", "ccode_b"]


def model():
    """Dispute history of pair, states and system, power, and alliances."""

    def term(name, family, **more):
        return {
            "name": name, "feature": name, "family": family, "pre_treatment": family != "history",
            "missing": "indicator", "prior": {"mean": 0.0, "sd": 0.5}, "reason": "test",
        } | more  # fmt: skip

    return ModelSpec.from_dict(
        {
            "name": "ahead",
            "description": "What a simulation carries forward.",
            "unit": "dyad-year",
            "population": "politically_relevant",
            "intercept": {"reason": "test"},
            "term": [
                term("disputes_total", "history", transform="log1p", missing="error"),
                term("dispute_last_year", "history", missing="error"),
                term("peace_years", "history", transform="log1p", missing="error"),
                term("state_disputes_recent", "history", side="sum", options={"window": 3}),
                term("capability_ratio", "power"),
                term("shared_allies", "deterrence", transform="log1p"),
            ],
            "varying": [
                {"name": "state", "scale": {"sd": 0.5}, "reason": "test"},
                {
                    "name": "era", "structure": "random_walk", "step": 5, "scale": {"sd": 0.3},
                    "reason": "test",
                },
            ],
        }
    )  # fmt: skip


def altered(tables, origin):
    """The same data set with another history from the origin on."""
    first = pd.Timestamp(f"{origin}-01-01").as_unit("s")
    conflicts = tables.conflicts[tables.conflicts["start"] < first].copy()
    late = conflicts["end"].isna() | (conflicts["end"] >= first)
    conflicts.loc[late, "end"] = pd.Timestamp(f"{origin}-02-01").as_unit("s")
    members = tables.members[tables.members["start"] < first].copy()
    members["end"] = members["end"].where(members["end"] < first, first)
    capabilities = tables.capabilities.copy()
    later = capabilities["year"] >= origin
    shares = capabilities.loc[later, "capability"]
    capabilities.loc[later, "capability"] = shares[::-1].to_numpy()
    return replace(
        tables,
        conflicts=conflicts.reset_index(drop=True),
        members=members.reset_index(drop=True),
        capabilities=capabilities,
        fingerprint="altered",
    )


def test_what_was_known_before_2006(tiny_tables):
    known = known_before(tiny_tables, 2006)
    conflicts = known.conflicts.set_index("conflict_id")
    assert "c11" not in conflicts.index  # begins in April 2006
    assert pd.isna(conflicts.loc["c10", "end"])  # runs from 2005 to 2007: the end is not known
    assert conflicts.loc["c10", "outcome"] == "ongoing"
    assert conflicts.loc["c09", "end"] == pd.Timestamp("2003-06-30")
    bela = known.members.query("alliance_id == 'north-pact' and ccode == 20")
    assert bela["end"].isna().all()  # it leaves in June 2006
    assert known.capabilities["year"].max() == 2005
    assert {c.last for c in known.coverage.values()} == {2005}
    assert tiny_tables.conflicts["conflict_id"].isin(["c11"]).any()  # the original is as it was
    early = known_before(tiny_tables, 1995)
    assert set(early.alliances["alliance_id"]) == {"eron-dara", "north-pact"}
    assert set(early.members["alliance_id"]) == {"eron-dara", "north-pact"}
    assert 30 not in set(early.states["ccode"])  # enters in July 1995
    with pytest.raises(CoverageError, match="nothing is known before 1990"):
        known_before(tiny_tables, 1990)


@pytest.fixture(scope="module")
def recent(tables):
    """Embedded data from 1993: few enough rows for a fit to take a second."""
    panel = load_panel(data=tables, population="politically_relevant", years=(1993, 2013))
    return complete(panel, model().entries)


@pytest.fixture(scope="module")
def fitted(recent):
    panel = recent.select_years(1993, 2006)
    return panel, fit(model(), training_panel(panel, 2004), seed=3, draws=100)


def test_one_year_ahead_a_simulation_is_a_prediction(tables, fitted):
    """Two ways to the same probabilities: design rows of the panel, and the simulated world."""
    panel, posterior = fitted
    target = target_panel(panel, 2004)
    stripped = replace(posterior, panel=replace(posterior.panel, world=None, tables=None))
    found, at_risk = simulated_forecasts(stripped, tables, {1: target}, origin=2004, seed=3)[1]
    expected = predict(posterior, target, seed=3).to_numpy()
    there = np.isfinite(found).all(axis=0)
    assert there.mean() > 0.98
    np.testing.assert_allclose(found[:, there], expected[:, there], rtol=2e-4)
    assert (at_risk[:, there] <= 1).all()
    assert (at_risk[:, there] == 1).mean() > 0.9  # few pairs are in a dispute at the origin


def test_draws_given_that_a_row_is_at_risk():
    """The right distribution row by row, and draws that stay together across rows."""
    rng = np.random.default_rng(1)
    draws = rng.beta(1, 20, (4000, 4)).astype(np.float32)
    draws[:, 1] = draws[:, 0]
    at_risk = np.column_stack(
        [1 - draws[:, 0], np.ones(4000), draws[:, 2] > 0.05, np.zeros(4000)]
    ).astype(np.float32)
    found = at_risk_draws(draws, at_risk, rng)
    for row in (0, 2):
        mean = np.average(draws[:, row], weights=at_risk[:, row])
        assert found[:, row].mean() == pytest.approx(mean, abs=0.003)
    assert found[:, 2].min() > 0.05
    np.testing.assert_array_equal(found[:, 1], draws[:, 1])  # always at risk: as they were
    # The share of draws that may stay is the most that the two distributions have in common.
    share = at_risk[:, 0] / at_risk[:, 0].mean()
    assert (found[:, 0] == draws[:, 0]).mean() == pytest.approx(
        np.minimum(share, 1).mean(), abs=0.01
    )
    assert np.isnan(found[:, 3]).all()


def test_nothing_that_happened_from_the_origin_on_enters(tables, recent):
    """Other alliances, capabilities and disputes later: the same forecasts at every horizon."""
    options = {
        "origins": [2004], "horizons": [1, 3], "seed": 3, "draws": 100,
        "baselines": ("history", "conflictology"), "resamples": 100,
    }  # fmt: skip
    other = load_panel(
        data=altered(tables, 2004), population="politically_relevant", years=(1993, 2006)
    )
    seen = [
        backtest(BacktestPlan(model=model(), **options), panel).forecasts.set_index(KEYS)
        for panel in (recent.select_years(1993, 2006), other)
    ]
    joined = seen[0].join(seen[1].add_suffix("_other"), how="inner")
    assert len(joined) > 0.9 * len(seen[0])
    for name in ("probability", "lower", "upper"):
        np.testing.assert_allclose(joined[name], joined[f"{name}_other"], rtol=1e-6)
    assert (joined["stratum"] == joined["stratum_other"]).all()
    assert joined["outcome"].sum() > 0
    assert joined["outcome_other"].sum() == 0


def test_a_pair_that_nobody_knew_of_is_left_out_for_all(recent):
    """South Sudan enters in 2011: at the origin 2010 it has no row two years ahead."""
    panel = recent
    result = backtest(
        BacktestPlan(
            model=model(),
            origins=[2010],
            horizons=[3],
            seed=1,
            draws=100,
            baselines=("history",),
            resamples=100,
        ),
        panel,
    )
    year = panel.select_years(2012, 2012).data
    new = (year["ccode_a"] == 626) | (year["ccode_b"] == 626)
    assert int(new.sum()) > 0
    assert result.settings["rows_left_out"] >= int(new.sum())
    assert set(result.settings["rows_left_out_by"]) == {"ahead"}
    f = result.forecasts
    assert not ((f["ccode_a"] == 626) | (f["ccode_b"] == 626)).any()
    assert len(set(f.groupby("model").size())) == 1
    mine = f[f["model"] == "ahead"]
    assert ((mine["lower"] <= mine["upper"]) & mine["probability"].between(0, 1)).all()


def test_a_simulation_needs_tables_and_dyads(panel, tables, fitted):
    with pytest.raises(ArgumentError, match="only horizon 1 can be scored"):
        backtest(
            BacktestPlan(model=model(), origins=[1985], horizons=[3], seed=1, baselines=()), panel
        )
    _, posterior = fitted
    other = replace(posterior, spec=posterior.spec.model_copy(update={"unit": "state-year"}))
    with pytest.raises(ArgumentError, match="simulated for dyad-years only"):
        simulated_forecasts(other, tables, {}, origin=2004, seed=1)
