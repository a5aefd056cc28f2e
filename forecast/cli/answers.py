"""`forecast risk`, `simulate` and `initiation`: questions about a saved fit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from forecast.cli.terminal import (
    AsJson,
    FitId,
    Horizon,
    Level,
    SeverityLevel,
    StoreUrl,
    Top,
    fit_of,
    print_json,
    print_table,
    records,
    say,
)

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["initiation", "risk", "simulate"]


def risk(
    state_a: Annotated[
        str, typer.Argument(help="Name, ISO3, COW abbreviation or number; or an alliance.")
    ],
    state_b: Annotated[
        str | None,
        typer.Argument(help="The other state or alliance; with --any by default every state."),
    ] = None,
    any_: Annotated[
        bool,
        typer.Option(
            "--any", help="Of at least one dispute between the two sides; implied by an alliance."
        ),
    ] = False,
    horizon: Horizon = 1,
    level: Level = 0.9,
    severity: SeverityLevel = "onset",
    fit: FitId = None,
    store: StoreUrl = "artifacts",
    as_json: AsJson = False,
) -> None:
    """Probability that a dispute begins between two states, or any of two sets of them."""
    from forecast.risk.pair_answer import Risk
    from forecast.risk.query import risk_of_sides
    from forecast.risk.set_answer import SetRisk
    from forecast.simulation.levels import as_severity

    asked = as_severity(severity)
    answer: Risk | SetRisk = risk_of_sides(
        fit_of(store, fit), state_a, state_b, any_=any_, horizon=horizon,
        level=level, severity=asked,
    )  # fmt: skip
    if as_json:
        print_json(answer.to_dict())
    else:
        say(str(answer))
        say(answer.caution)


def simulate(
    scenario: Annotated[Path, typer.Argument(help="Scenario file (TOML).")],
    horizon: Horizon = 5,
    level: Level = 0.9,
    fit: FitId = None,
    store: StoreUrl = "artifacts",
    out: Annotated[
        Path | None, typer.Option("--out", help="Write the whole result here (NetCDF).")
    ] = None,
    top: Top = 15,
    pair: Annotated[
        tuple[str, str] | None, typer.Option("--pair", help="Two states: explain this pair.")
    ] = None,
    theory: Annotated[
        list[str] | None,
        typer.Option(
            "--theory", help="Answer under this theory too: a name or a file; repeatable."
        ),
    ] = None,
    severity: SeverityLevel = "onset",
    as_json: AsJson = False,
) -> None:
    """Risks under a scenario against the status quo: the dyads that change most, and why."""
    import pandas as pd

    from forecast.folders import check_file_target
    from forecast.risk.explain import check_pair, explain
    from forecast.simulation.levels import as_severity, of_level
    from forecast.simulation.scenario import Scenario
    from forecast.simulation.simulate import largest_changes, save_result
    from forecast.simulation.simulate import simulate as simulate_scenario

    edits, asked = Scenario.from_toml(scenario), as_severity(severity)
    if out is not None:
        check_file_target(out)
    fitted = fit_of(store, fit)
    if pair is not None:
        check_pair(fitted, *pair)
    result = simulate_scenario(
        fitted,
        edits,
        horizon=horizon,
        level=level,
        theories=theory,
        severity=asked,
    )
    if out is not None:
        save_result(result, out)
    if theory is not None:
        from forecast.risk.rival_words import rival_answers, rival_reasons, rival_table

        if as_json:
            under = records(rival_table(result, top=top))
            print_json({"scenario": edits.to_dict(), "theories": under})
        else:
            for sentence in (*rival_answers(result, top=top), *rival_reasons(result)):
                say(sentence)
            say(result.attrs["caution"])
        return
    explained = None if pair is None else explain(result, *pair)
    changes = largest_changes(result, top=top)
    told = ("timing", "extrapolation", "caution", "amended")
    if as_json:
        answer = {name: result.attrs[name] for name in ("first_year", *told)}
        if explained is not None:
            answer["pair"] = explained.to_dict()
        print_json({"scenario": edits.to_dict(), "changes": records(changes), **answer})
    elif explained is not None:
        say(str(explained))
    else:
        what = "" if asked == "onset" else f" of an {of_level('onset', asked)}"
        columns = {"pair": changes["state_a"] + "–" + changes["state_b"]}
        columns |= _differences(changes, "lower", "upper")
        columns |= {name: changes[name].map(_points) for name in ("own", "contagion")}
        print_table(
            pd.DataFrame(columns),
            title=f"{edits.name}: change of risk{what} within {horizon} years, in points, of which"
            " by the pair's own alliances and by contagion",
        )
        say(" ".join(result.attrs[name] for name in told if result.attrs[name]))


def initiation(
    scenario: Annotated[Path, typer.Argument(help="Scenario file (TOML).")],
    year: Annotated[
        int | None,
        typer.Option("--year", help="Year of the forecast; default: the first in which it acts."),
    ] = None,
    level: Level = 0.9,
    fit: FitId = None,
    store: StoreUrl = "artifacts",
    top: Top = 15,
    as_json: AsJson = False,
) -> None:
    """Who would begin under a scenario: needs a fit of a model of initiation."""
    import pandas as pd

    from forecast.risk.initiation import initiation as forecast_initiation
    from forecast.simulation.scenario import Scenario

    edits = Scenario.from_toml(scenario)
    answer = forecast_initiation(fit_of(store, fit), edits, year=year, level=level)
    if as_json:
        print_json(answer.to_dict(top=top))
        return
    shown = answer.table.head(top)
    columns = {"challenger": shown["challenger"], "target": shown["target"]}
    print_table(
        pd.DataFrame(columns | _differences(shown, "difference_lower", "difference_upper")),
        title=f"{edits.name}: who would begin",
    )
    say(f"{answer.text} {answer.caution}")


def _points(difference: float) -> str:
    from forecast.text import points

    return points(difference, unit=False)


def _differences(table: pd.DataFrame, lower: str, upper: str) -> dict[str, pd.Series]:
    """Both risks and their difference as columns of text."""
    from forecast.text import percent

    ends = table[lower].map(_points) + " to " + table[upper].map(_points)
    return {
        "status quo": table["status_quo"].map(percent),
        "scenario": table["scenario"].map(percent),
        "difference": table["difference"].map(_points),
        "interval": ends,
    }
