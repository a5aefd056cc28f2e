"""One way to change what is kept: whole or not at all, and by one writer at a time.

A single file is written beside its place, flushed to the disk, and renamed. Several files are
staged in a folder beside theirs, complete and flushed; one rename makes this folder a journal, and
from then on the change holds: its files are moved to their places, and where a kill or a power cut
stops that, whoever comes next completes it (`settle`). Before the rename nothing has changed. The
folder that is written into stays the same, with all that others put there.
"""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import shutil
import socket
import stat
import time
import uuid
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, cast

from forecast.errors import ArgumentError, ArtifactError, ForecastError, StorageError

if TYPE_CHECKING:
    from filelock import FileLock

__all__ = [
    "Change",
    "changed",
    "flush",
    "held",
    "is_passing",
    "leaves",
    "passing_name",
    "refuse_no_file",
    "settle",
    "sha256_of",
    "sweep",
    "told",
    "undisturbed",
    "write_atomically",
]

#: Beginning of the names of lock, staged files and journal in a folder.
STEM = ".alliance-forecast"
#: Seconds that a second writer waits for the first.
WAIT = 60.0
#: Names of a file on its way to its place, and of a folder on its way out.
_PASSING = ".????????.alliance-forecast"
_JOURNAL = ".journal.json"
_LOCK, _NEW, _COMMIT = ".lock", ".new", ".commit"


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


def sha256_of(path: Path | zipfile.Path) -> str:
    """SHA-256 of a file (hex)."""
    with path.open("rb") as file:
        return hashlib.file_digest(cast("io.BufferedReader", file), "sha256").hexdigest()


def leaves(folder: Path) -> dict[str, Path]:
    """Everything below a folder by its name there, but folders that hold something."""
    found: dict[str, Path] = {}
    for path in folder.iterdir():
        inside = {} if path.is_symlink() or not path.is_dir() else leaves(path)
        found |= {f"{path.name}/{name}": leaf for name, leaf in inside.items()}
        if not inside:
            found[path.name] = path
    return found


def is_passing(name: str) -> bool:
    """Whether a name at the top of a folder is of a change under way, or of what one left."""
    return name in {STEM + end for end in (_LOCK, _NEW, _COMMIT)} or fnmatch(name, _PASSING)


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
        path.parent.mkdir(parents=True, exist_ok=True)
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
        _as_before(staging, path)
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
    if path.exists() and not path.is_file():
        raise ArgumentError(f"{path} is {'a folder' if path.is_dir() else 'no file'}: name a file.")


def _as_before(new: Path, old: Path) -> None:
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


@contextmanager
def held(folder: Path, stem: str = STEM, *, wait: float | None = None) -> Iterator[None]:
    """Be the one writer of a folder, which is made if it is not there.

    Raises
    ------
    StorageError
        Another has not finished within `wait` seconds (`WAIT` by default): says who; or the
        folder cannot be written.
    """
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    path = folder / f"{stem}{_LOCK}"
    try:
        lock = _acquired(path, WAIT if wait is None else wait)
        try:
            yield
        finally:
            # Removed while it is held: who waits sees that it is gone, and makes another.
            with suppress(OSError):
                path.unlink()
            lock.release()
    finally:
        for empty in made:
            with suppress(OSError):
                empty.rmdir()


def _acquired(path: Path, wait: float) -> FileLock:
    from filelock import FileLock, Timeout

    until = time.monotonic() + wait
    sign = f"process {os.getpid()} on {socket.gethostname()}, since {datetime.now(UTC):%H:%M:%S}"
    files: list[os.stat_result] = []

    def signed(fd: int) -> None:
        files.append(os.fstat(fd))
        os.ftruncate(fd, 0)
        os.write(fd, f"{sign} UTC".encode())

    while True:
        with told(path.parent, after="Nothing was changed."):
            path.parent.mkdir(parents=True, exist_ok=True)
            left = max(0.0, until - time.monotonic())
            lock = FileLock(path, timeout=left, thread_local=False, on_acquired=signed)
            try:
                lock.acquire()
            except Timeout:
                raise StorageError(
                    path.parent, "is being written by another", _holder(path), "Wait for it to end."
                ) from None
            except FileNotFoundError:
                continue  # the folder went with the writer before
        with suppress(FileNotFoundError):
            if os.path.samestat(files[-1], path.stat()):
                return lock
        lock.release()


def _holder(path: Path) -> str:
    with suppress(OSError, UnicodeDecodeError):
        return path.read_bytes()[:200].decode() or "unknown"
    return "unknown"


@dataclass
class Change:
    """Files on their way into a folder; all of them, or none.

    Attributes
    ----------
    staging : pathlib.Path
        What is put there comes to the same name in the folder, the names in `last` after all
        others.
    remove : dict of str to str or None
        Names in the folder that go, with the SHA-256 that they must have (None: whatever).
    """

    staging: Path
    remove: dict[str, str | None] = field(default_factory=dict)
    last: tuple[str, ...] = ()


