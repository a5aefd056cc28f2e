"""Our alliance coefficients beside those of the literature, era by era.

    uv run python benchmarks/signs.py --out signs            # historical data, about 15 fits
    uv run python benchmarks/signs.py initiation             # the directed model only

Prints a table for each comparison: posterior mean and 95% interval of ours, what is expected
(the literature's estimate with its standard error, or a sign), and whether they agree. Both are
log-odds of a 0/1 input, unless said otherwise; ours have effects of states and pairs, theirs are of
pooled logits with clustered standard errors, on the same disputes and treaties.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from forecast.inference.fit import Fit
    from forecast.modeling.spec import ModelSpec
    from forecast.panel.types import Panel

LEVEL = 0.95
SEED = 20261122
FloatArray = npt.NDArray[np.float64]

#: Literature: variant of the model, with or without dispute history, term, era, estimate, s.e.
#: From the design's table "Where alliances do show, in sample"; eras split at the end of 1945.
_BEFORE, _SINCE = "before_1946", "since_1946"
LITERATURE: tuple[tuple[str, bool, str, str, float, float], ...] = (
    ("pacts", False, "target_outside_defense", _BEFORE, -0.24, 0.14),
    ("pacts", False, "target_outside_defense", _SINCE, 0.44, 0.11),
    ("pacts", True, "target_outside_defense", _SINCE, 0.12, 0.10),
    ("pacts", False, "challenger_outside_neutrality", _BEFORE, 0.70, 0.10),
    ("pacts", False, "challenger_outside_neutrality", _SINCE, 0.34, 0.14),
    ("pacts", False, "challenger_outside_offense", _BEFORE, 0.34, 0.12),
    ("pacts, no world wars", False, "challenger_outside_offense", _BEFORE, 0.08, 0.12),
    ("pacts", True, "challenger_ally_in_dispute_with_target", _BEFORE, -0.22, 0.19),
    ("pacts", True, "challenger_ally_in_dispute_with_target", _SINCE, 0.34, 0.11),
    ("new pacts", False, "target_outside_defense", _BEFORE, -1.04, 0.19),
    ("new pacts", False, "target_new_pact", _BEFORE, 1.29, 0.18),
    ("shared", False, "shared_allies", _BEFORE, -0.73, 0.27),
    ("shared", False, "target_outside_allies", _BEFORE, -0.10, 0.14),
)
#: Signs that the literature named in the model files expects: model, term, sign.
SIGNS: tuple[tuple[str, str, str], ...] = (
    ("state_onset", "own_expansion", "-"),
    ("state_onset", "patron_withdrawal_loss", "+"),
    ("state_onset", "commitments_owed_risk", "+"),
    ("state_onset", "alliance:depth", "-"),
    ("state_onset", "alliance:expansion", "free"),
    ("state_onset", "alliance:size", "free"),
    ("state_onset", "alliance:concentration", "free"),
    ("escalation", "shared_allies", "-"),
    ("escalation", "defense_pact", "-"),
    ("escalation", "ally_in_dispute_with_opponent", "+"),
    ("escalation", "new_pact", "+"),
    ("escalation:escalation_to_war", "shared_allies", "-"),
    ("escalation:escalation_to_war", "defense_pact", "-"),
    ("escalation:escalation_to_war", "ally_in_dispute_with_opponent", "+"),
    ("escalation:escalation_to_war", "new_pact", "+"),
    ("resolution", "shared_allies", "+"),
    ("resolution", "defense_pact", "+"),
    ("resolution", "peaceful_settlement", "+"),
    ("resolution", "joint_igos", "+"),
    ("resolution:stalemated", "peaceful_settlement", "-"),
    ("resolution:yielded", "shared_allies", "-"),
    ("resolution:yielded", "outside_defense_either", "-"),
)
WORLD_WARS = ((1914, 1918), (1939, 1945))


@dataclass(frozen=True)
class Line:
    """One comparison.

    Attributes
    ----------
    model, term, era : str
        Whose coefficient.
    mean, lower, upper : float
        Posterior mean and equal-tailed interval of probability `LEVEL`.
    expected : str
        Estimate (standard error), or a sign.
    verdict : {"agrees", "disagrees", "undecided"}
        Of the sign: whether our interval lies on the expected side of zero, on the other side,
        or on both.
    size : str
        With an estimate: whether it differs from ours by more than both uncertainties, taken as
        independent, allow.
    passed : bool
        Whether the fit passed the gate.
    """

    model: str
    term: str
    era: str
    mean: float
    lower: float
    upper: float
    expected: str
    verdict: str
    size: str
    passed: bool


def judge(
    draws: FloatArray, *, estimate: float | None = None, error: float = 0.0, sign: str = ""
) -> tuple[float, float, float, str, str]:
    """Mean, interval and the two verdicts on draws of a coefficient.

    Parameters
    ----------
    draws : numpy.ndarray, shape (n,)
        Posterior draws.
    estimate, error : float
        What was found elsewhere, with its standard error.
    sign : {"+", "-", "free", ""}
        What is expected, where there is no estimate.
    """
    tail = (1.0 - LEVEL) / 2.0
    lower, upper = (float(v) for v in np.quantile(draws, [tail, 1.0 - tail]))
    mean = float(draws.mean())
    if estimate is not None:
        sign = "+" if estimate > 0 else "-"
    side = "+" if lower > 0 else "-" if upper < 0 else ""
    verdict = "undecided" if not side else "" if sign == "free" else "disagrees"
    verdict = "agrees" if side and side == sign else verdict or f"found {side}"
    if estimate is None:
        return mean, lower, upper, verdict, ""
    apart = (mean - estimate) / float(np.hypot(draws.std(), error))
    size = "same size" if abs(apart) < 1.96 else "smaller" if apart * estimate < 0 else "larger"
    if size == "smaller" and mean * estimate < 0:
        size = "other sign"
    return mean, lower, upper, verdict, size


def coefficient(fit: Fit, term: str, era: str | None = None) -> FloatArray:
    """Draws of a coefficient: the common mean, or that of an era (mean and deviation)."""
    posterior = fit.posterior["posterior"]
    beta = posterior["beta"].sel(term=term).to_numpy().ravel()
    if era is None:
        return np.asarray(beta)
    deviation = posterior["effect_slope"].sel(level_slope=f"{term}|{era}").to_numpy().ravel()
    return np.asarray(beta + deviation)


def eras_of(fit: Fit, term: str) -> list[str]:
    """Eras in which a term has a coefficient of its own."""
    posterior = fit.posterior["posterior"]
    if "effect_slope" not in posterior:
        return []
    levels = [str(level) for level in posterior["level_slope"].to_numpy()]
    return [level.split("|")[1] for level in levels if level.split("|")[0] == term]


def variant(spec: ModelSpec, name: str, *, history: bool) -> ModelSpec:
    """The directed model as a comparison needs it.

    Parameters
    ----------
    spec : ModelSpec
        `directed_initiation`.
    name : str
        ``"pacts"``: without terms of expansion, so that a defence pact is any such pact. ``"new
        pacts"``: with them, so that it is an established one. ``"shared"``: the target's allies
        that are not the challenger's in place of any outside defender.
    history : bool
        With dispute history, or the pre-treatment terms only.
    """
    from forecast.modeling.spec import ModelSpec

    content = spec.to_dict()
    terms = content["term"]
    if not name.startswith("new"):
        terms = [t for t in terms if t["family"] != "expansion"]
        for group in content["varying"]:
            group["families"] = [f for f in group["families"] if f != "expansion"]
    if name == "shared":
        for term in terms:
            if term["name"] == "target_outside_defense":
                term |= {"name": "target_outside_allies", "feature": "outside_allies"}
                term["transform"] = "positive"
    made = ModelSpec.from_dict(
        content | {"term": terms, "name": f"initiation_{name.split()[0].rstrip(',')}"}
    )
    return made if history else made.what_if()


def initiation(fitter: Callable[[ModelSpec, Panel], Fit], panel: Panel) -> Iterable[Line]:
    """Directed initiation against the published estimates."""
    from forecast.modeling.spec import load_model

    spec = load_model("directed_initiation")
    fits: dict[tuple[str, bool], Fit] = {}
    for name, history, term, era, estimate, error in LITERATURE:
        key = (name, history)
        if key not in fits:
            rows = without_years(panel, WORLD_WARS) if "world wars" in name else panel
            fits[key] = fitter(variant(spec, name, history=history), rows)
        fit = fits[key]
        found = judge(coefficient(fit, term, era), estimate=estimate, error=error)
        label = f"initiation, {name}, {'with' if history else 'without'} history"
        yield Line(
            label, term, era, *found[:3], f"{estimate:+.2f} ({error:.2f})", *found[3:],
            passed=fit.gate().passed,
        )  # fmt: skip


def without_years(panel: Panel, spans: Iterable[tuple[int, int]]) -> Panel:
    """The panel without the rows of some years."""
    year = panel.data["year"].to_numpy()
    keep = np.ones(year.size, dtype=bool)
    for first, last in spans:
        keep &= (year < first) | (year > last)
    return panel.with_data(panel.data.isel(row=keep))


def new_pacts(fitter: Callable[[ModelSpec, Panel], Fit], panel: Panel) -> Iterable[Line]:
    """New pact of either side in the undirected sample: +0.36 (.05), pooled over eras."""
    from forecast.modeling.spec import ModelSpec, load_model

    content = load_model("dyad_onset_historical").what_if().to_dict()
    alone = ("geography", "power")
    content["term"] = [
        t for t in content["term"] if t["family"] in alone or t["feature"] == "new_pact"
    ]
    names = {t["name"] for t in content["term"]}
    content["interaction"] = []
    content["varying"] = [g for g in content["varying"] if g["name"] != "slope"]
    fit = fitter(ModelSpec.from_dict(content | {"name": "onset_new_pact"}), panel)
    term = next(n for n in names if "new_pact" in n)
    found = judge(coefficient(fit, term), estimate=0.36, error=0.05)
    yield Line(
        "onset, geography and power", term, "all", *found[:3], "+0.36 (0.05)", *found[3:],
        passed=fit.gate().passed,
    )  # fmt: skip


def signs(fit: Fit, model: str) -> Iterable[Line]:
    """Signs of one of the other models: of the common mean, then of each era."""
    for name, term, sign in SIGNS:
        if name != model or term not in fit.encoding.names:
            continue
        for era in (None, *eras_of(fit, term)):
            found = judge(coefficient(fit, term, era), sign=sign)
            yield Line(
                model, term, era or "mean", *found[:3], sign, *found[3:], passed=fit.gate().passed
            )


def as_text(lines: Iterable[Line]) -> str:
    """Markdown table."""
    out = [
        f"| model | term | era | mean ({LEVEL:.0%} interval) | expected | sign | size |",
        "|---|---|---|---|---|---|---|",
    ]
    for line in lines:
        mark = "" if line.passed else " (gate not passed)"
        out.append(
            f"| {line.model} | {line.term} | {line.era} | {line.mean:+.2f} "
            f"({line.lower:+.2f}, {line.upper:+.2f}){mark} | {line.expected} | {line.verdict} | "
            f"{line.size} |"
        )
    return "\n".join(out)


def main() -> None:
    """Command line."""
    from forecast.inference.fit import fit
    from forecast.modeling.encoding import complete
    from forecast.modeling.spec import load_model
    from forecast.panel.build import load_panel
    from forecast.run import panel_options

    others = tuple(dict.fromkeys(name for name, _, _ in SIGNS))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=["initiation", "new_pacts", *others])
    parser.add_argument("--data", default="historical")
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--out", type=Path, help="Folder for the lines as JSON.")
    given = parser.parse_args()

    def fitter(spec: ModelSpec, panel: Panel) -> Fit:
        return fit(spec, panel, seed=SEED, draws=given.draws)

    for part in given.parts:
        name = {"initiation": "directed_initiation", "new_pacts": "dyad_onset_historical"}
        spec = load_model(name.get(part, part))
        panel = load_panel(data=given.data, **panel_options(spec))
        if part == "initiation":
            lines = list(initiation(fitter, complete(panel, spec.entries)))
        elif part == "new_pacts":
            lines = list(new_pacts(fitter, panel))
        else:
            lines = list(signs(fitter(spec, panel), part))
        print(as_text(lines), end="\n\n", flush=True)
        if given.out is not None:
            given.out.mkdir(parents=True, exist_ok=True)
            rows: list[dict[str, Any]] = [asdict(line) for line in lines]
            file = given.out / f"{part.replace(':', '_')}.json"
            file.write_text(json.dumps(rows, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
