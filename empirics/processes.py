"""The processes that train one network together, each on its share of every batch."""

from dataclasses import dataclass

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from theory.errors import InputError


@dataclass(frozen=True)
class Processes:
    """Where one process stands among those that train together.

    Every process draws the same batches and takes its own rows; gradients are averaged. With equal
    shares the average is the gradient of the mean loss of the whole batch, so that one process on
    the same batches finds the same weights, but for rounding.

    Attributes
    ----------
    rank, count : int
        0 and 1 for a process that trains alone.
    """

    rank: int = 0
    count: int = 1

    def check(self, batch: int) -> None:
        """Raise InputError unless batches of this size have equal shares."""
        if batch % self.count:
            raise InputError(
                f"a batch of {batch} has no equal shares for {self.count} processes; choose"
                " another number of them"
            )

    def share(self, batch: torch.Tensor) -> torch.Tensor:
        """Return this process's rows of a batch."""
        size = len(batch) // self.count
        return batch[self.rank * size : (self.rank + 1) * size] if self.count > 1 else batch

    def joined(self, module: nn.Module, device: torch.device) -> nn.Module:
        """Return a module whose gradients are averaged over the processes.

        Batch normalisation becomes that of whole batches, in the module itself.

        Raises
        ------
        InputError
            If it would be that of each share: only CUDA has statistics of whole batches.
        """
        if self.count == 1:
            return module
        # BatchNorm1d, 2d and 3d have no other base class in common.
        if any(isinstance(layer, nn.modules.batchnorm._BatchNorm) for layer in module.modules()):
            if device.type != "cuda":
                raise InputError(
                    "batch normalisation over several processes needs CUDA: elsewhere each would"
                    " normalise by its own share; train this network in one process"
                )
            nn.SyncBatchNorm.convert_sync_batchnorm(module)  # type: ignore[no-untyped-call]
        on = [device] if device.type == "cuda" else None
        # The statistics of whole batches are everywhere the same already.
        return DistributedDataParallel(module, device_ids=on, broadcast_buffers=False)

    def mean(self, loss: torch.Tensor) -> torch.Tensor:
        """Return the loss of the whole batch, with the gradient of this process's share.

        Every process sees the same value, and so they all stop where it is not finite.
        """
        if self.count == 1:
            return loss
        total = loss.detach().clone()
        distributed.all_reduce(total)
        return loss - loss.detach() + total / self.count

    def tell(self, content: bytes, device: torch.device) -> bytes:
        """Return what the first process has to say; what the others have is not heard."""
        if self.count == 1:
            return content
        length = torch.tensor([len(content)], device=device)
        distributed.broadcast(length, 0)
        if not length:
            return b""
        told = torch.zeros(int(length), dtype=torch.uint8, device=device)
        if self.rank == 0:
            told = torch.frombuffer(bytearray(content), dtype=torch.uint8).to(device)
        distributed.broadcast(told, 0)
        return bytes(told.cpu().numpy())


def processes() -> Processes:
    """Return the processes that torchrun started, or this one alone."""
    if distributed.is_available() and distributed.is_initialized():
        return Processes(distributed.get_rank(), distributed.get_world_size())
    return Processes()
