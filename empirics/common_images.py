"""The test images that all of several classifiers get right."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from empirics.correct_images import CorrectImages
from empirics.measures.accuracy import predict
from empirics.plugins import Subject
from theory.arrays import FloatArray
from theory.errors import InputError


@dataclass(frozen=True, eq=False)
class CommonImages:
    """Images that every classifier of a subject classifies correctly.

    Attributes
    ----------
    flat : ndarray, shape (n, pixels)
    index, labels : ndarray, shape (n,)
        Where in the test set, and what they show.
    n_drawn : int
        Test images that were looked at: up to the last of these, or all.
    test_errors : mapping from str to float
        Error rate of each classifier on the whole test set, by label.
    shape : tuple of int
    device : torch.device
    """

    flat: FloatArray
    index: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]
    n_drawn: int
    test_errors: Mapping[str, float]
    shape: tuple[int, ...]
    device: torch.device

    def of(self, label: str, module: nn.Module) -> CorrectImages:
        """Return them as the images of one of the classifiers."""
        return CorrectImages(
            flat=self.flat,
            index=self.index,
            labels=self.labels,
            test_error=self.test_errors[label],
            module=module,
            shape=self.shape,
            device=self.device,
        )

    @property
    def images(self) -> torch.Tensor:
        """The images as they are classified, float32, shape (n, *shape), on the device."""
        single = torch.from_numpy(self.flat.astype(np.float32))
        return single.reshape(-1, *self.shape).to(self.device)

    @property
    def targets(self) -> torch.Tensor:
        """The labels on the device, shape (n,)."""
        return torch.from_numpy(self.labels).to(self.device)


def common_images(subject: Subject, most: int) -> CommonImages:
    """Return the first test images that all of a subject's classifiers get right, at most as many.

    Raises
    ------
    InputError
        If there is no data set, there are fewer than two classifiers, or no image is classified
        correctly by all.
    """
    data, modules = subject.data, subject.classifiers
    if data is None or len(modules) < 2:
        raise InputError(
            f"{len(modules)} classifiers; expected a data set and two or more classifiers"
        )
    weights = next(iter(modules.values())).parameters()
    device = next((p.device for p in weights), torch.device("cpu"))
    images = torch.from_numpy(data.test_images).to(device)
    right = {
        label: predict(module, images).cpu().numpy() == data.test_labels
        for label, module in modules.items()
    }
    index = np.flatnonzero(np.stack(list(right.values())).all(axis=0))[:most].astype(np.int64)
    if not index.size:
        raise InputError("no test image is classified correctly by all classifiers")
    return CommonImages(
        flat=data.test_images[index].reshape(len(index), -1).astype(np.float64),
        index=index,
        labels=data.test_labels[index],
        n_drawn=int(index[-1]) + 1 if len(index) == most else len(data.test_labels),
        test_errors={label: float(1 - found.mean()) for label, found in right.items()},
        shape=subject.image_shape,
        device=device,
    )
