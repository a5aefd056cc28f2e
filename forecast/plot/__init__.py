"""One matplotlib figure per question, for notebooks and the report: ``fc.plot.reliability(…)``.

Every function takes a result or a table of one, draws into ``ax=`` if there is one, and gives the
figure. They need no pyplot: nothing is shown or kept open, and a notebook shows the figure that is
the value of a cell.
"""

from forecast.plot.calibration import calibration, check, ladder, murphy, pit, ratios, reliability
from forecast.plot.effects import coefficients, differences, gains, risks, scenario, slopes
from forecast.plot.intervals import intervals
from forecast.plot.mechanisms import mechanism
from forecast.plot.priors import prior
from forecast.plot.world import features, onsets, state_map

__all__ = [
    "calibration",
    "check",
    "coefficients",
    "differences",
    "features",
    "gains",
    "intervals",
    "ladder",
    "mechanism",
    "murphy",
    "onsets",
    "pit",
    "prior",
    "ratios",
    "reliability",
    "risks",
    "scenario",
    "slopes",
    "state_map",
]
