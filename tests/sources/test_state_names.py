"""Every name of every state, and of every place that is none: it, a question, never another."""

import warnings

import pandas as pd
import pycountry
import pytest

import forecast as fc
from forecast.errors import (
    AmbiguousCodeWarning,
    ArgumentError,
    DataError,
    NotAMemberError,
    UnknownNameError,
)
from forecast.sources import place_names
from forecast.sources.codes import resolve_state, resolve_states, state_index, state_label
from forecast.sources.place_names import key
from forecast.sources.spells import OPEN_YEAR

LAST = 2025
TRIED = (1946, 1954, 1955, 1961, 1970, 1989, 1990, 1991, 1992, 2003, 2007, 2025)


def known(tables, name, year):
    """COW number of a name in a year; None if it is asked back or was no member."""
    try:
        return resolve_states(tables, [name], year=year, note=False)[0]
    except ArgumentError:
        return None


def families(tables):
    """All codes that were ever one state to those who name it: by ISO code, shared name, parts."""
    of = {code: {code} for code in tables.states["ccode"].tolist()}
    groups = [set(g["ccode"]) for _, g in tables.states.dropna(subset="iso3").groupby("iso3")]
    groups += [set(codes) for codes in place_names.SHARED.values()]
    for group in groups:
        for code in group & set(of):
            of[code] = of[code] | group
    return of


def test_every_name_that_the_data_know_is_it_or_asks(tables):
    """In every year tried; another state of one name (the two Germanies) only by that name."""
    index, asked, shared = state_index(tables), 0, {key(n) for n in place_names.SHARED}
    for row in tables.states.itertuples():
        names = {row.name, *row.name.split("/"), f"cow:{row.abbrev}", str(row.ccode)}
        names |= {a for a, codes in place_names.ALIASES.items() if row.ccode in codes}
        for year in TRIED:
            member = index.present([row.ccode], year)
            for name in names:
                found = known(tables, name, year)
                asked += found is None and bool(member)
                same_name = key(name) in shared
                assert found in (None, row.ccode) or same_name or name.startswith("cow:"), name
                if member and not same_name and name not in place_names.ENDED:
                    assert found == row.ccode, (name, year)
    assert asked  # Congo, Germany, Korea …


def test_every_iso_entry_is_its_state_or_says_that_it_is_none(tables):
    """All 249, by both codes and every English name: present member, question, or no member."""
    own = tables.states.dropna(subset="iso3")
    own = dict(zip(own["iso3"], own["ccode"], strict=True)) | {"DEU": 255, "YEM": 679}
    none = set()
    for entry in pycountry.countries:
        fields = entry._fields
        texts = {entry.alpha_2, f"iso:{entry.alpha_3}", f"iso:{entry.alpha_2}"}
        texts |= {fields[name] for name in fields if name.endswith("name")}
        for text in texts:
            if entry.alpha_3 in own:
                expected = None if text == "Congo" else own[entry.alpha_3]
                assert known(tables, text, LAST) == expected, text
            else:
                none.add(entry.alpha_3)
                with pytest.raises(NotAMemberError, match="no member of the state system"):
                    resolve_state(tables, text, year=LAST)
    assert len(none) == 249 - 194  # of 195 members of today ISO has all but Kosovo
    assert {"PSE", "HKG", "GRL", "ESH", "VAT"} <= none


def test_every_name_in_another_language_is_it_or_asks(tables):
    index, of, tried = state_index(tables), families(tables), 0
    for name, readings in place_names._translated().items():
        meant = {
            c for r in readings for code in r.codes for c in index.iso.get(code.casefold(), ())
        }
        for year in (1970, LAST):
            try:
                found = resolve_states(tables, [name], year=year, note=False)[0]
            except (ArgumentError, UnknownNameError):
                continue
            tried += 1
            # Where a name is a letter code or an English name too, that is what it is.
            ours = name in index.iso or name in index.abbrev or name in index.named
            english = {c for r in place_names._english()[1].get(name, ()) for code in r.codes
                       for c in index.iso.get(code.casefold(), ())}  # fmt: skip
            family = set().union(*(of[c] for c in meant | english), set())
            assert ours or found in family, (name, year, found)
    assert tried > 3000


def test_letters_of_cow_are_its_state_unless_iso_has_them(tables):
    index = state_index(tables)
    both = {}
    for row in tables.states.itertuples():
        year = min(row.end.year, LAST) if row.end == row.end else LAST
        if index.colliding(row.abbrev, year):
            both[row.abbrev] = index.colliding(row.abbrev, year)
        elif index.present([row.ccode], year):
            found = known(tables, row.abbrev, year)
            assert found == row.ccode, row.abbrev
    assert both == {
        "AUS": (900, 305), "SWZ": (572, 225), "SLV": (92, 349), "MNG": (712, 341),
    }  # fmt: skip


