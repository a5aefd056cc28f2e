"""Files into the cache: from a user or from the publisher, all of a source or none, and locked."""

from __future__ import annotations

import dataclasses
import shutil
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
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
from forecast.sources.accepted import read_files
from forecast.sources.archive import MissingMemberError
from forecast.sources.cache import absent, cache_folder, files_of, how_to_get, verify, wanted
from forecast.sources.catalogue_file import catalogue
from forecast.sources.copies import (
    Copy,
    Given,
    UnrecognisedError,
    existing,
    nothing_recognised,
    recognise,
    stage,
)
from forecast.sources.download import Network, fetch
from forecast.sources.entries import Source
from forecast.sources.families import families, layout, releases_among
from forecast.sources.lock import (
    Lock,
    LockedFile,
    read_lock,
    refuse_changed,
    sha256_of,
    write_lock,
)

__all__ = ["add", "add_found", "get"]


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
    found: Given | Mapping[str, Given] | Iterable[Given] = given
    if source in families(catalogue().sources):
        releases = _releases(source, [given] if isinstance(given, str | Path) else given)
        if len(releases) > 1:
            raise DataError(
                f"{source}: found {', '.join(releases)}, expected files of one release."
            )
        ((source, found),) = releases.items()
    entry = catalogue()[source]
    return store_copies(source, recognise(source, entry, found), cache=cache, replace=replace)


def _releases(
    family: str, given: Iterable[Given] | Mapping[str, Given], *, only_unlisted: bool = False
) -> dict[str, dict[str, Path]]:
    """`releases_among`, of which there must be one."""
    sources = catalogue().sources
    given = given if isinstance(given, Mapping) else list(given)
    found = releases_among(family, sources, given, only_unlisted=only_unlisted)
    if not found:
        paths = given.values() if isinstance(given, Mapping) else given
        raise nothing_recognised(family, layout(family, sources), map(existing, paths))
    return found


def add_found(
    given: Mapping[str, Given] | Iterable[Given],
    *,
    sources: Iterable[str] | None = None,
    cache: Path | None = None,
    replace: bool = False,
) -> tuple[dict[str, dict[str, Path]], dict[str, ForecastError]]:
    """Add every source that is recognised among a user's files, and every release of a family.

    Parameters
    ----------
    given : iterable of paths, or mapping of role to path
        As in `add`; roles only for a single source.
    sources : iterable of str, optional
        As `source` in `add`. Those named must be recognised; by default all are tried, then the
        releases that the catalogue does not list.
    cache, replace
        As in `add`.

    Returns
    -------
    files : dict of str to dict of str to pathlib.Path
        Files by source and role.
    failed : dict of str to ForecastError
        Why a source was recognised but not added: incomplete, changed, ambiguous.

    Raises
    ------
    UnknownNameError
        A source is not in the catalogue.
    DataError
        Nothing is recognised, or not a source that was named.
    """
    entries = catalogue()
    named = None if sources is None else list(dict.fromkeys(sources))
    known_families = families(entries.sources)
    for source in named or ():
        if source not in known_families:
            entries[source]
    if isinstance(given, Mapping) and (named is None or len(named) != 1):
        raise ArgumentError("Files by role need one source: roles are those of its reader.")
    paths = given if isinstance(given, Mapping) else list(given)
    for path in paths.values() if isinstance(paths, Mapping) else paths:
        existing(path)
    files: dict[str, dict[str, Path]] = {}
    failed: dict[str, ForecastError] = {}

    @contextmanager
    def one_of_several(source: str) -> Iterator[None]:
        """What is not there is passed over unless it was named; one failure is not that of all."""
        try:
            yield
        except UnrecognisedError:
            if named is not None:
                raise
        except ForecastError as error:
            if named is not None and len(named) == 1:
                raise
            failed[source] = error

    for source in (*entries.sources, *known_families) if named is None else named:
        wanted: Mapping[str, Mapping[str, Given] | Iterable[Given]] = {source: paths}
        if source in known_families:
            wanted = {}
            with one_of_several(source):
                wanted = _releases(source, paths, only_unlisted=named is None)
        for key, content in wanted.items():
            with one_of_several(key):
                files[key] = add(key, content, cache=cache, replace=replace)
    if not files and not failed:
        names = ", ".join(repr(str(path)) for path in paths)
        raise UnrecognisedError(
            f"{names}: no file of any source is recognised. Name the source: `forecast data get"
            " SOURCE --from …`; `forecast data list` has their names."
        )
    return files, failed


