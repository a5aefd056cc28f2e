"""Official sources in the cache: what is there, adding a user's copy, reading what was locked."""

from __future__ import annotations

import dataclasses
import importlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from forecast.errors import ArgumentError, DataError, MissingFileError, UnknownNameError, nearest
from forecast.sources.archive import extract
from forecast.sources.entries import Catalogue, OfficialFile, Source, catalogue
from forecast.sources.lock import (
    Lock,
    LockedFile,
    read_lock,
    refuse_changed,
    sha256_of,
    write_lock,
)
from forecast.sources.tables import Reading

__all__ = [
    "Catalogue",
    "Source",
    "add",
    "available",
    "cache_folder",
    "catalogue",
    "files_of",
    "read_source",
    "verify",
]

#: Folders below the given one in which `add` looks for files.
_DEPTH = 3

Given = str | Path


@dataclass(frozen=True)
class Copy:
    """Where the bytes of one role come from: a file, or a member of an archive.

    Attributes
    ----------
    path : pathlib.Path
        File or archive.
    member : tuple of str
        Name inside the archive; empty for a plain file.
    origin : str
        What the lock says about where it came from.
    """

    path: Path
    member: tuple[str, ...]
    origin: str


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
    folder = _cache(cache)
    lock = read_lock(folder, source)
    found = {
        role: path
        for role, locked in lock.files.items()
        if role in entry.files and (path := folder / source / locked.name).is_file()
    }
    lost = [role for role in lock.files if role in entry.files and role not in found]
    missing = [*_absent(entry, found), *lost]
    if missing:
        raise MissingFileError(
            f"{source} ({entry.title}, {entry.release}) is not in the cache {folder}: "
            f"{_wanted(entry, missing)} missing. {how_to_get(source)}"
        )
    return found


def available(cache: Path | None = None) -> list[str]:
    """Sources in the cache with every file that their reader needs, in the catalogue's order."""
    there = []
    for source in catalogue().sources:
        try:
            files_of(source, cache=cache)
        except MissingFileError:
            continue
        there.append(source)
    return there


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
    lock = read_lock(_cache(cache), source)
    for role, path in files.items():
        refuse_changed(source, f"{role} ({path.name})", lock.files[role], sha256_of(path))
    return files


def read_source(source: str, cache: Path | None = None) -> list[Reading]:
    """Tidy readings of a source in the cache.

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
    MissingFileError
        It is not in the cache.
    ChangedFileError
        A file is not the one that was locked.
    DataError
        A file breaks its layout or schema.
    """
    files = verify(source, cache=cache)
    module = importlib.import_module(f"forecast.sources.official.{catalogue()[source].reader}")
    readings: list[Reading] = module.read(files)
    return readings


def add(
    source: str,
    given: Given | Mapping[str, Given] | Iterable[Given],
    *,
    cache: Path | None = None,
    replace: bool = False,
) -> dict[str, Path]:
    """Copy a user's files of a source into the cache, and lock them.

    Parameters
    ----------
    source : str
        Key in the catalogue.
    given : path, iterable of paths, or mapping of role to path
        CSV files (also ``.csv.gz``), the publisher's zip archive, or folders that hold them.
        Without a role, a file is recognised by its name.
    cache : pathlib.Path, optional
        Cache folder; `cache_folder` by default.
    replace : bool
        Accept other bytes than those that were locked.

    Returns
    -------
    dict of str to pathlib.Path
        Every file of the source that is now in the cache, keyed by role.

    Raises
    ------
    UnknownNameError
        No such source or role.
    MissingFileError
        A path does not exist, or a file that the reader needs is neither given nor cached.
    DataError
        Nothing is recognised, a role is ambiguous, or a file is not a table.
    ChangedFileError
        Another file was locked before; nothing is changed.
    """
    entry = catalogue()[source]
    return store_copies(source, recognise(source, entry, given), cache=cache, replace=replace)


