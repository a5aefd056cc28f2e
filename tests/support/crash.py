"""A process that ends, fails or loses power at a chosen event of the file system.

`attempt` runs an action in a forked process in which every change of files below a folder that is
made through Python is an event with a number: opening for writing, write, fsync, rename, unlink,
rmdir, mkdir, link, truncate. One of them can be harmed (`MODES`). What C code writes by itself is
no event; `Outcome.unseen` names it, so that a test can refuse it.
"""

# What stands between pathlib and the system is written with `os`.
# ruff: noqa: PTH115, PTH116, PTH118, PTH109, PTH208

from __future__ import annotations

import builtins
import errno
import gc
import io
import json
import os
import shutil
import signal
import stat
import threading
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

from forecast.errors import ForecastError

__all__ = ["MODES", "Child", "Outcome", "attempt", "copy_tree", "leaves", "points", "start"]

#: An ended process, as the shell tells it of one that was killed.
KILLED = 137
_PATIENCE = 120

_NAMED = frozenset({"open", "rename", "unlink", "rmdir", "mkdir", "link", "truncate"})
#: What needs room: once the disk is full, each of these fails.
_GROWS = frozenset({"open", "write", "mkdir", "link"})

#: What may happen at an event, and at which kinds of event it is tried.
MODES: dict[str, frozenset[str]] = {
    "kill": _NAMED | {"write", "fsync"},  # the process ends before it
    "half": frozenset({"write"}),  # ends when half of the bytes are written
    # Power goes before it. Names survive, but no bytes that were not flushed …
    "power": _NAMED | {"write", "fsync"},
    # … or neither: what was done to names in folders that were not flushed is undone.
    "blackout": _NAMED | {"write", "fsync"},
    "ENOSPC": _GROWS | {"rename", "fsync"},  # from here on the disk is full
    "EIO": _NAMED | {"write", "fsync"},  # this one fails
    "EACCES": _NAMED,
}
_POWER = ("power", "blackout")


@dataclass(frozen=True)
class Outcome:
    """How an attempt ended: by an error, killed (neither), or `done`."""

    done: bool = False
    ours: bool = False  # the error is a ForecastError
    error: str = ""  # its class
    text: str = ""
    result: Any = None  # of the action, if JSON can hold it
    events: list[tuple[str, str]] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)  # files written, but not through an event


def points(events: list[tuple[str, str]]) -> list[tuple[int, str]]:
    """Every event with every mode that is tried there, and the loss of power after the last."""
    found = [
        (number, mode)
        for number, (kind, _) in enumerate(events, 1)
        for mode, kinds in MODES.items()
        if kind in kinds
    ]
    return [*found, *((len(events) + 1, mode) for mode in _POWER)]


class Child:
    """A forked process that runs an action; `end` waits for it and tells how it went."""

    def __init__(self, action: Callable[[], Outcome]) -> None:
        reader, writer = os.pipe()
        with warnings.catch_warnings():
            # Threads of libraries are not used by what is run here.
            warnings.simplefilter("ignore", DeprecationWarning)
            self.pid = os.fork()
        if self.pid == 0:
            os.close(reader)
            _finish(action, writer)
        os.close(writer)
        self._reader = reader

    def end(self) -> Outcome:
        with os.fdopen(self._reader, "rb") as pipe:
            told = pipe.read()
        status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        if told:
            return Outcome(**json.loads(told))
        if status == KILLED:
            return Outcome()
        return Outcome(error="Ended", text=f"the process ended with {status} (it may have hung)")


def _finish(action: Callable[[], Outcome], writer: int) -> NoReturn:
    """The end of a forked process: nothing of the parent's is flushed or closed on the way."""
    write = os.write
    try:
        gc.disable()  # its pages are the parent's
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(_PATIENCE)
        told = memoryview(json.dumps(action().__dict__).encode())
        while told:
            told = told[write(writer, told) :]
    except BaseException as error:
        write(writer, json.dumps({"error": "Harness", "text": repr(error)}).encode())
    finally:
        os._exit(0)


def start(action: Callable[[], Any]) -> Child:
    """Run an action in a process of its own, with no harm done to it."""
    return Child(lambda: _run(action))


def _run(action: Callable[[], Any]) -> Outcome:
    try:
        result = action()
    except BaseException as error:
        ours = isinstance(error, ForecastError)
        return Outcome(ours=ours, error=type(error).__name__, text=str(error)[:2000])
    try:
        json.dumps(result)
    except TypeError:
        result = None
    return Outcome(done=True, result=result)


