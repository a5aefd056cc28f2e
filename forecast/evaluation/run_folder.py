"""The folder of a backtest: what is done is kept, so that a killed run goes on where it was."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt
import pandas as pd
import xarray as xr

from forecast.errors import ArtifactError
from forecast.files import (
    MANIFEST,
    check_file,
    facts_of,
    manifest_of,
    write_atomically,
    write_manifest,
)

__all__ = ["Progress", "RunFolder"]

#: Version of the layout below.
_LAYOUT = 4


@dataclass(frozen=True)
class RunFolder:
    """A folder that belongs to one configuration.

    Layout::

        MANIFEST.json           the configuration, and the SHA-256 of each file of a finished job
        state/<job>.nc          everything that a finished job gave (NetCDF)
        forecasts/origin=1960.<job>.parquet   its forecasts, row by row, for a reader

    A file that the manifest does not name is that of a job that was killed: the job is run anew.

    Attributes
    ----------
    path : pathlib.Path
        The folder.
    manifest : dict
        What is in the manifest.
    """

    path: Path
    manifest: dict[str, Any]

    @classmethod
    def open(cls, path: str | Path, config: Mapping[str, Any]) -> RunFolder:
        """Folder of a configuration: made, or found with the same configuration in it.

        Raises
        ------
        ArtifactError
            The folder holds a run of another configuration (names what differs), or other files.
        """
        folder = Path(path)
        about = folder / MANIFEST
        content = json.loads(json.dumps({"layout": _LAYOUT, **config}))
        if not about.is_file():
            if folder.is_dir() and any(folder.iterdir()):
                old = " An earlier version may have begun one there: it cannot be gone on with."
                raise ArtifactError(
                    f"{folder} holds files but no backtest (there is no {MANIFEST} in it); "
                    "expected a new or an empty folder, or that of the same backtest."
                    + (old if (folder / "run.json").is_file() else "")
                )
            return cls(folder, write_manifest(folder, content | {"files": {}}))
        manifest = manifest_of(about.read_bytes(), str(about))
        found = {key: value for key, value in manifest.items() if key not in ("files", "sha256")}
        differing = [key for key in {**content, **found} if found.get(key) != content.get(key)]
        if differing:
            shown = "; ".join(
                f"{key} is {_short(found.get(key))}, asked for {_short(content.get(key))}"
                for key in differing
            )
            raise ArtifactError(
                f"{folder} holds the backtest of another configuration: {shown}. Use another "
                "folder, or delete this one."
            )
        return cls(folder, manifest)

    def load(self, job: str) -> dict[str, npt.NDArray[Any]] | None:
        """Arrays of a finished job; None if it is not finished.

        Raises
        ------
        ArtifactError
            The file is damaged.
        """
        name = _state(job)
        if name not in self.manifest["files"] or not (self.path / name).is_file():
            return None
        check_file(self.path, name, self.manifest, remedy="Delete it to run it anew.")
        with xr.open_dataset(self.path / name, engine="h5netcdf") as opened:
            return {str(key): values.to_numpy() for key, values in opened.load().items()}

    def save(
        self, job: str, arrays: Mapping[str, npt.NDArray[Any]], rows: Mapping[int, pd.DataFrame]
    ) -> None:
        """Keep a finished job: its forecasts by origin, and last its state."""
        made: dict[str, bytes] = {}
        for origin, table in rows.items():
            made[f"forecasts/origin={origin}.{_file_name(job)}.parquet"] = table.to_parquet(
                index=False
            )
        # A dimension of its own for each axis: the arrays have nothing in common.
        dataset = xr.Dataset(
            {name: ([f"{name}.{k}" for k in range(a.ndim)], a) for name, a in arrays.items()}
        )
        made[_state(job)] = bytes(dataset.to_netcdf(engine="h5netcdf"))
        for name, content in made.items():
            write_atomically(self.path / name, content)
            self.manifest["files"][name] = facts_of(content)
        write_manifest(self.path, self.manifest)


def _state(job: str) -> str:
    return f"state/{_file_name(job)}.nc"


def _file_name(job: str) -> str:
    """The job's name in letters that every file system takes, unique through its checksum."""
    plain = "".join(c if c.isalnum() or c in "-_=" else "_" for c in job)
    return f"{plain}-{zlib.crc32(job.encode()):08x}"


def _short(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 120 else f"{text[:117]}…"


class Progress:
    """Progress on the terminal, if asked for."""

    def __init__(self, show: bool, total: int, done: int) -> None:
        self._bar: Any = None
        if show:
            import rich.progress

            self._bar = rich.progress.Progress()
            self._task = self._bar.add_task("backtest", total=total, completed=done)

    def __enter__(self) -> Progress:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def advance(self, what: str) -> None:
        """One job is finished."""
        if self._bar is not None:
            self._bar.update(self._task, advance=1, description=what)
