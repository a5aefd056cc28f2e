"""A user's own amendments of a data set: read, put over the data, kept, shown and taken away."""

import json

import pandas as pd
import pytest
from support.known import make_known_fit

import forecast
from forecast import cli
from forecast.errors import ArgumentError, ChangedFileError, DataError, UnknownNameError
from forecast.panel_cache import panel_key
from forecast.report.summary import data_notices
from forecast.risk import risk
from forecast.sources.datasets import read_tables
from forecast.sources.embedded import tables_from_frames
from forecast.sources.overlay import Amendment, amend, amendment_from_frames, read_amendment
from forecast.sources.overlay.changes import CHANGES
from forecast.sources.overlay.keeping import example_text, keep, kept, remove
from forecast.sources.stored import about_tables, frames_of, tables_of
from forecast.sources.tables import OBLIGATIONS, amended_words

SOURCE = {"source": "A treaty register"}
CONFLICT = {
    "conflict_id": "mine",
    "name": "Mine",
    "state_a": "Bela",
    "state_b": "ARV",
    "start": "2009-05-01",
    "level": "clash",
    **SOURCE,
}
TREATY = {
    "alliance_id": "new-pact",
    "name": "New Pact",
    "members": "Cora; 60",
    "start": "2008-01-01",
    "defense": 1,
    **SOURCE,
}


def one(kind, **cells):
    return {kind: pd.DataFrame([cells])}


