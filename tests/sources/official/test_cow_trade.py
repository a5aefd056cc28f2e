"""Trade: which flow is whose import, missing and zero, the real national file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from forecast.errors import DataError
from forecast.sources.official import reader

read = reader("cow_trade").read

Write = Callable[..., Path]

#: Header of Dyadic_COW_4.0.csv.
DYADIC = (
    "ccode1,ccode2,year,importer1,importer2,flow1,flow2,smoothflow1,smoothflow2,smoothtotrade,"
    "spike1,spike2,dip1,dip2,trdspike,tradedip,bel_lux_alt_flow1,bel_lux_alt_flow2,"
    "china_alt_flow1,china_alt_flow2,source1,source2,version"
)
TAIL = "9,9,18,0,0,0,0,0,0,-9,-9,-9,-9,1,1,4"


def test_flows_are_imports_of_the_state_of_their_number(write: Write) -> None:
    path = write(
        "Dyadic_COW_4.0.csv",
        DYADIC,
        f"2,20,1920,United States of America,Canada,611.86,735.48,{TAIL}",
        f"200,2,1920,United Kingdom,United States of America,5,-9,{TAIL}",
        f"2,31,1920,United States of America,Bahamas,-9,-9,{TAIL}",
        f"2,41,1920,United States of America,Haiti,0,0,{TAIL}",
    )
    (reading,) = read({"dyadic": path})
    frame = reading.frame.set_index(["ccode_a", "ccode_b"])
    # The United States imports from Canada, and Canada from the United States.
    assert frame.loc[(2, 20), ["imports_a", "imports_b"]].tolist() == [611.86, 735.48]
    # flow1 is the import of ccode1, here the larger number.
    assert pd.isna(frame.loc[(2, 200), "imports_a"])
    assert frame.loc[(2, 200), "imports_b"] == 5
    # Missing is left out, none is zero.
    assert (2, 31) not in frame.index
    assert frame.loc[(2, 41), ["imports_a", "imports_b"]].tolist() == [0, 0]
    assert (reading.table, reading.first, reading.last) == ("dyadic_trade", 1920, 1920)


def test_the_official_national_layout(write: Write) -> None:
    path = write(
        "National_COW_4.0.csv",
        "ccode,statename,stateabb,year,imports,exports,alt_imports,alt_exports,source1,source2,v",
        "2,United States of America,USA,1870,450,418,-9,-9,1,1,4",
        "40,Cuba,CUB,1902,-9,12.5,-9,-9,1,1,4",
    )
    frame = read({"national": path})[0].frame
    assert frame["imports"].tolist()[0] == 450
    assert frame["imports"].isna().tolist() == [False, True]
    assert frame["exports"].tolist() == [418, 12.5]


def test_a_negative_flow_that_is_not_the_code_is_refused(write: Write) -> None:
    path = write("n.csv", "ccode,year,imports,exports", "2,1870,-3,4")
    with pytest.raises(DataError, match=r"n\.csv, row 2, column 'imports': found -3\.0"):
        read({"national": path})


@pytest.mark.reference
def test_the_real_national_table(reference: Path) -> None:
    (reading,) = read({"national": reference / "processed" / "cow_trade_sy.csv.gz"})
    assert (len(reading.frame), reading.first, reading.last) == (14_410, 1870, 2014)
    assert reading.frame["imports"].isna().sum() == 1548
