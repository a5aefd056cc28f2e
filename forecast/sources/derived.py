"""Tables put together from official files, kept in the cache by the content they were made from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from forecast.errors import ArtifactError
from forecast.files import MARKER, keep_newest, replace_folder, sha256_of, unseal
from forecast.paths import data_folder
from forecast.sources.cache import read_lock, unproven
from forecast.sources.fingerprint import code_hash, fingerprint_values
from forecast.sources.stored import about_tables, frames_of, read_tables, write_tables
from forecast.sources.tables import Tables

__all__ = ["key_of", "open_tables", "save_tables"]

#: Below the cache folder.
FOLDER = "derived/tables"
#: Sets of tables that are kept; the oldest go first.
_KEPT = 6


def key_of(folder: Path, candidates: Mapping[str, tuple[str, ...]], *, amend: bool) -> str:
    """Key of the tables that these files make.

    SHA-256 over names, roles and locked SHA-256 of all files of the `candidates` (by kind of fact,
    in the order of preference), what is not known of them, the code, and our own data if they
    `amend`.
    """
    sources = sorted({source for order in candidates.values() for source in order})
    files = {
        source: {role: file.sha256 for role, file in read_lock(folder, source).files.items()}
        for source in sources
    }
    # Whether a file is known to be the published one is in the notes, and follows from where the
    # same bytes came from and from the catalogue.
    doubts = {source: unproven(source, cache=folder) for source in sources}
    more = ("amendments.toml", "alliances.csv", "members.csv", "datapackage.json")
    names = ("states.csv", *(more if amend else ()))
    own = {name: sha256_of(data_folder() / name) for name in names}
    order = {fact: list(sources) for fact, sources in candidates.items()}
    return fingerprint_values(
        code=code_hash("sources"), files=files, doubts=doubts, order=order, own=own
    )


def open_tables(folder: Path, key: str) -> Tables | None:
    """Tables with this key, or None if there are none in the cache, or they are not whole."""
    place = folder / FOLDER / key
    try:
        return read_tables(place, unseal(place, MARKER), computed=True)
    except (FileNotFoundError, ArtifactError):
        return None


def save_tables(folder: Path, key: str, tables: Tables) -> None:
    """Keep tables with their computed columns under a key: whole or not at all."""
    ours = [f"{name}.parquet" for name in frames_of(tables)]
    with replace_folder(folder / FOLDER / key, ours=ours, about=about_tables(tables)) as staging:
        write_tables(tables, staging)
    keep_newest(folder / FOLDER, _KEPT)
