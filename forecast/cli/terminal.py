"""What the commands print: JSON for a program, a table for a person."""

from __future__ import annotations

import codecs
import io
import json
import os
import sys
import unicodedata
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer

__all__ = [
    "AsJson",
    "BacktestYears",
    "Data",
    "Draws",
    "FitId",
    "Horizon",
    "Level",
    "Quiet",
    "Seed",
    "SeverityLevel",
    "StoreUrl",
    "Top",
    "fit_of",
    "open_closed",
    "print_json",
    "print_table",
    "records",
    "say",
    "use_stand_ins",
]

if TYPE_CHECKING:
    from forecast.inference.fit import Fit

#: What a legacy code page lacks, in ASCII; letters with accents lose them, the rest is "?".
_STAND_INS = str.maketrans(
    {"–": "-", "—": "-", "−": "-", "…": "...", "→": "->", "×": "x", "·": "*", "≤": "<=", "≥": ">=",
     "“": '"', "”": '"', "‘": "'", "’": "'", "„": '"', "√": "sqrt", "∑": "sum", "Σ": "sum"}
)  # fmt: skip

#: Characters that command a terminal, or turn the direction of a line, as escapes (of JSON, too).
_COMMANDS = {
    code: f"\\u{code:04x}"
    for code in (*range(32), *range(127, 160), 0x061C, *range(0x200E, 0x2010),
                 *range(0x2028, 0x202F), *range(0x2066, 0x206A))
    if chr(code) not in "\n\t"
}  # fmt: skip

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
Horizon = Annotated[int, typer.Option("--horizon", min=1, max=20, help="Years ahead.")]
Level = Annotated[float, typer.Option("--level", help="Probability of the intervals.")]
Top = Annotated[int, typer.Option("--top", min=1, max=1_000_000, help="Rows to print.")]
BacktestYears = Annotated[
    int,
    typer.Option("--backtest-years", min=0, max=100, help="Last years forecast anew; 0 for none."),
]
SeverityLevel = Annotated[
    str,
    typer.Option(
        "--severity",
        help="Of disputes that come to this level: onset (any), fatal, deaths_25, deaths_1000.",
    ),
]


def open_closed() -> None:
    """Give a process that was started with closed streams others that lead nowhere.

    The next file that is opened would else be its standard output.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, f"__{name}__") is not None:
            continue
        with suppress(OSError):
            while (opened := os.open(os.devnull, os.O_RDWR)) < number:
                pass
            if opened > number:
                os.close(opened)
        if getattr(sys, name) is None:
            mode = "r" if number == 0 else "w"
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", closefd=False))


def use_stand_ins() -> None:
    """Let output to a terminal or file of a legacy code page print stand-ins, and never fail."""
    codecs.register_error("stand-in", _stand_in)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
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


def say(text: str, *, err: bool = False, nl: bool = True) -> None:
    """Print text; what it holds of data cannot command the terminal."""
    typer.echo(_plain(text), err=err, nl=nl)


def _plain(text: str) -> str:
    return text if text.isprintable() else text.translate(_COMMANDS)


def fit_of(store: str, fit: str | None) -> Fit:
    """The fit that is asked for, by default the newest."""
    from forecast.store import open_store

    opened = open_store(store)
    return opened.load(opened.newest() if fit is None else fit)


def print_json(content: Any) -> None:
    """Print one JSON document on standard output; with escapes on a legacy code page."""
    escaped = not _is_unicode(sys.stdout)
    say(json.dumps(content, indent=1, ensure_ascii=escaped))


def print_table(frame: Any, *, title: str, whole: tuple[str, ...] = ()) -> None:
    """Print a DataFrame as a table fitted to the terminal; the columns `whole` are not folded."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    # As `Text`: what data hold is not taken for markup.
    table = Table(title=Text(_plain(title)), title_justify="left")
    for name in frame.columns:
        table.add_column(Text(_plain(str(name))), overflow="fold", no_wrap=name in whole)
    for row in frame.itertuples(index=False):
        cells = (f"{v:.3g}" if isinstance(v, float) else str(v) for v in row)
        table.add_row(*(Text(_plain(cell)) for cell in cells))
    Console().print(table)


def records(frame: Any) -> list[dict[str, Any]]:
    """Rows of a DataFrame as dictionaries that JSON can hold."""
    return list(json.loads(frame.to_json(orient="records")))
