"""The findings of the report's tests are what the figures are drawn from."""

import pytest
from support.findings import make_backtest

from forecast.evaluation.calibration_record import CalibrationRecord, record_of


@pytest.fixture(scope="session")
def record() -> CalibrationRecord:
    return record_of(make_backtest(), resamples=5)
