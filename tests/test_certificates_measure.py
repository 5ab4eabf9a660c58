"""Certificates of real images by method: below the truth, best of all, timed, smoothing apart."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from empirics.config import load_preset
from empirics.data import load
from empirics.measures.certificates import BOXES, METHODS, Certificates
from empirics.plugins import Context, Outcome, Subject
from empirics.run import run
from empirics.seeds import torch_stream
from empirics.store import preset_records
from empirics.train import initialise
from theory.arrays import FloatArray
from theory.errors import InputError
from theory.evidence import Radii

CONTEXT = Context(torch.device("cpu"), 0, "test", ("test",))
DATA = load("digits")
PLAIN = ("product", "interval")
NORMS = {"l2": 2.0, "linf": np.inf}


class Squares(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * x


def trained(*layers: nn.Module) -> Subject:
    net = nn.Sequential(nn.Flatten(), *layers)
    initialise(net, torch_stream(0, "weights"))
    images, labels = torch.from_numpy(DATA.train_images), torch.from_numpy(DATA.train_labels)
    optimiser = torch.optim.Adam(net.parameters(), 0.01)
    for _ in range(150):
        optimiser.zero_grad()
        nn.functional.cross_entropy(net(images), labels).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return Subject(
        data=DATA,
        generator=nn.Sequential(nn.Identity()),
        latent_dimension=64,
        image_shape=DATA.image_shape,
        classifier=net.eval().requires_grad_(False),
        n_classes=10,
    )


@pytest.fixture(scope="module")
def perceptron() -> Subject:
    return trained(nn.Linear(64, 8), nn.ReLU(), nn.Linear(8, 10))


@pytest.fixture(scope="module")
def compared(perceptron: Subject) -> Outcome:
    settings = Certificates(images=3, effort="quick", exact_seconds=60, samples=500)
    return settings.measure(perceptron, CONTEXT)


def lines(outcome: Outcome, norm: str, box: str) -> dict[str, dict[str, Any]]:
    found = outcome.facts[f"certificates[{norm}]"]
    return {line["method"]: line for line in found if line["box"] == box}


def array(outcome: Outcome, *names: str) -> FloatArray:
    return np.asarray(outcome.arrays[".".join(names)])


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("box", BOXES)
def test_no_certificate_is_above_the_exact_distance(compared: Outcome, norm: str, box: str) -> None:
    true, attacked = (array(compared, norm, box, name) for name in ("exact.upper", "attacked"))
    assert lines(compared, norm, box)["exact"]["proved"] == 3
    np.testing.assert_allclose(array(compared, norm, box, "exact"), true, rtol=2e-5)
    assert (true <= attacked).all()
    assert (attacked <= 1.05 * true).all()
    best = array(compared, norm, box, "best")
    for method in METHODS:
        radii = array(compared, norm, box, method)
        assert (radii > 0).all()
        assert (radii <= true).all()
        assert (radii <= best * (1 + 3e-3)).all()


@pytest.mark.parametrize("norm", NORMS)
def test_a_box_can_only_enlarge_radii(compared: Outcome, norm: str) -> None:
    for method in ("exact.upper", "linear", "interval"):
        inside, free = (array(compared, norm, box, method) for box in ("pixels", "none"))
        assert (inside >= free * (1 - 2e-3)).all()
    assert (array(compared, norm, "pixels", "exact") > array(compared, norm, "none", "exact")).any()


@pytest.mark.parametrize("norm", NORMS)
def test_evidence_is_of_pixels_and_has_the_best_ends(compared: Outcome, norm: str) -> None:
    found = compared.evidence[f"distance[{norm}]"]
    assert isinstance(found, Radii)
    np.testing.assert_allclose(found.lower, found.upper, rtol=2e-5)
    for method in METHODS:
        assert (found.lower >= array(compared, norm, "pixels", method)).all()


@pytest.mark.parametrize("norm", NORMS)
def test_facts_by_brute_force(compared: Outcome, norm: str) -> None:
    for box in BOXES:
        found, attacked = lines(compared, norm, box), array(compared, norm, box, "attacked")
        assert list(found) == ["attacked", *METHODS, "exact"]
        single = {m: array(compared, norm, box, m) for m in METHODS if m != "best"}
        most = np.max(list(single.values()), axis=0)
        for method, radii in single.items():
            ratio = radii / attacked
            assert found[method]["median"] == pytest.approx(np.median(ratio))
            assert found[method]["q75"] == pytest.approx(np.quantile(ratio, 0.75))
            assert found[method]["best"] >= int((radii == most).sum())
            assert found[method]["seconds_per_image"] is None
        assert sum(found[m]["best"] for m in single) >= 3
        assert found["best"]["best"] is None


def test_smoothing_is_of_another_classifier(compared: Outcome) -> None:
    (line,) = compared.facts["smoothing"]
    radii, labels = array(compared, "smoothed.0.25.radius"), array(compared, "smoothed.0.25.label")
    kept = labels == compared.arrays["label"]
    # All of 500 samples: 1 - p at least 1 - 0.001 ** (1 / 500), so at most 2.21 sigma.
    assert (radii[kept] > 0).all()
    assert (radii <= 0.25 * 2.21).all()
    assert (radii[~kept] == 0).all()
    assert line["abstained"] + line["other_label"] == int((~kept).sum())
    assert line["median"] == np.sort(radii)[1]


def test_a_linear_classifier_has_its_closed_form() -> None:
    subject = trained(nn.Linear(64, 10))
    settings = Certificates(images=10, boxes=("none",), effort="quick", exact_seconds=0, sigmas=())
    outcome = settings.measure(subject, CONTEXT)
    assert subject.classifier is not None
    linear = subject.classifier[1]
    assert isinstance(linear, nn.Linear)
    weight, bias = (parameter.double().numpy() for parameter in (linear.weight, linear.bias))
    images = DATA.test_images[outcome.arrays["index"]].reshape(10, -1).astype(np.float64)
    logits, labels = images @ weight.T + bias, outcome.arrays["label"]
    for norm, dual in (("l2", 2), ("linf", 1)):
        true = np.array(
            [
                min(
                    (each[label] - each[t]) / np.linalg.norm(weight[label] - weight[t], ord=dual)
                    for t in set(range(10)) - {int(label)}
                )
                for each, label in zip(logits, labels, strict=True)
            ]
        )
        methods = [m for m in METHODS if m != "semidefinite"]
        assert list(lines(outcome, norm, "none")) == ["attacked", *methods]
        for method in methods:
            radii = array(outcome, norm, "none", method)
            assert (radii <= true).all()
            assert (radii >= 0.998 * true).all()
        assert (array(outcome, norm, "none", "attacked") <= 1.005 * true).all()
    assert outcome.evidence == {}
    assert outcome.facts["smoothing"] == []


def test_what_is_asked_for_alone_is_measured(perceptron: Subject) -> None:
    settings = Certificates(
        images=2,
        norms=("l2",),
        boxes=("pixels",),
        methods=("semidefinite", "product", "local"),
        semidefinite_units=7,
        exact_units=7,
        effort="quick",
        sigmas=(),
        timed=True,
    )
    outcome = settings.measure(perceptron, CONTEXT)
    assert set(outcome.facts) == {"n", "test_error", "n_units", "certificates[l2]", "smoothing"}
    assert outcome.facts["n_units"] == 8
    found = lines(outcome, "l2", "pixels")
    assert list(found) == ["attacked", "product", "local"]
    assert all(line["seconds_per_image"] >= 0 for line in found.values())
    assert found["attacked"]["seconds_per_image"] > 0


def test_the_same_seed_gives_the_same_bytes(perceptron: Subject) -> None:
    settings = Certificates(
        images=2, methods=PLAIN, effort="quick", exact_seconds=0, samples=100, norms=("l2",)
    )

    def digest(context: Context) -> str:
        outcome = settings.measure(perceptron, context)
        content = hashlib.sha256(json.dumps(dict(outcome.facts)).encode())
        for name in sorted(outcome.arrays):
            content.update(outcome.arrays[name].tobytes())
        return content.hexdigest()

    state = torch.random.get_rng_state()
    first = digest(CONTEXT)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert first == digest(CONTEXT)


def test_a_certificate_above_the_attack_is_an_error(
    perceptron: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(self: object, points: FloatArray, **settings: object) -> FloatArray:
        return np.full(len(points), 1e3)

    monkeypatch.setattr("empirics.measures.certificates.MarginCertifier.radii", wrong)
    settings = Certificates(images=2, methods=PLAIN, effort="quick", sigmas=())
    with pytest.raises(ValueError, match="not intervals"):
        settings.measure(perceptron, CONTEXT)


def test_a_network_without_a_trace_is_named() -> None:
    subject = trained(Squares(), nn.Linear(64, 10))
    with pytest.raises(InputError, match=r"certificates: .*Squares"):
        Certificates(images=2).measure(subject, CONTEXT)
    with pytest.raises(InputError, match="data set"):
        Certificates(images=2).measure(replace(subject, data=None), CONTEXT)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"norms": ("l3",)}, "unknown norm 'l3'; known: l2, linf"),
        ({"boxes": ("pixel",)}, "unknown box 'pixel'; did you mean 'pixels'"),
        ({"methods": ("linaer",)}, "unknown method 'linaer'; did you mean 'linear'"),
        ({"methods": ()}, "methods is empty; known: product, "),
        ({"effort": "quik"}, "unknown effort 'quik'; did you mean 'quick'"),
    ],
)
def test_unknown_settings_are_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Certificates(**settings)


def test_it_runs_from_a_preset(tmp_path: Path) -> None:
    (tmp_path / "real.toml").write_text(
        'description = "real"\ndata = "digits"\n'
        '[[image_classifier]]\nname = "mlp"\nhidden = [6]\nsteps = 200\n'
        '[measure.certificates]\nimages = 2\neffort = "quick"\nmethods = ["product", "linear"]\n'
        "samples = 50\nexact_seconds = 0\n"
    )
    preset = load_preset(str(tmp_path / "real.toml"))
    assert run(preset, tmp_path / "build", torch.device("cpu")).failed == ()
    records, _ = preset_records("real", tmp_path / "build")
    (record,) = (r for r in records if r.request.plugin == "certificates")
    assert record.arrays["linf.none.linear"].shape == (2,)
    found = record.evidence["distance[linf]"]
    assert isinstance(found, Radii)
    assert (found.lower <= found.upper).all()
