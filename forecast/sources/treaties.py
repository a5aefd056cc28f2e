"""The treaties of the embedded data set as a data package of their own."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from pathlib import Path
from typing import Any

from forecast.errors import ArgumentError, DataError
from forecast.files import replace_folder
from forecast.paths import data_folder
from forecast.sources.amendments import read_counterparts

__all__ = ["write_treaties"]

NAME = "alliance-forecast-treaties"
TITLE = "Alliance treaties and their members, 1946 to {last}"
#: Tables that are copied as they are; the states are there for the foreign keys.
COPIED = ("states", "alliances", "members")
#: Sections of ``data/README.md`` that describe them, by the beginning of their heading.
SECTIONS = ("## Alliances and members", "## States")


def write_treaties(folder: str | Path, *, homepage: str | None = None) -> Path:
    """Write treaties, members and amendments as a Frictionless data package; gives the descriptor.

    The folder (absent, empty, or written by this library before) is written whole or not at all. It
    holds ``datapackage.json`` (version, licence, how to cite, the schema of every column, and of
    each table its length in bytes and SHA-256), ``states.csv``, ``alliances.csv``, ``members.csv``,
    ``amendments.csv``, ``README.md`` and ``LICENSE``. The same data give the same bytes. `homepage`
    is the address at which the package will be found; left out of the descriptor if not given.
    """
    if homepage is not None and not re.fullmatch(r"https?://[^\s/]+\S*", homepage):
        raise ArgumentError(f"homepage={homepage!r}: expected an address, https://….")
    files = _files(homepage)
    target = Path(folder)
    with replace_folder(target) as staging:
        for name, content in files.items():
            (staging / name).write_bytes(content)
    return target / "datapackage.json"


def _files(homepage: str | None) -> dict[str, bytes]:
    source = data_folder()
    whole = json.loads((source / "datapackage.json").read_text(encoding="utf-8"))
    resources = {resource["name"]: resource for resource in whole["resources"]}
    if lost := [name for name in COPIED if name not in resources]:
        raise DataError(f"datapackage.json: found no resource {lost[0]!r}; expected {COPIED}.")
    files = {f"{name}.csv": (source / f"{name}.csv").read_bytes() for name in COPIED}
    files["amendments.csv"] = _amendments(files["alliances.csv"])
    tables = [resources[name] for name in COPIED] + [_amendments_resource(resources["members"])]
    last = resources["members"]["coverage"]["last"]
    title = TITLE.format(last=last)
    citation = (
        f"{whole['contributors'][0]['title']} ({whole['created'][:4]}). {title}. Data package "
        f"{NAME}, version {whole['version']}, CC BY 4.0." + (f" {homepage}" if homepage else "")
    )
    kept = ("profile", "version", "created", "licenses", "contributors", "sources")
    descriptor: dict[str, Any] = {
        "name": NAME,
        "title": title,
        "description": (
            "Defence, offence, neutrality, non-aggression and consultation pacts in force on any "
            f"day from 1946-01-01 to {last}-12-31: treaties, spells of their members with what "
            "each owes the others, and which of them ATOP lists under what number. README.md "
            "has the rules."
        ),
        **({"homepage": homepage} if homepage else {}),
        "citation": citation,
        "keywords": ["alliances", "treaties", "obligations", "Correlates of War state numbers"],
        **{key: whole[key] for key in kept},
        "resources": [_sealed(table, files[table["path"]]) for table in tables],
    }
    files["datapackage.json"] = (json.dumps(descriptor, indent=2) + "\n").encode()
    readme = (source / "README.md").read_text(encoding="utf-8")
    files["README.md"] = _readme(readme, title, citation, descriptor["description"]).encode()
    files["LICENSE"] = (
        f"{title} (data package {NAME})\nCopyright {whole['created'][:4]} "
        f"{whole['contributors'][0]['title']}\n\nLicensed under the Creative Commons Attribution "
        "4.0 International License (CC BY 4.0):\nhttps://creativecommons.org/licenses/by/4.0/"
        "legalcode\n\nSPDX-License-Identifier: CC-BY-4.0\n"
    ).encode()
    return files


def _sealed(resource: dict[str, Any], content: bytes) -> dict[str, Any]:
    digest = hashlib.sha256(content).hexdigest()
    return {**resource, "bytes": len(content), "hash": f"sha256:{digest}"}


def _amendments(alliances: bytes) -> bytes:
    """``amendments.toml`` as a table: our identifier, ATOP's number; by identifier."""
    known = {row["alliance_id"] for row in csv.DictReader(io.StringIO(alliances.decode()))}
    rows = sorted(read_counterparts().items())
    if strange := [ours for ours, _ in rows if ours not in known]:
        raise DataError(
            f"amendments.toml, {strange[0]!r}: found no such treaty, expected one of alliances.csv."
        )
    lines = ["alliance_id,atop_id", *(f"{a},{b.removeprefix('atop-')}" for a, b in rows)]
    return ("\n".join(lines) + "\n").encode()


def _amendments_resource(members: dict[str, Any]) -> dict[str, Any]:
    """Descriptor of ``amendments.csv``; how it is written is as of the other tables."""
    (ours,) = (f for f in members["schema"]["fields"] if f["name"] == "alliance_id")
    (key,) = (k for k in members["schema"]["foreignKeys"] if k["fields"] == ["alliance_id"])
    return {
        **{k: v for k, v in members.items() if k != "coverage"},
        "name": "amendments",
        "path": "amendments.csv",
        "title": "Treaties that changed after ATOP ends",
        "description": (
            "One row per treaty that ATOP (to 2018) lists and that gained or lost a member, or "
            "ended, since; the changes themselves are rows of members.csv and alliances.csv."
        ),
        "sources": [{"title": "Numbers of the Alliance Treaty Obligations and Provisions project"}],
        "schema": {
            **members["schema"],
            "fields": [
                ours,
                {
                    "name": "atop_id",
                    "type": "integer",
                    "description": "Number of the treaty in ATOP 4.01 and 5.1",
                    "constraints": {"required": True, "unique": True},
                },
            ],
            "primaryKey": ["alliance_id"],
            "foreignKeys": [key],
        },
    }


def _readme(whole: str, title: str, citation: str, description: str) -> str:
    """What the package is, how to cite it, and the sections on it of the data set's README."""
    parts = re.split(r"(?m)^(?=## )", whole)
    sections = [next((p for p in parts if p.startswith(s)), "") for s in SECTIONS]
    if "" in sections:
        raise DataError(f"README.md: found no section {SECTIONS[sections.index('')]!r}.")
    head = f"""# {title}

{description}

| file | one row is | key |
|---|---|---|
| `alliances.csv` | a treaty | `alliance_id` |
| `members.csv` | a spell of a treaty member, with what **it** owes the others | `alliance_id, ccode, start` |
| `states.csv` | a spell of membership in the state system | `ccode, start` |
| `amendments.csv` | a treaty that changed after the last year of ATOP, with ATOP's number | `alliance_id` |

UTF-8, comma, LF; dates are ISO 8601; `end` is the last day, inclusive; an empty `end` means still so
on the last day covered. `datapackage.json` describes every column and has the hash of every table. Do
not use `neutrality` after 1990 (`coverage` of `members`): see below.

**To cite:** {citation}

Part of the embedded data set of alliance-forecast; tests, and the files that the text names and that
are not here, are in its repository.

"""  # noqa: E501 - lines of a table
    return head + "".join(sections).replace("\n\n\n", "\n\n").rstrip() + "\n"
