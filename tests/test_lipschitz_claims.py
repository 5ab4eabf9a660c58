"""Claims on Lipschitz constants of networks: the chain of bounds, brute force, counterexamples."""

from fractions import Fraction
from itertools import pairwise, product
from typing import Any

import numpy as np
import pytest

from theory.arrays import FloatArray
from theory.claim import CLAIMS, OutOfScopeError, Quantity, Relation, Status
from theory.evidence import Interval
from theory.lipschitz.cut_points import _merged_norms, cut_point_bound, cut_point_sum
from theory.lipschitz.semidefinite.bound import semidefinite_bound
from theory.lipschitz.seqlip import seqlip_bound
from theory.norms import spectral_norm_upper
from theory.outcome import Outcome
from theory.verdict import judge_scalar

LIPSCHITZ, FREE, SDP, SEQLIP, CUTS = (
    Quantity(name, "l2->l2")
    for name in ("lipschitz", "free_pattern", "semidefinite", "seqlip", "cut_points")
)
SHAPES = ([3, 4, 2], [3, 5, 4, 2], [2, 3, 3, 3, 1], [6, 2, 5, 3], [4, 2], [1, 6, 1])


def random_weights(shape: list[int], seed: int = 0) -> list[FloatArray]:
    rng = np.random.default_rng([seed, *shape])
    return [rng.normal(size=(after, before)) for before, after in pairwise(shape)]


def jacobian(weights: list[FloatArray], slopes: list[FloatArray]) -> FloatArray:
    found = weights[0]
    for weight, slope in zip(weights[1:], slopes, strict=True):
        found = weight @ (slope[:, None] * found)
    return found


def largest_free(weights: list[FloatArray]) -> float:
    """The largest norm over all patterns of 0 and 1, by trying each."""
    sizes = [len(weight) for weight in weights[:-1]]
    ends = np.cumsum(sizes)[:-1]
    best = 0.0
    for bits in product((0.0, 1.0), repeat=sum(sizes)):
        slopes = np.split(np.array(bits), ends) if sizes else []
        best = max(best, float(np.linalg.norm(jacobian(weights, slopes), 2)))
    return best


def reached(weights: list[FloatArray], rng: np.random.Generator, n: int = 300) -> float:
    """The largest norm over patterns that random points of a network with biases reach."""
    biases = [rng.normal(size=len(weight)) for weight in weights]
    best = 0.0
    for x in 3 * rng.normal(size=(n, weights[0].shape[1])):
        state, slopes = x, []
        for weight, bias in zip(weights[:-1], biases, strict=False):
            values = weight @ state + bias
            slopes.append((values > 0).astype(np.float64))
            state = np.maximum(values, 0)
        best = max(best, float(np.linalg.norm(jacobian(weights, slopes), 2)))
    return best


def facts_of(weights: list[FloatArray]) -> dict[str, Any]:
    semidefinite = semidefinite_bound(weights)
    return {
        "semidefinite_bound[l2->l2]": {"value": semidefinite.value, "lower": semidefinite.lower},
        "layer_norms[l2->l2]": [spectral_norm_upper(weight) for weight in weights],
        "seqlip_factors[l2->l2]": list(seqlip_bound(weights).factors),
        "cut_point_bound[l2->l2]": cut_point_bound(weights),
        "n_hidden_layers": len(weights) - 1,
        "n_outputs": len(weights[-1]),
    }


