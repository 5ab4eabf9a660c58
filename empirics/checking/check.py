"""Everything that is done with one model: read, trained if need be, measured, judged."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from empirics.checking.efforts import Effort, effort_of
from empirics.checking.models import read_model
from empirics.checking.needs import ALL, EXAMINED, RANDOMISED, claims_of, needs_of
from empirics.checking.presets import adopt, checking_preset, training_preset
from empirics.checking.properties import Done, alone, as_asserted, decided, records_of
from empirics.checking.subject import Subject
from empirics.config import Preset
from empirics.data import load
from empirics.devices import resolve_device
from empirics.given.linearity import linearity
from empirics.given.vnnlib import read_property
from empirics.judge import LawTest, judge_records, read_looks, write_looks
from empirics.measures.examined import Examined
from empirics.plan import plan
from empirics.run import run
from empirics.store import Store, write_safely
from empirics.verdicts import Verdict, Verdicts, verdicts_json
from empirics.weights import load_weights
from theory.claim_files import claims_option
from theory.command import log
from theory.errors import InputError

ABOUT, VERDICTS, LOOKS = "check.json", "verdicts.json", "looks.json"


@dataclass(frozen=True)
class Checked:
    """What came of a check.

    Attributes
    ----------
    verdicts : Verdicts
    folder : Path
        Holds the records, the weights, verdicts.json, looks.json, and check.json.
    about : mapping
        What was asked and what was left out: the content of check.json.
    failed : tuple of str
        What could not be measured.
    """

    verdicts: Verdicts
    folder: Path
    about: Mapping[str, Any]
    failed: tuple[str, ...]


@dataclass(frozen=True)
class Settings:
    """How a check is done; see `check`."""

    claims: str = ALL
    effort: Effort | str = "standard"
    seed: int = 0
    device: str = "auto"
    build: Path = Path("build")
    out: Path | None = None
    alpha: float = 0.05
    property: Path | None = None
    test: LawTest = "uniform"

    def folder(self, subject: Subject) -> Path:
        """Return where records and verdicts go."""
        name = f"{subject.label}-{subject.data}" if subject.data else subject.label
        return self.build / "checks" / name if self.out is None else self.out


def check(
    subject: Subject,
    *,
    claims: str = ALL,
    effort: str | Effort = "standard",
    seed: int = 0,
    device: str = "auto",
    build: Path | str = "build",
    out: Path | str | None = None,
    alpha: float = 0.05,
    property: Path | str | None = None,
) -> Verdicts:
    """Judge every claim that speaks of a model, on what is measured of it now.

    Parameters
    ----------
    subject : Subject
        The model, and the data set that it classifies.
    claims : str
        Shell pattern of claim ids, or a .py file that registers some.
    effort : {"quick", "standard", "thorough"} or Effort
    seed : int
        Root of all random streams.
    device : {"auto", "cpu", "cuda", "mps"}
    build : path
        Folder of earlier records and trainings: what is there of what is needed is not done again.
    out : path, optional
        Where records and verdicts go; build/checks/NAME-DATA by default. A check that was stopped
        goes on from there.
    alpha : float
        Level of the whole table, in (0, 1/2].
    property : path, optional
        A VNN-LIB file: what it asserts of the model is decided too.

    Returns
    -------
    Verdicts
        They print as a table, and as HTML in a notebook; `to_dicts`, `to_latex`.

    Raises
    ------
    InputError
        If the model, the data set, a claim or a setting cannot be used.

    Examples
    --------
    >>> import torch
    >>> net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
    >>> check(Subject(net), claims="fawzi2018/*", alpha=2.0)
    Traceback (most recent call last):
    theory.errors.InputError: alpha must lie in (0, 0.5], got 2.0
    """
    own = None if out is None else Path(out)
    asserted = None if property is None else Path(property)
    settings = Settings(claims, effort, seed, device, Path(build), own, alpha, asserted)
    return checked(subject, settings).verdicts


def checked(subject: Subject, settings: Settings) -> Checked:
    """Do what `check` does, and say also where, and what could not be measured."""
    if not 0 < settings.alpha <= 0.5:
        raise InputError(f"alpha must lie in (0, 0.5], got {settings.alpha}")
    given = settings.effort
    effort = given if isinstance(given, Effort) else effort_of(given)
    device = resolve_device(settings.device)
    pattern, folder = claims_option(settings.claims), settings.folder(subject)
    claims_of(pattern)
    if subject.data:
        done = _on_data(subject, settings, effort, pattern, device)
    elif settings.property is not None:
        done = alone(subject, settings.property, folder)
    else:
        raise InputError("a model is checked on the images of a data set: name one")
    patterns = [pattern]
    if settings.property is not None:
        claim = decided(done, settings.property, effort, device, settings.seed, folder)
        patterns = [claim] if not subject.data else list(dict.fromkeys([pattern, claim]))
    verdicts = _judged(folder, settings.alpha, patterns, settings.test)
    about = done.about | {
        "label": subject.label,
        "model": subject.title,
        "data": subject.data,
        "effort": effort.name,
        "claims": settings.claims,
        "seed": settings.seed,
        "device": device.type,
        "alpha": settings.alpha,
        "failed": list(done.failed),
    }
    write_safely(folder / ABOUT, (json.dumps(about, indent=1, allow_nan=False) + "\n").encode())
    return Checked(verdicts, folder, about, done.failed)


def _on_data(
    subject: Subject, settings: Settings, effort: Effort, pattern: str, device: torch.device
) -> Done:
    """Train the model if it has to be, and measure what claims need."""
    data = load(subject.data)
    model = read_model(subject, data, effort.training)
    shape, build, folder = data.image_shape, settings.build, settings.folder(subject)
    own = as_asserted(subject, model.notes) if settings.property is not None else None
    if settings.property is not None:
        n_inputs, n_outputs = (own.input_shape, own.n_outputs) if own else (shape, data.n_classes)
        read_property(settings.property, math.prod(n_inputs), n_outputs)
    found = linearity(model.module, shape)
    units = found.n_units if found.traced and found.n_units is not None else found.reason
    needs = needs_of(pattern, effort, units, deterministic=model.deterministic)
    needs.measures[EXAMINED] = Examined(subject.title, model.form, model.notes)
    log(f"{model.label}: {len(needs.claims)} claims need {', '.join(needs.measures)}")
    part = model.part(folder / "checkpoints")
    weights = part.weights
    if weights is None:
        weights = _trained(training_preset(part, data.name, settings.seed), build, folder, device)
    preset = checking_preset(part, weights, data.name, settings.seed, needs, effort)
    taken = adopt(preset, build, folder)
    summary = run(preset, folder, device)
    log(
        f"{model.label}: {summary.measured} cells done, {summary.reused} were there, {taken} of"
        f" them in {build}, {len(summary.failed)} failed"
    )
    module = model.plugin.build(shape, data.n_classes)
    load_weights(module, weights)
    return Done(
        own.module if own else module.eval().requires_grad_(False),
        own.input_shape if own else shape,
        {"data": {"name": data.name, "variant": data.variant}, "image_classifier": part.identity()},
        {
            "sha256": model.plugin.sha256,
            "form": model.form,
            "notes": list(model.notes),
            "trained_here": not model.has_weights,
            "training_steps": None if model.has_weights else model.plugin.steps,
            "generators": [generator.label for generator in preset.generators],
            "measures": list(needs.measures),
            "left_out": needs.left_out,
            "unmeasured": list(needs.unmeasured),
        },
        summary.failed if model.deterministic else (*summary.failed, RANDOMISED),
    )


def _trained(preset: Preset, build: Path, folder: Path, device: torch.device) -> Path:
    """Return the weights of the only classifier of a preset, trained now or before."""
    adopt(preset, build, folder)
    if run(preset, folder, device).failed:
        raise InputError(f"{preset.description}: it could not be trained, see above")
    (cell,) = plan(preset)
    return Store(folder).checkpoint(cell.request)


def _judged(folder: Path, alpha: float, patterns: Sequence[str], test: LawTest) -> Verdicts:
    """Judge claims on records, as one more look, and write down what it found and spent."""
    records, looks = records_of(folder), read_looks(folder / LOOKS)
    found: dict[Verdict, None] = {}
    for pattern in patterns:
        found |= dict.fromkeys(judge_records(records, alpha, pattern, test, looks))
    verdicts = Verdicts(found)
    write_looks(folder / LOOKS, looks)
    write_safely(folder / VERDICTS, verdicts_json(verdicts).encode())
    return verdicts
