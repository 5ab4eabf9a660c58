"""The Jacobian-based saliency map attack (Papernot et al., EuroS&P 2016)."""

import math

import torch

from empirics.adversary.batch import Model
from empirics.adversary.checks import Box, checked
from empirics.adversary.goal import Goal, within
from empirics.adversary.sparse import n_changes
from empirics.attacks.registry import attack

_SATURATED = 0.01
"""A feature that can move by this fraction of theta at most is at its end: pixels of 254/255 are
white, and moving them would waste a step."""


@attack("jsma")
def jsma(
    model: Model,
    x: torch.Tensor,
    y: torch.Tensor,
    *,
    theta: float = 1.0,
    upsilon: float = 0.145,
    softmax: bool = False,
    box: Box | None = None,
    targets: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return points that differ from x in few features and have another label; x where none was.

    White box, at most the fraction `upsilon` of features changed. In each step the two features
    whose common change most raises the target's output and lowers the sum of the others', both
    strictly, move by theta; a feature that cannot move any further is left alone. Where no pair of
    features does both the attack ends.

    Parameters
    ----------
    model : callable
        Inputs (n, ...) to logits (n, K).
    x, y : Tensor
        Inputs (n, ...) and labels (n,).
    theta : float
        Change of a feature in a step: positive in the paper's increasing form, negative in its
        decreasing one.
    upsilon : float
        Largest fraction of features to change, which bounds the number of steps.
    softmax : bool
        Whether derivatives are those of the probabilities instead of the logits.
    box : tuple of float, optional
        Lowest and highest value of a feature.
    targets : Tensor, shape (n,), optional
        Labels to reach. Without them every other label is tried, and the point with the fewest
        changes is returned, of the lowest label where there are several.

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
    Papernot, McDaniel, Jha, Fredrikson, Celik and Swami, The limitations of deep learning in
    adversarial settings (EuroS&P 2016), algorithms 2 and 3, equations (8) and (9). The derivatives
    are of logits, as in its evaluation; of probabilities where a network was distilled: Carlini and
    Wagner (S&P 2017), section VIII.
    """
    checked(model, x, y, box=box, targets=targets)
    with torch.no_grad():
        logits = model(x)
    image, target = _rows(logits, Goal(y, targets))
    best, fewest = x.clone(), torch.full((len(x),), x[0].numel() + 1, device=x.device)
    point = x[image]
    last = math.floor(x[0].numel() * upsilon / 2)
    for step in range(last + 1):
        if not len(image):
            break
        point = point.detach().requires_grad_(True)
        output = model(point)
        reached = output.detach().argmax(dim=1) == target
        _record(best, fewest, x, image[reached], point.detach()[reached])
        # Changes never become fewer: rows with as many as the best cannot win any more.
        busy = ~reached & (n_changes(x[image], point.detach()) < fewest[image])
        if step == last:
            break
        if softmax:
            output = output.softmax(dim=1)
        wanted = output.gather(1, target[:, None]).sum()
        (alpha,) = torch.autograd.grad(wanted, point, retain_graph=True)
        (total,) = torch.autograd.grad(output.sum(), point)
        point, image, target = point.detach()[busy], image[busy], target[busy]
        alpha, beta = alpha[busy].flatten(1), (total - alpha)[busy].flatten(1)
        moved = within(point + theta, box)
        fixed = ((moved - point).abs() <= _SATURATED * abs(theta)).flatten(1)
        sign = math.copysign(1.0, theta)
        pair, exists = salient_pair(
            (sign * alpha).masked_fill(fixed, -torch.inf),
            (-sign * beta).masked_fill(fixed, -torch.inf),
        )
        chosen = torch.zeros_like(fixed).scatter(1, pair, True).reshape(point.shape)
        point = torch.where(chosen, moved, point)[exists]
        image, target = image[exists], target[exists]
    return best


def salient_pair(gain: torch.Tensor, loss: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the pairs p, q with the largest (gain_p + gain_q)(loss_p + loss_q), both sums > 0.

    Exact without looking at all pairs: the sums, and their product where they are positive, only
    grow when a feature is replaced by one that is no worse in both. So p and q are among the
    features for which fewer than two others are no worse in both.

    Parameters
    ----------
    gain, loss : Tensor, shape (n, d)
        Growth of the target, and decrease of the other outputs; -inf in both bars a feature.

    Returns
    -------
    pair : Tensor, shape (n, 2)
    exists : Tensor, shape (n,)
        Whether there is such a pair; else the pair has no meaning.

    Examples
    --------
    >>> gain = torch.tensor([[1.0, 2.0, 0.0, -1.0]])
    >>> loss = torch.tensor([[2.0, 0.0, 1.0, 9.0]])
    >>> salient_pair(gain, loss)  # (2 - 1)(0 + 9) beats (1 + 2)(2 + 0)
    (tensor([[1, 3]]), tensor([True]))
    """
    gain, order = gain.sort(dim=1, descending=True, stable=True)
    loss = loss.gather(1, order)
    ahead = loss.cummax(dim=1).values.roll(1, dims=1)
    ahead[:, 0] = -torch.inf
    # The second largest so far is the largest of what was exceeded or failed to exceed.
    second = torch.minimum(loss, ahead).cummax(dim=1).values.roll(1, dims=1)
    second[:, 0] = -torch.inf
    front = (loss > second) & (gain > -torch.inf)
    width = max(int(front.sum(dim=1).max()), 2) if len(front) else 2
    real, at = front.to(torch.int8).topk(min(width, front.shape[1]), dim=1)
    gain = gain.gather(1, at).masked_fill(real == 0, -torch.inf)
    loss = loss.gather(1, at)
    gains = gain[:, :, None] + gain[:, None, :]
    losses = loss[:, :, None] + loss[:, None, :]
    products = torch.where((gains > 0) & (losses > 0), gains * losses, 0.0)
    products.diagonal(dim1=1, dim2=2).zero_()
    value, flat = products.flatten(1).max(dim=1)
    both = torch.stack([flat // gain.shape[1], flat % gain.shape[1]], dim=1)
    return order.gather(1, at.gather(1, both)).sort(dim=1).values, value > 0


def _rows(logits: torch.Tensor, goal: Goal) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the rows' images and targets: one target or all, none of a misclassified point."""
    image = (logits.argmax(dim=1) == goal.y).nonzero()[:, 0]
    if goal.targets is not None:
        return image, goal.targets[image]
    labels = torch.arange(logits.shape[1], device=logits.device).expand(len(image), -1)
    row, target = (labels != goal.y[image, None]).nonzero(as_tuple=True)
    return image[row], target


def _record(
    best: torch.Tensor,
    fewest: torch.Tensor,
    x: torch.Tensor,
    image: torch.Tensor,
    point: torch.Tensor,
) -> None:
    """Keep the adversarial points that have fewer changes than the best of their image."""
    for i, p, count in zip(image.tolist(), point, n_changes(x[image], point).tolist(), strict=True):
        if count < fewest[i]:
            best[i], fewest[i] = p, count
