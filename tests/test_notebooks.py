"""The notebooks run from top to bottom, and what they show is committed with them."""

from __future__ import annotations

import ast
import re
import sys
import warnings
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import forecast as fc

FOLDER = Path(__file__).resolve().parent.parent / "notebooks"
NOTEBOOKS = (
    "01_quickstart",
    "02_own_data",
    "03_own_model",
    "04_checking_and_comparing",
    "05_risk_and_severity",
    "06_scenarios_and_rival_theories",
    "07_named_cases",
    "08_do_alliances_help",
)
LARGEST = 600_000  # bytes
LINES = 60  # of code, in all cells: a task, not an essay
SECONDS = 600
#: What a notebook imports, besides the standard library: this one by its public names, and what its
#: readers know.
IMPORTS = {"forecast", "pandas", "numpy", "xarray", "arviz", "matplotlib", "matplotlib.pyplot"}

nbformat = pytest.importorskip("nbformat", reason="the notebooks extra is not installed")
pytest.importorskip("nbclient", reason="the notebooks extra is not installed")
pytest.importorskip("ipykernel", reason="the notebooks extra is not installed")


def committed(name: str) -> Any:
    """A notebook as it is in the repository."""
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)


def code_cells(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def shown(cell: Any) -> list[str]:
    """What a cell shows, richest form of each: image/png, text/html, text/plain or stdout."""
    kinds = []
    for output in cell.outputs:
        if output.output_type == "stream":
            # the kernel may send one text in parts
            kinds += [] if kinds[-1:] == [output.name] else [output.name]
        elif output.output_type == "error":
            kinds.append("error")
        else:
            forms = ("image/png", "text/html", "text/plain")
            kinds.append(next(form for form in forms if output.data.get(form)))
    return kinds


def test_every_notebook_is_tested() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.ipynb")) == sorted(NOTEBOOKS)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_committed_as_run(name: str) -> None:
    notebook = committed(name)
    nbformat.validate(notebook)
    assert (FOLDER / f"{name}.ipynb").stat().st_size < LARGEST
    cells = code_cells(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    kinds = [kind for cell in cells for kind in shown(cell)]
    assert kinds.count("image/png") >= 2
    assert not {"error", "stderr"} & set(kinds), "an error or a warning is committed"
    # nothing of the machine it was run on
    text = nbformat.writes(notebook)
    assert not re.search(r"/(home|root|tmp|Users|work)/", text)
    assert " at 0x" not in text


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_short_and_by_public_names(name: str) -> None:
    code = "\n".join(cell.source for cell in code_cells(committed(name)))
    lines = [line.strip() for line in code.splitlines()]
    assert sum(bool(line) and not line.startswith("#") for line in lines) <= LINES
    modules: set[str] = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            modules.add(str(node.module))
    assert {name for name in modules if name not in sys.stdlib_module_names} <= IMPORTS
    for used in set(re.findall(r"\bfc\.(?!plot\b)(\w+)", code)):
        assert used in fc.__all__, used
    for used in set(re.findall(r"\bfc\.plot\.(\w+)", code)):
        assert used in fc.plot.__all__, used


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_every_figure_has_a_caption(name: str) -> None:
    cells = committed(name).cells
    for cell, following in pairwise(cells):
        if cell.cell_type == "code" and "image/png" in shown(cell):
            assert following.cell_type == "markdown"
            assert following.source.startswith("**Figure "), cell.source


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_runs_and_shows_what_is_committed(name: str) -> None:
    from nbclient import NotebookClient

    before, notebook = committed(name), committed(name)
    for cell in code_cells(notebook):
        cell.outputs, cell.execution_count = [], None
    client = NotebookClient(
        notebook,
        kernel_name="python3",
        timeout=SECONDS,
        resources={"metadata": {"path": str(FOLDER)}},
    )
    with warnings.catch_warnings():
        # what the kernel's transport says about itself is not ours
        warnings.simplefilter("ignore")
        client.execute()
    for old, new in zip(code_cells(before), code_cells(notebook), strict=True):
        assert "error" not in shown(new)
        assert "stderr" not in shown(new), new.source
        assert shown(old) == shown(new), f"committed output is not that of the cell:\n{new.source}"
