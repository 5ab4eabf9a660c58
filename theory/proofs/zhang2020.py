"""Conditional generators: class by class, the worst spread of errors, and sampled expansions."""

import itertools
from collections.abc import Mapping
from typing import Any

import mpmath as mp
import numpy as np
import sympy as sp

from theory.claims.zhang2020 import (
    ConditionalGenerators,
    average_lower_bound,
    class_wise_lower_bound,
)
from theory.proof import Proof, Step, is_zero, proof, sampled, symbolic
from theory.proofs.fawzi2018.robustness import ISOPERIMETRY
from theory.proofs.mahloujifar2019 import NEAR, RHO
from theory.symbolic import Form, Isf, K, Phi, Survival, density, eta, exact_isf, i, t

weight, risk, constant, failure, reach, start = (
    sp.IndexedBase(name, positive=True) for name in ("pi", "alpha", "L", "q", "t", "a")
)
radius = sp.Symbol("r", positive=True)
least, most = sp.Symbol("m", nonnegative=True), sp.Symbol("m'", nonnegative=True)
_REACH = (reach[i], sp.Min(eta / constant[i], radius))
_MISSED = sp.Sum(weight[i] * failure[i], (i, 1, K))


def _shares(generators: ConditionalGenerators) -> tuple[mp.mpf, ...]:
    """Return the weights made to sum to 1 exactly: the largest takes what rounding left."""
    with mp.workdps(100):
        shares = [mp.mpf(share) for share in generators.weights]
        shares[shares.index(max(shares))] += 1 - mp.fsum(shares)
    return tuple(shares)


class ClassForm(Form):
    """A form whose parameters are lists with an entry for each class."""

    def exact(self, values: Mapping[str, Any], part: str = "right") -> mp.mpf:
        """Return the bound with each class written out, right to 40 digits."""
        generators: ConditionalGenerators = values["generators"]
        k = generators.n_classes
        numbers: dict[str, Any] = {"eta": values["eta"], "radius": generators.radius}
        symbols: dict[str, Any] = {"eta": eta, "radius": radius}
        if "risk" in values:
            numbers["risk"], symbols["risk"] = values["risk"], RHO
        rows = {"pi": _shares(generators), "L": generators.constants, "q": generators.failures}
        if "class_risks" in values:
            rows["alpha"] = tuple(np.broadcast_to(values["class_risks"], k).tolist())
        written = {}
        for name, row in rows.items():
            base = sp.IndexedBase(name, positive=True)
            for j, number in enumerate(row, 1):
                symbol = sp.Symbol(f"{name}{j}", positive=True)
                written[base[j]] = symbols[symbol.name] = symbol
                numbers[symbol.name] = number
        expression = self.full(getattr(self, part)).xreplace({K: sp.Integer(k)}).doit()
        plain = Form(self.left, expression.xreplace(written), symbols, derived=self.derived)
        return plain.exact(numbers)


def _spreads(values: Mapping[str, Any]) -> list[tuple[mp.mpf, mp.mpf]]:
    """Return adversarial risk and its complement for all classes but one all wrong or all right."""
    k = sum(name.startswith("pi") for name in values)
    pi, constants = ([values[f"{name}{j}"] for j in range(1, k + 1)] for name in ("pi", "L"))
    found = []
    for j, full in itertools.product(range(k), itertools.product((0, 1), repeat=k - 1)):
        others = [c for c in range(k) if c != j]
        wrong = mp.fsum(pi[c] for c, all_wrong in zip(others, full, strict=True) if all_wrong)
        right = mp.fsum(pi[c] for c, all_wrong in zip(others, full, strict=True) if not all_wrong)
        share = (values["risk"] - wrong) / pi[j]
        if 0 <= share <= 1:
            at = min(values["eta"] / constants[j], values["radius"]) - exact_isf(share)
            found.append((wrong + pi[j] * mp.ncdf(at), right + pi[j] * mp.ncdf(-at)))
    return found


