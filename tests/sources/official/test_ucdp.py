"""UCDP: several codes in a field, episodes, the known numbers, re-saved and damaged copies."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from forecast.errors import DataError
from forecast.sources.official import reader

read = reader("ucdp").read

Write = Callable[..., Path]

#: Header of release 26.1, as of every release since 19.1.
HEADER = (
    "conflict_id,location,side_a,side_a_id,side_a_2nd,side_b,side_b_id,side_b_2nd,incompatibility,"
    "territory_name,year,intensity_level,cumulative_intensity,type_of_conflict,start_date,"
    "start_prec,start_date2,start_prec2,ep_end,ep_end_date,ep_end_prec,gwno_a,gwno_a_2nd,gwno_b,"
    "gwno_b_2nd,gwno_loc,region,version"
)


def _row(year: int, **cells: object) -> str:
    c = {
        "number": 420,
        "intensity": 1,
        "kind": 2,
        "start": f"{year}-03-20",
        "precision": 1,
        "end": 0,
        "end_date": "",
        "a": "900",
        "a2": "",
        "b": "645",
        "b2": "",
    } | cells
    return (
        f'{c["number"]},"Australia, Iraq",Australia,1,,Government of Iraq,2,,2,,{year},'
        f"{c['intensity']},0,{c['kind']},{c['start']},1,{c['start']},{c['precision']},{c['end']},"
        f'{c["end_date"]},,"{c["a"]}","{c["a2"]}","{c["b"]}","{c["b2"]}","645",2,26.1'
    )


def _read(write: Write, *rows: str) -> pd.DataFrame:
    path = write("UcdpPrioConflict_v26_1.csv", HEADER, *rows, encoding="utf-8-sig")
    return read({"conflicts": path})[0].frame


def _years(frame: pd.DataFrame, last: int) -> set[tuple[int, int]]:
    number = frame["conflict_id"].str.extract(r"-(\d+)")[0].astype(int)
    ends = frame["end"].dt.year.fillna(last).astype(int)
    spells = zip(number, frame["start"].dt.year, ends, strict=True)
    return {(n, y) for n, first, end in spells for y in range(first, end + 1)}


def test_all_states_of_both_sides_are_paired_in_their_roles(write: Write) -> None:
    cells = {"a": "900,  200,  2", "b2": "651", "intensity": 2}
    frame = _read(write, _row(2003, **cells, end=1, end_date="2003-05-01"), _row(2010, number=9))
    one = frame[frame["conflict_id"] == "ucdp-420"].set_index(["ccode_a", "ccode_b"])
    assert sorted(one.index) == [(2, 645), (2, 651), (200, 645), (200, 651), (645, 900), (651, 900)]
    main = one.loc[(2, 645)]
    assert (main["role_a"], main["role_b"], main["level"]) == ("originator", "originator", "war")
    assert (str(main["start"].date()), str(main["end"].date())) == ("2003-03-20", "2003-05-01")
    supporter = one.loc[(2, 651)]
    assert (supporter["role_a"], supporter["role_b"]) == ("originator", "joiner")
    # When supporters came is known to the year only.
    assert (supporter["start_precision"], str(supporter["start"].date())) == ("year", "2003-01-01")
    assert one["initiator"].unique().tolist() == ["unclear"]


def test_a_year_without_fighting_begins_a_new_spell(write: Write) -> None:
    rows = [_row(2003), _row(2004, start="2003-03-20", intensity=2), _row(2006, precision=3)]
    frame = _read(write, *rows, _row(2007, start="2006-03-20", number=421, kind=3, b="x"))
    assert frame["conflict_id"].tolist() == ["ucdp-420", "ucdp-420.2"]
    assert frame["level"].tolist() == ["war", "use_of_force"]
    assert frame["deaths_class"].tolist() == [6, 1]
    assert [str(d.date()) for d in frame["start"]] == ["2003-03-20", "2006-03-01"]
    assert frame["start_precision"].tolist() == ["day", "month"]
    assert frame["end_precision"].tolist() == ["year", "year"]


def test_an_episode_of_the_last_year_that_has_not_ended_goes_on(write: Write) -> None:
    frame = _read(write, _row(2025))
    assert pd.isna(frame["end"].iloc[0])
    assert frame["outcome"].tolist() == ["ongoing"]


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ({"a": "2; 200"}, r"row 2, column 'gwno_a': found '2; 200', expected Gleditsch-Ward"),
        ({"b": ""}, r"row 2, column 'gwno_b': found '', expected the number of a state"),
        ({"kind": 7}, r"row 2, column 'type_of_conflict': found '7', expected a type from 1 to 4"),
        ({"start": "20-3-2003"}, r"row 2, column 'start_date2': found '20-3-2003', expected a cal"),
    ],
)
def test_faulty_cells_are_refused(write: Write, cells: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        _read(write, _row(2003, **cells))


@pytest.mark.reference
@pytest.mark.parametrize(
    ("role", "path", "spells", "years", "last"),
    [
        ("conflicts", "processed/ucdp_acd.csv.gz", 195, 147, 2024),
        ("conflicts", "processed/ucdp_prio_acd_22_1.csv.gz", 182, 138, 2021),
        ("dyads", "official/ucdp/Dyadic_v24_1.csv", 183, 143, 2023),
    ],
)
def test_known_conflict_years(
    reference: Path, role: str, path: str, spells: int, years: int, last: int
) -> None:
    """147 interstate conflict-years in 25.1; the others as counted in the files themselves."""
    (reading,) = read({role: reference / path})
    assert (len(reading.frame), reading.first, reading.last) == (spells, 1946, last)
    assert len(_years(reading.frame, last)) == years
    raw = pd.read_csv(reference / path, dtype=str)
    between = raw[raw["type_of_conflict"].isin(["2", "interstate"])]
    listed = set(between[["conflict_id", "year"]].astype(int).itertuples(index=False, name=None))
    assert _years(reading.frame, last) == listed


@pytest.mark.reference
def test_an_extra_index_column_and_a_decimal_comma_do_no_harm(reference: Path) -> None:
    clean = reference / "processed" / "ucdp_prio_acd_22_1.csv.gz"
    resaved = reference / "official" / "variants" / "ucdp-prio-acd-221_extra_index.csv"
    one, two = (read({"conflicts": path})[0].frame for path in (clean, resaved))
    pd.testing.assert_frame_equal(one, two)


@pytest.mark.reference
def test_the_damaged_copy_is_refused(reference: Path, tmp_path: Path) -> None:
    path = reference / "official" / "variants" / "UcdpPrioConflict_v25_1_resaved_damaged.csv"
    with pytest.raises(DataError, match="row 1: the separator is a semicolon, expected a comma"):
        read({"conflicts": path})
    # With the separators mended the cut record is found: its second half has no number.
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    lines = [line.replace(",", " ").replace(";", ",") for line in lines]
    mended = tmp_path / "mended.csv"
    mended.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(DataError, match="row 43, column 'conflict_id': found '', expected a whole"):
        read({"conflicts": mended})
    # And with both halves left out, the dates.
    mended.write_text("\n".join(lines[:41] + lines[43:]), encoding="utf-8")
    with pytest.raises(DataError, match="row 2, column 'start_date2': found '15-11-2012'"):
        read({"conflicts": mended})
