"""What no source here measures is refused with the reason, wherever and however it is asked for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from forecast import cli
from forecast.errors import ArgumentError, SpecificationError, UnknownNameError
from forecast.features.registry import get_feature, registered_features
from forecast.modeling.spec import ModelSpec, load_model
from forecast.panel.build import load_panel
from forecast.panel.types import OUTCOMES
from forecast.unmeasured import why_unmeasured

ASKED = [
    "cyber", "cyber_attack", "cyberattacks", "Cyber-Attack", "CyberWarfare", "hacking",
    "hybrid warfare", "hybrid_war", "grey-zone", "disinformation",
    "terrorism", "terrorist_attacks", "terror", "counterterrorism", "terorism",
    "transnational crime", "organised_crime", "drug trafficking", "cybercrime",
    "climate", "climate change", "climatechange", "global_warming",
    "pandemics", "pandemic", "covid19", "epidemics", "pandemcs",
    "ai", "AI", "A.I.", "artificial intelligence", "artificial_intelligence", "ai_race",
    "public_trust", "trust", "public opinion", "publicTrust",
    "intelligence_sharing", "shared intelligence", "intel",
    "joint_exercises", "joint exercise", "military_exercises", "drills", "wargames",
]  # fmt: skip
REASON = "No source covers it by state and year"


@pytest.mark.parametrize("name", ASKED)
def test_as_people_write_it(name: str) -> None:
    with pytest.raises(ArgumentError, match=f"outcome={re.escape(repr(name))}: {REASON}.*onset"):
        load_panel(outcome=name)  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match=REASON):
        get_feature(name)
    with pytest.raises(SpecificationError, match=f"dyad_onset: outcome = .*{REASON}"):
        load_model(f"dyad_onset:{name}")
    content = load_model("dyad_onset").to_dict()
    first = content["term"][0]
    content["term"][0] = first | {"feature": name}
    with pytest.raises(
        SpecificationError, match=f"mine.toml: term {first['name']!r}: feature = .*{REASON}"
    ):
        ModelSpec.from_dict(content, source="mine.toml")


def test_every_unit_says_it() -> None:
    for unit in ("dispute-dyad", "state-year", "alliance-year"):
        with pytest.raises(ArgumentError, match=f"outcome='cyber': {REASON}"):
            load_panel(unit=unit, outcome="cyber")  # type: ignore[arg-type]


def test_ordinary_misspellings_keep_their_suggestion() -> None:
    """One letter left out, doubled or replaced: of no valid name is it anything else."""
    features = [feature.name for feature in registered_features()]
    for valid in (features, OUTCOMES):
        for name in valid:
            assert why_unmeasured(name, valid) is None
            for i in range(len(name)):
                for wrong in (name[:i] + name[i + 1 :], name[:i] + name[i] + name[i:]):
                    assert why_unmeasured(wrong, valid) is None, wrong
    with pytest.raises(ArgumentError, match="Did you mean 'fatal_onset'"):
        load_panel(outcome="fatal_onst")  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match="Did you mean 'commitment_balance'"):
        get_feature("comitment_balance")
    assert why_unmeasured("education", features) is None
    assert why_unmeasured("crimea", features) is None
    assert why_unmeasured("aid", features) is None


def test_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("fit", "backtest"):
        for name in ("cyber_attack", "Climate change", "AI"):
            assert cli.main([command, f"dyad_onset:{name}", "--quiet"]) == 1
            assert REASON in capsys.readouterr().err
    text = (Path(__file__).parent.parent / "models" / "dyad_onset.toml").read_text("utf-8")
    file = tmp_path / "mine.toml"
    file.write_text(text.replace('outcome = "onset"', 'outcome = "cyber attacks"', 1), "utf-8")
    assert cli.main(["fit", str(file), "--quiet"]) == 1
    assert REASON in capsys.readouterr().err
    assert cli.main(["fit", "dyad_onset:Some outcome", "--quiet"]) == 1
    assert "expected letters, digits" in capsys.readouterr().err
