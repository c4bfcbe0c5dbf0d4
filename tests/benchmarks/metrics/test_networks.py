"""FID and LPIPS: the parts that need no published trunk, the published heads, and what happens without weights."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from benchmarks.metrics import METRICS, Unavailable, fid, lpips
from benchmarks.metrics.random_features import WINDOW, random_features
from benchmarks.metrics.weights import PUBLISHED, check
from senm.support.errors import CheckpointError, DataError, MachineError
from tests import DATA

VECTORS = {v["id"]: v for v in json.loads((DATA / "metric_vectors.json").read_text())["vectors"]}


@pytest.fixture(scope="module")
def arrays() -> dict[str, np.ndarray]:
    with np.load(DATA / "metric_vectors.npz") as data:
        return dict(data)


@pytest.fixture
def no_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without any published weights."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("SENM_WEIGHTS", str(tmp_path / "weights"))
    return tmp_path / "weights"


@pytest.mark.parametrize(
    ("name", "a", "b"),
    [
        ("frechet_ab", "feat_a", "feat_b"),
        ("frechet_ba", "feat_b", "feat_a"),
        ("frechet_aa", "feat_a", "feat_a"),
        ("frechet_cd_rank_deficient", "feat_c", "feat_d"),
        ("frechet_ab_float64", "feat_a", "feat_b"),
    ],
)
def test_frechet_vectors(name: str, a: str, b: str, arrays: dict[str, np.ndarray]) -> None:
    found = fid.frechet(fid.statistics(arrays[a]), fid.statistics(arrays[b]))
    assert found == pytest.approx(VECTORS[name]["values"][0], abs=VECTORS[name]["suggested_tolerance"])


def test_frechet_closed_form() -> None:
    mean, spread = np.array([1.0, 2.0, 3.0]), np.array([4.0, 9.0, 16.0])
    a, b = fid.Statistics(np.zeros(3), np.eye(3), 2), fid.Statistics(mean, np.diag(spread**0.5), 2)
    assert fid.frechet(a, b) == pytest.approx(14 + (1 + 4 + 9), abs=1e-12)


def test_statistics_are_kept_and_found_again(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    calls: list[int] = []

    def extract(images: object) -> np.ndarray:
        calls.append(1)
        return arrays["feat_a"]

    first = fid.cached_statistics(arrays["real"], extract, "one", tmp_path)
    again = fid.cached_statistics(arrays["real"].copy(), extract, "one", tmp_path)
    assert len(calls) == 1 and again.images == 4
    np.testing.assert_array_equal(first.covariance, again.covariance)
    changed = arrays["real"].copy()
    changed[0, 0, 0, 0] ^= 1
    fid.cached_statistics(changed, extract, "one", tmp_path)
    fid.cached_statistics(arrays["real"], extract, "two", tmp_path)
    assert len(calls) == 3 and len(list(tmp_path.iterdir())) == 3


def test_frechet_of_too_little_is_an_error(arrays: dict[str, np.ndarray]) -> None:
    with pytest.raises(DataError, match="at least 2"):
        METRICS["fd_random"](generated=arrays["fake"][:1], real=arrays["real"][:1])
    with pytest.raises(DataError, match="not finite"):
        fid.statistics(np.array([[1.0], [np.nan]]))
    with pytest.raises(DataError, match="one feature extractor"):
        fid.frechet(fid.statistics(arrays["feat_a"]), fid.statistics(arrays["feat_c"]))


def test_random_features_are_fixed(arrays: dict[str, np.ndarray]) -> None:
    features = random_features(arrays["real"])
    assert features.shape == (4 * (64 // WINDOW) ** 2, 72)
    # a changed number here changes every fd_random ever recorded: raise VERSION with it
    found = METRICS["fd_random"](generated=arrays["fake"], real=arrays["real"])
    assert found == pytest.approx(11.572457294214, rel=1e-9)
    np.testing.assert_allclose(random_features(arrays["real"][2:3]), features[8:12], rtol=1e-12)


def test_random_features_take_any_size(arrays: dict[str, np.ndarray]) -> None:
    image = np.tile(arrays["real"][0], (2, 2, 1))
    for height, width, windows in [(20, 45, 1), (63, 33, 1), (97, 64, 6)]:
        assert random_features([image[:height, :width]]).shape == (windows, 72)


@pytest.mark.parametrize("name", ["fid", "lpips_alex"])
def test_missing_weights_name_the_command(name: str, no_weights: Path, arrays: dict[str, np.ndarray]) -> None:
    metric = METRICS[name]
    published = PUBLISHED[metric.weights[0]]
    with pytest.raises(Unavailable, match=f"curl -L .*{published.file}"):
        metric(arrays["clean"], arrays["real"])
    assert published.url in metric.missing() and str(no_weights) in metric.missing()
    no_weights.mkdir()
    (no_weights / published.file).write_bytes(b"truncated")
    assert metric.missing() == ""
    with pytest.raises(CheckpointError, match="sha256"):
        metric(arrays["clean"], arrays["real"])
    assert issubclass(Unavailable, MachineError)


def test_a_replaced_file_is_hashed_again(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(b"")
    assert check(path, "e3b0c442") == path
    path.write_bytes(b"other")
    with pytest.raises(CheckpointError, match="e3b0c442"):
        check(path, "e3b0c442")


@pytest.fixture(scope="module")
def random_inception(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of an untrained InceptionV3 in the published layout."""
    from torch_fidelity import feature_extractor_inceptionv3 as module

    torch.manual_seed(0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "load_state_dict_from_url", lambda *_, **__: {})
        patch.setattr(module.FeatureExtractorInceptionV3, "load_state_dict", lambda *_: None)
        network = module.FeatureExtractorInceptionV3("random", ["2048"])
    path: Path = tmp_path_factory.mktemp("inception") / PUBLISHED["inception"].file
    torch.save(network.state_dict(), path)
    return path


