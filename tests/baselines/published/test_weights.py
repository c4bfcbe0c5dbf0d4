"""Published checkpoints, folders of finished images, and the list of quoted rows."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from baselines.noise.c2n.networks import Generator
from baselines.published import weights
from baselines.published.external import ExternalNoise, ExternalRestorer, ExternalSettings
from senm.config import NetworkSettings, PairedNetworkSettings
from senm.data.images import write_png
from senm.model import SeNMVAE
from senm.paired import PairedVAE
from senm.support.errors import CheckpointError, DataError, UsageError
from tests.baselines.tiny import QUIET, pool


def found(folder: Path, name: str) -> weights.Found:
    return next(each for each in weights.scan(folder) if each.release.name == name)


def test_scan_says_what_is_there_and_where_the_rest_is_published(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "C2N-SIDD_to_SIDD.ckpt").write_bytes(b"abc")
    everything = weights.scan(tmp_path)
    assert [each.release for each in everything] == list(weights.RELEASES)
    here = found(tmp_path, "c2n-sidd")
    assert here.usable
    assert here.sha256 == hashlib.sha256(b"abc").hexdigest()
    gone = found(tmp_path, "nafnet-sidd")
    assert not gone.usable
    assert "missing; get NAFNet-SIDD-width64.pth from github.com/megvii-research/NAFNet" in gone.sentence
    with pytest.raises(DataError, match="not a folder"):
        weights.scan(tmp_path / "absent")


def test_every_release_states_file_terms_and_place() -> None:
    names = [each.name for each in weights.RELEASES]
    assert len(set(names)) == len(names)
    rows = [row for each in weights.RELEASES for row in each.rows]
    twice = {row for row in rows if rows.count(row) > 1}
    assert twice == {("table5", "impressionism")}, "one network in two forms"
    assert all(each.file and each.convention and each.where for each in weights.RELEASES)
    assert all(each.where.startswith(("github.com/", "the package ")) for each in weights.RELEASES)
    assert weights.for_row("table3", "restormer") is weights.release("restormer-sidd")
    assert weights.for_row("table3", "nothing") is None
    with pytest.raises(UsageError, match="did you mean 'c2n-sidd'"):
        weights.release("c2n-sid")


def test_a_changed_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = replace(weights.release("c2n-sidd"), sha256="1234")
    monkeypatch.setattr(weights, "RELEASES", (known,))
    (tmp_path / known.file).write_bytes(b"abc")
    (changed,) = weights.scan(tmp_path)
    assert not changed.usable
    with pytest.raises(CheckpointError, match="instead of 1234"):
        weights.open_release(changed, "cpu")


def test_released_noise_models_open_and_sample(tmp_path: Path) -> None:
    torch.manual_seed(0)
    torch.save(Generator().state_dict(), tmp_path / "C2N-SIDD_to_SIDD.ckpt")
    semi = SeNMVAE(NetworkSettings(nf=8, zn_dim=4, nls=(1, 1), growth=4))
    torch.save(semi.to_authors(), tmp_path / "SeNM-VAE-10.pth")
    full = PairedVAE(PairedNetworkSettings(nf=8, nls=(1, 1), growth=4))
    torch.save({"params": full.to_authors()}, tmp_path / "SeNM-VAE-all.pth")
    for name in ("c2n-sidd", "senm-vae-10", "senm-vae-all"):
        model = weights.open_release(found(tmp_path, name), "cpu")
        (image,) = model.sample(pool(1, 16), seed=0, device="cpu", progress=QUIET)
        assert image.shape == (16, 16, 3)


def test_a_released_denoiser_opens_and_restores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from baselines.restorers.dncnn import DnCNN

    known = (weights.release("lud-vae-dncnn"), weights.release("dncnn-blind"))
    monkeypatch.setattr(weights, "RELEASES", tuple(replace(each, sha256="") for each in known))
    state = DnCNN.initialised(DnCNN.default_settings("paper"), 0).state_dict()
    torch.save(state, tmp_path / "dncnn.pth")
    blind = DnCNN.default_settings("paper").but(network={"depth": 20, "norm": False})
    torch.save(DnCNN.initialised(blind, 0).state_dict(), tmp_path / "dncnn_color_blind.pth")
    for name in ("lud-vae-dncnn", "dncnn-blind"):
        restorer = weights.open_release(found(tmp_path, name), "cpu")
        (image,) = restorer.restore(pool(1, 16), device="cpu", progress=QUIET)
        assert image.shape == (16, 16, 3)
    (tmp_path / "dncnn.pth").write_bytes(b"no weights")
    with pytest.raises(CheckpointError, match=r"dncnn\.pth cannot be read"):
        weights.open_release(found(tmp_path, "lud-vae-dncnn"), "cpu")


def test_a_published_start_is_what_a_training_goes_on_from(tmp_path: Path) -> None:
    from baselines.super_resolution.esrgan.model import ESRGAN
    from benchmarks.planning.plan import Planner
    from benchmarks.running.runner import Runner
    from benchmarks.running.steps import Bench
    from benchmarks.store.store import Store
    from tests.benchmarks.planning.test_plan import BIG, scale

    settings = ESRGAN.default_settings("paper")
    published = ESRGAN.initialised(settings, 7).state_dict()
    torch.save({"params": published}, tmp_path / "RRDB_PSNR_x4.pth")
    step = Planner(BIG, scale("paper")).published(found(tmp_path, "rrdb-psnr"))
    folder = Runner(Store(tmp_path / "store"), Bench("cpu", {})).need(step) / "model"
    started = ESRGAN.initialised(settings, 0, folder).state_dict()
    assert all(torch.equal(value, started[name]) for name, value in published.items())


def test_a_start_suits_networks_of_its_size_only() -> None:
    from baselines.restorers.nafnet import NAFNetFineTune
    from baselines.super_resolution.esrgan.model import ESRGAN

    starts = [each for each in weights.RELEASES if each.starts]
    assert {system for each in starts for system in each.starts} == {"nafnet-finetune", "esrgan", "esrgan-fssr"}
    for system, name in ((ESRGAN, "rrdb-psnr"), (NAFNetFineTune, "nafnet-sidd")):
        each = weights.release(name)
        fits = [weights.suits(each, system.default_settings(size)) for size in ("smoke", "short", "paper")]
        assert fits == [False, False, True]


def test_a_release_that_nothing_reads_fills_no_row(tmp_path: Path) -> None:
    (tmp_path / "DeFlow-AIM-RWSR-100k.pth").write_bytes(b"abc")
    here = found(tmp_path, "deflow-aim")
    assert not here.usable
    assert "trained here instead" in here.sentence
    with pytest.raises(UsageError, match="fills no row"):
        weights.open_release(here, "cpu")



def test_missing_and_misshapen_finished_images_are_named(tmp_path: Path) -> None:
    write_png(tmp_path / "image0.png", np.zeros((12, 12, 3), np.uint8))
    write_png(tmp_path / "image1.png", np.zeros((12, 10, 3), np.uint8))
    model = ExternalRestorer(ExternalSettings(folder=str(tmp_path)))
    with pytest.raises(DataError, match="lacks 1 of 3 images, the first is 'image2'"):
        list(model.restore(pool(3, 12), device="cpu", progress=QUIET))
    with pytest.raises(DataError, match=r"image1\.png is 12x10 pixels"):
        list(model.restore(pool(2, 12), device="cpu", progress=QUIET))
    with pytest.raises(DataError, match="does not exist"):
        ExternalNoise(ExternalSettings(folder=str(tmp_path / "absent")))
