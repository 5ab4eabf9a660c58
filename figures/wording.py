r"""Words, numbers and symbols for readers, as LaTeX text.

Text everywhere in this package is LaTeX with maths between dollar signs; `theory.wording.plain`
turns it into Unicode with <sub> and <sup>.
"""

# ruff: noqa: RUF001  letters that look alike are what is meant

import math

from theory.claim import FOUND

SYMBOLS = {
    "r_latent": r"r_{\mathrm{latent}}",
    "r_in": r"r_{\mathrm{in}}",
    "r_unc": r"r_{\mathrm{unc}}",
    "r_joint": r"r_{\mathrm{joint}}",
    "r_unc_data": r"r_{\mathrm{data}}",
    "r_unc_projected": r"\tilde r_{\mathrm{unc}}",
    "r_smoothed": r"r_{\mathrm{smoothed}}",
    "smoothing_radius": "R",
    "error_distance": r"d_{\mathrm{error}}",
    "error_distance_latent": r"d_{\mathrm{latent}}",
    "boundary_measure": r"\gamma^+",
    "concentration": "h",
    "density_at_zero": "f_0",
    "adversarial_loss": r"\ell_{\mathrm{adv}}",
    "lipschitz": "L",
    "local_lipschitz": r"L_{\mathrm{local}}",
    "free_pattern": r"L_{\mathrm{free}}",
    "semidefinite": r"L_{\mathrm{sdp}}",
    "seqlip": r"L_{\mathrm{split}}",
    "cut_points": r"L_{\mathrm{cut}}",
    "n_regions": "r",
    "n_bounded_regions": "b",
    "n_faces": "f_k",
    "n_bounded_faces": "g_k",
    "n_orthants": "o",
    "n_dichotomies": "c",
    "half_space_probability": r"p_{\mathrm{half}}",
    "n_sign_patterns": "s",
    "n_sign_matrices": r"s_{\mathrm{matrices}}",
    "max_sign_rank": r"R_{\mathrm{sign}}",
    "n_linear_regions": r"R_{\mathrm{linear}}",
    "max_linear_regions": r"\max R_{\mathrm{linear}}",
    "cell_distance": r"h_{\mathrm{cell}}",
    "label_distance": r"h_{\mathrm{label}}",
    "r_targeted": r"r_{\mathrm{targeted}}",
    "targeted_median": r"q_{1/2}",
    "targeted_ninth_decile": r"q_{9/10}",
    "reach_probability": r"p_{\mathrm{reach}}",
    "label_reach_probability": r"p_{\mathrm{label}}",
    "change_norm": r"\lVert \delta \rVert / \lVert v \rVert",
    "radius_ratio": r"r_{\mathrm{unc}} / r_{\mathrm{in}}",
    "found_radius_ratio": r"\hat r_{\mathrm{unc}} / \hat r_{\mathrm{in}}",
    "r_latent_relative": r"r_{\mathrm{latent}} / \lVert z \rVert",
    "r_in_relative": r"r_{\mathrm{in}} / \lVert x \rVert",
    "r_unc_relative": r"r_{\mathrm{unc}} / \lVert x \rVert",
    "nearness_r_latent": r"1 / r_{\mathrm{latent}}",
    "nearness_r_in": r"1 / r_{\mathrm{in}}",
    "tangential_share": r"\lVert P \delta \rVert^2 / \lVert \delta \rVert^2",
    "transfer_disorder": "u",
    "fixed_pixels_median": r"m_{1/2}",
    "fixed_pixels_ninth_decile": r"m_{9/10}",
    "ascent_pixels_ninth_decile": r"\hat m_{9/10}",
    "found_changes_mean": r"\hat h",
    "resisting_share": "s",
    "elsewhere": "e",
    "elsewhere_varying": r"e_{\mathrm{varying}}",
}
WORDS = {
    "r_latent": "latent distance to another label",
    "r_in": "in-distribution distance to another label",
    "r_unc": "unconstrained distance to another label",
    "r_joint": "size of one change that changes the labels of all classifiers",
    "r_unc_data": "the unconstrained distance from real data",
    "r_unc_projected": "the unconstrained distance for the projected classifier",
    "r_smoothed": "distance to another label of the smoothed classifier",
    "smoothing_radius": "radius certified by smoothing",
    "error_distance": "distance to an error",
    "error_distance_latent": "latent distance to an error",
    "boundary_measure": "measure of the boundary",
    "concentration": "least growth of a set of given measure",
    "density_at_zero": "density at zero",
    "adversarial_loss": "loss under attack",
    "lipschitz": "Lipschitz constant",
    "local_lipschitz": "local Lipschitz constant of the generator",
    "free_pattern": "largest norm of the Jacobian over free patterns of slopes",
    "semidefinite": "least semidefinite bound on the Lipschitz constant",
    "seqlip": "split bound on the Lipschitz constant, over pairs of layers",
    "cut_points": "mean over cuts of products of merged norms",
    "n_regions": "number of regions",
    "n_bounded_regions": "number of bounded regions",
    "n_faces": "number of faces of one dimension",
    "n_bounded_faces": "number of bounded faces of one dimension",
    "n_orthants": "number of orthants that a subspace meets",
    "n_dichotomies": "number of ways to split the points by a hyperplane",
    "half_space_probability": "probability that random points lie in one half-space",
    "n_sign_patterns": "number of sign patterns of polynomials",
    "n_sign_matrices": "number of sign matrices of bounded rank",
    "max_sign_rank": "largest sign rank",
    "n_linear_regions": "number of linear regions",
    "max_linear_regions": "largest number of linear regions of an architecture",
    "cell_distance": "number of coordinates to change for any cell",
    "label_distance": "number of coordinates to change for any label",
    "r_targeted": "number of coordinates to change for a given label",
    "targeted_median": "number of coordinates to change for half of the labels",
    "targeted_ninth_decile": "number of coordinates to change for nine in ten labels",
    "reach_probability": "probability that given coordinates reach a cell",
    "label_reach_probability": "probability that given coordinates reach a label",
    "change_norm": "size of the least change, relative to the move",
    "radius_ratio": "unconstrained over in-distribution distance",
    "found_radius_ratio": "the same of the distances that one search found",
    "r_latent_relative": "latent distance relative to the norm",
    "r_in_relative": "in-distribution distance relative to the norm",
    "r_unc_relative": "unconstrained distance relative to the norm",
    "nearness_r_latent": "inverse latent distance of the most robust classifier",
    "nearness_r_in": "inverse in-distribution distance of the most robust classifier",
    "tangential_share": "share of the found perturbation along the range of the generator",
    "transfer_disorder": "how often transfer and agreement disagree",
    "fixed_pixels_median": "number of fixed coordinates that suffices for half of the labels",
    "fixed_pixels_ninth_decile": "the same for nine in ten labels",
    "ascent_pixels_ninth_decile": "the same of what an ascent found",
    "found_changes_mean": "mean number of changed coordinates that the search found",
    "resisting_share": "share of images that no change of one pixel turns",
    "elsewhere": "success of one pixel elsewhere, against that of neighbours",
    "elsewhere_varying": "the same among pixels that vary over the data",
}
NORMS = {
    "l0": r"\ell_0",
    "l1": r"\ell_1",
    "linf": r"\ell_\infty",
    "hamming": r"\mathrm{Hamming}",
    "hamming in 0..1": "[0, 1]",
    "hamming in -1..2": "[-1, 2]",
    "hamming in -50..51": "[-50, 51]",
    **{
        f"one pixel in {low}..{high} of {values} values": f"[{low}, {high}], {values}"
        for low, high in ((0, 1), (-1, 2), (-5, 6))
        for values in (2, 256)
    },
    "geodesic": r"\mathrm{geodesic}",
}
"""Norms that a symbol shows; the Euclidean one goes without saying."""

