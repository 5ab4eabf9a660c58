"""Slopes halfway to the identity, expanded."""

from itertools import pairwise, product

import sympy as sp

from theory.proof import Proof, is_zero, proof, symbolic
from theory.proofs.szegedy2014 import depth, layer, norms
from theory.symbolic import Form

MERGED = sp.Symbol("S", nonnegative=True)
_CUTS = (
    r"\sum_{0 = c_0 < c_1 < \ldots < c_j = m} \prod_{i=1}^{j}"
    r" \lVert W_{c_i} \ldots W_{c_{i-1} + 1} \rVert_2"
)


def _letters(letter: str, n: int) -> list[sp.Symbol]:
    return [sp.Symbol(f"{letter}_{k}", commutative=False) for k in range(1, n + 1)]


def _expands(n_layers: int = 4) -> bool:
    """Whether the Jacobian is the mean over sets of cuts, at general weights and patterns."""
    w, r = _letters("W", n_layers), _letters("R", n_layers - 1)
    jacobian = w[0]
    for k in range(1, n_layers):
        jacobian = w[k] * (1 + r[k - 1]) / 2 * jacobian
    terms = []
    for cuts in product((False, True), repeat=n_layers - 1):
        term = w[0]
        for k, cut in enumerate(cuts):
            term = w[k + 1] * (r[k] if cut else 1) * term
        terms.append(term)
    mean = sp.Add(*terms) / sp.Integer(2) ** (n_layers - 1)
    return bool(sp.expand(jacobian - mean) == 0)


def _recursion(n_layers: int = 6) -> bool:
    """Whether sums over the last cut give the sum over all sets of cuts."""
    name = {(a, b): sp.Symbol(f"n_{a}_{b}") for b in range(1, n_layers + 1) for a in range(b)}
    sums = [sp.S.One]
    for b in range(1, n_layers + 1):
        sums.append(sp.Add(*(sums[a] * name[a, b] for a in range(b))))
    total = sp.S.Zero
    for cuts in product((False, True), repeat=n_layers - 1):
        places = [0, *(k + 1 for k, cut in enumerate(cuts) if cut), n_layers]
        total += sp.prod(name[pair] for pair in pairwise(places))
    return bool(sp.expand(sums[-1] - total) == 0)


@proof("combettes2020/cut-points")
def cut_points() -> Proof:
    """A mean of products in which only the taken slopes cut."""
    odds = sp.Symbol("o", nonnegative=True)
    slope = 1 / (1 + odds)
    one = sp.symbols("a b", positive=True)
    return Proof(
        Form(
            left="L",
            right=2 ** (1 - depth) * MERGED,
            symbols={},
            where=((MERGED, _CUTS),),
        ),
        (
            symbolic(
                r"a slope $s$ in $[0, 1]$ is $(1 + r) / 2$ with $r$ in $[-1, 1]$, so that $D_k ="
                r" (I + R_k) / 2$ with $\lVert R_k \rVert \le 1$",
                lambda: is_zero((1 + (2 * slope - 1)) / 2 - slope),
                lambda: bool(sp.simplify(1 - (2 * slope - 1) ** 2).is_nonnegative),
            ),
            symbolic(
                r"multiplied out, $W_m D_{m-1} \ldots D_1 W_1$ is the mean of $2^{m-1}$ products,"
                r" one a set of cuts, which have $R_k$ at the cuts and no factor elsewhere; the"
                r" norm of each is at most the product of the norms between its cuts (four"
                r" layers)",
                _expands,
            ),
            symbolic(
                r"the sum is taken without listing the sets: those before $b$ are those before a"
                r" last cut $a$, each followed by the norm between $a$ and $b$ (six layers)",
                _recursion,
            ),
            symbolic(
                r"equality for $f(x) = b \phi(a x)$, where $(a b + a b) / 2 = a b$",
                lambda: is_zero((one[1] * one[0] + one[1] * one[0]) / 2 - one[0] * one[1]),
            ),
        ),
    )


