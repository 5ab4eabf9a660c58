"""Weights that do not fit are refused with one line; a pickle is never loaded."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from empirics.weights import load_weights, save_weights
from theory.errors import InputError


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 2))


def test_round_trip(tmp_path: Path) -> None:
    first, second = network(), network()
    save_weights(first, tmp_path / "w.safetensors")
    load_weights(second, tmp_path / "w.safetensors")
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)


def spoil(kind: str, path: Path) -> None:
    state = {name: tensor.clone() for name, tensor in network().state_dict().items()}
    match kind:
        case "shape":
            state["0.weight"] = torch.zeros(3, 3)
        case "missing":
            del state["2.bias"]
        case "extra":
            state["4.bias"] = torch.zeros(1)
        case "nan":
            state["2.weight"][0, 1] = torch.nan
        case "infinite":
            state["0.bias"][0] = torch.inf
    if kind == "pickle":
        torch.save(state, path)
    else:
        save_file(state, path)
    if kind == "truncated":
        path.write_bytes(path.read_bytes()[:-10])


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("shape", r"'0.weight' has shape \(3, 3\), the architecture needs \(2, 3\)"),
        ("missing", "'2.bias' is missing from the file"),
        ("extra", "'4.bias' is not in the architecture"),
        ("nan", "'2.weight' has a value that is not finite"),
        ("infinite", "'0.bias' has a value that is not finite"),
        ("pickle", "a pickle, which is never loaded"),
        ("truncated", "not a whole safetensors file"),
    ],
)
def test_weights_that_do_not_fit(kind: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    spoil(kind, path)
    module = network()
    before = [p.clone() for p in module.parameters()]
    with pytest.raises(InputError, match=says) as caught:
        load_weights(module, path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    assert all(torch.equal(a, b) for a, b in zip(before, module.parameters(), strict=True))


def test_a_raw_pickle_is_not_executed(tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    path.write_bytes(b"\x80\x04cos\nsystem\n(S'touch " + str(tmp_path).encode() + b"/hit'\ntR.")
    with pytest.raises(InputError, match="pickle"):
        load_weights(network(), path)
    assert not (tmp_path / "hit").exists()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="weights cannot be read"):
        load_weights(network(), tmp_path / "none.safetensors")
