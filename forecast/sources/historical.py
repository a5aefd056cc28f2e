"""The historical data set: official files in the cache, put together as tables from 1816."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from forecast.errors import ArgumentError, MissingFileError, UnknownNameError
from forecast.sources import derived
from forecast.sources.cache import available, cache_folder, files_of, how_to_get, preferred
from forecast.sources.catalogue_file import catalogue
from forecast.sources.tables import EXTRA_TABLES, TABLES, Tables

if TYPE_CHECKING:
    from forecast.sources.assembly import Sourced
    from forecast.sources.tables import Reading

__all__ = ["FACTS", "historical_key", "load_historical"]

#: Kinds of fact by the name of their table, where they differ.
_OF_TABLE = {"capabilities": "material_capabilities"}
#: Kinds of fact in the order in which they are put together, and whether a data set needs them.
FACTS: Mapping[str, bool] = {
    **{_OF_TABLE.get(table, table): True for table in TABLES},
    **dict.fromkeys(EXTRA_TABLES, False),
}

#: Kinds that come with another: from the same source, or from one whose identifiers agree.
_WITH: Mapping[str, str] = {
    "members": "alliances",
    "treaty_design": "alliances",
    "disputes": "conflicts",
    "participants": "conflicts",
    "dyadic_trade": "trade",
}
#: Of those, the ones that make no sense from another source.
_SAME = ("members", "dyadic_trade")


def load_historical(
    *, cache: Path | None = None, sources: Mapping[str, str] | None = None, amend: bool = True
) -> Tables:
    """Tables of the official files in the cache, named ``"historical"``.

    Each kind of fact comes from the newest source in the cache, unless `sources` says which, e.g.
    ``{"conflicts": "cow_mid_5_0", "alliances": "cow_alliances_4_1"}``. State numbers are COW's;
    spells are cut to the state system; CINC (national material capabilities) is the capability.
    What is put together is kept in the cache, keyed by the content of all files and of the code
    that reads them, and opened from there the next time.

    With `amend`, changes of alliances since the last year of ATOP are added from our own data. The
    coverage of ``alliances`` and ``members`` then reaches the present and says from which year on
    it rests on them (``amended_after``). There are seven tables and those of `EXTRA_TABLES` whose
    source is in the cache; ``coverage`` names source, release, licence and years of each, with
    notes on what was cut.

    A source that is not in the cache is a MissingFileError that says how to get it; a file that is
    not the one that was locked a ChangedFileError.
    """
    folder = cache_folder() if cache is None else Path(cache)
    candidates = _candidates(folder, sources or {})
    key = derived.key_of(folder, candidates, amend=amend)
    saved = derived.open_tables(folder, key)
    if saved is not None:
        return saved
    tables = _put_together(folder, candidates, amend=amend)
    derived.save_tables(folder, key, tables)
    return tables


def historical_key(
    *, cache: Path | None = None, sources: Mapping[str, str] | None = None, amend: bool = True
) -> str:
    """Key of the tables that `load_historical` gives: a hash of all that they are made from."""
    folder = cache_folder() if cache is None else Path(cache)
    return derived.key_of(folder, _candidates(folder, sources or {}), amend=amend)


def _candidates(folder: Path, chosen: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Sources in the cache that may provide each kind of fact, in the order of preference."""
    entries = catalogue()
    own = {_OF_TABLE.get(fact, fact): source for fact, source in chosen.items()}
    for fact, source in own.items():
        if fact not in FACTS:
            raise UnknownNameError("kind of fact in sources:", fact, FACTS)
        entries.refuse_unless_provided(fact, source)
        lead = _WITH.get(fact)
        if fact in _SAME and own.setdefault(str(lead), source) != source:
            raise ArgumentError(
                f"sources[{fact!r}]={source!r} and sources[{lead!r}]={own[str(lead)]!r}: "
                "expected the same source for both."
            )
        files_of(source, cache=folder)
    there = set(available(folder))
    out: dict[str, tuple[str, ...]] = {}
    for fact in FACTS:
        lead = own.get(_WITH.get(fact, ""))
        if fact in own:
            out[fact] = (own[fact],)
        elif lead is not None and fact in _SAME:
            out[fact] = (lead,)
        else:
            first = (lead,) if lead is not None else ()
            out[fact] = (*first, *(s for s in preferred(fact, folder) if s in there - {lead}))
    _refuse_missing([fact for fact, needed in FACTS.items() if needed and not out[fact]], folder)
    return out


def _refuse_missing(facts: list[str], folder: Path) -> None:
    if not facts:
        return
    lines = []
    for fact in facts:
        listed = catalogue().preferred(fact)
        best = next((s for s in listed if catalogue()[s].can_be_downloaded), listed[0])
        lines.append(f"  {fact}: {how_to_get(best)}")
    raise MissingFileError(
        f"The cache {folder} has no source of {', '.join(facts)}, which the historical data need."
        "\n" + "\n".join(lines)
    )


