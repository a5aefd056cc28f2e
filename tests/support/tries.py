"""How many tries a property test makes: a hundred in every run, ten thousand at night."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

__all__ = ["TRIES", "hostile"]

#: Tries of one property; the nightly lane sets FORECAST_TRIES=10000.
TRIES = int(os.environ.get("FORECAST_TRIES", "100"))

#: The same tries in every run, as many as `TRIES`, however slow one is.
hostile = settings(
    max_examples=TRIES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
