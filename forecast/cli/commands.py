"""The command line: parses arguments, calls the library, prints the answer. No logic of its own.

Exit codes: 0 done, 1 bad input, 2 the publication gate refused the fit, 3 internal error.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    import pandas as pd

from forecast.cli.backtest import backtest, panel
from forecast.cli.data import app as data_app
from forecast.cli.terminal import (
    AsJson,
    Data,
    Quiet,
    print_json,
    print_table,
    records,
    use_stand_ins,
)
from forecast.errors import ForecastError, GateRefusedError

__all__ = ["app", "main"]

DONE, BAD_INPUT, REFUSED, INTERNAL = 0, 1, 2, 3

app = typer.Typer(
    name="forecast",
    help="How likely is a militarised conflict to start between two states, given who is bound"
    " to defend whom?\n\nExit codes: 0 done, 1 bad input, 2 the publication gate refused the fit,"
    " 3 internal error.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

app.add_typer(data_app, name="data")
app.command()(panel)
app.command()(backtest)

Model = Annotated[
    str | None,
    typer.Option("--model", help="Name of a model, or a TOML file; default: that of the data."),
]
Method = Annotated[
    Literal["laplace", "nuts"],
    typer.Option("--method", help="'laplace' takes seconds, 'nuts' minutes."),
]
StoreUrl = Annotated[str, typer.Option("--store", help="Folder or URL of the saved fits.")]
FitId = Annotated[
    str | None, typer.Option("--fit", help="Id of a saved fit, or its beginning; default: newest.")
]
Seed = Annotated[int, typer.Option("--seed", help="Every random number descends from it.")]
Draws = Annotated[int, typer.Option("--draws", help="Posterior draws.")]
Horizon = Annotated[int, typer.Option("--horizon", help="Years ahead.")]
Level = Annotated[float, typer.Option("--level", help="Probability of the intervals.")]
SeverityLevel = Annotated[
    str,
    typer.Option(
        "--severity",
        help="Of disputes that come to this level: onset (any), fatal, deaths_25, deaths_1000.",
    ),
]


@app.command()
def run(
    data: Data = "embedded",
    model: Model = None,
    method: Method = "laplace",
    out: Annotated[Path, typer.Option("--out", help="Folder of the report.")] = Path(
        "forecast-report"
    ),
    store: StoreUrl = "artifacts",
    scenario: Annotated[
        list[Path] | None, typer.Option("--scenario", help="Scenario file; repeatable.")
    ] = None,
    seed: Seed = 20251231,
    draws: Draws = 500,
    backtest_years: Annotated[
        int, typer.Option("--backtest-years", help="Last years forecast anew; 0 for none.")
    ] = 3,
    theories: Annotated[
        bool,
        typer.Option("--theories", help="Answer the scenarios under rival theories too; minutes."),
    ] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Do the main job: fit, check, forecast, simulate scenarios and write the report."""
    from forecast.modeling.theory import theories as shipped
    from forecast.run import run as main_job
    from forecast.simulation.scenario import Scenario

    done = main_job(
        data=data,
        model=model,
        method=method,
        folder=out,
        store=store,
        scenarios=[Scenario.from_toml(path) for path in scenario] if scenario else None,
        seed=seed,
        draws=draws,
        backtest_years=backtest_years,
        theories=shipped() if theories else (),
        progress=not (quiet or as_json),
    )
    if as_json:
        print_json({"fit": done.fit.to_dict(), "report": done.report.to_dict()})
        return
    for sentence in done.report.summary:
        typer.echo(sentence)
    if done.report.changed is False:
        typer.echo("Nothing has changed since the last report: every number is the same.")
    typer.echo(f"Report: {done.report.page}")


@app.command()
def features(
    as_json: AsJson = False,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the page of the documentation.")
    ] = False,
) -> None:
    """List every feature: unit, bounds, expected sign, formula, how it moves when simulated."""
    from forecast.features import feature_table, features_markdown

    if markdown:
        typer.echo(features_markdown())
    elif as_json:
        print_json(records(feature_table().reset_index()))
    else:
        columns = ["family", "level", "unit", "sign", "formula", "simulated"]
        print_table(feature_table()[columns].reset_index(), title="Features")


@app.command()
def cases(
    name: Annotated[str | None, typer.Argument(help="Name of a case; default: list them.")] = None,
    data: Data = "embedded",
    as_json: AsJson = False,
) -> None:
    """List the named cases, or hold a data set against one of them."""
    from forecast.cases import case as named
    from forecast.cases import cases as listed
    from forecast.cases import check_case

    if name is None:
        table = listed().reset_index()
        if as_json:
            print_json(records(table))
        else:
            print_table(table[["name", "title", "data", "expectations"]], title="Named cases")
        return
    one = named(name)
    found = check_case(one, data)
    if as_json:
        print_json({"case": one.to_dict(), "check": records(found)})
        return
    typer.echo(f"{one.title}\n{one.summary}\n")
    facts = one.facts
    print_table(facts.assign(date=facts["date"].dt.date)[["date", "states", "text"]], title="Facts")
    columns = ["feature", "state", "other", "year", "expected", "value", "met", "why"]
    print_table(found[columns], title=f"Expectations, {data} data")
    met, told = int(found["met"].sum()), int(found["met"].notna().sum())
    typer.echo(f"{met} of {told} expectations that these data can tell are met.")


