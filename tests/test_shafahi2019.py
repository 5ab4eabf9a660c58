"""Classes on spheres and in cubes: 40 digits, exact distances of random objects, and hypotheses."""

from collections.abc import Callable
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from scipy import optimize, spatial, special

from theory.claim import CLAIMS, OutOfScopeError, Quantity
from theory.claims.gilmer2018 import GEODESIC
from theory.claims.mcdiarmid1989 import HAMMING
from theory.claims.shafahi2019 import (
    cube_cdf_lower_bound,
    cube_log_survival_upper_bound,
    cube_quantile_upper_bound,
    cube_scale,
    hamming_cdf_lower_bound,
    hamming_log_survival_upper_bound,
    hamming_quantile_upper_bound,
    sphere_cdf_lower_bound,
    sphere_log_survival_upper_bound,
    sphere_quantile_upper_bound,
)
from theory.claims.shafahi2019.cube import ORDERS, cube, cube_sharp
from theory.claims.shafahi2019.sparse import hamming, hamming_sharp
from theory.claims.shafahi2019.sphere import SPHERE_FORMS, sphere, sphere_exact, sphere_sharp
from theory.concentration import cap_angle, hamming_enlargement
from theory.gaussian import survival_kernel
from theory.law_verdict import judge_law
from theory.modulus import LipschitzModulus
from theory.outcome import Outcome
from theory.proof import PROOFS

SPHERES = ["shafahi2019/sphere", "shafahi2019/sphere-sharp", "shafahi2019/sphere-exact"]
CUBES = ["shafahi2019/cube", "shafahi2019/cube-sharp"]
SPARSE = ["shafahi2019/hamming", "shafahi2019/hamming-sharp"]
FORMS = ("sharp", "printed")


def test_accepted_numbers() -> None:
    sphere_values = [float(sphere_cdf_lower_bound(0.1, 0, 784, form=f)) for f in SPHERE_FORMS]
    assert sphere_values[0] == pytest.approx(0.997442157629574033, rel=1e-14)
    assert sphere_values[2] == pytest.approx(0.987504114238289830, rel=1e-14)
    cube_values = [float(cube_cdf_lower_bound(1.0, 0, 784, form=f)) for f in FORMS]
    assert cube_values[0] == pytest.approx(0.993905558907598557, rel=1e-14)
    assert cube_values[1] == pytest.approx(0.993122291297951511, rel=1e-14)
    printed = float(hamming_cdf_lower_bound(80, 0, 784, form="printed"))
    assert printed == pytest.approx(0.999430139022246862, rel=1e-14)
    # Bounded differences at 80 are what k = 79 leaves.
    assert float(hamming_cdf_lower_bound(79, 0, 784)) == pytest.approx(
        0.999966083892919060, rel=1e-14
    )


def drawn(name: str, rng: np.random.Generator) -> dict[str, Any]:
    """Random parameters; half of the time such that the bound is near its zero, or astronomic."""
    bound = CLAIMS[name].bound
    assert bound is not None
    values = {p.name: p.domain.draw(rng) for p in bound.parameters}
    if rng.random() < 0.5:
        values["log_density"] = float(10 ** rng.uniform(0, 4))
        values["n"] = int(10 ** rng.uniform(1, 6))
        if "k" in values:
            values["k"] = int(np.sqrt(values["n"] * values["log_density"] * rng.uniform(0.5, 2)))
    return values


@pytest.mark.parametrize("name", SPHERES + CUBES + SPARSE)
def test_values_logarithms_and_inverses_at_fresh_parameters(name: str) -> None:
    bound, form, rng = CLAIMS[name].bound, PROOFS[name]().form, np.random.default_rng(7)
    assert bound is not None
    assert bound.log_survival is not None
    assert bound.inverse is not None
    first = bound.parameters[0].name
    for _ in range(15):
        values = drawn(name, rng)
        kept = form.exact(values, "survival")
        with mp.workdps(40):
            log = min(float(mp.log(kept)), 0.0) if kept else -np.inf
            value = max(float(1 - kept), 0.0)
        assert float(bound.value(**values)) == pytest.approx(value, rel=1e-12, abs=bound.absolute)
        seen = float(bound.log_survival(**values))
        assert seen == pytest.approx(log, rel=1e-12, abs=bound.absolute)
        others = {key: v for key, v in values.items() if key != first}
        for q in (0.0, 1e-6, 0.5, 0.999):
            at = float(bound.inverse(q, **others))
            if np.isinf(at):
                assert "hamming" in name
                assert float(bound.value(**{first: values["n"]}, **others)) < q
                continue
            assert float(bound.value(**{first: at}, **others)) >= q * (1 - 1e-9) - 1e-10
            below = at - 1 if first == "k" else at * (1 - 1e-6)
            if at > 0:
                assert float(bound.value(**{first: below}, **others)) <= q * (1 + 1e-9) + 1e-10


