"""Mechanisms: declarations read strictly, models with them, verdicts by their rule, the page."""

from __future__ import annotations

import copy
import re
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import mechanisms as benchmark
import numpy as np
import pandas as pd
import pytest
from support.modeling_panels import spec as hand_spec

import forecast as fc
from forecast.errors import ArgumentError, SpecificationError, UnknownNameError
from forecast.evaluation.mechanisms import VERDICTS, chance_words, overall
from forecast.features.registry import get_feature
from forecast.inference.fit import Fit
from forecast.modeling.mechanisms import Mechanisms, declared_mechanisms
from forecast.modeling.terms import ALLIANCE_FAMILIES
from forecast.paths import data_folder
from forecast.unmeasured import why_unmeasured

ROOT = Path(__file__).resolve().parent.parent.parent
CONTENT = tomllib.loads((data_folder() / "mechanisms.toml").read_text(encoding="utf-8"))
SHIPPED = (
    "dyad_onset",
    "directed_initiation_historical",
    "state_onset",
    "escalation",
    "resolution",
)
#: What the issue of this page asks for, by a word of the title.
ASKED = (
    "Deterrence", "Entanglement", "patron", "rivals to expansion", "Reliability", "Unequal",
    "Inclusiveness", "many members", "Rising", "Arms races", "interdependence", "cohesion",
)  # fmt: skip


# Declarations --------------------------------------------------------------------------------


def test_every_mechanism_that_is_named_has_a_claim_a_source_and_what_refutes_it() -> None:
    declared = declared_mechanisms()
    titles = [mechanism.title for mechanism in declared.mechanisms]
    assert len(titles) == len(ASKED)
    for word in ASKED:
        assert any(word in title for title in titles), word
    for mechanism in declared.mechanisms:
        assert all(re.search(r"\b(1[89]|20)\d\d\b", source) for source in mechanism.sources)
        assert mechanism.claim.endswith(".") and mechanism.refuted_if.endswith(".")


def test_measures_are_features_of_the_registry_or_columns_of_ones_own() -> None:
    own = {m.term for _, m in declared_mechanisms().measures() if m.feature is None}
    assert own == {"arms_race", "smldep"}
    for _, measure in declared_mechanisms().measures():
        if measure.feature is not None:
            assert get_feature(measure.feature).name == measure.feature


@pytest.mark.parametrize("asked", ["next_ally", "who will ally next", "cohesion", "solidarity"])
def test_what_nothing_measures_has_its_reason(asked: str) -> None:
    assert why_unmeasured(asked)
    assert {one.name for one in declared_mechanisms().unmeasured} >= {"next_ally", "cohesion"}


def _measure(content: dict[str, Any], **change: Any) -> None:
    content["mechanism"][0]["measure"][0] |= change


