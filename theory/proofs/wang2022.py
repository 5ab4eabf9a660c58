"""One hidden layer and one output: two semidefinite programmes that are one, and a rounding."""

import sympy as sp

from theory.proof import Proof, assumed, is_zero, proof, symbolic
from theory.symbolic import Form

_SDP = sp.Symbol(r"L_{\mathrm{sdp}}", nonnegative=True)
_RHO = sp.Symbol("rho", positive=True)
_MU = sp.symbols("mu_1:3", positive=True)
_WEIGHT = sp.Matrix(2, 2, sp.symbols("a:4", real=True))
_OUTPUT = sp.Matrix(sp.symbols("w_1:3", nonzero=True, real=True))


def _eliminated(corner: sp.Matrix, middle: sp.Matrix, side: sp.Matrix) -> sp.Matrix:
    """Return the Schur complement of the middle block, whose rows to the corner are `side`."""
    return corner - side.T * middle.inv() * side


def _neuron_form() -> sp.Matrix:
    """Return the semidefinite bound's matrix without its neurons, lambda_i = rho w_i^2/(2 mu_i)."""
    own = sp.diag(*(_RHO * w**2 / (2 * mu) for w, mu in zip(_OUTPUT, _MU, strict=True)))
    # |w^T u|^2 is the Schur complement of a last row -w^T beside 1.
    side = sp.Matrix.hstack(-_OUTPUT, -own * _WEIGHT)
    return _eliminated(sp.diag(1, _RHO * sp.eye(2)), 2 * own, side)


def _sign_form() -> sp.Matrix:
    """Return the relaxation's dual matrix over (1, d), without d."""
    rows = sp.diag(*_OUTPUT) * _WEIGHT
    side = sp.Matrix.hstack(-2 * sp.Matrix(_MU), -rows)
    return _eliminated(sp.diag(_RHO, sp.eye(2)), 4 * sp.diag(*_MU), side)


def _congruent() -> bool:
    scale = sp.diag(sp.sqrt(_RHO), sp.eye(2) / sp.sqrt(_RHO))
    apart = scale * _neuron_form() * scale - _sign_form()
    return bool(apart.applyfunc(sp.simplify) == sp.zeros(3))


def _signs_to_slopes() -> bool:
    """Whether the diagonal dual of the relaxation is the quadratic form in slopes."""
    d, one = sp.symbols("d_1:3", real=True), sp.Symbol("d_0", real=True)
    rest = _RHO - sum(_MU)
    signs = [2 * each - one for each in d]
    diagonal = sum(mu * sign**2 for mu, sign in zip(_MU, signs, strict=True)) + rest * one**2
    slopes = _RHO * one**2 + 4 * sum(
        mu * (each**2 - each * one) for mu, each in zip(_MU, d, strict=True)
    )
    return is_zero(sp.expand(diagonal - slopes))


def _arcsine_above_identity() -> bool:
    z = sp.Symbol("z")
    rest = sp.series(sp.asin(z) - z, z, 0, 16).removeO()
    return all(coefficient >= 0 for coefficient in sp.Poly(rest, z).all_coeffs())


@proof("wang2022/semidefinite-ratio")
def semidefinite_ratio() -> Proof:
    """The semidefinite bound is the relaxation of a maximum over signs."""
    s = sp.symbols("s_1:3", real=True)
    rows = sp.diag(*_OUTPUT) * _WEIGHT
    half = sp.Matrix([(1 + sign) / 2 for sign in s])
    return Proof(
        Form(left="L", right=_SDP * sp.sqrt(2 / sp.pi), symbols={}),
        (
            symbolic(
                r"with the rows $w_i W_i$ of $A$, the largest norm over patterns is the maximum of"
                r" $\lVert A^T d \rVert$ over $d$ in $[0, 1]^n$, at a vertex by convexity; with $d"
                r" = (1 + s) / 2$ that of $\lVert A^T (s + s_0 1) \rVert / 2$ over all signs, a"
                r" form that is positive semidefinite",
                lambda: (
                    (rows.T * half - (_OUTPUT.T * sp.diag(*half) * _WEIGHT).T).applyfunc(sp.expand)
                    == sp.zeros(2, 1)
                ),
            ),
            symbolic(
                r"the dual of its relaxation, the least sum $\rho$ of a diagonal above the form,"
                r" is in $d$ the least $\rho$ with $\rho + 4 \sum_i \mu_i (d_i^2 - d_i) \ge"
                r" \lVert A^T d \rVert^2$",
                _signs_to_slopes,
            ),
            symbolic(
                r"that is the semidefinite bound with $\lambda_i = \rho w_i^2 / (2 \mu_i)$: without"
                r" $u$ and without $d$ the two matrices are congruent, at equal $\rho$ (two"
                r" neurons, two inputs)",
                _congruent,
            ),
            symbolic(
                r"$\arcsin z - z$ has no negative coefficient, so that by Schur's product theorem"
                r" $\arcsin X \succeq X$ entry by entry for correlations $X$ (to order 15)",
                _arcsine_above_identity,
            ),
            assumed(
                r"signs of Gaussians with correlations $X$ have the mean product $(2/\pi) \arcsin"
                r" X$ (Grothendieck), so the maximum of a positive semidefinite form over signs is"
                r" at least $2/\pi$ of that over correlations (Rietz 1974, Nesterov 1998), which"
                r" equals its dual"
            ),
        ),
    )
