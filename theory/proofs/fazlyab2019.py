"""The semidefinite bound: what slopes in [0, 1] imply, and what coupled slopes do not."""

import sympy as sp

from theory.proof import Proof, Step, is_zero, proof, symbolic
from theory.proofs.szegedy2014 import depth, layer, norms
from theory.symbolic import Form

rho = sp.Symbol("rho", positive=True)
odds = sp.Symbol("o", nonnegative=True)
y, u, x, first, second = sp.symbols("y u x u_1 u_2", real=True)
alpha = sp.Symbol("alpha", real=True)
WITNESS_FIRST, WITNESS_SECOND = sp.Matrix([1, 1]), sp.Matrix([[1, -1]])


def quadratic(square: sp.Expr, weights: list[sp.Matrix], multipliers: list[sp.Matrix]) -> sp.Matrix:
    """Return the matrix of rho |x|^2 + 2 sum u^T T (u - W u_before) - |W_m u_last|^2."""
    sizes = [weights[0].cols, *(weight.rows for weight in weights[:-1])]
    matrix = sp.zeros(sum(sizes))
    matrix[: sizes[0], : sizes[0]] = square * sp.eye(sizes[0])
    start = sizes[0]
    for weight, t, before, size in zip(weights, multipliers, sizes, sizes[1:], strict=False):
        own, earlier = slice(start, start + size), slice(start - before, start)
        matrix[own, own] += 2 * t
        matrix[own, earlier] -= t * weight
        matrix[earlier, own] -= (t * weight).T
        start += size
    matrix[-sizes[-1] :, -sizes[-1] :] -= weights[-1].T * weights[-1]
    return matrix


def slopes_make_products() -> Step:
    """Return the step that u (y - u) >= 0 where u is a slope in [0, 1] times y."""
    slope = 1 / (1 + odds)
    return symbolic(
        r"a neuron whose input changes by $y$ changes its output by $u = s y$ with a slope $s$ in"
        r" $[0, 1]$, so that $u (y - u) = s (1 - s) y^2 \ge 0$, whatever the slopes of others are",
        lambda: is_zero(slope * y * (y - slope * y) - slope * (1 - slope) * y**2),
        lambda: bool(sp.simplify(slope * (1 - slope)).is_nonnegative),
    )


def _procedure() -> bool:
    """Whether the quadratic form is rho |x|^2 - |f|^2 less the products, for general slopes."""
    w1, w2 = sp.Matrix(2, 2, sp.symbols("a:4")), sp.Matrix(2, 2, sp.symbols("b:4"))
    w3 = sp.Matrix(1, 2, sp.symbols("c:2"))
    point = sp.Matrix(sp.symbols("x:2"))
    slopes = [sp.diag(*sp.symbols(f"s{layer}_:2")) for layer in (1, 2)]
    multipliers = [sp.diag(*sp.symbols(f"t{layer}_:2")) for layer in (1, 2)]
    inputs = [w1 * point]
    inputs.append(w2 * slopes[0] * inputs[0])
    changes = [slope * each for slope, each in zip(slopes, inputs, strict=True)]
    whole = sp.Matrix([*point, *changes[0], *changes[1]])
    form = (whole.T * quadratic(rho, [w1, w2, w3], multipliers) * whole)[0]
    products = sum(
        (2 * (change.T * t * (each - change))[0])
        for change, t, each in zip(changes, multipliers, inputs, strict=True)
    )
    output = w3 * changes[1]
    return bool(sp.expand(form - (rho * (point.T * point)[0] - output[0] ** 2 - products)) == 0)


@proof("fazlyab2019/neuron")
def neuron() -> Proof:
    """The S-procedure."""
    a, b = sp.symbols("a b", positive=True)
    one = quadratic(rho, [sp.Matrix([[a]]), sp.Matrix([[b]])], [sp.Matrix([[b**2]])])
    return Proof(
        Form(left="L", right=sp.sqrt(rho), symbols={}),
        (
            slopes_make_products(),
            symbolic(
                r"with these changes the quadratic form is $\rho \lVert x \rVert^2 - \lVert f"
                r" \rVert^2$ less $2 \sum_i \lambda_i u_i (y_i - u_i)$, where $f$ is the change of"
                r" outputs: if it is at least 0, so is $\rho \lVert x \rVert^2 - \lVert f"
                r" \rVert^2$ (at general entries of three layers)",
                _procedure,
            ),
            symbolic(
                r"so it is for two points of the network and for free patterns $D_l$ alike, as"
                r" both have slopes in $[0, 1]$; those of 0 and 1 make the products 0",
                lambda: {slope * (1 - slope) for slope in (sp.S.Zero, sp.S.One)} == {sp.S.Zero},
            ),
            symbolic(
                r"equality for one neuron, $f(x) = b \phi(a x)$: with $\lambda = b^2$ the matrix"
                r" has the determinant $b^2 (\rho - a^2 b^2)$",
                lambda: is_zero(one.det() - b**2 * (rho - a**2 * b**2)),
                lambda: is_zero(one[1, 1] - b**2),
            ),
        ),
    )


