"""COW formal alliances: members, dyads, the files that are wrong, the real release."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forecast.errors import ArgumentError, DataError
from forecast.sources.official import reader
from forecast.sources.spells import overlapping
from forecast.sources.tables import OBLIGATIONS, Reading

read = reader("cow_alliances").read

Write = Callable[..., Path]

MEMBER = (
    "version4id,ccode,state_name,all_st_day,all_st_month,all_st_year,all_end_day,all_end_month,"
    "all_end_year,ss_type,mem_st_day,mem_st_month,mem_st_year,mem_end_day,mem_end_month,"
    "mem_end_year,left_censor,right_censor,defense,neutrality,nonaggression,entente,version"
)
_1832 = "10,11,1832,21,5,1833"
MEMBERS = (
    f"11,211,Belgium,{_1832},Type I: Defense Pact,{_1832},0,0,0,0,0,0,4.1",
    f"11,220,France,{_1832},Type I: Defense Pact,{_1832},0,0,1,0,0,0,4.1",
    '1,200,"United Kingdom",9,5,1386,,,,"Type I: Defense Pact",1,1,1816,,,,1,1,1,0,1,0,4.1',
    '1,235,"Portugal",9,5,1386,,,,"Type I: Defense Pact",1,1,1816,,,,1,1,1,0,1,,4.1',
)
DYAD = (
    "version4id,ccode1,state_name1,ccode2,state_name2,dyad_st_day,dyad_st_month,dyad_st_year,"
    "dyad_end_day,dyad_end_month,dyad_end_year,left_censor,right_censor,defense,neutrality,"
    "nonaggression,entente,asymmetric,version"
)
DYADS = (
    '11,211,"Belgium",220,"France",10,11,1832,21,5,1833,0,0,1,0,0,0,1,4.1',
    '1,200,"United Kingdom",235,"Portugal",1,1,1816,,,,1,1,1,0,1,0,0,4.1',
)


def _by_table(readings: list[Reading]) -> Mapping[str, Reading]:
    return {reading.table: reading for reading in readings}


def _owed(reading: Reading, owing: int, owed: int, year: int) -> list[str]:
    """Names of the obligations of one state towards another."""
    row = reading.frame.set_index(["ccode_owing", "ccode_owed", "year"]).loc[(owing, owed, year)]
    return [name for name in OBLIGATIONS if row[name] == 1]


def test_members(write: Write) -> None:
    found = _by_table(read({"by_member": write("m.csv", MEMBER, *MEMBERS)}))
    alliances, members = found["alliances"].frame, found["members"].frame
    assert alliances["alliance_id"].tolist() == ["cow-1", "cow-11"]
    assert alliances["start"].dt.year.tolist() == [1386, 1832]
    assert alliances["end"].isna().tolist() == [True, False]
    assert alliances["kind"].unique().tolist() == ["bilateral"]
    assert alliances["short_name"].tolist() == ["COW 1", "COW 11"]
    assert members["ccode"].tolist() == [211, 220, 200, 235]
    assert members["defense"].tolist() == [0, 1, 1, 1]
    assert members["end"].isna().tolist() == [False, False, True, True]
    assert str(members["start"].iloc[0].date()) == "1832-11-10"
    assert "not coded by this source" in found["alliances"].notes[0]
    assert found["members"].notes == ("1 empty flags of obligations read as not owed",)
    assert (found["members"].first, found["members"].last) == (1816, 2012)


def test_members_by_year_are_the_same_spells(write: Write) -> None:
    header = MEMBER.replace(",version", ",year,version")
    lines = []
    for row in MEMBERS:
        cells = row.rsplit(",", 1)[0].split(",")
        # The file by year fills the open end with 2012.
        cells[15] = cells[15] or "2012"
        lines += [",".join([*cells, str(year), "4.1"]) for year in (1832, 1833)]
    once = read({"by_member": write("m.csv", MEMBER, *MEMBERS)})
    yearly = read({"member_yearly": write("y.csv", header, *lines)})
    for one, other in zip(once, yearly, strict=True):
        left, right = one.frame.reset_index(drop=True), other.frame.reset_index(drop=True)
        pd.testing.assert_frame_equal(left, right)


def test_one_sided_obligations_need_the_members(write: Write) -> None:
    dyads, members = write("d.csv", DYAD, *DYADS), write("m.csv", MEMBER, *MEMBERS)
    reading = _by_table(read({"by_dyad": dyads, "by_member": members}))
    years = reading["obligation_years"]
    assert _owed(years, 220, 211, 1832) == ["defense"]
    assert _owed(years, 211, 220, 1832) == []
    assert _owed(years, 200, 235, 2012) == _owed(years, 235, 200, 1816) != []
    assert years.frame["year"].max() == 2012
    (alone,) = read({"by_dyad": dyads})
    assert _owed(alone, 211, 220, 1832) == ["defense"]
    assert "1 one-sided obligations of a dyad counted for both sides" in alone.notes


def test_a_member_that_came_back_owes_what_its_spell_says(write: Write) -> None:
    """Alliance 9: in its first spell state 2 owes nothing, in its second defence."""
    dates = {"first": "1,1,1900,31,12,1901", "again": "1,1,1905,31,12,1906"}
    spells = [(2, "first", 0), (20, "first", 1), (2, "again", 1), (20, "again", 0)]
    treaty = "1,1,1900,31,12,1906,Type I: Defense Pact"
    members = [f"9,{c},S,{treaty},{dates[name]},0,0,{flag},0,0,1,4.1" for c, name, flag in spells]
    dyads = [f"9,2,A,20,B,{dates[spell]},0,0,1,0,0,1,1,4.1" for spell in dates]
    files = {"by_dyad": write("d.csv", DYAD, *dyads), "by_member": write("m.csv", MEMBER, *members)}
    years = _by_table(read(files))["obligation_years"]
    assert _owed(years, 2, 20, 1901) == ["consultation"]
    assert _owed(years, 20, 2, 1901) == ["defense", "consultation"]
    assert _owed(years, 2, 20, 1905) == ["defense", "consultation"]
    assert _owed(years, 20, 2, 1905) == ["consultation"]
    assert sorted(set(years.frame["year"])) == [1900, 1901, 1905, 1906]


def _yearly(*rows: tuple[int, int, int, int]) -> tuple[str, ...]:
    """Rows of the layout by year: owing, owed, year, defense."""
    return tuple(f"5,{a},A,{b},B,0,0,{defense},0,0,0,{year},4.1" for a, b, year, defense in rows)


YEARLY = (
    "version4id,ccode1,state_name1,ccode2,state_name2,left_censor,right_censor,defense,neutrality,"
    "nonaggression,entente,year,version"
)


def test_rows_of_year_zero_are_refused_with_the_way_out(write: Write) -> None:
    header = YEARLY.replace(",year", ",asymmetric,year")
    rows = [r.replace(",0,0,0,", ",0,0,0,0,", 1) for r in _yearly((2, 666, 1980, 1))]
    zero = ["5,2,A,666,B,0,0,1,0,0,0,0,0,4.1", "5,651,A,666,B,0,0,1,0,0,0,0,0,4.1"]
    path = write("alliance_v4.1_by_dyad_yearly.csv", header, *rows, *zero)
    with pytest.raises(DataError, match=r"row 3, column 'year': found 0 in 2 .*2-666, 651-666"):
        read({"dyad_yearly": path})
    with pytest.raises(DataError, match=r"take alliance_v4\.1_by_dyad\.csv"):
        read({"dyad_yearly": path})


def test_a_directed_file_that_is_not_directed_is_refused(write: Write) -> None:
    name = "alliance_v4.1_by_directed_yearly.csv"
    same = write(name, YEARLY, *_yearly((211, 220, 1832, 1), (220, 211, 1832, 1)))
    with pytest.raises(DataError, match="the same obligations in both directions"):
        read({"directed_yearly": same})
    once = write(name, YEARLY, *_yearly((211, 220, 1832, 1), (2, 20, 1949, 1)))
    with pytest.raises(DataError, match=r"only one direction .* alliance_v4\.1_by_directed\.csv"):
        read({"directed_yearly": once})
    good = write(name, YEARLY, *_yearly((211, 220, 1832, 0), (220, 211, 1832, 1)))
    (reading,) = read({"directed_yearly": good})
    assert _owed(reading, 220, 211, 1832) == ["defense"]
    assert _owed(reading, 211, 220, 1832) == []


def test_no_file_is_refused() -> None:
    with pytest.raises(ArgumentError, match="The files given have the roles none; expected"):
        read({})


@pytest.fixture(scope="module")
def release(reference: Path) -> Mapping[str, Path]:
    folder = reference / "official/cow_alliances"
    names = ("by_member", "by_dyad", "by_directed")
    files = {name: folder / f"alliance_v4.1_{name}.csv" for name in names}
    return files | {"member_yearly": folder / "alliance_v4.1_by_member_yearly.csv"}


@pytest.mark.reference
def test_known_numbers(release: Mapping[str, Path]) -> None:
    found = _by_table(read({"by_member": release["by_member"]}))
    alliances, members = found["alliances"].frame, found["members"].frame
    assert (len(alliances), len(members)) == (414, 1221)
    raw = pd.read_csv(release["by_member"])
    ended = raw.drop_duplicates("version4id")["all_end_year"]
    assert alliances["end"].isna().sum() == ended.isna().sum() > 0
    assert len(overlapping(members, on=["alliance_id", "ccode"])) == 0
    assert members["end"].isna().sum() == raw["right_censor"].sum() == 359
    assert found["members"].notes == ("3 empty flags of obligations read as not owed",)
    yearly = _by_table(read({"member_yearly": release["member_yearly"]}))
    pd.testing.assert_frame_equal(
        members.reset_index(drop=True), yearly["members"].frame.reset_index(drop=True)
    )


@pytest.mark.reference
def test_nato_as_this_source_knows_it(release: Mapping[str, Path], reference: Path) -> None:
    members = _by_table(read({"by_member": release["by_member"]}))["members"].frame
    nato = members[members["alliance_id"] == "cow-227"]
    first = nato.groupby("ccode")["start"].min().dt.year
    check = pd.read_csv(reference / "processed/check_nato_first_year.csv.gz").set_index("ccode")
    expected = check["cow_v41_first_year"].dropna().astype(int)
    assert first.to_dict() == expected.to_dict()
    assert len(nato.loc[nato["ccode"] == 220]) == 1
    assert nato.loc[nato["ccode"] == 220, "end"].isna().all()


@pytest.mark.reference
def test_dyad_years(release: Mapping[str, Path], reference: Path) -> None:
    with_members = {name: release[name] for name in ("by_dyad", "by_member")}
    dyads = _by_table(read(with_members))["obligation_years"]
    (directed,) = read({"by_directed": release["by_directed"]})
    # The dyads with the members' own flags are the directed file, obligation by obligation.
    pd.testing.assert_frame_equal(
        dyads.frame.reset_index(drop=True), directed.frame.reset_index(drop=True)
    )
    assert _owed(directed, 220, 211, 1832) == ["defense"]
    assert _owed(directed, 211, 220, 1832) == []
    (undirected,) = read({"by_dyad": release["by_dyad"]})
    table = reference / "processed/cow_alliance.csv.gz"
    (processed,) = read({"dyad_yearly": table})
    keys = ["ccode_owing", "ccode_owed", "year"]
    ours, theirs = (
        reading.frame[reading.frame["ccode_owing"] < reading.frame["ccode_owed"]]
        for reading in (undirected, processed)
    )
    assert (len(ours), len(theirs)) == (60_372, 60_392)
    both = ours.merge(theirs, on=keys, suffixes=("", "_there"))
    assert len(both) == 60_181
    differ = {name: int((both[name] != both[f"{name}_there"]).sum()) for name in OBLIGATIONS}
    # The 30 of consultation in the reference's notes count 11 years of an empty flag besides.
    assert differ == {
        "defense": 109,
        "offense": 0,
        "neutrality": 38,
        "nonaggression": 1604,
        "consultation": 19,
    }


@pytest.mark.reference
def test_the_file_by_dyad_is_not_directed(release: Mapping[str, Path], tmp_path: Path) -> None:
    """The real spells, written as the release's file by year is: one flag for both directions."""
    raw = pd.read_csv(release["by_dyad"]).query("dyad_st_year >= 1900").head(400)
    last = raw["dyad_end_year"].fillna(2012).astype(int)
    rows = raw.loc[np.repeat(raw.index, last - raw["dyad_st_year"] + 1)]
    offset = rows.groupby(level=0).cumcount()
    rows = rows.assign(year=rows["dyad_st_year"] + offset).drop(columns="asymmetric")
    swapped = rows.rename(columns={"ccode1": "ccode2", "ccode2": "ccode1"})
    path = tmp_path / "alliance_v4.1_by_directed_yearly.csv"
    pd.concat([rows, swapped]).to_csv(path, index=False)
    with pytest.raises(DataError, match="the same obligations in both directions"):
        read({"directed_yearly": path})