def test_sharper_forms_are_sharper_on_a_grid() -> None:
    n, density = np.array([[[2]], [[10]], [[1000]], [[10**6]]]), np.array([[0.0], [3.0], [300.0]])
    angles = np.concatenate([[0.0], np.geomspace(1e-6, 3.0, 60)])
    exact, sharp, printed = (
        sphere_log_survival_upper_bound(angles, density, n, form=f) for f in SPHERE_FORMS
    )
    assert np.all(exact <= sharp + 1e-12 * np.abs(sharp))
    assert np.all(sharp <= printed)
    for p in (0.5, 1.0, 2.0, np.inf):
        sharp, printed = (
            cube_log_survival_upper_bound(angles * 5, density, n, p, form=f) for f in FORMS
        )
        assert np.all(sharp <= printed + 1e-12 * np.abs(printed))
    k = np.arange(0, 400, 3)
    sharp, printed = (hamming_log_survival_upper_bound(k, density, n, form=f) for f in FORMS)
    assert np.all(sharp <= printed + 1e-12 * np.abs(printed))


def test_ends_and_limits() -> None:
    assert float(sphere_cdf_lower_bound(0.0, 0.0, 30)) == pytest.approx(0.5, rel=1e-15)
    assert float(sphere_log_survival_upper_bound(1.6, 50.0, 30)) == -np.inf
    assert float(sphere_cdf_lower_bound(0.0, 1.0, 30)) == 0.0
    assert float(cube_cdf_lower_bound(0.0, 0.0, 30)) == 0.5
    assert float(cube_cdf_lower_bound(0.0, 0.0, 30, form="printed")) == 0.0
    assert float(hamming_cdf_lower_bound(0, 0.0, 1000)) == 0.5
    assert float(hamming_log_survival_upper_bound(30, 50.0, 30)) == -np.inf
    for function in (sphere_cdf_lower_bound, cube_cdf_lower_bound):
        assert float(function(np.inf, 1e4, 5)) == 1.0
    assert float(sphere_quantile_upper_bound(1.0, 3.0, 30)) == pytest.approx(np.pi / 2)
    assert float(sphere_quantile_upper_bound(1.0, 3.0, 30, form="sharp")) == np.inf
    assert float(cube_quantile_upper_bound(1.0, 3.0, 30)) == np.inf
    assert float(hamming_quantile_upper_bound(1.0, 3.0, 30)) == 30
    assert float(hamming_quantile_upper_bound(0.5, 40.0, 30, form="printed")) == np.inf
    assert sphere_quantile_upper_bound([0.1, 0.9], [[1.0], [2.0], [3.0]], 30).shape == (3, 2)
    # Half of a cube along one coordinate is left by a step of less than 1/2.
    slope = (cube_cdf_lower_bound(1e-6, 0.0, 30) - 0.5) / 1e-6
    assert float(slope) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("p", [0.7, 1.0, 1.5, 2.0, np.inf])
def test_the_cube_is_a_generator_of_gauss_space(p: float) -> None:
    # g = Phi in each coordinate, with the modulus that it has into the l_p norm.
    n, distances = 50, np.geomspace(1e-3, 30, 20)
    omega = LipschitzModulus(float(n ** (1 / min(p, 2.0) - 0.5) / np.sqrt(2 * np.pi)))
    kept = np.exp(cube_log_survival_upper_bound(distances, 0.0, n, p))
    np.testing.assert_allclose(kept, survival_kernel(0.5, omega.inverse(distances)), rtol=1e-12)
    np.testing.assert_allclose(cube_scale(n, p), 1 / (omega.constant * np.sqrt(2 * np.pi)))
    rng = np.random.default_rng(0)
    points = rng.standard_normal((200, 2, n))
    near = points[:, 0] + 0.1 * points[:, 1]
    change = np.abs(special.ndtr(near) - special.ndtr(points[:, 0]))
    norms = change.max(axis=1) if np.isinf(p) else (change**p).sum(axis=1) ** (1 / p)
    assert np.all(norms <= omega(0.1 * np.linalg.norm(points[:, 1], axis=1)) * (1 + 1e-12))


