"""The activation regions of a network in the plane of three test images, as exact polygons."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from empirics.correct_images import correct_images
from empirics.plugins import Context, Outcome, Subject, measure
from empirics.settings import setting
from empirics.trace import relu_network
from theory.errors import InputError
from theory.relu import plane_through, slice_regions

_CANDIDATES = 100


@measure("planar_slice")
@dataclass(frozen=True)
class PlanarSliceOfImages:
    """Regions, labels and decision boundary in the plane of the first images of three classes.

    Attributes
    ----------
    room : float
        What is shown around the three images, as a part of the size of their triangle.
    """

    revision: ClassVar[int] = 1
    roles: ClassVar[tuple[str, ...]] = ("data", "image_classifier")
    needs_data: ClassVar[bool] = True
    room: float = setting(0.4, at_least=0)

    def measure(self, subject: Subject, context: Context) -> Outcome:
        """Return the polygons, the boundary's segments and the three images."""
        assert subject.classifier is not None
        network = relu_network(subject.classifier, subject.image_shape)
        images = correct_images(subject, _CANDIDATES)
        _, first = np.unique(images.labels, return_index=True)
        if len(first) < 3:
            raise InputError(
                f"planar_slice needs correctly classified images of three classes, there are"
                f" {len(first)}"
            )
        chosen = np.sort(first)[:3]
        plane = plane_through(*images.flat[chosen])
        low, high = plane.coordinates.min(axis=0), plane.coordinates.max(axis=0)
        room = self.room * float((high - low).max())
        extent = (low[0] - room, high[0] + room, low[1] - room, high[1] + room)
        found = slice_regions(network, plane.origin, plane.u, plane.v, extent)
        cells = found.label_polygons()
        ends = [segment.ends for segment in found.decision_boundary()]
        return Outcome(
            facts={
                "n_activation_regions": found.n_regions,
                "n_label_polygons": len(cells),
                "image_labels": images.labels[chosen].tolist(),
            },
            arrays={
                # For a picture, and there may be many of them.
                "vertices": np.concatenate([cell.vertices for cell in cells]).astype(np.float32),
                "starts": np.cumsum([0, *(len(cell.vertices) for cell in cells)], dtype=np.int32),
                "labels": np.array([cell.label for cell in cells], dtype=np.int16),
                "boundary": np.array(ends, dtype=np.float32).reshape(-1, 2, 2),
                "corners": plane.coordinates,
                "images": images.flat[chosen].astype(np.float32).reshape(-1, *subject.image_shape),
                "extent": np.array(extent),
            },
        )
