"""One matplotlib figure per question, for notebooks and the report: ``fc.plot.reliability(…)``.

Every function takes a result or a table of one, draws into ``ax=`` if there is one, and gives the
figure. They need no pyplot: nothing is shown or kept open, and a notebook shows the figure that is
the value of a cell.
"""

from forecast.plot.calibration import calibration, ladder, murphy, pit, ratios, reliability
from forecast.plot.checks import check
from forecast.plot.effects import coefficients, differences, gains, slopes
from forecast.plot.futures import risks, scenario
from forecast.plot.history import features, onsets
from forecast.plot.intervals import intervals
from forecast.plot.world import state_map

__all__ = [
    "calibration",
    "check",
    "coefficients",
    "differences",
    "features",
    "gains",
    "intervals",
    "ladder",
    "murphy",
    "onsets",
    "pit",
    "ratios",
    "reliability",
    "risks",
    "scenario",
    "slopes",
    "state_map",
]
