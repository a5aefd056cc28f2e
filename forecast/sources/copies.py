"""Which of a user's files, or of a publisher's, is which role of which source; and their bytes."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from forecast.errors import (
    ArgumentError,
    DataError,
    MissingFileError,
    UnknownNameError,
    nearest,
    shown,
)
from forecast.files import sha256_of
from forecast.sources.archive import MissingMemberError, extract
from forecast.sources.catalogue_file import catalogue, family_of, same_version
from forecast.sources.content import is_web_page
from forecast.sources.entries import AS_CSV, OfficialFile, Source

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Copy",
    "Given",
    "Paths",
    "UnrecognisedError",
    "existing",
    "recognise",
    "refuse_other_release",
    "releases_among",
    "stage",
]

#: Column in which many authors write the release, or a year of their own.
COLUMN = "version"
#: Folders below the given one in which files are looked for.
_DEPTH = 3
#: Bytes of the longest name of a staged file; systems end at 255.
_LONGEST = 150

#: Tables that share a name or a layout with those that are read: what they are, what to take.
_OTHER_TABLES: Mapping[str, str] = {
    "atop*_nna.*": "ATOP without treaties of non-aggression alone; take the file without _NNA",
    "atop*sy.*": "ATOP's state-years, which do not say to whom; take atop5_1m.csv",
    "atop*dy.*": "ATOP's undirected dyad-years, which do not say who owes; take atop5_1ddyr.csv",
    "gml-ndy*": "GML's non-directed dyad-years, without sides; take gml-ddy-disputes-*.csv",
    "system20*": "COW's member years, without days; take states2016.csv or statelist2024.csv",
}

#: Files, archives and folders of a user: one, several, or by role.
type Given = str | Path | Iterable[str | Path] | Mapping[str, str | Path]
#: The same, each known to be there.
type Paths = list[Path] | dict[str, Path]


class UnrecognisedError(DataError):
    """None of the files given is known to the source."""


@dataclass(frozen=True)
class Copy:
    """Where the bytes of one role come from: a file, or a member of an archive.

    `member` is the name inside the archive, through archives in it, empty for a plain file;
    `origin` what the lock says; `sure`, whether it is an error when an archive does not have the
    member.
    """

    path: Path
    member: tuple[str, ...]
    origin: str
    sure: bool = True


def existing(given: Given) -> Paths:
    """Paths of files and folders that are there, or a `MissingFileError`."""
    if isinstance(given, Mapping):
        return {str(role): _existing(path) for role, path in given.items()}
    return [_existing(path) for path in ([given] if isinstance(given, str | Path) else given)]


def _existing(path: str | Path) -> Path:
    full = Path(path).expanduser()
    if not full.exists():
        raise MissingFileError(f"There is no file or folder {str(path)!r}.")
    return full


def recognise(source: str, entry: Source, paths: Paths) -> dict[str, Copy]:
    """Roles of the files that a user gives."""
    if isinstance(paths, dict):
        for role, path in paths.items():
            if role not in entry.files:
                if other := _other(path.name):
                    raise DataError(f"{path.name}: found {other}.")
                raise UnknownNameError(f"role of {source}", role, entry.files)
        return {role: _copy_of(path, entry.files[role]) for role, path in paths.items()}
    files = [found for path in paths for found in _walk(path)]
    copies: dict[str, Copy] = {}
    for role, file in entry.files.items():
        best = _best(files, source, role, file)
        if best is not None:
            copies[role] = _copy_of(best, file)
    archives = {d.name.lower() for d in entry.downloads.values() if d.is_archive}
    for archive in (path for path, _ in files if path.suffix.lower() == ".zip"):
        # An archive counts if it is called as the publisher calls it, or was given by name.
        if archive.name.lower() in archives or archive in paths:
            for role, copy in _members(archive, entry).items():
                copies.setdefault(role, copy)
    if not copies and len(entry.files) == 1 and len(paths) == 1 and paths[0].is_file():
        (role,), (path,) = entry.files, paths
        tables = (".csv", ".csv.gz", ".xls", *AS_CSV)
        if path.name.lower().endswith(tables) and not _other(path.name):
            copies[role] = _copy_of(path, entry.files[role])
    if not copies:
        raise _nothing_recognised(source, entry, paths)
    return copies


def releases_among(
    family: str, paths: Paths, *, only_unlisted: bool = False
) -> dict[str, dict[str, Path]]:
    """Files of a family among a user's, by the release that they say they are, and by role.

    `only_unlisted` leaves out the listed releases, and files that do not say which they are. A file
    that does not say which release it is, holds two, cannot be read, or is the same role of one
    release as another is a DataError.
    """
    entries = catalogue()
    entry = entries.layout(family)
    found: dict[str, dict[str, Path]] = {}
    for role, path in _matching(entry, paths):
        cells = _version_in(path, entry.files[role])
        if cells is None or (cells.empty and only_unlisted):
            continue
        if cells.empty:
            raise DataError(
                f"{path.name}: found no column {COLUMN!r} that says which release of {family} it"
                f" is; name it: `forecast data get {family}_RELEASE --from {path.name}`."
            )
        key = _release_of(path, role, family, cells)
        if only_unlisted and key in entries.sources:
            continue
        roles = found.setdefault(key, {})
        if role in roles:
            raise _ambiguous(key, roles[role], path, role)
        roles[role] = path
    if not found:
        start = paths.values() if isinstance(paths, dict) else paths
        raise _nothing_recognised(family, entry, start)
    return found


def _matching(entry: Source, paths: Paths) -> list[tuple[str, Path]]:
    """Every role with every file that may be it, of whatever release; archives may be any role.

    A single file without a known name may be the only role that there is.
    """
    if isinstance(paths, dict):
        return [(role, path) for role, path in paths.items() if role in entry.files]
    files = [path for given in paths for path, _ in _walk(given) if not _other(path.name)]
    return [
        (role, path)
        for path in files
        for role, file in entry.files.items()
        if file.rank(path.name) is not None
        or (path.suffix.lower() == ".zip" and path in paths)
        or (len(entry.files) == 1 and paths == [path])
    ]


def _version_in(path: Path, file: OfficialFile) -> pd.Series | None:
    """What the column ``version`` of a file holds; None if an archive does not have the role."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            table = stage(_copy_of(path, file), file, Path(folder) / "staged")
        except MissingMemberError:
            return None
        return _versions(table)


