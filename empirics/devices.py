"""The device a run uses, and what a record says of the machine."""

import platform
from importlib.metadata import version
from typing import Any

import numpy as np
import torch

from theory.errors import InputError

CHOICES = ("auto", "cpu", "cuda", "mps")


def resolve_device(name: str) -> torch.device:
    """Return the device of this name; "auto" takes the first of cuda, mps and cpu that is there.

    Raises
    ------
    InputError
        If the device is unknown, or asked for and not there.
    """
    there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        return torch.device(next(device for device, found in there.items() if found))
    if name not in there:
        raise InputError(f"unknown device '{name}'; known: {', '.join(CHOICES)}")
    if not there[name]:
        found = ", ".join(device for device, is_there in there.items() if is_there)
        raise InputError(f"device '{name}' is not available here; available: {found}")
    return torch.device(name)


def prepare(device: torch.device) -> None:
    """Make results repeatable and honest: deterministic kernels, no reduced-precision products.

    The rounding bounds of the certificates hold for plain single precision, not for TF32.
    """
    # The same switch as use_deterministic_algorithms(warn_only=True), which also loads torch's
    # compiler: seconds of every run.
    torch.set_deterministic_debug_mode("warn")
    if device.type == "cuda":
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cudnn.benchmark = False


def precise(device: torch.device) -> torch.device:
    """Return the device for double precision: the same one, but the CPU for mps, which has none."""
    return torch.device("cpu") if device.type == "mps" else device


def provenance(device: torch.device) -> dict[str, Any]:
    """Return what a record says of its origin; the same for every run on one machine."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    return {
        "advbounds": version("advbounds"),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "torch": torch.__version__,
        "device": f"{device.type} ({name})",
        "platform": platform.system(),
        "threads": torch.get_num_threads(),
    }
