"""Where records live: a JSON file each, its arrays beside it; a kill at any moment loses none."""

import json
import lzma
import os
from collections.abc import Iterable, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from empirics.preset_files import packaged_presets
from empirics.record import Record, Request, canonical_json
from theory.command import log
from theory.errors import InputError


class StorageError(InputError):
    """The disk is full or a folder cannot be written: nothing more can be kept."""


def write_safely(path: Path, content: bytes) -> None:
    """Write a file that is either whole or not there: part file, flush, rename.

    Raises
    ------
    StorageError
        If the disk is full or the folder cannot be written; what was there before stays.
    """
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise StorageError(
            f"{path}: cannot be written ({error.strerror}); what was measured before is kept,"
            " and the same command goes on from there"
        ) from error


class Store:
    """Records under build/records, checkpoints under build/checkpoints, plans under build/runs.

    Parameters
    ----------
    root : Path
        The build folder; made when first written to.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def _path(self, request_id: str) -> Path:
        return self.root / "records" / f"{request_id}.json"

    def checkpoint(self, request: Request) -> Path:
        """Return where the weights of a training are kept."""
        return self.root / "checkpoints" / f"{request.id}.safetensors"

    def snapshot(self, request: Request) -> Path:
        """Return where the state of a training in progress is kept."""
        return self.root / "checkpoints" / f"{request.id}.training"

    def put(self, record: Record) -> None:
        """Write a record; the JSON file comes last, so that a record that is there is whole."""
        data, packed = record.to_parts()
        path = self._path(record.id)
        write_safely(path.with_suffix(".npz"), packed)
        write_safely(path, (json.dumps(data, sort_keys=True, indent=1) + "\n").encode())

    def get(self, request_id: str) -> Record | None:
        """Return a record, or None if it is not there; a damaged one is named and set aside."""
        path = self._path(request_id)
        if not path.exists():
            return None
        arrays = path.with_suffix(".npz")
        try:
            return Record.from_parts(json.loads(path.read_bytes()), arrays.read_bytes())
        except (ValueError, OSError) as error:
            log(f"{path}: set aside as .damaged, to be measured again: {error}")
            for file in (path, arrays):
                if file.exists():
                    file.replace(file.with_name(file.name + ".damaged"))
            return None

    def put_plan(
        self,
        preset: str,
        requests: Iterable[Request],
        inputs: str | None,
        companions: Sequence[str] = (),
        chapters: Sequence[str] = (),
    ) -> None:
        """Write which records, in which order, a preset consists of, and its fingerprint.

        The companions are the presets whose records are shown beside its own, the chapters those
        that have figures to themselves.
        """
        ids = [request.id for request in requests]
        text = canonical_json(
            {
                "preset": preset,
                "records": ids,
                "inputs": inputs,
                "companions": list(companions),
                "chapters": list(chapters),
            }
        )
        write_safely(self.root / "runs" / f"{preset}.json", text.encode())

    def plan(self, preset: str) -> list[str] | None:
        """Return the ids of a preset's records, or None if it was never run here."""
        written = self._plan(preset)
        return None if written is None else [str(request_id) for request_id in written["records"]]

    def _plan(self, preset: str) -> dict[str, Any] | None:
        path = self.root / "runs" / f"{preset}.json"
        if not path.exists():
            return None
        try:
            written: dict[str, Any] = json.loads(path.read_bytes())
            written["records"]
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path}: not a plan; remove it, and run {preset} again") from error
        return written

    def companions(self, preset: str) -> tuple[str, ...]:
        """Return the presets whose records join a preset's own: those of its run, or its file's."""
        return self._named(preset, "companions")

    def chapters(self, preset: str) -> tuple[str, ...]:
        """Return the presets whose figures stand beside a preset's own, likewise."""
        return self._named(preset, "chapters")

    def _named(self, preset: str, key: str) -> tuple[str, ...]:
        written = self._plan(preset)
        if written is not None:
            return tuple(written.get(key, ()))
        return packaged_presets(preset, key)

    def complete(self, preset: str, inputs: str | None) -> int | None:
        """Return how many records a preset has, if a run would find nothing to do; else None."""
        written = self._plan(preset)
        if inputs is None or written is None or written.get("inputs") != inputs:
            return None
        whole = all(self.get(request_id) is not None for request_id in written["records"])
        return len(written["records"]) if whole else None


def frozen_path(preset: str) -> Path:
    """Return where the committed records of a preset are: a compressed line each."""
    return Path(str(resources.files("empirics"))) / "frozen" / f"{preset}.jsonl.xz"


def write_frozen(preset: str, records: Sequence[Record]) -> Path:
    """Commit the records of a preset, and return the file; equal records have equal bytes."""
    path = frozen_path(preset)
    text = "".join(record.to_line() + "\n" for record in records)
    write_safely(path, lzma.compress(text.encode(), preset=9))
    return path


def read_frozen(preset: str) -> list[Record] | None:
    """Return the committed records of a preset, or None if there are none.

    Raises
    ------
    InputError
        If the file or a line was changed or cut short.
    """
    path = frozen_path(preset)
    if not path.is_file():
        return None
    try:
        text = lzma.decompress(path.read_bytes()).decode()
    except (lzma.LZMAError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: damaged file: {error}") from error
    records = []
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            records.append(Record.from_line(line))
        except ValueError as error:
            raise InputError(f"{path}, line {number}: damaged record: {error}") from error
    return records


def own_records(preset: str, root: Path) -> tuple[list[Record], str]:
    """Return a preset's records, and where they came from: "measured here" or "frozen".

    Records that were measured in this build folder win; without a run, the committed ones serve.

    Raises
    ------
    InputError
        If there are neither, or a run is not complete; names the command that makes them.
    """
    command = f"`advbounds run {preset}`"
    store = Store(root)
    plan = store.plan(preset)
    if plan is None:
        frozen = read_frozen(preset)
        if frozen is None:
            raise InputError(f"no records of '{preset}' under {root}: {command} makes them")
        return frozen, "frozen"
    records = [record for request_id in plan if (record := store.get(request_id)) is not None]
    if len(records) < len(plan):
        missing = len(plan) - len(records)
        log(f"{missing} of {len(plan)} records of '{preset}' are missing: {command} makes them")
    if not records:
        raise InputError(f"no records of '{preset}' under {root}: {command} makes them")
    return records, "measured here"


def preset_records(preset: str, root: Path) -> tuple[list[Record], str]:
    """Return `own_records` of a preset, and behind them those of its companions, none twice.

    A companion that has no records is named in the log and left out.

    Raises
    ------
    InputError
        As `own_records`.
    """
    records, source = own_records(preset, root)
    known = {record.id: record for record in records}
    for companion in Store(root).companions(preset):
        try:
            others, _ = own_records(companion, root)
        except InputError as error:
            log(f"companion '{companion}' of '{preset}' is left out: {error}")
            continue
        known |= {record.id: record for record in others if record.id not in known}
    return list(known.values()), source
