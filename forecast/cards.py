"""Cards: what an object is, in a dozen lines of text or as a small table of a notebook."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Card", "Carded"]

_WIDTH = 96
#: What was checked and held, did not hold, and was not judged.
_MARKS = {True: "✓", False: "✗", None: "–"}
#: Colours that can be read on a white and on a black page.
_COLOURS = {True: "#2e8b57", False: "#d1495b", None: "#888888"}
_ROWS = 12
_CELL = "padding:.1em .9em .1em 0;text-align:left;vertical-align:top"


@dataclass(frozen=True, eq=False)
class Card:
    """A title, what is told under a few names, what was checked, and a short table.

    A check is whether it held (None: not judged), and what was found.
    """

    title: str
    facts: Sequence[tuple[str, str]] = ()
    checks: Sequence[tuple[bool | None, str]] = ()
    table: pd.DataFrame | None = None
    note: str = ""

    def text(self) -> str:
        """The card in lines of `_WIDTH` characters."""
        side = max((len(name) for name, _ in self.facts), default=0)
        lines = [self.title]
        for name, value in self.facts:
            lines += _lines(value, f"  {name:<{side}}  ")
        for held, found in self.checks:
            lines += _lines(found, f"  {_MARKS[held]} ")
        if self.table is not None:
            few = self.table.head(_ROWS).to_string(index=False, line_width=_WIDTH)
            lines += ["", *few.splitlines(), *self._more()]
        if self.note:
            lines += ["", *_lines(self.note, "")]
        return "\n".join(lines)

    def html(self) -> str:
        """The card as HTML, every text escaped, with no style but its own."""
        rows = [
            f'<tr><th style="{_CELL};font-weight:normal;opacity:.7">{escape(name)}</th>'
            f'<td style="{_CELL}">{escape(value)}</td></tr>'
            for name, value in self.facts
        ]
        rows += [
            f'<tr><th style="{_CELL};color:{_COLOURS[held]}">{_MARKS[held]}</th>'
            f'<td style="{_CELL}">{escape(found)}</td></tr>'
            for held, found in self.checks
        ]
        parts = [f"<b>{escape(self.title)}</b>"]
        if rows:
            parts.append(f'<table style="margin:.3em 0">{"".join(rows)}</table>')
        if self.table is not None:
            parts += [self.table.head(_ROWS).to_html(index=False, border=0), *self._more()]
        if self.note:
            parts.append(f'<div style="opacity:.8;max-width:60em">{escape(self.note)}</div>')
        return (
            '<div style="border:1px solid #8884;border-radius:.4em;padding:.6em .9em;'
            f'display:inline-block;max-width:64em">{"".join(parts)}</div>'
        )

    def _more(self) -> list[str]:
        """How many rows of the table are not shown."""
        rows = 0 if self.table is None else len(self.table)
        return [f"… {rows - _ROWS} more rows"] if rows > _ROWS else []


class Carded:
    """What shows itself as its card: `repr` on a terminal, HTML in a notebook."""

    def card(self) -> Card:
        """What this is, in a dozen lines."""
        raise NotImplementedError

    def __repr__(self) -> str:
        try:
            return self.card().text()
        except Exception:  # parts are missing: a repr must never be the error that one sees
            return object.__repr__(self)

    def _repr_html_(self) -> str:
        return self.card().html()


def _lines(text: str, head: str) -> Iterable[str]:
    """Text in lines, the first after `head`, the others as far in."""
    return textwrap.wrap(text, _WIDTH, initial_indent=head, subsequent_indent=" " * len(head)) or [
        head.rstrip()
    ]
