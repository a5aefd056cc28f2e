"""The official sources: what there is, how it comes into the cache, and reading it from there.

>>> from forecast.sources.catalogue import available, catalogue, get, read_source
>>> catalogue()["cow_alliances_4_1"].covers
(1816, 2012)
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from forecast.errors import ForecastError, MissingFileError
from forecast.sources.acquire import add, add_found, get, read_files
from forecast.sources.cache import (
    available,
    cache_folder,
    files_of,
    gaps,
    how_to_get,
    known,
    preferred,
    read_lock,
    unproven,
    verify,
)
from forecast.sources.catalogue_file import Catalogue, catalogue, years_of
from forecast.sources.download import Network
from forecast.sources.entries import Source
from forecast.sources.tables import Reading

__all__ = [
    "Catalogue",
    "Network",
    "Source",
    "Work",
    "add",
    "add_found",
    "advice",
    "available",
    "cache_folder",
    "catalogue",
    "check_source",
    "citations",
    "files_of",
    "gaps",
    "get",
    "get_each",
    "read_source",
    "recipe",
    "status",
    "unproven",
    "verify",
    "years_of",
]

#: Kinds of fact that the historical tables are assembled from; the rest are by-products, or
#: fetched by name only (Polity, which needs an extra to be read as published).
RECIPE: tuple[str, ...] = (
    "states", "powers", "contiguity", "material_capabilities", "alliances", "members", "conflicts",
    "rivalries", "regimes", "troops", "trade", "igos", "distances", "treaty_design",
)  # fmt: skip


def read_source(source: str, cache: Path | None = None) -> list[Reading]:
    """Tidy readings of a source in the cache.

    The notes of a reading name the files of it that are not known to be the published ones
    (`unproven`). A file that is not the one that was locked is a ChangedFileError; one that breaks
    its layout or schema, or is of another release, a DataError.
    """
    readings = read_files(source, verify(source, cache=cache))
    facts_of, doubts = catalogue()[source].facts_of, unproven(source, cache=cache)
    said = [
        tuple(text for role, text in doubts.items() if reading.table in facts_of([role]))
        for reading in readings
    ]
    return [replace(r, notes=(*r.notes, *more)) for r, more in zip(readings, said, strict=True)]


def recipe(cache: Path | None = None) -> dict[str, str]:
    """Source of each kind of fact that the historical tables need.

    The first in the catalogue's order of preference that is in the cache; else the first that
    can be downloaded; else the first, which the user must bring.
    """
    entries = catalogue()
    there = {s: entries[s].facts_of(files_of(s, cache=cache)) for s in available(cache)}
    chosen = {}
    for fact in (fact for fact in RECIPE if fact in entries.facts):
        sources = preferred(fact, cache)
        chosen[fact] = next(
            (s for s in sources if fact in there.get(s, ())),
            next((s for s in sources if entries[s].can_be_downloaded), sources[0]),
        )
    return chosen


def advice(cache: Path | None = None) -> list[str]:
    """For each kind of fact whose preferred source is not the one in use, how to get that one."""
    by_source: dict[tuple[str, str], list[str]] = {}
    for fact, used in recipe(cache).items():
        best = catalogue().preferred(fact)[0]
        if best != used:
            by_source.setdefault((best, used), []).append(fact)
    return [
        f"For {', '.join(facts)} {best} is preferred to {used}. {how_to_get(best)}"
        for (best, used), facts in by_source.items()
    ]


def get_each(
    sources: Iterable[str] | None = None,
    *,
    cache: Path | None = None,
    network: Network | None = None,
    replace: bool = False,
    progress: bool = False,
) -> tuple[dict[str, dict[str, Path]], dict[str, ForecastError]]:
    """Get several sources, those of `recipe` by default; one that fails does not stop the others.

    Options are those of `get`. The files by source and role, and why a source did not come. If one
    is not in the catalogue nothing is fetched.
    """
    entries = catalogue()
    chosen = dict.fromkeys(recipe(cache).values() if sources is None else sources)
    for source in chosen:
        entries[source]
    files: dict[str, dict[str, Path]] = {}
    failed: dict[str, ForecastError] = {}
    for source in chosen:
        try:
            files[source] = get(
                source, cache=cache, network=network, replace=replace, progress=progress
            )
        except ForecastError as error:
            failed[source] = error
    return files, failed


def status(cache: Path | None = None) -> dict[str, dict[str, Any]]:
    """For each source what the catalogue says of it, and what of it is in the cache (for JSON).

    `cached`: whether it can be read; `bytes`: its size; `facts`: the kinds of fact that its files
    give; `missing`: what is missing and how to get it.
    """
    found: dict[str, dict[str, Any]] = {}
    for source in known(cache):
        entry, files, missing = catalogue()[source], {}, ""
        try:
            files = files_of(source, cache=cache)
        except MissingFileError as error:
            missing = str(error)
        found[source] = {
            "source": source,
            "title": entry.title,
            "release": entry.release,
            "provides": list(entry.provides),
            "covers": None if entry.covers is None else list(entry.covers),
            "licence": catalogue().licences[entry.licence].model_dump(),
            "landing": entry.landing,
            "note": entry.note,
            "download": entry.can_be_downloaded,
            "urls": [download.url for download in entry.downloads.values()],
            "cached": not missing,
            "bytes": sum(path.stat().st_size for path in files.values()),
            "facts": list(entry.facts_of(files)),
            "missing": missing,
        }
    return found


def check_source(source: str, cache: Path | None = None) -> list[dict[str, Any]]:
    """Read a source in the cache under every check of `read_source`, and say what it holds.

    For each kind of fact `source`, `table`, `rows`, `first` and `last` year, `files`, and `copy`:
    ``"published"`` when every file has the hash that the catalogue states, ``"other"`` when one has
    another (saved anew, shortened), ``"unknown"`` when none is stated.
    """
    readings = read_source(source, cache)
    entry, lock = catalogue()[source], read_lock(cache_folder(cache), source)
    same = {
        lock.files[role].sha256 == file.sha256
        for role, file in entry.files.items()
        if role in lock.files and file.sha256 is not None
    }
    copy = "other" if False in same else "published" if same else "unknown"
    names = ", ".join(file.name for file in lock.files.values())
    return [
        {
            "source": source,
            "table": reading.table,
            "rows": len(reading.frame),
            "first": reading.first,
            "last": reading.last,
            "files": names,
            "copy": copy,
        }
        for reading in readings
    ]


@dataclass(frozen=True)
class Work:
    """A work to cite: key of its entry in BibTeX, a sentence, the entry, the sources that ask."""

    key: str
    text: str
    bibtex: str
    sources: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary for JSON."""
        return asdict(self)


def citations(sources: Iterable[str] | None = None, cache: Path | None = None) -> list[Work]:
    """Works to cite for sources: by default those in the cache, else those of `recipe`."""
    entries = catalogue()
    if sources is None:
        sources = available(cache) or recipe(cache).values()
    asking: dict[str, list[str]] = {}
    for source in dict.fromkeys(sources):
        for key in entries[source].cite:
            asking.setdefault(key, []).append(source)
    return [
        Work(key, entries.citations[key].text, entries.citations[key].bibtex(key), tuple(by))
        for key, by in asking.items()
    ]
