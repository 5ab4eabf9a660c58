"""Transformations of images: their laws, a real JPEG codec, simulated photographs."""

import io
from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import fft, ndimage

from empirics.data import load
from empirics.transformations import TRANSFORMATIONS, Transformation
from empirics.transformations.registry import with_strength
from theory.arrays import FloatArray
from theory.errors import InputError

NEUTRAL = {"brightness": 0.0, "contrast": 1.0, "gaussian_blur": 0.0, "gaussian_noise": 0.0}
STRONG = {
    "brightness": 0.4,
    "contrast": 3.0,
    "gaussian_blur": 1.3,
    "gaussian_noise": 0.3,
    "jpeg": 10.0,
    "quantisation": 2.0,
    "print_photo": 2.0,
}


def stream(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(shape, generator=stream(seed))


def levels(*shape: int, seed: int = 0) -> torch.Tensor:
    """Images of 8 bits."""
    return (drawn(*shape, seed=seed) * 255).round() / 255


def waves(n: int, channels: int, height: int, width: int) -> torch.Tensor:
    """Smooth images of 8 bits with some noise, as photographs have."""
    rng = np.random.default_rng(n)
    down, across = np.mgrid[:height, :width]
    image = np.zeros((n, channels, height, width))
    for _ in range(6):
        a, b, phase = rng.normal(0, 0.25, (3, n, channels, 1, 1))
        image += 0.12 * np.sin(a * down + b * across + 20 * phase)
    image += 0.5 + 0.02 * rng.normal(size=image.shape)
    return torch.from_numpy(np.round(255 * np.clip(image, 0, 1)) / 255).float()


def test_all_are_registered() -> None:
    assert set(TRANSFORMATIONS) == set(STRONG)


@pytest.mark.parametrize("name", sorted(STRONG))
@pytest.mark.parametrize("shape", [(3, 1, 28, 28), (2, 3, 17, 30), (1, 1, 3, 2)])
def test_shape_range_type_and_input_are_kept(name: str, shape: tuple[int, ...]) -> None:
    change = TRANSFORMATIONS[name]
    for dtype in (torch.float32, torch.float64):
        images = drawn(*shape).to(dtype)
        images[0, 0, 0] = torch.tensor([0.0, 1.0] + [0.5] * (shape[-1] - 2))
        before = images.clone()
        changed = change(images, STRONG[name], stream())
        assert changed.shape == images.shape
        assert changed.dtype == dtype
        assert changed.min() >= 0
        assert changed.max() <= 1
        assert torch.equal(images, before)
        assert not torch.equal(changed, before)
        assert torch.equal(changed, change(images, STRONG[name], stream()))


@pytest.mark.parametrize("name", sorted(STRONG))
def test_the_global_random_state_is_left_alone(name: str) -> None:
    state = torch.random.get_rng_state()
    TRANSFORMATIONS[name](drawn(2, 1, 8, 8), STRONG[name], stream())
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize("name", sorted(set(STRONG) - {"gaussian_noise", "print_photo"}))
def test_an_image_does_not_depend_on_its_batch(name: str) -> None:
    images = drawn(4, 3, 20, 20)
    change, strength = TRANSFORMATIONS[name], STRONG[name]
    alone = torch.cat([change(image[None], strength) for image in images])
    torch.testing.assert_close(change(images, strength), alone, rtol=0, atol=2e-6)


@pytest.mark.parametrize(("name", "strength"), sorted(NEUTRAL.items()))
def test_the_neutral_strength_changes_nothing(name: str, strength: float) -> None:
    images = drawn(3, 3, 9, 11)
    assert torch.equal(TRANSFORMATIONS[name](images, strength, stream()), images)


def test_a_photograph_of_no_severity_rounds_to_8_bits() -> None:
    for shape in ((3, 1, 28, 28), (2, 3, 10, 21)):
        images = levels(*shape)
        torch.testing.assert_close(TRANSFORMATIONS["print_photo"](images, 0, stream()), images)


def test_brightness_and_contrast_by_hand() -> None:
    images = torch.tensor([0.1, 0.5, 0.9, 0.5]).reshape(1, 1, 2, 2)
    lighter = TRANSFORMATIONS["brightness"](images, 0.2).flatten()
    torch.testing.assert_close(lighter, torch.tensor([0.3, 0.7, 1.0, 0.7]))
    harder = TRANSFORMATIONS["contrast"](images, 0.5).flatten()
    torch.testing.assert_close(harder, torch.tensor([0.3, 0.5, 0.7, 0.5]))
    grey = TRANSFORMATIONS["contrast"](drawn(2, 3, 5, 5), 0)
    assert grey.std(dim=(2, 3)).max() < 1e-7


def test_quantisation_rounds_to_the_nearest_level_and_once() -> None:
    quantised = TRANSFORMATIONS["quantisation"]
    images = drawn(2, 3, 30, 30)
    for bits in (1, 3, 8):
        coarse = quantised(images, bits)
        assert len(set(coarse.flatten().tolist())) == 2**bits
        assert (coarse - images).abs().max() <= 0.5 / (2**bits - 1) + 1e-6
        assert torch.equal(quantised(coarse, bits), coarse)


@pytest.mark.parametrize("deviation", [0.3, 1.0, 2.5])
def test_the_blur_is_that_of_scipy(deviation: float) -> None:
    images = drawn(2, 2, 12, 19).double()
    blurred = TRANSFORMATIONS["gaussian_blur"](images, deviation).numpy()
    reach = int(np.ceil(4 * deviation))
    sizes = (0, 0, deviation, deviation)
    truth = ndimage.gaussian_filter(
        images.numpy(), sizes, mode="nearest", radius=[0, 0, reach, reach]
    )
    assert np.abs(blurred - truth).max() < 1e-6
    flat = torch.full((1, 1, 6, 6), 0.3)
    torch.testing.assert_close(TRANSFORMATIONS["gaussian_blur"](flat, deviation), flat)


def test_noise_has_its_deviation_and_is_new_for_every_stream() -> None:
    noisy = TRANSFORMATIONS["gaussian_noise"]
    grey = torch.full((20, 1, 50, 50), 0.5)
    first = noisy(grey, 0.1, stream())
    assert first.mean().item() == pytest.approx(0.5, abs=0.002)
    assert first.std().item() == pytest.approx(0.1, rel=0.02)
    assert not torch.equal(first[0], first[1])
    assert not torch.equal(first, noisy(grey, 0.1, stream(1)))


# JPEG


def decoded(images: torch.Tensor, quality: int) -> torch.Tensor:
    """What a codec makes of images of 8 bits."""
    found = []
    for image in (images * 255).round().byte().permute(0, 2, 3, 1).numpy():
        buffer = io.BytesIO()
        Image.fromarray(image.squeeze(-1) if image.shape[-1] == 1 else image).save(
            buffer, "JPEG", quality=quality, subsampling=2
        )
        read = np.asarray(Image.open(buffer))
        found.append(torch.from_numpy(read.copy()).reshape(image.shape).permute(2, 0, 1))
    return torch.stack(found).float() / 255


def blocks(images: torch.Tensor) -> FloatArray:
    """Exact coefficients of the blocks of grey images, shape (n, rows, columns, 8, 8)."""
    n, _, height, width = images.shape
    shifted = 255 * images.double().numpy() - 128
    return np.asarray(
        fft.dctn(
            shifted.reshape(n, height // 8, 8, width // 8, 8).swapaxes(2, 3),
            axes=(-2, -1),
            norm="ortho",
        )
    )


def table(quality: int) -> FloatArray:
    """The table of a codec."""
    buffer = io.BytesIO()
    Image.new("L", (8, 8)).save(buffer, "JPEG", quality=quality)
    kept: dict[int, list[int]] = Image.open(buffer).quantization  # type: ignore[attr-defined]
    return np.array(kept[0], dtype=np.float64).reshape(8, 8)


@pytest.mark.parametrize("quality", [90, 75, 50, 25, 10])
def test_coefficients_are_rounded_to_the_steps_of_a_codec(quality: int) -> None:
    steps = table(quality)
    images = 0.3 + 0.4 * waves(4, 1, 48, 64)
    images = (255 * images).round() / 255
    exact = blocks(images) / steps
    ours = blocks(TRANSFORMATIONS["jpeg"](images, quality)) / steps
    # Decoded pixels are rounded once more, which is less than half of a large enough step.
    coarse = np.broadcast_to(steps >= 6, exact.shape)
    theirs = blocks(decoded(images, quality)) / steps
    for multiples, spare in ((ours, 1e-3), (theirs, 1.0)):
        whole = np.round(multiples)
        assert (
            np.abs(whole - exact)[coarse]
            <= 0.5 + (spare / np.broadcast_to(steps, exact.shape))[coarse]
        ).all()
    assert np.mean(np.round(ours) != np.round(theirs), where=coarse) < 0.005


@pytest.mark.parametrize("quality", [95, 75, 50, 25, 10])
@pytest.mark.parametrize("make", [waves, levels])
def test_grey_images_are_those_of_a_codec(quality: int, make: Callable[..., torch.Tensor]) -> None:
    for size in ((64, 64), (28, 28), (19, 37)):
        images = make(4, 1, *size)
        ours = TRANSFORMATIONS["jpeg"](images, quality)
        apart = 255 * (ours - decoded(images, quality)).abs()
        lost = 255 * (ours - images).abs()
        # A coefficient at the middle between two steps may fall to either side in a codec.
        assert apart.mean() < 0.8
        assert apart.mean() < 0.3 * lost.mean()
        assert apart.max() <= 64


@pytest.mark.parametrize("quality", [95, 75, 50, 25])
def test_colour_images_are_those_of_a_codec(quality: int) -> None:
    for size in ((64, 64), (32, 32), (19, 37), (18, 33)):
        images = waves(4, 3, *size)
        ours = TRANSFORMATIONS["jpeg"](images, quality)
        apart = 255 * (ours - decoded(images, quality)).abs()
        assert apart.mean() < 1.4
        assert apart.mean() < 0.25 * (255 * (ours - images).abs()).mean()
        assert apart.max() <= 48


def test_digits_are_those_of_a_codec() -> None:
    images = torch.from_numpy(load("digits").test_images[:50])
    images = (images * 255).round() / 255
    for quality in (75, 50, 25):
        apart = 255 * (TRANSFORMATIONS["jpeg"](images, quality) - decoded(images, quality)).abs()
        assert apart.mean() < 0.4
        assert apart.max() <= 16


def test_the_best_quality_is_nearly_the_identity() -> None:
    for make in (waves, levels):
        images = make(5, 1, 30, 30)
        apart = 255 * (TRANSFORMATIONS["jpeg"](images, 100) - images).abs()
        assert apart.max() <= 2
        assert apart.mean() < 0.5


def test_a_second_coding_changes_nothing() -> None:
    # Away from 0 and 255 the decoded image is never cut off.
    images = 0.3 + 0.4 * drawn(5, 1, 24, 32)
    for quality in (75, 50, 20):
        once = TRANSFORMATIONS["jpeg"](images, quality)
        assert torch.equal(TRANSFORMATIONS["jpeg"](once, quality), once)


def test_the_mean_of_a_block_is_kept_to_half_a_step() -> None:
    images = waves(6, 1, 8, 8)
    for quality, step in ((75, 8), (50, 16), (25, 32)):
        means = 255 * TRANSFORMATIONS["jpeg"](images, quality).mean(dim=(1, 2, 3))
        # A step of the first coefficient moves the mean of 64 pixels by an eighth of it.
        apart = (means - 255 * images.mean(dim=(1, 2, 3))).abs()
        assert (apart <= step / 16 + 0.5).all()
    for level in (0, 1, 128, 255):
        flat = torch.full((1, 1, 16, 16), level / 255)
        assert (255 * (TRANSFORMATIONS["jpeg"](flat, 50) - flat).abs()).max() <= 1.001


def test_lower_qualities_lose_more() -> None:
    images = waves(6, 3, 40, 40)
    losses = [
        (TRANSFORMATIONS["jpeg"](images, quality) - images).square().mean().item()
        for quality in (100, 90, 75, 50, 25, 10, 1)
    ]
    assert losses == sorted(losses)


# Photographs


def spots(n: int) -> torch.Tensor:
    """A white disc on a black image, beside the middle."""
    down, across = torch.meshgrid(torch.arange(41.0), torch.arange(41.0), indexing="ij")
    disc = torch.sigmoid(2 * (6 - ((down - 14) ** 2 + (across - 26) ** 2).sqrt()))
    return disc.expand(n, 1, 41, 41).clone()


def centres(images: torch.Tensor) -> torch.Tensor:
    light = (images - 0.5).clamp_min(0)
    total = light.sum(dim=(1, 2, 3))
    places = torch.arange(41.0)
    down = (light.sum(dim=(1, 3)) * places).sum(dim=1) / total
    return torch.stack([down, (light.sum(dim=(1, 2)) * places).sum(dim=1) / total], dim=1)


def test_photographs_are_brought_back_into_place() -> None:
    images = spots(80)
    for severity in (0.5, 1.0, 2.0):
        photos = TRANSFORMATIONS["print_photo"](images, severity, stream())
        apart = centres(photos) - centres(images)
        # The corners are found with an error; nothing else moves the disc.
        assert apart.mean(dim=0).abs().max() < 0.05 * (1 + severity)
        assert 0.02 * severity < apart.std(dim=0).max() < 0.25 * severity


def test_without_straightening_the_disc_would_be_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import empirics.transformations.print_photo as module

    images = spots(60)
    eye = torch.eye(3).expand(60, 3, 3)
    monkeypatch.setattr(torch.linalg, "inv", lambda matrices: eye)
    photos = module.print_photo(images, 1.0, stream())
    assert (centres(photos) - centres(images)).std(dim=0).max() > 0.5


def test_photographs_are_unlike_one_another_and_grow_worse() -> None:
    images = waves(30, 1, 28, 28)
    losses = []
    for severity in (0.0, 0.25, 0.5, 1.0, 2.0):
        photos = TRANSFORMATIONS["print_photo"](images, severity, stream())
        losses.append((photos - images).abs().mean().item())
    assert losses == sorted(losses)
    assert 0.02 < losses[3] < 0.2
    alike = images[:1].expand(20, 1, 28, 28)
    photos = TRANSFORMATIONS["print_photo"](alike, 1.0, stream())
    assert photos.std(dim=0).mean() > 0.02


def test_what_has_been_seen_in_the_photo_has_the_structure_of_the_image() -> None:
    images = torch.from_numpy(load("digits").test_images[:40])
    photos = TRANSFORMATIONS["print_photo"](images, 1.0, stream())
    both = torch.stack([images.flatten(1), photos.flatten(1)])
    both = both - both.mean(dim=2, keepdim=True)
    alike = (both[0] * both[1]).sum(dim=1) / both.norm(dim=2).prod(dim=0)
    assert alike.min() > 0.7
    assert alike.mean() > 0.85


# Bad input


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(InputError) as error:
        call()
    return str(error.value)


def test_bad_input_is_named() -> None:
    blur: Transformation = TRANSFORMATIONS["gaussian_blur"]
    images = drawn(2, 1, 8, 8)
    assert "shape (1, 8, 8)" in refusal(lambda: blur(images[0], 1.0))
    assert "torch.uint8" in refusal(lambda: blur(images.byte(), 1.0))
    assert "expected within [0, 1]" in refusal(lambda: blur(images * 2, 1.0))
    assert "expected within [0, 1]" in refusal(lambda: blur(images * torch.nan, 1.0))
    assert "from 0 to 100" in refusal(lambda: blur(images, -1.0))
    assert "gaussian_blur nan" in refusal(lambda: blur(images, float("nan")))
    assert "give a stream" in refusal(lambda: TRANSFORMATIONS["gaussian_noise"](images, 0.1))
    pair = drawn(2, 2, 8, 8)
    assert "2 channels" in refusal(lambda: TRANSFORMATIONS["jpeg"](pair, 50))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gausian_blur 1", "did you mean 'gaussian_blur'?"),
        ("jpeg", "expected 'jpeg STRENGTH', with a quality from 1 to 100"),
        ("jpeg fine", "expected 'jpeg STRENGTH'"),
        ("jpeg 101", "jpeg 101: expected a quality from 1 to 100"),
    ],
)
def test_a_wrong_name_or_strength_is_named(text: str, message: str) -> None:
    assert message in refusal(lambda: with_strength(text))
