"""Isoperimetry in Gauss space against 50-digit arithmetic, quadrature and simulation."""

import itertools

import mpmath as mp
import numpy as np
import pytest
from scipy import integrate, special

from theory.gaussian import (
    crossing_at,
    expected_norm,
    half_space_offset,
    halfspace_enlargement,
    halfspace_enlargement_distance,
    halfspace_log_survival,
    isoperimetric_profile,
    log_survival_kernel,
    mean_survival,
    mills_ratio,
    survival_kernel,
)
from theory.gaussian.argmax_family import (
    argmax_family_cdf,
    argmax_family_log_survival,
    argmax_family_mean,
    argmax_family_quantile,
    multi_bubble_slope,
)

DIGITS = 50


def exact_tail(x: mp.mpf) -> mp.mpf:
    """Phibar(x)."""
    return mp.erfc(x / mp.sqrt(2)) / 2


def exact_offset(mass: mp.mpf) -> mp.mpf:
    """isf(mass), by Newton steps on the logarithm of the smaller tail, from a crude start."""
    tail = min(mass, 1 - mass)
    if tail == 0 or 2 * tail == 1:
        return mp.mpf(0) if tail else mp.inf if mass == 0 else -mp.inf
    x = mp.sqrt(-2 * mp.log(2 * tail))
    for _ in range(100):
        survival = exact_tail(x)
        density = mp.exp(-x * x / 2) / mp.sqrt(2 * mp.pi)
        step = (mp.log(survival) - mp.log(tail)) * survival / density
        x += step
        if abs(step) < mp.mpf(10) ** (8 - mp.mp.dps) * (1 + abs(x)):
            return x if mass < mp.mpf(1) / 2 else -x
    raise AssertionError(f"no convergence at {mass}")


def exact_crossing(offset: float, t: float) -> mp.mpf:
    """Phi(a + t) - Phi(a), with as many more digits as the difference loses."""
    lost = 0 if t == 0 else max(0, int(-np.log10(t)))
    with mp.workdps(DIGITS + lost):
        a, b = mp.mpf(offset), mp.mpf(offset) + mp.mpf(t)
        return exact_tail(a) - exact_tail(b) if a >= 0 else exact_tail(-b) - exact_tail(-a)


def masses_everywhere(n: int) -> np.ndarray:
    rng = np.random.default_rng(1)
    small, near_one = 10 ** rng.uniform(-300, -1, n), 1 - 10 ** rng.uniform(-16, -1, n)
    ends = [1e-300, 1e-16, 0.5, np.nextafter(0.5, 0), np.nextafter(0.5, 1), 1 - 2.0**-53]
    return np.concatenate([small, near_one, rng.uniform(0, 1, n), ends])


def relative_error(seen: float, exact: mp.mpf) -> float:
    return abs(float((mp.mpf(seen) - exact) / exact)) if exact else abs(seen)


MASSES = masses_everywhere(30)
DISTANCES = (0.0, 1e-300, 1e-17, 1e-8, 1e-3, 0.3, 0.5, 0.51, 1.0, 3.0, 10.0, 38.0, 200.0)


def test_kernel_is_exact_over_all_masses_and_distances() -> None:
    # Worst seen: 4e-16 (offset), 2e-14 (logarithm, at masses that round near 1).
    offsets, logs = half_space_offset(MASSES), log_survival_kernel(MASSES[:, None], DISTANCES)
    kernel = survival_kernel(MASSES[:, None], DISTANCES)
    with mp.workdps(DIGITS):
        for i, mass in enumerate(MASSES):
            a = exact_offset(mp.mpf(mass))
            assert relative_error(offsets[i], a) < 2e-15, mass
            for j, t in enumerate(DISTANCES):
                survival = exact_tail(a + mp.mpf(t))
                assert relative_error(logs[i, j], mp.log(survival)) < 1e-13, (mass, t)
                if survival > 1e-290:
                    assert relative_error(kernel[i, j], survival) < 1e-12, (mass, t)


