"""Alliance Treaty Obligations and Provisions (ATOP), releases 4.x and 5.x (1815 to 2016 or 2018).

Roles
-----
``members``
    ``atop5_1m.csv``, ``atop4_01m.csv``: one row per alliance, member and phase, columns ``atopid,
    member`` (COW number), entry ``yrent, moent, dayent``, exit ``yrexit, moexit, dayexit``,
    ``phase``, the five obligations of *that member* ``defense, offense, neutral, nonagg, consul``
    and the conditions on them (``defcoadv`` …). Gives ``alliances``, ``members`` and
    ``treaty_design``.
``alliances``
    ``atop5_1a.csv``, ``atop4_01a.csv``: one row per alliance, columns ``atopid``, the dates
    ``beg*, end*``, ``bilat, wartime`` and the institutions. With ``members`` of the same release it
    gives the dates of the treaty and its design; alone only ``treaty_design``: it lists every state
    that ever was a member (``mem1`` …) without dates.
``directed_dyad_years``
    ``atop5_1ddyr.csv``: one row per ordered pair and year, ``stateA, stateB`` (or ``ddyad``),
    ``year`` and the obligations that ``stateA`` owes ``stateB``. Also peacesciencer's
    ``atop_alliance`` (``ccode1, ccode2, year, atop_defense`` …). Gives ``obligation_years``.

Traps:

- 0 in ``yrexit`` or ``endyr`` is "in force when the data end", not year 0.
- Obligations can be one-sided: Japan owed the United States no defence in 1951.
- A treaty with phases has a row per member and phase. A phase that begins on the day when the one
  before ends takes that day over; consecutive phases in which a member owes the same are one
  spell, and a change of obligations begins another.
- Parallel phases: the treaties of Czechoslovakia went on from 1993 with each successor by itself,
  as phases 2 and 3 that begin on the same day. The second is an alliance of its own here
  (``atop-3610-phase-3``): the Czech Republic and Slovakia were not allied by them.
- Members with codes that no state has (8152) are left out, and counted in the notes. Spells before
  a member was in the state system are left to the assembly of the panel.
- In treaties of more than two members a member's row says what it owes, not to whom (``obvary``):
  read from members, Britain in 1840 owes Prussia what it owed Turkey alone. The directed
  dyad-years have it right.

Provisions, as read from the codebook's values and their use by Leeds and Anac (2005): integrated
command ``intcom`` = 1; military coordination ``milcon`` ≥ 2 (contact in peacetime, common defence
policy); basing ``base`` > 0; military aid ``milaid`` > 0; organization ``organ1`` or ``organ2`` ≥ 2
(a named or standing body); peaceful settlement ``medarb`` = 1 or ``conwtin`` 1 or 3; subordination
``subord`` > 0; contribution ``contrib`` = 1; companion agreements ``compag`` > 0. Conditions are
those on the pledge of help (defence or offence) of any member.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from forecast.errors import DataError
from forecast.sources.cells import Kind, refuse_repeated
from forecast.sources.official.readings import (
    OfficialReader,
    combine_obligations,
    dates_of,
    given_roles,
    reading_of,
    refuse_end_before_start,
    years_covered,
)
from forecast.sources.reader import columns_of, read_official
from forecast.sources.tables import OBLIGATIONS, Reading

__all__ = ["READERS", "alliance_level"]

_ROLES: Mapping[str, str] = {
    "alliances": "atop5_1a.csv, alliances",
    "members": "atop5_1m.csv, members by phase",
    "directed_dyad_years": "atop5_1ddyr.csv, directed dyad-years",
}

_FIRST = 1815
#: Last year of a release, by its first digit: spells in force at the end do not tell.
_LAST: Mapping[str, int] = {"4": 2016, "5": 2018}
_HIGHEST_CODE = 999
#: Treaties from which a file without one of non-aggression alone is not the whole release.
_MANY = 100
_DAY = np.timedelta64(1, "D")

_OFFICIAL = {"neutral": "neutrality", "nonagg": "nonaggression", "consul": "consultation"}
_OBLIGED: dict[str, Kind] = dict.fromkeys(("defense", "offense", *_OFFICIAL), "flag")


def read(files: Mapping[str, Path]) -> list[Reading]:
    """Alliances, members and treaty design; obligations by ordered pair and year.

    Refuses two files of different releases, and files of undirected dyads or state-years, which do
    not say who owes.
    """
    given_roles(files, _ROLES, *((role,) for role in _ROLES))
    readings: list[Reading] = []
    alliances = alliance_level(files["alliances"]) if "alliances" in files else None
    if "members" in files:
        readings += _from_members(files["members"], alliances, files.get("alliances"))
    elif alliances is not None:
        file = files["alliances"].name
        last = _last_year(alliances, file)
        design = reading_of("treaty_design", alliances, file=file, first=_FIRST, last=last)
        readings.append(design)
    if "directed_dyad_years" in files:
        readings.append(_directed(files["directed_dyad_years"]))
    return readings


def alliance_level(path: Path) -> pd.DataFrame:
    """The file of alliances, one row per treaty: ``atop5_1a.csv`` or that of another release.

    ``alliance_id``, ``start``, ``end`` (``NaT`` if in force when the data end), ``bilateral``,
    ``wartime``, the five obligations (of any member at any time), provisions and design as 0/1,
    and ``version``.
    """
    _refuse_other_layouts(path, "alliances")
    columns: dict[str, Kind] = {"atopid": "int", "begyr": "year", "endyr": "year"}
    columns |= {"bilat": "int", "wartime": "int", **_OBLIGED}
    optional: dict[str, Kind] = dict.fromkeys(("begmo", "begday", "endmo", "endday"), "int?")
    optional |= {**dict.fromkeys(PROVISIONS, "int?"), "version": "str?"}
    raw = read_official(path, columns, optional=optional, rename=_OFFICIAL)
    refuse_repeated(raw, ["atopid"], file=path.name)
    _refuse_partial(raw, path)
    start, _ = dates_of(raw, ("begyr", "begmo", "begday"), file=path.name)
    end, _ = dates_of(raw, ("endyr", "endmo", "endday"), last=True, file=path.name)
    frame = raw[["atopid", *OBLIGATIONS, "wartime", "version"]].assign(
        alliance_id=_ids(raw["atopid"]), start=start, end=end, bilateral=raw["bilat"] == 1
    )
    return pd.concat([frame, provisions_of(raw)], axis=1)


def _ids(atopid: pd.Series) -> pd.Series:
    return pd.Series(pd.array([f"atop-{i}" for i in atopid], dtype="str"), index=atopid.index)


def _last_year(raw: pd.DataFrame, file: str) -> int:
    versions = raw["version"].dropna()
    stated = _LAST.get(str(versions.iloc[0])[:1]) if len(versions) else None
    _, seen = years_covered(pd.concat([raw["start"], raw["end"]]), file)
    return max(seen, int(stated or seen))


def _from_members(
    path: Path, alliances: pd.DataFrame | None, alliances_path: Path | None
) -> list[Reading]:
    raw = _member_rows(path)
    if alliances is not None and alliances_path is not None:
        _same_release(raw, path, alliances, alliances_path)
    last = _last_year(raw, path.name)
    known = raw["member"] <= _HIGHEST_CODE
    notes = []
    if not known.all():
        codes = ", ".join(map(str, sorted(set(raw.loc[~known, "member"]))))
        notes.append(f"{int((~known).sum())} member rows with codes of no state ({codes}) left out")
    raw, parallel = _own_parallel_phases(raw)
    if parallel:
        notes.append(f"{parallel} parallel phases of a treaty read as alliances of their own")
    members = _spells(raw[known], path)
    treaties = _treaties(raw, alliances)
    own = {"alliances": treaties, "members": members, "treaty_design": treaties}
    said = {"members": tuple(notes)}
    return [
        reading_of(t, f, file=path.name, first=_FIRST, last=last, notes=said.get(t, ()))
        for t, f in own.items()
    ]


def _member_rows(path: Path) -> pd.DataFrame:
    _refuse_other_layouts(path, "members")
    columns: dict[str, Kind] = {"atopid": "int", "member": "int", "yrent": "year", "yrexit": "year"}
    columns |= {"phase": "int", "bilat": "int", "wartime": "int", **_OBLIGED}
    optional: dict[str, Kind] = dict.fromkeys(("moent", "dayent", "moexit", "dayexit"), "int?")
    optional |= dict.fromkeys(PROVISIONS, "int?")
    optional |= dict.fromkeys((c for group in CONDITIONS.values() for c in group), "int?")
    raw = read_official(path, columns, optional=optional | {"version": "str?"}, rename=_OFFICIAL)
    _refuse_partial(raw, path)
    start, _ = dates_of(raw, ("yrent", "moent", "dayent"), file=path.name)
    end, _ = dates_of(raw, ("yrexit", "moexit", "dayexit"), last=True, file=path.name)
    rows = raw.assign(start=start, end=end, alliance_id=_ids(raw["atopid"]))
    refuse_end_before_start(rows, path.name)
    refuse_repeated(rows, ["atopid", "member", "phase", "start"], file=path.name)
    return rows


def _same_release(
    members: pd.DataFrame, path: Path, alliances: pd.DataFrame, alliances_path: Path
) -> None:
    # 5.0 writes itself "5" and 5.1 as it likes: the first digit must agree, and the treaties.
    versions = [sorted(set(frame["version"].dropna())) for frame in (members, alliances)]
    unknown = sorted(set(members["atopid"]) - set(alliances["atopid"]))
    if all(versions) and versions[0][0][:1] != versions[1][0][:1]:
        reason = f"release {versions[0][0]} against {versions[1][0]}"
    elif unknown:
        reason = f"{path.name} has the alliance {unknown[0]}, which the other has not"
    else:
        return
    raise DataError(
        f"{path.name} and {alliances_path.name} are of different releases ({reason}): take both "
        "files of one."
    )


def _own_parallel_phases(raw: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Phases of a treaty that begin on one day for a member become alliances of their own."""
    keys = ["atopid", "member", "start"]
    ordered = raw.sort_values([*keys, "phase"], kind="stable")
    twins = ordered[ordered.duplicated(keys)]
    parallel = set(zip(twins["atopid"], twins["phase"], strict=True))
    if not parallel:
        return raw, 0
    own = np.array([k in parallel for k in zip(raw["atopid"], raw["phase"], strict=True)])
    suffixed = raw["alliance_id"] + "-phase-" + raw["phase"].astype("str")
    return raw.assign(alliance_id=raw["alliance_id"].mask(own, suffixed)), len(parallel)


