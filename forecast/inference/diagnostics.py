"""Diagnostics of a fit, and the gate that a fit passes before it is published."""

from __future__ import annotations

import resource
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self, cast

import numpy as np
import xarray as xr

from forecast.arrays import BoolArray, FloatArray
from forecast.errors import ArgumentError

__all__ = [
    "GATE", "KHAT_LIMIT", "Diagnostics", "GateResult", "Thresholds", "gate", "khat_limit",
    "peak_memory_mb",
]  # fmt: skip

KHAT_LIMIT = 0.7
"""Pareto shape above which no number of draws makes an importance-sampling estimate usable."""

#: Parameters whose diagnostics are computed together: ranks and spectra take several copies.
_AT_ONCE = 128


@dataclass(frozen=True)
class Thresholds:
    """What a fit must reach to be published.

    Attributes
    ----------
    max_rhat : float
        Largest rank-normalised split R-hat (Vehtari et al. 2021, Bayesian Analysis 16:667).
    min_ess : float
        Smallest effective sample size, bulk and tail; for importance sampling, of the weights.
    max_divergences : int
        Divergent transitions after tuning.
    min_ebfmi : float
        Smallest energy Bayesian fraction of missing information over the chains.
    max_pareto_k : float
        Shape of the tail of the importance weights; of few proposals less, see `khat_limit`.
    """

    max_rhat: float = 1.01
    min_ess: float = 400.0
    max_divergences: int = 0
    min_ebfmi: float = 0.3
    max_pareto_k: float = KHAT_LIMIT

    def pareto_k(self, diagnostics: Diagnostics) -> float:
        """Limit of the tail shape for the proposals that a fit has weighted."""
        proposals = diagnostics.proposals
        limit = KHAT_LIMIT if proposals is None else khat_limit(proposals)
        return min(self.max_pareto_k, limit)


GATE = Thresholds()


def khat_limit(draws: int) -> float:
    """Pareto shape up to which so many draws give a usable importance-sampling estimate.

    min(1 - 1 / log10(S), 0.7) for S draws: .58 for 250, .63 for 500, .67 for 1,000 and .7 from
    2,155 on (Vehtari, Simpson, Gelman, Yao and Gabry 2024, JMLR 25:72, section 3.2.4).

    Raises `ArgumentError`: Not more than ten draws, which no tail can be told from.
    """
    if draws <= 10:
        raise ArgumentError(f"draws={draws}, expected more than 10 draws for a limit of Pareto k.")
    return float(min(1.0 - 1.0 / np.log10(draws), KHAT_LIMIT))


