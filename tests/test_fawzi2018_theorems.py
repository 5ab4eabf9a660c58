"""Corollaries of Theorem 1, Theorems 2 to 4, local moduli and other latents, on real objects."""

import functools
import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from theory.claim import CLAIMS, OutOfScopeError, Quantity
from theory.claims.fawzi2018 import (
    LocalExpansions,
    approximate_generator_equiprobable_mean_bound,
    approximate_generator_mean_bound,
    approximate_generator_survival_bound,
    balanced_cdf_lower_bound,
    cdf_lower_bound,
    cube_transport,
    equiprobable_cdf_lower_bound,
    gaussian_transport,
    local_cdf_lower_bound,
    mean_upper_bound,
    printed_offset,
    projected_unconstrained_lower_bound,
    quantile_upper_bound,
    total_variation_survival_bound,
    transfer_lower_bound,
    transfer_lower_bound_from_unions,
)
from theory.claims.fawzi2018.latents import transport_constant
from theory.claims.fawzi2018.transfer import worst_unions
from theory.latent import largest_convex_sum
from theory.modulus import (
    HoelderModulus,
    LipschitzModulus,
    PiecewiseLinearModulus,
    SampledModulus,
)

IDENTITY, EQUAL = LipschitzModulus(1.0), [0.1] * 10
R_IN, R_LATENT = Quantity("r_in", "l2"), Quantity("r_latent", "l2")
R_DATA, R_JOINT = Quantity("r_unc_data", "l2"), Quantity("r_joint", "l2")

ACCEPTED = [
    (balanced_cdf_lower_bound(2.0, IDENTITY, form="printed"), 0.830382376241955881),
    (balanced_cdf_lower_bound(2.0, IDENTITY), 0.954499736103641586),
    (printed_offset(10), 1.113603831607472863),
    (equiprobable_cdf_lower_bound(1.0, IDENTITY, 10, form="printed"), 0.750379241521217731),
    (mean_upper_bound(IDENTITY, EQUAL), 0.473431753780267599),
    (mean_upper_bound(IDENTITY, [0.9, 0.1]), 1.376237916300653987),
    (
        approximate_generator_equiprobable_mean_bound(IDENTITY, 10, 0.0, form="printed"),
        1.568084793045798940,
    ),
    (1 - approximate_generator_survival_bound(1.0, IDENTITY, EQUAL, 0.01), 0.768197081288209843),
    (transfer_lower_bound(2.0, IDENTITY, EQUAL, 0.01, form="printed"), 0.810382376241955881),
    (cdf_lower_bound(0.5, LipschitzModulus(cube_transport(2.0)), EQUAL), 0.718178719399073571),
    (mean_upper_bound(IDENTITY, [0.2] * 5), 0.558188),
    (mean_upper_bound(IDENTITY, [1e-3] * 1000), 0.276858),
]


@pytest.mark.parametrize(("value", "expected"), ACCEPTED)
def test_accepted_numbers(value: Any, expected: float) -> None:  # noqa: ANN401
    digits = 1e-14 if len(repr(expected)) > 12 else 2e-6
    assert float(value) == pytest.approx(expected, rel=digits)


def test_second_transfer_form_is_below_the_first() -> None:
    # 1 - delta - 2 (1 + delta) Phibar(t) at t = 2, delta = .01, wherever unions are at most 1/2.
    weaker = 1 - 0.01 - 2 * 1.01 * special.ndtr(-2.0)
    assert weaker == pytest.approx(0.944044733464678001, rel=1e-15)
    worst = transfer_lower_bound_from_unions(2.0, IDENTITY, [0.5, 0.5, 0.01], 0.01)
    assert float(worst) >= weaker
    for masses in ([0.1] * 10, [0.49, 0.49, 0.02], [0.3, 0.3, 0.4]):
        assert float(transfer_lower_bound(2.0, IDENTITY, masses, 0.01)) >= weaker


