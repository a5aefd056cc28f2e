# ruff: noqa: E501
"""The log of variants as Markdown tables: python benchmarks/explore/write_log.py LOG.jsonl."""

import json
import sys
from itertools import groupby
from pathlib import Path

COLUMNS = ("loss", "skill", "AP", "AP_quiet", "skill_quiet", "AUC", "AUC_quiet", "slope", "ratio")


def main(path: Path) -> None:
    """Tables by stage, the last run of a name within a stage counts."""
    entries = [json.loads(text) for text in path.read_text().splitlines()]
    latest = {(e["stage"], e["name"]): e for e in entries}
    for stage, rows in groupby(
        sorted(latest.values(), key=lambda e: e["stage"]), key=lambda e: e["stage"]
    ):
        sys.stdout.write(f"\n### Stage {stage}\n\n")
        sys.stdout.write(
            "| variant | log loss | skill | AP | AP quiet | skill quiet | AUC | AUC quiet | slope | Σp/obs | 1960s, 70s, 80s, 90s… |\n"
        )
        sys.stdout.write("|---|---|---|---|---|---|---|---|---|---|---|\n")
        for e in rows:
            decades = ", ".join(f"{v:.2f}" for k, v in e.items() if k.startswith("ratio_"))
            digits = (5, 4, 4, 4, 4, 4, 3, 2, 2)
            cells = " | ".join(f"{e[c]:.{d}f}" for c, d in zip(COLUMNS, digits, strict=True))
            name = e["name"].strip().replace("|", "/")
            sys.stdout.write(f"| {name} | {cells} | {decades} |\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
