"""The state of a training in progress, on disk: a killed one goes on to the same weights."""

import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import nn

from empirics.store import write_safely
from theory.command import log

_EVERY = 60.0
"""Seconds between two snapshots: shorter trainings never write one."""


class Snapshot:
    """Weights, states of the optimisers and of the random streams, and what was noted so far.

    Parameters
    ----------
    path : Path or None
        A safetensors file; None keeps nothing.
    modules : mapping from str to nn.Module
    optimisers : mapping from str to Optimizer
        Each with one group of parameters.
    streams : mapping from str to torch.Generator
    notes : mapping from str to ndarray
        Losses and the like, filled as the training goes on.
    schedules : mapping from str to LRScheduler, optional
        Of the optimisers.
    every : float
        Seconds between two snapshots.
    """

    def __init__(
        self,
        path: Path | None,
        *,
        modules: Mapping[str, nn.Module],
        optimisers: Mapping[str, torch.optim.Optimizer],
        streams: Mapping[str, torch.Generator],
        notes: Mapping[str, np.ndarray],
        schedules: Mapping[str, torch.optim.lr_scheduler.LRScheduler] | None = None,
        every: float = _EVERY,
    ) -> None:
        self.path, self.every = path, every
        self.modules, self.optimisers, self.streams = modules, optimisers, streams
        self.notes, self.schedules = notes, schedules or {}
        self._last = time.monotonic()

    def resume(self) -> int:
        """Restore what was kept, and return how many steps it had taken; 0 if nothing was."""
        if self.path is None or not self.path.exists():
            return 0
        try:
            state = load(self.path.read_bytes())
            step = int(state["step"])
            self._restore(state)
            for name, array in self.notes.items():
                array[...] = state[f"note.{name}"].numpy()
        except (SafetensorError, KeyError, ValueError, RuntimeError, OSError) as error:
            log(f"{self.path}: not the state of this training, which starts again: {error}")
            self.path.unlink(missing_ok=True)
            return 0
        return step

    def keep(self, step: int) -> None:
        """Write the state after `step` steps, if it is time to."""
        if self.path is not None and time.monotonic() - self._last >= self.every:
            self.write(step)
            self._last = time.monotonic()

    def write(self, step: int) -> None:
        """Write the state after `step` steps, if all weights are finite."""
        if self.path is None:
            return
        state = self._state()
        if all(torch.isfinite(tensor).all() for tensor in state.values()):
            state["step"] = torch.tensor(step)
            for name, array in self.notes.items():
                state[f"note.{name}"] = torch.from_numpy(array.copy())
            write_safely(self.path, save(state))

    def _state(self) -> dict[str, torch.Tensor]:
        state = {}
        for name, module in self.modules.items():
            for key, tensor in module.state_dict().items():
                state[f"module.{name}.{key}"] = tensor
        for name, optimiser in self.optimisers.items():
            parts = optimiser.state_dict()
            for index, moments in parts["state"].items():
                for key, tensor in moments.items():
                    state[f"optimiser.{name}.{index}.{key}"] = tensor
            rate = parts["param_groups"][0]["lr"]
            state[f"rate.{name}"] = torch.tensor(rate, dtype=torch.float64)
        for name, stream in self.streams.items():
            state[f"stream.{name}"] = stream.get_state()
        return {name: t.detach().cpu().contiguous().clone() for name, t in state.items()}

    def _restore(self, state: Mapping[str, torch.Tensor]) -> None:
        for name, module in self.modules.items():
            head = f"module.{name}."
            module.load_state_dict(
                {k.removeprefix(head): t for k, t in state.items() if k.startswith(head)}
            )
        for name, optimiser in self.optimisers.items():
            parts = optimiser.state_dict()
            moments: dict[int, dict[str, torch.Tensor]] = {}
            for key, tensor in state.items():
                kind, _, rest = key.partition(".")
                owner, _, rest = rest.partition(".")
                if kind == "optimiser" and owner == name:
                    index, _, part = rest.partition(".")
                    moments.setdefault(int(index), {})[part] = tensor
            parts["state"] = moments
            parts["param_groups"][0]["lr"] = float(state[f"rate.{name}"])
            optimiser.load_state_dict(parts)
        for name, schedule in self.schedules.items():
            schedule.load_state_dict({"last_epoch": int(state["step"])})
            schedule._last_lr = [float(state[f"rate.{name}"])]
        for name, stream in self.streams.items():
            stream.set_state(state[f"stream.{name}"])