def test_balanced_printed_is_false_without_balance() -> None:
    # A half-space of mass 0.1: the law itself lies below the printed bound.
    law = float(cdf_lower_bound(2.0, IDENTITY, [0.9, 0.1]))
    assert law == pytest.approx(0.763243395876239326, rel=1e-14)
    assert law < float(balanced_cdf_lower_bound(2.0, IDENTITY, form="printed"))


def test_the_distance_stands_in_both_terms_of_the_exponent() -> None:
    # With eta itself in the last term the printed form would exceed the law of g(z) = 100 z.
    omega, rng = LipschitzModulus(100.0), np.random.default_rng(0)
    top = np.sort(rng.standard_normal((100_000, 10)), axis=1)
    law = float((100 * (top[:, -1] - top[:, -2]) / np.sqrt(2) <= 10).mean())
    bare = 1 - np.sqrt(np.pi / 2) * np.exp(-(0.1**2) / 2 - 10 * float(printed_offset(10)))
    assert law == pytest.approx(0.2016, abs=0.005)
    assert float(equiprobable_cdf_lower_bound(10.0, omega, 10, form="printed")) < law < bare


@given(st.integers(5, 10**6), st.floats(0, 30))
def test_order_of_the_forms_of_theorem_1(k: int, t: float) -> None:
    general = float(equiprobable_cdf_lower_bound(t, IDENTITY, k))
    printed = float(equiprobable_cdf_lower_bound(t, IDENTITY, k, form="printed"))
    balanced = float(balanced_cdf_lower_bound(t, IDENTITY))
    assert general >= printed - 1e-12
    assert general >= balanced - 1e-12
    assert balanced >= float(balanced_cdf_lower_bound(t, IDENTITY, form="printed")) - 1e-15


@pytest.mark.parametrize("seed", range(5))
def test_mean_bounds_real_classifiers(seed: int) -> None:
    # Half-spaces through any offset attain it for K = 2; the argmax of coordinates stays below.
    rng = np.random.default_rng(seed)
    c, z = rng.uniform(-1.5, 1.5), rng.standard_normal(400_000)
    p = float(special.ndtr(-c))
    bound = float(mean_upper_bound(IDENTITY, [p, 1 - p]))
    assert np.abs(z - c).mean() == pytest.approx(bound, abs=6 / np.sqrt(z.size))
    k = int(rng.integers(3, 12))
    top = np.sort(rng.standard_normal((40_000, k)), axis=1)
    mean = ((top[:, -1] - top[:, -2]) / np.sqrt(2)).mean()
    assert mean < float(mean_upper_bound(IDENTITY, np.full(k, 1 / k)))


def test_jensen_needs_a_concave_modulus() -> None:
    convex = PiecewiseLinearModulus((0.0, 1.0, 2.0), (0.0, 1.0, 5.0), 4.0)
    for bound in (
        lambda omega: mean_upper_bound(omega, EQUAL),
        lambda omega: approximate_generator_mean_bound(omega, EQUAL, 0.1),
        lambda omega: approximate_generator_equiprobable_mean_bound(omega, 10, 0.1),
    ):
        with pytest.raises(OutOfScopeError, match="not concave; its concave majorant would do"):
            bound(convex)
        assert float(bound(convex.concave_majorant())) > 0
    root = HoelderModulus(2.0, 0.5)
    assert float(mean_upper_bound(root, EQUAL)) == pytest.approx(2 * np.sqrt(0.473431753780267599))


def quadrants(angle: float, z: np.ndarray) -> np.ndarray:
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    x = z @ turn.T
    return (x[:, 0] > 0) * 2 + (x[:, 1] > 0)


