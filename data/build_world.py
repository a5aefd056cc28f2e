"""Make ``forecast/plot/world.json`` from Natural Earth 1:110m geometry; run by hand.

It is needed only when the geometry changes, with ``countries-110m.json`` of the npm package
``world-atlas`` 2 (Natural Earth 4.1, public domain) and the package ``pycountry`` on the path::

    python build_world.py countries-110m.json world.json
"""

from __future__ import annotations

import importlib
import json
import math
import sys
from pathlib import Path
from typing import Any

WIDTH, HEIGHT, MARGIN = 1000.0, 462.0, 4.0

#: Members of the state system that the 1:110m geometry lacks: longitude, latitude of the capital.
DOTS: dict[str, tuple[float, float]] = {
    "AND": (1.52, 42.51), "ATG": (-61.85, 17.12), "BHR": (50.58, 26.23), "BRB": (-59.62, 13.10),
    "COM": (43.26, -11.70), "CPV": (-23.51, 14.93), "DMA": (-61.39, 15.30), "FSM": (158.16, 6.92),
    "GRD": (-61.75, 12.05), "KIR": (172.98, 1.33), "KNA": (-62.73, 17.30), "LCA": (-60.99, 14.01),
    "LIE": (9.52, 47.14), "MCO": (7.42, 43.74), "MDV": (73.51, 4.18), "MHL": (171.38, 7.09),
    "MLT": (14.51, 35.90), "MUS": (57.50, -20.16), "NRU": (166.92, -0.55), "PLW": (134.62, 7.50),
    "SGP": (103.85, 1.29), "SMR": (12.45, 43.94), "STP": (6.73, 0.34), "SYC": (55.45, -4.62),
    "TON": (-175.20, -21.14), "TUV": (179.20, -8.52), "VCT": (-61.22, 13.16),
    "WSM": (-171.77, -13.83),
}  # fmt: skip

#: Areas that Natural Earth draws apart and the state system does not; no statement on status.
_PART_OF = {"N. Cyprus": "CYP", "Somaliland": "SOM"}
_OWN_CODE = {"Kosovo": "XKX"}
_LEFT_OUT = {"Antarctica"}

# Equal Earth: Savric, Patterson and Jenny 2019, Int. J. Geogr. Inf. Sci. 33:454.
_A = (1.340264, -0.081106, 0.000893, 0.003796)
_CENTRE = 11.0  # cuts the map in the Bering Strait, so that Chukotka stays with Russia


def equal_earth(longitude: float, latitude: float) -> tuple[float, float]:
    """Plane coordinates of the equal-area Equal Earth projection (unit sphere), degrees in."""
    t = math.asin(math.sqrt(3.0) / 2.0 * math.sin(math.radians(latitude)))
    a1, a2, a3, a4 = _A
    slope = 9 * a4 * t**8 + 7 * a3 * t**6 + 3 * a2 * t**2 + a1
    x = 2.0 * math.sqrt(3.0) * math.radians(longitude) * math.cos(t) / (3.0 * slope)
    return x, a4 * t**9 + a3 * t**7 + a2 * t**3 + a1 * t


def _screen(longitude: float, latitude: float) -> tuple[float, float]:
    shifted = (longitude - _CENTRE + 180.0) % 360.0 - 180.0
    x, y = equal_earth(shifted, latitude)
    right, top = equal_earth(180.0, 0.0)[0], equal_earth(0.0, 84.0)[1]
    scale = (WIDTH - 2 * MARGIN) / (2.0 * right)
    return WIDTH / 2 + x * scale, MARGIN + (top - y) * scale


def _ring(points: list[tuple[float, float]]) -> str:
    """Ring as an SVG path in tenths of a unit, each step relative to the one before."""
    whole = [tuple(round(10 * v) for v in _screen(*point)) for point in points]
    steps = [whole[0]]
    path = f"M{whole[0][0]} {whole[0][1]}"
    for x, y in whole[1:]:
        dx, dy = x - steps[-1][0], y - steps[-1][1]
        if (dx, dy) != (0, 0):
            path += f"l{dx} {dy}"
            steps.append((x, y))
    return path + "z" if len(steps) > 2 else ""


def _split(ring: list[tuple[float, float]]) -> list[list[tuple[float, float]]]:
    """Ring cut in two where it crosses the meridian opposite the centre."""
    edge = _CENTRE + 180.0 if _CENTRE <= 0 else _CENTRE - 180.0
    sides = ([p for p in ring if p[0] >= edge], [p for p in ring if p[0] < edge])
    if not sides[0] or not sides[1] or max(p[0] for p in ring) - min(p[0] for p in ring) > 300:
        return [ring]
    parts = []
    for east in (True, False):
        part: list[tuple[float, float]] = []
        for i, (x, y) in enumerate(ring):
            x0, y0 = ring[i - 1]
            if (x0 >= edge) != (x >= edge):
                cut = y0 + (y - y0) * (edge - x0) / (x - x0)
                part.append((edge + (1e-6 if east else -1e-6), cut))
            if (x >= edge) == east:
                part.append((x, y))
        parts.append(part)
    return parts


def build(topology: dict[str, Any]) -> dict[str, Any]:
    """Paths by ISO3, dots of micro-states, and areas without a code."""
    countries = importlib.import_module("pycountry").countries
    scale, move = topology["transform"]["scale"], topology["transform"]["translate"]
    arcs: list[list[tuple[float, float]]] = []
    for arc in topology["arcs"]:
        x = y = 0
        points = []
        for dx, dy in arc:
            x, y = x + dx, y + dy
            points.append((x * scale[0] + move[0], y * scale[1] + move[1]))
        arcs.append(points)

    def ring(numbers: list[int]) -> list[tuple[float, float]]:
        joined: list[tuple[float, float]] = []
        for number in numbers:
            points = arcs[number] if number >= 0 else arcs[~number][::-1]
            joined += points[1:] if joined else points
        return joined

    paths: dict[str, str] = {}
    names: dict[str, str] = {}
    for shape in topology["objects"]["countries"]["geometries"]:
        name = shape["properties"]["name"]
        if name in _LEFT_OUT:
            continue
        code = _PART_OF.get(name) or _OWN_CODE.get(name)
        if code is None:
            code = str(countries.get(numeric=shape["id"]).alpha_3)
        polygons = shape["arcs"] if shape["type"] == "MultiPolygon" else [shape["arcs"]]
        path = "".join(
            _ring(part) for polygon in polygons for r in polygon for part in _split(ring(r))
        )
        paths[code] = paths.get(code, "") + path
        names.setdefault(code, name)
    return {
        "origin": "Natural Earth 1:110m admin-0 countries 4.1 (public domain), by way of the npm"
        " package world-atlas 2; Equal Earth projection; made by build_world.py",
        "width": WIDTH,
        "height": HEIGHT,
        "units_per_pixel": 10,
        "paths": dict(sorted(paths.items())),
        "names": dict(sorted(names.items())),
        "dots": {
            code: [round(v, 1) for v in _screen(*place)] for code, place in sorted(DOTS.items())
        },
    }


if __name__ == "__main__":
    source, target = map(Path, sys.argv[1:3])
    made = build(json.loads(source.read_text(encoding="utf-8")))
    target.write_text(json.dumps(made, ensure_ascii=False, separators=(",", ":")) + "\n", "utf-8")