def attempt(
    action: Callable[[], Any], root: Path, *, at: int = 0, mode: str = "", aside: Path | None = None
) -> Outcome:
    """Run an action in a process of its own, with an event below `root` harmed.

    `aside` is an empty folder of the same file system, in which is kept what a name stood for until
    its folder is flushed; needed for "blackout".
    """

    def act() -> Outcome:
        disk = _Disk(root, at, mode, aside)
        before = {} if at else _contents(root)
        disk.interpose()
        outcome = _run(action)
        if mode in _POWER:
            disk.event("end", str(root))
        if at:
            with disk.lock:  # not while another thread loses the power
                return outcome
        after = _contents(root)
        changed = {name for name, seen in after.items() if before.get(name) != seen}
        unseen = sorted(name for name in changed if after[name][0] not in disk.flushed)
        return Outcome(**{**outcome.__dict__, "events": disk.events, "unseen": unseen})

    return Child(act).end()


def _contents(root: Path) -> dict[str, tuple[int, ...]]:
    """Inode, size and time of every file below a folder."""
    found: dict[str, tuple[int, ...]] = {}
    for folder, _, names in os.walk(root):
        for name in names:
            about = os.lstat(os.path.join(folder, name))
            if stat.S_ISREG(about.st_mode):
                path = os.path.relpath(os.path.join(folder, name), root)
                found[path] = (about.st_ino, about.st_size, about.st_mtime_ns)
    return found


_WRAPPED = (
    "open", "write", "fsync", "fdatasync", "rename", "replace", "unlink", "remove", "rmdir",
    "mkdir", "link", "symlink", "truncate", "ftruncate", "sendfile", "copy_file_range",
)  # fmt: skip


