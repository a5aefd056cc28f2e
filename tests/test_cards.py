"""Cards: what an object shows of itself fits on a screen, and harms no page."""

import pandas as pd
import pytest

import forecast as fc
from forecast.cards import Card
from forecast.evaluation.check_tables import CheckResult

WIDEST, LONGEST = 100, 30


def test_text_and_html_of_a_card() -> None:
    card = Card(
        "Title",
        [("name", "a value " * 30), ("other", "<b>")],
        [(True, "held"), (False, "did not"), (None, "not judged")],
        pd.DataFrame({"x": range(20)}),
        "A note.",
    )
    lines = card.text().splitlines()
    assert lines[0] == "Title"
    assert max(map(len, lines)) <= WIDEST
    assert [line.strip() for line in lines if line[2:3] in ("✓", "✗", "–")] == [
        "✓ held", "✗ did not", "– not judged",
    ]  # fmt: skip
    assert "… 8 more rows" in lines
    html = card.html()
    assert "&lt;b&gt;" in html
    assert "<script" not in html
    assert "… 8 more rows" in html


@pytest.mark.parametrize("of", ["fit", "panel", "scenario", "empty scenario", "check"])
def test_everything_fits_on_a_screen(of: str, known_fit) -> None:
    shown = {
        "fit": known_fit,
        "panel": known_fit.panel,
        "scenario": fc.Scenario("Ukraine in NATO").join("NATO", ["UKR"], 2027),
        "empty scenario": fc.Scenario("nothing yet"),
        "check": CheckResult("loo", None, pd.DataFrame(), "Not judged."),
    }[of]
    lines = repr(shown).splitlines()
    assert len(lines) <= LONGEST
    assert max(map(len, lines)) <= WIDEST
    assert len(shown._repr_html_()) < 6_000


def test_a_fit_says_rows_method_vintage_and_gate(known_fit) -> None:
    text = repr(known_fit)
    for part in ("63,539", "1990–2025", "laplace, 200 draws, seed 11", "✓ Passes", "0.1.0"):
        assert part in text
    assert known_fit.id[:12] in text
