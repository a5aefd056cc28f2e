"""One way to change several files of a folder: all or none, and by one writer at a time.

They are staged in a folder beside theirs, complete and flushed; one rename makes this folder a
journal, and from then on the change holds: its files are moved to their places, and where a kill or
a power cut stops that, whoever comes next completes it (`settle`). Before the rename nothing has
changed. The folder that is written into stays the same, with all that others put there.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from forecast.disk import (
    COMMIT,
    LOCK,
    NEW,
    STEM,
    as_before,
    digest_of,
    flush,
    leaves,
    make,
    sha256_of,
    sweep,
    told,
)
from forecast.errors import ArgumentError, ArtifactError, ForecastError, StorageError

if TYPE_CHECKING:
    from filelock import FileLock

__all__ = ["Change", "changed", "held", "settle", "undisturbed"]

#: Seconds that a second writer waits for the first.
WAIT = 60.0
_JOURNAL = ".journal.json"


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
    path = folder / f"{stem}{LOCK}"
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
    files: list[os.stat_result] = []

    def signed(fd: int) -> None:
        files.append(os.fstat(fd))
        os.ftruncate(fd, 0)
        who = f"process {os.getpid()} on {socket.gethostname()}"
        os.write(fd, f"{who}, since {datetime.now(UTC):%H:%M:%S} UTC".encode())

    while True:
        with told(path.parent, after="Nothing was changed."):
            make(path.parent)
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
        staging = folder / f"{stem}{NEW}"
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
    text = json.dumps(content | {"sha256": digest_of(content)}, ensure_ascii=False)
    (change.staging / _JOURNAL).write_bytes(text.encode())
    folders = {change.staging}
    for name in (*names, _JOURNAL):
        flush(change.staging / name)
        folders |= {p for p in (change.staging / name).parents if change.staging in p.parents}
    for path in folders:
        flush(path)
    change.staging.rename(folder / f"{stem}{COMMIT}")
    flush(folder)


def settle(folder: Path, stem: str = STEM) -> None:
    """Complete a change of a folder that was interrupted, and remove what one left.

    Raises
    ------
    StorageError
        It cannot be completed here.
    """
    if os.path.lexists(folder / f"{stem}{COMMIT}"):
        with held(folder, stem):
            _settle(folder, stem)
    elif os.path.lexists(folder / f"{stem}{LOCK}"):
        with suppress(StorageError), held(folder, stem, wait=0):
            pass  # nobody's: it goes with the release


def undisturbed[T](folder: Path, last: Path, read: Callable[[], T], stem: str = STEM) -> T:
    """What is read of a folder between two changes of it; `last` is the file that comes last.

    An error, too, is one of the folder as it stands only if no change came between.
    """

    def state() -> tuple[int, int] | None:
        """Of the folder, None while it is being changed."""
        if os.path.lexists(folder / f"{stem}{COMMIT}"):
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
    journal = folder / f"{stem}{COMMIT}"
    after = "The change holds, and is completed at the next start."
    with told(folder, "cannot be written to the end", after):
        if (journal / _JOURNAL).is_file():
            _apply(folder, journal)
        # Without its list a journal is what one that was completed left.
        for left in (journal, folder / f"{stem}{NEW}"):
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
        make(to.parent)
        as_before(staged, to)
        staged.replace(to)
        touched.add(to.parent)
    for name, sha256 in content["remove"].items():
        path = folder / name
        if path.is_file() and not path.is_symlink() and sha256 in (None, sha256_of(path)):
            path.unlink()
            touched.add(path.parent)
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
        whole = content.pop("sha256") == digest_of(content)
    except (ValueError, AttributeError, KeyError, TypeError):
        whole = False
    if not whole:
        raise ArtifactError(
            f"{journal}: the list of a change that was interrupted is damaged. Move this folder"
            " away; what it holds are the new files."
        )
    return dict(content)