def store_copies(
    source: str,
    copies: Mapping[str, Copy],
    *,
    cache: Path | None = None,
    downloads: Mapping[str, LockedFile] | None = None,
    replace: bool = False,
) -> dict[str, Path]:
    """Put files of a source into the cache, all or none, and lock them.

    Their reader reads them first: what is locked is what can be used.

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
    from forecast.files import replace_folder

    entry = catalogue()[source]
    root = cache_folder() if cache is None else Path(cache)
    old = read_lock(root, source)
    # The lock tells what of the folder is ours, also when its content is no longer wanted.
    ours = [file.name for file in old.files.values()]
    if replace:
        old = Lock(source=source)
    kept = {role: lf for role, lf in old.files.items() if (root / source / lf.name).is_file()}
    if missing := absent(entry, [*kept, *copies]):
        raise MissingFileError(
            f"{source}: {wanted(entry, missing)} missing; give all files of the source together."
        )
    root.mkdir(parents=True, exist_ok=True)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    locked = dict(old.files)
    without: MissingMemberError | None = None
    with replace_folder(root / source, ours=ours) as staging:
        staged: dict[str, Path] = {}
        for role, copy in copies.items():
            # A folder for each role while files are staged: two may have the same name.
            folder = staging / f".{role}"
            try:
                path = stage(copy, entry.files[role], folder)
            except MissingMemberError as error:
                if copy.sure:
                    raise
                without = error
                shutil.rmtree(folder)
                continue
            found = LockedFile(path.name, path.stat().st_size, sha256_of(path), copy.origin, now)
            if role in old.files:
                refuse_changed(source, f"{role} ({path.name})", old.files[role], found.sha256)
                # The same bytes under another name are the same file; its first time stays.
                found = dataclasses.replace(old.files[role], name=path.name)
            staged[role], locked[role] = path, found
        for role, file in kept.items():
            if role not in staged:
                (staging / f".{role}").mkdir()
                staged[role] = staging / f".{role}" / file.name
                shutil.copy2(root / source / file.name, staged[role])
        if without is not None and absent(entry, staged):
            raise without
        names = [path.name for path in staged.values()]
        for name in names:
            if names.count(name) > 1:
                raise DataError(f"{source}: two files are called {name!r}; rename one.")
        # A damaged file that is locked would keep the good one out.
        read_files(source, {role: staged[role] for role in staged if role in entry.files})
        for path in staged.values():
            path.rename(staging / path.name)
            path.parent.rmdir()
    sent = {**old.downloads, **(downloads or {})}
    write_lock(root, Lock(source=source, files=locked, downloads=sent))
    return files_of(source, cache=root)


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
    source : str
        Key in the catalogue.
    cache : pathlib.Path, optional
        Cache folder; `cache_folder` by default.
    network : Network, optional
        Time-outs, attempts, certificates.
    replace : bool
        Fetch it anew, and accept other bytes than those that were locked.
    progress : bool
        Show bars on a terminal.

    Returns
    -------
    dict of str to pathlib.Path
        Every file of the source that is now in the cache, keyed by role.

    Raises
    ------
    UnknownNameError
        No such source.
    MissingFileError
        No address is known for a file that the reader needs.
    DownloadError
        The publisher does not answer, or not with the file.
    DataError
        What came is not the archive or table expected, or cannot be read; nothing is changed.
    ChangedFileError
        What came is not what was locked, or not what the catalogue states; nothing is changed.
    """
    entry = catalogue()[source]
    root = cache_folder() if cache is None else Path(cache)
    roles = _to_fetch(source, entry, root, anew=replace)
    if not roles:
        return verify(source, cache=root)
    if absent(entry, [*roles, *_intact(source, root)]):
        raise MissingFileError(f"{source} ({entry.title}, {entry.release}): {how_to_get(source)}")
    needed = {entry.files[role].download for role in roles}
    fetched: dict[str, Path] = {}
    locked: dict[str, LockedFile] = {}
    old = read_lock(root, source)
    with _bars(progress) as report:
        for key, download in entry.downloads.items():
            if key not in needed:
                continue
            target = root / "downloads" / f"{source}-{download.name}"
            url = fetch(
                download.url,
                target,
                network=network or Network(),
                report=partial(report, download.name),
            )
            now = datetime.now(UTC).isoformat(timespec="seconds")
            size, found = target.stat().st_size, sha256_of(target)
            fetched[key] = target
            locked[key] = LockedFile(download.name, size, found, url, now)
    try:
        if not replace:
            for key, file in locked.items():
                _refuse_unknown(source, entry, key, file)
                if key in old.downloads:
                    refuse_changed(source, file.name, old.downloads[key], file.sha256)
                    locked[key] = old.downloads[key]
        copies = {
            role: Copy(
                path=fetched[file.download],
                member=file.member,
                origin="#".join([locked[file.download].origin, *file.member]),
                name=None if file.member else entry.downloads[file.download].name,
                sure=not file.optional,
            )
            for role, file in entry.files.items()
            if role in roles and file.download is not None
        }
        return store_copies(source, copies, cache=root, downloads=locked, replace=replace)
    finally:
        # Unpacked or refused: neither is needed again.
        for path in fetched.values():
            path.unlink(missing_ok=True)


