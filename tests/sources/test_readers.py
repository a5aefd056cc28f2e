"""What a data set on disk may not be: each kind of damage gives one error that names the place."""

import datetime as dt
import json
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.folders import edit_line, write_tables
from support.tiny import make_tiny_frames

from forecast.errors import DataError, ForecastError, MissingFileError
from forecast.sources.cells import LAST_YEAR
from forecast.sources.embedded import load_tables, read_coverage, tables_from_frames
from forecast.sources.reader import read_table
from forecast.sources.tables import TABLES, Coverage

#: The last day that a cell may hold.
LAST_DAY = dt.date(LAST_YEAR, 12, 31)


def message(folder):
    """Text of the error that loading raises."""
    with pytest.raises(DataError) as caught:
        load_tables(folder)
    return str(caught.value)


def test_files_give_the_same_tables_as_frames(folder, tiny_tables):
    read = load_tables(folder)
    for name in TABLES:
        pd.testing.assert_frame_equal(getattr(read, name), getattr(tiny_tables, name))
    assert read.fingerprint == tiny_tables.fingerprint
    assert read.name == "tiny"


def test_dates_are_seconds_and_open_ends_are_nat(folder):
    read = load_tables(folder)
    assert read.states["start"].dtype == "datetime64[s]"
    assert read.states["end"].dtype == "datetime64[s]"
    assert read.states["end"].isna().sum() == 5


def test_a_date_before_1677_can_be_read(folder):
    edit_line(folder / "states.csv", 2, "1950-01-01", "0962-02-02")
    assert load_tables(folder).states["start"].dt.year.min() == 962


def test_missing_folder_says_what_is_needed(tmp_path):
    with pytest.raises(MissingFileError, match=r"no folder .*seven CSV files.*data=\"historical\""):
        load_tables(tmp_path / "nowhere")


@pytest.mark.parametrize("table", TABLES)
def test_missing_file_says_how_to_get_it(folder, table):
    (folder / f"{table}.csv").unlink()
    with pytest.raises(MissingFileError, match=rf"no file '{table}.csv' in .*reinstall"):
        load_tables(folder)
    with pytest.raises(FileNotFoundError):
        load_tables(folder)


def test_empty_file(folder):
    (folder / "powers.csv").write_text("")
    assert message(folder) == "powers.csv: the file is empty, expected the header ccode,start,end."


def test_header_alone_is_an_empty_table(folder):
    path = folder / "powers.csv"
    path.write_text(path.read_text().splitlines()[0] + "\n")
    assert load_tables(folder).powers.empty


def test_unknown_column_gets_the_nearest_name(folder):
    edit_line(folder / "members.csv", 1, "defense", "defence")
    text = message(folder)
    assert text.startswith("members.csv, row 1: unknown column 'defence'. Did you mean 'defense'?")


def test_missing_column(folder):
    frame = pd.read_csv(folder / "contiguity.csv").drop(columns="type")
    frame.to_csv(folder / "contiguity.csv", index=False)
    assert message(folder).startswith("contiguity.csv, row 1: the column 'type' is missing.")


def test_extra_column(folder):
    path = folder / "powers.csv"
    path.write_text(path.read_text().replace("end\n", "end,rank\n", 1))
    assert "powers.csv, row 1: unknown column 'rank'." in message(folder)


def test_duplicated_column(folder):
    edit_line(folder / "powers.csv", 1, "end", "start")
    assert message(folder) == "powers.csv, row 1: the column 'start' is there twice."


def test_columns_may_come_in_any_order(folder, tiny_tables):
    frame = pd.read_csv(folder / "members.csv", dtype=str)
    frame[frame.columns[::-1]].to_csv(folder / "members.csv", index=False)
    assert load_tables(folder).fingerprint == tiny_tables.fingerprint


