"""The exact law of the argmax family against quadrature at 50 digits and simulation."""

import itertools
from collections.abc import Callable
from functools import cache

import mpmath as mp
import numpy as np
import pytest
from scipy import integrate, special

from tests.test_gaussian import DIGITS, exact_density, exact_tail, relative_error
from theory.gaussian import (
    crossing_at,
    isoperimetric_profile,
    log_survival_kernel,
    mean_survival,
)
from theory.gaussian.argmax_family import (
    argmax_family_cdf,
    argmax_family_log_survival,
    argmax_family_mean,
    argmax_family_quantile,
    multi_bubble_slope,
)


@pytest.mark.parametrize("n_classes", [2, 3, 10])
def test_argmax_law_by_simulation(n_classes: int) -> None:
    n = 200_000
    top = np.sort(np.random.default_rng(n_classes).standard_normal((n, n_classes)), axis=1)
    radii = (top[:, -1] - top[:, -2]) / np.sqrt(2)
    t = np.array([0.05, 0.3, 0.8, 1.5])
    cdf = argmax_family_cdf(t, n_classes)
    seen = (radii[:, None] <= t).mean(axis=0)
    assert np.all(np.abs(seen - cdf) < 4.5 * np.sqrt(cdf * (1 - cdf) / n))


def exact_integral(
    integrand: Callable[[mp.mpf], mp.mpf],
    log_weight: Callable[[np.ndarray], np.ndarray],
    low: float,
) -> mp.mpf:
    """Integrate over the panels where a log-concave weight is within exp(-50) of its peak."""
    ends = low, 40.0
    for _ in range(8):
        x = np.linspace(*ends, 1001)
        logs = log_weight(x)
        inside = np.flatnonzero(logs > logs.max() - 50)
        ends = x[max(inside[0] - 1, 0)], x[min(inside[-1] + 1, 1000)]
    return mp.quad(integrand, mp.linspace(*ends, 15), method="gauss-legendre", maxdegree=4)


@cache
def exact_slope(n_classes: int) -> mp.mpf:
    with mp.workdps(DIGITS):
        k = n_classes
        integral = exact_integral(
            lambda x: exact_density(x) ** 2 * exact_tail(-x) ** (k - 2),
            lambda x: -x * x + (k - 2) * special.log_ndtr(x),
            -40.0,
        )
        return k * (k - 1) * mp.sqrt(2) * integral


@cache
def exact_mean(n_classes: int) -> mp.mpf:
    """(E z_(1) - E z_(2)) / sqrt 2 from the two order statistics, with digits to lose."""
    with mp.workdps(DIGITS):
        k = n_classes
        integral = exact_integral(
            lambda x: (
                x
                * exact_density(x)
                * exact_tail(-x) ** (k - 2)
                * (exact_tail(-x) - (k - 1) * exact_tail(x))
            ),
            lambda x: -0.5 * x * x + (k - 2) * special.log_ndtr(x),
            -40.0,
        )
        return k * integral / mp.sqrt(2)


@cache
def exact_argmax_law(t: float, n_classes: int) -> tuple[mp.mpf, mp.mpf]:
    """Return P(r <= t) and log P(r > t)."""
    if t < 1e-100:
        # The next term is t times smaller.
        cdf = exact_slope(n_classes) * mp.mpf(t)
        return cdf, -cdf
    power = n_classes - 1
    with mp.workdps(DIGITS):
        shift = mp.sqrt(2) * mp.mpf(t)

        def log_kept(y: mp.mpf) -> mp.mpf:
            return -((y + shift) ** 2) / 2 + power * mp.log(exact_tail(-y))

        def log_weight(y: np.ndarray) -> np.ndarray:
            logs: np.ndarray = -0.5 * (y + float(shift)) ** 2 + power * special.log_ndtr(y)
            return logs

        if t > 1e-3:
            low = -float(shift) / n_classes - 40
            top = log_kept(mp.mpf(-float(shift) / n_classes))
            integral = exact_integral(lambda y: mp.exp(log_kept(y) - top), log_weight, low)
            kept = top + mp.log(n_classes * integral / mp.sqrt(2 * mp.pi))
            return -mp.expm1(kept), kept

        def lost(x: mp.mpf) -> mp.mpf:
            return exact_density(x) * (exact_tail(-x) ** power - exact_tail(shift - x) ** power)

        cdf = n_classes * exact_integral(lost, log_weight, -40.0)
        return cdf, mp.log1p(-cdf)


