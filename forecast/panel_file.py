"""A panel in one file: the tables behind it and the choices that make its rows.

A zip archive of a sealed folder: its manifest, and one Parquet
file for each table. Rows, world and features are made anew when it is opened, by the code that
opens it, and the rows are held against a hash of those that were saved.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path

import pandas as pd
import xarray as xr

from forecast.disk import write_atomically
from forecast.errors import ArgumentError, ArtifactError, DataError, MissingFileError
from forecast.files import MANIFEST, facts_of, manifest_bytes, unseal
from forecast.panel.build import load_panel
from forecast.panel.columns import own_columns
from forecast.panel.from_frame import panel_from_frame
from forecast.panel.types import Panel
from forecast.sources.stored import about_tables, packed_tables, read_tables

__all__ = ["open_panel", "save_panel"]

#: Version of the layout.
_LAYOUT = 3
_KEYS = ("year", "ccode", "ccode_a", "ccode_b", "conflict_id", "alliance_id")


def save_panel(panel: Panel, path: str | Path) -> None:
    """Write a panel with everything that is needed to forecast from it into one file.

    Parameters
    ----------
    panel : Panel
        As `forecast.load_panel` makes it, with its tables. Columns of features are not saved;
        they are computed again from the tables.
    path : str or Path
        File, by custom ``*.panel``; written whole or not at all.

    Raises
    ------
    ArgumentError
        The panel was read from rows alone, or its rows were changed since it was made.
    """
    if panel.tables is None:
        raise ArgumentError(
            "A panel without its tables cannot be saved as a panel file; write its rows as Parquet "
            "instead (`panel.to_dataframe().to_parquet(...)`)."
        )
    if own := own_columns(panel):
        raise ArgumentError(
            f"The panel has columns of your own ({', '.join(own[:5])}), which a panel file does not"
            " keep: save it without them and put them on again (`Panel.with_data`), or write its "
            "rows as Parquet (`panel.to_dataframe().to_parquet(...)`)."
        )
    year = panel.data["year"].to_numpy()
    years = (int(year.min()), int(year.max()))
    again = load_panel(data=panel.tables, years=years, **panel.choices)
    if _digest(again.data) != _digest(panel.data):
        raise ArgumentError(
            f"The {panel.data.sizes['row']} rows of this panel are not the "
            f"{again.data.sizes['row']} that its tables give for {years[0]}–{years[1]}; rows or "
            "outcomes were changed after load_panel. Change the tables instead."
        )
    whole, files = io.BytesIO(), packed_tables(panel.tables)
    about = {
        "layout": _LAYOUT,
        "panel": panel.choices | {"years": list(years)},
        "rows": _digest(panel.data),
        "data": about_tables(panel.tables),
        "files": {name: facts_of(content) for name, content in sorted(files.items())},
    }
    with zipfile.ZipFile(whole, "w") as archive:
        for name, content in {MANIFEST: manifest_bytes(about), **files}.items():
            archive.writestr(name, content)
    write_atomically(Path(path), whole.getvalue())


def open_panel(path: str | Path) -> Panel:
    """Panel from a file of `save_panel`, or from the rows of a Parquet file.

    Parameters
    ----------
    path : str or Path
        A file of `save_panel`; or a Parquet file with the columns ``year``, ``ccode_a`` and
        ``ccode_b`` (or ``ccode``), ``outcome`` (0, 1 or missing) and one column for each term of
        the model, lagged by one year already: undirected politically relevant dyad-years (or all
        states), whose world is not known, so that only horizon 1 can be scored.

    Returns
    -------
    Panel

    Raises
    ------
    MissingFileError
        There is no such file.
    ArtifactError
        The file is damaged, of another layout, or no panel; or its rows cannot be made again.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(
            f"There is no panel file {str(path)!r}. `forecast panel --out FILE` writes one."
        )
    with path.open("rb") as file:
        begins = file.read(4)
    if begins == b"PAR1":
        return _open_rows(path)
    if not zipfile.is_zipfile(path):
        raise ArtifactError(
            f"{path} is no panel file: expected a zip archive of `forecast panel --out FILE`, or a "
            "Parquet file of rows."
        )
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        if MANIFEST not in names:
            earlier = "panel.json" in names
            why = "an earlier version saved it, save it again" if earlier else "it is no panel file"
            raise ArtifactError(f"{path}: the archive holds no {MANIFEST}; {why}.")
        folder = zipfile.Path(archive)
        about = unseal(folder, where=str(path), remedy="Save the panel again.")
        if about.get("layout") != _LAYOUT:
            raise ArtifactError(
                f"{path}: layout {about.get('layout')!r}, expected {_LAYOUT}; save the panel again "
                "with this version."
            )
        tables, choices = read_tables(folder, about["data"]), about["panel"]
    first, last = choices.pop("years")
    panel = load_panel(data=tables, years=(first, last), **choices)
    if _digest(panel.data) != about["rows"]:
        raise ArtifactError(
            f"{path}: this version makes other rows of its tables than the one that saved it; save "
            "the panel again from its sources."
        )
    return panel


def _digest(data: xr.Dataset) -> str:
    """SHA-256 over keys and outcomes of the rows."""
    digest = hashlib.sha256()
    for name in (*_KEYS, "outcome"):
        if name in data:
            values = data[name].to_numpy()
            digest.update(name.encode())
            digest.update("\n".join(map(str, values.tolist())).encode())
    return digest.hexdigest()


def _open_rows(path: Path) -> Panel:
    """Rows with their columns in them, without a world."""
    frame = pd.read_parquet(path)
    if set(frame.index.names) != {None}:
        frame = frame.reset_index()
    frame = frame.drop(columns=[c for c in ("row", "index") if c in frame])
    dyads = {"ccode_a", "ccode_b"} <= set(frame)
    missing = {"year", "outcome", *(() if dyads else ("ccode",))} - set(frame)
    if missing:
        raise ArtifactError(
            f"{path}: the column(s) {', '.join(sorted(missing))} are missing; expected year, "
            f"ccode_a and ccode_b (or ccode), outcome and the model's columns. Found: "
            f"{', '.join(map(str, frame.columns))}. A frame with other names is a panel by "
            "forecast.panel_from_frame."
        )
    try:
        return panel_from_frame(frame, unit="dyad-year" if dyads else "state-year", codes="cow")
    except (ArgumentError, DataError) as error:
        raise ArtifactError(f"{path}: {error}") from None
