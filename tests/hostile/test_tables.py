"""Tables as they must never come: a right reading or an error that names file, row and column."""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.damage import damaged_json, damaged_table, reading_or_error
from support.folders import write_tables
from support.official_files import OFFICIAL
from support.tiny import make_tiny_frames
from support.tries import hostile

from forecast.errors import DataError, ForecastError
from forecast.sources import checking
from forecast.sources.checking import check_spells, validate
from forecast.sources.embedded import finish_tables, read_coverage
from forecast.sources.official import reader
from forecast.sources.overlay import amend, read_amendment
from forecast.sources.tables import TABLES, Reading, Tables

#: Layouts of each reader.
READERS = {name: [key for key in OFFICIAL if key[0] == name] for name, _ in OFFICIAL}


def read(layout: tuple[str, str], damaged: bytes | None = None) -> list[Reading] | DataError:
    """Readings of the files of a layout, the first of them with this content."""
    with tempfile.TemporaryDirectory() as folder:
        paths = {}
        for role, text in OFFICIAL[layout].items():
            paths[role] = Path(folder) / f"{role}.csv"
            paths[role].write_text(text, encoding="utf-8")
        if damaged is not None:
            next(iter(paths.values())).write_bytes(damaged)
        names = [path.name for path in paths.values()]
        return reading_or_error(lambda: reader(layout[0]).read(paths), *names)


def check(readings: list[Reading] | DataError) -> None:
    """What a reading promises whatever the file was."""
    if isinstance(readings, Exception):
        return
    assert readings
    for reading in readings:
        validate(reading.table, reading.frame)
        assert 0 < len(reading.frame) < 1_000_000
        assert 1 <= reading.first <= reading.last <= 9999, (reading.first, reading.last)


@pytest.mark.parametrize("layout", OFFICIAL, ids="-".join)
def test_the_files_are_valid_before_they_are_damaged(layout: tuple[str, str]) -> None:
    readings = read(layout)
    assert not isinstance(readings, Exception), readings
    check(readings)
    for reading in readings:
        check_spells(reading.table, reading.frame, file=reading.table)


@pytest.mark.parametrize("name", READERS)
def test_any_damage_gives_a_right_reading_or_an_error_of_ours(name: str) -> None:
    @hostile
    @given(st.data())
    def damaged(data: st.DataObject) -> None:
        layout = data.draw(st.sampled_from(READERS[name]))
        first = next(iter(OFFICIAL[layout].values()))
        check(read(layout, data.draw(damaged_table(first))))

    damaged()


@hostile
@given(st.sampled_from(list(OFFICIAL)), st.data())
def test_text_among_numbers_is_named_with_row_and_column(
    layout: tuple[str, str], data: st.DataObject
) -> None:
    first = next(iter(OFFICIAL[layout].values()))
    header, *rows = list(csv.reader(io.StringIO(first)))
    row = data.draw(st.integers(0, len(rows) - 1))
    numbers = [i for i, cell in enumerate(rows[row]) if cell.lstrip("-").isdigit()]
    column = data.draw(st.sampled_from(numbers))
    rows[row][column] = "x" * data.draw(st.sampled_from((1, 300_000)))
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([header, *rows])
    error = read(layout, out.getvalue().encode())
    if isinstance(error, Exception):  # not every column is read
        assert f"row {row + 2}" in str(error), error
        assert repr(header[column]).casefold() in str(error).casefold(), error
        assert "expected" in str(error)


_FAR = "292277026597"


def _again(text: str) -> str:
    """The first record once more at the end."""
    return text + text.split("\n")[1] + "\n"


def _with(old: str, new: str) -> Callable[[str], str]:
    def changed(text: str) -> str:
        assert old in text
        return text.replace(old, new, 1)

    return changed


