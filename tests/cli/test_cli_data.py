from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.publisher import MIDA, MIDB, STATES, TOML, Publisher, publish, redirect, status, whole

from forecast import cli
from forecast.files import sha256_of


@pytest.fixture(scope="module")
def server() -> Iterator[Publisher]:
    with publish() as publisher:
        yield publisher


@pytest.fixture
def small(server: Publisher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Publisher:
    """The publisher, with a catalogue of three sources and an empty cache."""
    (tmp_path / "catalogue.toml").write_text(TOML.format(url=server.url))
    monkeypatch.setenv("FORECAST_CATALOGUE", str(tmp_path / "catalogue.toml"))
    monkeypatch.setenv("FORECAST_DATA", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "200")
    server.answers.clear()
    return server


def test_get_list_check_cite(
    small: Publisher, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small.offer("/states2016.csv", redirect("/there.csv"))
    small.offer("/there.csv", whole(STATES))
    assert cli.main(["data", "list"]) == 0
    assert "zipped" in capsys.readouterr().out
    assert cli.main(["data", "get", "plain", "--quiet"]) == 0
    shown = capsys.readouterr()
    assert shown.out == "plain: states2016.csv\n"
    assert shown.err == ""  # it came from the publisher
    assert cli.main(["data", "list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert listed["cache"] == str(tmp_path / "cache")
    rows = {row["source"]: row for row in listed["sources"]}
    assert rows["plain"]["cached"]
    assert rows["plain"]["bytes"] == len(STATES)
    assert rows["plain"]["licence"]["name"] == "Free"
    assert rows["plain"]["covers"] == [1816, 2016]
    assert not rows["zipped"]["cached"]
    assert "forecast data get zipped" in rows["zipped"]["missing"]
    assert not rows["pair"]["download"]
    assert cli.main(["data", "check", "plain", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["tables"]
    assert (row["source"], row["table"], row["rows"], row["copy"]) == (
        "plain",
        "states",
        3,
        "unknown",
    )
    assert (row["first"], row["last"]) == (1816, 2016)
    assert cli.main(["data", "cite"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("Body, Some and Else, S. 2020.")
    assert "@article{somebody_2020," in out
    assert cli.main(["data", "cite", "plain", "--bibtex"]) == 0
    assert capsys.readouterr().out.startswith("@article{somebody_2020,")
    assert cli.main(["data", "cite", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["sources"] == ["plain"]


def test_files_that_the_user_has(
    small: Publisher, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "states2016.csv").write_bytes(STATES)
    assert cli.main(["data", "get", "--from", str(mine)]) == 0
    shown = capsys.readouterr()
    assert shown.out == "plain: states2016.csv\n"
    assert "For states zipped is preferred to plain. Get it with" in shown.err
    said = "states2016.csv: a copy whose content is not known to be that of the release (1)"
    assert f"plain, {said}" in shown.err
    (mine / "a.csv").write_bytes(MIDA)
    (mine / "b.csv").write_bytes(MIDB)
    roles = ["--from", f"mida={mine / 'a.csv'}", "--from", f"midb={mine / 'b.csv'}"]
    assert cli.main(["data", "get", "pair", *roles, "--json"]) == 0
    got = json.loads(capsys.readouterr().out)
    assert set(got["files"]["pair"]) == {"mida", "midb"}
    assert got["failed"] == {}
    assert [text.split(":")[0] for text in got["unproven"]["pair"]] == ["a.csv", "b.csv"]
    assert "plain" not in got["unproven"]
    half = tmp_path / "half"
    half.mkdir()
    (half / "MIDA.csv").write_bytes(MIDA)
    (half / "states2016.csv").write_bytes(STATES)
    assert cli.main(["data", "get", "--from", str(mine), "--json"]) == 0
    capsys.readouterr()
    (tmp_path / "cache" / "locks" / "pair.json").unlink()
    for bad, message in (
        (["pair", "--from", f"mida={mine / 'a.csv'}", "--from", str(mine)], "or none"),
        (["pair", "--from", f"mida={mine / 'a.csv'}", "--from", "mida=b.csv"], "two files for one"),
        (["pair", "--from", f"mid={mine / 'a.csv'}"], "Did you mean 'mida'"),
        (["plan", "--from", str(mine)], "Did you mean 'plain'"),
        (["xyzzy", "--from", str(mine)], "`forecast data list` shows them all"),
        (["zipped", "--from", str(mine)], "none of the 3 files given is known"),
        (["--from", str(mine / "none")], "no file or folder"),
        (["--from", str(half)], "midb (MIDB.csv) is missing"),
        (["--from", f"mida={mine / 'a.csv'}"], "one source"),
    ):
        assert cli.main(["data", "get", *bad]) == 1
        assert message in capsys.readouterr().err


def test_by_default_what_the_panels_need(
    small: Publisher, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The preferred source of each kind of fact; one that must be brought is no failure."""
    sent = _zip(tmp_path)
    small.offer("/States.zip", whole(sent))
    assert cli.main(["data", "get", "--quiet"]) == 0
    shown = capsys.readouterr()
    assert shown.out == "zipped: states.csv\n"
    assert "pair" in shown.err
    assert "No address is known" in shown.err
    small.offer("/States.zip", status(404))
    (tmp_path / "cache" / "locks" / "zipped.json").unlink()
    assert cli.main(["data", "get", "--json"]) == 1
    assert "zipped" in json.loads(capsys.readouterr().out)["failed"]


def _zip(folder: Path) -> bytes:
    with zipfile.ZipFile(folder / "inner.zip", "w") as inner:
        inner.writestr("S/states.csv", STATES)
    with zipfile.ZipFile(folder / "States.zip", "w") as outer:
        outer.write(folder / "inner.zip", "inner.zip")
    return (folder / "States.zip").read_bytes()


def test_what_fails_is_said_and_is_exit_code_1(
    small: Publisher, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small.offer("/States.zip", status(404))
    small.offer("/states2016.csv", whole(STATES))
    assert cli.main(["data", "get", "zipped", "plain", "--quiet"]) == 1
    shown = capsys.readouterr()
    assert shown.out == "plain: states2016.csv\n"
    assert "404" in shown.err
    assert "--from" in shown.err
    assert cli.main(["data", "get", "pair", "--quiet"]) == 1
    assert "No address is known (http://localhost/pair)" in capsys.readouterr().err
    assert cli.main(["data", "get", "plain", "--timeout", "0"]) == 1
    assert "expected seconds" in capsys.readouterr().err
    assert cli.main(["data", "get", "zipped", "--ca-file", str(tmp_path / "no.pem")]) == 1
    assert "PEM" in capsys.readouterr().err
    assert cli.main(["data", "check", "zipped", "plain"]) == 1
    shown = capsys.readouterr()
    assert "plain" in shown.out
    assert "forecast data get zipped" in shown.err
    (tmp_path / "cache" / "plain" / "states2016.csv").write_bytes(STATES[:-20])
    assert cli.main(["data", "check", "plain", "--json"]) == 1
    assert "was locked on" in json.loads(capsys.readouterr().out)["failed"]["plain"]
    small.offer("/states2016.csv", whole(STATES + b"\n"))
    assert cli.main(["data", "get", "plain", "--quiet"]) == 1
    assert "--replace" in capsys.readouterr().err
    assert cli.main(["data", "get", "plain", "--quiet", "--replace"]) == 0


def test_spells_that_no_panel_can_have_are_refused_at_the_door(
    small: Publisher, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What `data get` takes in and `data check` calls valid, a panel can be made from."""
    row = STATES.splitlines()[1].replace(b",1816,1,1,", b",1900,1,1,")
    file = tmp_path / "states2016.csv"
    file.write_bytes(STATES + row + b"\n")
    assert cli.main(["data", "get", "plain", "--from", str(file)]) == 1
    assert "states2016.csv, rows 2 and" in capsys.readouterr().err
    assert not (tmp_path / "cache" / "plain").exists()
    # As if an earlier version had taken it in.
    file.write_bytes(STATES)
    assert cli.main(["data", "get", "plain", "--from", str(file), "--quiet"]) == 0
    held = tmp_path / "cache" / "plain" / "states2016.csv"
    held.write_bytes(STATES + row + b"\n")
    lock = tmp_path / "cache" / "locks" / "plain.json"
    text = lock.read_text(encoding="utf-8").replace(sha256_of(file), sha256_of(held))
    lock.write_text(text, encoding="utf-8")
    capsys.readouterr()
    assert cli.main(["data", "check", "plain"]) == 1
    assert "overlap" in capsys.readouterr().err


def test_the_historical_data_set_is_checked_as_panels_read_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORECAST_DATA", str(tmp_path))
    assert cli.main(["data", "check", "--data", "historical"]) == 1
    assert "which the historical data need" in capsys.readouterr().err


@pytest.mark.reference
def test_the_real_historical_data_set_is_valid(
    historical_cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORECAST_DATA", str(historical_cache))
    assert cli.main(["data", "check", "--data", "historical"]) == 0
    assert "Data set historical: valid" in capsys.readouterr().out


def test_help_says_how(capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["data"])
    shown = capsys.readouterr()
    for name in ("list", "get", "check", "cite"):
        assert name in shown.out
    assert shown.err == ""


def test_the_embedded_data_is_checked_by_default(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["data", "check"]) == 0
    assert "Data set embedded: valid" in capsys.readouterr().out