def sphere_facts(n: int, log_density: float) -> dict[str, object]:
    return {
        "data_space": "sphere",
        "dimension": n,
        "log_class_density": log_density,
        "class_measure": 0.5,
    }


@pytest.mark.parametrize("n", [3, 10, 50])
@pytest.mark.parametrize("extra", [0, 3])
@pytest.mark.parametrize("spread", [1.0, 0.3])
def test_classes_on_a_sphere(n: int, extra: int, spread: float) -> None:
    """What is not called c is a hemisphere, and caps; the class is uniform on a cap."""
    rng = np.random.default_rng(n + extra)
    points = rng.standard_normal((int(24_000 / spread), n))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    # The class is uniform on the cap of this measure, opposite to the hemisphere.
    points = points[points[:, 0] <= -np.cos(cap_angle(spread, n))][:20_000]
    centers = np.concatenate([np.eye(1, n), rng.standard_normal((extra, n))])
    centers /= np.linalg.norm(centers, axis=1, keepdims=True)
    radii = np.append(np.pi / 2, np.full(extra, cap_angle(0.05, n)))
    angles = np.arccos(np.clip(points @ centers.T, -1, 1))
    d = np.maximum(angles - radii, 0).min(axis=1)
    log_density = -float(np.log(spread))
    facts = sphere_facts(n, log_density)
    for claim in (sphere, sphere_sharp, sphere_exact):
        bound = claim(facts, GEODESIC, 1e-6)
        assert judge_law(d, d, bound, 1e-6).outcome is not Outcome.VIOLATED
    # The class sits where it is farthest: there a hemisphere attains the exact form.
    if extra == 0:
        start = max(np.pi / 2 - float(cap_angle(spread, n)), 0.0)
        for angle in start + np.array([0.0, 0.05, 0.1]):
            exact = float(sphere_cdf_lower_bound(angle, log_density, n))
            assert abs(np.mean(d <= angle) - exact) < 5 * 0.5 / np.sqrt(d.size)
        assert judge_law(2 * d, 2 * d, bound, 1e-6).outcome is Outcome.VIOLATED


def least_step(
    reach: Callable[[np.ndarray], np.ndarray], needed: np.ndarray, most: float
) -> np.ndarray:
    """Return the least parameter at which a rising reach meets what is needed, by bisection."""
    low, high = np.zeros(needed.size), np.full(needed.size, most)
    for _ in range(60):
        middle = (low + high) / 2
        enough = reach(middle) >= needed
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    return high


def distance_in_cube(
    points: np.ndarray, weights: np.ndarray, level: float, norm: str
) -> np.ndarray:
    """Exact distances to the points of the cube with weights . x >= level."""
    needed = level - points @ weights
    room, size = np.where(weights > 0, 1 - points, points), np.abs(weights)
    outside = needed > 0
    d = np.zeros(needed.size)
    needed, room = needed[outside], room[outside]
    if norm == "l1":
        order = np.argsort(-size)
        gain = np.cumsum(room[:, order] * size[order], axis=1)
        used = np.argmax(gain >= needed[:, None], axis=1)
        rows = np.arange(used.size)
        before = gain[rows, used] - room[rows, order[used]] * size[order[used]]
        full = np.cumsum(room[:, order], axis=1)[rows, used] - room[rows, order[used]]
        d[outside] = full + (needed - before) / size[order[used]]
    elif norm == "linf":
        d[outside] = least_step(
            lambda t: (np.minimum(t[:, None], room) * size).sum(axis=1), needed, 1.0
        )
    else:
        # Moves in proportion to the weights, cut off at the faces.
        def move(t: np.ndarray) -> np.ndarray:
            return np.minimum(t[:, None] * size, room)

        factor = least_step(lambda t: (move(t) * size).sum(axis=1), needed, 1 / size.min())
        d[outside] = np.linalg.norm(move(factor), axis=1)
    return d


