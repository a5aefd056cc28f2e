"""What ATOP codes about the design of a treaty: its institutions and its conditions."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

__all__ = [
    "CONDITIONS",
    "DESIGN",
    "PROVISIONS",
    "PROVISION_FLAGS",
    "conditions_of",
    "provisions_of",
]

#: Official columns that `provisions_of` reads.
PROVISIONS: tuple[str, ...] = (
    "intcom",
    "milcon",
    "base",
    "milaid",
    "organ1",
    "organ2",
    "medarb",
    "conwtin",
    "subord",
    "contrib",
    "compag",
)

#: Flags of the table ``alliances``.
PROVISION_FLAGS: tuple[str, ...] = (
    "integrated_command",
    "military_coordination",
    "basing",
    "military_aid",
    "organization",
    "peaceful_settlement",
)

#: Flags of the table ``treaty_design``.
DESIGN: tuple[str, ...] = ("subordination", "contribution", "companion_agreements")

#: Official columns by flag of the table ``alliances``: conditions on the pledge of help.
CONDITIONS: Mapping[str, tuple[str, ...]] = {
    "cond_adversary": ("defcoadv", "offcoadv"),
    "cond_location": ("defcoloc", "offcoloc"),
    "cond_conflict": ("defcocon", "offcocon"),
    "cond_number": ("defconum", "offconum"),
    "cond_demands": ("defcodem", "offcodem"),
    "cond_nonprovocation": ("defconpr",),
}


def provisions_of(raw: pd.DataFrame) -> pd.DataFrame:
    """`PROVISION_FLAGS` and `DESIGN` as 0/1 (``Int64``), missing where ATOP could not code them.

    From `PROVISIONS` (a text may be lost), or from the flags themselves, which stay as they are.
    """
    names = [*PROVISION_FLAGS, *DESIGN]
    if set(names) <= set(raw.columns):
        return raw[names]
    settles = raw["conwtin"].isin([1, 3]).astype("Int64").mask(raw["conwtin"].isna())
    body = raw[["organ1", "organ2"]].max(axis=1)
    flags = {
        "integrated_command": raw["intcom"] == 1,
        "military_coordination": raw["milcon"] >= 2,
        "basing": raw["base"] > 0,
        "military_aid": raw["milaid"] > 0,
        "organization": body >= 2,
        "peaceful_settlement": (settles == 1) | (raw["medarb"] == 1),
        "subordination": raw["subord"] > 0,
        "contribution": raw["contrib"] == 1,
        "companion_agreements": raw["compag"] > 0,
    }
    return pd.DataFrame({name: flag.astype("Int64") for name, flag in flags.items()})


def conditions_of(raw: pd.DataFrame) -> pd.DataFrame:
    """Conditions on the pledge of help as 0/1 (``int64``), from the columns of `CONDITIONS`."""
    flags = {
        name: (raw[list(columns)] == 1).fillna(False).any(axis=1).astype(np.int64)
        for name, columns in CONDITIONS.items()
    }
    return pd.DataFrame(flags, index=raw.index)