@pytest.mark.parametrize("shape", SHAPES)
def test_the_chain_of_bounds_on_random_networks(shape: list[int]) -> None:
    weights = random_weights(shape)
    facts, free = facts_of(weights), largest_free(weights)
    seen = reached(weights, np.random.default_rng(1))
    semidefinite, split = semidefinite_bound(weights), seqlip_bound(weights)
    evidence = {
        LIPSCHITZ: Interval(seen * (1 - 1e-12), free * (1 + 1e-12)),
        FREE: Interval.exact(free, 1e-12 * free),
        SDP: Interval(semidefinite.lower, semidefinite.value),
        SEQLIP: Interval(split.lower, split.value),
        CUTS: cut_point_sum(weights),
    }
    facts["sampled_constant[l2->l2]"] = seen * (1 - 1e-9)
    judged = 0
    for name in CLAIMS:
        claim = CLAIMS[name]
        if claim.status is Status.REFUTED or name.partition("/")[0] not in (
            "fazlyab2019", "virmaux2018", "combettes2020", "wang2022", "szegedy2014"
        ):  # fmt: skip
            continue
        for quantity in set(claim.quantities) & set(evidence):
            if name.startswith("wang2022") and (len(shape) != 3 or shape[-1] != 1):
                with pytest.raises(OutOfScopeError, match="not one of each"):
                    claim.evaluate(facts, quantity)
                continue
            value = claim.evaluate(facts, quantity)
            found = judge_scalar(evidence[quantity], claim.relation, value)
            # One layer: all are its norm, apart by rounding.
            expected = {Outcome.HOLDS, Outcome.UNDECIDED} if len(shape) == 2 else {Outcome.HOLDS}
            assert found.outcome in expected, (name, str(quantity), found.reason)
            judged += 1
    assert judged >= 10
    if len(shape) == 3:
        # One hidden layer: the split is the maximum over free patterns itself.
        assert split.lower == pytest.approx(free, rel=1e-9)
        assert split.value == pytest.approx(semidefinite.value, rel=1e-5)


def test_claims_violated_by_wrong_facts() -> None:
    weights = random_weights([3, 5, 4, 2])
    facts, free = facts_of(weights), largest_free(weights)
    wrong: dict[str, dict[str, Any]] = {
        "fazlyab2019/neuron": {"semidefinite_bound[l2->l2]": {"value": 0.99 * free, "lower": 0.0}},
        "virmaux2018/seqlip": {"seqlip_factors[l2->l2]": [np.sqrt(0.99 * free)] * 2},
        "combettes2020/cut-points": {"cut_point_bound[l2->l2]": 0.99 * free},
    }
    for name, change in wrong.items():
        value = CLAIMS[name].evaluate(facts | change, FREE)
        seen = Interval.exact(free, 1e-12 * free)
        assert judge_scalar(seen, Relation.AT_MOST, value).outcome is Outcome.VIOLATED
    value = CLAIMS["virmaux2018/sampled-lower"].evaluate(
        {"sampled_constant[l2->l2]": 1.01 * free}, LIPSCHITZ
    )
    seen = Interval(0.0, free)
    assert judge_scalar(seen, Relation.AT_LEAST, value).outcome is Outcome.VIOLATED


@pytest.mark.parametrize(
    ("name", "quantity", "reason"),
    [
        ("fazlyab2019/neuron", LIPSCHITZ, "a verified semidefinite bound is not known"),
        ("fazlyab2019/network", LIPSCHITZ, "coupled programme is not known"),
        ("fazlyab2019/below-product", SDP, "norms of the layers are not known"),
        ("virmaux2018/seqlip", FREE, "factors of the split over pairs of layers is not known"),
        ("virmaux2018/below-product", SEQLIP, "norms of the layers are not known"),
        ("virmaux2018/sampled-lower", LIPSCHITZ, "largest expansion of a pair is not known"),
        ("combettes2020/cut-points", LIPSCHITZ, "mean over cuts of merged norms is not known"),
        ("combettes2020/below-product", CUTS, "norms of the layers are not known"),
        ("wang2022/semidefinite-ratio", FREE, "number of hidden layers is not known"),
    ],
)
def test_facts_that_are_missing_are_named(name: str, quantity: Quantity, reason: str) -> None:
    with pytest.raises(OutOfScopeError, match=reason):
        CLAIMS[name].evaluate({}, quantity)


