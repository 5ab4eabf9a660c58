"""Isoperimetry in Gauss space against 50-digit arithmetic, quadrature and simulation."""

import itertools

import mpmath as mp
import numpy as np
import pytest

from theory.gaussian import (
    argmax_family_cdf,
    crossing_at,
    expected_norm,
    half_space_offset,
    log_survival_kernel,
    survival_kernel,
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
    offsets = half_space_offset(MASSES)
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


@pytest.mark.parametrize("mass", [-1e-300, 1 + 2.0**-52, np.nan, [0.5, -1]])
def test_masses_outside_the_unit_interval_are_refused(mass: float) -> None:
    with pytest.raises(ValueError, match="mass must lie in"):
        survival_kernel(mass, 1.0)


@pytest.mark.parametrize("t", [-1e-300, -np.inf, np.nan])
def test_distances_below_zero_are_refused(t: float) -> None:
    with pytest.raises(ValueError, match="at least 0"):
        log_survival_kernel(0.5, t)
    with pytest.raises(ValueError, match="at least 0"):
        argmax_family_cdf(t, 3)


@pytest.mark.parametrize("n_classes", [2, 3, 10])
def test_argmax_law_by_simulation(n_classes: int) -> None:
    n = 200_000
    top = np.sort(np.random.default_rng(n_classes).standard_normal((n, n_classes)), axis=1)
    radii = (top[:, -1] - top[:, -2]) / np.sqrt(2)
    t = np.array([0.05, 0.3, 0.8, 1.5])
    cdf = argmax_family_cdf(t, n_classes)
    seen = (radii[:, None] <= t).mean(axis=0)
    assert np.all(np.abs(seen - cdf) < 4.5 * np.sqrt(cdf * (1 - cdf) / n))


@pytest.mark.parametrize("n_classes", [2, 3, 17, 1000])
def test_argmax_law_by_quadrature(n_classes: int) -> None:
    def kept(t: float) -> mp.mpf:
        shift = mp.mpf(t) * mp.sqrt(2)
        return n_classes * mp.quad(
            lambda x: mp.npdf(x) * mp.ncdf(x - shift) ** (n_classes - 1),
            mp.linspace(-9, 12 + 2 * t, 12),
        )

    with mp.workdps(20):
        for t in (0.0, 1e-3, 0.4, 2.5):
            assert float(argmax_family_cdf(t, n_classes)) == pytest.approx(
                float(1 - kept(t)), abs=1e-13
            )


def test_argmax_of_two_is_a_pair_of_half_spaces() -> None:
    t = np.array([0.0, 1e-9, 0.2, 3.0, 50.0, np.inf])
    np.testing.assert_allclose(
        argmax_family_cdf(t, 2), 2 * crossing_at(np.array(0.0), t), rtol=0, atol=1e-14
    )
    with pytest.raises(ValueError, match="at least 2"):
        argmax_family_cdf(1.0, 1)


ACCEPTED = [
    (lambda: log_survival_kernel(0.1, 40.0) + np.log(10), -854.420604915189071),
    (lambda: log_survival_kernel(0.1, 100.0) + np.log(10), -5132.210698941681527),
    (lambda: argmax_family_cdf(0.5, 10), 0.715344252495305301),
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
