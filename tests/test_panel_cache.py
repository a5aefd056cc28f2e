"""Panels in the cache: equal to what is computed, never out of date, never damaged."""

import inspect
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from support.tiny import make_coverage, make_tiny_frames

from forecast import panel_cache
from forecast.errors import ArgumentError, ArtifactError, CoverageError, UnknownNameError
from forecast.features import FeatureRequest, compute_features
from forecast.files import MARKER
from forecast.panel.build import load_panel
from forecast.panel_cache import PanelOptions, cached_panel, forget_panels, panel_key
from forecast.paths import data_folder
from forecast.sources.embedded import tables_from_frames

REQUESTS = [
    FeatureRequest("grew", "own_expansion", {"window": 3}, "max"),
    FeatureRequest("pact", "pact_in_dyad"),
    FeatureRequest("power", "capability_ratio"),
    FeatureRequest("peace", "peace_years"),
]


@pytest.fixture
def made(monkeypatch) -> list[str]:
    """How often a panel was computed instead of opened."""
    calls: list[str] = []

    def load(**options):
        calls.append("load_panel")
        return load_panel(**options)

    monkeypatch.setattr(panel_cache, "load_panel", load)
    return calls


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"unit": "directed-dyad-year", "population": "all", "years": (1995, 2000), "lag": 2},
        {"outcome": "war_onset"},
    ],
)
def test_what_is_opened_is_what_was_computed(tiny_tables, tmp_path, made, options):
    requests = REQUESTS
    if "unit" in options:
        requests = [*REQUESTS, FeatureRequest("ally", "outside_allies", {}, "b")]
    expected = compute_features(load_panel(data=tiny_tables, **options), requests)
    first = cached_panel(requests, data=tiny_tables, folder=tmp_path, **options)
    second = cached_panel(requests, data=tiny_tables, folder=tmp_path, **options)
    assert made == ["load_panel"]
    for panel in (first, second):
        xr.testing.assert_identical(panel.data.compute(), expected.data)
        for name in ("unit", "population", "outcome", "lag", "fingerprint"):
            assert getattr(panel, name) == getattr(expected, name)
    for name, column in expected.data.variables.items():
        assert second.data[name].dtype == column.dtype


@pytest.mark.parametrize("unit", ["state-year", "dispute-dyad", "alliance-year"])
def test_every_unit_can_be_kept(tiny_tables, tmp_path, made, unit):
    options = {"data": tiny_tables, "unit": unit}
    expected = load_panel(**options)
    cached_panel(folder=tmp_path, **options)
    again = cached_panel(folder=tmp_path, **options)
    assert made == ["load_panel"]
    xr.testing.assert_identical(again.data.compute(), expected.data)


def test_world_and_tables_are_made_when_asked_for(tiny_tables, tmp_path, made):
    cached_panel(REQUESTS, data=tiny_tables, folder=tmp_path)
    panel = cached_panel(REQUESTS, data=tiny_tables, folder=tmp_path)
    later = panel.select_years(2000, 2005)
    assert compute_features(later, REQUESTS).data.sizes["row"] == later.data.sizes["row"]
    assert made == ["load_panel"]  # nothing above needed the world
    assert later.world is panel.world
    assert panel.tables is tiny_tables
    assert made == ["load_panel"] * 2
    xr.testing.assert_identical(panel.world, load_panel(data=tiny_tables).world)
    # A column that was not asked for is computed from that world.
    more = compute_features(panel, [FeatureRequest("border", "land_contiguity")])
    assert not np.isnan(more.data["border"]).all()


def test_the_key_changes_with_all_that_the_values_depend_on(tiny_tables, monkeypatch):
    frames = make_tiny_frames()
    frames["capabilities"]["gdp"] *= 1 + 0.1 * frames["capabilities"].index
    other = tables_from_frames(frames, coverage=make_coverage(), name="tiny")
    keys = {
        panel_key(REQUESTS, data=tiny_tables),
        panel_key(REQUESTS, data=other),
        panel_key(REQUESTS, data="embedded"),
        panel_key(REQUESTS[:-1], data=tiny_tables),
        panel_key([*REQUESTS[:-1], FeatureRequest("peace", "disputes_total")], data=tiny_tables),
        panel_key(REQUESTS, data=tiny_tables, lag=2),
        panel_key(REQUESTS, data=tiny_tables, years=(2000, 2001)),
        panel_key(REQUESTS, data=tiny_tables, outcome="war_onset"),
        panel_key([*REQUESTS, FeatureRequest("land", "land_contiguity")], data=tiny_tables),
        panel_key(
            [*REQUESTS, FeatureRequest("land", "land_contiguity", at_entry="current")],
            data=tiny_tables,
        ),
    }
    assert len(keys) == 10
    assert panel_key(REQUESTS, data=tiny_tables) in keys
    monkeypatch.setattr(panel_cache, "code_hash", lambda *_: "another version of the code")
    assert panel_key(REQUESTS, data=tiny_tables) not in keys


