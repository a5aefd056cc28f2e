"""Every figure shows what its table holds, in axes of its own or in those it is given."""

from __future__ import annotations

import io
import re

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from support.findings import make_backtest, make_checks, make_fit, make_risks, make_simulation

import forecast as fc
from forecast import plot
from forecast.errors import ArgumentError, UnknownNameError
from forecast.evaluation.yearly_counts import ladder_table
from forecast.plot.intervals import BLUE, Picture, new_axes, themed_svg
from forecast.plot.world import EXTENTS, geometry, rings

EDITS = ("ARV leave North Pact on 2011-01-01",)


def labels(ax) -> list[str]:
    return [text.get_text() for text in ax.get_yticklabels()]


def dots(ax) -> list[tuple[float, float, str]]:
    """Value, place and face of every dot with an interval."""
    return [
        (float(x), float(y), to_hex(line.get_markerfacecolor()))
        for line in ax.lines
        if line.get_linestyle() == "None" and line.get_marker() in "oDs"
        for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)
    ]


# Rows with intervals ----------------------------------------------------------------------------


def test_intervals_draw_finite_rows_only_and_fill_what_is_clear() -> None:
    table = pd.DataFrame(
        {
            "label": ["a", "b", "c", "d"],
            "value": [1.0, np.nan, 0.2, -3.0],
            "lower": [0.5, np.nan, -1.0, -4.0],
            "upper": [2.0, np.nan, 1.0, -2.0],
        }
    )
    ax = fc.plot.intervals(table, axis="points")
    assert labels(ax) == ["a", "b", "c", "d"] and ax.get_xlabel() == "points"
    assert sorted(dots(ax)) == [(-3.0, 3.0, BLUE), (0.2, 2.0, "#ffffff"), (1.0, 0.0, BLUE)]
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # from the top down
    ax = plot.intervals(table, reference=None)
    assert {face for *_, face in dots(ax)} == {BLUE}


def test_headings_head_their_rows_and_series_share_a_line() -> None:
    table = pd.DataFrame(
        {"heading": ["x", "x", "y"], "label": ["a", "a", "a"], "series": ["old", "new", "old"],
         "value": 1.0, "lower": 0.5, "upper": 2.0, "mark": 1.5, "back_lower": 0.1,
         "back_upper": 3.0}
    )  # fmt: skip
    ax = plot.intervals(table, log=True, reference=1.0)
    assert labels(ax) == ["x", "a", "y", "a"]
    assert [t.get_fontweight() for t in ax.get_yticklabels()] == ["bold", "normal"] * 2
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["old", "new"]
    assert sorted(y for _, y, _ in dots(ax)) == pytest.approx([0.87, 1.13, 2.87])
    assert {"0.5", "1", "2"} <= {t.get_text() for t in ax.get_xticklabels()}


def test_a_figure_is_drawn_where_it_is_asked_for_and_shown_by_a_notebook(record) -> None:
    (ax,) = new_axes(1, 1, (4.0, 3.0))
    assert plot.murphy(record.murphy, ax=ax) is ax
    assert len(ax.figure.axes) == 1 and isinstance(ax.figure, Picture)
    assert ax._repr_png_()[:4] == b"\x89PNG"  # the figure that it is in


# Calibration ------------------------------------------------------------------------------------


def test_reliability_shows_curve_band_and_bands_that_are_not_empty(record) -> None:
    curve, bands = record.reliability.curve, record.bands[record.bands["stratum"] == "all"]
    ax = plot.reliability(record)
    assert ax.get_xscale() == ax.get_yscale() == "log"
    np.testing.assert_allclose(ax.lines[1].get_xdata(), np.sort(curve["forecast"]))
    (bars,) = (c for c in ax.containers if hasattr(c, "has_yerr"))
    assert len(bars[0].get_xdata()) == (bands["rows"] >= 20).sum() > 3
    assert "95% consistency band" in [t.get_text() for t in ax.get_legend().get_texts()]
    ax = plot.reliability(record.reliability)
    assert len(ax.get_legend().get_texts()) == 2


def test_the_sheet_of_a_record_shows_what_the_tables_hold(record) -> None:
    figure = plot.calibration(record)
    reliability, ratios, murphy, pit = figure.axes
    np.testing.assert_allclose(
        reliability.lines[1].get_xdata(), record.reliability.curve["forecast"]
    )
    seen = int(record.ratios.set_index("group").loc["quiet", "observed"])
    assert labels(ratios)[:2] == ["All", f"all pairs ({record.events} of 1\u202f000)"]
    assert any(text.startswith(f"an old conflict ({seen} of ") for text in labels(ratios))
    np.testing.assert_allclose(murphy.lines[-1].get_ydata(), 1e4 * record.murphy["score"])
    np.testing.assert_allclose(pit.lines[-1].get_ydata(), np.sort(record.counts["pit"]))
    assert f"{record.rows:,} dyad-years of {record.years}" in figure.get_suptitle()
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=40)
    assert out.tell() > 5000


