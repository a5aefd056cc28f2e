"""Shared organisations: what counts as a member, both layouts, parity of the two real files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from forecast.errors import DataError
from forecast.sources.official import reader

read = reader("cow_igo").read

Write = Callable[..., Path]
KEY = ["ccode_a", "ccode_b", "year"]


def _counts(frame: pd.DataFrame) -> dict[tuple[int, ...], int]:
    return {tuple(row[:3]): row[3] for row in frame.itertuples(index=False, name=None)}


def test_observers_unknown_and_extinct_do_not_count(write: Write) -> None:
    path = write(
        "state_year_formatv3.csv",
        "ccode,year,state,nato,un,oas,ipu",
        "20,1950,canada,1,1,3,2",
        "2,1950,usa,1,1,1,1",
        "200,1950,uk,1,-9,-1,2",
        "2,1951,usa,1,1,1,1",
    )
    (reading,) = read({"state_years": path})
    # Canada is an observer of the OAS; British membership of the UN is not known.
    assert _counts(reading.frame) == {(2, 20, 1950): 3, (2, 200, 1950): 2, (20, 200, 1950): 2}
    # 1951 has one state: no pair, so no row, which is not a zero.
    assert (reading.first, reading.last) == (1950, 1950)


def test_the_dyadic_layout_counts_its_ones(write: Write) -> None:
    path = write(
        "dyadic_formatv3.csv",
        "ccode1,country1,ccode2,country2,year,dyadid,nato,un,oas",
        "2,usa,20,canada,1950,2020,1,1,0",
        "200,uk,2,usa,1950,2200,1,-9,-1",
    )
    (reading,) = read({"dyad_years": path})
    assert _counts(reading.frame) == {(2, 20, 1950): 2, (2, 200, 1950): 1}


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (("2,1950,usa,1,7",), r"igo\.csv, row 2, column 'un': found 7, expected one of -9, -1, 0"),
        (("2,1950,usa,1,x",), r"igo\.csv, .*column 'un': found 'x', expected a whole number"),
        (
            ("2,1950,usa,1,1", "2,1950,usa,1,1"),
            r"rows 2, 3: the key \(ccode=2, year=1950\) is there 2 times",
        ),
        (("2,1950,usa,1,1", "20,1950,canada,1"), r"row 3: found 4 fields, expected 5"),
    ],
)
def test_faulty_files_are_refused(write: Write, lines: tuple[str, ...], message: str) -> None:
    path = write("igo.csv", "ccode,year,state,nato,un", *lines)
    with pytest.raises(DataError, match=message):
        read({"state_years": path})


def test_a_missing_key_column_is_named(write: Write) -> None:
    with pytest.raises(DataError, match="row 1: the column 'year' is missing"):
        read({"state_years": write("igo.csv", "ccode,state,nato", "2,usa,1")})


@pytest.mark.reference
def test_both_real_files_give_the_same_counts(reference: Path) -> None:
    """Full and associate members: so the authors' dyadic counts come out in every pair and year."""
    folder = reference / "processed"
    (wide,) = read({"state_years": folder / "cow_igo_state_year_format3.csv.gz"})
    (pairs,) = read({"dyad_years": folder / "cow_igo_ndy.csv.gz"})
    assert (wide.first, wide.last, len(wide.frame)) == (1816, 2014, 917_695)
    assert (pairs.first, pairs.last) == (1816, 2014)
    one, two = (r.frame.sort_values(KEY).reset_index(drop=True) for r in (wide, pairs))
    pd.testing.assert_frame_equal(one, two)
