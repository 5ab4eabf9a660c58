"""Networks that give probabilities or their logarithms: the logits behind them."""

import copy
from collections.abc import Mapping

import torch
from torch import fx, nn

from empirics.given.probing import Program, logits_of, same
from empirics.operators.tracing import graph_of, operator_name
from theory.errors import InputError

_ROUNDING = 1e-3
_LAST: Mapping[str, tuple[str, ...]] = {
    "probabilities": ("softmax",),
    "log probabilities": ("log_softmax",),
}


class Logarithm(nn.Module):
    """Probabilities to their logarithms: logits of the same law, but for what has rounded to 0."""

    def forward(self, probabilities: torch.Tensor) -> torch.Tensor:
        """Return the logarithms, (n, K)."""
        tiny = torch.finfo(probabilities.dtype).tiny
        return torch.log(torch.clamp(probabilities, min=tiny))


def normalisation(outputs: torch.Tensor) -> str | None:
    """Return "probabilities" or "log probabilities" where every row of outputs is such.

    Parameters
    ----------
    outputs : Tensor, shape (n, K)

    Examples
    --------
    >>> logits = torch.tensor([[1.0, 2.0], [0.5, -3.0]])
    >>> normalisation(logits.softmax(1)), normalisation(logits.log_softmax(1))
    ('probabilities', 'log probabilities')
    """
    if outputs.shape[1] < 2:
        return None
    for name, rows in (("probabilities", outputs), ("log probabilities", outputs.double().exp())):
        if bool((rows >= 0).all()) and bool(((rows.sum(dim=1) - 1).abs() < _ROUNDING).all()):
            return name
    return None


def without_normalisation(module: nn.Module, images: torch.Tensor, notes: list[str]) -> nn.Module:
    """Return a network without the softmax at its end, and note what was done.

    Logits differ from the logarithms of their softmax by one constant for each image: labels and
    all differences of logits stay as they were.

    Parameters
    ----------
    module : nn.Module
        Images to outputs (n, K).
    images : Tensor
        On which its outputs are looked at.
    notes : list of str
        Grows by what was done, in words.
    """
    outputs = logits_of(module, images)
    kind = normalisation(outputs)
    if kind is None:
        return module
    bare = _last_taken_off(module, _LAST[kind])
    if bare is not None:
        again = logits_of(bare, images)
        back = again.softmax(1) if kind == "probabilities" else again.log_softmax(1)
        if same(outputs, back):
            notes.append(f"it gives {kind}: the softmax at its end was taken off")
            return bare
    if kind == "probabilities":
        notes.append("it gives probabilities: their logarithms are taken as logits")
        return nn.Sequential(module, Logarithm())
    notes.append("it gives log probabilities: they are taken as logits")
    return module


def _last_taken_off(module: nn.Module, names: tuple[str, ...]) -> nn.Module | None:
    """Return a copy of a network without its last operator, if that is one of these."""
    if isinstance(module, nn.Sequential) and len(module):
        last = module[-1]
        if isinstance(last, nn.Softmax | nn.LogSoftmax):
            return nn.Sequential(*list(module)[:-1])
        inner = _last_taken_off(last, names)
        return None if inner is None else nn.Sequential(*list(module)[:-1], inner)
    twin = copy.deepcopy(module)
    try:
        graph = graph_of(twin)
    except InputError:
        return None
    (end,) = (node for node in graph.nodes if node.op == "output")
    last_node = end.args[0]
    if not isinstance(last_node, fx.Node) or len(last_node.users) != 1:
        return None
    if last_node.op == "call_module":
        path = str(last_node.target)
        last_kind = type(twin.get_submodule(path))
        if {nn.Softmax: "softmax", nn.LogSoftmax: "log_softmax"}.get(last_kind) not in names:
            return None
        twin.set_submodule(path, nn.Identity())
        return twin
    if operator_name(last_node) not in names or not isinstance(last_node.args[0], fx.Node):
        return None
    end.args = (last_node.args[0],)
    graph.erase_node(last_node)
    try:
        return Program(fx.GraphModule(twin, graph))
    except TypeError:  # a layer has a name that fx keeps for itself
        return None