@pytest.mark.parametrize(
    ("mark", "word"), [(";", "semicolon"), ("\t", "tab"), ("|", "vertical bar")]
)
def test_wrong_separator(folder, mark, word):
    path = folder / "powers.csv"
    path.write_text(path.read_text().replace(",", mark))
    text = message(folder)
    assert text == f"powers.csv, row 1: the separator is a {word}, expected a comma."


def test_line_with_too_many_fields(folder):
    edit_line(folder / "states.csv", 3, "Bela", "Bela,North")
    text = message(folder)
    assert text.startswith("states.csv, row 3: found 8 fields ('20,BEL,Bela,North,")
    assert "expected 7 ('ccode,abbrev,name," in text


def test_line_cut_in_two(folder):
    edit_line(folder / "states.csv", 4, "Cora,", "Cora\n")
    text = message(folder)
    assert text.startswith("states.csv, row 4: found 3 fields ('30,COR,Cora'), expected 7 ('ccode,")


def test_row_numbers_count_lines_inside_quotes_and_blank_lines(folder):
    edit_line(folder / "alliances.csv", 2, "made by hand", '"made\nby\nhand"')
    edit_line(folder / "alliances.csv", 5, "1992-02-01", "01-02-1992")
    assert message(folder).startswith("alliances.csv, row 5, column 'start'")
    path = folder / "powers.csv"
    path.write_text("ccode,start,end\n\n\n50,x,\n")
    assert "powers.csv, row 4, column 'start': found 'x'" in message(folder)


def test_not_utf8(folder):
    path = folder / "states.csv"
    path.write_bytes(path.read_bytes().replace(b"Dara", "Dára".encode("latin-1")))
    text = message(folder)
    assert text.startswith("states.csv, row 5: byte 0xe1 is not UTF-8.")


def test_utf16_is_refused(folder):
    path = folder / "states.csv"
    path.write_bytes(path.read_text().encode("utf-16"))
    assert "states.csv, row 1: byte 0xff is not UTF-8." in message(folder)


def test_byte_order_mark_and_crlf_change_nothing(folder, tiny_tables):
    for name in TABLES:
        path = folder / f"{name}.csv"
        raw = path.read_bytes()
        path.write_bytes(b"\xef\xbb\xbf" + raw.replace(b"\n", b"\r\n"))
    assert load_tables(folder).fingerprint == tiny_tables.fingerprint


def test_unclosed_quote(folder):
    edit_line(folder / "alliances.csv", 3, "Guarantee of", '"Guarantee of')
    assert "alliances.csv, row 3:" in message(folder)


def test_nul_byte(folder):
    edit_line(folder / "states.csv", 3, "Bela", "Be\0la")
    assert message(folder) == "states.csv, row 3: found a NUL byte, expected text in UTF-8."


@pytest.mark.parametrize(
    "found",
    [
        "04-04-1985", "4/4/1985", "1985-4-4", "19850404", "1985-02-30", "1985", "1985-04-04T00:00",
        "nan", "１９８５-04-04",
    ],
)  # fmt: skip
def test_only_iso_dates_are_dates(folder, found):
    edit_line(folder / "alliances.csv", 4, "1985-04-04", found)
    text = message(folder)
    assert text.startswith(f"alliances.csv, row 4, column 'start': found {found!r}")
    assert "a calendar date as YYYY-MM-DD" in text


@pytest.mark.parametrize("found", ["10.0", "1e1", "ten", "1_0", " 10"])
def test_only_whole_numbers_are_codes(folder, found):
    edit_line(folder / "states.csv", 2, "10", found)
    text = message(folder)
    assert text == f"states.csv, row 2, column 'ccode': found {found!r}, expected a whole number."


@pytest.mark.parametrize("found", ["nan", "inf", "1,5", "1_000", "many"])
def test_only_finite_numbers_are_quantities(folder, found):
    quoted = f'"{found}"' if "," in found else found
    edit_line(folder / "capabilities.csv", 2, "10000000.0", quoted)
    text = message(folder)
    assert text.startswith(f"capabilities.csv, row 2, column 'population': found {found!r}")
    assert "a finite number with a decimal point" in text


