"""Theories: files read strictly, and models with their priors."""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.modeling_panels import spec, term

from forecast.errors import MissingFileError, SpecificationError, UnknownNameError
from forecast.modeling.spec import load_model
from forecast.modeling.terms import ALLIANCE_FAMILIES, Prior
from forecast.modeling.theory import (
    Theory,
    TheoryScore,
    load_theory,
    score_of,
    scores_file,
    theories,
    under,
    write_scores,
)
from forecast.paths import models_folder

BASE: dict[str, Any] = {
    "name": "fear",
    "description": "Pacts frighten.",
    "others": "keep",
    "reason": "test",
    "term": [
        {
            "name": "pact",
            "prior": {"distribution": "normal", "mean": 0.4, "sd": 0.2},
            "source": "A book",
            "reason": "half of it",
        }
    ],
}


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (lambda d: d.update(other="keep"), ["unknown key 'other'", "did you mean 'others'?"]),
        (lambda d: d.update(others="kept"), ["others = 'kept'", "'keep'"]),
        (lambda d: d.pop("reason"), ["the key 'reason' is missing"]),
        (
            lambda d: d["term"][0]["prior"].update(sd=-1.0),
            ["[[term]] 1 ('pact') prior", "sd = -1.0", "greater than 0"],
        ),
        (
            lambda d: d["term"][0].update(sources="x"),
            ["[[term]] 1 ('pact')", "unknown key 'sources'", "did you mean 'source'?"],
        ),
        (lambda d: d["term"][0].pop("source"), ["[[term]] 1 ('pact')", "'source' is missing"]),
        (lambda d: d["term"].append(d["term"][0]), ["[[term]] 'pact' is there 2 times"]),
        (lambda d: d.pop("term"), ['others = "keep"', "changes no prior"]),
        (lambda d: d.update(others="remove"), ['others = "remove"', "'pact'"]),
        (lambda d: d.update(learnt_from=[2000, 1816]), ["learnt_from", "ends before it begins"]),
    ],
)
def test_a_file_is_read_strictly(edit: Callable[[dict[str, Any]], object], expected: list[str]):
    content = copy.deepcopy(BASE)
    edit(content)
    with pytest.raises(SpecificationError) as caught:
        Theory.from_dict(content, source="models/theories/fear.toml")
    message = str(caught.value)
    assert message.startswith("models/theories/fear.toml: ")
    for part in expected:
        assert part in message


def test_an_unknown_theory_gets_the_nearest_name():
    with pytest.raises(UnknownNameError, match=r"Unknown theory 'deterence'\. Did you mean 'det"):
        load_theory("deterence")
    with pytest.raises(MissingFileError, match=r"no theory file 'mine\.toml'"):
        load_theory("mine.toml")


def test_a_file_of_ones_own(tmp_path: Path):
    path = tmp_path / "fear.toml"
    path.write_text(
        'name = "fear"\ndescription = "d"\nothers = "keep"\nreason = "r"\n[[term]]\n'
        'name = "pact"\nprior = { mean = 0.4, sd = 0.2 }\nsource = "s"\nreason = "t"\n'
    )
    found = spec().under(path)
    assert found.name == "hand_under_fear"
    assert {t.name: t.prior for t in found.terms}["pact"] == Prior(mean=0.4, sd=0.2)
    path.write_text("name = ")
    with pytest.raises(SpecificationError, match=r"fear\.toml: not a valid TOML file"):
        load_theory(path)


def test_only_the_named_terms_change_and_the_model_is_another():
    own, theory = spec(), Theory.from_dict(BASE)
    found = under(own, theory)
    priors = {t.name: t.prior for t in found.terms}
    assert priors["pact"] == Prior(mean=0.4, sd=0.2)
    assert priors["ratio"] == own.terms[1].prior
    assert priors["border"] == own.terms[0].prior
    assert found.varying == own.varying
    assert found.sha256 != own.sha256
    other = Theory.from_dict(BASE | {"reason": "better words"})
    assert under(own, other).sha256 == found.sha256


def test_others_may_have_one_prior_and_nothing_else_is_touched():
    theory = Theory.from_dict(BASE | {"others": {"mean": 0.0, "sd": 0.7}})
    own, found = spec(), under(spec(), theory)
    assert {t.name: t.prior.sd for t in found.terms} == {"border": 1.0, "ratio": 0.7, "pact": 0.2}
    assert found.smooths == own.smooths