def _versions(path: Path) -> pd.Series:
    """What the column ``version`` of a table holds, by row; empty if it has none."""
    from forecast.sources.reader import read_official

    return read_official(path, {}, optional={COLUMN: "str?"})[COLUMN].dropna()


def _release_of(path: Path, role: str, family: str, cells: pd.Series) -> str:
    """Key of the release that a file says it is."""
    found = cells.drop_duplicates()
    for row, version in found.items():
        if not same_version(version, [found.iloc[0]]):
            raise DataError(
                f"{path.name}, column {COLUMN!r}: found {shown(found.iloc[0])} in row"
                f" {found.index[0]} and {shown(version)} in row {row}, expected one release."
            )
    key = catalogue().key_of(family, role, found.iloc[0])
    if key is None:
        raise DataError(
            f"{path.name}, row {found.index[0]}, column {COLUMN!r}: found {shown(found.iloc[0])},"
            " expected the number of a release."
        )
    return key


def refuse_other_release(source: str, files: Mapping[str, Path]) -> None:
    """Raise if one of the files, by role, is known or says to be of another release."""
    for role, path in files.items():
        _refuse_file_of_another(source, role, path)
    for role, path in files.items():
        if catalogue()[source].files[role].versions:
            _refuse_other_version(source, role, path)


def _refuse_file_of_another(source: str, role: str, path: Path) -> None:
    """Raise if these bytes are known as a file that only other sources have."""
    entries = catalogue()
    found = sha256_of(path)
    owners = [k for k, s in entries.sources.items() for f in s.files.values() if f.sha256 == found]
    if owners and source not in owners:
        owner = entries[owners[0]]
        raise DataError(
            f"{path.name}: found the published file of {owners[0]} ({owner.title}, release"
            f" {owner.release}), expected {role} of {source} (release {entries[source].release})."
            f" Did you mean `forecast data get {owners[0]} --from {path.name}`?"
        )


