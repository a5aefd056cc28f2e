"""Tables of official sources in the cache beside any data set: what the embedded one lacks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from forecast.errors import ArgumentError, DataError, MissingFileError, UnknownNameError
from forecast.sources.cache import cache_folder, files_of, how_to_get
from forecast.sources.catalogue_file import catalogue
from forecast.sources.derived import key_of
from forecast.sources.tables import EXTRA_TABLES, TABLES, Tables

__all__ = ["ATTACHABLE", "attach", "attached_key"]

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
    from forecast.sources.assembly import Sourced, assemble
    from forecast.sources.capability import COMPUTED
    from forecast.sources.catalogue import read_source
    from forecast.sources.embedded import finish_tables
    from forecast.sources.historical import sourced
    from forecast.sources.tables import Reading

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
