"""Shared bench: loads the columns, runs a named variant, appends its scores to the log."""

from __future__ import annotations

import json
import pickle
import sys

import numpy as np
from ridge import Design, Effects, backtest, spline
from rows import FOLDER, Rows, line, load, paired, scores

LOG = FOLDER / "log.jsonl"
COLUMNS = FOLDER / "columns.pkl"


def table(light: bool = True) -> Rows:
    """Rows with all candidate columns; `light` leaves the tensors out."""
    if light:
        with COLUMNS.open("rb") as file:
            columns = pickle.load(file)
        with (FOLDER / "codes.pkl").open("rb") as file:
            world = pickle.load(file)
        return Rows(columns, world, {})
    rows = load()
    with COLUMNS.open("rb") as file:
        rows.columns.update(pickle.load(file))
    return rows


def run(
    rows: Rows,
    stage: str,
    name: str,
    design: Design,
    effects: Effects | None = None,
    against: np.ndarray | None = None,
    note: str = "",
    log: bool = True,
    **options,
) -> np.ndarray:
    """Backtest 1960-1990, print and log the scores."""
    p, _ = backtest(rows, design, effects, **options)
    s = scores(rows, p, options.get("first", 1960), options.get("last", 1990))
    extra = "" if against is None else " | " + paired(rows, against, p, 1960, 1990)
    report(stage, name, s, extra, note, log)
    return p


def report(
    stage: str,
    name: str,
    s: dict[str, float],
    extra: str = "",
    note: object = "",
    log: bool = True,
) -> None:
    """Print scores and log them."""
    sys.stdout.write(line(name, s) + extra + "\n")
    sys.stdout.flush()
    if log:
        with LOG.open("a") as file:
            file.write(json.dumps({"stage": stage, "name": name, "note": note, **s}) + "\n")


def log_columns(design: Design, rows: Rows, names, prefix: str = "") -> None:
    """log1p of each."""
    for name in names:
        design.add(prefix + name, np.log1p(rows[name]))


def add_spline(
    design: Design, name: str, x: np.ndarray, knots, sd: float = 1.0, by=None, by_name=""
) -> None:
    """Cardinal natural cubic spline columns, optionally multiplied by another column."""
    missing = np.isnan(x)
    basis = spline(np.where(missing, np.nanmedian(x), x), knots)
    for k in range(basis.shape[1]):
        column = basis[:, k] * (1 if by is None else by)
        column = np.where(missing, np.nan, column) if False else column
        design.add(f"{name}{by_name}[{k}]", column, sd, scale=False)
    if missing.any() and by is None:
        design.add(f"{name}:unknown", missing.astype(float), sd)
