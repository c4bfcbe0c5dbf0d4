"""What a file of published weights is, told by its content: its hash, and the network whose layout it has."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import baselines
from baselines.published.weights import RELEASES, Release, open_release
from baselines.published.weights import Found as Named
from senm.support.contents import sha256_of
from senm.support.errors import DataError, SenmError

ENDINGS = (".pth", ".pt", ".ckpt", ".npz", ".safetensors", ".tar", ".bin", "")
SAME_LAYOUT = frozenset({"nafnet-finetune", "esrgan-fssr", "esrgan-dasr", "deflow-ntire20"})
"""Systems whose published network has the layout of another one of the registry."""


@dataclass(frozen=True)
class Told:
    """One file: the systems whose layout it has, and the releases it can be.

    Attributes:
        path: the file.
        sha256: of its bytes.
        systems: registry names of the systems that read it at the published size.
        releases: releases of these systems; one alone where the hash or the file's name tells which.
        certain: whether the hash is the published one.
    """

    path: Path
    sha256: str
    systems: tuple[str, ...] = ()
    releases: tuple[Release, ...] = ()
    certain: bool = False

    @property
    def sentence(self) -> str:
        """One line for a listing."""
        head = f"{self.path} (sha256 {self.sha256[:12]}): "
        if not self.systems and not self.releases:
            return head + "no network here has this layout"
        layout = f"the layout of {' or '.join(self.systems)}" if self.systems else "a layout that nothing here reads"
        names = " or ".join(each.name for each in self.releases) or "a training that is not listed here"
        rows = sorted({f"{table} {row}" for each in self.releases for table, row in each.rows})
        fills = f"; --weights fills {', '.join(rows)} with it under the name {self.releases[0].file}" if rows else ""
        many = len(self.releases) > 1
        return f"{head}{layout}; {'' if self.certain else 'perhaps '}{names}" + ("" if many else fills)


def tell(folder: Path) -> Iterator[Told]:
    """Every file of `folder` and below that may hold weights, told one at a time: some seconds each.

    Raises:
        DataError: the folder does not exist.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder", "a folder with published checkpoints")
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix in ENDINGS and not path.name.startswith("."):
            yield tell_file(path)


def tell_file(path: Path) -> Told:
    """What one file is. Nothing in it is run: layouts are compared by names and shapes of tensors."""
    (digest,) = sha256_of([path])
    known = tuple(each for each in RELEASES if each.sha256 and digest.startswith(each.sha256))
    systems = tuple(name for name, read in _readers() if _reads(read, path))
    if known:
        return Told(path, digest, systems, known, certain=True)
    targets = {baselines.REGISTRY[name] for name in systems}
    fitting = [each for each in RELEASES if each.maker in targets and not each.changes]
    fitting += [each for each in RELEASES if each not in fitting and _opens(each, path)]
    fitting = [each for each in fitting if not each.sha256]
    named = [each for each in fitting if each.file == path.name]
    return Told(path, digest, systems, tuple(named or fitting))


def _readers() -> Iterator[tuple[str, Callable[[Path], Any]]]:
    for name in baselines.REGISTRY:
        if name not in SAME_LAYOUT and hasattr(system := baselines.get(name), "from_published"):
            yield name, system.from_published


def _reads(read: Callable[[Path], Any], path: Path) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a library's, once for each network that is tried
            read(path)
    except SenmError:
        return False
    return True


def _opens(each: Release, path: Path) -> bool:
    """Whether a release that the registry's own sizes do not cover reads the file: the method's, and changed ones."""
    if not each.changes and not each.maker.startswith("senm"):
        return False
    return _reads(lambda file: open_release(Named(each, file), "cpu"), path)