def _per_class() -> Step:
    return symbolic(
        r"a latent of class $i$ within $t_i = \min(\eta/L_i, r)$ of the latents of errors, at which"
        r" the Lipschitz property holds, gives a point within $L_i t_i \le \eta$ of an error; by"
        r" isoperimetry all but $\bar\Phi(t_i - a_i)$ of the latents are so near, and the property"
        r" fails for at most $q_i$",
        lambda: is_zero(eta - constant[i] * (eta / constant[i])),
        lambda: bool(sp.expand(eta - constant[i] * (eta / constant[i] - t)).is_nonnegative),
        lambda: is_zero((1 - Survival(t) - failure[i]) - (Phi(t) - failure[i])),
    )


def _class_form(offset: Any) -> ClassForm:  # noqa: ANN401
    terms = reach[i] - start[i]
    return ClassForm(
        left=NEAR,
        right=sp.Sum(weight[i] * (Phi(terms) - failure[i]), (i, 1, K)),
        survival=sp.Sum(weight[i] * (Survival(terms) + failure[i]), (i, 1, K)),
        symbols={"eta": eta},
        where=((start[i], Isf(offset)), _REACH),
    )


@proof("zhang2020/class-wise")
def class_wise() -> Proof:
    """Isoperimetry in each class."""
    x = sp.Symbol("x", real=True)
    return Proof(
        _class_form(risk[i]),
        (
            ISOPERIMETRY,
            _per_class(),
            symbolic(
                r"the sum rises with every $\alpha_i$, so that lower ends may be taken",
                lambda: bool((sp.diff(Phi(x + t), x) / density(x)).is_positive),
            ),
            symbolic(
                r"equality for linear generators of constants $L_i$ ($q_i = 0$, $r = \infty$) and"
                r" errors beyond a hyperplane in each class",
                lambda: is_zero(Survival(x - t) - Phi(t - x)),
            ),
        ),
    )


def _concave() -> Step:
    x = sp.Symbol("x", real=True)
    slope = sp.simplify(sp.diff(Phi(x + t), x) / sp.diff(Phi(x), x))
    return symbolic(
        r"$\Phi(\Phi^{-1}(\alpha) + t)$ has the slope $e^{-xt - t^2/2} > 0$ at $\alpha = \Phi(x)$,"
        r" which falls as $\alpha$ grows: the class-wise bound is concave in the class risks",
        lambda: is_zero(slope - sp.exp(-x * t - t**2 / 2)),
        lambda: bool((-sp.diff(slope, x) / slope).simplify().is_nonnegative),
    )


def _spreads_are_worst() -> bool:
    rng = np.random.default_rng(3)
    for _ in range(150):
        k = int(rng.integers(2, 7))
        weights, alphas = rng.dirichlet(np.ones(k)), rng.uniform(0, 1, k) ** 2
        generators = ConditionalGenerators(tuple(weights), tuple(rng.uniform(0.5, 3, k)))
        at = rng.uniform(0, 4, 5)
        here = class_wise_lower_bound(at, alphas, generators)
        if np.any(average_lower_bound(at, float(weights @ alphas), generators) > here + 1e-13):
            return False
    return True


@proof("zhang2020/average-risk")
def average_risk() -> Proof:
    """A concave function on a polytope is least at a vertex."""
    return Proof(
        ClassForm(
            left=NEAR,
            right=least - _MISSED,
            survival=most + _MISSED,
            symbols={"eta": eta},
            where=(
                (
                    least,
                    r"\min_{S,\, j \notin S} \Bigl[\pi_S + \pi_j \Phi\Bigl(t_j +"
                    r" \Phi^{-1}\Bigl(\frac{\rho - \pi_S}{\pi_j}\Bigr)\Bigr)\Bigr]",
                ),
                (
                    sp.Symbol(r"\pi_S", positive=True),
                    r"\sum_{i \in S} \pi_i \in [\rho - \pi_j, \rho]",
                ),
                _REACH,
            ),
            derived={
                least: lambda values: min(near for near, _ in _spreads(values)),
                most: lambda values: max(far for _, far in _spreads(values)),
            },
        ),
        (
            ISOPERIMETRY,
            _per_class(),
            _concave(),
            symbolic(
                r"on the polytope of the $\alpha_i$ in $[0, 1]$ with $\sum_i \pi_i \alpha_i = \rho$"
                r" two that are inside of $(0, 1)$ can both be moved in opposite senses: a vertex"
                r" has one of them at most, and a concave function is least at a vertex",
                lambda: is_zero(
                    weight[1] * (risk[1] + t / weight[1])
                    + weight[2] * (risk[2] - t / weight[2])
                    - (weight[1] * risk[1] + weight[2] * risk[2])
                ),
            ),
            sampled(
                "no spread of the errors that was tried gives less than the vertices",
                _spreads_are_worst,
            ),
        ),
    )


