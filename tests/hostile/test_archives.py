"""Archives and packed files as they must never come: the right bytes, or an error of ours."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import struct
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.damage import damaged_bytes, reading_or_error
from support.official_files import OFFICIAL
from support.tries import hostile

from forecast.errors import ForecastError
from forecast.sources import archive
from forecast.sources.acquire import add
from forecast.sources.archive import extract
from forecast.sources.reader import read_official, stream_blocks

CSV = "".join(f"{i},{i * i % 977},{'x' * (i % 7)}\n" for i in range(400)).encode()
METHODS = {
    "stored": zipfile.ZIP_STORED,
    "deflate": zipfile.ZIP_DEFLATED,
    "bz2": zipfile.ZIP_BZIP2,
    "lzma": zipfile.ZIP_LZMA,
}


def packed(members: dict[str, bytes], method: int) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as opened:
        for name, content in members.items():
            opened.writestr(zipfile.ZipInfo(name, (2024, 1, 1, 0, 0, 0)), content, method)
    return out.getvalue()


def read(raw: bytes, member: list[str]) -> bytes | ForecastError:
    """Member of an archive of these bytes, or the error."""
    with tempfile.TemporaryDirectory() as folder:
        path, target = Path(folder) / "a.zip", Path(folder) / "out"
        path.write_bytes(raw)
        found = reading_or_error(
            lambda: extract(path, member, target, max_bytes=1_000_000), "a.zip", *member
        )
        return found if isinstance(found, ForecastError) else target.read_bytes()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("nested", [False, True], ids=["plain", "nested"])
def test_a_damaged_archive_gives_its_member_or_an_error_of_ours(method: str, nested: bool) -> None:
    inner = packed({"t/a.csv": CSV, "t/b.csv": b"other"}, METHODS[method])
    raw = packed({"inner.zip": inner}, METHODS["stored"]) if nested else inner
    member = ["inner.zip", "t/a.csv"] if nested else ["t/a.csv"]
    assert read(raw, member) == CSV

    @hostile
    @given(damaged_bytes(raw))
    def damaged(content: bytes) -> None:
        found = read(content, member)
        # The directory may have been led to the other member: never to bytes that were not packed.
        assert isinstance(found, ForecastError) or found in (CSV, b"other", inner)

    damaged()


def test_damaged_members_and_unknown_methods() -> None:
    for method in ("deflate", "bz2", "lzma"):
        raw = packed({"a.csv": CSV}, METHODS[method])
        start = 30 + len("a.csv")
        for at in range(start, start + 60):
            flipped = bytearray(raw)
            flipped[at] ^= 0xFF
            found = read(bytes(flipped), ["a.csv"])
            assert found == CSV or "damaged" in str(found) or "unpacked" in str(found), found
    unknown = bytearray(packed({"a.csv": CSV}, METHODS["deflate"]))
    directory = unknown.rindex(b"PK\x01\x02")
    for place in (8, directory + 10):
        unknown[place : place + 2] = struct.pack("<H", 97)
    assert "cannot be unpacked" in str(read(bytes(unknown), ["a.csv"]))
    encrypted = bytearray(packed({"a.csv": CSV}, METHODS["deflate"]))
    for place in (6, directory + 8):
        encrypted[place] |= 1
    assert "is encrypted" in str(read(bytes(encrypted), ["a.csv"]))


KINDS = {"ccode": "int", "year": "int", "share": "float?"}
FRAME = pd.DataFrame(
    {"ccode": [2, 20] * 40, "year": range(1900, 1980), "share": [0.5, None] * 40, "name": "état"}
)


def _stata(version: int) -> bytes:
    out = io.BytesIO()
    FRAME.to_stata(out, write_index=False, version=version)
    return out.getvalue()


def _of_r(ending: str) -> bytes:
    rdata = pytest.importorskip("rdata")
    frame = FRAME.drop(columns="name")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"t{ending}"
        if ending == ".rds":
            rdata.write_rds(path, frame)
        else:
            rdata.write_rda(path, {"t": frame})
        return path.read_bytes()


PACKED: dict[str, Callable[[], bytes]] = {
    "t.csv.gz": lambda: gzip.compress(FRAME.to_csv(index=False).encode(), mtime=0),
    "t.dta": lambda: _stata(118),
    "old.dta": lambda: _stata(114),
    "t.rds": lambda: _of_r(".rds"),
    "t.rda": lambda: _of_r(".rda"),
}


@pytest.mark.parametrize("name", PACKED)
def test_a_damaged_file_of_another_program_is_read_or_refused(name: str, tmp_path: Path) -> None:
    raw = PACKED[name]()
    path = tmp_path / name

    def read(content: bytes) -> Any:
        path.write_bytes(content)
        return reading_or_error(lambda: read_official(path, KINDS), name)

    whole = read(raw)
    assert whole["year"].tolist() == FRAME["year"].tolist()

    @hostile
    @given(damaged_bytes(raw))
    def damaged(content: bytes) -> None:
        found = read(content)
        assert isinstance(found, ForecastError) or len(found) < 10_000

    damaged()


@hostile
@given(damaged_bytes(PACKED["t.csv.gz"]()))
def test_a_damaged_packed_stream_is_read_or_refused(raw: bytes) -> None:
    def blocks(path: Path) -> int:
        return sum(len(b["year"]) for b in stream_blocks(path, {"year": pa.int64()}.get))

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.csv.gz"
        path.write_bytes(raw)
        reading_or_error(lambda: blocks(path), "t.csv.gz")


@pytest.mark.parametrize(
    "call",
    [
        lambda path: read_official(path, KINDS),
        lambda path: list(stream_blocks(path, {"ccode": pa.int64()}.get)),
    ],
    ids=["whole", "blocks"],
)
def test_a_packed_bomb_is_refused_before_it_fills_the_memory(
    call: Callable[[Path], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "RATIO_FROM", 1_000_000)
    path = tmp_path / "bomb.csv.gz"
    path.write_bytes(gzip.compress(b"ccode,year,share\n" + b"2,1900,0.5\n" * 300_000, mtime=0))
    error = reading_or_error(lambda: call(path), "bomb.csv.gz")
    assert "no table of data shrinks that much" in str(error)


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_a_bomb_in_a_file_of_r_is_refused(pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    path = tmp_path / "bomb.rds"
    path.write_bytes(pack(b"X\n" + bytes(20_000_000)))
    error = reading_or_error(lambda: read_official(path, KINDS), "bomb.rds")
    assert "no table of data shrinks as much" in str(error)


#: Sources and the names under which a user's copy of their files is known.
GIVEN = {
    ("cow_states_2016", "states2016.csv"): OFFICIAL["cow_states", "states"]["states"],
    ("cow_nmc_7_0", "NMC-70-abridged.csv"): OFFICIAL["cow_nmc", "nmc"]["nmc"],
    ("ucdp_acd", "UcdpPrioConflict_v26_1.csv"): OFFICIAL["ucdp", "conflicts"]["conflicts"],
}


@hostile
@given(st.sampled_from(list(GIVEN)), st.sampled_from(("", ".gz", ".zip")), st.data())
def test_a_users_copy_is_taken_or_refused(
    source: tuple[str, str], ending: str, data: st.DataObject
) -> None:
    key, name = source
    text = GIVEN[source].encode()
    raw = data.draw(damaged_bytes(text)) if data.draw(st.booleans()) else text
    if ending == ".gz":
        raw = gzip.compress(raw, mtime=0)
    elif ending == ".zip":
        raw = packed({f"folder/{name}": raw}, METHODS["deflate"])
    if ending and data.draw(st.booleans()):
        raw = data.draw(damaged_bytes(raw))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}{ending}"
        path.write_bytes(raw)
        reading_or_error(lambda: add(key, path, cache=Path(folder) / "cache"), name, path.name)
