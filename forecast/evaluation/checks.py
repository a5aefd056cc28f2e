"""Checks that every fit can run: each returns whether it passed, a table, sentences, a figure.

>>> results = check(fit, seed=1)                                        # doctest: +SKIP
>>> [r.name for r in results if not r.passed]                           # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from forecast.errors import UnknownNameError
from forecast.evaluation import figures
from forecast.evaluation.calibration import expected_to_observed, recalibrate
from forecast.evaluation.corp import reliability
from forecast.evaluation.inputs import FloatArray
from forecast.evaluation.psis import KHAT_LIMIT
from forecast.evaluation.replicates import replicated_statistics
from forecast.evaluation.scores import score_forecasts
from forecast.evaluation.sensitivity import SENSITIVE, power_scaling

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from forecast.evaluation.insample import InSample, PosteriorDraws
    from forecast.inference.fit import Fit
    from forecast.modeling.design import Design

__all__ = ["CHECKS", "CheckContext", "CheckResult", "check"]

LEVEL = 0.9
"""Probability of every interval in the tables."""
DRAWS = 1000
"""Most posterior draws that the checks use."""


@dataclass(frozen=True, eq=False)
class CheckResult:
    """Outcome of one check.

    Attributes
    ----------
    name : str
        Name in `CHECKS`.
    passed : bool
        Whether it met the thresholds that `text` states.
    table : pandas.DataFrame
        Its numbers.
    text : str
        What was checked, against which threshold, and what was found, in plain sentences.
    figure : callable or None
        Makes a matplotlib figure.
    """

    name: str
    passed: bool
    table: pd.DataFrame
    text: str
    figure: Callable[[], Figure] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Name, verdict, sentences and table as plain values."""
        return {
            "name": self.name,
            "passed": self.passed,
            "text": self.text,
            "table": [
                {
                    str(k): None if isinstance(v, float) and np.isnan(v) else v
                    for k, v in row.items()
                }
                for row in self.table.astype(object).to_dict(orient="records")
            ],
        }


@dataclass(frozen=True, eq=False)
class CheckContext:
    """A fit with what several checks share, computed when it is first asked for.

    Attributes
    ----------
    fit : Fit
        The fit.
    seed : int
        Seed of simulated outcomes and resampling.
    """

    fit: Fit
    seed: int

    @cached_property
    def design(self) -> Design:
        """Design arrays of the fit."""
        from forecast.modeling.encode import encode

        return encode(self.fit.spec, self.fit.panel)[0]

    @cached_property
    def posterior(self) -> PosteriorDraws:
        """At most `DRAWS` draws, evenly spaced."""
        from forecast.evaluation.insample import posterior_draws

        return posterior_draws(self.fit, self.design, draws=DRAWS)

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
    names = list(CHECKS) if checks is None else list(checks)
    for name in names:
        if name not in CHECKS:
            raise UnknownNameError("check", name, CHECKS)
    context = CheckContext(fit, seed)
    return [CHECKS[name](context) for name in _tracked(names, progress)]


def _tracked(names: list[str], progress: bool) -> Iterable[str]:
    if not progress:
        return names
    from rich.progress import track

    return track(names, description="checks")


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
    """Yearly onsets, and shares of units with none and with five or more, before any outcome."""
    from forecast.modeling.prior import prior_predictive

    draws = 200
    simulated = prior_predictive(context.design, draws=draws, seed=context.seed_of("prior"))
    statistics = {
        "onsets a year": (
            simulated["onsets"].mean("year").to_numpy(),
            float(simulated["observed_onsets"].mean("year")),
        ),
        "share of units without an onset": (
            simulated["share_without"].to_numpy(),
            float(simulated["observed_share_without"]),
        ),
        "share of units with 5 or more onsets": (
            simulated["share_5_or_more"].to_numpy(),
            float(simulated["observed_share_5_or_more"]),
        ),
    }
    table = _predictive_table(statistics)
    table["plausible"] = (table["observed"] >= table["lower"]) & (
        table["observed"] <= table["upper"]
    )
    yearly = table.iloc[0]
    rows = float(context.design.y.size / np.unique(context.design.rows["year"]).size)
    # a prior under which most rows are onsets in a tenth of its draws believes the impossible
    wild = float((statistics["onsets a year"][0] > rows / 4).mean())
    passed = bool(table["plausible"].all() and wild <= 0.05)
    text = (
        f"Before it sees an outcome the model expects {yearly['median']:.1f} onsets a year "
        f"({LEVEL:.0%} equal-tailed interval {yearly['lower']:.1f} to {yearly['upper']:.1f}, "
        f"{draws} draws); {yearly['observed']:.1f} were observed. "
        + _sentence(table, "plausible", "The observed value lies inside the prior interval for")
        + f" A quarter of all rows or more are onsets in {wild:.1%} of the draws (at most 5%)."
    )
    return CheckResult(
        "prior_predictive", passed, table, text, partial(figures.predictive, statistics)
    )


