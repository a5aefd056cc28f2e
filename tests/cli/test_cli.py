from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest
import xarray as xr

from forecast import cli
from forecast.errors import GateRefusedError
from forecast.inference.fit import Fit
from forecast.store import open_store


@pytest.fixture(scope="module")
def store(known_fit: Fit, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("cli-store")
    open_store(folder).save(known_fit)
    return str(folder)


def test_bad_input_is_exit_code_1(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert cli.main(["risk", "IND", "PAK", "--store", str(tmp_path)]) == 1
    assert "has no fit" in capsys.readouterr().err
    assert cli.main(["fitt"]) == 1
    assert "Did you mean 'fit'" in capsys.readouterr().err
    assert cli.main(["fit", "--method", "guess"]) == 1
    assert "laplace" in capsys.readouterr().err
    assert cli.main(["fit", "dyad_onst", "--quiet"]) == 1
    assert "Did you mean 'dyad_onset'" in capsys.readouterr().err
    assert cli.main(["data", "check", "--data", str(tmp_path / "none")]) == 1
    assert "There is no folder" in capsys.readouterr().err


def test_a_refused_fit_is_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(**_: object) -> None:
        raise GateRefusedError("R-hat 1.3 above 1.01: draw more.")

    monkeypatch.setattr("forecast.run.fit_and_save", refused)
    assert cli.main(["fit", "--quiet"]) == 2
    assert "R-hat 1.3" in capsys.readouterr().err


@pytest.mark.parametrize("encoding", ["latin-1", "cp437", "shift_jis", "cp1252"])
def test_legacy_code_pages_get_stand_ins(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding=encoding) for _ in range(2))
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    assert cli.main(["features"]) == 0
    assert cli.main(["features", "--markdown"]) == 0
    assert cli.main(["fit", "Türkiye–\u2603"]) == 1
    shown = []
    for stream in (out, err):
        stream.flush()
        shown.append(stream.buffer.getvalue().decode(encoding))  # type: ignore[attr-defined]
    assert "D(i, s-w)" in shown[0].replace("−", "-")
    assert "rkiye-?" in shown[1].replace("–", "-")
    monkeypatch.setattr(sys, "stdout", json_out := io.TextIOWrapper(io.BytesIO(), encoding))
    assert cli.main(["features", "--json"]) == 0
    json_out.flush()
    rows = json.loads(json_out.buffer.getvalue())  # type: ignore[attr-defined]
    assert any("−" in row["formula"] for row in rows)  # what a program reads is whole


def test_a_defect_is_exit_code_3(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def defect(**_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("forecast.run.fit_and_save", defect)
    assert cli.main(["fit", "--quiet"]) == 3
    assert "Internal error" in capsys.readouterr().err


def test_data_and_features(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["data", "check", "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert {t["table"]: t["last"] for t in content["tables"]}["conflicts"] == 2025
    assert cli.main(["features", "--json"]) == 0
    names = {row["name"] for row in json.loads(capsys.readouterr().out)}
    assert {"own_expansion", "external_share", "commitment_balance"} <= names
    assert cli.main(["features", "--markdown"]) == 0
    page = Path(__file__).parents[2] / "docs" / "features.md"
    # The page of the docs is this output: `forecast features --markdown > docs/features.md`.
    assert capsys.readouterr().out == page.read_text(encoding="utf-8")


def test_risk(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["risk", "IND", "PAK", "--horizon", "3", "--store", store, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["state_a"] == "India"
    assert answer["horizon"] == 3
    assert cli.main(["risk", "IND", "PAK", "--store", store]) == 0
    assert "India–Pakistan: probability" in capsys.readouterr().out
    assert cli.main(["risk", "IND", "Pakistn", "--store", store]) == 1
    assert "Did you mean" in capsys.readouterr().err


def test_simulate(store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "s.toml"
    file.write_text(
        'name = "Pact"\n[[edit]]\naction = "form"\nalliance = "P"\nstates = ["CHN", "RUS"]\n'
        "when = 2026\n"
    )
    out = tmp_path / "result.nc"
    command = ["simulate", str(file), "--horizon", "2", "--store", store, "--out", str(out)]
    assert cli.main([*command, "--json", "--top", "3"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert len(answer["changes"]) == 3
    first = answer["changes"][0]
    assert first["own"] + first["contagion"] == pytest.approx(first["difference"], abs=1e-6)
    assert answer["first_year"] == 2027
    assert answer["extrapolation"]
    assert out.is_file()
    assert cli.main(command) == 0
    said = capsys.readouterr().out
    assert "Association, not causal effect" in said and "act from 2027 on" in said
    assert cli.main([*command, "--pair", "CHN", "RUS"]) == 0
    assert "China–Russia under 'Pact'" in capsys.readouterr().out
    assert cli.main([*command, "--pair", "CHN", "RUS", "--json"]) == 0
    pair = json.loads(capsys.readouterr().out)["pair"]
    assert pair["own"][0] + pair["contagion"][0] == pytest.approx(pair["difference"][0], abs=1e-6)
    assert cli.main([*command, "--pair", "CHN", "Rusia"]) == 1
    assert "Did you mean" in capsys.readouterr().err


def test_simulate_under_theories(
    store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "s.toml"
    file.write_text(
        'name = "Pact"\n[[edit]]\naction = "form"\nalliance = "P"\nstates = ["CHN", "RUS"]\n'
        "when = 2026\n"
    )
    out = tmp_path / "rivals.nc"
    command = ["simulate", str(file), "--horizon", "1", "--store", store, "--top", "2"]
    assert cli.main([*command, "--theory", "nune"]) == 1
    assert "Unknown theory 'nune'. Did you mean 'none'?" in capsys.readouterr().err
    assert cli.main([*command, "--theory", "none", "--json", "--out", str(out)]) == 0
    table = json.loads(capsys.readouterr().out)["theories"]
    assert [row["theory"] for row in table] == ["own priors", "none"] * 2
    with xr.open_dataset(out, engine="h5netcdf") as kept:
        assert kept["theory"].to_numpy().tolist() == ["own priors", "none"]
        assert kept["standing"].dims == ("theory",)


def test_run_hands_on_theories_only_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def job(**options: object) -> None:
        asked.append(options["theories"])
        raise GateRefusedError("enough")

    monkeypatch.setattr("forecast.run.run", job)
    assert cli.main(["run", "--quiet"]) == 2
    assert cli.main(["run", "--quiet", "--theories"]) == 2
    assert asked == [(), ("agnostic", "deterrence", "history", "none", "provocation")]


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["--help"])
    text = capsys.readouterr().out
    for name in ("run", "data", "features", "fit", "check", "risk", "simulate", "backtest"):
        assert name in text
    assert "Exit codes" in text
