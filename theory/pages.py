r"""A page a claim: what it says in LaTeX and in words, why one would believe it, how to try it."""

import inspect
import re

from theory.claim import Claim, Kind, Relation, Status
from theory.symbolic import latex
from theory.wording import plain

_STATUS = {
    Status.PROVED: "theorem",
    Status.CONJECTURED: "conjecture: nobody has proved it",
    Status.REFUTED: "refuted: it is known to be false",
}
_BELIEVED = "Believed because:"
_LEFT = {
    Kind.LAW: r"\Pr({} \le \eta)",
    Kind.MEAN: r"\mathbb{{E}}\, {}",
}


def believed_because(claim: Claim) -> str:
    """Return the paragraph of a claim's docstring on why one would believe it; "" without one.

    Examples
    --------
    >>> from theory.claim import CLAIMS
    >>> believed_because(CLAIMS["fawzi2018/thm1"])
    ''
    """
    return _section(claim, _BELIEVED)


def _section(claim: Claim, head: str) -> str:
    text = inspect.cleandoc(claim.evaluate.__doc__ or "")
    for paragraph in re.split(r"\n\s*\n", text):
        if paragraph.startswith(head):
            return " ".join(paragraph.removeprefix(head).split())
    return ""


def statement(claim: Claim) -> str:
    r"""Return a claim in LaTeX: what is given, what is assumed, and the inequality.

    That of a claim with a proof comes from its sympy form. Otherwise the formula itself, where it
    is one of plain arithmetic, is evaluated at its symbols; where it is not, the first line of the
    docstring stands for it.

    Parameters
    ----------
    claim : Claim

    Examples
    --------
    >>> from theory.claim import CLAIMS
    >>> statement(CLAIMS["fawzi2018/thm1-balanced"]).count(r"\[")
    1
    """
    from theory.proof import PROOFS, listed
    from theory.proof import statement as proved

    if claim.id in PROOFS:
        return proved(claim)
    assumed = f" Assume that {listed(claim.hypotheses)}." if claim.hypotheses else ""
    inequality = _inequality(claim)
    then = claim.summary if inequality is None else f"Then \\[ {inequality}. \\]"
    return f"{claim.setting}.{assumed} {then}"


def _inequality(claim: Claim) -> str | None:
    relation = r"\ge" if claim.relation is Relation.AT_LEAST else r"\le"
    names = [_symbol(str(quantity)) for quantity in claim.quantities]
    if claim.kind is Kind.POINTWISE:
        return _pointwise(claim, names)
    right = _formula(claim)
    if right is None:
        return None
    left = _LEFT.get(claim.kind, "{}").format(names[0])
    return rf"{left} {relation} {right}"


def _pointwise(claim: Claim, names: list[str]) -> str | None:
    """Return first <= second, if the claim applies nothing to the first side."""
    try:
        image = claim.evaluate({})
    except Exception:  # noqa: BLE001  it needs facts: then its docstring says what it does
        return None
    return rf"{names[0]} \le {names[1]}" if image is None else None


def _symbol(name: str) -> str:
    r"""Return a quantity in LaTeX.

    Examples
    --------
    >>> _symbol("r_in[l2]"), _symbol("n_linear_regions")
    ('r_{\\mathrm{in}}[\\ell_2]', 'n_{\\mathrm{linear\\ regions}}')
    """
    head, _, norm = name.partition("[")
    letter, _, rest = head.partition("_")
    words = (rest if len(letter) == 1 and rest else head).replace("_", r"\ ")
    symbol = rf"\mathrm{{{words}}}"
    if len(letter) == 1 and rest:
        symbol = f"{letter}_{{{symbol}}}"
    for word, shown in (("linf", r"\ell_\infty"), ("l1", r"\ell_1"), ("l2", r"\ell_2")):
        norm = norm.replace(word, shown)
    return symbol + ("[" + norm.replace("->", r" \to ") if norm else "")


def _formula(claim: Claim) -> str | None:
    """Return the formula at its symbols in LaTeX; None where it is not plain arithmetic."""
    import sympy as sp

    if claim.bound is None:
        return None
    symbols = {
        parameter.name: sp.Symbol(parameter.symbol, positive=True)
        for parameter in claim.bound.parameters
    }
    try:
        value = claim.bound.value(**symbols)
        return str(latex(sp.sympify(value)))
    except Exception:  # noqa: BLE001  most formulas check their arguments, which no symbol passes
        return None


def page(claim: Claim) -> str:
    """Return the page of a claim in Markdown.

    Parameters
    ----------
    claim : Claim

    Returns
    -------
    str
        A heading of the second level, the statement as it reads and as LaTeX prints it, its source,
        its hypotheses, why one would believe it, and the commands that try it.

    Examples
    --------
    >>> from theory.claim import CLAIMS
    >>> page(CLAIMS["fawzi2018/thm1"]).splitlines()[0]
    '## fawzi2018/thm1'
    """
    said = statement(claim)
    lines = [
        f"## {claim.id}",
        f"{claim.summary}",
        f"**Status.** {_STATUS[claim.status]}. **Source.** {claim.ref}.",
        f"**Statement.** {plain(said)}",
        f"```latex\n{said}\n```",
    ]
    names = ", ".join(f"`{quantity}`" for quantity in claim.quantities)
    lines.append(f"**Speaks of** {names}; a claim of the kind *{claim.kind}*.")
    for head, section in (("Hypotheses", "Hypotheses:"), ("Believed because", _BELIEVED)):
        text = _section(claim, section)
        if text:
            lines.append(f"**{head}.** {text[0].upper()}{text[1:]}")
    tried = f"`advbounds check --claims '{claim.id}'` judges it on the records"
    if claim.status is not Status.REFUTED and _known(claim):
        tried += f", `advbounds falsify {claim.id}` searches a counterexample"
    lines.append(f"**To try it.** {tried}.")
    return "\n\n".join(lines) + "\n"


def _known(claim: Claim) -> bool:
    """Whether exact values of what a claim compares are known anywhere."""
    from theory.errors import InputError
    from theory.falsify.laboratory import trials

    try:
        return bool(trials(claim))
    except InputError:
        return False
