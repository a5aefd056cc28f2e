"""What every check returns, and the rate at which it may fail a true model."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

__all__ = ["RATE", "CheckResult", "listed"]

RATE = 0.05
"""Rate at which a check that is a test fails a model that is true."""


@dataclass(frozen=True, eq=False)
class CheckResult:
    """Outcome of one check.

    Attributes
    ----------
    name : str
        Name in `CHECKS`.
    passed : bool or None
        Whether it met the thresholds that `text` states; None: not judged, `text` says why.
    table : pandas.DataFrame
        Its numbers.
    text : str
        What was checked, against which threshold, and what was found, in plain sentences.
    shown : object or None
        What `forecast.plot.check` draws; None: it has no figure.
    """

    name: str
    passed: bool | None
    table: pd.DataFrame
    text: str
    shown: Any = None

    def to_dict(self) -> dict[str, Any]:
        """Name, verdict, sentences and table as plain values."""
        return {
            "name": self.name,
            "passed": self.passed,
            "text": self.text,
            "table": [
                {
                    str(k): None if isinstance(v, float) and np.isnan(v) else v
                    for k, v in row.items()
                }
                for row in self.table.astype(object).to_dict(orient="records")
            ],
        }


def listed(names: Iterable[object]) -> str:
    """At most eight names, and how many more there are."""
    listed = [str(name) for name in names]
    return ", ".join(listed[:8]) + (f" and {len(listed) - 8} more" if len(listed) > 8 else "")