def test_distances_in_the_cube_are_those_of_a_linear_program() -> None:
    rng = np.random.default_rng(3)
    weights, points = rng.standard_normal(4), rng.uniform(size=(6, 4))
    level = float(0.7 * np.maximum(weights, 0).sum() + 0.3 * np.minimum(weights, 0).sum())
    for x, d1, dinf in zip(
        points,
        distance_in_cube(points, weights, level, "l1"),
        distance_in_cube(points, weights, level, "linf"),
        strict=True,
    ):
        signs = np.sign(weights)
        faces = [(0.0, float(room)) for room in np.where(weights > 0, 1 - x, x)]
        gain = -(weights * signs)[None]
        needed = [-(level - x @ weights)]
        one = optimize.linprog(np.ones(4), A_ub=gain, b_ub=needed, bounds=faces)
        assert d1 == pytest.approx(max(one.fun, 0.0), abs=1e-9)
        rows = np.hstack([np.eye(4), -np.ones((4, 1))])
        both = optimize.linprog(
            [0, 0, 0, 0, 1],
            A_ub=np.vstack([np.append(gain, 0)[None], rows]),
            b_ub=[*needed, 0, 0, 0, 0],
            bounds=[*faces, (0, None)],
        )
        assert dinf == pytest.approx(max(both.fun, 0.0), abs=1e-9)


@pytest.mark.parametrize("norm", list(ORDERS))
@pytest.mark.parametrize("n", [2, 30])
@pytest.mark.parametrize("log_density", [0.0, 1.5])
def test_half_spaces_of_the_cube(n: int, norm: str, log_density: float) -> None:
    rng = np.random.default_rng(n)
    for _ in range(3):
        weights = rng.standard_normal(n)
        # A half-space through the middle; the class is uniform in a slab of a random coordinate.
        points = rng.uniform(size=(4000, n))
        points[:, rng.integers(n)] *= np.exp(-log_density)
        d = distance_in_cube(points, weights, float(weights.sum() / 2), norm)
        facts = sphere_facts(n, log_density) | {"data_space": "cube"}
        for claim in (cube, cube_sharp):
            bound = claim(facts, Quantity("error_distance", norm), 1e-6)
            assert judge_law(d, d, bound, 1e-6).outcome is not Outcome.VIOLATED
            at = bound.quantile(0.6)
            share = float(cube_cdf_lower_bound(at, log_density, n, ORDERS[norm], form="sharp"))
            assert share >= 0.6 - 1e-9
    far = np.full(4000, 20.0 * n)
    assert judge_law(far, far, bound, 1e-6).outcome is Outcome.VIOLATED


@pytest.mark.parametrize("seed", range(4))
def test_random_networks_in_the_plane(seed: int) -> None:
    # Distances to the nearest point of a grid that is not called c are too large by a step at most.
    rng, side = np.random.default_rng(seed), 300
    axis = (np.arange(side) + 0.5) / side
    grid = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    first, shift = rng.standard_normal((2, 24)) * 6, rng.uniform(-6, 6, 24)
    second = rng.standard_normal(24)

    def score(x: np.ndarray) -> np.ndarray:
        return np.tanh(x @ first + shift) @ second

    level = float(np.quantile(score(grid), 0.48))
    points, called = rng.uniform(size=(3000, 2)), score(grid) <= level
    facts = sphere_facts(2, 0.0) | {"data_space": "cube", "class_measure": called.mean()}
    rest, mine = spatial.KDTree(grid[~called]), score(points) <= level
    for norm, order in ORDERS.items():
        d = np.where(mine, rest.query(points, p=order)[0], 0.0)
        bound = cube_sharp(facts, Quantity("error_distance", norm), 1e-6)
        assert judge_law(d, d, bound, 1e-6).outcome is not Outcome.VIOLATED
        value = float(cube_cdf_lower_bound(0.25, 0.0, 2, order))
        assert np.mean(d <= 0.25 + 2 / side) >= value - 0.05


