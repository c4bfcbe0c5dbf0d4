"""The sampler's invariances: batch, order, tiles, padding and precision change nothing they should not."""

import copy

import numpy as np
import pytest
import torch

from senm.config import NetworkSettings, PairedNetworkSettings
from senm.data.pool import ArrayImages, RaggedImages
from senm.model import SeNMVAE
from senm.paired import PairedVAE
from senm.sampling.engine import Engine
from senm.sampling.noise import cell_noise, image_noise
from senm.sampling.sampler import batches, by_tiles, denoise_image, denoised, sample_images, sample_tiled, to_uint8
from senm.sampling.tiling import automatic_side, budget, overlap, receptive_radius, tiles
from senm.support.errors import MachineError, SettingsError


def lively(network):
    """Random weights of moderate size: no branch is silent."""
    torch.manual_seed(0)
    for name, weight in network.named_parameters():
        gain = 0.1 if "log_std.1" in name else 0.5
        torch.nn.init.normal_(weight, std=gain * weight[0].numel() ** -0.5 if weight.ndim > 1 else 0.01)
    last = network.output if isinstance(network, PairedVAE) else network.output[2]
    torch.nn.init.normal_(last.weight, std=0.05)
    torch.nn.init.constant_(last.bias, 0.5)
    return network


SEMI = lively(SeNMVAE(NetworkSettings(nf=4, zn_dim=2, nls=(1, 1), growth=4)))
PAIRED = lively(PairedVAE(PairedNetworkSettings(nf=4, nls=(1, 1), growth=4)))
BOLD = copy.deepcopy(SEMI)
with torch.no_grad():
    BOLD.output[2].weight.mul_(40)
BOTH = pytest.mark.parametrize("model", [SEMI, PAIRED], ids=["semi", "paired"])
PIXELS = np.random.default_rng(0).integers(0, 256, (5, 13, 18, 3), dtype=np.uint8)
CLEAN = ArrayImages(PIXELS, [f"photo{i}" for i in range(5)])


def made(model, clean=CLEAN, seed=0, **options) -> np.ndarray:
    return np.stack(list(sample_images(model, clean, levels=lambda name: 0.1, seed=seed, **options)))


@BOTH
def test_batch_and_order_change_no_bit(model) -> None:
    alone = made(model, batch=1)
    np.testing.assert_array_equal(made(model, batch=4), alone)
    order = [3, 0, 4, 2, 1]
    np.testing.assert_array_equal(made(model, CLEAN.subset(order), batch=2), alone[order])


@BOTH
def test_noise_depends_on_seed_and_name(model) -> None:
    same = ArrayImages(np.repeat(PIXELS[:1], 2, 0), ["a", "b"])
    first = made(model, same)
    assert not np.array_equal(first[0], first[1])
    assert not np.array_equal(made(model, same, seed=1)[0], first[0])


@BOTH
def test_mixed_sizes_come_back_in_order_and_uncut(model) -> None:
    sizes = [(13, 18), (8, 8), (13, 18), (1, 5), (8, 8)]
    images = [np.full((*size, 3), 50 * i, np.uint8) for i, size in enumerate(sizes)]
    pool = RaggedImages(np.concatenate([image.ravel() for image in images]), np.array(sizes), "abcde")
    out = list(sample_images(model, pool, levels=lambda name: 0.1, seed=0, batch=2))
    assert [image.shape[:2] for image in out] == sizes
    alone = list(sample_images(model, pool.subset([3]), levels=lambda name: 0.1, seed=0))
    np.testing.assert_array_equal(out[3], alone[0])


