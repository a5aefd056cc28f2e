from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.publisher import MIDA, MIDB, STATES, TOML, Publisher, cut, publish, whole
from test_archive import make_zip

from forecast.errors import (
    ArgumentError,
    ChangedFileError,
    DataError,
    DownloadError,
    MissingFileError,
    SpecificationError,
    StorageError,
    UnknownNameError,
)
from forecast.files import MARKER, sha256_of
from forecast.sources.cache import claimed, read_lock
from forecast.sources.catalogue import (
    RECIPE,
    Network,
    add,
    add_found,
    advice,
    available,
    cache_folder,
    catalogue,
    check_source,
    citations,
    files_of,
    get,
    get_each,
    read_source,
    recipe,
    unproven,
)
from forecast.sources.catalogue import (
    status as status_of_cache,
)
from forecast.sources.catalogue_file import load_catalogue
from forecast.sources.historical import load_historical
from forecast.sources.official import MODULES, reader
from forecast.sources.schemas import SCHEMAS

FAST = Network(connect=5.0, read=3.0, total=20.0, attempts=2, backoff=0.01)


@pytest.fixture(scope="module")
def server() -> Iterator[Publisher]:
    with publish() as publisher:
        yield publisher


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FORECAST_DATA", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def small(
    server: Publisher, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Publisher:
    """The publisher, with a catalogue and an empty cache."""
    (tmp_path / "catalogue.toml").write_text(TOML.format(url=server.url))
    monkeypatch.setenv("FORECAST_CATALOGUE", str(tmp_path / "catalogue.toml"))
    server.requests.clear()
    server.answers.clear()
    return server


def _snapshot(folder: Path) -> dict[str, bytes]:
    """Content of every file of a cache but unfinished downloads."""
    return {
        str(p.relative_to(folder)): p.read_bytes()
        for p in folder.rglob("*")
        if p.is_file() and "downloads" not in p.parts
    }


def _zip(tmp_path: Path, content: bytes = STATES) -> bytes:
    folder = tmp_path / "made"
    folder.mkdir(exist_ok=True)
    inner = make_zip(folder / "inner.zip", {"S/states.csv": content}).read_bytes()
    return make_zip(folder / "States.zip", {"inner.zip": inner}).read_bytes()


# ---------------------------------------------------------------- the catalogue that ships


def test_every_entry_has_its_reader_and_its_kinds_of_fact() -> None:
    for key, source in catalogue().sources.items():
        own = reader(source.reader)
        assert set(source.files) <= set(own.roles), key
        assert set(source.provides) <= set(SCHEMAS), key
        assert own.code_system in ("cow", "gw")
    assert {source.reader for source in catalogue().sources.values()} == set(MODULES)


def test_every_fact_of_the_recipe_has_sources() -> None:
    entries = catalogue()
    assert set(RECIPE) <= set(entries.facts)
    for fact, sources in entries.facts.items():
        # Every source that provides a fact is in its order of preference, once.
        providing = {key for key, source in entries.sources.items() if fact in source.provides}
        assert set(sources) == providing, fact
        assert len(sources) == len(providing)
    assert set(entries.citations) == {w for s in entries.sources.values() for w in s.cite}


def test_the_documentation_has_the_table() -> None:
    page = Path(__file__).parents[2] / "docs" / "data.md"
    # Printed by `forecast data list --markdown`.
    assert catalogue().to_markdown() in page.read_text(encoding="utf-8")


def test_names_of_files_lead_to_one_release() -> None:
    """A folder with many releases is sorted out by name alone."""
    seen: dict[str, str] = {}
    for key, source in catalogue().sources.items():
        for role, file in source.files.items():
            for name in file.names:
                owner = seen.setdefault(name.lower(), key)
                assert owner == key, f"{name}: {owner} and {key} ({role})"


