"""Every file of TOML that a user may give: a right reading, or an error of ours that names it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import example, given
from support.hostile_documents import Damaged, damaged
from support.tries import hostile

from forecast.errors import ForecastError
from forecast.evaluation.plan import BacktestPlan
from forecast.modeling.spec import ModelSpec, load_model
from forecast.modeling.theory import Theory, load_theory
from forecast.paths import data_folder, models_folder
from forecast.simulation.scenario import Scenario
from forecast.sources.catalogue_file import load_catalogue
from forecast.sources.overlay.changes import read_amendment
from forecast.sources.treaties import read_counterparts
from forecast.text import slug

_ROOT = Path(__file__).parents[2]


def _model(path: Path) -> None:
    spec = load_model(path)
    assert ModelSpec.from_dict(spec.to_dict()) == spec
    assert len(spec.sha256) == 64


def _theory(path: Path) -> None:
    theory = load_theory(path)
    assert Theory.from_dict(theory.to_dict()) == theory


def _scenario(path: Path) -> None:
    scenario = Scenario.from_toml(path)
    assert Scenario.from_dict(scenario.to_dict()) == scenario
    assert all(edit.sentence() and edit.first_year > 1000 for edit in scenario.edits)
    assert len(slug(scenario.name).encode()) < 200


def _catalogue(path: Path) -> None:
    found = load_catalogue(path)
    assert found.to_markdown()
    assert all(found[key].files for key in found.sources)


def _plan(path: Path) -> None:
    plan = BacktestPlan.from_toml(path)
    again = path.with_name("again.toml")
    again.write_text(plan.to_toml(), encoding="utf-8")
    assert BacktestPlan.from_toml(again) == plan
    assert len(plan.sha256) == 64


def _amendment(path: Path) -> None:
    found = read_amendment(path)
    assert len(found.sha256) == 64
    assert found.records() and found.label


def _counterparts(path: Path) -> None:
    assert all(there.startswith("atop-") for there in read_counterparts(path).values())


class Kind(NamedTuple):
    files: list[Path]
    read: Callable[[Path], None]


KINDS = {
    "model": Kind(
        sorted([*models_folder().glob("*.toml"), *_ROOT.glob("benchmarks/dyad*.toml")]), _model
    ),
    "theory": Kind(sorted((models_folder() / "theories").glob("*.toml")), _theory),
    "scenario": Kind(sorted((data_folder() / "scenarios").glob("*.toml")), _scenario),
    "catalogue": Kind([data_folder() / "catalogue.toml"], _catalogue),
    "plan": Kind([_ROOT / "benchmarks" / "skill.toml"], _plan),
    "amendment": Kind([data_folder() / "amendment-example.toml"], _amendment),
    "counterparts": Kind([data_folder() / "amendments.toml"], _counterparts),
}  # fmt: skip


def check(kind: str, found: Damaged, folder: Path) -> str:
    """Read it; what was wrong in our words, or nothing."""
    path = folder / f"{kind}.toml"
    path.write_bytes(found.content)
    try:
        KINDS[kind].read(path)
    except ForecastError as error:
        message = str(error)
        assert len(message) <= 2000 + len(str(path)), message[:3000]
        assert path.name in message, message
        return message
    return ""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hostile")
