"""The main job where cron runs it: no environment, no home, another user, nothing to write to."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numba.core.caching
import numpy as np
import pytest

from forecast.inference.row_kernels import machine

ROOT = Path(__file__).resolve().parent.parent
NOBODY = 65534

#: The main job, short: rows of few years and pairs, one scenario, no backtest.
JOB = """
import sys
root, out, model = sys.argv[1:]
sys.path.insert(0, root)
from forecast import cli
from forecast.panel import build
whole, few = build.load_panel, {"years": (2015, 2025), "population": "politically_relevant"}
build.load_panel = lambda **options: whole(**{**options, **few})
sys.exit(cli.main([
    "run", "--model", model, "--out", out + "/report", "--store", out + "/store", "--scenario",
    root + "/data/scenarios/ukraine-joins-nato.toml", "--draws", "100", "--backtest-years", "0",
    "--quiet", "--json",
]))
"""


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A checkout that is another's and read-only, and a folder that anybody may write to."""
    # Not below pytest's folder, which another user may not enter.
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        place.chmod(0o755)
        for name in ("forecast", "data", "models"):
            without = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, place / "checkout" / name, ignore=without)
        text = (ROOT / "models" / "dyad_onset.toml").read_text(encoding="utf-8")
        relevant = text.replace('population = "all"', 'population = "politically_relevant"')
        (place / "relevant.toml").write_text(relevant, encoding="utf-8")
        (place / "out").mkdir()
        (place / "out").chmod(0o777)
        for path in [place / "checkout", *(place / "checkout").rglob("*")]:
            if os.geteuid() == 0:
                os.chown(path, NOBODY - 1, NOBODY - 1)
            path.chmod(0o555 if path.is_dir() else 0o444)
        yield place
        for path in [place / "checkout", *(place / "checkout").rglob("*")]:
            if path.is_dir():
                path.chmod(0o755)


def _as_cron(command: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command as somebody who may write to nothing, in an empty environment."""
    prefix, home = [], {}
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("root may write everywhere, and there is no setpriv to be another user")
        prefix = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
        if subprocess.run([*prefix, sys.executable, "-c", ""], capture_output=True).returncode:
            # An interpreter that nobody else may read: as root without the powers of root.
            prefix = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
            home = {"HOME": "/proc/nowhere"}
    return subprocess.run(
        [*prefix, *command],
        env={**home, **environment},
        cwd="/",
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
    )


def _digest(done: subprocess.CompletedProcess[str], out: Path) -> tuple[Any, ...]:
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    report = json.loads((out / "report" / "report.json").read_text(encoding="utf-8"))
    fit = json.loads(done.stdout)["fit"]
    return report["sha256"], fit["id"]


@pytest.mark.long
def test_the_main_job_under_cron_has_the_same_numbers(place: Path) -> None:
    command = [sys.executable, "-P", "-c", JOB]
    own = place / "out" / "own"
    ordinary = [*command, str(ROOT), str(own), str(place / "relevant.toml")]
    done = subprocess.run(ordinary, capture_output=True, encoding="utf-8")
    expected = _digest(done, own)
    for zone, locale in (("Pacific/Kiritimati", "C"), ("America/St_Johns", "tr_TR.UTF-8")):
        out = place / "out" / locale
        arguments = [str(place / "checkout"), str(out), str(place / "relevant.toml")]
        found = _as_cron([*command, *arguments], TZ=zone, LC_ALL=locale)
        assert _digest(found, out) == expected
    assert not list((place / "checkout").rglob("__pycache__"))


def test_what_needs_no_fit_needs_nothing_to_write_to(place: Path) -> None:
    code = "import sys; sys.path.insert(0, sys.argv.pop(1)); from forecast import cli; cli.main()"
    for arguments in (["--help"], ["data", "list"], ["data", "check"], ["features"]):
        command = [sys.executable, "-P", "-c", code, str(place / "checkout"), *arguments]
        done = _as_cron(command, LC_ALL="C", TZ="Pacific/Kiritimati")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout


def test_kernels_are_compiled_where_no_cache_can_be_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(numba.core.caching.CacheImpl, "_locator_classes", [])
    add = machine(lambda x: x + 1, nogil=True)
    assert add(np.float64(1.0)) == 2.0