def test_coupled_multipliers_prove_nothing() -> None:
    claim = CLAIMS["fazlyab2019/network"]
    assert claim.status is Status.REFUTED
    assert claim.stronger == "fazlyab2019/neuron"
    first, second = [Fraction(1), Fraction(1)], [Fraction(1), Fraction(-1)]

    def network(x: Fraction) -> Fraction:
        return max(x, Fraction(0)) - max(x - 1, Fraction(0))

    rng = np.random.default_rng(4)
    for rho in (Fraction(1, 100), Fraction(1, 10**8)):
        half = Fraction(1, 2)
        t = [[rho + half, -half], [-half, rho + half]]
        # Sylvester: the principal minors of S are exact.
        s = [[rho, *(-sum(first[k] * t[k][j] for k in range(2)) for j in range(2))]]
        s += [
            [s[0][1 + i], *(2 * t[i][j] - second[i] * second[j] for j in range(2))]
            for i in range(2)
        ]
        for x, u, v in rng.integers(-50, 50, (200, 3)).tolist():
            z = [Fraction(x), Fraction(u), Fraction(v)]
            assert sum(z[i] * s[i][j] * z[j] for i in range(3) for j in range(3)) >= 0
        claimed = claim.evaluate({"coupled_semidefinite[l2->l2]": float(rho) ** 0.5}, LIPSCHITZ)
        assert abs(network(Fraction(1)) - network(Fraction(0))) == 1 > claimed
    weights = [np.ones((2, 1)), np.array([[1.0, -1.0]])]
    assert 1 <= semidefinite_bound(weights).value <= 1 + 1e-5
    assert 1 <= cut_point_bound(weights) <= 1 + 1e-9
    assert 1 <= seqlip_bound(weights).value <= 1 + 1e-5


def test_one_output_is_within_the_root_of_half_pi() -> None:
    rng = np.random.default_rng(6)
    worst, claim = 1.0, CLAIMS["wang2022/semidefinite-ratio"]
    for trial in range(25):
        n = int(rng.integers(2, 9))
        rows = rng.normal(size=(n, 2))
        if trial % 2:
            # Nearly equally spaced directions: free signs cannot align with all of them.
            angles = 2 * np.pi * np.arange(n) / n + rng.normal(size=n) / 50
            rows = np.stack([np.cos(angles), np.sin(angles)], axis=1)
        weights = [rows, np.where(rng.random((1, n)) < 0.5, -1.0, 1.0)]
        facts, free = facts_of(weights), largest_free(weights)
        value = claim.evaluate(facts, FREE)
        assert value <= free * (1 + 1e-12)
        worst = max(worst, value * np.sqrt(np.pi / 2) / free)
    # The relaxation is not exact on these: the claim has something to say.
    assert 1.005 < worst <= np.sqrt(np.pi / 2)
    with pytest.raises(OutOfScopeError, match="1 hidden layers and 10 outputs"):
        claim.evaluate(facts | {"n_outputs": 10}, FREE)
    with pytest.raises(OutOfScopeError, match="2 hidden layers and 1 outputs"):
        claim.evaluate(facts | {"n_hidden_layers": 2}, FREE)


