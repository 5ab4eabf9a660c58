"""Proofs: every step holds, planted errors do not, and the statements read as they should."""

import mpmath as mp
import numpy as np
import pytest
import sympy as sp

from theory.claim import CLAIMS, Status
from theory.command import main
from theory.interval import enclosure, nonnegative_on
from theory.proof import PROOFS, Method, is_zero, prove, statement, tends_to
from theory.proofs.fawzi2018.corollaries import mills_ratio, tail_below_exponential, threshold
from theory.symbolic import Form, Isf, Phi, Survival, a, exact_isf, latex, t
from theory.wording import plain_text


def test_every_claim_has_a_form_and_steps() -> None:
    known = {name for name, claim in CLAIMS.items() if claim.status is not Status.CONJECTURED}
    assert known <= set(PROOFS) <= set(CLAIMS)


@pytest.mark.parametrize("name", PROOFS)
def test_every_step_holds(name: str) -> None:
    steps = prove(name)
    assert steps
    assert [step.says for step, holds in steps if not holds] == []
    # A step from the literature is an assumption: at least one step is checked here.
    assert any(step.method is not Method.ASSUMED for step, _ in steps)
    for step, _ in steps:
        assert step.says.count("$") % 2 == 0
        assert step.says.count("{") == step.says.count("}")


@pytest.mark.parametrize("name", CLAIMS)
def test_every_statement_is_latex(name: str) -> None:
    claim = CLAIMS[name]
    text = statement(claim)
    for opening, closing in (
        ("{", "}"),
        (r"\[", r"\]"),
        (r"\bigl", r"\bigr"),
        (r"\Bigl", r"\Bigr"),
    ):
        assert text.count(opening) == text.count(closing)
    assert text.replace(r"\$", "").count("$") % 2 == 0
    assert claim.setting in text
    for hypothesis in claim.hypotheses:
        assert hypothesis in text
    assert ("It is not true" in text) is (claim.status is Status.REFUTED)
    assert "\\" not in plain_text(text)


def test_false_identities_and_limits_are_told() -> None:
    assert is_zero(Phi(a) + Phi(-a) - 1)
    assert not is_zero(Phi(a) - Phi(-a))
    assert not is_zero(Survival(a) - Phi(a))
    assert tends_to(Survival(t), t, sp.oo, 0)
    assert not tends_to(Survival(t), t, sp.oo, 1)


def test_lemmas_used_by_several_claims() -> None:
    for step in (mills_ratio(), tail_below_exponential(), threshold()):
        assert step.method is Method.SYMBOLIC
        assert step.holds()


def test_intervals_hold_what_they_enclose() -> None:
    x, y = sp.symbols("x y", real=True)
    rng = np.random.default_rng(3)
    for expression in (
        Phi(x) * sp.exp(-y) - x,
        Survival(x * y) + sp.sqrt(1 + x**2),
        sp.log(2 + x**2) / (1 + y**2) - sp.pi,
    ):
        function, exact = enclosure(expression, [x, y]), sp.lambdify([x, y], expression, ["mpmath"])
        exactly = {"Phi": mp.ncdf, "Survival": lambda u: mp.ncdf(-u)}
        exact = sp.lambdify([x, y], expression, [exactly, "mpmath"])
        for low in rng.uniform(-3, 3, (20, 2)):
            high = low + rng.uniform(0, 1, 2)
            box = [mp.iv.mpf([float(u), float(v)]) for u, v in zip(low, high, strict=True)]
            found = function(*box)
            for share in rng.uniform(0, 1, (10, 2)):
                inside = exact(*(mp.mpf(float(v)) for v in low + share * (high - low)))
                assert found.a <= inside <= found.b


def test_coverings_tell_true_from_false() -> None:
    x, y = sp.symbols("x y", real=True)
    assert nonnegative_on(x**2 + y**2 - x * y, [(x, 0.1, 2), (y, -1, 1)])
    assert not nonnegative_on(x**2 - y, [(x, 0, 1), (y, 0, 1)])
    # A double root is not decided by boxes, and is not claimed.
    assert not nonnegative_on(
        (x - sp.Rational(1, 3)) ** 2 - sp.Rational(1, 10**12), [(x, 0, 1)], 300
    )


def test_offsets_at_any_precision() -> None:
    rng = np.random.default_rng(4)
    masses = [*(10.0 ** rng.uniform(-300, 0, 20)), 0.5, 1e-320, 0.99999, 0.25]
    with mp.workdps(60):
        for mass in masses:
            x = exact_isf(mp.mpf(float(mass)))
            assert abs(mp.ncdf(-x) / mp.mpf(float(mass)) - 1) < mp.mpf(10) ** -50
    assert exact_isf(mp.mpf(0)) == mp.inf
    assert exact_isf(mp.mpf(1)) == -mp.inf


def test_forms_settle_what_cancels() -> None:
    x = sp.Symbol("x", positive=True)
    form = Form("", Phi(x) - sp.Rational(1, 2), {"x": x})
    assert float(form.exact({"x": 1e-200})) == pytest.approx(1e-200 / np.sqrt(2 * np.pi), rel=1e-12)
    assert form.exact({"x": 0.0}) == 0
    # An offset that is only found numerically leaves a rest at every precision.
    rest = Form("", 1 - x * Survival(Isf(1 / x)), {"x": x})
    assert rest.exact({"x": 8.0}) == 0


def test_latex_reads_as_one_would_write() -> None:
    assert latex(Phi(a + t) - Phi(a)) == r"\Phi(a + t) - \Phi(a)"
    assert latex(-Survival(t) + 1) == r"1 - \bar\Phi(t)"
    assert latex(Isf(t)) == r"\bar\Phi^{-1}(t)"


def test_prove_prints_statement_and_steps(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prove", "fawzi2018/thm1-balanced"]) == 0
    out = capsys.readouterr().out
    assert "p_i ≤ 1/2 for every class" in out
    assert "P(r ≤ η) ≥ 1 \N{MINUS SIGN} c e^" in out
    assert out.count("[proved symbolically]") == 4
    assert main(["prove", "fawzi2018/thm1-balanced", "--latex"]) == 0
    assert r"\Pr(r \le \eta) \ge 1 - c" in capsys.readouterr().out
    assert main(["prove", "fawzi2018/thm5"]) == 2
    assert "did you mean" in capsys.readouterr().err


def test_a_step_that_fails_is_a_bug(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("theory.proof.prove", lambda name: [(mills_ratio(), False)])
    assert main(["prove", "fawzi2018/thm1"]) == 1
    assert "[FAILS, proved symbolically]" in capsys.readouterr().out
