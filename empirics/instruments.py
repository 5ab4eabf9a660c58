"""Attacks with settings as one line of text, their passes counted, what they find judged."""

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from empirics.adversary.closest import Closest
from empirics.attacks import ATTACKS, minimal
from empirics.attacks.registry import Attack
from empirics.attacks.strongest import BUDGETS
from empirics.correct_images import CorrectImages
from theory.arrays import FloatArray
from theory.errors import InputError, nearest

NORMS = {"l2": 2.0, "linf": np.inf, "l1": 1.0, "l0": 0.0}
BOX = (0.0, 1.0)
PEERS = ("foolbox", "torchattacks", "cleverhans", "advlib", "art")
"""Libraries whose attacks may be registered as "library-attack", or be missing."""
MINIMAL = "minimal"
_GIVEN = ("box", "targets", "stream", "seed", "p", "norm", "radius")
"""What the measure itself gives to an attack."""
_OCTAVES = 10
"""Budgets are sought down to 2^-10 of the widest one."""
_FORM = re.compile(r"(?P<name>[\w.-]+)(:(?P<settings>\w+=[\w.+-]+(,\w+=[\w.+-]+)*))?")
Value = bool | int | float | str


@dataclass(frozen=True, eq=False)
class Instrument:
    """An attack with settings, as one line of text: "ddn:steps=100", "minimal:budget=quick".

    Attributes
    ----------
    line : str
    name : str
        Of `empirics.attacks.ATTACKS`, or "minimal" for `empirics.attacks.minimal`.
    settings : mapping
    """

    line: str
    name: str
    settings: Mapping[str, Value]

    @classmethod
    def read(cls, line: str) -> "Instrument":
        """Read a line.

        Raises
        ------
        InputError
            If it is no such line, or names an attack or a setting that is not known; attacks of
            other libraries may be missing.
        """
        form = _FORM.fullmatch(line)
        if form is None:
            raise InputError(f"'{line}' is not an attack; expected name:key=value,key=value")
        name, given = form["name"], (form["settings"] or "").split(",")
        pairs = [part.split("=") for part in given if part]
        settings = {key: _value(text) for key, text in pairs}
        if len(settings) < len(pairs):
            raise InputError(f"'{line}' gives a setting twice")
        read = cls(line, name, settings)
        if read.is_there:
            read.check()
        elif read.library is None:
            raise InputError(f"unknown attack '{name}'; {nearest(name, [MINIMAL, *ATTACKS])}")
        return read

    @property
    def is_there(self) -> bool:
        """Whether there is such an attack."""
        return self.name == MINIMAL or self.name in ATTACKS

    @property
    def library(self) -> str | None:
        """The other library that it is of, or None."""
        library = self.name.partition("-")[0]
        return library if library != self.name and library in PEERS else None

    @property
    def _signature(self) -> list[inspect.Parameter]:
        function = minimal if self.name == MINIMAL else ATTACKS[self.name]
        return list(inspect.signature(function).parameters.values())

    @property
    def parameters(self) -> Mapping[str, inspect.Parameter]:
        """Keyword parameters of its function."""
        return {v.name: v for v in self._signature if v.kind is inspect.Parameter.KEYWORD_ONLY}

    def check(self) -> None:
        """Raise InputError unless the settings are settings of the attack, of their types.

        A function that takes any keyword is left to judge itself.
        """
        if any(v.kind is inspect.Parameter.VAR_KEYWORD for v in self._signature):
            return
        known = {k: v.default for k, v in self.parameters.items() if k not in _GIVEN}
        for key, value in self.settings.items():
            if key not in known:
                raise InputError(f"'{self.line}': unknown setting '{key}'; {nearest(key, known)}")
            default = known[key]
            kinds = (int, float) if type(default) is float else (type(default),)
            if default not in (None, inspect.Parameter.empty) and type(value) not in kinds:
                raise InputError(f"'{self.line}': {key} must be of type {kinds[-1].__name__}")
        effort = self.settings.get("budget")
        if self.name == MINIMAL and effort is not None and effort not in BUDGETS:
            known_efforts = nearest(str(effort), BUDGETS)
            raise InputError(f"'{self.line}': unknown budget '{effort}'; {known_efforts}")

    def points(
        self,
        model: nn.Module,
        x: torch.Tensor,
        y: torch.Tensor,
        *,
        norm: str,
        stream: torch.Generator,
        bisections: int = 10,
        more: Mapping[str, Any] | None = None,
    ) -> torch.Tensor:
        """Return what the attack finds within [0, 1].

        Parameters
        ----------
        model : nn.Module
            Inputs (n, ...) to logits (n, K).
        x, y : Tensor
            Inputs (n, ...) and labels (n,).
        norm : str
            A key of `NORMS`, for attacks that can have several.
        stream : torch.Generator
            For attacks that cannot do without randomness.
        bisections : int
            Budgets that an attack with a budget is tried at, image by image.
        more : mapping, optional
            Further arguments; with a radius no budget is sought.

        Returns
        -------
        Tensor
            Shape of x.
        """
        if self.name == MINIMAL:
            budget = str(self.settings.get("budget", "standard"))
            seed = stream.initial_seed()
            return minimal(model, x, y, p=NORMS[norm], budget=budget, box=BOX, seed=seed)[0]
        asked = self.parameters
        own = {"box": BOX, "norm": norm, "p": NORMS[norm]}
        arguments: dict[str, Any] = {k: v for k, v in own.items() if k in asked}
        if "stream" in asked and asked["stream"].default is inspect.Parameter.empty:
            arguments["stream"] = stream
        arguments |= {**self.settings, **(more or {})}
        attack = ATTACKS[self.name]
        if "radius" in asked and "radius" not in arguments:
            return _at_least_budget(attack, model, x, y, norm, bisections, arguments)
        return attack(model, x, y, **arguments)


