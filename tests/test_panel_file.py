"""Panel files: what goes in comes out; what is damaged, changed or no panel is refused."""

import json
import zipfile
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from forecast import cli
from forecast.errors import ArgumentError, ArtifactError, MissingFileError
from forecast.features import FeatureRequest, compute_features
from forecast.files import MANIFEST, write_manifest
from forecast.panel.build import load_panel
from forecast.panel_file import open_panel, save_panel


@pytest.fixture
def saved(tiny_panel, tmp_path):
    save_panel(tiny_panel, tmp_path / "tiny.panel")
    return tmp_path / "tiny.panel"


def test_round_trip_with_world_and_tables(tiny_panel, saved):
    back = open_panel(saved)
    assert back.fingerprint == tiny_panel.fingerprint
    assert (back.unit, back.population, back.lag) == ("dyad-year", "politically_relevant", 1)
    pd.testing.assert_frame_equal(back.data.to_dataframe(), tiny_panel.data.to_dataframe())
    wanted = [FeatureRequest("allies", "shared_allies"), FeatureRequest("c", "capability_ratio")]
    for name in ("allies", "c"):
        np.testing.assert_array_equal(
            compute_features(back, wanted).data[name],
            compute_features(tiny_panel, wanted).data[name],
        )
    assert back.tables.coverage == dict(tiny_panel.tables.coverage)


def test_the_rule_of_what_is_under_way_is_kept(tiny_tables, tmp_path):
    panel = load_panel(data=tiny_tables, under_way="drop")
    save_panel(panel, tmp_path / "d.panel")
    back = open_panel(tmp_path / "d.panel")
    assert (back.under_way, back.fingerprint) == ("drop", panel.fingerprint)


def test_the_command_writes_the_rows_of_a_model_or_of_a_rule(tmp_path, capsys):
    def written(*more):
        file = str(tmp_path / "x.panel")
        assert cli.main(["panel", "--out", file, "--json", *more]) == 0
        return json.loads(capsys.readouterr().out)["panel"]

    own, field = written(), written("--under-way", "convention")
    assert (own["under_way"], field["under_way"]) == ("stratum", "convention")
    # All pairs; 792 are under way on 1 January, of which 26 begin a further one.
    assert own["population"] == "all"
    assert (own["rows"], field["rows"]) == (1_004_060, 1_004_060 - (792 - 26))
    assert own["onsets"] == field["onsets"] == 1013


def test_other_units_and_years(tiny_tables, tmp_path):
    panel = load_panel(
        data=tiny_tables, unit="state-year", outcome="fatal_onset", years=(1995, 2003)
    )
    save_panel(panel, tmp_path / "s.panel")
    back = open_panel(tmp_path / "s.panel")
    assert back.outcome == "fatal_onset"
    pd.testing.assert_frame_equal(back.data.to_dataframe(), panel.data.to_dataframe())


def test_changed_rows_are_not_saved(tiny_panel, tmp_path):
    other = tiny_panel.data.assign(outcome=1.0 - tiny_panel.data["outcome"])
    with pytest.raises(ArgumentError, match="rows or outcomes were changed after load_panel"):
        save_panel(tiny_panel.with_data(other), tmp_path / "x.panel")
    with pytest.raises(ArgumentError, match="without its tables"):
        save_panel(replace(tiny_panel, tables=None), tmp_path / "x.panel")
    assert not (tmp_path / "x.panel").exists()


def rewrite(path, name, content):
    with zipfile.ZipFile(path) as archive:
        files = {n: archive.read(n) for n in archive.namelist()}
    files[name] = content if isinstance(content, bytes) else content(files[name])
    with zipfile.ZipFile(path, "w") as archive:
        for n, c in files.items():
            archive.writestr(n, c)


def test_damage_is_named(saved):
    rewrite(saved, "members.parquet", b"nothing")
    with pytest.raises(ArtifactError, match=r"members\.parquet has SHA-256"):
        open_panel(saved)


def test_other_layouts_and_rows_are_refused(saved, tmp_path):
    def changed(**what):
        def mended(text):
            write_manifest(tmp_path, json.loads(text) | what)
            return (tmp_path / MANIFEST).read_bytes()

        return mended

    rewrite(saved, MANIFEST, changed(rows="0" * 64))
    with pytest.raises(ArtifactError, match="makes other rows of its tables"):
        open_panel(saved)
    rewrite(saved, MANIFEST, changed(layout=99))
    with pytest.raises(ArtifactError, match="layout 99, expected 3"):
        open_panel(saved)
    rewrite(saved, MANIFEST, lambda text: text.replace(b'"layout": 99', b'"layout": 3'))
    with pytest.raises(ArtifactError, match=r"MANIFEST\.json is damaged"):
        open_panel(saved)


def test_what_is_no_panel(tmp_path):
    with pytest.raises(MissingFileError, match="forecast panel --out FILE"):
        open_panel(tmp_path / "none.panel")
    (tmp_path / "text.panel").write_text("year,ccode_a\n")
    with pytest.raises(ArtifactError, match="is no panel file"):
        open_panel(tmp_path / "text.panel")
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("letter.txt", "dear")
    with pytest.raises(ArtifactError, match=r"holds no MANIFEST\.json; it is no panel"):
        open_panel(tmp_path / "other.zip")
    rewrite(tmp_path / "other.zip", "panel.json", b"{}")
    with pytest.raises(ArtifactError, match="an earlier version saved it, save it again"):
        open_panel(tmp_path / "other.zip")


def test_rows_from_parquet(tmp_path):
    frame = pd.DataFrame(
        {
            "year": [2001, 2000], "ccode_a": [2, 2], "ccode_b": [20, 20],
            "outcome": [np.nan, 1.0], "peace_years": [0, 4], "region_a": ["Americas"] * 2,
        }
    )  # fmt: skip
    frame.to_parquet(tmp_path / "rows.parquet")
    panel = open_panel(tmp_path / "rows.parquet")
    assert panel.world is None
    assert panel.data["year"].to_numpy().tolist() == [2000, 2001]
    assert panel.data["peace_years"].to_numpy().tolist() == [4.0, 0.0]
    # What the file does not say, no model is refused for.
    assert (panel.population, panel.under_way) == (None, None)
    frame.drop(columns="outcome").to_parquet(tmp_path / "rows.parquet")
    with pytest.raises(ArtifactError, match="outcome are missing"):
        open_panel(tmp_path / "rows.parquet")
    frame.assign(outcome=[2.0, 1.0]).to_parquet(tmp_path / "rows.parquet")
    with pytest.raises(ArtifactError, match=r"column 'outcome', row 0: found 2,"):
        open_panel(tmp_path / "rows.parquet")
    frame.assign(year=2000).to_parquet(tmp_path / "rows.parquet")
    with pytest.raises(ArtifactError, match="is there twice"):
        open_panel(tmp_path / "rows.parquet")
