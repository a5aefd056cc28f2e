"""The lock: which bytes of a source were first accepted; from then on no others are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from forecast.errors import ChangedFileError
from forecast.files import sha256_of, write_atomically

__all__ = ["Lock", "LockedFile", "lock_path", "read_lock", "sha256_of", "write_lock"]

#: Version of the layout of a lock file.
VERSION = 1


@dataclass(frozen=True)
class LockedFile:
    """One file as it was first accepted.

    Attributes
    ----------
    name : str
        File name in the cache (of a download: the name at the end of its address).
    size : int
        Bytes.
    sha256 : str
        Hash of the bytes.
    origin : str
        Address it came from, with the member after ``#``; or ``"file:"`` and the name of the
        user's own file.
    first : str
        Time of the first acceptance, ISO 8601, UTC.
    """

    name: str
    size: int
    sha256: str
    origin: str
    first: str


@dataclass(frozen=True)
class Lock:
    """Locked files of one source.

    Attributes
    ----------
    source : str
        Key in the catalogue.
    files : mapping of str to LockedFile
        Keyed by role: what the reader is given.
    downloads : mapping of str to LockedFile
        Keyed by download: what the publisher sent.
    """

    source: str
    files: Mapping[str, LockedFile] = field(default_factory=dict)
    downloads: Mapping[str, LockedFile] = field(default_factory=dict)


def lock_path(cache: Path, source: str) -> Path:
    """Where the lock of a source is: one file each, so that two processes never share one."""
    return cache / "locks" / f"{source}.json"


def read_lock(cache: Path, source: str) -> Lock:
    """Lock of a source; empty when nothing of it was accepted yet.

    Raises
    ------
    ChangedFileError
        The lock file is not one that we wrote. It is never taken for an empty one: that would
        accept any bytes.
    """
    path = lock_path(cache, source)
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Lock(source=source)
    except ValueError as error:
        raise _broken(path, str(error)) from None
    try:
        if content["version"] != VERSION or content["source"] != source:
            raise _broken(path, f"version {content['version']!r}, source {content['source']!r}")
        files, downloads = (
            {str(key): LockedFile(**entry) for key, entry in content[part].items()}
            for part in ("files", "downloads")
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise _broken(path, repr(error)) from None
    for entry in (*files.values(), *downloads.values()):
        # The name becomes part of a path.
        if Path(entry.name).name != entry.name:
            raise _broken(path, f"the name {entry.name!r} is not a file name")
    return Lock(source=source, files=files, downloads=downloads)


def _broken(path: Path, why: str) -> ChangedFileError:
    return ChangedFileError(
        f"{path}: not a lock file of this version ({why}). Restore it from a backup; or, if you"
        f" trust its source anew, delete it and run `forecast data get {path.stem}`."
    )


def write_lock(cache: Path, lock: Lock) -> None:
    """Write the lock of a source, whole or not at all."""
    content = {"version": VERSION, **asdict(lock)}
    text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
    write_atomically(lock_path(cache, lock.source), text.encode("utf-8"))


def refuse_changed(source: str, what: str, locked: LockedFile, found: str) -> None:
    """Raise if a hash is not the locked one.

    Raises
    ------
    ChangedFileError
        With both hashes and the way out.
    """
    if found != locked.sha256:
        raise ChangedFileError(
            f"{source}, {what}: its SHA-256 is {found}, but {locked.sha256} was locked on"
            f" {locked.first[:10]} (from {locked.origin}). Either the file was damaged or changed,"
            " or its publisher replaced it. Results obtained so far belong to the locked one. To"
            f" accept the new one: `forecast data get {source} --replace`, with `--from FILE` for a"
            " copy that you have."
        )
