"""The embedded state list: keys, spells, named cases, and agreement with COW."""

from pathlib import Path

import pandas as pd
import pytest

DATA = Path(__file__).resolve().parents[2] / "data"
END = "2025-12-31"
REGIONS = {
    "Americas",
    "Europe",
    "Sub-Saharan Africa",
    "Middle East and North Africa",
    "Asia",
    "Oceania",
}


@pytest.fixture(scope="module")
def states() -> pd.DataFrame:
    return pd.read_csv(DATA / "states.csv", keep_default_na=False)


@pytest.fixture(scope="module")
def powers() -> pd.DataFrame:
    return pd.read_csv(DATA / "powers.csv", keep_default_na=False)


def alive(states: pd.DataFrame, day: str) -> set[int]:
    end = states["end"].replace("", "9999-12-31")
    return set(states.loc[(states["start"] <= day) & (end >= day), "ccode"])


def check_spells(table: pd.DataFrame, key: list[str]) -> None:
    start = pd.to_datetime(table["start"], format="%Y-%m-%d")
    end = pd.to_datetime(table["end"].replace("", END), format="%Y-%m-%d")
    assert (start <= end).all()
    assert (end >= pd.Timestamp("1946-01-01")).all()
    assert (end <= pd.Timestamp(END)).all()
    for _, spells in table.assign(s=start, e=end).groupby(key):
        spells = spells.sort_values("s")
        assert (spells["s"].iloc[1:].to_numpy() > spells["e"].iloc[:-1].to_numpy()).all()


def test_states_keys_and_spells(states: pd.DataFrame) -> None:
    columns = ["ccode", "abbrev", "name", "iso3", "region", "start", "end"]
    assert list(states.columns) == columns
    assert not states.duplicated(["ccode", "start"]).any()
    assert states.equals(states.sort_values(["ccode", "start"], ignore_index=True))
    assert set(states["region"]) == REGIONS
    assert states["abbrev"].str.fullmatch(r"[A-Z]{3}").all()
    assert states["iso3"].str.fullmatch(r"[A-Z]{3}|").all()
    one_name = states.groupby("ccode")[["abbrev", "name", "iso3", "region"]].nunique()
    assert (one_name == 1).all().all()
    assert (
        states.drop_duplicates("ccode")[["abbrev", "name"]]
        .nunique()
        .eq(states["ccode"].nunique())
        .all()
    )
    check_spells(states, ["ccode"])


def test_an_iso3_code_names_one_state_at_a_time(states: pd.DataFrame) -> None:
    for year in range(1946, 2026):
        codes = states[states["ccode"].isin(alive(states, f"{year}-12-31"))]
        codes = codes.drop_duplicates("ccode")["iso3"]
        assert not codes[codes != ""].duplicated().any(), year


@pytest.mark.parametrize(
    ("day", "present", "absent"),
    [
        ("1950-01-01", {713, 710, 732, 731, 365, 315, 345}, {255, 260, 265, 305, 740, 816, 817}),
        ("1955-01-01", {265, 740, 816, 817}, {255, 260, 305}),
        ("1960-06-01", {260, 265, 305, 651}, {652, 255}),
        ("1964-01-01", {511, 510}, set()),
        ("1972-01-01", {678, 680, 771, 817}, {679}),
        ("1975-05-01", {816}, {817}),
        ("1990-10-02", {260, 265, 679}, {255, 678, 680}),
        ("1990-10-03", {255, 679}, {260, 265}),
        ("1993-01-01", {365, 316, 317, 344, 345, 349, 369}, {315, 343}),
        ("2012-01-01", {341, 343, 347, 626, 625, 860}, set()),
    ],
)
def test_named_cases(states: pd.DataFrame, day: str, present: set[int], absent: set[int]) -> None:
    now = alive(states, day)
    assert present <= now
    assert not absent & now


def test_count_today(states: pd.DataFrame) -> None:
    # 193 members of the United Nations, Taiwan and Kosovo.
    assert len(alive(states, END)) == 195


def test_powers(states: pd.DataFrame, powers: pd.DataFrame) -> None:
    assert list(powers.columns) == ["ccode", "start", "end"]
    check_spells(powers, ["ccode"])
    assert set(powers["ccode"]) <= set(states["ccode"])
    assert alive(powers, "1946-01-01") == {2, 200, 220, 365}
    assert alive(powers, "1950-06-25") == {2, 200, 220, 365, 710}
    assert alive(powers, END) == {2, 200, 220, 365, 710, 255, 740}


def years_of(table: pd.DataFrame, last: int) -> set[tuple[int, int]]:
    out: set[tuple[int, int]] = set()
    for row in table.itertuples():
        stop = int(row.end[:4]) if row.end else last
        out |= {(row.ccode, y) for y in range(max(int(row.start[:4]), 1946), min(stop, last) + 1)}
    return out


def reference_spells(path: Path) -> pd.DataFrame:
    ref = pd.read_csv(path)
    ref = ref[ref["endyear"] >= 1946]
    last = ref["endyear"].max()
    return pd.DataFrame(
        {
            "ccode": ref["ccode"],
            "start": ref["styear"].astype(str).str.zfill(4),
            "end": ref["endyear"].astype(str).where(ref["endyear"] < last, ""),
        }
    )


@pytest.mark.reference
def test_states_agree_with_cow_to_the_year(states: pd.DataFrame, reference: Path) -> None:
    ref = reference_spells(reference / "official" / "cow_states" / "states2016.csv")
    ours = states[states["start"] < "2017"]
    mine = set(zip(ours["ccode"], ours["start"].str[:4], ours["end"].str[:4], strict=True))
    theirs = set(zip(ref["ccode"], ref["start"], ref["end"], strict=True))
    assert mine == theirs
    assert years_of(states, 2016) == years_of(ref, 2016)


@pytest.mark.reference
def test_powers_agree_with_cow(powers: pd.DataFrame, reference: Path) -> None:
    ref = reference_spells(reference / "processed" / "cow_majors.csv.gz")
    assert years_of(powers, 2016) == years_of(ref, 2016)
