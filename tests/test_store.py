from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from forecast.errors import ArgumentError, ArtifactError, MissingFileError, UnknownNameError
from forecast.evaluation.calibration_record import CalibrationRecord, calibration_record
from forecast.files import MANIFEST, sha256_of, write_manifest
from forecast.inference.fit import Fit
from forecast.inference.predict import predict
from forecast.store import open_store


@pytest.fixture(scope="module")
def saved(known_fit: Fit, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("store")
    assert open_store(folder).save(known_fit) == known_fit.id
    return folder


def copied(saved: Path, tmp_path: Path) -> Path:
    import shutil

    return Path(shutil.copytree(saved, tmp_path / "copy"))


def test_a_fit_comes_back_as_it_was(saved: Path, known_fit: Fit) -> None:
    fit = open_store(saved).load(known_fit.id[:10])
    assert fit.id == known_fit.id
    assert fit.spec == known_fit.spec
    assert fit.encoding == known_fit.encoding
    assert fit.diagnostics == known_fit.diagnostics
    for name, values in known_fit.posterior["posterior"].data_vars.items():
        np.testing.assert_array_equal(fit.posterior["posterior"][name], values)
    rows = {"row": slice(0, 500)}
    before = predict(known_fit, known_fit.panel.with_data(known_fit.panel.data.isel(rows)))
    after = predict(fit, fit.panel.with_data(fit.panel.data.isel(rows)))
    np.testing.assert_array_equal(before, after)
    assert fit.panel.tables is not None
    assert fit.panel.tables.fingerprint == known_fit.panel.tables.fingerprint  # type: ignore[union-attr]


def test_saving_twice_changes_nothing(saved: Path, known_fit: Fit) -> None:
    manifest = saved / "fits" / known_fit.id / "MANIFEST.json"
    before = manifest.read_bytes()
    open_store(saved).save(known_fit)
    assert manifest.read_bytes() == before
    assert open_store(saved).ids() == [known_fit.id]
    assert open_store(saved).newest() == known_fit.id


def test_a_changed_file_is_refused(saved: Path, known_fit: Fit, tmp_path: Path) -> None:
    folder = copied(saved, tmp_path)
    rows = folder / "fits" / known_fit.id / "rows.parquet"
    rows.write_bytes(rows.read_bytes()[:-1] + b"x")
    with pytest.raises(ArtifactError, match=r"rows\.parquet has SHA-256"):
        open_store(folder).load(known_fit.id)
    rows.unlink()
    with pytest.raises(ArtifactError, match=r"rows\.parquet is missing"):
        open_store(folder).load(known_fit.id)


def forged(folder: Path, fit: Fit, change: dict[str, object]) -> None:
    """Change fit.json and mend the manifest, as somebody with intent would."""
    place = folder / "fits" / fit.id
    about = json.loads((place / "fit.json").read_text())
    about.update(change)
    (place / "fit.json").write_text(json.dumps(about))
    manifest = json.loads((place / "MANIFEST.json").read_text())
    manifest["files"]["fit.json"]["sha256"] = sha256_of(place / "fit.json")
    write_manifest(place, manifest)


def test_content_that_does_not_give_the_id_is_refused(
    saved: Path, known_fit: Fit, tmp_path: Path
) -> None:
    folder = copied(saved, tmp_path)
    forged(folder, known_fit, {"seed": 999})
    with pytest.raises(ArtifactError, match="not those of the fit"):
        open_store(folder).load(known_fit.id)


def test_a_manifest_cannot_reach_outside(saved: Path, known_fit: Fit, tmp_path: Path) -> None:
    folder = copied(saved, tmp_path)
    place = folder / "fits" / known_fit.id
    manifest = json.loads((place / MANIFEST).read_text())
    manifest["files"]["../../escape"] = {"sha256": "0", "bytes": 1}
    write_manifest(place, manifest)
    with pytest.raises(ArtifactError, match="outside"):
        open_store(folder).load(known_fit.id)


def test_another_layout_is_refused(saved: Path, known_fit: Fit, tmp_path: Path) -> None:
    folder = copied(saved, tmp_path)
    place = folder / "fits" / known_fit.id
    path = place / MANIFEST
    write_manifest(place, json.loads(path.read_text()) | {"schema_version": 1})
    name = known_fit.spec.name
    with pytest.raises(ArtifactError, match=f"version is 1, expected 2.*`forecast fit {name}`"):
        open_store(folder).load(known_fit.id)


def test_a_damaged_manifest_is_refused(saved: Path, known_fit: Fit, tmp_path: Path) -> None:
    folder = copied(saved, tmp_path)
    path = folder / "fits" / known_fit.id / MANIFEST
    whole = path.read_text()
    for text in (whole[:100], "[]", whole.replace('"created": "2', '"created": "1')):
        path.write_text(text)
        with pytest.raises(ArtifactError, match=r"MANIFEST\.json (cannot be read|is damaged)"):
            open_store(folder).load(known_fit.id)


def test_unknown_and_empty(saved: Path, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="fit id"):
        open_store(saved).load("zzz")
    with pytest.raises(MissingFileError, match="forecast fit"):
        open_store(tmp_path / "none").newest()


def test_an_interrupted_save_leaves_nothing_that_loads(
    known_fit: Fit, monkeypatch: pytest.MonkeyPatch
) -> None:
    # On this machine: tests/hostile/test_crash_points.py.
    store = open_store("memory://interrupted")
    original = type(store.fs).pipe_file
    calls = []

    def broken(self, path, value, **kwargs):  # type: ignore[no-untyped-def]
        calls.append(path)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return original(self, path, value, **kwargs)

    monkeypatch.setattr(type(store.fs), "pipe_file", broken)
    with pytest.raises(KeyboardInterrupt):
        store.save(known_fit)
    monkeypatch.undo()
    assert store.ids() == []
    assert known_fit.id not in store
    assert store.save(known_fit) in store  # and the next save mends it
    assert store.load(known_fit.id).id == known_fit.id


def test_any_fsspec_url(known_fit: Fit) -> None:
    store = open_store("memory://forecast-test")
    store.save(known_fit)
    assert open_store("memory://forecast-test").load(known_fit.id).id == known_fit.id


def test_extra_tables_go_with_a_fit(known_fit: Fit, tmp_path: Path) -> None:
    """Rivalries, say: read again as they were, with notes and amendments of the coverage."""
    import pandas as pd

    from forecast.sources.embedded import COMPUTED, tables_from_frames
    from forecast.sources.tables import TABLES, Coverage

    tables = known_fit.panel.tables
    assert tables is not None
    frames = {name: getattr(tables, name) for name in TABLES}
    frames["capabilities"] = frames["capabilities"].drop(columns=list(COMPUTED))
    rivalries = pd.DataFrame(
        {
            "rivalry_id": pd.array(["x-1"], dtype="str"),
            "ccode_a": [2],
            "ccode_b": [365],
            "start": np.array(["1945-01-01"], dtype="datetime64[s]"),
            "end": np.array(["NaT"], dtype="datetime64[s]"),
            "kind": pd.array([np.nan], dtype="str"),
        }
    )
    own = Coverage(1945, 2020, "Test", "1", "CC0", amended_after=2019, notes=("1 left out",))
    more = tables_from_frames(
        frames,
        coverage={**tables.coverage, "rivalries": own},
        name="test",
        extra={"rivalries": rivalries},
    )
    assert more.fingerprint != tables.fingerprint
    store = open_store(tmp_path)
    store.save(replace(known_fit, panel=replace(known_fit.panel, tables=more)))
    read = store.load(known_fit.id).panel
    assert read.tables is not None
    assert read.tables.coverage["rivalries"] == own
    pd.testing.assert_frame_equal(read.tables.extra["rivalries"], rivalries)
    assert read.tables.fingerprint == more.fingerprint
    assert read.world is not None
    assert read.world["rivalry"].sel(year=1990, state=2, other=365)


def made_record(factor: float = 1.0) -> CalibrationRecord:
    import pandas as pd

    rng = np.random.default_rng(0)
    p = rng.uniform(0.0, 0.3, 400)
    rows = pd.DataFrame(
        {"horizon": 1, "model": "m", "year": np.repeat([1998, 1999], 200), "stratum": "quiet",
         "ccode_a": np.tile(np.arange(200), 2), "ccode_b": 999, "probability": factor * p,
         "outcome": (rng.random(400) < p).astype(float)}
    )  # fmt: skip
    return calibration_record(rows, model="m", seed=1, resamples=5)


def test_a_calibration_record_travels_with_its_fit(known_fit: Fit, tmp_path: Path) -> None:
    store, record = open_store(tmp_path), made_record()
    store.save(known_fit)
    assert store.load(known_fit.id).record is None
    manifest = (tmp_path / "fits" / known_fit.id / "MANIFEST.json").read_bytes()
    assert store.save(replace(known_fit, record=record)) == known_fit.id
    found = store.load(known_fit.id).record
    assert found is not None and found.to_dict() == record.to_dict()
    assert (tmp_path / "fits" / known_fit.id / "MANIFEST.json").read_bytes() == manifest
    # A later one takes its place; a fit without one leaves it there.
    store.save_record(known_fit.id, made_record(0.5))
    store.save(known_fit)
    again = store.load_record(known_fit.id)
    assert again is not None and again.to_dict() == made_record(0.5).to_dict()
    assert sorted(p.name for p in (tmp_path / "fits" / known_fit.id).iterdir()) == [
        "MANIFEST.json", "RECORD.json", "fit.json", "posterior.nc", "rows.parquet", "tables",
    ]  # fmt: skip


def test_a_record_that_was_changed_or_is_anothers_is_refused(
    known_fit: Fit, tmp_path: Path
) -> None:
    store = open_store(tmp_path)
    store.save(replace(known_fit, record=made_record()))
    path = tmp_path / "fits" / known_fit.id / "RECORD.json"
    content = json.loads(path.read_text())
    for change in ({"fit": "0" * 64}, {"record": content["record"] | {"events": 1}}):
        path.write_text(json.dumps(content | change))
        with pytest.raises(ArtifactError, match=r"RECORD\.json is not the calibration record"):
            store.load(known_fit.id)
    path.write_text("{")
    with pytest.raises(ArtifactError, match="cannot be read"):
        store.load(known_fit.id)
    others = replace(made_record(), specification="0" * 64)
    with pytest.raises(ArgumentError, match="of another specification"):
        open_store(tmp_path / "new").save(replace(known_fit, record=others))
    assert not (tmp_path / "new").exists()
    with pytest.raises(UnknownNameError, match="belongs to a saved fit"):
        store.save_record("1" * 64, made_record())
