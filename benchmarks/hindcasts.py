"""Every named case from the years before it: the table and the pictures of docs/cases.md.

    FORECAST_DATA=… uv run python benchmarks/hindcasts.py [--cases nato-1999 …] [--again]

needs the official files in the cache for what lies before about 1960 (`forecast data get`, or
`forecast data get KEY --from FOLDER`). Each case is kept as JSON in `--folder`, so that a run that
was stopped goes on; `--again` makes them anew. `--write` puts the table into docs/cases.md between
its marks; pictures go to docs/. Half a minute a question on two cores, 500 draws, politically
relevant pairs.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pandas as pd

import forecast as fc
from forecast.cases.hindcast_answer import verdict_words
from forecast.text import interval, percent, points, points_interval

DOCS = Path(__file__).resolve().parent.parent / "docs"
PICTURES = {"nato-1999": "hindcast_nato_1999", "europe-1879-1914": "hindcast_europe"}
MARKS = "<!-- hindcasts -->", "<!-- end of hindcasts -->"
HEAD = "| fitted to | asked about | with it | without | difference, points | verdict |"
HEAD += " happened | more than 25 deaths: with, without; happened |\n|" + "---|" * 8


def rows_of(answer: dict[str, Any]) -> list[str]:
    """Lines of the table of one case."""
    lines, table = [], pd.DataFrame(answer["forecasts"])
    fits = {fitted["question"]: fitted for fitted in answer["fits"]}
    if not len(table):
        return []
    for (question, who), part in table.groupby(["question", "who"], sort=False):
        by = {row["severity"]: row for row in part.to_dict("records")}
        any_, deaths = by["onset"], by.get("deaths_25")
        changed = pd.notna(any_["without"])
        ends = interval(any_["with_lower"], any_["with_upper"])
        gap = points_interval(any_["difference_lower"], any_["difference_upper"])
        cells = [
            f"{fits[question]['fitted_last']}, for {any_['first_year']}–{any_['last_year']}",
            str(who),
            f"{percent(any_['with'])} ({ends})",
            percent(any_["without"]) if changed else "–",
            f"{points(any_['difference'], unit=False)} ({gap})" if changed else "–",
            verdict_words(any_) if changed else "no change asked",
            came(any_["happened"]),
            "–"
            if deaths is None
            else f"{percent(deaths['with'])}, {percent(deaths['without'])};"
            f" {came(deaths['happened'])}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def came(happened: Any) -> str:
    """Yes, no, or not known."""
    if happened is None or pd.isna(happened):
        return "not known"
    return "**yes**" if happened else "no"


def record_line(answer: dict[str, Any]) -> str:
    """How the fits of a case did over all their pairs."""
    told = []
    for row in answer["record"]:
        if row["severity"] in ("onset", "deaths_25") and row["observed"] is not None:
            event = "disputes" if row["severity"] == "onset" else "above 25 deaths"
            told.append(
                f"{row['question']}: {event} {row['expected']:.0f}"
                f" ({row['lower']}–{row['upper']}) expected, {row['observed']} seen"
            )
    return f"Over all pairs: {'; '.join(told)}.\n" if told else ""


def page(answers: list[dict[str, Any]]) -> str:
    """The part of docs/cases.md that the numbers make."""
    parts = []
    for answer in answers:
        lines = rows_of(answer)
        text = [f"### {answer['title']} (`{answer['case']}`)\n"]
        if lines:
            text += [HEAD, *lines, "", record_line(answer)]
        others = [line.strip() for line in answer["text"] if "begins): " in line]
        others += [line.strip() for line in answer["text"] if "is settled in" in line]
        text += [f"- {line}" for line in others]
        parts.append("\n".join(text))
    return "\n".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", nargs="*", default=None)
    parser.add_argument("--draws", type=int, default=500)
    parser.add_argument("--folder", type=Path, default=Path("hindcasts"))
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--write", action="store_true")
    chosen = parser.parse_args()
    chosen.folder.mkdir(parents=True, exist_ok=True)
    names = chosen.cases or [name for name in fc.cases().index if fc.case(name).questions]
    answers = []
    for name in names:
        kept = chosen.folder / f"{name}.json"
        if chosen.again or not kept.exists():
            found = fc.hindcast(name, draws=chosen.draws)
            if found.unanswered:  # a table without them would look whole
                raise SystemExit(f"{name}: {found.unanswered}")
            kept.write_text(json.dumps(found.to_dict(), indent=1, ensure_ascii=False))
            print(found, flush=True)
            if name in PICTURES:
                fc.plot.hindcast(found).savefig(DOCS / f"{PICTURES[name]}.png", dpi=110)
        answers.append(json.loads(kept.read_text()))
    text = page(answers)
    if not chosen.write:
        print(text)
        return
    path = DOCS / "cases.md"
    before, _, rest = path.read_text(encoding="utf-8").partition(MARKS[0])
    after = rest.partition(MARKS[1])[2]
    path.write_text(f"{before}{MARKS[0]}\n\n{text}\n{MARKS[1]}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
