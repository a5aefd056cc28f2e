"""Files into the cache: from a user or from the publisher, all of a source or none, and locked."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace as changed
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from forecast.errors import (
    ArgumentError,
    ChangedFileError,
    DataError,
    ForecastError,
    MissingFileError,
)
from forecast.exchange import Change
from forecast.files import MARKER, sha256_of, write_manifest
from forecast.folders import check_target, write_all
from forecast.sources.archive import MissingMemberError
from forecast.sources.cache import (
    Lock,
    LockedFile,
    absent,
    cache_folder,
    claimed,
    files_of,
    how_to_get,
    intact,
    lock_bytes,
    read_lock,
    refuse_changed,
    verify,
    wanted,
)
from forecast.sources.catalogue_file import catalogue
from forecast.sources.checking import check_spells
from forecast.sources.copies import (
    Copy,
    Given,
    Paths,
    UnrecognisedError,
    existing,
    recognise,
    refuse_other_release,
    releases_among,
    stage,
)
from forecast.sources.download import Network, bars, fetch
from forecast.sources.entries import Source
from forecast.sources.official import reader
from forecast.sources.tables import Reading

__all__ = ["add", "add_found", "get", "read_files"]


def add(
    source: str, given: Given, *, cache: Path | None = None, replace: bool = False
) -> dict[str, Path]:
    """Copy a user's files of a source into the cache, and lock them.

    Parameters
    ----------
    source : str
        Key in the catalogue; a release that it does not list, as ``"ucdp_acd_19_1"``; or a family
        of releases, as ``"ucdp_acd"``, where the files say which one they are.
    given : path, iterable of paths, or mapping of role to path
        CSV files (also ``.csv.gz``), Stata's ``.dta``, the publisher's zip archive, or folders
        that hold them. Without a role, a file is recognised by its name.
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
        Nothing is recognised, a role is ambiguous, or a file cannot be read as what it should be
        (names file, line and column) or is of another release; nothing is changed.
    ChangedFileError
        Another file was locked before; nothing is changed.
    """
    paths, root = existing(given), cache_folder(cache)
    if source in catalogue().families:
        releases = releases_among(source, paths)
        if len(releases) > 1:
            raise DataError(
                f"{source}: found {', '.join(releases)}, expected files of one release."
            )
        ((source, paths),) = releases.items()
    copies = recognise(source, catalogue()[source], paths)
    with claimed(source, root) as change:
        _accept(source, copies, root, change, replace=replace)
    return files_of(source, cache=root)


def add_found(
    given: Given,
    *,
    sources: Iterable[str] | None = None,
    cache: Path | None = None,
    replace: bool = False,
) -> tuple[dict[str, dict[str, Path]], dict[str, ForecastError]]:
    """Add every source that is recognised among a user's files, and every release of a family.

    Sources that are named, as in `add`, must be recognised; by default all are tried, then the
    releases that the catalogue does not list. Files by role need a single source. Given are the
    files by source and role, and why a source was recognised but not added: incomplete, changed,
    ambiguous.

    Raises
    ------
    UnknownNameError
        A source is not in the catalogue.
    DataError
        Nothing is recognised, or not a source that was named.
    """
    entries = catalogue()
    named = None if sources is None else list(dict.fromkeys(sources))
    for source in named or ():
        if source not in entries.families:
            entries[source]
    if isinstance(given, Mapping) and (named is None or len(named) != 1):
        raise ArgumentError("Files by role need one source: roles are those of its reader.")
    paths = existing(given)
    files: dict[str, dict[str, Path]] = {}
    failed: dict[str, ForecastError] = {}

    def attempt(source: str, paths: Paths) -> None:
        """One failure is not that of all; what is not there is passed over unless it was named."""
        try:
            if source in entries.families:
                found = releases_among(source, paths, only_unlisted=named is None)
                for release, own in found.items():
                    attempt(release, own)
            else:
                files[source] = add(source, paths, cache=cache, replace=replace)
        except UnrecognisedError:
            if named is not None:
                raise
        except ForecastError as error:
            if named is not None and len(named) == 1:
                raise
            failed[source] = error

    for source in (*entries.sources, *entries.families) if named is None else named:
        attempt(source, paths)
    if not files and not failed:
        names = ", ".join(repr(str(path)) for path in paths)
        raise UnrecognisedError(
            f"{names}: no file of any source is recognised. Name the source: `forecast data get"
            " SOURCE --from …`; `forecast data list` has their names."
        )
    return files, failed


def get(
    source: str,
    *,
    cache: Path | None = None,
    network: Network | None = None,
    replace: bool = False,
    progress: bool = False,
) -> dict[str, Path]:
    """Fetch a source from its publisher into the cache, unless it is there already.

    Parameters
    ----------
    source, cache
        As in `add`, with the same files returned; no family of releases.
    network : Network, optional
        Time-outs, attempts, certificates.
    replace : bool
        Fetch it anew, and accept other bytes than those that were locked.
    progress : bool
        Show bars on a terminal.

    Raises
    ------
    UnknownNameError
        No such source.
    MissingFileError
        No address is known for a file that the reader needs.
    DownloadError
        The publisher does not answer, or not with the file; or another process is at it.
    DataError
        What came is not the archive or table expected, or cannot be read; nothing is changed.
    ChangedFileError
        What came is not what was locked, or not what the catalogue states; nothing is changed.
    """
    entry, root = catalogue()[source], cache_folder(cache)
    if not _to_fetch(source, entry, root, anew=replace):
        return verify(source, cache=root)
    # A folder of its own, emptied also of what a kill has left there.
    folder = root / "downloads" / source
    with claimed(source, root) as change:
        roles = _to_fetch(source, entry, root, anew=replace)  # another may have been at it
        if absent(entry, [*roles, *intact(source, root)]):
            raise MissingFileError(
                f"{source} ({entry.title}, {entry.release}): {how_to_get(source)}"
            )
        shutil.rmtree(folder, ignore_errors=True)
        try:
            with bars(progress) as report:
                sent = _fetch(source, roles, folder, network or Network(), report)
            if not replace:
                sent = {key: _refuse_other(source, key, file, root) for key, file in sent.items()}
            copies = {
                role: Copy(
                    path=folder / sent[file.download].name,
                    member=file.member,
                    origin="#".join([sent[file.download].origin, *file.member]),
                    sure=not file.optional,
                )
                for role, file in entry.files.items()
                if role in roles and file.download is not None
            }
            if roles:
                _accept(source, copies, root, change, downloads=sent, replace=replace)
        finally:
            # Unpacked or refused: nothing of it is needed again.
            shutil.rmtree(folder, ignore_errors=True)
    return verify(source, cache=root)


def _to_fetch(source: str, entry: Source, root: Path, *, anew: bool) -> list[str]:
    """Roles that the publisher has and the cache has not, or not as they were locked.

    A role that an archive turned out not to hold is not asked for again.
    """
    known = {role: file.download for role, file in entry.files.items() if file.download is not None}
    if anew:
        return list(known)
    lock, there = read_lock(root, source), intact(source, root)
    return [
        role
        for role, key in known.items()
        if role not in there
        and (role in lock.files or role in entry.required or key not in lock.downloads)
    ]


def _fetch(
    source: str,
    roles: list[str],
    folder: Path,
    network: Network,
    report: Callable[[str, int, int | None], None],
) -> dict[str, LockedFile]:
    """What the publisher sends for these roles, by download; the bytes are in the folder."""
    entry, sent = catalogue()[source], {}
    for key in dict.fromkeys(entry.files[role].download or "" for role in roles):
        download = entry.downloads[key]
        target = folder / download.name
        url = fetch(download.url, target, network=network, report=partial(report, download.name))
        sent[key] = _described(target, url)
    return sent


def _described(path: Path, origin: str) -> LockedFile:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return LockedFile(path.name, path.stat().st_size, sha256_of(path), origin, now)


def _refuse_other(source: str, key: str, file: LockedFile, root: Path) -> LockedFile:
    """What was sent as it was first locked; an error if the catalogue or the lock has another."""
    stated = catalogue()[source].downloads[key].sha256
    if stated is not None and stated != file.sha256:
        raise ChangedFileError(
            f"{source}, {file.name}: its SHA-256 is {file.sha256}, the catalogue states {stated}."
            " The publisher may have replaced it, or it was changed on its way. To accept it:"
            f" `forecast data get {source} --replace`."
        )
    old = read_lock(root, source).downloads.get(key)
    if old is not None:
        refuse_changed(source, file.name, old, file.sha256)
    return old or file


def _accept(
    source: str,
    copies: Mapping[str, Copy],
    root: Path,
    change: Change,
    *,
    downloads: Mapping[str, LockedFile] | None = None,
    replace: bool,
) -> None:
    """Stage files of a source for the cache, all or none, with their lock.

    Their reader reads them first: what is locked is what can be used. What `replace` accepts is
    compared with no lock; whoever calls this has claimed the source.
    """
    entry, old = catalogue()[source], read_lock(root, source)
    # The lock tells what of the folder is ours, also when its content is no longer wanted.
    ours = [file.name for file in old.files.values()]
    if replace:
        old = Lock(source=source)
    kept = {
        role: root / source / file.name
        for role, file in old.files.items()
        if (root / source / file.name).is_file()
    }
    if missing := absent(entry, [*kept, *copies]):
        raise MissingFileError(
            f"{source}: {wanted(entry, missing)} missing; give all files of the source together."
        )
    locked = dict(old.files)
    without: MissingMemberError | None = None
    staged: dict[str, Path] = {}
    for role, copy in copies.items():
        # A folder for each role while files are staged: two may have the same name.
        try:
            path = stage(copy, entry.files[role], change.staging / f".{role}")
        except MissingMemberError as error:
            if copy.sure:
                raise
            without = error
            shutil.rmtree(change.staging / f".{role}")
            continue
        found = _described(path, copy.origin)
        if role in old.files:
            refuse_changed(source, f"{role} ({path.name})", old.files[role], found.sha256)
            # The same bytes under another name are the same file; its first time stays.
            found = changed(old.files[role], name=path.name)
        staged[role], locked[role] = path, found
    files = kept | staged
    if without is not None and absent(entry, files):
        raise without
    names = [path.name for path in files.values()]
    for name in names:
        if names.count(name) > 1:
            raise DataError(f"{source}: two files are called {name!r}; rename one.")
    check_target(root / source, [path.name for path in staged.values()], ours=ours)
    # A damaged file that is locked would keep the good one out.
    read_files(source, {role: files[role] for role in entry.files if role in files})
    (change.staging / source).mkdir()
    for path in staged.values():
        path.rename(change.staging / source / path.name)
        path.parent.rmdir()
    sent = {**old.downloads, **(downloads or {})}
    lock = lock_bytes(Lock(source=source, files=locked, downloads=sent))
    write_all(change.staging, {f"locks/{source}.json": lock})
    there = [file for role, file in locked.items() if role in files]
    facts = {file.name: {"sha256": file.sha256, "bytes": file.size} for file in there}
    write_manifest(change.staging / source, {"files": facts}, MARKER)
    change.last = (f"locks/{source}.json",)
    change.remove |= {f"{source}/{name}": None for name in ours if name not in names}


def read_files(source: str, files: Mapping[str, Path]) -> list[Reading]:
    """Tidy readings of files, by role, that are said to be those of a source.

    A file that breaks its layout or schema, a spell that ends before it starts or overlaps another
    of its key, and a file of another release (the published file of another source, or with another
    ``version`` than the catalogue states) are DataErrors.
    """
    # The release first: a cell that this one does not have would be said to be wrong.
    refuse_other_release(source, files)
    readings = reader(catalogue()[source].reader).read(files)
    names = ", ".join(path.name for path in files.values())
    for reading in readings:
        check_spells(reading.table, reading.frame, file=names)
    return readings
