"""Makers of small folders in the exact formats of the official downloads: SIDD, DND, AIM19, NTIRE20, PolyU, CC.

Containers, keys, dtypes, axis orders and names are the official ones; counts and sizes are scaled down by the caller.
"""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import h5py
import numpy as np
from PIL import Image
from scipy.io import savemat

INSTANCES = ("0001_001_S6_00100_00060_3200_L", "0002_001_S6_00100_00020_3200_N", "0003_001_S6_00100_00060_3200_H",
             "0004_001_S6_00100_00060_4400_L", "0005_001_S6_00100_00020_4400_N", "0006_001_S6_00100_00060_4400_H")


def photo(height: int, width: int, seed: int) -> np.ndarray:
    """A smooth colour picture, uint8 (height, width, 3), different for each seed."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    a, b, c, d = rng.uniform(0.02, 0.08, 4)
    base = 120 + 50 * np.sin(a * x + b * y + seed) + 40 * np.cos(c * x - d * y)
    return np.clip(base[..., None] + rng.uniform(-20, 20, 3), 0, 255).astype(np.uint8)


def noisy(clean: np.ndarray, seed: int) -> np.ndarray:
    """The picture with Gaussian noise of 10 levels, uint8."""
    noise = np.random.default_rng(1000 + seed).normal(0, 10, clean.shape)
    return np.clip(clean + noise, 0, 255).round().astype(np.uint8)


def png(path: Path, image: np.ndarray) -> Path:
    """Write a PNG without colour-space chunks, as the official files are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path, "PNG", compress_level=1)
    return path


