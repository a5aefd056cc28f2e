"""Capability share of a state: published CINC, or the mean of its shares of population and GDP."""

from __future__ import annotations

import numpy as np
import pandas as pd

from forecast.sources.spells import expand_years, span_years

__all__ = ["CARRY_BACK_YEARS", "COMPUTED", "FLOOR", "with_capability"]

#: Smallest share; a smaller one is set to it and flagged (logarithms are taken of it).
FLOOR = 1e-6
#: Largest gap at a state's entry over which its first observed value is carried back.
CARRY_BACK_YEARS = 3
#: Columns that `with_capability` adds.
COMPUTED: tuple[str, ...] = ("capability", "capability_floored")


def with_capability(
    capabilities: pd.DataFrame, states: pd.DataFrame, *, last_year: int
) -> pd.DataFrame:
    r"""The table with columns ``capability`` and ``capability_floored``, one row per (ccode, year).

    With a column ``cinc`` (Singer, Bremer and Stuckey 1972; Correlates of War, national material
    capabilities) that index as published: the mean of a state's shares of world military
    expenditure and personnel, iron and steel, energy, population and urban population. Else

    .. math:: c_{it} = \frac{1}{2} \left( \frac{pop_{it}}{\sum_j pop_{jt}}
              + \frac{gdp_{it}}{\sum_j gdp_{jt}} \right)

    with the sums over the states that are members of the system in year t, which is not CINC: it
    has no military personnel, expenditure, energy or steel in it. Population is in persons, GDP in
    constant international dollars.

    What is missing at a state's entry is carried back at most `CARRY_BACK_YEARS` years (and flagged
    ``extrapolated`` where there are flags); rows are added for that where there
    are none. ``capability`` is a share (0–1), NaN where its inputs are missing or the state is not
    a member; ``capability_floored`` is True where it was below `FLOOR`.
    """
    first, last = span_years(states)
    window = (int(capabilities["year"].min()) if len(capabilities) else last_year, last_year)
    row, year = expand_years(first, last, window=window)
    member = pd.DataFrame({"ccode": states["ccode"].to_numpy()[row], "year": year})
    member["entry"] = first[row]
    # A state that leaves and returns within one year has two spells in it; the later one counts.
    member = member.sort_values("entry").drop_duplicates(["ccode", "year"], keep="last")
    table = capabilities.merge(member, on=["ccode", "year"], how="outer", sort=True)
    inputs = ["cinc"] if "cinc" in capabilities else ["population", "gdp"]
    inside = table["entry"].notna()
    shares = []
    for column in inputs:
        table = _carry_back(table, column)
        value = table[column].where(inside)
        # CINC is a share already, of a world that may hold states without components.
        total = 1.0 if column == "cinc" else value.groupby(table["year"]).transform("sum")
        shares.append(value / total)
    share = sum(shares[1:], shares[0]) / len(shares)
    table["capability"] = share.clip(lower=FLOOR)
    table["capability_floored"] = (share < FLOOR).to_numpy()
    known = table[inputs].notna().any(axis=1)
    return table.loc[known].drop(columns="entry").reset_index(drop=True)


def _carry_back(table: pd.DataFrame, column: str) -> pd.DataFrame:
    value = table[column]
    group = [table["ccode"], table["entry"]]
    observed = table["year"].where(value.notna())
    first_seen = observed.groupby(group).transform("min")
    gap = first_seen - table["entry"]
    fill = value.isna() & (table["year"] < first_seen) & (gap <= CARRY_BACK_YEARS)
    later = value.groupby(group).bfill()
    out = table.copy()
    out[column] = np.where(fill, later, value)
    if f"{column}_flag" in table:
        out[f"{column}_flag"] = table[f"{column}_flag"].mask(fill, "extrapolated")
    return out
