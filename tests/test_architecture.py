"""The page of the architecture names every module; run this file to write it anew."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "architecture.md"
MARK = "<!-- the tree, from the first line of each module -->\n"


def tree() -> str:
    """Every module with the first line of its docstring, folder by folder."""
    package = ROOT / "forecast"
    order = ["", *_layers()]
    lines: list[str] = []
    for folder in sorted(
        {path.parent for path in package.rglob("*.py")},
        key=lambda f: (order.index((*f.relative_to(package).parts, "")[0]), f),
    ):
        modules = sorted(folder.glob("*.py"))
        lines.append(f"\n### `{folder.relative_to(ROOT).as_posix()}/`\n")
        lines.append("| module | what it is |\n|---|---|")
        for path in modules:
            text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
            first = text.split("\n")[0].replace("|", "\\|")
            lines.append(f"| `{path.name}` | {first} |")
    return "\n".join(lines) + "\n"


def _layers() -> list[str]:
    """Folders from the ground up, as the contract of imports has them."""
    import tomllib

    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layers = settings["tool"]["importlinter"]["contracts"][0]["layers"]
    return [name for layer in reversed(layers) for name in layer.split(" | ")] + ["data"]


def test_page_has_the_tree_as_it_is():
    assert PAGE.read_text(encoding="utf-8").partition(MARK)[2] == tree()


def test_the_quick_lane_names_files_that_are_there():
    named = (ROOT / "tests" / "quick.txt").read_text(encoding="utf-8").split()
    assert [name for name in named if not (ROOT / name).is_file()] == []


def test_every_promise_has_its_test():
    promises = re.findall(r"`(tests/\S+\.py)::(\w+)`", PAGE.read_text(encoding="utf-8"))
    assert len(promises) > 10
    missing = [
        f"{file}::{name}"
        for file, name in promises
        if f"def {name}(" not in (ROOT / file).read_text(encoding="utf-8")
    ]
    assert missing == []


def test_every_module_says_what_it_is():
    assert "|  |" not in tree()


if __name__ == "__main__":
    page = PAGE.read_text(encoding="utf-8").partition(MARK)[0]
    PAGE.write_text(page + MARK + tree(), encoding="utf-8")
