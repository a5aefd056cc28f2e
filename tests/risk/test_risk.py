from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from support.known import make_known_fit

import forecast
from forecast.errors import ArgumentError, UnknownNameError
from forecast.evaluation.calibration_record import CalibrationRecord, calibration_record
from forecast.evaluation.origins import known_before, target_panel, training_panel
from forecast.features import compute_features
from forecast.features.strata import (
    OUTSIDE,
    STRATA,
    STRATA_WORDS,
    STRATUM_COLUMNS,
    base_rates,
    stratum_of,
)
from forecast.inference.fit import Fit
from forecast.inference.predict import predict
from forecast.modeling.spec import load_model
from forecast.panel.events import UnderWay
from forecast.panel.types import Population
from forecast.panel.world import build_world
from forecast.risk import risk
from forecast.risk.pair_answer import Risk
from forecast.simulation.simulate import simulate
from forecast.sources.tables import Tables

PASTS = ("first ever", "quiet", "recurrent")


def test_the_order_and_the_kind_of_name_do_not_matter(known_fit: Fit) -> None:
    one = risk(known_fit, "IND", "PAK", horizon=3)
    other = risk(known_fit, "Pakistan", 750, horizon=3)
    assert other == replace(one, state_a="Pakistan", state_b="India", ccode_a=770, ccode_b=750)
    assert (one.ccode_a, one.ccode_b) == (750, 770)
    # As asked, in the answer, in JSON, in words and in a row of a table.
    assert str(other).startswith("Pakistan–India: ")
    assert [other.to_dict()[name] for name in ("state_a", "ccode_a")] == ["Pakistan", 770]
    table = risk(known_fit, ["UKR", "IND"], ["RUS", "PAK"])
    assert table[["state_a", "state_b"]].to_numpy().tolist() == [
        ["Ukraine", "Russia"], ["India", "Pakistan"],
    ]  # fmt: skip
    turned = risk(known_fit, ["RUS", "PAK"], ["UKR", "IND"])
    assert turned["probability"].tolist() == table["probability"].tolist()
    assert turned["ccode_a"].tolist() == [365, 770]
    assert (one.first_year, one.last_year) == (2026, 2028)


def test_an_answer_holds_what_the_number_needs(known_fit: Fit) -> None:
    answer = risk(known_fit, "IND", "PAK", horizon=3, level=0.8)
    assert 0 < answer.lower < answer.probability < answer.upper < 1
    assert answer.interval_kind == "equal-tailed"
    assert answer.interval_level == 0.8
    assert "3 years" in answer.unit
    assert answer.stratum == "recurrent"
    assert answer.ratio == pytest.approx(answer.probability / answer.base_rate)
    assert len(answer.drivers) == 3
    sizes = [abs(d["log_odds"]) for d in answer.drivers]
    assert sizes == sorted(sizes, reverse=True)
    assert set(answer.effects) == {"state", "dyad", "era"}
    assert answer.support["rows_of_dyad"] > 0
    assert answer.calibration["source"].startswith("in sample")
    assert answer.calibration["rows"] > 0
    assert answer.vintage["conflicts"]["last"] == 2025
    assert "not causal" in answer.caution
    text = json.dumps(answer.to_dict(), allow_nan=False)
    assert json.loads(text)["probability"] == answer.probability
    assert "80% equal-tailed interval" in str(answer)
    card = repr(answer).splitlines()
    assert card[0] == "India–Pakistan"
    assert len(card) < 30
    assert answer.rounded["text"] in card[1] + card[2]
    assert answer.caution[:40] in answer._repr_html_()


def test_many_pairs_give_the_same_numbers_as_one(known_fit: Fit) -> None:
    table = risk(known_fit, ["IND", "USA"], ["PAK", "CHN"], horizon=2)
    assert table["horizon"].tolist() == [1, 2, 1, 2]
    single = risk(known_fit, "USA", "CHN", horizon=2)
    row = table.iloc[3]
    assert row["probability"] == pytest.approx(single.probability)
    assert row["base_rate"] == pytest.approx(single.base_rate)
    assert row["lower"] == pytest.approx(single.lower, rel=1e-5)
    assert row["upper"] == pytest.approx(single.upper, rel=1e-5)


def test_everyone_agrees_with_the_simulation(known_fit: Fit) -> None:
    table = risk(known_fit, horizon=5)
    result = simulate(known_fit, horizon=5)
    expected = result["cumulative_risk"].sel(world="status_quo", estimate="mean")
    found = table["probability"].to_numpy().reshape(-1, 5).T
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_an_unknown_state_suggests_the_nearest(known_fit: Fit) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'Pakistan'"):
        risk(known_fit, "IND", "Pakistn")