class _Disk:
    """The events of this process below a folder, and the harm to one of them."""

    def __init__(self, root: Path, at: int, mode: str, aside: Path | None) -> None:
        self.root, self.at, self.mode, self.aside = os.path.realpath(root), at, mode, aside
        self.events: list[tuple[str, str]] = []
        #: Size of what is flushed of each file that was opened for writing, by inode.
        self.flushed: dict[int, int] = {}
        self.dirty: set[int] = set()
        #: Changes of names that are not flushed: the folder (inode), and how each is undone.
        self.pending: list[tuple[int, Callable[[], None]]] = []
        self.folders: dict[int, int] = {}  # inode of a folder: a descriptor of it
        self.saved = 0
        self.lock = threading.RLock()  # of threads that write, one loses the power for all
        self.real = SimpleNamespace(**{name: getattr(os, name) for name in _WRAPPED})
        self.real_open = io.open

    # ------------------------------------------------------------------------------ harm

    def event(self, kind: str, path: str) -> bool:
        """Count an event; at the one to be harmed: end, raise, or (a write) say so."""
        with self.lock:
            self.events.append((kind, os.path.relpath(path, self.root)))
            number = len(self.events)
            full = self.mode == "ENOSPC" and number > self.at and kind in _GROWS
            if not self.at or (number != self.at and not full):
                return False
            if kind == "write" and not full and self.mode not in ("kill", *_POWER):
                return True
            self.harm(path)

    def harm(self, path: str) -> NoReturn:
        if self.mode in ("kill", "half"):
            os._exit(KILLED)
        if self.mode in _POWER:
            self.lose()
            os._exit(KILLED)
        number = getattr(errno, self.mode)
        raise OSError(number, os.strerror(number), path)

    def lose(self) -> None:
        """What is on the disk when the power comes back."""
        if self.mode == "blackout":
            for _, undo in reversed(self.pending):
                # What a later and flushed change builds upon is no longer there to be undone.
                with suppress(FileNotFoundError):
                    undo()
        for folder, _, names in os.walk(self.root):
            for name in names:
                path = os.path.join(folder, name)
                with suppress(FileNotFoundError):  # another thread has just removed it
                    inode = os.lstat(path).st_ino
                    if inode in self.dirty:
                        self.real.truncate(path, self.flushed[inode])

    # ------------------------------------------------------------------------------ names

    def where(self, path: Any, dir_fd: int | None = None) -> str | None:
        """Full path of what is below the folder; None of anything else."""
        if isinstance(path, int):
            full = os.readlink(f"/proc/self/fd/{path}")
        else:
            start = os.getcwd() if dir_fd is None else os.readlink(f"/proc/self/fd/{dir_fd}")
            full = os.path.normpath(os.path.join(start, os.fsdecode(path)))
        return full if full == self.root or full.startswith(self.root + os.sep) else None

    def folder(self, path: str) -> tuple[int, str]:
        """Inode of the folder of a path, which is held wherever it is moved; the name in it."""
        parent, name = os.path.split(path)
        inode = os.stat(parent).st_ino
        if inode not in self.folders:
            self.folders[inode] = self.real.open(parent, os.O_PATH | os.O_DIRECTORY)
        return inode, name

    def later(self, path: str, undo: Callable[[int, str], None]) -> None:
        """Remember how the change of a name is undone, until its folder is flushed."""
        if self.mode == "blackout":
            inode, name = self.folder(path)
            self.pending.append((inode, lambda: undo(self.folders[inode], name)))

    def keep(self, path: str) -> Callable[[int, str], None]:
        """How the name is given back what it stands for now."""
        if self.mode != "blackout" or not os.path.lexists(path):
            return lambda folder, name: None
        about = os.lstat(path)
        if stat.S_ISDIR(about.st_mode):

            def again(folder: int, name: str) -> None:
                self.real.mkdir(name, about.st_mode, dir_fd=folder)
                # What was in it comes back into this one.
                self.folders[about.st_ino] = self.real.open(name, os.O_PATH, dir_fd=folder)

            return again
        self.saved += 1
        kept = os.path.join(str(self.aside), str(self.saved))
        self.real.link(path, kept, follow_symlinks=False)
        return lambda folder, name: self.real.link(
            kept, name, dst_dir_fd=folder, follow_symlinks=False
        )

    def drop(self, folder: int, name: str) -> None:
        about = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if not stat.S_ISDIR(about.st_mode):
            self.real.unlink(name, dir_fd=folder)
            return
        inside = self.real.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=folder)
        for entry in os.listdir(inside):
            self.drop(inside, entry)
        os.close(inside)
        self.real.rmdir(name, dir_fd=folder)

    # ------------------------------------------------------------------------------ events

    def interpose(self) -> None:
        """Put this between the process and its files, for good."""
        for name in _WRAPPED:
            setattr(os, name, getattr(self, f"on_{name}"))
        io.open = self.open_file
        builtins.open = self.open_file

    def opening(self, path: str) -> Callable[[int], None]:
        """An event; what is called with the descriptor when the file is open."""
        self.event("open", path)
        there = os.path.lexists(path)

        def opened(descriptor: int) -> None:
            about = os.fstat(descriptor)
            if not there:
                self.later(path, self.drop)
            if not there or about.st_size < self.flushed.get(about.st_ino, about.st_size):
                self.flushed[about.st_ino] = 0
            self.flushed.setdefault(about.st_ino, about.st_size)
            self.dirty.add(about.st_ino)

        return opened

    def on_open(
        self, path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None
    ) -> int:
        full = self.where(path, dir_fd)
        reads = not flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        if full is None or reads:
            return int(self.real.open(path, flags, mode, dir_fd=dir_fd))
        opened = self.opening(full)
        descriptor = int(self.real.open(path, flags, mode, dir_fd=dir_fd))
        opened(descriptor)
        return descriptor

    def open_file(
        self,
        file: Any,
        mode: str = "r",
        buffering: int = -1,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
        closefd: bool = True,
        opener: Callable[[str, int], int] | None = None,
    ) -> Any:
        full = self.where(file)
        if full is None or not set(mode) & set("wax+"):
            return self.real_open(file, mode, buffering, encoding, errors, newline, closefd, opener)
        # A descriptor, or an opener's, was an event when it was opened.
        opened = None if isinstance(file, int) or opener else self.opening(full)
        raw = _Raw(file, mode.replace("b", "").replace("t", ""), closefd, opener)
        raw.disk = self
        if opened is not None:
            opened(raw.fileno())
        if buffering == 0:
            return raw
        buffer = (io.BufferedRandom if "+" in mode else io.BufferedWriter)(raw)
        if "b" in mode:
            return buffer
        return io.TextIOWrapper(buffer, encoding, errors, newline, buffering == 1)

    def on_write(self, descriptor: int, data: Any) -> int:
        return self.written(descriptor, data, lambda part: int(self.real.write(descriptor, part)))

    def written(self, descriptor: int, data: Any, write: Callable[[Any], int]) -> int:
        full = self.where(descriptor)
        if full is None:
            return write(data)
        self.dirty.add(os.fstat(descriptor).st_ino)
        if self.event("write", full):
            write(memoryview(data)[: len(data) // 2])
            self.harm(full)
        return write(data)

    def on_fsync(self, descriptor: int) -> None:
        full = self.where(descriptor)
        if full is None:
            return
        self.event("fsync", full)
        about = os.fstat(descriptor)
        self.flushed[about.st_ino] = about.st_size
        self.dirty.discard(about.st_ino)
        self.pending = [change for change in self.pending if change[0] != about.st_ino]

    on_fdatasync = on_fsync

    def on_rename(
        self, src: Any, dst: Any, *, src_dir_fd: int | None = None, dst_dir_fd: int | None = None
    ) -> None:
        before, after = self.where(src, src_dir_fd), self.where(dst, dst_dir_fd)
        move = self.real.rename
        if before is None or after is None:
            # Into the folder: a link to an open or a whole file of elsewhere; both are one event.
            if (inside := before or after) is not None:
                self.event("rename", inside)
            move(src, dst, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)
            return
        self.event("rename", after)
        displaced = self.keep(after)
        if self.mode == "blackout":
            origin, old = self.folder(before)

            def undo(folder: int, name: str) -> None:
                move(name, old, src_dir_fd=folder, dst_dir_fd=self.folders[origin])
                displaced(folder, name)

            self.later(after, undo)
        move(src, dst, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)

    on_replace = on_rename

    def on_unlink(self, path: Any, *, dir_fd: int | None = None) -> None:
        self.removed("unlink", path, dir_fd)

    on_remove = on_unlink

    def on_rmdir(self, path: Any, *, dir_fd: int | None = None) -> None:
        self.removed("rmdir", path, dir_fd)

    def removed(self, kind: str, path: Any, dir_fd: int | None) -> None:
        full = self.where(path, dir_fd)
        if full is not None and os.path.lexists(full):
            self.event(kind, full)
            back = self.keep(full)
            getattr(self.real, kind)(path, dir_fd=dir_fd)
            self.later(full, back)
        else:
            getattr(self.real, kind)(path, dir_fd=dir_fd)

    def on_mkdir(self, path: Any, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        self.made(
            "mkdir", self.where(path, dir_fd), lambda: self.real.mkdir(path, mode, dir_fd=dir_fd)
        )

    def on_symlink(self, src: Any, dst: Any, *args: Any, dir_fd: int | None = None) -> None:
        made = self.real.symlink
        self.made("link", self.where(dst, dir_fd), lambda: made(src, dst, *args, dir_fd=dir_fd))

    def on_link(self, src: Any, dst: Any, **options: Any) -> None:
        full = self.where(dst, options.get("dst_dir_fd"))
        self.made("link", full, lambda: self.real.link(src, dst, **options))

    def made(self, kind: str, full: str | None, make: Callable[[], None]) -> None:
        """A new name; what is there already is an error, as ever, and no event."""
        new = full is not None and not os.path.lexists(full)
        if full is not None and new:
            self.event(kind, full)
        make()
        if full is not None and new:
            self.later(full, self.drop)

    def on_truncate(self, path: Any, length: int) -> None:
        full = self.where(path)
        if full is not None:
            self.event("truncate", full)
            inode = os.stat(path).st_ino
            self.dirty.add(inode)
            self.flushed[inode] = min(length, self.flushed.get(inode, length))
        self.real.truncate(path, length)

    on_ftruncate = on_truncate

    def on_sendfile(self, *_: Any, **__: Any) -> NoReturn:
        raise OSError(errno.ENOTSOCK, "copied by writes, which are events")

    on_copy_file_range = on_sendfile


class _Raw(io.FileIO):
    """A file whose writes are events."""

    disk: _Disk

    def write(self, data: Any) -> int:
        return self.disk.written(self.fileno(), data, super().write)

    def truncate(self, size: int | None = None) -> int:
        length = self.tell() if size is None else size
        self.disk.on_truncate(self.fileno(), length)
        return length


def copy_tree(source: Path, to: Path) -> None:
    """A folder as it is: links, pipes, modes and times too."""
    to.mkdir()
    for entry in os.scandir(source):
        path, own = Path(entry.path), to / entry.name
        if entry.is_symlink() or entry.is_file():
            shutil.copy2(path, own, follow_symlinks=False)
        elif entry.is_dir():
            copy_tree(path, own)
        else:
            os.mkfifo(own)
            shutil.copystat(path, own)
    shutil.copystat(source, to)


def leaves(root: Path) -> set[str]:
    """Names of all that is below a folder."""
    return {str(path.relative_to(root)) for path in root.rglob("*")}
