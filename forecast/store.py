"""Artifacts: a fit on disk (or any fsspec URL), written whole or not at all, opened without pickle.

Layout of one artifact, ``<root>/fits/<id>/``::

    fit.json            specification, encoding, diagnostics, seed, versions
    posterior.nc        every group of the posterior (NetCDF-4 through h5netcdf)
    rows.parquet        the rows of the panel
    tables/<name>.parquet
    MANIFEST.json       SHA-256 and size of each file above and of itself; written last
    RECORD.json         calibration record with its own SHA-256; comes later, may be replaced

A folder without a manifest is not an artifact: an interrupted save leaves nothing that loads. On
this machine a fit is saved as `forecast.folders.replace_folder` writes; elsewhere its manifest
comes last, in one piece, and nothing of it is put on the disk when it is read. The
calibration record is what was learnt about a fit after it was made, so it is not part of the id.
"""

from __future__ import annotations

import io
import json
import uuid
import zipfile
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import xarray as xr

from forecast.errors import ArgumentError, ArtifactError, MissingFileError, UnknownNameError
from forecast.exchange import told, write_atomically
from forecast.files import (
    DAMAGES,
    MANIFEST,
    SCHEMA_VERSION,
    facts_of,
    manifest_bytes,
    manifest_of,
    unseal,
)
from forecast.folders import replace_folder, write_all
from forecast.panel.types import packed_rows, read_rows
from forecast.sources.stored import about_tables, packed_tables, read_tables

if TYPE_CHECKING:
    import fsspec

    from forecast.evaluation.calibration_record import CalibrationRecord
    from forecast.inference.fit import Fit
    from forecast.panel.types import Panel

__all__ = ["Store", "open_store"]

_RECORD = "RECORD.json"

#: Coordinates of a panel's rows beside the year, in any unit.
_ROW_KEYS = ("ccode", "ccode_a", "ccode_b", "conflict_id", "alliance_id")