@pytest.mark.parametrize(
    ("arguments", "options", "words"),
    [
        (("IND", "India"), {}, "same state"),
        (("IND", "PAK"), {"horizon": 0}, "horizon"),
        (("IND", "PAK"), {"horizon": 21}, "horizon"),
        (("IND", "PAK"), {"level": 90}, "level"),
        (("IND",), {}, "both states"),
        ((["IND"], ["PAK", "CHN"]), {}, "equal length"),
        (("IND", ["PAK"]), {}, "equal length"),
    ],
)
def test_bad_arguments(known_fit: Fit, arguments: tuple, options: dict, words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        risk(known_fit, *arguments, **options)


def test_a_pair_outside_the_population_says_how_it_was_handled(known_fit: Fit) -> None:
    answer = risk(known_fit, "Bolivia", "Mongolia", horizon=2)
    assert answer.stratum == "outside the population"
    assert "outside the population" in answer.handling
    assert ": no forecast of the two. The pair is outside the population" in str(answer)
    assert answer.probability == answer.base_rate < 0.01
    assert answer.lower < answer.probability < answer.upper
    table = risk(known_fit, ["Bolivia", "IND"], ["Mongolia", "PAK"], horizon=2)
    assert table["handling"].tolist() == ["observed rate"] * 2 + ["model"] * 2
    assert table["probability"].iloc[1] == pytest.approx(answer.probability)


@pytest.mark.parametrize("population", ["politically_relevant", "all"])
@pytest.mark.parametrize("rule", ["stratum", "drop", "convention"])
def test_base_rates_are_shares_of_the_rows_of_a_fit(
    tables: Tables, population: Population, rule: UnderWay
) -> None:
    """Every row of the fit's population and rule, and every onset, is in one of the strata."""
    full = forecast.load_panel(data=tables, population=population, under_way=rule)
    assert full.world is not None
    rates = base_rates(full.world, population=population, under_way=rule, horizon=3)
    for h in (1, 2, 3):
        assert rates[h]["first ever"].rate < rates[h]["quiet"].rate < rates[h]["recurrent"].rate
    assert rates[1]["quiet"].onsets <= rates[2]["quiet"].onsets <= rates[3]["quiet"].onsets + 30
    assert sum(rates[1][s].rows for s in STRATA) == full.data.sizes["row"]
    assert sum(rates[1][s].onsets for s in STRATA) == int(full.data["outcome"].sum())
    assert (rates[1]["under way"].rows > 0) == (rule == "stratum")
    assert (rates[1][OUTSIDE].rows > 0) == (population != "all")


def test_a_base_rate_is_that_of_the_fits_population(known_fit: Fit) -> None:
    answer = risk(known_fit, "IND", "PAK")
    assert answer.base_population == "politically relevant pairs"
    words = f"of {STRATA_WORDS['recurrent']} (politically relevant pairs)"
    assert words in str(answer)
    assert known_fit.panel.world is not None
    spec = known_fit.spec.model_copy(update={"population": "all"})
    whole = replace(
        known_fit, spec=spec, id="all", panel=replace(known_fit.panel, population="all")
    )
    of_all = risk(whole, "IND", "PAK", draws=10)
    assert of_all.base_population == "all pairs of states"
    assert of_all.base_rate < answer.base_rate
    rates = base_rates(
        known_fit.panel.world, population="all", under_way="stratum", horizon=1
    )  # fmt: skip
    assert of_all.base_rate == rates[1]["recurrent"].rate


def test_base_rates_of_pairs_that_are_not_politically_relevant(tables: Tables) -> None:
    """Rare without a record, and no flat rate: with a recent dispute it is 200 times as high."""
    world = build_world(tables)
    (rates,) = base_rates(world, population="all", under_way="stratum", horizon=1).values()
    first, quiet, recurrent = (rates[f"{past}, remote"] for past in PASTS)
    assert first.rows > 800_000
    assert 1.1e-4 < first.rate < 1.3e-4
    assert 0.0015 < quiet.rate < 0.0030
    # 21 onsets in 1,135 pair-years: .0189, of which the 90% interval is .013 to .026.
    assert 0.015 < recurrent.rate < 0.05
    for past, remote in zip(PASTS, (first, quiet, recurrent), strict=True):
        assert rates[past].rate > 2 * remote.rate
    assert rates[OUTSIDE].rows == 0
    # They are the strata by which a backtest keeps its record: also of the first years of states.
    full = compute_features(forecast.load_panel(data=tables), list(STRATUM_COLUMNS)).data
    peace, disputes, under_way, relevant = (
        np.nan_to_num(full[request.name].to_numpy()) for request in STRATUM_COLUMNS
    )
    stratum = stratum_of(peace, disputes, under_way == 1, relevant=relevant == 1)
    onsets = pd.Series(full["outcome"].to_numpy()).groupby(stratum).agg(["size", "sum"])
    assert {s: [rates[s].rows, rates[s].onsets] for s in STRATA} == onsets.T.to_dict("list")


# What is under way ------------------------------------------------------------------------------


def test_deaths_that_are_not_known_are_not_said_to_be_few(known_fit: Fit) -> None:
    known, unknown = (risk(known_fit, *pair).under_way for pair in (("RUS", "UKR"), ("RWA", "DRC")))
    assert known is not None and known.severity.startswith("more than 25 deaths of the pair")
    assert unknown is not None and unknown.severity.startswith("deaths of the pair not known")


def test_a_conflict_under_way_leads_the_answer(known_fit: Fit) -> None:
    answer = risk(known_fit, "RUS", "UKR", level=0.8)
    assert answer.status == "under way" and answer.ended is None
    found = answer.under_way
    assert found is not None
    assert (found.since, found.since_precision, found.age) == ("2022-02-24", "day", 4)
    (year,) = found.years
    assert year["year"] == 2026
    assert year["still"] + year["ended"] == pytest.approx(1)
    assert year["further"] == pytest.approx(answer.probability)
    for name in ("still", "ended", "further"):
        assert year[f"{name}_interval"][0] < year[name] < year[f"{name}_interval"][1]
    assert str(answer).startswith(
        "Russia–Ukraine: a conflict of the two is under way since 2022-02-24. It is still under way"
        " at the end of 2026 with "
    )
    assert f"a further one begins beside it with {answer.rounded['text']} (80%" in str(answer)
    longer = risk(known_fit, "RUS", "UKR", horizon=5)
    assert longer.under_way is not None
    still = [y["still"] for y in longer.under_way.years]
    assert still == sorted(still, reverse=True) and len(still) == 5
    assert "at the end of 2026 with" in str(longer) and "at the end of 2030 with" in str(longer)
    content = json.loads(json.dumps(longer.to_dict(), allow_nan=False))
    assert content["under_way"]["years"][0]["year"] == 2026


def test_a_conflict_that_has_ended_is_over(known_fit: Fit) -> None:
    answer = risk(known_fit, "IND", "PAK")
    assert answer.status == "ended" and answer.under_way is None
    assert answer.ended is not None and answer.ended.end == "2025-05-10"
    assert "that began 2025-04-24 and ended 2025-05-10" in str(answer)
    peace = risk(known_fit, "USA", "CAN")
    assert (peace.status, peace.under_way, peace.ended) == ("at peace", None, None)


def test_the_table_says_what_is_under_way(known_fit: Fit) -> None:
    table = risk(known_fit, horizon=2)
    assert set(table["status"]) == {"at peace", "ended", "under way"}
    going = table["status"] == "under way"
    assert (table["still_under_way"].notna() == going).all()
    row = table[(table["ccode_a"] == 365) & (table["ccode_b"] == 369)].iloc[0]
    single = risk(known_fit, "RUS", "UKR").under_way
    assert single is not None
    assert row["still_under_way"] == pytest.approx(single.years[0]["still"])


def test_what_is_under_way_outside_the_population(known_fit: Fit) -> None:
    """The hazard of ending needs no row of the pair; the model says nothing of a further one."""
    tables = known_fit.panel.tables
    assert tables is not None
    conflicts = tables.conflicts.copy()
    last = conflicts[(conflicts["ccode_a"] == 365) & (conflicts["ccode_b"] == 369)].iloc[[-1]]
    added = last.assign(ccode_a=145, ccode_b=712, conflict_id="invented")
    twin = replace(tables, conflicts=pd.concat([conflicts, added], ignore_index=True))
    fit = replace(known_fit, id="more", panel=replace(known_fit.panel, tables=twin))
    answer = risk(fit, "Bolivia", "Mongolia", horizon=2, draws=100)
    assert answer.status == "under way" and answer.under_way is not None
    assert answer.under_way.years[1]["further"] is None
    assert "The model says nothing of a further one" in str(answer)


def test_features_outside_the_range_of_the_fit_are_named(known_fit: Fit) -> None:
    encoding = known_fit.encoding
    narrow = tuple(
        replace(code, seen=(0.0, 1.0)) if code.name == "disputes_total" else code
        for code in encoding.terms
    )
    fit = replace(known_fit, id="narrow", encoding=replace(encoding, terms=narrow))
    (found,) = risk(fit, "IND", "PAK", draws=10).support["outside_range"]
    assert found["term"] == "disputes_total" and found["range"] == [0.0, 1.0]
    assert found["value"] > 10
    # Nothing lies outside of the range of its own rows but what has just grown.
    table = risk(known_fit, horizon=1).head(200)
    for a, b in zip(table["ccode_a"], table["ccode_b"], strict=True):
        for outside in risk(known_fit, int(a), int(b)).support["outside_range"]:
            low, high = outside["range"]
            assert not low <= outside["value"] <= high


@pytest.mark.parametrize(
    ("population", "rule", "origin"),
    [
        ("politically_relevant", "stratum", 2015), ("politically_relevant", "drop", 2009),
        ("all", "stratum", 2006),
    ],
)  # fmt: skip
def test_risk_says_what_a_backtest_says(
    tables: Tables, population: Population, rule: UnderWay, origin: int
) -> None:
    """Same pair, origin and data: the same number, for every pair of the population."""
    spec = load_model("dyad_onset").model_copy(update={"population": population})
    spec = spec.with_under_way(rule)
    options = {"population": population, "under_way": rule}
    first = 1990 if population == "politically_relevant" else 2001  # of all pairs a few years
    panel = forecast.load_panel(data=tables, years=(first, origin), **options)
    fit = make_known_fit(training_panel(panel, origin), model=spec, draws=100)
    rows = predict(fit, target_panel(panel, origin))
    expected = pd.DataFrame(
        {name: rows[name].to_numpy() for name in ("ccode_a", "ccode_b")}
        | {"backtest": rows.mean("draw").to_numpy()}
    )
    known = forecast.load_panel(
        data=known_before(tables, origin), years=(first, origin - 1), **options
    )
    table = risk(replace(fit, panel=known), horizon=1)
    both = table.merge(expected, on=["ccode_a", "ccode_b"], how="outer", indicator=True)
    both = both[both["handling"].isna() | (both["handling"] == "model")]
    # Nobody knows of a state before it is there; all other pairs are answered both ways.
    entered = tables.states["start"].dt.year == origin
    new = both[["ccode_a", "ccode_b"]].isin(set(tables.states.loc[entered, "ccode"])).any(axis=1)
    assert (both.loc[~new, "_merge"] == "both").all()
    both = both[both["_merge"] == "both"]
    assert len(both) > (18_000 if population == "all" else 1_700)
    assert ((both["status"] == "under way").any()) == (rule == "stratum")
    np.testing.assert_allclose(both["probability"], both["backtest"], rtol=3e-6)


def test_an_interval_is_the_quantiles_of_the_draws(known_fit: Fit) -> None:
    answer = risk(known_fit, "USA", "CHN", horizon=1, level=0.5)
    wide = risk(known_fit, "USA", "CHN", horizon=1, level=0.95)
    assert wide.lower < answer.lower < answer.upper < wide.upper
    assert isinstance(answer, Risk)


# The calibration record ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def record() -> CalibrationRecord:
    """Made-up forecasts of recurrent and quiet pairs, none above 20%, none of a first conflict."""
    rng = np.random.default_rng(11)
    count = 6000
    p = np.clip(np.exp(rng.normal(-3.2, 0.9, count)), 1e-4, 0.199)
    rows = pd.DataFrame(
        {
            "horizon": 1, "model": "m", "year": np.repeat(np.arange(1990, 2010), count // 20),
            "ccode_a": np.tile(np.arange(count // 20), 20), "ccode_b": 999, "probability": p,
            "outcome": (rng.random(count) < p).astype(float),
            "stratum": rng.choice(["recurrent", "quiet"], count),
        }
    )  # fmt: skip
    return calibration_record(rows, model="m", seed=1, resamples=5)


def pair_in(fit: Fit, stratum: str, low: float, high: float) -> tuple[int, int]:
    table = risk(fit, horizon=1)
    chosen = table[(table["stratum"] == stratum) & table["probability"].between(low, high, "left")]
    return int(chosen["ccode_a"].iloc[0]), int(chosen["ccode_b"].iloc[0])


def test_the_record_of_the_stratum_and_band_is_quoted(
    known_fit: Fit, record: CalibrationRecord
) -> None:
    fit = replace(known_fit, record=record)
    pair = pair_in(fit, "recurrent", 0.05, 0.1)
    answer = risk(fit, *pair)
    cell = record.bands.query("stratum == 'recurrent' and low == 0.05").iloc[0]
    assert answer.calibration["covered"]
    assert answer.calibration["rows"] == cell["rows"] > 100
    assert answer.calibration["onsets_observed"] == cell["observed"]
    assert answer.calibration["observed_rate_interval"] == [cell["lower"], cell["upper"]]
    assert answer.calibration["text"] in str(answer)
    assert f"Of {cell['rows']:,} dyad-years of neighbours, or pairs with" in str(answer)
    assert "1990–2009" in str(answer)
    # The same record given for one query, and as the evidence of a fit without one.
    assert risk(known_fit, *pair, evidence=record) == answer
    assert not risk(known_fit, *pair).calibration["covered"]


def test_more_years_are_quoted_by_their_first(known_fit: Fit, record: CalibrationRecord) -> None:
    fit = replace(known_fit, record=record)
    pair = pair_in(fit, "recurrent", 0.05, 0.1)
    one, three = risk(fit, *pair), risk(fit, *pair, horizon=3)
    assert three.calibration == one.calibration
    assert "For the first of these years alone: Of" in str(three)


def test_no_more_digits_than_the_record_supports(known_fit: Fit, record: CalibrationRecord) -> None:
    fit = replace(known_fit, record=record)
    pair = pair_in(fit, "recurrent", 0.02, 0.05)
    answer = risk(fit, *pair)
    low, high = answer.calibration["observed_rate_interval"]
    widest = max(answer.upper - answer.lower, high - low, 0.03)
    assert answer.rounded["step"] <= widest / 4 < 10 * answer.rounded["step"]
    assert abs(answer.rounded["probability"] - answer.probability) <= answer.rounded["step"] / 2
    assert f"probability {answer.rounded['text']} that" in str(answer)
    # A record with few rows in the band supports fewer.
    bands = record.bands.assign(rows=3, observed=0, rate=0.0, lower=0.0, upper=0.53)
    thin = risk(replace(known_fit, record=replace(record, bands=bands)), *pair)
    assert thin.rounded["step"] == 0.01
    assert "so few say little" in str(thin)
    assert thin.rounded["supported_by"].endswith("interval of the calibration record")
    # The numbers in full are those of the model all the same.
    assert (thin.probability, thin.lower, thin.upper) == (
        answer.probability, answer.lower, answer.upper,
    )  # fmt: skip
    content = json.loads(json.dumps(thin.to_dict(), allow_nan=False))
    assert content["probability"] == answer.probability
    assert content["rounded"]["text"] == thin.rounded["text"]


def test_what_the_record_does_not_cover_is_said(known_fit: Fit, record: CalibrationRecord) -> None:
    fit = replace(known_fit, record=record)
    answer = risk(fit, *pair_in(fit, "first ever", 0.002, 0.02))
    assert not answer.calibration["covered"]
    assert "does not cover" in str(answer) and "no conflict on record" in answer.calibration["text"]
    digits = answer.rounded["text"].rstrip("%").replace(".", "").lstrip("0")
    assert len(digits) == 1
    high = risk(fit, *pair_in(fit, "recurrent", 0.2, 0.5))
    assert "was given 20–50%" in high.calibration["text"]
    without = risk(known_fit, "IND", "PAK")
    assert "No backtest travels with this fit" in str(without)
    assert without.rounded["supported_by"].startswith("one digit")


def test_a_pair_that_never_was_a_row_is_new(known_fit: Fit, record: CalibrationRecord) -> None:
    table = risk(known_fit, horizon=1)
    data = known_fit.panel.data
    pair = tuple(table.loc[0, ["ccode_a", "ccode_b"]].astype(int))
    rows = (data["ccode_a"] == pair[0]) & (data["ccode_b"] == pair[1])
    less = replace(
        known_fit, id="less", panel=known_fit.panel.with_data(data.isel(row=~rows.to_numpy()))
    )
    answer = risk(less, *pair, draws=10, evidence=record)
    assert "pairs new to the model" in answer.calibration["text"]
