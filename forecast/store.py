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
import uuid
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forecast.disk import write_atomically
from forecast.errors import (
    ArgumentError,
    ArtifactError,
    ForecastError,
    MissingFileError,
    StorageError,
    UnknownNameError,
    nearest,
)
from forecast.exchange import settle
from forecast.files import (
    MANIFEST,
    SCHEMA_VERSION,
    facts_of,
    manifest_bytes,
    manifest_of,
    unseal,
)
from forecast.fit_files import FILES, files_of_fit, model_in, read_fit
from forecast.folders import check_target, discard, replace_folder, write_all

if TYPE_CHECKING:
    import fsspec

    from forecast.evaluation.calibration_record import CalibrationRecord
    from forecast.inference.fit import Fit

__all__ = ["Store", "open_store"]

_RECORD = "RECORD.json"


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
        return [name for name in self.names() if name in self]

    def names(self) -> list[str]:
        """Names in the folder of the fits, also of what is no complete one."""
        with self._asked("cannot be read"):
            self.fs.invalidate_cache()
            try:
                found = self.fs.ls(f"{self.root}/fits", detail=False)
            except FileNotFoundError:
                return []
        names = sorted(str(path).rstrip("/").rsplit("/", 1)[1] for path in found)
        names = [name for name in names if not name.startswith(".")]
        for name in names:
            if self.local is not None:
                settle(self.local / "fits" / name)
        return names

    @contextmanager
    def _asked(self, what: str) -> Iterator[None]:
        """Turn what the driver of a store raises into an error that names the store."""
        try:
            yield
        except ForecastError:
            raise
        except OSError as error:
            raise StorageError(self.root, what, error) from None
        except Exception as error:
            if self.local is not None:
                raise
            # Drivers raise errors of their own: of credentials, buckets, connections.
            why = f"{type(error).__name__}: {str(error)[:500]}"
            raise StorageError(self.root, what, why) from error

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
        with self._asked("cannot be read"):
            return isinstance(fit_id, str) and bool(
                self.fs.exists(f"{self._folder(fit_id)}/{MANIFEST}")
            )

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
        files = files_of_fit(fit)
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
        with self._asked("cannot be written"):
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
        with self._asked("cannot be read"):
            if not self.fs.exists(where):
                return None
            content = self.fs.cat_file(where)
        return CalibrationRecord.from_dict(unsealed(content, fit_id, where))

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
                f" it anew: `forecast fit {model_in(folder)}`."
            )
        _expect(manifest, "id", fit_id, remote)
        unseal(folder, where=remote, remedy="Fit again.")
        return replace(read_fit(folder, fit_id), record=self.load_record(fit_id))

    def check(self, needs: int = 0) -> None:
        """Raise if nothing can be saved here (`needs` bytes, about); to be called before the work.

        Raises
        ------
        ArgumentError, StorageError
            As `forecast.folders.check_target`; of a store elsewhere, what its driver says.
        """
        if self.local is not None:
            check_target(self.local / "fits", (), needs=needs)
        else:
            self.names()

    def damage(self, fit_id: str) -> str:
        """What is wrong with the files of a fit; empty if they are as they were saved."""
        try:
            folder = self._readable(fit_id)
            unseal(folder, where=self._folder(fit_id), remedy="Fit again.")
            self.load_record(fit_id)
        except FileNotFoundError:
            return f"{self._folder(fit_id)} has no {MANIFEST}: its save was interrupted."
        except ForecastError as error:
            return str(error)
        return ""

    def remove(self, fit_id: str) -> bool:
        """Delete a fit with all that is in its folder; False where another is writing it."""
        if self.local is not None:
            return discard(self.local / "fits" / fit_id, (*FILES, MANIFEST, _RECORD))
        with self._asked("cannot be written"):
            # The manifest first: from now on the artifact does not exist.
            if fit_id in self:
                self.fs.rm_file(f"{self._folder(fit_id)}/{MANIFEST}")
            self.fs.rm(self._folder(fit_id), recursive=True)
        return True

    def _readable(self, fit_id: str) -> Path | zipfile.Path:
        """Folder of a fit; of one that is elsewhere, its files in memory."""
        remote = self._folder(fit_id)
        if self.local is not None:
            return Path(remote)
        archive = zipfile.ZipFile(io.BytesIO(), "w")
        with self._asked("cannot be read"):
            content = self.fs.cat_file(f"{remote}/{MANIFEST}")
            archive.writestr(MANIFEST, content)
            for name in manifest_of(content, f"{remote}/{MANIFEST}")["files"]:
                with suppress(FileNotFoundError):
                    archive.writestr(name, self.fs.cat_file(f"{remote}/{name}"))
        return zipfile.Path(archive)


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

    Raises
    ------
    ArgumentError
        No such scheme, its driver is not installed, it cannot be written, or a path that is none.
    """
    import fsspec

    text = str(url)
    scheme = text.split("://")[0] if "://" in text else ""
    known = sorted({*fsspec.available_protocols(), "file"} - _READ_ONLY)
    if scheme in _READ_ONLY:
        raise ArgumentError(
            f"store={text!r}: {scheme} cannot be written; expected a folder, or a URL such as"
            " s3://bucket/path."
        )
    try:
        if not text.strip():
            raise ValueError("it is empty")
        fs, root = fsspec.core.url_to_fs(text if scheme else str(Path(url).expanduser().resolve()))
    except ImportError as error:
        raise ArgumentError(f"store={text!r}: its driver is not installed ({error}).") from None
    except Exception as error:
        near = nearest(scheme, known) if scheme and scheme not in known else None
        hint = f" Did you mean {near}://?" if near else ""
        raise ArgumentError(
            f"store={text!r} is no store ({str(error)[:300]}).{hint} Expected a folder, or a URL"
            " that fsspec can write."
        ) from None
    return Store(fs=fs, root=str(root).rstrip("/"))


#: Schemes of fsspec that nothing can be saved to.
_READ_ONLY = {"http", "https", "zip", "tar", "libarchive", "git", "github", "reference", "data"}
