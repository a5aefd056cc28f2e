"""From the readings of official sources to tables that fit together, with every cut counted.

Sources disagree on when a state existed. The membership spells of the state system decide: what
lies outside them is cut, and the coverage of the table says how much.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from forecast.errors import ForecastError
from forecast.sources.embedded import COMPUTED, with_capability
from forecast.sources.gw import NO_STATE, to_cow_codes
from forecast.sources.official.readings import year_dates
from forecast.sources.spells import clip_spells, cut_members, span_years
from forecast.sources.tables import OTHER_SIDE, Coverage, Reading

__all__ = ["Sourced", "assemble"]

Cut = tuple[pd.DataFrame, list[str]]


@dataclass(frozen=True, eq=False)
class Sourced:
    """A reading, and where it comes from: title, release, terms, and whose state numbers it has."""

    reading: Reading
    source: str
    version: str
    licence: str
    code_system: str = "cow"

    def coverage(self, notes: Sequence[str] = ()) -> Coverage:
        """Coverage of a table made of it, with the notes of the reader and those given."""
        own = self.reading
        return Coverage(
            first=own.first,
            last=own.last,
            source=self.source,
            version=self.version,
            licence=self.licence,
            notes=(*own.notes, *notes),
        )


def assemble(facts: Mapping[str, Sourced]) -> tuple[dict[str, pd.DataFrame], dict[str, Coverage]]:
    """Tables of all facts and what each covers, cut to the state system, with notes on the cuts.

    `facts` by kind; ``material_capabilities`` becomes the table ``capabilities``. The seven that a
    data set needs must be there. Raises ForecastError if a conflict was lost without being counted.
    """
    states = facts["states"].reading.frame
    frames, coverage = {"states": states}, {"states": facts["states"].coverage()}
    for fact, sourced in facts.items():
        if fact in ("states", "alliances"):
            continue
        table = "capabilities" if fact == "material_capabilities" else fact
        frame, notes = _in_cow(sourced)
        if fact == "members":
            alliances, frame, more = _alliances(facts["alliances"].reading.frame, frame, states)
            frames["alliances"] = alliances
            coverage["alliances"] = facts["alliances"].coverage(more[-1:])
            notes += more
        elif fact == "conflicts":
            total = len(sourced.reading.frame)
            before = len(frame)
            frame, more = _conflicts(frame, states)
            if len(frame) + _count(more) != before or before + _count(notes) != total:
                raise ForecastError(
                    f"Conflicts were lost on assembly: {total} read, {len(frame)} left, {notes}, "
                    f"{more}."
                )
            notes += more
        elif "start" in frame and "ccode_a" in frame:
            frame, more = _pair_spells(frame, states)
            notes += more
        elif fact == "powers":
            frame, more = _clipped(frame, states, ["ccode"])
            notes += more
        elif fact == "material_capabilities":
            frame, more = _known_codes(frame, states)
            notes += more
            frame, more = _carried_back(frame, states, sourced.reading.last)
            notes += more
        elif fact == "treaty_design":
            frame, more = _of_ids(frame, "alliance_id", frames.get("alliances"))
            notes += more
        elif fact in ("disputes", "participants"):
            frame, more = _of_disputes(frame, facts["conflicts"].reading.frame)
            notes += more
        else:
            frame, more = _known_codes(frame, states)
            notes += more
        frames[table], coverage[table] = frame.reset_index(drop=True), sourced.coverage(notes)
    return frames, coverage


def _count(notes: Sequence[str]) -> int:
    """Rows left out, as the notes state them at their start."""
    return sum(int(note.split(" ", 1)[0].replace(",", "")) for note in notes)


def _note(number: int, text: str) -> list[str]:
    return [f"{number:,} {text}"] if number else []


def _in_cow(sourced: Sourced) -> Cut:
    """The frame with COW numbers; rows of states that COW does not have are left out."""
    frame = sourced.reading.frame
    if sourced.code_system == "cow":
        return frame, []
    columns = [c for c in frame if str(c).startswith("ccode")]
    year = frame["year"] if "year" in frame else frame["start"].dt.year
    out = frame.assign(**{str(c): to_cow_codes(frame[c], year) for c in columns})
    strange = (out[columns] == NO_STATE).any(axis=1)
    if len(columns) == 2:
        strange |= out[columns[0]] == out[columns[1]]
    out = out[~strange]
    if columns == ["ccode_a", "ccode_b"]:
        out = _smaller_first(out)
    lost = int(strange.sum())
    return out, _note(lost, "rows left out: their Gleditsch-Ward number has no COW number")


def _smaller_first(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows turned where translation left ``ccode_a > ccode_b``."""
    turned = frame["ccode_a"] > frame["ccode_b"]
    sides = [c[:-2] for c in map(str, frame) if c.endswith("_a") and f"{c[:-2]}_b" in frame]
    swap = {f"{c}_{x}": frame[f"{c}_{y}"] for c in sides for x, y in ("ab", "ba")}
    swap |= {c: frame[c].replace(dict(OTHER_SIDE)) for c in ("initiator", "outcome") if c in frame}
    return frame.assign(**{c: frame[c].mask(turned, other) for c, other in swap.items()})


