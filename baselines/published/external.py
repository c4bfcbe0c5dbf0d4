"""Systems that ran elsewhere: a folder of finished images is scored as if it came from a noise model or a restorer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from pydantic import Field

from baselines.base import Capabilities, Scale, load_checkpoint, save_checkpoint
from senm.config import Settings
from senm.support.errors import DataError

if TYPE_CHECKING:
    from senm.data.domains import Domains
    from senm.data.pool import Images, Pairs
    from senm.support.progress import Progress


LOSSY = frozenset({".jpg", ".jpeg", ".jpe", ".webp"})


def files(number: int) -> str:
    """A number of files in words."""
    return "1 file is" if number == 1 else f"{number} files are"


class ExternalSettings(Settings):
    """Where the images are."""

    folder: str = Field("", description="one image file for each image of the split, with the same stem")


class Finished:
    """Images that someone else made, matched by stem.

    A stem is the name of an image in its pool, with ``/`` written as ``_``. All names are looked up before the first
    image is read; every image must have the size that is expected of it.
    """

    name: ClassVar[str] = "finished"
    exact: ClassVar[bool] = False

    def __init__(self, settings: ExternalSettings) -> None:
        from senm.data.images import list_images

        self.settings = settings
        self.files: dict[str, Path] = {}
        for path in list_images(Path(settings.folder)):
            if (twin := self.files.setdefault(path.stem, path)) != path:
                raise DataError(f"{twin.name} and {path.name} in {settings.folder} are for one image",
                                "one file for each image", "remove one of them")

    @classmethod
    def default_settings(cls, scale: Scale) -> ExternalSettings:
        """The same at every scale; the folder has to be given."""
        return ExternalSettings()

    def read(self, images: Images, factor: int, progress: Progress) -> Iterator[np.ndarray]:
        """The file for each image, in order: uint8 (factor * H, factor * W, 3).

        Raises:
            DataError: a file is missing, broken, of another size, or a PNG with a gamma or sRGB chunk.
        """
        missing = [name for name in images.names if self._stem(name) not in self.files]
        if missing:
            raise DataError(
                f"{self.settings.folder} lacks {len(missing)} of {len(images)} images, the first is {missing[0]!r}",
                f"a file named {self._stem(missing[0])}.png",
                "name each file after its input image",
            )
        return self._read(images, factor, progress)

    def remarks(self, images: Images) -> list[str]:
        """What to know of the files beside their pixels.

        Raises:
            DataError: generated noise in lossy files.
        """
        found = []
        names = {self._stem(name) for name in images.names}
        lossy = [path.name for stem, path in self.files.items() if stem in names and path.suffix.lower() in LOSSY]
        if lossy and self.exact:
            raise DataError(f"{len(lossy)} files of {self.settings.folder} are JPEG or WebP ({lossy[0]})",
                            "noise as it was made: lossy files change what is measured", "save it as PNG")
        if lossy:
            found.append(f"{self.settings.folder}: {files(len(lossy))} compressed with loss, and that is measured, too")
        if extra := len(set(self.files) - names):
            found.append(f"{self.settings.folder}: {files(extra)} named after no image of the split and passed over")
        return found

    def _read(self, images: Images, factor: int, progress: Progress) -> Iterator[np.ndarray]:
        from senm.data.images import check_no_gamma, read_rgb

        with progress.task(f"read {self.settings.folder}", len(images)) as task:
            for index, name in enumerate(images.names):
                path = self.files[self._stem(name)]
                image = read_rgb(path)
                if path.suffix.lower() == ".png":
                    check_no_gamma(path)  # the official KLD reads such a file in linear light
                height, width = images.size(index)
                if image.shape[:2] != (factor * height, factor * width):
                    raise DataError(
                        f"{path} is {image.shape[0]}x{image.shape[1]} pixels", f"{factor * height}x{factor * width}"
                    )
                yield image
                task.advance()

    @staticmethod
    def _stem(name: str) -> str:
        return name.replace("/", "_")

    def save(self, folder: Path) -> None:
        """Write the settings: the folder itself stays where it is."""
        save_checkpoint(folder, self.name, self.settings, {})

    @classmethod
    def load(cls, folder: Path, device: str) -> Self:
        """Read what `save` wrote.

        Raises:
            CheckpointError: missing or broken settings.
            DataError: the folder of images is gone.
        """
        settings, _ = load_checkpoint(folder, cls.name, ExternalSettings)
        return cls(settings)


class ExternalNoise(Finished):
    """A folder of generated noisy images, one for each clean image."""

    name = "external-noise"
    exact = True
    capabilities = Capabilities(kind="noise", trains=False)

    @classmethod
    def fit(cls, domains: Domains, settings: Any, *, seed: int, device: str, workdir: Path, progress: Progress) -> Self:
        """Nothing is trained."""
        return cls(settings)

    def sample(self, clean: Images, *, seed: int, device: str, progress: Progress) -> Iterator[np.ndarray]:
        """The images as they are; the seed changes nothing."""
        return self.read(clean, 1, progress)


class ExternalRestorer(Finished):
    """A folder of restored images, one for each degraded image."""

    name = "external-restorer"
    capabilities = Capabilities(kind="restorer", trains=False)

    @classmethod
    def fit(
        cls,
        sources: Sequence[Pairs],
        settings: Any,
        *,
        seed: int,
        device: str,
        workdir: Path,
        progress: Progress,
        start: Path | None = None,
    ) -> Self:
        """Nothing is trained."""
        return cls(settings)

    def restore(self, noisy: Images, *, device: str, progress: Progress) -> Iterator[np.ndarray]:
        """The images as they are."""
        return self.read(noisy, self.capabilities.factor, progress)


class ExternalEnlarger(ExternalRestorer):
    """A folder of images enlarged four times."""

    name = "external-x4"
    capabilities = Capabilities(kind="restorer", trains=False, factor=4)
