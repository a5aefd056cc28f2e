"""The treaties of our own data: carried over where ATOP ends, and a data package of their own.

ATOP ends in 2016 (4.01) or 2018 (5.1). Our own data (`data/alliances.csv`, `data/members.csv`)
list what changed since. Only changes are carried over, never differences between the two at the
seam: a state that both list before the seam is no accession after it.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.documents import read_toml
from forecast.errors import ArgumentError, DataError, shown
from forecast.folders import replace_folder, write_all
from forecast.paths import data_folder
from forecast.sources.tables import OBLIGATIONS

__all__ = ["amend_alliances", "read_counterparts", "usual_pledge", "write_treaties"]

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
        write_all(staging, files)
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


FILE = "amendments.toml"
_DAY = np.timedelta64(1, "D")


class Amended(NamedTuple):
    """Alliances and members with the changes since, and what was changed."""

    alliances: pd.DataFrame
    members: pd.DataFrame
    notes: tuple[str, ...]


def read_counterparts(path: Path | None = None) -> dict[str, str]:
    """Identifier in ATOP of those treaties of our own data that changed since: ``nato: atop-3180``.

    From ``data/amendments.toml``: a table ``[atop]`` of our identifiers with ATOP's numbers.
    """
    path = data_folder() / FILE if path is None else path
    content = read_toml(path, "file", wrong=DataError, remedy=" Reinstall alliance-forecast.")
    table = content.get("atop")
    if not isinstance(table, dict):
        raise DataError(f"{path}: found {shown(table)}, expected [atop] with identifier = number.")
    ours: dict[int, str] = {}
    for own, number in table.items():
        if type(number) is not int or ours.setdefault(number, own) != own:
            raise DataError(
                f"{path}: [atop]: {shown(own)} = {shown(number)}: expected a whole number, of one"
                " treaty each."
            )
    return {str(own): f"atop-{number}" for own, number in table.items()}


def amend_alliances(
    alliances: pd.DataFrame,
    members: pd.DataFrame,
    *,
    after: int,
    own_alliances: pd.DataFrame,
    own_members: pd.DataFrame,
    counterparts: Mapping[str, str],
) -> Amended:
    """Alliances and members of a source with what changed after its last year, and the changes.

    What is open in the source is in force on 31 December of `after`. Accessions, exits,
    terminations and new treaties come from our own data; `counterparts` are the identifiers in the
    source of treaties of our own. A state that joins a treaty of the source owes what most of its
    members owe; treaties with a counterpart have its short name. The notes count the changes, and
    name those that have no counterpart in the source.
    """
    seam = np.datetime64(f"{after + 1}-01-01", "s")
    own = own_alliances.set_index("alliance_id")
    new = own["start"] >= seam
    # What ends on the last day before the seam is no longer in force on the first after it.
    over = set(own.index[~new & (own["end"] >= seam - _DAY)])
    ended = dict(zip(own.index, own["end"].to_numpy(), strict=True))
    moved = own_members[~own_members["alliance_id"].isin(own.index[new])]
    moved = moved[(moved["start"] >= seam) | (moved["end"] >= seam - _DAY)]
    change, alone = _Changes(members), []
    for treaty in sorted({*over, *moved["alliance_id"]}):
        target = counterparts.get(treaty)
        if target is None or not change.in_force(target):
            alone.append(treaty)
            continue
        its = moved[moved["alliance_id"] == treaty]
        for ccode, start, end in zip(
            its["ccode"], its["start"].to_numpy(), its["end"].to_numpy(), strict=True
        ):
            if start >= seam:
                change.accession(target, int(ccode), start, end)
            elif end != ended[treaty]:
                change.exit(target, int(ccode), end)
        if treaty in over:
            change.termination(target, ended[treaty])
    closed = alliances["alliance_id"].map(change.terminated).astype("datetime64[s]")
    # Names in use, so that "NATO" can be asked for.
    usual = own["short_name"]
    names = {there: usual[ours] for ours, there in counterparts.items() if ours in usual}
    short = alliances["alliance_id"].map(names).fillna(alliances["short_name"])
    done = alliances.assign(
        end=alliances["end"].where(closed.isna(), closed),
        short_name=short.astype(alliances["short_name"].dtype),
    )
    count = {**change.count, "new treaties": int(new.sum())}
    counted = ", ".join(f"{number} {what}" for what, number in count.items())
    notes = [f"Since {after} from the embedded data: {counted}."]
    if alone:
        notes.append(f"Changed since {after}, but not in force in the source: {', '.join(alone)}.")
    added = [table["alliance_id"].isin(own.index[new]) for table in (own_alliances, own_members)]
    spells = _joined(change.members(), own_members[added[1]])
    spells = spells.sort_values(["alliance_id", "ccode", "start"], ignore_index=True)
    return Amended(_joined(done, own_alliances[added[0]]), spells, tuple(notes))


def usual_pledge(owed: npt.NDArray[np.integer]) -> dict[str, int]:
    """What most members of a treaty owe: what a state that joins it owes, too.

    `owed` is 0/1 by member and obligation, in the order of `OBLIGATIONS`; at least one member.
    """
    each, often = np.unique(owed, axis=0, return_counts=True)
    return dict(zip(OBLIGATIONS, each[often.argmax()].tolist(), strict=True))


class _Changes:
    """Members of a source's treaties while they are being changed, and a count of the changes."""

    def __init__(self, members: pd.DataFrame) -> None:
        self._table = members
        self._ids = members["alliance_id"].to_numpy(dtype=object)
        self._codes = members["ccode"].to_numpy()
        self._ends = members["end"].to_numpy(dtype="datetime64[s]").copy()
        self._owed = members[list(OBLIGATIONS)].to_numpy()
        self._joined: list[dict[str, Any]] = []
        self.terminated: dict[str, Any] = {}
        self.count = {"accessions": 0, "exits": 0, "terminations": 0}

    def _open(self, treaty: str) -> npt.NDArray[np.bool_]:
        return np.asarray((self._ids == treaty) & np.isnat(self._ends))

    def in_force(self, treaty: str) -> bool:
        return bool(self._open(treaty).any())

    def exit(self, treaty: str, ccode: int, day: np.datetime64) -> None:
        spell = self._open(treaty) & (self._codes == ccode)
        self._ends[spell] = day
        self.count["exits"] += int(spell.any())

    def accession(self, treaty: str, ccode: int, start: np.datetime64, end: np.datetime64) -> None:
        still = self._open(treaty)
        if (still & (self._codes == ccode)).any():
            return
        pledge = usual_pledge(self._owed[still])
        row = {"alliance_id": treaty, "ccode": ccode, "start": start, "end": end}
        self._joined.append(row | pledge)
        self.count["accessions"] += 1

    def termination(self, treaty: str, day: np.datetime64) -> None:
        self._ends[self._open(treaty)] = day
        for row in self._joined:
            if row["alliance_id"] == treaty and np.isnat(row["end"]):
                row["end"] = day
        self.terminated[treaty] = day
        self.count["terminations"] += 1

    def members(self) -> pd.DataFrame:
        """All spells of the source's treaties, with the changes."""
        table = self._table.assign(end=self._ends)
        if not self._joined:
            return table
        return _joined(table, pd.DataFrame(self._joined))


def _joined(table: pd.DataFrame, more: pd.DataFrame) -> pd.DataFrame:
    """Rows appended, with the types of the table."""
    types = table.dtypes.to_dict()
    rows = more[list(table.columns)].astype(types)
    return pd.concat([table, rows], ignore_index=True)
