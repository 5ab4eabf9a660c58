"""Layer by layer: units cut the image of a region in as many dimensions as its rank leaves."""

from itertools import product
from math import comb, prod
from typing import Any

import mpmath as mp
import sympy as sp

from theory.proof import Proof, is_zero, proof, sampled, symbolic
from theory.proofs.zaslavsky1975 import deletion_restriction, pascal, region_sum
from theory.symbolic import Form

inputs = sp.Symbol("n_0", integer=True, positive=True)
width = sp.Symbol("w", integer=True, positive=True)
depth = sp.Symbol("L", integer=True, positive=True)


def by_definition(n_inputs: int, widths: list[int]) -> int:
    """Return the sum over all (j_1, ..., j_L) that are allowed, one by one."""
    return sum(
        prod(comb(n, j) for n, j in zip(widths, chosen, strict=True))
        for chosen in product(*(range(min(n_inputs, n) + 1) for n in widths))
        if all(
            chosen[later] <= widths[layer] - chosen[layer]
            for layer in range(len(widths))
            for later in range(layer + 1, len(widths))
        )
    )


class RankSum(sp.Function):  # type: ignore[misc]
    """The sum over the ranks that the layers can have, for layers of one width."""

    nargs = 3
    is_integer = True

    @staticmethod
    def _imp_(n_inputs: Any, units: Any, layers: Any) -> mp.mpf:  # noqa: ANN401
        return mp.mpf(by_definition(int(n_inputs), [int(units)] * int(layers)))

    def _latex(self, printer: Any, exp: Any = None) -> str:  # noqa: ANN401
        text = r"\sum_{j \in J} \prod_{l=1}^{L} \binom{w}{j_l}"
        return text if exp is None else rf"\left({text}\right)^{{{exp}}}"


J = sp.Symbol("J")


def _architectures() -> list[tuple[int, list[int]]]:
    return [(2, [4, 4]), (3, [3, 3]), (1, [3, 2, 5]), (4, [2, 3]), (3, [2, 3, 2])]


def _shared_rank(n_inputs: int, widths: list[int]) -> int:
    """Return the coarser bound prod_l sum_{j <= d_l} C(n_l, j), d_l = min(n_0, ..., n_l)."""
    return prod(
        region_sum(n, min(n_inputs, *widths[: layer + 1])) for layer, n in enumerate(widths)
    )


@proof("serra2018/linear-regions")
def linear_regions() -> Proof:
    """Zaslavsky's theorem on the image of each region."""
    return Proof(
        Form(
            left="r",
            right=RankSum(inputs, width, depth),
            symbols={"n_inputs": inputs, "width": width, "depth": depth},
            where=(
                (
                    J,
                    r"\text{the } (j_1, \ldots, j_L) \text{ with } 0 \le j_l \le \min(n_0, w)"
                    r" \text{ and } j_l \le w - j_k \text{ for } k < l",
                ),
            ),
        ),
        (
            deletion_restriction(),
            symbolic(
                r"on a region of the layers before, the network is affine with an image of some"
                r" dimension $d$, and the $n_l$ units of the next layer are hyperplanes of it: by"
                r" the same induction they divide it into at most $\sum_{j=0}^{d} \binom{n_l}{j}$"
                r" parts,"
                r" and at most $\binom{n_l}{j}$ of these have exactly $j$ units off, as many as"
                r" there"
                r" are sets of $j$ units",
                pascal,
                lambda: all(
                    by_definition(b, [a]) == region_sum(a, b)
                    for a in range(1, 10)
                    for b in range(1, 10)
                ),
            ),
            sampled(
                r"where $j$ units are off, the image after the layer has a dimension of at most"
                r" $\min(d, n_l - j)$, and what follows grows with that dimension: there are most"
                r" regions if as few units are off as can be, in $\binom{n_l}{j}$ parts for each"
                r" $j \le d$",
                lambda: all(
                    by_definition(d, widths) <= by_definition(d + 1, widths)
                    for _, widths in _architectures()
                    for d in range(1, 5)
                ),
                lambda: all(
                    by_definition(*layers) <= _shared_rank(*layers) <= 2 ** sum(layers[1])
                    for layers in _architectures()
                ),
            ),
            sampled(
                r"one input: a unit less than all in each layer leaves the rank 1, and the bound is"
                r" $\prod_l (n_l + 1)$ where no layer has one unit alone",
                lambda: all(
                    by_definition(1, [a, b, c]) == (a + 1) * (b + 1) * (c + 1)
                    for a in range(2, 6)
                    for b in range(2, 6)
                    for c in range(1, 6)
                ),
                lambda: is_zero(sp.binomial(width, 0) + sp.binomial(width, 1) - (width + 1)),
            ),
        ),
    )
