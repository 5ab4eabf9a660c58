"""Networks from outside: named by the user, brought into one form, examined."""

from empirics.given.examination import Examination, examined
from empirics.given.spec import Given, load_model

__all__ = ["Examination", "Given", "examined", "load_model"]
