"""Whole files with some bytes changed, cut or put in, through every reader: a sentence or a result, no other error."""

from __future__ import annotations

import io
import json
import os
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import save
from scipy.io import savemat

from benchmarks.core.record import EvaluationRecord, TableResult, read
from benchmarks.judging.differences import load
from benchmarks.report.strips import load_strip, save_strip
from benchmarks.servers.scores import read_scores
from benchmarks.store import artefact
from senm.checkpoint import read_state_dict
from senm.config import SMOKE
from senm.data.formats.archives import extract
from senm.data.formats.matfiles import read_array
from senm.data.images import read_rgb
from senm.sampling.trained import read_json
from senm.support.errors import SenmError
from tests.benchmarks.report.test_text import RESULT

EXAMPLES = 15 * int(os.environ.get("SENM_FUZZ", "1"))
PHOTO = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)


def picture(form: str) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(PHOTO).save(stream, form)
    return stream.getvalue()


def mat5() -> bytes:
    stream = io.BytesIO()
    savemat(stream, {"x": PHOTO}, do_compression=True)
    return stream.getvalue()


def mat7() -> bytes:
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        file.create_dataset("x", data=PHOTO, compression="gzip")
    return stream.getvalue()


def zipped() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a/x.png", b"some bytes" * 20)
        file.writestr("y.png", b"")
    return stream.getvalue()


def pickled() -> bytes:
    stream = io.BytesIO()
    torch.save({"a.weight": torch.ones(3, 4)}, stream)
    return stream.getvalue()


def strip() -> bytes:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        _, name = save_strip(folder, "noise", "x", {"clean": PHOTO, "noisy": PHOTO})
        return (Path(folder) / name).read_bytes()


RECORD = {"kind": "noise", "system": "s", "data": "d", "scale": "smoke", "seed": 0, "measurements": [
    {"metric": "psnr_rgb_uint8", "value": 1.5, "split": "validation", "images": 2, "per_image": {"a": 1.0, "b": 2.0}}]}
SCORES = [{"table": "t", "row": "r", "column": "c", "value": 1.0, "date": "2026-01-01", "source": "s"}]

READERS: dict[str, tuple[str, Callable[[], bytes], Callable[[Path], object]]] = {
    "png": ("x.png", lambda: picture("PNG"), read_rgb),
    "jpeg": ("x.jpg", lambda: picture("JPEG"), read_rgb),
    "bmp": ("x.bmp", lambda: picture("BMP"), read_rgb),
    "tiff": ("x.tif", lambda: picture("TIFF"), read_rgb),
    "matlab 5": ("x.mat", mat5, lambda path: read_array(path, "x")),
    "matlab 7.3": ("x.mat", mat7, lambda path: read_array(path, "x")),
    "zip": ("x.zip", zipped, lambda path: extract(path, path.parent / "into")),
    "pickle": ("x.pth", pickled, read_state_dict),
    "safetensors": ("x.safetensors", lambda: save({"a": torch.ones(3)}), read_state_dict),
    "record": ("r.json", lambda: json.dumps(RECORD).encode(), lambda path: read(path, EvaluationRecord)),
    "table": ("t.json", lambda: RESULT.model_dump_json().encode(), lambda path: read(path, TableResult)),
    "run": ("t.json", lambda: RESULT.model_dump_json().encode(), load),
    "scores": ("s.json", lambda: json.dumps(SCORES).encode(), read_scores),
    "strip": ("s.npz", strip, load_strip),
    "settings": ("settings.json", lambda: SMOKE.model_dump_json().encode(),
                 lambda path: read_json(path.parent, path.name)),
    "levels": ("levels.json", lambda: b"[0.1, 0.25]", lambda path: read_json(path.parent, path.name)),
    "manifest": (artefact.MANIFEST, lambda: b'{"format": 1, "files": {"a": {}}, "seal": "0"}',
                 lambda path: artefact.manifest(path.parent)),
}


@st.composite
def damage(draw: st.DrawFn) -> Callable[[bytes], bytes]:
    """Some edits of a file: bytes changed, a piece cut out, a piece put in."""
    edits = draw(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 16), st.binary(max_size=16)), max_size=4))

    def apply(data: bytes) -> bytes:
        for place, cut, piece in edits:
            at = int(place * len(data))
            data = data[:at] + piece + data[at + cut :]
        return data

    return apply


@pytest.mark.parametrize("kind", READERS)
def test_a_damaged_file_is_a_sentence(tmp_path_factory: pytest.TempPathFactory, kind: str) -> None:
    name, make, reader = READERS[kind]
    whole, folder = make(), tmp_path_factory.mktemp("fuzz")

    @settings(max_examples=EXAMPLES, deadline=None, database=None, derandomize=EXAMPLES == 15,
              suppress_health_check=list(HealthCheck))
    @given(damage())
    def check(apply: Callable[[bytes], bytes]) -> None:
        place = folder / "in"
        place.mkdir(exist_ok=True)
        (place / name).write_bytes(apply(whole))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                reader(place / name)
            except SenmError as error:
                assert str(error)
        assert {path.name for path in folder.iterdir()} == {"in"}, "something was written outside"

    check()
