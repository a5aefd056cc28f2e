"""Everything that is kept, held against the hashes in its manifest."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import pandas as pd

from forecast.errors import ForecastError, MissingFileError
from forecast.exchange import settle
from forecast.files import DAMAGES, MANIFEST, MARKER, check_file, manifest_of, unseal
from forecast.folders import discard
from forecast.store import Store, open_store

__all__ = ["verify"]

#: Folders of the cache whose entries are made anew when they are needed.
_MADE_ANEW = ("panels", "derived")


def verify(
    *places: str | Path,
    store: str | Path | None = "artifacts",
    cache: Path | None = None,
    remove: bool = False,
) -> pd.DataFrame:
    """Read all that is kept and hold each file against the hash that was written with it.

    Changes that a kill interrupted are completed on the way, and what it left is swept.

    Parameters
    ----------
    *places : str or Path
        Reports, backtests, panel files, draws of NUTS, or folders that hold some.
    store : str or Path, optional
        Store of fits, with their calibration records; None for none.
    cache : pathlib.Path, optional
        Cache folder: official files against their locks, panels, tables.
    remove : bool
        Delete what is damaged and can be made again: fits, panels and tables of the cache, finished
        jobs of a backtest. Reports, official files and whatever holds things of others stay.

    Returns
    -------
    pandas.DataFrame
        ``artifact`` (path or id), ``kind``, ``damage`` (empty if it is whole), ``removed``.

    Raises
    ------
    MissingFileError
        One of the places does not exist.
    """
    from forecast.sources.cache import cache_folder

    for place in map(Path, places):
        if not place.exists():
            raise MissingFileError(f"{place} does not exist; expected a folder or a panel file.")
    root = cache_folder(cache)
    rows = [
        *(() if store is None else _fits(open_store(store), remove)),
        *_official(root),
        *_folders([root / name for name in _MADE_ANEW], remove, made_anew=True),
        *_folders(map(Path, places), remove, made_anew=False),
    ]
    return pd.DataFrame(rows, columns=["artifact", "kind", "damage", "removed"])


type _Row = tuple[str, str, str, bool]


def _fits(store: Store, remove: bool) -> Iterator[_Row]:
    for fit_id in store.names():
        damage = store.damage(fit_id)
        yield fit_id, "fit", damage, bool(damage) and remove and store.remove(fit_id)


def _official(root: Path) -> Iterator[_Row]:
    from forecast.sources.cache import known, read_lock
    from forecast.sources.cache import verify as locked

    for source in known(root):
        try:
            if not read_lock(root, source).files:
                continue
            locked(source, cache=root)
            damage = ""
        except MissingFileError:
            continue  # locked, and not there: nothing is read
        except ForecastError as error:
            damage = str(error)
        yield source, "official files", damage, False


def _folders(places: Iterable[Path], remove: bool, *, made_anew: bool) -> Iterator[_Row]:
    for place in places:
        if place.is_file():
            yield _panel_file(place)
            continue
        for name, inside, files in os.walk(place):
            folder = Path(name)
            settle(folder)
            inside.sort()
            for manifest in (MARKER, MANIFEST):
                if manifest in files:
                    yield from _folder(folder, manifest, remove, made_anew)
            yield from (_panel_file(folder / f) for f in sorted(files) if f.endswith(".panel"))


def _folder(folder: Path, manifest: str, remove: bool, made_anew: bool) -> Iterator[_Row]:
    kind = "report or tables" if manifest == MARKER else "run"
    kind = "cache" if made_anew else kind
    try:
        unseal(folder, manifest)
        yield str(folder), kind, "", False
    except (ForecastError, OSError) as error:
        if made_anew:
            yield str(folder), kind, str(error), remove and discard(folder, ("*.parquet", MARKER))
            return
        yield str(folder), kind, str(error), remove and _remove_jobs(folder, manifest)


def _remove_jobs(folder: Path, manifest: str) -> bool:
    """Delete the damaged files of a backtest's run, whose jobs are then run anew."""
    if manifest != MANIFEST or not (folder / "state").is_dir():
        return False
    path = folder / manifest
    try:
        known = manifest_of(path.read_bytes(), str(path))
    except (ForecastError, OSError):
        return False
    gone = False
    for name in known["files"]:
        try:
            check_file(folder, name, known)
        except ForecastError:
            if (folder / name).is_file() and not (folder / name).is_symlink():
                (folder / name).unlink()
                gone = True
    return gone


def _panel_file(path: Path) -> _Row:
    try:
        with zipfile.ZipFile(path) as archive:
            unseal(zipfile.Path(archive), where=str(path), remedy="Save the panel again.")
    except (*DAMAGES, ForecastError) as error:
        return str(path), "panel file", str(error), False
    return str(path), "panel file", "", False
