"""What kind of function a classifier is: read off its operators and off its answers."""

from dataclasses import dataclass
from typing import ClassVar

from empirics.given.examination import examined
from empirics.given.spec import Given
from empirics.plugins import Context, Outcome, Subject, measure
from empirics.settings import setting
from theory.errors import InputError


@measure("examined")
@dataclass(frozen=True)
class Examined:
    """Whether a classifier is piecewise linear, deterministic and differentiable, and how it errs.

    Attributes
    ----------
    source, form : str
        Where the classifier came from, and as what: "file", "attribute", "export", "onnx", "timm".
    notes : tuple of str
        What was handled when it was read.
    """

    revision: ClassVar[int] = 1
    roles: ClassVar[tuple[str, ...]] = ("data", "image_classifier")
    needs_data: ClassVar[bool] = True
    source: str = setting("")
    form: str = setting("")
    notes: tuple[str, ...] = setting(())

    def measure(self, subject: Subject, context: Context) -> Outcome:
        """Return what was found as facts, and as lines under "examination"."""
        if subject.data is None or subject.classifier is None:
            raise InputError("the measure 'examined' needs data and a classifier of its images")
        given = Given(
            module=subject.classifier,
            source=self.source,
            form=self.form,
            sha256="",
            has_weights=True,
            notes=self.notes,
        )
        found = examined(given, subject.data, context.device, context.stream("examined"))
        return Outcome(facts={**found.facts(), "examination": list(found.lines())})
