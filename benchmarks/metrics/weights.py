"""Published networks that FID and LPIPS stand on: where they are looked for, and how their bytes are checked."""

from __future__ import annotations

import functools
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from senm.support.errors import CheckpointError, MachineError

VARIABLE = "SENM_WEIGHTS"


class Unavailable(MachineError):
    """A metric whose published network is not on this machine; the message names the command that gets it."""


def folders(given: str | Path | None = None) -> list[Path]:
    """Where weights are looked for: the given folder, then ``$SENM_WEIGHTS``, then the cache of torch.hub."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "torch"
    torch_home = Path(os.environ.get("TORCH_HOME", cache)).expanduser()
    named = [Path(folder).expanduser() for folder in (given, os.environ.get(VARIABLE)) if folder]
    return [*named, torch_home / "hub" / "checkpoints"]


@functools.lru_cache(maxsize=16)
def _digest(path: Path, size: int, changed: int) -> str:
    """sha256 of a file; size and time of change are in the key so that a replaced file is read again."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check(path: Path, sha256: str) -> Path:
    """The path, if the file's sha256 begins with `sha256`.

    Raises:
        CheckpointError: other bytes than published.
    """
    status = path.stat()
    found = _digest(path, status.st_size, status.st_mtime_ns)
    if not found.startswith(sha256):
        raise CheckpointError(
            f"{path} has sha256 {found}", f"a hash that begins with {sha256}", "delete the file and download it again"
        )
    return path


@dataclass(frozen=True)
class Weights:
    """One published file. `sha256` may be the leading digits where the publisher states no more."""

    file: str
    url: str
    sha256: str
    purpose: str

    def where(self, folder: str | Path | None = None) -> Path | None:
        """The first existing file of this name, unread, or None."""
        return next((path / self.file for path in folders(folder) if (path / self.file).is_file()), None)

    def find(self, folder: str | Path | None = None) -> Path:
        """The file, its hash checked.

        Raises:
            Unavailable: no such file in any of the folders.
            CheckpointError: the file's bytes are not the published ones.
        """
        path = self.where(folder)
        if path is None:
            raise self.lacking()
        return check(path, self.sha256)

    def lacking(self) -> Unavailable:
        """The error that names the file and the command that gets it."""
        target = folders()[0] / self.file
        return Unavailable(
            f"{self.purpose} is not available: {self.file} is missing",
            f"the file in the folder ${VARIABLE} or in the torch cache",
            f"curl -L --create-dirs -o '{target}' {self.url}",
        )


PUBLISHED = {
    "inception": Weights(
        "weights-inception-2015-12-05-6726825d.pth",
        "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth",
        "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
        "FID",
    ),
    "alexnet": Weights(
        "alexnet-owt-7be5be79.pth",
        "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
        "7be5be79",
        "LPIPS",
    ),
}
LPIPS_HEADS_SHA256 = "df73285e35b22355a2df87cdb6b70b343713b667eddbda73e1977e0c860835c0"