def test_crossing_does_not_cancel() -> None:
    distances = np.array([1e-300, 1e-100, 1e-16, 1e-10, 1e-3, 0.1, 0.4999, 0.5, 0.5001, 2.0, 40.0])
    offsets = half_space_offset(MASSES[::2])
    seen = crossing_at(offsets[:, None], distances)
    with mp.workdps(DIGITS):
        for (i, a), (j, t) in itertools.product(enumerate(offsets), enumerate(distances)):
            exact = exact_crossing(a, t)
            assert exact < 1e-290 or relative_error(seen[i, j], exact) < 1e-12, (a, t)


def test_crossing_is_continuous_where_the_method_changes() -> None:
    a = np.linspace(-30, 30, 601)
    below, above = crossing_at(a, np.array(0.5)), crossing_at(a, np.nextafter(0.5, 1))
    np.testing.assert_allclose(below, above, rtol=3e-13, atol=0)


def test_no_mass_and_all_mass() -> None:
    t = np.array([0.0, 1.0, 1e300, np.inf])
    np.testing.assert_array_equal(survival_kernel(0.0, t), 0.0)
    np.testing.assert_array_equal(survival_kernel(1.0, t), 1.0)
    np.testing.assert_array_equal(log_survival_kernel(0.0, t), -np.inf)
    np.testing.assert_array_equal(crossing_at(np.array([[np.inf], [-np.inf]]), t), 0.0)
    assert float(survival_kernel(0.7, np.inf)) == 0.0
    assert float(crossing_at(half_space_offset(0.7), np.array(np.inf))) == pytest.approx(0.7)


def test_complement_gives_the_digits_that_a_mass_near_one_lost() -> None:
    with mp.workdps(DIGITS):
        expected = -exact_offset(mp.mpf(1e-40))
    assert float(half_space_offset(1.0, 1e-40)) == pytest.approx(float(expected), rel=1e-15)


def exact_density(x: mp.mpf) -> mp.mpf:
    return mp.exp(-x * x / 2) / mp.sqrt(2 * mp.pi)


def test_profile_and_mean_are_exact_over_all_masses() -> None:
    # Worst seen: 8e-16 (profile), 7e-15 (mean, below the switch to the fraction).
    around_the_switch = special.ndtr(-np.array([3.3, 3.9, 3.999999, 4.0, 4.000001, 4.1, 6.0]))
    masses = np.concatenate([MASSES, around_the_switch])
    profiles, means = isoperimetric_profile(masses), mean_survival(masses)
    with mp.workdps(DIGITS + 10):
        for i, mass in enumerate(masses):
            a = exact_offset(mp.mpf(mass))
            assert relative_error(profiles[i], exact_density(a)) < 5e-15, mass
            assert relative_error(means[i], exact_density(a) - a * mp.mpf(mass)) < 5e-14, mass


@pytest.mark.parametrize("complement", [1e-20, 1e-40, 3e-300])
def test_profile_and_mean_near_mass_one(complement: float) -> None:
    with mp.workdps(350):
        a = exact_offset(mp.mpf(complement))
        profile, mean = exact_density(a), exact_density(a) + a * (1 - mp.mpf(complement))
    assert relative_error(float(isoperimetric_profile(1.0, complement)), profile) < 1e-14
    assert relative_error(float(mean_survival(1.0, complement)), mean) < 1e-14


def test_profile_and_mean_at_the_ends() -> None:
    np.testing.assert_array_equal(isoperimetric_profile([0.0, 1.0]), 0.0)
    np.testing.assert_array_equal(mean_survival([0.0, 1.0]), [0.0, np.inf])
    assert isoperimetric_profile(np.full((2, 3), 0.2)).shape == (2, 3)


@pytest.mark.parametrize("mass", [1e-12, 0.03, 0.5, 0.8, 1 - 1e-9])
def test_mean_survival_is_the_integral_of_the_kernel(mass: float) -> None:
    value, _ = integrate.quad(lambda t: float(survival_kernel(mass, t)), 0, 20, epsabs=0, limit=200)
    assert float(mean_survival(mass)) == pytest.approx(value, rel=1e-9)


