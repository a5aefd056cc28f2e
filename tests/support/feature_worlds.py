"""Small worlds by hand and at random, with exactly the variables of `build_world`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import xarray as xr

from forecast.sources.tables import OBLIGATIONS

OPEN = 9999
DEFENSE, OFFENSE, NEUTRALITY, NONAGGRESSION, CONSULTATION = ((name,) for name in OBLIGATIONS)
CALLS = (
    "call_year",
    "call_conflict",
    "call_bound",
    "call_target",
    "call_level",
    "call_honoured_year",
)


@dataclass
class Treaty:
    """`members`: code → obligations it owes, or (first, last, obligations)."""

    name: str
    members: Mapping[int, Sequence]
    start: int = 0
    end: int = OPEN
    depth: int = 0
    conditions: int = 0
    settlement: bool = False
    latent: float = 0.0


@dataclass
class Story:
    """What a small world consists of. Spells are (first year, last year), both included."""

    years: tuple[int, int]
    states: Mapping[int, float | tuple[float, int, int]]
    treaties: Sequence[Treaty] = ()
    borders: Mapping[tuple[int, int], int] = field(default_factory=dict)
    majors: Sequence[int] = ()
    disputes: Sequence[tuple[int, int, int, int]] = ()  # a, b, first year, last year
    capability: Mapping[tuple[int, int], float] = field(default_factory=dict)  # (code, year)
    covered: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    rivalries: Sequence[tuple[int, int, int, int]] | None = None  # a, b, first year, last year
    #: Variables of extra tables: (year, code) or (year, code, other) → value, or all of them.
    extra: Mapping[str, Mapping[tuple[int, ...], float] | np.ndarray] = field(default_factory=dict)
    regions: Mapping[int, str] = field(default_factory=dict)
    #: Year, conflict, bound, target, level (position in LEVELS), year honoured (0: never).
    calls: Sequence[tuple[int, int, int, int, int, int]] = ()

    def world(self) -> xr.Dataset:
        first, last = self.years
        years = np.arange(first, last + 1)
        codes = np.array(sorted(self.states))
        at = {int(code): i for i, code in enumerate(codes)}
        y, s, m = len(years), len(codes), len(self.treaties)
        member = np.zeros((y, s), bool)
        entry = np.zeros((y, s), np.int16)
        share = np.full((y, s), np.nan)
        for code, life in self.states.items():
            c, born, gone = life if isinstance(life, tuple) else (life, 1800, OPEN)
            alive = (years >= born) & (years <= gone)
            member[alive, at[code]] = True
            entry[alive, at[code]] = born
            share[alive, at[code]] = c
        for (code, year), value in self.capability.items():
            share[year - first, at[code]] = value
        belongs = np.zeros((y, m, s), bool)
        pledged = np.zeros((y, m, s, 5), bool)
        for t, treaty in enumerate(self.treaties):
            for code, terms in treaty.members.items():
                spell = (treaty.start, treaty.end)
                if terms and isinstance(terms[0], int):
                    spell, terms = terms[:2], terms[2]
                inside = (years >= spell[0]) & (years <= spell[1])
                inside &= (years >= treaty.start) & (years <= treaty.end) & member[:, at[code]]
                belongs[inside, t, at[code]] = True
                for name in terms:
                    pledged[inside, t, at[code], OBLIGATIONS.index(name)] = True
        owes = np.einsum("ymio,ymj->yijo", pledged.astype(int), belongs.astype(int)) > 0
        owes[:, range(s), range(s)] = False
        for old, new in ((260, 255), (678, 679), (680, 679)):  # never members on the same day
            if old in at and new in at:
                owes[:, at[old], at[new]] = owes[:, at[new], at[old]] = False
        contiguity = np.zeros((y, s, s), np.int8)
        for (a, b), kind in self.borders.items():
            both = member[:, at[a]] & member[:, at[b]]
            contiguity[both, at[a], at[b]] = contiguity[both, at[b], at[a]] = kind
        onset = np.zeros((y, s, s), bool)
        dispute = np.zeros((y, s, s), bool)
        is_open = np.zeros((y, s, s), bool)
        count = np.zeros((y, s), np.int16)
        for a, b, begin, end in self.disputes:
            for i, j in ((at[a], at[b]), (at[b], at[a])):
                if begin >= first:
                    onset[begin - first, i, j] = True
                    count[begin - first, i] += 1
                dispute[(years >= begin) & (years <= end), i, j] = True
                is_open[(years >= begin) & (years < end), i, j] = True
        extra = {}
        if self.rivalries is not None:
            extra["rivalry"] = np.zeros((y, s, s), bool)
            for a, b, begin, end in self.rivalries:
                held = (years >= begin) & (years <= end) & member[:, at[a]] & member[:, at[b]]
                extra["rivalry"][held, at[a], at[b]] = extra["rivalry"][held, at[b], at[a]] = True
        for name, values in self.extra.items():
            if isinstance(values, np.ndarray):
                extra[name] = values.astype(np.float32)
                continue
            extra[name] = np.full((y, *[s] * (len(DIMS[name]) - 1)), np.nan, np.float32)
            for (year, *pair), value in values.items():
                where = tuple(at[code] for code in pair)
                extra[name][year - first, *where] = value
                if name in ("joint_igos", "distance_km"):
                    extra[name][year - first, *where[::-1]] = value
        major = np.zeros((y, s), bool)
        major[:, [at[code] for code in self.majors]] = True
        return dataset(
            years,
            codes,
            member=member,
            major=major & member,
            entry_year=entry,
            capability=share,
            region=np.array([self.regions.get(int(c), f"Region {c // 100}") for c in codes]),
            obligations=owes,
            contiguity=contiguity,
            onset=onset,
            onset_count=onset.astype(np.uint8),
            dispute=dispute,
            open=is_open,
            dispute_onset_count=count,
            treaty_member=belongs,
            treaty_pledge=pledged,
            treaty_depth=np.array([t.depth for t in self.treaties], np.int8),
            treaty_conditions=np.array([t.conditions for t in self.treaties], np.int8),
            treaty_settlement=np.array([t.settlement for t in self.treaties], bool),
            treaty_latent_depth=np.array([t.latent for t in self.treaties], np.float32),
            **dict(zip(CALLS, np.array(self.calls, int).reshape(-1, len(CALLS)).T, strict=True)),
            treaty_start=np.array([t.start for t in self.treaties], int),
            treaty_end=np.array([t.end for t in self.treaties], int),
            names=[t.name for t in self.treaties],
            covered=self.covered,
            **extra,
        )


DIMS = {
    "member": ("year", "state"),
    "major": ("year", "state"),
    "entry_year": ("year", "state"),
    "capability": ("year", "state"),
    "region": ("state",),
    "polyarchy": ("year", "state"),
    "polity": ("year", "state"),
    "us_troops": ("year", "state"),
    "host_population": ("year", "state"),
    "host_personnel": ("year", "state"),
    "imports": ("year", "state"),
    "exports": ("year", "state"),
    "trade_flow": ("year", "state", "other"),
    "joint_igos": ("year", "state", "other"),
    "distance_km": ("year", "state", "other"),
    "dispute_onset_count": ("year", "state"),
    "contiguity": ("year", "state", "other"),
    "onset": ("year", "state", "other"),
    "onset_count": ("year", "state", "other"),
    "dispute": ("year", "state", "other"),
    "open": ("year", "state", "other"),
    "rivalry": ("year", "state", "other"),
    "obligations": ("year", "state", "other", "obligation"),
    "treaty_member": ("year", "treaty", "state"),
    "treaty_pledge": ("year", "treaty", "state", "obligation"),
    "treaty_depth": ("treaty",),
    "treaty_conditions": ("treaty",),
    "treaty_settlement": ("treaty",),
    "treaty_latent_depth": ("treaty",),
    "treaty_start": ("treaty",),
    "treaty_end": ("treaty",),
    **dict.fromkeys(CALLS, ("call",)),
}

#: Needs that a data set may lack, and a variable that is there when they are met.
EXTRA = {
    "rivalry": "rivalry",
    "regime": "polyarchy",
    "polity": "polity",
    "troops": "us_troops",
    "trade": "trade_flow",
    "igo": "joint_igos",
    "distance": "distance_km",
}


def dataset(years, codes, *, names, covered, **values) -> xr.Dataset:
    data = {name: (DIMS[name], value) for name, value in values.items()}
    for need in ("obligation", "conflict", "capability", "contiguity"):
        low, high = covered.get(need, (years[0], years[-1]))
        data[f"{need}_covered"] = ("year", (years >= low) & (years <= high))
    for name in OBLIGATIONS:
        low, high = covered.get(name, covered.get("obligation", (years[0], years[-1])))
        data[f"{name}_covered"] = ("year", (years >= low) & (years <= high))
    for need, variable in EXTRA.items():
        low, high = covered.get(need, (years[0], years[-1]))
        there = variable in data
        data[f"{need}_covered"] = ("year", (years >= low) & (years <= high) & there)
    coords = {
        "year": years,
        "state": codes,
        "other": codes,
        "obligation": list(OBLIGATIONS),
        "treaty": np.array(names, dtype=np.str_),
    }
    return xr.Dataset(data, coords=coords)


#: Codes of the random worlds: the relabelled ones, their neighbours, a few others.
CODES = np.array([2, 200, 220, 255, 260, 365, 678, 679, 680, 700])


#: Share of zeros, and highest value, of the extra tables in random worlds.
RANDOM_EXTRA = {
    "polyarchy": (0.0, 1.0),
    "imports": (0.2, 100.0),
    "exports": (0.2, 100.0),
    "trade_flow": (0.5, 10.0),
    "joint_igos": (0.2, 40.0),
    "distance_km": (0.2, 9000.0),
    "polity": (0.2, 10.0),
    "us_troops": (0.5, 1e5),
    "host_population": (0.0, 1e8),
    "host_personnel": (0.1, 1e6),
}


def random_world(
    seed: int, *, years: int = 14, first: int = 1983, treaties: int = 5, gaps: bool = True
) -> xr.Dataset:
    """Everything at random: comings and goings, one-sided pledges, gaps, uncovered years."""
    rng = np.random.default_rng(seed)
    year = np.arange(first, first + years)
    s = len(CODES)
    lives: dict[int, tuple[float, int, int]] = {}
    for code in CODES:
        born, gone = 1900, OPEN
        if code in (255, 679):
            born = 1990
        elif code in (260, 678, 680):
            gone = 1990
        elif rng.random() < 0.3:
            born = int(rng.integers(first, first + years))
        elif rng.random() < 0.2:
            gone = int(rng.integers(first, first + years))
        lives[int(code)] = (float(rng.choice([0.0, 1e-7, rng.random() / s])), born, gone)
    pacts = []
    for t in range(treaties):
        start = int(rng.integers(first - 10, first + years))
        end = int(rng.choice([OPEN, start + rng.integers(0, 10)]))
        inside = rng.random(s) < rng.choice([0.3, 0.8])
        members = {}
        for code in CODES[inside]:
            owed = tuple(np.array(OBLIGATIONS)[rng.random(5) < 0.5])
            joined = int(start + rng.integers(0, 8) * (rng.random() < 0.4))
            left = int(rng.choice([OPEN, joined + rng.integers(0, 8)]))
            members[int(code)] = (joined, left, owed)
        depth, conditions = int(rng.integers(6)), int(rng.integers(7))
        settles = bool(rng.random() < 0.5)
        latent = float(rng.choice([np.nan, rng.normal()]))
        pacts.append(Treaty(f"t{t}", members, start, end, depth, conditions, settles, latent))
    borders = {
        (int(CODES[i]), int(CODES[j])): int(rng.integers(1, 6))
        for i in range(s)
        for j in range(i)
        if rng.random() < 0.5
    }
    disputes = []
    for _ in range(int(rng.integers(0, 40))):
        a, b = rng.choice(s, 2, replace=False)
        begin = int(rng.integers(first, first + years))
        end = begin + int(rng.integers(0, 3))
        low = max(lives[int(CODES[i])][1] for i in (a, b))
        high = min(lives[int(CODES[i])][2] for i in (a, b))
        if low <= begin and end <= high:
            disputes.append((int(CODES[a]), int(CODES[b]), begin, end))
    rivalries = []
    for _ in range(int(rng.integers(0, 6))):
        a, b = rng.choice(CODES, 2, replace=False)
        begin = int(rng.integers(first, first + years))
        rivalries.append((int(a), int(b), begin, begin + int(rng.integers(0, 5))))
    extra = {}
    for name, (share_of_zeros, top) in RANDOM_EXTRA.items():
        shape = (years, *[s] * (len(DIMS[name]) - 1))
        values = top * rng.random(shape) * (rng.random(shape) >= share_of_zeros)
        values[rng.random(shape) < 0.2] = np.nan
        if name in ("joint_igos", "distance_km"):
            values = np.floor(values + values.transpose(0, 2, 1))
        extra[name] = values
    calls = []
    for k in range(int(rng.integers(0, 30))):
        bound, target = rng.choice(CODES, 2, replace=False)
        begin = int(rng.integers(first - 5, first + years))
        came = int(rng.choice([0, begin + rng.integers(0, 3)]))
        calls.append((begin, k // 2, int(bound), int(target), int(rng.integers(5)), came))
    missing = {(int(code), int(y)): np.nan for code in CODES for y in year if rng.random() < 0.02}
    covered = {}
    for need in ("obligation", "conflict", "capability", "contiguity", *EXTRA):
        if gaps and rng.random() < 0.3:
            covered[need] = (first + int(rng.integers(0, 5)), first + years - int(rng.integers(5)))
    return Story(
        years=(first, first + years - 1),
        states=lives,
        treaties=pacts,
        borders=borders,
        majors=[int(c) for c in CODES[rng.random(s) < 0.3]],
        disputes=disputes,
        capability=missing,
        covered=covered,
        rivalries=rivalries,
        calls=calls,
        extra=extra,
    ).world()


def value(world: xr.Dataset, name: str, year: int, *codes: int, **options) -> float:
    """One value of a feature."""
    from forecast.features import get_feature

    found = get_feature(name)(world, **options)
    where = dict(zip(found.dims, (year, *codes), strict=True))
    return float(found.sel(where))