#: What the audit found, and its kin: layout, change of its file, what the error says.
KNOWN: list[tuple[tuple[str, str], Callable[[str], str], str]] = [
    *((layout, lambda text: text.split("\n")[0] + "\n", "no record") for layout in OFFICIAL),
    *(
        (layout, lambda text: "x" * 140_000 + "," + text, "row 1: field larger than field limit")
        for layout in OFFICIAL
    ),
    (("atop", "members"), _again, "rows 2, 8: the key (atopid=3220, member=2, phase=1"),
    (("atop", "alliances"), _again, "rows 2, 4: the key (atopid=3220) is there 2 times"),
    (("cow_mid", "mida"), _again, "rows 2, 4: the key (dispnum=9) is there 2 times"),
    (("cow_igo", "state_years"), _again, "rows 2, 5: the key (ccode=20, year=1950)"),
    (("polity", "country_years"), _again, "rows 2, 5: the key (unit=2, year=1900)"),
    (("vdem", "country_years"), _again, "rows 2, 6: the key (country_id=373, year=1861)"),
    (("cow_mid", "mida"), _with("1940", _FAR), "row 2, column 'styear': found '292277026597', e"),
    (("gml", "directed"), _with("1951", _FAR), "row 4, column 'year': found '292277026597', exp"),
    (("rivalries", "td"), _with("1494", _FAR), "row 2, column 'styear': found '292277026597', e"),
    (("cow_wars", "wars"), _with("1947", _FAR), "row 2, column 'StartYear1': found '29227702659"),
    (("ucdp", "conflicts"), _with("2004,1", f"{_FAR},1"), "row 3, column 'year': found '292277"),
    (("vdem", "country_years"), _with("1862", _FAR), "row 4, column 'year': found 292277026597"),
    (("cow_igo", "state_years"), _with("2,1950", f"2,{_FAR}"), "row 3, column 'year': found 2922"),
    (("cow_mid", "mida"), _with("2,6,5,1,5", "2,6,text,1,5"), "row 2, column 'hostlev': found 't"),
    (("ucdp", "dyads"), _with(",2,2,2003-03", ",text,2,2003-03"), "row 2, column 'intensity_lev"),
    (
        ("cow_contiguity", "contdir"),
        _with("197512", "-999999"),
        "row 4, column 'end': found -99999",
    ),
    (("vdem", "country_years"), _with("1862", "1862.5"), "row 4, column 'year': found '1862.5'"),
    (("vdem", "country_years"), _with("1862", ""), "row 4, column 'year': found '', expected"),
    (("vdem", "country_years"), _with(",325,0.20", ",325.5,0.20"), "column 'cowcode': found 325.5"),
    (("cow_igo", "dyad_years"), _with("2,usa,", ",usa,"), "row 2, column 'ccode1': found '', exp"),
    (("atop", "directed"), _with("740,1,0", "740,2,0"), "column 'defense': found '2', expected 0"),
    (("gml", "directed"), _with("midonset", "onset"), "row 1: the column 'midonset' is missing"),
    (("ucdp", "conflicts"), _with("2003,2", "421,2"), "row 2, column 'start': found 421, expect"),
]


@pytest.mark.parametrize(("layout", "change", "says"), KNOWN)
def test_what_the_audit_found(
    layout: tuple[str, str], change: Callable[[str], str], says: str
) -> None:
    first = next(iter(OFFICIAL[layout].values()))
    error = read(layout, change(first).encode("utf-8"))
    assert isinstance(error, DataError)
    assert says in str(error)


#: Files of a data set in our own layout.
OWN = {**{f"{table}.csv": table for table in TABLES}, "datapackage.json": ""}


def test_our_own_tables_are_right_or_refused(tmp_path: Path) -> None:
    own = write_tables(tmp_path / "tiny", make_tiny_frames())
    texts = {file: (own / file).read_text(encoding="utf-8") for file in OWN}
    frames = {table: checking.read(table, own) for table in TABLES}

    def load(table: str) -> Tables:
        """As `load_tables`, without reading again what is whole."""
        covers = read_coverage(own)
        changed = {table: checking.read(table, own)} if table else {}
        return finish_tables(frames | changed, coverage=covers, name="tiny")

    @hostile
    @given(st.sampled_from(list(OWN)), st.data())
    def damaged(file: str, data: st.DataObject) -> None:
        damage = damaged_table if OWN[file] else damaged_json
        (own / file).write_bytes(data.draw(damage(texts[file])))
        tables = reading_or_error(lambda: load(OWN[file]), *OWN)
        (own / file).write_text(texts[file], encoding="utf-8")
        if not isinstance(tables, ForecastError):
            check_own(tables)

    damaged()


def check_own(tables: Tables) -> None:
    """What a data set promises that was read."""
    for name in TABLES:
        assert len(getattr(tables, name)) < 1000
    assert tables.capabilities["capability"].dropna().between(0, 1).all()


AMENDMENT = """\
change,alliance_id,state,start,end,name,members,defense,table,through,source
treaty,new-pact,,2005-01-01,,The New Pact,ARV; ERO,1,,,a newspaper
accession,north-pact,FYR,2004-03-01,,,,1,,,a newspaper
exit,north-pact,ARV,,2008-06-30,,,,,,a newspaper
covers,,,,,,,,alliances,2011,a newspaper
"""


def test_an_amendment_is_applied_or_refused(tiny_tables: Tables) -> None:
    def made(raw: bytes) -> Tables | ForecastError:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "mine.csv"
            path.write_bytes(raw)
            return reading_or_error(
                lambda: amend(tiny_tables, read_amendment(path)), "mine.csv", "'mine'"
            )

    assert isinstance(made(AMENDMENT.encode()), Tables)

    @hostile
    @given(damaged_table(AMENDMENT))
    def damaged(raw: bytes) -> None:
        tables = made(raw)
        assert isinstance(tables, ForecastError) or len(tables.alliances) < 10

    damaged()
