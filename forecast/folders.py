"""Folders that are written beside what others put there, and checked before the work begins."""

from __future__ import annotations

import errno
import json
import os
import shutil
import stat
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from forecast.disk import (
    is_passing,
    kind_of,
    leaves,
    passing_name,
    refuse_no_file,
    sha256_of,
    sweep,
    told,
)
from forecast.errors import ArgumentError, StorageError
from forecast.exchange import changed, held, undisturbed
from forecast.files import MARKER, facts_of, seal, write_manifest

__all__ = [
    "check_file_target",
    "check_room",
    "check_target",
    "discard",
    "keep_newest",
    "replace_folder",
    "write_all",
    "write_files",
]


def keep_newest(folder: Path, count: int, name: str = MARKER) -> int:
    """Delete all but the newest sealed folders in a folder of ours; how many went.

    One that somebody is writing, or has put something into, stays.
    """
    if not folder.is_dir():
        return 0
    sweep(folder)
    found: dict[Path, float] = {}
    for path in folder.glob("*/"):
        with _unless_gone(path):
            inside = [one.name for one in path.iterdir()]
            if inside and all(map(is_passing, inside)):  # begun, and never completed
                discard(path, ())
            elif (path / name).is_file():
                found[path] = path.stat().st_mtime
    gone = 0
    for path in sorted(found, key=lambda path: found[path], reverse=True)[count:]:
        with _unless_gone(path):
            gone += not _foreign(path, (), name) and discard(path)
    return gone


@contextmanager
def _unless_gone(folder: Path) -> Iterator[None]:
    """Pass over a folder that another process has just removed: of its own, and empty or old."""
    try:
        yield
    except FileNotFoundError as error:
        if error.filename != str(folder) and folder.is_dir():
            raise


def check_target(
    target: Path,
    names: Collection[str] | None = None,
    *,
    ours: Collection[str] = (),
    name: str = MARKER,
    needs: int = 0,
) -> None:
    """Raise if a folder cannot be written, or that would replace what others put there.

    To be called before the work whose result goes there, too.

    Parameters
    ----------
    target : pathlib.Path
        Absent, empty, or written by this library.
    names : collection of str, optional
        What will be written into it; by default all that it holds is replaced.
    ours : collection of str
        Names that are ours whatever they hold, beside those of the manifest that still hold what
        it says.
    name : str
        Of the manifest.
    needs : int
        Bytes that will be written, about.

    Raises
    ------
    ArgumentError
        It is a link, no folder, or holds what we did not write, or what was changed since: says
        what to do. Nothing was written.
    StorageError
        The system refuses: no permission, too little space, too long a name.
    """
    _check_place(target, needs)
    kind = kind_of(target)
    if kind is None:
        return
    if kind != stat.S_IFDIR:
        raise ArgumentError(
            f"{target} is no folder, and would be replaced by one. Nothing was written: "
            "move it away, or name another folder."
        )
    with told(target, "cannot be read", "Nothing was written."):
        # Not what another writer is just moving.
        there = list[str]()
        with _unless_gone(target):
            there = undisturbed(target, target / name, lambda: _foreign(target, ours, name))
        foreign = [f for f in there if names is None or _meets(f, names)]
    if foreign:
        more = f" and {len(foreign) - 1} more" if len(foreign) > 1 else ""
        raise ArgumentError(
            f"{target} holds {foreign[0]}{more}, which this library did not write, or which was "
            "changed since, and which would be replaced. Nothing was written: move it away, or "
            "name a new or an empty folder."
        )


def check_file_target(path: Path, *, needs: int = 0) -> None:
    """As `check_target`, for a single file; one that is there will be replaced."""
    _check_place(path, needs)
    refuse_no_file(path)


def _check_place(target: Path, needs: int) -> None:
    with told(target, "cannot be written", "Nothing was written."):
        try:
            os.lstat(target)
        except FileNotFoundError:
            pass
        except NotADirectoryError:
            parent = next(p for p in target.parents if p.exists())
            raise ArgumentError(f"{target}: {parent} is no folder. Nothing was written.") from None
        except ValueError as error:  # a NUL in the name
            raise ArgumentError(f"{str(target)!r} is no path ({error}).") from None
        if target.is_symlink():
            raise ArgumentError(
                f"{target} is a link, to {str(target.readlink())!r}. Nothing was written: name "
                "what it points to, or remove it."
            )
        place = next(p for p in (target.absolute(), *target.absolute().parents) if p.exists())
        for part in target.absolute().parts[len(place.parts) :]:  # which may be too long
            with suppress(FileNotFoundError):
                os.lstat(place / part)
        if place.is_dir() and not os.access(place, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(place))
        check_room(target, place, needs)


