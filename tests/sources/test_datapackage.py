"""data/ is a valid data package, and its descriptor says what the pandera schemas say."""

import json

import pytest

from forecast.paths import data_folder
from forecast.sources.checking import kinds
from forecast.sources.schemas import KEYS, SCHEMAS
from forecast.sources.tables import TABLES

PACKAGE = json.loads((data_folder() / "datapackage.json").read_text(encoding="utf-8"))
RESOURCES = {r["name"]: r for r in PACKAGE["resources"]}
TYPES = {"int": "integer", "float": "number", "date": "date", "str": "string"}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_reference_validator_accepts_the_package():
    frictionless = pytest.importorskip("frictionless")
    report = frictionless.validate(str(data_folder() / "datapackage.json"))
    problems = report.flatten(["rowNumber", "fieldName", "type", "message"])
    assert report.valid, problems[:20]
    assert {task.name for task in report.tasks} == set(TABLES)


def test_reference_validator_notices_damage(tmp_path):
    """The check above can fail: an unknown state code breaks the foreign key."""
    frictionless = pytest.importorskip("frictionless")
    for name in [*(f"{t}.csv" for t in TABLES), "datapackage.json"]:
        (tmp_path / name).write_bytes((data_folder() / name).read_bytes())
    powers = tmp_path / "powers.csv"
    powers.write_text(powers.read_text() + "999,1999-01-01,\n")
    report = frictionless.validate(str(tmp_path / "datapackage.json"))
    assert [e.type for task in report.tasks for e in task.errors] == ["foreign-key"]


def test_tables_are_the_resources_in_order():
    assert [r["name"] for r in PACKAGE["resources"]] == list(TABLES)


@pytest.mark.parametrize("table", TABLES)
def test_fields_agree_with_the_schema(table):
    fields = RESOURCES[table]["schema"]["fields"]
    schema = SCHEMAS[table]
    assert [f["name"] for f in fields] == list(schema.columns)
    parsed = kinds(table)
    for field in fields:
        name, column = field["name"], schema.columns[field["name"]]
        constraints = field["constraints"]
        assert field["type"] == TYPES[parsed[name].rstrip("?")], name
        assert constraints["required"] is not column.nullable, name
        assert constraints.get("unique", False) == column.unique, name
        assert field["description"], name
        assert _rules(column) == {
            key: value for key, value in constraints.items() if key not in ("required", "unique")
        }, name


def _rules(column):
    """Constraints of a pandera column in the words of the descriptor."""
    out = {}
    for check in column.checks:
        statistics = check.statistics
        if "allowed_values" in statistics:
            out["enum"] = statistics["allowed_values"]
        if "min_value" in statistics:
            out["minimum"] = statistics["min_value"]
        if "max_value" in statistics:
            out["maximum"] = statistics["max_value"]
        if "pattern" in statistics:
            out["pattern"] = getattr(statistics["pattern"], "pattern", statistics["pattern"])
    return out


@pytest.mark.parametrize("table", TABLES)
def test_keys_agree_with_the_schema(table):
    schema = RESOURCES[table]["schema"]
    assert schema["primaryKey"] == list(KEYS[table])
    assert schema["missingValues"] == [""]
    for key in schema.get("foreignKeys", []):
        target = RESOURCES[key["reference"]["resource"]]["schema"]["fields"]
        assert set(key["reference"]["fields"]) <= {f["name"] for f in target}


def test_quantities_have_units():
    fields = {f["name"]: f for f in RESOURCES["capabilities"]["schema"]["fields"]}
    assert fields["population"]["unit"] == "persons"
    assert "dollars" in fields["gdp"]["unit"]


def test_licence_sources_and_coverage_are_stated():
    assert [licence["name"] for licence in PACKAGE["licenses"]] == ["CC-BY-4.0"]
    for table in TABLES:
        resource = RESOURCES[table]
        assert (resource["coverage"]["first"], resource["coverage"]["last"]) == (1946, 2025)
        assert resource["sources"], table
        assert [licence["name"] for licence in resource["licenses"]] == ["CC-BY-4.0"]


def test_embedded_tables_load_with_their_coverage(tables):
    assert tables.name == "embedded"
    assert set(tables.coverage) == set(TABLES)
    assert {(c.first, c.last) for c in tables.coverage.values()} == {(1946, 2025)}
    # Some forty per cent of the pledges of the 1990s are missing (data/README.md).
    assert {n: dict(c.columns) for n, c in tables.coverage.items() if c.columns} == {
        "members": {"neutrality": (1946, 1990)}
    }
    assert all(len(getattr(tables, name)) for name in TABLES)
    assert len(tables.fingerprint) == 64