def recognise(
    source: str, entry: Source, given: Given | Mapping[str, Given] | Iterable[Given]
) -> dict[str, Copy]:
    """Roles of the files that a user gives."""
    if isinstance(given, Mapping):
        named = {str(role): _existing(path) for role, path in given.items()}
        for role in named:
            if role not in entry.files:
                raise UnknownNameError(f"role of {source}", role, entry.files)
        return {role: _copy_of(path, entry.files[role]) for role, path in named.items()}
    paths = [_existing(given)] if isinstance(given, str | Path) else [_existing(p) for p in given]
    files = [found for path in paths for found in _walk(path)]
    copies: dict[str, Copy] = {}
    for role, file in entry.files.items():
        best = _best(files, source, role, file)
        if best is not None:
            copies[role] = _copy_of(best, file)
    archives = {d.name.lower() for d in entry.downloads.values() if d.is_archive}
    explicit = {path for path in paths if path.is_file()}
    for archive in (path for path, _ in files if path.suffix.lower() == ".zip"):
        # An archive counts if it is called as the publisher calls it, or was given by name.
        if archive.name.lower() in archives or archive in explicit:
            for role, copy in _members(archive, entry).items():
                copies.setdefault(role, copy)
    if not copies and len(entry.files) == 1 and len(explicit) == 1 and len(paths) == 1:
        (role,), (path,) = entry.files, explicit
        if path.name.lower().endswith((".csv", ".csv.gz")):
            copies[role] = _copy_of(path, entry.files[role])
    if not copies:
        raise _nothing_recognised(source, entry, [path for path, _ in files])
    return copies


def store_copies(
    source: str,
    copies: Mapping[str, Copy],
    *,
    cache: Path | None = None,
    downloads: Mapping[str, LockedFile] | None = None,
    replace: bool = False,
) -> dict[str, Path]:
    """Put files of a source into the cache, all or none, and lock them.

    Parameters
    ----------
    source : str
        Key in the catalogue.
    copies : mapping of str to Copy
        Where the bytes of each role are.
    cache, replace
        As in `add`.
    downloads : mapping of str to LockedFile, optional
        What the publisher sent, to be locked too.

    Returns
    -------
    dict of str to pathlib.Path
        As in `add`.
    """
    from forecast.store import replace_folder

    entry = catalogue()[source]
    root = _cache(cache)
    old = read_lock(root, source)
    kept = {role: lf for role, lf in old.files.items() if (root / source / lf.name).is_file()}
    if absent := _absent(entry, {**kept, **copies}):
        raise MissingFileError(
            f"{source}: {_wanted(entry, absent)} missing; give all files of the source together."
        )
    root.mkdir(parents=True, exist_ok=True)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    locked = {**old.files}
    with replace_folder(root / source) as staging:
        for role, copy in copies.items():
            path = _stage(copy, entry.files[role], staging / role)
            found = LockedFile(path.name, path.stat().st_size, sha256_of(path), copy.origin, now)
            if role in old.files and not replace:
                refuse_changed(source, f"{role} ({path.name})", old.files[role], found.sha256)
                # The same bytes under another name are the same file; its first time stays.
                found = dataclasses.replace(old.files[role], name=path.name)
            locked[role] = found
        for role, file in kept.items():
            if role not in copies:
                (staging / role).mkdir()
                shutil.copy2(root / source / file.name, staging / role / file.name)
        # Roles are folders only while files are staged: two may not end under one name.
        for role in [r for r in locked if (staging / r).is_dir()]:
            target = staging / locked[role].name
            if target.exists():
                raise DataError(f"{source}: two files are called {target.name!r}; rename one.")
            (staging / role / target.name).rename(target)
            (staging / role).rmdir()
    new = {} if replace else dict(old.downloads)
    write_lock(root, Lock(source=source, files=locked, downloads={**new, **(downloads or {})}))
    return files_of(source, cache=root)


def how_to_get(source: str) -> str:
    """Sentence that says how a source comes into the cache."""
    entry = catalogue()[source]
    bring = f"`forecast data get {source} --from FILE`"
    if entry.downloads:
        return f"Get it with `forecast data get {source}`, or give a copy you have: {bring}."
    return f"No address is known ({entry.landing}); give a copy you have: {bring}."


def _cache(cache: Path | None) -> Path:
    return cache_folder() if cache is None else Path(cache)


def _absent(entry: Source, there: Iterable[str]) -> list[str]:
    """Roles without which the reader cannot work; a source of optional files needs any one."""
    have = set(there)
    missing = [role for role in entry.required if role not in have]
    return missing or ([] if have & set(entry.files) else list(entry.files))


def _wanted(entry: Source, roles: Iterable[str]) -> str:
    words = [f"{role} ({entry.files[role].names[0]})" for role in roles]
    joiner = " and " if entry.required else " or "
    return joiner.join(words) + (" is" if len(words) == 1 or not entry.required else " are")