def test_a_product_with_an_alliance_term_is_about_alliances():
    product = {"name": "far_pact", "of": ["border", "pact"], "prior": {"sd": 1.0}, "reason": "x"}
    own = spec(interaction=[product])
    named = BASE["term"][0] | {"name": "far_pact"}
    found = own.under(Theory.from_dict(BASE | {"term": [named]}))
    assert found.interactions[0].prior.mean == 0.4
    assert found.terms[2].prior == own.terms[2].prior


def test_none_removes_what_is_about_alliances():
    found = spec().under("none")
    assert found.name == "hand_under_none"
    assert [t.name for t in found.terms] == ["border"]
    assert all(group.name != "slope" for group in found.varying)


def test_a_term_that_the_model_has_not_is_refused():
    with pytest.raises(SpecificationError) as caught:
        load_model("directed_initiation").under("deterrence")
    message = str(caught.value)
    assert "Theory 'deterrence' has a prior of 'outside_allies'" in message
    assert "the model 'directed_initiation' has not" in message
    assert "did you mean 'shared_allies'?" in message
    named = BASE | {"term": [BASE["term"][0] | {"name": "border"}]}
    with pytest.raises(SpecificationError, match="is not about alliances"):
        spec().under(Theory.from_dict(named))
    with pytest.raises(SpecificationError, match="'hand' has no alliance terms"):
        spec(term=[term("border")], varying=[]).under("agnostic")


# -------------------------------------------------------------------------- the shipped theories


def test_five_theories_are_shipped_for_both_models():
    assert theories() == ("agnostic", "deterrence", "history", "none", "provocation")
    for name in theories():
        found = load_theory(name)
        assert found.name == name
        assert Theory.from_dict(found.to_dict()) == found
        for model in ("dyad_onset", "dyad_onset_historical"):
            own = load_model(model)
            rival = own.under(name)
            kept = {t.name: t.prior for t in rival.terms}
            for term_ in own.terms:
                if term_.family not in ALLIANCE_FAMILIES:
                    assert kept[term_.name] == term_.prior
            assert rival.sha256 != own.sha256


def test_theories_say_what_their_names_say():
    prior = {
        name: {t.name: t.prior for t in load_theory(name).terms}
        for name in ("deterrence", "provocation")
    }
    for name in ("outside_allies", "own_expansion", "frontier_expansion"):
        assert prior["deterrence"][name].mean < 0.0 < prior["provocation"][name].mean
        for theory in prior.values():  # the rule of the widths: half of the mean
            assert theory[name].sd == pytest.approx(abs(theory[name].mean) / 2)
    left = load_model("dyad_onset").under("none").terms
    assert not [t for t in left if t.family in ALLIANCE_FAMILIES]


def test_history_names_every_alliance_term():
    own, history = load_model("dyad_onset"), load_theory("history")
    entries = (*own.entries, *own.interactions)
    about = {e.name for e in entries if own.family_of(e.name) in ALLIANCE_FAMILIES}
    assert {term.name for term in history.terms} == about
    assert history.learnt_from == (1816, 2000)


# ------------------------------------------------------------------------------------- scores


def test_every_shipped_theory_has_a_score_of_its_present_specification():
    """Fails when `dyad_onset` or a theory changes: run benchmarks/theories.py anew (12 minutes)."""
    own = load_model("dyad_onset")
    found = {name: score_of(own.under(name)) for name in theories()} | {"": score_of(own)}
    for name, score in found.items():
        assert score is not None, name
        assert score.theory == name
        assert (score.first_year, score.last_year) == (2005, 2025)
        assert score.behind_lower <= score.behind <= score.behind_upper
        assert score.behind <= 0.0
    assert len({score.rows for score in found.values() if score}) == 1


def test_scores_are_read_by_specification_only(tmp_path: Path):
    own = load_model("dyad_onset")
    path = tmp_path / "scores.json"
    score = TheoryScore(
        model="dyad_onset", theory="none", specification=own.under("none").sha256, data="x",
        first_year=2005, last_year=2025, refit=3, draws=400, seed=1, rows=10, events=1,
        expected=1.0, log_score=-5.0, best="none", behind=0.0, behind_lower=0.0,
        behind_upper=0.0, level=0.9,
    )  # fmt: skip
    assert score_of(own.under("none"), path) is None
    write_scores([score], path)
    assert score_of(own.under("none"), path) == score
    assert score_of(own.under("agnostic"), path) is None
    path.write_text('[{"model": "dyad_onset"}]')
    with pytest.raises(Exception, match=r"scores\.json: entry 1 lacks"):
        score_of(own, path)


def test_the_wheel_carries_them():
    listed = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    included = listed["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert included["models"] == "forecast/models"
    assert (models_folder() / "theories").is_dir()
    assert scores_file().parent == models_folder() / "theories"
