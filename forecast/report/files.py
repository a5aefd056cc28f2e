"""The files of a report's folder: tables as Parquet, CSV and JSON, and the report before."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.disk import is_passing
from forecast.errors import ArgumentError, ArtifactError
from forecast.exchange import undisturbed
from forecast.files import DAMAGES, MARKER, unseal
from forecast.folders import check_target

__all__ = [
    "KIND",
    "Earlier",
    "Edition",
    "digest",
    "edition_after",
    "packed_tables",
    "read_earlier",
    "rounded",
]


#: Significant digits kept: what two machines agree on, and what a float32 holds.
_DIGITS = {"float64": 12, "float32": 7}
_POWERS = np.array([float(f"1e{k}") for k in range(23)])
#: Longer tables are written as Parquet and CSV only; as JSON they would be tens of megabytes.
JSON_ROWS = 20_000


def rounded(table: pd.DataFrame) -> pd.DataFrame:
    """Copy with floats as float64 of 12 significant digits (7 where they were float32)."""
    result = table.reset_index(drop=True).copy()
    for position, dtype in enumerate(table.dtypes):
        digits = _DIGITS.get(str(dtype))
        if digits is not None:
            name = table.columns[position]
            result[name] = _significant(table[name].to_numpy(dtype=np.float64), digits)
    return result


def _significant(values: npt.NDArray[np.float64], digits: int) -> npt.NDArray[np.float64]:
    """The floats that are nearest to the decimal numbers with so many significant digits."""
    known = np.isfinite(values) & (values != 0)
    size = np.zeros(values.shape, dtype=np.int64)
    size[known] = np.floor(np.log10(np.abs(values[known]))).astype(np.int64)
    place = digits - 1 - size
    # Powers of ten up to the 22nd are exact, and so is the quotient of a whole number by one.
    exact = known & (place >= 0) & (place <= 22)
    power = _POWERS[place[exact]]
    result = np.array(values)
    result[exact] = np.rint(values[exact] * power) / power
    for i in np.flatnonzero(known & ~exact):
        result[i] = float(f"{values[i]:.{digits}g}")
    return result


def _json_lines(table: pd.DataFrame) -> str:
    """Rows as JSON, one a line; a missing or infinite value is null."""
    kept = table.replace([np.inf, -np.inf], np.nan).astype(object)
    rows = kept.where(kept.notna(), None).to_dict("records")

    def plain(value: Any) -> Any:
        return value.tolist() if hasattr(value, "tolist") else str(value)

    encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, default=plain).encode
    return ",\n".join(map(encode, rows))


def digest(csv: Mapping[str, bytes]) -> str:
    """SHA-256 (hex) over the names and contents of tables, whatever their order."""
    found = hashlib.sha256()
    for name in sorted(csv):
        found.update(name.encode() + b"\0" + csv[name] + b"\0")
    return found.hexdigest()


def packed_tables(
    tables: Mapping[str, pd.DataFrame], csv: Mapping[str, bytes]
) -> dict[str, dict[str, bytes]]:
    """The files of every table: content by name, by table."""
    packed = {}
    for name, table in tables.items():
        packed[name] = {f"{name}.parquet": table.to_parquet(index=False), f"{name}.csv": csv[name]}
        if len(table) <= JSON_ROWS:
            packed[name][f"{name}.json"] = f"[\n{_json_lines(table)}\n]\n".encode()
    return packed


KIND = "alliance-forecast report"
_KEYS = ["ccode_a", "ccode_b", "horizon"]


@dataclass(frozen=True, eq=False)
class Earlier:
    """An earlier report: its ``report.json``, its risks, and what had changed in it."""

    facts: dict[str, Any]
    risks: pd.DataFrame
    changes: pd.DataFrame | None


@dataclass(frozen=True, eq=False)
class Edition:
    """What a report says about itself; dates are UTC."""

    origin: int  # last year of the record
    passed: bool  # the publication gate
    sha256: str  # of all tables
    generated: str
    since: str  # date of the first edition with these numbers
    changed: bool | None = None  # against the report that was there before
    compared_with: str | None = None  # date of the report that changes are counted from
    changes: pd.DataFrame | None = None


def edition_after(earlier: Earlier | None, new: Edition, risks: pd.DataFrame) -> Edition:
    """The new edition beside the one before.

    When nothing has changed, the comparison with the report before the last change stays, so that
    a daily run does not wipe out what changed last week.
    """
    if earlier is None:
        return new
    facts = earlier.facts
    if facts["sha256"] == new.sha256:
        return replace(
            new,
            changed=False,
            since=str(facts.get("since") or facts["generated"]),
            compared_with=facts.get("compared_with"),
            changes=earlier.changes,
        )
    changes = rounded(changes_since(risks, earlier.risks))
    return replace(new, changed=True, compared_with=str(facts["generated"]), changes=changes)


def read_earlier(folder: Path) -> Earlier | None:
    """Report in a folder, or None where there is none yet.

    Raises
    ------
    ArgumentError
        The folder holds other things: writing a report would replace them.
    ArtifactError
        The report there cannot be read.
    """
    return undisturbed(folder, folder / MARKER, lambda: _read_earlier(folder))


def _read_earlier(folder: Path) -> Earlier | None:
    check_target(folder, ())
    # What a kill left of a first one is no report.
    names = list[str]()
    with suppress(FileNotFoundError):
        names = [path.name for path in folder.iterdir()]
    if all(map(is_passing, names)):
        return None
    path, where = folder / "report.json", f"folder={str(folder)!r}"
    try:
        marker = unseal(folder, MARKER, only=())
    except FileNotFoundError:
        found = "a report of an earlier version" if path.is_file() else "no report"
        raise ArgumentError(
            f"{where} is not empty and holds {found} (no {MARKER}). A report replaces only what it"
            " wrote: name a new or an empty folder, or move the old report away."
        ) from None
    files = [n for n in (path.name, "risks.parquet", "changes.parquet") if n in marker["files"]]
    if path.name not in files:
        raise ArgumentError(
            f"{where} is not empty and holds no report (no report.json), but other things that"
            " this library wrote: name a new or an empty folder."
        )
    try:
        unseal(folder, MARKER, only=files)
        facts = json.loads(path.read_text(encoding="utf-8"))
        if facts.get("kind") != KIND:
            raise ValueError(f"kind is {facts.get('kind')!r}, expected {KIND!r}")
        risks = pd.read_parquet(folder / "risks.parquet")
        changes = folder / "changes.parquet"
        earlier = pd.read_parquet(changes) if changes.name in files else None
        missing = {*_KEYS, "probability", "first_year"} - set(risks.columns)
        if missing:
            raise KeyError(", ".join(sorted(missing)))
        str(facts["sha256"]), str(facts["generated"])
    except (*DAMAGES, KeyError, AttributeError, TypeError) as error:
        raise ArtifactError(
            f"The earlier report in {folder} cannot be read ({error}); move the folder away."
        ) from None
    check_target(folder, marker["files"])
    return Earlier(facts=facts, risks=risks, changes=earlier)


def changes_since(risks: pd.DataFrame, earlier: pd.DataFrame) -> pd.DataFrame:
    """Probability then and now, by dyad and years ahead; dyads in only one of the two are left out.

    ``before``, ``now``, ``change`` (now − before) and ``first_year_before``: the earlier report may
    have forecast from another year.
    """
    before = earlier[[*_KEYS, "probability", "first_year"]].rename(
        columns={"probability": "before", "first_year": "first_year_before"}
    )
    names = [*_KEYS, "state_a", "state_b", "first_year", "probability"]
    both = risks[names].merge(before, on=_KEYS, how="inner", validate="one_to_one")
    both = both.rename(columns={"probability": "now"})
    return both.assign(change=both["now"] - both["before"])
