"""What generators, classifiers and measures are: settings that know how to build, fit or measure.

A plug-in is one new file with one decorated frozen dataclass; its fields are its settings, with
their allowed ranges. There is no list to edit.
"""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

import torch
from torch import nn

from empirics.data import Dataset
from empirics.record import Arrays, Evidence
from empirics.seeds import torch_stream
from empirics.settings import identity
from theory.registry import Registry

ImageShape = tuple[int, ...]


@dataclass(frozen=True)
class Context:
    """Where and with which randomness a plug-in works.

    Attributes
    ----------
    device : torch.device
    seed : int
        Root of the named streams.
    title : str
        What the progress bars say.
    scope : tuple of str
        First names of every stream: the id of the request, so that no two requests share one.
    snapshot : Path or None
        Where a long training keeps its state, to go on after a kill.
    """

    device: torch.device
    seed: int
    title: str
    scope: tuple[str, ...] = ()
    snapshot: Path | None = None

    def stream(self, *names: str) -> torch.Generator:
        """Return a random stream that belongs to this work and these names alone."""
        return torch_stream(self.seed, *self.scope, *names)

    def normal(self, n: int, dimension: int, *names: str) -> torch.Tensor:
        """Return n fresh points of N(0, I), float32 of shape (n, dimension), on the device."""
        points = torch.randn(n, dimension, generator=self.stream(*names))
        return points.to(self.device)


@dataclass(frozen=True)
class Outcome:
    """What a training or a measurement brings back; see `empirics.record.Record`."""

    evidence: Mapping[str, Evidence] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    arrays: Arrays = field(default_factory=dict)


class GeneratorPlugin(Protocol):
    """Settings of a generator of images from N(0, I_d)."""

    revision: ClassVar[int]
    latent_dimension: int

    def build(self, image_shape: ImageShape) -> nn.Sequential:
        """Return the untrained module: latents (n, d) to images (n, *image_shape)."""
        ...

    def fit(self, module: nn.Sequential, data: Dataset, context: Context) -> Outcome:
        """Train the module in place on the training images."""
        ...


class ClassifierPlugin(Protocol):
    """Settings of a classifier: images (n, *image_shape) to logits (n, K)."""

    revision: ClassVar[int]

    def build(self, image_shape: ImageShape, n_classes: int) -> nn.Sequential:
        """Return the untrained module."""
        ...


@dataclass(frozen=True)
class Subject:
    """What a measure is applied to: modules on the context's device, in eval mode.

    Attributes
    ----------
    data : Dataset or None
        None for closed-form families.
    generator : nn.Sequential
        Latents (n, d) to images (n, *image_shape); the identity for a classifier of the data set's
        own images.
    latent_dimension, image_shape, n_classes
        Shapes.
    teacher, classifier : nn.Sequential or None
        Images to logits; None where the measure's subject has none.
    classifiers : mapping from str to nn.Sequential
        By label, where the measure's subject is several of them.
    class_masses : tuple of float or None
        Exact masses, known for closed-form families only.
    exact_law : mapping or None
        Name and parameters of the exact law of the radii, likewise.
    """

    data: Dataset | None
    generator: nn.Sequential
    latent_dimension: int
    image_shape: ImageShape
    teacher: nn.Sequential | None = None
    classifier: nn.Sequential | None = None
    n_classes: int | None = None
    class_masses: tuple[float, ...] | None = None
    exact_law: Mapping[str, Any] | None = None
    classifiers: Mapping[str, nn.Sequential] = field(default_factory=dict)


class MeasurePlugin(Protocol):
    """Settings of a measurement."""

    revision: ClassVar[int]
    roles: ClassVar[tuple[str, ...]]
    """The parts of a subject it speaks of: ("data", "generator", "classifier").

    "classifiers" are all those of one generator at once, "classifier_pair" every two of them, and
    "image_classifiers" all that a preset trains on the images themselves.
    """
    needs_data: ClassVar[bool]
    """Whether it compares with a data set, which closed-form families do not have."""

    def measure(self, subject: Subject, context: Context) -> Outcome:
        """Return what was seen."""
        ...


P = TypeVar("P")

GENERATORS: Registry[type[GeneratorPlugin]] = Registry(
    "generator", ("empirics.generators",), "advbounds.generators"
)
CLASSIFIERS: Registry[type[ClassifierPlugin]] = Registry(
    "classifier", ("empirics.classifiers",), "advbounds.classifiers"
)
MEASURES: Registry[type[MeasurePlugin]] = Registry(
    "measure", ("empirics.measures",), "advbounds.measures"
)


def _into(registry: Registry[Any], name: str) -> Callable[[type[P]], type[P]]:
    def decorate(plugin: type[P]) -> type[P]:
        registry.register(name, plugin)
        return plugin

    return decorate


generator = functools.partial(_into, GENERATORS)
classifier = functools.partial(_into, CLASSIFIERS)
measure = functools.partial(_into, MEASURES)


def describe(plugin: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return a plug-in's settings and revision as JSON values: part of a request's identity."""
    return {**identity(plugin), "revision": plugin.revision}
