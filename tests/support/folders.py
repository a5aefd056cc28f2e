"""Data sets on disk for the tests of the readers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from forecast.sources.tables import TABLES


def write_tables(
    folder: Path,
    frames: Mapping[str, pd.DataFrame],
    *,
    first: int = 1990,
    last: int = 2010,
) -> Path:
    """The frames as CSV files in the layout of the embedded data set, with a descriptor."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, frame in frames.items():
        text = frame.to_csv(index=False, lineterminator="\n", date_format="%Y-%m-%d")
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")
    package = {
        "name": "tiny",
        "title": "Tiny world",
        "version": "1",
        "licenses": [{"name": "CC0-1.0"}],
        "resources": [
            {"name": t, "path": f"{t}.csv", "coverage": {"first": first, "last": last}}
            for t in TABLES
        ],
    }
    (folder / "datapackage.json").write_text(json.dumps(package), encoding="utf-8")
    return folder


def edit_line(path: Path, line: int, old: str, new: str) -> None:
    """Replace `old` by `new` in one line (the header is line 1) and nowhere else."""
    lines = path.read_bytes().decode("utf-8").split("\n")
    assert old in lines[line - 1], (old, lines[line - 1])
    lines[line - 1] = lines[line - 1].replace(old, new, 1)
    path.write_text("\n".join(lines), encoding="utf-8")
