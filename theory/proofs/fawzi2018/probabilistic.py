"""Theorem 1 from the law of local expansions, limited at random latents."""

import numpy as np
import sympy as sp

from theory.modulus.expansion import ExpansionTable, limited_ranks
from theory.proof import Proof, is_zero, proof, sampled, symbolic
from theory.proofs.fawzi2018.robustness import ISOPERIMETRY
from theory.symbolic import Form, Phi, Survival, a, t

_SHARE = sp.Symbol("u", positive=True)
_BEST = sp.Symbol(r"\max_{t} \bigl[B(t) - q(\eta, t)\bigr]", real=True)
_CROSSING = r"\sum_{i=1}^{K} [\Phi(\bar\Phi^{-1}(p_i) + t) - \Phi(\bar\Phi^{-1}(p_i))]"
_EXCEEDED = r"\Pr\bigl(\sup_{\lVert v \rVert \le t} \lVert g(z + v) - g(z) \rVert > \eta\bigr)"


def _beta(n: int, j: int) -> sp.Expr:
    """Return P(Beta(j, n - j + 1) <= u), as an integral."""
    density = _SHARE ** (j - 1) * (1 - _SHARE) ** (n - j)
    scale = sp.factorial(n) / (sp.factorial(j - 1) * sp.factorial(n - j))
    return sp.integrate(sp.expand(scale * density), (_SHARE, 0, _SHARE))


def _order_statistics_are_beta() -> bool:
    """Whether "at least j of n uniform points lie below u" has the law of Beta(j, n - j + 1)."""
    for n in (1, 2, 5, 8):
        for j in range(1, n + 1):
            below = sp.Add(
                *(sp.binomial(n, k) * _SHARE**k * (1 - _SHARE) ** (n - k) for k in range(j, n + 1))
            )
            if sp.expand(below - _beta(n, j)) != 0:
                return False
    return True


def _limits_cover() -> bool:
    """Whether the limits miss as seldom as they may, for laws with steps and without."""
    rng, alpha, runs, n = np.random.default_rng(29), 0.2, 400, 60
    grid = np.linspace(0, 5, 101)
    ranks = limited_ranks(n)
    for whole in (False, True):
        true = 1 - np.exp(-(np.floor(2 * grid + 1) / 2 if whole else grid))
        missed = 0
        for _ in range(runs):
            drawn = rng.exponential(size=n)
            drawn = np.floor(2 * drawn) / 2 if whole else drawn
            lower, upper = ExpansionTable((1.0,), (tuple(drawn),)).shares(grid, alpha)
            missed += bool(np.any(lower[0] > true + 1e-12) or np.any(upper[0] < true - 1e-12))
        if missed > alpha * runs + 3 * np.sqrt(alpha * (1 - alpha) * runs):
            return False
    return bool(ranks[0] == 1 and ranks[-1] == n)


@proof("fawzi2018/thm1-probabilistic-modulus")
def probabilistic_modulus() -> Proof:
    """Isoperimetry, the latents that are given up, and order statistics."""
    failure = sp.Symbol("q", nonnegative=True)
    more = sp.Symbol("e", nonnegative=True)
    return Proof(
        Form(
            left=r"\Pr(r \le \eta)",
            right=_BEST,
            symbols={},
            where=((sp.Symbol("B(t)"), _CROSSING), (sp.Symbol(r"q(\eta, t)"), _EXCEEDED)),
        ),
        (
            ISOPERIMETRY,
            symbolic(
                r"a latent within $t$ of another label, which expands by at most $\eta$ within"
                r" $t$, has $r \le \eta$; the first fails with probability at most $1 - B(t)$, the"
                r" second with $q(\eta, t)$. Any $t$ may be taken, and the best, for each $\eta$",
                lambda: is_zero((Survival(a + t) + failure) + (Phi(a + t) - failure) - 1),
            ),
            symbolic(
                r"certified expansions are upper ends, so that they exceed $\eta$ at least as"
                r" often: their share limits $q$ from above",
                lambda: bool(((failure + more) - failure).is_nonnegative),
            ),
            symbolic(
                r"of $n$ expansions with distribution function $F$, $F(e_{(j)})$ is at least, and"
                r" $F$ before $e_{(j)}$ at most, as large as the $j$-th of $n$ uniform numbers,"
                r" which is at most $u$ with the probability of a Beta law of $j$ and $n - j + 1$"
                r" (all $j$ up to $n = 8$)",
                _order_statistics_are_beta,
            ),
            sampled(
                r"between the chosen ranks $F$ is monotone, so that limits at the ranks limit $q$"
                r" at every $\eta$; by the union bound all ranks and all $t$ hold at once (their"
                r" coverage is tried, with steps and without)",
                _limits_cover,
            ),
        ),
    )
