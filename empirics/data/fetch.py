"""Downloads published files: resumed where they were cut, checked before they get their name."""

import os
from collections.abc import Iterable
from http.client import HTTPException
from pathlib import Path
from typing import NoReturn
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from tqdm import tqdm

from empirics.data.files import OfficialFile, is_intact
from theory.command import log
from theory.errors import InputError

TIMEOUT = 30.0  # seconds without a byte
CHUNK = 1 << 20  # bytes
RANGE_NOT_SATISFIABLE, PARTIAL_CONTENT = 416, 206


def fetch(files: Iterable[OfficialFile], folder: Path) -> None:
    """Download what is missing or damaged in `folder`; what is already right is left alone.

    Raises
    ------
    InputError
        If the network is closed, the server refuses, the connection ends early, the content is
        not the published one, or the folder cannot be written.
    """
    for file in files:
        target = folder / file.name
        try:
            log(f"{target}: {_fetch_one(file, target)}")
        except (OSError, HTTPException) as error:
            reason = " ".join(str(error).strip("<>").split())
            by_hand = f"the same command tries again, or put the file at {target} by hand"
            raise InputError(f"{file.url}: {reason}; {by_hand}") from error


def _fetch_one(file: OfficialFile, target: Path) -> str:
    """Bring one file to `target` through `target`.part, and return what was done."""
    if is_intact(target, file):
        return "already there"
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    size = _download(file, part)
    if size < file.size:
        cut = f"the connection ended after {size} of {file.size} bytes"
        raise InputError(f"{file.url}: {cut}; the same command goes on from there")
    if not is_intact(part, file):
        part.unlink()
        raise InputError(f"{file.url}: not the published file: its checksum or size is another")
    part.replace(target)
    return "downloaded, checksum right"


def _download(file: OfficialFile, part: Path) -> int:
    """Add to `part` what it lacks, and return how many bytes it has then."""
    done = part.stat().st_size if part.exists() else 0
    if done >= file.size:
        return done
    try:
        headers = {"Range": f"bytes={done}-"} if done else {}
        response = urlopen(Request(file.url, headers=headers), timeout=TIMEOUT)
    except HTTPError as error:
        error.close()
        if error.code == RANGE_NOT_SATISFIABLE:
            part.unlink(missing_ok=True)
        raise
    with response:
        if response.status != PARTIAL_CONTENT:
            done = 0  # a server that knows no ranges starts anew, and so do we
        announced = done + int(response.headers.get("Content-Length", file.size - done))
        if announced != file.size:
            found = f"the server has {announced} bytes, expected {file.size}"
            raise InputError(f"{file.url}: {found}: not the published file")
        with part.open("ab" if done else "wb") as out, _bar(file, done) as bar:
            while done <= file.size and (chunk := response.read(CHUNK)):
                done += out.write(chunk)
                bar.update(len(chunk))
            out.flush()
            os.fsync(out.fileno())
    return done


def _bar(file: OfficialFile, done: int) -> "tqdm[NoReturn]":
    """Return a progress bar on stderr; none where stderr is no terminal."""
    return tqdm(
        desc=file.name, initial=done, total=file.size, unit="B", unit_scale=True, disable=None
    )
