"""Sphere, cube and product spaces against 50-digit series, exact examples and simulation."""

import math
from collections.abc import Callable

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from theory.concentration import (
    HammingForm,
    cap_angle,
    cap_mass,
    cube_enlargement,
    cube_enlargement_distance,
    cube_log_survival,
    hamming_enlargement,
    hamming_enlargement_count,
    hamming_log_survival,
    log_cap_mass,
    sphere_enlargement,
    sphere_enlargement_angle,
    sphere_log_survival,
)

DIGITS = 50
FORMS: tuple[HammingForm, ...] = ("mcdiarmid", "talagrand")


def exact_series(first: mp.mpf, square: mp.mpf, n: int, start: int) -> mp.mpf:
    """first (1 + square n/start (1 + square (n+2)/(start+2) (1 + ...))), in whole-number steps."""
    bits = mp.mp.prec + 40
    factor, term, total, k = int(mp.ldexp(square, bits)), 1 << bits, 0, 0
    while term:
        total += term
        term = (term * factor >> bits) * (n + 2 * k) // (start + 2 * k)
        k += 1
    return first * mp.ldexp(total, -bits)


def exact_length(theta: mp.mpf, n: int) -> mp.mpf:
    """int_0^theta sin^(n-2) / sin^(n-2) theta for theta <= pi/2, by one of two positive series."""
    sine, cosine = mp.sin(theta), mp.cos(theta)
    lost = -n * float(mp.log10(sine))
    if lost > 1000 or cosine**2 > 0.5:
        return exact_series(sine * cosine / (n - 1), sine**2, n, n + 1)
    # Half of the sphere less a zone about the equator: as many digits cancel as it is small.
    with mp.extradps(int(lost) + 10):
        sine, cosine = mp.sin(theta), mp.cos(theta)
        zone = exact_series(cosine * sine ** (n - 1), cosine**2, n, 3)
        half = mp.beta(mp.mpf(n - 1) / 2, mp.mpf(1) / 2) / 2
        return (half - zone) / sine ** (n - 2)


def exact_log_cap(theta: mp.mpf, n: int) -> mp.mpf:
    if theta > mp.pi / 2:
        return mp.log1p(-mp.exp(exact_log_cap(mp.pi - theta, n)))
    whole = mp.beta(mp.mpf(n - 1) / 2, mp.mpf(1) / 2)
    return (n - 2) * mp.log(mp.sin(theta)) + mp.log(exact_length(theta, n) / whole)


def exact_cap_angle(mass: float, n: int) -> mp.mpf:
    """The inverse: Newton steps in 50 digits from the 16 of the answer in question."""
    small = min(mp.mpf(mass), 1 - mp.mpf(mass))
    theta = mp.mpf(float(cap_angle(float(small), n)))
    for _ in range(5):
        missing = mp.log(small) - exact_log_cap(theta, n)
        theta += missing * exact_length(theta, n)
        if abs(missing) < mp.mpf(10) ** -20:
            return theta if mass <= 0.5 else mp.pi - theta
    raise AssertionError(f"no convergence at {mass}, {n}")


def exact_offset(mass: float) -> mp.mpf:
    """Phi^-1(mass) by Newton steps on the logarithm of the smaller tail."""
    small = min(mp.mpf(mass), 1 - mp.mpf(mass))
    x = mp.mpf(special.ndtri(float(small)))
    for _ in range(3):
        x -= (mp.log(mp.ncdf(x)) - mp.log(small)) * mp.ncdf(x) / mp.npdf(x)
    return x if mass <= 0.5 else -x


def relative_error(seen: float, exact: mp.mpf) -> float:
    return abs(float((mp.mpf(float(seen)) - exact) / exact)) if exact else abs(float(seen))


def random_masses(rng: np.random.Generator, count: int) -> list[float]:
    masses = [10 ** rng.uniform(-300, -1, count), 10 ** rng.uniform(-5, -0.1, count)]
    masses += [np.minimum(1 - 10 ** rng.uniform(-16, -1, count), 1 - 2.0**-53)]
    return [float(mass) for mass in np.concatenate(masses)]


