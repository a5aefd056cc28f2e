"""The HTML page: tables and figures arranged by section, rendered from the template."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from markupsafe import Markup

from forecast import plot
from forecast.features.strata import population_words
from forecast.plot.intervals import themed_svg
from forecast.plot.world import BINS
from forecast.report import evidence
from forecast.report.alliances import alliance_views
from forecast.report.files import Edition
from forecast.report.pairs import bin_labels, pair_data, place, shown_rows, world_map
from forecast.report.scenarios import (
    edit_words,
    parties,
    rival_views,
    scenario_views,
    standing_view,
)
from forecast.report.summary import span
from forecast.report.views import state_view, under_way_view
from forecast.text import count, interval, percent, points, ratio, slug

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from forecast.report import Findings
    from forecast.sources.tables import Tables

__all__ = ["render_page"]

_ASSETS = Path(__file__).parent / "assets"
_TOP = 25
#: Levels of severity that the page can show, in words.
_LEVELS = {"deaths_25": "more than 25 deaths", "fighting": "fighting", "onset": "any conflict"}
_HORIZONS = (1, 3, 5)


def _svg(drawn: Axes | Figure, label: str) -> Markup:
    """Figure as an SVG element; its label, and with it the name of its ids, is its own."""
    name = f"f{zlib.crc32(label.encode()):x}"
    return Markup(themed_svg(drawn, name=name, label=label))


def render_page(
    findings: Findings, tables: dict[str, pd.DataFrame], summary: Sequence[str], edition: Edition
) -> str:
    """The whole page as one string that refers to nothing but the tables beside it."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_ASSETS),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": percent, "points": points, "ratio": ratio, "count": count}
    fit, longest = findings.fit, int(tables["risks"]["horizon"].max())
    on_map = [1, longest] if longest > 1 else [1]
    first = edition.origin + 1
    spans = {h: span(first, first + h - 1) for h in range(1, longest + 1)}
    context = {
        "style": Markup((_ASSETS / "style.css").read_text(encoding="utf-8") + _fills(on_map)),
        "script": Markup((_ASSETS / "page.js").read_text(encoding="utf-8")),
        "setting": edition,
        "summary": summary,
        "least": _least(fit.panel.tables),
        "origin": edition.origin,
        "spans": spans,
        "levels": _LEVELS,
        "going": under_way_view(tables, longest),
        "population": population_words(fit.spec.population),
        "alliances_help": evidence.alliances_help(findings, tables),
        "alliances": alliance_views(tables),
        "scenarios": [_scenario(name, findings, tables) for name in findings.scenarios],
        "theories": standing_view(tables),
        "record": _backtest(findings, tables),
        "calibration": _calibration(findings, tables),
        "model": _model(tables),
        "diagnostics": evidence.diagnostics_view(tables["diagnostics"]),
        "checks": _checks(findings),
        "coverage": evidence.coverage_view(tables["coverage"]),
        "fit": fit.to_dict(),
        "spec": fit.spec,
        "panel": fit.panel.to_dict(),
        "files": {name: len(table) for name, table in tables.items()},
        "seconds": findings.seconds,
        "place": place,
        "show_interval": interval,
        "show_points": lambda change: points(change, unit=False),
        **_pairs(tables, edition.changes, [h for h in _HORIZONS if h <= longest]),
        **_map(tables, on_map, spans),
    }
    return environment.get_template("page.html.jinja").render(context)


def _pairs(
    tables: dict[str, pd.DataFrame], changes: pd.DataFrame | None, horizons: list[int]
) -> dict[str, Any]:
    """The table of pairs: its data for the script, and its first rows."""
    risks, states, severe = tables["risks"], tables["states"], tables.get("risks_deaths_25")
    data = pair_data(risks, states, tables["disputes"], changes, horizons, severe)
    return {
        "horizons": horizons,
        "data": _script_json(data),
        "data_levels": data["levels"],
        "pairs": len(data["a"]),
        "relevant": sum(data["v"]),
        "rows": shown_rows(data, _TOP),
        "regions": sorted({str(r) for r in states["region"] if r}),
        "kind": str(risks["interval_kind"].iloc[0]),
        "level": f"{risks['interval_level'].iloc[0]:.0%}",
        "outside": int((risks["handling"] != "model").sum()),
    }


def _map(
    tables: dict[str, pd.DataFrame], on_map: list[int], spans: dict[int, str]
) -> dict[str, Any]:
    """The map at each level of severity, and the same as tables."""
    names = {"deaths_25": "states_deaths_25", "onset": "states"}
    levels = {level: tables[name] for level, name in names.items() if name in tables}
    maps = {level: world_map(states, on_map, spans) for level, states in levels.items()}
    views = {level: state_view(of, on_map, spans, level) for level, of in levels.items()}
    return {
        "maps": {level: svg for level, (svg, _) in maps.items()},
        "absent": next(iter(maps.values()))[1],
        "on_map": on_map,
        "bins": bin_labels(),
        "states": views["onset"],
        "severe_states": views.get("deaths_25"),
    }


