"""Attacks of this package and of others side by side: `advbounds run` with the others registered.

Arguments are those of `advbounds run`: the preset, whose measure "strength" names the attacks, and
its options. Without an argument: a small convolutional net on MNIST, in build/bench. A record that
is there already is not measured again.
"""

import sys
from pathlib import Path

from tests.bench import peers
from theory.command import main as command

PRESET = """\
description = "Attacks side by side on a convolutional net"
data = "mnist"

[[image_classifier]]
name = "conv"
channels = [32, 64]
pooling = "max"
steps = 1000

[measure.strength]
images = 64
l2 = [
  "minimal:budget=quick", "minimal:budget=standard", "minimal:budget=thorough",
  "ddn:steps=100", "alma:steps=100", "fmn:steps=100", "deepfool:steps=50", "boundary:steps=50",
  "cw_l2:steps=200,search_steps=5", "lbfgs:steps=50", "apgd:steps=20",
  "hop_skip_jump:iterations=20",
  "foolbox-ddn:steps=100", "foolbox-fmn:steps=100", "foolbox-deepfool:steps=50",
  "foolbox-cw:steps=200,binary_search_steps=9", "foolbox-brendel_bethge:steps=100",
  "torchattacks-cw:steps=1000", "torchattacks-deepfool:steps=50",
  "advlib-alma:num_steps=100", "advlib-ddn:steps=100", "advlib-deepfool:steps=50",
  "advlib-superdeepfool", "cleverhans-cw:max_iterations=200", "art-deepfool",
]
linf = [
  "minimal:budget=quick", "minimal:budget=standard", "minimal:budget=thorough",
  "fmn:steps=100", "boundary:steps=50", "cw_linf:steps=100,rounds=10", "fgsm", "pgd:steps=20",
  "apgd:steps=20", "hop_skip_jump:iterations=20",
  "foolbox-fmn:steps=100", "foolbox-fmn:steps=1000", "foolbox-deepfool:steps=50",
  "foolbox-brendel_bethge:steps=100", "torchattacks-fab:norm=Linf,eps=1.0,steps=20",
  "advlib-fmn:steps=100",
]
l1 = [
  "minimal:budget=quick", "minimal:budget=standard", "fmn:steps=100", "boundary:steps=50",
  "pgd:steps=20",
  "foolbox-fmn:steps=100", "foolbox-ead:steps=200", "foolbox-brendel_bethge:steps=100",
  "advlib-fmn:steps=100",
]
l0 = [
  "greedy_l0", "greedy_l0:patience=0", "sigma_zero:steps=300",
  "cw_l0:steps=60,step_size=0.1,factor=10.0,last_weight=1000.0", "fmn:steps=100", "jsma",
  "foolbox-fmn:steps=100", "foolbox-brendel_bethge:steps=100", "torchattacks-jsma:gamma=0.145",
  "torchattacks-sparsefool:steps=20", "torchattacks-pixle",
  "advlib-sigma_zero:num_steps=300", "advlib-vfga",
]
"""


def main() -> int:
    """Register the attacks of others and run the preset; return the exit code."""
    registered = peers.register()
    sys.stderr.write(f"{len(registered)} attacks of other libraries\n")
    given = sys.argv[1:]
    if not given:
        build = Path("build/bench")
        build.mkdir(parents=True, exist_ok=True)
        preset = build / "strength.toml"
        preset.write_text(PRESET)
        given = [str(preset), "--build", str(build)]
    return command(["run", *given])


if __name__ == "__main__":
    sys.exit(main())