def test_oracle_against_closed_forms_and_quadrature() -> None:
    with mp.workdps(DIGITS):
        for t in (mp.mpf("1e-9"), mp.mpf("0.7"), mp.mpf("1.2"), mp.mpf("2.5")):
            closed = {
                2: t / mp.pi,
                3: (1 - mp.cos(t)) / 2,
                4: (2 * t - mp.sin(2 * t)) / (2 * mp.pi),
            }
            for n, mass in closed.items():
                assert relative_error(1.0, mp.exp(exact_log_cap(t, n)) / mass) < 1e-16, (t, n)
        for t, n in ((0.3, 41), (1.1, 300), (1.5, 5000), (1.53, 200_000)):
            points = [t * (1 - mp.mpf(2) ** -k) for k in range(16)]
            seen = mp.quad(lambda u, t=t, n=n: (mp.sin(u) / mp.sin(t)) ** (n - 2), [*points, t])
            assert abs(seen / exact_length(mp.mpf(t), n) - 1) < 1e-20, (t, n)


def test_cap_and_its_inverse_are_exact_to_a_million_dimensions() -> None:
    # Worst seen over 24000 other draws: 4.5e-13 (mass and its logarithm), 6e-14 (angle).
    rng = np.random.default_rng(1)
    with mp.workdps(DIGITS):
        for i, mass in enumerate(random_masses(rng, 30)):
            n = int(2 + 10 ** rng.uniform(0, 6)) if i % 3 else int(rng.integers(2, 40))
            exact = exact_cap_angle(mass, n)
            assert relative_error(cap_angle(mass, n), exact) < 2e-13, (mass, n)
            for t in (min(float(exact), np.pi), 10 ** rng.uniform(-12, 0), rng.uniform(0, np.pi)):
                log_mass = exact_log_cap(mp.mpf(t), n)
                if log_mass < -1e-300:
                    assert relative_error(log_cap_mass(t, n), log_mass) < 1e-12, (t, n)
                if log_mass > -690:
                    assert relative_error(cap_mass(t, n), mp.exp(log_mass)) < 1e-12, (t, n)


def test_sphere_enlargement_and_survival_are_exact() -> None:
    # Worst seen over 24000 other draws: 4e-13 and 7e-13, both where n is some thousands.
    rng = np.random.default_rng(2)
    seen_in_tail = 0
    with mp.workdps(DIGITS):
        for i, mass in enumerate(random_masses(rng, 30)):
            n = int(2 + 10 ** rng.uniform(0, 6)) if i % 3 else int(rng.integers(2, 40))
            theta = exact_cap_angle(mass, n)
            to_a_tail = float(mp.pi - theta - exact_cap_angle(10 ** rng.uniform(-300, -1), n))
            for t in (max(to_a_tail, 0.0), 10 ** rng.uniform(-12, 0.4), rng.uniform(0, 3.0)):
                end = theta + mp.mpf(t)
                if end >= mp.pi:
                    assert float(sphere_enlargement(mass, t, n)) == 1.0
                    continue
                enlarged, left = exact_log_cap(end, n), exact_log_cap(mp.pi - end, n)
                seen = float(sphere_log_survival(mass, t, n))
                error = relative_error(sphere_enlargement(mass, t, n), mp.exp(enlarged))
                assert error < 1e-12, (mass, t, n)
                rest = min(mp.pi - end, mp.pi / 2)
                own = exact_length(min(theta, mp.pi - theta), n)
                # The share of a relative error of the mass that the survival must have.
                narrow = float(own / exact_length(rest, n)) if end > mp.pi / 2 else 0.0
                allowed = 6e-13 * (1 + narrow)
                if left < -1e-300 and allowed < 1e-3:
                    assert relative_error(seen, left) < allowed, (mass, t, n)
                if left > -690 and allowed < 1e-3:
                    seen_in_tail += float(left) < -20
                    assert relative_error(np.exp(seen), mp.exp(left)) < allowed, (mass, t, n)
    assert seen_in_tail > 40


