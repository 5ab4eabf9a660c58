"""Shared by all tests: the skip of tests whose data are not there, and small presets."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

# Test processes run side by side: more threads than cores would only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from empirics.data import locate
from theory.errors import InputError

settings.register_profile("advbounds", deadline=None, derandomize=True)
settings.load_profile("advbounds")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for mark in item.iter_markers("data"):
            try:
                locate(mark.args[0])
            except InputError as error:
                item.add_marker(pytest.mark.skip(reason=f"{mark.args[0]}: {error}"))


TINY = """
description = "As small as it gets"
data = "digits"
seed = 5

[teacher]
name = "linear"
steps = 60

[[generator]]
name = "ppca"
latent_dimension = 6

[[generator]]
name = "vae"
latent_dimension = 4
hidden = [16]
steps = 40

[[classifier]]
name = "linear"
steps = 40

[[classifier]]
name = "mlp"
width = 12
steps = 40

[[family]]
name = "half_space"
latent_dimension = 3
offset = 0.5

[measure.modulus]
n = 20
steps = 10
distances = [0.5, 2.0]
norm_samples = 100

[measure.accuracy]
n = 200

[measure.class_masses]
n = 500

[measure.radii]
n = 60
restarts = 3
steps = 40
polish_steps = 10
shown = 3
"""


@pytest.fixture
def tiny_preset(tmp_path: Path) -> Path:
    """A preset file that runs in about a second."""
    path = tmp_path / "tiny.toml"
    path.write_text(TINY)
    return path
