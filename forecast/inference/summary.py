"""What a fit found, as one table: coefficients with their priors, slopes, scales; and its gate."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from forecast.draws import check_level, estimates
from forecast.text import term_words

if TYPE_CHECKING:
    from forecast.inference.fit import Fit

__all__ = ["diagnostics_table", "summary_table"]

#: What the groups of effects are, for a reader.
_GROUPS = {
    "state": "states", "dyad": "pairs", "challenger": "challengers", "target": "targets",
    "dispute": "disputes", "alliance": "treaties", "era": "walk of the level (each step)",
    "year": "years", "slope": "slopes between eras", "slope_walk": "walk of slopes (each step)",
}  # fmt: skip
_COLUMNS = [
    "mean", "sd", "lower", "upper", "positive", "prior", "kind", "term", "column", "family",
    "era", "years",
]  # fmt: skip


def summary_table(fit: Fit, level: float) -> pd.DataFrame:
    """See `Fit.summary`."""
    check_level(level)
    posterior = fit.posterior["posterior"].to_dataset()
    rows = [*_coefficients(fit, posterior), *_slopes(fit, posterior), *_scales(fit, posterior)]
    about = pd.DataFrame([row | _estimates(draws, level) for row, draws in rows])
    about.loc[about["kind"] == "scale", "positive"] = np.nan  # they all are
    table = about.set_index("name").reindex(columns=_COLUMNS)
    return table.assign(interval="equal-tailed", level=level)


def _estimates(draws: npt.NDArray[Any], level: float) -> dict[str, float]:
    values = np.asarray(draws, dtype=np.float64).ravel()
    mean, lower, upper = estimates(values, level).tolist()
    return {
        "mean": mean, "sd": float(values.std(ddof=1)), "lower": lower, "upper": upper,
        "positive": float((values > 0).mean()),
    }  # fmt: skip


_Rows = Iterator[tuple[dict[str, str], npt.NDArray[Any]]]


def _coefficients(fit: Fit, posterior: xr.Dataset) -> _Rows:
    """Population-level coefficients, those without a prior of their own term first."""
    names = list(fit.encoding.names)
    about = {
        names[i]: (entry.name, fit.spec.family_of(entry.name), str(entry.prior))
        for entry in (*fit.spec.entries, *fit.spec.interactions)
        for i in fit.encoding.term_slices.get(entry.name, ())
    }
    level = fit.spec.alliance_level
    first = {n: (n, "other", str(level.prior) if level else "") for n in names if n not in about}
    first["intercept"] = ("intercept", "intercept", str(fit.spec.intercept))
    of = {i.name: " × ".join(map(term_words, i.of)) for i in fit.spec.interactions}
    beta = posterior["beta"]
    for column, (term, family, prior) in (first | about).items():
        words = term_words(column.replace(term, "", 1)) if term in of else ""
        name = of[term] + words if term in of else term_words(column)
        row = {"kind": "coefficient", "name": name, "column": column, "term": term}
        yield row | {"family": family, "prior": prior}, beta.sel(term=column).to_numpy()


def _slopes(fit: Fit, posterior: xr.Dataset) -> _Rows:
    """Coefficients that vary: the common one plus the deviation of an era, step or stratum."""
    beta = posterior["beta"].to_numpy()
    place = {str(name): i for i, name in enumerate(posterior["term"].to_numpy())}
    spans = {era.name: f"{era.first}–{era.last or ''}" for era in fit.spec.eras}
    families = {entry.name: fit.spec.family_of(entry.name)
                for entry in (*fit.spec.entries, *fit.spec.interactions)}  # fmt: skip
    for block in (str(name) for name in posterior if str(name).startswith("effect_slope")):
        effect = posterior[block]
        for i, level in enumerate(effect[effect.dims[-1]].to_numpy()):
            term, era = str(level).split("|")
            years = spans.get(era, era)
            row = {"kind": "slope", "name": f"{term_words(term)}, {_part_words(era, years)}"}
            row |= {"column": term, "term": term, "family": families.get(term, "other")}
            yield (
                row | {"era": era, "years": years},
                beta[..., place[term]] + effect[..., i].to_numpy(),
            )


def _part_words(era: str, years: str) -> str:
    """An era with its years, a step, or a stratum such as ``far=1,quiet=0``, in words."""
    if "=" in era:
        parts = (part.split("=") for part in era.split(","))
        return ", ".join(("" if held == "1" else "not ") + term_words(n) for n, held in parts)
    return era if era == years else f"{era.replace('_', ' ')} {years}"


def _scales(fit: Fit, posterior: xr.Dataset) -> _Rows:
    """Standard deviations of the groups of effects."""
    priors = {group.block: str(group.scale.prior) for group in fit.spec.varying}
    if (level := fit.spec.alliance_level) is not None:
        priors["alliance"] = str(level.scale.prior)
    for name in (str(name) for name in posterior if str(name).startswith("sigma_")):
        block = name.removeprefix("sigma_")
        words = _GROUPS.get(block, "slopes by " + block.rpartition("_by_")[2].replace("_", " "))
        row = {"kind": "scale", "name": f"s.d. of {words}", "column": block, "term": block}
        yield row | {"prior": priors.get(block, "")}, posterior[name].to_numpy()


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
