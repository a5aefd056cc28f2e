"""The field's own files: siblings of one layout, Stata copies, participants without a side."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from forecast.errors import DataError, MissingFileError, UnknownNameError
from forecast.sources.catalogue import (
    add,
    add_found,
    available,
    catalogue,
    gaps,
    get,
    read_source,
    status,
)
from forecast.sources.catalogue_file import family_of
from forecast.sources.copies import UnrecognisedError
from forecast.sources.official import reader

read_atop = reader("atop").read
read_mid = reader("cow_mid").read
read_nmc = reader("cow_nmc").read

HEAD_A = "dispnum,stday,stmon,styear,endday,endmon,endyear,outcome,settle,fatality,hostlev,recip"
HEAD_B = "dispnum,ccode,stday,stmon,styear,endday,endmon,endyear,sidea,orig"


@pytest.mark.reference
@pytest.mark.parametrize(("role", "letter"), [("alliances", "a"), ("members", "m")])
def test_atop_without_non_aggression_is_refused_by_content(
    reference: Path, role: str, letter: str
) -> None:
    path = reference / f"official/variants/atop5_1{letter}_NNA.csv"
    with pytest.raises(DataError, match=r"non-aggression alone.*without _NNA"):
        read_atop({role: path})


@pytest.mark.parametrize(
    "name", ["atop5_1a_NNA.csv", "atop5_1sy.csv", "atop5_1dy.csv", "atop5_1m_nna.dta"]
)
def test_another_table_is_named_and_no_role_is_proposed(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text("atopid,year\n1,1900\n", encoding="utf-8")
    with pytest.raises(UnrecognisedError, match="; take ") as caught:
        add("atop_5_1", path, cache=tmp_path / "cache")
    assert f"--from alliances={name}" not in str(caught.value)
    assert "Is '" not in str(caught.value)


@pytest.mark.parametrize("role", ["", "system"])
def test_member_years_of_cow_say_what_to_take(role: str, tmp_path: Path) -> None:
    path = tmp_path / "system2016.csv"
    path.write_text("ccode,stateabb,year\n2,USA,1816\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"member years.*take states2016\.csv"):
        add("cow_states_2016", {role: path} if role else path, cache=tmp_path / "cache")


@pytest.mark.reference
def test_a_stata_copy_reads_as_the_csv_and_the_missing_file_is_named(
    reference: Path, tmp_path: Path
) -> None:
    path = reference / "official/atop/atop5_1m.csv"
    pd.read_csv(path, low_memory=False).to_stata(
        tmp_path / "atop5_1m.dta", write_index=False, version=118
    )
    add("atop_5_1", tmp_path / "atop5_1m.dta", cache=tmp_path / "cache")
    copies = read_atop({"members": tmp_path / "cache" / "atop_5_1" / "atop5_1m.dta"})
    for one, two in zip(copies, read_atop({"members": path}), strict=True):
        pd.testing.assert_frame_equal(one.frame, two.frame)
    (said,) = gaps("atop_5_1", cache=tmp_path / "cache")
    assert "atop5_1ddyr.csv" in said
    assert "who owes whom" in said


def test_what_is_no_stata_file_or_one_of_r_is_refused(tmp_path: Path) -> None:
    (tmp_path / "atop5_1m.dta").write_text("atopid\n1\n", encoding="utf-8")
    with pytest.raises(DataError, match="not a whole Stata file"):
        add("atop_5_1", tmp_path / "atop5_1m.dta", cache=tmp_path / "cache")
    (tmp_path / "m.rds").write_bytes(b"\x1f\x8b\0\0")
    with pytest.raises(DataError, match=r"m\.rds: not a whole file of R"):
        add("atop_5_1", {"members": tmp_path / "m.rds"}, cache=tmp_path / "cache")


@pytest.mark.reference
def test_mid_4_3_is_read_from_stata(reference: Path) -> None:
    files = {
        role: reference / f"official/cow_mid/{role.upper()} 4.3.dta" for role in ("mida", "midb")
    }
    readings = {reading.table: reading for reading in read_mid(files)}
    mida = pd.read_stata(files["mida"], convert_categoricals=False)
    assert len(readings["disputes"].frame) == len(mida)
    assert readings["disputes"].first == 1816


def test_a_participant_without_a_side_is_left_out_and_counted(tmp_path: Path) -> None:
    mida, midb = tmp_path / "a.csv", tmp_path / "b.csv"
    mida.write_text(f"{HEAD_A}\n1,1,1,1900,2,1,1900,6,3,0,4,0\n", encoding="utf-8")
    rows = "1,2,1,1,1900,2,1,1900,1,1\n1,200,1,1,1900,2,1,1900,0,1\n1,220,1,1,1900,2,1,1900,NA,NA\n"
    midb.write_text(f"{HEAD_B}\n{rows}", encoding="utf-8")
    conflicts, _, participants = read_mid({"mida": mida, "midb": midb})
    assert participants.frame["ccode"].tolist() == [2, 200]
    assert len(conflicts.frame) == 1
    assert participants.notes == ("1 participants without a side left out",)
    midb.write_text(f"{HEAD_B}\n{rows.replace(',0,1', ',0,NA', 1)}", encoding="utf-8")
    with pytest.raises(DataError, match=r"b\.csv, row \d.*orig"):
        read_mid({"mida": mida, "midb": midb})


@pytest.mark.reference
def test_the_state_years_of_atop_are_those_of_its_members(reference: Path) -> None:
    """The authors' own count, which is not read, checks the reading of the file that is."""
    official = reference / "official/atop"
    years = pd.read_csv(official / "atop5_1sy.csv")
    long = years.melt(["state", "year"], [c for c in years if c.startswith("atopid")])
    theirs = set(long.dropna()[["state", "year", "value"]].astype(int).itertuples(index=False))
    members = next(
        r for r in read_atop({"members": official / "atop5_1m.csv"}) if r.table == "members"
    ).frame
    ours = {
        (state, year, int(treaty.removeprefix("atop-").split("-phase")[0]))
        for state, treaty, start, end in zip(
            members["ccode"],
            members["alliance_id"],
            members["start"].dt.year,
            members["end"].dt.year.fillna(2018).astype(int),
            strict=True,
        )
        for year in range(start, end + 1)
    }
    assert len(theirs) == 46_997
    assert (len(theirs - ours), len(ours - theirs)) == (0, 0)


