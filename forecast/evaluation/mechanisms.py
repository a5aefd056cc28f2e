"""`mechanisms`: verdicts on what practitioners name, measure by measure and era by era."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from forecast.errors import ArgumentError, UnknownNameError
from forecast.evaluation.effects import effects
from forecast.inference.fit import Fit, as_fit
from forecast.modeling.design import fitted_rows
from forecast.modeling.mechanisms import Measure, Mechanism, declared_mechanisms
from forecast.panel.types import Panel

__all__ = ["CAUTION", "VERDICTS", "chance_words", "mechanisms", "overall"]

#: Verdicts of a comparison: its interval excludes 0 on the expected side, holds it, or
#: excludes it on the other side.
VERDICTS = ("shown", "not shown", "other sign")
#: Part of the range seen in an era by which a value may lie outside of it.
_SLACK = 0.02

CAUTION = (
    "Associations in the years of the fit, given the other terms: states choose allies with the "
    "risk of conflict in mind. Neither causes nor skill in forecasting."
)


def mechanisms(
    fit: Fit | None = None, *, draws: int = 500, seed: int | None = None
) -> pd.DataFrame:
    """What practitioners name, and what a fit says of it, era by era.

    Parameters
    ----------
    fit : Fit, optional
        Fit of a model with measures of mechanisms:
        ``fc.load_model("dyad_onset").with_mechanisms()``. Without one, the declarations
        themselves.
    draws : int
        Posterior draws, at most those of the fit.
    seed : int, optional
        Of the drawing of rows; that of the fit by default.

    Returns
    -------
    pandas.DataFrame
        Without a fit a row for each measure: ``mechanism``, ``title``, ``claim``, ``term``,
        ``unit``, ``outcome``, ``feature``, ``sign``, ``low``, ``high``, ``short``, ``says``,
        ``refuted_if``, ``forecasts``, ``sources``. With one a row for each measure that the model
        has and each era (one without an event, or in which the feature never moved, says nothing
        and is left out): ``mechanism``, ``title``, ``term``, ``short``, ``says``, ``unit``,
        ``outcome``, ``model``, ``data``, ``era``, ``first`` and ``last`` year, ``rows`` (with a
        value of the feature) and ``events`` in the era, ``sign``, ``low`` and ``high`` (values
        compared), ``probability_low``, ``probability_high``, ``difference`` (probability) with
        ``lower`` and ``upper``, ``ratio`` of the two with its ends, ``beyond`` (whether a value
        compared was not seen in the era), ``as_expected`` (posterior probability of the expected
        sign), ``verdict`` (`VERDICTS`), ``passed`` (whether the fit may be published),
        ``interval``, ``level``. ``attrs["caution"]`` says what it is not.

    Raises
    ------
    ArgumentError
        Something that is no fit, or a model without a measure of a mechanism.

    Notes
    -----
    Verdicts are the rule of ``data/mechanisms.toml``, written down before any fit. Of many
    comparisons some exclude 0 where there is nothing: `forecast.evaluation.mechanisms.chance_words`
    counts them.
    """
    declared = declared_mechanisms()
    if fit is None:
        return pd.DataFrame([_declared(*each) for each in declared.measures()])
    fit = as_fit(fit, "mechanisms(fit)")
    terms = {term.name: term for term in fit.spec.terms}
    there = {code.name for code in fit.encoding.terms if code.value}
    rows: list[dict[str, object]] = []
    panel: Panel | None = None
    found = declared.measures(fit.spec.unit, fit.spec.outcome)
    for mechanism, measure in found:
        name = next((n for n, term in terms.items() if measure.same_column(term)), None)
        if name is None or name not in there:
            continue
        panel = fitted_rows(fit.spec, fit.panel)[0] if panel is None else panel
        eras = _eras(fit, panel.data, name)
        compared = effects(
            fit, name, contrast=(measure.low, measure.high), by="era", rows=panel, draws=draws,
            seed=seed, level=declared.level,
        ).table  # fmt: skip
        rows += [
            _verdict(fit, mechanism, measure, row, eras[str(row["group"])])
            for row in compared.to_dict("records")
            if row["group"] in eras
        ]
    if not rows:
        speak = ", ".join(sorted({m.term for _, m in found})) or "none"
        raise ArgumentError(
            f"Model {fit.spec.name!r} ({fit.spec.outcome} of a {fit.spec.unit}) has no measure of "
            f"a mechanism; of this outcome there are: {speak}. spec.with_mechanisms() adds them."
        )
    table = pd.DataFrame(rows)
    table.attrs["caution"] = CAUTION
    return table


def _declared(mechanism: Mechanism, measure: Measure) -> dict[str, object]:
    return {
        "mechanism": mechanism.name,
        **{k: getattr(mechanism, k) for k in ("title", "claim")},
        **{k: getattr(measure, k) for k in ("term", "unit", "outcome", "feature", "sign")},
        **{k: getattr(measure, k) for k in ("low", "high", "short", "says")},
        "refuted_if": mechanism.refuted_if,
        "forecasts": mechanism.forecasts,
        "sources": "; ".join(mechanism.sources),
    }


def _eras(fit: Fit, data: xr.Dataset, term: str) -> dict[str, dict[str, float]]:
    """Of each era that can tell something of a term: years, events, range of the term.

    Where there was no event, or the term never moved, all that a fit says is borrowed.
    """
    year, event, value = (data[name].to_numpy() for name in ("year", "outcome", term))
    found: dict[str, dict[str, float]] = {}
    for era in fit.spec.eras:
        inside = era.holds(year)
        known = value[inside & np.isfinite(value)]
        if known.size and known.min() < known.max() and event[inside].any():
            found[era.name] = {
                "first": int(year[inside].min()), "last": int(year[inside].max()),
                "events": int(event[inside].sum()),
                "least": float(known.min()), "most": float(known.max()),
            }  # fmt: skip
    return found


def _verdict(
    fit: Fit,
    mechanism: Mechanism,
    measure: Measure,
    row: Mapping[Hashable, Any],
    era: dict[str, float],
) -> dict[str, object]:
    """One comparison with its verdict."""
    lower, upper, positive = (float(row[k]) for k in ("lower", "upper", "positive"))
    expected, other = (lower > 0, upper < 0) if measure.sign == "+" else (upper < 0, lower > 0)
    slack = _SLACK * (era["most"] - era["least"])
    same = ("low", "high", "probability_low", "probability_high", "difference", "lower", "upper",
            "ratio", "ratio_lower", "ratio_upper")  # fmt: skip
    return {
        "mechanism": mechanism.name,
        "title": mechanism.title,
        **{k: getattr(measure, k) for k in ("term", "short", "says", "unit", "outcome")},
        "model": fit.spec.name,
        "data": "own rows" if fit.panel.tables is None else fit.panel.tables.name,
        "era": row["group"],
        "first": era["first"],
        "last": era["last"],
        "rows": row["rows"],
        "events": era["events"],
        "sign": measure.sign,
        **{k: row[k] for k in same},
        "beyond": measure.low < era["least"] - slack or measure.high > era["most"] + slack,
        "as_expected": positive if measure.sign == "+" else 1.0 - positive,
        "verdict": VERDICTS[0] if expected else VERDICTS[2] if other else VERDICTS[1],
        "passed": fit.gate().passed,
        **{k: row[k] for k in ("interval", "level")},
    }


def overall(verdicts: Iterable[str]) -> str:
    """Verdict on a mechanism from those of its comparisons.

    ``"shown"`` or ``"other sign"`` if at least half are and none is the opposite; ``"in part"`` if
    fewer are shown and none has the other sign; ``"signs differ"`` if there are both; ``"other
    sign, in part"``; else ``"not shown"``.
    """
    found = list(verdicts)
    shown, other = (found.count(VERDICTS[i]) for i in (0, 2))
    if shown and other:
        return "signs differ"
    if not shown and not other:
        return VERDICTS[1]
    most = 2 * max(shown, other) >= len(found)
    if shown:
        return VERDICTS[0] if most else "in part"
    return VERDICTS[2] if most else f"{VERDICTS[2]}, in part"


def chance_words(table: pd.DataFrame) -> str:
    """How many verdicts would come by chance, and how many of these may have the wrong sign.

    Parameters
    ----------
    table : pandas.DataFrame
        From `mechanisms`, of one fit or several one after the other.

    Returns
    -------
    str
        Of n comparisons with intervals of probability p, n (1 − p) / 2 would be *shown* if nothing
        were there and they were independent; and the sum of the posterior probabilities of the
        other sign over those with a verdict (Gelman and Tuerlinckx 2000, type S errors).
    """
    if "verdict" not in table:
        raise UnknownNameError("column", "verdict", list(map(str, table.columns)))
    n, level = len(table), float(table["level"].iloc[0])
    count = table["verdict"].value_counts()
    shown, other = (int(count.get(VERDICTS[i], 0)) for i in (0, 2))
    wrong = float((1.0 - table["as_expected"])[table["verdict"] == VERDICTS[0]].sum())
    wrong += float(table["as_expected"][table["verdict"] == VERDICTS[2]].sum())
    return (
        f"{n} comparisons: {shown} shown, {other} of the other sign, {n - shown - other} not "
        f"shown. Where there is nothing, about {n * (1 - level) / 2:.1f} of them would be shown "
        f"and as many of the other sign; of the {shown + other} verdicts the posterior expects "
        f"{wrong:.1f} to have the wrong sign."
    )
