"""Attacks of other libraries under names such as "foolbox-ddn", through thin adapters.

`register` adds those of each library that is installed to `ATTACKS`; a library that is not there,
or cannot be imported, is named on stderr and left out. The adapters give an attack the model, the
images and its settings, and take what it returns: nothing is repaired.
"""

import functools
import importlib
import sys
import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any

import torch
from torch import nn

from empirics.attacks import ATTACKS, attack

BOX = (0.0, 1.0)
_L0, _L1, _L2, _LINF = 0.0, 1.0, 2.0, float("inf")
Setting = bool | int | float | str
Adapter = Callable[..., torch.Tensor]


def _module(name: str) -> ModuleType | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return importlib.import_module(name)
        except (ImportError, RuntimeError, AttributeError) as error:
            reason = (str(error).splitlines() or [""])[0]
            sys.stderr.write(f"{name} is left out: {type(error).__name__}: {reason}\n")
            return None


def _chosen(classes: dict[float, str], p: float, name: str) -> str:
    if p not in classes:
        raise ValueError(f"{name} has no attack for p = {p:g}")
    return classes[p]


def _foolbox(library: ModuleType, classes: dict[float, str]) -> Adapter:
    def run(
        model: nn.Module,
        x: torch.Tensor,
        y: torch.Tensor,
        *,
        p: float,
        **settings: Setting,
    ) -> torch.Tensor:
        made = getattr(library.attacks, _chosen(classes, p, "foolbox"))(**settings)
        under_attack = library.PyTorchModel(model, bounds=BOX, device=x.device)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            points: torch.Tensor = made(under_attack, x, y, epsilons=None)[1]
        return points

    return run


def _torchattacks(library: ModuleType, name: str) -> Adapter:
    def run(
        model: nn.Module, x: torch.Tensor, y: torch.Tensor, **settings: Setting
    ) -> torch.Tensor:
        points: torch.Tensor = getattr(library, name)(model, **settings)(x, y)
        return points

    return run


def _advlib(function: Adapter, norms: dict[float, Setting] | None = None) -> Adapter:
    def run(
        model: nn.Module,
        x: torch.Tensor,
        y: torch.Tensor,
        *,
        p: float,
        **settings: Setting,
    ) -> torch.Tensor:
        if norms is not None:
            if p not in norms:
                raise ValueError(f"adv-lib has no attack for p = {p:g}")
            settings = {**settings, "norm": norms[p]}
        return function(model, x, y, **settings)

    return run


def _cleverhans(function: Adapter) -> Adapter:
    def run(
        model: nn.Module, x: torch.Tensor, y: torch.Tensor, **settings: Setting
    ) -> torch.Tensor:
        with torch.no_grad():
            n_classes = model(x[:1]).shape[1]
        return function(model, x, n_classes, y=y, **settings)

    return run


def _art(library: ModuleType, name: str) -> Adapter:
    def run(
        model: nn.Module, x: torch.Tensor, y: torch.Tensor, **settings: Setting
    ) -> torch.Tensor:
        estimators = importlib.import_module("art.estimators.classification")
        with torch.no_grad():
            n_classes = model(x[:1]).shape[1]
        classifier = estimators.PyTorchClassifier(
            model=model,
            loss=nn.CrossEntropyLoss(),
            input_shape=tuple(x.shape[1:]),
            nb_classes=n_classes,
            clip_values=BOX,
            device_type="gpu" if x.device.type == "cuda" else "cpu",
        )
        made = getattr(library, name)(classifier, verbose=False, batch_size=len(x), **settings)
        points = made.generate(x.cpu().numpy())
        return torch.from_numpy(points).to(x.device)

    return run


def _of_foolbox() -> dict[str, Adapter]:
    library = _module("foolbox")
    if library is None:
        return {}
    classes = {
        "ddn": {_L2: "DDNAttack"},
        "fmn": {
            _L0: "L0FMNAttack",
            _L1: "L1FMNAttack",
            _L2: "L2FMNAttack",
            _LINF: "LInfFMNAttack",
        },
        "deepfool": {_L2: "L2DeepFoolAttack", _LINF: "LinfDeepFoolAttack"},
        "cw": {_L2: "L2CarliniWagnerAttack"},
        "ead": {_L1: "EADAttack"},
        "brendel_bethge": {
            _L0: "L0BrendelBethgeAttack",
            _L1: "L1BrendelBethgeAttack",
            _L2: "L2BrendelBethgeAttack",
            _LINF: "LinfinityBrendelBethgeAttack",
        },
    }
    return {name: _foolbox(library, known) for name, known in classes.items()}


def _of_torchattacks() -> dict[str, Adapter]:
    library = _module("torchattacks")
    if library is None:
        return {}
    names = {"cw": "CW", "deepfool": "DeepFool", "jsma": "JSMA", "sparsefool": "SparseFool"}
    names |= {"fab": "FAB", "pixle": "Pixle"}
    return {name: _torchattacks(library, known) for name, known in names.items()}


def _of_advlib() -> dict[str, Adapter]:
    library = _module("adv_lib.attacks")
    if library is None:
        return {}
    every: dict[float, Setting] = {_L0: 0, _L1: 1, _L2: 2, _LINF: _LINF}
    return {
        "alma": _advlib(functools.partial(library.alma, distance="l2")),
        "ddn": _advlib(library.ddn),
        "deepfool": _advlib(library.df, {_L2: 2, _LINF: _LINF}),
        "fmn": _advlib(library.fmn, every),
        "pdgd": _advlib(library.pdgd),
        "pdpgd": _advlib(library.pdpgd, every),
        "sigma_zero": _advlib(library.sigma_zero),
        "superdeepfool": _advlib(library.sdf),
        "vfga": _advlib(functools.partial(library.vfga, targeted=False)),
    }


def _of_cleverhans() -> dict[str, Adapter]:
    library = _module("cleverhans.torch.attacks.carlini_wagner_l2")
    return {} if library is None else {"cw": _cleverhans(library.carlini_wagner_l2)}


def _of_art() -> dict[str, Adapter]:
    library = _module("art.attacks.evasion")
    if library is None:
        return {}
    names = {"deepfool": "DeepFool", "cw": "CarliniL2Method", "cw_linf": "CarliniLInfMethod"}
    return {name: _art(library, known) for name, known in names.items()}


LIBRARIES: dict[str, Callable[[], dict[str, Any]]] = {
    "foolbox": _of_foolbox,
    "torchattacks": _of_torchattacks,
    "advlib": _of_advlib,
    "cleverhans": _of_cleverhans,
    "art": _of_art,
}


def register() -> list[str]:
    """Add the attacks of all libraries that are there to `ATTACKS`; return their names."""
    adapters = {
        f"{prefix}-{name}": adapter
        for prefix, found in LIBRARIES.items()
        for name, adapter in found().items()
    }
    for name, adapter in adapters.items():
        if name not in ATTACKS:
            attack(name)(adapter)
    return list(adapters)
