"""Where the official data sets are published: addresses, sizes and checksums, as far as they are known.

A checksum that the publisher does not state is left out, and the manifest of the prepared data then records the
hash that was found. Whether an address still answers cannot be promised.
"""

from __future__ import annotations

from dataclasses import dataclass

SIDD_MIRROR = "http://130.63.97.225/share"
AIM = "https://data.vision.ee.ethz.ch/alugmayr/real-world-sr/AIM19"
NTIRE_TRAIN = "https://data.vision.ee.ethz.ch/alugmayr/NTIRE2019/public"
NTIRE_VALID = "https://data.vision.ee.ethz.ch/alugmayr/real-world-sr/NTIRE20"


@dataclass(frozen=True)
class Published:
    """One file to download. `bytes` and `hash` ('md5:...', 'sha256:...') are None where no one states them."""

    name: str
    url: str
    bytes: int | None = None
    hash: str | None = None


def _zips(base: str, *names: str) -> tuple[Published, ...]:
    return tuple(Published(f"{name}.zip", f"{base}/{name}.zip") for name in names)


FILES: dict[str, tuple[Published, ...]] = {
    "sidd": (
        Published("SIDD_Medium_Srgb.zip", f"{SIDD_MIRROR}/SIDD_Medium_Srgb.zip", 13234744070,
                  "md5:f95b4bc9ec1dd3fe4ebd61aeacad3991"),
        Published("ValidationNoisyBlocksSrgb.mat", f"{SIDD_MIRROR}/SIDD_Blocks/ValidationNoisyBlocksSrgb.mat"),
        Published("ValidationGtBlocksSrgb.mat", f"{SIDD_MIRROR}/SIDD_Blocks/ValidationGtBlocksSrgb.mat"),
        Published("BenchmarkNoisyBlocksSrgb.mat", f"{SIDD_MIRROR}/SIDD_Blocks/BenchmarkNoisyBlocksSrgb.mat"),
    ),
    "aim19": _zips(AIM, "train-noisy-images", "train-clean-images", "valid-input-noisy", "valid-gt-clean"),
    "ntire20": _zips(NTIRE_TRAIN, "Corrupted-tr-x", "Corrupted-tr-y", "Corrupted-va-x")
    + _zips(NTIRE_VALID, "track1-valid-gt"),
}

PAGES = {
    "sidd": "https://abdokamel.github.io/sidd/",
    "dnd": "https://noise.visinf.tu-darmstadt.de/downloads/ (terms to accept, so it has to be downloaded by hand)",
    "aim19": f"{AIM}/",
    "ntire20": f"{NTIRE_TRAIN}/",
    "polyu": "https://github.com/csjunxu/PolyU-Real-World-Noisy-Images-Dataset (folder CroppedImages)",
    "cc": "the 15 crops of Nam et al. 2016, as collected at https://github.com/csjunxu/MCWNNM_ICCV2017",
}