def _refuse_other_version(source: str, role: str, path: Path) -> None:
    """Raise at the first row whose version is not one of the release; no such column is fine."""
    from forecast.sources.cells import cell_error

    entries = catalogue()
    entry, stated = entries[source], entries[source].files[role].versions
    cells = _versions(path)
    other = cells[~cells.isin([cell for cell in cells.unique() if same_version(cell, stated)])]
    if other.empty:
        return
    found = str(other.iloc[0])
    expected = f"{' or '.join(stated)}, as in release {entry.release} ({source})"
    row, more = int(other.index[0]), len(other) - 1
    error = cell_error(path.name, row, COLUMN, found, expected, more=more)
    for key, near in entries.sources.items():
        file = near.files.get(role)
        if key == source or near.reader != entry.reader or file is None:
            continue
        if same_version(found, file.versions or (near.release,)):
            raise DataError(
                f"{error} Did you mean {key!r}: `forecast data get {key} --from {path.name}`?"
            )
    family = family_of(source)
    by_layout = f"; to read it by this layout: `forecast data get {family} --from {path.name}`"
    raise DataError(
        f"{error} The catalogue has no source of {entry.title} with {shown(found)}"
        f"{by_layout if family in entries.families else ''}."
    )


def _other(name: str) -> str:
    """What a file is that is known to be another table; empty for any other."""
    plain = name.lower()
    return next((text for p, text in _OTHER_TABLES.items() if fnmatchcase(plain, p)), "")


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
    first = min((order for order, _ in ranked), default=None)
    best = [path for order, path in ranked if order == first]
    if len(best) > 1:
        raise _ambiguous(source, best[0], best[1], role)
    return best[0] if best else None


def _ambiguous(source: str, one: Path, other: Path, role: str) -> DataError:
    return DataError(
        f"{source}: both {one} and {other} could be {role!r}; name one: `--from {role}=FILE`."
    )


def _copy_of(path: Path, file: OfficialFile) -> Copy:
    """Where the bytes of a role are, given a file or an archive."""
    if path.is_dir():
        raise ArgumentError(f"{path} is a folder, expected a file for one role.")
    zipped = path.suffix.lower() == ".zip"
    return Copy(path, (file.member or (file.names[0],)) if zipped else (), f"file:{path.name}")


def _members(archive: Path, entry: Source) -> dict[str, Copy]:
    """Roles that an archive may fill: those of its download if it is named so, else any."""
    named = {k for k, d in entry.downloads.items() if d.name.lower() == archive.name.lower()}
    return {
        role: replace(_copy_of(archive, file), sure=role in entry.required)
        for role, file in entry.files.items()
        if not named or file.download in named
    }


def stage(copy: Copy, file: OfficialFile, folder: Path) -> Path:
    """Bytes of one role in a folder of its own, under its publisher's name; a table."""
    folder.mkdir()
    if copy.member:
        limit = file.max_megabytes * 1_000_000
        name = extract(copy.path, copy.member, folder / "member", max_bytes=limit, rank=file.rank)
        path = (folder / "member").rename(folder / _safe(name))
    else:
        path = folder / _safe(copy.path.name)
        shutil.copyfile(copy.path, path)
    _refuse_page(path, copy)
    return path


def _safe(name: str) -> str:
    """File name that every system can hold and no shell or path can misread."""
    safe = "".join(c if c.isprintable() and c not in '<>:"/\\|?*' else "_" for c in name)
    return safe.encode("utf-8", "replace")[-_LONGEST:].decode("utf-8", "ignore")


def _refuse_page(path: Path, copy: Copy) -> None:
    """A web page, an empty file or a binary one is not a table, whatever its name says."""
    with path.open("rb") as handle:
        head = handle.read(4096)
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    packed = head.startswith(b"\x1f\x8b")
    said = f"{path.name} (from {copy.origin}) is"
    if not text and not packed:
        raise DataError(f"{said} empty, expected a table.")
    if is_web_page(head):
        raise DataError(
            f"{said} a web page, expected a table. The publisher's"
            " site may ask for a consent, or the file may have moved."
        )
    # Readers take packed text and files of Stata, R and Excel; what is none they refuse.
    known = path.suffix.lower() in (".xls", *AS_CSV)
    if not known and (head.startswith(b"PK\x03\x04") or (b"\0" in head and not packed)):
        raise DataError(f"{said} a binary file, expected CSV, .dta or .rds.")


def _nothing_recognised(source: str, entry: Source, given: Iterable[Path]) -> UnrecognisedError:
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
    listed = ", ".join(f"{role}: {file}" for role, file in expected.items())
    return UnrecognisedError(
        f"{source}: none of the {len(files)} files given is known ({listed}).{hint}"
        + "".join(others)
    )
