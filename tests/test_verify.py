"""What is kept is held against its hashes; what is damaged hides nothing else."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from forecast import cli
from forecast.errors import ArtifactError, MissingFileError
from forecast.files import MANIFEST, facts_of, write_manifest
from forecast.folders import replace_folder, write_files
from forecast.inference.fit import Fit
from forecast.sources.stored import open_tables, save_tables
from forecast.sources.tables import Tables
from forecast.store import Store, open_store
from forecast.verify import verify


@pytest.fixture
def store(known_fit: Fit, tmp_path: Path) -> Store:
    """A store with two fits, the second newer."""
    made = open_store(tmp_path / "store")
    made.save(known_fit)
    first = tmp_path / "store" / "fits" / known_fit.id
    other = first.with_name("f" * 64)
    content = {name: (first / name).read_bytes() for name in ("fit.json", "rows.parquet")}
    with replace_folder(other, name=MANIFEST, about={"created": "2999", "id": other.name}) as new:
        for name, file in content.items():
            (new / name).write_bytes(file)
    return made


def _spoil(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])


@pytest.mark.parametrize("name", [MANIFEST, "fit.json", "rows.parquet"])
def test_a_damaged_fit_hides_no_other(store: Store, known_fit: Fit, name: str) -> None:
    damaged = Path(store.root) / "fits" / ("f" * 64)
    _spoil(damaged / name)
    assert store.ids() == [known_fit.id, damaged.name] == sorted(store.ids())
    assert store.newest() == damaged.name  # never an older one without a word
    with pytest.raises(ArtifactError, match=r"damaged|SHA-256"):
        store.load(damaged.name)
    assert store.load(known_fit.id).id == known_fit.id
    found = verify(store=store.root, cache=Path(store.root) / "none").set_index("artifact")
    assert found["damage"].map(bool).to_dict() == {known_fit.id: False, damaged.name: True}
    assert not found["removed"].any()


def test_what_can_be_made_again_is_removed_when_asked(
    store: Store, known_fit: Fit, tiny_tables: Tables, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    cache, report = tmp_path / "cache", tmp_path / "reports" / "today"
    monkeypatch.setenv("FORECAST_DATA", str(cache))
    save_tables(cache, "key", tiny_tables)
    with replace_folder(report) as new:
        (new / "index.html").write_text("page")
    _spoil(Path(store.root) / "fits" / ("f" * 64) / "rows.parquet")
    half = Path(store.root) / "fits" / "half"
    half.mkdir()
    (half / "fit.json").write_text("of a save that was interrupted elsewhere")
    _spoil(next((cache / "derived/tables/key").glob("members.parquet")))
    (report / "index.html").write_text("mine now")
    arguments = ["store", "verify", str(report.parent), "--store", store.root]
    assert cli.main(arguments) == 1
    shown = capsys.readouterr()
    assert "4 of 5 artifacts are damaged" in shown.err
    assert cli.main([*arguments, "--remove", "--json"]) == 1
    shown = capsys.readouterr()
    removed = {row["artifact"]: row["removed"] for row in json.loads(shown.out) if row["damage"]}
    assert removed == {"f" * 64: True, "half": True, str(cache / "derived/tables/key"): True,
                       str(report): False}  # fmt: skip
    assert "1 of 5 artifacts are damaged" in shown.err
    assert (report / "index.html").read_text() == "mine now"
    assert store.ids() == [known_fit.id]
    assert open_tables(cache, "key") is None
    assert cli.main([*arguments[:2], "--store", store.root]) == 0
    assert "1 artifacts are whole" in capsys.readouterr().out


def test_a_folder_with_things_of_others_is_never_removed(store: Store, tmp_path: Path) -> None:
    damaged = Path(store.root) / "fits" / ("f" * 64)
    _spoil(damaged / "rows.parquet")
    (damaged / "thesis.txt").write_text("mine")
    found = verify(store=store.root, cache=tmp_path / "none", remove=True)
    assert not found["removed"].any()
    assert (damaged / "thesis.txt").read_text() == "mine"


def test_damaged_jobs_of_a_backtest_are_removed_when_asked(tmp_path: Path) -> None:
    run = tmp_path / "skill" / "run"
    write_files(tmp_path / "skill", {"table.txt": b"table"})
    files = {}
    for name in ("a.nc", "b.nc"):
        (run / "state").mkdir(parents=True, exist_ok=True)
        (run / "state" / name).write_bytes(b"state of a job")
        files[f"state/{name}"] = {"sha256": facts_of(b"state of a job")["sha256"]}
    write_manifest(run, {"files": files})
    _spoil(run / "state" / "b.nc")
    found = verify(tmp_path / "skill", store=None, cache=tmp_path / "none", remove=True)
    assert found.set_index("kind")["removed"].to_dict() == {"report or tables": False, "run": True}
    assert sorted(path.name for path in (run / "state").iterdir()) == ["a.nc"]


def test_a_place_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="gone does not exist"):
        verify(tmp_path / "gone", store=None)


def test_the_record_is_held_against_its_hash_too(store: Store, known_fit: Fit) -> None:
    path = Path(store.root) / "fits" / known_fit.id / "RECORD.json"
    path.write_text("{}")
    assert "RECORD.json" in store.damage(known_fit.id)
    assert replace(store, root=f"{store.root}-none").ids() == []
