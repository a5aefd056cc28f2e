"""Official files in the cache: where it is, what is in it, and which bytes are locked.

The first bytes of a source that are accepted are written down in ``locks/SOURCE.json``; from then
on no others are.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from forecast.errors import ChangedFileError, MissingFileError
from forecast.exchange import Change, changed, settle, undisturbed
from forecast.files import sha256_of
from forecast.sources.catalogue_file import catalogue
from forecast.sources.entries import Source

__all__ = [
    "Lock",
    "LockedFile",
    "absent",
    "available",
    "cache_folder",
    "claimed",
    "files_of",
    "gaps",
    "how_to_get",
    "intact",
    "known",
    "lock_bytes",
    "preferred",
    "read_lock",
    "refuse_changed",
    "unproven",
    "verify",
    "wanted",
]

#: Version of the layout of a lock file.
VERSION = 1

#: What a kind of fact settles, in words.
_DECIDES = {"obligation_years": "who owes whom in treaties of more than two members"}


@dataclass(frozen=True)
class LockedFile:
    """One file as it was first accepted, at the time `first` (ISO 8601, UTC).

    `name` is that in the cache (of a download: the end of its address), `size` in bytes; `origin`
    the address it came from, with the member after ``#``, or ``"file:"`` and the name of the user's
    own.
    """

    name: str
    size: int
    sha256: str
    origin: str
    first: str


@dataclass(frozen=True)
class Lock:
    """Locked files of one source: `files` by role, `downloads` as the publisher sent them."""

    source: str
    files: Mapping[str, LockedFile] = field(default_factory=dict)
    downloads: Mapping[str, LockedFile] = field(default_factory=dict)


def cache_folder(cache: Path | None = None) -> Path:
    """Folder of the official files: the one given, ``FORECAST_DATA``, or the user's cache."""
    given = cache if cache is not None else os.environ.get("FORECAST_DATA")
    if given:
        return Path(given).expanduser()
    import platformdirs

    return Path(platformdirs.user_cache_path("alliance-forecast"))


def claimed(source: str, root: Path) -> AbstractContextManager[Change]:
    """Change of the files of a source and of its lock, both or none.

    No second process fetches or adds the source meanwhile; one that waited finds what came in.
    """
    return changed(root, f".{source}")


def read_lock(cache: Path, source: str) -> Lock:
    """Lock of a source; empty when nothing of it was accepted yet.

    A lock file that we did not write is a ChangedFileError. It is never taken for an empty one:
    that would accept any bytes.
    """
    settle(cache, f".{source}")
    path = cache / "locks" / f"{source}.json"
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
        if content["version"] != VERSION or content["source"] != source:
            raise ValueError(f"version {content['version']!r}, source {content['source']!r}")
        files, downloads = (
            {str(key): LockedFile(**entry) for key, entry in content[part].items()}
            for part in ("files", "downloads")
        )
        for entry in (*files.values(), *downloads.values()):
            if Path(entry.name).name != entry.name:  # it becomes part of a path
                raise ValueError(f"the name {entry.name!r} is not a file name")
    except FileNotFoundError:
        return Lock(source=source)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        why = str(error) if isinstance(error, ValueError) else repr(error)
        raise ChangedFileError(
            f"{path}: not a lock file of this version ({why}). Restore it from a backup; or, if you"
            f" trust its source anew, delete it and run `forecast data get {source}`."
        ) from None
    return Lock(source=source, files=files, downloads=downloads)


def lock_bytes(lock: Lock) -> bytes:
    """Content of the lock file of a source."""
    text = json.dumps({"version": VERSION, **asdict(lock)}, indent=1, ensure_ascii=False) + "\n"
    return text.encode("utf-8")


def refuse_changed(source: str, what: str, locked: LockedFile, found: str) -> None:
    """Raise a `ChangedFileError` with both hashes and the way out if a hash is not the locked."""
    if found != locked.sha256:
        raise ChangedFileError(
            f"{source}, {what}: its SHA-256 is {found}, but {locked.sha256} was locked on"
            f" {locked.first[:10]} (from {locked.origin}). Either the file was damaged or changed,"
            " or its publisher replaced it. Results obtained so far belong to the locked one. To"
            f" accept the new one: `forecast data get {source} --replace`, with `--from FILE` for a"
            " copy that you have."
        )


def files_of(source: str, *, cache: Path | None = None) -> dict[str, Path]:
    """Files of a source in the cache, keyed by role.

    A file that the reader needs and that is not there is a MissingFileError that says how to get
    it.
    """
    entry, folder = catalogue()[source], cache_folder(cache)
    lock = read_lock(folder, source)
    paths = {r: folder / source / f.name for r, f in lock.files.items() if r in entry.files}
    found = {role: path for role, path in paths.items() if path.is_file()}
    missing = [*absent(entry, found), *(role for role in paths if role not in found)]
    if missing:
        raise MissingFileError(
            f"{source} ({entry.title}, {entry.release}) is not in the cache {folder}: "
            f"{wanted(entry, missing)} missing. {how_to_get(source)}"
        )
    return found


def verify(source: str, *, cache: Path | None = None) -> dict[str, Path]:
    """Files as `files_of` gives them, or a `ChangedFileError` if one is not the one locked."""
    root = cache_folder(cache)

    def read() -> dict[str, Path]:
        files, lock = files_of(source, cache=root), read_lock(root, source)
        for role, path in files.items():
            refuse_changed(source, f"{role} ({path.name})", lock.files[role], sha256_of(path))
        return files

    return undisturbed(root, root / "locks" / f"{source}.json", read, f".{source}")


def intact(source: str, root: Path) -> list[str]:
    """Roles whose file in the cache is what was locked."""
    lock = read_lock(root, source)
    paths = {role: root / source / file.name for role, file in lock.files.items()}
    return [r for r, p in paths.items() if p.is_file() and sha256_of(p) == lock.files[r].sha256]


def available(cache: Path | None = None) -> list[str]:
    """Sources in the cache with every file that their reader needs, in the catalogue's order."""
    there = []
    for source in known(cache):
        with suppress(MissingFileError):
            files_of(source, cache=cache)
            there.append(source)
    return there


def known(cache: Path | None = None) -> list[str]:
    """Sources of the catalogue in its order, then the releases in the cache that it lacks."""
    entries = catalogue()
    locked = sorted(path.stem for path in (cache_folder(cache) / "locks").glob("*.json"))
    return [*entries.sources, *(s for s in locked if s not in entries.sources and s in entries)]


def preferred(fact: str, cache: Path | None = None) -> tuple[str, ...]:
    """Sources of a kind of fact, preferred first; last the releases in the cache only."""
    entries = catalogue()
    unlisted = [s for s in known(cache) if s not in entries.sources]
    further = (s for s in unlisted if fact in entries[s].provides)
    return (*entries.preferred(fact), *further)


def unproven(source: str, *, cache: Path | None = None) -> dict[str, str]:
    """Sentence on each file in the cache that is not known to be the published one, by role.

    Known are a file with the SHA-256 that the catalogue states and, where it states none, one that
    came from the publisher's address.
    """
    entry, lock = catalogue()[source], read_lock(cache_folder(cache), source)
    said = f"a copy whose content is not known to be that of the release ({entry.release}):"
    return {
        role: f"{lock.files[role].name}: {said} {why}"
        for role in entry.files
        if role in lock.files and (why := _doubt(entry, role, lock))
    }


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


def gaps(source: str, *, cache: Path | None = None) -> list[str]:
    """Sentence on each kind of fact whose file is not in the cache, though others of it are."""
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