@pytest.mark.parametrize("angle", [0.02, 0.1, 0.2])
def test_transfer_between_turned_quadrants(angle: float) -> None:
    # Four classes, one turned: v fools both when it changes both labels; found on a fine grid.
    rng = np.random.default_rng(3)
    z = rng.standard_normal((4000, 2))
    delta = 4 * angle / (2 * np.pi)
    differ = (quadrants(0.0, z) != quadrants(angle, z)).mean()
    assert differ == pytest.approx(delta, abs=0.02)
    for t in (0.5, 1.0, 2.0):
        fooled = np.zeros(len(z), bool)
        for turn, radius in itertools.product(
            np.linspace(0, 2 * np.pi, 73), np.linspace(0.1, 1, 6) * t
        ):
            moved = z + radius * np.array([np.cos(turn), np.sin(turn)])
            fooled |= (quadrants(0.0, moved) != quadrants(0.0, z)) & (
                quadrants(angle, moved) != quadrants(angle, z)
            )
        bound = float(transfer_lower_bound(t, IDENTITY, [0.25] * 4, delta))
        printed = float(transfer_lower_bound(t, IDENTITY, [0.25] * 4, delta, form="printed"))
        assert printed <= bound <= fooled.mean() + 0.03


def kept_mass(t: float, mass: np.ndarray) -> np.ndarray:
    return special.ndtr(special.ndtri(mass) - t)


def test_worst_unions_by_brute_force() -> None:
    rng = np.random.default_rng(6)
    for _ in range(60):
        p = rng.dirichlet(np.full(int(rng.integers(2, 5)), 0.6))
        n, delta, t = int(rng.integers(2, 4)), float(rng.uniform(0, 0.4)), float(rng.uniform(0, 3))
        worst = worst_unions(p, delta, n)
        assert np.all(worst <= p + delta + 1e-15)
        assert worst.sum() <= 1 + (n - 1) * delta + 1e-12
        for _ in range(60):
            extra = rng.uniform(0, 1, p.size) * delta
            extra *= min(1.0, (n - 1) * delta / extra.sum()) if extra.sum() else 1.0
            u = np.minimum(p + extra, 1.0)
            assert kept_mass(t, u).sum() <= kept_mass(t, worst).sum() + 1e-12


def test_more_classifiers_transfer_less() -> None:
    eta = np.linspace(0, 4, 21)
    curves = [
        transfer_lower_bound(eta, IDENTITY, EQUAL, 0.05, n_classifiers=n) for n in (2, 3, 5, 11)
    ]
    for more, fewer in itertools.pairwise(curves[::-1]):
        assert np.all(more <= fewer + 1e-15)
    same = transfer_lower_bound(eta, IDENTITY, EQUAL, 0.0, n_classifiers=7)
    np.testing.assert_allclose(same, cdf_lower_bound(eta, IDENTITY, EQUAL), atol=1e-14)


@pytest.mark.parametrize(
    ("masses", "delta", "classifiers", "reason"),
    [
        ([0.5, 0.5], 0.01, 2, "needs p_i \\+ delta <= 1/2, got 0.51"),
        ([0.6, 0.4], 0.0, 2, "got 0.6"),
        (EQUAL, 0.01, 3, "speaks of two classifiers, got 3"),
    ],
)
def test_printed_transfer_has_hypotheses(
    masses: list[float], delta: float, classifiers: int, reason: str
) -> None:
    with pytest.raises(OutOfScopeError, match=reason):
        transfer_lower_bound(
            1.0, IDENTITY, masses, delta, n_classifiers=classifiers, form="printed"
        )
    assert 0 <= float(transfer_lower_bound(1.0, IDENTITY, masses, delta)) <= 1


def test_printed_forms_have_hypotheses() -> None:
    for k in (2, 3, 4):
        with pytest.raises(OutOfScopeError, match="at least 5 classes"):
            equiprobable_cdf_lower_bound(1.0, IDENTITY, k, form="printed")
        with pytest.raises(OutOfScopeError, match="at least 5 classes"):
            approximate_generator_equiprobable_mean_bound(IDENTITY, k, 0.0, form="printed")
        assert 0 < float(equiprobable_cdf_lower_bound(1.0, IDENTITY, k)) < 1
    with pytest.raises(ValueError, match="form must be 'sharp' or 'printed', got 'exact'"):
        balanced_cdf_lower_bound(1.0, IDENTITY, form="exact")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="at least 2, got 1"):
        equiprobable_cdf_lower_bound(1.0, IDENTITY, 1)


