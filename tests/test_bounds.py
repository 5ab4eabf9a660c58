"""Every claim's numbers: its sympy form at 50 digits, on random values of its own parameters."""

import zlib
from collections.abc import Callable
from typing import Any

import mpmath as mp
import numpy as np
import pytest

from theory.claim import CLAIMS, Bound, Kind, OutOfScopeError, Relation, Status
from theory.errors import InputError
from theory.parameter import Integers, Masses, Moduli, Reals
from theory.proof import PROOFS

DRAWS = 12
FORMULAS = [name for name, claim in CLAIMS.items() if claim.bound is not None]
LAWS = [name for name in FORMULAS if CLAIMS[name].kind is Kind.LAW]


def bound_of(name: str) -> Bound:
    bound = CLAIMS[name].bound
    assert bound is not None
    return bound


def draws(name: str, n: int = DRAWS) -> list[dict[str, Any]]:
    """The standard values, and random ones: the same for a claim in every run."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    bound = bound_of(name)
    found = [bound.standard()]
    while len(found) < n:
        values = {p.name: p.domain.draw(rng) for p in bound.parameters}
        try:
            bound.value(**values)
        except OutOfScopeError:
            continue
        found.append(values)
    return found


def oracle(name: str) -> Callable[..., mp.mpf]:
    return PROOFS[name]().form.exact


@pytest.mark.parametrize("name", FORMULAS)
def test_value_is_the_form_at_fifty_digits(name: str) -> None:
    bound, exact = bound_of(name), oracle(name)
    for values in draws(name):
        seen, true = float(bound.value(**values)), exact(values)
        if CLAIMS[name].kind is Kind.LAW:
            true = min(max(true, mp.mpf(0)), mp.mpf(1))
        if abs(true) > mp.mpf(10) ** -290:
            limit = float(bound.error(float(true)))
            assert abs(mp.mpf(seen) - true) <= limit, (values, seen, mp.nstr(true, 20))


@pytest.mark.parametrize("name", LAWS)
def test_log_survival_is_the_form_at_fifty_digits(name: str) -> None:
    bound, exact = bound_of(name), oracle(name)
    assert bound.log_survival is not None, "a law has the logarithm of its survival"
    for values in draws(name):
        seen = float(bound.log_survival(**values))
        with mp.workdps(40):
            survival = exact(values, "survival")
            log = mp.log(survival) if survival > 0 else -mp.inf
            # Near 1 the survival's logarithm is the small quantity, and the value has its digits.
            if mp.mpf("0.5") < survival:
                log = mp.log1p(-min(max(exact(values), mp.mpf(0)), mp.mpf(1)))
            log = min(log, mp.mpf(0))
            if log == -mp.inf:
                assert seen == -np.inf, values
                continue
            slack = bound.rounding * max(abs(log), 1e-290) + bound.absolute + 1e-13 * (survival < 1)
            assert abs(mp.mpf(seen) - log) <= slack, (values, seen, mp.nstr(log, 20))


@pytest.mark.parametrize("name", LAWS)
def test_inverse_is_the_least_distance(name: str) -> None:
    bound = bound_of(name)
    assert bound.inverse is not None, "a law has an inverse"
    first = bound.parameters[0].name
    whole = isinstance(bound.parameters[0].domain, Integers) or first == "k"
    for values in draws(name):
        others = {key: value for key, value in values.items() if key != first}
        for q in (1e-9, 0.1, 0.25, 0.5, 0.9, 0.999999):
            at = float(bound.inverse(q, **others))
            assert at >= 0
            if np.isinf(at):
                assert float(bound.value(**{first: 1e3}, **others)) <= q + 1e-9 or at == np.inf
                continue
            reached = float(bound.value(**{first: at}, **others))
            assert reached >= q * (1 - 1e-9) - bound.absolute, (values, q, at, reached)
            if at > 0:
                below = at - 1 if whole else at * (1 - 1e-7)
                if below >= 0:
                    less = float(bound.value(**{first: below}, **others))
                    assert less <= q * (1 + 1e-9) + bound.absolute, (values, q, at, less)


@pytest.mark.parametrize("name", LAWS)
def test_laws_are_laws(name: str) -> None:
    bound = bound_of(name)
    first = bound.parameters[0]
    if isinstance(first.domain, Integers):
        grid: Any = np.arange(first.domain.low, first.domain.low + 40)
    else:
        assert isinstance(first.domain, Reals)
        grid = np.linspace(first.domain.low, min(first.domain.high, 8.0), 41)
        grid = grid[1:] if not first.domain.ends[0] else grid
    for values in draws(name, 6):
        curve = np.asarray(bound.value(**(values | {first.name: grid})))
        assert curve.shape == grid.shape
        assert np.all((curve >= 0) & (curve <= 1))
        assert np.all(np.diff(curve) >= -1e-12)
        one_by_one = [float(bound.value(**(values | {first.name: x}))) for x in grid[::8]]
        np.testing.assert_allclose(curve[::8], one_by_one, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", FORMULAS)
def test_the_stronger_form_is_stronger(name: str) -> None:
    claim = CLAIMS[name]
    if not claim.stronger:
        return
    stronger = CLAIMS[claim.stronger]
    assert stronger.status is Status.PROVED
    if claim.status is Status.REFUTED or stronger.bound is None:
        return
    shared = {p.name for p in stronger.bound.parameters}
    for values in draws(name):
        theirs = stronger.bound.standard() | {k: v for k, v in values.items() if k in shared}
        if {p.name for p in stronger.bound.parameters} - set(values):
            continue
        one = np.asarray(bound_of(name).value(**values), dtype=np.float64)
        other = np.asarray(stronger.bound.value(**theirs), dtype=np.float64)
        room = 1e-12 * np.abs(one) + 2e-14
        if claim.relation is Relation.AT_LEAST:
            assert np.all(other >= one - room), values
        else:
            assert np.all(other <= one + room), values


@pytest.mark.parametrize("name", FORMULAS)
def test_not_a_number_is_refused(name: str) -> None:
    bound = bound_of(name)
    for parameter in bound.parameters:
        if isinstance(parameter.domain, Reals | Integers):
            with pytest.raises(ValueError, match=r"."):
                bound.value(**bound.standard(**{parameter.name: float("nan")}))
        if isinstance(parameter.domain, Masses):
            for wrong in ([], [0.5, 0.6], [np.nan, 1.0], [-0.5, 1.5]):
                with pytest.raises(ValueError, match=r"."):
                    bound.value(**bound.standard(**{parameter.name: wrong}))


@pytest.mark.parametrize("name", FORMULAS)
def test_below_the_domain_is_refused(name: str) -> None:
    bound = bound_of(name)
    for parameter in bound.parameters:
        domain = parameter.domain
        if isinstance(domain, Reals) and np.isfinite(domain.low):
            below = domain.low - (1.0 if domain.low else 1e-9)
        elif isinstance(domain, Integers):
            below = domain.low - 1
        else:
            continue
        with pytest.raises(ValueError, match=r"."):
            bound.value(**bound.standard(**{parameter.name: below}))


def test_parameters_read_what_users_write() -> None:
    assert Reals().parse("0.5") == 0.5
    assert Reals().parse("0.5,1e-3") == [0.5, 1e-3]
    assert Integers().parse("10") == 10
    assert Masses().parse("0.7,0.3") == [0.7, 0.3]
    assert Masses().parse("4") == [0.25] * 4
    assert float(Moduli().parse("2")(3.0)) == 6.0
    assert float(Moduli().parse("2:0.5")(9.0)) == 6.0
    for domain, text in ((Reals(), "x"), (Integers(), "1.5"), (Masses(), "0.7;0.3")):
        with pytest.raises(ValueError, match="expected a"):
            domain.parse(text)
    with pytest.raises(InputError, match="did you mean 'eta'"):
        bound_of("fawzi2018/thm1").standard(etta=1.0)


def test_draws_stay_in_their_domains() -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        assert 0 <= Reals(0.0, 1.0, (0.0, 0.3)).draw(rng) <= 1
        assert 0 < Reals(0.0, 1.0, (0.1, 0.3), ends=(False, False)).draw(rng) < 1
        assert Integers(5, 100).draw(rng) >= 5
        masses = Masses(0.4).draw(rng)
        assert max(masses) <= 0.4
        assert sum(masses) == pytest.approx(1, abs=1e-15)
