"""What the commands print: JSON for a program, a table for a person."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

__all__ = ["AsJson", "Data", "Quiet", "print_json", "print_table", "records"]

Data = Annotated[
    str,
    typer.Option(
        "--data",
        help="'embedded', 'historical' (official files, see `forecast data`), or a folder in the"
        " layout of the embedded data.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a program to read.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress on the terminal.")]


def print_json(content: Any) -> None:
    """Print one JSON document on standard output."""
    typer.echo(json.dumps(content, indent=1, ensure_ascii=False))


def print_table(frame: Any, *, title: str, whole: tuple[str, ...] = ()) -> None:
    """Print a DataFrame as a table fitted to the terminal; the columns `whole` are not folded."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for name in frame.columns:
        table.add_column(str(name), overflow="fold", no_wrap=name in whole)
    for row in frame.itertuples(index=False):
        table.add_row(*(f"{v:.3g}" if isinstance(v, float) else str(v) for v in row))
    Console().print(table)


def records(frame: Any) -> list[dict[str, Any]]:
    """Rows of a DataFrame as dictionaries that JSON can hold."""
    return list(json.loads(frame.to_json(orient="records")))
