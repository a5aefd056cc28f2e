"""One matplotlib figure per question, for notebooks and the report: ``fc.plot.reliability(…)``.

Every function takes a result itself (a fit, effects, a backtest, a simulation), or a table of one,
draws into ``ax=`` if there is one, and gives the axes; sheets of several axes give the figure. They
need no pyplot: nothing is shown or kept open, and a notebook shows what is the value of a cell.
"""

from forecast.plot.answers import risks, rivals, scenario
from forecast.plot.calibration import calibration, check, ladder, murphy, pit, ratios, reliability
from forecast.plot.effects import coefficients, differences, effects, gains, slopes
from forecast.plot.hindcast import hindcast
from forecast.plot.intervals import intervals
from forecast.plot.mechanisms import mechanism
from forecast.plot.pair import history
from forecast.plot.priors import prior
from forecast.plot.world import features, onsets, state_map

__all__ = [
    "calibration",
    "check",
    "coefficients",
    "differences",
    "effects",
    "features",
    "gains",
    "hindcast",
    "history",
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
    "rivals",
    "scenario",
    "slopes",
    "state_map",
]
