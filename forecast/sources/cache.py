"""Official files in the cache: where it is, what is in it, and whether it is what was locked."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from forecast.errors import MissingFileError
from forecast.sources.catalogue_file import catalogue
from forecast.sources.entries import Source
from forecast.sources.lock import Lock, read_lock, refuse_changed, sha256_of

__all__ = [
    "absent",
    "available",
    "cache_folder",
    "files_of",
    "gaps",
    "how_to_get",
    "known",
    "preferred",
    "unproven",
    "verify",
    "wanted",
]


#: What a kind of fact settles, in words.
_DECIDES = {"obligation_years": "who owes whom in treaties of more than two members"}


def cache_folder() -> Path:
    """Folder of the official files: ``FORECAST_DATA``, or the user's cache folder."""
    given = os.environ.get("FORECAST_DATA")
    if given:
        return Path(given).expanduser()
    import platformdirs

    return Path(platformdirs.user_cache_path("alliance-forecast"))


def files_of(source: str, *, cache: Path | None = None) -> dict[str, Path]:
    """Files of a source in the cache, keyed by role.

    Parameters
    ----------
    source : str
        Key in the catalogue, e.g. ``"atop_5_1"``.
    cache : pathlib.Path, optional
        Cache folder; `cache_folder` by default.

    Raises
    ------
    UnknownNameError
        No such source.
    MissingFileError
        A file that the reader needs is not in the cache; says how to get it.
    """
    entry = catalogue()[source]
    folder = cache_folder() if cache is None else cache
    lock = read_lock(folder, source)
    found = {
        role: path
        for role, locked in lock.files.items()
        if role in entry.files and (path := folder / source / locked.name).is_file()
    }
    lost = [role for role in lock.files if role in entry.files and role not in found]
    missing = [*absent(entry, found), *lost]
    if missing:
        raise MissingFileError(
            f"{source} ({entry.title}, {entry.release}) is not in the cache {folder}: "
            f"{wanted(entry, missing)} missing. {how_to_get(source)}"
        )
    return found


def available(cache: Path | None = None) -> list[str]:
    """Sources in the cache with every file that their reader needs, in the catalogue's order."""
    there = []
    for source in known(cache):
        try:
            files_of(source, cache=cache)
        except MissingFileError:
            continue
        there.append(source)
    return there


def known(cache: Path | None = None) -> list[str]:
    """Sources of the catalogue in its order, then the releases in the cache that it lacks.

    Parameters
    ----------
    cache : pathlib.Path, optional
        Cache folder; `cache_folder` by default.
    """
    entries = catalogue()
    folder = cache_folder() if cache is None else Path(cache)
    locked = sorted(path.stem for path in (folder / "locks").glob("*.json"))
    return [*entries.sources, *(s for s in locked if s not in entries.sources and s in entries)]


def preferred(fact: str, cache: Path | None = None) -> tuple[str, ...]:
    """Sources of a kind of fact, preferred first; last the releases in the cache only.

    Parameters
    ----------
    fact : str
        Kind of fact.
    cache : pathlib.Path, optional
        Cache folder; `cache_folder` by default.

    Raises
    ------
    UnknownNameError
        No such kind of fact; names the nearest.
    """
    entries = catalogue()
    unlisted = [s for s in known(cache) if s not in entries.sources]
    further = (s for s in unlisted if fact in entries[s].provides)
    return (*entries.preferred(fact), *further)


def verify(source: str, *, cache: Path | None = None) -> dict[str, Path]:
    """Files of a source, each with the bytes that were locked.

    Parameters
    ----------
    source : str
        Key in the catalogue.
    cache : pathlib.Path, optional
        Cache folder; `cache_folder` by default.

    Raises
    ------
    MissingFileError
        A file is not in the cache.
    ChangedFileError
        A file is not the one that was locked.
    """
    files = files_of(source, cache=cache)
    lock = read_lock(cache_folder() if cache is None else cache, source)
    for role, path in files.items():
        refuse_changed(source, f"{role} ({path.name})", lock.files[role], sha256_of(path))
    return files


def unproven(source: str, *, cache: Path | None = None) -> dict[str, str]:
    """Sentence on each file in the cache that is not known to be the published one, by role.

    Known are a file with the SHA-256 that the catalogue states and, where it states none, one that
    came from the publisher's address.

    Parameters
    ----------
    source : str
        Key in the catalogue.
    cache : pathlib.Path, optional
        Cache folder; `cache_folder` by default.

    Raises
    ------
    UnknownNameError
        No such source.
    """
    entry = catalogue()[source]
    lock = read_lock(cache_folder() if cache is None else cache, source)
    said = f"a copy whose content is not known to be that of the release ({entry.release}):"
    return {
        role: f"{lock.files[role].name}: {said} {why}"
        for role in entry.files
        if role in lock.files and (why := _doubt(entry, role, lock))
    }


def gaps(source: str, *, cache: Path | None = None) -> list[str]:
    """Sentence on each kind of fact whose file is not in the cache, though others of it are.

    Parameters
    ----------
    source : str
        Key in the catalogue.
    cache : pathlib.Path, optional
        Cache folder; `cache_folder` by default.

    Raises
    ------
    UnknownNameError, MissingFileError
        As `files_of`.
    """
    entry, there = catalogue()[source], files_of(source, cache=cache)
    given = entry.facts_of(there)
    return [
        f"{file.shown} ({role}) is not there: it decides"
        f" {_DECIDES.get(fact, fact)}. Give it with `--from {role}=FILE`"
        for role, file in entry.files.items()
        if role not in there
        for fact in entry.facts_of([role])
        if fact not in given
    ]


def _doubt(entry: Source, role: str, lock: Lock) -> str:
    """Why a file may not be the published one; empty if it is."""
    file, locked = entry.files[role], lock.files[role]
    if entry.layout_of:
        return f"not listed in the catalogue, and read by the layout of {entry.layout_of[0]}"
    if file.sha256 is not None:
        return "" if locked.sha256 == file.sha256 else "its SHA-256 is not the published file's"
    if locked.origin.startswith("file:"):
        return "no SHA-256 of the published file is stated to compare it with"
    sent = lock.downloads.get(file.download or "")
    stated = None if file.download is None else entry.downloads[file.download].sha256
    if sent is not None and stated not in (None, sent.sha256):
        return f"the SHA-256 of {sent.name} is not the one that is stated"
    return ""


def how_to_get(source: str) -> str:
    """Sentence that says how a source comes into the cache."""
    entry = catalogue()[source]
    bring = f"`forecast data get {source} --from FILE`"
    if entry.downloads:
        return f"Get it with `forecast data get {source}`, or give a copy you have: {bring}."
    unlisted = f"{entry.note} " if entry.layout_of else ""
    return f"{unlisted}No address is known ({entry.landing}); give a copy you have: {bring}."


def absent(entry: Source, there: Iterable[str]) -> list[str]:
    """Roles without which the reader cannot work; a source of optional files needs any one."""
    have = set(there)
    missing = [role for role in entry.required if role not in have]
    return missing or ([] if have & set(entry.files) else list(entry.files))


def wanted(entry: Source, roles: Iterable[str]) -> str:
    """Start of a sentence: the files of these roles is, or are."""
    words = [f"{role} ({entry.files[role].shown})" for role in roles]
    joiner = " and " if entry.required else " or "
    return joiner.join(words) + (" is" if len(words) == 1 or not entry.required else " are")
