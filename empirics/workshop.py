"""Trains the parts of a preset, keeps their weights, and measures them."""

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from empirics.config import Part, Preset
from empirics.data import Dataset, load
from empirics.devices import provenance
from empirics.generated import require_images
from empirics.memory import within_memory
from empirics.plan import Cell, training_request
from empirics.plugins import Context, Outcome, Subject
from empirics.record import Record, Request
from empirics.seeds import torch_stream
from empirics.store import Store
from empirics.train import Batches, Training, fit_classifier, initialise
from empirics.weights import load_weights, save_weights
from theory.errors import InputError


def _own_classes(part: Part | None, n_classes: int) -> int:
    """Return how many classes a classifier has of those of the data set."""
    own: int = 0 if part is None else getattr(part.plugin, "classes", 0)
    return own or n_classes


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
        request, measure = cell.request, cell.measure
        if measure is None:
            self._failed.add(request.id)
            outcome, batches = self._train(request, cell.parts)
            self._failed.remove(request.id)
        else:
            context = Context(self.device, request.seed, request.title, (request.id,))
            subject = self._subject(cell)
            outcome, batches = within_memory(
                measure, lambda settings: settings.measure(subject, context), request.title
            )
        origin = provenance(self.device) | batches
        return Record(request, outcome.evidence, outcome.facts, outcome.arrays, origin)

    def needs(self, cell: Cell) -> list[Request]:
        """Return the trainings whose weights a cell starts from."""
        if "data" not in cell.request.subject:
            return []
        own, role = cell.parts, cell.member_role
        parts = [(role, own) for role in own] + [(role, {**own, role: p}) for p in cell.group]
        found = [
            training_request(self.preset, role, having)
            for role, having in parts
            if having[role].weights is None
        ]
        unlike = {request.id: request for request in found if request.id != cell.request.id}
        return list(unlike.values())

    def check_weights(self) -> None:
        """Load the weights that the preset names, before any work is done.

        Raises
        ------
        InputError
            If a file of weights does not fit, or a generator's images do not fit the classifiers.
        """
        parts = [("generator", part) for part in self.preset.generators]
        parts += [("classifier", part) for part in self.preset.classifiers]
        parts += [("image_classifier", part) for part in self.preset.image_classifiers]
        parts += [("teacher", part) for part in (self.preset.teacher,) if part is not None]
        for role, part in parts:
            if part.weights is not None:
                shape, n_classes = self.data.image_shape, self.data.n_classes
                module = self._build(role, part, shape, n_classes)
                load_weights(module, part.weights)
                if role == "generator":
                    self._require_images(module.eval(), part)

    def _build(
        self, role: str, part: Part, shape: tuple[int, ...], n_classes: int
    ) -> nn.Sequential:
        # Constructors draw default weights from the global random state: keep it as it was.
        with torch.random.fork_rng(devices=[]):
            if role == "generator":
                module: nn.Sequential = part.plugin.build(shape)
            else:
                module = part.plugin.build(shape, _own_classes(part, n_classes))
        return module.to(self.device)

    def _train(self, request: Request, parts: Mapping[str, Part]) -> tuple[Outcome, dict[str, int]]:
        """Train a part and keep its weights; return also what is to be said of its batches."""
        role = request.plugin
        asked = parts[role].plugin

        def fitted(plugin: Any) -> tuple[nn.Sequential, Outcome, Path]:  # noqa: ANN401
            snapshot = self.store.snapshot(request)
            if plugin is not asked:
                # What larger batches led to is not where these go on.
                snapshot = snapshot.with_stem(f"{request.id}-{plugin.batch}")
            changed = {**parts, role: replace(parts[role], plugin=plugin)}
            return *self._fitted(request, changed, snapshot), snapshot

        (module, outcome, snapshot), batches = within_memory(asked, fitted, request.title)
        save_weights(module, self.store.checkpoint(request))
        for state in (snapshot, self.store.snapshot(request)):
            state.unlink(missing_ok=True)
        self._modules[request.id] = module
        return outcome, batches

    def _fitted(
        self, request: Request, parts: Mapping[str, Part], snapshot: Path
    ) -> tuple[nn.Sequential, Outcome]:
        role, data = request.plugin, self.data
        part = parts[role]
        context = Context(self.device, request.seed, request.title, (request.id,), snapshot)
        module = self._build(role, part, data.image_shape, data.n_classes)
        initialise(module, context.stream("initial weights"))
        if role == "generator":
            fitted: Outcome = part.plugin.fit(module, data, context)
            outcome = replace(fitted, facts={**fitted.facts, "n_train": len(data.train_labels)})
            module.eval().requires_grad_(False)
            self._require_images(module, part)
        else:
            own = role in ("teacher", "image_classifier") or part.plugin.shuffled
            batches = self._real_batches(part.plugin) if own else self._generated_batches(parts)
            outcome = fit_classifier(module, batches, part.plugin, context)
        return module, outcome

    def _require_images(self, generator: nn.Module, part: Part) -> None:
        dimension, title = part.plugin.latent_dimension, f"generator {part.label}"
        require_images(generator, dimension, self.data.image_shape, title)

    def _real_batches(self, settings: Training) -> Batches:
        kept = settings.of_half(len(self.data.train_labels))
        images = torch.from_numpy(self.data.train_images[kept]).to(self.device)
        labels = torch.from_numpy(self.data.train_labels[kept]).to(self.device)
        if settings.shuffled:
            # One deal for all classifiers of a preset.
            stream = torch_stream(self.preset.seed, self.preset.data, "random labels")
            dealt = torch.randperm(len(labels), generator=stream) % self.data.n_classes
            labels = dealt.to(self.device)
        labels = settings.merged(labels)

        def draw(size: int, stream: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
            chosen = torch.randint(len(images), (size,), generator=stream).to(self.device)
            return settings.augmented(images[chosen], stream), labels[chosen]

        return draw

    def _generated_batches(self, parts: Mapping[str, Part]) -> Batches:
        generator, teacher = self.module("generator", parts), self.module("teacher", parts)
        dimension = parts["generator"].plugin.latent_dimension
        settings: Training = parts["classifier"].plugin

        def draw(size: int, stream: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
            with torch.no_grad():
                z = torch.randn(size, dimension, generator=stream).to(self.device)
                images = generator(z)
                return images, settings.merged(teacher(images).argmax(dim=1))

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
                n_classes=_own_classes(parts.get("image_classifier"), self.data.n_classes),
                classifier=modules.get("image_classifier"),
                classifiers=group,
            )
        dimension = parts["generator"].plugin.latent_dimension
        plugin = parts["classifier"].plugin if "classifier" in parts else None
        return Subject(
            data=self.data if on_data else None,
            latent_dimension=dimension,
            image_shape=self.data.image_shape if on_data else (dimension,),
            n_classes=_own_classes(parts.get("classifier"), self.data.n_classes)
            if on_data
            else getattr(plugin, "n_classes", None),
            class_masses=getattr(plugin, "class_masses", None),
            exact_law=getattr(plugin, "exact_law", None),
            classifiers=group,
            **modules,
        )