@dataclass(frozen=True)
class Store:
    """A place for artifacts; make one with `open_store`.

    Attributes
    ----------
    fs : fsspec.AbstractFileSystem
        File system behind the URL.
    root : str
        Path of the store on that file system.
    """

    fs: fsspec.AbstractFileSystem
    root: str

    def _folder(self, fit_id: str) -> str:
        return f"{self.root}/fits/{fit_id}"

    def ids(self) -> list[str]:
        """Ids of the complete fits in the store, sorted."""
        self.fs.invalidate_cache()
        found = self.fs.glob(f"{self.root}/fits/*/MANIFEST.json")
        return sorted(str(path).rsplit("/", 2)[1] for path in found)

    @property
    def local(self) -> Path | None:
        """Folder of the store, where it is one of this machine."""
        from fsspec.implementations.local import LocalFileSystem

        return Path(self.root) if isinstance(self.fs, LocalFileSystem) else None

    def newest(self) -> str:
        """Id of the fit that was saved last.

        Raises
        ------
        MissingFileError
            The store has no fit.
        """
        created = {fit_id: self._created(fit_id) for fit_id in self.ids()}
        if not created:
            raise MissingFileError(
                f"The store {self.root} has no fit. Make one with `forecast fit` or `forecast run`,"
                " or name another store."
            )
        return max(created, key=lambda fit_id: (created[fit_id], fit_id))

    def _created(self, fit_id: str) -> str:
        """When a fit was saved; when its manifest was last written, if that is damaged."""
        path = f"{self._folder(fit_id)}/{MANIFEST}"
        try:
            return str(manifest_of(self.fs.cat_file(path), path)["created"])
        except (ArtifactError, KeyError, OSError):
            # Its own error comes when it is loaded; that it is damaged hides no other.
            try:
                return str(self.fs.modified(path).astimezone(UTC).isoformat())
            except (OSError, NotImplementedError):
                return ""

    def __contains__(self, fit_id: object) -> bool:
        return isinstance(fit_id, str) and self.fs.exists(f"{self._folder(fit_id)}/MANIFEST.json")

    def save(self, fit: Fit) -> str:
        """Save a fit under its id and return the id.

        An existing artifact is left alone, but for its calibration record: that of `fit`, if it
        has one, takes the place of the one in the store.

        Raises
        ------
        ArgumentError
            The record is that of another specification; nothing is saved.
        """
        record = fit.record
        if record is not None and record.specification not in ("", fit.spec.sha256):
            raise ArgumentError(
                f"The calibration record is of another specification ({record.model!r},"
                f" {record.specification[:12]}) than the fit ({fit.spec.name!r},"
                f" {fit.spec.sha256[:12]}): it says nothing of these forecasts."
            )
        if fit.id not in self:
            self._save_fit(fit)
        if record is not None:
            self.save_record(fit.id, record)
        return fit.id

    def _save_fit(self, fit: Fit) -> None:
        files = _files_of(fit)
        about = {
            "id": fit.id,
            "schema_version": SCHEMA_VERSION,
            "created": datetime.now(UTC).isoformat(),
        }
        target = self._folder(fit.id)
        if self.local is not None:
            # Ours whatever is in them: without a manifest they are what a kill has left.
            with replace_folder(
                Path(target), ours=list(files), keep=True, about=about, name=MANIFEST
            ) as staging:
                write_all(staging, files)
            return
        with told(target):
            for name, content in files.items():
                self._put(f"{target}/{name}", content)
            known = {name: facts_of(content) for name, content in sorted(files.items())}
            # Last, and in one piece: from now on the artifact exists.
            self._put(f"{target}/{MANIFEST}", manifest_bytes(about | {"files": known}))

    def _put(self, target: str, content: bytes) -> None:
        """Write a file whole or not at all: beside its place first, then moved there."""
        if self.local is not None:
            write_atomically(Path(target), content)
            return
        folder, name = target.rsplit("/", 1)
        staging = f"{folder}/.{name}.{uuid.uuid4().hex}"
        with told(target):
            self.fs.makedirs(folder, exist_ok=True)
            self.fs.pipe_file(staging, content)
            self.fs.mv(staging, target)

    def save_record(self, fit_id: str, record: CalibrationRecord) -> None:
        """Put a calibration record beside a saved fit, in the place of the one that is there.

        Raises
        ------
        UnknownNameError
            The store has no such fit.
        """
        if fit_id not in self:
            raise UnknownNameError("fit id", fit_id, self.ids(), "A record belongs to a saved fit.")
        from forecast.evaluation.record_forms import sealed

        self._put(f"{self._folder(fit_id)}/{_RECORD}", sealed(record, fit_id).encode())

    def load_record(self, fit_id: str) -> CalibrationRecord | None:
        """Calibration record of a saved fit (its full id); None when it has none.

        Raises
        ------
        ArtifactError
            The record is damaged, of another fit, or of another version.
        """
        from forecast.evaluation.calibration_record import CalibrationRecord
        from forecast.evaluation.record_forms import unsealed

        where = f"{self._folder(fit_id)}/{_RECORD}"
        if not self.fs.exists(where):
            return None
        return CalibrationRecord.from_dict(unsealed(self.fs.cat_file(where), fit_id, where))

    def load(self, fit_id: str) -> Fit:
        """Fit with this id (or a prefix of it that only one artifact has).

        Raises
        ------
        UnknownNameError
            No such artifact.
        ArtifactError
            A file differs from the manifest, the id does not match the content, or the
            layout is of another version.
        """
        matches = [known for known in self.ids() if known.startswith(fit_id)] if fit_id else []
        if len(matches) != 1:
            detail = f"{len(matches)} artifacts of {self.root} have it as their prefix."
            raise UnknownNameError("fit id", fit_id, self.ids(), detail)
        fit_id = matches[0]
        remote = self._folder(fit_id)
        folder = self._readable(fit_id)
        manifest = unseal(folder, only=(), where=remote)
        if (found := manifest.get("schema_version")) != SCHEMA_VERSION:
            raise ArtifactError(
                f"{remote}/MANIFEST.json: schema_version is {found}, expected {SCHEMA_VERSION}:"
                " another version of the library saved this fit, with other rows and terms. Make"
                f" it anew: `forecast fit {_model_in(folder)}`."
            )
        _expect(manifest, "id", fit_id, remote)
        unseal(folder, where=remote, remedy="Fit again.")
        return replace(_read_fit(folder, fit_id), record=self.load_record(fit_id))

    def _readable(self, fit_id: str) -> Path | zipfile.Path:
        """Folder of a fit; of one that is elsewhere, its files in memory."""
        remote = self._folder(fit_id)
        if self.local is not None:
            return Path(remote)
        archive = zipfile.ZipFile(io.BytesIO(), "w")
        with told(remote, "cannot be read"):
            content = self.fs.cat_file(f"{remote}/{MANIFEST}")
            archive.writestr(MANIFEST, content)
            for name in manifest_of(content, f"{remote}/{MANIFEST}")["files"]:
                with suppress(FileNotFoundError):
                    archive.writestr(name, self.fs.cat_file(f"{remote}/{name}"))
        return zipfile.Path(archive)


def _model_in(folder: Path | zipfile.Path) -> str:
    try:
        return str(json.loads((folder / "fit.json").read_bytes())["spec"]["name"])
    except (*DAMAGES, KeyError, TypeError):
        return "MODEL"


def _files_of(fit: Fit) -> dict[str, bytes]:
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


def _read_fit(folder: Path | zipfile.Path, fit_id: str) -> Fit:
    """Fit from the files of an artifact, held against its id."""
    from forecast.inference.diagnostics import Diagnostics
    from forecast.inference.fit import Fit, fit_id_of
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


def _expect(manifest: dict[str, Any], key: str, expected: object, where: str) -> None:
    if manifest.get(key) != expected:
        raise ArtifactError(
            f"{where}/MANIFEST.json: {key} is {manifest.get(key)!r}, expected {expected!r}."
        )


def open_store(url: str | Path) -> Store:
    """Open a store in a folder or at an fsspec URL (``memory://x``, ``s3://bucket/path``).

    Parameters
    ----------
    url : str or Path
        Where the artifacts are; created on the first save.

    Returns
    -------
    Store
    """
    import fsspec

    text = str(Path(url).expanduser().resolve()) if "://" not in str(url) else str(url)
    fs, root = fsspec.core.url_to_fs(text)
    return Store(fs=fs, root=str(root).rstrip("/"))
