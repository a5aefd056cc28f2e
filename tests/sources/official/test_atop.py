"""ATOP: phases, one-sided and conditional obligations, directed dyad-years, the real releases."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd
import pytest

from forecast.errors import ArgumentError, DataError
from forecast.sources.official import atop, reader
from forecast.sources.official.atop import CONDITIONS, PROVISIONS
from forecast.sources.official.cow_alliances import expand_obligations
from forecast.sources.spells import (
    clip_spells,
    day_year,
    expand_years,
    overlapping,
    span_days,
    span_years,
)
from forecast.sources.tables import OBLIGATIONS, Reading

read_atop = reader("atop").read
read_states = reader("cow_states").read

Write = Callable[..., Path]
FLAGS = ("defense", "offense", "neutral", "nonagg", "consul")
DATES = ("yrent", "moent", "dayent", "yrexit", "moexit", "dayexit")
DETAILS = (*[c for group in CONDITIONS.values() for c in group], *PROVISIONS)
MEMBER = ("atopid", "cowsys", "member", *DATES, "phase", "bilat", "wartime", *FLAGS, *DETAILS)


def _row(
    atopid: int,
    member: int,
    entry: str,
    left: str,
    flags: str,
    *,
    phase: int = 0,
    bilat: int = 1,
    version: str = "5.1",
    **details: int | str,
) -> str:
    """A row of the member file: dates as year-month-day, flags as five digits."""
    assert set(details) <= set(DETAILS)
    cells = [atopid, 1, member, *entry.split("-"), *left.split("-"), phase, bilat, 0, *flags]
    cells += [details.get(name, 0) for name in DETAILS]
    return ",".join(map(str, [*cells, version]))


def _members(write: Write, *rows: str) -> Mapping[str, Reading]:
    path = write("atop5_1m.csv", ",".join([*MEMBER, "version"]), *rows)
    return {reading.table: reading for reading in read_atop({"members": path})}


def _spells(reading: Reading) -> list[str]:
    return [
        f"{row.alliance_id} {row.ccode} {row.start.date()} "
        + ("open" if pd.isna(row.end) else str(row.end.date()))
        + " "
        + "".join(str(getattr(row, name)) for name in OBLIGATIONS)
        for row in reading.frame.itertuples()
    ]


def test_zero_is_in_force_and_obligations_are_the_members_own(write: Write) -> None:
    found = _members(
        write,
        _row(3220, 2, "1951-9-8", "1960-1-19", "10001"),
        _row(3220, 740, "1951-9-8", "1960-1-19", "00001"),
        _row(3375, 2, "1960-1-19", "0-0-0", "10011"),
        _row(3375, 740, "1960-1-19", "0-0-0", "00011"),
    )
    assert _spells(found["members"]) == [
        "atop-3220 2 1951-09-08 1960-01-19 10001",
        "atop-3220 740 1951-09-08 1960-01-19 00001",
        "atop-3375 2 1960-01-19 open 10011",
        "atop-3375 740 1960-01-19 open 00011",
    ]
    alliances = found["alliances"].frame
    assert alliances["end"].isna().tolist() == [False, True]
    assert alliances["short_name"].tolist() == ["ATOP 3220", "ATOP 3375"]
    assert "Obligations and Provisions 5.1, alliance 3220" in alliances["source"].iloc[0]
    assert (found["members"].first, found["members"].last) == (1815, 2018)


def test_phases_are_consecutive_spells(write: Write) -> None:
    found = _members(
        write,
        _row(1345, 300, "1881-6-16", "1889-2-9", "00101", phase=1),
        _row(1345, 345, "1881-6-16", "1889-2-9", "00101", phase=1),
        # From 1889 Austria-Hungary owes defence, Serbia what it owed before.
        _row(1345, 300, "1889-2-9", "1895-1-1", "10101", phase=2),
        _row(1345, 345, "1889-2-9", "1895-1-1", "00101", phase=2),
        # A member that left and came back years later has two spells though it owes the same.
        _row(3015, 651, "1945-3-22", "1979-3-31", "00011", bilat=0),
        _row(3015, 651, "1989-5-22", "0-0-0", "00011", bilat=0),
    )
    assert _spells(found["members"]) == [
        "atop-1345 300 1881-06-16 1889-02-08 00101",
        "atop-1345 345 1881-06-16 1895-01-01 00101",
        "atop-1345 300 1889-02-09 1895-01-01 10101",
        "atop-3015 651 1945-03-22 1979-03-31 00011",
        "atop-3015 651 1989-05-22 open 00011",
    ]


def test_parallel_phases_are_alliances_of_their_own(write: Write) -> None:
    found = _members(
        write,
        _row(3610, 315, "1968-8-16", "1992-12-31", "10000", phase=1),
        _row(3610, 360, "1968-8-16", "1992-12-31", "10000", phase=1),
        _row(3610, 316, "1993-1-1", "1994-6-22", "10000", phase=3),
        _row(3610, 317, "1993-1-1", "1993-9-24", "10000", phase=2),
        _row(3610, 360, "1993-1-1", "1994-6-22", "10000", phase=3),
        _row(3610, 360, "1993-1-1", "1993-9-24", "10000", phase=2),
    )
    assert set(_spells(found["members"])) == {
        "atop-3610 315 1968-08-16 1992-12-31 10000",
        "atop-3610 317 1993-01-01 1993-09-24 10000",
        "atop-3610 360 1968-08-16 1993-09-24 10000",
        "atop-3610-phase-3 316 1993-01-01 1994-06-22 10000",
        "atop-3610-phase-3 360 1993-01-01 1994-06-22 10000",
    }
    names = found["alliances"].frame["short_name"]
    assert names.tolist() == ["ATOP 3610", "ATOP 3610 (phase 3)"]
    assert found["members"].notes == (
        "1 parallel phases of a treaty read as alliances of their own",
    )


def test_unknown_days_and_codes_of_no_state(write: Write) -> None:
    found = _members(
        write,
        _row(1115, 200, "1844-6-", "1846--", "00001"),
        _row(1320, 8152, "1874-3-15", "1883-8-25", "00001"),
    )
    assert _spells(found["members"]) == ["atop-1115 200 1844-06-01 1846-12-31 00001"]
    assert found["members"].notes == ("1 member rows with codes of no state (8152) left out",)
    assert len(found["alliances"].frame) == 2


def test_conditions_and_provisions(write: Write) -> None:
    found = _members(
        write,
        _row(9, 2, "1900-1-1", "0-0-0", "10000", defcoadv=1, defconpr=1, milcon=2, base=3),
        _row(9, 20, "1900-1-1", "0-0-0", "10000", offcoloc=1, milcon=1, organ2=3, subord=2),
        _row(10, 2, "1900-1-1", "0-0-0", "00001", intcom=1, conwtin=3, milaid=1, contrib=1),
        _row(10, 20, "1900-1-1", "0-0-0", "00001", organ1=1, conwtin=2, milcon=1),
        _row(11, 2, "1900-1-1", "0-0-0", "00001", **dict.fromkeys(PROVISIONS, "")),
        _row(12, 2, "1900-1-1", "0-0-0", "00001", medarb=1, compag=5),
    )
    table = found["alliances"].frame.set_index("short_name")
    flags = table.loc[:, "integrated_command":"cond_nonprovocation"]
    names = [[name for name in flags if row[name] == 1] for _, row in flags.iterrows()]
    assert names == [
        [
            "military_coordination",
            "basing",
            "organization",
            "cond_adversary",
            "cond_location",
            "cond_nonprovocation",
        ],
        ["integrated_command", "military_aid", "peaceful_settlement"],
        [],
        ["peaceful_settlement"],
    ]
    design = found["treaty_design"].frame.set_index("alliance_id")
    assert design.loc["atop-9"].tolist() == [1, 0, 0]
    assert design.loc["atop-10"].tolist() == [0, 1, 0]
    assert design.loc["atop-11"].isna().all()
    assert design.loc["atop-12"].tolist() == [0, 0, 1]


ALLIANCE = ("atopid", "begyr", "begmo", "begday", "endyr", "endmo", "endday", "bilat", "wartime")


def _alliances(write: Write, *rows: str) -> Path:
    header = ",".join([*ALLIANCE, *FLAGS, *PROVISIONS, "mem1", "mem2", "version"])
    return write("atop5_1a.csv", header, *rows)


def test_alliance_level(write: Write) -> None:
    zeros = ",0" * len(PROVISIONS)
    rows = [f"3375,1960,1,19,0,0,0,1,0,1,0,0,1,1{zeros},2,740,5.1"]
    path = _alliances(write, *rows)
    frame = atop.alliance_level(path)
    assert frame["alliance_id"].tolist() == ["atop-3375"]
    assert frame["end"].isna().all()
    (design,) = read_atop({"alliances": path})
    assert design.table == "treaty_design"
    member = write(
        "m.csv", ",".join([*MEMBER, "version"]), _row(3375, 2, "1960-6-1", "0-0-0", "10011")
    )
    found = {r.table: r.frame for r in read_atop({"alliances": path, "members": member})}
    # The treaty begins when it does, not when the first state joins.
    assert str(found["alliances"]["start"].iloc[0].date()) == "1960-01-19"
    old = write("m.csv", ",".join([*MEMBER, "version"]), _row(1, 2, "1960-6-1", "0-0-0", "10011"))
    with pytest.raises(DataError, match=r"different releases \(m\.csv has the alliance 1,"):
        read_atop({"alliances": path, "members": old})


def test_directed_dyad_years(write: Write) -> None:
    columns = ["ddyad", "year", "atopally", *FLAGS, "atopid1", "stateA", "stateB", "version"]
    rows = ("2740,1960,1,1,0,0,1,1,3375,2,740,5.1", "740002,1960,1,0,0,0,1,1,3375,740,2,5.1")
    (reading,) = read_atop(
        {"directed_dyad_years": write("atop5_1ddyr.csv", ",".join(columns), *rows)}
    )
    frame = reading.frame.set_index(["ccode_owing", "ccode_owed", "year"])
    assert frame.loc[(2, 740, 1960)].tolist() == [1, 0, 0, 1, 1]
    assert frame.loc[(740, 2, 1960)].tolist() == [0, 0, 0, 1, 1]
    bare = [name for name in columns if name not in ("stateA", "stateB")]
    rows = ("2740,1960,1,1,0,0,1,1,3375,5.1", "740002,1960,1,0,0,0,1,1,3375,5.1")
    (decoded,) = read_atop({"directed_dyad_years": write("d.csv", ",".join(bare), *rows)})
    pd.testing.assert_frame_equal(decoded.frame, reading.frame)


def test_what_is_refused(write: Write) -> None:
    header = ",".join([*MEMBER, "version"])
    backwards = write("m.csv", header, _row(1, 2, "1960-1-1", "1950-1-1", "10000"))
    with pytest.raises(DataError, match=r"m\.csv, row 2: found an end \(1950-01-01\) before"):
        read_atop({"members": backwards})
    with pytest.raises(DataError, match=r"found the file of the role 'members'.*atop5_1a\.csv"):
        read_atop({"alliances": backwards})
    flag = write("m.csv", header, _row(1, 2, "1960-1-1", "0-0-0", "20000"))
    with pytest.raises(DataError, match=r"m\.csv, row 2, column 'defense': found '2'"):
        read_atop({"members": flag})
    with pytest.raises(ArgumentError, match="The files given have the roles none; expected"):
        read_atop({})


@pytest.mark.reference
@pytest.mark.parametrize("role", reader("atop").roles)
def test_undirected_files_of_release_3_are_refused(reference: Path, role: str) -> None:
    folder = reference / "official/atop"
    with pytest.raises(DataError, match="undirected dyad-years, which do not say which side owes"):
        read_atop({role: folder / "atop3_0dyeug.csv"})
    with pytest.raises(DataError, match="state-years, which do not say to whom"):
        read_atop({role: folder / "atop3_0syeug.csv"})


@pytest.mark.reference
def test_known_numbers_of_release_5(reference: Path) -> None:
    frame = atop.alliance_level(reference / "official/atop/atop5_0a.csv")
    assert (len(frame), frame["end"].isna().sum()) == (765, 353)
    assert frame[list(OBLIGATIONS)].sum().tolist() == [276, 81, 124, 420, 383]
    files = {
        "alliances": reference / "official/atop/atop5_0a.csv",
        "members": reference / "official/atop/atop4_01m.csv",
    }
    with pytest.raises(DataError, match=r"different releases \(release 4\.01 against 5\)"):
        read_atop(files)


@pytest.fixture(scope="module")
def release(reference: Path) -> Mapping[str, Reading]:
    folder = reference / "official/atop"
    files = {"alliances": folder / "atop4_01a.csv", "members": folder / "atop4_01m.csv"}
    return {reading.table: reading for reading in read_atop(files)}


@pytest.fixture(scope="module")
def directed(reference: Path) -> pd.DataFrame:
    (reading,) = read_atop({"directed_dyad_years": reference / "processed/atop_alliance.csv.gz"})
    assert (reading.first, reading.last) == (1815, 2018)
    return reading.frame


@pytest.mark.reference
def test_members_of_release_4(release: Mapping[str, Reading], reference: Path) -> None:
    members, alliances = release["members"].frame, release["alliances"].frame
    assert (len(alliances), len(members)) == (745 + 7, 2233)
    assert len(overlapping(members, on=["alliance_id", "ccode"])) == 0
    assert release["members"].last == 2016
    assert set(members["alliance_id"]) == set(alliances["alliance_id"])
    # What any member owes at any time is what the file of alliances says of the treaty.
    level = atop.alliance_level(reference / "official/atop/atop4_01a.csv")
    owed = members.assign(atopid=members["alliance_id"].str.split("-").str[1].astype(int))
    owed = owed.groupby("atopid")[list(OBLIGATIONS)].max()
    # (in 1320 it is Annam, 8152, that owed consultation: a code of no state, left out)
    owed = owed.drop(index=1320)
    stated = level.set_index("atopid")[list(OBLIGATIONS)].loc[owed.index]
    assert len(owed) == 744
    assert (owed != stated).sum().sum() == 0


@pytest.mark.reference
def test_nato_by_signature(release: Mapping[str, Reading], reference: Path) -> None:
    members = release["members"].frame
    nato = members[members["alliance_id"] == "atop-3180"].set_index("ccode")
    assert nato.index.is_unique
    check = pd.read_csv(reference / "processed/check_nato_first_year.csv.gz").set_index("ccode")
    expected = check["atop401m_first_year"].dropna().astype(int).to_dict()
    assert nato["start"].dt.year.to_dict() == expected
    assert (expected[350], expected[640], expected[341]) == (1951, 1951, 2016)
    assert pd.isna(nato.loc[220, "end"])
    assert nato.index[nato["end"].notna()].tolist() == [260]
    assert nato["defense"].eq(1).all()


@pytest.mark.reference
def test_known_numbers_of_the_directed_dyad_years(directed: pd.DataFrame) -> None:
    undirected = directed[directed["ccode_owing"] < directed["ccode_owed"]]
    assert (len(undirected), undirected["defense"].sum()) == (136_648, 69_063)
    keys = ["ccode_owing", "ccode_owed", "year"]
    back = directed.rename(columns={"ccode_owing": "ccode_owed", "ccode_owed": "ccode_owing"})
    both = undirected.merge(back, on=keys, suffixes=("", "_back"))
    assert len(both) == 136_648
    assert (both["defense"] != both["defense_back"]).sum() == 492
    partners = directed.query("ccode_owing == 2 and year == 1949 and defense == 1")
    assert len(partners) == 31
    by_pair = directed.set_index(keys)["defense"]
    assert by_pair.loc[2, 740, 1951:2018].eq(1).all()
    assert by_pair.loc[740, 2, 1951:2018].eq(0).all()
    assert len(by_pair.loc[2, 740, 1951:2018]) == 68


@pytest.mark.reference
def test_members_give_the_directed_dyad_years(
    release: Mapping[str, Reading], directed: pd.DataFrame, reference: Path
) -> None:
    """Spells of 4.01 against the authors' own dyad-years of 5.1, among states of the system.

    What differs: 22 treaties and some dates were added or revised between the releases; and in
    treaties of several members where one owes help to a particular other (``obvary``), its row
    does not say to whom, so the expansion has it owe all.
    """
    (states,) = read_states({"states": reference / "official/cow_states/states2016.csv"})
    members = clip_spells(release["members"].frame, states.frame, on=["ccode"])
    members = members.assign(**dict(zip(("a", "b"), span_days(members), strict=True)))
    pairs = members.merge(members[["alliance_id", "ccode", "a", "b"]], on="alliance_id")
    first = pairs[["a_x", "a_y"]].max(axis=1)
    last = pairs[["b_x", "b_y"]].min(axis=1)
    met = (pairs["ccode_x"] != pairs["ccode_y"]) & (first <= last)
    pairs = pairs[met].rename(columns={"ccode_x": "ccode_owing", "ccode_y": "ccode_owed"})
    ours = expand_obligations(
        pairs,
        pd.Series(day_year(first[met].to_numpy())),
        pd.Series(day_year(last[met].to_numpy())),
        window=(1816, 2016),
    )
    assert len(ours.query("ccode_owing == 2 and year == 1949 and defense == 1")) == 31

    begin, end = span_years(states.frame)
    row, year = expand_years(begin, end, window=(1816, 2016))
    code = states.frame["ccode"].to_numpy()[row]
    system = pd.MultiIndex.from_arrays([code, year]).unique()
    theirs = directed[directed["year"].between(1816, 2016)]
    inside = pd.Series(True, index=theirs.index)
    for side in ("ccode_owing", "ccode_owed"):
        inside &= pd.MultiIndex.from_frame(theirs[[side, "year"]]).isin(system)
    # Members that were no states then, or not any more: left to neither side.
    assert (~inside).sum() == 5_768

    keys = ["ccode_owing", "ccode_owed", "year"]
    both = ours.merge(theirs[inside], on=keys, how="outer", suffixes=("", "_theirs"))
    assert ours.merge(theirs, on=keys).shape[0] == len(ours)
    floors = {
        "defense": (0.998, 0.999),
        "offense": (0.993, 0.996),
        "neutrality": (0.975, 0.975),
        "nonaggression": (0.999, 0.993),
        "consultation": (0.999, 0.998),
    }
    for name, (precision, recall) in floors.items():
        here, there = both[name] == 1, both[f"{name}_theirs"] == 1
        assert (here & there).sum() / here.sum() >= precision, name
        assert (here & there).sum() / there.sum() >= recall, name
    extra = both[(both["defense"] == 1) & (both["defense_theirs"] != 1)]
    asymmetric = pd.read_csv(reference / "official/atop/atop4_01m.csv").query("obvary == 1")
    # Every pledge of defence too many is one of a member whose obligations vary by partner.
    assert set(extra["ccode_owing"]) <= set(asymmetric["member"])
    assert len(extra) == 213