def test_profile_is_the_slope_of_the_enlargement() -> None:
    masses = np.array([1e-200, 1e-6, 0.2, 0.5, 0.9])
    t = 1e-5 / np.maximum(1.0, np.abs(half_space_offset(masses)))
    slope = (halfspace_enlargement(masses, t) - masses) / t
    np.testing.assert_allclose(slope, isoperimetric_profile(masses), rtol=2e-5)


def test_mills_ratio() -> None:
    with mp.workdps(DIGITS):
        for x in (-30.0, -1.0, 0.0, 0.3, 5.0, 40.0, 1e6):
            exact = exact_tail(mp.mpf(x)) / exact_density(mp.mpf(x))
            # Left of 0 it grows as exp(x^2 / 2), whose argument is rounded.
            assert relative_error(float(mills_ratio(np.array(x))), exact) < 1e-12, x


def test_enlargement_is_exact_over_all_masses_and_distances() -> None:
    # Worst seen: 5e-13, at mass 2e-243 and t = 0.3, where one ulp of the offset counts 33 times.
    masses = MASSES[::2]
    measures = halfspace_enlargement(masses[:, None], DISTANCES)
    logs = halfspace_log_survival(masses[:, None], DISTANCES)
    with mp.workdps(DIGITS):
        for i, mass in enumerate(masses):
            a = exact_offset(mp.mpf(mass))
            for j, t in enumerate(DISTANCES):
                inside, outside = exact_tail(a - mp.mpf(t)), exact_tail(mp.mpf(t) - a)
                assert relative_error(measures[i, j], inside) < 1e-12, (mass, t)
                exact = mp.log1p(-inside) if inside < outside else mp.log(outside)
                assert relative_error(logs[i, j], exact) < 1e-12, (mass, t)


def test_log_survival_of_a_mass_near_one() -> None:
    with mp.workdps(DIGITS):
        exact = mp.log(exact_tail(exact_offset(mp.mpf(1e-40)) + 3))
    assert relative_error(float(halfspace_log_survival(1.0, 3.0, 1e-40)), exact) < 1e-14


def distance_cases() -> list[tuple[float, float]]:
    """Return (mass, probability): all over the square, neighbours, a factor apart, near one."""
    rng = np.random.default_rng(4)
    cases: list[tuple[float, float]] = []
    for mass in map(float, MASSES[::2]):
        near = mass * (1 + 10 ** rng.uniform(-16, 0))
        apart = mass * 10.0 ** rng.uniform(0, 200)
        near_one = 1 - 10 ** rng.uniform(-16, -1)
        next_one = np.nextafter(mass, 2)
        cases += [(mass, float(r)) for r in (near, apart, near_one, rng.uniform(), next_one)]
    return [(mass, r) for mass, r in cases if mass < r < 1]


def test_enlargement_distance_does_not_cancel() -> None:
    # Worst seen: 7e-15.
    cases = distance_cases()
    assert len(cases) > 150
    masses, reached = np.array(cases).T
    seen = halfspace_enlargement_distance(reached, masses)
    with mp.workdps(DIGITS + 20):
        for t, mass, r in zip(seen, masses, reached, strict=True):
            exact = exact_offset(mp.mpf(mass)) - exact_offset(mp.mpf(r))
            assert relative_error(t, exact) < 1e-13, (mass, r)


@pytest.mark.parametrize("mass", [1e-200, 0.3, 0.5, 0.9])
@pytest.mark.parametrize("log_survival", [-3.0, -60.0, -700.0, -5e3, -3e5, -1e9])
def test_enlargement_distance_by_log_survival(mass: float, log_survival: float) -> None:
    # ndtri_exp alone errs by 7e-13 about -3e5.
    t = halfspace_enlargement_distance(-np.expm1(log_survival), mass, None, log_survival)
    with mp.workdps(DIGITS):
        end = mp.mpf(float(t)) - exact_offset(mp.mpf(mass))
        missing = mp.log(exact_tail(end)) - mp.mpf(log_survival)
        # d log Phibar(end) / d end turns what is missing into an error of t.
        assert abs(missing * exact_tail(end) / exact_density(end)) < 1e-14 * float(t)


