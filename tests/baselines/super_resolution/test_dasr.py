"""DASR: layouts, training at low resolution and from high resolution, maps, the weighted super-resolution training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from baselines.base import count_parameters
from baselines.super_resolution.dasr.distance import domain_distance, receptive_field
from baselines.super_resolution.dasr.model import DASR, DASREnlarger
from baselines.super_resolution.esrgan.model import ESRGAN
from baselines.super_resolution.esrgan.parts import PatchDiscriminator
from baselines.super_resolution.fssr.networks import Critic, Generator
from senm.data.domains import Domains
from senm.support.errors import CheckpointError, DataError, UsageError
from tests.baselines.systems.vectors import layouts, shapes
from tests.baselines.tiny import QUIET, draw, enlarged, fitting, pool, unpaired, with_noise

KINDS: dict[str, Any] = {"avg_pool": "average", "wavelet.cat": "haar", "wavelet.sum": "haar-mean"}


def tiny(network: dict[str, Any] | None = None, **training: Any) -> Any:
    steps = {"steps": 2, "constant": 1, "batch": 2, "crop": 16, "log_every": 1, "checkpoint_every": 1}
    return DASR.default_settings("smoke").but(network=network or {}, training={**steps, **training})


def test_layouts_and_sizes() -> None:
    for name, layout in layouts("dasr").items():
        match name.split("."):
            case ["dsn", "de_resnet", *rest]:
                network: Any = Generator(halvings=1 if rest else 2)
            case ["dsn", "disc", *kind, body, norm]:
                network = Critic(KINDS[".".join(kind)], body.lower(), norm.lower())  # type: ignore[arg-type]
            case ["srn", "disc", kind]:
                network = PatchDiscriminator(9 if kind == "wavelet" else 3, 2, "instance")
            case ["srn", "rrdb_old", *size]:
                small = {"width": 16, "blocks": 2} if size != ["full"] else {}
                network = ESRGAN.build(ESRGAN.default_settings("paper").but(network=small))
        assert shapes(network) == {key: tuple(shape) for key, shape in layout.items()}, name
    assert count_parameters(Generator(halvings=2)) == 668_238
    assert [count_parameters(Critic(kind, "fsd", "instance")) for kind in ("average", "haar")] == [1_029_505, 1_039_105]
    assert [count_parameters(PatchDiscriminator(n, 2, "instance")) for n in (9, 3)] == [668_737, 662_593]


def test_fit_sample_save_load(tmp_path: Path) -> None:
    model, low = DASR.fit(unpaired(), tiny(), **fitting(tmp_path / "work")), pool(3, 20)
    first = draw(model, low)
    assert all(image.shape == (20, 20, 3) and image.dtype == np.uint8 for image in first)
    assert np.array_equal(draw(model, low.subset([2, 0]))[0], first[2])
    model.save(tmp_path / "saved")
    again = DASR.load(tmp_path / "saved", "cpu")
    assert all(np.array_equal(a, b) for a, b in zip(draw(again, low), first, strict=True))
    maps = [each.weights(low, device="cpu", progress=QUIET) for each in (model, again)]
    assert all(np.array_equal(a, b) for a, b in zip(*maps, strict=True))
    assert maps[0][0].shape == (20, 20)
    assert 0 < maps[0][0].min() <= maps[0][0].max() < 1


def test_a_network_that_reduces_itself(tmp_path: Path) -> None:
    domains = Domains(source=pool(side=64), target=with_noise(pool(seed=5)))
    model = DASR.fit(domains, tiny({"factor": 4}), **fitting(tmp_path / "work"))
    assert draw(model, pool(1, 40))[0].shape == (10, 10, 3)


@pytest.mark.parametrize("change", [{"filter": "haar"}, {"filter": "gauss"}, {"body": "nld_s1"}, {"norm": "batch"},
                                    {"critic_width": 6}], ids=str)
def test_every_switch_changes_the_result(tmp_path: Path, change: dict[str, Any]) -> None:
    def run(name: str, **network: Any) -> torch.Tensor:
        model = DASR.fit(unpaired(), tiny(network), **fitting(tmp_path / name))
        return torch.cat([p.flatten() for p in model.generator.parameters()])

    assert not torch.equal(run("a"), run("b", **change))


def test_receptive_fields() -> None:
    found = [receptive_field("fsd", 36), receptive_field("nld_s1", 36)]
    found += [receptive_field("nld_s2", side) for side in (36, 339)]
    assert [(f.start, f.jump, f.size) for f in found] == [(0.5, 1, 17), (2.5, 1, 13), (6.0, 4, 34), (9.0, 4, 34)]
    flat = domain_distance(torch.full((1, 1, 7, 6), 0.3), 36, 32, "nld_s2")
    assert torch.allclose(flat, torch.full((1, 1, 36, 32), 0.3))


def enlarger(**training: Any) -> Any:
    steps = {"steps": 2, "batch": 2, "crop": 8, "log_every": 1, "checkpoint_every": 1}
    return DASREnlarger.default_settings("smoke").but(training={**steps, **training})


def test_weights_and_real_images_change_the_enlarger(tmp_path: Path) -> None:
    pairs, real = enlarged(pool(side=12)), with_noise(pool(seed=9, side=12))

    def run(name: str, **more: Any) -> torch.Tensor:
        given = {"real": real, **more}
        model = DASREnlarger.fit([pairs], enlarger(), **fitting(tmp_path / name), **given)
        return torch.cat([p.flatten() for p in model.network.parameters()])

    ones = [[np.ones((12, 12), np.float32)] * len(pairs)]
    base = run("a")
    assert torch.allclose(base, run("ones", weights=ones), atol=1e-6)
    ramp = [[np.linspace(0, 1, 144, dtype=np.float32).reshape(12, 12)] * len(pairs)]
    assert not torch.equal(base, run("ramp", weights=ramp))
    assert not torch.equal(base, run("other", real=with_noise(pool(seed=11, side=12))))


def test_bad_input(tmp_path: Path) -> None:
    pairs = enlarged(pool(side=12))
    with pytest.raises(UsageError, match="real low-resolution images"):
        DASREnlarger.fit([pairs], enlarger(), **fitting(tmp_path))
    with pytest.raises(DataError, match="3 weight maps for 4 pairs"):
        DASREnlarger.fit([pairs], enlarger(on_real=False), **fitting(tmp_path), weights=[[np.ones((12, 12))] * 3])
    with pytest.raises(DataError, match=r"shape \(6, 6\)"):
        DASREnlarger.fit([pairs], enlarger(on_real=False), **fitting(tmp_path), weights=[[np.ones((6, 6))] * 4])
    with pytest.raises(DataError, match="no clean images"):
        DASR.fit(Domains(target=pool()), tiny(), **fitting(tmp_path))
    torch.save(Generator(halvings=2).state_dict(), tmp_path / "published.pth")
    published = DASR.from_published(tmp_path / "published.pth")
    with pytest.raises(CheckpointError, match="no discriminator"):
        published.weights(pool(), device="cpu", progress=QUIET)
    torch.save(Generator().state_dict(), tmp_path / "fssr.pth")
    with pytest.raises(CheckpointError, match=r"lacks layer 'down_sample\.0\.weight'"):
        DASR.from_published(tmp_path / "fssr.pth")
