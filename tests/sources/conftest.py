"""The tiny world as a folder of files."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from support.folders import write_tables


@pytest.fixture
def folder(tmp_path: Path, tiny_frames: dict[str, pd.DataFrame]) -> Path:
    """A valid data set on disk, fresh for each test, which may damage it."""
    return write_tables(tmp_path / "tiny", tiny_frames)