@pytest.mark.parametrize(
    ("table", "line", "old", "column"),
    [
        ("states", 2, "1950-01-01", "start"),
        ("states", 2, "10,", "ccode"),
        ("members", 2, "bela-fyra", "alliance_id"),
        ("members", 2, ",1,1", "nonaggression"),
        ("conflicts", 2, "clash", "level"),
    ],
)
def test_empty_where_a_value_is_needed(folder, table, line, old, column):
    new = {"10,": ",", ",1,1": ",,1"}.get(old, "")
    edit_line(folder / f"{table}.csv", line, old, new)
    text = message(folder)
    assert text.startswith(f"{table}.csv, row {line}, column {column!r}: found ''")
    assert "may not be empty" in text


def test_blank_at_the_end_of_a_text(folder):
    edit_line(folder / "members.csv", 2, "bela-fyra", "bela-fyra ")
    assert "column 'alliance_id': found 'bela-fyra '" in message(folder)


@pytest.mark.parametrize(
    ("table", "line", "old", "new", "expected"),
    [
        ("states", 2, "Europe", "Europa", "column 'region': found 'Europa', expected one of "),
        ("states", 2, "ARV,Arvo", "Arv,Arvo", "column 'abbrev': found 'Arv', expected text that"),
        ("contiguity", 3, "30,1,", "30,6,", "column 'type': found 6, expected a number from 1 to"),
        ("members", 7, "0,0,1,1", "0,0,2,1", "column 'nonaggression': found 2, expected one of 0"),
        ("conflicts", 2, "clash", "clsh", "column 'level': found 'clsh', expected one of threat,"),
        ("conflicts", 3, "war,6", "war,7", "column 'deaths_class': found 7, expected a number"),
        ("capabilities", 2, "1990", "199", "column 'year': found 199, expected a number from"),
        ("capabilities", 2, "10000000.0", "-3", "column 'population': found -3.0, expected a num"),
        ("capabilities", 2, "observed", "guess", "column 'population_flag': found 'guess', exp"),
        ("alliances", 2, "bela-fyra", "Bela Fyra", "column 'alliance_id': found 'Bela Fyra', e"),
        ("alliances", 2, "bilateral", "bi-lateral", "column 'kind': found 'bi-lateral', expecte"),
    ],
)
def test_value_outside_what_is_allowed(folder, table, line, old, new, expected):
    edit_line(folder / f"{table}.csv", line, old, new)
    assert message(folder).startswith(f"{table}.csv, row {line}, {expected}")


def test_nearest_enum_value_is_named(folder):
    edit_line(folder / "states.csv", 2, "Europe", "Europa")
    assert "Did you mean 'Europe'?" in message(folder)


def test_further_problems_are_counted(folder):
    path = folder / "states.csv"
    path.write_text(path.read_text().replace("Europe", "Europa"))
    assert message(folder).endswith("(1 more of this kind in the file.)")


def test_pairs_are_ordered(folder):
    edit_line(folder / "contiguity.csv", 2, "10,20", "20,10")
    text = message(folder)
    assert text.startswith("contiguity.csv, row 2, column 'ccode_a, ccode_b': found (20, 10)")


def test_short_names_are_unique(folder):
    edit_line(folder / "alliances.csv", 3, "Guarantee,", "North Pact,")
    assert "column 'short_name': found 'North Pact', expected a value that no other row has" in (
        message(folder)
    )


@pytest.mark.parametrize("table", TABLES)
def test_duplicate_key(folder, table):
    path = folder / f"{table}.csv"
    lines = path.read_text().rstrip("\n").split("\n")
    path.write_text("\n".join([*lines, lines[1]]) + "\n")
    assert message(folder).startswith(f"{table}.csv, rows 2, {len(lines) + 1}: the key (")


def test_duplicate_key_names_both_rows(folder):
    edit_line(folder / "capabilities.csv", 3, "1991", "1990")
    assert message(folder) == (
        "capabilities.csv, rows 2, 3: the key (ccode=10, year=1990) is there 2 times, "
        "expected once."
    )