def _refuse_silent(fact: str, sources: tuple[str, ...], folder: Path) -> None:
    """The files at hand of a source do not hold a kind of fact that it can provide."""
    source = sources[0]
    held = ", ".join(path.name for path in files_of(source, cache=folder).values())
    raise MissingFileError(
        f"{fact}: the cache {folder} has {held} of {source}, which hold none. {how_to_get(source)}"
    )


class _Shelf:
    """Readings of the sources in the cache, each source read once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._read: dict[str, dict[str, Reading]] = {}

    def find(self, fact: str, source: str) -> Reading | None:
        """What a source says on a kind of fact; None if the files at hand do not tell."""
        from forecast.sources.catalogue import read_source

        if source not in self._read:
            self._read[source] = {r.table: r for r in read_source(source, self.folder)}
        return self._read[source].get(fact)


def _put_together(
    folder: Path, candidates: Mapping[str, tuple[str, ...]], *, amend: bool
) -> Tables:
    from forecast.sources.assembly import assemble
    from forecast.sources.embedded import finish_tables

    shelf = _Shelf(folder)
    facts: dict[str, Sourced] = {}
    origin: dict[str, str] = {}
    for fact, sources in candidates.items():
        lead = origin.get(_WITH.get(fact, ""))
        order = sources
        if lead is not None:
            rest = () if fact in _SAME else tuple(s for s in sources if s != lead)
            order = (lead, *rest) if fact in catalogue()[lead].provides else rest
        for source in order:
            reading = shelf.find(fact, source)
            if reading is None or not _fits(fact, reading, facts):
                continue
            facts[fact], origin[fact] = sourced(source, reading), source
            break
        if FACTS[fact] and fact not in facts:
            _refuse_silent(fact, sources, folder)
    facts["states"] = _with_iso3(facts["states"])
    if amend and origin["alliances"].startswith("atop"):
        notes, after = _amend(facts)
    else:
        notes, after = (), None
    frames, coverage = assemble(facts)
    if after is not None:
        from dataclasses import replace

        for table in ("alliances", "members"):
            have = coverage[table]
            coverage[table] = replace(have, amended_after=after, notes=(*have.notes, *notes))
    return finish_tables(
        {t: frames[t] for t in TABLES},
        coverage=coverage,
        name="historical",
        extra={t: frame for t, frame in frames.items() if t not in TABLES},
    )


def _fits(fact: str, reading: Reading, facts: Mapping[str, Sourced]) -> bool:
    """Whether what comes with another kind speaks of the same things as it."""
    lead, column = {
        "treaty_design": ("alliances", "alliance_id"),
        "disputes": ("conflicts", "conflict_id"),
        "participants": ("conflicts", "conflict_id"),
    }.get(fact, ("", ""))
    if not lead or reading.frame.empty:
        return not lead
    ids = facts[lead].reading.frame[column]
    return bool(ids.isin(reading.frame[column]).mean() > 0.5)


def sourced(source: str, reading: Reading) -> Sourced:
    """A reading with what the catalogue says of its source."""
    from forecast.sources.assembly import Sourced
    from forecast.sources.official import reader

    entry = catalogue()[source]
    return Sourced(
        reading=reading,
        source=entry.title,
        version=entry.release,
        licence=catalogue().licences[entry.licence].name,
        code_system=reader(entry.reader).code_system,
    )


def _with_iso3(states: Sourced) -> Sourced:
    """ISO 3166 codes, which official lists lack, from our own list by state number."""
    from dataclasses import replace

    from forecast.paths import data_folder
    from forecast.sources.checking import read

    own = read("states", data_folder()).dropna(subset=["iso3"])
    codes = own.drop_duplicates("ccode", keep="last").set_index("ccode")["iso3"]
    frame = states.reading.frame
    known = frame["iso3"].fillna(frame["ccode"].map(codes)).astype(frame["iso3"].dtype)
    reading = replace(states.reading, frame=frame.assign(iso3=known))
    return replace(states, reading=reading)


def _amend(facts: dict[str, Sourced]) -> tuple[tuple[str, ...], int | None]:
    """Alliances carried to the present in place; the notes, and the last year of the source."""
    from dataclasses import replace

    from forecast.sources.amendments import amend_alliances, read_counterparts
    from forecast.sources.embedded import load_tables

    own = load_tables()
    alliances, members = facts["alliances"].reading, facts["members"].reading
    after, last = alliances.last, own.coverage["members"].last
    if after >= last:
        return (), None
    amended, spells, notes = amend_alliances(
        alliances.frame,
        members.frame,
        after=after,
        own_alliances=own.alliances,
        own_members=own.members,
        counterparts=read_counterparts(),
    )
    for fact, frame in (("alliances", amended), ("members", spells)):
        reading = replace(facts[fact].reading, frame=frame, last=last)
        facts[fact] = replace(facts[fact], reading=reading)
    return notes, after