def check_posterior_predictive(context: CheckContext) -> CheckResult:
    """Replicated outcomes against what was observed, on statistics the model was not told."""
    tables = context.fit.panel.tables
    # spells are in order, so the last name of a state stands
    spells = (
        [] if tables is None else zip(tables.states["ccode"], tables.states["name"], strict=True)
    )
    names = {int(code): str(name) for code, name in spells}
    statistics = replicated_statistics(context.sample, names=names)
    table = _predictive_table(statistics)
    table["plausible"] = table["tail_probability"] >= 0.01
    passed = bool(table["plausible"].all())
    text = (
        f"{len(table)} statistics of the outcomes were compared with those of "
        f"{context.sample.draws} replicated data sets. "
        + _sentence(table, "plausible", "The two-sided tail probability is at least 1% for")
        + " Replicates are one year ahead: each row keeps the history that was observed."
    )
    return CheckResult(
        "posterior_predictive", passed, table, text, partial(figures.predictive, statistics)
    )


def check_loo(context: CheckContext) -> CheckResult:
    """Leave-one-out log score by row and by unit, with the rows where it cannot be trusted."""
    s = context.sample
    y = s.outcome
    within = np.log(np.where(y == 1.0, s.probability, 1.0 - s.probability))
    climate = np.log(np.where(y == 1.0, y.mean(), 1.0 - y.mean()))
    n_unit = int(s.unit[-1]) + 1
    table = pd.DataFrame(
        [
            _loo_row("row", s.row_elpd, s.row_khat, climate, s.draws),
            _loo_row(
                "unit",
                s.unit_elpd,
                s.unit_khat,
                np.bincount(s.unit, weights=climate, minlength=n_unit),
                s.unit_draws,
            ),
        ]
    )
    effective = float(within.sum() - s.row_elpd.sum())
    limit = {"row": 0.001, "unit": 0.01}
    share = table["over_limit"] / table["count"]
    passed = bool((share.to_numpy() <= np.array([limit["row"], limit["unit"]])).all())
    row, unit = table.iloc[0], table.iloc[1]
    how = (
        "its own effect integrated out, so as a unit never seen before"
        if s.integrated
        else "by importance sampling of its rows together"
    )
    text = (
        f"Leaving out one row at a time the log score is {row['elpd']:.1f} "
        f"(s.e. {row['se']:.1f}; {s.draws} draws), a skill of {row['skill']:.3f} against the base "
        f"rate, with {effective:.1f} effective parameters. Pareto k exceeds {KHAT_LIMIT} for "
        f"{row['over_limit']} of {row['count']} rows (at most {limit['row']:.1%}). "
        f"Leaving out all rows of a unit ({how}; {s.unit_draws} draws) it is "
        f"{unit['elpd']:.1f} (s.e. {unit['se']:.1f}), a skill of {unit['skill']:.3f}; k exceeds "
        f"{KHAT_LIMIT} for {unit['over_limit']} of {unit['count']} units (at most "
        f"{limit['unit']:.0%})."
    )
    return CheckResult("loo", passed, table, text, partial(figures.khat, s.row_khat, s.unit_khat))


