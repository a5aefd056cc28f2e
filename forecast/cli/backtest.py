"""`forecast backtest` and `forecast panel`: forecasts made without hindsight, and from what."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from forecast.cli.terminal import AsJson, Data, Quiet, print_json, print_table, say
from forecast.errors import ArgumentError

if TYPE_CHECKING:
    from forecast.evaluation.plan import BacktestPlan
    from forecast.panel.types import Panel

__all__ = ["backtest", "panel"]


def panel(
    out: Annotated[Path, typer.Option("--out", help="File to write.")],
    model: Annotated[
        str | None,
        typer.Option("--model", help="Model whose rows are wanted; default: that of the data."),
    ] = None,
    data: Data = "embedded",
    under_way: Annotated[
        Literal["stratum", "drop", "convention"] | None,
        typer.Option(
            "--under-way",
            help="Pairs whose dispute is under way on 1 January: rows, no rows, or as is the "
            "field's custom rows only if a new one begins; default: that of the model.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write a panel with its world into one file, from which `backtest --panel` runs."""
    from forecast.folders import check_file_target
    from forecast.modeling.spec import default_model, load_model
    from forecast.panel.build import load_panel
    from forecast.panel_file import save_panel
    from forecast.run import panel_options

    check_file_target(out)
    spec = load_model(default_model(data) if model is None else model)
    made = load_panel(data=data, **panel_options(spec, under_way))
    save_panel(made, out)
    about = made.to_dict()
    if as_json:
        print_json({"file": str(out), "panel": about})
    else:
        first, last = about["years"]
        say(
            f"{out}: {about['rows']:,} rows, {first}–{last}, {about['onsets']:,} onsets, "
            f"fingerprint {about['fingerprint'][:12]}"
        )


def backtest(
    model: Annotated[str, typer.Argument(help="Name of a model, or a TOML file.")] = "dyad_onset",
    config: Annotated[
        Path | None,
        typer.Option("--config", help="Everything but the panel, as benchmarks/skill.toml."),
    ] = None,
    panel_file: Annotated[
        Path | None,
        typer.Option("--panel", help="Panel file of `forecast panel`, instead of --data."),
    ] = None,
    first: Annotated[int, typer.Option("--first", help="First origin.")] = 2016,
    last: Annotated[int, typer.Option("--last", help="Last origin.")] = 2025,
    horizon: Annotated[
        list[int] | None, typer.Option("--horizon", help="Years ahead; repeatable.")
    ] = None,
    data: Data = "embedded",
    method: Annotated[
        Literal["laplace", "nuts"], typer.Option("--method", help="Inference of every fit.")
    ] = "laplace",
    refit: Annotated[int, typer.Option("--refit", min=1, help="Years between refits.")] = 1,
    seed: Annotated[
        int, typer.Option("--seed", help="Every random number descends from it.")
    ] = 20251231,
    draws: Annotated[int, typer.Option("--draws", help="Posterior draws of each fit.")] = 500,
    workers: Annotated[
        int, typer.Option("--workers", min=1, max=1000, help="Processes of this machine.")
    ] = 1,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", help="Folder for row-level forecasts and scores; run again, it goes on."
        ),
    ] = None,
    severity: Annotated[
        bool, typer.Option("--severity", help="Score every level of severity too, one year ahead.")
    ] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    context: typer.Context = None,  # type: ignore[assignment]
) -> None:
    """Refit at every origin, forecast without hindsight, score against the baselines."""
    from forecast.evaluation.backtest import BacktestPlan
    from forecast.evaluation.backtest import backtest as run_backtest
    from forecast.evaluation.skill_table import FILES, skill_table
    from forecast.folders import check_target

    if out is not None:
        check_target(out, FILES)
        check_target(out / "tables")
    if config is None:
        plan = BacktestPlan(
            model=model, origins=range(first, last + 1), horizons=tuple(horizon or (1,)),
            method=method, refit=refit, seed=seed, draws=draws,
        )  # fmt: skip
    else:
        plan = BacktestPlan.from_toml(config)
        _refuse_besides(context)
    rows = _panel(plan, panel_file, data)
    if severity:
        _refuse_severity(plan, rows)
    run = None if out is None else out / "run"
    shown = not (quiet or as_json)
    result = run_backtest(plan, rows, out=run, workers=workers, progress=shown)
    table = skill_table(result, periods=plan.periods, resamples=plan.resamples)
    if out is not None:
        result.save(out / "tables")
        table.save(out)
    levels = result.severity(rows.tables) if severity and rows.tables is not None else None
    if as_json:
        told = {} if levels is None else {"severity": levels.to_dict("records")}
        print_json(result.to_dict() | {"table": table.to_dict()} | told)
    elif config is not None:
        say(table.to_text(), nl=False)
    else:
        print_table(result.scores[result.scores["group"] == "all"], title="Scores")
        print_table(result.differences, title="Paired differences")
    if levels is not None and not as_json:
        print_table(levels, title="How bad, one year ahead: expected and observed")


def _panel(plan: BacktestPlan, file: Path | None, data: str) -> Panel:
    from forecast.panel_file import open_panel

    return plan.panel(data) if file is None else open_panel(file)


def _refuse_severity(plan: BacktestPlan, rows: Panel) -> None:
    """Levels of severity are scored of some models and panels only."""
    spec = plan.spec()
    if (spec.unit, spec.outcome) != ("dyad-year", "onset") or rows.tables is None:
        raise ArgumentError(
            f"--severity: levels are of onsets of pairs and years on a panel with its tables; found"
            f" unit {spec.unit!r} and outcome {spec.outcome!r}"
            f"{'' if rows.tables is not None else ', and no tables'}."
        )


#: Options that a configuration file decides.
_FROZEN = ("model", "first", "last", "horizon", "method", "refit", "seed", "draws")


def _refuse_besides(context: typer.Context) -> None:
    """An option that the configuration decides must not be given beside it."""
    given = [
        name
        for name in _FROZEN
        if (source := context.get_parameter_source(name)) is not None
        and source.name == "COMMANDLINE"
    ]
    if given:
        raise ArgumentError(
            f"--config decides {', '.join(given)}; leave out "
            f"{', '.join('MODEL' if n == 'model' else f'--{n}' for n in given)}, or --config."
        )