def test_end_before_start(folder):
    edit_line(folder / "conflicts.csv", 2, "1990-04-01", "1990-02-28")
    text = message(folder)
    assert text == (
        "conflicts.csv, row 2, column 'end': found 1990-02-28, expected a day no earlier than "
        "the start 1990-03-01."
    )


def test_a_spell_of_one_day_is_a_spell(folder):
    edit_line(folder / "conflicts.csv", 2, "1990-04-01", "1990-03-01")
    assert len(load_tables(folder).conflicts) == 13


@pytest.mark.parametrize(
    ("table", "line", "old", "new", "rows"),
    [
        ("states", 8, "2001-01-01", "1998-12-30", "rows 7 and 8"),
        ("contiguity", 5, "2000-01-01", "1999-12-31", "rows 4 and 5"),
        ("members", 4, "2001-01-01", "1998-12-31", "rows 3 and 4"),
    ],
)
def test_overlapping_spells(folder, table, line, old, new, rows):
    edit_line(folder / f"{table}.csv", line, old, new)
    text = message(folder)
    assert text.startswith(f"{table}.csv, {rows}: the spells of ")
    assert "without a common day" in text


@pytest.mark.parametrize("day", ["1998-12-31", "1999-01-01"])
def test_memberships_that_touch_are_one(folder, day):
    before = load_tables(folder).states
    edit_line(folder / "states.csv", 8, "2001-01-01", day)
    states = load_tables(folder).states
    assert len(states) == len(before) - 1
    (own,) = states[states["ccode"] == 60].itertuples()
    assert own.start == before.loc[before["ccode"] == 60, "start"].iloc[0]


def test_overlapping_power_spells(folder):
    path = folder / "powers.csv"
    path.write_text(path.read_text() + "50,2000-01-01,\n")
    assert message(folder).startswith("powers.csv, rows 2 and 3: the spells of ccode=50 overlap")


@pytest.mark.parametrize(
    ("table", "line", "old", "new", "column"),
    [
        ("powers", 2, "50", "51", "ccode"),
        ("contiguity", 3, "20,30", "20,31", "ccode_b"),
        ("capabilities", 2, "10,", "11,", "ccode"),
        ("members", 2, "fyra,20", "fyra,21", "ccode"),
        ("conflicts", 2, "10,20", "10,21", "ccode_b"),
    ],
)
def test_unknown_state_code(folder, table, line, old, new, column):
    edit_line(folder / f"{table}.csv", line, old, new)
    text = message(folder)
    assert text.startswith(f"{table}.csv, row {line}, column {column!r}: found ")
    assert "expected a COW state number that is in states.csv" in text


def test_unknown_alliance_gets_the_nearest(folder):
    edit_line(folder / "members.csv", 7, "north-pact", "norh-pact")
    text = message(folder)
    assert text.startswith("members.csv, row 7, column 'alliance_id': found 'norh-pact', expected")
    assert "Did you mean 'north-pact'?" in text


def test_member_outside_its_alliance(folder):
    edit_line(folder / "members.csv", 7, "1985-04-04", "1985-04-03")
    text = message(folder)
    assert text.startswith("members.csv, row 7: the membership of state 10 (1985-04-03 to open)")
    assert "outside the alliance 'north-pact' (1985-04-04 to open, alliances.csv, row 4)" in text


def test_member_that_outlives_its_alliance(folder):
    edit_line(folder / "members.csv", 6, "2003-06-30", "")
    assert "members.csv, row 6: the membership of state 50 (1992-02-01 to open)" in message(folder)


def test_member_that_was_not_a_state(folder):
    edit_line(folder / "members.csv", 3, "1996-05-01,1998-12-31", "1999-02-01,1999-12-31")
    text = message(folder)
    assert text.startswith("members.csv, row 3: state 60 was not in the state system at any time")
    assert "1950-01-01 to 1998-12-31; 2001-01-01 to open" in text