def test_multipliers_of_the_mean_over_cuts() -> None:
    """The multipliers of the proof make the quadratic form positive semidefinite at that value."""
    rng = np.random.default_rng(15)
    for shape in ([2, 3, 2], [3, 5, 4, 2], [2, 3, 4, 3, 1], [4, 4, 4, 4, 4, 4]):
        weights = [rng.normal(size=(after, before)) for before, after in pairwise(shape)]
        m = len(weights)
        reach, t = np.zeros((m + 1, m + 1)), np.zeros(m + 1)
        t[0] = 1.0
        for a in range(m):
            merged = weights[a]
            for b in range(a + 1, m + 1):
                merged = merged if b == a + 1 else weights[b - 1] @ merged
                reach[a, b] = np.linalg.norm(merged, 2) / 2.0 ** (b - max(a, 1))
                t[b] += reach[a, b] * t[a]
        c = np.ones(m + 1)
        for a in range(m - 1, 0, -1):
            c[a] = (c[a + 1 :] * t[a + 1 :] * reach[a, a + 1 :]).sum() / t[a]
        ends = np.cumsum([0, *shape[:-1]])
        form = np.zeros((ends[-1], ends[-1]))
        form[: shape[0], : shape[0]] = t[-1] ** 2 * np.eye(shape[0])
        for k in range(1, m):
            own, before = slice(ends[k], ends[k + 1]), slice(ends[k - 1], ends[k])
            form[own, own] += 4 * c[k] * np.eye(shape[k])
            form[own, before] -= 2 * c[k] * weights[k - 1]
            form[before, own] -= 2 * c[k] * weights[k - 1].T
        form[ends[-2] :, ends[-2] :] -= weights[-1].T @ weights[-1]
        assert np.linalg.eigvalsh(form)[0] >= -1e-10 * np.linalg.norm(form, 2)
        assert t[-1] == pytest.approx(cut_point_bound(weights), rel=1e-8)
        found = semidefinite_bound(weights)
        assert found.lower <= t[-1]
        assert found.lower <= seqlip_bound(weights).value


# Cut points


@pytest.mark.parametrize("p", [1, 2, np.inf])
@pytest.mark.parametrize("shape", SHAPES)
def test_cut_points_against_the_list_of_all_sets(shape: list[int], p: float) -> None:
    weights = random_weights(shape, 7)
    total = 0.0
    for cuts in product((False, True), repeat=len(weights) - 1):
        merged, term = weights[0], 1.0
        for cut, weight in zip(cuts, weights[1:], strict=True):
            if cut:
                term, merged = term * float(np.linalg.norm(merged, p)), weight
            else:
                merged = weight @ merged
        total += term * float(np.linalg.norm(merged, p))
    total /= 2 ** (len(weights) - 1)
    ends = cut_point_sum(weights, p)
    assert ends.lower == pytest.approx(total, rel=1e-11)
    assert ends.upper == pytest.approx(total, rel=1e-8)
    assert ends.lower <= total * (1 + 1e-13)
    assert ends.upper >= total * (1 - 1e-13)
    rng = np.random.default_rng(8)
    for _ in range(20):
        slopes = [rng.random(len(weight)) for weight in weights[:-1]]
        assert np.linalg.norm(jacobian(weights, slopes), p) <= ends.upper


def test_cut_points_of_deep_and_of_degenerate_networks() -> None:
    deep = random_weights([4] * 41, 9)
    ends = cut_point_sum([0.5 * weight for weight in deep])
    products = np.prod([0.5 * float(np.linalg.norm(weight, 2)) for weight in deep])
    assert 0 < ends.lower <= ends.upper <= ends.lower * (1 + 1e-6)
    assert ends.upper < 1e-3 * products
    # Weights whose product is exactly 0: half of the sum is left.
    weights = [np.array([[1.0], [0.0]]), np.array([[0.0, 1.0]])]
    assert cut_point_bound(weights) == pytest.approx(0.5, rel=1e-9)
    assert cut_point_bound([np.zeros((2, 3)), np.ones((1, 2))]) < 1e-300
    # Cancellation: the merged norm is far below its terms, and its rounding is in the bound.
    a = np.array([[1.0, 1.0 + 2.0**-40]])
    weights = [np.array([[1.0], [-1.0]]), a]
    exact = (2.0**-40 + np.sqrt(2) * float(np.linalg.norm(a))) / 2
    assert exact * (1 - 1e-15) <= cut_point_bound(weights) <= exact * (1 + 1e-9)


