"""Tables of official files in the cache: the historical data from 1816, or beside other data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache as once
from pathlib import Path

from forecast.errors import ArgumentError, DataError, MissingFileError, UnknownNameError
from forecast.files import code_hash, fingerprint_values, sha256_of
from forecast.paths import data_folder
from forecast.sources.assembly import Sourced, assemble
from forecast.sources.cache import (
    available,
    cache_folder,
    files_of,
    how_to_get,
    preferred,
    read_lock,
    unproven,
)
from forecast.sources.catalogue import read_source
from forecast.sources.catalogue_file import catalogue
from forecast.sources.checking import read
from forecast.sources.embedded import COMPUTED, finish_tables, load_tables
from forecast.sources.official import reader
from forecast.sources.stored import open_tables, save_tables
from forecast.sources.tables import EXTRA_TABLES, TABLES, Reading, Tables
from forecast.sources.treaties import amend_alliances, read_counterparts

__all__ = [
    "ATTACHABLE",
    "FACTS",
    "attach",
    "attached_key",
    "historical_key",
    "key_of",
    "load_historical",
]

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
    key = key_of(folder, candidates, amend=amend)
    saved = open_tables(folder, key)
    if saved is not None:
        return saved
    tables = _put_together(folder, candidates, amend=amend)
    save_tables(folder, key, tables)
    return tables


def historical_key(
    *, cache: Path | None = None, sources: Mapping[str, str] | None = None, amend: bool = True
) -> str:
    """Key of the tables that `load_historical` gives: a hash of all that they are made from."""
    folder = cache_folder() if cache is None else Path(cache)
    return key_of(folder, _candidates(folder, sources or {}), amend=amend)


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


def _put_together(
    folder: Path, candidates: Mapping[str, tuple[str, ...]], *, amend: bool
) -> Tables:
    @once
    def readings(source: str) -> dict[str, Reading]:
        return {reading.table: reading for reading in read_source(source, folder)}

    facts: dict[str, Sourced] = {}
    origin: dict[str, str] = {}
    for fact, sources in candidates.items():
        lead = origin.get(_WITH.get(fact, ""))
        order = sources
        if lead is not None:
            rest = () if fact in _SAME else tuple(s for s in sources if s != lead)
            order = (lead, *rest) if fact in catalogue()[lead].provides else rest
        for source in order:
            # None if the files at hand do not tell.
            reading = readings(source).get(fact)
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
    own = read("states", data_folder()).dropna(subset=["iso3"])
    codes = own.drop_duplicates("ccode", keep="last").set_index("ccode")["iso3"]
    frame = states.reading.frame
    known = frame["iso3"].fillna(frame["ccode"].map(codes)).astype(frame["iso3"].dtype)
    reading = replace(states.reading, frame=frame.assign(iso3=known))
    return replace(states, reading=reading)


def _amend(facts: dict[str, Sourced]) -> tuple[tuple[str, ...], int | None]:
    """Alliances carried to the present in place; the notes, and the last year of the source."""
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


#: Kinds of fact that speak of the alliances or the conflicts of their own source.
_OF_THEIR_OWN = ("treaty_design", "disputes", "participants")
#: Kinds of fact that stand for themselves.
ATTACHABLE: tuple[str, ...] = tuple(t for t in EXTRA_TABLES if t not in _OF_THEIR_OWN)


def attach(tables: Tables, sources: Mapping[str, str], *, cache: Path | None = None) -> Tables:
    """The data set with tables of sources in the cache beside its own.

    `sources` of the catalogue by kind of fact, e.g. ``{"troops": "us_troops_2024"}``. The tables
    are cut to the states of the data set, with notes in their coverage, and are part of its
    fingerprint. One that is there already is replaced. A kind of fact that makes no sense beside
    the alliances and conflicts of another data set is an ArgumentError, a source that is not in the
    cache a MissingFileError that says how to get it.
    """
    folder = cache_folder() if cache is None else Path(cache)
    _refuse(sources, folder)
    own = tables.coverage["states"]
    states = Reading("states", tables.states, own.first, own.last)
    facts = {"states": Sourced(states, own.source, own.version, own.licence)}
    for source in dict.fromkeys(sources.values()):
        readings = {reading.table: reading for reading in read_source(source, folder)}
        for fact in (fact for fact, chosen in sources.items() if chosen == source):
            if fact not in readings:
                raise MissingFileError(
                    f"{fact}: the files of {source} in the cache hold none. {how_to_get(source)}"
                )
            facts[fact] = sourced(source, readings[fact])
    frames, coverage = assemble(facts)
    added = {fact: frames[fact] for fact in sources}
    if empty := [fact for fact, frame in added.items() if frame.empty]:
        raise DataError(
            f"{empty[0]}: no row of {sources[empty[0]]} is of a state of the data {tables.name!r}."
        )
    base = {table: getattr(tables, table) for table in TABLES}
    base["capabilities"] = tables.capabilities.drop(columns=list(COMPUTED), errors="ignore")
    return finish_tables(
        base,
        coverage={**tables.coverage, **{fact: coverage[fact] for fact in sources}},
        name=tables.name,
        extra={**tables.extra, **added},
        check=False,
    )


def attached_key(sources: Mapping[str, str], *, cache: Path | None = None) -> str:
    """Hash of all that the tables are made from which `attach` adds, without reading them."""
    folder = cache_folder() if cache is None else Path(cache)
    _refuse(sources, folder)
    return key_of(folder, {fact: (source,) for fact, source in sources.items()}, amend=False)


def _refuse(sources: Mapping[str, str], folder: Path) -> None:
    entries = catalogue()
    for fact, source in sources.items():
        if fact not in ATTACHABLE:
            if fact in entries.facts:
                raise ArgumentError(
                    f"sources[{fact!r}]={source!r}: only data='historical' is put together from"
                    f" sources of {fact}; other data take {', '.join(ATTACHABLE)}."
                )
            raise UnknownNameError("kind of fact in sources:", fact, ATTACHABLE)
        entries.refuse_unless_provided(fact, source)
        files_of(source, cache=folder)


def key_of(folder: Path, candidates: Mapping[str, tuple[str, ...]], *, amend: bool) -> str:
    """Key of the tables that these files make.

    SHA-256 over names, roles and locked SHA-256 of all files of the `candidates` (by kind of fact,
    in the order of preference), what is not known of them, the code, and our own data if they
    `amend`.
    """
    sources = sorted({source for order in candidates.values() for source in order})
    files = {
        source: {role: file.sha256 for role, file in read_lock(folder, source).files.items()}
        for source in sources
    }
    # Whether a file is known to be the published one is in the notes, and follows from where the
    # same bytes came from and from the catalogue.
    doubts = {source: unproven(source, cache=folder) for source in sources}
    more = ("amendments.toml", "alliances.csv", "members.csv", "datapackage.json")
    names = ("states.csv", *(more if amend else ()))
    own = {name: sha256_of(data_folder() / name) for name in names}
    order = {fact: list(sources) for fact, sources in candidates.items()}
    return fingerprint_values(
        code=code_hash("sources"), files=files, doubts=doubts, order=order, own=own
    )
