"""A specimen that violates a claim, by both methods of those who know its quantities."""

from dataclasses import dataclass

import numpy as np

from theory.arrays import FloatArray
from theory.falsify.laboratory import Specimen, Structure, Trial
from theory.falsify.sides import Sides, sides


@dataclass(frozen=True)
class Counterexample:
    """A specimen that violates a claim, by both methods of its providers.

    Attributes
    ----------
    trial : Trial
    specimen : Specimen
    found, verified : Sides
        By the method of the search, and by the other one, at the same distance of a law.
    """

    trial: Trial
    specimen: Specimen
    found: Sides
    verified: Sides


def counterexample(
    trial: Trial, structure: Structure, weights: FloatArray
) -> Counterexample | None:
    """Return the specimen of these weights as a counterexample; None if it is none.

    Both methods must say that it is one. The second is asked where the first does, for it is slow.
    """
    try:
        specimen = trial.laboratory.specimen(structure, np.asarray(weights, dtype=np.float64))
        found = sides(trial, specimen)
        if not found.violated:
            return None
        verified = sides(trial, specimen, verified=True, at=found.at)
    except (ValueError, RuntimeError):
        return None
    return Counterexample(trial, specimen, found, verified) if verified.violated else None
