"""Several processes train the network that one would, but for rounding."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import distributed, nn

import empirics.train
from empirics.config import load_preset
from empirics.distributed import main
from empirics.plan import plan
from empirics.processes import Processes
from empirics.run import run
from empirics.snapshot import Snapshot
from empirics.store import Store
from empirics.workshop import Workshop
from theory.errors import InputError

CPU = torch.device("cpu")
KEPT_AT = 4
"""Step after which the training that goes on was killed."""
PRESET = """
description = "One network of each kind"
data = "digits"

[teacher]
name = "linear"
steps = 6

[[generator]]
name = "ppca"
latent_dimension = 3

[[classifier]]
name = "mlp"
width = 8
steps = 6

[[image_classifier]]
name = "mlp"
label = "resumed"
width = 8
steps = 8
batch = 32

[[image_classifier]]
name = "linear"
label = "adversarial"
steps = 3
adversarial_radius = 0.5
adversarial_steps = 2
trades = 1.0

[[image_classifier]]
name = "linear"
label = "unequal"
steps = 3
batch = 33

[measure.accuracy]
n = 50
"""


class Killed(Exception):
    """Stands for a signal."""


def test_one_process_is_the_whole_group() -> None:
    images, module, alone = torch.ones(5, 2), nn.Linear(2, 2), Processes()
    alone.check(5)
    assert alone.share(images) is images
    assert alone.joined(module, CPU) is module
    assert alone.mean(images) is images
    assert alone.tell(b"word", CPU) == b"word"


def test_shares_are_equal_and_together_the_batch() -> None:
    rows = torch.arange(6)
    shares = [Processes(rank, 3).share(rows) for rank in range(3)]
    assert torch.equal(torch.cat(shares), rows)
    assert {len(share) for share in shares} == {2}
    with pytest.raises(InputError, match="a batch of 7 has no equal shares for 3 processes"):
        Processes(0, 3).check(7)
    with pytest.raises(InputError, match="needs CUDA"):
        Processes(0, 2).joined(nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1)), CPU)


def test_without_torchrun_it_says_how(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("RANK", raising=False)
    assert main(["smoke", "--build", str(tmp_path), "--device", "cpu"]) == 2
    assert "start it by `torchrun" in capsys.readouterr().err


def kill_one(preset: Path, build: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the state of a training that was killed, with a mark in its losses."""

    def at_once(path: Path | None, **given: object) -> Snapshot:
        return Snapshot(path, every=0.0, **given)  # type: ignore[arg-type]

    keep = Snapshot.keep

    def stop(self: Snapshot, step: int) -> None:
        if step == KEPT_AT:
            self.notes["losses"][:step] = 7.0
            keep(self, step)
            raise Killed
        keep(self, step)

    workshop = Workshop(load_preset(str(preset)), Store(build), CPU)
    cell = next(c for c in plan(workshop.preset) if c.request.title.endswith("· resumed"))
    with monkeypatch.context() as patched:
        patched.setattr(empirics.train, "Snapshot", at_once)
        patched.setattr(Snapshot, "keep", stop)
        with pytest.raises(Killed):
            workshop.carry_out(cell)


@pytest.mark.skipif(not distributed.is_gloo_available(), reason="gloo: not in this torch")
def test_two_processes_find_the_weights_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    preset = tmp_path / "group.toml"
    preset.write_text(PRESET)
    build, alone = tmp_path / "build", tmp_path / "alone"
    kill_one(preset, build, monkeypatch)
    started = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    asked = ["-m", "empirics.distributed", str(preset), "--build", str(build), "--device", "cpu"]
    done = subprocess.run([*started, *asked], capture_output=True, text=True)
    assert "group: 5 trainings done, 0 were there, 1 failed" in done.stderr, done.stderr
    assert "unequal: not trained: a batch of 33 has no equal shares" in done.stderr
    assert run(load_preset(str(preset)), alone, CPU).failed == ()

    group, single = Store(build), Store(alone)
    compared = {}
    for name in single.plan("group") or []:
        record, reference = group.get(name), single.get(name)
        assert reference is not None
        if record is None:
            continue
        title = record.request.title
        compared[title] = record
        one, two = (load_file(store.checkpoint(record.request)) for store in (single, group))
        # The starts of PGD are drawn by each process.
        close = 1e-5 if "adversarial" not in title else 0.05
        for key, weight in one.items():
            np.testing.assert_allclose(two[key], weight, rtol=0, atol=close, err_msg=title)
        if "generator" not in title:
            assert record.provenance["processes"] == 2
            if "resumed" not in title:
                losses = reference.arrays["loss"]
                np.testing.assert_allclose(record.arrays["loss"], losses, rtol=close * 10)
    trained = ["teacher", "generator · ppca", "classifier · ppca · mlp"]
    trained += ["image_classifier · resumed", "image_classifier · adversarial"]
    assert set(compared) == {f"train {title}" for title in trained}
    # It went on where the other was killed, and left nothing behind.
    resumed = compared["train image_classifier · resumed"].arrays["loss"]
    assert (resumed[:KEPT_AT] == 7).all()
    assert (resumed[KEPT_AT:] < 7).all()
    assert not list(build.glob("checkpoints/*.training"))
