r"""LaTeX text where no LaTeX runs: the same words in Unicode, for a terminal, Markdown and HTML."""

# ruff: noqa: RUF001  letters that look alike are what is meant

import functools
import re

_LETTERS = {
    "Phi": "Φ", "omega": "ω", "eta": "η", "alpha": "α", "sum": "Σ", "prod": "Π", "infty": "∞",
    "ell": "ℓ", "Pr": "P", "lVert": "‖", "rVert": "‖", "Vert": "‖", "qquad": "  ", "quad": " ",
    "lambda": "λ", "sigma": "σ", "sqrt": "√", "pi": "π", "mu": "μ", "epsilon": "ε", "delta": "δ",
    "bigl": "", "bigr": "", "left": "", "right": "", "mathbb": "", "mathrm": "", "mathcal": "",
    "mathbf": "", "ldots": "…", "dots": "…", "Bigl": "", "Bigr": "", "tfrac": "", "gamma": "γ",
    "varphi": "φ", "phi": "φ", "Lambda": "Λ", "tau": "τ", "rho": "ρ", "theta": "θ", "nu": "ν",
    "zeta": "ζ", "Sigma": "Σ", "partial": "∂", "int": "∫", "circ": "∘", "beta": "β", "nabla": "∇",
    "ast": "∗", "operatorname": "", "text": "", "widehat": "", "Theta": "Θ", "cup": "∪",
    "cap": "∩", "kappa": "κ", "lvert": "∣", "rvert": "∣",
}  # fmt: skip
_RELATIONS = {
    "le": "≤", "leq": "≤", "ge": "≥", "geq": "≥", "sim": "~", "times": "×", "to": "→", "in": "∈",
    "mapsto": "↦", "neq": "≠", "cdot": "·", "exists": "∃", "subset": "⊂", "succeq": "≽", "mid": "∣",
    "Rightarrow": "⇒", "notin": "∉", "approx": "≈", "propto": "∝", "pm": "±",
}  # fmt: skip
_SPECIAL = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "·": r"$\cdot$", "×": r"$\times$", "≤": r"$\le$", "≥": r"$\ge$", "<": "$<$", ">": "$>$",
    "−": "$-$",
}  # fmt: skip
_OPENING = r"sqrt|Vert|left|[bB]igl|lVert|lvert|partial|nabla|math[a-z]+|operatorname|text"
_FUNCTIONS = r"log|exp|sin|cos|tan|min|max|inf|sup|liminf|arg"
_MINUS, _THIN = "\N{MINUS SIGN}", "\N{THIN SPACE}"


def _word(match: re.Match[str]) -> str:
    word = match[1]
    if word in _RELATIONS:
        return f" {_RELATIONS[word]} "
    before = " " if match[0].startswith(" ") else ""
    return before + _LETTERS.get(word, word)


def _group(text: str, start: int) -> int:
    """Return the index just past the braced group that begins at `start`."""
    depth = 0
    for index in range(start, len(text)):
        depth += (text[index] == "{") - (text[index] == "}")
        if depth == 0:
            return index + 1
    raise ValueError(f"unbalanced braces in {text!r}")


def _grouped(text: str) -> str:
    """Return an operand as it is if it is one word or number, in parentheses otherwise."""
    return text if re.fullmatch(r"\\?[A-Za-z]+|[\d.]+|\w", text) else f"({text})"


def _without_fractions(text: str) -> str:
    while match := re.search(r"\\(frac|sqrt|binom) ?(?=\{)", text):
        middle = _group(text, match.end())
        first = text[match.end() + 1 : middle - 1]
        if match[1] == "sqrt":
            # Without the bar a letter that follows would seem to be under the root.
            rest = re.sub(r"^(?=[A-Za-z\\\\])", " ", text[middle:])
            text = f"{text[: match.start()]}√{_grouped(first)}{rest}"
            continue
        end = _group(text, middle)
        second = text[middle + 1 : end - 1]
        one = (
            f"C({first}, {second})"
            if match[1] == "binom"
            else f"{_grouped(first)}/{_grouped(second)}"
        )
        text = f"{text[: match.start()]}{one}{text[end:]}"
    return text


def _script(shape: str, markup: bool, match: re.Match[str]) -> str:
    return shape.format(match[1] if markup else _grouped(match[1]))


