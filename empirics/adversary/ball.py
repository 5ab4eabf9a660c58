"""Norm balls within a box: exact budgets, projections, steepest directions, uniform starts."""

from dataclasses import dataclass

import torch

from empirics.adversary.batch import scale
from empirics.adversary.checks import Box
from theory.errors import InputError

NORMS = ("l1", "l2", "linf")
_SPARE = 4
"""Units of rounding that are kept free, so that a norm summed in another order fits as well."""


def sizes(difference: torch.Tensor, norm: str) -> torch.Tensor:
    """Return the l1, l2 or linf norms of a batch of arrays of any shape, shape (n,)."""
    order = {"l1": 1.0, "l2": 2.0, "linf": torch.inf}[norm]
    result: torch.Tensor = torch.linalg.vector_norm(difference.flatten(1), ord=order, dim=1)
    return result


def rounded_down(radius: float | torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Return the radius of each point in the precision of x and never above what was asked.

    Raises
    ------
    InputError
        If a radius is negative or not finite, or there are neither one nor n of them.
    """
    # On the CPU, where every precision exists; budgets are few numbers.
    given = radius.detach().cpu() if isinstance(radius, torch.Tensor) else radius
    exact = torch.as_tensor(given, dtype=torch.float64)
    if exact.ndim > 1 or exact.numel() not in (1, len(x)):
        raise InputError(f"radius: shape {tuple(exact.shape)}; expected one, or one a point")
    if not bool((torch.isfinite(exact) & (exact >= 0)).all()):
        raise InputError(f"radius: {exact.tolist()}; expected finite and not negative")
    near = exact.to(x.dtype)
    lower = near * (1 - torch.finfo(x.dtype).eps)
    return torch.where(near.double() > exact, lower, near).to(x.device).expand(len(x))


@dataclass(frozen=True)
class Ball:
    """The points of a box within a distance of each center; what it returns keeps both exactly.

    Exactly means: in the precision of the centers, the norm of the difference as computed there is
    at most the radius.

    Attributes
    ----------
    norm : str
        "l1", "l2" or "linf".
    center : Tensor, shape (n, ...)
    radius : Tensor, shape (n,)
    low, high : Tensor, shape (n, ...)
        Ends of each coordinate; infinite where there is no box and the norm is not linf.
    """

    norm: str
    center: torch.Tensor
    radius: torch.Tensor
    low: torch.Tensor
    high: torch.Tensor

    @classmethod
    def around(
        cls, x: torch.Tensor, radius: float | torch.Tensor, norm: str, box: Box | None = None
    ) -> "Ball":
        """Return the balls around the points x of the box.

        Raises
        ------
        InputError
            If the norm is unknown, or a radius is negative or not finite.
        """
        if norm not in NORMS:
            raise InputError(f"norm: '{norm}'; expected one of {', '.join(NORMS)}")
        budget = rounded_down(radius, x)
        low, high = torch.full_like(x, -torch.inf), torch.full_like(x, torch.inf)
        if norm == "linf":
            low, high = _end(x, -budget), _end(x, budget)
        if box is not None:
            low, high = low.clamp_min(box[0]), high.clamp_max(box[1])
        return cls(norm, x, budget, low, high)

    def of(self, chosen: torch.Tensor) -> "Ball":
        """Return the balls of the chosen points, an index or a mask."""
        parts = (self.center, self.radius, self.low, self.high)
        return Ball(self.norm, *(part[chosen] for part in parts))

    def project(self, point: torch.Tensor) -> torch.Tensor:
        """Return points of the balls: the nearest ones for linf and l1, and for l2 without a box.

        For l2 with a box the point is drawn towards the center, then brought into the box.
        """
        if self.norm == "linf":
            return torch.minimum(torch.maximum(point, self.low), self.high)
        shift = point - self.center
        target = self.radius * (1 - 4 * _SPARE * torch.finfo(point.dtype).eps)
        if self.norm == "l1":
            room = torch.where(shift > 0, self.high - self.center, self.center - self.low)
            shift = _onto_l1(shift.flatten(1), room.flatten(1), target).reshape(shift.shape)
        else:
            length = sizes(shift, "l2").clamp_min(torch.finfo(point.dtype).tiny)
            shift = scale((target / length).clamp_max(1.0), shift)
        return self._shrunk(shift)

    def _shrunk(self, shift: torch.Tensor) -> torch.Tensor:
        """Return center + shift, shortened where the rounded sum lies outside."""
        eps = torch.finfo(shift.dtype).eps
        limit = self.radius * (1 - _SPARE * eps)

        def boxed(shift: torch.Tensor) -> torch.Tensor:
            return torch.minimum(torch.maximum(self.center + shift, self.low), self.high)

        point = boxed(shift)
        loss = 4 * _SPARE * eps
        while bool((outside := sizes(point - self.center, self.norm) > limit).any()):
            # The loss doubles up to 1, where the point is the center itself.
            kept = torch.where(outside, max(0.0, 1 - loss), 1.0).to(shift)
            shift = scale(kept, shift)
            point = boxed(shift)
            loss *= 2
        return point

    def steepest(
        self, gradient: torch.Tensor, point: torch.Tensor, features: int = 1
    ) -> torch.Tensor:
        """Return the steps of norm 1 along which a gradient promises most, shape of x.

        In l1 the step is shared equally by the `features` largest entries of the gradient among
        the coordinates that the box lets move; 1 is the steepest, more are less greedy.
        """
        # In units of the largest entry, so that squares neither vanish nor overflow.
        tiny = torch.finfo(gradient.dtype).tiny
        flat = gradient.flatten(1)
        flat = flat / flat.abs().amax(dim=1, keepdim=True).clamp_min(tiny)
        if self.norm == "linf":
            flat = flat.sign()
        elif self.norm == "l2":
            flat = flat / flat.norm(dim=1, keepdim=True).clamp_min(tiny)
        else:
            end = torch.where(gradient > 0, self.high, self.low)
            rate = torch.where(point == end, 0.0, gradient).flatten(1).abs()
            best = rate.topk(min(features, rate.shape[1]), dim=1).indices
            chosen = torch.zeros_like(flat).scatter(1, best, 1.0)
            flat = torch.where(rate > 0, chosen * flat.sign(), 0.0) / best.shape[1]
        return flat.reshape(gradient.shape)

    def sample(self, stream: torch.Generator) -> torch.Tensor:
        """Return points drawn uniformly from the balls, then brought into the box."""
        shape, dtype = self.center.shape, self.center.dtype
        if self.norm == "linf":
            part = torch.rand(shape, generator=stream, dtype=dtype).to(self.center)
            return self.project(self.low + part * (self.high - self.low))
        if self.norm == "l2":
            shift = torch.randn(shape, generator=stream, dtype=dtype)
            depth = torch.rand(len(shift), generator=stream, dtype=dtype)
            shift = scale(depth ** (1 / shift[0].numel()) / sizes(shift, "l2"), shift)
        else:
            # d exponential variables over the sum of d + 1 are uniform below the simplex.
            signs = torch.rand(shape, generator=stream, dtype=dtype) - 0.5
            lengths = torch.empty(shape, dtype=dtype).exponential_(generator=stream)
            spare = torch.empty(len(signs), dtype=dtype).exponential_(generator=stream)
            shift = scale(1 / (lengths.flatten(1).sum(dim=1) + spare), lengths * signs.sign())
        return self.project(self.center + scale(self.radius, shift.to(self.center)))


def _end(x: torch.Tensor, reach: torch.Tensor) -> torch.Tensor:
    """Return x + reach, drawn towards x until the rounded difference is at most |reach|."""
    bound = scale(reach.abs(), torch.ones_like(x))
    end = x + scale(reach, torch.ones_like(x))
    loss = torch.finfo(x.dtype).eps
    while bool((outside := (end - x).abs() > bound).any()):
        end = torch.where(outside, x + scale(reach * max(0.0, 1 - loss), torch.ones_like(x)), end)
        loss *= 2
    return end


def _onto_l1(shift: torch.Tensor, room: torch.Tensor, radius: torch.Tensor) -> torch.Tensor:
    """Return the nearest shifts of l1 norm at most radius that keep to the room of each coordinate.

    The solution is sign(shift) clip(|shift| - t, 0, room) for the least t >= 0 whose norm fits
    (Croce and Hein, ICML 2021, section 2). The norm is piecewise linear in t: its slope falls by
    one where a coordinate leaves its room, and rises by one where it reaches zero.
    """
    size = shift.abs()
    leaves = (size - room).clamp_min(0.0)
    t, order = torch.cat([leaves, size], dim=1).sort(dim=1)
    slope = torch.cat([-torch.ones_like(size), torch.ones_like(size)], dim=1).gather(1, order)
    slope = slope.cumsum(dim=1)
    # The norm at each breakpoint; before the first, where nothing has begun, it is flat.
    drops = (slope[:, :-1] * t.diff(dim=1)).cumsum(dim=1)
    first = torch.minimum(size, room).sum(dim=1, keepdim=True)
    norm = torch.cat([first, first + drops], dim=1)
    # The last breakpoint whose norm is still too large begins the piece that holds the solution.
    last = ((norm > radius[:, None]).sum(dim=1, keepdim=True) - 1).clamp_min(0)
    excess = (norm.gather(1, last) - radius[:, None]).clamp_min(0.0)
    falls = -slope.gather(1, last)
    # A flat piece has nothing to give; rounding may put the solution there.
    cut = t.gather(1, last) + torch.where(falls > 0, excess / falls.clamp_min(1.0), 0.0)
    cut = torch.where(first > radius[:, None], cut, 0.0)
    return shift.sign() * torch.minimum((size - cut).clamp_min(0.0), room)
