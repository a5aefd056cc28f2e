"""Changes of alliances since the last year of a source, carried over from other data."""

import numpy as np
import pandas as pd
import pytest

from forecast.errors import DataError, MissingFileError
from forecast.sources.embedded import tables_from_frames
from forecast.sources.treaties import amend_alliances, read_counterparts


@pytest.fixture
def source(tiny_frames):
    """The North Pact as a source that ends in 1998 has it: Cora is not in it yet."""
    members = tiny_frames["members"]
    keep = members["alliance_id"].isin(["north-pact", "eron-dara"]) & (members["ccode"] != 30)
    alliances = tiny_frames["alliances"]
    alliances = alliances[alliances["alliance_id"] != "bela-fyra"].copy()
    return tuple(
        frame.assign(
            alliance_id=frame["alliance_id"].map({"north-pact": "atop-1", "eron-dara": "atop-2"}),
            # What ended later was in force when the data ended.
            end=np.full(len(frame), "NaT", dtype="datetime64[s]"),
        )
        for frame in (alliances, members[keep])
    )


def amended(source, frames, after=1998, counterparts=None):
    alliances, members = source
    return amend_alliances(
        alliances,
        members,
        after=after,
        own_alliances=frames["alliances"],
        own_members=frames["members"],
        counterparts={"north-pact": "atop-1", "eron-dara": "atop-2"}
        if counterparts is None
        else counterparts,
    )


def spells(frame, treaty):
    rows = frame[frame["alliance_id"] == treaty]
    return {
        (row.ccode, str(row.start.date()), None if pd.isna(row.end) else str(row.end.date()))
        for row in rows.itertuples()
    }


def test_accession_exit_and_termination(source, tiny_frames):
    done = amended(source, tiny_frames)
    assert spells(done.members, "atop-1") == {
        (10, "1985-04-04", None),
        (20, "1985-04-04", "2006-06-30"),
        (30, "2000-03-01", None),
        (50, "1985-04-04", None),
    }
    # Terminated: the treaty and both of its members.
    assert {end for _, _, end in spells(done.members, "atop-2")} == {"2003-06-30"}
    ended = done.alliances.set_index("alliance_id")["end"]
    assert str(ended["atop-2"].date()) == "2003-06-30"
    assert pd.isna(ended["atop-1"])
    names = done.alliances.set_index("alliance_id")["short_name"]
    assert names.to_dict() == {"atop-1": "North Pact", "atop-2": "Guarantee"}
    assert done.notes[0] == (
        "Since 1998 from the embedded data: 1 accessions, 1 exits, 1 terminations, 0 new treaties."
    )


def test_a_new_member_owes_what_most_members_owe(source, tiny_frames):
    done = amended(source, tiny_frames)
    rows = done.members[done.members["alliance_id"] == "atop-1"].set_index("ccode")
    flags = ["defense", "offense", "neutrality", "nonaggression", "consultation"]
    assert rows.loc[30, flags].tolist() == rows.loc[10, flags].tolist()


def test_only_changes_are_carried_over(source, tiny_frames):
    """Before the seam the source keeps its own view, whatever our data say."""
    done = amended(source, tiny_frames, after=2001)
    # Cora joined in 2000 according to our data: not after the seam.
    assert 30 not in {code for code, _, _ in spells(done.members, "atop-1")}
    # Of Bela-Fyra, re-entered by Fyra on 2001-01-01, nothing is known to the source.
    assert "bela-fyra" not in set(done.alliances["alliance_id"])


def test_a_state_that_is_a_member_already_does_not_join_again(source, tiny_frames):
    alliances, members = source
    early = members[members["ccode"] == 10].assign(ccode=30, start=np.datetime64("1997-01-01", "s"))
    done = amended((alliances, pd.concat([members, early])), tiny_frames)
    assert [s for s in spells(done.members, "atop-1") if s[0] == 30] == [(30, "1997-01-01", None)]
    assert "0 accessions" in done.notes[0]


def test_what_ends_on_the_last_day_is_gone_the_day_after(source, tiny_frames):
    tiny_frames["members"].loc[tiny_frames["members"]["ccode"] == 20, "end"] = np.datetime64(
        "1998-12-31", "s"
    )
    done = amended(source, tiny_frames)
    assert (20, "1985-04-04", "1998-12-31") in spells(done.members, "atop-1")


def test_new_treaties_come_whole(source, tiny_frames):
    for frame in (tiny_frames["alliances"], tiny_frames["members"]):
        own = frame["alliance_id"] == "bela-fyra"
        frame.loc[own, "start"] = np.datetime64("1999-05-01", "s")
        frame.loc[own, "end"] = np.datetime64("NaT", "s")
    tiny_frames["members"] = tiny_frames["members"].drop_duplicates(["alliance_id", "ccode"])
    done = amended(source, tiny_frames)
    assert {s[0] for s in spells(done.members, "bela-fyra")} == {20, 60}
    assert list(done.members.dtypes.items()) == list(source[1].dtypes.items())
    assert "1 new treaties" in done.notes[0]


def test_without_a_counterpart_it_is_said(source, tiny_frames):
    done = amended(source, tiny_frames, counterparts={"north-pact": "atop-1"})
    expected = "Changed since 1998, but not in force in the source: bela-fyra, eron-dara."
    assert done.notes[1] == expected


def test_counterparts_of_the_package(tables):
    """Each is a treaty of our data that was in force in 2016; the file is ours."""
    counterparts = read_counterparts()
    assert counterparts["nato"] == "atop-3180"
    own = tables.alliances.set_index("alliance_id")
    assert set(counterparts) <= set(own.index)
    assert (own.loc[list(counterparts), "start"].dt.year <= 2016).all()
    assert len(set(counterparts.values())) == len(counterparts)


@pytest.mark.parametrize("text", ["nato = 3180", '[atop]\nnato = "3180"', "[atop\n"])
def test_a_bad_file(tmp_path, text):
    path = tmp_path / "amendments.toml"
    path.write_text(text)
    with pytest.raises(DataError, match=r"amendments\.toml"):
        read_counterparts(path)


def test_no_file(tmp_path):
    with pytest.raises(MissingFileError, match="There is no file"):
        read_counterparts(tmp_path / "amendments.toml")


def test_amended_tables_are_whole(source, tiny_frames, tiny_coverage):
    done = amended(source, tiny_frames)
    tiny_frames["alliances"], tiny_frames["members"] = done.alliances, done.members
    tables_from_frames(tiny_frames, coverage=tiny_coverage, name="x")
