"""A scenario under rival theories: the answer of each, beside what the record says of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from forecast.errors import ArgumentError, items_of
from forecast.modeling.theory import Theory, load_theory, score_of
from forecast.simulation.paired import simulate_all
from forecast.simulation.scenario import Scenario

if TYPE_CHECKING:
    from forecast.inference.fit import Fit

__all__ = ["OWN", "REFUTED", "STANDS", "Rival", "rivals_of", "simulate_rivals", "standing_table"]

OWN = "own priors"
"""What the model under the priors of its own file is called beside the theories."""

STANDS, REFUTED = "stands", "refuted"

#: Natural logs of odds: "strong" and "very strong" evidence (Kass & Raftery 1995, JASA 90:773).
_STRONG, _VERY_STRONG = 3.0, 5.0


@dataclass(frozen=True, eq=False)
class Rival:
    """A theory, and the model of a fit under it."""

    theory: Theory
    fit: Fit


def rivals_of(fit: Fit, theories: Sequence[Theory | str | Path | Rival]) -> list[Rival]:
    """The model of a fit under each theory: same rows, seed and number of draws.

    Nested-Laplace fits: only they have a marginal likelihood. Searches for the mode begin where
    that of `fit` ended. A theory that is fitted already stays; all are looked at before any is
    fitted.

    Raises `ArgumentError` of no theory, or one twice, or a rival of another model or of other rows;
    `GateRefusedError` of a fit that may not be published; and what `load_theory` raises.
    """
    from forecast.inference.fit import fit as fit_model

    if not (given := items_of("theories", theories, "a list of them, such as ['none']")):
        raise ArgumentError("theories: found none, expected a list of them, such as ['none'].")
    found = [t if isinstance(t, Rival) else load_theory(t) for t in given]
    names = [t.theory.name if isinstance(t, Rival) else t.name for t in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ArgumentError(f"theories: {twice[0]!r} is there {names.count(twice[0])} times.")
    specs = [None if isinstance(t, Rival) else fit.spec.under(t) for t in found]
    start = fit.warm_start()
    out: list[Rival] = []
    for theory, spec in zip(found, specs, strict=True):
        if isinstance(theory, Rival):
            out.append(_of_this(theory, fit))
        elif spec is not None:
            fitted = fit_model(spec, fit.panel, seed=fit.seed, draws=fit.draws, warm_start=start)
            out.append(Rival(theory, fitted.require_passed()))
    return out


def _of_this(rival: Rival, fit: Fit) -> Rival:
    """The rival, if it is of the model and the rows of a fit."""
    from forecast.inference.identity import rows_fingerprint

    spec, name = fit.spec.under(rival.theory), rival.theory.name
    if rival.fit.spec.sha256 != spec.sha256:
        raise ArgumentError(
            f"theories: the fit under {name!r} is of {rival.fit.spec.name!r}, expected"
            f" {spec.name!r} with the priors of that theory."
        )
    if rows_fingerprint(rival.fit.panel) != rows_fingerprint(fit.panel):
        raise ArgumentError(f"theories: the fit under {name!r} is of other rows.")
    return rival


def simulate_rivals(
    fit: Fit,
    scenarios: Sequence[Scenario],
    theories: Sequence[Theory | str | Path | Rival],
    *,
    own: Sequence[xr.Dataset] | None = None,
    **options: Any,
) -> list[xr.Dataset]:
    """Each scenario under the model's own priors and each theory, along dimension ``theory``.

    First `OWN`, then the theories, with `standing_table` along it. All share every random number.
    Pairs that some theory cannot answer for are left out; other coordinates (``changed``) are of
    the model itself. `theories` as for `rivals_of`, `options` as for
    `forecast.simulation.paired.simulate_all`; `own` are results with the same options under `fit`
    itself, if they are simulated.
    """
    rivals = rivals_of(fit, theories)
    if own is None:
        own = simulate_all(fit, scenarios, **options)[1:]
    options = {"seed": fit.seed} | options
    under = [simulate_all(rival.fit, scenarios, **options)[1:] for rival in rivals]
    about = standing_table(fit, rivals)
    return [
        _beside([result, *(results[i] for results in under)], about) for i, result in enumerate(own)
    ]


def _beside(results: list[xr.Dataset], about: pd.DataFrame) -> xr.Dataset:
    """Results of the same pairs along a dimension ``theory``."""
    pairs = [
        pd.MultiIndex.from_arrays([r["ccode_a"].to_numpy(), r["ccode_b"].to_numpy()])
        for r in results
    ]
    common = pairs[0]
    for other in pairs[1:]:
        common = common[common.isin(other)]
    cut = [
        r if len(p) == len(common) else r.isel(dyad=p.get_indexer(common))
        for r, p in zip(results, pairs, strict=True)
    ]
    # What is told by column of the model has other columns under a theory that removes some.
    shared = [
        n for n, v in cut[0].data_vars.items() if all(n in r and v.sizes == r[n].sizes for r in cut)
    ]
    found = xr.concat(
        [r[shared] for r in cut], dim="theory", coords="minimal", compat="override",
        join="override",
        combine_attrs="override",
    )  # fmt: skip
    columns: dict[str, Any] = {str(n): ("theory", c.to_numpy()) for n, c in about.items()}
    return found.assign_coords(columns | {"theory": about.index.to_numpy().astype(str)})


def standing_table(fit: Fit, rivals: Sequence[Rival]) -> pd.DataFrame:
    """What the record says of the model under its own priors and under each theory; a row for each.

    ``fit``, its id; ``says``, what the theory says. ``log_evidence`` and ``log_evidence_error``:
    log marginal likelihood of the outcomes and its Monte Carlo error, NaN where the method has none
    or the rows are not those of `fit`. ``counts_twice``: the priors were learnt from conflicts of
    years that the fit has too. ``evidence_behind``: less that of the best of the theories that
    count none twice. ``log_score``: of forecasts out of sample (`TheoryScore`), NaN without one of
    this very specification; ``score_behind``, ``…_lower``, ``…_upper``: less that of the best on
    record; ``scored_years``; ``scored_data``: whether they are of these very rows. ``standing``:
    `STANDS` or `REFUTED`; ``why``, in words.

    A theory is refuted whose forecasts are at least 3 log units (odds of 20) behind, if the
    interval of that excludes 0 or the evidence is 5 log units (odds of 150) and twice its error
    behind too; without a score, if the evidence is. So a theory with wide priors, which the
    evidence punishes for the width that we gave it, stands if it forecasts well. The model's own
    priors are judged by forecasts alone: they were partly learnt from the record.
    """
    rows = {OWN: _facts(fit, fit, None)}
    rows |= {rival.theory.name: _facts(rival.fit, fit, rival.theory) for rival in rivals}
    table = pd.DataFrame.from_dict(rows, orient="index")
    fair = table[(table.index != OWN) & ~table["counts_twice"]]
    best = fair["log_evidence"].max()
    table["evidence_behind"] = table["log_evidence"] - best
    at = fair["log_evidence"].eq(best)
    error = fair.loc[at, "log_evidence_error"].max()
    verdicts = [
        _verdict(name, row, float(error))
        for name, row in zip(map(str, table.index), table.to_dict("records"), strict=True)
    ]
    return table.assign(standing=[v[0] for v in verdicts], why=[v[1] for v in verdicts])


def _facts(fit: Fit, own: Fit, theory: Theory | None) -> dict[str, Any]:
    same = fit.encoding.rows == own.encoding.rows
    evidence = fit.diagnostics.log_evidence if same else None
    error = fit.diagnostics.log_evidence_error if same else None
    score = score_of(fit.spec)
    nan, years = float("nan"), fit.panel.data["year"]
    learnt = None if theory is None else theory.learnt_from
    return {
        "fit": fit.id,
        "says": "The priors of the model's own file." if theory is None else theory.description,
        "log_evidence": nan if evidence is None else evidence,
        "log_evidence_error": nan if error is None else error,
        "counts_twice": (
            learnt is not None and int(years.min()) <= learnt[1] and int(years.max()) >= learnt[0]
        ),
        "log_score": nan if score is None else score.log_score,
        **{
            f"score_{name}": nan if score is None else getattr(score, name)
            for name in ("behind", "behind_lower", "behind_upper")
        },
        "scored_years": "" if score is None else f"{score.first_year}–{score.last_year}",
        "scored_data": score is not None and score.data == fit.panel.fingerprint,
    }


def _verdict(name: str, row: dict[Any, Any], error: float) -> tuple[str, str]:
    """Standing, and why."""
    score, upper = float(row["score_behind"]), float(row["score_behind_upper"])
    evidence = float(row["evidence_behind"])
    limit = _VERY_STRONG + 2.0 * float(np.hypot(row["log_evidence_error"], error))
    far = name != OWN and evidence < -limit
    words = []
    if np.isfinite(score):
        ends = f"{_units(-upper)} to {_units(-float(row['score_behind_lower']))}"
        behind = f"{_units(-score)} log units behind the best ({ends})"
        words.append(f"forecasts of {row['scored_years']} {behind if score else 'the best'}")
        refuted = score <= -_STRONG and (upper < 0.0 or far)
    else:
        words.append("no score of this specification")
        refuted = far
    if np.isfinite(evidence):
        side = "behind" if evidence < 0.0 else "ahead of"
        gap = f"{_units(abs(evidence))} log units {side} the best" if evidence else "the best"
        words.append(f"evidence {gap}")
    return REFUTED if refuted else STANDS, ", ".join(words)


def _units(value: float) -> str:
    return f"{value:.1f}".replace("-", "−")
