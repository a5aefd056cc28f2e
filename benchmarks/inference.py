"""Effective draws per second of our fits and of every peer that is installed, on the same rows.

    uv run --group benchmarks python benchmarks/inference.py [PART ...] [--quick] [--data DATA]
        [--json FILE]

Parts; in a comparison the same rows, the same likelihood and the same priors for everybody:

crossed
    19 features, crossed intercepts of state a, state b and year: what Bambi can express. Bambi
    with nutpie, plain PyMC with nutpie and with PyMC's own sampler, NumPyro, and rstanarm where
    Rscript has it, against ``method="laplace"``.
multi-membership
    The same features, one effect for a state on either side, dyads and years; rows repeated up to
    112,462 where the data have fewer. Plain PyMC with nutpie against ``method="laplace"``.
shipped
    The same for the whole shipped specification (an era walk, varying slopes), if asked for: the
    peer takes hours.
refits
    Laplace fits of 36,000 and 112,462 rows of the last two specifications, and what one more year
    costs from a warm start.
pairs
    All pairs instead of the relevant ones (the historical ones to 2000), if asked for: seconds,
    CPU seconds and peak memory of a fresh process that loads the panel and fits the default draws.
scaling
    Laplace fits of the shipped specification from 10,000 to 2,000,000 rows, if asked for.

For a sampler, the number is the smallest bulk effective sample size (rank-normalised, ArviZ) over
all population-level coefficients and scales, divided by wall seconds from the arrays to the
posterior, compilation and adaptation included. For Laplace it is the effective sample size of the
importance weights, which bounds that of every parameter; with ``--replicates`` it is held against
the scatter of posterior means over fits with other seeds. Nothing else should run on the machine.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import shutil
import signal
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
import xarray as xr

import forecast as fc
from forecast.inference.diagnostics import peak_memory_mb
from forecast.inference.fit import Fit, fit
from forecast.inference.sampling import sample_design
from forecast.modeling.build import build_from_design
from forecast.modeling.design import Block, Design, encode
from forecast.modeling.encoding import complete
from forecast.modeling.priors import ScalePrior
from forecast.modeling.spec import ModelSpec, load_model
from forecast.panel.types import Panel

LARGE = 112_462
SEED = 20261122


@dataclass(frozen=True, eq=False)
class Result:
    """One method on one set of rows; mean and s.d. are of coefficients and scales, by name."""

    method: str
    rows: int
    seconds: float
    ess: float
    mean: pd.Series
    sd: pd.Series
    note: str = ""

    @property
    def rate(self) -> float:
        return self.ess / self.seconds


# ----------------------------------------------------------------------------------------- rows


def membership(level: np.ndarray) -> tuple[np.ndarray, sp.csr_array]:
    """Labels of the levels that occur, and the matrix of rows that have one each."""
    levels, index = np.unique(level, return_inverse=True)
    n = index.size
    matrix = sp.csr_array((np.ones(n), index, np.arange(n + 1)), shape=(n, levels.size))
    return levels.astype(np.str_), matrix


def crossed(design: Design, columns: int = 20) -> Design:
    """First columns of a design with crossed intercepts of state a, state b and year."""
    rows = design.rows
    blocks = []
    for name, coordinate in (("state_a", "ccode_a"), ("state_b", "ccode_b"), ("year", "year")):
        levels, matrix = membership(rows[coordinate].to_numpy())
        blocks.append(Block(name, "iid", levels, matrix, ScalePrior(0.5)))
    return replace(
        design,
        X=np.ascontiguousarray(design.X[:, :columns]),
        names=design.names[:columns],
        prior_mean=design.prior_mean[:columns],
        prior_sd=design.prior_sd[:columns],
        blocks=tuple(blocks),
    )


def multi_membership(design: Design, columns: int = 20) -> Design:
    """First columns of a design with its effects of states, dyads and years."""
    return replace(
        design,
        X=np.ascontiguousarray(design.X[:, :columns]),
        names=design.names[:columns],
        prior_mean=design.prior_mean[:columns],
        prior_sd=design.prior_sd[:columns],
        blocks=tuple(b for b in design.blocks if b.name in ("state", "dyad", "year")),
    )


def padded(design: Design, size: int) -> Design:
    """The design with its last rows repeated up to a size, or its last rows."""
    n = design.y.size
    index = np.arange(n)
    return design.chosen(np.sort(np.concatenate([index, index[: max(size - n, 0)]])[-size:]))


# -------------------------------------------------------------------------------------- methods


def _summary(posterior: xr.Dataset) -> tuple[pd.Series, pd.Series]:
    values = {
        f"beta[{term}]": posterior["beta"].sel(term=term).to_numpy().ravel()
        for term in posterior["term"].to_numpy().tolist()
    }
    values |= {
        str(name): array.to_numpy().ravel()
        for name, array in posterior.data_vars.items()
        if str(name).startswith("sigma_")
    }
    mean = pd.Series({name: float(v.mean()) for name, v in values.items()})
    return mean, pd.Series({name: float(v.std()) for name, v in values.items()})


def _smallest_ess(posterior: xr.Dataset) -> float:
    from arviz_stats import ess

    names = ["beta", *(str(n) for n in posterior.data_vars if str(n).startswith("sigma_"))]
    found = ess(posterior[names], method="bulk")
    found = found.dataset if hasattr(found, "dataset") else found
    return float(min(float(found[name].min()) for name in names))


def laplace(design: Design, *, draws: int, seed: int = SEED, label: str = "laplace") -> Result:
    begun = time.perf_counter()
    tree, found = sample_design(design, method="laplace", seed=seed, draws=draws)
    seconds = time.perf_counter() - begun
    mean, sd = _summary(tree["posterior"].to_dataset())
    note = f"Pareto k {found['pareto_k']:.2f}"
    return Result(
        f"forecast ({label})", design.y.size, seconds, found["min_ess_bulk"], mean, sd, note
    )


def pymc(design: Design, *, draws: int, sampler: str) -> Result:
    """Plain PyMC on the same arrays: non-centred, sampled by nutpie, PyMC or NumPyro."""
    import pymc as pm

    begun = time.perf_counter()
    names = ["beta", *(f"sigma_{block.name}" for block in design.blocks)]
    with build_from_design(design):
        trace = pm.sample(
            draws=draws, tune=draws, chains=2, cores=2, random_seed=SEED, nuts_sampler=sampler,
            progressbar=False, var_names=names, compute_convergence_checks=False,
        )  # fmt: skip
    seconds = time.perf_counter() - begun
    posterior = trace["posterior"].to_dataset()
    mean, sd = _summary(posterior)
    return Result(f"PyMC + {sampler}", design.y.size, seconds, _smallest_ess(posterior), mean, sd)


def bambi(design: Design, *, draws: int) -> Result:
    """Bambi with crossed intercepts and our priors."""
    begun = time.perf_counter()
    posterior = bambi_posterior(design, draws=draws)
    seconds = time.perf_counter() - begun
    mean, sd = _summary(posterior)
    return Result("Bambi + nutpie", design.y.size, seconds, _smallest_ess(posterior), mean, sd)


def bambi_posterior(design: Design, *, draws: int, chains: int = 2) -> xr.Dataset:
    """Draws of Bambi in the names of ours."""
    import bambi as bmb

    frame = pd.DataFrame(
        design.X[:, 1:], columns=[f"x{j}" for j in range(1, len(design.names))]
    ).assign(y=design.y.astype(int))
    priors: dict[str, Any] = {
        "Intercept": bmb.Prior("Normal", mu=design.prior_mean[0], sigma=design.prior_sd[0])
    }
    for j in range(1, len(design.names)):
        priors[f"x{j}"] = bmb.Prior("Normal", mu=design.prior_mean[j], sigma=design.prior_sd[j])
    for block in design.blocks:
        frame[block.name] = block.levels[block.matrix.indices]
        scale = bmb.Prior("HalfNormal", sigma=block.scale_prior.scale)
        priors[f"1|{block.name}"] = bmb.Prior("Normal", mu=0, sigma=scale)
    fixed = " + ".join(f"x{j}" for j in range(1, len(design.names)))
    varying = " + ".join(f"(1|{block.name})" for block in design.blocks)
    model = bmb.Model(
        f"y ~ {fixed} + {varying}",
        frame,
        family="bernoulli",
        priors=priors,
        center_predictors=False,
    )
    trace = model.fit(
        draws=draws, tune=draws, chains=chains, inference_method="nutpie", random_seed=SEED,
        nuts_sampler_kwargs=None, progress_bar=False,
    )  # fmt: skip
    found = trace["posterior"].to_dataset()
    columns = ["Intercept", *(f"x{j}" for j in range(1, len(design.names)))]
    beta = xr.concat([found[c] for c in columns], dim="term").assign_coords(term=list(design.names))
    posterior = xr.Dataset({"beta": beta.transpose("chain", "draw", "term")})
    for block in design.blocks:
        posterior[f"sigma_{block.name}"] = found[f"1|{block.name}_sigma"]
        posterior[f"effect_{block.name}"] = found[f"1|{block.name}"]
    return posterior


def rstanarm(design: Design, *, draws: int, limit: float) -> Result | None:
    """rstanarm on the same rows (its own priors on scales), stopped after `limit` seconds."""
    fixed = [f"x{j}" for j in range(1, len(design.names))]
    frame = pd.DataFrame(design.X[:, 1:], columns=fixed).assign(y=design.y.astype(int))
    for block in design.blocks:
        frame[block.name] = block.levels[block.matrix.indices]
    formula = " + ".join([*fixed, *(f"(1|{block.name})" for block in design.blocks)])
    with tempfile.TemporaryDirectory() as folder:
        table, out = Path(folder, "rows.csv"), Path(folder, "summary.csv")
        frame.to_csv(table, index=False)
        script = (
            f"library(rstanarm); d <- read.csv('{table}'); t <- Sys.time();"
            f"f <- stan_glmer(y ~ {formula}, data=d, family=binomial(), chains=2, cores=2,"
            f" iter={2 * draws}, seed=1, refresh=0);"
            "s <- as.numeric(Sys.time() - t, units='secs');"
            f"m <- as.data.frame(f$stan_summary); m$seconds <- s; write.csv(m, '{out}')"
        )
        begun = time.perf_counter()
        try:
            subprocess.run(
                ["Rscript", "-e", script], check=True, timeout=limit, capture_output=True
            )
        except (subprocess.TimeoutExpired, subprocess.CalledProcessError) as error:
            seconds, empty = time.perf_counter() - begun, pd.Series(dtype=float)
            kind = type(error).__name__
            return Result(
                "rstanarm", design.y.size, seconds, 0.0, empty, empty, f"{kind}: no result"
            )
        found = pd.read_csv(out, index_col=0)
        kept = found.loc[["(Intercept)", *fixed]]
        rename = dict(zip(kept.index, (f"beta[{n}]" for n in design.names), strict=True))
        return Result(
            "rstanarm", design.y.size, float(found["seconds"].iloc[0]), float(kept["n_eff"].min()),
            kept["mean"].rename(rename), kept["sd"].rename(rename),
        )  # fmt: skip


# --------------------------------------------------------------------------------------- tables


def agreement(result: Result, reference: Result) -> str:
    """Largest difference of means in s.d. of the reference, and largest ratio of s.d."""
    names = result.mean.index.intersection(reference.mean.index)
    if not len(names) or result is reference:
        return ""
    apart = ((result.mean - reference.mean)[names] / reference.sd[names]).abs().max()
    wide = (result.sd[names] / reference.sd[names] - 1.0).abs().max()
    return f"means within {apart:.2f} s.d., s.d. within {100 * wide:.0f}%"


def table(results: Iterable[Result], peer: str) -> pd.DataFrame:
    """One row a method; ratios of effective draws per second to those of one peer."""
    found = list(results)
    base = next((r for r in found if r.method == peer), None)
    return pd.DataFrame(
        {
            "method": r.method,
            "rows": r.rows,
            "seconds": round(r.seconds, 1),
            "smallest ESS": round(r.ess, 1),
            "ESS/s": round(r.rate, 3),
            f"× {peer}": round(r.rate / base.rate, 1) if base and base.rate else float("nan"),
            "against " + peer: agreement(r, base) if base else "",
            "note": r.note,
        }
        for r in found
    )


def replicates(design: Design, *, draws: int, seeds: int) -> dict[str, float]:
    """Effective draws of a Laplace fit by the scatter of its posterior means over seeds."""
    fits = [laplace(design, draws=draws, seed=SEED + s) for s in range(seeds)]
    means = pd.DataFrame([fit.mean for fit in fits])
    sd = pd.DataFrame([fit.sd for fit in fits]).mean()
    ess = sd**2 / means.var(ddof=1)
    return {
        "seeds": seeds,
        "importance ESS (mean)": float(np.mean([fit.ess for fit in fits])),
        "ESS by scatter of means, median parameter": float(ess.median()),
        "ESS by scatter of means, lowest decile": float(ess.quantile(0.1)),
    }


def scaled(design: Design, size: int) -> Design:
    """Rows repeated up to a size; those of another round are of other dyads of the same states.

    (As the same dyads again they would say more and more about each dyad: another posterior.)
    """
    n = design.y.size
    at = np.linspace(0, -(-size // n) * n - 1, size).astype(np.int64)
    made = design.chosen(at % n)
    return replace(
        made,
        blocks=tuple(
            _more_levels(block, at // n) if block.name == "dyad" else block for block in made.blocks
        ),
    )


def _more_levels(block: Block, again: np.ndarray) -> Block:
    """A block with levels of their own for each round of rows."""
    levels, matrix = membership(block.matrix.indices + len(block.levels) * again)
    return replace(block, levels=levels, matrix=matrix)


def scaling(design: Design, sizes: Iterable[int], *, draws: int) -> pd.DataFrame:
    """Seconds of a Laplace fit by rows, and the fitted exponent."""
    measured = []
    for size in sizes:
        found = laplace(scaled(design, size), draws=draws)
        measured.append(
            {"rows": size, "seconds": found.seconds, "ESS": found.ess, "note": found.note}
        )
        print(f"  {size:,} rows: {found.seconds:.1f} s", flush=True)
    frame = pd.DataFrame(measured)
    frame.attrs["exponent"] = float(
        np.polyfit(np.log(frame["rows"]), np.log(frame["seconds"]), 1)[0]
    )
    return frame


def refits(panel: Panel, spec: ModelSpec, design: Design, times: int = 3) -> pd.DataFrame:
    """Seconds of Laplace fits by rows, and of one more year from a warm start."""
    year = panel.data["year"].to_numpy()
    first, last = int(year.min()), int(year.max())
    earlier = panel.select_years(first, last - 1)
    parent = fit(spec, earlier, seed=SEED)
    runs: list[tuple[str, Callable[[], Result | Fit]]] = [
        (f"{what}, arrays given", partial(laplace, padded(rows, size), draws=1000))
        for what, rows in (("multi-membership", multi_membership(design)), ("shipped", design))
        for size in (36_000, LARGE)
    ]
    runs += [
        (f"fit, panel to {last - 1} given", partial(fit, spec, earlier, seed=SEED)),
        (f"fit with {last}", partial(fit, spec, panel, seed=SEED)),
        (f"fit with {last}, warm start", partial(fit, spec, panel, seed=SEED, warm_start=parent)),
    ]
    measured = []
    for what, run in runs:
        seconds = []
        for _ in range(times):
            begun = time.perf_counter()
            found = run()
            seconds.append(time.perf_counter() - begun)
        rows, ess, note = (
            (found.rows, found.ess, found.note)
            if isinstance(found, Result)
            else (found.encoding.rows, found.diagnostics.min_ess_bulk, _passed(found))
        )
        measured.append(
            {"what": what, "rows": rows, "seconds (median)": float(np.median(seconds)),
             "fastest": min(seconds), "ESS": ess, "note": note}
        )  # fmt: skip
    return pd.DataFrame(measured).round({"seconds (median)": 2, "fastest": 2, "ESS": 0})


def pairs(data: str) -> pd.DataFrame:
    """Seconds, CPU seconds and peak memory of loading and fitting all pairs, in a new process."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pd.DataFrame(pool.submit(_pairs, data).result())


