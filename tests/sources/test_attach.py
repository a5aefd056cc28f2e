"""Tables of official sources beside the embedded data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from forecast.errors import ArgumentError, MissingFileError, UnknownNameError
from forecast.features import FeatureRequest, compute_features
from forecast.panel.build import future_panel, load_panel
from forecast.panel_cache import panel_key
from forecast.sources.acquire import add
from forecast.sources.historical import attach
from forecast.sources.tables import Tables

SOURCE = {"troops": "us_troops_2024"}
LINES = (
    "countryname,year,ccode,troops_ad",
    "Norway,1953,385,208",
    "South Korea,2023,732,24437",
    "South Korea,2024,732,24515",
    "Japan,2024,740,0",
    "Vatican City,2024,327,7",
)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with invented figures of the source."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("FORECAST_DATA", str(folder))
    path = tmp_path / "troopdata-rebuild-country-year.csv"
    path.write_text("\n".join(LINES) + "\n")
    add("us_troops_2024", [path], cache=folder)
    return folder


def test_the_embedded_data_with_a_table_more(cache: Path, tables: Tables) -> None:
    more = attach(tables, SOURCE, cache=cache)
    assert set(more.extra) == {"troops"}
    assert more.fingerprint != tables.fingerprint
    assert (more.coverage["troops"].first, more.coverage["troops"].last) == (1953, 2024)
    assert any("1 rows left out: of states that" in n for n in more.coverage["troops"].notes)
    for table in ("states", "members", "conflicts", "capabilities"):
        pd.testing.assert_frame_equal(getattr(more, table), getattr(tables, table))
    assert attach(more, SOURCE, cache=cache).fingerprint == more.fingerprint


def test_a_panel_lags_it_and_the_future_keeps_it(cache: Path) -> None:
    panel = load_panel(years=(2024, 2025), population="contiguous", sources=SOURCE)
    request = FeatureRequest("troops", "us_troops", {}, side="max")
    row = {"ccode_a": 731, "ccode_b": 732}

    def of(data, year):
        chosen = data["year"] == year
        for name, code in row.items():
            chosen = chosen & (data[name] == code)
        return data["troops"].to_numpy()[chosen.to_numpy()]

    found = compute_features(panel, [request])
    assert np.isnan(of(found.data, 2025)).all()  # North Korea is not in the file: missing
    request = FeatureRequest("troops", "us_troops", {}, side="b")
    found = compute_features(panel, [request])
    assert of(found.data, 2024) == pytest.approx(np.log1p(24437))
    assert of(found.data, 2025) == pytest.approx(np.log1p(24515))
    ahead = compute_features(future_panel(panel, year=2027), [request])
    assert of(ahead.data, 2027) == pytest.approx(np.log1p(24515))


def test_the_key_of_a_panel_knows_it(cache: Path, tmp_path: Path) -> None:
    plain, more = panel_key([]), panel_key([], sources=SOURCE)
    assert plain != more
    path = tmp_path / "troopdata-rebuild-country-year.csv"
    path.write_text("\n".join(LINES[:-1]) + "\n")
    add("us_troops_2024", [path], cache=cache, replace=True)
    assert panel_key([], sources=SOURCE) != more


@pytest.mark.parametrize(
    ("sources", "error", "message"),
    [
        ({"troop": "us_troops_2024"}, UnknownNameError, "Did you mean 'troops'"),
        ({"troops": "us_troops"}, UnknownNameError, "Did you mean 'us_troops_2024'"),
        ({"troops": "vdem_16"}, ArgumentError, "this source provides regimes.*us_troops_2024"),
        ({"members": "atop_5_1"}, ArgumentError, "only data='historical' is put together from"),
        ({"regimes": "vdem_16"}, MissingFileError, "vdem_16"),
    ],
)
def test_bad_choices(
    cache: Path, sources: dict[str, str], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        load_panel(sources=sources)