def coupled(square: sp.Expr, own: sp.Expr, coupling: sp.Expr) -> sp.Matrix:
    """Return the coupled programme's matrix for relu(x) - relu(x - 1)."""
    difference = sp.Matrix([1, -1])
    t = own * sp.eye(2) + coupling * difference * difference.T
    return quadratic(square, [WITNESS_FIRST, WITNESS_SECOND], [t])


def _witness(at: sp.Expr) -> sp.Expr:
    return sp.Max(at, 0) - sp.Max(at - 1, 0)


@proof("fazlyab2019/network")
def network() -> Proof:
    """A network of constant 1 whose coupled programme reaches 0."""
    matrix = coupled(rho, rho, sp.Rational(1, 2))
    point = sp.Matrix([x, first, second])
    squares = rho * ((x / sp.sqrt(2) - sp.sqrt(2) * first) ** 2)
    squares += rho * ((x / sp.sqrt(2) - sp.sqrt(2) * second) ** 2)
    alone = coupled(sp.S.One, sp.S.One, sp.S.Zero)
    ones = sp.Matrix([1, -1, -1])
    return Proof(
        Form(left="L", right=sp.sqrt(rho), symbols={}),
        (
            symbolic(
                r"the constraint of a coupling fails: two neurons whose inputs change by 1 and"
                r" whose slopes are 1 and 0 have $(u_1 - u_2)(y_1 - y_2 - u_1 + u_2) = -1$",
                lambda: (1 - 0) * (1 - 1 - 1 + 0) == -1,
            ),
            symbolic(
                r"$f(x) = \max(x, 0) - \max(x - 1, 0)$, of $W_1 = (1, 1)^T$ and $W_2 = (1, -1)$,"
                r" has the slopes 0, 1 and 0, and $f(1) - f(0) = 1$: its constant is 1",
                lambda: _witness(sp.S.One) - _witness(sp.S.Zero) == 1,
                lambda: (
                    [_witness(end + 1) - _witness(end) for end in sp.sympify((-1, 0, 1))]
                    == [0, 1, 0]
                ),
            ),
            symbolic(
                r"with $\lambda_1 = \lambda_2 = \rho$ and $\lambda_{12} = 1/2$ the quadratic form"
                r" is $\rho \sum_i (x/\sqrt{2} - \sqrt{2} u_i)^2 \ge 0$ for every $\rho > 0$, of"
                r" eigenvalues $0$, $2 \rho$ and $3 \rho$",
                lambda: sp.expand((point.T * matrix * point)[0] - squares) == 0,
                lambda: matrix.eigenvals() == {sp.S.Zero: 1, 2 * rho: 1, 3 * rho: 1},
            ),
            symbolic(
                r"so $L \le \sqrt{\rho}$ would hold for every $\rho > 0$: the infimum is 0",
                lambda: sp.limit(sp.sqrt(rho), rho, 0) == 0,
            ),
            symbolic(
                r"without the coupling $\lambda_1 = \lambda_2 = 1$ show $\rho = 1$, which is exact",
                lambda: alone == ones * ones.T,
            ),
        ),
    )


def _telescopes(n_layers: int = 5) -> bool:
    """Whether the multipliers of the product leave nothing of the quadratic form."""
    w = sp.symbols(f"w1:{n_layers + 1}", positive=True)
    sizes = sp.symbols(f"n0:{n_layers}", nonnegative=True)
    multipliers = [sp.prod(each**2 for each in w[k + 1 :]) for k in range(n_layers - 1)]
    total = sp.prod(each**2 for each in w) * sizes[0] - w[-1] ** 2 * sizes[-1]
    for k, multiplier in enumerate(multipliers):
        total += multiplier * (sizes[k + 1] - w[k] ** 2 * sizes[k])
    return is_zero(sp.expand(total))


@proof("fazlyab2019/below-product")
def below_product() -> Proof:
    """Multipliers that prove the product."""
    narrow = 2 * (u - alpha * y) * (y - u) / (1 - alpha)
    return Proof(
        Form(
            left=r"L_{\mathrm{sdp}}",
            right=sp.Product(norms, (layer, 1, depth)),
            symbols={},
            where=((norms, r"\lVert W_k \rVert_2"),),
        ),
        (
            symbolic(
                r"$2 u (u - y) \ge u^2 - y^2$, and with $y = W_l u_{l-1}$ the sum of $y^2$ is at"
                r" most $\lVert W_l \rVert^2 \lVert u_{l-1} \rVert^2$",
                lambda: is_zero(2 * u * (u - y) - (u**2 - y**2) - (u - y) ** 2),
            ),
            symbolic(
                r"so with $T_l = \prod_{k > l} \lVert W_k \rVert^2 I$ and $\rho = \prod_k \lVert"
                r" W_k \rVert^2$ the quadratic form is at least a sum that telescopes to 0 (five"
                r" layers)",
                _telescopes,
            ),
            symbolic(
                r"and so for slopes in $[\alpha, 1]$, $-1 \le \alpha < 1$, whose products are $(u -"
                r" \alpha y)(y - u)$",
                lambda: is_zero(
                    sp.cancel(y**2 - u**2 - narrow - (1 + alpha) / (1 - alpha) * (y - u) ** 2)
                ),
            ),
        ),
    )