def test_fid_runs_whole(random_inception: Path, tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    from benchmarks.metrics.fid import _inception

    network, seen = _inception(random_inception, "cpu", "float32"), []
    hook = network.Conv2d_1a_3x3.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    clean = fid.inception_features(arrays["clean"], path=random_inception, sha256="")
    hook.remove()
    vector = VECTORS["inception_input_mean"]
    np.testing.assert_allclose(seen[0].mean((1, 2, 3)), vector["values"], atol=vector["suggested_tolerance"])
    np.testing.assert_allclose(seen[0][:1, :, :8, -8:], arrays["inception_input"], atol=1e-5)
    ragged = [arrays["clean"][0], arrays["clean"][1, :48], arrays["clean"][2]]
    mixed = fid.inception_features(ragged, path=random_inception, sha256="")
    np.testing.assert_allclose(mixed[[0, 2]], clean[[0, 2]], atol=1e-4)
    assert clean.shape == (4, 2048) and not np.allclose(mixed[1], clean[1])


def test_lpips_heads(arrays: dict[str, np.ndarray]) -> None:
    network = lpips.untrained_trunk()
    trunk = SimpleNamespace(forward=lambda x: [arrays_of(arrays, int(x.mean() > 0), layer) for layer in range(5)])
    object.__setattr__(network, "_modules", {k: v for k, v in network._modules.items() if k != "net"})
    network.__dict__["net"] = trunk
    low, high = torch.full((1, 3, 8, 8), -1.0), torch.full((1, 3, 8, 8), 1.0)
    with torch.no_grad():
        total, layers = network(low, high, retPerLayer=True)
    assert float(total) == pytest.approx(VECTORS["lpips_head_total"]["values"][0], abs=1e-6)
    np.testing.assert_allclose([float(v) for v in layers], VECTORS["lpips_head_layers"]["values"], atol=1e-6)


def arrays_of(arrays: dict[str, np.ndarray], image: int, layer: int) -> torch.Tensor:
    return torch.from_numpy(arrays[f"lpips_feat{image}_{layer}"])


def test_lpips_input_scaling(arrays: dict[str, np.ndarray]) -> None:
    network = lpips.untrained_trunk()
    scaled = network.scaling_layer(lpips.to_input(arrays["clean"][0], "cpu"))
    vector = VECTORS["lpips_scaling_mean"]
    np.testing.assert_allclose(scaled.mean((0, 2, 3)), vector["values"], atol=vector["suggested_tolerance"])


def test_lpips_with_torchvisions_layout(monkeypatch: pytest.MonkeyPatch, no_weights: Path) -> None:
    from torchvision.models import alexnet

    torch.manual_seed(0)
    trunk, published = alexnet(weights=None), PUBLISHED["alexnet"]
    no_weights.mkdir()
    torch.save(trunk.state_dict(), no_weights / published.file)
    monkeypatch.setitem(PUBLISHED, "alexnet", type(published)(published.file, published.url, "", "LPIPS"))
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (2, 64, 64, 3), np.uint8)
    near = np.clip(images.astype(int) + 2, 0, 255).astype(np.uint8)
    metric = METRICS["lpips_alex"]
    assert metric(images, images) == 0
    assert 0 < metric(images, near) < metric(images, images[::-1])
    network = lpips._network(published.where(None) or Path(), "cpu")
    taps = network.net.forward(torch.ones(1, 3, 64, 64))
    torch.testing.assert_close(taps[4], trunk.features[:12](torch.ones(1, 3, 64, 64)))