def zip_folder(folder: Path, archive: Path, inside: str) -> Path:
    """Pack a folder into a zip, each member under the prefix `inside`, and remove the folder."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as out:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                out.write(path, f"{inside}{path.relative_to(folder)}")
    shutil.rmtree(folder)
    return archive


def sidd_medium(root: Path, instances: int = 3, size: tuple[int, int] = (96, 128),
                top: str = "SIDD_Medium_Srgb") -> Path:
    """SIDD-Medium as unpacked: <root>/<top>/Data/<instance>/<NNNN>_{GT,NOISY}_SRGB_{010,011}.PNG, two shots each."""
    for number, instance in enumerate(INSTANCES[:instances]):
        for shot in (0, 1):
            clean = photo(size[0], size[1] + 16 * number, 10 * number + shot)
            folder = root / top / "Data" / instance
            png(folder / f"{instance[:4]}_GT_SRGB_01{shot}.PNG", clean)
            png(folder / f"{instance[:4]}_NOISY_SRGB_01{shot}.PNG", noisy(clean, 10 * number + shot))
    return root


def blocks(images: int, count: int, size: int, seed: int = 500) -> tuple[np.ndarray, np.ndarray]:
    """Noisy and clean blocks, both (images, count, size, size, 3) uint8."""
    clean = np.stack([[photo(size, size, seed + 40 * i + j) for j in range(count)] for i in range(images)])
    return noisy(clean, seed), clean


def mat(path: Path, key: str, array: np.ndarray, container: str = "v5") -> Path:
    """Write a MATLAB file: v5 through scipy, or v7.3 (HDF5 with reversed axes and MATLAB's 512-byte header)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if container == "v5":
        savemat(path, {key: array}, do_compression=True)
        return path
    with h5py.File(path, "w", userblock_size=512) as file:
        file.create_dataset(key, data=array.T).attrs["MATLAB_class"] = np.bytes_(array.dtype.name)
    with path.open("r+b") as raw:
        raw.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM")
    return path


def sidd_mats(root: Path, images: int = 2, count: int = 4, size: int = 32, container: str = "v5") -> Path:
    """Validation (noisy, clean) and benchmark blocks as three MATLAB files."""
    n, c = blocks(images, count, size)
    mat(root / "ValidationNoisyBlocksSrgb.mat", "ValidationNoisyBlocksSrgb", n, container)
    mat(root / "ValidationGtBlocksSrgb.mat", "ValidationGtBlocksSrgb", c, container)
    b, _ = blocks(images, count, size, seed=9000)
    mat(root / "BenchmarkNoisyBlocksSrgb.mat", "BenchmarkNoisyBlocksSrgb", b, container)
    return root


def sidd_nafnet(root: Path, images: int = 2, count: int = 4, size: int = 32) -> Path:
    """NAFNet's PNG folders: input_crops and gt_crops, ValidationBlocksSrgb_<k>.png, k not zero-padded."""
    n, c = blocks(images, count, size)
    for k in range(images * count):
        png(root / "input_crops" / f"ValidationBlocksSrgb_{k}.png", n.reshape(-1, size, size, 3)[k])
        png(root / "gt_crops" / f"ValidationBlocksSrgb_{k}.png", c.reshape(-1, size, size, 3)[k])
    return root


def sidd_restormer(root: Path, images: int = 2, count: int = 4, size: int = 32) -> Path:
    """Restormer's names: <image>_<block>.png, both counted from 1, in folders input and groundtruth."""
    n, c = blocks(images, count, size)
    for i in range(images):
        for j in range(count):
            png(root / "input" / f"{i + 1:04d}_{j + 1:02d}.png", n[i, j])
            png(root / "groundtruth" / f"{i + 1:04d}_{j + 1:02d}.png", c[i, j])
    return root


def sidd_whole(root: Path, table: np.ndarray, images: int = 2, size: tuple[int, int] = (96, 128)) -> Path:
    """The older benchmark form: whole noisy photographs and BenchmarkBlocks32.mat (row, column, height, width)."""
    for i, instance in enumerate(INSTANCES[:images]):
        name = f"{instance[:4]}_NOISY_SRGB_010.PNG"
        png(root / "SIDD_Benchmark_Data" / instance / name, noisy(photo(*size, 700 + i), i))
    mat(root / "SIDD_Benchmark_Code_v1.2" / "BenchmarkBlocks32.mat", "BenchmarkBlocks32", table.astype(np.uint16))
    return root


def dnd(root: Path, photos: int = 2, boxes: int = 3, size: tuple[int, int] = (96, 128), box: int = 32) -> Path:
    """DND: info.mat and images_srgb/NNNN.mat in HDF5, arrays transposed, boxes by reference, 1-based inclusive."""
    folder = root / "dnd_2017"
    (folder / "images_srgb").mkdir(parents=True)
    rng = np.random.default_rng(3)
    with h5py.File(folder / "info.mat", "w", userblock_size=512) as file:
        info = file.create_group("info")
        table = info.create_dataset("boundingboxes", (1, photos), dtype=h5py.ref_dtype)
        for i in range(photos):
            first = np.stack([rng.integers(1, size[0] - box + 2, boxes), rng.integers(1, size[1] - box + 2, boxes)], 1)
            corners = np.concatenate([first, first + box - 1], 1).astype(np.float64)
            table[0, i] = file.create_dataset(f"#refs#/box{i}", data=corners.T).ref
    for i in range(photos):
        dnd_image(folder / "images_srgb" / f"{i + 1:04d}.mat",
                  noisy(photo(*size, 60 + i), i).astype(np.float32).T / 255)
    return root


def dnd_image(path: Path, stored: np.ndarray) -> Path:
    """One DND photograph; `stored` is what h5py will show, officially (3, W, H) float in [0, 1]."""
    with h5py.File(path, "w", userblock_size=512) as file:
        file.create_dataset("InoisySRGB", data=stored)
    return path


RWSR_FOLDERS = {"aim19": ("train-noisy-images", "train-clean-images", "valid-input-noisy", "valid-gt-clean"),
                "ntire20": ("Corrupted-tr-x", "Corrupted-tr-y", "Corrupted-va-x", "track1-valid-gt")}


def rwsr(root: Path, kind: str, train: int = 3, valid: int = 12, zipped: bool = False) -> Path:
    """AIM19 track 2 or NTIRE20 track 1; the Corrupted zips hold bare files, the others bring their own folder."""
    degraded, clean, low, high = RWSR_FOLDERS[kind]
    for i in range(train):
        png(root / degraded / f"Flickr2K_{i + 1:06d}.png", noisy(photo(64, 72 + 8 * i, 80 + i), i))
        png(root / clean / f"{i + 1:04d}.png", photo(128, 160 + 32 * i, 90 + i))
    for i in range(valid):
        image = photo(128, 192, 100 + i)
        png(root / high / f"{801 + i:04d}.png", image)
        png(root / low / f"{801 + i:04d}.png", noisy(image[2::4, 2::4], 100 + i))
    if zipped:
        for name in RWSR_FOLDERS[kind]:
            zip_folder(root / name, root / f"{name}.zip", "" if name.startswith("Corrupted") else f"{name}/")
    return root


def open_pairs(root: Path, kind: str, count: int = 4, size: int = 48) -> Path:
    """PolyU (CroppedImages/<camera>_..._<object>_<k>_{real,mean}.JPG) or CC (<camera>_iso<n>_<k>_{real,mean}.png)."""
    for i in range(count):
        clean = photo(size, size, 200 + i)
        if kind == "polyu":
            stem, ending = f"CroppedImages/Canon5D2_5_160_3200_object{i // 2}_{i + 1}", "JPG"
        else:
            stem, ending = f"d800_iso{1600 * (1 + i // 3)}_{i % 3 + 1}", "png"
        for side, image in (("mean", clean), ("real", noisy(clean, i))):
            path = root / f"{stem}_{side}.{ending}"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(path, quality=95)
    return root
