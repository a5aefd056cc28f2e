"""One file at a time, on the disk whole or not at all; and what the disk says in our words.

A file is written beside its place, flushed, and renamed. It keeps the mode and owner of the one
whose place it takes; a link is never followed.
"""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import shutil
import stat
import uuid
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from fnmatch import fnmatch
from pathlib import Path
from typing import cast

from forecast.errors import ArgumentError, ForecastError, StorageError

__all__ = [
    "COMMIT",
    "LOCK",
    "NEW",
    "STEM",
    "as_before",
    "digest_of",
    "flush",
    "is_passing",
    "kind_of",
    "leaves",
    "make",
    "passing_name",
    "refuse_no_file",
    "sha256_of",
    "sweep",
    "told",
    "write_atomically",
]

#: Beginning and ends of the names of lock, staged files and journal in a folder.
STEM = ".alliance-forecast"
LOCK, NEW, COMMIT = ".lock", ".new", ".commit"
#: Names of a file on its way to its place, and of a folder on its way out.
_PASSING = ".????????.alliance-forecast"


@contextmanager
def told(path: Path | str, what: str = "cannot be written", after: str = "") -> Iterator[None]:
    """Turn the system's refusals (a full disk, no permission …) into a `StorageError`."""
    try:
        yield
    except ForecastError:
        raise
    except OSError as error:
        raise StorageError(path, what, error, after) from None


def flush(path: Path) -> None:
    """Have the system write a file, or the names in a folder, to the disk."""
    folder = path.is_dir()
    if folder and os.name == "nt":  # where folders cannot be opened
        return
    # Only what may be written can be flushed on some systems.
    fd = os.open(path, os.O_RDONLY if folder or os.name != "nt" else os.O_RDWR)
    try:
        os.fsync(fd)
    except OSError as error:
        # Some file systems do not flush folders, and write their names at once.
        if not folder or error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(fd)


def make(folder: Path) -> None:
    """Make a folder that outlives a power cut, with those above it."""
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for path in reversed(made):
        flush(path.parent)


def sha256_of(path: Path | zipfile.Path) -> str:
    """SHA-256 of a file (hex)."""
    with path.open("rb") as file:
        return hashlib.file_digest(cast("io.BufferedReader", file), "sha256").hexdigest()


def digest_of(content: Mapping[str, object]) -> str:
    """SHA-256 (hex) of values of JSON by name, whatever their order."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def leaves(folder: Path, *, settled: bool = False) -> dict[str, Path]:
    """Everything below a folder by its name there, but folders that hold something.

    `settled`: without what is of a change under way (`is_passing`).
    """
    found: dict[str, Path] = {}
    for path in folder.iterdir():
        if settled and is_passing(path.name):
            continue
        inside = {} if path.is_symlink() or not path.is_dir() else leaves(path)
        found |= {f"{path.name}/{name}": leaf for name, leaf in inside.items()}
        if not inside:
            found[path.name] = path
    return found


def is_passing(name: str) -> bool:
    """Whether a name at the top of a folder is of a change under way, or of what one left."""
    return name in {STEM + end for end in (LOCK, NEW, COMMIT)} or fnmatch(name, _PASSING)


def passing_name() -> str:
    """Name of something that the next `sweep` removes if nobody is writing it."""
    return _PASSING.replace("?" * 8, uuid.uuid4().hex[:8])


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file whole or not at all; it keeps its mode and owner.

    Raises
    ------
    ArgumentError
        `path` is a link, a folder, or anything but a file.
    StorageError
        The system refuses; what was there is as it was.
    """
    refuse_no_file(path)
    with told(path, after="What was there is as it was."):
        make(path.parent)
        sweep(path.parent)
        # Another writer may sweep it before it is locked, and after it is closed.
        while not _written(path.with_name(passing_name()), path, content):
            pass
        flush(path.parent)


def _written(staging: Path, path: Path, content: bytes) -> bool:
    """Whether a file got to its place; False if another writer swept it away."""
    from filelock import lock_descriptor

    try:
        with staging.open("xb") as file:
            # Tells the sweep of another that this one is alive, where there are locks.
            with suppress(OSError):
                lock_descriptor(file.fileno(), blocking=False)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        as_before(staging, path)
        staging.replace(path)
    except FileNotFoundError:
        if not path.parent.is_dir():
            raise
        return False
    except BaseException:
        staging.unlink(missing_ok=True)
        raise
    return True


def refuse_no_file(path: Path) -> None:
    """Raise ArgumentError if something is at a place for a file that is none of its own."""
    if path.is_symlink():
        raise ArgumentError(
            f"{path} is a link, to {str(path.readlink())!r}: name what it points to, or remove it."
        )
    if (kind := kind_of(path)) not in (None, stat.S_IFREG):
        what = "a folder" if kind == stat.S_IFDIR else "no file"
        raise ArgumentError(f"{path} is {what}: name a file.")


def kind_of(path: Path) -> int | None:
    """Format of what is at a path (`stat.S_IFDIR` …), None if nothing is.

    In one look: between two another process may make it, or take it away.
    """
    with told(path, "cannot be read"), suppress(FileNotFoundError, NotADirectoryError):
        return stat.S_IFMT(path.stat().st_mode)
    return None


def as_before(new: Path, old: Path) -> None:
    """Give a new file the mode and, if we may, the owner of the one whose place it takes."""
    with suppress(FileNotFoundError):
        was = old.stat()
        new.chmod(stat.S_IMODE(was.st_mode))
        if hasattr(os, "chown") and (was.st_uid, was.st_gid) != (os.geteuid(), os.getegid()):
            with suppress(PermissionError):
                os.chown(new, was.st_uid, was.st_gid)


def sweep(folder: Path) -> None:
    """Remove what killed writers left of single files and of folders on their way out."""
    from filelock import lock_descriptor

    for path in folder.glob(_PASSING):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
            continue
        with suppress(OSError), path.open("rb") as file:
            if lock_descriptor(file.fileno(), blocking=False):
                path.unlink(missing_ok=True)
