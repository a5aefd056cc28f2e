"""The tables of a data set, by its name, by its folder, or as they are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from forecast.sources.tables import Tables

if TYPE_CHECKING:
    from forecast.sources.overlay.kept import Amend

__all__ = ["read_tables"]


def read_tables(
    data: str | Path | Tables, *, sources: Mapping[str, str] | None = None, amend: Amend = "kept"
) -> Tables:
    """Tables of a data set given as in `load_panel`, with the amendments that `amend` asks for."""
    from forecast.sources.overlay.kept import amended, chosen

    return amended(_read_plain(data, sources), chosen(data, amend))


def _read_plain(data: str | Path | Tables, sources: Mapping[str, str] | None) -> Tables:
    if isinstance(data, str) and data == "historical":
        from forecast.sources.historical import load_historical

        return load_historical(sources=sources)
    if isinstance(data, Tables):
        tables = data
    else:
        from forecast.sources.embedded import load_tables

        tables = load_tables(None if data == "embedded" else data)
    if sources:
        from forecast.sources.attach import attach

        tables = attach(tables, sources)
    return tables