def _value(text: str) -> Value:
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _at_least_budget(
    attack: Attack,
    model: nn.Module,
    x: torch.Tensor,
    y: torch.Tensor,
    norm: str,
    bisections: int,
    arguments: Mapping[str, Any],
) -> torch.Tensor:
    """Return the nearest points found at budgets halved on a logarithmic scale, image by image."""
    p, widest = NORMS[norm], {"l2": x[0].numel() ** 0.5, "linf": 1.0, "l1": float(x[0].numel())}
    closest = Closest(x.flatten(1), p)
    high = torch.full((len(x),), widest[norm], dtype=x.dtype, device=x.device)
    low = high / 2**_OCTAVES
    for i in range(bisections + 1):
        radius = (low * high).sqrt() if i else high
        points = attack(model, x, y, radius=radius, **arguments)
        with torch.no_grad():
            reached = model(points).argmax(dim=1) != y
        closest.offer(points.flatten(1), reached)
        high = torch.minimum(torch.where(reached, radius, high), closest.distance)
        low = torch.where(reached, torch.minimum(low, high / 2), radius if i else low)
    return closest.points.reshape(x.shape)


class Passes:
    """Counts the images that go forward and backward through a module while it is entered."""

    def __init__(self, module: nn.Module) -> None:
        self.module, self.forward, self.backward = module, 0, 0

    def __enter__(self) -> "Passes":
        self._handle = self.module.register_forward_hook(self._seen)
        return self

    def __exit__(self, *_: object) -> None:
        self._handle.remove()

    def _seen(self, _module: nn.Module, _inputs: object, logits: torch.Tensor) -> None:
        n = len(logits)
        self.forward += n
        if logits.requires_grad:
            logits.register_hook(lambda _: self._back(n))  # type: ignore[no-untyped-call]

    def _back(self, n: int) -> None:
        self.backward += n


def stored(
    points: torch.Tensor, images: CorrectImages
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Return points as they are judged: cut to [0, 1], in single precision, by the network itself.

    Parameters
    ----------
    points : Tensor, shape (n, ...)
    images : CorrectImages
        The n images.

    Returns
    -------
    points : ndarray, shape (n, d)
        The image itself where a point is not finite.
    labels : ndarray, shape (n,)
    found : ndarray of bool, shape (n,)
        Whether the label is not the image's.
    """
    if len(points) != len(images.flat) or points[0].numel() != images.flat.shape[1]:
        raise InputError(f"points of shape {tuple(points.shape)} for {len(images.flat)} images")
    given = points.detach().flatten(1).to("cpu", torch.float32)
    finite = torch.isfinite(given).all(dim=1, keepdim=True).numpy()
    flat = np.where(finite, given.clamp(*BOX).numpy(), images.flat.astype(np.float32))
    labels = images.deployed_labels(flat)
    return flat, labels, np.asarray(labels != images.labels)


def distances(
    points: npt.NDArray[np.float32],
    found: npt.NDArray[np.bool_],
    images: CorrectImages,
    norm: str,
) -> FloatArray:
    """Return the distances of stored points, shape (n,): infinite where none was found."""
    change = points.astype(np.float64) - images.flat
    return np.where(found, np.linalg.norm(change, ord=NORMS[norm], axis=1), np.inf)