@BOTH
def test_tiles_are_seamless(model) -> None:
    size = (2 * overlap(model) + 41, 3 * overlap(model) + 5)
    image = np.random.default_rng(1).integers(0, 256, (*size, 3), dtype=np.uint8)
    engine, level = Engine(model), torch.tensor([0.1])
    x = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
    even = (size[0] // 2 * 2, size[1] // 2 * 2)
    x = x[..., :even[0], :even[1]]
    whole = engine.sample(x, ["a"], level, 0)
    for region, core in tiles(*even, 40, overlap(model)):
        top, left, h, w = region
        y = engine.sample(x[..., top:top + h, left:left + w], ["a"], level, 0, 1.0, even, region)
        kept = y[..., core[0]:core[0] + core[2], core[1]:core[1] + core[3]]
        there = whole[..., top + core[0]:top + core[0] + core[2], left + core[1]:left + core[1] + core[3]]
        torch.testing.assert_close(kept, there, atol=1e-4, rtol=0)


@BOTH
def test_tiled_and_whole_images_agree_in_8_bits(model) -> None:
    pool = ArrayImages(np.random.default_rng(2).integers(0, 256, (1, 81, 103, 3), dtype=np.uint8), ["a"])
    for normalize in (False, True):
        whole = made(model, pool, normalize=normalize).astype(int)
        difference = made(model, pool, tile=32, normalize=normalize) - whole
        assert abs(difference).max() <= 1
        assert (difference != 0).mean() < 1e-3


@BOTH
def test_nothing_reaches_beyond_the_receptive_radius(model) -> None:
    radius, middle = receptive_radius(model), 160
    double = Engine(model).network.double()
    for part in double.modules():
        if hasattr(part, "frozen"):
            part.frozen = []
    x = torch.rand(1, 3, 4, 2 * middle, generator=torch.Generator().manual_seed(0)).double()
    noise = image_noise(double, ["a"], (4, 2 * middle), 0, torch.device("cpu"), dtype=torch.float64)

    def run(x: torch.Tensor) -> torch.Tensor:
        level = torch.tensor([0.1]).double()
        with torch.no_grad():
            return double.generate(x, level, noise) if model is PAIRED else double.translate(x, level, noise=noise)

    changed = x.clone()
    changed[..., middle - 2:] += 1.0
    reached = (run(changed) - run(x)).abs().amax((0, 1, 2)).nonzero().flatten()
    assert middle - 2 - radius <= int(reached.min()) < middle - 8


def test_tiles_cover_every_pixel_once() -> None:
    covered = np.zeros((50, 70), int)
    for region, core in tiles(50, 70, 16, 6):
        top, left = region[0] + core[0], region[1] + core[1]
        covered[top:top + core[2], left:left + core[3]] += 1
        assert region[0] >= 0 and region[0] + region[2] <= 50 and region[1] + region[3] <= 70
    assert (covered == 1).all()


def test_a_window_of_noise_is_a_part_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("senm.sampling.noise.CELL", 8)
    whole = cell_noise(3, (21, 30), ("seed", "name"), torch.device("cpu"))
    part = cell_noise(3, (21, 30), ("seed", "name"), torch.device("cpu"), (5, 7, 14, 20))
    torch.testing.assert_close(part, whole[5:19, 7:27], rtol=0, atol=0)
    assert abs(float(whole.mean())) < 0.1 and abs(float(whole.std()) - 1) < 0.1
    assert len(whole.flatten().unique()) > 0.99 * whole.numel()


@BOTH
def test_the_engine_computes_what_the_model_does(model) -> None:
    x, level = torch.rand(1, 3, 12, 16), torch.tensor([0.1])
    noise = image_noise(model, ["a"], (12, 16), 0, torch.device("cpu"))
    with torch.no_grad():
        direct = model.generate(x, level, noise) if model is PAIRED else model.translate(x, level, noise=noise)
    torch.testing.assert_close(Engine(model).run(x, level, noise), direct, atol=1e-5, rtol=0)


@BOTH
def test_bf16_stays_within_a_few_levels(model) -> None:
    exact, rough = made(model).astype(int), made(model, precision="bf16").astype(int)
    assert 0 < abs(exact - rough).mean() < 3


@BOTH
def test_temperature_scales_the_drawn_latent(model) -> None:
    assert not np.array_equal(made(model, temperature=0.0), made(model))
    cold = made(PAIRED, ArrayImages(np.repeat(PIXELS[:1], 2, 0), ["a", "b"]), temperature=0.0)
    np.testing.assert_array_equal(cold[0], cold[1])


@BOTH
def test_normalize_keeps_the_mean(model) -> None:
    grey = ArrayImages(np.full((1, 32, 32, 3), 128, np.uint8), ["a"])
    shifted = made(model, grey, normalize=True).mean((1, 2))
    assert abs(shifted - 128).max() < abs(made(model, grey).mean((1, 2)) - 128).max()


def test_batches_group_sizes_without_losing_any() -> None:
    sizes = np.array([(4, 4), (6, 4)] * 7)
    pool = RaggedImages(np.zeros(int(sizes.prod(1).sum()) * 3, np.uint8), sizes, [str(i) for i in range(14)])
    found = list(batches(pool, 3))
    assert sorted(i for chosen in found for i in chosen) == list(range(14))
    assert all(len({pool.size(i) for i in chosen}) == 1 and len(chosen) <= 3 for chosen in found)


def test_batches_have_no_more_pixels_than_allowed() -> None:
    pool = RaggedImages(np.zeros(20_000, np.uint8), np.array([(10, 10)] * 5 + [(30, 30)] * 2), "abcdefg")
    assert list(batches(pool, 4, 250)) == [[0, 1], [2, 3], [4], [5], [6]]
    assert list(batches(pool, 4)) == [[0, 1, 2, 3], [4], [5, 6]]


def test_a_tile_fits_into_the_budget_and_batches_of_crops_too() -> None:
    for kind, batch in (("cpu", 4), ("cuda", 32)):
        model = SeNMVAE(NetworkSettings(nf=64, zn_dim=2, nls=(2, 4), growth=2))
        assert batch * 256 * 256 <= budget(model, kind)
        side = automatic_side(model, kind, 4000, 6000)
        assert side and (side + 2 * overlap(model)) ** 2 <= budget(model, kind)


def test_a_batch_that_the_gpu_does_not_hold_is_halved(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes, room = [], 2
    sample = Engine.sample

    def scarce(self: Engine, x: torch.Tensor, *args: object) -> torch.Tensor:
        sizes.append(len(x))
        if len(x) > room:
            raise torch.cuda.OutOfMemoryError("out of memory")
        return sample(self, x, *args)

    whole = made(SEMI)
    monkeypatch.setattr(Engine, "sample", scarce)
    np.testing.assert_array_equal(made(SEMI, batch=5), whole)
    assert sizes == [5, 2, 3, 1, 2]
    room = 0
    with pytest.raises(MachineError, match="13x18 pixels.*--tile"):
        made(SEMI)


def test_denoised_tiles_are_seamless() -> None:
    size = (2 * overlap(BOLD) + 42, 3 * overlap(BOLD) + 6)
    image = np.random.default_rng(1).integers(0, 256, (*size, 3), dtype=np.uint8)
    x = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
    with torch.inference_mode():
        whole = denoised(BOLD, x)[0].permute(1, 2, 0).numpy()
        tiled = by_tiles(BOLD, image, 40, torch.device("cpu"), lambda y, *_: denoised(BOLD, y), rounded=False)
    np.testing.assert_allclose(tiled, whole, atol=1e-5, rtol=0)
    assert whole.std() > 0.1


@pytest.mark.parametrize("size", [(81, 103), (13, 18)])
def test_denoising_in_tiles_agrees_in_8_bits(size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    image = np.random.default_rng(2).integers(0, 256, (*size, 3), dtype=np.uint8)
    whole = denoise_image(BOLD, image, 0)
    difference = denoise_image(BOLD, image, 32).astype(int) - whole
    assert whole.std() > 20 and abs(difference).max() <= 1 and (difference != 0).mean() < 1e-2
    np.testing.assert_array_equal(denoise_image(BOLD, image), whole)
    monkeypatch.setattr("senm.sampling.tiling.PIXELS", {"cpu": 300})
    cut = denoise_image(BOLD, image).astype(int)
    assert automatic_side(BOLD, "cpu", *size) == (2 if size == (81, 103) else None)
    assert abs(cut - whole).max() <= 1


def test_denoising_takes_the_mean_and_draws_nothing() -> None:
    image, state = PIXELS[0][:12], torch.random.get_rng_state()
    result = denoise_image(SEMI, image)
    assert torch.equal(torch.random.get_rng_state(), state)
    y = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))[None].float() / 255
    zeros = {"z": [torch.zeros_like(layer) for layer in SEMI.draw_noise(1, 12, 18, latents=("z",))["z"]]}
    with torch.inference_mode():
        expected = (SEMI.denoise(y, zeros).clamp(0, 1) * 255).round().to(torch.uint8)[0].permute(1, 2, 0)
    np.testing.assert_array_equal(result, expected.numpy())


@pytest.mark.parametrize("bad", [-1.0, 25.0, float("nan"), float("inf")])
def test_levels_and_temperatures_out_of_range_are_refused(bad: float) -> None:
    with pytest.raises(SettingsError, match="the level is"):
        list(sample_images(SEMI, CLEAN, levels=lambda name: bad, seed=0))
    if bad != 25:
        with pytest.raises(SettingsError, match="the temperature is"):
            made(SEMI, temperature=bad)


def test_wrong_options_are_named() -> None:
    with pytest.raises(SettingsError, match=r"bf17.*did you mean 'bf16'"):
        made(SEMI, precision="bf17")
    with pytest.raises(SettingsError, match="batch is 0"):
        made(SEMI, batch=0)
    with pytest.raises(SettingsError, match="tile is -1"):
        made(SEMI, tile=-1)


def test_without_a_compiler_sampling_goes_on_eagerly(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_compiler(self: torch.nn.Module, **options: object) -> None:
        def broken(*args: object) -> None:
            raise RuntimeError("no C++ compiler\nfound")

        self._compiled_call_impl = broken

    monkeypatch.setattr(torch.nn.Module, "compile", no_compiler)
    with pytest.warns(UserWarning, match="without torch.compile.*no C"):
        out = made(SEMI, compile=True)
    np.testing.assert_array_equal(out, made(SEMI))


def test_one_tile_larger_than_the_image_is_the_image() -> None:
    engine, level = Engine(SEMI), torch.tensor([0.1])
    tiled = sample_tiled(engine, PIXELS[0], "photo0", level, 0, 64)
    np.testing.assert_array_equal(tiled, made(SEMI)[0])


def test_generated_values_are_rounded_to_the_nearest_level() -> None:
    values = torch.tensor([0.4, 0.6, 1.4, 1.6, 254.6, -3.0, 300.0]) / 255
    assert to_uint8(values.expand(1, 3, 1, 7))[0, 0, :, 0].tolist() == [0, 1, 1, 2, 255, 0, 255]
