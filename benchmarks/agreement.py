"""Laplace against long NUTS of the plain PyMC model, and against Bambi, on the same real rows.

    uv run --group benchmarks python benchmarks/agreement.py [--data historical] [--years 1990 2000]
        [--draws 2000] [--chains 4] [--only crossed|multi] [--json FILE]

Two models, each with the same rows, likelihood and priors for everybody: `crossed` (20 columns,
intercepts of state a, state b and year: what Bambi can express) and `multi` (the shipped model:
one effect for a state on either side, dyads, an era walk, slopes by era; without Bambi). For every
parameter, effects and scales included, the posterior means shall be within .1 posterior standard
deviations and the standard deviations within 10%. Both sides have Monte Carlo error, which is
estimated and reported beside the differences: see `posterior_agreement`.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from inference import SEED, bambi_posterior, crossed
from posterior_agreement import posterior_agreement

import forecast as fc
from forecast.inference.nuts import sample_nuts
from forecast.inference.sampling import sample_design
from forecast.modeling.design import Design, encode
from forecast.modeling.encoding import complete
from forecast.modeling.spec import load_model


def nuts(design: Design, *, draws: int, chains: int) -> tuple[xr.Dataset, str]:
    """Plain PyMC (`forecast.modeling.build`) sampled by nutpie."""
    begun = time.perf_counter()
    posterior, _, found = sample_nuts(
        design, seed=np.random.SeedSequence(SEED), draws=draws, chains=chains, tune=1000
    )
    return posterior, (
        f"{chains} × {draws:,} draws in {time.perf_counter() - begun:.0f} s, largest R-hat"
        f" {found['max_rhat']:.3f}, smallest bulk ESS {found['min_ess_bulk']:.0f},"
        f" {found['divergences']} divergences"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="historical", help="'embedded', 'historical', a folder")
    parser.add_argument("--years", type=int, nargs=2, default=(1990, 2000))
    parser.add_argument("--draws", type=int, default=2000, help="per chain of NUTS")
    parser.add_argument("--chains", type=int, default=4)
    parser.add_argument("--laplace-draws", type=int, default=8000)
    parser.add_argument("--bambi-draws", type=int, default=2000, help="per chain, two chains")
    parser.add_argument("--only", choices=("crossed", "multi"))
    parser.add_argument("--without-bambi", action="store_true")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    name = "dyad_onset_historical" if arguments.data == "historical" else "dyad_onset"
    spec = load_model(name)
    panel = fc.load_panel(
        data=arguments.data, unit=spec.unit, population=spec.population, outcome=spec.outcome
    )
    panel = complete(panel, spec.entries).select_years(*arguments.years)
    design, _ = encode(spec, panel)
    designs = {"crossed": crossed(design), "multi": design.chosen(np.arange(design.y.size))}
    content: dict[str, Any] = {}
    for kind, one in designs.items():
        if arguments.only not in (None, kind):
            continue
        print(
            f"\n{kind}: {one.y.size:,} rows {arguments.years[0]}–{arguments.years[1]},"
            f" {one.y.sum():.0f} onsets", flush=True,
        )  # fmt: skip
        begun = time.perf_counter()
        tree, found = sample_design(one, seed=SEED, draws=arguments.laplace_draws)
        ours = tree["posterior"].to_dataset()
        print(
            f"laplace: {arguments.laplace_draws:,} draws in {time.perf_counter() - begun:.1f} s,"
            f" ESS of the weights {found['min_ess_bulk']:.0f}, Pareto k {found['pareto_k']:.2f}",
            flush=True,
        )
        peers: dict[str, xr.Dataset] = {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            peers["PyMC + nutpie"], note = nuts(one, draws=arguments.draws, chains=arguments.chains)
            print(f"PyMC + nutpie: {note}", flush=True)
            if kind == "crossed" and not arguments.without_bambi:
                begun = time.perf_counter()
                peers["Bambi + nutpie"] = bambi_posterior(
                    one, draws=arguments.bambi_draws, chains=2
                )
                print(f"Bambi + nutpie: {time.perf_counter() - begun:.0f} s", flush=True)
        for peer, reference in peers.items():
            compared = posterior_agreement(ours, reference, ess=found["min_ess_bulk"])
            table = compared.within()
            print(f"\nlaplace against {peer}: means in posterior s.d., s.d. as log ratio")
            print(table.round(3).T.to_string(header=False))
            worst = compared.table.sort_values("mean", key=abs).tail(5)
            print(worst.round(3).to_string(index=False), flush=True)
            content[f"{kind}: {peer}"] = {
                "rows": one.y.size, "onsets": float(one.y.sum()),
                "pareto_k": found["pareto_k"], "ess": found["min_ess_bulk"],
                "table": table.to_dict(orient="records"),
            }  # fmt: skip
    if arguments.json:
        arguments.json.write_text(json.dumps(content, indent=1, default=float))


if __name__ == "__main__":
    main()