def test_membership_is_cut_where_a_state_is_absent(folder):
    edit_line(folder / "members.csv", 3, "1998-12-31", "2000-12-31")
    members = load_tables(folder).members
    own = members[(members["alliance_id"] == "bela-fyra") & (members["ccode"] == 60)]
    assert own["end"].iloc[0] == pd.Timestamp("1998-12-31")
    assert own["start"].iloc[1] == pd.Timestamp("2001-01-01")


def test_alliance_of_one(folder):
    path = folder / "members.csv"
    kept = [line for line in path.read_text().split("\n") if not line.startswith("eron-dara,40")]
    path.write_text("\n".join(kept))
    assert "'eron-dara' has fewer than two states in members.csv" in message(folder)


def test_conflict_before_a_state_existed(folder):
    edit_line(folder / "conflicts.csv", 4, "1997-05-01", "1994-05-01")
    text = message(folder)
    assert text.startswith("conflicts.csv, row 4, column 'ccode_b': state 30 was not in the state")
    assert "1995-07-01 to open" in text


def test_neighbours_that_never_met(folder):
    edit_line(folder / "contiguity.csv", 3, "1995-07-01,", "1994-01-01,1995-06-30")
    text = message(folder)
    assert text.startswith("contiguity.csv, row 3: states 20 and 30 were not in the state system")
    assert "1950-01-01 to open and 1995-07-01 to open" in text


def test_power_that_was_not_a_state(folder):
    edit_line(folder / "powers.csv", 2, "50,1950-01-01,", "30,1990-01-01,1995-06-30")
    assert message(folder).startswith("powers.csv, row 2: state 30 was not in the state system")


def test_conflict_of_two_states_that_never_met(folder):
    edit_line(folder / "states.csv", 5, "2003-06-30", "2001-01-01")
    edit_line(folder / "states.csv", 8, "2001-01-01", "2001-01-02")
    edit_line(folder / "contiguity.csv", 7, "60,5,2001-01-01,2003-06-30", "60,5,1949-01-01,")
    edit_line(folder / "contiguity.csv", 6, "1950-01-01", "1950-01-02")
    edit_line(folder / "contiguity.csv", 7, "1949-01-01,", "1949-01-01,1950-01-01")
    edit_line(folder / "conflicts.csv", 11, "2003-01-01", "2001-01-01")
    text = message(folder)
    assert text.startswith("conflicts.csv, row 11: states 40 and 60 were not in the state system")
    assert "on a common day of 2001" in text


def test_conflict_without_end_is_ongoing(folder):
    edit_line(folder / "conflicts.csv", 14, "ongoing", "stalemate")
    text = message(folder)
    assert "row 14, column 'outcome': found 'stalemate', expected 'ongoing'" in text


def with_evidence(frames):
    """The tiny conflicts with kind and evidence, which they have not of themselves."""
    conflicts = frames["conflicts"]
    known = conflicts["deaths_class"].notna()
    at = list(conflicts.columns).index("source")
    conflicts.insert(at, "evidence", known.map({True: "reported", False: None}).astype("str"))
    conflicts.insert(at, "kind", pd.array(["land"] * len(conflicts), dtype="str"))
    return frames


def test_kind_and_evidence_may_be_absent_and_are_then_missing(tiny_tables, tmp_path):
    assert tiny_tables.conflicts[["kind", "evidence"]].isna().all(axis=None)
    frames = with_evidence(make_tiny_frames())
    read = load_tables(write_tables(tmp_path / "with", frames))
    assert read.conflicts["kind"].eq("land").all()
    assert read.conflicts["evidence"].isna().sum() == 1
    assert read.fingerprint != tiny_tables.fingerprint