@pytest.mark.parametrize("ratio", [1e-3, 0.3, 0.999])
def test_enlargement_distance_between_probabilities_near_one(ratio: float) -> None:
    complement, log_survival = 1e-40, float(np.log(1e-40) + np.log1p(-ratio))
    with mp.workdps(DIGITS):
        survival = mp.exp(mp.mpf(log_survival))
        exact = exact_offset(survival) - exact_offset(mp.mpf(complement))
    t = float(halfspace_enlargement_distance(1.0, 1.0, complement, log_survival))
    # The logarithm itself holds the ratio to 1e-14 / ratio only.
    assert relative_error(t, exact) < 2e-14 / ratio


def test_enlargement_distance_at_the_ends() -> None:
    seen = halfspace_enlargement_distance([0.0, 0.4, 1.0], [[0.0], [0.4], [1.0]])
    inf = np.inf
    np.testing.assert_array_equal(seen, [[0, inf, inf], [0, 0, inf], [0, 0, 0]])
    assert float(halfspace_enlargement_distance(1.0, 0.4, log_survival=-inf)) == inf
    for above in (1e-300, np.nan):
        with pytest.raises(ValueError, match="log_survival must be at most 0"):
            halfspace_enlargement_distance(1.0, 0.4, log_survival=above)


def test_enlargement_at_the_ends() -> None:
    t = np.array([0.0, 2.0, 1e300, np.inf])
    np.testing.assert_array_equal(halfspace_enlargement(0.0, t), 0.0)
    np.testing.assert_array_equal(halfspace_enlargement(1.0, t), 1.0)
    np.testing.assert_array_equal(halfspace_log_survival(0.0, t), 0.0)
    np.testing.assert_array_equal(halfspace_log_survival(1.0, t), -np.inf)
    assert float(halfspace_enlargement(1e-300, np.inf)) == 1.0


def test_enlargements_add() -> None:
    rng = np.random.default_rng(5)
    masses, s, t = 10 ** rng.uniform(-250, 0, 200), rng.uniform(0, 4, 200), rng.uniform(0, 4, 200)
    twice = halfspace_enlargement(halfspace_enlargement(masses, s), t)
    once = halfspace_enlargement(masses, s + t)
    np.testing.assert_allclose(twice, once, rtol=3e-12)
    back = halfspace_enlargement_distance(once, masses)
    away_from_one = once < 0.9
    np.testing.assert_allclose(back[away_from_one], (s + t)[away_from_one], rtol=1e-12)


def test_enlargement_is_what_the_kernel_and_the_crossing_leave() -> None:
    masses, t = np.array([[1e-9], [0.2], [0.5], [0.97]]), np.array([0.0, 0.1, 1.0, 6.0])
    measures = halfspace_enlargement(masses, t)
    np.testing.assert_allclose(measures, 1 - survival_kernel(1 - masses, t), atol=1e-15)
    crossed = crossing_at(-half_space_offset(masses), t)
    np.testing.assert_allclose(measures, masses + crossed, rtol=1e-13)


def test_half_spaces_attain_the_enlargement_and_other_sets_exceed_it() -> None:
    rng = np.random.default_rng(6)
    normal = rng.standard_normal(5)
    normal /= np.linalg.norm(normal)
    heights = rng.standard_normal((200_000, 5)) @ normal
    for mass, t in ((0.05, 0.7), (0.4, 1.5), (0.9, 0.3)):
        least = float(halfspace_enlargement(mass, t))
        near = (heights + float(half_space_offset(mass)) <= t).mean()
        assert abs(near - least) < 4.5 * np.sqrt(least * (1 - least) / heights.size)
        # The slab |x| <= s of the same mass, and the two half-spaces |x| >= s.
        s = special.ndtri((1 + mass) / 2)
        assert 2 * special.ndtr(s + t) - 1 > least
        s = special.ndtri(1 - mass / 2)
        assert 2 * special.ndtr(-max(s - t, 0.0)) > least


