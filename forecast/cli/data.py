"""``forecast data``: the official sources and the embedded data set. No logic of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from forecast.cli.terminal import AsJson, Data, Quiet, print_json, print_table, say
from forecast.errors import ArgumentError, ForecastError, MissingFileError

__all__ = ["app"]

app = typer.Typer(
    help="Data: list, get, check and cite the official sources; check the embedded data set.",
    no_args_is_help=True,
)

Sources = Annotated[
    list[str] | None, typer.Argument(help="Keys of the catalogue, e.g. atop_5_1.", metavar="SOURCE")
]


@app.command("list")
def list_command(
    as_json: AsJson = False,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the table of the documentation.")
    ] = False,
) -> None:
    """List the official sources: years, licence, and what of them is in the cache."""
    import pandas as pd

    from forecast.sources.catalogue import cache_folder, catalogue, status, years_of
    from forecast.sources.overlay.keeping import kept

    if markdown:
        say(catalogue().to_markdown())
        return
    rows, own = list(status().values()), kept()
    if as_json:
        amendments = [one.to_dict() for one in own]
        print_json({"cache": str(cache_folder()), "sources": rows, "amendments": amendments})
        return
    table = pd.DataFrame(
        {
            "source": row["source"],
            "provides": ", ".join(row["provides"]),
            "years": years_of(catalogue()[row["source"]]),
            "licence": row["licence"]["name"],
            "cached": _held(row),
            "get": "download" if row["download"] else "--from",
        }
        for row in rows
    )
    print_table(table, title=f"Sources; cache {cache_folder()}", whole=("source", "years"))
    for one in own:
        say(f"Amended by the user ({one.amendment.data}): {one.amendment.label}.")


def _held(row: dict[str, Any]) -> str:
    """Size of what is in the cache, and whether it gives only some of the kinds of fact."""
    if not row["cached"]:
        return "no"
    size = row["bytes"]
    text = f"{size / 1e6:.1f} MB" if size >= 100_000 else f"{size / 1e3:.1f} kB"
    return text if row["facts"] == row["provides"] else f"{text}, only {', '.join(row['facts'])}"


@app.command("get")
def get_command(
    sources: Sources = None,
    given: Annotated[
        list[str] | None,
        typer.Option(
            "--from",
            metavar="FILE|FOLDER|ROLE=FILE",
            help="Take a copy that you have: a CSV file, the publisher's zip, a folder; repeatable."
            " Without SOURCE, every source that is recognised.",
        ),
    ] = None,
    ca_file: Annotated[
        Path | None,
        typer.Option(
            "--ca-file",
            help="PEM file of certificates to trust besides the usual ones (or FORECAST_CA_FILE).",
        ),
    ] = None,
    timeout: Annotated[
        float, typer.Option("--timeout", help="Longest silence of a server, in seconds.")
    ] = 120.0,
    replace: Annotated[
        bool, typer.Option("--replace", help="Accept other files than those that were locked.")
    ] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Get official sources into the cache: by default all that the historical panels need."""
    from forecast.sources.catalogue import Network, add_found, advice, gaps, get_each, unproven

    if given:
        files, skipped = add_found(_given(given), sources=sources or None, replace=replace)
    else:
        files, skipped = get_each(
            sources or None,
            network=Network(ca_file=ca_file, read=timeout, connect=min(timeout, 30.0)),
            replace=replace,
            progress=not (quiet or as_json),
        )
    doubts = {source: list(unproven(source).values()) for source in files}
    lacking = {source: gaps(source) for source in files}
    if as_json:
        print_json(
            {
                "files": {s: {r: str(p) for r, p in f.items()} for s, f in files.items()},
                "unproven": {s: sentences for s, sentences in doubts.items() if sentences},
                "gaps": {s: sentences for s, sentences in lacking.items() if sentences},
                "failed": {s: str(error) for s, error in skipped.items()},
                "advice": [] if sources else advice(),
            }
        )
    else:
        for source, roles in files.items():
            say(f"{source}: {', '.join(path.name for path in roles.values())}")
            for sentence in [*doubts[source], *lacking[source]]:
                say(f"{source}, {sentence}.", err=True)
        for error in skipped.values():
            say(f"{type(error).__name__}: {error}", err=True)
        for sentence in [] if sources else advice():
            say(sentence, err=True)
    # Of what was not asked for, a source that the user must bring is no failure.
    asked = bool(sources or given)
    if any(asked or not isinstance(error, MissingFileError) for error in skipped.values()):
        raise typer.Exit(1)


def _given(texts: list[str]) -> list[str] | dict[str, str]:
    """Paths, or paths by role when each is written ROLE=FILE."""
    pairs = [text.partition("=") for text in texts]
    roles = [role for role, equals, _ in pairs if equals and role.isidentifier()]
    if not roles:
        return texts
    if len(roles) < len(texts):
        raise ArgumentError("--from: give every file as ROLE=FILE, or none.")
    if len(set(roles)) < len(roles):
        raise ArgumentError(f"--from: two files for one role ({', '.join(roles)}).")
    return {role: path for role, _, path in pairs}


