"""A damaged byte of anything that is kept: an error for that one, and the others as they were."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.kept import KEPT, Kept
from support.tries import hostile

from forecast.disk import leaves
from forecast.errors import ForecastError

#: Each in a folder of its own, all below one root; of those that share a folder, the last state.
KINDS = {
    kept.name: kept
    for kept in KEPT
    if kept.name not in ("report over report", "record of a fit", "source replaced")
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything that is kept, whole."""
    root = tmp_path_factory.mktemp("whole") / "root"
    root.mkdir()
    for kept in KINDS.values():
        for which in (kept.before, "B"):
            if which:
                kept.write(root, which)
    for kept in KEPT:
        if kept.name == "record of a fit":
            kept.write(root, "B")
    return root


@pytest.fixture(scope="module")
def found(whole: Path) -> dict[str, object]:
    return {name: kept.read(whole) for name, kept in KINDS.items()}


def _damaged(content: bytes, how: str, at: float) -> bytes | None:
    place = min(int(at * len(content)), max(len(content) - 1, 0))
    if how == "gone":
        return None
    if how == "cut":
        return content[:place]
    if how == "longer":
        return content + b"\0"
    flipped = bytes([content[place] ^ 1 << int(at * 1e6) % 8]) if content else b"x"
    return content[:place] + flipped + content[place + 1 :]


def _reads(kept: Kept, root: Path) -> Iterator[object]:
    try:
        yield kept.read(root)
    except ForecastError as error:
        assert len(str(error)) <= 2100
    except FileNotFoundError:
        pass  # no artifact of ours without its manifest


@hostile
@given(
    which=st.floats(0, 1, exclude_max=True),
    how=st.sampled_from(["flip", "flip", "flip", "cut", "gone", "longer"]),
    at=st.floats(0, 1, exclude_max=True),
)
def test_damage_is_told_and_hides_no_other(
    whole: Path, found: dict[str, object], which: float, how: str, at: float
) -> None:
    files = sorted(name for name, path in leaves(whole).items() if path.is_file())
    name = files[int(which * len(files))]
    path = whole / name
    content = path.read_bytes()
    damaged = _damaged(content, how, at)
    aside = whole.parent / "aside"
    shutil.copy2(path, aside)
    try:
        if damaged is None:
            path.unlink()
        else:
            path.write_bytes(damaged)
        touched = name.split("/")[0]
        for kind, kept in KINDS.items():
            for seen in _reads(kept, whole):
                # A flip in white space, or in a part of an archive that nobody reads, is none.
                harmless = seen == found[kind] or (kept.optional and seen is None)
                of_it = how == "gone" and seen is None
                assert harmless or of_it, f"{kind}: {name} {how} at {at}: {seen!r}"
            if not _may_touch(kind, touched):
                assert list(_reads(kept, whole)) == [found[kind]], f"{kind} is not of {touched}"
    finally:
        path.unlink(missing_ok=True)
        shutil.copy2(aside, path)


#: Folders below the root that a kind is in.
_PLACES = {
    "fit": "store", "report": "report", "tables of a backtest": "tables", "skill table": "out",
    "source accepted": "cache", "panel in the cache": "panels", "derived tables": "derived",
    "backtest resumed": "run", "panel file": "mine", "amendment": "cache", "draws of NUTS": "draws",
}  # fmt: skip


def _may_touch(kind: str, folder: str) -> bool:
    return _PLACES[kind] == folder
