"""Properties of VNN-LIB: what is read, what is refused, and decisions against exact oracles."""

import gzip
import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import optimize
from torch import nn

from empirics.given.property_check import checked_property, property_claim
from empirics.given.property_decide import Decision, decide, witness_text
from empirics.given.property_network import MarginNetwork
from empirics.given.property_search import EFFORTS, Proof, branched
from empirics.given.property_trace import traced
from empirics.given.vnnlib import Case, Property, Rows, read_property
from empirics.judge import judge_records
from empirics.record import Record
from theory.arrays import FloatArray
from theory.claim import CLAIMS
from theory.errors import InputError

QUICK = "quick"


@pytest.fixture(autouse=True)
def claims(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the claims that a test enters."""
    monkeypatch.setattr(CLAIMS, "_items", dict(CLAIMS))


def declarations(n: int, m: int) -> str:
    names = [*(f"X_{i}" for i in range(n)), *(f"Y_{j}" for j in range(m))]
    return "".join(f"(declare-const {name} Real)\n" for name in names)


def box_text(low: Sequence[float], high: Sequence[float]) -> str:
    return "".join(
        f"(assert (>= X_{i} {a!r}))\n(assert (<= X_{i} {b!r}))\n"
        for i, (a, b) in enumerate(zip(low, high, strict=True))
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "p.vnnlib"


def read(file: Path, text: str, n: int = 2, m: int = 3) -> Property:
    file.write_text(text)
    return read_property(file, n, m)


def network(seed: int, *sizes: int, between: type[nn.Module] = nn.ReLU) -> nn.Sequential:
    stream = torch.Generator().manual_seed(seed)
    layers: list[nn.Module] = []
    for a, b in itertools.pairwise(sizes):
        layer = nn.Linear(a, b)
        layer.weight.data = torch.randn(b, a, generator=stream) * (2 / a) ** 0.5
        layer.bias.data = torch.randn(b, generator=stream) * 0.3
        layers += [layer, between()]
    return nn.Sequential(*layers[:-1]).eval().requires_grad_(False)


def of(case: Case, n_outputs: int) -> Property:
    return Property("made", "0" * 64, len(case.low), n_outputs, (case,))


# Reading


ROBUST = (
    declarations(2, 3)
    + "; a box\n(assert (>= X_0 -1.5e-1))\n(assert (<= X_0 0.25))\n"
    + "(assert (<= -1 X_1))(assert (<= X_1 +.5))\n"
    + "(assert (or (and (>= Y_1 Y_0)) (and (<= Y_0 Y_2) (<= Y_2 3.0))))\n"
)


def test_a_robustness_property_is_read(file: Path) -> None:
    found = read(file, ROBUST)
    (case,) = found.cases
    assert case.low.tolist() == [-0.15, -1.0]
    assert case.high.tolist() == [0.25, 0.5]
    first, second = case.unsafe
    assert first.weight.tolist() == [[1.0, -1.0, 0.0]]
    assert second.weight.tolist() == [[1.0, 0.0, -1.0], [0.0, 0.0, 1.0]]
    assert second.shift.tolist() == [0.0, -3.0]
    # max over rows, min over sets: y = (1, 0, 2) is safe by 1 in the first, inside the second.
    assert case.margin(np.array([1.0, 0.0, 2.0])) == -1.0
    assert found.margin(np.array([0.3, 0.0]), np.zeros(3)) == np.inf
    assert found.in_words() == (
        "no input of one box (2 of 2 coordinates free) gives outputs in 2 unsafe sets"
    )


def test_packed_files_and_old_declarations_are_read(tmp_path: Path) -> None:
    path = tmp_path / "p.vnnlib.gz"
    text = ROBUST.replace("declare-const X_0 Real", "declare-fun X_0 () Real")
    path.write_bytes(gzip.compress(("(set-logic QF_LRA)\n" + text + "(check-sat)\n").encode()))
    assert read_property(path, 2, 3).name == "p"


def test_disjunctions_of_boxes_become_cases(file: Path) -> None:
    text = (
        declarations(1, 2)
        + "(assert (or (and (>= X_0 0) (<= X_0 1) (<= Y_0 Y_1))"
        + " (and (>= X_0 2) (<= X_0 3) (<= Y_0 (+ Y_1 (* 2 (- Y_0)) 1)))"
        + " (and (>= X_0 0) (<= X_0 1) (<= Y_0 0)) (and (>= X_0 5) (<= X_0 4) (<= Y_0 0))))\n"
        + "(assert (<= X_0 2.5))\n"
    )
    first, second = read(file, text, 1, 2).cases
    assert (first.low[0], first.high[0], len(first.unsafe)) == (0.0, 1.0, 2)
    assert (second.low[0], second.high[0]) == (2.0, 2.5)
    assert second.unsafe[0].weight.tolist() == [[3.0, -1.0]]
    assert second.unsafe[0].shift.tolist() == [-1.0]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "(>= X_0 -1.5e-1)",
            "(> X_0 0)",
            "line 7: unknown relation '>': known are <=, >=, and, or",
        ),
        ("(<= X_0 0.25)", "(<= X_0 X_1)", "line 8: an inequality of several inputs"),
        ("(<= X_0 0.25)", "(<= X_0 Y_1)", "line 8: an inequality of inputs and outputs"),
        ("(<= X_0 0.25)", "(<= X_9 1)", "line 8: 'X_9' is no number and no variable declared"),
        ("(<= X_0 0.25)", "(<= X_0 1e999)", "line 8: '1e999' is outside the range of doubles"),
        ("(<= X_0 0.25)", "(<= X_0 (* X_0 X_1))", "line 8: a product of two variables"),
        ("(<= X_0 0.25)", "(<= X_0 (/ 1 2))", r"line 8: unknown term '/'"),
        ("(<= X_0 0.25)", "(<= X_0 1 2)", "line 8: '<=' takes two terms, got 3"),
        ("(assert (<= X_0 0.25))", "", "line 1: X_0 has no finite upper bound"),
        ("(assert (<= X_0 0.25))", "(asert (<= X_0 1))", "line 8: .*did you mean 'assert'"),
        ("(<= X_0 0.25)", "(<= 1 2)", "line 8: an inequality without variables"),
        ("Y_2 3.0))))", "Y_2 3.0)))", "line 10: a '\\(' that is not closed"),
        ("; a box\n", ")", "line 6: a '\\)' that closes nothing"),
        ("(declare-const Y_2 Real)\n", "", "line 9: 'Y_2' is no number"),
        ("X_1 Real", "X_2 Real", "line 9: 'X_1' is no number"),
        ("X_1 Real", "X_0 Real", "line 2: X_0 is declared again, first on line 1"),
        ("X_1 Real", "Z_1 Real", "line 2: a variable is called X_0"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(file: Path, old: str, new: str, message: str) -> None:
    assert old in ROBUST
    with pytest.raises(InputError, match=message):
        read(file, ROBUST.replace(old, new, 1))


def test_a_property_of_another_network_is_refused(file: Path) -> None:
    with pytest.raises(InputError, match="declares 3 outputs, the network has 4: Y_0 to Y_3"):
        read(file, ROBUST, 2, 4)
    with pytest.raises(InputError, match="no assertion"):
        read(file, declarations(2, 3))
    with pytest.raises(InputError, match="a case asserts nothing of the outputs"):
        read(file, declarations(1, 1) + box_text([0.0], [1.0]), 1, 1)
    clause = "(or (and (<= Y_0 0)) (and (>= Y_0 1)))"
    many = declarations(1, 1) + box_text([0.0], [1.0]) + f"(assert {clause})" * 15
    with pytest.raises(InputError, match="more than 16384 cases"):
        read(file, many, 1, 1)
    with pytest.raises(InputError, match="more than 64 deep"):
        read(file, "(" * 99)
    with pytest.raises(InputError, match="cannot be read: No such file"):
        read_property(file.with_name("none.vnnlib"), 1, 1)


# Decisions


def least_margin(module: nn.Sequential, case: Case) -> float:
    """Return the least margin by a mixed-integer programme with bounds from intervals."""
    return min(_least_of_set(module, case, rows) for rows in case.unsafe)


def _least_of_set(module: nn.Sequential, case: Case, rows: Rows) -> float:
    linears = [layer for layer in module if isinstance(layer, nn.Linear)]
    hidden = sum(layer.out_features for layer in linears[:-1])
    n = len(case.low)
    # Inputs, units, phases, and the largest row t that is to be least.
    size = n + 2 * hidden + 1
    matrix: list[FloatArray] = []
    limits: list[float] = []

    def add(row: FloatArray, most: float) -> None:
        matrix.append(row)
        limits.append(most)

    low, high = case.low, case.high
    state = np.eye(n, size)
    constant = np.zeros(n)
    at = 0
    for layer in linears:
        weight, bias = layer.weight.double().numpy(), layer.bias.double().numpy()
        state, constant = weight @ state, weight @ constant + bias
        if layer is linears[-1]:
            break
        down, up = np.minimum(weight, 0), np.maximum(weight, 0)
        low, high = down @ high + up @ low + bias, down @ low + up @ high + bias
        units = np.zeros((len(bias), size))
        for k in range(len(bias)):
            y, phase = n + at + k, n + hidden + at + k
            row = np.zeros(size)
            row[y] = 1.0
            add(state[k] - row, -constant[k])  # y >= z
            lead = row - state[k]
            lead[phase] -= min(low[k], 0.0)
            add(lead, constant[k] - min(low[k], 0.0))  # y <= z - low (1 - phase)
            row = row.copy()
            row[phase] = -max(high[k], 0.0)
            add(row, 0.0)  # y <= high phase
            units[k, y] = 1.0
        at += len(bias)
        state, constant = units, np.zeros(len(bias))
        low, high = np.maximum(low, 0), np.maximum(high, 0)
    for weight_row, shift in zip(rows.weight, rows.shift, strict=True):
        row = weight_row @ state
        row[-1] = -1.0
        add(row, -float(weight_row @ constant + shift))
    ends = (
        np.concatenate([case.low, np.zeros(2 * hidden), [-np.inf]]),
        np.concatenate([case.high, np.full(hidden, np.inf), np.ones(hidden), [np.inf]]),
    )
    integral = np.zeros(size)
    integral[n + hidden : n + 2 * hidden] = 1
    found = optimize.milp(
        np.eye(size)[-1],
        constraints=optimize.LinearConstraint(np.array(matrix), ub=np.array(limits)),
        bounds=optimize.Bounds(*ends),
        integrality=integral,
    )
    assert found.success
    return float(found.fun)


def random_case(seed: int, module: nn.Sequential, n: int, m: int, reach: float) -> Case:
    """Return a box around a point with unsafe sets of one, two and three rows."""
    rng = np.random.default_rng(seed)
    center = rng.uniform(-1, 1, n)
    at = module(torch.from_numpy(center).float()[None])[0].double().numpy()
    sets = []
    for k in (1, 2, 3)[: 1 + seed % 3]:
        weight = rng.normal(size=(k, m))
        shift = -weight @ at + rng.uniform(0.0, 0.6, k)
        sets.append(Rows(weight, shift))
    return Case(center - reach, center + reach, tuple(sets))


def test_decisions_agree_with_a_mixed_integer_programme() -> None:
    seen = []
    for seed in range(12):
        module = network(seed, 3, 6, 5, 3)
        case = random_case(seed, module, 3, 3, 0.1 + 0.05 * seed)
        truth = least_margin(module, case)
        assert abs(truth) > 1e-6
        found = decide(module, of(case, 3), input_shape=(3,), effort=QUICK)
        assert found.outcome == ("holds" if truth > 0 else "violated")
        assert found.margin.lower <= truth + 1e-6
        assert found.margin.upper >= truth - 1e-6
        if found.outcome == "violated":
            _check_witness(module, case, found)
        else:
            assert found.deployed
        seen.append(found.outcome)
    assert min(seen.count("holds"), seen.count("violated")) >= 3


def _check_witness(module: nn.Module, case: Case, found: Decision) -> None:
    assert found.witness is not None
    point = found.witness.point
    assert case.contains(point)
    outputs = module(torch.from_numpy(point).float()[None])[0]
    assert np.array_equal(outputs.numpy(), found.witness.outputs)
    assert case.margin(outputs.double().numpy()) <= 0


@pytest.fixture(scope="module")
def few() -> tuple[nn.Sequential, Case, float]:
    """Return a property that one relaxation does not decide, with its least margin."""
    module = network(3, 2, 8, 8, 2)
    low, high = np.full(2, -0.8), np.full(2, 0.8)
    plain = Case(low, high, (Rows(np.array([[1.0, -1.0]]), np.zeros(1)),))
    shift = 0.05 - least_margin(module, plain)
    case = Case(low, high, (Rows(np.array([[1.0, -1.0]]), np.array([shift])),))
    return module, case, 0.05


@pytest.mark.parametrize("phases", [False, True])
def test_both_ways_to_branch_prove_what_a_relaxation_does_not(
    few: tuple[nn.Sequential, Case, float], phases: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, case, truth = few
    network_of = traced(module, (2,)).network
    assert network_of is not None
    margin = MarginNetwork(network_of, case)
    effort = EFFORTS[QUICK]
    root = float(margin.lower(case.low[None], case.high[None], effort.slopes)[0])
    assert root < 0
    name, value = ("_FEW_INPUTS", 0) if phases else ("_LARGE", 0)
    monkeypatch.setattr(f"empirics.given.property_search.{name}", value)
    found = branched(margin, Proof(root, "linear relaxation", 1), effort, 0.0, 60.0)
    assert found.method == ("branches over phases" if phases else "split boxes")
    assert 0 < found.lower <= truth + 1e-9
    assert not found.candidates
    # A slack above the truth is not proved, whatever is spent.
    little = effort._replace(nodes=100)
    beyond = branched(margin, Proof(root, "linear relaxation", 1), little, truth + 0.01, 60.0)
    assert not beyond.lower > truth + 0.01


def test_smooth_networks_are_decided_and_sampling_never_contradicts() -> None:
    rng = np.random.default_rng(0)
    seen = set()
    for seed in range(4):
        module = network(seed, 2, 5, 5, 2, between=nn.Tanh)
        case = random_case(2 * seed, module, 2, 2, 0.15 + 0.2 * (seed % 2))
        found = decide(module, of(case, 2), input_shape=(2,), effort=QUICK)
        points = rng.uniform(case.low, case.high, (2000, 2))
        values = case.margin(module.double()(torch.from_numpy(points)).numpy())
        assert found.form == "smooth"
        assert values.min() >= found.margin.lower
        if found.outcome == "violated":
            _check_witness(module.float(), case, found)
        else:
            assert found.outcome == "holds"
        seen.add(found.outcome)
    assert seen == {"holds", "violated"}


def test_equality_is_a_counterexample_and_is_told_exactly() -> None:
    """Y_0 = |x| + 0.1 - 0.1 is 0 at 0 alone, where rounding hides the sign from bounds."""
    module = nn.Sequential(nn.Linear(1, 2), nn.ReLU(), nn.Linear(2, 1)).requires_grad_(False)
    module[0].weight.data = torch.tensor([[1.0], [-1.0]])
    module[0].bias.data = torch.zeros(2)
    module[2].weight.data = torch.ones(1, 2)
    module[2].bias.data = torch.zeros(1)
    low, high = np.array([-1.0]), np.array([1.0])
    touching = Case(low, high, (Rows(np.array([[1.0]]), np.zeros(1)),))
    found = decide(module, of(touching, 1), input_shape=(1,), effort=QUICK)
    assert (found.outcome, found.margin.upper) == ("violated", 0.0)
    for shift, sign in ((1e-300, 1), (-1e-300, -1)):
        near = Case(low, high, (Rows(np.array([[1.0]]), np.array([shift])),))
        network_of = traced(module, (1,)).network
        assert network_of is not None
        ends = MarginNetwork(network_of, near).at(np.zeros(1))
        assert np.sign([ends.lower, ends.upper]).tolist() == [sign, sign]
        assert ends.lower <= shift <= ends.upper
    beside = Case(np.array([2.0**-60]), high, touching.unsafe)
    assert decide(module, of(beside, 1), input_shape=(1,), effort=QUICK).outcome == "holds"


class _Rounded(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.exp(x) * x


def test_what_cannot_be_traced_is_attacked_alone() -> None:
    module = nn.Sequential(_Rounded(), nn.Linear(1, 1)).requires_grad_(False)
    module[1].weight.data, module[1].bias.data = torch.ones(1, 1), torch.zeros(1)
    low, high = np.array([0.0]), np.array([1.0])
    for shift, outcome in ((-2.0, "violated"), (0.1, "undecided")):
        # exp(x) x grows from 0 to e.
        sign = 1.0 if shift > 0 else -1.0
        rows = Rows(np.array([[sign]]), np.array([shift if shift > 0 else -shift]))
        found = decide(module, of(Case(low, high, (rows,)), 1), input_shape=(1,), effort=QUICK)
        assert found.outcome == outcome
        assert found.form == "not traced"
    assert "nothing is proved" in found.reason


def test_a_planted_wrong_certificate_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    module = network(0, 2, 4, 2)
    case = random_case(0, module, 2, 2, 0.1)
    monkeypatch.setattr(MarginNetwork, "lower", lambda *_: np.array([10.0]))
    with pytest.raises(ArithmeticError, match=r"at least 10\.0, a point has at most"):
        decide(module, of(case, 2), input_shape=(2,), effort=QUICK)


def test_a_planted_wrong_point_is_no_counterexample(monkeypatch: pytest.MonkeyPatch) -> None:
    module = network(3, 2, 8, 8, 2)
    case = random_case(3, module, 2, 2, 0.05)
    wrong = case.high + 5.0, case.low / 2 + case.high / 2
    monkeypatch.setattr("empirics.given.property_decide.attacked", lambda *_: list(wrong))
    monkeypatch.setattr(MarginNetwork, "lower", lambda *_: np.array([-1.0]))
    monkeypatch.setattr("empirics.given.property_search._FEW_INPUTS", 0)
    assert least_margin(module, case) > 0
    assert decide(module, of(case, 2), input_shape=(2,), effort=QUICK).outcome == "holds"


def test_a_network_too_large_for_bounds_is_not_traced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("empirics.given.property_trace._ENTRIES", 11)
    found = traced(network(0, 2, 3, 2), (2,))
    assert found.reason == "its layers as matrices have 12 entries, more than 11"


def test_rounding_is_known_of_plain_sequences_alone() -> None:
    first, second = network(0, 2, 3, 2), network(1, 2, 2)
    assert traced(first, (2,)).plain
    assert traced(nn.Sequential(nn.Flatten(), first, nn.ReLU(), second), (2,)).plain
    assert not traced(nn.Sequential(first, second), (2,)).plain
    residual = nn.Sequential(first, nn.ReLU(), nn.AvgPool1d(1))
    assert not traced(residual, (2,)).plain


def test_arguments_that_do_not_fit_are_refused() -> None:
    module = network(0, 2, 2)
    case = random_case(0, module, 2, 2, 0.1)
    with pytest.raises(InputError, match="2 inputs; the network takes 3"):
        decide(module, of(case, 2), input_shape=(3,))
    with pytest.raises(InputError, match="did you mean 'quick'"):
        decide(module, of(case, 2), input_shape=(2,), effort="quik")
    with pytest.raises(InputError, match="3 outputs; the network gives 2"):
        decide(module, of(case, 3), input_shape=(2,), effort=QUICK)
    with pytest.raises(InputError, match="time_limit: 0; expected seconds above 0"):
        decide(module, of(case, 2), input_shape=(2,), time_limit=0)
    with pytest.raises(InputError, match="only float32 is known"):
        decide(module.double(), of(case, 2), input_shape=(2,))


# Claims


def test_a_property_is_judged_as_a_claim(file: Path) -> None:
    module = network(5, 2, 4, 3)
    at = module(torch.tensor([[0.05, 0.0]]))[0]
    best = int(at.argmax())
    others = " ".join(f"(>= Y_{j} Y_{best})" for j in range(3) if j != best)
    outcomes = {}
    for name, reach in (("small", 1e-3), ("large", 3.0)):
        path = file.with_name(f"{name}.vnnlib")
        box = box_text([0.05 - reach, -reach], [0.05 + reach, reach])
        path.write_text(declarations(2, 3) + box + f"(assert (or {others}))\n")
        subject = {"classifier": {"label": "net"}}
        made = checked_property(module, path, input_shape=(2,), subject=subject, effort=QUICK)
        assert made.claim is property_claim(read_property(path, 2, 3))
        (verdict,) = judge_records([made.record], 0.05, "property/*")
        assert verdict.claim == f"property/{name}"
        outcomes[name] = str(verdict.outcome)
        again = Record.from_parts(*made.record.to_parts())
        assert again.evidence == made.record.evidence
        if name == "small":
            assert made.witness_text == "unsat\n"
        else:
            lines = made.witness_text.splitlines()
            assert lines[0] == "sat"
            assert lines[1].startswith("((X_0 ")
            assert lines[-1].endswith("))")
            written = [float(line.strip("()").split()[1]) for line in lines[1:]]
            assert written[:2] == made.record.arrays["witness"].tolist()
            assert np.array_equal(np.float32(written[2:]), made.record.arrays["witness_outputs"])
    assert outcomes == {"small": "HOLDS", "large": "VIOLATED"}


def test_another_file_of_the_same_name_is_another_claim(tmp_path: Path) -> None:
    found = []
    for end in (1.0, 2.0):
        path = tmp_path / f"{end}" / "same.vnnlib"
        path.parent.mkdir()
        text = declarations(1, 1) + box_text([0.0], [end]) + "(assert (<= Y_0 0))\n"
        path.write_text(text)
        found.append(property_claim(read_property(path, 1, 1)))
    assert found[0].id == "property/same"
    assert found[1].id.startswith("property/same-")
    assert found[0].quantities != found[1].quantities


def test_no_input_at_all_is_told() -> None:
    empty = Property("empty", "1" * 64, 2, 2, ())
    found = decide(network(0, 2, 2), empty, input_shape=(2,), effort=QUICK)
    assert (found.outcome, witness_text(found)) == ("holds", "unsat\n")