ARGMAX_CLASSES = (2, 3, 10, 1000, 10**6)


def argmax_switch(n_classes: int) -> float:
    """Return the last t at which the density is integrated, instead of the survival."""
    return float(0.1 / np.sqrt(np.log(n_classes)))


def argmax_cases() -> list[tuple[float, int]]:
    rng = np.random.default_rng(7)
    cases = list(itertools.product((1e-300, 1e-10, 40.0), ARGMAX_CLASSES))
    cases += [(argmax_switch(k), k) for k in ARGMAX_CLASSES]
    cases += [(float(10 ** rng.uniform(-3, 1)), k) for k in ARGMAX_CLASSES]
    cases += [(float(rng.uniform(0, 3)), int(10 ** rng.uniform(0.5, 5))) for _ in range(5)]
    return [*cases, (0.5, 10), (100.0, 10), (1e5, 1000)]


@pytest.mark.parametrize(("t", "n_classes"), argmax_cases())
def test_argmax_law_by_quadrature(t: float, n_classes: int) -> None:
    # Worst seen: 7e-15 (law), 1e-14 (quantile), at K = 10^6 and 1000.
    cdf, log_survival = exact_argmax_law(t, n_classes)
    assert relative_error(float(argmax_family_cdf(t, n_classes)), cdf) < 1e-13
    log_seen = float(argmax_family_log_survival(t, n_classes))
    assert relative_error(log_seen, log_survival) < 1e-13
    seen = argmax_family_quantile(min(float(cdf), 1.0), n_classes, log_seen)
    assert float(seen) == pytest.approx(t, rel=1e-13, abs=0)


@pytest.mark.parametrize("n_classes", ARGMAX_CLASSES)
def test_argmax_law_is_continuous_where_the_method_changes(n_classes: int) -> None:
    t = np.array([argmax_switch(n_classes), np.nextafter(argmax_switch(n_classes), 1)])
    for law in (argmax_family_cdf, argmax_family_log_survival):
        below, above = law(t, n_classes)
        assert above == pytest.approx(below, rel=5e-14, abs=0)


@pytest.mark.parametrize("n_classes", [*ARGMAX_CLASSES, 10**9])
def test_argmax_mean_and_slope_by_quadrature(n_classes: int) -> None:
    # Worst seen: 2e-15 (mean), 1e-14 (slope), at K = 10^9.
    assert relative_error(argmax_family_mean(n_classes), exact_mean(n_classes)) < 5e-14
    assert relative_error(multi_bubble_slope(n_classes), exact_slope(n_classes)) < 5e-14


@pytest.mark.parametrize("n_classes", ARGMAX_CLASSES)
def test_argmax_mean_is_the_integral_of_the_survival(n_classes: int) -> None:
    nodes, weights = np.polynomial.legendre.leggauss(20)
    edges = np.linspace(0, 10, 41)
    t = (edges[:-1, None] + 0.125 * (nodes + 1)).ravel()
    survival = np.exp(argmax_family_log_survival(t, n_classes))
    integral = survival @ np.tile(0.125 * weights, 40)
    assert argmax_family_mean(n_classes) == pytest.approx(integral, rel=1e-13)


@pytest.mark.parametrize("n_classes", ARGMAX_CLASSES)
def test_argmax_law_starts_with_the_multi_bubble_slope(n_classes: int) -> None:
    slope = multi_bubble_slope(n_classes)
    t = np.array([1e-300, 1e-100, 1e-16])
    np.testing.assert_allclose(argmax_family_cdf(t, n_classes) / t, slope, rtol=1e-13)
    # No union of half-spaces has so large a boundary, but for two.
    bound = n_classes * float(isoperimetric_profile(1 / n_classes))
    assert slope == pytest.approx(bound, rel=1e-14) if n_classes == 2 else slope > bound
    # sqrt 2 times the mean of the largest coordinate: an integral of another shape.
    largest, _ = integrate.quad(
        lambda x: x * n_classes * np.exp(-0.5 * x * x + (n_classes - 1) * special.log_ndtr(x)),
        -10,
        12,
        epsabs=0,
        limit=200,
    )
    assert slope == pytest.approx(largest / np.sqrt(np.pi), rel=1e-9)


