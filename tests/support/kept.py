"""Everything that this library keeps, small: how it is written, and what a reader finds of it.

Each has two contents, "A" and "B", of the same names. `write` does what a user would, with all that
is no writing done before; `read` gives a value by which contents are told apart, None if there is
none, or an error for one that is not whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import xarray as xr

from forecast import panel_cache
from forecast.errors import ArtifactError, MissingFileError
from forecast.evaluation.backtest import Backtest, RunFolder
from forecast.evaluation.calibration_record import CalibrationRecord, calibration_record
from forecast.evaluation.skill_table import SkillTable
from forecast.features import FeatureRequest
from forecast.files import MANIFEST, MARKER, sha256_of, unseal
from forecast.inference import nuts_store
from forecast.inference.fit import Fit
from forecast.modeling.spec import ModelSpec
from forecast.panel.build import load_panel
from forecast.panel.types import Panel
from forecast.panel_cache import cached_panel, panel_key
from forecast.panel_file import save_panel
from forecast.report import Findings
from forecast.report import write as report_writing
from forecast.report.files import read_earlier
from forecast.report.tables import tables_of
from forecast.sources import acquire
from forecast.sources.cache import verify
from forecast.sources.embedded import tables_from_frames
from forecast.sources.overlay import amendment_from_frames, keeping
from forecast.sources.stored import open_tables, save_tables
from forecast.sources.tables import Tables
from forecast.store import open_store
from support.findings import make_backtest, make_findings
from support.known import make_known_fit
from support.tiny import make_coverage, make_tiny_frames

__all__ = ["KEPT", "Kept"]


@dataclass(frozen=True)
class Kept:
    """One kind of thing that is kept below a folder."""

    name: str
    write: Callable[[Path, str], Any]
    read: Callable[[Path], object]
    #: What is there before: "" for nothing, else the content.
    before: str = ""
    #: Folder in which a user may have put things of their own.
    shared: str = ""
    #: Whether the next run is the same one; else reading is all that follows.
    again: bool = True
    #: Content of the next run.
    then: str = "B"
    #: Whether it is only kept to save time: where it cannot be, that is no error.
    optional: bool = False


SMALL = """
name = "small"
description = "A term and an intercept."
unit = "dyad-year"
population = "politically_relevant"
[intercept]
reason = "test"
[[term]]
name = "peace_years"
feature = "peace_years"
family = "history"
pre_treatment = false
prior = { mean = 0.0, sd = 1.0 }
reason = "test"
"""


@cache
def _tables() -> Tables:
    return tables_from_frames(make_tiny_frames(), coverage=make_coverage(), name="tiny")


_LAST = {"A": 2000, "B": 2003, "C": 2005}


@cache
def _panel(which: str) -> Panel:
    years = (1995, _LAST[which])
    return load_panel(data=_tables(), population="politically_relevant", years=years)


@cache
def _fit() -> Fit:
    import tomllib

    spec = ModelSpec.from_dict(tomllib.loads(SMALL), source="small.toml")
    return make_known_fit(_panel("B"), draws=4, model=spec)


@cache
def _record(which: str) -> CalibrationRecord:
    rng = np.random.default_rng(0)
    p = rng.uniform(0.0, 0.3, 400) * (1.0 if which == "A" else 0.5)
    rows = pd.DataFrame(
        {"horizon": 1, "model": "m", "year": np.repeat([1998, 1999], 200), "stratum": "quiet",
         "ccode_a": np.tile(np.arange(200), 2), "ccode_b": 999, "probability": p,
         "outcome": (rng.random(400) < p).astype(float)}
    )  # fmt: skip
    return calibration_record(rows, model="m", seed=1, resamples=5)


def _save_fit(root: Path, which: str) -> None:
    open_store(root / "store").save(_fit())


def _save_record(root: Path, which: str) -> None:
    open_store(root / "store").save(replace(_fit(), record=_record(which)))


def _read_fit(root: Path) -> object:
    """Whole, by its hashes, as `load` finds it; to load it takes a second."""
    store, fit = open_store(root / "store"), _fit()
    if fit.id not in store:
        return None
    manifest, record = unseal(Path(store._folder(fit.id))), store.load_record(fit.id)
    return manifest["id"], None if record is None else record.to_dict()


@cache
def _findings(which: str) -> Findings:
    found = make_findings(backtest=None, scenarios={}, checks=[])
    risks = found.risks.assign(
        probability=found.risks["probability"] * (0.5 if which == "A" else 1)
    )
    return replace(found, risks=risks)


@cache
def _report_tables(which: str) -> dict[str, pd.DataFrame]:
    tables = tables_of(_findings(which))
    return {name: tables[name].head(20) for name in ("risks", "states")}


def _write_report(root: Path, which: str) -> None:
    with (
        patch.object(report_writing, "tables_of", lambda findings: _report_tables(which)),
        patch.object(report_writing, "render_page", lambda *_: f"<p>{which}</p>" * 100),
        patch.object(report_writing, "summarise", lambda *_, **__: (which,)),
    ):
        report_writing.write_report(_findings(which), root / "report")


def _read_report(root: Path) -> object:
    earlier = read_earlier(root / "report")
    if earlier is None:
        return None
    manifest = unseal(root / "report", MARKER)
    listed = set(manifest["files"]) - {"report.json"}
    if listed != set(earlier.facts["files"]) - {"report.json"}:
        raise AssertionError(f"the manifest has {sorted(listed)}, report.json has other files")
    return earlier.facts["sha256"], sha256_of(root / "report" / "index.html")


@cache
def _backtest(which: str) -> Backtest:
    made = make_backtest("small" if which == "A" else "other")
    few = made.forecasts.groupby("model").head(30).reset_index(drop=True)

    class Told(Backtest):
        """With few tables."""

        def _tables(self) -> Iterator[tuple[str, pd.DataFrame]]:
            yield from (("counts", self.counts), ("fits", self.fits))

        def to_dict(self) -> dict[str, Any]:
            return {"model": self.model}

    known = {one.name: getattr(made, one.name) for one in fields(made)}
    return Told(**known | {"forecasts": few})


def _read_sealed(root: Path, name: str, file: str) -> object:
    try:
        manifest = unseal(root / name, MARKER)
    except FileNotFoundError:
        return None
    return manifest["files"][file]["sha256"]


def _skill(which: str) -> SkillTable:
    class Told(SkillTable):
        """With little to tell."""

        def to_text(self) -> str:
            return which * 50

        def to_dict(self) -> dict[str, Any]:
            return {"which": which * 50}

    frame = pd.DataFrame({"which": [which] * 20})
    return Told(skill=frame, ratios=frame, gains=frame, about={})


_MIDA = (
    "dispnum,stday,stmon,styear,endday,endmon,endyear,outcome,settle,fatality,fatalpre,hostlev,"
    "recip,ongo2014,version\n{n},1,2,1940,30,6,1941,1,2,6,1500,5,1,0,5\n"
)
_MIDB = (
    "dispnum,stabb,ccode,stday,stmon,styear,endday,endmon,endyear,sidea,fatality,fatalpre,hostlev,"
    "orig,version\n{n},GMY,255,1,2,1940,30,6,1941,1,3,150,5,1,5\n"
    "{n},NOR,385,1,2,1940,9,6,1940,0,1,2,4,1,5\n"
)
SOURCE = "cow_mid_5_0"


def accept(root: Path, which: str, *, replace: bool = False) -> None:
    """Give the source's two files of a content to the cache."""
    given = root.parent / f"given-{which}"
    if not given.exists():
        given.mkdir(exist_ok=True)
        for name, text in (("MIDA 5.0.csv", _MIDA), ("MIDB 5.0.csv", _MIDB)):
            (given / name).write_text(text.format(n=9 if which == "A" else 12), encoding="utf-8")
    with patch.object(acquire, "read_files", lambda *_: []):  # read once, when it was made
        acquire.add(SOURCE, given, cache=root / "cache", replace=replace)