def test_unknown_names_come_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="atop_5_1"):
        files_of("atop_51")
    with pytest.raises(UnknownNameError, match="conflicts"):
        catalogue().preferred("conflict")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            'release = "1"',
            'relase = "1"',
            r"\[sources\.plain\]: .*unknown key 'relase'; did you",
        ),
        ('title = "Plain"\n', "", r"\[sources\.plain\]: the key 'title' is missing"),
        ('names = ["MIDA.csv"]', "names = []", r"\[sources\.pair\.files\.mida\]: names = \[\]"),
        ('names = ["MIDA.csv"]', 'nams = ["MIDA.csv"]', "unknown key 'nams'; did you mean 'names'"),
        ("covers = [1816, 2014]", "covers = [2014, 1816]", "first year is after the last"),
        ('names = ["MIDA.csv"]', 'names = ["MIDA.csv"]\ngives = ["igos"]', "gives igos"),
        ('licence = "free"', 'licence = "fre"', "unknown 'fre'. Did you mean 'free'"),
        ('cite = ["somebody_2020"]', 'cite = ["somebdy"]', "unknown 'somebdy'"),
        ('["zipped", "plain"]', '["ziped", "plain"]', "Did you mean 'zipped'"),
        ('["pair"]', '["plain"]', "plain does not provide conflicts"),
        ('download = "file"', 'download = "fil"', "unknown download 'fil'. Did you mean 'file'"),
        ('download = "file"\n', "", r"downloads\.file is used by no file"),
        ('member = ["inner.zip", "S/states.csv"]', "", "needs its member"),
        ("http://localhost/pair", "localhost", r"landing = 'localhost'"),
        ("[facts]", "[facts", "catalogue"),
        ('reader = "cow_mid"', 'reader = "../../evil"', "reader"),
    ],
)
def test_a_malformed_catalogue_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    text = TOML.format(url="http://localhost:1")
    path = tmp_path / "catalogue.toml"
    path.write_text(text)
    assert load_catalogue(path)["plain"].required == ("states",)
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(SpecificationError, match=message):
        load_catalogue(path)


def test_a_catalogue_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORECAST_CATALOGUE", str(tmp_path / "none.toml"))
    with pytest.raises(MissingFileError, match="FORECAST_CATALOGUE"):
        catalogue()


def test_the_cache_is_where_the_user_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FORECAST_DATA", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("FORECAST_DATA")
    assert cache_folder().name == "alliance-forecast"