def _spells(raw: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Spells of a member that neither overlap nor repeat what the one before says."""
    key = ["alliance_id", "member"]
    rows = raw.sort_values([*key, "start", "phase"], kind="stable")
    same = rows.duplicated(key).to_numpy()
    start = rows["start"].to_numpy().astype("datetime64[D]")
    end = rows["end"].to_numpy().astype("datetime64[D]")
    # The day on which one phase ends and the next begins is the next one's.
    following = np.append(start[1:], np.datetime64("NaT", "D"))
    overlaps = np.append(same[1:], False) & (np.isnat(end) | (end >= following))
    end = np.where(overlaps, following - _DAY, end)
    empty = np.flatnonzero(end < start)
    if len(empty):
        line = int(rows.index[empty[0]])
        raise DataError(f"{path.name}, row {line}: two phases of the member begin on one day.")
    flags = rows[list(OBLIGATIONS)].to_numpy()
    repeats = same.copy()
    repeats[1:] &= (flags[1:] == flags[:-1]).all(axis=1) & (start[1:] - end[:-1] <= _DAY)
    first = np.flatnonzero(~repeats)
    last = np.append(first[1:], len(rows)) - 1
    frame = rows.iloc[first][["alliance_id", "member", "start", "end", *OBLIGATIONS]]
    frame = frame.rename(columns={"member": "ccode"})
    frame["end"] = end[last].astype("datetime64[s]")
    return frame.sort_index()


def _treaties(raw: pd.DataFrame, alliances: pd.DataFrame | None) -> pd.DataFrame:
    """One row per alliance in the layout of the table, with the columns of the design besides."""
    by_id = raw.groupby("alliance_id", sort=False)
    out = raw.drop_duplicates("alliance_id")[["alliance_id", "atopid", "phase"]]
    out = out.set_index("alliance_id", drop=False).assign(line=out.index)
    members = by_id["member"].nunique()
    out["start"] = by_id["start"].min()
    out["end"] = by_id["end"].max().mask(by_id["end"].count() < by_id.size())
    out["wartime"] = by_id["wartime"].max()
    two = (by_id["bilat"].max() == 1) | (members <= 2)
    out["kind"] = np.where(two, "bilateral", "multilateral")
    provisions = pd.concat([raw["alliance_id"], provisions_of(raw), conditions_of(raw)], axis=1)
    out = out.join(provisions.groupby("alliance_id", sort=False).max())
    if alliances is not None:
        # The alliance level has the treaty's own dates; the members' provisions stay where it
        # has none, and parallel phases have no row there.
        own = alliances.set_index("alliance_id")
        for name in ("start", "wartime", *PROVISION_FLAGS, *DESIGN):
            known = own[name].reindex(out.index).combine_first(out[name])
            out[name] = known.astype(out[name].dtype)
        whole = out.index.isin(own.index)
        out["end"] = own["end"].reindex(out.index).where(whole, out["end"])
    release = raw["version"].dropna()
    version = f" {release.iloc[0]}" if len(release) else ""
    number = out["atopid"].astype("str")
    phase = (" (phase " + out["phase"].astype("str") + ")").where(
        out["alliance_id"].str.contains("-phase-"), ""
    )
    out["name"] = "ATOP alliance " + number + phase
    out["short_name"] = "ATOP " + number + phase
    source = f"Alliance Treaty Obligations and Provisions{version}, alliance "
    out["source"] = source + number + phase
    for name in ("name", "short_name", "source", "kind"):
        out[name] = out[name].astype("str")
    for name in (*PROVISION_FLAGS, *CONDITIONS):
        out[name] = out[name].fillna(0).astype(np.int64)
    return out.set_index("line").sort_index()


def _directed(path: Path) -> Reading:
    header = columns_of(path)
    _refuse_other_layouts(path, "directed_dyad_years")
    if "atop_defense" in header:
        columns: dict[str, Kind] = {"ccode1": "int", "ccode2": "int", "year": "year"}
        columns |= {f"atop_{name}": kind for name, kind in _OBLIGED.items()}
        rename = {f"atop_{name}": _OFFICIAL.get(name, name) for name in _OBLIGED}
        rename |= {"ccode1": "ccode_owing", "ccode2": "ccode_owed"}
        raw = read_official(path, columns, rename=rename)
    elif "statea" in header:
        columns = {"stateA": "int", "stateB": "int", "year": "year"}
        rename = {"stateA": "ccode_owing", "stateB": "ccode_owed", **_OFFICIAL}
        raw = read_official(path, columns | _OBLIGED, rename=rename)
    else:
        raw = read_official(path, {"ddyad": "int", "year": "year", **_OBLIGED}, rename=_OFFICIAL)
        raw = raw.assign(ccode_owing=raw["ddyad"] // 1000, ccode_owed=raw["ddyad"] % 1000)
    states = (raw[["ccode_owing", "ccode_owed"]] <= _HIGHEST_CODE).all(axis=1)
    text = f"{int((~states).sum())} rows with codes of no state left out"
    notes = () if states.all() else (text,)
    frame = combine_obligations(raw[states])
    first, last = years_covered(frame["year"], path.name)
    return reading_of(
        "obligation_years", frame, file=path.name, first=first, last=last, notes=notes
    )


def _refuse_partial(raw: pd.DataFrame, path: Path) -> None:
    """The publisher's ``_NNA`` files have the same layout without a quarter of the treaties."""
    owed = raw.groupby("atopid")[list(OBLIGATIONS)].max() == 1
    alone = owed["nonaggression"] & ~owed.drop(columns="nonaggression").any(axis=1)
    # In a complete release they are a quarter of all; a file of few treaties says nothing.
    if len(owed) >= _MANY and not alone.any():
        raise DataError(
            f"{path.name}: none of its {len(owed)} treaties is one of non-aggression alone,"
            " expected all treaties: take the file without _NNA (atop5_1a.csv, atop5_1m.csv)."
        )


_LAYOUTS: Mapping[str, tuple[str, str, str]] = {
    "members": ("member", "one row per alliance, member and phase", "atop5_1m.csv"),
    "alliances": ("begyr", "one row per alliance", "atop5_1a.csv"),
    "directed_dyad_years": ("ddyad", "one row per ordered pair and year", "atop5_1ddyr.csv"),
}


def _refuse_other_layouts(path: Path, role: str) -> None:
    """Says what a file of another level is, instead of which column it lacks."""
    header = columns_of(path)
    _, expected, example = _LAYOUTS[role]
    if "dyad" in header and "ddyad" not in header and "mem1" in header:
        found = "undirected dyad-years, which do not say which side owes"
    elif "state" in header and "atopally" in header:
        found = "state-years, which do not say to whom"
    else:
        other = [
            f"the file of the role {name!r}"
            for name, (column, _, _) in _LAYOUTS.items()
            if name != role and column in header and _LAYOUTS[role][0] not in header
        ]
        if not other:
            return
        found = other[0]
    raise DataError(f"{path.name}: found {found}, expected {expected}: take {example}.")


#: Official columns that `provisions_of` reads.
PROVISIONS: tuple[str, ...] = (
    "intcom", "milcon", "base", "milaid", "organ1", "organ2", "medarb", "conwtin", "subord",
    "contrib", "compag",
)  # fmt: skip

#: Flags of the table ``alliances``.
PROVISION_FLAGS: tuple[str, ...] = (
    "integrated_command", "military_coordination", "basing", "military_aid", "organization",
    "peaceful_settlement",
)  # fmt: skip

#: Flags of the table ``treaty_design``.
DESIGN: tuple[str, ...] = ("subordination", "contribution", "companion_agreements")

#: Official columns by flag of the table ``alliances``: conditions on the pledge of help.
CONDITIONS: Mapping[str, tuple[str, ...]] = {
    "cond_adversary": ("defcoadv", "offcoadv"),
    "cond_location": ("defcoloc", "offcoloc"),
    "cond_conflict": ("defcocon", "offcocon"),
    "cond_number": ("defconum", "offconum"),
    "cond_demands": ("defcodem", "offcodem"),
    "cond_nonprovocation": ("defconpr",),
}


def provisions_of(raw: pd.DataFrame) -> pd.DataFrame:
    """`PROVISION_FLAGS` and `DESIGN` as 0/1 (``Int64``), missing where the text is lost."""
    settles = raw["conwtin"].isin([1, 3]).astype("Int64").mask(raw["conwtin"].isna())
    body = raw[["organ1", "organ2"]].max(axis=1)
    flags = {
        "integrated_command": raw["intcom"] == 1,
        "military_coordination": raw["milcon"] >= 2,
        "basing": raw["base"] > 0,
        "military_aid": raw["milaid"] > 0,
        "organization": body >= 2,
        "peaceful_settlement": (settles == 1) | (raw["medarb"] == 1),
        "subordination": raw["subord"] > 0,
        "contribution": raw["contrib"] == 1,
        "companion_agreements": raw["compag"] > 0,
    }
    return pd.DataFrame({name: flag.astype("Int64") for name, flag in flags.items()})


def conditions_of(raw: pd.DataFrame) -> pd.DataFrame:
    """Conditions on the pledge of help as 0/1 (``int64``), from the columns of `CONDITIONS`."""
    flags = {
        name: (raw[list(columns)] == 1).fillna(False).any(axis=1).astype(np.int64)
        for name, columns in CONDITIONS.items()
    }
    return pd.DataFrame(flags, index=raw.index)


READERS: Mapping[str, OfficialReader] = {"atop": OfficialReader(_ROLES, read)}