def test_murphy_without_climatology_has_one_curve(record) -> None:
    assert len(plot.murphy(record.murphy).lines) == 2
    alone = record.murphy.drop(columns=["reference", "skill"])
    ax = plot.murphy(alone)
    assert [line.get_label() for line in ax.lines] == ["this model"]


def test_years_outside_of_the_band_are_named(record) -> None:
    counts = record.counts.assign(pit=[0.99, 0.98, 0.97, 0.96, 0.955])
    named = [t.get_text() for t in plot.pit(counts, level=0.95).texts]
    assert named == ["2010", "2009", "2008", "2007"]  # the largest of five may be so large


def test_the_ladder_shows_observed_and_expected(record) -> None:
    rng = np.random.default_rng(1)
    rows = pd.DataFrame({"relevance": rng.choice(["relevant", "remote"], 400)})
    for k, name in enumerate(("onset", "fatal", "deaths_25", "deaths_1000")):
        rows[name] = 0.2 / (k + 1)
        rows[f"is_{name}"] = (rng.random(400) < 0.2 / (k + 1)).astype(float)
    table = ladder_table(rows, level=0.9)
    ax = plot.ladder(table, level=0.9)
    assert labels(ax)[:5] == [
        "All pairs", "any conflict", "a death or more", "more than 25 deaths",
        "1,000 deaths or more",
    ]  # fmt: skip
    assert sorted(x for x, *_ in dots(ax)) == sorted(table["observed"].astype(float))
    (ticks,) = (line for line in ax.lines if line.get_marker() == "|")
    np.testing.assert_allclose(ticks.get_xdata(), table["expected"])


def test_checks_have_their_figures_or_say_that_they_have_none() -> None:
    first, predictive, unjudged = make_checks()
    ax = plot.check(predictive)
    assert labels(ax) == ["onsets a year", "share without"]
    for one in (first, unjudged):
        with pytest.raises(ArgumentError, match="has no figure"):
            plot.check(one)


# Effects ----------------------------------------------------------------------------------------


def test_differences_are_of_all_pairs_and_then_by_peace() -> None:
    table = make_backtest().differences
    ax = plot.differences(table, method=str.upper)
    assert labels(ax)[0] == "All pairs" and labels(ax)[1].startswith("against DYAD_ONSET")
    assert any(text.startswith("Peace ") for text in labels(ax))
    own = table[(table["score"] == "log_loss") & table["kind"].isin(["all", "peace"])]
    assert sorted(x for x, *_ in dots(ax)) == pytest.approx(sorted(1e4 * own["mean"]))


def test_coefficients_stand_before_their_priors() -> None:
    fit = make_fit()
    ax = plot.coefficients(fit)
    table = fit.summary()
    table = table[table["kind"] == "coefficient"]
    shown = table[~table["column"].str.contains(":") & (table["column"] != "intercept")]
    assert len(dots(ax)) == len(shown)
    assert "own expansion" in " ".join(labels(ax)) or "defence pact" in labels(ax)
    first = shown.iloc[0]
    mean, sd = map(float, re.findall(r"[-\d.]+", first["prior"]))
    back = ax.collections[0].get_segments()[0]
    assert back[:, 0].tolist() == pytest.approx([mean - 1.645 * sd, mean + 1.645 * sd], rel=1e-3)


# What is to come --------------------------------------------------------------------------------


def test_a_scenario_shows_named_pairs_and_then_others() -> None:
    result = make_simulation("Arvo leaves", EDITS)
    ax = plot.scenario(result, named=[10], top=3)
    assert labels(ax)[0] == "Pairs with a state named in the edits"
    assert labels(ax)[1] == "Arvo – Bela (92% → 97%)" and len(labels(ax)) == 8
    assert labels(ax)[4] == "Third pairs (spill-overs)"
    assert [x for x, *_ in dots(ax)[:3]] == pytest.approx([5.0] * 3, abs=1e-4)
    ax = plot.scenario(result, by="state", top=2)
    assert labels(ax)[0].startswith("Arvo (") and len(labels(ax)) == 2
    with pytest.raises(ArgumentError, match="no scenario"):
        plot.scenario(make_simulation())
    with pytest.raises(UnknownNameError, match="999"):
        plot.scenario(result, named=[999])