@pytest.mark.parametrize(
    ("line", "old", "new", "expected"),
    [
        (3, "reported", "", "column 'evidence': found nothing, expected how the deaths are known"),
        (10, "land,", "land,official", "column 'evidence': found 'official', expected nothing"),
        (3, "reported", "none_reported", "column 'evidence': found 'none_reported', expected 'off"),
        (3, "reported", "rumour", "column 'evidence': found 'rumour', expected one of official, r"),
    ],
)
def test_evidence_is_there_exactly_where_deaths_are(tmp_path, line, old, new, expected):
    where = write_tables(tmp_path / "tiny", with_evidence(make_tiny_frames()))
    edit_line(where / "conflicts.csv", line, old, new)
    assert message(where).startswith(f"conflicts.csv, row {line}, {expected}")


@pytest.mark.parametrize(
    ("table", "line", "old", "new", "column"),
    [
        ("conflicts", 14, "2010-12-01", "2011-01-01", "start"),
        ("members", 6, "2003-06-30", "2030-06-30", "end"),
        ("capabilities", 22, "2010", "2011", "year"),
    ],
)
def test_nothing_past_the_coverage(folder, table, line, old, new, column):
    edit_line(folder / f"{table}.csv", line, old, new)
    if table == "members":
        edit_line(folder / "alliances.csv", 3, "2003-06-30", "")
        edit_line(folder / "states.csv", 5, "2003-06-30", "")
    text = message(folder)
    assert text.startswith(f"{table}.csv, row {line}, column {column!r}: found {new}")
    assert "2010, the last year that the table covers" in text


def test_descriptor_is_needed(folder):
    (folder / "datapackage.json").unlink()
    with pytest.raises(MissingFileError, match=r"datapackage\.json.*which years each table covers"):
        load_tables(folder)
    given = dict.fromkeys(TABLES, Coverage(1990, 2010, "x", "1", "CC0-1.0"))
    assert load_tables(folder, coverage=given).coverage["states"].last == 2010


@pytest.mark.parametrize("text", ["{", "[]", "\xff", '{"resources": 3}'])
def test_descriptor_that_is_not_one(folder, text):
    (folder / "datapackage.json").write_text(text, encoding="latin-1")
    with pytest.raises(DataError, match=r"datapackage\.json"):
        load_tables(folder)


@pytest.mark.parametrize("years", [None, {}, {"first": 1990}, {"first": "1990", "last": 2010},
                                   {"first": 2010, "last": 1990}])  # fmt: skip
def test_coverage_must_be_stated(folder, years):
    path = folder / "datapackage.json"
    package = json.loads(path.read_text())
    package["resources"][6]["coverage"] = years
    path.write_text(json.dumps(package))
    with pytest.raises(DataError, match="resource 'conflicts', property 'coverage': found"):
        load_tables(folder)


def test_coverage_is_read(folder):
    one = read_coverage(folder)["members"]
    assert (one.first, one.last) == (1990, 2010)
    assert (one.source, one.version, one.licence) == ("Tiny world", "1", "CC0-1.0")


def test_frames_need_every_table(tiny_frames, tiny_coverage):
    del tiny_frames["powers"]
    with pytest.raises(DataError, match="table 'powers' is missing"):
        tables_from_frames(tiny_frames, coverage=tiny_coverage, name="x")


def test_frames_are_checked_for_columns(tiny_frames, tiny_coverage):
    tiny_frames["powers"] = tiny_frames["powers"].rename(columns={"start": "begin"})
    with pytest.raises(DataError, match=r"powers\.csv.*'begin'"):
        tables_from_frames(tiny_frames, coverage=tiny_coverage, name="x")


def test_frames_are_not_changed(tiny_frames, tiny_coverage):
    before = {name: frame.copy() for name, frame in tiny_frames.items()}
    tables_from_frames(tiny_frames, coverage=tiny_coverage, name="x")
    for name, frame in before.items():
        pd.testing.assert_frame_equal(frame, tiny_frames[name])


def test_fingerprint_does_not_depend_on_row_order(tiny_frames, tiny_coverage, tiny_tables):
    shuffled = {n: f.sample(frac=1, random_state=3) for n, f in tiny_frames.items()}
    tables = tables_from_frames(shuffled, coverage=tiny_coverage, name="x")
    assert tables.fingerprint == tiny_tables.fingerprint


