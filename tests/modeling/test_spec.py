from __future__ import annotations

import copy
import tomllib
from collections.abc import Callable
from typing import Any

import pytest
from support.modeling_panels import content, spec, term, varying

from forecast.errors import MissingFileError, SpecificationError, UnknownNameError
from forecast.modeling.spec import ModelSpec, load_model
from forecast.modeling.terms import ALLIANCE_FAMILIES
from forecast.paths import models_folder

REAL = tomllib.loads((models_folder() / "dyad_onset.toml").read_text())


def at(name: str) -> int:
    """Position of a term of the shipped model."""
    return [t["name"] for t in REAL["term"]].index(name)


def refused(base: dict[str, Any], edit: Callable[[dict[str, Any]], object]) -> str:
    changed = copy.deepcopy(base)
    edit(changed)
    with pytest.raises(SpecificationError) as caught:
        ModelSpec.from_dict(changed, source="models/x.toml")
    message = str(caught.value)
    assert message.startswith("models/x.toml: ")
    return message


# ------------------------------------------------------------------------------------ errors


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (
            lambda d: d["term"][1].update(transfrom="log"),
            ["[[term]] 2 ('ratio')", "unknown key 'transfrom'", "did you mean 'transform'?"],
        ),
        (
            lambda d: d["term"][0]["prior"].update(sdd=1),
            ["[[term]] 1 ('border') prior", "'sdd'", "did you mean 'sd'?"],
        ),
        (lambda d: d.update(varing=[]), ["unknown key 'varing'; did you mean 'varying'?"]),
        (lambda d: d["intercept"].update(reasons=""), ["[intercept]", "did you mean 'reason'?"]),
        (
            lambda d: d["varying"][3]["scale"].pop("sd"),
            ["'half_normal' needs", "'sd'"],
        ),
        (
            lambda d: d["term"][0]["prior"].update(distribution="student_t"),
            ["distribution 'student_t' has no key 'sd'; its keys are scale, df"],
        ),
        (
            lambda d: d["term"][0]["prior"].update(distribution="laplas"),
            ["[[term]] 1 ('border') prior", "did you mean 'laplace'?"],
        ),
        (
            lambda d: d["varying"][2].update(scale={"distribution": "horseshoe", "scale": 0.1}),
            ["a horseshoe is for independent effects"],
        ),
        (
            lambda d: d["term"].append({"name": "capabilty_ratio"}),
            ["[[term]]", "no registered feature; did you mean 'capability_ratio'?"],
        ),
        (
            lambda d: d["varying"][0]["scale"].update(distribution="normal"),
            ["[[varying]] 1 ('state') scale", "should be 'half_normal'"],
        ),
        (
            lambda d: d["term"][0].update(family="expantion"),
            ["family = 'expantion'", "did you mean 'expansion'?"],
        ),
        (lambda d: d["term"][0]["prior"].update(sd=0), ["sd = 0", "greater than 0"]),
        (lambda d: d["term"][0]["prior"].update(sd="1"), ["sd = '1'", "valid number"]),
        (lambda d: d["term"][0]["prior"].update(mean=float("nan")), ["mean = nan", "finite"]),
        (lambda d: d["term"][0].update(pre_treatment=1), ["pre_treatment = 1", "boolean"]),
        (lambda d: d.update(lag=0), ["lag = 0", "greater than or equal to 1"]),
        (lambda d: d.update(unit="dyads"), ["unit = 'dyads'", "did you mean 'dyad-year'?"]),
        (lambda d: d.update(years=[2000, 1990]), ["years", "ends before it begins"]),
        (
            lambda d: d.update(name="My model"),
            ["name = 'My model'", "expected letters, digits"],
        ),
        (lambda d: d.update(term="border"), ["term = 'border'", "should be a list"]),
        (lambda d: d["intercept"].update(mean="rate"), ["mean = 'rate'", "'base_rate'"]),
        (lambda d: d["smooth"][0].update(knots=[0, 4, 1]), ["increase strictly"]),
        (
            lambda d: d["smooth"][0].update(knots=[0, 4]),
            ["[[smooth]] 1", "at least 3 items"],
        ),
        (lambda d: d["smooth"][0].update(knots=[0, 1, True]), ["knots[2] = True"]),
        (
            lambda d: d["smooth"][0].update(knots=[-1, 0, 1], transform="log1p"),
            ["must be >= 0", "'log1p'"],
        ),
        (lambda d: d["era"][1].update(first=1999), ["'early' (1990-1999)", "overlap"]),
        (lambda d: d["era"][0].pop("last"), ["'early' has no `last`", "only the last era"]),
        (lambda d: d["era"][1].update(name="early"), ["'early' appears 2 times"]),
        (lambda d: d["era"][0].update(last=1980), ["'early' ends (1980) before it begins"]),
        (lambda d: d.pop("era"), ["varies by era, but there is no [[era]]"]),
        (lambda d: d["term"].append(term("border")), ["'border' appears 2 times"]),
        (lambda d: d["term"].append(term("peace")), ["'peace' appears 2 times"]),
        (lambda d: d["term"].append(term("year")), ["'year' cannot name a term"]),
        (lambda d: d["varying"].append(varying("state", 1)), ["'state' appears 2 times"]),
        (lambda d: d["varying"][0].update(step=5), ["step (years) is needed"]),
        (lambda d: d["varying"][2].update(structure="iid"), ["random_walk"]),
        (lambda d: d["varying"][3].pop("families"), ["terms or families are needed"]),
        (
            lambda d: d["varying"][3].update(terms=["ratios"]),
            ["unknown term 'ratios'; did you mean 'ratio'?"],
        ),
        (lambda d: d["varying"][3].update(families=["structure"]), ["no term is of family"]),
        (lambda d: d["varying"][0].update(name="target"), ["no meaning for unit 'dyad-year'"]),
        (lambda d: d.update(unit="state-year"), ["'dyad' has no meaning", "state-year"]),
    ],
)
def test_mistakes_are_named(edit: Callable[[dict[str, Any]], object], expected: list[str]) -> None:
    message = refused(content(), edit)
    for part in expected:
        assert part in message