@contextmanager
def changed(folder: Path, stem: str = STEM, *, wait: float | None = None) -> Iterator[Change]:
    """Change several files of a folder at once, when the block ends without an error.

    A kill at any point leaves the old or the new; what is half moved is completed by `settle`.

    Raises
    ------
    StorageError
        As `held`; or the system refuses: then nothing has changed, unless the message says that
        the next start completes the change.
    """
    with held(folder, stem, wait=wait):
        _settle(folder, stem)
        staging = folder / f"{stem}{_NEW}"
        try:
            with told(folder, after="Nothing was changed."):
                staging.mkdir()
                change = Change(staging)
                yield change
                _journal(folder, stem, change)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        _settle(folder, stem)


def _journal(folder: Path, stem: str, change: Change) -> None:
    """Flush what is staged and make it a journal with one rename."""
    found = leaves(change.staging)
    # Empty folders of the staging are nobody's.
    names = [n for n in sorted(found) if found[n].is_file() and n not in change.last]
    names += [n for n in change.last if n in found]
    if not names and not change.remove:
        return
    content = {"place": names, "remove": change.remove}
    text = json.dumps(content | {"sha256": _digest(content)}, ensure_ascii=False)
    (change.staging / _JOURNAL).write_bytes(text.encode())
    folders = {change.staging}
    for name in (*names, _JOURNAL):
        flush(change.staging / name)
        folders |= {p for p in (change.staging / name).parents if change.staging in p.parents}
    for path in folders:
        flush(path)
    change.staging.rename(folder / f"{stem}{_COMMIT}")
    flush(folder)


def _digest(content: Mapping[str, object]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def settle(folder: Path, stem: str = STEM) -> None:
    """Complete a change of a folder that was interrupted; nothing if there is none.

    Raises
    ------
    StorageError
        It cannot be completed here.
    """
    if os.path.lexists(folder / f"{stem}{_COMMIT}"):
        with held(folder, stem):
            _settle(folder, stem)


def undisturbed[T](folder: Path, last: Path, read: Callable[[], T], stem: str = STEM) -> T:
    """What is read of a folder between two changes of it; `last` is the file that comes last.

    An error, too, is one of the folder as it stands only if no change came between.
    """

    def state() -> tuple[int, int] | None:
        """Of the folder, None while it is being changed."""
        if os.path.lexists(folder / f"{stem}{_COMMIT}"):
            return None
        with suppress(OSError):
            found = last.stat()
            return found.st_ino, found.st_mtime_ns
        return 0, 0

    while True:
        settle(folder, stem)
        if (before := state()) is None:
            continue
        try:
            found = read()
        except (ForecastError, OSError):
            if state() == before:
                raise
        else:
            if state() == before:
                return found


def _settle(folder: Path, stem: str) -> None:
    journal = folder / f"{stem}{_COMMIT}"
    after = "The change holds, and is completed at the next start."
    with told(folder, "cannot be written to the end", after):
        if (journal / _JOURNAL).is_file():
            _apply(folder, journal)
        # Without its list a journal is what one that was completed left.
        for left in (journal, folder / f"{stem}{_NEW}"):
            if os.path.lexists(left):
                shutil.rmtree(left)
        sweep(folder)


def _apply(folder: Path, journal: Path) -> None:
    """Move what a journal holds to its places; the same again after a kill."""
    content = _listed(journal)
    touched = {folder}
    for name in content["place"]:
        staged, to = journal / name, folder / name
        if not staged.is_file():
            continue  # moved before
        for path in (to, *(p for p in to.parents if folder in p.parents)):
            if path.is_symlink() or (path == to and path.is_dir()):
                raise ArgumentError(
                    f"{path} is in the way of a change that was interrupted: move it away."
                )
        made = [p for p in to.parents if folder in p.parents and not p.exists()]
        to.parent.mkdir(parents=True, exist_ok=True)
        _as_before(staged, to)
        staged.replace(to)
        touched |= {to.parent, *(p.parent for p in made)}
    for name, sha256 in content["remove"].items():
        path = folder / name
        if path.is_file() and not path.is_symlink() and sha256 in (None, sha256_of(path)):
            path.unlink()
            touched.add(path.parent)
    # A folder before those in it: what is in one whose own name is lost is lost with it.
    for path in sorted(touched):
        flush(path)
    for name in content["remove"]:
        for path in [p for p in (folder / name).parents if folder in p.parents]:
            with suppress(OSError):
                path.rmdir()  # of ours, and empty now
    (journal / _JOURNAL).unlink()
    flush(journal)


def _listed(journal: Path) -> dict[str, dict[str, str | None]]:
    try:
        content = json.loads((journal / _JOURNAL).read_bytes())
        whole = content.pop("sha256") == _digest(content)
    except (ValueError, AttributeError, KeyError, TypeError):
        whole = False
    if not whole:
        raise ArtifactError(
            f"{journal}: the list of a change that was interrupted is damaged. Move this folder"
            " away; what it holds are the new files."
        )
    return dict(content)
