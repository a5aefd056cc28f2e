"""The folder of a backtest: what is done is kept, so that a killed run goes on where it was."""

from __future__ import annotations

import io
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.errors import ArtifactError
from forecast.files import write_atomically

__all__ = ["Progress", "RunFolder"]

#: Version of the layout below.
_LAYOUT = 3


@dataclass(frozen=True)
class RunFolder:
    """A folder that belongs to one configuration.

    Layout::

        run.json                        the configuration
        state/<job>.npz                 everything that a finished job gave (no pickle)
        forecasts/origin=1960.<job>.parquet   its forecasts, row by row, for a reader

    Attributes
    ----------
    path : pathlib.Path
        The folder.
    """

    path: Path

    @classmethod
    def open(cls, path: str | Path, config: Mapping[str, Any]) -> RunFolder:
        """Folder of a configuration: made, or found with the same configuration in it.

        Raises
        ------
        ArtifactError
            The folder holds a run of another configuration (names what differs), or other files.
        """
        folder = cls(Path(path))
        about = folder.path / "run.json"
        content = json.loads(json.dumps({"layout": _LAYOUT, **config}))
        if not about.is_file():
            if folder.path.is_dir() and any(folder.path.iterdir()):
                raise ArtifactError(
                    f"{folder.path} holds files but no backtest (there is no run.json in it); "
                    "expected a new or an empty folder, or that of the same backtest."
                )
            write_atomically(about, json.dumps(content, indent=1).encode())
            return folder
        try:
            found = json.loads(about.read_text(encoding="utf-8"))
        except (UnicodeDecodeError, json.JSONDecodeError) as error:
            raise ArtifactError(f"{about} is damaged ({error}); use another folder.") from None
        differing = [key for key in {**content, **found} if found.get(key) != content.get(key)]
        if differing:
            shown = "; ".join(
                f"{key} is {_short(found.get(key))}, asked for {_short(content.get(key))}"
                for key in differing
            )
            raise ArtifactError(
                f"{folder.path} holds the backtest of another configuration: {shown}. Use another "
                "folder, or delete this one."
            )
        return folder

    def load(self, job: str) -> dict[str, npt.NDArray[Any]] | None:
        """Arrays of a finished job; None if it is not finished.

        Raises
        ------
        ArtifactError
            The file is damaged.
        """
        file = self._state(job)
        if not file.is_file():
            return None
        try:
            content = io.BytesIO(file.read_bytes())
            with np.load(content, allow_pickle=False) as opened:
                return {name: opened[name] for name in opened.files}
        except Exception as error:  # zipfile, zlib and numpy have errors of their own each
            raise ArtifactError(f"{file} is damaged ({error}); delete it to run it anew.") from None

    def save(
        self, job: str, arrays: Mapping[str, npt.NDArray[Any]], rows: Mapping[int, pd.DataFrame]
    ) -> None:
        """Keep a finished job: its forecasts by origin, and last its state."""
        for origin, table in rows.items():
            file = self.path / "forecasts" / f"origin={origin}.{_file_name(job)}.parquet"
            content = io.BytesIO()
            table.to_parquet(content, index=False)
            write_atomically(file, content.getvalue())
        content = io.BytesIO()
        np.savez(content, **arrays)  # type: ignore[arg-type]
        write_atomically(self._state(job), content.getvalue())

    def _state(self, job: str) -> Path:
        return self.path / "state" / f"{_file_name(job)}.npz"


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
