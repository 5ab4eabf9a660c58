"""Nearest points of a generator's range: descents in the latent space, and what is proved."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from empirics.adversary.projection import jacobian
from theory.arrays import FloatArray
from theory.lipschitz.product import AffineLayer

_ENTRIES = 2**25
"""Of the Jacobians that are held at once."""
_DAMPING = 1e-3
_AT_REST = 1e-4
"""A descent whose distance shrinks by a smaller fraction in a step has arrived."""
_ROUNDING = 1e-12
"""Far above the relative rounding error of a projection in double precision."""


@dataclass(frozen=True)
class AffineHull:
    """An affine subspace that holds the range of a generator with an affine last layer.

    Attributes
    ----------
    basis : ndarray, shape (m, k)
        Orthonormal columns.
    origin : ndarray, shape (m,)
    exact : bool
        Whether the range is this subspace and no less: the generator is affine.
    """

    basis: FloatArray
    origin: FloatArray
    exact: bool

    @classmethod
    def of(cls, layers: tuple[AffineLayer, ...]) -> "AffineHull | None":
        """Return that of traced layers; None where it is not known to be less than all images.

        Examples
        --------
        >>> flat = AffineLayer(np.array([[2.0], [0.0]]), np.array([0.0, 3.0]))
        >>> AffineHull.of((flat,)).project(np.array([[5.0, 7.0]])).tolist()
        [[5.0, 3.0]]
        """
        if not layers:
            return None
        last, exact = layers[-1], len(layers) == 1
        m, k = last.weight.shape
        # A weight that was computed spans the subspace up to its error alone.
        if last.error or (k >= m and not exact):
            return None
        left, size, _ = np.linalg.svd(last.weight, full_matrices=False)
        kept = size > max(m, k) * np.finfo(np.float64).eps * size.max(initial=0.0)
        return cls(left[:, kept], last.bias, exact)

    def project(self, images: FloatArray) -> FloatArray:
        """Return the nearest points of the subspace, shape (n, m)."""
        shift = images - self.origin
        return np.asarray(self.origin + (shift @ self.basis) @ self.basis.T)


Map = Callable[[torch.Tensor], torch.Tensor]


def invert(g: Map, target: torch.Tensor, start: torch.Tensor, steps: int) -> torch.Tensor:
    """Return latents whose images lie near the targets, by damped Gauss-Newton steps.

    Parameters
    ----------
    g : callable
        Latents (n, d) to flat images (n, m), in double precision.
    target : Tensor, shape (n, m)
    start : Tensor, shape (n, d)
        No result is farther from its target than its start.
    steps : int

    Returns
    -------
    Tensor, shape (n, d)

    References
    ----------
    Levenberg, Quart. Appl. Math. 2 (1944); Marquardt, J. SIAM 11 (1963).

    Examples
    --------
    >>> here = torch.tensor([[3.0, 0.0]]).double()
    >>> invert(lambda z: 2 * z, here, torch.zeros(1, 2).double(), 20).round(decimals=6).tolist()
    [[1.5, 0.0]]
    """
    size = max(1, _ENTRIES // (target.shape[1] * start.shape[1]))
    parts = zip(torch.split(target, size), torch.split(start, size), strict=True)
    return torch.cat([_descend(g, some, at, steps) for some, at in parts])


def _descend(g: Map, target: torch.Tensor, point: torch.Tensor, steps: int) -> torch.Tensor:
    point = point.clone()
    eye = torch.eye(point.shape[1]).to(point)
    with torch.no_grad():
        residual = g(point) - target
        damping = torch.full_like(point[:, 0], _DAMPING)
        active = torch.arange(len(point), device=point.device)
        for _ in range(steps):
            if not len(active):
                break
            here, missed = point[active], residual[active]
            j = jacobian(g, here)
            gram = j.mT @ j
            mean = gram.diagonal(dim1=1, dim2=2).mean(dim=1)
            # A generator that is flat at a point gives no direction: the step is 0.
            ridge = (damping[active] * mean).clamp_min(torch.finfo(point.dtype).tiny)
            slope = (j.mT @ missed[..., None])[..., 0]
            step = torch.linalg.solve(gram + ridge[:, None, None] * eye, slope)
            trial = here - torch.where(mean[:, None] > 0, step, torch.zeros_like(step))
            there = g(trial) - target[active]
            before, after = missed.norm(dim=1), there.norm(dim=1)
            nearer = after < before
            point[active] = torch.where(nearer[:, None], trial, here)
            residual[active] = torch.where(nearer[:, None], there, missed)
            factor = torch.where(nearer, 0.25, 8.0).to(point)
            damping[active] = (damping[active] * factor).clamp(1e-12, 1e12)
            active = active[~nearer | (after < (1 - _AT_REST) * before)]
    return point


@dataclass(frozen=True)
class Projections:
    """What is known of the points of the range nearest to n images.

    Attributes
    ----------
    latents : Tensor, shape (n, d)
        Of the nearest points found; those given where the closed form was used.
    found : ndarray, shape (n, m)
        Their images: the nearest points themselves where the range is an affine subspace.
    distance : ndarray, shape (n,)
        From the images; no nearest point is farther.
    least : ndarray, shape (n,)
        No point of the range is nearer.
    center : ndarray, shape (n, m)
    doubt : ndarray, shape (n,)
        Every nearest point of the range lies within this distance of the center.
    """

    latents: torch.Tensor
    found: FloatArray
    distance: FloatArray
    least: FloatArray
    center: FloatArray
    doubt: FloatArray


def project(
    g: Map,
    hull: AffineHull | None,
    images: torch.Tensor,
    starts: list[torch.Tensor],
    *,
    steps: int,
    error: Callable[[FloatArray], FloatArray],
) -> Projections:
    """Return the nearest points of the range that are found, and what is certain of the true ones.

    A nearest point is at most as far as the one found. Where the range lies in an affine subspace,
    Pythagoras' theorem takes off the distance from that.

    Parameters
    ----------
    g : callable
        Latents (n, d) to flat images (n, m), in double precision.
    hull : AffineHull or None
    images : Tensor, shape (n, m)
        Double precision.
    starts : list of Tensor, each of shape (n, d)
        Where descents start.
    steps : int
        Of each descent.
    error : callable
        Norms of latents (n,) to bounds on the rounding errors of g there, (n,).
    """
    y = images.cpu().numpy()
    size = np.linalg.norm(y, axis=1)
    center, least = y, np.zeros(len(y))
    if hull is not None:
        center = hull.project(y)
        slack = _ROUNDING * (size + np.linalg.norm(hull.origin))
        least = np.maximum(np.linalg.norm(y - center, axis=1) - slack, 0.0)
        if hull.exact:
            distance = np.linalg.norm(y - center, axis=1)
            return Projections(starts[0], center, distance, least, center, slack)
    best, latents = torch.full_like(images[:, 0], torch.inf), starts[0]
    for start in starts:
        point = invert(g, images, start, steps)
        with torch.no_grad():
            distance_found = (g(point) - images).norm(dim=1)
        nearer = distance_found < best
        best = torch.where(nearer, distance_found, best)
        latents = torch.where(nearer[:, None], point, latents)
    with torch.no_grad():
        found = g(latents).cpu().numpy()
    distance = best.cpu().numpy() + _ROUNDING * (size + np.linalg.norm(found, axis=1))
    distance += error(np.linalg.norm(latents.cpu().numpy(), axis=1))
    doubt = np.sqrt(np.maximum(distance**2 - least**2, 0.0)) * (1 + _ROUNDING)
    if hull is not None:
        doubt += slack
    return Projections(latents, found, distance, least, center, doubt)
