"""A model from Python: names and formulas give the specification that a file gives."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import forecast as fc
from forecast.documents import toml_of
from forecast.errors import ArgumentError, SpecificationError, UnknownNameError
from forecast.features.registry import registered_features
from forecast.modeling.covariates import fit_columns
from forecast.modeling.spec import ModelSpec, load_model
from forecast.paths import models_folder
from forecast.text import term_words

FORMULA = "onset ~ capability_ratio + s(peace_years) + defense_pact:era + (1|dyad) + mm(state)"
FILE = """
outcome = "onset"
smooth = ["peace_years"]
varying = [{ name = "slope", terms = ["defense_pact"] }, { name = "dyad" }, { name = "state" }]
term = ["capability_ratio", "defense_pact"]

[[era]]
name = "cold_war"
first = 1946
last = 1989

[[era]]
name = "post_cold_war"
first = 1990
last = 2013

[[era]]
name = "renewed_rivalry"
first = 2014
"""
SHIPPED = sorted(path.stem for path in models_folder().glob("*.toml"))


def read(text: str) -> ModelSpec:
    return ModelSpec.from_dict(toml_of(text, "text"))


def test_names_formula_and_file_are_one_model() -> None:
    spec = fc.model(FORMULA)
    terms = ["capability_ratio", "s(peace_years)", "defense_pact:era"]
    assert spec == fc.model("onset", terms, ["dyad", "mm(state)"]) == read(FILE)
    assert spec.sha256 == read(spec.to_toml()).sha256
    assert spec.terms[1].feature == "pact_in_dyad"  # as the shipped model calls it
    assert spec.terms[1].options == {"obligation": "defense"}
    assert (spec.terms[0].family, spec.terms[0].pre_treatment) == ("power", True)
    assert spec.smooths[0].pre_treatment is False


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_models_come_back_from_their_toml(name: str) -> None:
    spec = load_model(name)
    again = read(spec.to_toml())
    assert again == spec
    assert again.sha256 == spec.sha256


def test_the_smallest_model_of_the_docs(tmp_path: Path) -> None:
    text = (models_folder().parent / "docs" / "specification.md").read_text()
    block = re.search(r"## The smallest model.*?```toml\n(.*?)```", text, re.S)
    assert block is not None
    (tmp_path / "small.toml").write_text(block[1])
    spec = load_model(tmp_path / "small.toml")
    assert [entry.name for entry in spec.entries] == [
        "capability_ratio", "defense_pact", "peace_years",
    ]  # fmt: skip
    assert str(spec.terms[1].prior) == "StudentT(0, 0.5, df=4)"
    assert (spec.unit, spec.population, spec.outcome) == ("dyad-year", "all", "onset")
    for code in re.findall(r"fc\.model\(.*\)$", text, re.M):
        assert isinstance(eval(code, {"fc": fc}), ModelSpec)


def test_every_value_is_in_the_docs() -> None:
    """What the validation accepts is what the page lists."""
    text = (models_folder().parent / "docs" / "specification.md").read_text()
    schema = ModelSpec.model_json_schema()
    for name, table in {**schema["$defs"], "ModelSpec": schema}.items():
        for key, about in table["properties"].items():
            if key in ("population", "under_way", "succession", "basis", "weights"):
                continue
            for part in (about, *about.get("anyOf", []), about.get("items", {})):
                for word in part.get("enum", [part["const"]] if "const" in part else []):
                    assert f"`{word}`" in text, (name, key, word)


def test_every_feature_alone_is_a_term() -> None:
    for feature in registered_features():
        if feature.level in ("dyad", "system", "state"):
            assert fc.model("onset", [feature.name]).terms[0].family == feature.family


def test_pieces_of_a_formula() -> None:
    spec = fc.model(
        "onset ~ 1 + log1p(max(own_expansion, window=5)) + s(log1p(peace_years), 0, 2, 8)"
        " + rivalry:disputes_total + (0 + defense_pact | land_contiguity) + growth",
        columns={"growth": "power"},
        priors={"growth": {"distribution": "laplace", "scale": 0.4}, "slope": {"sd": 0.1},
                "intercept": {"distribution": "student_t", "scale": 2.0}},
        population="politically_relevant",
    )  # fmt: skip
    first = spec.terms[0]
    assert (first.name, first.feature, first.side) == (
        "own_expansion_max_5",
        "own_expansion",
        "max",
    )
    assert (first.transform, first.options) == ("log1p", {"window": 5})
    assert (spec.smooths[0].knots, spec.smooths[0].transform) == ((0.0, 2.0, 8.0), "log1p")
    assert spec.interactions[0].of == ("rivalry", "disputes_total")
    assert (spec.varying[0].by, spec.varying[0].scale.sd) == (("land_contiguity",), 0.1)
    own = spec.terms[-1]
    assert (own.feature, own.pre_treatment, own.prior.distribution) == (None, False, "laplace")
    assert str(spec.intercept) == "StudentT(base_rate, 2, df=4)"
    assert read(spec.to_toml()) == spec


def test_units_follow_the_outcome() -> None:
    assert fc.model("settled ~ disputes_total").unit == "dispute-dyad-month"
    assert fc.model("escalation_to_war", ["disputes_total"]).unit == "dispute-dyad"


@pytest.mark.parametrize(
    ("formula", "place", "expected"),
    [
        ("onset ~ capabilty_ratio", 9, "unknown term 'capabilty_ratio'; did you mean 'capability_"),
        ("onset ~ rivalry + log2(rivalry)", 19, "unknown function 'log2'; did you mean 'log'?"),
        ("onset ~ rivalry + (1|diad)", 22, "unknown group 'diad'; did you mean 'dyad'?"),
        ("onset ~ max(own_expansion, windw=5)", 13, "Did you mean 'window'?"),
        ("onset ~ s(peace_years, 3, 2)", 9, "three knots or more"),
        ("onset ~ rivalry +", 18, "parse"),
        ("onset ~ rivalry $ 3", 17, "Unexpected character"),
        ("onset ~ rivalry - 1", 9, "every model has an intercept"),
        ("onset ~ rivalry + (rivalry|year)", 28, "a slope varies by era or by binary terms"),
        ("onset ~ peace_years + s(peace_years)", 23, "in the model in another form"),
        ("onset ~ mm(dyad)", 9, "mm(state) is the one"),
        ("onset + rivalry ~ far", 1, "one outcome on the left"),
        ("", 1, "expected names"),
    ],
)
def test_mistakes_in_a_formula_have_their_place(formula: str, place: int, expected: str) -> None:
    with pytest.raises(SpecificationError) as caught:
        fc.model(formula)
    assert str(caught.value).startswith(f"formula, position {place}: ")
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    ("keys", "kind", "expected"),
    [
        ({"priors": {"far": {"distribution": "laplac", "scale": 1.0}}}, SpecificationError,
         "did you mean 'laplace'?"),
        ({"priors": {"far": {"distribution": "laplace", "sd": 1.0}}}, SpecificationError,
         "'laplace' has no key 'sd'; its keys are scale"),
        ({"priors": {"fra": {"sd": 1.0}}}, UnknownNameError, "Did you mean 'far'?"),
        ({"priors": {"far": 1.0}}, ArgumentError, "expected a table"),
        ({"popultion": "all"}, SpecificationError, "did you mean 'population'?"),
        ({"unit": "dyad_year"}, SpecificationError, "did you mean 'dyad-year'?"),
        ({"terms": [{"name": "x", "family": "powr"}]}, SpecificationError, "'power'?"),
        ({"effects": [3]}, ArgumentError, "expected a name or a table"),
    ],
)  # fmt: skip
def test_mistakes_in_arguments_are_named(keys: dict[str, Any], kind: Any, expected: str) -> None:
    with pytest.raises(kind) as caught:
        fc.model("onset ~ far", **keys)
    assert expected in str(caught.value)


def test_a_window_open_at_one_end_has_no_toml() -> None:
    with pytest.raises(ArgumentError, match="no TOML can say: in years"):
        fc.model("onset ~ far", years=(1990, None)).to_toml()


def test_knots_that_are_left_out_are_quantiles_of_the_rows() -> None:
    values = np.concatenate([np.full(5, 2.0), np.arange(3.0, 98.0)])
    code, _ = fit_columns(fc.model("onset ~ s(peace_years)").smooths[0], values)
    expected = np.quantile(values, (0.05, 0.275, 0.5, 0.725, 0.95))
    np.testing.assert_allclose(code.knots, expected)
    assert code.names[0] == f"peace_years[{expected[1]:g}/{expected[0]:g}]"
    assert term_words("peace_years[18/2.5]") == "peace years: 18 against 2.5"
    with pytest.raises(SpecificationError, match="say the knots"):
        fit_columns(fc.model("onset ~ s(peace_years)").smooths[0], np.repeat([0.0, 1.0], (70, 30)))