def test_a_changed_file_of_a_folder_is_another_panel(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    for path in data_folder().iterdir():
        if path.is_file():
            (folder / path.name).write_bytes(path.read_bytes())
    before = panel_key(data=folder)
    assert before == panel_key(data=str(folder))
    conflicts = (folder / "conflicts.csv").read_text(encoding="utf-8").splitlines()
    (folder / "conflicts.csv").write_text("\n".join(conflicts[:-1]) + "\n", encoding="utf-8")
    assert panel_key(data=folder) != before


def test_a_world_of_changed_data_is_refused(tiny_tables, tmp_path, monkeypatch):
    cached_panel(data=tiny_tables, folder=tmp_path)
    panel = cached_panel(data=tiny_tables, folder=tmp_path)
    other = load_panel(data=tiny_tables, years=(2000, 2001))
    monkeypatch.setattr(panel_cache, "load_panel", lambda **_: other)
    with pytest.raises(ArtifactError, match="have changed since"):
        panel.world  # noqa: B018


def test_options_are_those_of_load_panel(tiny_tables):
    given = inspect.signature(load_panel).parameters
    assert list(PanelOptions.__annotations__) == list(given)
    # What is left out has the default there.
    defaults = {name: p.default for name, p in given.items() if name != "data"}
    assert panel_key(data=tiny_tables) == panel_key(data=tiny_tables, **defaults)
    with pytest.raises(UnknownNameError, match=r"'lagg'\. Did you mean 'lag'"):
        cached_panel(data=tiny_tables, lagg=2)


def test_tables_without_a_fingerprint_have_no_key(tiny_tables):
    with pytest.raises(ArgumentError, match="fingerprint"):
        panel_key(data=replace(tiny_tables, fingerprint=""))


def damage(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    "harm",
    [
        lambda entry: damage(entry / "rows.parquet", 5),
        lambda entry: damage(entry / "rows.parquet", -5),
        *(lambda entry, at=at: damage(entry / MARKER, at) for at in (3, 200, 300, -3)),
        lambda entry: (entry / MARKER).write_text("", encoding="utf-8"),
        lambda entry: (entry / MARKER).unlink(),
        lambda entry: (entry / "rows.parquet").unlink(),
        lambda entry: (entry / "rows.parquet").write_bytes(
            (entry / "rows.parquet").read_bytes()[:-70]
        ),
    ],
)
def test_a_damaged_entry_is_made_anew(tiny_tables, tmp_path, made, harm):
    expected = cached_panel(REQUESTS, data=tiny_tables, folder=tmp_path)
    (entry,) = tmp_path.iterdir()
    harm(entry)
    for _ in range(2):
        found = cached_panel(REQUESTS, data=tiny_tables, folder=tmp_path)
        xr.testing.assert_identical(found.data.compute(), expected.data)
    assert made == ["load_panel"] * 2
    assert [p.name for p in tmp_path.iterdir()] == [entry.name]


def test_an_entry_under_another_key_is_not_used(tiny_tables, tmp_path, made):
    cached_panel(data=tiny_tables, folder=tmp_path)
    (entry,) = tmp_path.iterdir()
    entry.rename(tmp_path / panel_key(data=tiny_tables, lag=2))
    found = cached_panel(data=tiny_tables, lag=2, folder=tmp_path)
    assert found.lag == 2
    assert len(made) == 2


def test_an_error_leaves_nothing_behind(tiny_tables, tmp_path):
    with pytest.raises(CoverageError):
        cached_panel(data=tiny_tables, years=(1900, 1901), folder=tmp_path)
    assert not list(tmp_path.iterdir())


def test_old_entries_go_and_all_can_be_forgotten(tiny_tables, tmp_path, monkeypatch):
    monkeypatch.setattr(panel_cache, "_KEPT", 2)
    for year in (2000, 2001, 2002):
        cached_panel(data=tiny_tables, years=(year, year), folder=tmp_path)
    kept = {path.name for path in tmp_path.iterdir()}
    assert kept == {panel_key(data=tiny_tables, years=(y, y)) for y in (2001, 2002)}
    assert forget_panels(folder=tmp_path) == 2
    assert forget_panels(folder=tmp_path / "never made") == 0
