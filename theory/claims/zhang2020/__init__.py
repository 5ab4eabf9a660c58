"""Zhang, Chen, Gu and Evans, Intrinsic robustness of image distributions (AISTATS 2020).

Data of class c are x = g_c(z), z ~ N(0, I); x is an error where the classifier does not say c, and
its distance is that to the nearest point that the classifier does not call c.
"""

from theory.claims.zhang2020 import expansions
from theory.claims.zhang2020.average import (
    average_budget,
    average_log_survival,
    average_lower_bound,
)
from theory.claims.zhang2020.classes import (
    ConditionalGenerators,
    class_wise_budget,
    class_wise_log_survival,
    class_wise_lower_bound,
)

__all__ = [
    "ConditionalGenerators",
    "average_budget",
    "average_log_survival",
    "average_lower_bound",
    "class_wise_budget",
    "class_wise_log_survival",
    "class_wise_lower_bound",
    "expansions",
]
