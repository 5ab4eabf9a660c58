"""Closed forms: regions, bounded regions, faces and characteristic polynomials, as exact integers.

A polynomial is the tuple of its coefficients, from that of t^n down to that of t^0.
"""

from collections.abc import Sequence
from fractions import Fraction
from math import comb, factorial

Coefficients = tuple[int, ...]


def binomial_sum(m: int, n: int) -> int:
    """Return C(m, 0) + ... + C(m, n): the regions of m hyperplanes in general position in R^n.

    Examples
    --------
    >>> binomial_sum(4, 2), binomial_sum(30, 6)
    (11, 768212)
    """
    return sum(comb(m, i) for i in range(min(m, n) + 1))


def central_sum(m: int, n: int) -> int:
    """Return 2 (C(m - 1, 0) + ... + C(m - 1, n - 1)): m >= 1 generic hyperplanes through 0 in R^n.

    As many orthants of R^m are met by a generic linear subspace of dimension n.

    Examples
    --------
    >>> central_sum(4, 2), central_sum(3, 5)
    (8, 8)
    """
    return 2 * binomial_sum(m - 1, n - 1)


def simple_faces(m: int, n: int, k: int) -> int:
    """Return the number of k-faces of m hyperplanes in general position in R^n.

    Examples
    --------
    >>> [simple_faces(4, 2, k) for k in range(3)]
    [6, 16, 11]
    """
    return comb(m, n - k) * binomial_sum(m - n + k, k) if n - k <= m else 0


def simple_bounded_faces(m: int, n: int, k: int) -> int:
    """Return the number of bounded k-faces of m hyperplanes in general position in R^n.

    Examples
    --------
    >>> [simple_bounded_faces(4, 2, k) for k in range(3)]
    [6, 8, 3]
    """
    if n - k > m:
        return 0
    return comb(m, n - k) * (comb(m - n + k - 1, k) if m > n - k else int(k == 0))


def n_regions_of(polynomial: Coefficients) -> int:
    """Return (-1)^n chi(-1), the number of regions (Zaslavsky).

    Examples
    --------
    >>> n_regions_of(braid_polynomial(4))
    24
    """
    return abs(sum(-c if k % 2 else c for k, c in enumerate(polynomial)))


def n_relatively_bounded_of(polynomial: Coefficients) -> int:
    """Return |chi(1)|, the number of regions bounded up to translations that keep all hyperplanes.

    Examples
    --------
    >>> n_relatively_bounded_of(shi_polynomial(3))
    4
    """
    return abs(sum(polynomial))


def simple_polynomial(m: int, n: int) -> Coefficients:
    """Return chi of m hyperplanes in general position in R^n.

    Examples
    --------
    >>> simple_polynomial(3, 2)
    (1, -3, 3)
    """
    return tuple((-1) ** i * comb(m, i) for i in range(n + 1))


def central_polynomial(m: int, n: int) -> Coefficients:
    """Return chi of m >= 1 hyperplanes through 0 in R^n, of which any n are independent.

    Examples
    --------
    >>> central_polynomial(4, 2)
    (1, -4, 3)
    """
    constant = (-1) ** n * comb(m - 1, n - 1)
    return (*((-1) ** i * comb(m, i) for i in range(n)), constant)


def boolean_polynomial(n: int) -> Coefficients:
    """Return (t - 1)^n.

    Examples
    --------
    >>> boolean_polynomial(3)
    (1, -3, 3, -1)
    """
    return simple_polynomial(n, n)


def parallel_polynomial(m: int, n: int) -> Coefficients:
    """Return t^n - m t^(n - 1).

    Examples
    --------
    >>> parallel_polynomial(5, 3)
    (1, -5, 0, 0)
    """
    return (1, -m, *([0] * (n - 1)))


def braid_polynomial(n: int) -> Coefficients:
    """Return t (t - 1) ... (t - n + 1).

    Examples
    --------
    >>> braid_polynomial(3)
    (1, -3, 2, 0)
    """
    product: Coefficients = (1,)
    for root in range(n):
        product = _times(product, (1, -root))
    return product


def shi_polynomial(n: int) -> Coefficients:
    """Return t (t - n)^(n - 1): (n + 1)^(n - 1) regions, (n - 1)^(n - 1) relatively bounded.

    Examples
    --------
    >>> shi_polynomial(3)
    (1, -6, 9, 0)
    """
    return (*(comb(n - 1, i) * (-n) ** i for i in range(n)), 0)


def linial_polynomial(n: int) -> Coefficients:
    """Return t 2^(-n) sum_k C(n, k) (t - k)^(n - 1).

    Examples
    --------
    >>> linial_polynomial(3), [n_regions_of(linial_polynomial(n)) for n in range(1, 6)]
    ((1, -3, 3, 0), [1, 2, 7, 36, 246])

    References
    ----------
    Postnikov and Stanley, Deformations of Coxeter hyperplane arrangements (2000).
    """
    total = [sum(comb(n, k) * comb(n - 1, i) * (-k) ** i for k in range(n + 1)) for i in range(n)]
    return (*(entry >> n for entry in total), 0)


def threshold_polynomial(n: int) -> Coefficients:
    """Return n! times the coefficient of x^n in (1 + x) (2 e^x - 1)^((t - 1) / 2).

    Examples
    --------
    >>> threshold_polynomial(3), [n_regions_of(threshold_polynomial(n)) for n in range(2, 6)]
    ((1, -3, 3, -1), [2, 8, 46, 332])

    References
    ----------
    Stanley, An Introduction to Hyperplane Arrangements (2004), exercises of Lecture 5.
    """
    # u = 2 e^x - 2, and (1 + u)^s = sum_j C(s, j) u^j, as series in x with coefficients in t.
    u = [Fraction(0), *(Fraction(2, factorial(i)) for i in range(1, n + 1))]
    power, binomial = [Fraction(1), *([Fraction(0)] * n)], [Fraction(1)]
    series = [[Fraction(0)] * (n + 1) for _ in range(n + 1)]
    for j in range(n + 1):
        for i in range(n + 1):
            for k, c in enumerate(binomial):
                series[i][k] += power[i] * c
        power = [sum((power[a] * u[i - a] for a in range(i)), Fraction(0)) for i in range(n + 1)]
        # C(s, j + 1) = C(s, j) (s - j) / (j + 1) with s = (t - 1) / 2; lowest power first.
        shifted = [Fraction(0), *binomial]
        binomial = [
            (a - b * (1 + 2 * j)) / (2 * (j + 1))
            for a, b in zip(shifted, [*binomial, Fraction(0)], strict=True)
        ]
    last = [a + b for a, b in zip(series[n], series[n - 1], strict=True)]
    return tuple(int(c * factorial(n)) for c in reversed(last))


def _times(one: Sequence[int], other: Sequence[int]) -> Coefficients:
    product = [0] * (len(one) + len(other) - 1)
    for i, a in enumerate(one):
        for j, b in enumerate(other):
            product[i + j] += a * b
    return tuple(product)