def test_risks_stand_beside_their_base_rates() -> None:
    table = make_risks()[:30]
    ax = plot.risks(table)
    last = table[table["horizon"] == 5].sort_values("probability", ascending=False)
    (ticks,) = (line for line in ax.lines if line.get_marker() == "|")
    np.testing.assert_allclose(ticks.get_xdata(), 100 * last["base_rate"])
    assert labels(ax)[0] == "Arvo – Bela" and "Arvo – Cora *" in labels(ax)
    assert "2011–2015" in ax.get_xlabel()
    assert ax.get_title(loc="left") == ""
    most = plot.risks(table, top=2)
    assert [text.removesuffix(" *") for text in labels(most)] == list(
        (last["state_a"] + " – " + last["state_b"]).head(2)
    )
    assert most.get_title(loc="left") == f"The likeliest 2 of {len(last)} pairs"
    with pytest.raises(ArgumentError, match="top=0"):
        plot.risks(table, top=0)


@pytest.mark.parametrize("extent", EXTENTS)
def test_the_map_has_every_state_and_outlines_the_named(extent: str) -> None:
    result = make_simulation("Arvo leaves", EDITS)
    codes = dict(zip(result["state"].to_numpy(), [f"?{c}" for c in result["state"].to_numpy()],
                     strict=True))  # fmt: skip
    codes |= {10: "FRA", 20: "DEU", 60: "TON"}
    result = result.assign_coords(state_iso3=("state", list(codes.values())))
    ax, bar = plot.state_map(result, named=[10], extent=extent).figure.axes
    shapes = [c for c in ax.collections if hasattr(c, "get_paths") and c.get_zorder() in (2, 3)]
    assert len(shapes) == len(geometry()["paths"]) + 1  # and the dots
    widths = [float(c.get_linewidth()[0]) for c in shapes]
    assert widths.count(1.0) == 1
    assert "change in the probability" in bar.get_xlabel() and "2011–2015" in bar.get_xlabel()
    assert isinstance(plot.state_map(result, world="status_quo"), Axes)
    with pytest.raises(UnknownNameError, match="europe"):
        plot.state_map(result, extent="europ")


def test_rings_are_the_closed_parts_of_a_path() -> None:
    first, second = rings("M10 20l5 0l0 -5zM0 0l1 1z")
    assert first.tolist() == [[10, 20], [15, 20], [15, 15]] and second.tolist() == [[0, 0], [1, 1]]


# What is on record ------------------------------------------------------------------------------


def test_onsets_and_features_by_year(tiny_tables) -> None:
    whole = fc.load_panel(data=tiny_tables)
    near = fc.load_panel(data=tiny_tables, population="politically_relevant")
    top, bottom = plot.onsets(whole, near).axes
    total = sum(patch.get_height() for patch in top.patches)
    assert total == float(whole.data["outcome"].sum())
    assert [t.get_text() for t in top.get_legend().get_texts()] == [
        "politically relevant", "all others",
    ]  # fmt: skip
    assert bottom.get_yscale() == "log"
    from forecast.features import FeatureRequest, compute_features

    states = compute_features(
        fc.load_panel(data=tiny_tables, unit="state-year"),
        [FeatureRequest(name="external_share", feature="external_share")],
    )
    figure = plot.features(states, {"external_share": "share"}, {"Arvo": (10,), "Bela": (20,)})
    (ax,) = figure.axes
    assert [line.get_label() for line in ax.lines] == ["Arvo", "Bela"]
    assert ax.get_ylabel() == "share"


# On the page ------------------------------------------------------------------------------------


def test_svg_takes_the_colours_of_the_page_and_ids_of_its_own(record) -> None:
    svg = themed_svg(plot.murphy(record.murphy), name="f7", label='a "b" <c>')
    assert svg.startswith('<svg class="mpl"') and 'aria-label="a &quot;b&quot; &lt;c&gt;"' in svg
    assert "var(--s0)" in svg and BLUE not in svg and "#000000" not in svg
    ids = re.findall(r'\bid="([^"]+)"', svg)
    assert len(ids) == len(set(ids)) and all(i.startswith("f7-") for i in ids)
    assert set(re.findall(r'href="#([^"]+)"', svg)) <= set(ids)
    assert "DejaVu" not in svg and "var(--sans)" in svg and "<metadata>" not in svg
    assert svg == themed_svg(plot.murphy(record.murphy), name="f7", label='a "b" <c>')
