"""Content hash of a data set: the same facts give the same fingerprint, however they were saved."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from forecast.sources.tables import TABLES, Coverage

__all__ = ["code_hash", "fingerprint_files", "fingerprint_tables", "fingerprint_values"]


def fingerprint_tables(
    tables: Mapping[str, pd.DataFrame],
    coverage: Mapping[str, Coverage],
    extra: Mapping[str, pd.DataFrame] | None = None,
) -> str:
    """SHA-256 over all tables and what they cover.

    Parameters
    ----------
    tables : mapping of str to pandas.DataFrame
        The seven tables. Row order and index do not matter, values do.
    coverage : mapping of str to Coverage
        Years that each table covers.
    extra : mapping of str to pandas.DataFrame, optional
        Tables that the data set has besides.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for name in TABLES:
        frame = tables[name]
        digest.update(_header(name, frame, coverage[name]))
        lines = frame.to_csv(index=False, header=False, lineterminator="\n").splitlines()
        digest.update("\n".join(sorted(lines)).encode())
    for name, frame in sorted((extra or {}).items()):
        digest.update(_header(name, frame, coverage[name]))
        # Millions of dyad-years: a hash for each row is a hundred times faster than its text.
        rows = pd.util.hash_pandas_object(frame, index=False).to_numpy()
        digest.update(np.sort(rows).tobytes())
    return digest.hexdigest()


def _header(name: str, frame: pd.DataFrame, cover: Coverage) -> bytes:
    # What is not amended keeps the fingerprint that it had before there were amendments.
    own = [part for part in (dict(cover.columns), list(cover.amended_by)) if part]
    return json.dumps([name, list(frame.columns), cover.first, cover.last, *own]).encode()


def fingerprint_values(**values: object) -> str:
    """SHA-256 of some named JSON values, independent of their order.

    Parameters
    ----------
    **values
        Anything that JSON can hold.
    """
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def fingerprint_files(root: Path, paths: Iterable[Path]) -> str:
    """SHA-256 over names and content of files below a folder."""
    digest = hashlib.sha256()
    for path in sorted(paths):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(root).as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


@cache
def code_hash(*folders: str) -> str:
    """SHA-256 of the code in folders of the package: another version makes other values."""
    package = Path(__file__).parent.parent
    return fingerprint_files(package, (p for f in folders for p in (package / f).rglob("*.py")))
