"""Row-level forecasts of a backtest, read back from its folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from forecast.errors import DataError, MissingFileError

__all__ = ["complete_rows", "read_forecasts"]

_KEYS = ("horizon", "year", "ccode", "ccode_a", "ccode_b")
_NEEDED = ("horizon", "year", "outcome", "model", "probability")


def read_forecasts(folder: str | Path) -> pd.DataFrame:
    """Forecasts of every method on identical rows.

    Parameters
    ----------
    folder : str or Path
        Folder of ``forecast backtest --out`` or of ``backtest(out=…)``, while it runs or after;
        or one Parquet file of such rows.

    Returns
    -------
    pandas.DataFrame
        As `forecast.evaluation.backtest.Backtest.forecasts`. Rows that one of the methods could
        not forecast are left out for all, and counted in ``attrs["rows_left_out"]``.

    Raises
    ------
    MissingFileError
        There are no forecasts in the folder.
    DataError
        A file has not the columns of forecasts.
    """
    path = Path(folder)
    whole = [path] if path.is_file() else [path / "tables" / "forecasts.parquet"]
    files = [file for file in whole if file.is_file()]
    if not files:
        found = {d: sorted(d.glob("*.parquet")) for d in (path / "run" / "forecasts",
                                                          path / "forecasts")}  # fmt: skip
        files = next((names for names in found.values() if names), [])
    if not files:
        raise MissingFileError(
            f"{path} has no forecasts; expected the folder that `forecast backtest --out` wrote."
        )
    parts = []
    for file in files:
        part = pd.read_parquet(file)
        missing = [name for name in _NEEDED if name not in part]
        if missing:
            raise DataError(
                f"{file} lacks {', '.join(missing)}; found {', '.join(map(str, part))}."
            )
        parts.append(part)
    return complete_rows(pd.concat(parts, ignore_index=True))


def complete_rows(forecasts: pd.DataFrame) -> pd.DataFrame:
    """Rows that every method of their horizon has forecast, in the same order for each."""
    keys = [name for name in _KEYS if name in forecasts]
    usable = np.isfinite(forecasts["probability"]) & np.isfinite(forecasts["outcome"])
    known = forecasts[usable]
    wanted = forecasts.groupby("horizon")["model"].nunique()
    counts = known.groupby(keys)["model"].transform("nunique")
    kept = known[counts.to_numpy() == known["horizon"].map(wanted).to_numpy()]
    left_out = len(forecasts[keys].drop_duplicates()) - len(kept[keys].drop_duplicates())
    order = list(dict.fromkeys(forecasts["model"]))
    place = kept["model"].map({name: i for i, name in enumerate(order)})
    ordered = kept.assign(_place=place).sort_values(["_place", *keys], kind="stable")
    result: pd.DataFrame = ordered.drop(columns="_place").reset_index(drop=True)
    result.attrs["rows_left_out"] = left_out
    return result
