"""A forecaster that takes its time, so that there is a middle in which to kill it."""

import time
from dataclasses import dataclass

from forecast.evaluation.baselines import Climatology


@dataclass(frozen=True)
class Slow:
    name: str = "slow"

    def columns(self):
        return ()

    def fit(self, panel, *, seed, previous=None):
        time.sleep(0.3)
        return Climatology().fit(panel, seed=seed)
