"""Effects: averages of probabilities by hand, what moves along, drawn rows, what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit
from support.rich_model import rich_fit

import forecast as fc
from forecast.errors import ArgumentError, UnknownNameError
from forecast.evaluation import effects as effects_module
from forecast.features.gather import compute_features
from forecast.features.strata import STRATUM_COLUMNS
from forecast.inference.predict import linear_predictor, posterior_values
from forecast.modeling.encoding import complete

DRAWS = 60


@pytest.fixture(scope="module")
def rows(known_fit):
    """A thousand rows, so that none is drawn and slopes of every era are used."""
    panel = known_fit.panel
    some = panel.with_data(panel.data.isel(row=np.arange(0, panel.data.sizes["row"], 67)))
    return complete(some, known_fit.encoding.terms)


def test_pacts_by_era_are_those_worked_out_by_hand(known_fit, rows):
    found = fc.effects(known_fit, "defense_pact", by="era", rows=rows, draws=DRAWS)
    encoded = known_fit.encoding.apply(rows)
    eta = linear_predictor(known_fit, encoded, draws=DRAWS).to_numpy().astype(float)
    values = posterior_values(known_fit, DRAWS)
    place = {name: j for j, name in enumerate(encoded.names)}
    beta, slopes = values("beta"), values("effect_slope")
    levels = [str(v) for v in known_fit.posterior["posterior"]["level_slope"].to_numpy()]
    year = encoded.rows["year"].to_numpy()
    own = encoded.X[:, place["defense_pact"]]
    far = encoded.X[:, place["far"]]
    known = np.isfinite(rows.data["defense_pact"].to_numpy())[encoded.kept]
    low = own[known].min()  # the value column is centred, its divisor 1
    for g, (era, first, last) in enumerate(
        [("post_cold_war", 1990, 2013), ("renewed_rivalry", 2014, 9999)]
    ):
        mine = known & (year >= first) & (year <= last)
        slope = beta[:, [place["defense_pact"]]] + slopes[:, [levels.index(f"defense_pact|{era}")]]
        slope = slope + beta[:, [place["defense_pact_far"]]] * far[mine]
        at_zero = eta[:, mine] + slope * (low - own[mine])
        before, after = expit(at_zero).mean(axis=1), expit(at_zero + slope).mean(axis=1)
        row = found.table.iloc[g]
        assert (row["group"], row["rows"], row["missing"]) == (
            era, mine.sum(), (~known & (year >= first) & (year <= last)).sum(),
        )  # fmt: skip
        assert row["difference"] == pytest.approx((after - before).mean(), rel=1e-4)
        ends = np.quantile(after - before, (0.05, 0.95))
        assert row[["lower", "upper"]].to_list() == pytest.approx(ends, rel=1e-3)
        assert row["ratio"] == pytest.approx((after / before).mean(), rel=1e-4)
        drawn = found.draws.isel(comparison=0, group=g)
        np.testing.assert_allclose(drawn.sel(end="high"), after, rtol=1e-4)
    assert found.caution in " ".join(repr(found).split())
    assert len(repr(found)) < 1500


def test_a_feature_is_every_term_of_it_and_a_curve_is_what_it_says(known_fit, rows):
    pacts = fc.effects(known_fit, "pact_in_dyad", rows=rows, draws=DRAWS)
    assert pacts.table["term"].tolist() == ["defense_pact", "nonaggression_pact"]
    curve = fc.effects(known_fit, "peace_years", rows=rows, draws=DRAWS, values=(0, 5, 30))
    assert curve.curves["value"].tolist() == [0, 5, 30]
    assert curve.table[["low", "high"]].iloc[0].tolist() == [0, 30]
    alone = fc.effects(known_fit, "peace_years", rows=rows, draws=DRAWS, contrast=(0, 5))
    assert alone.table["probability_high"].iloc[0] == pytest.approx(
        curve.curves["probability"].iloc[1], rel=1e-6
    )
    usual = fc.effects(known_fit, "peace_years", rows=rows, draws=DRAWS)
    assert usual.curves["value"].is_monotonic_increasing
    assert 0 <= usual.table["low"].iloc[0] < usual.table["high"].iloc[0] < 80


def test_profiles_and_held_values_agree(known_fit, rows):
    one = {"defense_pact": 0, "peace_years": 2}
    other = {"defense_pact": 1, "peace_years": 2}
    two = fc.effects(known_fit, contrast=(one, other), rows=rows, draws=DRAWS).table.iloc[0]
    held = fc.effects(known_fit, "defense_pact", at={"peace_years": 2}, rows=rows, draws=DRAWS)
    assert two["difference"] == pytest.approx(held.table["difference"].iloc[0], rel=1e-6)
    assert two["contrast"] == "defence pact 0, peace years 2 → defence pact 1, peace years 2"


def test_whatever_a_term_is_part_of_moves_with_it(known_fit):
    fit = rich_fit(known_fit)
    panel = fit.panel.with_data(fit.panel.data.isel(row=np.arange(0, 60000, 601)))
    panel = compute_features(complete(panel, fit.encoding.terms), STRATUM_COLUMNS)
    panel = panel.with_data(panel.data.isel(row=fit.encoding.apply(panel).kept))
    for name in ("far", "quiet", "joint_capability", "land_contiguity"):
        found = fc.effects(fit, name, rows=panel, draws=20, by="stratum")
        ends = found.table[["low", "high"]].iloc[0]
        data, means = panel.data, []  # the same, by the encoding of changed rows
        for end in ends:
            new = data.assign({name: ("row", np.full(data.sizes["row"], end))})
            eta = linear_predictor(fit, fit.encoding.apply(new), draws=20).to_numpy()
            known = np.isfinite(data[name].to_numpy())
            means.append(expit(eta)[:, known].sum(axis=1).mean())
        weight = found.table["rows"]
        for column, mean in zip(("probability_low", "probability_high"), means, strict=True):
            assert (found.table[column] * weight).sum() == pytest.approx(mean, rel=1e-4)


def test_drawn_rows_say_what_all_rows_say(known_fit, monkeypatch):
    drawn = fc.effects(known_fit, "defense_pact", by="era", draws=20)
    assert drawn.sampled < drawn.rows / 3
    monkeypatch.setattr(effects_module, "_ROWS", 10**9)
    every = fc.effects(known_fit, "defense_pact", by="era", draws=20)
    assert every.sampled == every.rows
    for column in ("probability_low", "probability_high", "difference"):
        np.testing.assert_allclose(drawn.table[column], every.table[column], rtol=0.02)


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("defence_pact", {}, "Did you mean 'defense_pact'"),
        ("long_peace", {}, "is in no term of model"),
        ("defense_pact_far", {}, "product of 'defense_pact' and 'far'"),
        ("defense_pact", {"contrast": (0, 3)}, "defense_pact = 3 is no value of feature"),
        ("defense_pact", {"contrast": (0, "1")}, "expected a number"),
        ("defense_pact", {"contrast": 1}, "expected two values"),
        ("defense_pact", {"contrast": ({}, {})}, "leave out the name"),
        ("defense_pact", {"values": "01"}, "expected numbers"),
        ("defense_pact", {"by": "region"}, "groups of rows"),
        ("defense_pact", {"by": "capability_ratio"}, "different values"),
        ("defense_pact", {"at": {"pact_in_dyad": 1}}, "defense_pact, nonaggression_pact"),
        ("defense_pact", {"at": ["peace_years"]}, "expected values by term"),
        ("defense_pact", {"draws": 2.5}, "whole number"),
        ("defense_pact", {"rows": 3}, "expected a Panel"),
        (None, {}, "name of a term or feature"),
        (None, {"contrast": ({"far": 1}, {"under_way": 1})}, "same terms in both"),
    ],
)
def test_what_cannot_be_compared_is_refused(known_fit, rows, name, options, says):
    with pytest.raises((ArgumentError, UnknownNameError), match=says):
        fc.effects(known_fit, name, **{"rows": rows} | options)