def _intact(source: str, root: Path) -> list[str]:
    """Roles whose file in the cache is what was locked."""
    lock = read_lock(root, source)
    paths = {role: root / source / file.name for role, file in lock.files.items()}
    return [r for r, p in paths.items() if p.is_file() and sha256_of(p) == lock.files[r].sha256]


def _to_fetch(source: str, entry: Source, root: Path, *, anew: bool) -> list[str]:
    """Roles that the publisher has and the cache has not, or not as they were locked.

    A role that an archive turned out not to hold is not asked for again.
    """
    known = [role for role, file in entry.files.items() if file.download is not None]
    if anew:
        return known
    lock, there = read_lock(root, source), set(_intact(source, root))
    return [
        role
        for role in known
        if role not in there
        and (role in lock.files or role in entry.required or _unseen(entry, role, lock))
    ]


def _unseen(entry: Source, role: str, lock: Lock) -> bool:
    return entry.files[role].download not in lock.downloads


def _refuse_unknown(source: str, entry: Source, key: str, file: LockedFile) -> None:
    stated = entry.downloads[key].sha256
    if stated is not None and stated != file.sha256:
        raise ChangedFileError(
            f"{source}, {file.name}: its SHA-256 is {file.sha256}, the catalogue states {stated}."
            " The publisher may have replaced it, or it was changed on its way. To accept it:"
            f" `forecast data get {source} --replace`."
        )


@contextmanager
def _bars(show: bool) -> Iterator[Callable[[str, int, int | None], None]]:
    """Function that moves the bar of a file: name, bytes so far, bytes in all."""
    if not show:
        yield lambda name, done, total: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TaskID,
        TextColumn,
        TransferSpeedColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
    )
    with warnings.catch_warnings():
        # rich asks for ipywidgets in a notebook; it falls back to text by itself.
        warnings.filterwarnings("ignore", message="install .*ipywidgets", category=UserWarning)
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            tasks: dict[str, TaskID] = {}

            def report(name: str, done: int, total: int | None) -> None:
                if name not in tasks:
                    tasks[name] = bar.add_task(name, total=total)
                bar.update(tasks[name], completed=done, total=total)

            yield report
