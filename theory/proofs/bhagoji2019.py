"""Adversarial loss by optimal transport: conflicts, covers, and two Gaussians."""

import itertools

import sympy as sp
from sympy.logic.boolalg import And, Implies, Not
from sympy.logic.inference import satisfiable

from theory.proof import Proof, assumed, is_zero, proof, sampled, symbolic
from theory.symbolic import Form, Phi, Survival, density

cost, loss, margin = sp.symbols("C L m", nonnegative=True)
budget, mean, shift, rest = sp.symbols("epsilon mu v s", nonnegative=True)
x = sp.Symbol("x", real=True)


def _both_right_is_impossible() -> bool:
    first, second, label = sp.symbols("first second label")
    # The label at a point of both neighbourhoods is that of the first class, or it is not.
    claims = And(first, second, Implies(first, label), Implies(second, Not(label)))
    return satisfiable(claims) is False


def _balls_meet() -> bool:
    one, other, point = sp.symbols("x_1 x_2 y", real=True)
    middle = (one + other) / 2
    apart = sp.Symbol("d_1", nonnegative=True), sp.Symbol("d_2", nonnegative=True)
    # With d_i at most the budget: budget = d_i + s_i.
    room = (apart[0] + rest) + (apart[1] + shift) - (apart[0] + apart[1])
    return (
        is_zero((one - middle) - (one - other) / 2)
        and is_zero((middle - other) - (one - other) / 2)
        and is_zero((one - point) + (point - other) - (one - other))
        and bool(room.is_nonnegative)
    )


def _koenig_on_small_graphs() -> bool:
    """Whether matchings and covers have one size for every bipartite graph of 3 + 3 points."""
    places = list(itertools.product(range(3), repeat=2))
    for chosen in itertools.product((False, True), repeat=len(places)):
        edges = {place for place, taken in zip(places, chosen, strict=True) if taken}
        matching = max(
            sum((i, j) in edges for i, j in enumerate(order))
            for order in itertools.permutations(range(3))
        )
        cover = min(
            len(rows) + len({j for i, j in edges if i not in rows})
            for size in range(4)
            for rows in itertools.combinations(range(3), size)
        )
        if matching != cover:
            return False
    return True


@proof("bhagoji2019/finite-samples")
def finite_samples() -> Proof:
    """Conflicting points cannot both be right, and no more than that is lost."""
    return Proof(
        Form(left="L", right=(1 - cost) / 2, symbols={"cost": cost}),
        (
            symbolic(
                r"a point is right under attack if its whole neighbourhood has its label: two"
                r" points of different classes whose neighbourhoods meet cannot both be",
                _both_right_is_impossible,
            ),
            symbolic(
                r"closed balls of radius $\epsilon$ meet iff $\lVert x - x' \rVert \le 2\epsilon$:"
                r" the midpoint is at half the distance from both, and a common point gives the"
                r" triangle inequality",
                _balls_meet,
            ),
            symbolic(
                r"under any coupling the losses of a pair that meets sum to at least 1; on average"
                r" $2L \ge 1 - C$",
                lambda: sp.solve(sp.Eq(2 * loss, 1 - cost), loss) == [(1 - cost) / 2],
            ),
            symbolic(
                r"points without a conflict are all right if each neighbourhood gets its own label,"
                r" as no two of different labels meet: the least loss is the weight of the lightest"
                r" cover of all conflicts",
                lambda: (
                    not satisfiable(
                        And(sp.Symbol("meet"), Implies(sp.Symbol("meet"), sp.Symbol("conflict")))
                        & Not(sp.Symbol("conflict"))
                    )
                ),
            ),
            assumed(
                r"the lightest cover weighs as much as the heaviest plan along conflicts, $(1 - C)"
                r" / 2$ (Koenig 1931 for equal weights; Kantorovich duality, Theorem 1 of the"
                r" paper, for laws)"
            ),
            sampled(
                r"Koenig's theorem for all 512 bipartite graphs on three and three points",
                _koenig_on_small_graphs,
            ),
        ),
    )