def _plain_math(text: str, markup: bool) -> str:
    text = re.sub(r"\\hat\s*\\omega", "ω̂", text)
    text = re.sub(r"\\bar\s*\\Phi ?", "Φ̄", text)
    text = re.sub(r"\\tilde\s*\{?([A-Za-z])\}?", "\\1\N{COMBINING TILDE}", text)
    text = re.sub(r"\\hat\s*\{?([A-Za-z])\}?", "\\1\N{COMBINING CIRCUMFLEX ACCENT}", text)
    text = _without_fractions(text)
    text = re.sub(r" ?\\(r[vV]ert)", r"\\\1", text)
    text = re.sub(rf"\\({_OPENING}) ", r"\\\1{}", text)
    text = re.sub(rf"(?<=[\w)}}])\\({_FUNCTIONS})(?![A-Za-z])", r" \\\1", text)
    text = re.sub(rf"\\({_FUNCTIONS})(?=\\(?!left|[bB]igl)[A-Za-z])", r"\\\1 ", text)
    # TeX ignores the space after a command; before a sign, a word or a root it is kept for the eye.
    text = re.sub(r" ?\\([A-Za-z]+)(?: (?![-+=<>/A-Za-z\\√]))?", _word, text)
    text = re.sub(r"\\[,;:! ]", " ", text).replace(r"\|", "‖")
    text = text.replace("-", _MINUS)
    if markup:
        text = text.replace("<", "&lt;").replace(">", "&gt;")
    low, high = ("<sub>{}</sub>", "<sup>{}</sup>") if markup else ("_{}", "^{}")
    for _ in range(4):
        # Inner groups first, so that nested sub- and superscripts resolve.
        for sign, shape in (("_", low), (r"\^", high)):
            text = re.sub(sign + r"\{([^{}]*)\}", functools.partial(_script, shape, markup), text)
            if markup:
                text = re.sub(sign + r"([^\s{}])", functools.partial(_script, shape, True), text)
        text = re.sub(r"(?<![_^])\{([^{}]*)\}", r"\1", text)
    return re.sub(r"(?<=[(\[]) +| +(?=[),\]])", "", text)


def escaped(text: str) -> str:
    r"""Return words that are not LaTeX, such as a label or a reason, as LaTeX text.

    Examples
    --------
    >>> escaped("50% of a_b <= c")
    '50\\% of a\\_b $<$= c'
    """
    return "".join(_SPECIAL.get(c, "\\" + c if c in "%&_#${}" else c) for c in text)


def plain(text: str) -> str:
    r"""Return LaTeX text as Unicode with <sub> and <sup>, for Markdown and HTML.

    Parameters
    ----------
    text : str
        Words with maths between dollar signs or \[ and \].

    Examples
    --------
    >>> plain(r"$\omega^{-1}(\eta) \\le p_i$ at 5\% {,}")
    'ω<sup>−1</sup>(η) ≤ p<sub>i</sub> at 5% ,'
    """
    return _pieces(text, markup=True)


def plain_text(text: str) -> str:
    r"""Return LaTeX text as Unicode for a terminal: subscripts after _, superscripts after ^.

    Examples
    --------
    >>> plain_text(r"$\bar\Phi(a_i) = \frac{1}{K}$")
    'Φ̄(a_i) = 1/K'
    >>> plain_text(r"$\\binom{m - 1}{i}$")
    'C(m − 1, i)'
    """
    return _pieces(text, markup=False)


def _pieces(text: str, markup: bool) -> str:
    pieces = re.split(r"(\$[^$]*\$|\\\[.*?\\\])", text, flags=re.DOTALL)
    out = []
    for piece in pieces:
        if piece.startswith("$"):
            out.append(_plain_math(piece[1:-1].replace("\\\\", "\\"), markup))
        elif piece.startswith(r"\["):
            out.append(" " + _plain_math(piece[2:-2].strip(), markup) + " ")
        else:
            words = piece.replace("{,}", ",").replace("--", "\N{EN DASH}").replace("~", " ")
            if markup:
                words = words.replace("<", "&lt;").replace(">", "&gt;")
            words = words.replace(r"\,", _THIN).replace(r"\allowbreak{}", "")
            out.append(re.sub(r"\\([%&_#${}])", r"\1", words))
    return (
        re.sub(r" {2,}", " ", "".join(out)).strip()
        if not markup
        else re.sub(r" {2,}", " ", "".join(out))
    )