def test_projection_on_curves() -> None:
    # A polygon as range, labels by arc length: the projected classifier against half of r_in.
    rng = np.random.default_rng(8)
    for _ in range(20):
        angles = np.sort(rng.uniform(0, 2 * np.pi, 200))
        radius = 1 + 0.3 * np.sin(3 * angles + rng.uniform(0, 6))
        points = radius[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        labels = (np.arange(200) // int(rng.integers(20, 90))) % 3
        grid = rng.uniform(-2, 2, (3000, 2))
        nearest = np.linalg.norm(grid[:, None] - points, axis=2).argmin(axis=1)
        for index in rng.integers(0, 200, 10):
            x = points[index]
            away = np.linalg.norm(points - x, axis=1)
            r_in = away[labels != labels[index]].min()
            r_unc = np.linalg.norm(grid - x, axis=1)[labels[nearest] != labels[index]].min()
            assert r_unc >= float(projected_unconstrained_lower_bound(r_in)) - 1e-12
    # Two points at distance 1 attain the factor: the projection switches at 1/2.
    assert float(projected_unconstrained_lower_bound(1.0)) == 0.5
    assert float(projected_unconstrained_lower_bound(1.0, 0.2, 0.5)) == pytest.approx(0.32)
    assert float(projected_unconstrained_lower_bound(0.1, 0.2)) == 0.0
    with pytest.raises(ValueError, match=r"slack must be a distance, at least 0, got -1\.0"):
        projected_unconstrained_lower_bound(1.0, slack=-1.0)


def test_survival_of_shifted_data() -> None:
    eta = np.array([0.0, 0.05, 0.5, 1.0, 3.0, np.inf])
    exact = 1 - cdf_lower_bound(eta, IDENTITY, EQUAL)
    np.testing.assert_allclose(
        approximate_generator_survival_bound(eta, IDENTITY, EQUAL, 0.0), exact, atol=1e-15
    )
    tail = approximate_generator_survival_bound(eta, IDENTITY, EQUAL, 0.1)
    assert np.all(tail >= exact - 1e-15)
    assert tail[0] == tail[1] == 1.0
    sup = approximate_generator_survival_bound(eta, IDENTITY, EQUAL, 0.1, order=np.inf)
    shifted = np.where(eta > 0.1, 1 - cdf_lower_bound(np.maximum(eta - 0.1, 0), IDENTITY, EQUAL), 1)
    np.testing.assert_allclose(sup, shifted, atol=1e-15)
    # Every split is valid, so the least of many is never below it.
    for order in (1.0, 2.0, 7.5):
        splits = np.geomspace(0.1, 2.999, 4000)
        brute = 1 - cdf_lower_bound(3.0 - splits, IDENTITY, EQUAL) + (0.1 / splits) ** order
        found = float(approximate_generator_survival_bound(3.0, IDENTITY, EQUAL, 0.1, order))
        assert brute.min() * (1 - 1e-5) <= found <= brute.min() * (1 + 1e-12)
    varied = total_variation_survival_bound(eta, IDENTITY, EQUAL, 0.05)
    np.testing.assert_allclose(varied, np.minimum(exact + 0.05, 1), atol=1e-15)
    with pytest.raises(ValueError, match=r"order must be at least 1, got 0.5"):
        approximate_generator_survival_bound(1.0, IDENTITY, EQUAL, 0.1, 0.5)


def test_shifted_data_on_real_laws() -> None:
    # Data z + e, |e| <= delta, and a half-space: r_unc = |x - c| on the data itself.
    rng, delta, c = np.random.default_rng(9), 0.2, 0.3
    x = rng.standard_normal(200_000) + rng.uniform(-delta, delta, 200_000)
    p = float(special.ndtr(-c))
    radii = np.abs(x - c)
    wasserstein = delta / 2  # E |e|
    limit = float(approximate_generator_mean_bound(IDENTITY, [p, 1 - p], wasserstein))
    assert radii.mean() <= limit
    for eta in (0.3, 1.0, 2.0):
        seen = (radii > eta).mean()
        for order, distance in ((1.0, wasserstein), (2.0, delta / np.sqrt(3)), (np.inf, delta)):
            most = approximate_generator_survival_bound(eta, IDENTITY, [p, 1 - p], distance, order)
            assert seen <= float(most) + 0.005


def test_local_expansions_on_a_real_map() -> None:
    # g(z) = z + 0.2 z^2 sign z in one dimension: no global modulus, but a local one for most z.
    rng, c, t = np.random.default_rng(10), 0.4, 0.5
    g = lambda z: z + 0.2 * z * np.abs(z)  # noqa: E731
    z = rng.standard_normal(200_000)
    expansion = np.maximum(np.abs(g(z + t) - g(z)), np.abs(g(z - t) - g(z)))
    p = float(special.ndtr(-c))
    radii = np.abs(g(z) - g(np.array(c)))
    for level in (0.6, 0.8, 1.0):
        failure = float((expansion > level).mean())
        local = LocalExpansions((t,), (level,), (failure,))
        bound = float(local_cdf_lower_bound(level, local, [p, 1 - p]))
        assert bound <= (radii <= level).mean() + 0.005
        assert float(local_cdf_lower_bound(level * 0.999, local, [p, 1 - p])) == 0.0
    assert bound > 0.1
    for wrong in (((), (), ()), ((1.0, 1.0), (1.0, 2.0), (0.1, 0.1)), ((1.0,), (1.0,), (1.5,))):
        with pytest.raises(ValueError, match=r"failures|equal, non-empty|increase"):
            LocalExpansions(*wrong)


def test_local_claim_widens_with_its_counts() -> None:
    expansions = {"distances": [0.5, 1.0], "expansions": [1.0, 2.5], "failures": [3, 20], "n": 1000}
    facts = {
        "latent_law": "gaussian",
        "class_masses": EQUAL,
        "local_expansions[l2->l2]": expansions,
    }
    law = CLAIMS["fawzi2018/thm1-local-modulus"].evaluate(facts, R_IN, 0.05)
    eta = np.array([0.5, 1.0 + 1e-6, 2.0, 2.5 + 1e-6, 9.0])
    low, high = law.lower(eta), law.upper(eta)
    at_rate = local_cdf_lower_bound(
        eta, LocalExpansions((0.5, 1.0), (1, 2.5), (0.003, 0.02)), EQUAL
    )
    assert np.all(low <= at_rate)
    assert np.all(at_rate <= high)
    assert np.all(np.diff(low) >= 0)
    assert low[0] == 0 < low[1] < low[3]
    assert law.quantile(0.5) == pytest.approx(1.0, rel=1e-6)
    assert law.quantile(0.99) == np.inf
    fine = np.linspace(0.999, 1.001, 100_001)
    assert np.all(law.lower(fine) <= law.upper(fine) + 1e-15)
    with pytest.raises(OutOfScopeError, match="local expansion of the generator is not known"):
        CLAIMS["fawzi2018/thm1-local-modulus"].evaluate(
            {"latent_law": "gaussian", "class_masses": EQUAL}, R_IN, 0.05
        )


def test_other_latents_on_real_laws() -> None:
    rng, n = np.random.default_rng(11), 100_000
    # Uniform on [-1, 1]^2, a slab; N(0, diag(9, 1)) and a half-space; |z| <= 1.5 truncated.
    u = rng.uniform(-1, 1, (n, 2))
    z = rng.standard_normal((4 * n, 2))
    inside = z[np.linalg.norm(z, axis=1) < 1.5][:n]
    for points, constant in (
        (u, transport_constant({"law": "uniform", "low": -1, "high": 1})),
        (z[:n] * [3, 1], transport_constant({"law": "gaussian", "covariance": [9.0, 1.0]})),
        (inside, transport_constant({"law": "truncated_gaussian"})),
    ):
        for c in (0.0, 0.4):
            p = float((points[:, 0] > c).mean())
            for eta in (0.2, 0.6, 1.2):
                law = (np.abs(points[:, 0] - c) <= eta).mean()
                bound = float(cdf_lower_bound(eta, LipschitzModulus(constant), [p, 1 - p]))
                assert bound <= law + 0.01
    assert gaussian_transport([[2.0, 1.0], [1.0, 2.0]]) == pytest.approx(np.sqrt(3))
    for wrong in ([[1.0, 2.0], [0.0, 1.0]], [-1.0], [], [[np.nan]]):
        with pytest.raises(ValueError, match="covariance must"):
            gaussian_transport(wrong)
    with pytest.raises(OutOfScopeError, match="'cauchy' is known"):
        transport_constant({"law": "cauchy"})
    with pytest.raises(ValueError, match="side must be positive"):
        cube_transport(0.0)


def test_chords_bound_every_convex_sum_over_the_box() -> None:
    rng = np.random.default_rng(12)
    for _ in range(60):
        k = int(rng.integers(2, 6))
        p = rng.dirichlet(np.ones(k))
        lower, upper = np.maximum(p - rng.uniform(0, 0.2, k), 0), np.minimum(p + 0.1, 1)
        t = float(rng.uniform(0, 3))
        kernel = functools.partial(kept_mass, t)
        chords = float(largest_convex_sum(kernel, lower, upper))
        vertices = []
        # Every vertex of the box cut by the simplex has at most one mass strictly between limits.
        for free, ends in itertools.product(range(k), itertools.product((0, 1), repeat=k - 1)):
            masses = np.insert(
                np.where(ends, np.delete(upper, free), np.delete(lower, free)), free, 0
            )
            masses[free] = 1 - masses.sum()
            if lower[free] - 1e-12 <= masses[free] <= upper[free] + 1e-12:
                vertices.append(float(kernel(np.clip(masses, 0, 1)).sum()))
        assert max(vertices) <= chords + 1e-12
        # Only the one free mass pays for the chord.
        assert chords <= max(vertices) + 0.1


def facts(**changes: object) -> dict[str, Any]:
    known: dict[str, Any] = {
        "latent_law": "gaussian",
        "class_masses": EQUAL,
        "moduli[l2->l2]": [LipschitzModulus(2.0), SampledModulus((1.0,), (1.0,))],
        "disagreement": 0.01,
        "wasserstein_1": 0.05,
        "total_variation": 0.02,
        "projection_slack": 0.0,
    } | changes
    return {name: value for name, value in known.items() if value is not None}


COUNTS = {"class_masses": None, "class_counts": [700, 200, 100]}
OUT_OF_SCOPE = [
    ("thm1-balanced", R_IN, COUNTS, "a class may have more than half of the mass: 0.7"),
    ("thm1-balanced-sharp", R_IN, {"class_masses": [0.6, 0.4]}, "more than half of the mass: 0.6"),
    ("thm1-equiprobable", R_IN, COUNTS, "no count can prove them"),
    ("thm1-equiprobable", R_IN, {"class_masses": [0.25] * 4}, "at least 5 classes, got 4"),
    ("thm1-equiprobable-sharp", R_IN, {"class_masses": [0.6, 0.4]}, "not equal: 0.4 to 0.6"),
    ("thm1-mean", R_IN, {"moduli[l2->l2]": None}, "no certified modulus"),
    (
        "thm1-mean",
        R_IN,
        {"moduli[l2->l2]": [PiecewiseLinearModulus((0.0, 1.0), (0.0, 1.0), 3.0)]},
        "not concave",
    ),
    ("thm1-other-latents", R_IN, {}, "Theorem 1 itself applies"),
    ("thm1-other-latents", R_IN, {"latent_law": "cauchy"}, "'cauchy' is known"),
    ("thm3", R_JOINT, {"disagreement": None}, "disagreement of the classifiers is not known"),
    ("thm3", R_JOINT, {"class_masses": [0.5, 0.5]}, "may exceed 1/2: 0.51"),
    ("thm3-sharp", R_JOINT, {"latent_law": "uniform"}, "not N"),
    ("thm4", R_DATA, {"wasserstein_1": None}, "proved Wasserstein distance to the data is not"),
    ("thm4-equiprobable", R_DATA, {"class_masses": [0.6, 0.4]}, "not equal"),
    ("thm4-tail", R_DATA, {"wasserstein_1": None}, "Wasserstein distance to the data is not known"),
    ("thm4-total-variation", R_DATA, {"total_variation": None}, "total variation distance"),
]


@pytest.mark.parametrize(("name", "quantity", "changes", "reason"), OUT_OF_SCOPE)
def test_hypotheses_that_fail_are_named(
    name: str, quantity: Quantity, changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(OutOfScopeError, match=reason):
        CLAIMS[f"fawzi2018/{name}"].evaluate(facts(**changes), quantity, 0.05)


def test_pointwise_claims_say_when_they_apply() -> None:
    exact, slack = CLAIMS["fawzi2018/thm2"], CLAIMS["fawzi2018/thm2-slack"]
    assert float(exact.evaluate(facts())(1.0)) == 0.5
    assert float(slack.evaluate(facts(projection_slack=0.5))(1.0)) == 0.25
    with pytest.raises(OutOfScopeError, match="gap is positive"):
        exact.evaluate(facts(projection_slack=0.5))
    with pytest.raises(OutOfScopeError, match="no gap of the projection is proved"):
        slack.evaluate(facts(projection_slack=None))


@pytest.mark.parametrize(
    "name", ["thm1-balanced", "thm1-mean", "thm3", "thm3-sharp", "thm4", "thm1-local-modulus"]
)
def test_counted_masses_widen_both_ends(name: str) -> None:
    claim = CLAIMS[f"fawzi2018/{name}"]
    known = facts(
        **{
            "local_expansions[l2->l2]": {
                "distances": [1.0],
                "expansions": [2.0],
                "failures": [0],
                "n": 9,
            }
        }
    )
    counted = known | {"class_counts": [100] * 10}
    del counted["class_masses"]
    quantity = claim.quantities[-1]
    exact, wide = (claim.evaluate(given, quantity, 0.05) for given in (known, counted))
    eta = np.array([0.5, 1.0, 2.0, 3.0])
    if name in ("thm1-mean", "thm4"):
        assert wide.lower <= exact.lower <= exact.upper < wide.upper
    else:
        assert np.all(wide.lower(eta) <= exact.lower(eta))
        assert np.all(exact.upper(eta) <= wide.upper(eta) + 1e-15)


def test_disagreement_may_be_counted() -> None:
    claim = CLAIMS["fawzi2018/thm3-sharp"]
    exact = claim.evaluate(facts(), R_JOINT, 0.05)
    seen = {"disagreement": None, "disagreement_counts": {"different": 20, "n": 2000}}
    counted = claim.evaluate(facts(**seen), R_JOINT, 0.05)
    eta = np.linspace(0, 8, 33)
    assert np.all(counted.lower(eta) <= exact.lower(eta))
    assert np.all(exact.upper(eta) <= counted.upper(eta) + 1e-12)
    assert counted.lower(eta).max() < exact.lower(eta).max()


def test_extreme_quantiles() -> None:
    # Tiny probabilities beside tiny classes.
    for q, p in itertools.product(
        (5e-324, 1e-200, 1e-12), ([1 - 1e-15, 1e-15], [1e-200, 1.0], EQUAL)
    ):
        at = float(quantile_upper_bound(q, IDENTITY, p))
        assert at >= 0
        if 0 < at < np.inf:
            assert float(cdf_lower_bound(at, IDENTITY, p)) == pytest.approx(q, rel=1e-9, abs=1e-320)
