"""Whatever is kept on disk: written whole or not at all, and never over what others put there.

A folder that this library writes holds a manifest with the name, SHA-256 and size of each file
that it wrote, and facts about them. It is `MARKER` where users put things of their own beside
ours, `MANIFEST` where they do not. Nothing else is ours: a folder without a manifest, and a file,
link or folder that it does not name, stays.
"""

from __future__ import annotations

import hashlib
import json
import lzma
import struct
import zipfile
import zlib
from collections.abc import Collection, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from forecast.disk import digest_of, leaves, sha256_of, write_atomically
from forecast.errors import ArtifactError
from forecast.exchange import undisturbed

__all__ = [
    "DAMAGES",
    "MANIFEST",
    "MARKER",
    "SCHEMA_VERSION",
    "check_file",
    "code_hash",
    "facts_of",
    "fingerprint_files",
    "fingerprint_values",
    "manifest_bytes",
    "manifest_of",
    "seal",
    "sha256_of",
    "unseal",
    "write_manifest",
]

#: Manifest of a folder in which there may be files of others.
MARKER = ".alliance-forecast.json"
#: Manifest of a folder that is this library's own.
MANIFEST = "MANIFEST.json"
#: What reading a damaged file raises, inside an archive too.
DAMAGES = (
    OSError, EOFError, ValueError, NotImplementedError, RuntimeError,
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error,
)  # fmt: skip
#: Of the layout of stored fits; part of a fit's id, so that an old layout is never misread.
SCHEMA_VERSION = 2


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


def seal(folder: Path, name: str = MANIFEST, /, **about: Any) -> None:
    """Write the manifest of a folder, last of its files: `about` (JSON), and what the files are."""
    files = {n: _facts(p) for n, p in sorted(leaves(folder).items()) if n != name}
    write_manifest(folder, about | {"files": files}, name)


def unseal(
    folder: Path | zipfile.Path,
    name: str = MANIFEST,
    *,
    only: Collection[str] | None = None,
    where: str = "",
    remedy: str = "",
) -> dict[str, Any]:
    """Manifest of a folder whose files (or `only` some) are as they were when it was sealed.

    A change of the folder that was interrupted is completed first.

    Raises
    ------
    FileNotFoundError
        There is no manifest, hence no such folder of ours.
    ArtifactError
        The manifest or a file is damaged, or missing, or outside; names it (in `where` if it is a
        copy), and ends with the `remedy`.
    """
    where = where or str(folder)

    def read() -> dict[str, Any]:
        try:
            content = (folder / name).read_bytes()
        except FileNotFoundError:
            raise
        except DAMAGES as error:
            message = f"{where}/{name} cannot be read ({error}). {remedy}"
            raise ArtifactError(message.rstrip()) from None
        manifest = manifest_of(content, f"{where}/{name}")
        for file in manifest["files"] if only is None else only:
            check_file(folder, file, manifest, where=where, remedy=remedy)
        return manifest

    return undisturbed(folder, folder / name, read) if isinstance(folder, Path) else read()


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
    if name not in manifest["files"]:
        raise ArtifactError(f"{where}: the manifest does not name {name}. {remedy}".rstrip())
    expected = manifest["files"][name].get("sha256")
    try:
        found = sha256_of(folder / name)
    except FileNotFoundError:
        raise ArtifactError(f"{where}/{name} is missing. {remedy}".rstrip()) from None
    except DAMAGES as error:
        raise ArtifactError(f"{where}/{name} cannot be read ({error}). {remedy}".rstrip()) from None
    if found != expected:
        raise ArtifactError(
            f"{where}/{name} has SHA-256 {found}; its manifest says {expected}. It was changed or"
            f" damaged. {remedy}".rstrip()
        )


def write_manifest(folder: Path, content: Mapping[str, Any], name: str = MANIFEST) -> None:
    """Write a manifest with the SHA-256 of itself; `content` has ``files`` by name."""
    write_atomically(folder / name, manifest_bytes(content))


def manifest_bytes(content: Mapping[str, Any]) -> bytes:
    """Content of the file of a manifest."""
    content = {key: value for key, value in content.items() if key != "sha256"}
    content["sha256"] = digest_of(content)
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False).encode()


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
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ArtifactError(f"{where} cannot be read ({error}): it is damaged.") from None
    # Manifests of earlier versions have no hash of their own.
    content_only = {key: value for key, value in manifest.items() if key != "sha256"}
    if not whole or own not in (None, digest_of(content_only)):
        raise ArtifactError(f"{where} is damaged: it is not what was written.")
    return dict(manifest)


def facts_of(content: bytes) -> dict[str, Any]:
    """What a manifest says of a file with this content."""
    return {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


def _facts(path: Path) -> dict[str, Any]:
    return {"sha256": sha256_of(path), "bytes": path.stat().st_size} if path.is_file() else {}
