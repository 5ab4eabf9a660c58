"""Reading the model of a subject: a plug-in that builds it, and its weights where it has some."""

import copy
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import nn

from empirics.checking.digest import module_digest
from empirics.checking.subject import Subject
from empirics.classifiers.given import Given, remember
from empirics.config import Part
from empirics.data import Dataset
from empirics.given.conforming import conforming
from empirics.given.probing import own_randomness, random_images
from empirics.given.spec import load_model
from empirics.settings import read_settings
from empirics.store import write_safely
from theory.errors import InputError

_IMAGES = 6


@dataclass(frozen=True, eq=False)
class Model:
    """A classifier from outside, read.

    Attributes
    ----------
    label : str
    module : nn.Module
        As it came, in eval mode.
    plugin : Given
        Builds it.
    form : str
        "file", "attribute", "export", "onnx", "timm", or "module" for one in memory.
    has_weights : bool
        False where it has to be trained first.
    notes : tuple of str
        What was handled when it was read.
    deterministic : bool
        Whether equal images always get equal logits.
    """

    label: str
    module: nn.Module
    plugin: Given
    form: str
    has_weights: bool
    notes: tuple[str, ...]
    deterministic: bool

    def part(self, folder: Path) -> Part:
        """Return it as a part of a preset; weights that it came with are kept in the folder."""
        if not self.has_weights:
            return Part("given", self.label, self.plugin)
        path = folder / f"given-{self.plugin.sha256[:16]}.safetensors"
        module = self.plugin.build((), 0)
        # Tensors that share their memory are stored once each.
        state = {n: t.detach().cpu().contiguous().clone() for n, t in module.state_dict().items()}
        write_safely(path, save(state))
        return Part("given", self.label, self.plugin, path)


def read_model(subject: Subject, data: Dataset, training: Mapping[str, Any]) -> Model:
    """Read the model of a subject, whose file is executed because the subject names it.

    Parameters
    ----------
    subject : Subject
    data : Dataset
        Gives the shape of the images and the number of classes.
    training : mapping
        Settings of a `Training`, for a model without weights.

    Raises
    ------
    InputError
        If it cannot be read or used; says what stands in the way.
    """
    shape, n_classes = data.image_shape, data.n_classes
    if isinstance(subject.model, str):
        if subject.train:
            raise InputError("train is for modules in memory: those named are, without weights")
        weights = None if subject.weights is None else Path(subject.weights)
        given = load_model(subject.model, weights, image_shape=shape, n_classes=n_classes)
        module, notes, form = given.module, given.notes, given.form
        has_weights, named = given.has_weights, given.sha256
    else:
        if subject.weights is not None:
            raise InputError("a module has its own weights: load them into it before the check")
        own, has_weights, named = copy.deepcopy(subject.model), not subject.train, ""
        module, notes = conforming(own, shape, n_classes, subject.label)
        form = "module"
    # What a file imports counts too, and two networks may be in one file.
    code = f"{subject.title}\0{named}\0{module_digest(module, trained=not has_weights)}"
    digest = hashlib.sha256(code.encode()).hexdigest()
    # How it would be trained is no part of a model that has weights.
    settings = {} if has_weights else training
    table = {**settings, "model": subject.title, "sha256": digest}
    plugin = read_settings(Given, table, f"model {subject.label}")
    remember(digest, module)
    return Model(
        subject.label,
        module,
        plugin,
        form,
        has_weights,
        tuple(notes),
        _deterministic(module, shape),
    )


def _deterministic(module: nn.Module, shape: tuple[int, ...]) -> bool:
    images = random_images(_IMAGES, shape)
    logits = []
    for seed in range(2):
        with own_randomness(seed):
            logits.append(module(images))
    return torch.equal(*logits)