def _cut_multipliers(n_layers: int = 5) -> bool:
    """Whether the multipliers of the mean leave nothing of the quadratic form.

    N[a, b] is the part of y_b that r_a makes at most, t_b its sum over the last cuts; r_0 is x.
    """
    reach = {(a, b): sp.Symbol(f"n_{a}_{b}", positive=True) for b in range(9) for a in range(b)}
    sizes = sp.symbols(f"r0:{n_layers}", nonnegative=True)
    t = [sp.S.One]
    for b in range(1, n_layers + 1):
        t.append(sp.Add(*(t[a] * reach[a, b] for a in range(b))))
    c = [sp.S.Zero] * n_layers + [sp.S.One]
    for a in range(n_layers - 1, 0, -1):
        c[a] = sp.Add(*(c[b] * t[b] * reach[a, b] for b in range(a + 1, n_layers + 1))) / t[a]
    total = t[-1] ** 2 * sizes[0] + sp.Add(*(c[a] * sizes[a] for a in range(1, n_layers)))
    for b in range(1, n_layers + 1):
        total -= c[b] * t[b] * sp.Add(*(reach[a, b] / t[a] * sizes[a] for a in range(b)))
    return bool(sp.simplify(total) == 0)


def _weighted_cauchy() -> bool:
    """Whether t sum(n r^2 / s) - (sum n r)^2 is a sum of squares, t = sum n s, for three terms."""
    n, s = sp.symbols("n1:4", positive=True), sp.symbols("s1:4", positive=True)
    r = sp.symbols("r1:4", nonnegative=True)
    t = sp.Add(*(a * b for a, b in zip(n, s, strict=True)))
    gap = t * sp.Add(*(a * c**2 / b for a, b, c in zip(n, s, r, strict=True)))
    gap -= sp.Add(*(a * c for a, c in zip(n, r, strict=True))) ** 2
    squares = sp.Add(
        *(
            n[i] * n[j] * s[i] * s[j] * (r[i] / s[i] - r[j] / s[j]) ** 2
            for i in range(3)
            for j in range(i)
        )
    )
    return bool(sp.simplify(gap - squares) == 0)


@proof("combettes2020/semidefinite-below-cuts")
def semidefinite_below_cuts() -> Proof:
    """Multipliers that prove the mean over cuts."""
    y, u = sp.symbols("y u", real=True)
    return Proof(
        Form(
            left=r"L_{\mathrm{sdp}}",
            right=2 ** (1 - depth) * MERGED,
            symbols={},
            where=((MERGED, _CUTS),),
        ),
        (
            symbolic(
                r"with $u_l = (y_l + r_l) / 2$, $y_l = W_l u_{l-1}$ and a multiplier $T_l = 2 c_l"
                r" I$ the quadratic form is $\rho \lVert x \rVert^2 + \sum_l c_l (\lVert r_l"
                r" \rVert^2 - \lVert y_l \rVert^2) - \lVert y_m \rVert^2$",
                lambda: is_zero(4 * u * (u - y) - ((2 * u - y) ** 2 - y**2)),
            ),
            symbolic(
                r"$y_b$ is a sum over the last cut $a$ of $r_a$ times what is multiplied out, of"
                r" norm $n_{ab}$ with its halves, where $r_0 = x$; with $t_b = \sum_{a < b} n_{ab}"
                r" t_a$, $t_0 = 1$, Cauchy's inequality gives $\lVert y_b \rVert^2 \le t_b"
                r" \sum_{a < b} n_{ab} \lVert r_a \rVert^2 / t_a$ (three terms)",
                _weighted_cauchy,
            ),
            symbolic(
                r"with $c_m = 1$ and $c_a = \sum_{b > a} c_b t_b n_{ab} / t_a$ all $r_a$ cancel,"
                r" and $\rho = t_m^2$ is left, where $t_m$ is the mean over cuts (five layers)",
                _cut_multipliers,
            ),
        ),
    )


def _all_cuts_weigh_one() -> bool:
    total, n = sp.Integer(0), sp.Integer(9)
    for cuts in range(n):
        total += sp.binomial(n - 1, cuts)
    return bool(total * sp.Integer(2) ** (1 - n) == 1)


@proof("combettes2020/below-product")
def below_product() -> Proof:
    """Norms of products are at most products of norms."""
    a, b = sp.symbols("a b", nonnegative=True)
    return Proof(
        Form(
            left=r"L_{\mathrm{cut}}",
            right=sp.Product(norms, (layer, 1, depth)),
            symbols={},
            where=((norms, r"\lVert W_k \rVert_2"),),
        ),
        (
            symbolic(
                r"the norm of what is multiplied out is at most the product of the norms, so that"
                r" each set of cuts contributes at most the product of all; there are $2^{m-1}$"
                r" sets, each of weight $2^{1-m}$ (nine layers)",
                _all_cuts_weigh_one,
            ),
            symbolic(
                r"equality where all norms of products are products of norms, as for weights of"
                r" one row and one column",
                lambda: (sp.Matrix([[a]]) * sp.Matrix([[b]]))[0] == a * b,
            ),
        ),
    )