def spells(tables, treaty):
    rows = tables.members[tables.members["alliance_id"] == treaty]
    return {
        (row.ccode, str(row.start.date()), None if pd.isna(row.end) else str(row.end.date()))
        for row in rows.itertuples()
    }


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty folder of the user, whose amendments are switched on."""
    monkeypatch.setenv("FORECAST_DATA", str(tmp_path / "cache"))
    monkeypatch.delenv("FORECAST_AMENDMENTS")
    return tmp_path


# What a change does


def test_a_conflict_is_put_in_the_order_of_the_table(tiny_tables):
    given = {**CONFLICT, "initiator": "a", "role_b": "joiner", "end": "2009-06-01"}
    made = amend(tiny_tables, one("conflict", **given, outcome="victory_a"))
    row = made.conflicts[made.conflicts["conflict_id"] == "mine"].iloc[0]
    assert (row.ccode_a, row.ccode_b) == (10, 20)
    assert (row.initiator, row.role_a, row.role_b) == ("b", "joiner", "originator")
    assert (row.outcome, row.settlement) == ("victory_b", "unclear")
    assert pd.isna(row.deaths_class)  # not given is not zero
    assert len(made.conflicts) == len(tiny_tables.conflicts) + 1
    assert "mine" not in set(tiny_tables.conflicts["conflict_id"])


def test_a_conflict_without_an_end_is_under_way(tiny_tables):
    made = amend(tiny_tables, one("conflict", **CONFLICT))
    row = made.conflicts[made.conflicts["conflict_id"] == "mine"].iloc[0]
    assert pd.isna(row.end)
    assert row.outcome == "ongoing"


def test_an_open_conflict_is_ended_and_another_corrected(tiny_tables):
    made = amend(
        tiny_tables,
        one("end_conflict", conflict_id="c12", end="2010-12-20", **SOURCE)
        | one(
            "correct_conflict",
            conflict_id="c04",
            state_a="Eron",
            state_b="Cora",
            deaths_class=5,
            initiator="a",
            **SOURCE,
        ),
    )
    rows = made.conflicts.set_index(["conflict_id", "ccode_b"])
    assert str(rows.loc[("c12", 50), "end"].date()) == "2010-12-20"
    assert rows.loc[("c12", 50), "outcome"] == "unclear"
    assert rows.loc[("c12", 50), "source"] == (
        "made by hand Amended by the user (frames): A treaty register"
    )
    changed = rows.loc[("c04", 50)]
    assert (changed.deaths_class, changed.initiator) == (5, "b")  # Eron is b in the table
    assert (changed.role_a, changed.role_b) == ("originator", "joiner")
    assert rows.loc[("c04", 40), "deaths_class"] == 6


def test_a_treaty_with_members(tiny_tables):
    made = amend(tiny_tables, one("treaty", **TREATY))
    assert spells(made, "new-pact") == {(30, "2008-01-01", None), (60, "2008-01-01", None)}
    owed = made.members.loc[made.members["alliance_id"] == "new-pact", list(OBLIGATIONS)]
    assert owed.to_numpy().tolist() == [[1, 0, 0, 0, 0]] * 2
    row = made.alliances.set_index("alliance_id").loc["new-pact"]
    assert (row.kind, row.short_name, row.wartime) == ("bilateral", "New Pact", 0)


def test_accession_exit_and_obligations_in_the_order_of_their_days(tiny_tables):
    made = amend(
        tiny_tables,
        {
            "accession": pd.DataFrame(
                [
                    {"alliance_id": "north pact", "state": "Fyra", "start": "2005-01-01", **SOURCE},
                    {"alliance_id": "north-pact", "state": 20, "start": "2008-01-01", **SOURCE},
                ]
            ),
            "exit": pd.DataFrame(
                [{"alliance_id": "north-pact", "state": "Fyra", "end": "2009-06-30", **SOURCE}]
            ),
            "obligation": pd.DataFrame(
                [
                    {
                        "alliance_id": "north-pact",
                        "state": "Fyra",
                        "start": "2007-01-01",
                        "defense": 0,
                        **SOURCE,
                    }
                ]
            ),
        },
    )
    assert spells(made, "north-pact") - spells(tiny_tables, "north-pact") == {
        (60, "2005-01-01", "2006-12-31"),
        (60, "2007-01-01", "2009-06-30"),
        (20, "2008-01-01", None),
    }
    own = made.members[(made.members["alliance_id"] == "north-pact") & (made.members.ccode == 60)]
    # As most members owe, and from 2007 on no defence.
    assert own.sort_values("start")[list(OBLIGATIONS)].to_numpy().tolist() == [
        [1, 0, 0, 1, 1],
        [0, 0, 0, 1, 1],
    ]


def test_a_treaty_ends_with_its_members(tiny_tables):
    made = amend(
        tiny_tables, one("end_treaty", alliance_id="north-pact", end="2009-12-31", **SOURCE)
    )
    assert {end for _, _, end in spells(made, "north-pact")} == {"2009-12-31", "2006-06-30"}
    ends = made.alliances.set_index("alliance_id")["end"]
    assert str(ends["north-pact"].date()) == "2009-12-31"


# Years


def test_a_declared_year_is_covered_and_shown_as_the_users_own(tiny_tables):
    late = {**CONFLICT, "start": "2011-03-01"}
    covers = [{"table": t, "through": 2011, **SOURCE} for t in ("conflicts", "states")]
    frames = {"covers": pd.DataFrame(covers), **one("conflict", **late)}
    panel = forecast.load_panel(data=tiny_tables, amend=frames)
    rows = panel.data.isel(row=panel.data["year"].to_numpy() == 2011)
    assert rows.sizes["row"] == 10  # five states
    assert rows["outcome"].to_numpy().sum() == 1
    cover = panel.tables.coverage
    assert (cover["conflicts"].last, cover["conflicts"].declared_after) == (2011, 2010)
    assert (cover["contiguity"].last, cover["members"].last) == (2011, 2010)
    assert "conflicts to 2011" in amended_words(panel.tables.vintage)
    assert amended_words(panel.tables.vintage) in data_notices(panel.tables, origin=2011, horizon=1)


def test_what_was_known_before_the_declared_years_is_not_declared(tiny_tables):
    from forecast.evaluation.origins import known_before

    frames = one("covers", table="conflicts", through=2012, **SOURCE)
    tables = amend(tiny_tables, frames)
    assert known_before(tables, 2011).coverage["conflicts"].declared_after is None
    assert known_before(tables, 2012).coverage["conflicts"].declared_after == 2010


# Errors


@pytest.mark.parametrize(
    ("kind", "cells", "said"),
    [
        ("conflict", {"level": "clsh"}, ["column 'level'", "'clsh'", "Did you mean 'clash'"]),
        ("conflict", {"start": "2009-02-30"}, ["column 'start'", "YYYY-MM-DD"]),
        ("conflict", {"state_a": "Coraa"}, ["column 'state_a'", "Did you mean 'Cora'"]),
        ("conflict", {"state_a": "Dara"}, ["'state_a'", "was not a member", "2009"]),
        ("conflict", {"state_b": "Bela"}, ["'state_b'", "another state"]),
        ("conflict", {"source": None}, ["'source'", "where it is known from"]),
        ("conflict", {"deaths": 4}, ["'deaths'", "did you mean the column 'deaths_class'"]),
        ("conflict", {"deaths_class": 9}, ["'deaths_class'", "found 9", "0 to 6"]),
        ("conflict", {"deaths_class": 1.5}, ["'deaths_class'", "whole number"]),
        ("conflict", {"level": True}, ["'level'", "True"]),
        ("conflict", {"start": "2011-01-05"}, ["nothing after 2010", "covers", "through = 2011"]),
        ("conflict", {"start": "1989-01-05"}, ["nothing before 1990"]),
        ("conflict", {"end": "2009-04-01"}, ["(conflict)", "no earlier than the start"]),
        ("conflict", {"conflict_id": "c01"}, ["they have 'c01'", "'correct_conflict'"]),
        ("conflict", {"start": "1994-11-01"}, ["between the two they have 'c02'"]),
        ("treaty", {"members": "Cora"}, ["'members'", "two states or more"]),
        ("treaty", {"members": "Cora; CRA"}, ["'members'", "each once"]),
        ("treaty", {"defense": None}, ["'defense'", "what members owe"]),
        ("treaty", {"defense": 2}, ["'defense'", "found 2"]),
        ("treaty", {"alliance_id": "north-pact"}, ["'alliance_id'", "'accession'"]),
        ("treaty", {"alliance_id": "New Pact"}, ["'alliance_id'", "matches"]),
        ("treaty", {"short_name": "North Pact"}, ["(treaty)", "no other row has"]),
    ],
)
def test_a_wrong_cell(tiny_tables, kind, cells, said):
    whole = {"conflict": CONFLICT, "treaty": TREATY}[kind]
    frame = pd.DataFrame([whole | cells], index=[7])
    with pytest.raises(DataError) as error:
        amend(tiny_tables, {kind: frame})
    for words in (f"amend[{kind!r}], row 7", *said):
        assert words in str(error.value)


@pytest.mark.parametrize(
    ("kind", "cells", "said"),
    [
        ("accession", {"state": "Arvo"}, "is one since 1985-04-04"),
        ("accession", {"alliance_id": "north-pakt"}, "Did you mean 'North Pact'"),
        ("accession", {"alliance_id": "Guarantee"}, "a day on which 'eron-dara' binds"),
        ("exit", {"state": "Fyra"}, "it has none"),
        ("exit", {"state": "Bela"}, "1985-04-04 to 2006-06-30"),
        ("obligation", {"state": "Arvo"}, "what is owed"),
        ("end_treaty", {"alliance_id": "eron-dara"}, "to 2003-06-30"),
        ("end_conflict", {"conflict_id": "c01"}, "it ended on 1990-04-01"),
        ("end_conflict", {"conflict_id": "c99"}, "a conflict of the data"),
        ("correct_conflict", {"conflict_id": "c04"}, "Cora and Dara; Cora and Eron"),
        ("correct_conflict", {"conflict_id": "c01"}, "no new value"),
        ("covers", {"through": "2011-06-30"}, "A part of a year covers nothing"),
        ("covers", {"through": 2010}, "covered already"),
        ("covers", {"table": "conflict"}, "Did you mean 'conflicts'"),
    ],
)
def test_a_change_that_does_not_fit_the_data(tiny_tables, kind, cells, said):
    usual = {
        "alliance_id": "north-pact",
        "state": "Fyra",
        "start": "2009-01-01",
        "end": "2009-01-01",
        "table": "conflicts",
        "through": 2011,
    }
    need = {column: usual[column] for column in CHANGES[kind][0] if column in usual}
    with pytest.raises(DataError) as error:
        amend(tiny_tables, one(kind, **(need | cells), **SOURCE))
    assert f"amend[{kind!r}], row 0" in str(error.value)
    assert said in str(error.value)


def test_the_row_is_named_that_breaks_what_the_tables_must_be(tiny_tables):
    many = [CONFLICT | {"conflict_id": f"m{d}", "start": f"2009-05-{d}"} for d in range(11, 19)]
    many[5] |= {"end": "2009-05-01"}
    with pytest.raises(DataError, match=r"row 5 \(conflict\)"):
        amend(tiny_tables, {"conflict": pd.DataFrame(many)})


def test_an_unknown_kind(tiny_tables):
    with pytest.raises(DataError, match="Did you mean 'conflict'"):
        amend(tiny_tables, {"conflicts": pd.DataFrame([CONFLICT])})


@pytest.mark.parametrize(
    ("name", "text", "error", "said"),
    [
        ("a.csv", "chnge,source\n", DataError, "unknown column 'chnge'. Did you mean 'change'"),
        ("a.csv", "name,source\nx,y\n", DataError, "the column 'change' is missing"),
        ("a.csv", "change,source\nconflct,y\n", DataError, "row 2, column 'change'"),
        ("a.csv", "change;source\n", DataError, "the separator is a semicolon"),
        ("a.csv", "change,source\n", DataError, "has no change"),
        ("a.csv", "change,source\nexit\n", DataError, "row 2: found 1 fields"),
        ("a.csv", "", DataError, "the file is empty"),
        ("a.toml", "[conflict]\nname='x'\n", DataError, "an array of tables"),
        ("a.toml", "conflict = 3\n", DataError, "an array of tables"),
        ("a.toml", "name = 3\n", DataError, "text in quotes"),
        ("a.toml", "x = [\n", DataError, "not a valid TOML file"),
        ("a.toml", "x=" + "[" * 3000, DataError, "a.toml"),
        ("a.toml", "\n\n[[exit]]\nstate = {}\n", DataError, "row 3, column 'state'"),
        ("a.toml", "", DataError, "has no change"),
        ("a.txt", "", ArgumentError, "ends in .csv or .toml"),
        ("a b.csv", "change,source\ncovers,x\n", DataError, "column 'table'"),
    ],
)
def test_a_file_that_cannot_be_read(tmp_path, name, text, error, said):
    (tmp_path / name).write_text(text)
    with pytest.raises(error) as raised:
        read_amendment(tmp_path / name)
    assert said in str(raised.value)


# The three ways to write one


def test_csv_toml_and_frames_are_the_same(tmp_path, tiny_tables):
    (tmp_path / "mine.csv").write_text(
        "change,conflict_id,name,state_a,state_b,start,level,deaths_class,alliance_id,members,"
        "defense,source\n"
        "treaty,,New Pact,,,2008-01-01,,,new-pact,Cora; 60,1,A treaty register\n"
        "conflict,mine,Mine,Bela,ARV,2009-05-01,clash,,,,,A treaty register\n"
        "conflict,more,Mine,Bela,60,2009-05-01,clash,2,,,,A treaty register\n"
    )
    (tmp_path / "mine.toml").write_text(
        '[[conflict]]\nconflict_id = "mine"\nname = "Mine"\nstate_a = "Bela"\nstate_b = "ARV"\n'
        'start = 2009-05-01\nlevel = "clash"\nsource = "A treaty register"\n'
        '[[conflict]]\nconflict_id = "more"\nname = "Mine"\nstate_a = "Bela"\nstate_b = 60\n'
        'start = "2009-05-01"\nlevel = "clash"\ndeaths_class = 2\nsource = "A treaty register"\n'
        '[[treaty]]\nalliance_id = "new-pact"\nname = "New Pact"\nmembers = ["Cora", 60]\n'
        'start = 2008-01-01\ndefense = 1\nsource = "A treaty register"\n'
    )
    two = [CONFLICT, CONFLICT | {"conflict_id": "more", "state_b": 60, "deaths_class": 2}]
    frame = pd.DataFrame(two)
    frame["start"] = pd.to_datetime(frame["start"])
    ways = [
        read_amendment(tmp_path / "mine.csv"),
        read_amendment(tmp_path / "mine.toml"),
        amendment_from_frames({"conflict": frame, "treaty": pd.DataFrame([TREATY])}, name="mine"),
    ]
    assert len({way.sha256 for way in ways}) == 1
    assert len({amend(tiny_tables, way).fingerprint for way in ways}) == 1
    assert ways[0].label == f"mine (3 rows, {ways[0].sha256[:12]})"
    truth = amendment_from_frames(one("treaty", **TREATY | {"defense": True}), name="mine")
    assert truth.sha256 == amendment_from_frames(one("treaty", **TREATY), name="mine").sha256
    other = amendment_from_frames(one("treaty", **TREATY | {"defense": 0}), name="mine")
    assert other.sha256 not in {way.sha256 for way in ways}


def test_amended_tables_are_the_same_when_saved_and_read_again(tiny_tables):
    made = amend(tiny_tables, one("treaty", **TREATY))
    frames = frames_of(made)  # computed columns and all
    again = tables_of(frames, json.loads(json.dumps(about_tables(made))))
    assert again.fingerprint == made.fingerprint != tiny_tables.fingerprint
    assert again.coverage["members"].amended_by == made.coverage["members"].amended_by


def test_rows_of_the_table_of_conflicts_are_changes(tiny_tables):
    own = tiny_tables.conflicts.iloc[[0]].assign(
        conflict_id="mine", start=pd.Timestamp("2004-05-01"), end=pd.Timestamp("2004-06-01")
    )
    made = amend(tiny_tables, {"conflict": own})
    assert len(made.conflicts) == len(tiny_tables.conflicts) + 1


def test_tables_are_made_of_what_the_library_gives(tables):
    given = frames_of(tables)
    same = tables_from_frames(given, coverage=tables.coverage, name=tables.name)
    assert same.fingerprint == tables.fingerprint
    finer = {
        name: frame.astype(dict.fromkeys(frame.select_dtypes("datetime"), "datetime64[us]"))
        for name, frame in given.items()
    }
    finer["conflicts"] = finer["conflicts"].iloc[1:]
    made = tables_from_frames(finer, coverage=tables.coverage, name="mine")
    assert len(made.conflicts) == len(tables.conflicts) - 1
    with pytest.raises(DataError, match=r"frames\['states'\]: found a list, expected a DataFrame"):
        tables_from_frames(given | {"states": []}, coverage=tables.coverage, name="mine")
    few = {n: c for n, c in tables.coverage.items() if n != "powers"}
    with pytest.raises(DataError, match="coverage has no entry for the table 'powers'"):
        tables_from_frames(given, coverage=few, name="mine")


def test_two_amendments_combine_in_their_order(tiny_tables):
    first = amendment_from_frames(one("treaty", **TREATY), name="first")
    joins = {"alliance_id": "new-pact", "state": "Arvo", "start": "2009-01-01", **SOURCE}
    second = amendment_from_frames(one("accession", **joins), name="second")
    both = read_tables(tiny_tables, amend=[first, second])
    assert (10, "2009-01-01", None) in spells(both, "new-pact")
    assert [label.split()[0] for label in both.coverage["members"].amended_by] == [
        "first",
        "second",
    ]
    with pytest.raises(DataError, match=r"Amendment 'second': .*a treaty of the data"):
        read_tables(tiny_tables, amend=[second, first])
    with pytest.raises(ArgumentError, match="already amended by 'first'"):
        amend(both, first)


@pytest.mark.parametrize("given", ["stored", 3, [1], [CONFLICT]])
def test_a_bad_option(tiny_tables, given):
    with pytest.raises(ArgumentError, match="amend"):
        read_tables(tiny_tables, amend=given)


@pytest.mark.parametrize(("name", "data"), [("../x", "embedded"), ("", "embedded"), ("x", "cow")])
def test_a_bad_name(name, data):
    changes = amendment_from_frames(one("treaty", **TREATY)).changes
    with pytest.raises(ArgumentError, match="expected"):
        Amendment(name=name, data=data, changes=changes)


# Kept in the user's folder


def test_the_example_fits_and_what_is_kept_is_shown_and_removed(home, tables, capsys):
    plain, key = tables.fingerprint, panel_key()
    assert cli.main(["data", "amend", "--example"]) == 0
    assert capsys.readouterr().out == example_text()
    (home / "own.toml").write_text(example_text())
    assert cli.main(["data", "amend", "--from", str(home / "own.toml"), "--name", "mine"]) == 0
    (own,) = kept()
    assert own.amendment.label in capsys.readouterr().out
    assert {change.kind for change in own.amendment.changes} == set(CHANGES) - {"covers"}

    assert cli.main(["data", "amend", "--list", "--json"]) == 0
    (listed,) = json.loads(capsys.readouterr().out)
    assert (listed["name"], listed["rows"], listed["origin"]) == ("mine", 8, "own.toml")
    assert listed["sha256"] == own.amendment.sha256
    assert cli.main(["data", "list"]) == 0
    assert own.amendment.label in " ".join(capsys.readouterr().out.split())
    assert cli.main(["data", "check"]) == 0
    assert f"Data amended by the user: {own.amendment.label}." in capsys.readouterr().out

    assert read_tables("embedded").fingerprint != plain
    assert read_tables("embedded", amend=None).fingerprint == plain
    assert panel_key() != key
    assert panel_key(amend=None) == key
    assert cli.main(["data", "amend", "--remove", "mine"]) == 0
    assert kept() == []
    assert read_tables("embedded").fingerprint == plain
    assert panel_key() == key


def test_the_switch_turns_them_off(home, tables, monkeypatch):
    keep(amendment_from_frames(one("covers", table="conflicts", through=2026, **SOURCE)))
    assert read_tables("embedded").coverage["conflicts"].last == 2026
    monkeypatch.setenv("FORECAST_AMENDMENTS", "0")
    assert read_tables("embedded").fingerprint == tables.fingerprint


def test_what_does_not_fit_is_not_kept(home, capsys):
    (home / "bad.csv").write_text(
        "change,alliance_id,state,start,source\n"
        "accession,nato,Ukraine,2025-06-01,made up\n"
        "accession,nato,France,2025-06-01,made up\n"
    )
    assert cli.main(["data", "amend", "--from", str(home / "bad.csv")]) == 1
    assert "bad.csv, row 3, column 'state': found 'France'" in capsys.readouterr().err
    assert not (home / "cache" / "amendments").exists()
    assert cli.main(["data", "amend"]) == 1
    assert "Give one of" in capsys.readouterr().err


def test_one_that_others_build_on_stays(home):
    new = {"alliance_id": "my-pact", "name": "My Pact", "start": "2025-01-01", "defense": 1}
    pact = one("treaty", members="Norway; Japan", **new, **SOURCE)
    joins = {"alliance_id": "my-pact", "state": "Canada", "start": "2025-02-01", **SOURCE}
    # In the order in which they were added, whatever their names.
    keep(amendment_from_frames(pact, name="second"))
    keep(amendment_from_frames(one("accession", **joins), name="first"))
    assert [each.amendment.name for each in kept()] == ["second", "first"]
    with pytest.raises(DataError, match="Without 'second'"):
        remove("second")
    assert len(kept()) == 2
    with pytest.raises(UnknownNameError, match="'first'"):
        remove("frst")
    other = one("treaty", members="Norway; Peru", **new, **SOURCE)
    with pytest.raises(ArgumentError, match="--replace"):
        keep(amendment_from_frames(other, name="second"))
    keep(amendment_from_frames(other, name="second"), replace=True)
    assert [each.amendment.name for each in kept()] == ["second", "first"]
    remove("first")
    remove("second")
    assert kept() == []


def test_a_changed_file_is_an_error_and_never_left_out(home):
    keep(amendment_from_frames(one("covers", table="conflicts", through=2026, **SOURCE)))
    path = home / "cache" / "amendments" / "frames.json"
    text = path.read_text()
    for bad in (text.replace("2026", "2027"), text[:50], "[]", '{"version": 1}'):
        path.write_text(bad)
        with pytest.raises(ChangedFileError, match=r"frames\.json: not an amendment"):
            read_tables("embedded")


# In the answer


def test_an_answer_changes_and_names_the_amendment(tables):
    options = {"data": tables, "population": "politically_relevant", "years": (2000, 2025)}
    facts = {"conflict_id": "mine", "name": "Mine", "state_a": "India", "state_b": "Bangladesh"}
    days = {"start": "2025-03-01", "end": "2025-04-01", "level": "clash"}
    frames = one("conflict", **facts, **days, **SOURCE)
    plain, own = (make_known_fit(forecast.load_panel(**options, amend=a)) for a in (None, frames))
    assert plain.id != own.id
    before, after = (risk(fit, "India", "Bangladesh") for fit in (plain, own))
    assert after.probability > before.probability
    label = amendment_from_frames(frames).label
    assert str(after).endswith(f"Data amended by the user: {label}.")
    assert after.to_dict()["vintage"]["conflicts"]["amended_by"] == [label]
    assert after.to_dict()["vintage"]["members"]["amended_by"] == []
    assert "amended" not in str(before)


@pytest.mark.reference
def test_historical_data_are_amended_by_our_names_of_treaties(historical):
    joins = {"alliance_id": "nato", "state": "Ukraine", "start": "2025-06-01", **SOURCE}
    made = amend(historical, one("accession", **joins))
    count = [(t.members["alliance_id"] == "atop-3180").sum() for t in (historical, made)]
    assert count[1] == count[0] + 1
    assert (369, "2025-06-01", None) in spells(made, "atop-3180")
    assert made.fingerprint != historical.fingerprint
    facts = {"state_a": "USA", "state_b": "Iran", "start": "2025-06-01"}
    late = one("conflict", **CONFLICT | facts)
    with pytest.raises(DataError, match="nothing after"):
        amend(historical, late)
