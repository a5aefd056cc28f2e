"""The fitted model as tables: coefficients with their priors, slopes by era, scales."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from forecast.draws import estimates

if TYPE_CHECKING:
    from forecast.inference.fit import Fit

__all__ = ["diagnostics_table", "scale_table", "slope_table", "term_table"]

LEVEL = 0.9


def _summary(draws: npt.NDArray[Any]) -> dict[str, float]:
    """Mean, s.d., equal-tailed interval and probability of being positive of one quantity."""
    values = np.asarray(draws, dtype=np.float64).ravel()
    mean, lower, upper = estimates(values, LEVEL).tolist()
    return {
        "mean": mean, "sd": float(values.std(ddof=1)), "lower": lower, "upper": upper,
        "positive": float((values > 0).mean()),
    }  # fmt: skip


def term_table(fit: Fit) -> pd.DataFrame:
    """Population-level coefficients (log-odds), one row per design column.

    A coefficient is the change in log-odds from 0 to 1 of a binary input, or over two standard
    deviations of any other.
    """
    beta = fit.posterior["posterior"]["beta"]
    names = list(fit.encoding.names)
    about: dict[str, tuple[str, str, str]] = {}
    for entry in (*fit.spec.entries, *fit.spec.interactions):
        prior = str(entry.prior)
        for i in fit.encoding.term_slices.get(entry.name, ()):
            about[names[i]] = (entry.name, fit.spec.family_of(entry.name), prior)
    draws = {str(n): beta.sel(term=n).to_numpy() for n in beta["term"].to_numpy()}
    start = fit.spec.intercept
    rest = {
        name: (name, "intercept", str(start)) if name == "intercept" else (name, "other", "")
        for name in draws
        if name not in about
    }
    rows = [
        {"column": column, "term": term, "family": family, "prior": prior} | _summary(draws[column])
        for column, (term, family, prior) in (rest | about).items()
        if column in draws
    ]
    return pd.DataFrame(rows).assign(interval="equal-tailed", level=LEVEL)


def slope_table(fit: Fit) -> pd.DataFrame:
    """Coefficient of each term that varies, in each era: common mean plus the era's deviation.

    In the same way for slopes that walk (the era is a step of years) or differ by stratum.
    """
    posterior = fit.posterior["posterior"].to_dataset()
    slopes = [str(name) for name in posterior if str(name).startswith("effect_slope")]
    if not slopes:
        return pd.DataFrame()
    beta = posterior["beta"]
    spans = {era.name: f"{era.first}–{era.last or ''}" for era in fit.spec.eras}
    place = {str(name): i for i, name in enumerate(beta["term"].to_numpy())}
    rows = []
    for effect in (posterior[name] for name in slopes):
        for i, level in enumerate(effect[effect.dims[-1]].to_numpy()):
            term, era = str(level).split("|")
            if term in place:
                total = beta.to_numpy()[..., place[term]] + effect.to_numpy()[..., i]
                years = spans.get(era, era)
                rows.append({"term": term, "era": era, "years": years} | _summary(total))
    return pd.DataFrame(rows).assign(interval="equal-tailed", level=LEVEL)


def scale_table(fit: Fit) -> pd.DataFrame:
    """Standard deviations of the groups of effects, with their priors."""
    posterior = fit.posterior["posterior"].to_dataset()
    priors = {group.block: str(group.scale.prior) for group in fit.spec.varying}
    rows = [
        {
            "effects": (block := str(name).removeprefix("sigma_")),
            "prior": priors.get(block, ""),
        }
        | {k: v for k, v in _summary(posterior[str(name)].to_numpy()).items() if k != "positive"}
        for name in posterior.data_vars
        if str(name).startswith("sigma_")
    ]
    return pd.DataFrame(rows).assign(interval="equal-tailed", level=LEVEL)


def diagnostics_table(fit: Fit) -> pd.DataFrame:
    """What the publication gate asks for and what was found; a method may not have a number."""
    from forecast.inference.diagnostics import GATE

    d = fit.diagnostics
    asked = [
        ("R-hat, largest", d.max_rhat, "≤", GATE.max_rhat),
        ("Effective sample size (bulk), smallest", d.min_ess_bulk, "≥", GATE.min_ess),
        ("Effective sample size (tail), smallest", d.min_ess_tail, "≥", GATE.min_ess),
        ("Divergent transitions", d.divergences, "≤", GATE.max_divergences),
        ("E-BFMI, smallest", d.min_ebfmi, "≥", GATE.min_ebfmi),
        ("Pareto k of the importance weights", d.pareto_k, "≤", GATE.pareto_k(d)),
    ]
    return pd.DataFrame(
        [
            {
                "diagnostic": name,
                "threshold": f"{sign} {limit:.3g}",
                "found": np.nan if found is None else float(found),
                "applies": found is not None,
                "passed": found is None or bool(found <= limit if sign == "≤" else found >= limit),
            }
            for name, found, sign, limit in asked
        ]
    )
