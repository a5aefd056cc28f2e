"""Damaged TOML and JSON: valid documents with something hostile in them, or raw damage."""

from __future__ import annotations

import copy
import json
import tomllib
from collections.abc import Callable
from datetime import date, datetime, time
from pathlib import Path
from typing import Any, NamedTuple

from hypothesis import strategies as st

__all__ = ["HOSTILE", "RAW", "Damaged", "damaged", "dump_json", "dump_toml"]


class Raw(str):
    """Text that stands in the file as it is."""

    __slots__ = ()

    def __deepcopy__(self, memo: object) -> Raw:
        return self


class Damaged(NamedTuple):
    """A file, and what was done to it: ``set``, ``delete``, …, at a path of keys."""

    content: bytes
    what: str
    path: tuple[str | int, ...] = ()

    def __repr__(self) -> str:
        return f"{self.what} at {self.path}: {self.content[:2000]!r}"


#: Values in the place of others.
HOSTILE: tuple[Any, ...] = (
    True, False, 0, -1, 1.5, 1e308, 2**31, 2**63 - 1, -(2**63), 10**18, 10**30, 99999,
    "", " ", "x" * 300, "x" * 300_000, "é\u202e\U0001f600", "\x00\n", "\x7f", "None",
    "../../etc/passwd", "2027-13-45", "\ufffd",
    date(2027, 5, 1), date(1, 1, 1), date(9999, 12, 31), datetime(2027, 5, 1, 1, 2), time(1, 2),
    [], {}, [[]], [{}], {"a": {}}, {"": 1}, ["x", "x"], ["x", 1, True], [1] * 5000, [[1, 2], ["a"]],
    ["USA", ["CHN", {"x": 1}]], {"x" * 300_000: 1}, {f"k{i}": i for i in range(3000)},
    float("nan"), float("inf"), float("-inf"),
    Raw("[" * 3000 + "]" * 3000), Raw("[" * 300 + "1" + "]" * 300), Raw("9" * 10_000),
    Raw("-" + "9" * 5_000), Raw("1e99999"), Raw("0." + "1" * 10_000),
    Raw("{a = " * 300 + "1" + "}" * 300), Raw("{a" + ".b" * 3000 + " = 1}"),
)  # fmt: skip
#: Bytes put into a file.
RAW = (
    b"\xff\xfe", b"\xef\xbb\xbf", b"\x00", b"[[", b"]]", b"=", b'"', b"'''", b'"""', b"\r", b"\r\n",
    b"\n[a.b]\n", b"\na.b.c = 1\n", b"#", b"\xc3", b"{", b"}", b",", b"-", b"9" * 5000,
    b"[" * 3000, b".a" * 500, b"\na = 1\na = 1\n", b"\\", b"\\u0000", b"\\ud800", b"\xed\xa0\x80",
)  # fmt: skip


def dump_toml(content: Any) -> bytes:
    """The content with every table inline, a line for each key at the top."""
    lines = (f"{_string(key)} = {_toml(value)}\n" for key, value in content.items())
    return "".join(lines).encode("utf-8", "surrogatepass")


def _string(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _toml(value: Any) -> str:
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_string(k)} = {_toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return value.isoformat() if isinstance(value, date | time) else repr(value)


def dump_json(content: Any) -> bytes:
    """The same as JSON, as Python writes it (``NaN`` and all)."""
    raw: list[Raw] = []

    def plain(value: Any) -> Any:
        if isinstance(value, Raw):
            raw.append(value)
            return f"\x01{len(raw) - 1}\x01"
        if isinstance(value, dict):
            return {k: plain(v) for k, v in value.items()}
        if isinstance(value, list | tuple):
            return [plain(v) for v in value]
        return value.isoformat() if isinstance(value, date | time) else value

    text = json.dumps(plain(content), ensure_ascii=False)
    for i, value in enumerate(raw):
        text = text.replace(f'"\\u0001{i}\\u0001"', str(value).replace("a =", '"a":'))
    return text.encode("utf-8", "surrogatepass")


def damaged(
    files: list[Path], read: Callable[[str], Any] = tomllib.loads, dump: Any = dump_toml
) -> st.SearchStrategy[Damaged]:
    """One of the files with one to three damages to its content, or to its bytes."""
    contents = [read(path.read_text(encoding="utf-8")) for path in files]
    texts = [path.read_bytes() for path in files]

    @st.composite
    def changed(draw: st.DrawFn) -> Damaged:
        content = copy.deepcopy(draw(st.sampled_from(contents)))
        what, path = "", ()
        for _ in range(draw(st.sampled_from([1, 1, 1, 2, 3]))):
            what, path = _change(draw, content)
        return Damaged(dump(content), what, path)

    @st.composite
    def raw(draw: st.DrawFn) -> Damaged:
        text = draw(st.sampled_from(texts))
        at = draw(st.integers(0, len(text)))
        ends = (st.just(at), st.just(min(at + 1, len(text))), st.integers(at, len(text)))
        to = draw(st.one_of(*ends))
        put = draw(st.one_of(st.just(b""), st.sampled_from(RAW), st.binary(max_size=4)))
        return Damaged(text[:at] + put + text[to:], "raw")

    return st.one_of(changed(), changed(), changed(), raw())


def _change(draw: st.DrawFn, content: Any) -> tuple[str, tuple[str | int, ...]]:
    """Change one place, found by a walk from the top that ends anywhere."""
    path: list[str | int] = []
    parent, here = None, content
    while isinstance(here, dict | list) and here:
        if path and draw(st.integers(0, 3)) == 0:
            break
        keys = list(here) if isinstance(here, dict) else range(len(here))
        parent, key = here, draw(st.sampled_from(keys))
        path.append(key)
        here = here[key]
    if parent is None:
        return "nothing", ()
    key, value = path[-1], copy.deepcopy(draw(st.sampled_from(HOSTILE)))
    what = draw(st.sampled_from(["set", "set", "set", "set", "delete", "add", "twice", "rename"]))
    if what == "set":
        parent[key] = value
    elif what == "delete":
        del parent[key]
    elif what == "twice" and isinstance(parent, list):
        parent.append(copy.deepcopy(here))
    elif isinstance(parent, list):
        parent.insert(0, value)
    elif what == "rename":
        parent[draw(st.sampled_from([f"{key}s", "", "x" * 300, f" {key}"]))] = parent.pop(key)
    else:
        name = draw(
            st.sampled_from(["", "x" * 300, "x" * 300_000, "é", "name", "nam", "0", "_source"])
        )
        parent[name] = value
    return what, tuple(path)