def test_argmax_law_is_monotone_and_below_no_half_space_bound() -> None:
    t, classes = np.geomspace(1e-6, 6, 200), (2, 3, 4, 10, 100, 10**4, 10**6)
    cdfs = np.array([argmax_family_cdf(t, k) for k in classes])
    logs = np.array([argmax_family_log_survival(t, k) for k in classes])
    assert np.all(np.diff(logs, axis=1) < 0)
    assert np.all(np.diff(logs, axis=0) < 0)
    assert np.all(np.diff(cdfs, axis=1) >= 0)
    for k, log_survival in zip(classes, logs, strict=True):
        bound = np.log(k) + log_survival_kernel(1 / k, t)
        assert np.all(log_survival <= bound + 1e-14)
        assert argmax_family_mean(k) <= k * float(mean_survival(1 / k)) * (1 + 1e-14)


@pytest.mark.parametrize("n_classes", [*ARGMAX_CLASSES, 10**12])
def test_argmax_quantile_inverts_the_law(n_classes: int) -> None:
    rng = np.random.default_rng(8)
    p = np.concatenate([10 ** rng.uniform(-300, -1, 50), rng.uniform(0, 1, 50)])
    t = argmax_family_quantile(p, n_classes)
    np.testing.assert_allclose(argmax_family_cdf(t, n_classes), p, rtol=1e-12)
    logs = -(10 ** rng.uniform(0, 300, 50))
    far = argmax_family_quantile(1.0, n_classes, logs)
    np.testing.assert_allclose(argmax_family_log_survival(far, n_classes), logs, rtol=1e-12)


def test_argmax_at_the_ends() -> None:
    t = np.array([0.0, 1e160, 1e300, np.inf])
    np.testing.assert_array_equal(argmax_family_cdf(t, 5), [0, 1, 1, 1])
    np.testing.assert_array_equal(argmax_family_log_survival(t, 5), [0, *[-np.inf] * 3])
    np.testing.assert_array_equal(argmax_family_quantile([0.0, 1.0], 5), [0, np.inf])
    # (1 - 1/K) t^2, but for terms that are 1e12 times smaller; up to the last that a float holds.
    far = np.array([1e20, 1e80, 1e150, 1.3e154])
    for k in ARGMAX_CLASSES:
        np.testing.assert_allclose(
            argmax_family_log_survival(far, k), -(1 - 1 / k) * far * far, rtol=1e-12
        )
    assert argmax_family_cdf(np.zeros((0, 3)), 5).shape == (0, 3)
    assert argmax_family_quantile(np.full((2, 1), 0.5), 5).shape == (2, 1)
    many = np.linspace(0, 3, 2500).reshape(2, -1)
    alone = [float(argmax_family_cdf(many[1, i], 5)) for i in (0, 777, -1)]
    np.testing.assert_allclose(argmax_family_cdf(many, 5)[1, [0, 777, -1]], alone, rtol=1e-14)


def test_argmax_of_two_is_a_pair_of_half_spaces() -> None:
    t = np.array([0.0, 1e-300, 1e-9, 0.1, 0.2, 3.0, 50.0, np.inf])
    pair = 2 * crossing_at(np.array(0.0), t)
    np.testing.assert_allclose(argmax_family_cdf(t, 2), pair, rtol=5e-15)
    tail = np.log(2) + log_survival_kernel(0.5, t)
    np.testing.assert_allclose(argmax_family_log_survival(t, 2)[3:], tail[3:], rtol=5e-15)


@pytest.mark.parametrize("n_classes", [1, 0, -3, 2.5, 3.0, np.nan, True, "3"])
def test_classes_that_are_no_integer_above_one_are_refused(n_classes: int) -> None:
    calls: list[Callable[[], object]] = [
        lambda: argmax_family_cdf(1.0, n_classes),
        lambda: argmax_family_log_survival(1.0, n_classes),
        lambda: argmax_family_quantile(0.5, n_classes),
        lambda: argmax_family_mean(n_classes),
        lambda: multi_bubble_slope(n_classes),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="n_classes must be an integer, at least 2"):
            call()
    with pytest.raises(ValueError, match="log_survival must be at most 0"):
        argmax_family_quantile(1.0, 3, log_survival=0.1)
