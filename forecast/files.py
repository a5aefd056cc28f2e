"""Whatever is kept on disk: written whole or not at all, and never over what others put there.

A folder that this library writes holds a manifest with the name, SHA-256 and size of each file
that it wrote, and facts about them. It is `MARKER` where users put things of their own beside
ours, `MANIFEST` where they do not. Nothing else is ours: a folder without a manifest, and a file,
link or folder that it does not name, stays.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import uuid
import zipfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, cast

from forecast.errors import ArgumentError, ArtifactError

__all__ = [
    "MANIFEST",
    "MARKER",
    "SCHEMA_VERSION",
    "check_file",
    "code_hash",
    "facts_of",
    "fingerprint_files",
    "fingerprint_values",
    "keep_newest",
    "manifest_of",
    "refuse_foreign",
    "replace_folder",
    "seal",
    "sha256_of",
    "unseal",
    "write_atomically",
    "write_files",
    "write_manifest",
]

#: Manifest of a folder in which there may be files of others.
MARKER = ".alliance-forecast.json"
#: Manifest of a folder that is this library's own.
MANIFEST = "MANIFEST.json"
#: Of the layout of stored fits; part of a fit's id, so that an old layout is never misread.
SCHEMA_VERSION = 2


def sha256_of(path: Path | zipfile.Path) -> str:
    """SHA-256 of a file (hex)."""
    with path.open("rb") as file:
        return hashlib.file_digest(cast("io.BufferedReader", file), "sha256").hexdigest()


def fingerprint_values(**values: object) -> str:
    """SHA-256 of some named JSON values, independent of their order."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def fingerprint_files(root: Path, paths: Iterable[Path]) -> str:
    """SHA-256 over names and content of files below a folder."""
    digest = hashlib.sha256()
    for path in sorted(paths):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(root).as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


@cache
def code_hash(*folders: str) -> str:
    """SHA-256 of the code in folders of the package: another version makes other values."""
    package = Path(__file__).parent
    return fingerprint_files(package, (p for f in folders for p in (package / f).rglob("*.py")))


def seal(folder: Path, name: str = MANIFEST, /, **about: Any) -> dict[str, Any]:
    """Write the manifest of a folder, last of its files: `about` (JSON), and what the files are."""
    files = {n: _facts(p) for n, p in sorted(_leaves(folder).items()) if n != name}
    return write_manifest(folder, about | {"files": files}, name)


def unseal(
    folder: Path | zipfile.Path, name: str = MANIFEST, *, where: str = "", remedy: str = ""
) -> dict[str, Any]:
    """Manifest of a folder, all of whose files are as they were when it was sealed.

    Raises
    ------
    FileNotFoundError
        There is no manifest, hence no such folder of ours.
    ArtifactError
        The manifest or a file is damaged, or missing, or outside; names it (in `where` if it is a
        copy), and ends with the `remedy`.
    """
    where = where or str(folder)
    manifest = manifest_of((folder / name).read_bytes(), f"{where}/{name}")
    for file in manifest["files"]:
        check_file(folder, file, manifest, where=where, remedy=remedy)
    return manifest


def check_file(
    folder: Path | zipfile.Path,
    name: str,
    manifest: Mapping[str, Any],
    *,
    where: str = "",
    remedy: str = "",
) -> None:
    """Raise ArtifactError unless a file of a folder is as its manifest says."""
    where = where or str(folder)
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise ArtifactError(f"{where}: the manifest names {name!r}, outside it.")
    expected = manifest["files"][name].get("sha256")
    try:
        found = sha256_of(folder / name)
    except FileNotFoundError:
        raise ArtifactError(f"{where}/{name} is missing. {remedy}".rstrip()) from None
    except zipfile.BadZipFile as error:
        raise ArtifactError(f"{where}/{name} is damaged ({error}). {remedy}".rstrip()) from None
    if found != expected:
        raise ArtifactError(
            f"{where}/{name} has SHA-256 {found}; its manifest says {expected}. It was changed or"
            f" damaged. {remedy}".rstrip()
        )


def write_manifest(folder: Path, content: dict[str, Any], name: str = MANIFEST) -> dict[str, Any]:
    """Write a manifest with the SHA-256 of itself; `content` has ``files`` by name."""
    content = {key: value for key, value in content.items() if key != "sha256"}
    content["sha256"] = _of_json(content)
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    write_atomically(folder / name, text.encode())
    return content


def manifest_of(content: bytes, where: str) -> dict[str, Any]:
    """A manifest from the bytes of its file.

    Raises
    ------
    ArtifactError
        It is damaged.
    """
    try:
        manifest = json.loads(content)
        files, own = manifest["files"], manifest.get("sha256")
        whole = all(isinstance(facts, dict) for facts in files.values())
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ArtifactError(f"{where} cannot be read ({error}): it is damaged.") from None
    # Manifests of earlier versions have no hash of their own.
    content_only = {key: value for key, value in manifest.items() if key != "sha256"}
    if not whole or own not in (None, _of_json(content_only)):
        raise ArtifactError(f"{where} is damaged: it is not what was written.")
    return dict(manifest)