#: A release that no catalogue lists, of each kind of evidence: file, key, table, rows, last year.
UNLISTED = [
    ("ucdp/ucdp-prio-acd-191.csv", "ucdp_acd_19_1", "conflicts", 178, 2018),
    ("ucdp/UcdpPrioConflict_v24_1.csv", "ucdp_acd_24_1", "conflicts", 183, 2023),
    ("cow_mid/MID? 4.3.dta", "cow_mid_4_3", "disputes", 2031, 2000),
    ("variants/contdir_v31_cr_only.csv", "cow_contiguity_3_1", "contiguity", None, 2006),
]


@pytest.mark.reference
@pytest.mark.parametrize(("files", "key", "table", "rows", "last"), UNLISTED)
def test_a_release_that_is_not_listed_is_read_by_its_layout(
    reference: Path, tmp_path: Path, files: str, key: str, table: str, rows: int | None, last: int
) -> None:
    paths = sorted((reference / "official").glob(files))
    added, failed = add_found(paths, sources=[family_of(key)], cache=tmp_path)
    assert (list(added), failed) == ([key], {})
    assert available(tmp_path) == [key]
    readings = {reading.table: reading for reading in read_source(key, tmp_path)}
    assert readings[table].last == last
    assert rows is None or len(readings[table].frame) == rows
    release = catalogue()[key].release
    assert f"({release}): not listed in the catalogue" in " ".join(readings[table].notes)
    assert status(tmp_path)[key]["cached"]
    # Each by its own key too, which the rows must bear out.
    wrong = f"{family_of(key)}_99_9"
    roles = dict(zip(added[key], paths, strict=True))
    with pytest.raises(DataError, match=r"column 'version': found .*, expected 99\.9"):
        add(wrong, roles, cache=tmp_path)
    assert add(key, roles, cache=tmp_path) == added[key]


