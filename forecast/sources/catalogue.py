"""The official sources: what there is, how it comes into the cache, and reading it from there.

>>> from forecast.sources.catalogue import available, catalogue, get, read_source
>>> catalogue()["cow_alliances_4_1"].covers
(1816, 2012)
"""

from __future__ import annotations

import importlib
from pathlib import Path

from forecast.sources.acquire import add, get
from forecast.sources.cache import available, cache_folder, files_of, verify
from forecast.sources.download import Network
from forecast.sources.entries import Catalogue, Source, catalogue
from forecast.sources.tables import Reading

__all__ = [
    "Catalogue",
    "Network",
    "Source",
    "add",
    "available",
    "cache_folder",
    "catalogue",
    "files_of",
    "get",
    "read_source",
    "recipe",
    "verify",
]

#: Kinds of fact that the historical tables are assembled from; the rest are by-products.
RECIPE: tuple[str, ...] = (
    "states",
    "powers",
    "contiguity",
    "material_capabilities",
    "alliances",
    "members",
    "conflicts",
    "rivalries",
    "regimes",
    "trade",
    "igos",
    "distances",
    "treaty_design",
)


def read_source(source: str, cache: Path | None = None) -> list[Reading]:
    """Tidy readings of a source in the cache.

    Parameters
    ----------
    source : str
        Key in the catalogue.
    cache : pathlib.Path, optional
        Cache folder; `cache_folder` by default.

    Raises
    ------
    UnknownNameError
        No such source.
    MissingFileError
        It is not in the cache.
    ChangedFileError
        A file is not the one that was locked.
    DataError
        A file breaks its layout or schema.
    """
    files = verify(source, cache=cache)
    module = importlib.import_module(f"forecast.sources.official.{catalogue()[source].reader}")
    readings: list[Reading] = module.read(files)
    return readings


def recipe(cache: Path | None = None) -> dict[str, str]:
    """Source of each kind of fact that the historical tables need.

    The first in the catalogue's order of preference that is in the cache; else the first that
    can be downloaded; else the first, which the user must bring.

    Parameters
    ----------
    cache : pathlib.Path, optional
        Cache folder; `cache_folder` by default.
    """
    there = set(available(cache))
    entries = catalogue()
    chosen = {}
    for fact in RECIPE:
        sources = entries.preferred(fact)
        chosen[fact] = next(
            (s for s in sources if s in there),
            next((s for s in sources if entries[s].can_be_downloaded), sources[0]),
        )
    return chosen
