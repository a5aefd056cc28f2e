"""The embedded contiguity spells: keys, named cases, and agreement with COW 3.2."""

from pathlib import Path

import pandas as pd
import pytest

DATA = Path(__file__).resolve().parents[2] / "data"
FIRST, LAST = 1946, 2025

DyadYear = tuple[int, int, int]


@pytest.fixture(scope="module")
def contiguity() -> pd.DataFrame:
    return pd.read_csv(DATA / "contiguity.csv", keep_default_na=False)


@pytest.fixture(scope="module")
def states() -> pd.DataFrame:
    return pd.read_csv(DATA / "states.csv", keep_default_na=False)


def dyad_years(table: pd.DataFrame, last: int = LAST) -> dict[DyadYear, int]:
    """Smallest class per undirected dyad-year; a year counts when any day of it does."""
    out: dict[DyadYear, int] = {}
    for row in table.itertuples():
        stop = int(row.end[:4]) if row.end else LAST
        for year in range(max(int(row.start[:4]), FIRST), min(stop, last) + 1):
            key = (row.ccode_a, row.ccode_b, year)
            out[key] = min(out.get(key, 9), row.type)
    return out


def test_keys_and_spells(contiguity: pd.DataFrame) -> None:
    columns = ["ccode_a", "ccode_b", "type", "start", "end", "note"]
    assert list(contiguity.columns) == columns
    key = ["ccode_a", "ccode_b", "start"]
    assert not contiguity.duplicated(key).any()
    assert contiguity.equals(contiguity.sort_values(key, ignore_index=True))
    assert (contiguity["ccode_a"] < contiguity["ccode_b"]).all()
    assert contiguity["type"].isin([1, 2, 3, 4, 5]).all()
    end = contiguity["end"].replace("", f"{LAST}-12-31")
    assert (contiguity["start"] <= end).all()
    assert (end >= f"{FIRST}-01-01").all()
    for _, spells in contiguity.assign(e=end).groupby(["ccode_a", "ccode_b"]):
        assert (spells["start"].iloc[1:].to_numpy() > spells["e"].iloc[:-1].to_numpy()).all()


def test_spells_lie_inside_membership(contiguity: pd.DataFrame, states: pd.DataFrame) -> None:
    spells = {c: g[["start", "end"]].to_numpy() for c, g in states.groupby("ccode")}
    for row in contiguity.itertuples():
        stop = row.end or "9999-12-31"
        for code in (row.ccode_a, row.ccode_b):
            inside = [s <= row.start and stop <= (e or "9999-12-31") for s, e in spells[code]]
            assert any(inside), (row, code)


@pytest.mark.parametrize(
    ("a", "b", "year", "expected"),
    [
        (2, 20, 1946, 1),
        (2, 365, 1950, None),  # Alaska became a state in 1959
        (2, 365, 2025, 2),
        (260, 265, 1980, 1),
        (255, 290, 1995, 1),
        (260, 290, 1980, None),
        (345, 325, 1980, 1),
        (345, 325, 2000, 4),
        (345, 325, 2010, None),
        (678, 680, 1980, 1),
        (816, 817, 1970, 1),
        (811, 816, 1970, None),
        (811, 816, 1980, 1),
        (640, 651, 1960, 1),  # the United Arab Republic
        (651, 663, 1960, 1),
        (651, 663, 1975, None),  # Sinai under Israeli administration
        (651, 663, 1990, 2),
        (770, 775, 1960, 1),
        (770, 775, 1980, None),
        (500, 625, 2000, 1),
        (500, 625, 2015, None),
        (500, 626, 2015, 1),
        (530, 670, 1980, 4),
        (530, 670, 2000, None),
        (530, 531, 2000, 1),
        (630, 690, 2000, 3),
        (710, 713, 2025, 2),
        (740, 732, 2025, 4),
        (2, 40, 2025, 4),
        (600, 230, 2025, 1),  # Ceuta and Melilla
    ],
)
def test_named_cases(
    contiguity: pd.DataFrame, a: int, b: int, year: int, expected: int | None
) -> None:
    a, b = sorted((a, b))
    assert dyad_years(contiguity).get((a, b, year)) == expected


def test_landlocked_states_have_no_sea_neighbours(contiguity: pd.DataFrame) -> None:
    # Andorra, Switzerland, Paraguay, Nepal, Laos, Bolivia, Lesotho, Mongolia, Serbia since 2006.
    landlocked = {232, 225, 150, 790, 812, 145, 570, 712, 760}
    sea = contiguity[contiguity["type"] > 1]
    assert not sea["ccode_a"].isin(landlocked).any()
    assert not sea["ccode_b"].isin(landlocked).any()
    assert not ((sea["ccode_b"] == 345) & (sea["end"] == "")).any()


@pytest.mark.reference
def test_agreement_with_cow(contiguity: pd.DataFrame, reference: Path) -> None:
    ref = pd.read_csv(reference / "official" / "cow_contiguity" / "contdird.csv")
    ref = ref[(ref["year"] >= FIRST) & (ref["state1no"] < ref["state2no"])]
    theirs = ref.groupby(["state1no", "state2no", "year"])["conttype"].min().to_dict()
    ours = dyad_years(contiguity, last=int(ref["year"].max()))
    same = sum(theirs.get(key) == kind for key, kind in ours.items())
    precision, recall = same / len(ours), same / len(theirs)
    assert precision >= 0.97, precision
    assert recall >= 0.97, recall
    # Land borders, and adjacency of any class, must be better than the pooled threshold.
    land = {k for k, v in ours.items() if v == 1}
    land_ref = {k for k, v in theirs.items() if v == 1}
    assert len(land & land_ref) / len(land) >= 0.985
    assert len(land & land_ref) / len(land_ref) >= 0.985
    any_class = ours.keys() & theirs.keys()
    assert len(any_class) / len(ours) >= 0.97
    assert len(any_class) / len(theirs) >= 0.985
