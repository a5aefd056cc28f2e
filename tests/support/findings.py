"""Small findings, made by hand: fifteen states, two of them without a shape on the map."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import xarray as xr

from forecast.evaluation.backtest import Backtest
from forecast.evaluation.checks import CheckResult
from forecast.inference.diagnostics import Diagnostics
from forecast.inference.fit import Fit
from forecast.modeling.spec import load_model
from forecast.panel.build import load_panel
from forecast.report import Findings
from forecast.simulation.paired import CAUTION
from forecast.sources.embedded import tables_from_frames
from forecast.sources.tables import Tables
from support.tiny import make_coverage, make_tiny_frames

ORIGIN, HORIZON = 2010, 5
NASTY = 'Eron </script><b>&"'
_ISO3 = {10: "FRA", 20: "DEU", 30: "IND", 40: None, 50: "USA", 60: "TON"}
_EXTRA = ("ITA", "ESP", "POL", "SWE", "NOR", "FIN", "GRC", "PRT", "QQQ")
_CODES = [10, 20, 30, 50, 60, *range(101, 110)]


def make_tables() -> Tables:
    frames = make_tiny_frames()
    states = frames["states"]
    states["iso3"] = states["ccode"].map(_ISO3)
    states.loc[states["ccode"] == 50, "name"] = NASTY
    extra = pd.DataFrame(
        {
            "ccode": range(101, 110),
            "abbrev": [f"XX{letter}" for letter in "ABCDEFGHI"],
            "name": [f"Land {i}" for i in range(9)],
            "iso3": _EXTRA,
            "region": "Europe",
            "start": pd.Timestamp("1950-01-01"),
            "end": pd.NaT,
        }
    )
    for column in ("start", "end"):
        extra[column] = extra[column].to_numpy(dtype="datetime64[s]")
    frames["states"] = pd.concat([states, extra], ignore_index=True)
    frames["conflicts"] = _with_present(frames["conflicts"])
    return tables_from_frames(frames, coverage=make_coverage(), name="tiny")


def _with_present(conflicts: pd.DataFrame) -> pd.DataFrame:
    """Beside 20–50, open since 2010: one that is under way for longer, and one just ended."""
    more = conflicts.iloc[[0, 0]].assign(
        conflict_id=["c90", "c91"],
        name=["Long War", "Brief Clash"],
        ccode_b=[30, 20],
        start=pd.to_datetime(["2009-03-01", "2010-05-01"]).astype("datetime64[s]"),
        end=pd.to_datetime([None, "2010-05-10"]).astype("datetime64[s]"),
        start_precision=["month", "day"],
        deaths_class=pd.array([3, 0], dtype="Int64"),
        outcome=["ongoing", "stalemate"],
    )
    return pd.concat([conflicts, more], ignore_index=True)


#: Status of the pairs that are not at peace, by their place; see `_with_present`.
_STATUS = {0: "ended", 1: "under way", 14: "under way"}


def make_simulation(scenario: str = "", edits: tuple[str, ...] = ()) -> xr.Dataset:
    """Risks that are simple functions of the codes; the scenario moves pairs of state 10."""
    a, b = (np.array(x) for x in zip(*_pairs(), strict=True))
    years = np.arange(ORIGIN + 1, ORIGIN + 1 + HORIZON)
    base = 0.4 * np.exp(-np.arange(a.size) / 12.0)
    yearly = 1.0 - (1.0 - base) ** np.arange(1, HORIZON + 1)[:, None]
    shift = np.where((a == 10) | (b == 10), 0.05, 0.0) * np.ones((HORIZON, 1))
    worlds = ["status_quo", "scenario", "difference"] if scenario else ["status_quo"]

    def spread(mean: np.ndarray, width: float) -> np.ndarray:
        return np.stack([mean, mean - width * abs(mean), mean + width * abs(mean)])

    def stack(mean: np.ndarray, change: np.ndarray, width: float = 0.5) -> np.ndarray:
        each = [spread(mean, width), spread(mean + change, width), spread(change, width)]
        return np.stack(each[: len(worlds)]).astype(np.float32)

    codes = np.array(_CODES)
    member = (a == codes[:, None]) | (b == codes[:, None])
    states = 1.0 - np.exp(np.log1p(-yearly) @ member.T)
    regions = ["Americas", "Asia", "Europe", "Oceania", "Between regions"]
    onsets = np.ones((HORIZON, len(regions))) * np.array([0.2, 0.5, 2.0, 0.1, 1.0])
    dims = ("world", "estimate", "year")
    kind = "90% equal-tailed, parameter uncertainty"
    names = {10: "Arvo", 20: "Bela", 30: "Cora", 50: NASTY, 60: "Fyra"}
    # Arvo's own alliances add 0.08 to its risks, and contagion takes 0.03 away.
    parts = np.stack([spread(1.6 * shift, 0.25), spread(-0.6 * shift, 0.5)])
    percentile = np.where(b == 20, 97.0, 50.0) * (a == 10)
    explained = {
        "difference_parts": (("source", "estimate", "year", "dyad"), parts, {"interval": kind}),
        "leaves_range": (("term", "dyad"), np.stack([a < 0, (a == 10) & (b == 20)])),
        "distance_percentile": (("world", "dyad"), np.stack([0 * percentile + 44, percentile, a])),
    }
    return xr.Dataset(
        (explained if scenario else {})
        | {
            "annual_risk": ((*dims, "dyad"), stack(yearly, shift)),
            "cumulative_risk": ((*dims, "dyad"), stack(yearly, shift), {"interval": kind}),
            "state_risk": (
                (*dims, "state"),
                stack(states, np.where(codes == 10, 0.03, 0.0) * np.ones((HORIZON, 1))),
                {"interval": kind},
            ),
            "region_onsets": (
                (*dims, "region"),
                stack(onsets, 0.1 * np.ones_like(onsets)),
                {"interval": "90% equal-tailed, predictive"},
            ),
            "world_onsets": (
                dims,
                stack(onsets, 0.1 * np.ones_like(onsets)).sum(axis=-1),
                {"interval": "90% equal-tailed, predictive"},
            ),
        },
        coords={
            "world": worlds,
            **(
                {"source": ["own", "contagion"], "term": ["t", "outside_allies"]}
                if scenario
                else {}
            ),
            "estimate": ["mean", "lower", "upper"],
            "year": years,
            "dyad": [f"{x}-{y}" for x, y in zip(a, b, strict=True)],
            "state": codes,
            "region": regions,
            "ccode_a": ("dyad", a),
            "ccode_b": ("dyad", b),
            "dyad_region": ("dyad", np.where(a > 100, "Europe", "Between regions")),
            "status": ("dyad", [_STATUS.get(i, "at peace") for i in range(a.size)]),
            "changed": ("dyad", (a == 20) | (a == 10)),
            "state_name": ("state", [names.get(c, f"Land {c - 101}") for c in _CODES]),
            "state_abbrev": ("state", [f"S{c:02}" for c in _CODES]),
            "state_iso3": ("state", [f"?{c}" for c in _CODES]),
        },
        attrs={
            "interval_kind": "equal-tailed",
            "interval_level": 0.9,
            "origin": ORIGIN,
            "edits": list(edits),
            "scenario": scenario,
            "caution": CAUTION,
            "first_year": ORIGIN + 2,
            "timing": f"The edits can act from {ORIGIN + 2} on.",
            "extrapolation": "Extrapolation: 1 pair leaves the range.",
        },
    )


def _pairs() -> list[tuple[int, int]]:
    return [(x, y) for i, x in enumerate(_CODES) for y in _CODES[i + 1 :]]


def make_risks() -> pd.DataFrame:
    simulated = make_simulation()
    risk = simulated["cumulative_risk"].sel(world="status_quo").to_numpy().astype(float)
    names = dict(zip(_CODES, simulated["state_name"].to_numpy(), strict=True))
    rows = []
    for i, (a, b) in enumerate(_pairs()):
        status = _STATUS.get(i, "at peace")
        stratum = ("recurrent", "quiet", "first ever", "first ever, remote")[i % 4]
        going = status == "under way"
        for h in range(1, HORIZON + 1):
            mean, lower, upper = risk[:, h - 1, i]
            base = h * (0.09, 0.02, 0.003, 0.0001)[i % 4]
            rows.append(
                {
                    "ccode_a": a, "ccode_b": b, "state_a": names[a], "state_b": names[b],
                    "horizon": h, "first_year": ORIGIN + 1, "last_year": ORIGIN + h,
                    "probability": mean, "lower": lower, "upper": min(upper, 1.0),
                    "interval_kind": "equal-tailed", "interval_level": 0.9, "stratum": stratum,
                    "base_rate": base, "base_population": "all pairs of states",
                    "ratio": mean / base, "status": status,
                    "still_under_way": (0.65 - i / 100) ** h if going else np.nan,
                    "still_lower": (0.6 - i / 100) ** h if going else np.nan,
                    "still_upper": (0.7 - i / 100) ** h if going else np.nan, "handling": "model",
                }
            )  # fmt: skip
    return pd.DataFrame(rows)


def make_fit(wall_seconds: float = 12.5, pareto_k: float = 0.4) -> Fit:
    spec = load_model("dyad_onset")
    rng = np.random.default_rng(3)
    terms = ["intercept", *(entry.name for entry in spec.entries)]
    levels = [f"{term}|{era.name}" for term in spec.slope_terms() for era in spec.eras]
    posterior = xr.Dataset(
        {
            "beta": (("chain", "draw", "term"), rng.normal(0.1, 0.2, (1, 100, len(terms)))),
            "sigma_dyad": (("chain", "draw"), abs(rng.normal(0.5, 0.1, (1, 100)))),
            "effect_slope": (
                ("chain", "draw", "level_slope"),
                rng.normal(0.0, 0.1, (1, 100, len(levels))),
            ),
        },
        coords={"term": terms, "level_slope": levels},
    )
    encoding = SimpleNamespace(
        names=tuple(terms), term_slices={t: [i] for i, t in enumerate(terms) if i}, rows=321
    )
    return Fit(
        id="f" * 64,
        spec=spec,
        encoding=encoding,
        panel=load_panel(data=make_tables()),
        posterior=xr.DataTree.from_dict({"posterior": posterior}),
        diagnostics=Diagnostics(
            max_rhat=None, min_ess_bulk=900.0, min_ess_tail=900.0, divergences=None,
            min_ebfmi=None, max_tree_depth=None, pareto_k=pareto_k, wall_seconds=wall_seconds,
            peak_memory_mb=100.0 * wall_seconds,
        ),
        method="laplace",
        seed=7,
        versions={"alliance-forecast": "0.1.0", "numpy": np.__version__},
    )  # fmt: skip


def make_backtest(model: str = "dyad_onset") -> Backtest:
    rng = np.random.default_rng(5)
    years, pairs = np.arange(2006, 2011), 200
    p = np.clip(np.exp(rng.normal(-3.5, 1.2, years.size * pairs)), 1e-4, 0.9)
    rows = pd.DataFrame(
        {
            "origin": np.repeat(years, pairs), "horizon": 1, "year": np.repeat(years, pairs),
            "ccode_a": np.tile(np.arange(pairs), years.size), "ccode_b": 999,
            "outcome": (rng.random(p.size) < p).astype(float),
            "stratum": rng.choice(["first ever", "quiet", "recurrent"], p.size),
            "relevance": rng.choice(["relevant", "remote"], p.size),
            "peace_years": rng.integers(0, 40, p.size),
            "decade": np.repeat(years, pairs) // 10 * 10,
            "region": rng.choice(["Europe", "Asia"], p.size),
        }
    )  # fmt: skip
    methods = {
        model: p,
        f"{model}_without_alliances": p**1.05,
        "climatology": np.full(p.size, float(rows["outcome"].mean())),
    }
    forecasts = pd.concat(
        [
            rows.assign(model=name, probability=q, lower=q / 2, upper=q)
            for name, q in methods.items()
        ],
        ignore_index=True,
    )
    return Backtest(
        forecasts=forecasts,
        counts=pd.DataFrame({"year": years, "observed": 1.0, "mean": 1.5}),
        fits=pd.DataFrame(
            {"origin": years, "horizon": 1, "model": model, "passed": True, "wall_seconds": 1.0}
        ),
        model=model,
        level=0.9,
        settings={"origins": years.tolist(), "horizons": [1], "seed": 7, "resamples": 50},
    )


def make_checks() -> list[CheckResult]:
    draws = np.linspace(0.0, 10.0, 50)
    statistics = {"onsets a year": (draws, 4.0), "share without": (draws / 10.0, 0.3)}
    return [
        CheckResult(
            "diagnostics",
            True,
            pd.DataFrame({"diagnostic": ["pareto_k", "wall_seconds"], "value": [0.4, 99.0]}),
            "The gate is met.",
        ),
        CheckResult(
            "prior_predictive",
            False,
            pd.DataFrame({"statistic": list(statistics), "observed": [4.0, np.nan]}),
            "Expected < 1, found 4 & more.",
            statistics,
        ),
        CheckResult("reliability", None, pd.DataFrame(columns=["forecast"]), "Not judged: why."),
    ]


def make_severe() -> dict[str, object]:
    """What a run adds of conflicts above 25 deaths: a quarter of the risks, and fighting."""
    risks = make_risks()
    names = ("probability", "lower", "upper", "base_rate")
    severe = risks.assign(**{name: risks[name] / 4 for name in names})
    going = severe["status"] == "under way"
    for name, values in zip(("fighting", "fighting_lower", "fighting_upper"), names, strict=False):
        severe[name] = severe[values].mask(going, 0.75)
    now = make_simulation()
    risk = now["state_risk"]
    return {"severe_risks": severe, "severe_status_quo": now.assign(state_risk=risk / 4)}


def make_findings(**changes: object) -> Findings:
    edits = {
        "Arvo leaves": ("ARV leave North Pact on 2011-01-01",),
        "Bela & Cora form a pact": ("BEL, COR form Eastern Pact owing defense on 2012-01-01",),
    }
    findings = Findings(
        fit=make_fit(),
        risks=make_risks(),
        status_quo=make_simulation(),
        scenarios={name: make_simulation(name, words) for name, words in edits.items()},
        checks=make_checks(),
        backtest=make_backtest(),
        seconds={"Fit": 12.0},
    )
    return replace(findings, **changes)