@app.command("fit")
def fit_command(
    model: Annotated[
        str | None, typer.Argument(help="Name of a model, or a TOML file; default: of the data.")
    ] = None,
    data: Data = "embedded",
    method: Method = "laplace",
    store: StoreUrl = "artifacts",
    seed: Seed = 20251231,
    draws: Draws = 1000,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Fit a model, save it, and print its id; exit code 2 if the gate refuses it."""
    from forecast.run import fit_and_save

    fitted = fit_and_save(
        data=data, model=model, method=method, store=store, seed=seed, draws=draws,
        progress=not (quiet or as_json),
    )  # fmt: skip
    if as_json:
        print_json(fitted.to_dict())
    else:
        typer.echo(fitted.id)


@app.command()
def check(fit: FitId = None, store: StoreUrl = "artifacts", as_json: AsJson = False) -> None:
    """Run the checks of a saved fit."""
    from forecast.evaluation.checks import check as check_fit
    from forecast.store import open_store

    opened = open_store(store)
    fitted = opened.load(fit or opened.newest())
    results = check_fit(fitted, seed=fitted.seed)
    if as_json:
        print_json([result.to_dict() for result in results])
    else:
        for result in results:
            mark = {True: "passed", False: "FAILED", None: "not judged"}[result.passed]
            typer.echo(f"{result.name}: {mark}. {result.text}")


@app.command()
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
    from forecast.store import open_store

    asked = as_severity(severity)
    opened = open_store(store)
    answer: Risk | SetRisk = risk_of_sides(
        opened.load(fit or opened.newest()), state_a, state_b, any_=any_, horizon=horizon,
        level=level, severity=asked,
    )  # fmt: skip
    if as_json:
        print_json(answer.to_dict())
    else:
        typer.echo(str(answer))
        typer.echo(answer.caution)


@app.command()
def simulate(
    scenario: Annotated[Path, typer.Argument(help="Scenario file (TOML).")],
    horizon: Horizon = 5,
    level: Level = 0.9,
    fit: FitId = None,
    store: StoreUrl = "artifacts",
    out: Annotated[
        Path | None, typer.Option("--out", help="Write the whole result here (NetCDF).")
    ] = None,
    top: Annotated[int, typer.Option("--top", help="Dyads to print.")] = 15,
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

    from forecast.risk.explain import explain
    from forecast.simulation.levels import as_severity, of_level
    from forecast.simulation.scenario import Scenario
    from forecast.simulation.simulate import largest_changes, save_result
    from forecast.simulation.simulate import simulate as simulate_scenario
    from forecast.store import open_store

    edits, asked = Scenario.from_toml(scenario), as_severity(severity)
    opened = open_store(store)
    result = simulate_scenario(
        opened.load(fit or opened.newest()),
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
                typer.echo(sentence)
            typer.echo(result.attrs["caution"])
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
        typer.echo(str(explained))
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
        typer.echo(" ".join(result.attrs[name] for name in told if result.attrs[name]))


@app.command()
def initiation(
    scenario: Annotated[Path, typer.Argument(help="Scenario file (TOML).")],
    year: Annotated[
        int | None,
        typer.Option("--year", help="Year of the forecast; default: the first in which it acts."),
    ] = None,
    level: Level = 0.9,
    fit: FitId = None,
    store: StoreUrl = "artifacts",
    top: Annotated[int, typer.Option("--top", help="Ordered pairs to print.")] = 15,
    as_json: AsJson = False,
) -> None:
    """Who would begin under a scenario: needs a fit of a model of initiation."""
    import pandas as pd

    from forecast.risk.initiation import initiation as forecast_initiation
    from forecast.simulation.scenario import Scenario
    from forecast.store import open_store

    edits, opened = Scenario.from_toml(scenario), open_store(store)
    answer = forecast_initiation(opened.load(fit or opened.newest()), edits, year=year, level=level)
    if as_json:
        print_json(answer.to_dict(top=top))
        return
    shown = answer.table.head(top)
    columns = {"challenger": shown["challenger"], "target": shown["target"]}
    print_table(
        pd.DataFrame(columns | _differences(shown, "difference_lower", "difference_upper")),
        title=f"{edits.name}: who would begin",
    )
    typer.echo(f"{answer.text} {answer.caution}")


@app.command()
def report(
    fit: FitId = None,
    store: StoreUrl = "artifacts",
    out: Annotated[Path, typer.Option("--out", help="Folder of the report.")] = Path(
        "forecast-report"
    ),
    backtest_years: Annotated[
        int, typer.Option("--backtest-years", help="Last years forecast anew; 0 for none.")
    ] = 3,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Write the report of a saved fit; exit code 2 if the gate refuses it."""
    from forecast.run import report_of
    from forecast.store import open_store

    opened = open_store(store)
    written = report_of(
        opened.load(fit or opened.newest()),
        folder=out,
        backtest_years=backtest_years,
        store=store,
        progress=not (quiet or as_json),
    )
    if as_json:
        print_json(written.to_dict())
    else:
        typer.echo(f"Report: {written.page}")


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


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Parameters
    ----------
    arguments : list of str, optional
        ``sys.argv[1:]`` by default.
    """
    from typer.exceptions import Abort, TyperException

    use_stand_ins()
    try:
        code = app(arguments, standalone_mode=False, prog_name="forecast")
        return code if isinstance(code, int) else DONE
    except GateRefusedError as error:
        typer.echo(str(error), err=True)
        return REFUSED
    except ForecastError as error:
        typer.echo(f"{type(error).__name__}: {error}", err=True)
        return BAD_INPUT
    except TyperException as error:
        # Empty where a command group was called alone: its help is on the terminal already.
        if message := error.format_message():
            typer.echo(f"Error: {message}", err=True)
        return BAD_INPUT
    except (Abort, KeyboardInterrupt):
        typer.echo("Interrupted; nothing was half-written.", err=True)
        return BAD_INPUT
    except Exception:
        import traceback

        traceback.print_exc()
        typer.echo("Internal error. Please report it with the lines above.", err=True)
        return INTERNAL