def test_cube_is_exact() -> None:
    # Worst seen over 18000 other draws: 6e-13; 1.4e-12 in tails of 1e-240 where 1 / p is rounded.
    rng = np.random.default_rng(3)
    orders = (0.3, 0.5, 1.0, 1.5, 2.0, 3.0, np.inf)
    with mp.workdps(DIGITS):
        for mass in random_masses(rng, 60):
            n, p = int(10 ** rng.uniform(0, 6)), orders[rng.integers(7)]
            scale = float(n) ** (1 / min(p, 2.0) - 0.5)
            d = scale * (10 ** rng.uniform(-12, 0) if rng.random() < 0.3 else rng.uniform(0, 15))
            exponent = mp.mpf(1) / 2 - 1 / mp.mpf(min(p, 2.0))
            end = exact_offset(mass) + mp.sqrt(2 * mp.pi) * mp.mpf(n) ** exponent * mp.mpf(d)
            enlarged, left = mp.ncdf(end), mp.ncdf(-end)
            exact = mp.log(left) if left < 0.5 else mp.log1p(-enlarged)
            log_left = float(cube_log_survival(mass, d, n, p))
            assert relative_error(cube_enlargement(mass, d, n, p), enlarged) < 1e-12, (mass, d)
            assert relative_error(log_left, exact) < 1e-12, (mass, d, n, p)
            if left > 1e-300:
                allowed = 1e-12 if p >= 2 else 3e-12
                assert relative_error(np.exp(log_left), left) < allowed, (mass, d, n, p)


def test_hamming_is_exact() -> None:
    rng = np.random.default_rng(4)
    with mp.workdps(DIGITS):
        for mass in random_masses(rng, 60):
            n = int(10 ** rng.uniform(0, 6))
            k = int(min(n - 1, rng.uniform(0, 40) * np.sqrt(n)))
            surprise = -mp.log(mp.mpf(mass))
            over = max(k + 1 - mp.sqrt(n * surprise / 2), mp.mpf(0))
            tails = (-2 * over**2 / n, surprise - mp.mpf(k + 1) ** 2 / n)
            for form, tail in zip(FORMS, tails, strict=True):
                log_left = min(tail, mp.log1p(-mp.mpf(mass)))
                seen = float(hamming_log_survival(mass, k, n, form))
                enlarged = float(hamming_enlargement(mass, k, n, form))
                # Near its zero an exponent is, or squares, a difference of rounded terms.
                terms, gap = (k + 1, over) if form == "mcdiarmid" else ((k + 1) ** 2 / n, tail)
                blur = 2e-15 * terms / abs(float(gap or 1))
                assert relative_error(seen, log_left) < 1e-12 + blur, (mass, k, n)
                assert relative_error(enlarged, -mp.expm1(log_left)) < 1e-12 + blur, (mass, k, n)
                if log_left > -690:
                    error = relative_error(np.exp(seen), mp.exp(log_left))
                    assert error < 1e-12, (mass, k, n, form)


BALL = sum(math.comb(100, w) for w in range(51)) / 2**100
ACCEPTED = [
    (lambda: sphere_enlargement(0.5, 0.1, 784), 0.997442157629574033),
    (lambda: cube_enlargement(0.5, 1.0, 784), 0.993905558907598557),
    (lambda: cube_enlargement(0.5, 1.0, 784, np.inf), 0.993905558907598557),
    (lambda: cube_enlargement(0.5, 28.0, 784, 1.0), 0.993905558907598557),
    # Printed for the tail at 80, which is what 79 changes leave; 80 changes leave the tail at 81.
    (lambda: hamming_enlargement(0.5, 79, 784), 0.999966083892919060),
    (lambda: hamming_enlargement(0.5, 79, 784, "talagrand"), 0.999430139022246862),
    (lambda: 1 - hamming_enlargement(0.5, 80, 784, "talagrand"), 2 * math.exp(-(81**2) / 784)),
]


@pytest.mark.parametrize(("value", "expected"), ACCEPTED)
def test_accepted_numbers(value: Callable[[], float], expected: float) -> None:
    assert float(value()) == pytest.approx(expected, rel=2e-12 if expected < 0.1 else 2e-15)


def test_accepted_numbers_for_half_of_a_hypercube() -> None:
    exact = sum(math.comb(100, w) for w in range(70, 101)) / 2**100
    bounds = [float(np.exp(hamming_log_survival(BALL, 19, 100, form))) for form in FORMS]
    assert exact == pytest.approx(3.925e-5, abs=5e-9)
    assert bounds == pytest.approx([0.01538, 0.03393], abs=5e-6)
    more = float(np.exp(hamming_log_survival(BALL, 20, 100)))
    assert exact < more < bounds[0]