def _read_source(root: Path) -> object:
    try:
        return {
            role: sha256_of(path) for role, path in verify(SOURCE, cache=root / "cache").items()
        }
    except MissingFileError:
        return None


_COLUMNS = [FeatureRequest("peace", "peace_years")]


def _options(which: str) -> dict[str, Any]:
    return {"data": _tables(), "years": (1995, _LAST[which])}


def _cache_panel(root: Path, which: str) -> None:
    # One is kept: the older one goes.
    with (
        patch.object(panel_cache, "_KEPT", 1),
        patch.object(panel_cache, "load_panel", lambda **_: _panel(which)),
    ):
        cached_panel(_COLUMNS, folder=root / "panels", **_options(which))


def _read_cached(root: Path) -> object:
    key = panel_key(_COLUMNS, **_options("B"))
    try:
        return unseal(root / "panels" / key, MARKER)["fingerprint"]
    except (FileNotFoundError, ArtifactError):
        return None  # made anew: it is a cache


def _read_derived(root: Path) -> object:
    found = open_tables(root, "key")
    return None if found is None else found.fingerprint


def _resume(root: Path, which: str) -> None:
    with RunFolder.opened(root / "run", {"model": "m"}) as folder:
        for job in ("A", "B")[: 1 if which == "A" else 2]:
            if folder.load(job) is None:
                rows = {year: pd.DataFrame({"year": [year], "job": [job]}) for year in (1990, 1991)}
                folder.save(job, {"mean": np.full(5, ord(job))}, rows)


