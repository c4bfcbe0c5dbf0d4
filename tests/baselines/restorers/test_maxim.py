"""MAXIM: layout of the published tree, mixing, losses, fitting, padding, and published files."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from baselines.base import Restorer, count_parameters, guesses, to_tensor
from baselines.restorers.maxim.blocks import BlockMixing, GridMixing
from baselines.restorers.maxim.model import Maxim, MaximSettings
from baselines.restorers.maxim.networks import MaximNetwork, reduced
from baselines.restorers.maxim.published import ROOT, from_tree, ours
from baselines.restorers.maxim.training import DeepSupervision, MaximTraining, spectral_distance, supervision, targets
from senm.data.pool import ArrayImages
from senm.support.errors import CheckpointError, SettingsError
from tests.baselines.systems.vectors import cases, layouts, shapes
from tests.baselines.tiny import QUIET, Interrupt, fitting, pairs, pool, restored, with_noise

SMOKE = Maxim.default_settings("smoke")
SIDE = 40
FULL = "full S-3, 3 scales"


def trained(folder: Path, progress: Any = QUIET) -> Maxim:
    return Maxim.fit([pairs(4, SIDE)], SMOKE, **fitting(folder, progress=progress))


def zeros(layout: str) -> dict[str, np.ndarray]:
    """A tree of this layout."""
    return {path: np.zeros(shape, np.float32) for path, shape in layouts("maxim")[layout].items()}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Maxim:
    return trained(tmp_path_factory.mktemp("maxim"))


@pytest.mark.parametrize(("layout", "case", "count"), [("small", "small_a", None), (FULL, "full_f32_a", 22_212_795)])
def test_every_published_name_has_one_place_and_every_place_a_name(layout: str, case: str, count: int | None) -> None:
    with torch.device("meta"):
        network = MaximNetwork(**cases()["maxim"][case]["network"])
    made = from_tree(zeros(layout))
    assert len(made) == len(layouts("maxim")[layout])
    assert {name: tuple(value.shape) for name, value in made.items()} == shapes(network)
    assert count is None or count_parameters(network) == count


def test_each_resizing_goes_to_the_level_of_its_place() -> None:
    assert ours("UpSampleRatio_0/Conv_0/bias") == "stages.0.gather_encoded.2.0.layer.bias"
    assert ours("UpSampleRatio_9/Conv_0/bias") == "stages.0.gather_decoded.2.2.layer.bias"
    assert ours("UpSampleRatio_53/Conv_0/bias") == "stages.2.gather_decoded.0.0.layer.bias"


def test_the_class_keeps_the_contract() -> None:
    assert isinstance(Maxim, Restorer)
    assert Maxim.name == "maxim"
    assert Maxim.default_settings("paper") == MaximSettings()
    assert "training.frequency" in guesses(MaximSettings)


def test_what_is_fitted_is_restored_saved_and_read_again(model: Maxim, tmp_path: Path) -> None:
    images = with_noise(pool(3, 21, prefix="odd"))
    first = restored(model, images)
    assert [image.shape for image in first] == [(21, 21, 3)] * 3
    model.save(tmp_path)
    again = restored(Maxim.load(tmp_path, "cpu"), ArrayImages(images.array[::-1].copy(), images.names[::-1]))
    assert all(np.array_equal(a, b) for a, b in zip(first, again[::-1], strict=True))


def test_an_interrupted_training_gives_the_same_weights(model: Maxim, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path, Interrupt(7))
    state = trained(tmp_path).network.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in model.network.state_dict().items())


def test_global_mixing_reaches_every_cell_and_local_mixing_only_its_own() -> None:
    reach = {}
    for kind in (GridMixing, BlockMixing):
        x = torch.rand(1, 1, 6, 6, requires_grad=True)
        kind(2)(x)[0, 0, 3, 2].backward()
        reach[kind] = {tuple(at) for at in x.grad[0, 0].nonzero().tolist()}  # type: ignore[index]
    assert reach[GridMixing] == {(0, 2), (0, 5), (3, 2), (3, 5)}
    assert reach[BlockMixing] == {(2, 2), (2, 3), (3, 2), (3, 3)}


def test_lower_levels_take_pixels_from_the_middle_of_each_step() -> None:
    image = torch.arange(64.0).reshape(1, 1, 8, 8)
    assert reduced(image, 0) is not None
    assert torch.equal(reduced(image, 1), image[..., 1::2, 1::2])
    assert torch.equal(reduced(image, 2), image[..., 2::4, 2::4])


def test_the_loss_counts_every_stage_and_level_and_both_terms() -> None:
    torch.manual_seed(0)
    clean = torch.rand(2, 3, 16, 16)
    right = [targets(clean)] * 2
    floor = supervision(right, clean)["loss"]
    assert float(floor) == pytest.approx(6e-3, rel=1e-3)
    for stage in range(2):
        for level in range(3):
            wrong = [list(images) for images in right]
            wrong[stage][level] = wrong[stage][level] + 0.1
            found = supervision(wrong, clean)
            assert found["loss"] > floor + 0.09
            assert found[f"stage {stage + 1}"] > found[f"stage {2 - stage}"]
            assert supervision(wrong, clean, frequency=0.0)["loss"] < found["loss"]
    assert float(spectral_distance(clean + 0.1, clean)) == pytest.approx(0.1 * 256 / (16 * 9), rel=1e-3)


def test_steps_are_mixed_and_lower_the_loss_of_every_stage() -> None:
    settings = SMOKE.training.but(mixup=0.0, lr=2e-3, schedule="constant")
    low, high = (to_tensor(images[0]) for images in (with_noise(pool(1, 32)), pool(1, 32)))
    batch: tuple[Tensor, Tensor] = (low.repeat(2, 1, 1, 1), high.repeat(2, 1, 1, 1))
    batch[0][1], batch[1][1] = batch[0][1].flip(-1), batch[1][1].flip(-1)
    sampler: Any = SimpleNamespace(seed=1, batch=lambda number: batch)
    network = Maxim.initialised(SMOKE, 0)
    run = DeepSupervision(network, sampler, settings, "cpu")
    logged = [run.step(number) for number in range(12)]
    assert all(logged[-1][f"stage {stage}"] < logged[0][f"stage {stage}"] for stage in (1, 2))
    assert torch.equal(run.batch(0)[0], batch[0])
    run.settings = settings.but(mixup=1.0)
    noisy, clean = run.batch(1)
    assert noisy.shape == batch[0].shape
    assert clean.shape == batch[1].shape
    assert not all(torch.equal(run.batch(number)[0], batch[0]) for number in range(8))


def test_an_image_is_padded_on_all_sides_and_cut_out_again(model: Maxim) -> None:
    seen: list[Tensor] = []

    def network(image: Tensor) -> Tensor:
        seen.append(image)
        return image

    image = torch.rand(1, 3, 37, 48)
    assert torch.equal(model._padded(network, image), image)  # type: ignore[arg-type]
    (padded,) = seen
    multiple = SMOKE.network.multiple
    assert multiple == 16
    assert padded.shape[-2:] == (48, 48)
    assert torch.equal(padded[..., 5:42, :], image)
    assert torch.equal(padded[..., 4, :], image[..., 1, :])
    tiny = torch.rand(1, 3, 1, 2)
    assert torch.equal(model._padded(network, tiny), tiny)  # type: ignore[arg-type]


def test_paper_sized_inputs_are_multiples_of_64() -> None:
    assert MaximSettings().network.multiple == 64


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"training": {"crop": 100}}, "a multiple of 64 pixels"),
        ({"network": {"sizes": (16, 16, 8, 0)}}, "sides of 1 or more"),
        ({"network": {"width": 30}}, "width"),
        ({"training": {"spectral": 1.0}}, "spectral"),
    ],
)
def test_settings_that_make_no_network_are_refused(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        MaximSettings().but(**changes)


def test_the_defaults_of_the_training_are_marked_as_ours() -> None:
    own = {name for name in MaximTraining.__annotations__ if name not in guesses(MaximTraining)}
    assert own == set()


def test_published_files_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = SMOKE.but(network={**cases()["maxim"]["small_a"]["network"], "stages": 3})
    monkeypatch.setattr(Maxim, "default_settings", classmethod(lambda cls, scale: small))
    tree: dict[str, Any] = {ROOT + path: value + 0.5 for path, value in zeros("small").items()}
    state_of_optimiser: dict[str, Any] = {"opt/state/step": np.int64(3)}
    np.savez(tmp_path / "checkpoint.npz", **tree, **state_of_optimiser)
    state = Maxim.from_published(tmp_path / "checkpoint.npz").network.state_dict()
    assert all(bool((value == 0.5).all()) for value in state.values())
    opened = Maxim.from_published(tmp_path / "checkpoint.npz")
    opened.save(tmp_path / "ours")
    assert torch.equal(Maxim.initialised(small, 0, tmp_path / "ours").state_dict()["stages.0.inputs.0.weight"],
                       state["stages.0.inputs.0.weight"])
    missing = dict(tree)
    del missing[f"{ROOT}stage_2_output_conv_0/bias"]
    np.savez(tmp_path / "missing.npz", **missing)
    with pytest.raises(CheckpointError, match=r"lacks layer 'stages.2.outputs.0.bias'"):
        Maxim.from_published(tmp_path / "missing.npz")
    np.savez(tmp_path / "other.npz", weights=np.zeros(3))
    with pytest.raises(CheckpointError, match="no array whose name begins with"):
        Maxim.from_published(tmp_path / "other.npz")
    for content in (b"PK\3\4 half an archive", b"nothing"):
        (tmp_path / "broken.npz").write_bytes(content)
        with pytest.raises(CheckpointError, match="is broken"):
            Maxim.from_published(tmp_path / "broken.npz")
    with pytest.raises(CheckpointError, match="no checkpoint"):
        Maxim.from_published(tmp_path / "absent.npz")