@app.command("check")
def check_command(
    sources: Sources = None, data: Data = "embedded", as_json: AsJson = False
) -> None:
    """Check sources in the cache (hash, layout, schema, spells, years); by default embedded data.

    With --data a data set as the panels read it: 'historical' puts the cache together.
    """
    if sources:
        _check_sources(sources, as_json=as_json)
        return
    import pandas as pd

    from forecast.sources.datasets import read_tables
    from forecast.sources.tables import TABLES, amended_words

    tables = read_tables(data)
    rows = [
        {"table": name, "rows": len(getattr(tables, name)), **tables.coverage[name].to_dict()}
        for name in TABLES
    ]
    if as_json:
        print_json({"name": tables.name, "fingerprint": tables.fingerprint, "tables": rows})
    else:
        own = ["amended_by", "declared_after"]  # said in the sentence below
        print_table(pd.DataFrame(rows).drop(columns=own), title=f"Data set {tables.name}: valid")
        if words := amended_words(tables.vintage):
            say(words)


def _check_sources(sources: list[str], *, as_json: bool) -> None:
    import pandas as pd

    from forecast.sources.catalogue import check_source

    rows: list[dict[str, Any]] = []
    failed: dict[str, str] = {}
    for source in sources:
        try:
            rows += check_source(source)
        except ForecastError as error:
            failed[source] = f"{type(error).__name__}: {error}"
    if as_json:
        print_json({"tables": rows, "failed": failed})
    else:
        if rows:
            print_table(pd.DataFrame(rows), title="Valid, and as locked", whole=("source",))
        for text in failed.values():
            say(text, err=True)
    if failed:
        raise typer.Exit(1)


@app.command("amend")
def amend_command(
    given: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="FILE",
            help="Check the changes of a CSV or TOML file on the data, and keep them.",
        ),
    ] = None,
    remove: Annotated[
        str | None, typer.Option("--remove", metavar="NAME", help="Take an amendment away.")
    ] = None,
    listed: Annotated[
        bool, typer.Option("--list", help="List what is kept, in the order of application.")
    ] = False,
    example: Annotated[
        bool, typer.Option("--example", help="Print a TOML file with comments to start from.")
    ] = False,
    name: Annotated[
        str | None, typer.Option("--name", help="Name; that in the file, or of it, by default.")
    ] = None,
    data: Annotated[
        str | None,
        typer.Option("--data", help="'embedded' (default) or 'historical': what is amended."),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Take the place of the one of the same name.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Amend the data with conflicts, treaties and memberships of your own (docs/data.md)."""
    from forecast.sources.overlay import read_amendment
    from forecast.sources.overlay.keeping import example_text, keep, kept
    from forecast.sources.overlay.keeping import remove as take_away
    from forecast.sources.tables import amended_words

    asked = [given is not None, remove is not None, listed, example]
    if sum(asked) != 1:
        raise ArgumentError("Give one of --from FILE, --list, --remove NAME or --example.")
    if example:
        say(example_text(), nl=False)
        return
    if given is not None:
        made = read_amendment(given, name=name, data=data)
        tables = keep(made, origin=given.name, replace=replace)
        said = f"Kept: {made.label}. {amended_words(tables.vintage)}"
        content: Any = {"name": made.name, "sha256": made.sha256, "fingerprint": tables.fingerprint}
    elif remove is not None:
        gone = take_away(remove)
        said, content = f"Removed: {gone.amendment.label}.", gone.to_dict()
    else:
        own = kept()
        content = [one.to_dict() for one in own]
        said = "\n".join(
            f"{one.amendment.label}, {one.amendment.data}, added {one.added[:10]} from {one.origin}"
            for one in own
        )
    if as_json:
        print_json(content)
    else:
        say(said or "No amendment is kept. `forecast data amend --example` starts one.")


@app.command("cite")
def cite_command(
    sources: Sources = None,
    bibtex: Annotated[bool, typer.Option("--bibtex", help="Print BibTeX only.")] = False,
    as_json: AsJson = False,
) -> None:
    """How to cite sources: by default those in the cache, else those of the historical panels."""
    from forecast.sources.catalogue import citations

    works = citations(sources or None)
    if as_json:
        print_json([work.to_dict() for work in works])
        return
    if not bibtex:
        for work in works:
            say(f"{work.text} [{', '.join(work.sources)}]")
        say("")
    say("\n\n".join(work.bibtex for work in works))


@app.command("package")
def package_command(
    to: Annotated[Path, typer.Option("--to", help="New or empty folder, or one written before.")],
    homepage: Annotated[
        str | None, typer.Option("--homepage", help="Address at which it will be found.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write the treaties to the present as a data package: tables, hashes, README, how to cite."""
    from forecast.sources.treaties import write_treaties

    path = write_treaties(to, homepage=homepage)
    if as_json:
        print_json({"descriptor": str(path)})
    else:
        say(str(path))
