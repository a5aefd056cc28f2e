"""Folders are written whole or not at all, and nothing of others is replaced."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest

from forecast import cli
from forecast.disk import write_atomically
from forecast.errors import ArgumentError, ArtifactError
from forecast.files import MANIFEST, MARKER, seal, unseal
from forecast.folders import check_target, keep_newest, replace_folder, write_files


def _write(folder: Path, *, keep: bool = False, **files: str) -> None:
    with replace_folder(folder, keep=keep) as staging:
        for name, text in files.items():
            (staging / name).write_text(text)


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_files_and_folders_are_written_whole_or_not_at_all(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a" / "x.txt", b"one")
    write_atomically(tmp_path / "a" / "x.txt", b"two")
    assert (tmp_path / "a" / "x.txt").read_bytes() == b"two"
    _write(tmp_path / "out", page="first")
    with pytest.raises(RuntimeError), replace_folder(tmp_path / "out") as staging:
        (staging / "page").write_text("half")
        raise RuntimeError
    assert (tmp_path / "out" / "page").read_text() == "first"
    assert _names(tmp_path) == ["a", "out"]


def test_what_was_written_before_is_replaced_as_a_whole(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    _write(tmp_path / "out", old="1", page="1")
    _write(tmp_path / "out", page="2")
    assert _names(tmp_path / "out") == [MARKER, "page"]
    with replace_folder(tmp_path / "out"):
        pass
    assert _names(tmp_path / "out") == [MARKER]


def _file(folder: Path) -> None:
    folder.write_text("mine")


def _link_to_other(folder: Path) -> None:
    _other(folder.with_name("thesis"))
    folder.symlink_to("thesis")


def _link_to_nothing(folder: Path) -> None:
    folder.symlink_to("nowhere")


def _other(folder: Path) -> None:
    folder.mkdir()
    (folder / "page").write_text("mine")


def _added(folder: Path) -> None:
    _write(folder, page="1")
    (folder / "notes").mkdir()
    (folder / "notes" / "a.txt").write_text("mine")


def _empty_folder_inside(folder: Path) -> None:
    _write(folder, page="1")
    (folder / "later").mkdir()


def _name_is_a_link_now(folder: Path) -> None:
    _write(folder, page="1")
    (folder / "page").unlink()
    (folder / "page").symlink_to("/etc/hostname")


def _damaged_marker(folder: Path) -> None:
    _write(folder, page="1")
    (folder / MARKER).write_text("{")


def _pipe(folder: Path) -> None:
    os.mkfifo(folder)


@pytest.mark.parametrize(
    ("make", "found"),
    [
        (_file, "is no folder"),
        (_pipe, "is no folder"),
        (_link_to_nothing, "is a link, to 'nowhere'"),
        (_link_to_other, "is a link, to 'thesis'"),
        (_other, "holds page"),
        (_added, r"holds notes/a\.txt"),
        (_empty_folder_inside, "holds later"),
        (_name_is_a_link_now, "holds page"),
        (_damaged_marker, "holds page"),
    ],
)
def test_what_others_made_is_refused_before_the_work_begins(tmp_path: Path, make, found) -> None:
    out = tmp_path / "out"
    make(out)
    before = {p: os.lstat(p) for p in sorted(tmp_path.rglob("*"))}
    with pytest.raises(ArgumentError, match=f"out.*{found}.*(move it away|name what)"):
        check_target(out)
    with pytest.raises(ArgumentError, match=found), replace_folder(out):
        pytest.fail("the work began")
    assert {p: os.lstat(p) for p in sorted(tmp_path.rglob("*"))} == before


def test_what_comes_during_the_work_is_not_lost(tmp_path: Path) -> None:
    out = tmp_path / "out"
    _write(out, page="1")
    with pytest.raises(ArgumentError, match="holds late"), replace_folder(out) as staging:
        (staging / "page").write_text("2")
        (out / "late").write_text("mine")
    assert ((out / "page").read_text(), (out / "late").read_text()) == ("1", "mine")
    assert _names(tmp_path) == ["out"]


def test_what_others_put_there_goes_along_as_it_is(tmp_path: Path) -> None:
    out = tmp_path / "out"
    _write(out, page="1", old="1")
    (out / "dir").mkdir()
    (out / "dir" / "file").write_text("mine")
    (out / "dir" / "file").chmod(0o600)
    (out / "empty").mkdir()
    (out / "link").symlink_to("dir")
    (out / "dangling").symlink_to("nowhere")
    for text in "23":
        _write(out, keep=True, page=text)
        assert _names(out) == [MARKER, "dangling", "dir", "empty", "link", "page"]
        assert (out / "page").read_text() == text
        assert (out / "dir" / "file").stat().st_mode & 0o777 == 0o600
        assert (out / "link").readlink() == Path("dir")
        assert (out / "dangling").readlink() == Path("nowhere")
    (out / "new").write_text("mine")
    with pytest.raises(ArgumentError, match="holds new"):
        _write(out, keep=True, page="4", new="4")
    assert (out / "new").read_text() == "mine"
    os.mkfifo(out / "pipe")
    out.chmod(0o700)
    same = out.stat().st_ino
    _write(out, keep=True, page="5")
    assert (out / "pipe").is_fifo()
    assert (out.stat().st_mode & 0o777, out.stat().st_ino) == (0o700, same)
    # What was edited is the user's now: never replaced, and left when it would go.
    (out / "page").write_text("edited")
    with pytest.raises(ArgumentError, match=r"page, which .* was changed since"):
        _write(out, keep=True, page="6")
    _write(out, keep=True, other="6")
    assert (out / "page").read_text() == "edited"


def test_single_files_beside_those_of_others(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("mine")
    write_files(tmp_path, {"a.csv": b"1"})
    write_files(tmp_path, {"a.csv": b"2", "b.csv": b"2"})
    assert (tmp_path / "a.csv").read_bytes() == b"2"
    with pytest.raises(ArgumentError, match=r"holds mine\.csv"):
        write_files(tmp_path, {"a.csv": b"3", "mine.csv": b"3"})
    assert (tmp_path / "a.csv").read_bytes() == b"2"
    assert (tmp_path / "mine.csv").read_text() == "mine"


def _sealed(folder: Path) -> Path:
    (folder / "in").mkdir(parents=True)
    (folder / "in" / "a.bin").write_bytes(bytes(range(256)))
    (folder / "b.txt").write_text("text")
    seal(folder, kind="test")
    return folder


def test_a_sealed_folder_is_read_back_with_its_facts(tmp_path: Path) -> None:
    folder = _sealed(tmp_path / "out")
    manifest = unseal(folder)
    assert manifest["kind"] == "test"
    assert sorted(manifest["files"]) == ["b.txt", "in/a.bin"]
    assert manifest["files"]["b.txt"]["bytes"] == 4
    (folder / "notes.txt").write_text("of somebody else")
    assert unseal(folder) == manifest
    with zipfile.ZipFile(tmp_path / "out.zip", "w") as archive:
        for name in (MANIFEST, "b.txt", "in/a.bin"):
            archive.write(folder / name, name)
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        assert unseal(zipfile.Path(archive)) == manifest
    with pytest.raises(FileNotFoundError):
        unseal(tmp_path)


def test_every_byte_of_a_sealed_folder_is_checked(tmp_path: Path) -> None:
    folder = _sealed(tmp_path / "out")
    for name in ("in/a.bin", "b.txt", MANIFEST):
        path = folder / name
        whole = path.read_bytes()
        for at in range(0, len(whole), 7):
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
            if path.read_bytes().split() == whole.split():
                continue  # white space between the values of a manifest
            with pytest.raises(ArtifactError, match=r"out.*(damaged|missing|outside)"):
                unseal(folder)
        path.write_bytes(whole)
    (folder / "b.txt").unlink()
    with pytest.raises(ArtifactError, match=r"copy/b\.txt is missing\. Make it anew\."):
        unseal(folder, where="copy", remedy="Make it anew.")


def test_what_is_replaced_and_written_has_hashes_too(tmp_path: Path) -> None:
    with replace_folder(tmp_path / "out", about={"of": "us"}) as staging:
        (staging / "page").write_text("1")
    write_files(tmp_path / "out", {"more.csv": b"2"})
    (tmp_path / "out" / "mine").write_text("mine")
    manifest = unseal(tmp_path / "out", MARKER)
    assert (sorted(manifest["files"]), manifest["of"]) == (["more.csv", "page"], "us")
    # A marker of an earlier version has names alone.
    (tmp_path / "out" / MARKER).write_text('{"files": ["page", "more.csv"]}')
    write_files(tmp_path / "out", {"more.csv": b"3"})
    (tmp_path / "out" / "mine").unlink()
    _write(tmp_path / "out", page="2")
    assert (tmp_path / "out" / "page").read_text() == "2"


def test_only_the_newest_sealed_folders_are_kept(tmp_path: Path) -> None:
    for i in range(4):
        folder = tmp_path / str(i)
        _write(folder, page="1")
        os.utime(folder, (i, i))
    (tmp_path / "others").mkdir()
    assert keep_newest(tmp_path, 2) == 2
    assert _names(tmp_path) == ["2", "3", "others"]
    assert keep_newest(tmp_path / "nowhere", 2) == 0


@pytest.mark.parametrize("name", ["tables/thesis.txt", "skill.csv", "tables"])
def test_a_backtest_into_a_folder_of_others_is_refused_at_once(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> None:
        pytest.fail("the work began")

    monkeypatch.setattr("forecast.panel.build.load_panel", never)
    mine = tmp_path / name
    mine.parent.mkdir(exist_ok=True)
    mine.write_text("mine")
    assert cli.main(["backtest", "--out", str(tmp_path)]) == 1
    assert "move it away" in capsys.readouterr().err
    assert mine.read_text() == "mine"
    assert cli.main(["backtest", "--out", str(mine)]) == 1
    assert "is no folder" in capsys.readouterr().err


def test_the_main_job_refuses_its_folder_before_it_fits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("forecast.run.fit_and_save", lambda **_: pytest.fail("the work began"))
    (tmp_path / "thesis.tex").write_text("years of work")
    assert cli.main(["run", "--quiet", "--out", str(tmp_path)]) == 1
    assert "holds no report" in capsys.readouterr().err
    assert (tmp_path / "thesis.tex").read_text() == "years of work"