def _variation() -> bool:
    """Whether the square of the distance changes along a segment at the rate -2 w.(v - v*)."""
    names = "a b c mu_1 mu_2 v_1 v_2 w_1 w_2 s"
    a, b, c, m1, m2, v1, v2, u1, u2, s = sp.symbols(names, real=True)
    inverse = sp.Matrix([[a, b], [b, c]]).inv()
    centre, nearest, other = sp.Matrix([m1, m2]), sp.Matrix([v1, v2]), sp.Matrix([u1, u2])
    moved = centre - nearest - s * (other - nearest)
    square = (moved.T * inverse * moved)[0]
    normal = inverse * (centre - nearest)
    rate = -2 * (normal.T * (other - nearest))[0]
    return bool(sp.simplify(sp.diff(square, s).subs(s, 0) - rate) == 0)


def _linear_margin() -> bool:
    """Whether w = Sigma^-1 y has w.y = w.Sigma.w, so that w.y / sqrt(w.Sigma.w) is the distance."""
    a, b, c, y1, y2 = sp.symbols("a b c y_1 y_2", real=True)
    covariance, apart = sp.Matrix([[a, b], [b, c]]), sp.Matrix([y1, y2])
    normal = covariance.inv() * apart
    square = (apart.T * covariance.inv() * apart)[0]
    spread = (normal.T * covariance * normal)[0]
    return all(
        sp.simplify(each - square) == 0 for each in ((normal.T * apart)[0], spread)
    ) and is_zero(margin**2 / sp.sqrt(margin**2) - margin)


@proof("bhagoji2019/gaussian")
def gaussian() -> Proof:
    """A constant shift of each class for the bound, a half-space that attains it."""
    ratio = density(x - mean) / density(x + mean)
    return Proof(
        Form(
            left="L",
            right=Survival(margin),
            symbols={"margin": margin},
            where=((margin, r"\min_{v \in B} \lVert \mu - v \rVert_{\Sigma^{-1}}"),),
        ),
        (
            symbolic(
                r"no classifier tells $\mathcal{N}(\mu, 1)$ from $\mathcal{N}(-\mu, 1)$ with an"
                r" error below $\bar\Phi(\mu)$: the likelihood ratio $e^{2\mu x}$ rises and is 1 at"
                r" 0, where the best test cuts; in $\mathbb{R}^d$ it depends on the coordinate"
                r" along $\Sigma^{-1}\mu$ alone, and $\mu$ becomes $\lVert \mu"
                r" \rVert_{\Sigma^{-1}}$",
                lambda: is_zero(sp.simplify(ratio) - sp.exp(2 * mean * x)),
                lambda: is_zero(Survival(mean) - Phi(-mean)),
            ),
            symbolic(
                r"an adversary who moves the first class by $-v$ and the second by $v$, $v \in B$,"
                r" leaves Gaussians with means $\pm(\mu - v)$: every classifier loses at least"
                r" $\bar\Phi(\lVert \mu - v \rVert_{\Sigma^{-1}})$, most for the nearest $v$",
                lambda: bool((-sp.diff(Survival(margin), margin)).is_positive),
                lambda: is_zero((mean - shift) + (-mean + shift)),
            ),
            symbolic(
                r"with $v^*$ the nearest point and $w = \Sigma^{-1}(\mu - v^*)$ the square of the"
                r" distance changes towards $v \in B$ at the rate $-2 w \cdot (v - v^*)$, which is"
                r" not negative, as $B$ is convex: $w \cdot v \le w \cdot v^*$ on $B$ (shown in the"
                r" plane)",
                _variation,
            ),
            symbolic(
                r"so the half-space normal to $w$ loses $\bar\Phi$ of"
                r" $w \cdot (\mu - v^*) / \sqrt{w \cdot \Sigma w} ="
                r" \lVert \mu - v^* \rVert_{\Sigma^{-1}}$: equality (shown in the plane)",
                _linear_margin,
            ),
            symbolic(
                r"for $\Sigma = \sigma^2 I$ a coordinate $\mu_k > \epsilon$ is nearest at"
                r" $\epsilon$ in $\ell_\infty$, and $\mu$ at $\epsilon\mu / \lVert \mu \rVert$ in"
                r" $\ell_2$, at the distance $\lVert \mu \rVert - \epsilon$",
                # mu = budget + rest: the square of the distance falls until v reaches the budget.
                lambda: bool(
                    (-sp.diff((budget + rest - x) ** 2, x).subs(x, budget)).is_nonnegative
                ),
                lambda: is_zero((mean - budget * mean / mean) - (mean - budget)),
            ),
        ),
    )
