"""Every file of TOML that a user may give: a right reading, or an error of ours that names it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
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


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_damaged_file_is_read_right_or_refused_in_our_words(kind: str, folder: Path) -> None:
    @hostile
    @given(damaged(KINDS[kind].files))
    def tried(found: Damaged) -> None:
        check(kind, found, folder)

    tried()


#: What was found by hand: the file, and what its message must name.
_EDIT = '[[edit]]\naction = "join"\nalliance = "NATO"\nwhen = 2027\n'
CASES = [
    ("scenario", f'name = "x"\n{_EDIT}states = 1.5', ["[[edit]] 1", "`states` is 1.5"]),
    ("scenario", f'name = "x"\n{_EDIT}states = 2027-05-01', ["[[edit]] 1", "`states`"]),
    ("scenario", f'name = "x"\n{_EDIT}states = [[1]]', ["[[edit]] 1", "states[0]"]),
    ("scenario", f'name = "x"\n{_EDIT}obligations = true', ["[[edit]] 1", "`obligations` is True"]),
    ("scenario", f'name = "x"\n{_EDIT}obligations = [["a"]]', ["[[edit]] 1", "Unknown obligation"]),
    ("scenario", 'name = "x"\nedit = true', ["edit = True", "list"]),
    ("scenario", f'name = "x"\n{_EDIT}states = {"[" * 3000}{"]" * 3000}', ["nested"]),
    ("scenario", f'name = "x"\n\n{_EDIT}states = {"9" * 10000}', ["line 7", "1,000 digits"]),
    ("scenario", f'name = "{"x" * 300}"', ["name", "300 characters", "100"]),
    ("scenario", 'name = "a\\u0000b"', ["name", "printed"]),
    ("scenario", "a" + ".a" * 40_000 + " = 1", ["more than 64 parts", "line 1"]),
    ("scenario", "#" * 1_000_001, ["more than 1,000,000 bytes"]),
    ("scenario", b'name = "\xff"', ["line 1", "0xff", "UTF-8"]),
    ("theory", "name = {}", ["name = {}"]),
    ("model", "[intercept]\nmean = {}", ["[intercept.mean]", "{}"]),
    ("model", "years = [1e400, 1000000]", ["years[0]", "years[1] = 1000000"]),
    ("plan", 'model = "m"\nseed = 1\n[origins]\nfirst = 2000\nlast = {}', ["[origins.last]", "{}"]),
    ("plan", f"_source = 1\nseed = {10**30}", ["seed = 1000000000", "64 bits"]),
    ("plan", 'model = "m"\nseed = 1\norigins = 2000\nwarm_up = 100000', ["warm_up = 100000"]),
    ("catalogue", "sources = 2027-05-01", ["sources"]),
    ("amendment", "[[exit]]\nstate = inf", ["row 1"]),
    ("counterparts", "[atop]\na = 1\nb = 1", ["[atop]: 'b' = 1"]),
    ("counterparts", "[atop]\na = true", ["[atop]: 'a' = True"]),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "text", "said"), CASES)
def test_a_mistake_is_named(kind: str, text: str | bytes, said: list[str], folder: Path) -> None:
    content = text if isinstance(text, bytes) else text.encode()
    message = check(kind, Damaged(content, "raw"), folder)
    assert all(part in message for part in said), message


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_mark_of_order_is_none_of_the_text(kind: str, folder: Path) -> None:
    content = b"\xef\xbb\xbf" + KINDS[kind].files[0].read_bytes()
    assert check(kind, Damaged(content, "raw"), folder) == ""


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("name", ["folder.toml", "x" * 300 + ".toml", "\0.toml", "none.toml"])
def test_a_name_that_is_no_file(kind: str, name: str, tmp_path: Path) -> None:
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(ForecastError):
        KINDS[kind].read(tmp_path / name)
