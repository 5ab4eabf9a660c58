"""Claims: found without a list, stated in full, and out of scope where a hypothesis fails."""

import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import theory
from theory.claim import (
    CLAIMS,
    Kind,
    OutOfScopeError,
    Quantity,
    Ref,
    Relation,
    Status,
    conjecture,
    refuted,
    theorem,
)
from theory.claims.fawzi2018 import cdf_lower_bound, quantile_upper_bound
from theory.claims.fawzi2018.robustness import theorem1, theorem1_sampled
from theory.claims.szegedy2014 import product_of_norms
from theory.errors import InputError
from theory.latent import R_IN, R_LATENT, R_UNC
from theory.modulus import LipschitzModulus, Modulus, SampledModulus
from theory.registry import Registry

ROOT = Path(theory.__file__).parents[1]
IDENTITY, EQUAL = LipschitzModulus(1.0), [0.1] * 10
KNOWN = {
    "fawzi2018/thm1": (Status.PROVED, Kind.LAW, Relation.AT_LEAST),
    "fawzi2018/thm1-sampled-modulus": (Status.CONJECTURED, Kind.LAW, Relation.AT_LEAST),
    "fawzi2018/unconstrained-below-in-distribution": (
        Status.PROVED,
        Kind.POINTWISE,
        Relation.AT_MOST,
    ),
    "szegedy2014/product-of-norms": (Status.PROVED, Kind.SCALAR, Relation.AT_MOST),
}


def test_claims_are_found_by_themselves() -> None:
    code = "import theory; print(*theory.CLAIMS, sep='\\n')"
    run = [sys.executable, "-c", code]
    found = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=True)
    names = found.stdout.split()
    assert set(KNOWN) <= set(names)
    assert names == sorted(names)


def test_reading_the_claims_imports_neither_torch_nor_matplotlib() -> None:
    heavy = "{'torch', 'matplotlib'} & set(sys.modules)"
    code = f"import sys, theory; assert len(theory.CLAIMS) >= {len(KNOWN)}; print({heavy})"
    run = [sys.executable, "-c", code]
    found = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"


@pytest.mark.parametrize("name", KNOWN)
def test_status_and_kind(name: str) -> None:
    claim = CLAIMS[name]
    assert (claim.status, claim.kind, claim.relation) == KNOWN[name]


@pytest.mark.parametrize("name", CLAIMS)
def test_each_claim_says_what_it_needs(name: str) -> None:
    claim = CLAIMS[name]
    assert claim.id == name
    assert name.startswith(claim.ref.key + "/")
    assert claim.ref.locator
    assert str(claim.ref) == f"{claim.ref.source}, {claim.ref.locator}"
    assert "$" in claim.setting
    for part in (claim.setting, *claim.hypotheses):
        assert part.count("{") == part.count("}")
        assert part.count("$") % 2 == 0
        assert not part.endswith(".")
    documentation = claim.evaluate.__doc__ or ""
    assert "Hypotheses: " in documentation
    assert claim.summary.endswith(".")
    assert claim.summary == documentation.strip().splitlines()[0]
    assert claim.quantities
    assert claim.kind is not Kind.POINTWISE or len(claim.quantities) == 2


@pytest.mark.parametrize("decorate", [theorem, conjecture, refuted])
def test_a_name_is_registered_once(decorate: Any) -> None:  # noqa: ANN401
    fields = {"kind": Kind.SCALAR, "quantities": (R_IN,), "relation": Relation.AT_MOST}
    again = decorate("fawzi2018/thm1", ref=Ref("k", "s", "l"), setting="", **fields)
    before = CLAIMS["fawzi2018/thm1"]
    with pytest.raises(InputError, match="two plug-ins register the claim 'fawzi2018/thm1'"):
        again(theorem1)
    assert CLAIMS["fawzi2018/thm1"] is before


def test_unknown_names_name_the_nearest() -> None:
    with pytest.raises(InputError, match=r"unknown claim 'fawzi2018/thm9'.*'fawzi2018/thm\d'"):
        CLAIMS["fawzi2018/thm9"]
    assert "fawzi2018/thm9" not in CLAIMS
    shelf: Registry[int] = Registry("number", (), "advbounds.no-such-group")
    shelf.register("two", 2)
    shelf.register("one", 1)
    with pytest.raises(InputError, match="unknown number 'xyz': known: one, two"):
        shelf["xyz"]
    assert dict(shelf) == {"one": 1, "two": 2}
    assert list(shelf) == ["one", "two"]
    assert len(shelf) == 2


words = st.text("abcdefghijklmnopqrstuvwxyz_0123456789", min_size=1)


@given(words, st.just("") | words | st.builds("{}->{}".format, words, words))
def test_quantities_come_back_from_their_names(symbol: str, norm: str) -> None:
    quantity = Quantity(symbol, norm)
    assert Quantity.parse(str(quantity)) == quantity
    assert str(quantity) == (f"{symbol}[{norm}]" if norm else symbol)