_SPECIAL = {
    "\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "·": r"$\cdot$", "×": r"$\times$", "≤": r"$\le$", "≥": r"$\ge$", "<": "$<$", ">": "$>$",
    "−": "$-$",
}  # fmt: skip


def escape(text: str) -> str:
    r"""Return words of a record as LaTeX text.

    Examples
    --------
    >>> escape("50% of a_b")
    '50\\% of a\\_b'
    """
    return "".join(_SPECIAL.get(c, "\\" + c if c in "%&_#${}" else c) for c in text)


def symbol(quantity: str) -> str:
    r"""Return the mathematical symbol of a quantity's name, without dollar signs.

    Examples
    --------
    >>> symbol("r_in[l2]"), symbol("new_one[l2]"), symbol("r_unc[linf]")
    ('r_{\\mathrm{in}}', '\\mathrm{new one}', 'r_{\\mathrm{unc}}(\\ell_\\infty)')
    >>> symbol("found_r_in[l2]")
    '\\hat{r}_{\\mathrm{in}}'
    """
    name, _, norm = quantity.partition("[")
    searched = name.removeprefix(FOUND)
    if name not in SYMBOLS and SYMBOLS.get(searched, "").startswith("r_"):
        # What a search found of a radius, and not the radius itself, has a hat.
        shown = r"\hat{r}" + SYMBOLS[searched].removeprefix("r")
    else:
        shown = SYMBOLS.get(name, rf"\mathrm{{{name.replace('_', ' ')}}}")
    norm = norm.removesuffix("]")
    return f"{shown}({NORMS[norm]})" if norm in NORMS else shown


def number(value: float, digits: int = 3) -> str:
    r"""Return a number as LaTeX text with so many significant digits.

    Examples
    --------
    >>> number(1797), number(0.015837), number(3.2e-7), number(1e-6), number(float("inf"))
    ('1{,}797', '0.0158', '$3.2 \\times 10^{-7}$', '$10^{-6}$', '$\\infty$')
    """
    if isinstance(value, int):
        return f"{value:,}".replace(",", "{,}").replace("-", "$-$")
    if math.isinf(value):
        return r"$\infty$" if value > 0 else r"$-\infty$"
    if value and not 1e-3 <= abs(value) < 1e5:
        mantissa, _, exponent = f"{value:.{digits - 1}e}".partition("e")
        mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
        factor = "" if mantissa == "1" else rf"{mantissa} \times "
        return rf"${factor}10^{{{int(exponent)}}}$"
    text = f"{value:.{digits}g}"
    text = f"{float(text):.0f}" if "e" in text else text
    return text.replace("-", "$-$")


def interval(lower: float, upper: float, decimals: int = 4) -> str:
    r"""Return "[lower, upper]", the lower end rounded down and the upper end rounded up.

    Examples
    --------
    >>> interval(0.12345, 0.5, 3), interval(0.0, float("inf"))
    ('[0.123, 0.500]', '[0, $\\infty$)')
    """
    scale = 10.0**decimals
    # A value that is a whole number of units but for rounding is not pushed outward.
    low = math.floor(lower * scale * (1 + 1e-12)) / scale
    left = "0" if lower == 0 else f"{low:.{decimals}f}"
    if math.isinf(upper):
        return f"[{left}, $\\infty$)"
    return f"[{left}, {math.ceil(upper * scale * (1 - 1e-12)) / scale:.{decimals}f}]"
