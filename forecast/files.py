"""Files and folders on disk: written whole or not at all, and never over what others put there.

A folder that this library writes holds the file `MARKER` with the names of what it wrote. Nothing
else is ours: a folder without it, and a file, link or folder that it does not name, stays.
"""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from forecast.errors import ArgumentError

__all__ = [
    "MARKER",
    "SCHEMA_VERSION",
    "refuse_foreign",
    "replace_folder",
    "write_atomically",
    "write_files",
]

#: File that tells what of a folder this library wrote: ``{"files": [name, …]}``.
MARKER = ".alliance-forecast.json"
#: Of the layout of stored fits; part of a fit's id, so that an old layout is never misread.
SCHEMA_VERSION = 2


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file whole or not at all: into a sibling first, then renamed over `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    staging = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        staging.write_bytes(content)
        staging.replace(path)
    finally:
        staging.unlink(missing_ok=True)


def refuse_foreign(
    folder: Path, names: Collection[str] | None = None, *, ours: Collection[str] = ()
) -> None:
    """Raise if writing into a folder would replace something that this library did not write.

    To be called before the work whose result goes there, too.

    Parameters
    ----------
    folder : pathlib.Path
        Absent, empty, or written by this library.
    names : collection of str, optional
        What will be replaced in it; by default all that it holds.
    ours : collection of str
        Names that a manifest of the caller's tells to be ours, beside those of `MARKER`.

    Raises
    ------
    ArgumentError
        Names what is there, and says what to do.
    """
    if not folder.is_dir():
        if folder.exists() or folder.is_symlink():
            raise ArgumentError(
                f"{folder} is no folder, and would be replaced by one. Nothing was written: "
                "move it away, or name another folder."
            )
        return
    foreign = [name for name in _foreign(folder, ours) if names is None or name in names]
    if foreign:
        more = f" and {len(foreign) - 1} more" if len(foreign) > 1 else ""
        raise ArgumentError(
            f"{folder} holds {foreign[0]}{more}, which this library did not write and which would "
            "be replaced. Nothing was written: move it away, or name a new or an empty folder."
        )


@contextmanager
def replace_folder(
    target: Path, *, ours: Collection[str] = (), keep: bool = False
) -> Iterator[Path]:
    """Yield an empty folder that becomes `target` when the block ends without an error.

    An existing `target` is swapped out only at the end; after an error, or a kill, it is still
    there as it was.

    Parameters
    ----------
    target : pathlib.Path
        Absent, empty, or written by this library; a link to such a folder stays a link.
    ours : collection of str
        As in `refuse_foreign`.
    keep : bool
        Whether what others put into `target` goes along, as it is; else it is refused.

    Raises
    ------
    ArgumentError
        As `refuse_foreign`, before and after the block.
    """
    refuse_foreign(target, () if keep else None, ours=ours)
    target = target.resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    staging = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    staging.mkdir()
    try:
        yield staging
        written = sorted(_leaves(staging))
        refuse_foreign(target, written if keep else None, ours=ours)
        _mark(staging, written)
        if target.exists():
            for name in _foreign(target, ours):
                _copy(target / name, staging / name)
            old = target.with_name(f".{target.name}.{uuid.uuid4().hex}.old")
            target.replace(old)
            staging.replace(target)
            shutil.rmtree(old)
        else:
            staging.replace(target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files into a folder that may hold other things, each whole or not at all.

    Raises
    ------
    ArgumentError
        A file of that name is there and was not written by this library; nothing is written.
    """
    refuse_foreign(folder, files)
    folder.mkdir(parents=True, exist_ok=True)
    # First the names: what is written before a kill is known as ours by the next run.
    _mark(folder, {*_written(folder), *files})
    for name, content in files.items():
        write_atomically(folder / name, content)


def _mark(folder: Path, names: Collection[str]) -> None:
    text = json.dumps({"files": sorted(names)}, indent=1, ensure_ascii=False)
    write_atomically(folder / MARKER, text.encode())


def _written(folder: Path) -> set[str]:
    """Names in the marker of a folder; none if there is no marker that can be read."""
    try:
        return set(map(str, json.loads((folder / MARKER).read_text(encoding="utf-8"))["files"]))
    except (OSError, ValueError, KeyError, TypeError):
        return set()


def _foreign(folder: Path, ours: Collection[str]) -> list[str]:
    """Names of what is in a folder and not known as ours, sorted."""
    known = {MARKER, *_written(folder), *ours}
    return sorted(n for n, p in _leaves(folder).items() if n not in known or p.is_symlink())


def _leaves(folder: Path) -> dict[str, Path]:
    """Everything below a folder by its name there, but folders that hold something."""
    found: dict[str, Path] = {}
    for path in folder.iterdir():
        inside = {} if path.is_symlink() or not path.is_dir() else _leaves(path)
        found |= {f"{path.name}/{name}": leaf for name, leaf in inside.items()}
        if not inside:
            found[path.name] = path
    return found


def _copy(path: Path, to: Path) -> None:
    """The same at another place: a link as a link, with permissions and times."""
    to.parent.mkdir(parents=True, exist_ok=True)
    if path.is_symlink() or path.is_file():
        shutil.copy2(path, to, follow_symlinks=False)
    elif path.is_dir():
        to.mkdir()
    else:
        raise ArgumentError(f"{path} is no file, folder or link and cannot be kept: move it away.")
