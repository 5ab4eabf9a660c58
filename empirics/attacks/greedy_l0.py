"""A minimal l0 attack: greedy growth, then exchanges with one change fewer (this library's own)."""

import torch

from empirics.adversary.batch import Model, margin
from empirics.adversary.checks import Box, checked
from empirics.adversary.goal import Goal
from empirics.attacks.registry import attack

_OVERSHOOT = 1.1
"""Without a box a feature goes so much farther than the linearised boundary asks for."""

_VALUES_AT_ONCE = 2**22
"""Feature values of candidates in a call of the model, unless a single row has more."""


@attack("greedy_l0")
def greedy_l0(
    model: Model,
    x: torch.Tensor,
    y: torch.Tensor,
    *,
    rivals: int = 2,
    shortlist: int = 5,
    patience: int = 10,
    tenure: int = 4,
    box: Box | None = None,
    targets: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return points that differ from x in few features and have another label; x where none was.

    White box, minimal l0. Towards each of the nearest rivals of the label, a point grows by the
    feature whose change, to an end of the box, raises the rival's lead most: the gradient proposes
    a shortlist, the model decides. Then, again and again, the least useful change is taken back
    and another one made, with a tabu list, until one change fewer suffices. With a patience of 0
    there is the growth alone, at about a tenth of the time.

    Parameters
    ----------
    model : callable
        Inputs (n, ...) to logits (n, K).
    x, y : Tensor
        Inputs (n, ...) and labels (n,).
    rivals : int
        Labels that an image grows towards, those with the largest logits; without targets only.
    shortlist : int
        Features that the model tries in each step.
    patience : int
        Exchanges without a gain after which an image is finished.
    tenure : int
        Exchanges for which a feature that was taken back stays out, and one that was added in.
    box : tuple of float, optional
        Lowest and highest value of a feature; without it a feature goes as far as the linearised
        boundary.
    targets : Tensor, shape (n,), optional
        Labels to reach.

    Returns
    -------
    Tensor
        Shape of x.

    Raises
    ------
    InputError
        If the inputs, labels, targets or the model's values are not as above.

    References
    ----------
    Growth as in Hajri, Cesaire, Combey, Lamprier and Gallinari, Stochastic sparse adversarial
    attacks (ICTAI 2021), without the noise; tabu search: Glover, ORSA J. Comput. 1 (1989).
    """
    checked(model, x, y, box=box, targets=targets)

    def flat_model(p: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = model(p.reshape(-1, *x.shape[1:]))
        return logits

    search = Exchanges(flat_model, x.flatten(1), Goal(y, targets), box)
    search.begin(rivals)
    search.grow(shortlist)
    search.exchange(shortlist, patience, tenure)
    return search.best.reshape(x.shape)


class Exchanges:
    """Rows that go towards one rival each; all rows of an image share its best point.

    A search is a `begin` and a `grow`, or an `adopt`, and then an `exchange`; each leaves the best
    points as good as they were or better, and all in all as often as one likes.

    Attributes
    ----------
    x, best : Tensor, shape (n, d)
        The images, and the best points found.
    counts : Tensor, shape (n,)
        Changes of the best points; d + 1 where nothing was found.
    image, rival : Tensor, shape (m,)
        Of each row: its image, and the label it goes towards.
    point : Tensor, shape (m, d)
        Where each row is.
    """

    def __init__(self, model: Model, x: torch.Tensor, goal: Goal, box: Box | None) -> None:
        self.model, self.x, self.goal, self.box = model, x, goal, box
        self.best = x.clone()
        self.counts = torch.full((len(x),), x.shape[1] + 1, device=x.device)
        with torch.no_grad():
            self.logits = model(x)
        self.image = self.rival = (self.logits.argmax(dim=1) == goal.y).nonzero()[:0, 0]
        self.point = x[self.image]

    def begin(self, rivals: int) -> None:
        """Set a row to each image for each of its strongest rivals, or for its target."""
        logits, goal = self.logits, self.goal
        image = (logits.argmax(dim=1) == goal.y).nonzero()[:, 0]
        if goal.targets is None:
            others = logits[image].scatter(1, goal.y[image, None], -torch.inf)
            rival = others.topk(min(rivals, logits.shape[1] - 1), dim=1).indices
        else:
            rival = goal.targets[image, None]
        self.image = image.repeat_interleave(rival.shape[1])
        self.rival = rival.flatten()
        self.point = self.x[self.image]

    def adopt(self, points: torch.Tensor) -> None:
        """Set a row to each of these points (n, d) that is adversarial; without needless changes.

        Changes that are not needed are taken back one by one, the least useful first.
        """
        with torch.no_grad():
            logits = self.model(points)
        wrong = self.logits.argmax(dim=1) != self.goal.y
        self.image = (self.goal.reached(logits) & ~wrong).nonzero()[:, 0]
        self.rival = logits.argmax(dim=1)[self.image]
        self.point = points[self.image]
        self._record(torch.arange(len(self.image), device=self.image.device))
        pending = torch.arange(len(self.image), device=self.image.device)
        while len(pending):
            before = self.point[pending]
            self._take_back_one(pending, self._changed()[pending])
            with torch.no_grad():
                still = self.goal.of(self.image[pending]).reached(self.model(self.point[pending]))
            still &= self._changed()[pending].any(dim=1)
            self.point[pending[~still]] = before[~still]
            pending = pending[still]

    def grow(self, shortlist: int) -> None:
        """Add changes to all rows, one a step, to one fewer than the best points have at least."""
        grown = [(self.image[:0], self.rival[:0], self.point[:0])]
        while len(self.image):
            changed = self._changed()
            stuck = ~self._add(changed, shortlist)
            fewest = self.counts[self.image]
            enough = (fewest <= self.x.shape[1]) & (self._changed().sum(dim=1) + 1 >= fewest)
            grown.append((self.image[enough], self.rival[enough], self.point[enough]))
            self._keep(~(enough | stuck))
        self.image, self.rival, self.point = map(torch.cat, zip(*grown, strict=True))

    def exchange(self, shortlist: int, patience: int, tenure: int) -> None:
        """Look for a success with one change fewer, until `patience` exchanges gained nothing."""
        # The steps until which a feature stays as it is in x, and until which it stays changed.
        out = torch.zeros(self.point.shape, dtype=torch.long, device=self.point.device)
        in_ = out.clone()
        gained = torch.zeros_like(self.counts)
        step = 0
        while True:
            busy = (self.counts[self.image] > 1) & (step < gained[self.image] + patience)
            self._keep(busy)
            out, in_ = out[busy], in_[busy]
            if not len(self.image):
                return
            step += 1
            before, point = self.counts.clone(), self.point.clone()
            self._take_back(in_ >= step)
            removed = (point != self.point) & ~self._changed()
            out[removed] = step + tenure
            point = self.point.clone()
            self._add(self._changed() | (out >= step), shortlist)
            in_[self.point != point] = step + tenure
            gained[self.counts < before] = step

    def _keep(self, rows: torch.Tensor) -> None:
        self.image, self.rival, self.point = self.image[rows], self.rival[rows], self.point[rows]

    def _changed(self) -> torch.Tensor:
        return self.point != self.x[self.image]

    def _leads(self, rows: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        """Return the lead of each row's rival over the label, or of its target over all."""
        if self.goal.targets is not None:
            return margin(logits, self.rival[rows])
        own = self.goal.y[self.image[rows]]
        leads = logits.gather(1, self.rival[rows, None]) - logits.gather(1, own[:, None])
        return leads[:, 0]

    def _add(self, barred: torch.Tensor, shortlist: int) -> torch.Tensor:
        """Make one change more in each row; return in which rows there was one, shape (m,)."""
        rows = torch.arange(len(self.point), device=self.point.device)
        point = self.point.detach().requires_grad_(True)
        lead = self._leads(rows, self.model(point))
        (gradient,) = torch.autograd.grad(lead.sum(), point)
        if self.box is None:
            tiny = torch.finfo(gradient.dtype).tiny
            rate = gradient.sign() * gradient.abs().clamp_min(tiny)
            end = self.point + _OVERSHOOT * lead.detach().abs()[:, None] / rate
            gain = gradient.abs()
        else:
            low, high = self.box
            end = torch.where(gradient > 0, high, low).to(gradient)
            gain = gradient * (end - self.point)
        # A change that changes nothing would go on for ever.
        gain = gain.masked_fill(barred | (gain <= 0), -torch.inf)
        best, chosen = gain.topk(min(shortlist, gain.shape[1]), dim=1)
        self._move(rows, chosen, end.gather(1, chosen), best > -torch.inf)
        return best[:, 0] > -torch.inf

    def _take_back(self, fixed: torch.Tensor) -> None:
        """Take changes back, the least useful first, until two fewer than in the best are left."""
        while True:
            changed = self._changed()
            # Where one change suffices there is none to take back.
            left = (self.counts[self.image] - 2).clamp_min(0)
            rows = (changed.sum(dim=1) > left).nonzero()[:, 0]
            if not len(rows):
                return
            free = changed[rows] & ~fixed[rows]
            free = torch.where(free.any(dim=1, keepdim=True), free, changed[rows])
            self._take_back_one(rows, free)

    def _take_back_one(self, rows: torch.Tensor, free: torch.Tensor) -> None:
        """Take back the change of each of these rows that is missed least, among the free ones."""
        width = int(free.sum(dim=1).max())
        real, chosen = free.to(torch.int8).topk(width, dim=1)
        self._move(rows, chosen, self.x[self.image[rows]].gather(1, chosen), real > 0)

    def _move(
        self, rows: torch.Tensor, chosen: torch.Tensor, values: torch.Tensor, real: torch.Tensor
    ) -> None:
        """Make the best of the moves of each row, and keep the point if it is its image's best.

        rows (m,); features chosen and their new values, and whether it is a move at all: (m, s).
        """
        at_once = max(1, _VALUES_AT_ONCE // (chosen.shape[1] * self.x.shape[1]))
        parts = (torch.split(whole, at_once) for whole in (rows, chosen, values, real))
        for part in zip(*parts, strict=True):
            self._move_together(*part)

    def _move_together(
        self, rows: torch.Tensor, chosen: torch.Tensor, values: torch.Tensor, real: torch.Tensor
    ) -> None:
        m, s = chosen.shape
        tried = self.point[rows][:, None].repeat(1, s, 1)
        here, there = torch.arange(m, device=rows.device), chosen[:, :, None]
        values = torch.where(real, values, self.point[rows].gather(1, chosen))
        tried.scatter_(2, there, values[:, :, None])
        many = rows.repeat_interleave(s)
        with torch.no_grad():
            logits = self.model(tried.reshape(m * s, -1))
        leads = self._leads(many, logits).reshape(m, s).masked_fill(~real, -torch.inf)
        reached = self.goal.of(self.image[many]).reached(logits).reshape(m, s) & real
        # Whatever reaches the goal goes before what does not.
        outdone = reached.any(dim=1, keepdim=True) & ~reached
        top = leads.masked_fill(outdone, -torch.inf).argmax(dim=1)
        self.point[rows] = tried[here, top]
        self._record(rows[reached[here, top]])

    def _record(self, rows: torch.Tensor) -> None:
        """Keep those of these adversarial rows that have fewer changes than their images' best."""
        counts = self._changed()[rows].sum(dim=1)
        for row, count in zip(rows.tolist(), counts.tolist(), strict=True):
            image = self.image[row]
            if count < self.counts[image]:
                self.best[image], self.counts[image] = self.point[row], count