def test_import_stays_light() -> None:
    code = (
        "import sys, forecast, forecast.cli;"
        "print([m for m in ('pydantic', 'requests', 'pooch', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# ---------------------------------------------------------------- a user's copies


def test_a_copy_is_locked_and_read(small: Publisher, cache: Path, tmp_path: Path) -> None:
    (tmp_path / "states2016.csv").write_bytes(STATES)
    files = add("plain", tmp_path / "states2016.csv")
    assert files == {"states": cache / "plain" / "states2016.csv"} == files_of("plain")
    assert available() == ["plain"]
    locked = read_lock(cache, "plain").files["states"]
    assert locked.size == len(STATES)
    assert locked.sha256 == sha256_of(tmp_path / "states2016.csv")
    assert locked.origin == "file:states2016.csv"
    (reading,) = read_source("plain")
    assert reading.table == "states"
    assert len(reading.frame) == 3
    assert small.requests == []


def test_copies_by_name_role_gzip_folder_and_archive(
    small: Publisher, cache: Path, tmp_path: Path
) -> None:
    deep = tmp_path / "mine" / "a" / "b"
    deep.mkdir(parents=True)
    (deep / "STATES2016.CSV.gz").write_bytes(gzip.compress(STATES, mtime=0))
    assert add("plain", tmp_path / "mine")["states"].name == "STATES2016.CSV.gz"
    assert len(read_source("plain")[0].frame) == 3
    (tmp_path / "mine" / "States.zip").write_bytes(_zip(tmp_path))
    assert add("zipped", tmp_path / "mine")["states"].read_bytes() == STATES
    other = cache / "other"
    (tmp_path / "renamed.zip").write_bytes(_zip(tmp_path))
    assert add("zipped", str(tmp_path / "renamed.zip"), cache=other)["states"].is_file()
    (tmp_path / "my states.csv").write_bytes(STATES)
    # The only file for the only role needs no known name; nor does one whose role is said.
    assert add("plain", tmp_path / "my states.csv", cache=other)["states"].is_file()
    named = {"states": tmp_path / "my states.csv"}
    assert add("plain", named, cache=cache / "third")["states"].name == "my states.csv"


def test_a_folder_of_others_in_the_cache_is_left_alone(
    small: Publisher, cache: Path, tmp_path: Path
) -> None:
    (tmp_path / "states2016.csv").write_bytes(STATES)
    (cache / "plain").mkdir(parents=True)
    (cache / "plain" / "thesis.txt").write_text("mine")
    (cache / "plain" / "states2016.csv").write_text("mine")
    for replace in (False, True):
        with pytest.raises(ArgumentError, match=r"holds states2016\.csv"):
            add("plain", tmp_path / "states2016.csv", replace=replace)
    assert (cache / "plain" / "states2016.csv").read_text() == "mine"
    (cache / "plain" / "states2016.csv").unlink()
    add("plain", tmp_path / "states2016.csv")
    # As an earlier version left it: the lock tells what is ours.
    (cache / "plain" / MARKER).unlink()
    add("plain", tmp_path / "states2016.csv", replace=True)
    assert (cache / "plain" / "thesis.txt").read_text() == "mine"
    # Or its manifest, where the lock was deleted to trust the source anew.
    (cache / "locks" / "plain.json").unlink()
    add("plain", tmp_path / "states2016.csv")


def test_all_files_of_a_source_or_none(small: Publisher, cache: Path, tmp_path: Path) -> None:
    (tmp_path / "MIDA.csv").write_bytes(MIDA)
    with pytest.raises(MissingFileError, match=r"pair: midb \(MIDB\.csv\) is missing; give all"):
        add("pair", tmp_path / "MIDA.csv")
    assert not list(cache.rglob("*"))
    (tmp_path / "MIDB.csv").write_bytes(b"")
    with pytest.raises(DataError, match=r"MIDB\.csv.* is empty"):
        add("pair", [tmp_path / "MIDA.csv", tmp_path / "MIDB.csv"])
    assert _snapshot(cache) == {}
    (tmp_path / "MIDB.csv").write_bytes(MIDB)
    add("pair", tmp_path)
    before = _snapshot(cache)
    files = {"pair/MIDA.csv", "pair/MIDB.csv", "locks/pair.json"}
    assert set(before) == {*files, f"pair/{MARKER}"}
    # One changed file keeps the other, unchanged one from being replaced too.
    (tmp_path / "MIDB.csv").write_bytes(MIDB.replace(b",150,", b",151,"))
    with pytest.raises(ChangedFileError):
        add("pair", tmp_path)
    assert _snapshot(cache) == before


def test_two_files_of_one_name(small: Publisher, cache: Path, tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "MID.csv").write_bytes(folder.encode() + b"\n1\n")
    given = {"mida": tmp_path / "a" / "MID.csv", "midb": tmp_path / "b" / "MID.csv"}
    with pytest.raises(DataError, match=r"two files are called 'MID\.csv'"):
        add("pair", given)
    assert _snapshot(cache) == {}


def test_what_is_not_recognised(small: Publisher, cache: Path, tmp_path: Path) -> None:
    (tmp_path / "state2016_final.csv").write_bytes(STATES)
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(
        DataError, match=r"none of the .* files.*--from states=state2016_final\.csv"
    ):
        add("plain", tmp_path)
    with pytest.raises(MissingFileError, match="no file or folder"):
        add("plain", tmp_path / "none.csv")
    with pytest.raises(UnknownNameError, match="mida"):
        add("pair", {"midaa": tmp_path / "notes.txt"})
    with pytest.raises(ArgumentError, match="is a folder"):
        add("plain", {"states": tmp_path})
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "states2016.csv").write_bytes(STATES)
    with pytest.raises(DataError, match=r"both .*a/states2016\.csv and .*b/states2016\.csv"):
        add("plain", tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xef\xbb\xbf  <!DOCTYPE html><title>Terms</title>", "web page"),
        (b"<html>", "web page"),
        (b" \n", "empty"),
        (b"PK\x03\x04", "binary"),
        (b"\xd0\xcf\x11\xe0\x00\x00", "binary"),
    ],
)
def test_what_is_not_a_table(
    small: Publisher, cache: Path, tmp_path: Path, content: bytes, message: str
) -> None:
    (tmp_path / "states2016.csv").write_bytes(content)
    with pytest.raises(DataError, match=message):
        add("plain", tmp_path / "states2016.csv")
    assert _snapshot(cache) == {}


DAMAGED = [
    (STATES.replace(b"1942,11,11", b"1942,13,11"), r"states2016\.csv, row 3\b.*13"),
    (STATES.replace(b"FRN,220,France,1944", b"FRN,,France,1944"), "row 4, column 'ccode'"),
    (STATES + b"GMY,255\n", "row 5: found 2 fields.*expected 10"),
    (STATES.replace(b",", b";"), "row 1: the separator is a semicolon"),
    (STATES.replace(b"statenme", b"name"), "the column 'statenme' is missing"),
]


@pytest.mark.parametrize(("content", "message"), DAMAGED)
def test_a_file_that_cannot_be_read_is_not_locked(
    small: Publisher, cache: Path, tmp_path: Path, content: bytes, message: str
) -> None:
    """Brought or downloaded, plain or in an archive; the good file is welcome afterwards."""
    path = tmp_path / "states2016.csv"
    path.write_bytes(content)
    small.offer("/states2016.csv", whole(content))
    small.offer("/States.zip", whole(_zip(tmp_path, content)))
    with pytest.raises(DataError, match=message):
        add("plain", path)
    assert not cache.exists() or not [p for p in cache.rglob("*") if p.is_file()]
    with pytest.raises(DataError, match=message):
        get("plain", network=FAST)
    with pytest.raises(DataError, match=message.replace("states2016", "states")):
        get("zipped", network=FAST)
    assert not [p for p in cache.rglob("*") if p.is_file()]
    assert not (cache / "plain").exists()
    path.write_bytes(STATES)
    add("plain", path)
    before = _snapshot(cache)
    # Nor does one take the place of a good file, whatever is accepted.
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        add("plain", path, replace=True)
    assert _snapshot(cache) == before


