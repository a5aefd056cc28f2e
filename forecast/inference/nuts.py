"""No-U-turn sampling of the same model with PyMC and nutpie: the reference method.

Every chain is a sampler of its own, with a child of the seed: so a chain has the same draws
whether it runs beside the others, in a worker process or on a cluster.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
import xarray as xr

from forecast.errors import DataError
from forecast.inference import nuts_store
from forecast.inference.diagnostics import chain_diagnostics
from forecast.modeling.design import Design, check_design
from forecast.parallel import cores, run_tasks

__all__ = ["sample_nuts"]

Array = npt.NDArray[Any]
Tell = Callable[[str, float], None]

#: Compiled models by design: a worker that is given two chains compiles once.
_COMPILED: WeakKeyDictionary[Design, Any] = WeakKeyDictionary()


@dataclass(frozen=True)
class ChainOptions:
    """How every chain is sampled."""

    draws: int
    tune: int
    target_accept: float  # probability to which the step size is adapted
    max_depth: int  # doublings of a trajectory; a draw takes at most 2^max_depth - 1 gradients
    store: str | None


@dataclass(frozen=True)
class Chain:
    """One chain in memory: parameters and statistics of the sampler, draws first."""

    variables: dict[str, Array]
    stats: dict[str, Array]


def sample_nuts(
    design: Design,
    *,
    seed: np.random.SeedSequence,
    draws: int,
    chains: int,
    tune: int,
    max_depth: int = 10,
    report: Tell | None = None,
    store: str | Path | None = None,
    workers: int = 1,
    client: Any = None,
) -> tuple[xr.Dataset, xr.Dataset, dict[str, Any]]:
    """Posterior draws by NUTS (Hoffman & Gelman 2014, JMLR 15:1593).

    Draws and tuning are per chain; each has a child of the seed. With `store`, a folder that does
    not exist yet, draws go there while they are made (Zarr, 16 at a time) and the result reads them
    when they are used; see `forecast.inference.nuts_store`. On a cluster its workers must see that
    folder. Given are ``posterior`` and ``sample_stats`` as in `Fit`, and the fields of
    `Diagnostics` that NUTS has.

    Raises `DataError`: An array that no sampler could use. `ArgumentError`: The folder `store`
    exists.
    """
    check_design(design)
    tell = report or (lambda _what, _share: None)
    how = ChainOptions(draws, tune, 0.8, max_depth, None if store is None else str(store))
    # Children made without `spawn`, which would give others when it is called again.
    children = [
        np.random.SeedSequence(seed.entropy, spawn_key=(*seed.spawn_key, k)) for k in range(chains)
    ]
    tasks = [(k, int(child.generate_state(1, np.uint32)[0])) for k, child in enumerate(children)]
    if store is not None:
        nuts_store.create(store, draws=draws, tune=tune, seeds=[task[1] for task in tasks])
    tell("compiling", 0.0)
    if workers == 1 and client is None:
        found = _chains_here(design, how, tasks, tell)
    else:
        finished = iter(range(1, chains + 1))
        found = run_tasks(
            _chain_of_task,
            tasks,
            shared=(design, how),
            workers=workers,
            client=client,
            on_result=lambda _i, _chain: tell("sampling", next(finished) / chains),
        )
    if store is not None:
        posterior, stats = nuts_store.merge(store, names_of(design), _coordinates(design))
    else:
        posterior, stats = _datasets(design, found)
    tell("diagnostics", 1.0)
    diagnostics = _diagnostics(posterior, stats)
    if store is not None:
        # Opened anew: what the diagnostics have read does not stay in memory.
        posterior, stats = nuts_store.reopen(store, names_of(design))
    tell("done", 1.0)
    return posterior, stats, diagnostics


def _diagnostics(posterior: xr.Dataset, stats: xr.Dataset) -> dict[str, Any]:
    if not bool(np.isfinite(posterior["beta"]).all()):
        raise DataError("NUTS returned draws that are not finite: the design is badly scaled.")
    rhat, bulk, tail, worst = chain_diagnostics(posterior)
    energy = np.atleast_2d(stats["energy"].transpose("chain", "draw").to_numpy())
    ebfmi = np.mean(np.diff(energy, axis=1) ** 2, axis=1) / np.var(energy, axis=1, ddof=1)
    return {
        "max_rhat": rhat,
        "min_ess_bulk": bulk,
        "min_ess_tail": tail,
        "divergences": int(stats["diverging"].sum()),
        "min_ebfmi": float(ebfmi.min()),
        "max_tree_depth": int(stats["depth"].max()),
        "pareto_k": None,
        "proposals": None,
        "worst": worst,
    }


def names_of(design: Design) -> list[str]:
    """Variables of the posterior of a design."""
    names = ["beta"]
    for block in design.blocks:
        names += [f"sigma_{block.name}", f"effect_{block.name}"]
        if block.scale_prior.form == "horseshoe":
            names += [f"slab_{block.name}", f"local_{block.name}"]
    return names


def _coordinates(design: Design) -> dict[str, list[str]]:
    levels = {f"level_{block.name}": block.levels.tolist() for block in design.blocks}
    return {"term": list(design.names)} | levels


# --------------------------------------------------------------------------------------- chains


def _compiled(design: Design) -> Any:
    if design not in _COMPILED:
        import nutpie

        from forecast.modeling.build import build_from_design

        _COMPILED[design] = nutpie.compile_pymc_model(
            build_from_design(design), var_names=names_of(design)
        )
    return _COMPILED[design]


def _begin(
    design: Design,
    how: ChainOptions,
    k: int,
    seed: int,
    progress: Callable[[int, int], None] | None,
) -> Any:
    """A sampler of one chain, running in the background."""
    import nutpie

    def callback(states: Sequence[Any]) -> None:
        if progress is not None and states:
            progress(states[0].finished_draws, states[0].total_draws)

    kept: dict[str, Any] = {}
    if how.store is not None:
        folder = nuts_store.chain_folder(how.store, k, new=True)
        kept["zarr_store"] = nutpie.zarr_store.LocalStore(str(folder))
    return nutpie.sample(
        _compiled(design),
        draws=how.draws,
        tune=how.tune,
        chains=1,
        cores=1,
        seed=seed,
        target_accept=how.target_accept,
        maxdepth=how.max_depth,
        save_warmup=False,
        progress_bar=False,
        progress_callback=callback if progress is not None else None,
        blocking=False,
        # ArviZ would make several copies of every array.
        return_raw_trace=True,
        **kept,
    )


def _chains_here(
    design: Design, how: ChainOptions, tasks: Sequence[tuple[int, int]], tell: Tell
) -> list[Chain | None]:
    """Chains of this process, one thread a core; an interrupt ends them."""
    from threadpoolctl import threadpool_limits

    waiting, running = deque(tasks), dict[int, Any]()
    chains: list[Chain | None] = [None] * len(tasks)
    shares = np.zeros(len(tasks))
    room = min(len(tasks), cores())

    def watch(k: int) -> Callable[[int, int], None]:
        def progress(finished: int, total: int) -> None:
            shares[k] = finished / max(total, 1)

        return progress

    with threadpool_limits(limits=1, user_api="blas"):
        try:
            while waiting or running:
                while waiting and len(running) < room:
                    k, seed = waiting.popleft()
                    running[k] = _begin(design, how, k, seed, watch(k))
                for k in list(running):
                    try:
                        trace = running[k].wait(timeout=0.2 / len(running))
                    except TimeoutError:
                        continue
                    del running[k]
                    shares[k] = 1.0
                    chains[k] = _chain(trace, how, names_of(design))
                tell("sampling", float(shares.mean()))
        finally:
            for sampler in running.values():
                sampler.cancel()
    return chains


def _chain_of_task(shared: tuple[Design, ChainOptions], k: int, seed: int) -> Chain | None:
    """A chain in a worker; None when its draws are in the store."""
    design, how = shared
    trace = _begin(design, how, k, seed, None).wait()
    return _chain(trace, how, names_of(design))


def _chain(trace: Any, how: ChainOptions, names: list[str]) -> Chain | None:
    """Draws after tuning, from the Arrow table that nutpie fills."""
    if how.store is not None:
        return None
    import pyarrow as pa

    (table,), (statistics,) = trace.get_arrow_trace()
    variables = {}
    for name in names:
        column = pa.array(table.column(name))
        listed = not pa.types.is_floating(column.type)
        values = (column.flatten() if listed else column).to_numpy(zero_copy_only=False)
        # A copy: a view would keep the table, tuning included, in memory.
        variables[name] = np.array(values.reshape((len(column), -1) if listed else -1)[how.tune :])
    stats = {}
    for name in statistics.column_names:
        column = pa.array(statistics.column(name))
        kind = column.type
        plain = pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind)
        if plain and column.null_count == 0 and name not in ("chain", "draw"):
            stats[name] = np.array(column.to_numpy(zero_copy_only=False)[how.tune :])
    return Chain(variables, stats)


def _datasets(design: Design, chains: list[Chain | None]) -> tuple[xr.Dataset, xr.Dataset]:
    """All chains as one; each array of a chain is freed as soon as it is copied."""
    found = [chain for chain in chains if chain is not None]
    dims = {"beta": ("term",)} | {
        f"{kind}_{block.name}": (f"level_{block.name}",)
        for block in design.blocks
        for kind in ("effect", "local")
    }
    variables = {
        name: (
            ("chain", "draw", *dims.get(name, ())),
            np.stack([c.variables.pop(name) for c in found]),
        )
        for name in names_of(design)
    }
    known = [name for name in found[0].stats if all(name in chain.stats for chain in found)]
    stats = {
        name: (("chain", "draw"), np.stack([chain.stats[name] for chain in found]))
        for name in known
    }
    index = {"chain": np.arange(len(found)), "draw": np.arange(variables["beta"][1].shape[1])}
    return xr.Dataset(variables, index | _coordinates(design)), xr.Dataset(stats, index)
