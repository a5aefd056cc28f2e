"""The files of one fit: what of it is kept, and the fit again; nothing in them runs code.

``fit.json`` (specification, encoding, diagnostics, seed, versions), ``posterior.nc`` (every group
of the posterior, NetCDF-4 through h5netcdf), ``rows.parquet`` (the rows of the panel) and
``tables/<name>.parquet``.
"""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import xarray as xr

from forecast.errors import ArtifactError
from forecast.files import DAMAGES
from forecast.panel.parquet import packed_rows, read_rows
from forecast.sources.stored import about_tables, packed_tables, read_tables

if TYPE_CHECKING:
    from forecast.inference.fit import Fit
    from forecast.panel.types import Panel

__all__ = ["FILES", "files_of_fit", "model_in", "read_fit"]

#: Names of the files.
FILES = ("fit.json", "posterior.nc", "rows.parquet", "tables/*.parquet")
#: Coordinates of a panel's rows beside the year, in any unit.
_ROW_KEYS = ("ccode", "ccode_a", "ccode_b", "conflict_id", "alliance_id")


def model_in(folder: Path | zipfile.Path) -> str:
    """Name of the model of a fit that another version saved; MODEL if it cannot be read."""
    try:
        return str(json.loads((folder / "fit.json").read_bytes())["spec"]["name"])
    except (*DAMAGES, KeyError, TypeError):
        return "MODEL"


def files_of_fit(fit: Fit) -> dict[str, bytes]:
    """Every file of an artifact but the manifest."""
    panel, tables = fit.panel, fit.panel.tables
    about = {
        "id": fit.id,
        "method": fit.method,
        "seed": fit.seed,
        "versions": fit.versions,
        "spec": fit.spec.to_dict(),
        "encoding": fit.encoding.to_dict(),
        "diagnostics": fit.diagnostics.to_dict(),
        "panel": panel.choices | {"fingerprint": panel.fingerprint},
        "tables": None if tables is None else about_tables(tables),
    }
    text = json.dumps(about, indent=1, ensure_ascii=False, allow_nan=False)
    files = {
        "fit.json": text.encode(),
        "posterior.nc": bytes(fit.posterior.to_netcdf(engine="h5netcdf")),
        "rows.parquet": packed_rows(panel.data),
    }
    if tables is not None:
        files |= {f"tables/{name}": content for name, content in packed_tables(tables).items()}
    return files


def read_fit(folder: Path | zipfile.Path, fit_id: str) -> Fit:
    """Fit from the files of an artifact, held against its id."""
    from forecast.inference.diagnostics import Diagnostics
    from forecast.inference.fit import Fit
    from forecast.inference.identity import fit_id_of
    from forecast.modeling.encoding import Encoding
    from forecast.modeling.spec import ModelSpec

    about = json.loads((folder / "fit.json").read_text(encoding="utf-8"))
    content = io.BytesIO((folder / "posterior.nc").read_bytes())
    with xr.open_datatree(content, engine="h5netcdf") as opened:
        posterior = opened.load()
    fit = Fit(
        id=fit_id,
        spec=ModelSpec.from_dict(about["spec"], source="fit.json"),
        encoding=Encoding.from_dict(about["encoding"]),
        panel=_read_panel(folder, about),
        posterior=posterior,
        diagnostics=Diagnostics.from_dict(about["diagnostics"]),
        method=about["method"],
        seed=about["seed"],
        versions=about["versions"],
    )
    if (found := fit_id_of(fit)) != fit_id:
        raise ArtifactError(
            f"The content of artifact {fit_id[:12]} has the id {found[:12]}: its specification,"
            " data, method, seed or draws are not those of the fit that was saved."
        )
    return fit


def _read_panel(folder: Path | zipfile.Path, about: dict[str, Any]) -> Panel:
    from forecast.panel.types import CHOICES, Panel, choose
    from forecast.panel.world import build_world

    path, facts = folder / "rows.parquet", about["tables"]
    data = _earlier_rows(path, about["panel"]) if "columns" in about["panel"] else read_rows(path)
    tables = None if facts is None else read_tables(folder / "tables", facts)
    options = {name: about["panel"][name] for name in CHOICES}
    world = None
    if tables is not None:
        choices = choose(**options)
        world = build_world(tables, outcome=choices.events, succession=choices.succession)
    return Panel(
        data=data.load(),
        world=world,
        tables=tables,
        fingerprint=about["panel"]["fingerprint"],
        **options,
    )


def _earlier_rows(path: Path | zipfile.Path, about: dict[str, Any]) -> xr.Dataset:
    """Rows of an artifact of before December 2026, whose attributes are in ``fit.json``."""
    rows = pd.read_parquet(io.BytesIO(path.read_bytes()))
    data = xr.Dataset.from_dataframe(rows.rename_axis("row")).drop_vars("row")
    names = [n for n in ("year", *_ROW_KEYS) if n in data]
    for name, attrs in about["columns"].items():
        data[name].attrs |= attrs
    return data.set_coords(names).assign_attrs(about["attrs"])
