"""Facts that are computed when a claim asks for them."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any


class LazyFacts(Mapping[str, Any]):
    """Facts by name, each computed once.

    Parameters
    ----------
    makers : mapping of str to callable
        What computes each.

    Examples
    --------
    >>> facts = LazyFacts({"n_inputs": lambda: 2})
    >>> "n_inputs" in facts, facts["n_inputs"], facts.get("n_classes")
    (True, 2, None)
    """

    def __init__(self, makers: Mapping[str, Callable[[], Any]]) -> None:
        self._makers = makers
        self._made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401
        """Return a fact; raises KeyError if it is not known."""
        if name not in self._made:
            self._made[name] = self._makers[name]()
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names."""
        return iter(self._makers)

    def __len__(self) -> int:
        """Return the number of facts."""
        return len(self._makers)
