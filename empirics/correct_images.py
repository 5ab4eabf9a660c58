"""The test images that a classifier gets right, and its labels in its own precision."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from empirics.measures.accuracy import predict
from empirics.plugins import Subject
from theory.arrays import FloatArray
from theory.errors import InputError


@dataclass(frozen=True, eq=False)
class CorrectImages:
    """Images that a network classifies correctly, as rows of pixels.

    Attributes
    ----------
    flat : ndarray, shape (n, pixels)
    index, labels : ndarray, shape (n,)
        Where in the test set, and what they show.
    test_error : float
        Error rate of the network on the whole test set.
    """

    flat: FloatArray
    index: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]
    test_error: float
    module: nn.Module
    shape: tuple[int, ...]
    device: torch.device

    def deployed_labels(self, points: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
        """Return the network's labels of flat points, in the precision and place it runs in."""
        batch = torch.from_numpy(points.reshape(-1, *self.shape)).to(self.device)
        labels: npt.NDArray[np.int64] = predict(self.module, batch).cpu().numpy()
        return labels


def correct_images(subject: Subject, most: int) -> CorrectImages:
    """Return the first test images that a subject's classifier gets right, at most as many.

    Raises
    ------
    InputError
        If there is no data set, or no image is classified correctly.
    """
    data, module = subject.data, subject.classifier
    if data is None or module is None:
        raise InputError("test images need a data set and a classifier")
    device = next((p.device for p in module.parameters()), torch.device("cpu"))
    images = torch.from_numpy(data.test_images)
    predicted = predict(module, images.to(device)).cpu().numpy()
    right = predicted == data.test_labels
    index = np.flatnonzero(right)[:most].astype(np.int64)
    if not index.size:
        raise InputError("the classifier gets no test image right")
    return CorrectImages(
        flat=data.test_images[index].reshape(len(index), -1).astype(np.float64),
        index=index,
        labels=data.test_labels[index],
        test_error=float(1 - right.mean()),
        module=module,
        shape=subject.image_shape,
        device=device,
    )


def active_pixels(subject: Subject, least: float = 0.05) -> npt.NDArray[np.int64]:
    """Return the pixels whose standard deviation over the training images exceeds a limit."""
    assert subject.data is not None
    train = subject.data.train_images
    spread = train.reshape(len(train), -1).std(axis=0, dtype=np.float64)
    return np.flatnonzero(spread > least).astype(np.int64)