@pytest.mark.parametrize("p", [1, 2, np.inf])
def test_merged_norms_hold_what_rounding_loses(p: float) -> None:
    big = 2.0**53
    weights = [np.ones((4, 1)), np.array([[big, 1.0, 1.0, -big]])]
    lost = abs(float((weights[1] @ weights[0])[0, 0]) - 2.0)
    assert lost > 0
    merged = _merged_norms(weights, p)[-1]
    assert merged.lower <= 2.0 <= merged.upper


# The split over pairs of layers


def test_split_factors_against_brute_force() -> None:
    for shape in ([3, 4, 5, 2], [5, 3, 4, 4], [2, 5, 1, 3]):
        weights = random_weights(shape, 11)
        u, s, vt = np.linalg.svd(weights[1], full_matrices=False)
        exact = [
            largest_free([weights[0], np.sqrt(s)[:, None] * vt]),
            largest_free([u * np.sqrt(s), weights[2]]),
        ]
        found = seqlip_bound(weights)
        assert np.prod(found.factors) >= found.value * (1 - 1e-14)
        assert found.lower == pytest.approx(np.prod(exact), rel=1e-6)
        for factor, true in zip(found.factors, exact, strict=True):
            assert true * (1 - 1e-12) <= factor <= 1.1 * true
        assert found.lower <= found.value
        assert largest_free(weights) <= found.value <= cut_product(weights)


def cut_product(weights: list[FloatArray]) -> float:
    return float(np.prod([spectral_norm_upper(weight) for weight in weights]))


def test_split_scales_and_survives_singular_weights() -> None:
    weights = random_weights([3, 4, 4, 2], 12)
    plain = seqlip_bound(weights)
    scaled = seqlip_bound([2.0**60 * weights[0], 2.0**-30 * weights[1], weights[2]])
    assert scaled.value == pytest.approx(2.0**30 * plain.value, rel=1e-5)
    rank_one = [weights[0], np.outer([1.0, 2, 3, 4], [1.0, -1, 1, -1]), weights[2]]
    assert largest_free(rank_one) <= seqlip_bound(rank_one).value <= cut_product(rank_one)
    zero = seqlip_bound([weights[0], np.zeros((4, 4)), weights[2]])
    assert zero.value == zero.lower == 0.0
    dead = [np.array([[1.0], [0.0]]), np.array([[0.0, 1.0]])]
    assert seqlip_bound(dead).lower == 0.0
    assert seqlip_bound(dead).value < 1e-3


def test_a_perturbed_factorisation_is_paid_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A decomposition that is wrong makes the bound larger, never smaller than what is true."""
    weights, real = random_weights([3, 4, 4, 2], 13), np.linalg.svd
    rng = np.random.default_rng(0)

    def rough(matrix: FloatArray, full_matrices: bool = True) -> tuple[FloatArray, ...]:
        u, s, vt = real(matrix, full_matrices=full_matrices)
        return (u + 0.01 * rng.normal(size=u.shape), s * 0.9, vt) if s.size == 4 else (u, s, vt)

    free, exact = largest_free(weights), seqlip_bound(weights)
    monkeypatch.setattr("theory.lipschitz.seqlip.np.linalg.svd", rough)
    found = seqlip_bound(weights)
    assert found.value > exact.value
    assert found.value >= free
    assert np.prod(found.factors) >= found.value * (1 - 1e-14)


@pytest.mark.parametrize("bound", [cut_point_bound, seqlip_bound])
def test_bad_weights_are_refused(bound: object) -> None:
    assert callable(bound)
    good = random_weights([3, 4, 2])
    for weights, reason in (
        ([], "at least one"),
        ([good[1], good[0]], "takes"),
        ([good[0], good[1] * np.nan], "finite"),
        ([np.ones(3)], "shape"),
        ([np.full((1, 1), 1e250)] * 2, "beyond"),
    ):
        with pytest.raises(ValueError, match=reason):
            bound(weights)
    with pytest.raises(ValueError, match="p must be 1, 2 or inf, got 3"):
        cut_point_bound(good, 3)
