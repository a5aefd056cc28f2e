"""Which of a user's files, or of a publisher's, is which role of a source; and their bytes."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

from forecast.errors import ArgumentError, DataError, MissingFileError, UnknownNameError, nearest
from forecast.sources.archive import extract
from forecast.sources.entries import AS_CSV, OfficialFile, Source

__all__ = [
    "Copy",
    "Given",
    "UnrecognisedError",
    "copy_of",
    "existing",
    "matching",
    "nothing_recognised",
    "recognise",
    "stage",
]

#: Folders below the given one in which files are looked for.
_DEPTH = 3

#: Tables that share a name or a layout with those that are read: what they are, what to take.
_OTHER_TABLES: Mapping[str, str] = {
    "atop*_nna.*": "ATOP without treaties of non-aggression alone; take the file without _NNA",
    "atop*sy.*": "ATOP's state-years, which do not say to whom; take atop5_1m.csv",
    "atop*dy.*": "ATOP's undirected dyad-years, which do not say who owes; take atop5_1ddyr.csv",
    "gml-ndy*": "GML's non-directed dyad-years, without sides; take gml-ddy-disputes-*.csv",
    "system20*": "COW's member years, without days; take states2016.csv or statelist2024.csv",
}

Given = str | Path


class UnrecognisedError(DataError):
    """None of the files given is known to the source."""


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
    name : str, optional
        File name for the cache; that of the file or member by default.
    sure : bool
        Whether it is an error when an archive does not have the member.
    """

    path: Path
    member: tuple[str, ...]
    origin: str
    name: str | None = None
    sure: bool = True


def recognise(
    source: str, entry: Source, given: Given | Mapping[str, Given] | Iterable[Given]
) -> dict[str, Copy]:
    """Roles of the files that a user gives."""
    if isinstance(given, Mapping):
        named = {str(role): existing(path) for role, path in given.items()}
        for role in named:
            if role not in entry.files:
                if other := _other(named[role].name):
                    raise DataError(f"{named[role].name}: found {other}.")
                raise UnknownNameError(f"role of {source}", role, entry.files)
        return {role: copy_of(path, entry.files[role]) for role, path in named.items()}
    paths = [existing(given)] if isinstance(given, str | Path) else [existing(p) for p in given]
    files = [found for path in paths for found in _walk(path)]
    copies: dict[str, Copy] = {}
    for role, file in entry.files.items():
        best = _best(files, source, role, file)
        if best is not None:
            copies[role] = copy_of(best, file)
    archives = {d.name.lower() for d in entry.downloads.values() if d.is_archive}
    explicit = {path for path in paths if path.is_file()}
    for archive in (path for path, _ in files if path.suffix.lower() == ".zip"):
        # An archive counts if it is called as the publisher calls it, or was given by name.
        if archive.name.lower() in archives or archive in explicit:
            for role, copy in _members(archive, entry).items():
                copies.setdefault(role, copy)
    if not copies and len(entry.files) == 1 and len(explicit) == 1 and len(paths) == 1:
        (role,), (path,) = entry.files, explicit
        tables = (".csv", ".csv.gz", ".xls", *AS_CSV)
        if path.name.lower().endswith(tables) and not _other(path.name):
            copies[role] = copy_of(path, entry.files[role])
    if not copies:
        raise nothing_recognised(source, entry, paths)
    return copies


def matching(entry: Source, given: Iterable[Given]) -> list[tuple[str, Path]]:
    """Every role with every file that may be it, of whatever release; archives may be any role.

    A single file without a known name may be the only role that there is.
    """
    paths = [existing(path) for path in ([given] if isinstance(given, str | Path) else given)]
    files = [path for given in paths for path, _ in _walk(given) if not _other(path.name)]
    found = [
        (role, path)
        for path in files
        for role, file in entry.files.items()
        if file.rank(path.name) is not None
        or (path.suffix.lower() == ".zip" and path in paths)
        or (len(entry.files) == 1 and paths == [path])
    ]
    return found


def _other(name: str) -> str:
    """What a file is that is known to be another table; empty for any other."""
    plain = name.lower()
    return next((text for p, text in _OTHER_TABLES.items() if fnmatchcase(plain, p)), "")


def existing(path: Given) -> Path:
    """Path of a file or folder that is there, or a `MissingFileError`."""
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


def copy_of(path: Path, file: OfficialFile) -> Copy:
    """Where the bytes of a role are, given a file or an archive."""
    if path.is_dir():
        raise ArgumentError(f"{path} is a folder, expected a file for one role.")
    if path.suffix.lower() == ".zip":
        return Copy(path, file.member or (file.names[0],), f"file:{path.name}")
    return Copy(path, (), f"file:{path.name}")


def _members(archive: Path, entry: Source) -> dict[str, Copy]:
    """Roles that an archive may fill: those of its download if it is named so, else any."""
    named = {k for k, d in entry.downloads.items() if d.name.lower() == archive.name.lower()}
    roles = [role for role, file in entry.files.items() if not named or file.download in named]
    return {
        role: replace(copy_of(archive, entry.files[role]), sure=role in entry.required)
        for role in roles
    }


def stage(copy: Copy, file: OfficialFile, folder: Path) -> Path:
    """Bytes of one role in a folder of its own, under the name that its publisher gave it.

    Raises
    ------
    DataError
        They are not a table; or as in `forecast.sources.archive.extract`.
    """
    folder.mkdir()
    if copy.member:
        limit = file.max_megabytes * 1_000_000
        name = extract(copy.path, copy.member, folder / "member", max_bytes=limit, rank=file.rank)
        path = (folder / "member").rename(folder / _safe(copy.name or name))
    else:
        path = folder / _safe(copy.name or copy.path.name)
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
    # Readers take packed text and files of Stata, R and Excel; what is none they refuse.
    if path.suffix.lower() in (".xls", *AS_CSV):
        return
    if head.startswith(b"PK\x03\x04") or (b"\0" in head and not head.startswith(b"\x1f\x8b")):
        raise DataError(
            f"{path.name} (from {copy.origin}) is a binary file, expected CSV, .dta or .rds."
        )


def nothing_recognised(source: str, entry: Source, given: Iterable[Path]) -> UnrecognisedError:
    """Error that says what was expected, and what is near or another table."""
    files = [path for start in given for path, _ in _walk(start)]
    expected = {role: file.shown for role, file in entry.files.items()}
    others = [f" {p.name}: found {text}." for p in files if (text := _other(p.name))]
    names = [path.name for path in files if not _other(path.name)]
    near = {
        n: role
        for role, file in expected.items()
        if (n := nearest(file, names, cutoff=75)) is not None
    }
    hint = "".join(f" Is {n!r} the {role}? Then `--from {role}={n}`." for n, role in near.items())
    hint += "".join(others)
    listed = ", ".join(f"{role}: {file}" for role, file in expected.items())
    return UnrecognisedError(
        f"{source}: none of the {len(files)} files given is known ({listed}).{hint}"
    )
