"""From the readings of official sources to tables that fit together, with every cut counted.

Sources disagree on when a state existed. The membership spells of the state system decide: what
lies outside them is cut, and the coverage of the table says how much.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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


Frames = Mapping[str, pd.DataFrame]


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


Facts = Mapping[str, Sourced]


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
            alliances, frame, more = _alliances(frame, frames, facts)
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
        else:
            for step in _STEPS.get(fact, (_known_codes,)):
                frame, more = step(frame, frames, facts)
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


def _known_codes(frame: pd.DataFrame, frames: Frames, facts: Facts) -> Cut:
    columns = [c for c in frame if str(c).startswith("ccode")]
    known = frame[columns].isin(frames["states"]["ccode"].to_numpy()).all(axis=1)
    lost = int((~known).sum())
    return frame[known], _note(lost, "rows left out: of states that the state system never lists")


def _in_system(frame: pd.DataFrame, frames: Frames, facts: Facts) -> Cut:
    """Spells cut to the days on which the state, or both of a pair, are in the system."""
    own = frames["states"][["ccode", "start", "end"]]
    columns = [c for c in map(str, frame) if c.startswith("ccode")]
    within = [own.rename(columns={"ccode": column}) for column in columns]
    both = "never on a day when both are in the system"
    out = both if len(columns) == 2 else "outside the state system"
    return _clipped(frame, *within, out=out, to="state system")


def _clipped(frame: pd.DataFrame, *within: pd.DataFrame, out: str, to: str) -> Cut:
    """Spells cut to those of the same key, in turn, that they must lie in."""
    cut = frame.assign(_row=np.arange(len(frame)))
    for outer in within:
        cut = clip_spells(cut, outer, on=list(outer.columns.drop(["start", "end"])))
    left, before = cut["_row"].nunique(), frame.iloc[cut["_row"].to_numpy()]
    whole = np.ones(len(cut), dtype=bool)
    for column in ("start", "end"):
        x, y = before[column].to_numpy(), cut[column].to_numpy()
        whole &= (x == y) | (np.isnat(x) & np.isnat(y))
    notes = _note(len(frame) - left, f"spells left out: {out}")
    notes += _note(left - int(whole.sum()), f"spells shortened to the {to}")
    return cut.drop(columns="_row"), notes


def _alliances(
    members: pd.DataFrame, frames: Frames, facts: Facts
) -> tuple[pd.DataFrame, pd.DataFrame, list[str]]:
    """Treaties that ever bound two members of the system, and the spells of their members."""
    alliances = facts["alliances"].reading.frame
    lives = alliances[["alliance_id", "start", "end"]]
    out, notes = _clipped(members, lives, out="outside the alliance", to="alliance")
    out, more = _in_system(out, frames, facts)
    notes += more
    sizes = out.groupby("alliance_id")["ccode"].nunique()
    lonely = alliances["alliance_id"].map(sizes).fillna(0) < 2
    gone = set(alliances.loc[lonely, "alliance_id"])
    out = out[~out["alliance_id"].isin(gone)]
    kept = alliances[~lonely].reset_index(drop=True)
    text = "alliances left out: fewer than two of their members were ever in the state system"
    notes += _note(int(lonely.sum()), text)
    return kept, cut_members(out, frames["states"]), notes


def _conflicts(conflicts: pd.DataFrame, states: pd.DataFrame) -> Cut:
    """Conflicts whose onset counts: both states were in the system on one day of that year."""
    from forecast.sources.checking import never_together

    year = pd.Series(span_years(conflicts)[0], index=conflicts.index)
    in_year = conflicts.assign(start=year_dates(year), end=year_dates(year, last=True))
    apart = never_together(in_year, states)
    text = "conflicts left out: the two were not in the state system on one day of their first year"
    return conflicts[~apart], _note(int(apart.sum()), text)


def _carried_back(frame: pd.DataFrame, frames: Frames, facts: Facts) -> Cut:
    """CINC carried back to entry, counted."""
    last = facts["material_capabilities"].reading.last
    full = with_capability(frame, frames["states"], last_year=last)
    full = full[[c for c in full if c not in COMPUTED]]
    filled = int(full["cinc"].notna().sum() - frame["cinc"].notna().sum())
    unknown = int(frame["cinc"].isna().sum())
    notes = _note(filled, "state-years after entry with the first index observed later")
    return full, notes + _note(unknown, "state-years without an index in the source")


def _of_alliances(frame: pd.DataFrame, frames: Frames, facts: Facts) -> Cut:
    known = list(frames["alliances"]["alliance_id"]) if "alliances" in frames else []
    there = frame["alliance_id"].isin(known)
    return frame[there], _note(int((~there).sum()), "treaties left out: not among the alliances")


def _of_disputes(frame: pd.DataFrame, frames: Frames, facts: Facts) -> Cut:
    conflicts = facts["conflicts"].reading.frame["conflict_id"]
    there = frame["conflict_id"].isin(conflicts.str.replace(r"\.\d+$", "", regex=True))
    return frame[there], _note(int((~there).sum()), "rows left out: no such dispute in conflicts")


#: How the rows of a kind of fact are cut to what there is, in steps; else `_known_codes`.
_STEPS: Mapping[str, tuple[Callable[[pd.DataFrame, Frames, Facts], Cut], ...]] = {
    **dict.fromkeys(("powers", "contiguity", "rivalries"), (_in_system,)),
    "material_capabilities": (_known_codes, _carried_back),
    "treaty_design": (_of_alliances,),
    **dict.fromkeys(("disputes", "participants"), (_of_disputes,)),
}