@pytest.mark.parametrize(
    ("name", "keys", "expected"),
    [
        ("capability_ratio", {"feature": "capabilty_ratio"}, ["Did you mean 'capability_ratio'?"]),
        ("capability_ratio", {"side": "max"}, ["side must be 'none'"]),
        ("own_expansion", {"side": "none"}, ["one value for each side"]),
        ("frontier_expansion", {"side": "none"}, ["directed"]),
        (
            "own_expansion",
            {"side": "maximum"},
            ["side = 'maximum'", "'product', 'absdiff' or 'none'"],
        ),
        ("own_expansion", {"options": {"windw": 5}}, ["'windw'", "Did you mean 'window'?"]),
        ("own_expansion", {"family": "power"}, ["is of family 'expansion'"]),
        ("disputes_total", {"pre_treatment": True}, ["itself changed by alliances"]),
    ],
)
def test_registry_is_consulted(name: str, keys: dict[str, Any], expected: list[str]) -> None:
    message = refused(REAL, lambda d: d["term"][at(name)].update(keys))
    assert repr(name) in message
    for part in expected:
        assert part in message


def test_dyad_feature_in_a_state_model() -> None:
    base = tomllib.loads((models_folder() / "state_onset.toml").read_text())
    extra = term("peace_years", feature="peace_years", family="history", pre_treatment=False)
    message = refused(base, lambda d: d["term"].append(extra))
    assert "'peace_years' (level 'dyad', side 'none') has no value in a state-year" in message


def test_autonomy_with_external_share() -> None:
    extra = term("autonomy", feature="autonomy", side="max", family="dependency")
    message = refused(REAL, lambda d: d["term"].append(extra))
    assert "autonomy = 1 - external_share" in message


def test_the_same_column_twice() -> None:
    extra = copy.deepcopy(REAL["term"][at("own_expansion")]) | {"name": "again"}
    message = refused(REAL, lambda d: d["term"].append(extra))
    assert "'own_expansion' and 'again' are the same column" in message


def test_every_mistake_is_listed() -> None:
    def edit(d: dict[str, Any]) -> None:
        d["term"][0]["transfrom"] = "log"
        d["lag"] = "1"

    assert len(refused(content(), edit).splitlines()) == 2


def test_unknown_model() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'dyad_onset'"):
        load_model("dyad_onsets")


def test_absent_file(tmp_path: Any) -> None:
    with pytest.raises(MissingFileError, match=r"absent\.toml"):
        load_model(tmp_path / "absent.toml")


def test_not_toml(tmp_path: Any) -> None:
    file = tmp_path / "broken.toml"
    file.write_text("name = \n")
    with pytest.raises(SpecificationError, match=r"broken\.toml: not a valid TOML file.*line 1"):
        load_model(file)


def test_unknown_family_to_leave_out() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'expansion'"):
        spec().without("expantion")


# ------------------------------------------------------------------------------ canonical form


