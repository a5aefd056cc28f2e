"""Tables put together from official files, kept in the cache by the content they were made from."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import pandas as pd

from forecast.paths import data_folder
from forecast.sources.cache import read_lock, sha256_of, unproven
from forecast.sources.fingerprint import fingerprint_values
from forecast.sources.tables import TABLES, Coverage, Tables

__all__ = ["key_of", "open_tables", "save_tables"]

#: Below the cache folder.
FOLDER = "derived/tables"
MANIFEST = "manifest.json"
#: Sets of tables that are kept; the oldest go first.
_KEPT = 6


@lru_cache(maxsize=1)
def _code() -> str:
    """SHA-256 of the code that reads and puts together: another version makes other tables."""
    digest = hashlib.sha256()
    here = Path(__file__).parent
    for path in sorted(here.rglob("*.py")):
        digest.update(path.relative_to(here).as_posix().encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def key_of(folder: Path, candidates: Mapping[str, tuple[str, ...]], *, amend: bool) -> str:
    """Key of the tables that these files make.

    Parameters
    ----------
    folder : pathlib.Path
        Cache folder.
    candidates : mapping of str to tuple of str
        Sources by kind of fact, in the order of preference.
    amend : bool
        Whether our own data are part of it.

    Returns
    -------
    str
        64 hexadecimal digits over names, roles and locked SHA-256 of all files, what is not known
        of them, and the code.
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
    return fingerprint_values(code=_code(), files=files, doubts=doubts, order=order, own=own)


def open_tables(folder: Path, key: str) -> Tables | None:
    """Tables with this key, or None if there are none, or they are not whole.

    Parameters
    ----------
    folder : pathlib.Path
        Cache folder.
    key : str
        From `key_of`.
    """
    place = folder / FOLDER / key
    try:
        manifest = json.loads((place / MANIFEST).read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    frames = {}
    for name, digest in manifest["files"].items():
        path = place / f"{name}.parquet"
        if not path.is_file() or sha256_of(path) != digest:
            return None
        frames[name] = _read(path)
    return Tables(
        **{table: frames.pop(table) for table in TABLES},
        coverage={name: Coverage.from_dict(c) for name, c in manifest["coverage"].items()},
        name=manifest["name"],
        fingerprint=manifest["fingerprint"],
        extra=frames,
    )


def _read(path: Path) -> pd.DataFrame:
    table = pd.read_parquet(path)
    dates = table.select_dtypes("datetime").columns
    return table.astype(dict.fromkeys(dates, "datetime64[s]"))


def save_tables(folder: Path, key: str, tables: Tables) -> None:
    """Keep tables under a key: whole or not at all.

    Parameters
    ----------
    folder : pathlib.Path
        Cache folder.
    key : str
        From `key_of`.
    tables : Tables
        With their computed columns.
    """
    from forecast.files import replace_folder

    with replace_folder(folder / FOLDER / key) as staging:
        files = {}
        for name, table in {**{t: getattr(tables, t) for t in TABLES}, **tables.extra}.items():
            path = staging / f"{name}.parquet"
            table.to_parquet(path, index=False)
            files[name] = sha256_of(path)
        manifest = {
            "name": tables.name,
            "fingerprint": tables.fingerprint,
            "coverage": tables.vintage,
            "files": files,
        }
        (staging / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
    found = (path for path in (folder / FOLDER).iterdir() if (path / MANIFEST).is_file())
    kept = sorted(found, key=lambda p: p.stat().st_mtime, reverse=True)
    for old in kept[_KEPT:]:
        shutil.rmtree(old, ignore_errors=True)
