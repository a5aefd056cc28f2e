from __future__ import annotations

import pytest
from support.findings import make_findings

from forecast.report import Findings, Report, report


@pytest.fixture(scope="session")
def findings() -> Findings:
    return make_findings()


@pytest.fixture(scope="session")
def written(findings: Findings, tmp_path_factory: pytest.TempPathFactory) -> Report:
    """A first report, not to be changed."""
    return report(findings, tmp_path_factory.mktemp("report") / "out")
