"""PolyU and CC: found by their published names, counted, and divided by photograph."""

import numpy as np
import pytest
from PIL import Image

from senm.data.formats import folder, open_pairs
from senm.support.errors import DataError, UsageError
from tests import fixtures_official as fx

CUTTING = folder.Cutting(crop=64, crops=3, validation_crops=2)


@pytest.mark.parametrize("kind", ["polyu", "cc"])
def test_pairs_are_cut_from_their_files_and_photographs_stay_together(tmp_path, kind):
    root = fx.open_pairs(tmp_path / "r", kind, count=9, size=80)
    data = open_pairs.prepare(kind, tmp_path, tmp_path / "o", cutting=CUTTING, allow_partial=True, workers=1)
    assert data.name == kind
    scene = {}
    for split in ("train", "validation"):
        pairs = data.pairs(split)
        for i, item in enumerate(data.items(split)):
            image = np.asarray(Image.open(next(root.rglob(item["noisy_file"]))).convert("RGB"))
            r, c = item["row"], item["column"]
            assert np.array_equal(pairs.noisy[i], image[r:r + 64, c:c + 64])
            assert scene.setdefault(item["scene"], split) == split
            assert item["scene"] == open_pairs.photograph(kind, item["noisy_file"].rpartition("_real")[0])


@pytest.mark.parametrize(("kind", "name", "photo"), [
    ("polyu", "Canon5D2_5_160_3200_chair_11", "Canon5D2_5_160_3200_chair"),
    ("polyu", "NikonD800_6-3_125_5000_plant__2", "NikonD800_6-3_125_5000_plant"),
    ("polyu", "Sony_4-5_125_6400_waterhouse_10", "Sony_4-5_125_6400_waterhouse"),
    ("cc", "5dmark3_iso3200_1", "5dmark3_iso3200"),
    ("cc", "5dma_iso3200_2", "5dma_iso3200"),
    ("cc", "d800_iso6400_3", "d800_iso6400"),
])
def test_photograph_of_published_names(kind, name, photo):
    assert open_pairs.photograph(kind, name) == photo


def test_incomplete_foreign_and_absent_sets_are_named(tmp_path):
    root = fx.open_pairs(tmp_path / "r", "polyu", size=80)
    with pytest.raises(DataError, match="holds 4 of 100 pairs"):
        open_pairs.prepare("polyu", root, tmp_path / "o")
    with pytest.raises(DataError, match="no pair of cc"):
        open_pairs.prepare("cc", root, tmp_path / "o")
    with pytest.raises(UsageError, match="did you mean 'polyu'"):
        open_pairs.prepare("polyo", root, tmp_path / "o")
    for side in ("mean", "real"):
        fx.png(root / "CroppedImages" / f"other_{side}.png", fx.photo(80, 80, 5))
    with pytest.raises(DataError, match="other is not the name of a pair"):
        open_pairs.prepare("polyu", root, tmp_path / "o", allow_partial=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["r"]