def _pairs(data: str) -> list[dict[str, Any]]:
    spec = load_model(_model(data)).model_copy(update={"population": "all"})
    measured: list[dict[str, Any]] = []

    def measure(what: str, run: Callable[[], Any]) -> Any:
        begun, worked = time.perf_counter(), time.process_time()
        found = run()
        measured.append(
            {"what": what, "seconds": round(time.perf_counter() - begun, 1),
             "CPU seconds": round(time.process_time() - worked, 1),
             "peak GB so far": round(peak_memory_mb() / 1000, 2)}
        )  # fmt: skip
        return found

    years = (1816, 2000) if data == "historical" else None
    panel = measure(
        "panel",
        lambda: fc.load_panel(
            data=data, unit=spec.unit, population="all", outcome=spec.outcome, years=years
        ),
    )
    found = measure("fit", lambda: fit(spec, panel, seed=1))
    measured[-1] |= {
        "rows": found.encoding.rows,
        "ESS": round(found.diagnostics.min_ess_bulk),
        "note": _passed(found),
    }
    return measured


def _model(data: str) -> str:
    return "dyad_onset_historical" if data == "historical" else "dyad_onset"


def _passed(found: Fit) -> str:
    passed = "passed" if found.gate().passed else "failed"
    return f"Pareto k {found.diagnostics.pareto_k:.2f}, gate {passed}"


