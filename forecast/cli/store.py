"""``forecast store``: what is kept, held against its hashes. No logic of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from forecast.cli.terminal import AsJson, StoreUrl, print_json, print_table, records, say
from forecast.errors import ArtifactError

__all__ = ["app"]

app = typer.Typer(help="Store: hold everything that is kept against its hashes.")


@app.callback()
def _group() -> None:
    """Store: hold everything that is kept against its hashes."""


@app.command("verify")
def verify_command(
    places: Annotated[
        list[Path] | None,
        typer.Argument(help="Reports, backtests, panel files, or folders that hold some."),
    ] = None,
    store: StoreUrl = "artifacts",
    remove: Annotated[
        bool,
        typer.Option("--remove", help="Delete what is damaged and can be made again."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Read all that is kept, fits and cache and the places given; exit code 1 if any is damaged."""
    from forecast.verify import verify

    found = verify(*(places or ()), store=store, remove=remove)
    damaged = found[found["damage"] != ""]
    if as_json:
        print_json(records(found))
    elif len(damaged):
        print_table(damaged[["artifact", "kind", "damage", "removed"]], title="Damaged")
    left = damaged[~damaged["removed"].astype(bool)]
    if len(left):
        raise ArtifactError(f"{len(left)} of {len(found)} artifacts are damaged.")
    gone = f"; {len(damaged)} damaged ones were removed" if len(damaged) else ""
    if not as_json:
        say(f"{len(found) - len(damaged)} artifacts are whole{gone}.")
