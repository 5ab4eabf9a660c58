"""False claims, as a user would write them, and searches that find so."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from theory import claim_files
from theory.claim import CLAIMS
from theory.falsify.laboratory import trials
from theory.falsify.search import Effort, Search

PLANTED = '''
import numpy as np

from theory.claim import *
from theory.claims.fawzi2018 import cdf_lower_bound
from theory.claims.milman2022 import CONES
from theory.claims.serra2018 import DEPTH, INPUTS, WIDTH
from theory.modulus import LipschitzModulus

REF = Ref("planted", "planted", "here")
COUNT, CONSTANT = Quantity("n_linear_regions"), Quantity("lipschitz", "l2->l2")
R_IN, R_UNC, R_LATENT = (Quantity(name, "l2") for name in ("r_in", "r_unc", "r_latent"))


def planted(name, kind, quantities, relation=Relation.AT_MOST, decorate=conjecture):
    return decorate(
        f"planted/{name}", kind=kind, quantities=quantities, relation=relation, ref=REF, setting=""
    )


@planted("few-regions", Kind.SCALAR, (COUNT,))
def few_regions(facts, quantity):
    """A layer of w units makes at most 2 w regions of the plane."""
    if facts["n_inputs"] != 2 or len(facts["hidden_widths"]) != 1:
        raise OutOfScopeError("not one layer on the plane")
    return 2 * facts["hidden_widths"][0]


@planted("product", Kind.SCALAR, (CONSTANT,), Relation.AT_LEAST)
def product(facts, quantity):
    """The Lipschitz constant is the product of the norms."""
    return float(np.prod(facts["layer_norms[l2->l2]"]))


@planted("below", Kind.POINTWISE, (R_IN, R_UNC))
def below(facts):
    """In the range of the generator another label is nearer than anywhere."""


@planted("theorem", Kind.POINTWISE, (R_IN, R_UNC), decorate=theorem)
def wrong_theorem(facts):
    """The same, called a theorem."""


@planted("cones", Kind.LAW, (R_LATENT,), Relation.AT_LEAST)
def cones(facts, quantity, alpha):
    """No classes of equal mass are farther from each other than cones, at any distance."""
    if max(facts["class_masses"]) - min(facts["class_masses"]) > 1e-9:
        raise OutOfScopeError("the masses differ")
    return CONES.law(n_classes=facts["n_classes"])


@planted("mean", Kind.MEAN, (R_LATENT,))
def mean(facts, quantity, alpha):
    """The mean distance is at most 0.7."""
    return Interval(0.7, 0.7)


from theory.evidence import Interval


@conjecture(
    "planted/many-regions",
    kind=Kind.SCALAR,
    quantities=(Quantity("max_linear_regions"),),
    relation=Relation.AT_MOST,
    ref=REF,
    setting="",
    bound=Bound((INPUTS, WIDTH, DEPTH), lambda n_inputs, width, depth: (width + 1.0) ** depth),
)
def many_regions(facts, quantity):
    """No more than (w + 1)^L, as for one input."""
    raise OutOfScopeError("only the formula is known")


@planted("nan", Kind.SCALAR, (CONSTANT,))
def nan(facts, quantity):
    """Not a number."""
    return float("nan")


@planted("words", Kind.SCALAR, (CONSTANT,))
def words(facts, quantity):
    """Not a number either."""
    return "many"


@planted("raises", Kind.SCALAR, (CONSTANT,))
def raises(facts, quantity):
    """Divides by zero."""
    return 1 / 0


@planted("comparison", Kind.COMPARISON, (R_IN,))
def comparison(first, second, quantity):
    """Of two subjects."""


@planted("elsewhere", Kind.SCALAR, (Quantity("beauty"),))
def elsewhere(facts, quantity):
    """Nothing here knows it."""
    return 1.0
'''
TINY = Effort(16, 2, 25)


@contextmanager
def loaded(folder: Path) -> Iterator[Path]:
    """Load the file of false claims, and take them back afterwards."""
    path = folder / "planted.py"
    path.write_text(PLANTED)
    len(CLAIMS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CLAIMS, "_items", dict(CLAIMS._items))
        patch.setattr(claim_files, "_LOADED", {})
        claim_files.load_claims(path)
        yield path


def searched(name: str, **changes: Any) -> Any:  # noqa: ANN401
    (trial,) = trials(CLAIMS[name])
    search = Search(trial, 0, TINY, **changes)
    return search.run(), search.tally