def _read_run(root: Path) -> object:
    if not (root / "run" / MANIFEST).is_file():
        return None
    unseal(root / "run")
    with RunFolder.opened(root / "run", {"model": "m"}) as folder:
        found = {job: folder.load(job) for job in ("A", "B")}
    return {job: None if a is None else a["mean"].tolist() for job, a in found.items()}


def _save_panel(root: Path, which: str) -> None:
    with patch("forecast.panel_file.load_panel", lambda **_: _panel(which)):
        save_panel(_panel(which), root / "mine" / "a.panel")


def _read_panel(root: Path) -> object:
    import zipfile

    path = root / "mine" / "a.panel"
    if not path.exists():
        return None
    with zipfile.ZipFile(path) as archive:
        return unseal(zipfile.Path(archive), MANIFEST)["rows"]


def _keep_amendment(root: Path, which: str) -> None:
    row = {"conflict_id": "own", "name": f"War {which}", "state_a": "USA", "state_b": "CAN",
           "start": "2009-05-01", "level": "clash", "source": "a register"}  # fmt: skip
    own = amendment_from_frames({"conflict": pd.DataFrame([row])}, name="mine")
    with patch.object(keeping, "_checked", lambda *_: None):
        keeping.keep(own, replace=True, cache=root / "cache")


def _read_amendments(root: Path) -> object:
    found = keeping.kept(root / "cache")
    return [one.amendment.label for one in found] or None


_CHAIN = {
    "posterior": xr.Dataset(
        {"beta": (("chain", "draw", "term"), np.arange(8.0).reshape(1, 4, 2))},
        {"chain": [0], "draw": np.arange(4), "term": ["a", "b"]},
    ),
    "sample_stats": xr.Dataset(
        {"energy": (("chain", "draw"), np.ones((1, 4)))}, {"chain": [0], "draw": np.arange(4)}
    ),
}


def _sample(root: Path, which: str) -> None:
    """Chains that have ended ("A"), and put together ("B")."""
    store = root / "draws"
    if which == "A":
        nuts_store.create(store, draws=4, tune=1, seeds=[1])
        folder = nuts_store.chain_folder(store, 0, new=True)
        for group, data in _CHAIN.items():
            data.to_zarr(folder, group=group, mode="a", consolidated=False, zarr_format=3)
    else:
        nuts_store.merge(store, ["beta"], {"term": ["a", "b"]})


def _read_draws(root: Path) -> object:
    found = nuts_store.open_draws(root / "draws")
    return found["posterior"]["beta"].to_numpy().tolist()


KEPT = (
    Kept("fit", _save_fit, _read_fit),
    Kept("record of a fit", _save_record, _read_fit, before="A"),
    Kept("report", _write_report, _read_report),
    Kept("report over report", _write_report, _read_report, before="A", shared="report"),
    Kept(
        "tables of a backtest",
        lambda root, which: _backtest(which).save(root / "tables"),
        lambda root: _read_sealed(root, "tables", "forecasts.csv"),
        before="A",
    ),
    Kept(
        "skill table",
        lambda root, which: _skill(which).save(root / "out"),
        lambda root: _read_sealed(root, "out", "table.txt"),
        before="A",
        shared="out",
    ),
    Kept("source accepted", accept, _read_source),
    Kept(
        "source replaced",
        lambda root, which: accept(root, which, replace=True),
        _read_source,
        before="A",
    ),
    Kept("panel in the cache", _cache_panel, _read_cached, before="A", then="C", optional=True),
    Kept(
        "derived tables",
        lambda root, which: save_tables(root, "key", _tables()),
        _read_derived,
        optional=True,
    ),
    Kept("backtest resumed", _resume, _read_run, before="A"),
    Kept("panel file", _save_panel, _read_panel, before="A", shared="mine"),
    Kept("amendment", _keep_amendment, _read_amendments, before="A"),
    Kept("draws of NUTS", _sample, _read_draws, before="A", again=False),
)
