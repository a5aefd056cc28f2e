"""Draws on disk while they are made, in Zarr, and what an interrupted run left of them.

Layout of the folder::

    about.json     draws, tuning steps and seeds of the chains
    chains/<k>     what nutpie writes while chain k runs, 16 draws at a time
    draws          all chains, groups ``posterior`` and ``sample_stats``; then ``chains`` is gone
    MANIFEST.json  SHA-256 of every file of a finished run
"""

from __future__ import annotations

import json
import shutil
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from forecast.disk import write_atomically
from forecast.errors import ArgumentError, ArtifactError, MissingFileError
from forecast.exchange import changed, settle
from forecast.files import MANIFEST, seal, unseal

__all__ = ["chain_folder", "create", "merge", "open_draws", "reopen"]

_GROUPS = ("posterior", "sample_stats")


def create(store: str | Path, *, draws: int, tune: int, seeds: Sequence[int]) -> None:
    """Make the folder of a run.

    Raises `ArgumentError`: It exists: draws of another run are not overwritten.
    """
    folder = Path(store)
    if folder.exists():
        raise ArgumentError(
            f"store={str(store)!r} exists, expected a folder that does not: draws of another run "
            "are never overwritten. Give another name, or remove it; "
            "forecast.inference.nuts_store.open_draws reads what is there."
        )
    about = {"draws": draws, "tune": tune, "chains": len(seeds), "seeds": list(seeds)}
    write_atomically(folder / "about.json", json.dumps(about, indent=1).encode())


def chain_folder(store: str | Path, k: int, *, new: bool = False) -> Path:
    """Folder of a chain; `new` empties it, for a task that is run again."""
    folder = Path(store).absolute() / "chains" / str(k)
    if new:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    return folder


def merge(
    store: str | Path, names: Sequence[str], coordinates: Mapping[str, Sequence[str]]
) -> tuple[xr.Dataset, xr.Dataset]:
    """Put the finished chains together, one in memory at a time.

    Gives the posterior with the variables `names` and the labels `coordinates` by dimension, and
    the statistics of the sampler; both are read from disk when they are used.
    """
    folder = Path(store).absolute()
    about = _about(folder)
    with changed(folder) as change:
        for k in range(about["chains"]):
            for group in _GROUPS:
                chain = _chain(folder, k, group, about["draws"])
                if group == "posterior":
                    chain = chain[list(names)].assign_coords(
                        {d: list(map(str, v)) for d, v in coordinates.items()}
                    )
                if k > 0:
                    chain = chain.drop_vars([c for c in chain.coords if c != "chain"])
                _write(chain, change.staging / "draws", group, first=k == 0)
        shutil.copy2(folder / "about.json", change.staging)
        seal(change.staging)
        change.last = (MANIFEST,)
    shutil.rmtree(folder / "chains", ignore_errors=True)
    return reopen(store, names)


def reopen(store: str | Path, names: Sequence[str]) -> tuple[xr.Dataset, xr.Dataset]:
    """Posterior, with its variables in the given order, and statistics of a finished run."""
    folder = Path(store).absolute() / "draws"
    return _open(folder, "posterior")[list(names)], _open(folder, "sample_stats")


def open_draws(store: str | Path) -> xr.DataTree:
    """Draws of a run that finished, or as many as an interrupted one left.

    Parameters
    ----------
    store : str or Path
        What was given to `fit` as ``store=``.

    Returns
    -------
    xarray.DataTree
        Groups ``posterior`` and ``sample_stats``. Of an interrupted run: the chains that got
        beyond tuning, cut to the shortest; ``attrs["complete"]`` says which it is.

    Raises
    ------
    MissingFileError
        No such folder, or not one of a run.
    ArtifactError
        No chain got beyond tuning; or a file of a finished run was changed or damaged.
    """
    folder = Path(store).absolute()
    if not (folder / "about.json").is_file():
        raise MissingFileError(
            f"{store}: no draws of NUTS there (about.json is missing); expected a folder that was "
            "given to fit as store=."
        )
    settle(folder)
    about = _about(folder)
    if (folder / "draws").is_dir():
        if (folder / MANIFEST).is_file():  # earlier versions wrote none
            unseal(folder, remedy="Sample again.")
            shutil.rmtree(folder / "chains", ignore_errors=True)  # what a kill left
        found = {group: _open(folder / "draws", group) for group in _GROUPS}
        return xr.DataTree.from_dict(found | {"/": xr.Dataset(attrs=about | {"complete": True})})
    made = {k: _made(folder, k) for k in range(about["chains"])}
    usable = [k for k, count in made.items() if count > 0]
    if not usable:
        raise ArtifactError(
            f"{store}: the run ended before any chain got beyond its {about['tune']} tuning steps; "
            "there are no draws to read. Remove the folder and run again."
        )
    least = min(made[k] for k in usable)
    found = {
        group: xr.concat(
            [_chain(folder, k, group, least) for k in usable], "chain", join="override"
        )
        for group in _GROUPS
    }
    return xr.DataTree.from_dict(found | {"/": xr.Dataset(attrs=about | {"complete": False})})


def _about(folder: Path) -> dict[str, Any]:
    path = folder / "about.json"
    try:
        about = json.loads(path.read_bytes())
        whole = all(isinstance(about[key], int) for key in ("draws", "tune", "chains"))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        whole = False
    if not whole:
        raise ArtifactError(f"{path} is damaged: draws, tune and chains cannot be read.")
    return dict(about)


def _open(folder: Path, group: str) -> xr.Dataset:
    found: xr.Dataset = xr.open_zarr(folder, group=group, chunks=None, consolidated=False)
    return found


def _chain(folder: Path, k: int, group: str, draws: int) -> xr.Dataset:
    """The first draws of a chain as nutpie wrote them, with numbers and labels only."""
    found = _open(chain_folder(folder, k), group).isel(draw=slice(draws))
    extra = [
        name
        for name, variable in found.data_vars.items()
        if variable.dims[:2] != ("chain", "draw")
        or (group == "sample_stats" and variable.ndim > 2)
        or variable.dtype.kind not in "fiub"
        or str(name).endswith("__")
    ]
    found = found.drop_vars(
        [*extra, *(c for c in ("row", "unconstrained_parameter") if c in found)]
    )
    labels = {n: [str(v) for v in c.to_numpy()] for n, c in found.coords.items()}
    return found.assign_coords(labels | {"chain": [k], "draw": np.arange(found.sizes["draw"])})


def _made(folder: Path, k: int) -> int:
    """Draws that every variable of a chain has; NaN stands where none was written yet."""
    try:
        posterior = _chain(folder, k, "posterior", 2**62)
    except (FileNotFoundError, KeyError):
        return 0
    count = posterior.sizes["draw"]
    for variable in posterior.data_vars.values():

        def missing(draw: int, of: xr.DataArray = variable) -> bool:
            return not bool(np.isfinite(of.isel(chain=0, draw=draw).to_numpy()).all())

        # Draws are written in order, so the first that is missing is found by bisection.
        count = bisect_left(range(count), True, key=missing)
    return count


def _write(chain: xr.Dataset, folder: Path, group: str, *, first: bool) -> None:
    chain = chain.load().drop_encoding()
    if first:
        chain.to_zarr(folder, group=group, mode="a", consolidated=False, zarr_format=3)
    else:
        chain.to_zarr(folder, group=group, mode="a", append_dim="chain", consolidated=False)
