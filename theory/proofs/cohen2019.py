"""Randomised smoothing: the Neyman-Pearson lemma for shifts, and its dual, isoperimetry."""

import itertools

import sympy as sp

from theory.proof import Proof, Step, is_zero, proof, symbolic
from theory.proofs.fawzi2018.robustness import ISOPERIMETRY, OFFSETS
from theory.symbolic import Form, K, Phi, Survival, a, density, eta, i, offset, p

d, excess, sigma, radius = sp.symbols("d e sigma R", positive=True)
u, b, first, second, x = sp.symbols("u b q_A q_B x", real=True)


def neyman_pearson() -> tuple[Step, ...]:
    """Return the steps that bound the measure of a shifted set by that of a half-space."""
    ratio = sp.simplify(density(u - d) / density(u))
    # Where h = 1 the ratio is level + e, elsewhere level - e, with e >= 0.
    gains = [
        (inside - other) * (excess if inside else -excess)
        for inside, other in itertools.product((0, 1), repeat=2)
    ]
    return (
        symbolic(
            r"shifting $\mathcal{N}(0, I)$ by $\delta$, $d = \lVert \delta \rVert$, multiplies the"
            r" density by $e^{du - d^2/2}$, where $u$ is the coordinate along $\delta$: the ratio"
            r" depends on $u$ alone, and rises",
            lambda: is_zero(ratio - sp.exp(d * u - d**2 / 2)),
            lambda: bool(sp.diff(ratio, u).is_positive),
        ),
        symbolic(
            r"(Neyman and Pearson) let $H$ be the half-space where the ratio $\ell$ is at least"
            r" $k$, and $A$ a set of the same measure: $(1_H - 1_A)(\ell - k) \ge 0$ everywhere,"
            r" so that the shifted measure of $A$ is at most that of $H$",
            lambda: all(bool(sp.sympify(gain).is_nonnegative) for gain in gains),
        ),
        symbolic(
            r"the half-space $u \ge -b$ has the measure $\Phi(b)$, shifted $\Phi(b + d)$; so a set"
            r" of measure $q$ has a shifted measure of at most $\Phi(\Phi^{-1}(q) + d)$, and,"
            r" applied to its complement, of at least $\Phi(\Phi^{-1}(q) - d)$",
            lambda: is_zero(Survival(-b) - Phi(b)) and is_zero(Survival(-b - d) - Phi(b + d)),
            lambda: is_zero(1 - Phi(-b + d) - Phi(b - d)),
        ),
    )


def certificate() -> Step:
    """Return the step from the shifted probabilities to the radius."""
    return symbolic(
        r"with noise $\sigma\epsilon$, $d = \lVert \delta \rVert / \sigma$: the first class keeps"
        r" at least $\Phi(\Phi^{-1}(p_A) - d)$, any other gets at most $\Phi(\Phi^{-1}(p_B) + d)$,"
        r" and these meet at $\lVert \delta \rVert = \frac{\sigma}{2} (\Phi^{-1}(p_A) -"
        r" \Phi^{-1}(p_B))$; for $p_B = 1 - p_A$ that is $\sigma\Phi^{-1}(p_A)$",
        lambda: is_zero(
            sp.solve(sp.Eq(first - radius / sigma, second + radius / sigma), radius)[0]
            - sigma * (first - second) / 2
        ),
        lambda: is_zero((sigma * (first - second) / 2).subs(second, -first) - sigma * first),
    )


def half_space_is_tight() -> Step:
    """Return the step that smoothing a half-space certifies its distance."""
    return symbolic(
        r"equality for half-spaces: for $f(x) = [u \ge b]$ and a point at $u = x$ the class has the"
        r" probability $\Phi((x - b) / \sigma)$, the other one $\Phi(-(x - b) / \sigma)$, and the"
        r" radius is $|x - b|$, the distance to the boundary",
        lambda: is_zero(Survival((b - x) / sigma) - Phi((x - b) / sigma)),
        lambda: is_zero(
            (sigma * (first - second) / 2).subs({first: (x - b) / sigma, second: (b - x) / sigma})
            - (x - b)
        ),
    )


@proof("cohen2019/thm1")
def theorem1() -> Proof:
    """Neyman-Pearson for each of two classes."""
    return Proof(
        Form(
            left=r"\frac{\sigma}{2} \bigl(\Phi^{-1}(p_A) - \Phi^{-1}(p_B)\bigr)",
            right=sp.Symbol("r"),
            symbols={},
        ),
        (*neyman_pearson(), certificate(), half_space_is_tight()),
    )


@proof("cohen2019/isoperimetry")
def isoperimetry() -> Proof:
    """The certificate is below the radius, and the radius below what isoperimetry allows."""
    crossing = Phi(a + eta) - Phi(a)
    both = crossing + crossing.subs(a, -a)
    return Proof(
        Form(
            left=r"\Pr(R \le \eta)",
            right=sp.Sum(Phi(offset[i] + eta) - Phi(offset[i]), (i, 1, K)),
            survival=sp.Sum(Survival(offset[i] + eta), (i, 1, K)),
            symbols={"eta": eta, "class_masses": p},
            where=(OFFSETS,),
        ),
        (
            *neyman_pearson(),
            certificate(),
            ISOPERIMETRY,
            symbolic(
                r"$R(z)$ is at most the distance of $z$ to another label of $F$, and by"
                r" isoperimetry, for the other classes of measure $1 - p_i$, that distance exceeds"
                r" $\eta$ on a part of class $i$ of measure at most $\bar\Phi(a_i + \eta)$",
                lambda: is_zero(Survival(a) - Survival(a + eta) - crossing),
            ),
            symbolic(
                r"one function, two inequalities: a set of measure $\Phi(b)$ shifted by $d$ has a"
                r" measure of at most $\Phi(b + d)$, enlarged by $d$ of at least $\Phi(b + d)$; a"
                r" half-space enlarged is the half-space shifted",
                lambda: is_zero(Survival(-b - d) - Phi(b + d)),
            ),
            half_space_is_tight(),
            symbolic(
                r"so for $K = 2$ and a half-space at offset $a$ both are equalities:"
                r" $\Pr(|u - a| \le \eta)$ is the bound",
                lambda: is_zero(both - (Phi(a + eta) - Phi(a - eta))),
            ),
        ),
    )
