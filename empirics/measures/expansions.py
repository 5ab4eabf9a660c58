"""How far a generator moves images within latent balls: certified, latent by latent."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from empirics.constants import semidefinite_constant
from empirics.feed_forward import feed_forward
from empirics.plugins import Context, Outcome, Subject, measure
from empirics.settings import setting
from theory.arrays import FloatArray
from theory.lipschitz.local import expansion_table
from theory.modulus.expansion import ExpansionTable


def rounded_up(values: FloatArray) -> FloatArray:
    """Return numbers of five digits that are at least the given ones, from 0 to inf.

    Examples
    --------
    >>> rounded_up(np.array([1.234501, 0.05, 9.99999, 0.0, np.inf])).tolist()
    [1.2346, 0.05, 10.0, 0.0, inf]
    """
    found = values.copy()
    for i in np.flatnonzero((values > 0) & np.isfinite(values)):
        digits = 4 - int(np.floor(np.log10(values[i])))
        short = float(f"{np.ceil(values[i] * 10.0**digits):.0f}e{-digits}")
        # The product may have been rounded down to a whole number: then the value stays.
        found[i] = max(short, values[i])
    return found


@measure("expansions")
@dataclass(frozen=True)
class Expansions:
    """Certified ends of sup over |r| <= t of |g(z + r) - g(z)|, at fresh latents z, in l2.

    No point of a ball moves further: the law of these ends is a modulus that holds for most
    latents, where the constant of the whole space, which limits them too, holds for the worst.

    Attributes
    ----------
    radii : tuple of float
        Latent distances t, ascending.
    n : int
        Fresh latents, the same for all radii.
    refined : int
        Balls whose bound is tightened by semidefinite programming, those first that gain most.
    units : int
        Units without a certain slope up to which a ball is.
    """

    revision: ClassVar[int] = 1
    roles: ClassVar[tuple[str, ...]] = ("data", "generator")
    needs_data: ClassVar[bool] = False
    provides: ClassVar[tuple[str, ...]] = ("r_in[l2]", "r_unc[l2]")
    radii: tuple[float, ...] = setting(
        (0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.7, 1.0), above=0
    )
    n: int = setting(600, at_least=1)
    refined: int = setting(300, at_least=0)
    units: int = setting(200, at_least=1)

    def measure(self, subject: Subject, context: Context) -> Outcome:
        """Return the table of certified expansions."""
        network = feed_forward(subject.generator, (subject.latent_dimension,))
        z = context.normal(self.n, subject.latent_dimension, "latents").cpu().double().numpy()
        values = expansion_table(network, z, self.radii, budget=self.refined, max_units=self.units)
        everywhere = semidefinite_constant(network)
        if everywhere is not None:
            values = np.minimum(
                values, np.nextafter(everywhere.value * np.array(self.radii), np.inf)
            )
        # Short numbers: a table has thousands.
        ends = tuple(tuple(np.sort(rounded_up(column)).tolist()) for column in values.T)
        table = ExpansionTable(self.radii, ends)
        return Outcome(facts={"expansions[l2->l2]": table.to_dict()})