@pytest.mark.parametrize("letters", ["AUS", "SWZ", "SLV", "MNG"])
def test_letters_of_two_states_are_noted_and_told_apart(tables, letters):
    iso, cow = state_index(tables).colliding(letters, LAST)
    with pytest.warns(AmbiguousCodeWarning, match=rf"'cow:{letters}'"):
        assert resolve_state(tables, letters, year=LAST) == iso
    assert resolve_state(tables, f"cow:{letters}", year=LAST) == cow
    # Together with others that only one system has, they are of that one.
    assert resolve_states(tables, [letters, "FRN"], year=LAST)[0] == cow
    assert resolve_states(tables, [letters, "FRA"], year=LAST)[0] == iso


@pytest.mark.parametrize(
    ("name", "year", "alternatives"),
    [
        ("Congo", 2025, ["COG", "COD"]),
        ("Korea", 2025, ["PRK", "KOR"]),
        ("Kongo", 2025, ["COG", "COD"]),
        ("Germany", 1970, ["DEU, 260", "DDR, 265"]),
        ("Deutschland", 1970, ["DEU, 260", "DDR, 265"]),
        ("Germany", 1954, ["only", "DDR, 265"]),
        ("Vietnam", 1960, ["VNM, 816", "RVN, 817"]),
        ("Yemen", 1980, ["YEM, 678", "YMD, 680"]),
        ("Yugoslavia", 2010, ["ended in 2006", "SRB, 345", "HRV"]),
        ("USSR", 2020, ["ended in 1991", "RUS, 365", "UKR"]),
    ],
)
def test_what_several_share_is_asked_back(tables, name, year, alternatives):
    with pytest.raises(ArgumentError, match=f"'{name}'.* ambiguous") as error:
        resolve_state(tables, name, year=year)
    assert all(each in str(error.value) for each in alternatives)


@pytest.mark.parametrize(
    ("name", "year", "says"),
    [
        ("Palestine", 2025, "no member stands for it"),
        ("Greenland", 2025, r"counts with Denmark \(DNK, 390\)"),
        ("HK", 2025, r"counts with China"),
        ("Hamas", 2025, "no member stands for it"),
        ("Crimea", 2025, r"counts with Ukraine"),
        ("Somaliland", 2025, r"counts with Somalia"),
        ("Scotland", 2025, r"a part \(GB-SCT in ISO 3166-2\) of United Kingdom"),
        ("England", 2025, r"a part \(GB-ENG"),
        ("Kosovo", 2000, r"Before it entered it was part of Yugoslavia"),
        ("Ukraine", 1980, r"Before it entered it was part of Soviet Union"),
        ("Czechoslovakia", 2000, r"Czech Republic \(CZE, 316\) or Slovakia"),
        ("EU", 2025, r"forecast\.members\('EU'\)"),
        (260, 2020, r"As a Gleditsch–Ward number it is Germany \(DEU, 255\): 'gw:260'"),
        ("340", 2020, r"As a Gleditsch–Ward number it is Serbia"),
    ],
)  # fmt: skip
def test_what_is_no_member_says_so_and_who_stands_for_it(tables, name, year, says):
    with pytest.raises((NotAMemberError, UnknownNameError), match=says):
        resolve_state(tables, name, year=year)


@pytest.mark.parametrize(
    ("name", "year", "code"),
    [
        ("Côte d'Ivoire", 2020, 437), ("DR Congo", 2020, 490), ("Syrian Arab Republic", 2020, 652),
        ("Deutschland", 2020, 255), ("Macedonia", 2020, 343), ("IN", 2020, 750), ("CN", 2020, 710),
        ("Korea, Rep.", 2020, 732), ("Congo, Dem. Rep.", 2020, 490), ("Yemen North", 1980, 678),
        ("Republic of China", 2020, 713), ("Myanmar (Burma)", 1970, 775), ("St. Lucia", 2020, 56),
        ("The Gambia", 2020, 420), ("U.S.A.", 2020, 2), ("SUN", 1980, 365), ("ZAR", 1980, 490),
        ("Republic of the Congo", 2020, 484), ("中国", 2020, 710), ("gw:678", 2020, 679),
        ("gw:RUM", 2020, 360), ("gw:340", 2020, 345), ("Taiwan, Province of China", 2020, 713),
        ("Netherlands (Kingdom of the)", 2020, 210),
    ],
)  # fmt: skip
def test_names_in_use_official_foreign_and_former(tables, name, year, code):
    assert resolve_state(tables, name, year=year) == code