WRONG: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "unknown key": (lambda c: c.update(lvel=0.9), r"unknown key 'lvel'; did you mean 'level'"),
    "level": (lambda c: c.update(level=1.5), "level = 1.5"),
    "feature": (lambda c: _measure(c, feature="outside_defence"), "outside_defense"),
    "option": (lambda c: _measure(c, options={"widow": 3}), "option of feature 'outside_defense'"),
    "side": (lambda c: _measure(c, side="none"), "side = 'none' has no meaning"),
    "order": (lambda c: _measure(c, low=1, high=0), "low = 1 is not below high = 0"),
    "bounds": (lambda c: _measure(c, high=2), "outside_defense is from 0 to 1"),
    "own column": (lambda c: c["mechanism"][0]["measure"][0].pop("feature"), "needs a family"),
    "sign": (lambda c: _measure(c, sign="?"), "sign = '?'"),
    "twice": (lambda c: c["mechanism"].append(c["mechanism"][0]), "'deterrence' is there 2 times"),
    "unmeasured": (lambda c: c["unmeasured"][0].update(name="cohesin"), "did you mean 'cohesion'"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_declaration_is_refused_with_its_place(what: str) -> None:
    content = copy.deepcopy(CONTENT)
    change, message = WRONG[what]
    change(content)
    with pytest.raises((SpecificationError, UnknownNameError), match=message):
        Mechanisms.from_dict(content, source="mechanisms.toml")


# Models --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SHIPPED)
def test_measures_take_the_place_of_alliance_terms(name: str) -> None:
    base = fc.load_model(name)
    made = base.with_mechanisms()
    measures = [
        measure
        for mechanism, measure in declared_mechanisms().measures(base.unit, base.outcome)
        if not mechanism.apart and measure.feature is not None
    ]
    assert set(made.slope_terms()) == {measure.term for measure in measures}
    assert [e.name for e in made.eras] == [e.name for e in declared_mechanisms().eras]
    others = [t for t in made.terms if t.name not in made.slope_terms()]
    assert not [t.name for t in others if t.family in ALLIANCE_FAMILIES]
    assert {t.name for t in others} <= {t.name for t in base.terms}
    assert made.sha256 != base.sha256 and made.name == f"{name}_mechanisms"


def test_some_mechanisms_and_what_is_refused() -> None:
    initiation = fc.load_model("directed_initiation")
    assert initiation.with_mechanisms("reliability").slope_terms() == ("target_ally_reliability",)
    with pytest.raises(UnknownNameError, match="Did you mean 'deterrence'"):
        initiation.with_mechanisms("deterence")
    with pytest.raises(SpecificationError, match="they speak of: onset of a directed-dyad-year"):
        fc.load_model("severity").with_mechanisms()
    with pytest.raises(SpecificationError, match="dyad_onset"):
        fc.load_model("dyad_onset").with_mechanisms("reliability")


# Verdicts ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trade_fit() -> Fit:
    """Trade that prevents disputes before 1946 and brings them in the Cold War; then peace."""
    rng = np.random.default_rng(5)
    years = np.concatenate([np.arange(1901, 1941), np.arange(1950, 1990), np.arange(1990, 1994)])
    frame = pd.DataFrame(
        [(a, b, year) for a in range(1, 9) for b in range(a + 1, 9) for year in years.tolist()],
        columns=["a", "b", "year"],
    )
    frame["smldep"] = rng.uniform(0, 0.04, len(frame))
    slope = np.where(frame["year"] < 1946, -60.0, 60.0)
    risk = 1 / (1 + np.exp(2.0 - slope * (frame["smldep"] - 0.02)))
    frame["dispute1"] = (rng.random(len(frame)) < risk).astype(float)
    frame.loc[frame["year"] >= 1990, "dispute1"] = 0.0
    frame["a"], frame["b"] = "s" + frame["a"].astype(str), "s" + frame["b"].astype(str)
    panel = fc.panel_from_frame(frame, outcome="dispute1", a="a", b="b", codes="labels")
    spec = fc.model("dispute1", ["smldep"], columns={"smldep": "society"}).with_mechanisms()
    return fc.fit(spec, panel, seed=1, draws=200)


def test_verdicts_by_era(trade_fit: Fit) -> None:
    table = fc.mechanisms(trade_fit)
    assert table["era"].tolist() == ["before_1946", "cold_war"]  # none happened after 1990
    assert table["verdict"].tolist() == ["shown", "other sign"]
    assert table[["first", "last"]].to_numpy().tolist() == [[1901, 1940], [1950, 1989]]
    assert (table["rows"] == 28 * 40).all() and not table["beyond"].any()
    assert table["as_expected"].iloc[0] > 0.99 > 0.01 > table["as_expected"].iloc[1]
    same = fc.effects(trade_fit, "smldep", contrast=(0, 0.02), by="era", level=0.9).table
    np.testing.assert_array_equal(table["difference"], same["difference"][:2])
    with pytest.raises(ArgumentError, match="found a ModelSpec, expected a Fit"):
        fc.mechanisms(trade_fit.spec)  # type: ignore[arg-type]


def test_a_model_without_a_measure_is_told(known_fit: Fit) -> None:
    bare = known_fit.spec.without()
    with pytest.raises(ArgumentError, match=r"has no measure of a mechanism.*with_mechanisms"):
        fc.mechanisms(replace(known_fit, spec=bare))


def test_the_picture_shows_the_table(trade_fit: Fit) -> None:
    table = fc.mechanisms(trade_fit)
    ax = fc.plot.mechanism(table, "interdependence")
    assert ax.get_title(loc="left") == "Economic interdependence: signs differ"
    words = [label.get_text() for label in ax.get_yticklabels()]
    assert words == ["trade over output → dispute", "1901–1940", "1950–1989"]
    with pytest.raises(UnknownNameError, match="deterrence"):
        fc.plot.mechanism(table, "deterrence")


@pytest.mark.parametrize(
    ("counts", "verdict"),
    [
        ((0, 4, 0), "not shown"),
        ((2, 2, 0), "shown"),
        ((1, 3, 0), "in part"),
        ((1, 2, 1), "signs differ"),
        ((0, 2, 2), "other sign"),
        ((0, 3, 1), "other sign, in part"),
    ],
)
def test_verdict_of_a_mechanism(counts: tuple[int, int, int], verdict: str) -> None:
    found = [name for name, n in zip(VERDICTS, counts, strict=True) for _ in range(n)]
    assert overall(found) == verdict


def test_what_chance_would_show() -> None:
    table = pd.DataFrame(
        {
            "verdict": ["shown", "shown", "other sign", *["not shown"] * 37],
            "as_expected": [0.96, 0.99, 0.02, *[0.5] * 37],
            "level": 0.9,
        }
    )
    words = chance_words(table)
    assert words.startswith("40 comparisons: 2 shown, 1 of the other sign, 37 not shown.")
    assert "about 2.0 of them would be shown" in words  # 40 × .05
    assert "of the 3 verdicts the posterior expects 0.1 " in words  # .04 + .01 + .02


# The page ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def verdicts() -> pd.DataFrame:
    return pd.read_csv(ROOT / "benchmarks" / "mechanisms.csv")


def test_the_page_is_that_of_the_verdicts_and_declarations(verdicts: pd.DataFrame) -> None:
    page = (ROOT / "docs" / "mechanisms.md").read_text(encoding="utf-8")
    assert benchmark.page(verdicts) in page
    for mechanism in declared_mechanisms().mechanisms:
        assert mechanism.claim in page
        assert all(source in page for source in mechanism.sources)
    for one in declared_mechanisms().unmeasured:
        assert one.why in page


def test_the_verdicts_are_of_the_declared_measures_by_the_rule(verdicts: pd.DataFrame) -> None:
    measures = {(m.unit, m.outcome, m.term): m for _, m in declared_mechanisms().measures()}
    for row in verdicts.to_dict("records"):
        measure = measures[row["unit"], row["outcome"], row["term"]]
        assert (row["sign"], row["low"], row["high"]) == (measure.sign, measure.low, measure.high)
        side = 1 if row["lower"] > 0 else -1 if row["upper"] < 0 else 0
        expected = {1: "+", -1: "-", 0: ""}[side]
        assert row["verdict"] == (
            "not shown" if not side else "shown" if expected == measure.sign else "other sign"
        )
    # Dyadic trade is in no file at hand: its measure has no verdict, and the page says none.
    seen = {(r["unit"], r["outcome"], r["term"]) for r in verdicts.to_dict("records")}
    assert set(measures) - seen == {("dyad-year", "onset", "trade_interdependence")}


def test_pictures_are_there_and_light(verdicts: pd.DataFrame) -> None:
    folder = ROOT / "docs" / "mechanisms"
    pictures = {file.stem for file in folder.glob("*.png")}
    assert pictures == set(verdicts["mechanism"])
    assert sum(file.stat().st_size for file in folder.glob("*.png")) < 600_000


def test_a_hand_made_model_has_none() -> None:
    with pytest.raises(SpecificationError, match="No mechanism"):
        hand_spec(outcome="somebodys").with_mechanisms()