def check_room(target: Path, place: Path, needs: int) -> None:
    """Raise StorageError if so many bytes for a target have no room where `place` is."""
    if (free := shutil.disk_usage(place).free) < needs:
        why = f"about {needs / 1e6:,.1f} MB are needed, {free / 1e6:,.1f} MB are free"
        raise StorageError(target, "cannot be written", why, "Nothing was written.")


def _meets(foreign: str, names: Collection[str]) -> bool:
    """Whether something is in the way of files of these names: as one of them, below, or above."""
    return any(
        foreign == name or foreign.startswith(f"{name}/") or name.startswith(f"{foreign}/")
        for name in names
    )


@contextmanager
def replace_folder(
    target: Path,
    *,
    ours: Collection[str] = (),
    keep: bool = False,
    about: Mapping[str, Any] | None = None,
    name: str = MARKER,
) -> Iterator[Path]:
    """Yield an empty folder whose files become those of `target` when the block ends well.

    After an error, or a kill, `target` is as it was, or as it was to become (`exchange.changed`).

    Parameters
    ----------
    target : pathlib.Path
        Absent, empty, or written by this library.
    ours, name
        As in `check_target`.
    keep : bool
        Whether what others put into `target` stays, as it is; else it is refused.
    about : mapping, optional
        Facts for the manifest, which `unseal` gives back.

    Raises
    ------
    ArgumentError
        As `check_target`, before and after the block.
    StorageError
        As `check_target` and `exchange.changed`.
    """
    check_target(target, () if keep else None, ours=ours, name=name)
    with changed(target) as change:
        yield change.staging
        written = leaves(change.staging)
        check_target(target, written if keep else None, ours=ours, name=name)
        seal(change.staging, name, **(about or {}))
        before = _marker(target, name)["files"]
        gone = {n: facts.get("sha256") for n, facts in before.items() if n not in written}
        change.remove |= gone | {n: None for n in ours if n not in written}
        change.last = (name,)


def write_all(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files, by their names there, into a folder that nobody sees yet."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files into a folder that may hold other things: all of them, or none.

    Raises
    ------
    ArgumentError, StorageError
        As `check_target`; nothing is written.
    """
    check_target(folder, files)
    with changed(folder) as change:
        check_target(folder, files)
        write_all(change.staging, files)
        marker = _marker(folder, MARKER)
        known = marker["files"] | {name: facts_of(content) for name, content in files.items()}
        write_manifest(change.staging, marker | {"files": dict(sorted(known.items()))}, MARKER)
        change.last = (MARKER,)


def discard(folder: Path, names: Collection[str] = ("*",)) -> bool:
    """Delete a folder of ours in one piece, if all in it is of these names (patterns).

    False where there is more in it, another is writing it, or we may not.
    """
    strange = [
        n
        for n, path in leaves(folder).items()
        if path.is_symlink()
        or not (is_passing(n.split("/")[0]) or any(fnmatch(n, name) for name in names))
    ]
    if strange:
        return False
    gone = folder.with_name(passing_name())
    try:
        with held(folder, wait=0):
            folder.rename(gone)
    except (StorageError, OSError):
        return False
    shutil.rmtree(gone, ignore_errors=True)
    return True


def _marker(folder: Path, name: str) -> dict[str, Any]:
    """Manifest of a folder; one without files if there is none that can be read."""
    try:
        found = json.loads((folder / name).read_text(encoding="utf-8"))
        files = found["files"]
        # Earlier versions wrote names only.
        return {**found, "files": files if isinstance(files, dict) else {str(n): {} for n in files}}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {"files": {}}


def _foreign(folder: Path, ours: Collection[str], name: str) -> list[str]:
    """Names of what is in a folder and not known as ours, or no longer what we wrote, sorted."""
    known = _marker(folder, name)["files"]
    return sorted(
        n
        for n, path in leaves(folder, settled=True).items()
        if n != name and not _is_ours(n, path, known, ours)
    )


def _is_ours(name: str, path: Path, known: Mapping[str, Any], ours: Collection[str]) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    return name in ours or (name in known and known[name].get("sha256") in (None, sha256_of(path)))
