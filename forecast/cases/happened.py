"""What happened in the years of a hindcast: disputes on record between pairs, by severity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from forecast.simulation.levels import LEVELS
from forecast.simulation.severity import levels_reached

if TYPE_CHECKING:
    from forecast.sources.tables import Tables

__all__ = ["Happened"]

Pair = tuple[int, int]
#: Conflicts of a set that are told one by one.
_TOLD = 6


class Happened:
    """Onsets on record in some years, and how far they went; nothing past what the data cover.

    `until`: last of the years that the conflicts cover (before `first` if they cover none).
    """

    def __init__(self, tables: Tables, first: int, last: int) -> None:
        self.tables, self.first = tables, first
        self.last, self.until = last, min(last, tables.coverage["conflicts"].last)
        came = levels_reached(tables, last=tables.coverage["conflicts"].last).reset_index()
        came = came[came["year"].between(first, self.until)].assign(onset=1.0)
        #: Highest that any dispute of a pair came to: 1, 0, or NaN where that is not known.
        self._by_pair = came.groupby(["ccode_a", "ccode_b"])[list(LEVELS)].agg(_any)

    def pairs(self, pairs: Sequence[Pair]) -> dict[str, float]:
        """By level whether any of the pairs had such an onset: 1, 0, NaN if not known."""
        found = {level: _any(values) for level, values in self._of(pairs).items()}
        if self.until < self.last:  # a dispute that came is known, one that did not is not yet
            found = {level: came if came == 1 else np.nan for level, came in found.items()}
        return {str(level): came for level, came in found.items()}

    def counts(self, pairs: Sequence[Pair]) -> pd.DataFrame:
        """By level the number of pairs with such an onset, and of those that are not known."""
        found = self._of(pairs)
        return pd.DataFrame(
            {"observed": (found == 1).sum(), "unknown": found.isna().sum()}, index=list(LEVELS)
        )

    def events(self, pairs: Sequence[Pair]) -> str:
        """The conflicts that began between any of the pairs, with their first year."""
        table = self.tables.conflicts
        year = table["start"].dt.year
        keys = pd.MultiIndex.from_frame(table[["ccode_a", "ccode_b"]])
        ours = table[year.between(self.first, self.until) & keys.isin(list(pairs))]
        names = [
            f"{row.name} ({row.start.year})"
            for row in ours.assign(name=ours["name"].fillna(ours["conflict_id"]))
            .sort_values("start", kind="stable")
            .drop_duplicates("conflict_id")[["name", "start"]]
            .itertuples(index=False)
        ]
        more = len(names) - _TOLD
        return "; ".join(names[:_TOLD]) + (f"; and {more} more" if more > 0 else "")

    def _of(self, pairs: Sequence[Pair]) -> pd.DataFrame:
        return self._by_pair[self._by_pair.index.isin(list(pairs))]


def _any(values: pd.Series) -> float:
    """1 if any is, NaN if that hangs on one that is not known, else 0."""
    if (values == 1).any():
        return 1.0
    return float("nan") if values.isna().any() else 0.0