def test_mcdiarmid_is_never_below_talagrand() -> None:
    rng = np.random.default_rng(5)
    n = np.rint(10 ** rng.uniform(0, 6, 20_000))
    k = np.floor(n ** rng.uniform(0, 1, n.size))
    mass = np.concatenate([10 ** rng.uniform(-300, 0, n.size // 2), rng.random(n.size // 2)])
    mcdiarmid, talagrand = (hamming_log_survival(mass, k, n, form) for form in FORMS)
    # They touch at k + 1 = sqrt(2 n log(1/mass)), where rounding decides.
    assert np.all(mcdiarmid <= talagrand + 1e-12 * (1 + k**2 / n - np.log(mass)))
    assert np.mean(mcdiarmid < talagrand) > 0.25


@pytest.mark.parametrize("n", [1, 2, 9, 30, 101])
def test_hamming_balls_of_the_uniform_cube(n: int) -> None:
    # By Harper's theorem no set of their measure has a smaller enlargement.
    mass = np.cumsum([math.comb(n, w) for w in range(n + 1)]) / 2**n
    for k in range(n + 1):
        exact = np.minimum(mass[np.minimum(np.arange(n + 1) + k, n)], 1.0)
        for form in FORMS:
            bound = hamming_enlargement(np.minimum(mass, 1.0), k, n, form)
            assert np.all(exact >= bound - 1e-14), (k, form)


@pytest.mark.parametrize("bias", [0.5, 0.9, 0.02])
def test_every_set_in_four_bits(bias: float) -> None:
    points = np.arange(16)
    sets = ((np.arange(1 << 16)[:, None] >> points) & 1).astype(bool)
    weight = np.array([point.bit_count() for point in range(16)])
    measure = bias**weight * (1 - bias) ** (4 - weight)
    mass, near = np.minimum(sets @ measure, 1.0), sets
    for k in range(5):
        enlarged = near @ measure
        for form in FORMS:
            assert np.all(enlarged >= hamming_enlargement(mass, k, 4, form) - 1e-14), (k, form)
        near = near | np.any([near[:, points ^ (1 << bit)] for bit in range(4)], axis=0)


@pytest.mark.parametrize("n", [2, 3, 8, 40])
def test_unions_of_caps_by_simulation(n: int) -> None:
    rng, size = np.random.default_rng(n), 20_000
    points, centres = rng.standard_normal((size, n)), rng.standard_normal((6, n))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    radii = cap_angle(rng.uniform(0.001, 0.1, 6), n)
    distance = (np.arccos(np.clip(points @ centres.T, -1, 1)) - radii).min(axis=1)
    mass = np.mean(distance <= 0)
    least_mass = mass - 4.5 * np.sqrt(mass * (1 - mass) / size)
    for t in (0.01, 0.1, 0.3, 1.0):
        seen, bound = np.mean(distance <= t), float(sphere_enlargement(least_mass, t, n))
        assert seen > bound - 4.5 * np.sqrt(bound * (1 - bound) / size), t


def test_caps_attain_the_bound_on_spheres() -> None:
    r, t, n = np.array([0.3, 1.0, 1.5]), np.linspace(0, 1.6, 9)[:, None], np.array([2, 20, 500])
    attained = sphere_enlargement(cap_mass(r, n), t, n)
    np.testing.assert_allclose(attained, cap_mass(r + t, n), rtol=1e-12)


def test_boxes_in_a_cube() -> None:
    rng = np.random.default_rng(6)
    for n in (1, 2, 5, 30):
        ends = np.sort(rng.uniform(0, 1, (500, 2, n)) ** (1 / n), axis=1)
        ends[::2, 0] = 0.0
        volume = np.prod(ends[:, 1] - ends[:, 0], axis=1)
        for d in (1e-3, 0.03, 0.1, 0.4):
            sides = np.minimum(ends[:, 1] + d, 1) - np.maximum(ends[:, 0] - d, 0)
            bound = cube_enlargement(volume, d, n, np.inf)
            assert np.all(np.prod(sides, axis=1) >= bound - 1e-14), (n, d)


@pytest.mark.parametrize("n", [1, 2, 6, 12])
def test_corners_of_a_cube_in_l1(n: int) -> None:
    # {sum x <= s} and its l_1 enlargement {sum x <= s + d} have the volumes of Irwin and Hall.
    def volume(s: float) -> float:
        terms = [(-1) ** k * math.comb(n, k) * max(s - k, 0.0) ** n for k in range(n + 1)]
        return min(math.fsum(terms) / math.factorial(n), 1.0)

    for s in np.linspace(0.3, n / 2, 5):
        for d in (0.01, 0.2, 1.0, n / 3):
            assert volume(s + d) >= float(cube_enlargement(volume(s), d, n, 1.0)) - 1e-12


def test_half_of_the_cube_attains_the_bound_at_first_order() -> None:
    # {x_1 <= 1/2} grows by d; what the bound lacks is of third order.
    grown = cube_enlargement(0.5, 1e-3, 784, [2.0, np.inf]) - 0.5
    np.testing.assert_allclose(grown, 1e-3, rtol=2e-6)
    assert np.all(grown < 1e-3)


def test_spheres_become_gaussian_in_the_limit() -> None:
    mass, t = np.array([1e-6, 0.1, 0.5, 0.99]), np.array([[0.1], [1.0], [4.0]])
    gauss = special.ndtr(special.ndtri(mass) + t)
    errors = []
    for n in (10**3, 10**5, 10**7):
        gap = sphere_enlargement(mass, t / np.sqrt(n), n) - gauss
        errors.append(np.abs(gap).max() * n)
    np.testing.assert_allclose(errors, errors[-1], rtol=0.05)


def test_inverses_go_round() -> None:
    rng = np.random.default_rng(7)
    mass, goal = (np.array(random_masses(rng, 100)) for _ in range(2))
    goal, n = rng.permutation(goal), np.rint(10 ** rng.uniform(0.4, 6, mass.size))
    p = rng.choice([0.4, 1.0, 1.7, 2.0, np.inf], mass.size)
    grows = goal > mass
    assert 100 < grows.sum() < 250
    angle = sphere_enlargement_angle(goal, mass, n)
    distance = cube_enlargement_distance(goal, mass, n, p)
    assert np.all((angle > 0) == grows)
    assert np.all((distance > 0) == grows)
    for seen in (sphere_enlargement(mass, angle, n), cube_enlargement(mass, distance, n, p)):
        np.testing.assert_allclose(seen, np.maximum(goal, mass), rtol=1e-12)
    seen = log_cap_mass(cap_angle(mass, n), n)[mass < 0.9]
    np.testing.assert_allclose(seen, np.log(mass[mass < 0.9]), rtol=2e-13)


@pytest.mark.parametrize("form", FORMS)
def test_count_is_the_least(form: HammingForm) -> None:
    rng = np.random.default_rng(8)
    mass, goal = np.array(random_masses(rng, 100)), rng.uniform(0, 1, 300)
    goal[:100] = 1 - 10 ** rng.uniform(-15, -1, 100)
    for n in (1, 2, 17, 784):
        survival = hamming_log_survival(mass[:, None], np.arange(n + 1), n, form)
        expected = np.argmax(survival <= np.log1p(-goal)[:, None], axis=1)
        np.testing.assert_array_equal(hamming_enlargement_count(goal, mass, n, form), expected)
    assert float(hamming_enlargement_count(1.0, 0.5, 10**6, form)) == 10**6
    np.testing.assert_array_equal(
        hamming_enlargement_count([0.0, 0.1, 0.0, 0.5], [0.0, 0.0, 0.3, 0.5], 9, form),
        [0, np.inf, 0, 0],
    )


UNIT = st.floats(1e-300, 1 - 2.0**-53)
SLACK = 1 + 1e-12


@given(
    masses=st.tuples(UNIT, UNIT).map(sorted),
    angles=st.tuples(st.floats(0, 3.5), st.floats(0, 3.5)).map(sorted),
    n=st.integers(2, 10**6),
)
def test_sphere_is_monotone(masses: list[float], angles: list[float], n: int) -> None:
    seen = sphere_enlargement(np.array(masses)[:, None], angles, n)
    assert np.all(seen[0] <= seen[1] * SLACK)
    assert np.all(seen[:, 0] <= seen[:, 1] * SLACK)
    assert np.all((seen >= np.array(masses)[:, None]) & (seen <= 1))
    # From one half on, a cap reaches more of a sphere of more dimensions.
    assert float(sphere_log_survival(0.5, angles[0], n + 1)) <= 1e-9 + float(
        sphere_log_survival(0.5, angles[0], n)
    )
    assert float(sphere_enlargement_angle(masses[1], masses[0], n)) >= 0


@given(
    masses=st.tuples(UNIT, UNIT).map(sorted),
    distances=st.tuples(st.floats(0, 20), st.floats(0, 20)).map(sorted),
    orders=st.tuples(st.floats(0.01, 5), st.floats(0.01, 5)).map(sorted),
    n=st.integers(1, 10**6),
)
def test_cube_is_monotone(
    masses: list[float], distances: list[float], orders: list[float], n: int
) -> None:
    mass, d = masses[0], distances[0]
    for more, less in (
        (cube_enlargement(masses[1], d, n), cube_enlargement(mass, d, n)),
        (cube_enlargement(mass, distances[1], n), cube_enlargement(mass, d, n)),
        (cube_enlargement(mass, d, n, orders[1]), cube_enlargement(mass, d, n, orders[0])),
        (cube_enlargement(mass, d, n, orders[0]), cube_enlargement(mass, d, n + 1, orders[0])),
        (cube_enlargement(mass, d, n, orders[0]), mass),
    ):
        assert float(less) <= float(more) * SLACK


@given(
    masses=st.tuples(UNIT, UNIT).map(sorted),
    k=st.integers(0, 5000),
    n=st.integers(1, 10**6),
    form=st.sampled_from(FORMS),
)
def test_hamming_is_monotone(masses: list[float], k: int, n: int, form: HammingForm) -> None:
    seen = float(hamming_enlargement(masses[0], k, n, form))
    assert seen <= float(hamming_enlargement(masses[1], k, n, form))
    assert seen <= float(hamming_enlargement(masses[0], k + 1, n, form))
    assert seen * SLACK >= float(hamming_enlargement(masses[0], k, n + 1, form))
    assert masses[0] <= seen <= 1


def test_no_mass_and_all_mass_and_endless_distance() -> None:
    mass, far = np.array([0.0, 0.3, 1.0]), np.array([[0.0], [np.inf]])
    whole = [[0, 0.3, 1], [0, 1, 1]]
    left = np.array([[0, np.log1p(-0.3), -np.inf], [0, -np.inf, -np.inf]])
    for n in (2, 1000):
        np.testing.assert_allclose(sphere_enlargement(mass, far, n), whole, rtol=1e-15)
        np.testing.assert_allclose(sphere_log_survival(mass, far, n), left, rtol=1e-15)
        for p in (1e-320, 0.1, 2.0, np.inf):
            np.testing.assert_allclose(cube_enlargement(mass, far, n, p), whole, rtol=1e-15)
            np.testing.assert_allclose(cube_log_survival(mass, far, n, p), left, rtol=1e-15)
        np.testing.assert_array_equal(hamming_enlargement(mass, n, n), [0, 1, 1])
        np.testing.assert_array_equal(hamming_log_survival(mass, n + 3, n), [0, -np.inf, -np.inf])
    np.testing.assert_array_equal(cap_mass([0.0, np.pi], 7), [0, 1])
    np.testing.assert_array_equal(cap_angle([0.0, 1.0], 7), [0, np.pi])
    goals = np.array([[0.0], [0.5], [1.0]])
    never = [[0, 0, 0], [np.inf, 0, 0], [np.inf, 0, 0]]
    angle = sphere_enlargement_angle(goals, [0.0, 0.5, 1.0], 3)
    np.testing.assert_allclose(angle, [*never[:2], [np.inf, np.pi / 2, 0]], rtol=1e-15)
    distance = cube_enlargement_distance(goals, [0.0, 0.5, 1.0], 3, 1e-320)
    np.testing.assert_array_equal(distance, [*never[:2], [np.inf, np.inf, 0]])


def test_complement_gives_the_digits_that_a_mass_near_one_lost() -> None:
    narrow = np.pi - cap_angle(1.0, 50, complement=1e-40)
    assert float(narrow) == pytest.approx(float(cap_angle(1e-40, 50)), rel=1e-14)


def test_caps_too_narrow_for_their_lengths_to_be_floats() -> None:
    n = np.array([2, 3, 1000, 2**53])
    wide, narrow = log_cap_mass(1e-200, n), log_cap_mass(1e-310, n)
    np.testing.assert_allclose(narrow, wide + (n - 1.0) * np.log(1e-310 / 1e-200), rtol=1e-12)
    assert float(cap_mass(np.pi * 1e-310, 2)) == pytest.approx(1e-310, rel=1e-12)
    np.testing.assert_array_equal(sphere_enlargement([5e-324, 1e-320], 0.0, 2), [5e-324, 1e-320])


def test_arguments_broadcast() -> None:
    mass, t, n = np.full((3, 1, 1), 0.5), np.full((4, 1), 0.1), np.array([2, 3])
    for function in (sphere_enlargement, sphere_log_survival, cube_enlargement, cube_log_survival):
        assert function(mass, t, n).shape == (3, 4, 2)
    for inverse in (
        sphere_enlargement_angle,
        cube_enlargement_distance,
        hamming_enlargement_count,
    ):
        assert inverse(mass, np.full((4, 1), 0.2), n).shape == (3, 4, 2)
    assert hamming_enlargement(mass, np.ones((4, 1)), n).shape == (3, 4, 2)
    assert cap_mass(t, n).shape == cap_angle(t, n).shape == (4, 2)
    assert hamming_enlargement_count(np.zeros(0), 0.5, 3).shape == (0,)
    assert sphere_enlargement(np.zeros(0), 0.5, 3).shape == (0,)


BAD = [
    (lambda x: cap_mass(x, 3), "angle must lie in", [-1e-300, np.nextafter(np.pi, 4), np.nan]),
    (lambda x: sphere_enlargement(0.5, x, 3), "angle must lie in", [-1e-300, np.nan]),
    (lambda x: cube_enlargement(0.5, x, 3), "distance must lie in", [-1e-300, np.nan]),
    (lambda x: cap_mass(1.0, x), "n must be a whole number", [1, 2.5, np.nan, np.inf, 1e300]),
    (lambda x: cap_angle(0.5, x), "n must be a whole number", [1, -3, [3, 2.5]]),
    (lambda x: cube_enlargement(0.5, 1.0, x), "n must be a whole number", [0, 2.5, np.nan]),
    (lambda x: hamming_enlargement(0.5, 1, x), "n must be a whole number", [0, 2.5, np.nan]),
    (lambda x: hamming_enlargement_count(0.5, 0.1, x), "n must be a whole number", [0, 2.5]),
    (lambda x: hamming_enlargement(0.5, x, 3), "k must be a whole number", [-1, 0.5, np.nan]),
    (lambda x: cube_enlargement(0.5, 1.0, 3, x), "p must lie in", [0, -1, np.nan]),
    (lambda x: cap_angle(0.5, 3, x), "complement must lie in", [-0.1, 2, np.nan]),
    (lambda x: hamming_enlargement(0.5, 1, 3, x), "form must be", ["harper"]),
    (lambda x: hamming_enlargement_count(0.5, 0.1, 3, x), "form must be", ["McDiarmid"]),
    *(
        (lambda x, f=f: f(x, 0.5, 3), "probability must lie in", [-1e-300, 1.1, np.nan])
        for f in (sphere_enlargement_angle, cube_enlargement_distance, hamming_enlargement_count)
    ),
    *(
        (lambda x, f=f: f(0.5, x, 3), "mass must lie in", [-1e-300, 1.1, np.nan, [0.5, -1]])
        for f in (sphere_enlargement_angle, cube_enlargement_distance, hamming_enlargement_count)
    ),
    *(
        (lambda x, f=f: f(x, 1, 3), "mass must lie in", [-1e-300, 1 + 2.0**-52, np.nan])
        for f in (sphere_enlargement, cube_enlargement, hamming_enlargement)
    ),
    (lambda x: cap_angle(x, 3), "mass must lie in", [-1e-300, 1.1, np.nan]),
]


@pytest.mark.parametrize(("call", "message", "values"), BAD)
def test_bad_input_is_refused_by_name(
    call: Callable[[object], object], message: str, values: list[object]
) -> None:
    for value in values:
        with pytest.raises(ValueError, match=message):
            call(value)