def attempt(
    name: str, run: Callable[[], Result | None], results: list[Result], limit: float | None = None
) -> None:
    """Run a method; one that is missing, fails or takes too long is named, not hidden."""
    print(f"… {name}", flush=True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = run() if limit is None else within(limit, run)
    except Exception as error:
        print(f"  {name}: no result: {type(error).__name__}: {error}", flush=True)
        return
    if found is not None:
        results.append(found)
        print(f"  {found.seconds:.1f} s, smallest ESS {found.ess:.0f}", flush=True)


def within(limit: float, run: Callable[[], Result | None]) -> Result | None:
    """Run in a process group of its own that is ended after so many seconds."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_send, args=(sender, run))
    child.start()
    sender.close()
    try:
        if not receiver.poll(limit):
            raise TimeoutError(f"stopped after {limit:.0f} s")
        found = receiver.recv()
    finally:
        if child.is_alive():
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)  # its samplers have processes of their own
        child.join()
    if isinstance(found, Exception):
        raise found
    return found


def _send(sender: Any, run: Callable[[], Result | None]) -> None:
    os.setsid()
    try:
        sender.send(run())
    except Exception as error:
        sender.send(error)


PARTS = ("crossed", "multi-membership", "shipped", "refits", "scaling", "pairs")
SIZES = (10_000, 30_000, 100_000, 300_000, 1_000_000, 2_000_000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "parts", nargs="*", choices=[*PARTS, []], help="crossed, multi-membership and refits"
    )
    parser.add_argument("--data", default="embedded", help="'embedded', 'historical' or a folder")
    parser.add_argument("--quick", action="store_true", help="a subset, in about five minutes")
    parser.add_argument("--draws", type=int, default=500, help="per chain, two chains")
    parser.add_argument("--replicates", type=int, default=0, metavar="SEEDS")
    parser.add_argument("--limit", type=float, default=900.0, help="seconds that a peer may take")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    parts = arguments.parts or ["crossed", "multi-membership", "refits"]

    if parts == ["pairs"]:
        frame = pairs(arguments.data)
        print(frame.to_string(index=False, na_rep=""))
        if arguments.json:
            arguments.json.write_text(json.dumps({"pairs": frame.to_dict(orient="records")}))
        return
    spec = load_model(_model(arguments.data))
    panel = complete(
        fc.load_panel(
            data=arguments.data, unit=spec.unit, population=spec.population, outcome=spec.outcome
        ),
        spec.entries,
    )
    design, _ = encode(spec, panel)
    years = design.rows["year"].to_numpy()
    span = (1990, 2000) if arguments.quick else (1980, 2000)
    some = crossed(design.chosen(np.flatnonzero((years >= span[0]) & (years <= span[1]))))
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; "
        f"data {arguments.data}, {design.y.size:,} rows {years.min()}–{years.max()}",
        flush=True,
    )
    laplace(some, draws=200)  # compiled code is cached on disk; the peers keep theirs in memory

    draws, limit = (200 if arguments.quick else arguments.draws), arguments.limit
    content: dict[str, Any] = {"cores": os.cpu_count(), "machine": platform.machine()}
    for part in parts:
        if part == "scaling":
            frame = scaling(design, SIZES, draws=200)
            content["scaling exponent"] = frame.attrs["exponent"]
        elif part == "pairs":
            frame = pairs(arguments.data)
        elif part == "refits":
            frame = refits(panel, spec, design, times=1 if arguments.quick else 3)
        elif part == "crossed":
            frame = table(crossed_peers(some, draws, limit, arguments.quick), "Bambi + nutpie")
        else:
            whole = design if part == "shipped" else multi_membership(design)
            large = padded(whole, 20_000 if arguments.quick else LARGE)
            found: list[Result] = []
            attempt("laplace", partial(laplace, large, draws=1000), found)
            peer = partial(pymc, large, draws=draws, sampler="nutpie")
            attempt("PyMC + nutpie", peer, found, max(limit, 900.0))
            frame = table(found, "PyMC + nutpie")
        print(f"\n{part}\n{frame.to_string(index=False)}", flush=True)
        if "exponent" in frame.attrs:
            print(f"seconds ∝ rows^{frame.attrs['exponent']:.2f}", flush=True)
        content[part] = frame.to_dict(orient="records")
        if arguments.json:
            arguments.json.write_text(json.dumps(content, indent=1))
    if arguments.replicates > 1:
        content["replicates"] = replicates(some, draws=1000, seeds=arguments.replicates)
        for what, number in content["replicates"].items():
            print(f"{what}: {number:.0f}")
        if arguments.json:
            arguments.json.write_text(json.dumps(content, indent=1))


def crossed_peers(design: Design, draws: int, limit: float, quick: bool) -> list[Result]:
    """Laplace and every peer that is installed, on crossed intercepts."""
    found: list[Result] = []
    attempt("laplace", partial(laplace, design, draws=1000), found)
    if find_spec("bambi"):
        attempt("Bambi + nutpie", partial(bambi, design, draws=draws), found, limit)
    samplers = {"nutpie": "PyMC + nutpie"}
    if not quick:
        samplers |= {"numpyro": "NumPyro"} if find_spec("numpyro") else {}
        samplers |= {"pymc": "PyMC's own NUTS"}
    for sampler, name in samplers.items():
        attempt(name, partial(pymc, design, draws=draws, sampler=sampler), found, limit)
    if shutil.which("Rscript"):
        seconds = 60.0 if quick else limit
        attempt("rstanarm", partial(rstanarm, design, draws=draws, limit=seconds), found)
    return found


if __name__ == "__main__":
    main()
