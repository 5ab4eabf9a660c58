"""Draw what a preset's records and the theory show; draw again only what has changed."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from empirics.record import canonical_json
from empirics.store import Store, own_records, preset_records
from figures.numbers import write_numbers
from figures.registry import FIGURES, Plate, Value
from figures.save import content_hash, is_current, remove, save, source_version
from figures.view import NothingToDraw, View
from theory.claim import CLAIMS
from theory.command import log
from theory.errors import InputError

ALPHA = 0.05


def draw(preset: str, build: Path, only: str | None = None, alpha: float = ALPHA) -> bool:
    """Write all figures and tables of a preset and its chapters, and the numbers of the paper.

    Parameters
    ----------
    preset : str
    build : Path
        Records are read from build/records (else the frozen ones); files go to build/figures, those
        of a chapter to a folder of its name in there.
    only : str, optional
        Draw this one alone.
    alpha : float
        Level of the table of laws.

    Returns
    -------
    bool
        Whether the run is complete: no record of its plan is missing.

    Raises
    ------
    InputError
        If there are no records (names the command that makes them), the figure is not known, or
        the files cannot be written.
    """
    plates = [FIGURES[only]] if only else list(FIGURES.values())
    records, source = preset_records(preset, build)
    store, folder = Store(build), build / "figures"
    plan = store.plan(preset)
    complete = plan is None or set(plan) <= {record.id for record in records}
    draw_all(View(preset, source, records, alpha), plates, folder, complete)
    chapters = store.chapters(preset)
    of_records = [plate for plate in plates if not plate.from_theory]
    for chapter in chapters:
        try:
            records, source = own_records(chapter, build)
        except InputError as error:
            log(f"chapter '{chapter}' of '{preset}' is left out: {error}")
            continue
        draw_all(View(chapter, source, records, alpha), of_records, folder / chapter, None)
    write_numbers(folder, preset, chapters)
    return complete


def draw_all(view: View, plates: Sequence[Plate], folder: Path, complete: bool | None) -> None:
    """Draw what has changed; what cannot be drawn is named, where `complete` says if it could."""
    hashes = {record.id: content_hash(record) for record in view.records}
    for plate in plates:
        ids = [r.id for r in view.records if plate.uses(r.request.plugin)]
        missing = [
            name for name in plate.needs or () if not (view.measured(name) or view.trained(name))
        ]
        if missing:
            reason = f"no records of {' and '.join(missing)}"
            _leave_out(plate, folder, reason, view.preset, complete)
            continue
        inputs: list[object] = [plate.name, view.preset, source_version(), list(CLAIMS)]
        if not plate.from_theory:
            inputs += [view.source, view.alpha, [hashes[i] for i in ids]]
        digest = hashlib.sha256(canonical_json(inputs).encode()).hexdigest()
        if is_current(plate, folder, digest):
            continue
        try:
            _draw_one(plate, view, folder, digest, ids)
        except NothingToDraw as reason:
            _leave_out(plate, folder, str(reason), view.preset, complete)


def _draw_one(plate: Plate, view: View, folder: Path, digest: str, ids: list[str]) -> None:
    from figures import style

    source = "theory" if plate.from_theory else view.source
    head: dict[str, Value] = {"preset": view.preset, "source": source, "digest": digest}
    with style.applied():
        made = plate.draw() if plate.from_theory else plate.draw(view)
        save(plate, made, folder, head, ids)
    log(f"{folder / plate.name}{{{','.join(plate.suffixes)}}}")


def _leave_out(plate: Plate, folder: Path, reason: str, preset: str, complete: bool | None) -> None:
    # What an earlier run left under this name would pass for a figure of this one.
    remove(plate, folder)
    if complete is None:
        return
    way_out = "the preset has none" if complete else f"`advbounds run {preset}` makes them"
    log(f"{plate.kind} '{plate.name}' is not drawn: {reason}; {way_out}")
