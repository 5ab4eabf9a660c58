"""Draw what a preset's records and the theory show; draw again only what has changed."""

import hashlib
from pathlib import Path

from empirics.record import canonical_json
from empirics.store import Store, preset_records
from figures.numbers import write_numbers
from figures.registry import FIGURES, Plate, Value
from figures.save import content_hash, is_current, remove, save, source_version
from figures.view import NothingToDraw, View
from theory.claim import CLAIMS
from theory.command import log

ALPHA = 0.05


def draw(preset: str, build: Path, only: str | None = None, alpha: float = ALPHA) -> bool:
    """Write all figures and tables of a preset, and the numbers of the paper.

    Parameters
    ----------
    preset : str
    build : Path
        Records are read from build/records (else the frozen ones); files go to build/figures.
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
    plan = Store(build).plan(preset)
    complete = plan is None or set(plan) <= {record.id for record in records}
    view, folder = View(preset, source, records, alpha), build / "figures"
    hashes = {record.id: content_hash(record) for record in records}
    for plate in plates:
        ids = [r.id for r in records if plate.uses(r.request.plugin)]
        missing = [
            name for name in plate.needs or () if not (view.measured(name) or view.trained(name))
        ]
        if missing:
            _leave_out(plate, folder, f"no records of {' and '.join(missing)}", preset, complete)
            continue
        inputs: list[object] = [plate.name, preset, source_version(), list(CLAIMS)]
        if not plate.from_theory:
            inputs += [source, alpha, [hashes[i] for i in ids]]
        digest = hashlib.sha256(canonical_json(inputs).encode()).hexdigest()
        if is_current(plate, folder, digest):
            continue
        try:
            _draw_one(plate, view, folder, digest, ids)
        except NothingToDraw as reason:
            _leave_out(plate, folder, str(reason), preset, complete)
    write_numbers(folder, preset)
    return complete


def _draw_one(plate: Plate, view: "View", folder: Path, digest: str, ids: list[str]) -> None:
    from figures import style

    source = "theory" if plate.from_theory else view.source
    head: dict[str, Value] = {"preset": view.preset, "source": source, "digest": digest}
    with style.applied():
        made = plate.draw() if plate.from_theory else plate.draw(view)
        save(plate, made, folder, head, ids)
    log(f"{folder / plate.name}{{{','.join(plate.suffixes)}}}")


def _leave_out(plate: Plate, folder: Path, reason: str, preset: str, complete: bool) -> None:
    # What an earlier run left under this name would pass for a figure of this one.
    remove(plate, folder)
    way_out = "the preset has none" if complete else f"`advbounds run {preset}` makes them"
    log(f"{plate.kind} '{plate.name}' is not drawn: {reason}; {way_out}")
