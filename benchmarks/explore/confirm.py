# ruff: noqa: E501
"""The confirmation, once: 1991-2000 and the whole of 1960-2000, of what was chosen on 1960-1990."""

import json
import sys

import numpy as np
from lab import LOG
from ridge import Effects, backtest
from rows import CONFIRMATION, FOLDER, line, paired, scores
from stage3 import rows
from stage5 import FAMILIES, base, modern
from stage6 import with_far
from stage7 import derived, plain, with_rivals

BLOCK = [*FAMILIES["entangled"], "pact_in_dyad_defense", "pact_in_dyad_nonaggression"]
EFFECTS = Effects(dyad=0.5, state=0.2, era_slopes={"far": 0.15, "quiet": 0.15})


def main() -> None:
    """Print and log every period of the four specifications."""
    extra = derived()
    counts = {n: extra[n] for n in ("rivals_max", "rivals_min")}
    designs = {
        "no rivalry": plain(),
        "record": with_rivals(plain(), extra["derived_3"], counts),
        "expert list": base(),
    }
    for name, design in designs.items():
        found = {}
        for label, d in (("without alliances", design), ("with", with_far(design.copy(), BLOCK))):
            p, _ = backtest(rows, d, EFFECTS, 1960, 2000, weights=modern)
            found[label] = p
            np.save(FOLDER / f"confirm_{name}_{label}.npy", p)
            for first, last in ((1960, 1990), CONFIRMATION, (1960, 2000), (1970, 2000)):
                s = scores(rows, p, first, last)
                sys.stdout.write(line(f"{name}, {label} {first}-{last}", s) + "\n")
                with LOG.open("a") as file:
                    file.write(
                        json.dumps(
                            {
                                "stage": "9 confirmation",
                                "name": f"{name}, {label}, {first}-{last}",
                                "note": "",
                                **s,
                            }
                        )
                        + "\n"
                    )
        for first, last in ((1960, 1990), CONFIRMATION, (1960, 2000)):
            sys.stdout.write(
                f"  alliance block {first}-{last}: {paired(rows, found['without alliances'], found['with'], first, last)}\n"
            )
        sys.stdout.flush()


if __name__ == "__main__":
    main()
