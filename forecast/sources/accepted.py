"""The files of a source under its reader: what they say, and whether its release says it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from forecast.errors import DataError
from forecast.sources.catalogue_file import catalogue
from forecast.sources.families import COLUMN, families, family_of, plain_version
from forecast.sources.integrity import check_spells
from forecast.sources.lock import sha256_of
from forecast.sources.official import reader

if TYPE_CHECKING:
    from forecast.sources.tables import Reading

__all__ = ["read_files"]


def read_files(source: str, files: Mapping[str, Path]) -> list[Reading]:
    """Tidy readings of files that are said to be those of a source.

    Parameters
    ----------
    source : str
        Key in the catalogue.
    files : mapping of str to pathlib.Path
        By role, in the cache or on their way into it.

    Raises
    ------
    DataError
        A file breaks its layout or schema (names file, line and column), a spell of it ends
        before it starts or overlaps another of its key, or it is of another release: it is the
        published file of another source, or its column ``version`` does not hold what the
        catalogue states.
    """
    entry = catalogue()[source]
    for role, path in files.items():
        _refuse_file_of_another(source, role, path)
    # The release first: a cell that this one does not have would be said to be wrong.
    for role, path in files.items():
        if entry.files[role].versions:
            _refuse_other_version(source, role, path)
    readings: list[Reading] = reader(entry.reader).read(files)
    names = ", ".join(path.name for path in files.values())
    for reading in readings:
        check_spells(reading.table, reading.frame, file=names)
    return readings


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
    from forecast.sources.reader import read_official

    entry = catalogue()[source]
    stated = entry.files[role].versions
    cells = read_official(path, {}, optional={COLUMN: "str?"})[COLUMN].dropna()
    other = cells[~cells.map(plain_version).isin([plain_version(text) for text in stated])]
    if other.empty:
        return
    found = str(other.iloc[0])
    expected = f"{' or '.join(stated)}, as in release {entry.release} ({source})"
    row = int(other.index[0])
    error = cell_error(path.name, row, COLUMN, found, expected, more=len(other) - 1)
    near = _sources_of(source, role, found)
    hint = (
        f"Did you mean {near[0]!r}: `forecast data get {near[0]} --from {path.name}`?"
        if near
        else f"The catalogue has no source of {entry.title} with {found!r}"
        f"{_by_layout(source, path)}."
    )
    raise DataError(f"{error} {hint}")


def _by_layout(source: str, path: Path) -> str:
    """How a release that is not listed is read; empty where none can be."""
    family = family_of(source)
    if family not in families(catalogue().sources):
        return ""
    return f"; to read it by this layout: `forecast data get {family} --from {path.name}`"


def _sources_of(source: str, role: str, version: str) -> list[str]:
    """Other sources of the same reader, to which a file with this version belongs."""
    entries = catalogue()
    return [
        key
        for key, other in entries.sources.items()
        if key != source
        and other.reader == entries[source].reader
        and role in other.files
        and plain_version(version)
        in map(plain_version, other.files[role].versions or (other.release,))
    ]
