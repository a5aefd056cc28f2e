"""Panels with their features, kept on disk by content: the second time they open at once.

An entry is a sealed folder ``<cache>/panels/<key>/`` with the rows as Parquet. The key is a SHA-256
over the data (the content of the files behind them), the options of `load_panel`, the requested
columns and the code that makes them; so nothing is ever out of date: other data or other code have
another key. An entry that is damaged or half there is made
anew; where none can be kept, panels are made each time. Its hashes are against damage, not
against somebody who can write to the cache.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TypedDict, Unpack

import numpy as np

from forecast.errors import ArgumentError, ArtifactError, StorageError, UnknownNameError
from forecast.features.gather import FeatureRequest, compute_features
from forecast.files import MARKER, code_hash, fingerprint_files, fingerprint_values, unseal
from forecast.folders import keep_newest, replace_folder, write_all
from forecast.panel.build import load_panel
from forecast.panel.parquet import packed_rows, read_rows
from forecast.panel.types import (
    CHOICES,
    Deferred,
    Escalation,
    Outcome,
    Panel,
    Population,
    Succession,
    UnderWay,
    Unit,
    choose,
)
from forecast.paths import data_folder
from forecast.sources.cache import cache_folder
from forecast.sources.overlay.keeping import Amend, chosen
from forecast.sources.tables import Tables

__all__ = ["PanelOptions", "cached_panel", "forget_panels", "panel_key"]

#: Panels that are kept; those made longest ago go first.
_KEPT = 24
_ROWS = "rows.parquet"


class PanelOptions(TypedDict, total=False):
    """Options of `load_panel`, with its defaults."""

    data: str | Path | Tables
    sources: Mapping[str, str] | None
    unit: Unit
    population: Population | None
    outcome: Outcome | Escalation | None
    years: tuple[int, int] | None
    lag: int
    under_way: UnderWay
    succession: Succession
    amend: Amend


def cached_panel(
    requests: Sequence[FeatureRequest] = (),
    *,
    folder: Path | None = None,
    **options: Unpack[PanelOptions],
) -> Panel:
    """``compute_features(load_panel(**options), requests)``, from the cache if it is there.

    Parameters
    ----------
    requests : sequence of FeatureRequest
        Columns.
    folder : pathlib.Path, optional
        Where panels are kept; ``panels`` in the cache folder of the official files by default.
    **options
        As in `load_panel`.

    Returns
    -------
    Panel
        Equal to the one that is computed. Its columns are unpacked when they are first used; its
        ``tables`` and ``world`` are made anew when first asked for.

    Raises
    ------
    ArtifactError
        When ``world`` or ``tables`` are asked for and the data have changed since.
    ForecastError
        As `load_panel` and `compute_features`.
    """
    # As they are now: the world that is made later has the same.
    given, amend = options.get("data", "embedded"), options.get("amend", "kept")
    options = {**options, "amend": chosen(given, amend)}
    key = panel_key(requests, **options)
    place = _folder(folder) / key
    try:
        return _open(place, key, options)
    except (OSError, ArtifactError):
        pass  # never made, damaged, or not to be read: made anew, over what is there
    panel = compute_features(load_panel(**options), requests)
    with suppress(StorageError):  # a panel that cannot be kept is made again the next time
        _save(panel, place, key)
    return panel


def panel_key(requests: Sequence[FeatureRequest] = (), **options: Unpack[PanelOptions]) -> str:
    """Key of a panel in the cache: SHA-256 (hex) of all that its values depend on.

    Parameters
    ----------
    requests, **options
        As in `cached_panel`.
    """
    known = PanelOptions.__annotations__
    if unknown := [name for name in options if name not in known]:
        raise UnknownNameError("option of a panel", unknown[0], known)
    data = options.get("data", "embedded")
    choices = choose(
        options.get("unit", "dyad-year"),
        options.get("population"),
        options.get("outcome"),
        options.get("lag", 1),
        options.get("under_way", "stratum"),
        options.get("succession", "continue"),
    )
    amended = chosen(data, options.get("amend", "kept"))
    return fingerprint_values(
        code=code_hash("sources", "panel", "features"),
        numpy=np.__version__,
        data=_content(data, options.get("sources")),
        amended=[[one.label, one.sha256] for one in amended],
        choices=asdict(choices),
        years=options.get("years"),
        columns=[[r.name, *r.made] for r in requests],
    )


def forget_panels(*, folder: Path | None = None) -> int:
    """Delete all panels in the cache and return how many there were.

    Parameters
    ----------
    folder : pathlib.Path, optional
        As in `cached_panel`.
    """
    return keep_newest(_folder(folder), 0)


def _folder(given: Path | None) -> Path:
    return cache_folder() / "panels" if given is None else Path(given)


def _content(data: str | Path | Tables, sources: Mapping[str, str] | None) -> str:
    """Hash of the data, without reading them into tables."""
    if sources and not (isinstance(data, str) and data == "historical"):
        from forecast.sources.historical import attached_key

        return fingerprint_values(data=_content(data, None), attached=attached_key(sources))
    if isinstance(data, Tables):
        if not data.fingerprint:
            raise ArgumentError(
                f"data: the tables {data.name!r} have no fingerprint, so what is made from them "
                "cannot be told apart; make them with tables_from_frames."
            )
        return data.fingerprint
    if data == "historical":
        from forecast.sources.historical import historical_key

        return historical_key(sources=sources)
    folder = data_folder() if data == "embedded" else Path(data)
    return fingerprint_files(folder, (p for p in folder.glob("*") if p.is_file()))


def _open(place: Path, key: str, options: PanelOptions) -> Panel:
    about = unseal(place, MARKER)
    if about["key"] != key:
        raise ArtifactError(f"{place} holds the panel {about['key'][:12]}.")

    def again() -> Panel:
        panel = load_panel(**options)
        if panel.fingerprint != about["fingerprint"]:
            raise ArtifactError(
                "The data behind this panel have changed since it was opened: its world has the "
                f"fingerprint {panel.fingerprint[:12]}, its rows {about['fingerprint'][:12]}. "
                "Load it again."
            )
        return panel

    whole = Deferred(again)
    return Panel(
        data=read_rows(place / _ROWS),
        world=Deferred(lambda: whole.get().world),  # type: ignore[arg-type]
        tables=Deferred(lambda: whole.get().tables),  # type: ignore[arg-type]
        **{name: about[name] for name in (*CHOICES, "fingerprint")},
    )


def _save(panel: Panel, place: Path, key: str) -> None:
    about = panel.choices | {"fingerprint": panel.fingerprint, "key": key}
    with replace_folder(place, ours=[_ROWS], about=about) as staging:
        write_all(staging, {_ROWS: packed_rows(panel.data)})
    keep_newest(place.parent, _KEPT)