@dataclass(frozen=True)
class Diagnostics:
    """How far the draws of a fit can be trusted; None where a method has no such number.

    Of NUTS only: R-hat, divergences, E-BFMI, tree depth. Of Laplace only: Pareto k, proposals,
    evidence; both effective sample sizes are that of the importance weights.
    """

    max_rhat: float | None  # largest over all coefficients, scales and effects
    min_ess_bulk: float  # smallest over the same
    min_ess_tail: float
    divergences: int | None  # after tuning
    min_ebfmi: float | None  # smallest over the chains
    max_tree_depth: int | None  # after tuning
    pareto_k: float | None  # tail shape of the importance weights
    wall_seconds: float  # from the specification to the posterior, compilation included
    peak_memory_mb: float  # largest resident memory of the process so far, MiB
    worst: str | None = None  # the parameter with the smallest bulk effective sample size
    proposals: int | None = None  # that were weighted, on which the limit of `pareto_k` depends
    #: Log marginal likelihood of the outcomes, every density with its constant, and its Monte Carlo
    #: error: to compare models of the same rows.
    log_evidence: float | None = None
    log_evidence_error: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Inverse of `to_dict`."""
        known = [field.name for field in fields(cls) if field.name in content]
        return cls(**{name: content[name] for name in known})


@dataclass(frozen=True)
class GateResult:
    """Whether a fit may be published."""

    passed: bool
    failures: tuple[str, ...]  # a sentence on each threshold that was missed, with what to try


def gate(diagnostics: Diagnostics, thresholds: Thresholds = GATE) -> GateResult:
    """Compare diagnostics with the thresholds; a number that is NaN fails."""
    d, t = diagnostics, thresholds
    failures = []
    where = f" (worst: {d.worst})" if d.worst else ""
    if d.max_rhat is not None and not d.max_rhat <= t.max_rhat:
        failures.append(
            f"R-hat {d.max_rhat:.3f} > {t.max_rhat}{where}: the chains disagree. Try a longer "
            "tune= and draws=; if it stays, look for terms that say the same thing."
        )
    sampled = d.pareto_k is None
    for kind, value in (("bulk", d.min_ess_bulk), ("tail", d.min_ess_tail)):
        if not value >= t.min_ess:
            remedy = (
                f"more draws= (about {_times(t.min_ess, value)} times as many)"
                if sampled
                else 'more draws=, or method="nuts"'
            )
            failures.append(
                f"Effective sample size ({kind}) {value:.0f} < {t.min_ess:.0f}{where}: too few "
                f"independent draws for stable intervals. Try {remedy}."
            )
            if not sampled:
                break  # both are the effective sample size of the weights
    if d.divergences is not None and d.divergences > t.max_divergences:
        failures.append(
            f"{d.divergences} divergent transitions > {t.max_divergences}: a region of the "
            "posterior was not explored. Try a longer tune=, or a narrower prior on the scales."
        )
    if d.min_ebfmi is not None and not d.min_ebfmi >= t.min_ebfmi:
        failures.append(
            f"E-BFMI {d.min_ebfmi:.2f} < {t.min_ebfmi}: the sampler moves slowly between energy "
            "levels, often because a scale is hardly identified. Try a longer tune=, or leave "
            "out the group of effects with the smallest scale."
        )
    limit = t.pareto_k(d)
    if d.pareto_k is not None and not d.pareto_k <= limit:
        of = f" (of {d.proposals} proposals)" if limit < t.max_pareto_k else ""
        failures.append(
            f"Pareto k {d.pareto_k:.2f} > {limit:.2g}{of}: the Laplace approximation is too far "
            'from the posterior for its importance weights to be trusted. Try method="nuts"; '
            "columns with very few onsets behind them are the usual cause."
        )
    return GateResult(passed=not failures, failures=tuple(failures))


def _times(wanted: float, found: float) -> int:
    return int(np.ceil(1.2 * wanted / found)) if found > 0 else 10


def peak_memory_mb() -> float:
    """Largest resident memory of this process so far, MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return float(peak) / (1024.0**2 if sys.platform == "darwin" else 1024.0)


def chain_diagnostics(posterior: xr.Dataset) -> tuple[float, float, float, str]:
    """Largest R-hat, smallest bulk and tail effective sample size, and the worst parameter.

    Variables have the dimensions ``chain``, ``draw`` and at most one more. A parameter that never
    moves has no R-hat and no effective sample size; it counts as R-hat = infinity and a sample
    size of zero, because a sampler that is stuck must not pass.
    """
    from arviz_stats import base

    statistics = cast(Any, base).array_stats
    rhat, bulk, tail, worst = 0.0, np.inf, np.inf, ""
    for name, variable in posterior.data_vars.items():
        values = variable.transpose("chain", "draw", ...)
        sample = np.asarray(values, dtype=np.float64)
        columns = sample.reshape(*sample.shape[:2], -1)
        for first in range(0, columns.shape[2], _AT_ONCE):
            part = columns[:, :, first : first + _AT_ONCE]
            moves = np.ptp(part, axis=(0, 1)) > 0.0

            def of(
                compute: Any,
                empty: float,
                x: FloatArray = part,
                moves: BoolArray = moves,
                **kw: Any,
            ) -> Any:
                with np.errstate(invalid="ignore", divide="ignore"):
                    found = np.atleast_1d(compute(x, chain_axis=0, draw_axis=1, **kw))
                return np.where(np.isfinite(found) & moves, found, empty)

            if part.shape[0] > 1:
                rhat = max(rhat, float(of(statistics.rhat, np.inf).max()))
            each = of(statistics.ess, 0.0, method="bulk")
            least = of(statistics.ess, 0.0, method="tail", prob=(0.05, 0.95))
            tail = min(tail, float(least.min()))
            if each.min() < bulk:
                bulk = float(each.min())
                dims = [dim for dim in values.dims if dim not in ("chain", "draw")]
                at = first + int(each.argmin())
                label = f"[{values[dims[0]].to_numpy()[at]}]" if dims else ""
                worst = f"{name}{label}"
    return (rhat if posterior.sizes["chain"] > 1 else float("nan")), bulk, tail, worst