def test_a_file_of_another_release_is_refused(
    small: Publisher, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows tell the release, or the bytes are those of another source."""
    text = (tmp_path / "catalogue.toml").read_text()
    plain, zipped = 'names = ["states2016.csv", "cow_states.csv"]', 'names = ["states.csv"]'
    newer = STATES.replace(b",2016\n", b",2024\n").replace(b",2016,12", b",2024,12")
    text = text.replace(plain, plain + '\nversions = ["2016", "2016b"]')
    (tmp_path / "a.toml").write_text(text.replace(zipped, zipped + '\nversions = ["2024"]'))
    monkeypatch.setenv("FORECAST_CATALOGUE", str(tmp_path / "a.toml"))
    path = tmp_path / "states2016.csv"
    path.write_bytes(newer)
    with pytest.raises(
        DataError,
        match=r"states2016\.csv, row 2, column 'version': found '2024', expected 2016 or 2016b.*"
        r"2 more.*Did you mean 'zipped'",
    ):
        add("plain", path)
    small.offer("/states2016.csv", whole(newer.replace(b",2024\n", b",2020\n")))
    with pytest.raises(DataError, match=r"found '2020'.*no source of Plain with '2020'"):
        get("plain", network=FAST)
    assert not [p for p in cache.rglob("*") if p.is_file()]
    # One row of another release is enough; a spreadsheet's 2016.0 is 2016; nothing says nothing.
    path.write_bytes(STATES.replace(b"11,11,2016", b"11,11,2024"))
    with pytest.raises(DataError, match="row 3, column 'version'"):
        add("plain", path)
    for good in (b"2016.0", b"2016B", b""):
        path.write_bytes(STATES.replace(b",2016\n", b"," + good + b"\n"))
        add("plain", path, replace=True)
    # A file that was locked before the catalogue knew better is refused when it is read.
    versions = '\nversions = ["1999"]'
    (tmp_path / "b.toml").write_text(text.replace('\nversions = ["2016", "2016b"]', versions))
    path.write_bytes(STATES)
    add("plain", path, replace=True)
    monkeypatch.setenv("FORECAST_CATALOGUE", str(tmp_path / "b.toml"))
    with pytest.raises(DataError, match="expected 1999"):
        read_source("plain")
    # Nothing is stated of the versions of `zipped`, but these bytes are known as `plain`'s.
    stated = f'{plain}\nsha256 = "{sha256_of(path)}"'
    (tmp_path / "c.toml").write_text(
        (tmp_path / "catalogue.toml").read_text().replace(plain, stated)
    )
    monkeypatch.setenv("FORECAST_CATALOGUE", str(tmp_path / "c.toml"))
    with pytest.raises(DataError, match=r"the published file of plain.*release 1.*of zipped"):
        add("zipped", {"states": path})
    assert not (cache / "zipped").exists()
    assert unproven("plain") == {}


def test_what_is_not_known_to_be_the_published_file_is_said(
    small: Publisher, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mine.csv"
    path.write_bytes(STATES)
    add("plain", path)
    said = "mine.csv: a copy whose content is not known to be that of the release (1)"
    assert unproven("plain")["states"].startswith(said)
    (reading,) = read_source("plain")
    assert reading.notes == (unproven("plain")["states"],)
    # From its publisher: nothing to say, unless the hash that is stated is another.
    small.offer("/states2016.csv", whole(STATES))
    get("plain", network=FAST, replace=True)
    assert unproven("plain") == {}
    assert read_source("plain")[0].notes == ()
    text = (tmp_path / "catalogue.toml").read_text()
    for line, after in (
        ('names = ["states2016.csv", "cow_states.csv"]\n', f'sha256 = "{"0" * 64}"\n'),
        ('/states2016.csv"\n', f'downloads.file.sha256 = "{"0" * 64}"\n'),
    ):
        assert line in text
        (tmp_path / f"{len(line)}.toml").write_text(text.replace(line, line + after))
        monkeypatch.setenv("FORECAST_CATALOGUE", str(tmp_path / f"{len(line)}.toml"))
        assert "SHA-256" in unproven("plain")["states"]


def test_found_among_many(small: Publisher, cache: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "states2016.csv").write_bytes(STATES)
    (folder / "MIDA.csv").write_bytes(MIDA)
    files, failed = add_found([folder])
    assert set(files) == {"plain"}
    assert set(failed) == {"pair"}  # recognised, but half of it
    with pytest.raises(DataError, match="no file of any source"):
        add_found([tmp_path / "catalogue.toml"])
    with pytest.raises(ArgumentError, match="one source"):
        add_found({"states": folder / "states2016.csv"})
    with pytest.raises(DataError, match="none of the"):
        add_found([folder], sources=["zipped"])


# ---------------------------------------------------------------- the lock


def test_other_bytes_are_refused_with_both_hashes(
    small: Publisher, cache: Path, tmp_path: Path
) -> None:
    path = tmp_path / "states2016.csv"
    path.write_bytes(STATES)
    add("plain", path)
    first, before = sha256_of(path), _snapshot(cache)
    path.write_bytes(STATES + b"BAV,245,Bavaria,1816,1,1,1871,1,18,2016\n")
    with pytest.raises(ChangedFileError, match=f"{sha256_of(path)}.*{first}.*--replace.*--from"):
        add("plain", path)
    assert _snapshot(cache) == before
    add("plain", path, replace=True)
    assert read_lock(cache, "plain").files["states"].sha256 == sha256_of(path)
    assert len(read_source("plain")[0].frame) == 4


def test_the_same_bytes_under_another_name(small: Publisher, cache: Path, tmp_path: Path) -> None:
    (tmp_path / "states2016.csv").write_bytes(STATES)
    (tmp_path / "mine.csv").write_bytes(STATES)
    add("plain", tmp_path / "states2016.csv")
    first = read_lock(cache, "plain").files["states"]
    assert add("plain", {"states": tmp_path / "mine.csv"})["states"].name == "mine.csv"
    again = read_lock(cache, "plain").files["states"]
    assert (again.origin, again.first) == (first.origin, first.first)
    assert {path.name for path in (cache / "plain").iterdir()} == {"mine.csv", MARKER}


def test_a_cached_file_that_was_changed_is_not_read(
    small: Publisher, cache: Path, tmp_path: Path
) -> None:
    small.offer("/states2016.csv", whole(STATES))
    path = get("plain", network=FAST)["states"]
    path.write_bytes(STATES.replace(b"1942", b"1943"))
    with pytest.raises(ChangedFileError, match="--replace"):
        read_source("plain")
    # What is fetched again is what was locked, so nothing has to be decided.
    get("plain", network=FAST)
    assert path.read_bytes() == STATES
    path.unlink()
    with pytest.raises(MissingFileError, match="forecast data get plain"):
        read_source("plain")
    assert available() == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"version": 2, "source": "plain", "files": {}, "downloads": {}}',
        '{"version": 1, "source": "zipped", "files": {}, "downloads": {}}',
        '{"version": 1, "source": "plain", "files": {"states": {}}, "downloads": {}}',
        '{"version": 1, "source": "plain", "downloads": {}, "files": {"states": {"name":'
        ' "../../x", "size": 1, "sha256": "", "origin": "", "first": ""}}}',
    ],
)
def test_a_broken_lock_is_not_an_empty_one(
    small: Publisher, cache: Path, tmp_path: Path, text: str
) -> None:
    (tmp_path / "states2016.csv").write_bytes(STATES)
    (cache / "locks").mkdir(parents=True)
    (cache / "locks" / "plain.json").write_text(text)
    for act in (lambda: add("plain", tmp_path / "states2016.csv"), lambda: files_of("plain")):
        with pytest.raises(ChangedFileError, match="not a lock file"):
            act()


# ---------------------------------------------------------------- downloads


def test_a_download_is_locked_with_its_address(
    small: Publisher, cache: Path, tmp_path: Path
) -> None:
    sent = _zip(tmp_path)
    url = small.offer("/States.zip", cut(sent, 100), whole(sent))
    files = get("zipped", network=FAST)
    assert files["states"].read_bytes() == STATES
    lock = json.loads((cache / "locks" / "zipped.json").read_text())
    assert lock["downloads"]["archive"]["origin"] == url
    assert lock["downloads"]["archive"]["size"] == len(sent)
    assert lock["files"]["states"]["origin"] == f"{url}#inner.zip#S/states.csv"
    assert not list((cache / "downloads").iterdir())
    count = len(small.requests)
    assert get("zipped", network=FAST) == files
    assert len(small.requests) == count  # it is there


def test_changed_content_after_the_lock(small: Publisher, cache: Path, tmp_path: Path) -> None:
    small.offer("/States.zip", whole(_zip(tmp_path)))
    first = get("zipped", network=FAST)["states"]
    before, locked = _snapshot(cache), read_lock(cache, "zipped").downloads["archive"]
    first.unlink()
    small.offer("/States.zip", whole(_zip(tmp_path, STATES + b"\n")))
    with pytest.raises(ChangedFileError, match=f"{locked.sha256} was locked.*--replace"):
        get("zipped", network=FAST)
    assert not list((cache / "downloads").iterdir())
    small.offer("/States.zip", whole(_zip(tmp_path)))
    get("zipped", network=FAST)
    assert set(_snapshot(cache)) == set(before)
    small.offer("/States.zip", whole(_zip(tmp_path, STATES + b"\n")))
    get("zipped", network=FAST, replace=True)
    assert read_lock(cache, "zipped").downloads["archive"].sha256 != locked.sha256


def test_a_hash_that_the_catalogue_states(
    small: Publisher, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "other.toml"
    stated = "0" * 64
    text = (tmp_path / "catalogue.toml").read_text()
    line = f'downloads.file.sha256 = "{stated}"\n[sources.plain.files.states]'
    path.write_text(text.replace("[sources.plain.files.states]", line))
    monkeypatch.setenv("FORECAST_CATALOGUE", str(path))
    small.offer("/states2016.csv", whole(STATES))
    with pytest.raises(ChangedFileError, match=f"the catalogue states {stated}"):
        get("plain", network=FAST)
    assert _snapshot(cache) == {}
    get("plain", network=FAST, replace=True)


def test_what_a_publisher_sends_instead(small: Publisher, cache: Path, tmp_path: Path) -> None:
    small.offer("/states2016.csv", whole(b"<!doctype html><p>Please accept our terms"))
    with pytest.raises(DownloadError, match="web page"):
        get("plain", network=FAST)
    small.offer("/States.zip", whole(b"<!doctype html>"))
    with pytest.raises(DownloadError, match="web page"):
        get("zipped", network=FAST)
    small.offer("/States.zip", whole(b"an archive"))
    with pytest.raises(DataError, match="not a zip archive"):
        get("zipped", network=FAST)
    evil = make_zip(tmp_path / "e.zip", {"inner.zip": b"", "../../evil.csv": b"x"}).read_bytes()
    small.offer("/States.zip", whole(evil))
    with pytest.raises(DataError, match="outside its folder"):
        get("zipped", network=FAST)
    bomb = make_zip(tmp_path / "b.zip", {"inner.zip": bytes(20_000_000)}).read_bytes()
    small.offer("/States.zip", whole(bomb))
    with pytest.raises(DataError, match="shrinks"):
        get("zipped", network=FAST)
    assert _snapshot(cache) == {}
    assert not (tmp_path / "evil.csv").exists()
    # None of it was locked: the real file is welcome.
    small.offer("/States.zip", whole(_zip(tmp_path)))
    get("zipped", network=FAST)


def test_an_interrupted_download_leaves_nothing(
    small: Publisher, cache: Path, tmp_path: Path
) -> None:
    sent = _zip(tmp_path)
    small.offer("/States.zip", cut(sent, 50))
    with pytest.raises(DownloadError):
        get("zipped", network=FAST)
    assert available() == []
    assert not [p for p in cache.rglob("*") if p.is_file()]
    # As if this process had been killed, and an earlier version had left a part.
    (cache / "downloads" / "zipped").mkdir(parents=True)
    (cache / "downloads" / "zipped" / "States.zip.part").write_bytes(sent[:50])
    small.offer("/States.zip", whole(sent))
    get("zipped", network=FAST)
    assert not list((cache / "downloads").iterdir())


def test_two_processes_do_not_take_in_one_source(
    small: Publisher, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "states2016.csv").write_bytes(STATES)
    small.offer("/states2016.csv", whole(STATES))
    monkeypatch.setattr("forecast.exchange.WAIT", 0.2)
    with claimed("plain", cache):
        for act in (lambda: add("plain", tmp_path / "states2016.csv"), lambda: get("plain")):
            with pytest.raises(StorageError, match=r"cache is being written by another: process"):
                act()
    get("plain", network=FAST)
    assert set(_snapshot(cache)) == {"plain/states2016.csv", f"plain/{MARKER}", "locks/plain.json"}


def test_only_what_is_missing_is_fetched(
    small: Publisher, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user's copy of one file stays; an optional member that is not there is asked for once."""
    extra = """
[sources.both]
title = "Both"
release = "1"
provides = ["states", "powers"]
reader = "cow_states"
covers = [1816, 2016]
licence = "free"
cite = ["somebody_2020"]
landing = "http://localhost"
downloads.archive.url = "{url}/both.zip"
[sources.both.files.states]
names = ["s.csv"]
gives = ["states"]
download = "archive"
member = ["s.csv"]
optional = true
[sources.both.files.more]
names = ["more.csv"]
gives = ["powers"]
download = "archive"
member = ["more.csv"]
optional = true
[sources.both.files.never]
names = ["never.csv"]
download = "archive"
member = ["never.csv"]
optional = true
"""
    text = (tmp_path / "catalogue.toml").read_text() + extra.replace("{url}", small.url)
    (tmp_path / "more.toml").write_text(text)
    monkeypatch.setenv("FORECAST_CATALOGUE", str(tmp_path / "more.toml"))
    # The reader of this source takes its other files too, and makes nothing of them.
    for role in ("more", "never"):
        monkeypatch.setitem(reader("cow_states").roles, role, f"{role}.csv")
    mine = STATES + b"\n"
    (tmp_path / "s.csv").write_bytes(mine)
    add("both", tmp_path / "s.csv")
    assert catalogue()["both"].facts_of(files_of("both")) == ("states",)
    sent = make_zip(tmp_path / "both.zip", {"s.csv": STATES, "more.csv": STATES}).read_bytes()
    small.offer("/both.zip", whole(sent))
    files = get("both", network=FAST)
    assert files["states"].read_bytes() == mine
    assert files["more"].read_bytes() == STATES
    assert set(files) == {"states", "more"}
    assert catalogue()["both"].facts_of(files) == ("states", "powers")
    assert len(small.requests) == 1
    get("both", network=FAST)
    assert len(small.requests) == 1
    files["more"].unlink()
    with pytest.raises(MissingFileError, match=r"more \(more\.csv\)"):
        files_of("both")  # once there, an optional file is not silently done without
    get("both", network=FAST)
    files["more"].write_bytes(b"damaged")
    get("both", network=FAST)
    assert files["more"].read_bytes() == STATES
    small.offer("/both.zip", whole(make_zip(tmp_path / "e.zip", {"x.csv": b"1"}).read_bytes()))
    with pytest.raises(DataError, match="no member"):
        get("both", network=FAST, replace=True)
    assert files["states"].read_bytes() == mine


def test_one_failure_does_not_stop_the_others(
    small: Publisher, cache: Path, tmp_path: Path
) -> None:
    small.offer("/states2016.csv", whole(STATES))
    files, failed = get_each(["zipped", "pair", "plain"], network=FAST)
    assert set(files) == {"plain"}
    assert isinstance(failed["zipped"], DownloadError)
    assert "No address is known (http://localhost/pair)" in str(failed["pair"])
    with pytest.raises(UnknownNameError):
        get_each(["plain", "zippd"], network=FAST)
    found = status_of_cache()
    here = {"cached": True, "bytes": len(STATES), "facts": ["states"], "missing": ""}
    assert here.items() <= found["plain"].items()
    assert "forecast data get zipped" in found["zipped"]["missing"]


def test_progress_is_shown_only_when_asked(
    small: Publisher, cache: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    small.offer("/states2016.csv", whole(STATES))
    get("plain", network=FAST)
    assert capfd.readouterr() == ("", "")
    get("plain", network=FAST, replace=True, progress=True)
    assert capfd.readouterr().out == ""


# ---------------------------------------------------------------- citing


def test_citations(small: Publisher) -> None:
    (work,) = citations(["plain", "pair"])
    assert work.text == "Body, Some and Else, S. 2020. On States. Journal 1: 2–3."
    assert work.sources == ("plain", "pair")
    assert work.bibtex.startswith("@article{somebody_2020,\n  author = {Body, Some and Else, S.},")
    assert "pages = {2--3}" in work.bibtex
    with pytest.raises(UnknownNameError):
        citations(["plan"])


# ---------------------------------------------------------------- real files


@pytest.mark.reference
def test_the_real_archive_from_a_publisher(
    server: Publisher,
    reference: Path,
    cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = reference / "official" / "cow_contiguity"
    sent = (folder / "DirectContiguity320.zip").read_bytes()
    text = (Path(__file__).parents[2] / "data" / "catalogue.toml").read_text(encoding="utf-8")
    base = "https://correlatesofwar.org/wp-content/uploads"
    (tmp_path / "c.toml").write_text(text.replace(base, server.url), encoding="utf-8")
    monkeypatch.setenv("FORECAST_CATALOGUE", str(tmp_path / "c.toml"))
    server.offer("/DirectContiguity320.zip", cut(sent, 300_000), whole(sent))
    files = get("cow_contiguity_3_2", network=FAST)
    assert files["contdir"].read_bytes() == (folder / "contdir.csv").read_bytes()
    (row,) = check_source("cow_contiguity_3_2")
    assert (row["table"], row["copy"]) == ("contiguity", "published")
    # The same file, brought by hand, is the same file.
    add("cow_contiguity_3_2", folder / "contdir.csv")
    add("cow_contiguity_3_2", folder / "DirectContiguity320.zip")


@pytest.mark.reference
def test_a_whole_folder_of_real_files(reference: Path, cache: Path) -> None:
    files, failed = add_found([reference])
    assert failed == {}
    assert {"cow_states_2016", "atop_4_01", "gml_2_0", "cow_nmc_6_0", "ucdp_dyadic_24_1"} <= set(
        files
    )
    listed = [source for source in catalogue().sources if source in files]
    unlisted = ["cow_mid_4_3", "ucdp_acd_19_1", "ucdp_acd_24_1"]
    assert available() == [*listed, *unlisted]
    assert recipe()["conflicts"] == "gml_2_2_1"
    assert recipe()["members"] == "atop_5_1"
    assert recipe()["states"] == "cow_states_2024"
    assert recipe()["powers"] == "cow_majors_2016"  # 2024 is preferred, but is not there
    # What an entry says that its files give is what they give.
    small_ones = ("atop_5_1", "atop_5_0", "cow_alliances_4_1", "cow_trade_4_0", "gml_2_0")
    for source in (*small_ones, "cow_wars_4_0", "cow_states_2016", "rivalries_td"):
        given = {reading.table for reading in read_source(source)}
        assert given == set(catalogue()[source].facts_of(files[source])), source
    assert any(
        "powers cow_majors_2024 is preferred to cow_majors_2016" in sentence
        for sentence in advice()
    )
    # What was taken in as valid is what the panels are made from.
    historical = load_historical()
    assert historical.coverage["members"].version == "5.1"
    assert historical.coverage["states"].version == "2024"
    older = load_historical(sources={"conflicts": "ucdp_acd_19_1"})
    assert (older.coverage["conflicts"].version, older.coverage["conflicts"].last) == ("19.1", 2018)
    assert "not listed in the catalogue" in " ".join(older.coverage["conflicts"].notes)
    shutil.rmtree(cache)
    assert recipe()["powers"] == "cow_majors_2024"


@pytest.mark.reference
@pytest.mark.parametrize(
    ("source", "name", "message"),
    [
        (
            "ucdp_acd_25_1",
            "variants/UcdpPrioConflict_v25_1_resaved_damaged.csv",
            "row 1: the separator is a semicolon",
        ),
        ("cow_nmc_5_0", "cow_nmc/NMC-60-abridged.csv", "published file of cow_nmc_6_0.*expected"),
        (
            "cow_contiguity_3_2",
            "variants/contdir_v31_cr_only.csv",
            "row 2, column 'version': found '3.1', expected 3.2.*get cow_contiguity --from",
        ),
        (
            "gml_2_2_1",
            "gml_mid/gml-ddy-disputes-2.1.1.csv",
            "found 'gml-2.1.1', expected gml-2.2.1.*Did you mean 'gml_2_1_1'",
        ),
        ("atop_5_0", "atop/atop4_01a.csv", "found '4.01', expected 5,.*Did you mean 'atop_4_01'"),
    ],
)
def test_real_files_that_are_not_what_they_are_given_for(
    reference: Path, cache: Path, source: str, name: str, message: str
) -> None:
    role = catalogue()[source].required[0]
    with pytest.raises(DataError, match=message):
        add(source, {role: reference / "official" / name})
    assert not cache.exists() or not list(cache.rglob("*"))


@pytest.mark.reference
def test_a_real_file_saved_anew_is_still_of_another_release(
    reference: Path, cache: Path, tmp_path: Path
) -> None:
    """Its bytes are no longer known, its rows still are."""
    original = (reference / "official" / "cow_nmc" / "NMC-60-abridged.csv").read_bytes()
    (tmp_path / "NMC_5_0.csv").write_bytes(original.replace(b"\r\n", b"\n"))
    with pytest.raises(
        DataError,
        match=r"row 2, column 'version': found '2021', expected 2011.*Did you mean 'cow_nmc_6_0'",
    ):
        add("cow_nmc_5_0", tmp_path / "NMC_5_0.csv")
    (tmp_path / "NMC-60-abridged.csv").write_bytes(original.replace(b"\r\n", b"\n"))
    add("cow_nmc_6_0", tmp_path / "NMC-60-abridged.csv")
    assert check_source("cow_nmc_6_0")[0]["copy"] == "other"
    assert "its SHA-256 is not" in unproven("cow_nmc_6_0")["nmc"]
