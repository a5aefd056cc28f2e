"""The command line: parses arguments, calls the library, prints the answer. No logic of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from forecast.cli.answers import initiation, risk, simulate
from forecast.cli.backtest import backtest, panel
from forecast.cli.data import app as data_app
from forecast.cli.exit_codes import CODES
from forecast.cli.store import app as store_app
from forecast.cli.terminal import (
    AsJson,
    BacktestYears,
    Data,
    Draws,
    FitId,
    Quiet,
    Seed,
    StoreUrl,
    fit_of,
    print_json,
    print_table,
    records,
    say,
)

__all__ = ["app"]

app = typer.Typer(
    name="forecast",
    help="How likely is a militarised conflict to start between two states, given who is bound"
    f" to defend whom?\n\nExit codes: {'; '.join(f'{k} {v}' for k, v in CODES.items())}.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

app.add_typer(data_app, name="data")
app.add_typer(store_app, name="store")
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
    backtest_years: BacktestYears = 3,
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
        say(sentence)
    if done.report.changed is False:
        say("Nothing has changed since the last report: every number is the same.")
    say(f"Report: {done.report.page}")


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
        say(features_markdown())
    elif as_json:
        print_json(records(feature_table().reset_index()))
    else:
        columns = ["family", "level", "unit", "sign", "formula", "simulated"]
        print_table(feature_table()[columns].reset_index(), title="Features")


@app.command()
def cases(
    name: Annotated[str | None, typer.Argument(help="Name of a case; default: list them.")] = None,
    data: Annotated[
        str | None, typer.Option("--data", help="Data set; default: embedded, or that of the case.")
    ] = None,
    hindcast: Annotated[
        bool,
        typer.Option(
            "--hindcast", help="What a model of the years before it says, and what happened."
        ),
    ] = False,
    ask: Annotated[
        list[str] | None,
        typer.Option("--ask", help="With --hindcast: only this question; repeatable."),
    ] = None,
    draws: Draws = 500,
    as_json: AsJson = False,
) -> None:
    """List the named cases; hold a data set against one, or forecast one from the years before."""
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
    if hindcast:
        from forecast.cases.hindcast import hindcast as look_back

        answer = look_back(one, ask, data=data, draws=draws)
        if as_json:
            print_json(answer.to_dict())
        else:
            say(str(answer))
        return
    data = "embedded" if data is None else data
    found = check_case(one, data)
    if as_json:
        print_json({"case": one.to_dict(), "check": records(found)})
        return
    say(f"{one.title}\n{one.summary}\n")
    facts = one.facts
    print_table(facts.assign(date=facts["date"].dt.date)[["date", "states", "text"]], title="Facts")
    columns = ["feature", "state", "other", "year", "expected", "value", "met", "why"]
    print_table(found[columns], title=f"Expectations, {data} data")
    met, told = int(found["met"].sum()), int(found["met"].notna().sum())
    say(f"{met} of {told} expectations that these data can tell are met.")


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
        say(fitted.id)


@app.command()
def check(fit: FitId = None, store: StoreUrl = "artifacts", as_json: AsJson = False) -> None:
    """Run the checks of a saved fit."""
    from forecast.evaluation.checks import check as check_fit

    fitted = fit_of(store, fit)
    results = check_fit(fitted, seed=fitted.seed)
    if as_json:
        print_json([result.to_dict() for result in results])
    else:
        for result in results:
            mark = {True: "passed", False: "FAILED", None: "not judged"}[result.passed]
            say(f"{result.name}: {mark}. {result.text}")


app.command()(risk)
app.command()(simulate)
app.command()(initiation)


@app.command()
def report(
    fit: FitId = None,
    store: StoreUrl = "artifacts",
    out: Annotated[Path, typer.Option("--out", help="Folder of the report.")] = Path(
        "forecast-report"
    ),
    backtest_years: BacktestYears = 3,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Write the report of a saved fit; exit code 2 if the gate refuses it."""
    from forecast.run import report_of

    written = report_of(
        fit_of(store, fit),
        folder=out,
        backtest_years=backtest_years,
        store=store,
        progress=not (quiet or as_json),
    )
    if as_json:
        print_json(written.to_dict())
    else:
        say(f"Report: {written.page}")
