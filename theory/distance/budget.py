"""What a search may spend."""

import math
import time


class Budget:
    """Time until a deadline, and a number of nodes.

    Parameters
    ----------
    seconds : float, optional
    nodes : int, optional

    Examples
    --------
    >>> budget = Budget(nodes=3)
    >>> budget.spend(2)
    >>> budget.nodes, budget.seconds, budget.late()
    (1, inf, False)
    """

    def __init__(self, seconds: float | None = None, nodes: int | None = None) -> None:
        self._deadline = math.inf if seconds is None else time.monotonic() + seconds
        self.nodes: float = math.inf if nodes is None else nodes

    @property
    def seconds(self) -> float:
        """Those that are left, below 0 after the deadline."""
        return math.inf if math.isinf(self._deadline) else self._deadline - time.monotonic()

    def late(self) -> bool:
        """Whether the deadline has passed."""
        return self.seconds < 0

    def spend(self, nodes: int) -> None:
        """Take nodes off what is left."""
        self.nodes -= nodes