@pytest.mark.parametrize("table", TABLES)
def test_fingerprint_depends_on_every_table(tiny_frames, tiny_coverage, tiny_tables, table):
    frame = tiny_frames[table]
    text = {"states": "name", "alliances": "name", "conflicts": "name", "contiguity": "note"}
    if table in text:
        frame.loc[0, text[table]] = "changed"
    elif table == "capabilities":
        frame.loc[0, "gdp"] += 1
    elif table == "members":
        frame.loc[0, "defense"] = 1
    else:
        frame.loc[0, "start"] += np.timedelta64(1, "D")
    tables = tables_from_frames(tiny_frames, coverage=tiny_coverage, name="x")
    assert tables.fingerprint != tiny_tables.fingerprint


def test_fingerprint_depends_on_the_coverage(tiny_frames, tiny_tables):
    coverage = dict.fromkeys(TABLES, Coverage(1990, 2011, "tiny", "1", "CC0-1.0"))
    tables = tables_from_frames(tiny_frames, coverage=coverage, name="x")
    assert tables.fingerprint != tiny_tables.fingerprint


# Any damage to any cell is either harmless or refused in our words: nothing else may escape.

junk = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=12),
    st.sampled_from(["", "NA", "nan", "-1", "0", "2", "1e400", "2020-13-01", "9999-12-31", "ten"]),
)


@settings(max_examples=25, deadline=None)
@given(table=st.sampled_from(TABLES), data=st.data(), value=junk)
def test_a_damaged_cell_is_refused_or_harmless(tmp_path_factory, table, data, value):
    frames = make_tiny_frames()
    frame = frames[table].astype(object)
    row = data.draw(st.integers(0, len(frame) - 1))
    column = data.draw(st.sampled_from(list(frame.columns)))
    frame.iloc[row, list(frame.columns).index(column)] = value
    frames[table] = frame
    folder = write_tables(tmp_path_factory.mktemp("damaged"), frames)
    try:
        load_tables(folder)
    except ForecastError as error:
        assert re.search(r"\.csv", str(error))


texts = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=8)
records = st.lists(
    st.tuples(
        st.integers(-(10**15), 10**15),
        st.none() | st.integers(-999, 999),
        st.floats(-1e18, 1e18) | st.none(),
        st.dates(max_value=LAST_DAY),
        st.none() | st.dates(max_value=LAST_DAY),
        texts,
        st.none() | texts | st.just('a "quoted", text'),
    ),
    max_size=6,
)


@settings(max_examples=40, deadline=None)
@given(records)
def test_what_is_written_is_read(tmp_path_factory, rows):
    columns = {"i": "int", "j": "int?", "x": "float?", "d": "date", "e": "date?", "s": "str",
               "t": "str?"}  # fmt: skip
    path = tmp_path_factory.mktemp("table") / "table.csv"
    pd.DataFrame(rows, columns=list(columns), dtype=object).to_csv(path, index=False)
    frame = read_table(path, columns)
    assert [str(t) for t in frame.dtypes] == [
        "int64", "Int64", "float64", "datetime64[s]", "datetime64[s]", "str", "str",
    ]  # fmt: skip
    assert frame.index.tolist() == list(range(2, len(rows) + 2))
    for given_row, read_row in zip(rows, frame.itertuples(index=False), strict=True):
        for before, after in zip(given_row, read_row, strict=True):
            if before is None:
                assert pd.isna(after)
            elif isinstance(before, dt.date):
                assert after.date() == before
            else:
                assert after == before


@settings(max_examples=40, deadline=None)
@given(raw=st.binary(max_size=200))
def test_any_bytes_are_a_table_or_an_error(tmp_path_factory, raw):
    path = tmp_path_factory.mktemp("bytes") / "powers.csv"
    path.write_bytes(raw)
    with pytest.raises(DataError, match=r"^powers\.csv"):
        read_table(path, {"ccode": "int", "start": "date", "end": "date?"})
