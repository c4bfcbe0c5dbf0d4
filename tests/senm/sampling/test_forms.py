"""The door for images in Python: what is taken, what is refused, and that noise is fresh unless a seed is given."""

import numpy as np
import pytest
import torch
from PIL import Image

import senm
from senm.sampling.forms import as_uint8, pool
from senm.sampling.trained import Trained
from senm.support.errors import DataError, UsageError

IMAGE = np.random.default_rng(0).integers(60, 190, (24, 32, 3), dtype=np.uint8)
FLAT = np.full((48, 48, 3), 128, np.uint8)
PLANES = torch.from_numpy(IMAGE).permute(2, 0, 1).float() / 255


@pytest.fixture(scope="module")
def model() -> Trained:
    return senm.load("embedded-10")


def test_every_form_is_the_same_image() -> None:
    for form in (IMAGE, PLANES, PLANES.double(), Image.fromarray(IMAGE)):
        assert np.array_equal(as_uint8(form), IMAGE)
    assert np.abs(as_uint8(PLANES.half()).astype(int) - IMAGE).max() <= 1


@pytest.mark.parametrize(("image", "sentence"), [
    (PLANES * 255, "divide it by 255"), (PLANES * 2 - 1, r"\(image \+ 1\) / 2"),
    (PLANES.where(PLANES > PLANES.min(), torch.nan), "not finite"),
    (PLANES.where(PLANES > PLANES.min(), torch.inf), "not finite"),
    (Image.fromarray(IMAGE).convert("L"), "colour mode L"), (IMAGE.astype(np.uint16), "uint16"),
])
def test_another_range_or_kind_is_named(model: Trained, image: object, sentence: str) -> None:
    for run in (senm.sample, senm.denoise):
        with pytest.raises(DataError, match=sentence):
            run(model, image)


def test_what_a_network_overshoots_is_taken() -> None:
    assert as_uint8(PLANES * 1.05).max() == min(255, round(float(PLANES.max()) * 1.05 * 255))


def test_an_image_of_pillow_is_turned_as_it_is_shown_and_comes_back_as_one(model: Trained) -> None:
    picture = Image.fromarray(IMAGE)
    picture.getexif()[0x0112] = 6
    made = senm.sample(model, picture, seed=0)
    assert isinstance(made, Image.Image) and made.size == (24, 32)
    assert [type(m) for m in senm.sample(model, [Image.fromarray(IMAGE)] * 2, seed=0)] == [Image.Image] * 2


def residual(model: Trained, **options: object) -> np.ndarray:
    return (senm.sample(model, FLAT, level=0.1, **options).astype(float) - FLAT).ravel()


def test_images_made_one_by_one_have_noise_of_their_own(model: Trained) -> None:
    assert abs(np.corrcoef(residual(model), residual(model))[0, 1]) < 0.1


def test_a_seed_or_that_of_torch_repeats_it(model: Trained) -> None:
    assert np.array_equal(residual(model, seed=3), residual(model, seed=3))
    torch.manual_seed(5)
    first = residual(model)
    torch.manual_seed(5)
    assert np.array_equal(first, residual(model))


def test_the_stream_is_keyed_by_the_name(model: Trained) -> None:
    both = senm.sample(model, [IMAGE, IMAGE], seed=0, names=["a", "b"])
    assert np.array_equal(both[1], senm.sample(model, IMAGE, seed=0, names="b")) and (both[0] != both[1]).any()


@pytest.mark.parametrize("names", [["a"], ["a", "a"], "a"])
def test_names_that_do_not_fit(names: object) -> None:
    with pytest.raises(UsageError, match="one name an image"):
        pool([IMAGE, IMAGE], names)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="names of|has its own|named images"):
        pool(pool([IMAGE, IMAGE]), ["a", "b"])