def test_canonical_json_knows_no_order_or_number_type() -> None:
    base = content()
    shuffled = dict(reversed(list(base.items())))
    shuffled["smooth"] = [base["smooth"][0] | {"knots": [0.0, 1.0, 4.0]}]
    shuffled["description"] = "Other words."
    assert (
        ModelSpec.from_dict(base).canonical_json() == ModelSpec.from_dict(shuffled).canonical_json()
    )
    assert spec().sha256 == ModelSpec.from_dict(shuffled).sha256


@pytest.mark.parametrize(
    "edit",
    [
        lambda d: d["term"][0]["prior"].update(sd=0.9),
        lambda d: d["term"][0].update(transform="sqrt"),
        lambda d: d["varying"][2].update(step=4),
        lambda d: d.update(years=[1995, None]),
        lambda d: d["term"].reverse(),
    ],
)
def test_what_changes_the_model_changes_the_hash(edit: Callable[[dict[str, Any]], object]) -> None:
    changed = content()
    edit(changed)
    assert ModelSpec.from_dict(changed).sha256 != spec().sha256


@pytest.mark.parametrize("name", ["dyad_onset", "state_onset"])
def test_dictionary_round_trip(name: str) -> None:
    shipped = load_model(name)
    assert ModelSpec.from_dict(shipped.to_dict()) == shipped
    assert load_model(shipped) is shipped
    assert load_model(models_folder() / f"{name}.toml") == shipped


# ---------------------------------------------------------------------------- derived models


def test_the_rule_of_what_is_under_way() -> None:
    own = load_model("dyad_onset")
    field = own.with_under_way("convention")
    assert (own.under_way, field.under_way) == ("stratum", "convention")
    assert field.name == "dyad_onset_convention"
    assert field.sha256 != own.sha256
    # By the convention only rows with an onset have the value 1: a term would learn just that.
    assert {t.name for t in own.terms} - {t.name for t in field.terms} == {"under_way"}
    again = field.with_under_way("stratum")
    assert [t.name for t in again.terms if t.feature == "under_way"] == ["under_way"]
    assert own.with_under_way("stratum") is own


def test_the_same_model_of_other_pairs() -> None:
    own = load_model("dyad_onset")
    near = own.with_population("politically_relevant")
    assert (near.population, near.name) == (
        "politically_relevant", "dyad_onset_politically_relevant",
    )  # fmt: skip
    # All rows are relevant; that 356 of 101,135 were not the year before is no stratum.
    assert {t.name for t in own.terms} - {t.name for t in near.terms} == {"politically_relevant"}
    assert "peace_years_relevant" not in {i.name for i in near.interactions}
    assert [v.block for v in near.varying if v.by] == ["slope_by_under_way"]
    assert own.with_population("all") is own


def test_only_pairs_have_a_rule_of_what_is_under_way() -> None:
    content = load_model("state_onset").to_dict() | {"under_way": "drop"}
    with pytest.raises(SpecificationError, match="under_way='drop' needs a unit of pairs"):
        ModelSpec.from_dict(content)


def test_without_one_family() -> None:
    less = spec().without("deterrence")
    assert [t.name for t in less.terms] == ["border", "ratio"]
    assert less.slope_terms() == ("ratio",)
    assert less.name == "hand_without_deterrence"


def test_without_alliances() -> None:
    less = spec().without()
    assert [t.name for t in less.terms] == ["border"]
    assert [s.name for s in less.smooths] == ["peace"]
    assert [v.name for v in less.varying] == ["state", "dyad", "era"]
    assert less.name == "hand_without_alliances"


def test_without_alliances_drops_the_treaties() -> None:
    full = load_model("state_onset")
    less = full.without()
    assert less.alliance_level is None
    assert less.terms == tuple(t for t in full.terms if t.family not in ALLIANCE_FAMILIES)
    assert {t.family for t in less.terms} <= {"power", "society", "history"}
    assert load_model("state_onset").without("commitment").alliance_level is not None


def test_what_if_keeps_pre_treatment_terms() -> None:
    model = load_model("dyad_onset").what_if()
    assert model.smooths == ()
    assert all(t.pre_treatment for t in model.terms)
    gone = {t.name for t in load_model("dyad_onset").terms} - {t.name for t in model.terms}
    assert gone == {
        "under_way",
        "dispute_last_year",
        "disputes_total",
        "disputes_recent",
        *(f"other_disputes_{life}_{side}" for life in (2, 10) for side in ("max", "min")),
        "commitments_owed_risk",
        "ally_in_dispute_max",
        "ally_in_dispute_min",
        "ally_in_dispute_elsewhere",
        "disputes_with_allies",
    }
    assert set(model.slope_terms()) <= {t.name for t in model.terms}
