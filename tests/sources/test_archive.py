from __future__ import annotations

import io
import stat
import struct
import zipfile
from pathlib import Path

import pytest

from forecast.errors import DataError
from forecast.sources import archive
from forecast.sources.archive import MissingMemberError, extract

CSV = b"ccode,year\n2,1816\n"


def make_zip(path: Path, members: dict[str, bytes], *, method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as opened:
        for name, content in members.items():
            # A fixed date: the same content is the same archive at any time.
            entry = zipfile.ZipInfo(name, (2024, 1, 1, 0, 0, 0))
            opened.writestr(entry, content, method)
    return path


def test_a_member_by_its_name(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", {"A/a.csv": CSV, "A/b.csv": b"other", "A/book.pdf": b"%"})
    assert extract(path, ["A/a.csv"], tmp_path / "out", max_bytes=100) == "a.csv"
    assert (tmp_path / "out").read_bytes() == CSV
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.zip", "out"]


def test_an_archive_in_the_archive(tmp_path: Path) -> None:
    inner = make_zip(tmp_path / "inner.zip", {"n.csv": CSV}).read_bytes()
    path = make_zip(tmp_path / "a.zip", {"V7/inner.zip": inner})
    assert extract(path, ["V7/inner.zip", "n.csv"], tmp_path / "out", max_bytes=1000) == "n.csv"
    assert (tmp_path / "out").read_bytes() == CSV
    with pytest.raises(MissingMemberError, match=r"inner\.zip: no member 'm\.csv'.*'n\.csv'"):
        extract(path, ["V7/inner.zip", "m.csv"], tmp_path / "out", max_bytes=1000)


def test_a_renamed_folder_or_file_is_found_if_it_is_alone(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", {"B/A.CSV": CSV})
    assert extract(path, ["A/a.csv"], tmp_path / "out", max_bytes=100) == "A.CSV"
    path = make_zip(tmp_path / "b.zip", {"x/a.csv": CSV, "y/a.csv": CSV})
    with pytest.raises(DataError, match=r"several members.*'x/a\.csv', 'y/a\.csv'"):
        extract(path, ["A/a.csv"], tmp_path / "out", max_bytes=100)
    path = make_zip(tmp_path / "c.zip", {"a_v2.csv": CSV, "z.csv": b""})
    known = {"a_v2.csv": 1}.get
    assert extract(path, ["a.csv"], tmp_path / "out", max_bytes=100, rank=known) == "a_v2.csv"
    with pytest.raises(
        MissingMemberError, match=r"no member 'a_v1\.csv'. Did you mean 'a_v2\.csv'"
    ):
        extract(path, ["a_v1.csv"], tmp_path / "out", max_bytes=100)


@pytest.mark.parametrize(
    "name",
    ["../evil.csv", "A/../../evil.csv", "/etc/evil.csv", "..\\evil.csv", "C:\\evil.csv", "\\evil"],
)
def test_an_archive_that_would_write_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "deep" / "in"
    folder.mkdir(parents=True)
    path = make_zip(folder / "a.zip", {"a.csv": CSV, name: b"evil"})
    with pytest.raises(DataError, match="outside its folder"):
        extract(path, ["a.csv"], folder / "out", max_bytes=100)
    assert [p.name for p in tmp_path.rglob("*") if p.is_file()] == ["a.zip"]


def test_a_link_is_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("a.csv")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as opened:
        opened.writestr(link, "/etc/passwd")
    with pytest.raises(DataError, match="is a link"):
        extract(tmp_path / "a.zip", ["a.csv"], tmp_path / "out", max_bytes=100)


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", {"a.csv": bytes(30_000_000)})
    with pytest.raises(DataError, match="no table of data shrinks that much"):
        extract(path, ["a.csv"], tmp_path / "out", max_bytes=10**9)
    with pytest.raises(DataError, match="expected at most 1,000,000"):
        extract(path, ["a.csv"], tmp_path / "out", max_bytes=10**6)
    inner = make_zip(tmp_path / "b.zip", {"a.csv": bytes(30_000_000)}).read_bytes()
    nested = make_zip(tmp_path / "c.zip", {"b.zip": inner})
    with pytest.raises(DataError, match="no table of data shrinks that much"):
        extract(nested, ["b.zip", "a.csv"], tmp_path / "out", max_bytes=10**9)
    assert not (tmp_path / "out").exists()


def test_a_directory_that_lies_about_the_size(tmp_path: Path) -> None:
    """The header says 20 bytes, the stream holds 5 MB: no more than promised is written."""
    raw = bytearray(make_zip(tmp_path / "a.zip", {"a.csv": b"x" * 5_000_000}).read_bytes())
    entry = raw.rindex(b"PK\x01\x02")
    raw[entry + 24 : entry + 28] = struct.pack("<I", 20)
    (tmp_path / "a.zip").write_bytes(raw)
    with pytest.raises(DataError):
        extract(tmp_path / "a.zip", ["a.csv"], tmp_path / "out", max_bytes=100)
    assert not (tmp_path / "out").exists() or (tmp_path / "out").stat().st_size <= 20


def test_too_many_members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_MEMBERS", 3)
    path = make_zip(tmp_path / "a.zip", {f"{i}.csv": CSV for i in range(4)})
    with pytest.raises(DataError, match="4 members"):
        extract(path, ["1.csv"], tmp_path / "out", max_bytes=100)


def test_damage_is_seen(tmp_path: Path) -> None:
    body = "".join(f"{i},{i * i % 977}\n" for i in range(5000)).encode()
    raw = make_zip(tmp_path / "a.zip", {"a.csv": body}).read_bytes()
    for damaged in (raw[: len(raw) // 2], b"<html>no such page</html>", b""):
        (tmp_path / "b.zip").write_bytes(damaged)
        with pytest.raises(DataError, match=r"b\.zip: not a zip archive, or a damaged one"):
            extract(tmp_path / "b.zip", ["a.csv"], tmp_path / "out", max_bytes=10**6)
    flipped = bytearray(raw)
    flipped[len(raw) // 2] ^= 0xFF
    (tmp_path / "b.zip").write_bytes(flipped)
    with pytest.raises(DataError, match="damaged"):
        extract(tmp_path / "b.zip", ["a.csv"], tmp_path / "out", max_bytes=10**6)


def test_an_encrypted_member_is_refused(tmp_path: Path) -> None:
    raw = bytearray(make_zip(tmp_path / "a.zip", {"a.csv": CSV}).read_bytes())
    raw[raw.rindex(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "a.zip").write_bytes(raw)
    with pytest.raises(DataError, match=r"encrypted.*--from"):
        extract(tmp_path / "a.zip", ["a.csv"], tmp_path / "out", max_bytes=100)


@pytest.mark.reference
def test_the_real_archive(reference: Path, tmp_path: Path) -> None:
    path = reference / "official" / "cow_contiguity" / "DirectContiguity320.zip"
    member = ["DirectContiguity320/contdir.csv"]
    extract(path, member, tmp_path / "contdir.csv", max_bytes=10**6)
    same = reference / "official" / "cow_contiguity" / "contdir.csv"
    assert (tmp_path / "contdir.csv").read_bytes() == same.read_bytes()
    assert io.BytesIO(same.read_bytes()).readline().startswith(b"dyad,statelno")