def check_reliability(context: CheckContext) -> CheckResult:
    """In-sample reliability by isotonic regression; says nothing about forecasts yet to come."""
    s = context.sample
    curve = reliability(
        s.outcome, s.probability, seed=context.seed_of("reliability"), level=LEVEL, resamples=100
    )
    ratio = expected_to_observed(s.outcome, s.probability, level=LEVEL).iloc[0]
    line = recalibrate(s.outcome, s.probability, level=LEVEL)
    scores = score_forecasts(
        s.outcome, s.probability, reference=np.full(s.outcome.size, s.outcome.mean())
    )
    parts = curve.decompositions["brier"]
    table = curve.curve
    passed = bool(ratio["lower"] <= 1.0 <= ratio["upper"] and curve.outside <= 0.25)
    text = (
        f"In sample, expected over observed onsets is {ratio['ratio']:.2f} ({LEVEL:.0%} interval "
        f"{ratio['lower']:.2f} to {ratio['upper']:.2f}; should hold 1). The isotonic reliability "
        f"curve leaves its {LEVEL:.0%} consistency band for {curve.outside:.0%} of the rows (at "
        f"most 25%). Brier score {parts.score:.5f} = miscalibration {parts.miscalibration:.5f} - "
        f"discrimination {parts.discrimination:.5f} + uncertainty {parts.uncertainty:.5f}. "
        f"Recalibration slope {line.slope:.2f} (above 1 is usual in sample, since effects are "
        f"shrunk), intercept {line.intercept:.2f}. AUC {scores['auc']:.3f}, average precision "
        f"{scores['average_precision']:.3f}. In sample is no evidence of forecast skill; the "
        "backtest is."
    )
    return CheckResult(
        "reliability", passed, table, text, partial(figures.reliability_curve, curve)
    )


def check_prior_sensitivity(context: CheckContext) -> CheckResult:
    """How the posterior of coefficients and scales moves when the prior is raised to a power."""
    table = power_scaling(context.design, context.posterior, context.sample.log_likelihood)
    conflict = table.loc[table["diagnosis"] == "possible prior-data conflict", "parameter"]
    weak = table.loc[table["diagnosis"] == "weak likelihood", "parameter"]
    passed = conflict.empty
    worst = table.sort_values("prior", ascending=False).iloc[0]
    text = (
        f"Power-scaling of the priors of {len(table)} coefficients and scales: the most sensitive "
        f"is {worst['parameter']} ({worst['prior']:.3f}; below {SENSITIVE} is little). "
        + (
            "None is sensitive to prior and likelihood at once, which would mean that they "
            "disagree."
            if passed
            else f"Prior and likelihood pull apart for {_listed(conflict)}."
        )
        + (
            f" The data say little about {_listed(weak)}: there the prior speaks."
            if len(weak)
            else ""
        )
    )
    return CheckResult(
        "prior_sensitivity", passed, table, text, partial(figures.sensitivity, table, SENSITIVE)
    )


def _predictive_table(
    statistics: dict[str, tuple[FloatArray, float]],
) -> pd.DataFrame:
    """Observed value, predictive median and interval, and two-sided mid-tail probability."""
    tail = (1.0 - LEVEL) / 2.0
    rows = []
    for name, (draws, observed) in statistics.items():
        lower, median, upper = np.quantile(draws, [tail, 0.5, 1.0 - tail])
        above = float((draws > observed).mean() + 0.5 * (draws == observed).mean())
        rows.append(
            {
                "statistic": name,
                "observed": observed,
                "median": float(median),
                "lower": float(lower),
                "upper": float(upper),
                "level": LEVEL,
                "tail_probability": 2.0 * min(above, 1.0 - above),
            }
        )
    return pd.DataFrame(rows)


def _loo_row(
    left_out: str, elpd: FloatArray, khat: FloatArray, climate: FloatArray, draws: int
) -> dict[str, Any]:
    return {
        "left_out": left_out,
        "count": int(elpd.size),
        "elpd": float(elpd.sum()),
        "se": float(elpd.std() * np.sqrt(elpd.size)),
        "base_rate_elpd": float(climate.sum()),
        "skill": float(1.0 - elpd.sum() / climate.sum()),
        "over_limit": int((khat > KHAT_LIMIT).sum()),
        "largest_khat": float(khat.max()) if np.isfinite(khat.max()) else np.nan,
        "draws": draws,
    }


def _sentence(table: pd.DataFrame, column: str, start: str) -> str:
    good = int(table[column].sum())
    if good == len(table):
        return f"{start} all {good}."
    bad = table.loc[~table[column], "statistic"]
    return f"{start} {good} of {len(table)}, but not for: {_listed(bad)}."


def _listed(names: Iterable[object]) -> str:
    listed = [str(name) for name in names]
    return ", ".join(listed[:8]) + (f" and {len(listed) - 8} more" if len(listed) > 8 else "")


CHECKS: dict[str, Callable[[CheckContext], CheckResult]] = {
    "diagnostics": check_diagnostics,
    "prior_predictive": check_prior_predictive,
    "posterior_predictive": check_posterior_predictive,
    "loo": check_loo,
    "reliability": check_reliability,
    "prior_sensitivity": check_prior_sensitivity,
}
"""Every check by name, in the order in which they are run."""
