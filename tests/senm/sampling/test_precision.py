"""What `precision="auto"` stands for: by the chip's instructions and by this model's own images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import senm
from senm.__main__ import main
from senm.config import SMOKE
from senm.data.images import write_png
from senm.sampling import precision, trained
from senm.sampling.precision import choose, computes_bf16, probes
from senm.sampling.trained import Trained

CPU = torch.device("cpu")


def generator(change: int, share: float):
    """Samples the probes as they are; in bf16 a share of the pixels is changed by so many levels."""

    def sample(images, wanted):
        for image in images:
            out = image.astype(np.int16)
            if wanted == "bf16":
                count = int(share * out.size)
                out.reshape(-1)[:count] += np.where(out.reshape(-1)[:count] > 100, -change, change)
            yield out.astype(np.uint8)

    return sample


@pytest.fixture
def fast(monkeypatch):
    monkeypatch.setattr(precision, "computes_bf16", lambda device: True)


@pytest.mark.parametrize(("change", "share", "chosen"), [(1, 1.0, "bf16"), (2, 0.0005, "bf16"), (2, 0.002, "float32")])
def test_a_tenth_of_a_percent_may_differ_by_more_than_a_level(fast, change, share, chosen):
    assert choose(generator(change, share), CPU).precision == chosen


def test_a_chip_without_bf16_is_not_tried(monkeypatch):
    monkeypatch.setattr(precision, "computes_bf16", lambda device: False)
    choice = choose(lambda images, wanted: pytest.fail("sampled"), CPU)
    assert choice.precision == "float32" and "no instructions" in choice.sentence


@pytest.mark.parametrize(
    ("text", "there"),
    [("flags\t\t: fpu avx512_bf16 sse", True), ("flags : amx_bf16", True), ("Features : fp asimd bf16", True),
     ("flags : fpu avx512f avx512_bf16x", False), ("model name : bf16", False), ("", False)],
)
def test_instructions_are_read_from_the_processor(tmp_path: Path, text: str, there: bool) -> None:
    (tmp_path / "cpuinfo").write_text(f"processor : 0\n{text}\n")
    assert computes_bf16(CPU, tmp_path / "cpuinfo") is there
    assert not computes_bf16(CPU, tmp_path / "absent")


def test_the_images_it_is_tried_on_are_fixed_and_reach_all_levels() -> None:
    first, second = probes(), probes()
    assert np.array_equal(np.stack(list(first)), np.stack(list(second)))
    assert [int(np.stack(list(first)).min()), int(np.stack(list(first)).max())] == [0, 255]


@pytest.mark.parametrize("chosen", ["float32", "bf16"])
def test_auto_is_the_precision_that_was_chosen(fast, monkeypatch, tmp_path, capsys, chosen) -> None:
    monkeypatch.setattr(precision, "SHARE", 0.0 if chosen == "bf16" else 1.1)
    settings = SMOKE.but(sampling={"output": "direct"})  # the difference of an untrained network is nothing
    model = Trained(senm.SeNMVAE(settings.network), settings, levels=[0.05])
    image = probes()[0]
    used: list[str] = []
    sample_images = trained.sample_images

    def seen(*args, precision="float32", **options):
        used.append(precision)
        return sample_images(*args, precision=precision, **options)

    monkeypatch.setattr(trained, "sample_images", seen)
    auto = senm.sample(model, image, seed=1, precision="auto")
    assert used == ["float32", "bf16", chosen], "the check, and the images"
    assert np.array_equal(auto, senm.sample(model, image, seed=1, precision=chosen))
    model.save(tmp_path / "model")
    write_png(tmp_path / "clean" / "a.png", image)
    command = ["sample", "--model", str(tmp_path / "model"), "--clean", str(tmp_path / "clean"), "--out",
               str(tmp_path / "out")]
    assert main([*command, "--precision", "auto"]) == 0
    assert f"precision: {chosen}, since in bfloat16" in capsys.readouterr().err
    assert main([*command, "--precision", chosen]) == 0, "the same images: the folder is taken up again"
    assert main([*command[:-1], str(tmp_path / "other"), "--precision", "float16"]) == 2
    assert "unknown precision 'float16'" in capsys.readouterr().err
