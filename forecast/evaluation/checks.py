"""Checks that every fit can run: each returns whether it passed, a table, sentences, a figure.

>>> results = check(fit, seed=1)                                        # doctest: +SKIP
>>> [r.name for r in results if not r.passed]                           # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.stats import norm

from forecast.draws import check_seed
from forecast.errors import UnknownNameError, items_of
from forecast.evaluation.check_tables import (
    LEVEL,
    RATE,
    CheckResult,
    listed,
    loo_row,
    predictive_table,
    reliability_of,
    replicated_statistics,
    verdict,
)
from forecast.evaluation.importance import power_scaling
from forecast.inference.diagnostics import khat_limit

if TYPE_CHECKING:
    from forecast.evaluation.insample import InSample
    from forecast.inference.fit import Fit
    from forecast.inference.row_likelihood import PosteriorDraws
    from forecast.modeling.design import Design

__all__ = ["CHECKS", "LOO_OVER", "CheckContext", "CheckResult", "check", "draws_for"]

DRAWS = 1000
"""Most posterior draws that the checks use."""
CELLS = 200_000_000
"""Most rows times draws of one pass: about ten seconds. Of more rows fewer draws are used."""
FEWEST = 200
"""Draws that are used however many rows there are."""
PRIOR_ROWS = 100_000
"""Rows on which the prior is simulated; of more, those of units taken at random."""
LOO_OVER = {"row": 0.001, "unit": 0.05}
"""Largest share of what is left out whose Pareto k may be over the limit; beyond: not judged."""


def draws_for(rows: int) -> int:
    """Posterior draws that are used of a fit with so many rows."""
    return min(DRAWS, max(FEWEST, CELLS // rows))


@dataclass(frozen=True, eq=False)
class CheckContext:
    """A fit, and a seed, with what several checks share, computed when it is first asked for."""

    fit: Fit
    seed: int

    @cached_property
    def design(self) -> Design:
        """Design arrays of the fit."""
        from forecast.modeling.design import encode

        return encode(self.fit.spec, self.fit.panel)[0]

    @cached_property
    def posterior(self) -> PosteriorDraws:
        """At most `DRAWS` draws, evenly spaced; of many rows no more than `CELLS` allows."""
        from forecast.inference.row_likelihood import posterior_draws

        return posterior_draws(self.fit, self.design, draws=draws_for(self.design.y.size))

    @cached_property
    def sample(self) -> InSample:
        """One pass over the rows."""
        from forecast.evaluation.insample import in_sample

        return in_sample(self.design, self.posterior, seed=self.seed_of("replicates"))

    def seed_of(self, purpose: str) -> int:
        """Child seed of a purpose."""
        key = tuple(purpose.encode())
        return int(np.random.SeedSequence(self.seed, spawn_key=key).generate_state(1)[0])


def check(
    fit: Fit, *, seed: int, checks: Sequence[str] | None = None, progress: bool = False
) -> list[CheckResult]:
    """Run checks on a fit.

    Parameters
    ----------
    fit : Fit
        A fit with its panel.
    seed : int
        Seed of simulated outcomes and resampling.
    checks : sequence of str, optional
        Names in `CHECKS`; all by default, in that order.
    progress : bool
        Show a progress bar.

    Returns
    -------
    list of CheckResult
        A check that fails is a result, not an error.

    Raises
    ------
    UnknownNameError
        For a check that does not exist.
    """
    from forecast.inference.fit import as_fit

    fit = as_fit(fit, "check(fit)")
    check_seed(seed)
    words = f"a list of checks, of {', '.join(CHECKS)}"
    names = list(CHECKS) if checks is None else list(items_of("checks", checks, words))
    for name in names:
        if name not in CHECKS:
            raise UnknownNameError("check", name, CHECKS)
    context = CheckContext(fit, seed)
    tracked: Iterable[str] = names
    if progress:
        from rich.progress import track

        tracked = track(names, description="checks")
    return [CHECKS[name](context) for name in tracked]


def check_diagnostics(context: CheckContext) -> CheckResult:
    """The publication gate: convergence, effective sample size, divergences, Pareto k."""
    result = context.fit.gate()
    found = {
        name: value
        for name, value in vars(context.fit.diagnostics).items()
        if isinstance(value, int | float)
    }
    table = pd.DataFrame({"diagnostic": list(found), "value": list(map(float, found.values()))})
    text = (
        f"The {context.fit.method} fit meets every threshold of the publication gate."
        if result.passed
        else f"The {context.fit.method} fit fails the publication gate: "
        + " ".join(map(str, result.failures))
    )
    return CheckResult("diagnostics", bool(result.passed), table, text)


def check_prior_predictive(context: CheckContext) -> CheckResult:
    """Yearly onsets before any outcome is seen; shares of units with none and many are told."""
    from forecast.inference.predict import prior_predictive

    draws = 200
    design, of = _some_units(context)
    simulated = prior_predictive(design, draws=draws, seed=context.seed_of("prior"))
    names = {
        "onsets a year": "onsets",
        "share of units without an onset": "share_without",
        "share of units with 5 or more onsets": "share_5_or_more",
    }
    statistics = {}
    for label, name in names.items():
        drawn, seen = simulated[name], simulated[f"observed_{name}"]
        if "year" in drawn.dims:
            drawn, seen = drawn.mean("year"), seen.mean("year")
        statistics[label] = (drawn.to_numpy(), float(seen))
    # draws keep the observed history: whether onsets gather in units is not theirs to show
    table, limit = predictive_table(statistics, told=list(statistics)[1:])
    yearly = table.iloc[0]
    rows = design.y.size / simulated.sizes["year"]
    # a prior under which most rows are onsets in a tenth of its draws believes the impossible
    wild = float((statistics["onsets a year"][0] > rows / 4).mean())
    passed = bool(table["plausible"].iloc[0] and wild <= 0.05)
    text = (
        f"Before it sees an outcome the model expects {yearly['median']:.1f} onsets a year{of} "
        f"({LEVEL:.0%} equal-tailed interval {yearly['lower']:.1f} to {yearly['upper']:.1f}, "
        f"{draws} draws); {yearly['observed']:.1f} were observed. "
        + verdict(table, limit, "prior draws")
        + f" A quarter of all rows or more are onsets in {wild:.1%} of the draws (at most 5%)."
    )
    return CheckResult("prior_predictive", passed, table, text, statistics)


def _some_units(context: CheckContext) -> tuple[Design, str]:
    """The design, or the rows of units taken at random, with the words that say so."""
    from forecast.inference.row_likelihood import unit_index

    design = context.design
    if design.y.size <= PRIOR_ROWS:
        return design, ""
    unit = unit_index(design.rows)
    size = np.bincount(unit)
    order = np.random.default_rng(context.seed_of("units")).permutation(size.size)
    chosen = order[: int(np.searchsorted(np.cumsum(size[order]), PRIOR_ROWS))]
    rows = np.flatnonzero(np.isin(unit, chosen))
    return design.chosen(rows), f" among {chosen.size} of {size.size} units, taken at random"


def check_posterior_predictive(context: CheckContext) -> CheckResult:
    """Replicated onsets against those observed, in groups of rows that the past decides."""
    tables = context.fit.panel.tables
    # spells are in order, so the last name of a state stands
    spells = (
        [] if tables is None else zip(tables.states["ccode"], tables.states["name"], strict=True)
    )
    names = {int(code): str(name) for code, name in spells}
    statistics = replicated_statistics(context.sample, names=names)
    table, limit = predictive_table(statistics)
    passed = bool(table["plausible"].all())
    text = (
        f"Numbers of onsets in {len(table)} groups of rows were compared with those of "
        f"{context.sample.draws} replicated data sets. "
        + verdict(table, limit, "replicates")
        + " Replicates are one year ahead: each row keeps the history that was observed, and "
        "recurrence shows in the onsets by years since the last one."
    )
    return CheckResult("posterior_predictive", passed, table, text, statistics)


def check_loo(context: CheckContext) -> CheckResult:
    """Whether the log score, leaving out rows and units, is better than that of the base rate."""
    s = context.sample
    y = s.outcome
    within = np.log(np.where(y == 1.0, s.probability, 1.0 - s.probability))
    climate = np.log(np.where(y == 1.0, y.mean(), 1.0 - y.mean()))
    by_unit = np.bincount(s.unit, weights=climate, minlength=int(s.unit[-1]) + 1)
    limits = khat_limit(s.draws), khat_limit(s.unit_draws)
    ones = np.ones(y.size)
    table = pd.DataFrame(
        [
            loo_row("row", s.row_elpd, s.row_khat, climate, s.draws, ones),
            loo_row(
                "unit", s.unit_elpd, s.unit_khat, by_unit[s.units], s.unit_draws, s.unit_weight
            ),
        ]
    )
    effective = float(within.sum() - s.row_elpd.sum())
    share = table["over_limit"] / table["count"]
    trusted = share <= table["left_out"].map(LOO_OVER)
    far = norm.isf(RATE / 2)
    worse = table["gain"] < -far * table["gain_se"]
    passed = None if not trusted.all() else not worse.any()
    found = (
        "Not judged: beyond these shares of Pareto k the score is not to be trusted; more draws of "
        "a fit help."
        if passed is None
        else f"Neither is worse than the base rate by more than {far:.2f} s.e."
        if passed
        else f"Worse than the base rate by more than {far:.2f} s.e., leaving out: "
        f"{listed(table.loc[worse, 'left_out'])}."
    )
    row, unit = table.iloc[0], table.iloc[1]
    how = (
        "its own effect integrated out, so as a unit never seen before"
        if s.integrated
        else "by importance sampling of its rows together"
    )
    quiet = int((s.unit_weight > 1.0).sum())
    if quiet:
        how += f"; of {by_unit.size} units all with an onset and {quiet} others, weighted"
    text = (
        f"Leaving out one row at a time the log score is {row['elpd']:.1f} "
        f"(s.e. {row['se']:.1f}; {s.draws} draws), a skill of {row['skill']:.3f} against the base "
        f"rate (gain {row['gain']:.1f}, s.e. {row['gain_se']:.1f}), with {effective:.1f} effective "
        f"parameters. Pareto k exceeds {limits[0]:.2f}, the "
        f"limit for so many draws, for {row['over_limit']} of {row['count']} rows (at most "
        f"{LOO_OVER['row']:.1%}). Leaving out all rows of a unit ({how}; {s.unit_draws} draws) it "
        f"is {unit['elpd']:.1f} (s.e. {unit['se']:.1f}), a skill of {unit['skill']:.3f} (gain "
        f"{unit['gain']:.1f}, s.e. {unit['gain_se']:.1f}); k exceeds {limits[1]:.2f} for "
        f"{unit['over_limit']} of {unit['count']} units (at most {LOO_OVER['unit']:.0%}). {found}"
    )
    shown = {"rows": (s.row_khat, limits[0]), "units": (s.unit_khat, limits[1])}
    return CheckResult("loo", passed, table, text, shown)


def check_reliability(context: CheckContext) -> CheckResult:
    """Reliability out of sample, from the calibration record that travels with the fit."""
    fit = context.fit
    record = fit.record
    if record is None or record.specification not in ("", fit.spec.sha256):
        why = "there is none" if record is None else "it is of another specification"
        text = (
            "Not judged: whether probabilities can be relied upon is told from forecasts of years "
            f"that the fit did not know, kept in its calibration record, and {why}. In sample even "
            "a true model looks too timid, since effects are shrunk. A report with a backtest "
            "makes the record."
        )
        return CheckResult("reliability", None, pd.DataFrame(columns=["forecast"]), text)
    return reliability_of(record)


def check_prior_sensitivity(context: CheckContext) -> CheckResult:
    """Whether the posterior follows the prior, and whether the two disagree."""
    table = power_scaling(
        context.design,
        context.posterior,
        context.sample.log_likelihood,
        seed=context.seed_of("sensitivity"),
        rate=RATE,
    )
    of = {kind: part["parameter"] for kind, part in table.groupby("diagnosis")}
    passed = "prior-data conflict" not in of
    worst = table.sort_values("prior", ascending=False).iloc[0]
    far = table.iloc[int(table["z"].abs().argmax())]
    limit, z_limit = worst["limit"], worst["z_limit"]
    text = (
        f"Power-scaling of the priors of {len(table)} coefficients and scales: the most sensitive "
        f"is {worst['parameter']} ({worst['prior']:.3f}; below {limit:.3f} is little, or noise of "
        f"{context.posterior.draws} draws). The posterior mean farthest from its prior is that of "
        f"{far['parameter']} ({far['z']:+.1f} s.d. of what the prior expects of it; one of "
        f"{len(table)} is beyond {z_limit:.1f} in {RATE:.0%} of models that are true). "
        + (
            "None that is sensitive to the prior is that far from it."
            if passed
            else f"Prior and data pull apart for {listed(of['prior-data conflict'])}."
        )
        + "".join(
            f" {words} {listed(of[kind])}."
            for kind, words in (
                ("informative prior", "Both prior and data speak, and agree, for"),
                ("weak likelihood", "The prior speaks where the data say little:"),
            )
            if kind in of
        )
    )
    return CheckResult("prior_sensitivity", passed, table, text, table)


CHECKS: dict[str, Callable[[CheckContext], CheckResult]] = {
    "diagnostics": check_diagnostics,
    "prior_predictive": check_prior_predictive,
    "posterior_predictive": check_posterior_predictive,
    "loo": check_loo,
    "reliability": check_reliability,
    "prior_sensitivity": check_prior_sensitivity,
}
"""Every check by name, in the order in which they are run."""
