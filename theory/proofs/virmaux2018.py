"""The split over pairs of layers, and what is seen of a supremum."""

from itertools import pairwise

import numpy as np
import sympy as sp

from theory.proof import Proof, is_zero, proof, sampled, symbolic
from theory.proofs.szegedy2014 import depth, layer, norms
from theory.symbolic import Form

FACTOR = sp.Symbol("q_k", nonnegative=True)
_FACTORS = r"\max_D \lVert \Sigma'_{k+1} V_{k+1}^T D U_k \Sigma'_k \rVert_2"


def _split_is_the_jacobian() -> bool:
    """Whether the factors of four layers multiply to the Jacobian between its outer factors."""
    names = [f"{letter}_{k}" for letter in "UVDR" for k in range(1, 5)]
    letters = {name: sp.Symbol(name, commutative=False) for name in names}
    u, v, d, r = ([letters[f"{letter}_{k}"] for k in range(1, 5)] for letter in "UVDR")
    # R is the root of the singular values; the first and the last layer have them whole.
    ends = [r[0] ** 2, r[1], r[2], r[3] ** 2]
    split = sp.Mul(*(ends[k + 1] * v[k + 1] * d[k] * u[k] * ends[k] for k in (2, 1, 0)))
    weights = [u[k] * r[k] ** 2 * v[k] for k in range(4)]
    jacobian = weights[3] * d[2] * weights[2] * d[1] * weights[1] * d[0] * weights[0]
    return bool(u[3] * split * v[0] == jacobian)


def _rotations_keep_norms() -> bool:
    angle = sp.Symbol("theta", real=True)
    rotation = sp.Matrix([[sp.cos(angle), -sp.sin(angle)], [sp.sin(angle), sp.cos(angle)]])
    z = sp.Matrix(sp.symbols("z:2", real=True))
    return is_zero(((rotation * z).T * (rotation * z))[0] - (z.T * z)[0])


def _roots_telescope(n_layers: int = 5) -> bool:
    w = sp.symbols(f"w1:{n_layers + 1}", positive=True)
    ends = [w[0], *(sp.sqrt(each) for each in w[1:-1]), w[-1]]
    pairs = sp.prod(ends[k + 1] * ends[k] for k in range(n_layers - 1))
    return is_zero(pairs - sp.prod(w))


def _random_splits() -> bool:
    rng = np.random.default_rng(3)
    for sizes in ((3, 5, 4, 2), (4, 3, 5, 3, 2)):
        weights = [rng.normal(size=(after, before)) for before, after in pairwise(sizes)]
        halves = [np.linalg.svd(weight, full_matrices=False) for weight in weights]
        for _ in range(30):
            patterns = [rng.random(n) < 0.5 for n in sizes[1:-1]]
            jacobian, product = weights[0], 1.0
            for k, pattern in enumerate(patterns):
                jacobian = weights[k + 1] @ (pattern[:, None] * jacobian)
                own = halves[k][1] ** (1.0 if k == 0 else 0.5)
                next_ = halves[k + 1][1] ** (1.0 if k == len(patterns) - 1 else 0.5)
                after = next_[:, None] * halves[k + 1][2]
                product *= float(np.linalg.norm((after * pattern) @ (halves[k][0] * own), 2))
            if np.linalg.norm(jacobian, 2) > product * (1 + 1e-12):
                return False
    return True


@proof("virmaux2018/seqlip")
def seqlip() -> Proof:
    """One pattern a factor."""
    return Proof(
        Form(
            left="L",
            right=sp.Product(FACTOR, (layer, 1, depth - 1)),
            symbols={},
            where=((FACTOR, _FACTORS),),
        ),
        (
            symbolic(
                r"the change of outputs is $W_m D_{m-1} \ldots D_1 W_1 x$ with slopes $D_k$ in"
                r" $[0, 1]$; with $\Sigma_k = \Sigma_k^{1/2} \Sigma_k^{1/2}$ in the inner layers"
                r" it is $U_m$ times the product of the factors times $V_1^T$ (four layers)",
                _split_is_the_jacobian,
            ),
            symbolic(
                r"matrices with orthonormal columns, $U_m$ and $V_1$, do not change norms (in two"
                r" dimensions)",
                _rotations_keep_norms,
            ),
            sampled(
                r"each factor depends on a pattern of its own, so that the norm of the product is"
                r" at most the product of the largest norms (tried on random weights and patterns)",
                _random_splits,
            ),
        ),
    )