@proof("zhang2020/average-as-class-wise")
def average_as_class_wise() -> Proof:
    """Errors in one class alone."""
    half = sp.Rational(1, 2)
    x = sp.Symbol("x", real=True)
    wrong = sp.limit(Phi(x + t).rewrite(sp.erf), x, sp.oo)
    right = sp.limit(Survival(x - t).rewrite(sp.erf), x, sp.oo)
    return Proof(
        _class_form(RHO),
        (
            symbolic(
                r"two classes of weight $1/2$, one all wrong, the other all right: no point of the"
                r" second is near to an error, and the adversarial risk is $1/2$ at every budget;"
                r" $\Phi(\eta/L) > 1/2$ is claimed",
                lambda: half * wrong + half * right == half,
                lambda: is_zero(Phi(t - Isf(half)) - Phi(t)),
                lambda: bool(density(t).is_positive) and Phi(sp.Integer(0)) == half,
            ),
            _concave(),
        ),
    )


EXPANSION = sp.Symbol(
    r"\max_{k} \frac{\lVert g(z_k) - g(z) \rVert}{\lVert z_k - z \rVert}", nonnegative=True
)


@proof("zhang2020/sampled-expansion")
def sampled_expansion() -> Proof:
    """A supremum is not below what was seen."""
    return Proof(
        Form(left="L", right=EXPANSION, symbols={}),
        (
            sampled(
                r"$L$ is the supremum over all pairs of points of the ball, of which $(z, z_k)$ are"
                r" some (tried on linear maps)",
                _seen_below_norm,
            ),
        ),
    )


def _seen_below_norm() -> bool:
    rng = np.random.default_rng(17)
    for d in (1, 4, 20):
        jacobian, steps = rng.normal(size=(d, d)), rng.normal(size=(d, 300))
        seen = np.linalg.norm(jacobian @ steps, axis=0) / np.linalg.norm(steps, axis=0)
        if seen.max() > np.linalg.norm(jacobian, 2) * (1 + 1e-12):
            return False
    return True


@proof("zhang2020/random-direction-lipschitz")
def random_direction_lipschitz() -> Proof:
    """Two linear maps."""
    u1, u2 = sp.symbols("u_1 u_2", nonnegative=True)
    d = sp.Integer(100)
    frobenius = sp.sqrt(10**2 + 99 * 1**2)
    return Proof(
        Form(left="L", right=EXPANSION, symbols={}),
        (
            symbolic(
                r"$g(z) = Jz$ with the singular values $10, 1, \ldots, 1$ in dimension 100: a unit"
                r" vector $u$ is expanded by $\sqrt{1 + 99 u_1^2}$, in the root mean square by"
                r" $\lVert J \rVert_F / 10 = 1.41$, and by less than $L = 10$ with probability 1",
                lambda: is_zero(sp.sqrt(1 + 99 * (1 / d)) - frobenius / sp.sqrt(d)),
                lambda: abs(sp.N(frobenius / 10, 10) - sp.Float("1.410673598", 10)) < 1e-9,
                lambda: is_zero(100 - (1 + 99 * u1**2) - 99 * (1 - u1**2)),
            ),
            symbolic(
                r"where the first singular vector is $v = (1, -1, 0, \ldots, 0)/\sqrt{2}$, a unit"
                r" vector $u \ge 0$ has $(u \cdot v)^2 = (u_1 - u_2)^2/2 \le 1/2$, and is"
                r" expanded by at most $\sqrt{50.5} = 7.11 < 10$, however many are drawn",
                lambda: bool(sp.expand(u1**2 + u2**2 - (u1 - u2) ** 2).is_nonnegative),
                lambda: sp.Integer(1) + sp.Rational(99, 2) == sp.Rational(101, 2),
                lambda: (
                    abs(sp.N(sp.sqrt(sp.Rational(101, 2)), 8) - sp.Float("7.1063352", 8)) < 1e-6
                ),
            ),
        ),
    )
