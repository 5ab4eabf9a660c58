"""Names of operators by what kind of function they are, without case and underscores."""

from typing import Final

CURVED: Final = frozenset(
    (
        "sigmoid",
        "tanh",
        "softplus",
        "gelu",
        "elu",
        "selu",
        "celu",
        "silu",
        "mish",
        "logsigmoid",
        "softsign",
        "tanhshrink",
        "hardswish",
        "glu",
        "softmax",
        "logsoftmax",
        "softmin",
        "softmax2d",
        "layernorm",
        "groupnorm",
        "localresponsenorm",
        "rmsnorm",
        "multiheadattention",
        "multiheadattentionforward",
        "scaleddotproductattention",
        "lppool1d",
        "lppool2d",
        "bilinear",
        "lstm",
        "gru",
        "rnn",
        "normalize",
        "cosinesimilarity",
        "exp",
        "exp2",
        "expm1",
        "log",
        "log1p",
        "log2",
        "log10",
        "sqrt",
        "rsqrt",
        "pow",
        "square",
        "reciprocal",
        "sin",
        "cos",
        "tan",
        "sinh",
        "cosh",
        "asin",
        "acos",
        "atan",
        "asinh",
        "acosh",
        "atanh",
        "erf",
        "erfc",
        "norm",
        "var",
        "std",
        "prod",
        "logsumexp",
        "logaddexp",
        "transformerencoder",
        "transformerencoderlayer",
    )
)
"""Functions and modules that are not affine on any piece of a partition into polyhedra."""

JUMPING: Final = frozenset(
    (
        "round",
        "floor",
        "ceil",
        "trunc",
        "frac",
        "fix",
        "heaviside",
        "hardshrink",
        "argmax",
        "argmin",
        "argsort",
        "onehot",
        "bucketize",
        "floordivide",
        "remainder",
        "fmod",
    )
)
"""Those that are constant or affine on pieces, but not continuous."""

SORTING: Final = frozenset(
    (
        "median",
        "sort",
        "msort",
        "topk",
        "kthvalue",
        "quantile",
        "nanmedian",
        "amax",
        "amin",
        "max",
        "min",
    )
)
"""Order statistics: continuous and piecewise linear, of more pieces than are unrolled."""

AFFINE: Final = frozenset(
    ("sub", "subtract", "rsub", "add", "div", "divide", "truediv", "mul", "multiply")
)
"""What a network may do to its images, pixel by pixel, before it mixes them."""

KINKED: Final = frozenset(
    ("relu", "leakyrelu", "prelu", "threshold", "hardtanh", "relu6", "abs", "clamp", "clip")
)
"""Functions that give one number a unit with a kink."""

MIXING: Final = ("conv", "linear", "matmul", "mm", "bmm", "addmm")
"""How the names of functions begin that mix the entries of their argument with weights."""