@proof("virmaux2018/below-product")
def below_product() -> Proof:
    """Roots of norms pair up."""
    return Proof(
        Form(
            left=r"L_{\mathrm{split}}",
            right=sp.Product(norms, (layer, 1, depth)),
            symbols={},
            where=((norms, r"\lVert W_k \rVert_2"),),
        ),
        (
            symbolic(
                r"a factor is at most $\lVert \Sigma'_{k+1} \rVert \lVert D \rVert \lVert"
                r" \Sigma'_k \rVert$, that is $\lVert W_{k+1} \rVert^{1/2} \lVert W_k"
                r" \rVert^{1/2}$ between inner layers; each inner layer is in two factors, by a"
                r" root each (five layers)",
                _roots_telescope,
            ),
        ),
    )


def _split_multipliers(n_factors: int = 4) -> bool:
    """Whether the factors' quadratic forms, weighted, sum to that of the network.

    v_k are the squares of what enters factor k, z_k the products of its slopes times multipliers.
    """
    q = sp.symbols(f"q1:{n_factors + 1}", positive=True)
    v = sp.symbols(f"v1:{n_factors + 2}", nonnegative=True)
    z = sp.symbols(f"z1:{n_factors + 1}", real=True)
    weights = [sp.prod(each**2 for each in q[k + 1 :]) for k in range(n_factors)]
    forms = [q[k] ** 2 * v[k] + z[k] - v[k + 1] for k in range(n_factors)]
    total = sp.Add(*(weight * form for weight, form in zip(weights, forms, strict=True)))
    whole = sp.prod(each**2 for each in q) * v[0] - v[-1]
    whole += sp.Add(*(weight * each for weight, each in zip(weights, z, strict=True)))
    return is_zero(sp.expand(total - whole))


@proof("virmaux2018/semidefinite-below-split")
def semidefinite_below_split() -> Proof:
    """The factors' multipliers, weighted, are multipliers of the network."""
    bound = sp.Symbol("q_k", nonnegative=True)
    return Proof(
        Form(left=r"L_{\mathrm{sdp}}", right=sp.Product(bound, (layer, 1, depth - 1)), symbols={}),
        (
            symbolic(
                r"with $v_k$ what enters factor $k$, which is $\Sigma'_k V_k^T u_{k-1}$, and $W_k"
                r" u_{k-1} = U_k \Sigma'_k v_k$, its multipliers $T_k$ give $q_k^2 \lVert v_k"
                r" \rVert^2 + 2 u_k^T T_k (u_k - W_k u_{k-1}) - \lVert v_{k+1} \rVert^2 \ge 0$;"
                r" times $\prod_{j > k} q_j^2$ they sum to the network's quadratic form with"
                r" $\rho = \prod_k q_k^2$ (four factors)",
                _split_multipliers,
            ),
        ),
    )


def _secants_below_slopes() -> bool:
    """Whether secants of random networks of one input are at most their steepest piece."""
    rng = np.random.default_rng(23)
    for _ in range(20):
        hinge, out = rng.normal(size=(8, 2)), rng.normal(size=8)
        breaks = np.sort(-hinge[:, 1] / hinge[:, 0])
        middles = np.concatenate([breaks[:1] - 1, (breaks[1:] + breaks[:-1]) / 2, breaks[-1:] + 1])
        on = hinge[:, :1] * middles + hinge[:, 1:] > 0
        steepest = np.abs((out * hinge[:, 0]) @ on).max()
        a, b = rng.normal(size=(2, 200)) * 3
        value = [out @ np.maximum(hinge[:, :1] * each + hinge[:, 1:], 0) for each in (a, b)]
        if np.any(np.abs(value[1] - value[0]) > steepest * np.abs(b - a) * (1 + 1e-9) + 1e-12):
            return False
    return True


@proof("virmaux2018/sampled-lower")
def sampled_lower() -> Proof:
    """A supremum is not below what was seen."""
    expansion = sp.Symbol(
        r"\max_{k} \frac{\lVert f(x_k) - f(y_k) \rVert}{\lVert x_k - y_k \rVert}", nonnegative=True
    )
    return Proof(
        Form(left="L", right=expansion, symbols={}),
        (
            sampled(
                r"$L$ is the supremum over all pairs of points, of which $(x_k, y_k)$ are some"
                r" (tried on networks of one input, whose steepest piece is known)",
                _secants_below_slopes,
            ),
        ),
    )
