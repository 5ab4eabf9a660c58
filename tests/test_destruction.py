"""Destruction rates: measured on digits and counted again, drawn from synthetic records."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

from empirics.attacks import ATTACKS
from empirics.config import load_preset
from empirics.data import load
from empirics.measures.destruction import METHODS, Destruction
from empirics.plugins import Context, Outcome, Subject
from empirics.run import run
from empirics.seeds import torch_stream
from empirics.store import preset_records
from empirics.train import initialise
from figures.destruction import Comparison, Network, Tally, by_method, compared
from figures.printed import printed
from figures.registry import FIGURES, Table
from figures.save import save
from figures.view import NothingToDraw
from tests.drawn_hamming import drawn_from, limits, select, view_of
from tests.synthetic_destruction import EPS, TRANSFORMATIONS, N, destruction_records
from theory.errors import InputError

CONTEXT = Context(torch.device("cpu"), 0, "test", ("test",))
DATA = load("digits")
SETTINGS = Destruction(
    images=60,
    eps=(0.15, 0.3),
    steps=8,
    tops=(1, 3),
    transformations=("brightness 0", "gaussian_noise 0.2", "jpeg 20", "print_photo 0.5"),
)


@pytest.fixture(scope="module")
def subject() -> Subject:
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 24), nn.ReLU(), nn.Linear(24, 10))
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
def outcome(subject: Subject) -> Outcome:
    return SETTINGS.measure(subject, CONTEXT)


def first_images() -> tuple[torch.Tensor, torch.Tensor]:
    return torch.from_numpy(DATA.test_images[:60]), torch.from_numpy(DATA.test_labels[:60])


# The measure


def test_counts_are_those_of_the_ranks(outcome: Outcome) -> None:
    facts, arrays = outcome.facts["destruction"], outcome.arrays
    clean, sure = arrays["clean.rank"], arrays["clean.confidence"]
    seen = 0
    for a in range(len(facts["attacks"])):
        rank, confidence = arrays["adversarial.rank"][a], arrays["adversarial.confidence"][a]
        for top, k in enumerate((1, 3)):
            for case in ("average", "prefiltered"):
                chosen = [
                    i
                    for i in range(60)
                    if clean[i] < k <= rank[i]
                    and (
                        case == "average"
                        or (clean[i] == 0 and sure[i] >= 0.8 and confidence[i] >= 0.8)
                    )
                ]
                assert facts[case]["trials"][a][top] == len(chosen)
                for t in range(4):
                    back = [i for i in chosen if arrays["restored.rank"][a, t, i] < k]
                    assert facts[case]["destroyed"][a][t][top] == len(back)
                    seen += len(back)
    assert seen > 0
    assert facts["clean_right"] == [int((clean < k).sum()) for k in (1, 3)]
    assert facts["average"]["trials"] != facts["prefiltered"]["trials"]


def test_nothing_is_destroyed_by_what_changes_nothing(outcome: Outcome) -> None:
    arrays, facts = outcome.arrays, outcome.facts["destruction"]
    assert np.array_equal(arrays["restored.rank"][:, 0], arrays["adversarial.rank"])
    assert np.array_equal(arrays["transformed.rank"][0], arrays["clean.rank"])
    assert all(row[0] == [0, 0] for row in facts["average"]["destroyed"])


def test_ranks_are_those_of_the_network(subject: Subject, outcome: Outcome) -> None:
    assert subject.classifier is not None
    images, labels = first_images()
    logits = subject.classifier(images)
    order = logits.argsort(dim=1, descending=True, stable=True)
    ranks = (order == labels[:, None]).int().argmax(dim=1).numpy()
    assert np.array_equal(outcome.arrays["clean.rank"], ranks)
    confidence = logits.softmax(dim=1).amax(dim=1).numpy()
    np.testing.assert_allclose(outcome.arrays["clean.confidence"], confidence, rtol=1e-6)


def test_of_equal_logits_the_first_is_the_label() -> None:
    images = replace(DATA, test_images=DATA.test_images[:40], test_labels=DATA.test_labels[:40])
    flat = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    for parameter in flat.parameters():
        parameter.data.zero_()
    flat.requires_grad_(False)
    subject = Subject(images, nn.Sequential(), 64, DATA.image_shape, classifier=flat)
    found = replace(SETTINGS, methods=("fast",), eps=(0.1,)).measure(subject, CONTEXT)
    assert np.array_equal(found.arrays["clean.rank"], DATA.test_labels[:40])
    assert found.facts["destruction"]["average"]["trials"] == [[0, 0]]


@pytest.mark.parametrize("method", METHODS)
def test_attacks_are_the_published_ones(subject: Subject, method: str) -> None:
    net = subject.classifier
    assert net is not None
    images, labels = first_images()
    for steps in (None, 6):
        points = replace(SETTINGS, steps=steps)._attacked(net, images, labels, method, 0.1)
        x = images.clone()
        targets = net(images).argmin(dim=1)
        count = 1 if method == "fast" else (steps or 30)  # min(25.5 + 4, 1.25 * 25.5), rounded up
        size = 0.1 if method == "fast" else (0.125 / steps if steps else 1 / 255)
        for _ in range(count):
            x.requires_grad_(True)
            towards = targets if method == "least-likely" else labels
            loss = nn.functional.cross_entropy(net(x), towards, reduction="sum")
            (gradient,) = torch.autograd.grad(loss, x)
            way = -gradient.sign() if method == "least-likely" else gradient.sign()
            x = torch.clamp(x.detach() + size * way, images - 0.1, images + 0.1).clamp(0, 1)
        # Signs of gradients that are nearly 0 may differ by rounding.
        assert ((points - x).abs() < 1e-5).float().mean() > 0.97
        assert (points - images).abs().max() <= 0.1 + 1e-7
        assert points.min() >= 0
        assert points.max() <= 1


def test_the_fast_method_is_the_attack_of_this_name(subject: Subject) -> None:
    net = subject.classifier
    assert net is not None
    images, labels = first_images()
    points = SETTINGS._attacked(net, images, labels, "fast", 0.15)
    found = ATTACKS["fgsm"](net, images, labels, radius=0.15, box=(0.0, 1.0))
    fooled = (found != images).flatten(1).any(dim=1)
    assert fooled.any()
    assert torch.equal(points[fooled], found[fooled])


def test_every_step_is_taken_beyond_the_boundary(subject: Subject, outcome: Outcome) -> None:
    net = subject.classifier
    assert net is not None
    images, labels = first_images()
    full = SETTINGS._attacked(net, images, labels, "basic", 0.3)
    stopped = ATTACKS["bim"](net, images, labels, radius=0.3, steps=8, box=(0.0, 1.0))
    moved = (stopped != images).flatten(1).any(dim=1)
    lengths = [(x - images)[moved].abs().mean().item() for x in (full, stopped)]
    assert lengths[0] > 1.2 * lengths[1]


def test_the_same_seed_gives_the_same_bytes(subject: Subject, outcome: Outcome) -> None:
    state = torch.random.get_rng_state()
    again = SETTINGS.measure(subject, CONTEXT)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert again.facts == outcome.facts
    for name, array in outcome.arrays.items():
        assert array.tobytes() == again.arrays[name].tobytes()
    other = SETTINGS.measure(subject, replace(CONTEXT, seed=1)).arrays["restored.rank"]
    assert np.array_equal(other[:, 2], outcome.arrays["restored.rank"][:, 2])
    assert not np.array_equal(other, outcome.arrays["restored.rank"])


def test_attacks_meet_the_same_draws(subject: Subject) -> None:
    twice = replace(SETTINGS, methods=("fast", "basic"), steps=1, eps=(0.2,))
    # One step of 1.25 eps, cut back to eps, is the fast method.
    ranks = twice.measure(subject, CONTEXT).arrays["restored.rank"]
    assert np.array_equal(ranks[0], ranks[1])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"methods": ("fats",)}, "unknown method 'fats'"),
        ({"eps": ()}, "eps is empty"),
        ({"transformations": ("jpg 50",)}, "unknown transformation 'jpg'"),
        ({"transformations": ("jpeg 0",)}, "a quality from 1 to 100"),
    ],
)
def test_wrong_settings_are_named(settings: dict[str, tuple[str, ...]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Destruction(**settings)  # type: ignore[arg-type]


def test_tops_are_fewer_than_the_classes(subject: Subject) -> None:
    with pytest.raises(InputError, match="tops: 10; expected fewer than 10 classes"):
        Destruction(images=2, tops=(10,)).measure(subject, CONTEXT)


def test_it_runs_from_a_preset_and_is_drawn(tmp_path: Path) -> None:
    (tmp_path / "real.toml").write_text(
        'description = "real"\ndata = "digits"\n'
        '[[image_classifier]]\nname = "mlp"\nhidden = [6]\nsteps = 100\n'
        "[measure.destruction]\nimages = 20\neps = [0.3]\nsteps = 3\n"
    )
    preset = load_preset(str(tmp_path / "real.toml"))
    assert run(preset, tmp_path / "build", torch.device("cpu")).failed == ()
    records, _ = preset_records("real", tmp_path / "build")
    made = drawn_from("destruction", records)
    assert isinstance(made, Table)
    assert len(made.sections[0].body) == 2 + len(Destruction().transformations)


# The table


def test_every_cell_is_that_of_the_record_with_exact_limits() -> None:
    records = destruction_records(seed=int(np.random.default_rng().integers(10**6)))
    made = drawn_from("destruction", records)
    for record in records:
        facts = record.facts["destruction"]
        label = record.request.subject["image_classifier"]["label"]
        for a, attack in enumerate(facts["attacks"]):
            for t, change in enumerate(facts["transformations"]):
                (row,) = select(
                    made.rows,
                    network=label,
                    transformation=change["name"],
                    method=attack["method"],
                    eps=attack["eps"],
                    case="prefiltered",
                    top=3,
                )
                trials = facts["prefiltered"]["trials"][a][1]
                count = facts["prefiltered"]["destroyed"][a][t][1]
                assert (row["fooled"], row["destroyed"]) == (trials, count)
                assert row["rate"] == count / trials
                assert (row["low"], row["high"]) == pytest.approx(limits(count, trials))
                assert row["clean_accuracy"] == facts["transformed_right"][t][1] / N


def test_sections_show_networks_photographs_and_the_paper() -> None:
    made = drawn_from("destruction", destruction_records())
    assert isinstance(made, Table)
    titles = [section.title for section in made.sections]
    assert titles[0] == "mlp-64 (mnist), first label"
    assert titles[2:4] == [f"{n} (mnist), simulated photo 1" for n in ("mlp-64", "conv")]
    assert titles[4].startswith("Inception v3 (ImageNet)")
    for section in made.sections:
        assert all(len(line) == len(section.columns) for line in section.body)
    assert len(made.sections[0].body) == 2 + len(TRANSFORMATIONS)
    shown = [cell for line in made.sections[4].body for cell in line[1:]]
    known = [v for row in printed("kurakin2017")["row"] for v in list(row.values())[2:]]
    assert shown == known
    assert shown[:4] == ["12.5", "40.0", "5.1", "39.4"]
    assert "400 test images" in made.caption
    assert "cpu" in made.caption
    heads = made.sections[0].columns
    assert heads[2:] == ["F 0.1", "F 0.2", "B 0.1", "B 0.2", "L 0.1", "L 0.2"]
    assert "L: least-likely" in made.caption


def test_orderings_are_judged_in_pairs() -> None:
    records = destruction_records()
    numbers = drawn_from("destruction", records).numbers
    cells = 2 * len(EPS) * len(TRANSFORMATIONS)
    for name in ("fast_basic", "basic_least", "fast_least"):
        parts = [int(numbers[f"{name}.{end}"] or 0) for end in ("confirmed", "reversed", "open")]
        assert numbers[f"{name}.all"] == sum(parts) == cells
        assert parts[1] == 0
    # Brightness is ordered too in these records, but less clearly.
    assert int(numbers["fast_least.confirmed"] or 0) >= cells * 3 // 4
    assert numbers["tone.all"] == 2 * 6 * 2
    assert numbers["budget.all"] == 2 * 3 * len(TRANSFORMATIONS)
    assert numbers["top.all"] == 2 * 6 * len(TRANSFORMATIONS)
    network = Network(records[0])
    (places,) = [[network.attacks.index((m, 0.1)) for m in ("fast", "basic")]]
    found = compared(network, (places[0], 1), (places[1], 1))
    arrays = records[0].arrays
    both = (arrays["clean.rank"] < 1) & (arrays["adversarial.rank"][places] >= 1).all(axis=0)
    back = arrays["restored.rank"][places, 1] < 1
    assert found.fewer == np.sum(both & back[0] & ~back[1])
    assert found.more == np.sum(both & back[1] & ~back[0])
    assert len(by_method([network], "basic", "fast")) == cells // 2


def test_a_tally_is_exact_and_corrected() -> None:
    assert Comparison(3, 12).p_value == pytest.approx(stats.binomtest(3, 15).pvalue)
    assert Comparison(0, 0).p_value == 1
    assert Tally.of([Comparison(0, 6)]) == Tally(1, 0, 0)
    # 2 / 2^6 = 0.031 is not below 0.05 / 2.
    assert Tally.of([Comparison(0, 6), Comparison(1, 1)]) == Tally(0, 0, 2)
    assert Tally.of([Comparison(30, 0), Comparison(0, 30), Comparison(2, 2)]) == Tally(1, 1, 1)
    assert Tally.of([]) == Tally(0, 0, 0)


def test_cells_without_fooled_images_are_empty() -> None:
    (record, _) = destruction_records()
    facts = record.facts["destruction"]
    for case in ("average", "prefiltered"):
        facts[case]["trials"][0] = [0, 0]
        facts[case]["destroyed"][0] = [[0, 0] for _ in TRANSFORMATIONS]
    made = drawn_from("destruction", [record])
    assert isinstance(made, Table)
    assert {line[2] for line in made.sections[0].body[2:]} == {"--"}
    assert select(made.rows, method="fast", eps=0.1, case="average")[0].get("rate") is None


def test_four_files_are_written_and_nothing_is_drawn_from_nothing(tmp_path: Path) -> None:
    made = drawn_from("destruction", destruction_records())
    for folder in ("a", "b"):
        save(FIGURES["destruction"], made, tmp_path / folder, {}, [])
    for suffix in (".tex", ".md", ".csv", ".json"):
        first, second = (tmp_path / f / f"destruction{suffix}" for f in ("a", "b"))
        assert first.read_bytes() == second.read_bytes()
    with pytest.raises(NothingToDraw):
        FIGURES["destruction"].draw(view_of([]))