@pytest.mark.reference
def test_releases_of_a_folder_are_told_apart(reference: Path, tmp_path: Path) -> None:
    folder = reference / "official/ucdp"
    added, failed = add_found([folder], cache=tmp_path)
    assert failed == {}
    assert set(added) == {"ucdp_dyadic_24_1", "ucdp_acd_19_1", "ucdp_acd_24_1"}
    # A listed release goes to its own key, whatever the name of the file.
    (tmp_path / "mine.csv").write_bytes(
        (reference / "official/cow_nmc/NMC-60-abridged.csv").read_bytes()
    )
    assert set(add("cow_nmc", tmp_path / "mine.csv", cache=tmp_path)) == {"nmc"}
    assert "cow_nmc_6_0" in available(tmp_path)
    with pytest.raises(DataError, match=r"found ucdp_acd_24_1, ucdp_acd_19_1, expected.*one"):
        add("ucdp_acd", folder, cache=tmp_path)
    with pytest.raises(UnrecognisedError, match=r"gml: none of the 3 files given is known"):
        add("gml", folder, cache=tmp_path)


NMC = "ccode,year,milex,milper,irst,pec,tpop,upop,cinc,version\n2,1816,1,1,1,1,1,1,.1,{}\n"


def test_what_does_not_say_its_release(tmp_path: Path) -> None:
    path = tmp_path / "NMC_v4_0.csv"
    path.write_text(NMC.replace(",version", "").replace(",{}", ""), encoding="utf-8")
    with pytest.raises(DataError, match=r"v4_0\.csv: found no column 'version'.*cow_nmc_RELEASE"):
        add("cow_nmc", path, cache=tmp_path / "cache")
    assert list(add("cow_nmc_4_0", path, cache=tmp_path / "cache")) == ["nmc"]
    two = NMC.format(3.02) + NMC.splitlines()[1].format(4) + "\n"
    path.write_text(two, encoding="utf-8")
    with pytest.raises(DataError, match=r"found '3\.02' in row 2 and '4' in row 3, expected one"):
        add("cow_nmc", path, cache=tmp_path / "cache")
    path.write_text(NMC.format("draft"), encoding="utf-8")
    with pytest.raises(DataError, match=r"found 'draft', expected the number of a release"):
        add("cow_nmc", path, cache=tmp_path / "cache")
    with pytest.raises(UnknownNameError, match=r"cow_nmc is the family of.*--from FILE"):
        get("cow_nmc", cache=tmp_path / "cache")
    with pytest.raises(MissingFileError, match=r"Not listed in the catalogue \(which has 7\.0"):
        read_source("cow_nmc_9_0", tmp_path / "cache")
    with pytest.raises(UnknownNameError, match="Unknown source 'cow_nmd_9_0'"):
        read_source("cow_nmd_9_0", tmp_path / "cache")


def test_a_table_of_r_reads_as_the_csv(tmp_path: Path) -> None:
    rdata = pytest.importorskip("rdata", reason="the extra `r` is not installed")
    path = tmp_path / "NMC_v4_0.csv"
    path.write_text(NMC.format(4.01) + "2,1817,NA,1,1,1,1,1,.2,4.01\n", encoding="utf-8")
    frame = pd.read_csv(path)
    (one,) = read_nmc({"nmc": path})
    for name, written in (("NMC_v4.rds", rdata.write_rds), ("NMC_v4.rda", rdata.write_rda)):
        written(tmp_path / name, frame if name.endswith("rds") else {"nmc": frame})
        files = add("cow_nmc", tmp_path / name, cache=tmp_path / name[-3:])
        assert files["nmc"].parent.name == "cow_nmc_4_01"
        (two,) = read_nmc(files)
        pd.testing.assert_frame_equal(one.frame, two.frame)
    rdata.write_rda(tmp_path / "two.rda", {"one": frame, "other": frame})
    with pytest.raises(DataError, match=r"found one \(DataFrame\), other.*expected one data frame"):
        add("cow_nmc_4_0", tmp_path / "two.rda", cache=tmp_path / "cache")