def test_product_of_norms() -> None:
    lipschitz = Quantity("lipschitz", "l2->l2")
    value = product_of_norms({"layer_norms[l2->l2]": [2.0, 0.5, 3.0]}, lipschitz)
    assert 3.0 <= value <= 3.0 * (1 + 1e-14)
    with pytest.raises(OutOfScopeError, match="norms of the layers are not known"):
        product_of_norms({"layer_norms[linf->linf]": [2.0]}, lipschitz)


def facts(**changes: object) -> dict[str, object]:
    known = {
        "latent_law": "gaussian",
        "class_masses": EQUAL,
        "moduli[l2->l2]": [LipschitzModulus(2.0), SampledModulus((1.0, 2.0), (1.0, 1.5))],
    }
    return {name: value for name, value in (known | changes).items() if value is not None}


@pytest.mark.parametrize(
    ("claim", "quantity", "changes", "reason"),
    [
        (theorem1, R_IN, {"latent_law": None}, "latent law is not known"),
        (theorem1, R_LATENT, {"latent_law": "uniform"}, r"uniform, not N\(0, I\)"),
        (theorem1, R_IN, {"class_masses": None}, "law of the predicted classes is not known"),
        (theorem1, R_UNC, {"moduli[l2->l2]": None}, "no certified modulus"),
        (theorem1, Quantity("r_in", "linf"), {}, "no certified modulus"),
        (theorem1_sampled, R_IN, {"moduli[l2->l2]": [IDENTITY]}, "no sampled modulus"),
        (theorem1_sampled, R_UNC, {"latent_law": "uniform"}, r"uniform, not N\(0, I\)"),
    ],
)
def test_hypotheses_that_fail_are_named(
    claim: Any,  # noqa: ANN401
    quantity: Quantity,
    changes: dict[str, object],
    reason: str,
) -> None:
    with pytest.raises(OutOfScopeError, match=reason):
        claim(facts(**changes), quantity, 0.05)


@pytest.mark.parametrize(
    ("claim", "quantity", "modulus"),
    [
        (theorem1, R_LATENT, IDENTITY),
        (theorem1, R_IN, LipschitzModulus(2.0)),
        (theorem1_sampled, R_UNC, SampledModulus((1.0, 2.0), (1.0, 1.5))),
    ],
)
def test_each_quantity_meets_its_own_modulus(
    claim: Any,  # noqa: ANN401
    quantity: Quantity,
    modulus: Modulus,
) -> None:
    bound, eta = claim(facts(), quantity, 0.05), np.linspace(0, 4, 41)
    exact = cdf_lower_bound(eta, modulus, EQUAL)
    # Each end is moved outward by the error of the evaluation, and by no more.
    for end, sign in ((bound.upper(eta), 1), (bound.lower(eta), -1)):
        np.testing.assert_allclose(end, np.minimum(exact * (1 + sign * 1e-12), 1), rtol=1e-14)
    assert bound.quantile(0.3) == float(quantile_upper_bound(0.3, modulus, EQUAL))


def test_bound_from_counts_covers_the_bound() -> None:
    rng, alpha, runs = np.random.default_rng(5), 0.2, 400
    p, eta = np.array([0.6, 0.25, 0.1, 0.05]), np.linspace(0, 5, 26)
    true, missed, width = cdf_lower_bound(eta, IDENTITY, p), 0, []
    for counts in rng.multinomial(150, p, size=runs):
        known = facts(class_masses=None, class_counts=counts)
        bound = theorem1(known, R_LATENT, alpha)
        low, high = bound.lower(eta), bound.upper(eta)
        missed += bool(np.any(low > true + 1e-12) or np.any(high < true - 1e-12))
        width.append((high - low).max())
        assert float(bound.upper(np.array(bound.quantile(0.4)))) == pytest.approx(0.4)
    sure = theorem1(known, R_LATENT, 1e-6)
    assert (sure.upper(eta) - sure.lower(eta)).max() > 1.2 * width[-1]
    assert missed <= alpha * runs + 3 * np.sqrt(alpha * (1 - alpha) * runs)
    assert 0.05 < np.mean(width) < 0.4


def test_plug_ins_of_other_distributions_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere.py").write_text(
        "from tests_registry import REGISTRY\nREGISTRY.register('theirs', 42)\n"
    )
    info = tmp_path / "elsewhere-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: elsewhere\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[advbounds.tests]\ntheirs = elsewhere\n")
    registry: Registry[int] = Registry("number", (), "advbounds.tests")
    shared = types.ModuleType("tests_registry")
    shared.REGISTRY = registry  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tests_registry", shared)
    monkeypatch.syspath_prepend(tmp_path)
    assert dict(registry) == {"theirs": 42}