@pytest.mark.parametrize("n", [10, 200])
def test_few_coordinates_of_the_cube(n: int) -> None:
    # What is not called c: at least half of the coordinates above one half.
    rng = np.random.default_rng(n)
    ones = (rng.uniform(size=(4000, n)) > 0.5).sum(axis=1)
    least = n // 2
    d = np.maximum(least - ones, 0).astype(np.float64)
    facts = sphere_facts(n, 0.0) | {"data_space": "cube"}
    for claim, form in ((hamming, "printed"), (hamming_sharp, "sharp")):
        bound = claim(facts, HAMMING, 1e-6)
        assert judge_law(d, d, bound, 1e-6).outcome is not Outcome.VIOLATED
        for k in range(0, n, max(n // 10, 1)):
            value = float(hamming_cdf_lower_bound(k, 0.0, n, form=form))
            assert np.mean(d <= k) >= value - 5 * 0.5 / np.sqrt(d.size)
            # A continuous law that says at k + 1 what is known of k, up to its own error.
            assert float(bound.upper(np.array(k + 1.0))) == pytest.approx(value, abs=1e-10)
    far = np.full(4000, float(n))
    assert judge_law(far, far, bound, 1e-6).outcome is Outcome.VIOLATED
    assert float(hamming_cdf_lower_bound(n // 3, 0.0, n)) == pytest.approx(
        float(hamming_enlargement(0.5, n // 3, n)), rel=1e-12
    )


@pytest.mark.parametrize(
    ("claim", "quantity", "space"),
    [
        (sphere, GEODESIC, "sphere"),
        (sphere_sharp, GEODESIC, "sphere"),
        (sphere_exact, GEODESIC, "sphere"),
        (cube, Quantity("error_distance", "linf"), "cube"),
        (cube_sharp, Quantity("error_distance", "l1"), "cube"),
        (hamming, HAMMING, "cube"),
        (hamming_sharp, HAMMING, "cube"),
    ],
)
def test_hypotheses_that_fail_are_named(
    claim: Any,  # noqa: ANN401
    quantity: Quantity,
    space: str,
) -> None:
    known = sphere_facts(20, 0.5) | {"data_space": space}
    claim(known, quantity, 0.05)
    other = "cube" if space == "sphere" else "sphere"
    cases = [
        ({"data_space": other}, f"in a {other}, not in a {space}"),
        ({"class_measure": 0.5001}, "more than half of the measure: 0.5001"),
        ({"data_space": None}, "space of the data is not known"),
        ({"class_measure": None}, "measure of the class's region is not known"),
        ({"log_class_density": None}, "largest density of the class is not known"),
        ({"dimension": None}, "the dimension is not known"),
    ]
    for changes, reason in cases:
        facts = {name: v for name, v in (known | changes).items() if v is not None}
        with pytest.raises(OutOfScopeError, match=reason):
            claim(facts, quantity, 0.05)


def test_a_class_of_more_than_half_may_be_robust() -> None:
    # Called c everywhere but on a cap of measure 0.01: the bound for halves would be false.
    n, angle = 20, 0.5
    radius = cap_angle(0.01, n)
    points = np.random.default_rng(0).standard_normal((20_000, n))
    angles = np.arccos(points[:, 0] / np.linalg.norm(points, axis=1))
    assert np.mean(angles - radius <= angle) < float(sphere_cdf_lower_bound(angle, 0.0, n)) - 0.5


@pytest.mark.parametrize("wrong", [-1e-9, np.nan])
def test_nonsense_is_refused(wrong: float) -> None:
    for function in (sphere_cdf_lower_bound, cube_cdf_lower_bound, hamming_cdf_lower_bound):
        with pytest.raises(ValueError, match="must be"):
            function(wrong, 0.0, 10)
        with pytest.raises(ValueError, match="log_density must be finite and at least 0"):
            function(1, wrong, 10)
        with pytest.raises(ValueError, match="n must be a whole number"):
            function(1, 0.0, wrong)
        with pytest.raises(ValueError, match="form must be one of"):
            function(1, 0.0, 10, form="loose")
    with pytest.raises(ValueError, match=r"p must lie in \(0, inf\]"):
        cube_cdf_lower_bound(1.0, 0.0, 10, wrong)
    for inverse in (
        sphere_quantile_upper_bound,
        cube_quantile_upper_bound,
        hamming_quantile_upper_bound,
    ):
        with pytest.raises(ValueError, match=r"probability must lie in \[0, 1\]"):
            inverse(wrong, 0.0, 10)
    with pytest.raises(ValueError, match="k must be a whole number"):
        hamming_cdf_lower_bound(1.5, 0.0, 10)
    with pytest.raises(ValueError, match="log_density must be finite"):
        sphere_cdf_lower_bound(0.1, np.inf, 10)
