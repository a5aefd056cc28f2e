"""The report that was there before, and how the new one stands to it."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from forecast.errors import ArgumentError, ArtifactError
from forecast.report.files import rounded

__all__ = ["KIND", "Earlier", "Edition", "edition_after", "read_earlier"]

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
    if folder.exists() and not folder.is_dir():
        raise ArgumentError(f"folder={str(folder)!r} is a file; expected a folder.")
    if not folder.exists() or not any(folder.iterdir()):
        return None
    path = folder / "report.json"
    if not path.is_file():
        raise ArgumentError(
            f"folder={str(folder)!r} is not empty and holds no report (no report.json). A report"
            " replaces its folder as a whole: name a new or an empty one."
        )
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        if facts.get("kind") != KIND:
            raise ArgumentError(
                f"{path} is not of a report: kind is {facts.get('kind')!r}, expected {KIND!r}."
                " Name a new or an empty folder."
            )
        written = {str(name) for name in facts["files"]}
        risks = pd.read_parquet(folder / "risks.parquet")
        changes = folder / "changes.parquet"
        earlier = pd.read_parquet(changes) if "changes.parquet" in written else None
        missing = {*_KEYS, "probability", "first_year"} - set(risks.columns)
        if missing:
            raise KeyError(", ".join(sorted(missing)))
        str(facts["sha256"]), str(facts["generated"])
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        if isinstance(error, ArgumentError):
            raise
        raise ArtifactError(
            f"The earlier report in {folder} cannot be read ({error}); move the folder away."
        ) from error
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
