"""The HTML page: tables and charts arranged by section, rendered from the templates."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from markupsafe import Markup

from forecast.features.strata import population_words
from forecast.report import evidence, sections
from forecast.report.figures import inline_svg
from forecast.report.map import BINS, bin_labels, world_map
from forecast.report.pairs import pair_data, place, shown_rows
from forecast.report.rivals import rival_views, standing_view
from forecast.report.scenarios import edit_words
from forecast.report.summary import span
from forecast.text import count, interval, percent, points, ratio, slug

if TYPE_CHECKING:
    from forecast.report import Findings
    from forecast.sources.tables import Tables

__all__ = ["Setting", "render_page"]

_ASSETS = Path(__file__).parent / "assets"
_TOP = 25
#: Levels of severity that the page can show, in words.
LEVELS_SHOWN = {
    "deaths_25": "more than 25 deaths",
    "fighting": "fighting",
    "onset": "any conflict",
}
_HORIZONS = (1, 3, 5)


@dataclass(frozen=True)
class Setting:
    """What the page says about itself.

    Attributes
    ----------
    origin : int
        Last year of the record.
    sha256 : str
        Digest of all tables.
    generated, since : str
        Dates (UTC) of this run, and of the first with these numbers.
    changed : bool or None
        Against the report that was there before.
    compared_with : str or None
        Date of the report that changes are counted from.
    passed : bool
        Publication gate.
    """

    origin: int
    sha256: str
    generated: str
    changed: bool | None
    since: str
    compared_with: str | None
    passed: bool


def render_page(
    findings: Findings,
    tables: dict[str, pd.DataFrame],
    changes: pd.DataFrame | None,
    summary: Sequence[str],
    setting: Setting,
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
    risks, states = tables["risks"], tables["states"]
    longest = int(risks["horizon"].max())
    horizons = [h for h in _HORIZONS if h <= longest]
    on_map = [1, longest] if longest > 1 else [1]
    spans = {h: span(setting.origin + 1, setting.origin + h) for h in range(1, longest + 1)}
    severe = tables.get("risks_deaths_25")
    data = pair_data(risks, states, tables["disputes"], changes, horizons, severe)
    on_maps = {"onset": states}
    if "states_deaths_25" in tables:
        on_maps = {"deaths_25": tables["states_deaths_25"]} | on_maps
    maps = {level: world_map(of_level, on_map, spans) for level, of_level in on_maps.items()}
    absent = next(iter(maps.values()))[1]
    fit = findings.fit
    context = {
        "style": Markup((_ASSETS / "style.css").read_text(encoding="utf-8") + _fills(on_map)),
        "script": Markup((_ASSETS / "page.js").read_text(encoding="utf-8")),
        "setting": setting,
        "summary": summary,
        "least": _least(fit.panel.tables),
        "origin": setting.origin,
        "spans": spans,
        "horizons": horizons,
        "top": _TOP,
        "data": _script_json(data),
        "data_levels": data["levels"],
        "pairs": len(data["a"]),
        "relevant": sum(data["v"]),
        "going": sections.under_way_view(tables, longest),
        "rows": shown_rows(data, _TOP),
        "regions": sorted({str(r) for r in states["region"] if r}),
        "population": population_words(fit.spec.population),
        "alliances_help": evidence.alliances_help(findings, tables),
        "kind": str(risks["interval_kind"].iloc[0]),
        "level": f"{risks['interval_level'].iloc[0]:.0%}",
        "outside": int((risks["handling"] != "model").sum()),
        "maps": {level: found[0] for level, found in maps.items()},
        "levels": LEVELS_SHOWN,
        "absent": absent,
        "on_map": on_map,
        "bins": bin_labels(),
        "states": sections.state_view(states, on_map, spans),
        "severe_states": sections.state_view(on_maps["deaths_25"], on_map, spans, "deaths_25")
        if "deaths_25" in on_maps
        else None,
        "alliances": sections.alliance_views(tables),
        "scenarios": [
            {
                "name": name,
                "slug": slug(name),
                "edits": [
                    edit_words(str(edit), fit.panel.tables, year=setting.origin)
                    for edit in result.attrs["edits"]
                ] if fit.panel.tables is not None else [],
                "caution": str(result.attrs["caution"]),
                "first_year": result.attrs["first_year"],
                "begins": findings.initiations[name].text
                if name in findings.initiations
                else "",
                "timing": str(result.attrs["timing"]),
                "extrapolation": str(result.attrs["extrapolation"]),
                "views": sections.scenario_views(name, tables),
                "theories": rival_views(name, findings.theories),
            }
            for name, result in findings.scenarios.items()
        ],
        "theories": standing_view(tables),
        "record": evidence.backtest_views(findings.backtest, tables),
        "calibration": evidence.record_views(fit.record, tables),
        "model": evidence.model_views(tables),
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
    }  # fmt: skip
    return environment.get_template("page.html.jinja").render(context)


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


def _checks(findings: Findings) -> list[dict[str, Any]]:
    """Each check with its verdict, sentences and figure."""
    return [
        {
            "name": check.name.replace("_", " "),
            "passed": check.passed,
            "text": check.text,
            "file": f"check_{slug(check.name)}",
            "figure": None
            if check.figure is None
            else inline_svg(check.figure, name=f"f{i}", label=f"Figure of the check {check.name}"),
        }
        for i, check in enumerate(findings.checks)
    ]
