from __future__ import annotations

import csv
import io
import re

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.tries import hostile

from forecast.csv_text import as_csv

#: How a reader has the text as it was, by the rule of the module.
APOSTROPHE = re.compile(r"^'(?='*[=+\-@\t\r\n＝＋－＠])")
CELLS = st.text(st.one_of(st.sampled_from("=+-@'\t\r\n, \"0.5e%|＝"), st.characters(codec="utf-8")))


def _cells(content: bytes) -> list[str]:
    rows = csv.reader(io.StringIO(content.decode(), newline=""), strict=True)
    return [row[0] if row else "" for row in rows][1:]


@given(st.lists(CELLS, min_size=1))
@hostile
def test_no_cell_runs_and_the_text_can_be_had_again(texts: list[str]) -> None:
    written = _cells(as_csv(pd.DataFrame({"text": texts, "number": range(len(texts))})))
    for cell in written:
        number = re.fullmatch(r"[+\-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+\-]?[0-9]+)?%?", cell)
        assert number or not cell or cell[0] not in "=+-@\t\r\n＝＋－＠"
    assert [APOSTROPHE.sub("", cell) for cell in written] == texts


@pytest.mark.parametrize(
    "text", ["-0.5", "+3", "-1e-05", "-12.5%", "India–Pakistan", "'t Hooft", "a=b"]
)
def test_numbers_and_names_stay(text: str) -> None:
    assert _cells(as_csv(pd.DataFrame({"text": [text]}))) == [text]


def test_what_a_spreadsheet_would_run_is_text() -> None:
    table = pd.DataFrame(
        {"name": ["=cmd|' /C calc'!A0", "@SUM(A1)", "+1+1", None], "rate": [-0.5, 1.0, 2.0, 3.0],
         "kind": pd.Categorical(["-x", "y", "y", "y"]), "many": [["=1"], [], [], []]}
    )  # fmt: skip
    back = pd.read_csv(io.BytesIO(as_csv(table)))
    assert back["name"].tolist()[:3] == ["'=cmd|' /C calc'!A0", "'@SUM(A1)", "'+1+1"]
    assert back["name"].isna().tolist() == [False, False, False, True]
    assert back["rate"].tolist() == [-0.5, 1.0, 2.0, 3.0]
    assert back["kind"][0] == "'-x"
    assert as_csv(table.iloc[:0]) == b"name,rate,kind,many\n"
