"""Figures and tables: what one is, and the decorators that register it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from theory.registry import Registry

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from figures.view import View

Value = float | int | str | None
Row = Mapping[str, Value]


@dataclass(frozen=True)
class Drawing:
    """A figure, with the rows of its .csv and the numbers that it gives the paper.

    Attributes
    ----------
    figure : Figure
    rows : sequence of mapping
        What was drawn, a mapping from column to value each, in full precision.
    numbers : mapping
        By key; a key gets the figure's name and a dot in front.
    caption : str
        What is seen, written from the records; maths between dollar signs.
    """

    figure: Figure
    rows: Sequence[Row]
    numbers: Mapping[str, Value]
    caption: str


@dataclass(frozen=True)
class Section:
    """One block of a table; cells are LaTeX text, with maths between dollar signs."""

    title: str
    columns: Sequence[str]
    body: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Table:
    """A table in sections; rows, numbers and caption as in `Drawing`."""

    sections: Sequence[Section]
    rows: Sequence[Row]
    numbers: Mapping[str, Value]
    caption: str
    widths: str = field(default="")
    """LaTeX column types, where plain ones will not do."""


@dataclass(frozen=True)
class Plate:
    """A registered figure or table.

    Attributes
    ----------
    name : str
        The stem of its files.
    kind : {"figure", "table"}
    title : str
        Its heading in the report.
    needs : tuple of str or None
        Measures without whose records it cannot be drawn, and roles without whose trainings
        ("generator", "classifier"); None for what is drawn from the theory alone, with no record
        at all.
    draw : callable
        View -> Drawing or Table; no argument if drawn from the theory. Raises NothingToDraw.
    also : tuple of str
        Measures and trainings whose records it shows where they are there.
    """

    name: str
    kind: Literal["figure", "table"]
    title: str
    needs: tuple[str, ...] | None
    draw: Callable[..., Any]
    also: tuple[str, ...] = ()

    @property
    def from_theory(self) -> bool:
        """Whether it is drawn from the theory alone: no record can change it."""
        return self.needs is None

    def uses(self, name: str) -> bool:
        """Whether it is drawn from records of this measure, or of the trainings of this role.

        With empty needs it uses them all.
        """
        return self.needs is not None and (not self.needs or name in self.needs + self.also)

    @property
    def suffixes(self) -> tuple[str, ...]:
        """Endings of its four files; the .json is written last."""
        shown = (".pdf", ".png") if self.kind == "figure" else (".tex", ".md")
        return (*shown, ".csv", ".json")


FIGURES: Registry[Plate] = Registry("figure", ("figures.plates",), "advbounds.figures")

DrawFigure = TypeVar("DrawFigure", Callable[["View"], Drawing], Callable[[], Drawing])
DrawTable = TypeVar("DrawTable", Callable[["View"], Table], Callable[[], Table])


def figure(
    name: str, *, title: str, needs: tuple[str, ...] | None, also: tuple[str, ...] = ()
) -> Callable[[DrawFigure], DrawFigure]:
    """Register a function that draws a figure; the fields are those of `Plate`."""

    def decorate(draw: DrawFigure) -> DrawFigure:
        FIGURES.register(name, Plate(name, "figure", title, needs, draw, also))
        return draw

    return decorate


def table(
    name: str, *, title: str, needs: tuple[str, ...] | None, also: tuple[str, ...] = ()
) -> Callable[[DrawTable], DrawTable]:
    """Register a function that makes a table; the fields are those of `Plate`."""

    def decorate(draw: DrawTable) -> DrawTable:
        FIGURES.register(name, Plate(name, "table", title, needs, draw, also))
        return draw

    return decorate