@pytest.mark.parametrize("mass", [-1e-300, 1 + 2.0**-52, np.nan, [0.5, -1]])
def test_masses_outside_the_unit_interval_are_refused(mass: float) -> None:
    for call in (survival_kernel, halfspace_enlargement, halfspace_log_survival):
        with pytest.raises(ValueError, match="mass must lie in"):
            call(mass, 1.0)
    for function in (isoperimetric_profile, mean_survival):
        with pytest.raises(ValueError, match="mass must lie in"):
            function(mass)
        with pytest.raises(ValueError, match="complement must lie in"):
            function(0.5, mass)
    with pytest.raises(ValueError, match="probability must lie in"):
        halfspace_enlargement_distance(mass, 0.5)
    with pytest.raises(ValueError, match="mass must lie in"):
        halfspace_enlargement_distance(0.5, mass)
    with pytest.raises(ValueError, match="probability must lie in"):
        argmax_family_quantile(mass, 3)


@pytest.mark.parametrize("t", [-1e-300, -np.inf, np.nan])
def test_distances_below_zero_are_refused(t: float) -> None:
    with pytest.raises(ValueError, match="at least 0"):
        log_survival_kernel(0.5, t)
    for call in (argmax_family_cdf, argmax_family_log_survival):
        with pytest.raises(ValueError, match="at least 0"):
            call(t, 3)
    for enlarge in (halfspace_enlargement, halfspace_log_survival):
        with pytest.raises(ValueError, match="at least 0"):
            enlarge(0.5, t)


ACCEPTED = [
    (lambda: log_survival_kernel(0.1, 40.0) + np.log(10), -854.420604915189071),
    (lambda: log_survival_kernel(0.1, 100.0) + np.log(10), -5132.210698941681527),
    (lambda: argmax_family_cdf(0.5, 10), 0.715344252495305301),
    (lambda: argmax_family_mean(10), 0.379996133934390753),
    (lambda: argmax_family_mean(2), np.sqrt(2 / np.pi)),
    (lambda: multi_bubble_slope(10), 2.176124981085738065),
    (lambda: multi_bubble_slope(3), 3 / np.sqrt(2 * np.pi)),
    (lambda: multi_bubble_slope(2), np.sqrt(2 / np.pi)),
    (lambda: isoperimetric_profile(0.5), 1 / np.sqrt(2 * np.pi)),
    (lambda: 10 * mean_survival(0.1), 0.473431753780267599),
    (lambda: mean_survival(0.9) + mean_survival(0.1), 1.376237916300653987),
    (lambda: halfspace_enlargement(0.01, 5.0), 1 - 0.003751511874843136),
    (lambda: expected_norm(100), 9.975031639551050872),
    (lambda: 10 * crossing_at(half_space_offset(0.1), np.array(1e-10)), 1.754983319212413e-10),
]


@pytest.mark.parametrize(("value", "expected"), ACCEPTED)
def test_accepted_numbers(value: object, expected: float) -> None:
    assert callable(value)
    assert float(value()) == pytest.approx(expected, rel=5e-15)


def test_expected_norm() -> None:
    # Worst seen: 1.4e-15, in the products just below the switch to the series at 300.
    with mp.workdps(DIGITS):
        for d in [*range(1, 60), *range(290, 312), *range(331, 2001, 167)]:
            x = mp.mpf(d) / 2
            exact = mp.sqrt(2) * mp.gamma(x + mp.mpf(1) / 2) / mp.gamma(x)
            assert relative_error(expected_norm(d), exact) < 1e-14, d
    with pytest.raises(ValueError, match="at least 1"):
        expected_norm(0)