def _known_codes(frame: pd.DataFrame, states: pd.DataFrame) -> Cut:
    columns = [c for c in frame if str(c).startswith("ccode")]
    known = frame[columns].isin(states["ccode"].to_numpy()).all(axis=1)
    lost = int((~known).sum())
    return frame[known], _note(lost, "rows left out: of states that the state system never lists")


def _clipped(frame: pd.DataFrame, within: pd.DataFrame, on: Sequence[str]) -> Cut:
    """Spells cut to those they must lie in."""
    keyed = within[[*on, "start", "end"]]
    out = clip_spells(frame.assign(_row=np.arange(len(frame))), keyed, on=on)
    left = out["_row"].nunique()
    whole = _same_spells(frame, out)
    what = "state system" if on != ["alliance_id"] else "alliance"
    notes = _note(len(frame) - left, f"spells left out: outside the {what}")
    notes += _note(left - whole, f"spells shortened to the {what}")
    return out.drop(columns="_row"), notes


def _same_spells(before: pd.DataFrame, after: pd.DataFrame) -> int:
    """Number of spells that were not touched."""
    old = before.iloc[after["_row"].to_numpy()]
    same = np.ones(len(after), dtype=bool)
    for column in ("start", "end"):
        a, b = old[column].to_numpy(), after[column].to_numpy()
        same &= (a == b) | (np.isnat(a) & np.isnat(b))
    return int(same.sum())


def _pair_spells(frame: pd.DataFrame, states: pd.DataFrame) -> Cut:
    """Spells of pairs (contiguity, rivalry) cut to the days on which both are in the system."""
    row = np.arange(len(frame))
    out = frame.assign(_row=row)
    for column in ("ccode_a", "ccode_b"):
        own = states[["ccode", "start", "end"]].rename(columns={"ccode": column})
        out = clip_spells(out, own, on=[column])
    left = out["_row"].nunique()
    notes = _note(len(frame) - left, "spells left out: never on a day when both are in the system")
    notes += _note(left - _same_spells(frame, out), "spells shortened to the state system")
    return out.drop(columns="_row"), notes


def _alliances(
    alliances: pd.DataFrame, members: pd.DataFrame, states: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame, list[str]]:
    """Treaties that ever bound two members of the system, and the spells of their members."""
    out, notes = _clipped(members, alliances, ["alliance_id"])
    out, more = _clipped(out, states, ["ccode"])
    notes += more
    sizes = out.groupby("alliance_id")["ccode"].nunique()
    lonely = alliances["alliance_id"].map(sizes).fillna(0) < 2
    gone = set(alliances.loc[lonely, "alliance_id"])
    out = out[~out["alliance_id"].isin(gone)]
    kept = alliances[~lonely].reset_index(drop=True)
    text = "alliances left out: fewer than two of their members were ever in the state system"
    notes += _note(int(lonely.sum()), text)
    return kept, cut_members(out, states), notes


def _conflicts(conflicts: pd.DataFrame, states: pd.DataFrame) -> Cut:
    """Conflicts whose onset counts: both states were in the system on one day of that year."""
    from forecast.sources.checking import never_together

    year = pd.Series(span_years(conflicts)[0], index=conflicts.index)
    in_year = conflicts.assign(start=year_dates(year), end=year_dates(year, last=True))
    apart = never_together(in_year, states)
    text = "conflicts left out: the two were not in the state system on one day of their first year"
    return conflicts[~apart], _note(int(apart.sum()), text)


def _carried_back(frame: pd.DataFrame, states: pd.DataFrame, last: int) -> Cut:
    """CINC carried back to entry, counted."""
    full = with_capability(frame, states, last_year=last)
    full = full[[c for c in full if c not in COMPUTED]]
    filled = int(full["cinc"].notna().sum() - frame["cinc"].notna().sum())
    unknown = int(frame["cinc"].isna().sum())
    notes = _note(filled, "state-years after entry with the first index observed later")
    return full, notes + _note(unknown, "state-years without an index in the source")


def _of_ids(frame: pd.DataFrame, column: str, known: pd.DataFrame | None) -> Cut:
    there = frame[column].isin([] if known is None else known[column])
    return frame[there], _note(int((~there).sum()), "treaties left out: not among the alliances")


def _of_disputes(frame: pd.DataFrame, conflicts: pd.DataFrame) -> Cut:
    ids = conflicts["conflict_id"].str.replace(r"\.\d+$", "", regex=True)
    there = frame["conflict_id"].isin(ids)
    return frame[there], _note(int((~there).sum()), "rows left out: no such dispute in conflicts")