def _existing(path: Given) -> Path:
    full = Path(path).expanduser()
    if not full.exists():
        raise MissingFileError(f"There is no file or folder {str(path)!r}.")
    return full


def _walk(path: Path) -> list[tuple[Path, int]]:
    """Files at and below a path, each with its depth."""
    if path.is_file():
        return [(path, 0)]
    found = []
    for folder, folders, names in path.walk():
        depth = len(folder.relative_to(path).parts)
        if depth >= _DEPTH:
            folders.clear()
        folders.sort()
        found += [(folder / name, depth) for name in sorted(names)]
    return found


def _best(files: list[tuple[Path, int]], source: str, role: str, file: OfficialFile) -> Path | None:
    ranked = [
        ((rank, depth), path)
        for path, depth in files
        if path.suffix.lower() != ".zip" and (rank := file.rank(path.name)) is not None
    ]
    if not ranked:
        return None
    first = min(order for order, _ in ranked)
    best = [path for order, path in ranked if order == first]
    if len(best) > 1:
        raise DataError(
            f"{source}: both {best[0]} and {best[1]} could be {role!r}; name one:"
            f" `--from {role}=FILE`."
        )
    return best[0]


def _copy_of(path: Path, file: OfficialFile) -> Copy:
    if path.is_dir():
        raise ArgumentError(f"{path} is a folder, expected a file for one role.")
    if path.suffix.lower() == ".zip":
        return Copy(path, file.member or (file.names[0],), f"file:{path.name}")
    return Copy(path, (), f"file:{path.name}")


def _members(archive: Path, entry: Source) -> dict[str, Copy]:
    """Roles that an archive can fill: those of one download if it is named so, else any."""
    by_name = {k for k, d in entry.downloads.items() if d.name.lower() == archive.name.lower()}
    there = {}
    with tempfile.TemporaryDirectory() as scratch:
        failures = []
        for role, file in entry.files.items():
            if by_name and file.download not in by_name:
                continue
            copy = _copy_of(archive, file)
            try:
                _unpack(copy, file, Path(scratch) / "member")
            except DataError as error:
                failures.append(error)
                if not file.optional:
                    raise
                continue
            there[role] = copy
        if failures and not there:
            raise failures[0]
    return there


def _unpack(copy: Copy, file: OfficialFile, target: Path) -> str:
    return extract(
        copy.path, copy.member, target, max_bytes=file.max_megabytes * 1_000_000, rank=file.rank
    )


def _stage(copy: Copy, file: OfficialFile, folder: Path) -> Path:
    """Bytes of one role in a folder of its own, under the name that its publisher gave it."""
    folder.mkdir()
    if copy.member:
        name = _unpack(copy, file, folder / "member")
        path = (folder / "member").rename(folder / _safe(name))
    else:
        path = folder / _safe(copy.path.name)
        shutil.copyfile(copy.path, path)
    _refuse_page(path, copy)
    return path


def _safe(name: str) -> str:
    """File name that every system can hold and no shell or path can misread."""
    return "".join(c if c.isprintable() and c not in '<>:"/\\|?*' else "_" for c in name)


def _refuse_page(path: Path, copy: Copy) -> None:
    """A web page, an empty file or a binary one is not a table, whatever its name says."""
    with path.open("rb") as handle:
        head = handle.read(4096)
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if not text and not head.startswith(b"\x1f\x8b"):
        raise DataError(f"{path.name} (from {copy.origin}) is empty, expected a table.")
    if text.startswith((b"<!doctype", b"<html", b"<?xml")):
        raise DataError(
            f"{path.name} (from {copy.origin}) is a web page, expected a table. The publisher's"
            " site may ask for a consent, or the file may have moved."
        )
    if head.startswith(b"PK\x03\x04") or (b"\0" in head and not head.startswith(b"\x1f\x8b")):
        raise DataError(f"{path.name} (from {copy.origin}) is a binary file, expected CSV.")


def _nothing_recognised(source: str, entry: Source, files: list[Path]) -> DataError:
    expected = {role: file.names[0] for role, file in entry.files.items()}
    names = [path.name for path in files]
    near = {
        n: role
        for role, file in expected.items()
        if (n := nearest(file, names, cutoff=80)) is not None
    }
    hint = "".join(f" Is {n!r} the {role}? Then `--from {role}={n}`." for n, role in near.items())
    listed = ", ".join(f"{role}: {file}" for role, file in expected.items())
    return DataError(f"{source}: none of the {len(names)} files given is known ({listed}).{hint}")
