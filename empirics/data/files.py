"""A published file and whether the bytes at hand are it."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from theory.errors import InputError


@dataclass(frozen=True)
class OfficialFile:
    """One file as its authors published it.

    Attributes
    ----------
    name : str
        Its name in the data set's folder.
    size : int
        Its length in bytes.
    digest : str
        Its checksum in hexadecimal: SHA-256 (64 digits), or MD5 (32) where no other is published.
    url : str
        Where it is downloaded from; empty where it only comes as part of something else.
    """

    name: str
    size: int
    digest: str
    url: str = ""


def algorithm(digest: str) -> str:
    """Return the name of the hash function that a hexadecimal digest was made by.

    Examples
    --------
    >>> algorithm(32 * "0"), algorithm(64 * "0")
    ('md5', 'sha256')
    """
    return "md5" if len(digest) == 32 else "sha256"


def check_digest(content: bytes, digest: str, where: Path | str) -> None:
    """Compare bytes with a published checksum.

    Raises
    ------
    InputError
        If they differ; `where` names the file in the message.
    """
    name = algorithm(digest)
    found = hashlib.new(name, content, usedforsecurity=False).hexdigest()
    if found != digest:
        raise InputError(f"{where}: {name} {found[:16]}..., expected {digest[:16]}...: altered")


def check(content: bytes, file: OfficialFile, where: Path | str) -> bytes:
    """Return the bytes of a published file after comparing length and checksum.

    Raises
    ------
    InputError
        If they are not that file; `where` names it in the message.
    """
    if len(content) != file.size:
        fault = "truncated" if len(content) < file.size else "too long"
        raise InputError(f"{where}: {len(content)} bytes, expected {file.size}: {fault}")
    check_digest(content, file.digest, where)
    return content


def is_intact(path: Path, file: OfficialFile) -> bool:
    """Whether `path` holds exactly the published file; reads it in pieces."""
    if not path.is_file() or path.stat().st_size != file.size:
        return False
    name = algorithm(file.digest)
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, lambda: hashlib.new(name, usedforsecurity=False))
    return found.hexdigest() == file.digest


def read_bytes(path: Path) -> bytes:
    """Return the content of a file.

    Raises
    ------
    InputError
        If it is missing or cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error


def read_checked(folder: Path, file: OfficialFile) -> bytes:
    """Return the content of a published file in `folder`.

    Raises
    ------
    InputError
        If it is missing, truncated or altered.
    """
    path = folder / file.name
    return check(read_bytes(path), file, path)
