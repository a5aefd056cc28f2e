"""Treaties of a user's own as a whole table, in place of those of the data."""

import numpy as np
import pandas as pd
import pytest

import forecast as fc
from forecast.errors import DataError
from forecast.features import compute_features
from forecast.sources.datasets import read_tables

PACT = pd.DataFrame(
    {
        "alliance_id": ["Gulf Pact", "Gulf Pact", "Gulf Pact", "Old", "Old"],
        "country": ["Saudi Arabia", "UAE", "Côte d'Ivoire", "USA", "Deutschland"],
        "start": ["1995-06-01", "1996-01-01", "1995-06-01", "1992-01-01", "1992-01-01"],
        "end": [None, None, "2001-03-02", "1999-12-31", "1999-12-31"],
        "defense": [1, 1, 1, 1, 0],
        "consultation": [1, 1, 1, 0, 1],
    }
)


def test_they_stand_in_place_of_those_of_the_data():
    panel = fc.load_panel(sources={"alliances": PACT}, population="politically_relevant")
    tables = panel.tables
    assert tables.alliances["alliance_id"].tolist() == ["gulf-pact", "old"]
    assert tables.alliances["name"].tolist() == ["Gulf Pact", "Old"]
    assert tables.alliances["kind"].tolist() == ["multilateral", "bilateral"]
    assert fc.members("Gulf Pact", 2000, data=tables) == {"SAU", "ARE", "CIV"}
    assert fc.members("Gulf Pact", data=tables) == {"SAU", "ARE"}
    cover = tables.coverage["members"]
    assert (cover.first, cover.last, cover.source) == (
        1992,
        2025,
        "your own treaties (a DataFrame)",
    )
    assert any("not coded, and 0: wartime" in note for note in tables.coverage["alliances"].notes)
    years = panel.data["year"].to_numpy()
    assert years.min() == 1993  # missing before, never zero
    assert panel.fingerprint != fc.load_panel(population="politically_relevant").fingerprint
    from forecast.features import FeatureRequest

    pact = compute_features(panel, [FeatureRequest("pact", "pact_in_dyad")]).data["pact"]
    rows = panel.to_dataframe()
    bound = rows[pact.to_numpy() == 1]
    assert set(zip(bound["ccode_a"], bound["ccode_b"], strict=True)) <= {
        (2, 255), (437, 670), (437, 696), (670, 696),
    }  # fmt: skip


def test_years_that_are_said_are_covered():
    own = PACT.copy()
    own.attrs["years"] = (1980, 2010)
    cover = read_tables("embedded", sources={"alliances": own}).coverage["alliances"]
    assert (cover.first, cover.last) == (1980, 2010)


def test_our_own_given_back_say_the_same(tables):
    members = tables.members.merge(
        tables.alliances.drop(columns=["start", "end"]), on="alliance_id", how="left"
    )
    back = read_tables(tables, sources={"alliances": members})
    pd.testing.assert_frame_equal(
        back.alliances.drop(columns=["source", "start", "end", "kind"]),
        tables.alliances.drop(columns=["source", "start", "end", "kind"]),
    )
    keys = ["alliance_id", "ccode", "start"]
    np.testing.assert_array_equal(
        back.members.sort_values(keys)["defense"], tables.members.sort_values(keys)["defense"]
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"start": 1995}, "column 'start', row 0: found 1995, expected a date"),
        ({"end": "soon"}, "column 'end', row 0: found 'soon', expected a date"),
        (
            {"end": "1990-01-01"},
            "column 'end', row 0: found '1990-01-01', which is before the start",
        ),
        ({"country": None}, "column 'country', row 0: nothing is there"),
        ({"defense": 2}, "column 'defense', row 0: found 2, expected 0 or 1"),
        ({"country": ["Korea", *PACT["country"][1:]]}, "'country', row 0: 'Korea' is ambiguous"),
        ({"name": ["a", "b", "c", "d", "d"]}, "the treaty 'gulf-pact' has several values"),
    ],
)
def test_refusals_name_column_and_row(changes, message):
    with pytest.raises(DataError, match=message):
        read_tables("embedded", sources={"alliances": PACT.assign(**changes)})


def test_other_tables_of_ones_own_are_refused_with_the_way(tables):
    with pytest.raises(ValueError, match=r"sources\['conflicts'\]: found a DataFrame.*amend="):
        read_tables(tables, sources={"conflicts": PACT})