def test_a_name_with_one_letter_less_is_never_hinted_to_be_another(tables):
    """The hint names it (or what it means is asked): as it is written, not in lower case."""
    index, right, none = state_index(tables), 0, 0
    names = {state_label(tables, c, year=LAST) for c in tables.states["ccode"]}
    for name in sorted({*names, *place_names.english_names()}):
        for at in range(1, len(name), 4):
            wrong = name[:at] + name[at + 1 :]
            if key(wrong) == key(name):
                continue
            try:
                near = index.near(wrong)
                index.resolve([wrong], LAST)
            except UnknownNameError as error:
                none += not near
                right += name in near
                alone = error.suggestion
                assert alone is None or key(alone) == key(name), (wrong, alone)
            except ArgumentError:
                pass  # "Nigr" is one; a place, a question
    assert right > 600
    assert none < right / 10


@pytest.mark.parametrize("name", ["Palestin", "Catalonia", "Kurdistan", "Atlantis", "XX", "GER"])
def test_a_hint_is_no_other_country_by_chance(tables, name):
    with pytest.raises(UnknownNameError) as error:
        resolve_state(tables, name, year=LAST)
    assert error.value.suggestion in (None, "Palestine", "Catalonia")


def frame(a, b, year=2000):
    return pd.DataFrame({"a": a, "b": b, "year": year, "outcome": [0.0] * len(a)})


def test_letters_of_a_frame_are_of_one_system():
    def codes(table, **options):
        panel = fc.panel_from_frame(table, a="a", b="b", **options)
        return set(panel.data["ccode_a"].to_numpy().tolist())

    assert codes(frame(["AUS", "SWZ"], ["UKG", "FRN"])) == {305, 225}
    assert codes(frame(["AUS", "SWZ"], ["GBR", "FRA"])) == {900, 572}
    undecided = frame(["AUS", "SWZ"], ["USA", "USA"])
    with pytest.raises(DataError, match=r"'a', row 0: 'AUS' is Australia .* say codes='iso' or"):
        codes(undecided)
    assert codes(undecided, codes="iso") == {900, 572}
    assert codes(undecided, codes="cow") == {305, 225}
    assert codes(frame(["RUM", "YEM"], ["USA", "USA"]), codes="gw") == {360, 679}
    with pytest.raises(DataError, match=r"'a', row 1: 260 is no COW number of 2000.*codes='gw'"):
        codes(frame([200, 260], [2, 2]))
    assert codes(frame([200, 260], [2, 2]), codes="cow") == {200, 260}


def test_every_surface_has_the_same_names(tables):
    """Frames, features onto frames, scenarios and their files; sides of a question in its tests."""
    made = frame(["Côte d'Ivoire", "Deutschland"], ["DR Congo", "IN"])
    panel = fc.panel_from_frame(made, a="a", b="b").to_dataframe()
    assert panel["ccode_a"].tolist() == [255, 437]
    onto = fc.attach(made.assign(b=["DR Congo", "Palestine"]), ["peace_years"], a="a", b="b")
    assert onto["peace_years"].notna().tolist() == [True, False]
    from forecast.simulation.apply import apply_scenario

    scenario = fc.Scenario("x").form(
        "P", ["Deutschland", "Syrian Arab Republic", "cow:SWZ"], when="2027-01-01",
        obligations=["defense"],
    )  # fmt: skip
    after = apply_scenario(tables, scenario, first_year=2026, last_year=2030).members
    added = after[after["alliance_id"].str.startswith("scenario-")]
    assert sorted(added["ccode"]) == [225, 255, 652]
    with pytest.raises(ArgumentError, match="ambiguous"):
        apply_scenario(
            tables, fc.Scenario("x").join("NATO", ["Korea"], when="2027-01-01"),
            first_year=2026, last_year=2030,
        )  # fmt: skip


def test_plain_names_and_codes_need_no_list_of_names(tables, monkeypatch):
    """`forecast risk RUS UKR` reads no list of names but ours."""

    def never(*_):
        raise AssertionError("opened")

    monkeypatch.setattr(place_names, "readings", never)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        names = ["RUS", "Ukraine", 2, "UKG", "Germany", "Congo-Brazzaville", "UK"]
        assert resolve_states(tables, names, year=LAST) == [365, 369, 2, 200, 255, 484, 200]


def test_what_is_ours_is_not_what_the_library_has(tables):
    """No alias is one that ISO 3166 gives for the same state by itself."""
    index = state_index(tables)
    for name, codes in place_names.ALIASES.items():
        found = {c for r in place_names.readings(name) for code in r.codes
                 for c in index.iso.get(code.casefold(), ())}  # fmt: skip
        assert found != set(codes), name


def test_spells_and_lists_of_parts_are_of_the_data(tables):
    codes = set(tables.states["ccode"])
    parts = {c for whole, each in place_names.PARTS.items() for c in (whole, *each)}
    assert parts | set(place_names.HALVES) | set(place_names.LIES_IN.values()) <= codes
    entered = {c: s[0].first for c, s in state_index(tables).spells.items()}
    for whole, each in place_names.PARTS.items():
        assert all(entered[whole] < entered[part] <= OPEN_YEAR for part in each)
