"""Carries out the cells of a preset that have no record yet."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from empirics.config import Part, Preset
from empirics.data import Dataset, load
from empirics.devices import prepare, provenance
from empirics.plan import Cell, plan, training_request
from empirics.plugins import Context, Outcome, Subject
from empirics.progress import progress
from empirics.record import Record, Request
from empirics.store import StorageError, Store
from empirics.times import note
from empirics.train import Batches, Training, TrainingError, fit_classifier, initialise
from empirics.weights import load_weights, save_weights
from theory.command import log
from theory.errors import InputError


class Workshop:
    """Trains what is missing, loads what is there, and measures; keeps modules in memory."""

    def __init__(self, preset: Preset, store: Store, device: torch.device) -> None:
        self.preset, self.store, self.device = preset, store, device
        self._data: Dataset | None = None
        self._modules: dict[str, nn.Sequential] = {}
        self._failed: set[str] = set()

    @property
    def data(self) -> Dataset:
        """The preset's data set, read once."""
        if self._data is None:
            self._data = load(self.preset.data)
        return self._data

    def carry_out(self, cell: Cell) -> Record:
        """Do what a cell asks and return its record, not yet stored."""
        request = cell.request
        if request.action == "train":
            self._failed.add(request.id)
            outcome = self._train(request, cell.parts)
            self._failed.remove(request.id)
        else:
            assert cell.measure is not None
            context = Context(self.device, request.seed, request.title, (request.id,))
            outcome = cell.measure.measure(self._subject(cell), context)
        return Record(
            request, outcome.evidence, outcome.facts, outcome.arrays, provenance(self.device)
        )

    def check_weights(self) -> None:
        """Load the weights that the preset names, before any work is done.

        Raises
        ------
        InputError
            If a file of weights does not fit.
        """
        parts = [("generator", part) for part in self.preset.generators]
        parts += [("classifier", part) for part in self.preset.classifiers]
        parts += [("image_classifier", part) for part in self.preset.image_classifiers]
        parts += [("teacher", part) for part in (self.preset.teacher,) if part is not None]
        for role, part in parts:
            if part.weights is not None:
                shape, n_classes = self.data.image_shape, self.data.n_classes
                load_weights(self._build(role, part, shape, n_classes), part.weights)

    def _build(
        self, role: str, part: Part, shape: tuple[int, ...], n_classes: int
    ) -> nn.Sequential:
        # Constructors draw default weights from the global random state: keep it as it was.
        with torch.random.fork_rng(devices=[]):
            if role == "generator":
                module: nn.Sequential = part.plugin.build(shape)
            else:
                module = part.plugin.build(shape, n_classes)
        return module.to(self.device)

    def _train(self, request: Request, parts: Mapping[str, Part]) -> Outcome:
        role, data = request.plugin, self.data
        part = parts[role]
        snapshot = self.store.snapshot(request)
        context = Context(self.device, request.seed, request.title, (request.id,), snapshot)
        module = self._build(role, part, data.image_shape, data.n_classes)
        initialise(module, context.stream("initial weights"))
        if role == "generator":
            outcome: Outcome = part.plugin.fit(module, data, context)
            module.eval().requires_grad_(False)
        else:
            own = role in ("teacher", "image_classifier")
            batches = self._real_batches(part.plugin) if own else self._generated_batches(parts)
            outcome = fit_classifier(module, batches, part.plugin, context)
        save_weights(module, self.store.checkpoint(request))
        snapshot.unlink(missing_ok=True)
        self._modules[request.id] = module
        return outcome

    def _real_batches(self, settings: Training) -> Batches:
        kept = settings.of_half(len(self.data.train_labels))
        images = torch.from_numpy(self.data.train_images[kept]).to(self.device)
        labels = torch.from_numpy(self.data.train_labels[kept]).to(self.device)

        def draw(size: int, stream: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
            chosen = torch.randint(len(images), (size,), generator=stream).to(self.device)
            return settings.augmented(images[chosen], stream), labels[chosen]

        return draw

    def _generated_batches(self, parts: Mapping[str, Part]) -> Batches:
        generator, teacher = self.module("generator", parts), self.module("teacher", parts)
        dimension = parts["generator"].plugin.latent_dimension

        def draw(size: int, stream: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
            with torch.no_grad():
                z = torch.randn(size, dimension, generator=stream).to(self.device)
                images = generator(z)
                return images, teacher(images).argmax(dim=1)

        return draw

    def module(
        self, role: str, parts: Mapping[str, Part], *, on_data: bool = True
    ) -> nn.Sequential:
        """Return a trained module: from memory, from its checkpoint, or trained again.

        Raises
        ------
        InputError
            If weights that the preset names do not fit.
        """
        part = parts[role]
        if not on_data:
            shape = (parts["generator"].plugin.latent_dimension,)
            n_classes = getattr(part.plugin, "n_classes", 0)
            return self._build(role, part, shape, n_classes).eval().requires_grad_(False)
        request = training_request(self.preset, role, parts)
        if request.id not in self._modules:
            if request.id in self._failed:
                raise InputError(f"{request.title} failed")
            path = part.weights or self.store.checkpoint(request)
            if part.weights is None and not path.exists():
                # The record is there but its weights were removed: the same training again.
                self._train(request, parts)
            else:
                module = self._build(role, part, self.data.image_shape, self.data.n_classes)
                load_weights(module, path)
                self._modules[request.id] = module.eval().requires_grad_(False)
        return self._modules[request.id]

    def _subject(self, cell: Cell) -> Subject:
        parts, on_data = cell.parts, "data" in cell.request.subject
        modules = {role: self.module(role, parts, on_data=on_data) for role in parts}
        role = cell.member_role
        group = {part.label: self.module(role, {**parts, role: part}) for part in cell.group}
        if "generator" not in parts:
            return Subject(
                data=self.data,
                generator=nn.Sequential(nn.Identity()),
                latent_dimension=math.prod(self.data.image_shape),
                image_shape=self.data.image_shape,
                n_classes=self.data.n_classes,
                classifier=modules.get("image_classifier"),
                classifiers=group,
            )
        dimension = parts["generator"].plugin.latent_dimension
        plugin = parts["classifier"].plugin if "classifier" in parts else None
        return Subject(
            data=self.data if on_data else None,
            latent_dimension=dimension,
            image_shape=self.data.image_shape if on_data else (dimension,),
            n_classes=self.data.n_classes if on_data else getattr(plugin, "n_classes", None),
            class_masses=getattr(plugin, "class_masses", None),
            exact_law=getattr(plugin, "exact_law", None),
            classifiers=group,
            **modules,
        )


@dataclass(frozen=True)
class Summary:
    """How a run went.

    Attributes
    ----------
    measured, reused : int
        Cells carried out, and cells whose record was there.
    failed : tuple of str
        Titles of the cells that could not be measured.
    """

    measured: int
    reused: int
    failed: tuple[str, ...]


def run(preset: Preset, root: Path, device: torch.device, inputs: str | None = None) -> Summary:
    """Measure every cell of a preset that has no record under `root` yet.

    A cell that fails is named and does not stop the others; what was measured before a kill is
    kept, and the next run goes on from there.

    Parameters
    ----------
    preset : Preset
    root : Path
        The build folder.
    device : torch.device
    inputs : str, optional
        Fingerprint of the preset, kept with its plan; see `empirics.preset_files`.

    Raises
    ------
    InputError
        If the data are not found, or the records cannot be written.
    """
    prepare(device)
    store = Store(root)
    cells = plan(preset)
    workshop = Workshop(preset, store, device)
    workshop.check_weights()
    store.put_plan(preset.name, [cell.request for cell in cells], inputs, preset.companions)
    todo = [cell for cell in cells if store.get(cell.request.id) is None]
    failed = []
    for cell in progress(todo, "all cells"):
        begun = time.monotonic()
        try:
            record = workshop.carry_out(cell)
        except StorageError:
            raise
        except (InputError, TrainingError, ArithmeticError, ValueError, RuntimeError) as error:
            log(f"{cell.request.title}: not measured: {error}")
            failed.append(cell.request.title)
            continue
        store.put(record)
        note(root, cell.request, device.type, time.monotonic() - begun)
    return Summary(len(todo) - len(failed), len(cells) - len(todo), tuple(failed))
