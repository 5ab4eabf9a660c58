"""Every attack on the same images."""

import numpy as np
import pytest

from empirics.attacks import ATTACKS
from empirics.instruments import NORMS
from empirics.measures.gallery import Gallery
from empirics.plugins import Outcome, Subject
from tests.test_strength import CONTEXT, linear

QUICK = ("deepfool:steps=5", "fgsm", "greedy_l0", "universal", "transfer:by=fgsm", "synthesis")


@pytest.fixture(scope="module")
def subject() -> Subject:
    return linear()


@pytest.fixture(scope="module")
def shown(subject: Subject) -> Outcome:
    with pytest.MonkeyPatch.context() as patch:
        kinds = {"minimal": tuple(("linf" if "_" not in n else "l0", n) for n in QUICK[:1])}
        kinds |= {"budget": tuple(("linf", n) for n in ("fgsm", "universal"))}
        kinds |= {"black box": (("linf", "transfer:by=fgsm"),), "noise": (("l2", "synthesis"),)}
        patch.setattr("empirics.measures.gallery._KINDS", kinds)
        few = {name: ATTACKS[name] for name in ("deepfool", "fgsm", "universal", "joint")}
        patch.setattr("empirics.measures.gallery.ATTACKS", few)
        return Gallery(images=3, crowd=20, radius_linf=0.3).measure(subject, CONTEXT)


def test_one_image_of_each_class(shown: Outcome) -> None:
    labels = shown.arrays["label"]
    assert len(labels) == len(set(labels.tolist())) == shown.facts["n"] == 3
    assert (np.diff(shown.arrays["index"].astype(np.int64)) > 0).all()


def test_sizes_and_labels_are_those_of_the_points(shown: Outcome, subject: Subject) -> None:
    attacks, arrays = shown.facts["attacks"], shown.arrays
    names = [each["name"] for each in attacks]
    assert names == ["deepfool", "fgsm", "universal", "transfer", "synthesis"]
    assert shown.facts["failed"] == []
    assert shown.facts["left_out"] == ["joint"]
    points = arrays["points"].astype(np.float64).reshape(len(names), 3, -1)
    image = arrays["image"].astype(np.float64).reshape(3, -1)
    found = arrays["found"].astype(bool)
    assert found.any(axis=1).sum() >= 4
    assert np.array_equal(found, arrays["labels"] != arrays["label"])
    assert points.min() >= 0
    assert points.max() <= 1
    for norm, p in NORMS.items():
        sizes = np.linalg.norm(points - image, ord=p, axis=2)
        assert np.allclose(arrays[norm][found], sizes[found], rtol=1e-6)
        assert np.isinf(arrays[norm][~found]).all()
    for i, each in enumerate(attacks):
        if each["budget"] is not None:
            assert each["budget"] == 0.3
            assert np.abs(points[i] - image).max() <= 0.3 + 1e-6


def test_every_attack_is_planned() -> None:
    from empirics.measures.gallery import _SEVERAL, _plans

    planned = [each.name for _, _, each in _plans()]
    assert len(planned) == len(set(planned))
    own = {name for name in ATTACKS if "-" not in name}
    assert own - set(planned) == {name for name in _SEVERAL if name in own}
