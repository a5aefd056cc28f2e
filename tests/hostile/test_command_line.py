"""Every parameter of every command with values outside of its range: exit code 1 and one sentence.

The parameters are those of the tree of commands: a new option is tested by its type, with no line
here. What is looked up by name is what a value of that type can stand for.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import typer

from forecast import cli
from forecast.cli.commands import app
from forecast.inference.fit import Fit
from forecast.store import open_store

#: Arguments without which a command does not come to look at the others.
REQUIRED = {
    "run": (),
    "features": (),
    "cases": ("austria_hungary_1914",),
    "fit": (),
    "check": (),
    "risk": ("IND", "PAK"),
    "simulate": ("SCENARIO",),
    "initiation": ("SCENARIO",),
    "report": (),
    "panel": ("--out", "NEW"),
    "backtest": (),
    "data list": (),
    "data get": ("plain",),
    "data check": (),
    "data amend": ("--from", "AMENDMENT"),
    "data cite": (),
    "data package": ("--to", "NEW"),
    "store verify": (),
}
#: What is in range after all.
FINE = {
    "--seed": {"0", "1000000000000"},
    "--backtest-years": {"0"},
}
LONG = "x" * 300
ANY = ["", " ", "a\0b", "a\nb", "\udcff"]
NUMBERS = ["-1", "0", "1000000000000", "9" * 400, "9" * 5000, "1.5", "x", "nan"]
REALS = ["-1", "0", "1e400", "nan", "inf", "-inf", "x"]
#: Where a store is not: kinds of addresses that fsspec knows, does not know, or has no driver for.
ADDRESSES = ["nope://x", "s3://bucket/x", "gs://bucket/x", "http://127.0.0.1:9/x", "FILE", "UNDER"]
TARGETS = ["FILE", "UNDER", "FOREIGN", "DANGLING", f"NEW/{LONG}"]
FILE_TARGETS = ["FOLDER", "UNDER", "DANGLING", f"NEW/{LONG}"]
SOURCES = ["ABSENT", "FOLDER", "GARBAGE", "UNDER"]
#: By name of the option, where a text or a path stands for something of its own.
STAND_FOR = {
    "--store": ADDRESSES,
    "--out": TARGETS,
    "--to": TARGETS,
    "--homepage": ["nope://x", "x"],
    "--panel": SOURCES,
    "--config": SOURCES,
    "--scenario": SOURCES,
    "scenario": SOURCES,
    "--from": SOURCES,
    "--ca-file": SOURCES,
    "places": ["ABSENT"],
}
OUT_IS_A_FILE = {"panel", "simulate"}


def _commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    for name, found in getattr(command, "commands", {}).items():
        yield from _commands(found, (*path, name))
    if path and not getattr(command, "commands", None):
        yield " ".join(path), command


def _parameters() -> list[Any]:
    return [
        pytest.param(name, parameter, id=f"{name} {parameter.opts[0]}")
        for name, command in _commands(typer.main.get_command(app))
        for parameter in command.params
        if not getattr(parameter, "is_flag", False)
    ]


def _values(command: str, parameter: Any) -> list[str]:
    """What no such parameter can be."""
    option = parameter.opts[-1]
    kind = str(parameter.type_descriptor.annotation)
    if "Literal" in kind:
        found = ["x", LONG, "LAPLACE "]
    elif "int" in kind:
        found = NUMBERS
    elif "float" in kind:
        found = REALS
    else:
        found = [LONG, *STAND_FOR.get(option, ["Nowhere", "nope://x"])]
        if option == "--out" and command in OUT_IS_A_FILE:
            found = [LONG, *FILE_TARGETS]
    return [*ANY, *(value for value in found if value not in FINE.get(option, ()))]


def _line(command: str, parameter: Any, value: str) -> list[str]:
    required, option = list(REQUIRED[command]), parameter.opts[-1]
    if option.startswith("--"):
        if option in required:
            del required[(at := required.index(option)) : at + 2]
        if option == "--name" or (command == "data amend" and option == "--data"):
            pass
        elif command == "data amend" or (command == "data get" and option == "--from"):
            required = []
        return [*command.split(), *required, option, *([value] * parameter.nargs)]
    positional = [name for name in ("state_a", "state_b") if command == "risk"]
    if parameter.name in positional:
        required[positional.index(parameter.name)] = value
    elif required and not required[0].startswith("--"):
        required[0] = value
    else:
        required = [value, *required]
    return [*command.split(), *required]


@pytest.fixture(scope="module")
def places(known_fit: Fit, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What a word in capitals of a command line stands for."""
    root = tmp_path_factory.mktemp("command-line")
    open_store(root / "artifacts").save(known_fit)
    for name in ("FOLDER", "FOREIGN/tables"):
        (root / name).mkdir(parents=True)
    (root / "FOREIGN" / "tables" / "thesis.txt").write_text("mine")
    (root / "FILE").write_text("mine")
    (root / "GARBAGE").write_bytes(bytes(range(256)) * 8)
    (root / "DANGLING").symlink_to(root / "nothing")
    (root / "SCENARIO").write_text(
        'name = "Pact"\n[[edit]]\naction = "form"\nalliance = "P"\nstates = ["CHN", "RUS"]\n'
        "when = 2026\n"
    )
    (root / "AMENDMENT").write_text("name = 5\n")
    names = ("FOLDER", "FOREIGN", "FILE", "GARBAGE", "DANGLING", "SCENARIO", "AMENDMENT", "ABSENT")
    found = {name: str(root / name) for name in (*names, "NEW")}
    return found | {"UNDER": str(root / "FILE" / "x"), "": str(root)}


class WorkBeganError(Exception):
    """The expensive work began, with an argument that should have been refused."""


@pytest.fixture(autouse=True)
def no_work(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, known_fit: Fit) -> None:
    """Nothing begins; a saved fit, which many of the commands read, is there at once."""

    def began(*_: object, **__: object) -> None:
        raise WorkBeganError

    for work in (
        "forecast.panel.build.build_world",
        "forecast.inference.fit.fit",
        "forecast.simulation.paired.prepare_future",
        "forecast.risk.initiation.predict",
        "forecast.evaluation.checks.check",
        "forecast.sources.acquire.fetch",
    ):
        module, _, name = work.rpartition(".")
        monkeypatch.setattr(import_module(module), name, began)
    monkeypatch.setattr("forecast.store.read_fit", lambda *_: known_fit)
    monkeypatch.setenv("FORECAST_DATA", str(tmp_path / "cache"))


@pytest.mark.parametrize(("command", "parameter"), _parameters())
def test_what_is_out_of_range_is_refused_in_a_sentence(
    command: str,
    parameter: Any,
    places: dict[str, str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(places[""])
    before = {p: p.read_bytes() for p in Path().rglob("*") if p.is_file()}
    wrong = []

    def meant(word: str) -> str:
        head, slash, rest = word.partition("/")
        return places[head] + slash + rest if head and head in places else word

    for value in _values(command, parameter):
        code = cli.main([meant(word) for word in _line(command, parameter, value)])
        shown = capsys.readouterr()
        told = shown.err.strip()
        if code != 1 or not told or "Traceback" in told or len(told) > 2_100 or shown.out:
            wrong.append((value[:40], code, (told or shown.out)[-300:]))
    assert not wrong
    assert {p: p.read_bytes() for p in Path().rglob("*") if p.is_file()} == before


def test_every_command_is_known_here() -> None:
    assert set(REQUIRED) == {name for name, _ in _commands(typer.main.get_command(app))}
