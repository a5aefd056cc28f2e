"""The page in a real browser: no error, no request, sorting, filters, map, dark, print."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.findings import make_findings, make_severe

from forecast.report import Report, report

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        message = "no chromium on PATH"
        if os.environ.get("FORECAST_REQUIRE_ALL"):
            pytest.fail(message)
        pytest.skip(message)
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
        )
        yield opened
        opened.close()


@pytest.fixture
def page(browser: Any, written: Report) -> Iterator[Any]:
    """The page at 1280 px; fails at the end if it logged an error or asked for anything."""
    tab = browser.new_page(viewport={"width": 1280, "height": 900})
    errors: list[str] = []
    requests: list[str] = []
    tab.on("console", lambda m: errors.append(m.text) if m.type in ("error", "warning") else None)
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.on("request", lambda request: requests.append(request.url))
    address = written.page.as_uri()
    tab.goto(address)
    yield tab
    tab.close()
    assert errors == []
    assert [url for url in requests if url != address and not url.startswith("data:")] == []


def _column(page: Any, number: int) -> list[str]:
    return [str(text).strip() for text in page.locator(
        f"#risks tbody tr > *:nth-child({number})").all_inner_texts()]  # fmt: skip


def _percent(text: str) -> float:
    return float(text.rstrip("%×").lstrip("<"))


def test_script_shows_what_the_file_shows(page: Any, browser: Any, written: Report) -> None:
    context = browser.new_context(java_script_enabled=False)
    plain = context.new_page()
    plain.goto(written.page.as_uri())
    cells = "#risks tbody tr"
    assert plain.locator(cells).count() == 25
    assert plain.locator(cells).all_inner_texts() == page.locator(cells).all_inner_texts()
    styles = "es => es.map(e => e.getAttribute('style'))"
    bars = "es => es.map(e => ['--l', '--p', '--u', '--b'].map(k => e.style.getPropertyValue(k)))"
    assert plain.locator("#risks .range").count() == 25
    with_script = page.locator("#risks .range").evaluate_all(bars)
    without = [
        [part.split(":")[1] for part in str(style).rstrip(";").split(";")]
        for style in plain.locator("#risks .range").evaluate_all(styles)
    ]
    assert with_script == without
    context.close()


def test_sorting_by_every_column_with_the_keyboard(page: Any) -> None:
    probabilities = [_percent(text) for text in _column(page, 2)]
    assert probabilities == sorted(probabilities, reverse=True)
    buttons = page.locator("#risks thead button")
    for i in range(buttons.count()):
        button = buttons.nth(i)
        for _ in range(2):
            button.focus()
            page.keyboard.press("Enter")
            head = button.locator("xpath=..")
            assert head.get_attribute("aria-sort") in ("ascending", "descending")
            assert page.locator("#risks th[aria-sort=ascending], #risks th[aria-sort=descending]"
                                ).count() == 1  # fmt: skip
    page.locator("button[data-key='pair']").click()
    names = _column(page, 1)
    assert names == sorted(names, key=str.lower)
    page.locator("button[data-key='base']").click()
    rates = [_percent(text) for text in _column(page, 5)]
    assert rates == sorted(rates, reverse=True)
    page.locator("button[data-key='base']").click()
    rates = [_percent(text) for text in _column(page, 5)]
    assert rates == sorted(rates)


def test_filters_and_more_rows(page: Any) -> None:
    assert page.locator("#risks tbody tr").count() == 25
    page.locator("#more").click()
    assert page.locator("#risks tbody tr").count() == 50
    page.locator("#text").fill("bela fyra")
    assert _column(page, 1) == ["Bela – Fyra"]
    page.locator("#text").fill("")
    page.locator("#region").select_option("Oceania")
    assert all("Fyra" in name for name in _column(page, 1))
    assert page.locator("#shown").inner_text().startswith("13 of 13")
    page.locator("#region").select_option("")
    page.locator("#relevance").select_option("politically relevant")
    relevant = page.locator("#shown").inner_text()
    page.locator("#relevance").select_option("remote")
    remote = page.locator("#shown").inner_text()
    assert sum(int(text.split(" of ")[1].split()[0]) for text in (relevant, remote)) == 89


def test_what_is_under_way_leads_and_every_pair_is_found(page: Any) -> None:
    going = page.locator("#going > figure tbody tr")
    assert going.count() == 2
    assert going.first.inner_text().startswith("Arvo – Cora\t2009-03\t101–250\t64%")
    assert "Arvo – Bela" in page.locator("#going details tbody").text_content()
    assert page.locator("#shown").inner_text().startswith("25 of 89")
    assert "Arvo – Cora" not in _column(page, 1)
    assert "ended 2010-05-10" in _column(page, 8)
    # By name, code or beginning, accents or none: also what is under way, in words of its own.
    for text in ("arvo cora", "Cora–ARVO", "arv ind", "cór fra"):
        page.locator("#text").fill(text)
        assert _column(page, 1) == ["Arvo – Cora"]
    assert _column(page, 2)[0].startswith("further ")
    assert _column(page, 8) == ["under way since 2009-03; still at the end: 64%"]
    page.locator("#text").fill("")
    page.locator("#standing").select_option("under way")
    assert len(_column(page, 1)) == 2
    page.locator("#standing").select_option("all")
    assert page.locator("#shown").inner_text().startswith("25 of 91")


def test_horizon_switch_changes_numbers_and_words(page: Any) -> None:
    one = [_percent(text) for text in _column(page, 2)]
    page.locator("input[name=horizon][value='2']").check()
    five = [_percent(text) for text in _column(page, 2)]
    assert all(y > x for x, y in zip(one, five, strict=True))
    assert page.locator("#span").inner_text() == "in 2011–2015"


def test_map_answers_pointer_and_keyboard(page: Any) -> None:
    page.locator('[data-name="Cora"]').hover()
    tip = page.locator("#tip")
    assert "Cora" in tip.inner_text() and "90% equal-tailed interval" in tip.inner_text()
    one = tip.inner_text()
    page.locator("svg.world").focus()
    page.keyboard.press("Escape")
    page.keyboard.press("ArrowRight")
    assert "Arvo" in tip.inner_text()
    page.locator("input[name=year][value='5']").check()
    page.locator('[data-name="Cora"]').hover()
    assert tip.inner_text() != one and "2011–2015" in tip.inner_text()
    fill = "e => getComputedStyle(e).fill"
    assert page.locator('[data-name="Cora"]').evaluate(fill) != "rgb(0, 0, 0)"
    page.locator("svg.world path.none").first.dispatch_event("pointerover", {"bubbles": True})
    assert "no value" in tip.inner_text()


def test_dark_and_light(page: Any) -> None:
    background = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(background)
    page.emulate_media(color_scheme="dark")
    dark = page.evaluate(background)
    assert dark != light
    page.locator("#theme").click()
    assert page.evaluate(background) == light
    page.locator("#theme").click()
    assert page.evaluate(background) == dark


def test_print_opens_details_and_hides_controls(page: Any) -> None:
    assert page.locator("details[open]").count() == 0
    page.emulate_media(media="print")
    assert not page.locator(".controls").first.is_visible()
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details:not([open])").count() == 0
    assert len(page.pdf(format="A4")) > 20_000
    page.evaluate("dispatchEvent(new Event('afterprint'))")


@pytest.mark.parametrize("width", [420, 1280])
def test_no_sideways_scrolling(page: Any, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_how_bad_switches_table_and_map(browser: Any, tmp_path: Path) -> None:
    written = report(make_findings(**make_severe()), tmp_path / "severe")
    tab = browser.new_page(viewport={"width": 1280, "height": 900})
    errors: list[str] = []
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.goto(written.page.as_uri())
    # What the file shows without a script is the level that leads.
    severe = [_percent(text) for text in _column(tab, 2)]
    assert tab.locator("input[name=level]:checked").get_attribute("value") == "deaths_25"
    assert "more than 25 deaths" in tab.locator("#of").inner_text()
    tab.locator("input[name=level][value=onset]").check()
    every = [_percent(text) for text in _column(tab, 2)]
    assert max(every) == pytest.approx(4 * max(severe), rel=0.05)
    # Fighting brings the pairs under way to the top, with no base rate of a beginning.
    assert "under way" not in " ".join(_column(tab, 8))
    tab.locator("input[name=level][value=fighting]").check()
    assert _column(tab, 2)[0] == "75%" and _column(tab, 5)[0] == "–"
    assert _column(tab, 8)[0].startswith("under way")
    assert tab.locator("#world > [data-level]:visible").get_attribute("data-level") == "deaths_25"
    tab.locator("input[name=map-level][value=onset]").check()
    assert tab.locator("#world > [data-level]:visible").get_attribute("data-level") == "onset"
    tab.close()
    assert errors == []
