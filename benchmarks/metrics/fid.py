"""Frechet distances in three pure stages: features, float64 statistics, number.

`fid` stands on the published InceptionV3; `fd_random` on a small network of fixed random filters, for machines without
those weights. The two are different quantities and are never compared.
"""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.metrics.arrays import Array, ImageSet, uint8
from benchmarks.metrics.weights import PUBLISHED, check
from senm.support.errors import DataError

LEAST_IMAGES = 2
BATCH = 16
Extractor = Callable[[ImageSet], Array]


@dataclass(frozen=True)
class Statistics:
    """Mean (D,) of features in float64, a root of their covariance, and how many images they stand for.

    `root` is (R, D) with R at most D, and the covariance is root^T root. It is what distances need: the covariance
    itself would square the rounding errors of directions that few images leave out.
    """

    mean: Array
    root: Array
    images: int

    @property
    def covariance(self) -> Array:
        """The covariance (D, D)."""
        found: Array = self.root.T @ self.root
        return found

    def save(self, path: Path) -> None:
        """Write a .npz file in one step: a reader never sees half of it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"{path.name}.{os.getpid()}.partial.npz")
        np.savez(partial, mean=self.mean, root=self.root, images=self.images)
        partial.replace(path)

    @classmethod
    def load(cls, path: Path) -> Statistics:
        """Read what `save` wrote."""
        with np.load(path) as data:
            return cls(data["mean"], data["root"], int(data["images"]))


def statistics(features: Array, images: int | None = None) -> Statistics:
    """Statistics of a feature matrix (N, D); the covariance divides by N - 1.

    Raises:
        DataError: fewer than two rows, or a value that is not finite.
    """
    if len(features) < LEAST_IMAGES:
        raise DataError(f"features of {len(features)} images", "at least 2: a covariance needs them")
    if not np.isfinite(features).all():
        raise DataError("features that are not finite", "finite numbers")
    rows = np.asarray(features, np.float64).reshape(len(features), -1)
    root = (rows - rows.mean(0)) / np.sqrt(len(rows) - 1)
    if len(root) > root.shape[1]:
        root = np.linalg.qr(root, mode="r")
    return Statistics(rows.mean(0), root, len(rows) if images is None else images)


def frechet(a: Statistics, b: Statistics) -> float:
    """|m1 - m2|^2 + trace(S1 + S2 - 2 (S1 S2)^(1/2)).

    With S1 = A^T A and S2 = B^T B the trace of the square root is the sum of the singular values of A B^T: no root of a
    rounding error is taken, so that processors agree also where there are fewer images than features.

    Raises:
        DataError: statistics of different numbers of features.
    """
    if a.mean.shape != b.mean.shape:
        raise DataError(f"{a.mean.size} and {b.mean.size} features", "statistics of one feature extractor")
    cross = np.linalg.svd(a.root @ b.root.T, compute_uv=False).sum()
    gap = a.mean - b.mean
    distance = gap @ gap + (a.root**2).sum() + (b.root**2).sum() - 2 * cross
    return max(0.0, float(distance))


def cached_statistics(images: ImageSet, extract: Extractor, name: str, folder: Path | None) -> Statistics:
    """Statistics of images, kept in `folder` under a hash of the extractor's name and every pixel.

    Raises:
        DataError: fewer than two images.
    """
    if len(images) < LEAST_IMAGES:
        raise DataError(f"{len(images)} images", "at least 2 for a Frechet distance")
    if folder is None:
        return statistics(extract(images), len(images))
    digest = hashlib.sha256(f"{name} root".encode())
    for image in images:
        digest.update(str(image.shape).encode() + np.ascontiguousarray(image).tobytes())
    path = folder / f"{digest.hexdigest()}.npz"
    if path.is_file():
        return Statistics.load(path)
    result = statistics(extract(images), len(images))
    result.save(path)
    return result


def _batches(images: ImageSet, size: int) -> Iterator[Array]:
    """(B, H, W, 3) uint8 stacks of neighbouring images of one size, in order."""
    batch: list[Array] = []
    for image in images:
        uint8(image)
        if batch and (len(batch) == size or batch[0].shape != image.shape):
            yield np.stack(batch)
            batch = []
        batch.append(image)
    if batch:
        yield np.stack(batch)


@functools.lru_cache(maxsize=1)
def _inception(path: Path, device: str, dtype: str) -> Any:
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    extractor = FeatureExtractorInceptionV3(
        "inception-v3-compat",
        ["2048"],
        feature_extractor_weights_path=str(path),
        feature_extractor_internal_dtype=dtype,
    )
    return extractor.to(device)


def inception_features(
    images: ImageSet, *, path: Path, sha256: str, device: str = "cpu", dtype: str = "float32"
) -> Array:
    """The 2048 pooled features of torch-fidelity's InceptionV3, float32 (N, 2048); it resizes to 299x299 itself.

    Args:
        images: uint8 RGB, of any size.
        path: its weights.
        sha256: what they must hash to, checked before they are unpickled.
        device: where the network runs.
        dtype: float64 makes the features the same on every device.
    """
    import torch

    network = _inception(check(path, sha256), device, dtype)
    rows = []
    with torch.no_grad():
        for batch in _batches(images, BATCH):
            (features,) = network(torch.from_numpy(batch).to(device).permute(0, 3, 1, 2))
            rows.append(features.float().cpu().numpy())
    return np.concatenate(rows)


def fid(
    generated: ImageSet,
    real: ImageSet,
    *,
    weights: str | None = None,
    device: str = "cpu",
    dtype: str = "float32",
    cache: Path | None = None,
) -> float:
    """Frechet inception distance. With fewer images than 2048 it is biased upward: compare at equal counts only.

    Args:
        generated: uint8 RGB images.
        real: the images they are held against.
        weights: a folder to look in for the InceptionV3 weights first.
        device: where the network runs.
        dtype: of the network.
        cache: a folder for the statistics of images seen before.

    Raises:
        Unavailable: the weights are not on this machine; the message names the command that gets them.
        CheckpointError: a file of that name has other bytes than published.
        DataError: fewer than two images in a set.
    """
    published = PUBLISHED["inception"]
    path = published.find(weights)
    name = f"inception {published.sha256} {dtype}"
    extract = functools.partial(inception_features, path=path, sha256=published.sha256, device=device, dtype=dtype)
    return frechet(*(cached_statistics(images, extract, name, cache) for images in (generated, real)))


def fd_random(generated: ImageSet, real: ImageSet, *, device: str = "cpu", cache: Path | None = None) -> float:
    """Frechet distance of `random_features`, squared grey levels. A stand-in for comparing systems in one run only.

    Args:
        generated: uint8 RGB images.
        real: the images they are held against.
        device: where the filters run.
        cache: a folder for the statistics of images seen before.

    Raises:
        DataError: fewer than two images in a set.
    """
    from benchmarks.metrics.random_features import VERSION, random_features

    extract = functools.partial(random_features, device=device)
    return frechet(*(cached_statistics(images, extract, VERSION, cache) for images in (generated, real)))
