"""The official files of each source, in their authors' layout, read into tidy tables.

`reader` gives what reads the files of a source by the name that the catalogue calls it. Sources
whose rows are years (`yearly`) or spells (`spells`) are declarations of their layouts; the others
have a module of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from forecast.sources.official.readings import OfficialReader

__all__ = ["MODULES", "reader"]

#: Module that declares each reader in its `READERS`.
MODULES: Mapping[str, str] = {
    **dict.fromkeys(("cow_nmc", "cow_trade", "distances", "us_troops", "polity", "vdem"), "yearly"),
    **dict.fromkeys(("cow_states", "cow_majors", "cow_contiguity", "rivalries"), "spells"),
    **dict.fromkeys(("cow_mid", "gml"), "mid"),
    **{name: name for name in ("atop", "cow_alliances", "cow_igo", "cow_wars", "ucdp")},
}


def reader(name: str) -> OfficialReader:
    """Reader of the sources that the catalogue gives this name of a reader."""
    found: OfficialReader
    found = import_module(f"{__name__}.{MODULES[name]}").READERS[name]
    return found