def facts_of(content: bytes) -> dict[str, Any]:
    """What a manifest says of a file with this content."""
    return {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


def _of_json(content: Mapping[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _facts(path: Path) -> dict[str, Any]:
    return {"sha256": sha256_of(path), "bytes": path.stat().st_size} if path.is_file() else {}


def keep_newest(folder: Path, count: int, name: str = MARKER) -> int:
    """Delete all but the newest sealed folders in a folder of ours; how many went."""
    found = [path for path in folder.glob("*") if (path / name).is_file()]
    old = sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)[count:]
    for path in old:
        shutil.rmtree(path, ignore_errors=True)
    return len(old)


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file whole or not at all: into a sibling first, then renamed over `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    staging = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        staging.write_bytes(content)
        staging.replace(path)
    finally:
        staging.unlink(missing_ok=True)


def refuse_foreign(
    folder: Path, names: Collection[str] | None = None, *, ours: Collection[str] = ()
) -> None:
    """Raise if writing into a folder would replace something that this library did not write.

    To be called before the work whose result goes there, too.

    Parameters
    ----------
    folder : pathlib.Path
        Absent, empty, or written by this library.
    names : collection of str, optional
        What will be replaced in it; by default all that it holds.
    ours : collection of str
        Names that a manifest of the caller's tells to be ours, beside those of `MARKER`.

    Raises
    ------
    ArgumentError
        Names what is there, and says what to do.
    """
    if not folder.is_dir():
        if folder.exists() or folder.is_symlink():
            raise ArgumentError(
                f"{folder} is no folder, and would be replaced by one. Nothing was written: "
                "move it away, or name another folder."
            )
        return
    foreign = [name for name in _foreign(folder, ours) if names is None or name in names]
    if foreign:
        more = f" and {len(foreign) - 1} more" if len(foreign) > 1 else ""
        raise ArgumentError(
            f"{folder} holds {foreign[0]}{more}, which this library did not write and which would "
            "be replaced. Nothing was written: move it away, or name a new or an empty folder."
        )


@contextmanager
def replace_folder(
    target: Path,
    *,
    ours: Collection[str] = (),
    keep: bool = False,
    about: Mapping[str, Any] | None = None,
) -> Iterator[Path]:
    """Yield an empty folder that becomes `target` when the block ends without an error.

    An existing `target` is swapped out only at the end; after an error, or a kill, it is still
    there as it was.

    Parameters
    ----------
    target : pathlib.Path
        Absent, empty, or written by this library; a link to such a folder stays a link.
    ours : collection of str
        As in `refuse_foreign`.
    keep : bool
        Whether what others put into `target` goes along, as it is; else it is refused.
    about : mapping, optional
        Facts for the manifest, which `unseal` gives back.

    Raises
    ------
    ArgumentError
        As `refuse_foreign`, before and after the block.
    """
    refuse_foreign(target, () if keep else None, ours=ours)
    target = target.resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    staging = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    staging.mkdir()
    try:
        yield staging
        written = sorted(_leaves(staging))
        refuse_foreign(target, written if keep else None, ours=ours)
        seal(staging, MARKER, **(about or {}))
        if target.exists():
            for name in _foreign(target, ours):
                _copy(target / name, staging / name)
            old = target.with_name(f".{target.name}.{uuid.uuid4().hex}.old")
            target.replace(old)
            staging.replace(target)
            shutil.rmtree(old)
        else:
            staging.replace(target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write files into a folder that may hold other things, each whole or not at all.

    Raises
    ------
    ArgumentError
        A file of that name is there and was not written by this library; nothing is written.
    """
    refuse_foreign(folder, files)
    folder.mkdir(parents=True, exist_ok=True)
    # First the manifest: what is written before a kill is known as ours by the next run.
    marker = _marker(folder)
    known = marker["files"] | {name: facts_of(content) for name, content in files.items()}
    write_manifest(folder, marker | {"files": dict(sorted(known.items()))}, MARKER)
    for name, content in files.items():
        write_atomically(folder / name, content)


def _marker(folder: Path) -> dict[str, Any]:
    """Marker of a folder; one without files if there is none that can be read."""
    try:
        found = json.loads((folder / MARKER).read_text(encoding="utf-8"))
        files = found["files"]
        # Earlier versions wrote names only.
        return {**found, "files": files if isinstance(files, dict) else {str(n): {} for n in files}}
    except (OSError, ValueError, KeyError, TypeError):
        return {"files": {}}


def _foreign(folder: Path, ours: Collection[str]) -> list[str]:
    """Names of what is in a folder and not known as ours, sorted."""
    known = {MARKER, *_marker(folder)["files"], *ours}
    return sorted(n for n, p in _leaves(folder).items() if n not in known or p.is_symlink())


def _leaves(folder: Path) -> dict[str, Path]:
    """Everything below a folder by its name there, but folders that hold something."""
    found: dict[str, Path] = {}
    for path in folder.iterdir():
        inside = {} if path.is_symlink() or not path.is_dir() else _leaves(path)
        found |= {f"{path.name}/{name}": leaf for name, leaf in inside.items()}
        if not inside:
            found[path.name] = path
    return found


def _copy(path: Path, to: Path) -> None:
    """The same at another place: a link as a link, with permissions and times."""
    to.parent.mkdir(parents=True, exist_ok=True)
    if path.is_symlink() or path.is_file():
        shutil.copy2(path, to, follow_symlinks=False)
    elif path.is_dir():
        to.mkdir()
    else:
        raise ArgumentError(f"{path} is no file, folder or link and cannot be kept: move it away.")
