"""The field's own files: siblings of one layout, Stata copies, participants without a side."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from forecast.errors import DataError
from forecast.sources.acquire import add
from forecast.sources.cache import gaps
from forecast.sources.copies import UnrecognisedError
from forecast.sources.official import atop, cow_mid

HEAD_A = "dispnum,stday,stmon,styear,endday,endmon,endyear,outcome,settle,fatality,hostlev,recip"
HEAD_B = "dispnum,ccode,stday,stmon,styear,endday,endmon,endyear,sidea,orig"


@pytest.mark.reference
@pytest.mark.parametrize(("role", "letter"), [("alliances", "a"), ("members", "m")])
def test_atop_without_non_aggression_is_refused_by_content(
    reference: Path, role: str, letter: str
) -> None:
    path = reference / f"official/variants/atop5_1{letter}_NNA.csv"
    with pytest.raises(DataError, match=r"non-aggression alone.*without _NNA"):
        atop.read({role: path})


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
    copies = atop.read({"members": tmp_path / "cache" / "atop_5_1" / "atop5_1m.dta"})
    for one, two in zip(copies, atop.read({"members": path}), strict=True):
        pd.testing.assert_frame_equal(one.frame, two.frame)
    (said,) = gaps("atop_5_1", cache=tmp_path / "cache")
    assert "atop5_1ddyr.csv" in said
    assert "who owes whom" in said


def test_what_is_no_stata_file_or_one_of_r_is_refused(tmp_path: Path) -> None:
    (tmp_path / "atop5_1m.dta").write_text("atopid\n1\n", encoding="utf-8")
    with pytest.raises(DataError, match="not a whole Stata file"):
        add("atop_5_1", tmp_path / "atop5_1m.dta", cache=tmp_path / "cache")
    (tmp_path / "m.rds").write_bytes(b"\x1f\x8b\0\0")
    with pytest.raises(DataError, match=r"a file of R.*write\.csv"):
        add("atop_5_1", {"members": tmp_path / "m.rds"}, cache=tmp_path / "cache")


@pytest.mark.reference
def test_mid_4_3_is_read_from_stata(reference: Path) -> None:
    files = {
        role: reference / f"official/cow_mid/{role.upper()} 4.3.dta" for role in ("mida", "midb")
    }
    readings = {reading.table: reading for reading in cow_mid.read(files)}
    mida = pd.read_stata(files["mida"], convert_categoricals=False)
    assert len(readings["disputes"].frame) == len(mida)
    assert readings["disputes"].first == 1816


def test_a_participant_without_a_side_is_left_out_and_counted(tmp_path: Path) -> None:
    mida, midb = tmp_path / "a.csv", tmp_path / "b.csv"
    mida.write_text(f"{HEAD_A}\n1,1,1,1900,2,1,1900,6,3,0,4,0\n", encoding="utf-8")
    rows = "1,2,1,1,1900,2,1,1900,1,1\n1,200,1,1,1900,2,1,1900,0,1\n1,220,1,1,1900,2,1,1900,NA,NA\n"
    midb.write_text(f"{HEAD_B}\n{rows}", encoding="utf-8")
    conflicts, _, participants = cow_mid.read({"mida": mida, "midb": midb})
    assert participants.frame["ccode"].tolist() == [2, 200]
    assert len(conflicts.frame) == 1
    assert participants.notes == ("1 participants without a side left out",)
    midb.write_text(f"{HEAD_B}\n{rows.replace(',0,1', ',0,NA', 1)}", encoding="utf-8")
    with pytest.raises(DataError, match=r"b\.csv, row \d.*orig"):
        cow_mid.read({"mida": mida, "midb": midb})
