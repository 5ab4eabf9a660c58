"""Gaussian measures of any covariance, in l_p norms."""

import numpy as np
import sympy as sp

from theory.proof import Proof, Step, is_zero, proof, sampled, symbolic
from theory.proofs.fawzi2018.robustness import ISOPERIMETRY
from theory.proofs.mahloujifar2019 import NEAR, RHO
from theory.symbolic import Form, Isf, Phi, Survival, a, eta, t

variance = sp.Symbol("lambda", positive=True)


def _expansion_is_deviation() -> bool:
    rng = np.random.default_rng(11)
    for d in (1, 3, 8):
        factor = rng.normal(size=(d, d))
        values, vectors = np.linalg.eigh(factor @ factor.T)
        root = vectors @ np.diag(np.sqrt(np.maximum(values, 0.0))) @ vectors.T
        v = rng.normal(size=(d, 200))
        expansion = np.linalg.norm(root @ v, axis=0) / np.linalg.norm(v, axis=0)
        top = np.linalg.norm(root @ vectors[:, -1])
        if expansion.max() > np.sqrt(values[-1]) * (1 + 1e-12):
            return False
        if abs(top - np.sqrt(values[-1])) > 1e-10 * top:
            return False
    return True


def linear_map() -> Step:
    """Return the step that a Gaussian law is a Lipschitz image of the standard one."""
    return sampled(
        r"$x = m + \Sigma^{1/2} z$ expands $\ell_2$ distances by at most"
        r" $\lVert \Sigma \rVert_2^{1/2}$, along a top eigenvector by exactly that",
        _expansion_is_deviation,
    )


def _norms_fall() -> bool:
    rng = np.random.default_rng(5)
    for order in (2.0, 2.5, 4.0, 17.0, np.inf):
        v = rng.standard_t(2, size=(200, 7))
        small = np.linalg.norm(v, ord=order, axis=1) <= np.linalg.norm(v, axis=1) * (1 + 1e-14)
        axes = np.linalg.norm(np.eye(7), ord=order, axis=1) == 1
        if not (small.all() and axes.all()):
            return False
    return True


def smaller_norms() -> Step:
    """Return the step that l_p distances fall as p grows."""
    return sampled(
        r"$\lVert v \rVert_p \le \lVert v \rVert_2$ for $p \ge 2$, since every"
        r" $|v_i|^p \le v_i^2$ where $\lVert v \rVert_2 = 1$, with equality along the coordinate"
        r" axes: a point near to an error in $\ell_2$ is as near in $\ell_p$",
        _norms_fall,
    )


@proof("prescott2021/half-space")
def half_space() -> Proof:
    """A linear map of Gauss space, smaller norms, and when the bound is attained."""
    offset = eta / sp.sqrt(variance) - Isf(RHO)
    diagonal = sp.Matrix([1, 1]) / sp.sqrt(2)
    return Proof(
        Form(
            left=NEAR,
            right=Phi(offset),
            survival=Survival(offset),
            symbols={"eta": eta, "risk": RHO, "variance": variance},
        ),
        (
            ISOPERIMETRY,
            linear_map(),
            smaller_norms(),
            symbolic(
                r"equality for $p = 2$: the half-space $v \cdot (x - m) \ge c$ along a top"
                r" eigenvector has measure $\bar\Phi(c/\sqrt{\lambda})$ and grows by $\eta$ to"
                r" $\bar\Phi((c - \eta)/\sqrt{\lambda})$",
                lambda: is_zero(
                    Survival(a - eta / sp.sqrt(variance)) - Phi(eta / sp.sqrt(variance) - a)
                ),
            ),
            symbolic(
                r"the $\ell_p$ distance to it is $(c - v \cdot (x - m))_+ / \lVert v"
                r" \rVert_{p'}$ with $1/p + 1/p' = 1$: equality for $p > 2$ too where $v$ is a"
                r" coordinate axis; along $v = (1, 1)/\sqrt{2}$ the $\ell_\infty$ distance is"
                r" smaller by $\sqrt{2}$, and that half-space grows to more than the bound",
                lambda: sum(map(abs, sp.Matrix([1, 0]))) == 1,
                lambda: is_zero(sum(map(abs, diagonal)) - sp.sqrt(2)),
                lambda: is_zero(diagonal.dot(diagonal) - 1),
                lambda: bool(sp.diff(Phi(t - a), t).is_positive),
            ),
        ),
    )
