"""Names of states and of places that are none: ISO 3166 as pycountry has it, and what it lacks.

pycountry is imported when a name is looked up that neither the tables nor the lists here have.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache

__all__ = [
    "ALIASES", "DISTINCT", "ENDED", "HALVES", "LIES_IN", "NO_STATES", "PARTS", "RENAMED", "SHARED",
    "Reading", "ended", "english_names", "key", "part_of", "readings", "said_otherwise",
    "territory_of",
]  # fmt: skip


def _by_name(named: Mapping[tuple[int, ...], str]) -> Mapping[str, tuple[int, ...]]:
    return {name: codes for codes, names in named.items() for name in names.split(", ")}


#: Names in use, and letters of Gleditsch and Ward, that neither ISO 3166 nor the tables list.
ALIASES: Mapping[str, tuple[int, ...]] = _by_name({
    (2,): "America",
    (101,): "Venezuela RB",
    (200,): "UK, Great Britain, Britain",
    (210,): "Holland",
    (255,): "Prussia",
    (260,): "West Germany, BRD, FRG",
    (265,): "East Germany",
    (343,): "Macedonia, Republic of Macedonia, FYROM, FYR Macedonia",
    (345,): "SER",
    (346,): "Bosnia, Bosnia-Herzegovina",
    (347,): "XK",
    (360,): "RUM",
    (370,): "Byelorussia, Belorussia",
    (484,): "Congo-Brazzaville",
    (490,): "DR Congo, Congo-Kinshasa, Belgian Congo",
    (510,): "Tanganyika",
    (530,): "Abyssinia",
    (552,): "Rhodesia",
    (572,): "Swaziland",
    (630,): "Persia",
    (640,): "Turkey, Ottoman Empire",
    (651,): "United Arab Republic",
    (663,): "Transjordan",
    (678,): "North Yemen",
    (680,): "South Yemen",
    (710,): "PRC",
    (713,): "Republic of China, Formosa",
    (731,): "DPRK",
    (780,): "Ceylon",
    (800,): "Siam",
    (811,): "Kampuchea",
    (812,): "Lao PDR",
    (816,): "North Vietnam, Democratic Republic of Vietnam",
    (817,): "South Vietnam",
    (987,): "Micronesia Fed. Sts.",
})  # fmt: skip

#: Names that several states share, and all that they have stood for.
SHARED: Mapping[str, tuple[int, ...]] = {
    "Congo": (484, 490),
    "Germany": (255, 260, 265),
    "Korea": (730, 731, 732),
    "Vietnam": (816, 817),
    "Yemen": (679, 678, 680),
}
#: Those of them that do not have the shared name alone, even where they are the only one there.
HALVES = frozenset({265, 680, 731, 732, 817})

#: What those are called whose name in the tables is a shared one, and to which year.
DISTINCT: Mapping[int, tuple[str, int]] = {
    484: ("Congo-Brazzaville", 9999), 816: ("North Vietnam", 1975),
}  # fmt: skip
#: First calendar year of the present name of a state that was renamed within one spell; in
#: ``states.csv`` its name is "present name/former name".
RENAMED: Mapping[int, int] = {345: 2003, 365: 1992}
#: Names that ended: what they stood for in the tables, and the last calendar year of the name.
ENDED: Mapping[str, tuple[int, int]] = {
    "Soviet Union": (365, 1991), "USSR": (365, 1991), "SUN": (365, 1991),
    "Yugoslavia": (345, 2006), "Serbia and Montenegro": (345, 2006), "SCG": (345, 2006),
}  # fmt: skip

#: Members that were parts of another one before they entered.
PARTS: Mapping[int, tuple[int, ...]] = {
    315: (316, 317),
    345: (341, 343, 344, 346, 347, 349),
    365: (359, 366, 367, 368, 369, 370, 371, 372, 373, 701, 702, 703, 704, 705),
    530: (531,),
    625: (626,),
    770: (771,),
}

#: Places with a code in ISO 3166 that are territories of a member, by the member's code.
_TERRITORIES: Mapping[str, str] = {
    "USA": "ASM GUM MNP PRI UMI VIR",
    "GBR": "AIA BMU CYM FLK GGY GIB IMN IOT JEY MSR PCN SGS SHN TCA VGB",
    "FRA": "ATF BLM GLP GUF MAF MTQ MYT NCL PYF REU SPM WLF",
    "NLD": "ABW BES CUW SXM", "DNK": "FRO GRL", "NOR": "BVT SJM", "FIN": "ALA",
    "AUS": "CCK CXR HMD NFK", "NZL": "COK NIU TKL", "CHN": "HKG MAC", "IND": "SKM",
}  # fmt: skip
#: Names of such places, and of others without a member, that ISO 3166 does not list.
_PLACES: Mapping[str, str] = {
    "VAT": "Vatican, Vatican City",
    "PSE": "Palestinian Territories, Gaza, West Bank, West Bank and Gaza",
    "FLK": "Malvinas",
    "HKG": "Hong Kong SAR China, China Hong Kong SAR",
    "MAC": "Macau, Macao SAR China, China Macao SAR",
}
#: Places without a code that are no members, and the member in whose borders the tables have them.
LIES_IN: Mapping[str, int] = {
    "Abkhazia": 372, "South Ossetia": 372, "Nagorno-Karabakh": 373, "Northern Cyprus": 352,
    "Somaliland": 520, "Tibet": 710, "Transnistria": 359, "Crimea": 369, "Chechnya": 365,
}  # fmt: skip
#: Whom people ask about as if they were states: armed groups, parts of the world.
NO_STATES = (
    "Hamas", "Hezbollah", "Hizbollah", "Taliban", "Houthis", "Islamic State", "ISIS", "Al-Qaeda",
    "Wagner Group", "Africa", "Asia", "Europe", "Middle East", "Latin America",
)  # fmt: skip

#: Former entries of ISO 3166 whose state was not renamed: it came to another one.
_ABSORBED = frozenset({"SKM", "PCZ", "CTE", "FXX"})
#: Languages whose names are taken besides English.
_LANGUAGES = (
    "fr", "es", "pt", "it", "de", "nl", "pl", "ru", "uk", "tr", "ar", "fa", "he", "zh_CN", "ja",
    "ko",
)  # fmt: skip


#: Words as names are compared: abbreviations in full, small ones left out.
_WORDS = {"st": "saint", "rep": "republic", "dem": "democratic", "of": "", "the": ""}


def key(text: str) -> str:
    """A name without case, accents, points and small words, as names are compared.

    "Korea North" is "north korea", as "North Korea" is.
    """
    plain = unicodedata.normalize("NFKD", text)
    plain = "".join(c for c in plain if not unicodedata.combining(c)).casefold()
    plain = re.sub(r"\W+", " ", re.sub(r"['’`.]", "", plain.replace("&", " and ")))
    words = [w for word in plain.split() if (w := _WORDS.get(word, word))]
    if len(words) == 2 and words[1] in ("north", "south", "east", "west"):
        words.reverse()
    return " ".join(words)


_ENDED_KEYS = {key(name): value for name, value in ENDED.items()}


def ended(text: str) -> tuple[int, int] | None:
    """COW number and last year of a name that ended, in any spelling; None for other names."""
    return _ENDED_KEYS.get(key(text))


@dataclass(frozen=True)
class Reading:
    """What ISO 3166 has under a name or code.

    Attributes
    ----------
    codes : tuple of str
        Its alpha-3 code; of a former entry also that of the state which has another name now.
    name : str
        Its name in English.
    plain : bool
        Whether it was named by the short name, which several states may have had, and not by a
        code or in full.
    """

    codes: tuple[str, ...]
    name: str
    plain: bool


@cache
def _entries() -> tuple[tuple[tuple[str, ...], dict[str, str]], ...]:
    """Codes (alpha-3 first) and names of every entry, present ones before former ones."""
    import pycountry

    present = list(pycountry.countries)
    three = {each.alpha_2: each.alpha_3 for each in present}
    found: list[tuple[tuple[str, ...], dict[str, str]]] = []
    found += [((e.alpha_3, e.alpha_2), e._fields) for e in present]
    for e in pycountry.historic_countries:
        now = three.get(e.alpha_4[2:] if e.alpha_4[2:] != "AA" else e.alpha_2)
        codes = (e.alpha_3,) if now is None or e.alpha_3 in _ABSORBED else (e.alpha_3, now)
        found.append((codes, e._fields))
    return tuple(found)


def _shown(fields: Mapping[str, str]) -> str:
    """The name of an entry as one says it: "State of Palestine"."""
    short, _, rest = fields.get("common_name", fields["name"]).partition(", ")
    return f"{rest.removeprefix('The ')} {short}".strip()


def _names_of(fields: Mapping[str, str]) -> Iterable[tuple[str, bool]]:
    """Names of an entry, and whether each is the short one."""
    for field in ("common_name", "name", "official_name"):
        if field not in fields:
            continue
        whole = fields[field]
        yield whole, field != "official_name"
        bare = re.sub(r"\s*\(.*?\)\s*", " ", whole).strip()
        if bare != whole:
            yield bare, field != "official_name"
        if ", " in bare and field == "name":
            short, _, rest = bare.partition(", ")
            yield short, True
            yield f"{rest} {short}", False


@cache
def _english() -> tuple[Mapping[str, tuple[Reading, ...]], Mapping[str, tuple[Reading, ...]]]:
    """Readings of codes, and of English names."""
    import pycountry

    present = {e.alpha_3 for e in pycountry.countries}
    by_code: dict[str, tuple[Reading, ...]] = {}
    by_name: dict[str, list[Reading]] = {}
    for codes, fields in _entries():
        here = codes[0] in present
        name = _shown(fields)
        own = codes[:1] if here else codes
        for code in codes if here else codes[:1]:
            by_code.setdefault(code.casefold(), (Reading(own, name, False),))
        for text, plain in (*_names_of(fields), *((n, True) for n in _more_names(codes[0]))):
            known = by_name.setdefault(key(text), [])
            # A former entry does not take the name of a present one.
            if all(r.codes[0] != own[0] for r in known) and (here or not known):
                known.append(Reading(own, name, plain))
    return by_code, {text: tuple(found) for text, found in by_name.items()}


def _more_names(code: str) -> list[str]:
    return _PLACES[code].split(", ") if code in _PLACES else []


@cache
def _translated() -> Mapping[str, tuple[Reading, ...]]:
    """Readings of names in other languages."""
    import gettext

    import pycountry

    found: dict[str, dict[str, Reading]] = {}
    for language in _LANGUAGES:
        said = gettext.translation("iso3166-1", pycountry.LOCALES_DIR, [language]).gettext
        for country in pycountry.countries:
            fields = country._fields
            texts = {name: said(value) for name, value in fields.items() if name.endswith("name")}
            english = _shown(fields)
            for text, plain in _names_of(texts):
                reading = Reading((country.alpha_3,), english, plain)
                found.setdefault(key(text), {}).setdefault(country.alpha_3, reading)
    return {text: tuple(by.values()) for text, by in found.items()}


def readings(text: str) -> tuple[Reading, ...]:
    """What ISO 3166 has under a code, an English name, or a name in another language.

    Several where the name is that of several.
    """
    by_code, by_name = _english()
    code = text.strip().casefold().replace(".", "")
    if code in by_code:
        return by_code[code]
    name = key(text)
    return by_name.get(name) or _translated().get(name, ()) if name else ()


def said_otherwise(text: str) -> list[str]:
    """Other ways to say a name that is written as in an index, or with another one beside it.

    "Korea, Rep." is "Rep. Korea"; "Myanmar (Burma)" and "Burma/Myanmar" are two names.
    """
    short, comma, rest = text.partition(",")
    if comma and rest.strip():
        return [f"{rest.strip()} {short.strip()}"]
    return [part.strip() for part in re.split(r"[(/)]", text) if part.strip()]


@cache
def english_names() -> tuple[str, ...]:
    """Short names of the present entries of ISO 3166, as they are written."""
    import pycountry

    names = [e._fields.get("common_name", e.name).partition(", ")[0] for e in pycountry.countries]
    return tuple(dict.fromkeys(names))


@cache
def _parts() -> Mapping[str, tuple[str, str]]:
    import pycountry

    three = {each.alpha_2: each.alpha_3 for each in pycountry.countries}
    found: dict[str, tuple[str, str]] = {}
    for part in pycountry.subdivisions:
        name = key(re.sub(r"\s*\[.*?\]", "", part.name))
        found.setdefault(name, (part.code, three[part.country_code]))
    return found


def part_of(text: str) -> tuple[str, str] | None:
    """Subdivision of a name in ISO 3166-2 and alpha-3 code of its country; None without one."""
    name = key(text)
    return _parts().get(name) if len(name) > 3 else None


def territory_of(code: str) -> str | None:
    """Alpha-3 code of the member of which a place is a territory; None if it is of none."""
    return next((of for of, codes in _TERRITORIES.items() if code in codes.split()), None)
