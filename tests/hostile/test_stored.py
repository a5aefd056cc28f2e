"""JSON that is read back or brought along: a right reading, or an error of ours that names it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from support.hostile_documents import Damaged, damaged, dump_json
from support.tries import hostile

from forecast.errors import ForecastError
from forecast.evaluation.record_forms import record_fields, unsealed
from forecast.modeling.theory import TheoryScore, scores_file
from forecast.modeling.theory import _read as read_scores
from forecast.paths import data_folder
from forecast.sources.embedded import DESCRIPTOR, read_coverage
from forecast.sources.overlay.changes import read_amendment
from forecast.sources.overlay.keeping import Kept, kept


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stored")


def _refused(error: ForecastError, name: str) -> None:
    message = str(error)
    assert len(message) <= 2000, message[:3000]
    assert name in message, message


def test_a_damaged_descriptor(folder: Path) -> None:
    path = folder / DESCRIPTOR

    @hostile
    @given(damaged([data_folder() / DESCRIPTOR], json.loads, dump_json))
    def tried(found: Damaged) -> None:
        path.write_bytes(found.content)
        try:
            coverage = read_coverage(folder)
        except ForecastError as error:
            _refused(error, DESCRIPTOR)
        else:
            assert all(1 <= one.first <= one.last <= 9999 for one in coverage.values())

    tried()


def test_damaged_scores_of_theories(folder: Path) -> None:
    path = folder / "scores.json"

    @hostile
    @given(damaged([scores_file()], json.loads, dump_json))
    def tried(found: Damaged) -> None:
        path.write_bytes(found.content)
        try:
            scores = read_scores.__wrapped__(path, 0)
        except ForecastError as error:
            _refused(error, path.name)
        else:
            assert all(isinstance(score, TheoryScore) for score in scores.values())

    tried()


def test_a_damaged_amendment_of_the_cache(folder: Path) -> None:
    whole = Kept(read_amendment(data_folder() / "amendment-example.toml"), "2026-01-01", "x.toml")
    path = folder / "amendments" / "example.json"
    path.parent.mkdir()
    content = {"version": 1, **whole.to_dict()}
    path.write_bytes(dump_json(content))
    assert kept(cache=folder)[0].to_dict() == whole.to_dict()
    source = folder / "whole.json"
    source.write_bytes(dump_json(content))

    @hostile
    @given(damaged([source], json.loads, dump_json))
    def tried(damage: Damaged) -> None:
        path.write_bytes(damage.content)
        try:
            found = kept(cache=folder)[0]
        except ForecastError as error:
            _refused(error, path.name)
        else:
            assert found.amendment.records()

    tried()


def test_a_damaged_record_of_calibration(folder: Path) -> None:
    source = folder / "record.json"
    values: dict[str, Any] = {"dtype": "f", "values": [0.5, 1.0]}
    table = {"x": values}
    record: dict[str, Any] = {
        "kind": "calibration record", "schema_version": 1, "model": "m", "horizon": 1,
        "first_year": 2000, "last_year": 2001, "rows": 1, "events": 1, "unit": "dyad-years",
        "level": 0.9, "specification": "0" * 64, "settings": {},
        "reliability": {
            "curve": table, "level": 0.9, "kind": "k", "outside": 0.0,
            "decompositions": {
                "equal": {"score": 1.0, "miscalibration": 0.1, "discrimination": 0.1,
                          "uncertainty": 1.0, "rule": "brier"}
            },
        },
    }  # fmt: skip
    for name in ("recalibration", "murphy", "counts", "ratios", "scores", "bands", "ladder"):
        record[name] = table
    source.write_bytes(dump_json({"fit": "f", "sha256": "0" * 64, "record": record}))

    @hostile
    @given(damaged([source], json.loads, dump_json))
    def tried(found: Damaged) -> None:
        with pytest.raises(ForecastError) as caught:
            unsealed(found.content, "f", "record.json")
        _refused(caught.value, "record.json")
        try:
            content = json.loads(found.content)["record"]
            assert isinstance(content, dict)
        except Exception:  # no JSON: what `unsealed` refuses
            return
        try:
            record_fields(content)
        except ForecastError as error:
            _refused(error, "alibration record")

    tried()
