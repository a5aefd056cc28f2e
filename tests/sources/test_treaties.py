"""The treaties as a data package of their own: valid, sealed, and written whole or not at all."""

import hashlib
import json

import pandas as pd
import pytest

from forecast import cli
from forecast.errors import ArgumentError
from forecast.files import MARKER
from forecast.paths import data_folder
from forecast.sources.treaties import read_counterparts, write_treaties

TABLES = ("states", "alliances", "members", "amendments")


@pytest.fixture
def package(tmp_path):
    return write_treaties(tmp_path / "package", homepage="https://example.org/treaties").parent


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_reference_validator_accepts_it(package):
    frictionless = pytest.importorskip("frictionless")
    report = frictionless.validate(str(package / "datapackage.json"))
    problems = report.flatten(["rowNumber", "fieldName", "type", "message"])
    assert report.valid, problems[:20]
    assert {task.name for task in report.tasks} == set(TABLES)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("table", "row", "error"),
    [
        ("amendments", "atlantis-1999,9999\n", "foreign-key"),
        ("members", "nato,999,1999-01-01,,1,0,0,0,0\n", "foreign-key"),
    ],
)
def test_reference_validator_notices_damage(package, table, row, error):
    """Another row breaks the foreign key, and the hash and length that the descriptor states."""
    frictionless = pytest.importorskip("frictionless")
    path = package / f"{table}.csv"
    path.write_text(path.read_text(encoding="utf-8") + row, encoding="utf-8")
    report = frictionless.validate(str(package / "datapackage.json"))
    found = {e.type for task in report.tasks for e in task.errors}
    assert {error, "hash-count", "byte-count"} <= found


def test_the_descriptor_says_what_is_there(package):
    about = json.loads((package / "datapackage.json").read_text(encoding="utf-8"))
    whole = json.loads((data_folder() / "datapackage.json").read_text(encoding="utf-8"))
    assert about["name"] == "alliance-forecast-treaties"
    assert about["homepage"] == "https://example.org/treaties"
    assert about["version"] == whole["version"]
    assert [licence["name"] for licence in about["licenses"]] == ["CC-BY-4.0"]
    for part in (about["version"], "CC BY 4.0", about["homepage"]):
        assert part in about["citation"]
    for resource in about["resources"]:
        content = (package / resource["path"]).read_bytes()
        assert resource["bytes"] == len(content)
        assert resource["hash"] == "sha256:" + hashlib.sha256(content).hexdigest()
    names = {r["path"] for r in about["resources"]}
    assert {p.name for p in package.iterdir()} == names | {
        "datapackage.json", "README.md", "LICENSE", MARKER,
    }  # fmt: skip


def test_the_tables_are_those_of_the_data_set(package):
    for table in TABLES[:3]:
        name = f"{table}.csv"
        assert (package / name).read_bytes() == (data_folder() / name).read_bytes()
    amended = pd.read_csv(package / "amendments.csv", index_col="alliance_id")["atop_id"]
    assert {k: f"atop-{v}" for k, v in amended.items()} == read_counterparts()


def test_the_readme_has_the_rules_and_how_to_cite(package):
    text = (package / "README.md").read_text(encoding="utf-8")
    about = json.loads((package / "datapackage.json").read_text(encoding="utf-8"))
    assert about["citation"] in text
    assert "What counts as an obligation" in text and "Agreement with ATOP" in text
    assert "interstate militarised conflicts" not in text


def test_same_data_same_bytes(tmp_path):
    first, second = (write_treaties(tmp_path / name).parent for name in ("a", "b"))
    again = write_treaties(first).parent  # over what this library wrote
    for path in sorted(second.iterdir()):
        assert (again / path.name).read_bytes() == path.read_bytes()
    assert "homepage" not in json.loads((first / "datapackage.json").read_text(encoding="utf-8"))


def test_a_foreign_folder_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ArgumentError, match=r"notes\.txt"):
        write_treaties(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]
    with pytest.raises(ArgumentError, match="expected an address"):
        write_treaties(tmp_path / "new", homepage="example")
    assert not (tmp_path / "new").exists()


def test_the_command(tmp_path, capsys):
    assert cli.main(["data", "package", "--to", str(tmp_path / "out")]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "out" / "datapackage.json")
    (tmp_path / "out" / "mine.txt").write_text("mine")
    assert cli.main(["data", "package", "--to", str(tmp_path / "out")]) != 0
    assert "mine.txt" in capsys.readouterr().err
