"""What the commands print: JSON for a program, a table for a person."""

from __future__ import annotations

import codecs
import io
import json
import sys
import unicodedata
from typing import Annotated, Any

import typer

__all__ = [
    "AsJson",
    "Data",
    "Draws",
    "FitId",
    "Horizon",
    "Level",
    "Quiet",
    "Seed",
    "SeverityLevel",
    "StoreUrl",
    "print_json",
    "print_table",
    "records",
    "use_stand_ins",
]

#: What a legacy code page lacks, in ASCII; letters with accents lose them, the rest is "?".
_STAND_INS = str.maketrans(
    {"–": "-", "—": "-", "−": "-", "…": "...", "→": "->", "×": "x", "·": "*", "≤": "<=", "≥": ">=",
     "“": '"', "”": '"', "‘": "'", "’": "'", "„": '"', "√": "sqrt", "∑": "sum", "Σ": "sum"}
)  # fmt: skip

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


def use_stand_ins() -> None:
    """Let output to a terminal or file of a legacy code page print stand-ins, and never fail."""
    codecs.register_error("stand-in", _stand_in)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and not _is_unicode(stream):
            stream.reconfigure(errors="stand-in")


def _is_unicode(stream: Any) -> bool:
    return str(getattr(stream, "encoding", None) or "utf-8").lower().startswith("utf")


def _stand_in(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    found = []
    for character in error.object[error.start : error.end]:
        plain = unicodedata.normalize("NFKD", character.translate(_STAND_INS))
        found.append("".join(c for c in plain if c.isascii()) or "?")
    return "".join(found), error.end


def print_json(content: Any) -> None:
    """Print one JSON document on standard output; with escapes on a legacy code page."""
    escaped = not _is_unicode(sys.stdout)
    typer.echo(json.dumps(content, indent=1, ensure_ascii=escaped))


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