def _scenario(name: str, findings: Findings, tables: dict[str, pd.DataFrame]) -> dict[str, Any]:
    result, data = findings.scenarios[name], findings.fit.panel.tables
    edits = [str(edit) for edit in result.attrs["edits"]]
    year = int(result.attrs["origin"])
    assert data is not None
    named = parties(edits, data, year=year) & set(result["state"].to_numpy().tolist())
    begins = findings.initiations.get(name)
    return {
        "name": name,
        "edits": [edit_words(edit, data, year=year) for edit in edits],
        **{key: result.attrs[key] for key in ("caution", "first_year", "timing", "extrapolation")},
        "begins": "" if begins is None else begins.text,
        "views": scenario_views(name, tables),
        "chart": _svg(
            plot.scenario(result, named=named),
            f"Largest differences in risk under the scenario {name}",
        ),
        "theories": rival_views(name, findings.theories),
    }


def _backtest(findings: Findings, tables: dict[str, pd.DataFrame]) -> dict[str, Any] | None:
    """Views of the backtest, with the figure of its differences."""
    views, backtest = evidence.backtest_views(findings.backtest, tables), findings.backtest
    if views is None or backtest is None:
        return None
    pairs = tables["differences"]
    pairs = pairs[pairs["horizon"] == pairs["horizon"].min()] if len(pairs) else pairs
    figure = plot.differences(pairs, method=lambda n: evidence.method_words(n, backtest.model))
    label = "Paired differences in log loss between this model and each other method"
    return views | {"differences": _svg(figure, label)}


def _calibration(findings: Findings, tables: dict[str, pd.DataFrame]) -> dict[str, Any] | None:
    """Views of the calibration record, with its figures."""
    record = findings.fit.record
    views = evidence.record_views(record, tables)
    if views is None or record is None:
        return None
    level = record.level
    made = {
        "reliability": (
            plot.reliability(record),
            "Reliability diagram of this model out of sample",
        ),
        "ratios": (
            plot.ratios(record.ratios, level=level),
            "Expected over observed onsets of this model, by group",
        ),
        "murphy": (plot.murphy(record.murphy), "Murphy diagram of this model against climatology"),
        "pit": (
            plot.pit(record.counts, level=level),
            "Probability integral transform of the yearly numbers of onsets",
        ),
    }
    if len(record.ladder):
        made["ladder"] = (
            plot.ladder(record.ladder, level=level),
            "Onsets expected and observed at every level of severity",
        )
    return views | {"ladder": None} | {name: _svg(*of) for name, of in made.items()}


def _model(tables: dict[str, pd.DataFrame]) -> dict[str, Any]:
    """Views of the model, with a figure of the coefficients that differ by era and by group."""
    views = evidence.model_views(tables)
    for key in ("eras", "groups"):
        levels = views[key]
        label = f"Coefficients that differ: {', '.join(levels.values())}"
        views[key] = levels and _svg(plot.slopes(tables["slopes"], names=levels), label)
    return views


def _checks(findings: Findings) -> list[dict[str, Any]]:
    """Each check with its verdict, sentences and figure."""
    return [
        {
            "name": check.name.replace("_", " "),
            "passed": check.passed,
            "text": check.text,
            "file": f"check_{slug(check.name)}",
            "figure": None
            if check.shown is None
            else _svg(plot.check(check), f"Figure of the check {check.name}"),
        }
        for check in findings.checks
    ]


def _least(tables: Tables | None) -> str:
    """What a conflict of the record is at the least, by the lowest level that it holds."""
    if tables is None:
        return "as the data behind the panel define it"
    found = set(tables.conflicts["level"])
    if "threat" in found:
        return "at least a threat of force by the forces of a state (a militarised dispute)"
    if "display_of_force" in found:
        return "at least a display of force by regular forces (a militarised dispute)"
    if found == {"war"}:
        return "a war"
    return "at least an armed clash or a use of force by regular forces"


def _fills(horizons: Sequence[int]) -> str:
    """Style rules that colour the map by the horizon that is chosen."""
    return "".join(
        f'.map[data-h="{h}"] .h{h}-{i} {{ fill: var(--m{i}); }}\n'
        for h in horizons
        for i in range(len(BINS) + 1)
    )


def _script_json(data: object) -> Markup:
    """JSON that cannot end the script element it stands in."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)
