"""Where the data set and the models are: inside a wheel, beside the package in a checkout."""

from __future__ import annotations

from pathlib import Path

from forecast.errors import MissingFileError

__all__ = ["data_folder", "models_folder"]

_PACKAGE = Path(__file__).resolve().parent


def _shipped(name: str) -> Path:
    for folder in (_PACKAGE / name, _PACKAGE.parent / name):
        if folder.is_dir():
            return folder
    raise MissingFileError(
        f"The folder {name!r} is neither in the installed package ({_PACKAGE / name}) nor in a "
        f"checkout ({_PACKAGE.parent / name}). Reinstall alliance-forecast."
    )


def data_folder() -> Path:
    """Folder of the embedded data set."""
    return _shipped("data")


def models_folder() -> Path:
    """Folder of the model specifications (one TOML file per model)."""
    return _shipped("models")
