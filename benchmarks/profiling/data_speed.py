"""`python -m benchmarks.profiling.data_speed`: crops a second by kind of storage, and memory.

All kinds of storage hold the same crops and are measured in one run, so their ratios are comparable. The record is
printed as JSON on stdout.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from benchmarks.core.options import ROOT

SIZE, CROP, BATCH = 256, 64, 256
Measure = Callable[[Path, float, int], float]


def textured(count: int, height: int, width: int, seed: int) -> np.ndarray:
    """Smooth pictures with noise, uint8 (count, height, width, 3): about as hard for PNG as photographs are."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    out = np.empty((count, height, width, 3), np.uint8)
    for i in range(count):
        a, b = rng.uniform(0.01, 0.1, 2)
        base = 120 + 60 * np.sin(a * x + b * y)
        for c in range(3):
            out[i, :, :, c] = np.clip(base + rng.normal(0, 6, (height, width)), 0, 255)
    return out


def make(folder: Path, count: int) -> None:
    """The same crops as a memory-mapped array, as chunked HDF5 and as PNG files."""
    import h5py

    from senm.data.images import write_png

    crops = textured(count, SIZE, SIZE, 0)
    np.save(folder / "pool.npy", crops)
    with h5py.File(folder / "pool.h5", "w") as file:
        file.create_dataset("plain", data=crops, chunks=(1, CROP, CROP, 3))
        file.create_dataset("gzip", data=crops[: count // 4], chunks=(1, CROP, CROP, 3), compression="gzip",
                            compression_opts=1)
    (folder / "png").mkdir()
    for i in range(min(count, 200)):
        write_png(folder / "png" / f"{i}.png", crops[i])


def memory_map(folder: Path, seconds: float, seed: int) -> float:
    """Crops a second from the memory map, a batch at a time, as training draws them."""
    from senm.data.crops import CropReader
    from senm.data.pool import ArrayImages

    array = np.load(folder / "pool.npy", mmap_mode="r")
    reader = CropReader(ArrayImages(array, [str(i) for i in range(len(array))]), CROP)
    rng = np.random.default_rng(seed)
    return _rate(lambda: len(reader.read(reader.draw(rng, BATCH))), seconds)


def _hdf5(name: str) -> Measure:
    def measure(folder: Path, seconds: float, seed: int) -> float:
        import h5py

        rng = np.random.default_rng(seed)
        with h5py.File(folder / "pool.h5", "r") as file:
            pool = file[name]

            def one() -> int:
                i, (r, c) = rng.integers(len(pool)), rng.integers(0, SIZE - CROP + 1, 2)
                return len(pool[i : i + 1, r : r + CROP, c : c + CROP])

            return _rate(one, seconds)

    return measure


def png_files(folder: Path, seconds: float, seed: int) -> float:
    """Crops a second where each crop decodes its PNG file."""
    from senm.data.images import read_rgb

    paths, rng = sorted((folder / "png").iterdir()), np.random.default_rng(seed)

    def one() -> int:
        image = read_rgb(paths[rng.integers(len(paths))])
        r, c = rng.integers(0, SIZE - CROP + 1, 2)
        return len(np.ascontiguousarray(image[r : r + CROP, c : c + CROP])[None])

    return _rate(one, seconds)


def hdf5_plain(folder: Path, seconds: float, seed: int) -> float:
    """Crops a second from HDF5 in chunks of 64 x 64, not compressed."""
    return _hdf5("plain")(folder, seconds, seed)


def hdf5_gzip(folder: Path, seconds: float, seed: int) -> float:
    """Crops a second from HDF5 in chunks of 64 x 64, compressed."""
    return _hdf5("gzip")(folder, seconds, seed)


ARMS: dict[str, Measure] = {"memory map": memory_map, "hdf5 chunks": hdf5_plain, "hdf5 chunks, gzip": hdf5_gzip,
                            "png files": png_files}


def _rate(work: Callable[[], int], seconds: float) -> float:
    work()
    count, start = 0, time.perf_counter()
    while (spent := time.perf_counter() - start) < seconds:
        count += work()
    return count / spent


def crop_rates(count: int, seconds: float, processes: int, repeats: int = 3) -> dict[str, Any]:
    """Median crops a second of every kind of storage, all processes together, arms in turn."""
    with tempfile.TemporaryDirectory() as tmp:
        make(Path(tmp), count)
        rates: dict[str, list[float]] = {name: [] for name in ARMS}
        with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
            for _ in range(repeats):
                for name, measure in ARMS.items():
                    parts = [pool.submit(measure, Path(tmp), seconds, seed) for seed in range(processes)]
                    rates[name].append(sum(part.result() for part in parts))
    middle = {name: float(np.median(values)) for name, values in rates.items()}
    return {"processes": processes, "pool_mib": round(count * SIZE * SIZE * 3 / 2**20), "crops_per_second": middle,
            "spread": {name: [min(values), max(values)] for name, values in rates.items()},
            "memory map over png files": middle["memory map"] / middle["png files"]}


def prepare_memory(scenes: int, workers: int) -> dict[str, Any]:
    """Peak memory of preparing SIDD from 3000 x 4000 photographs and blocks of the official number and size.

    Memory is the sum of resident sizes over the process and its workers, sampled every 20 ms: pages that they share
    are counted more than once, so the figure is an upper bound.
    """
    import psutil

    with tempfile.TemporaryDirectory() as tmp:
        root, out = Path(tmp) / "root", Path(tmp) / "out"
        _large_tree(root, scenes)
        start, peak = time.perf_counter(), 0
        child = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.run", "prepare", "sidd", "--root", str(root), "--out", str(out),
             "--allow-partial", "--workers", str(workers)], cwd=ROOT, stdout=subprocess.DEVNULL)
        watched = psutil.Process(child.pid)
        while child.poll() is None:
            total = 0
            try:
                for process in (watched, *watched.children(recursive=True)):
                    total += process.memory_info().rss
            except psutil.NoSuchProcess:
                continue
            finally:
                peak = max(peak, total)
            time.sleep(0.02)
        if child.returncode:
            raise SystemExit(child.returncode)
        return {"photographs": 4 * scenes, "megapixels": 12, "workers": workers, "peak_gib": peak / 2**30,
                "seconds": time.perf_counter() - start}


def _large_tree(root: Path, scenes: int) -> None:
    from scipy.io import savemat

    from senm.data.images import write_png

    for i in range(scenes):
        folder = root / "SIDD_Medium_Srgb" / "Data" / f"{i + 1:04d}_001_S6_00100_00060_3200_L"
        folder.mkdir(parents=True)
        for shot in (10, 11):
            for k, side in enumerate(("GT", "NOISY")):
                image = textured(1, 3000, 4000, 100 * i + 2 * shot + k)[0]
                write_png(folder / f"{i + 1:04d}_{side}_SRGB_{shot:03d}.PNG", image)
    clean = np.tile(textured(32, 256, 256, 7)[None], (40, 1, 1, 1, 1)) // 2
    for i in range(40):
        clean[i] += np.uint8(i)
    savemat(root / "ValidationGtBlocksSrgb.mat", {"ValidationGtBlocksSrgb": clean}, do_compression=True)
    noise = np.random.default_rng(1).integers(0, 30, clean.shape, dtype=np.uint8)
    clean += noise
    savemat(root / "ValidationNoisyBlocksSrgb.mat", {"ValidationNoisyBlocksSrgb": clean}, do_compression=True)
    savemat(root / "BenchmarkNoisyBlocksSrgb.mat", {"BenchmarkNoisyBlocksSrgb": 255 - clean}, do_compression=True)


def command(
    crops: Annotated[int, typer.Option(min=8, help="Crops of 256 x 256 in each kind of storage.")] = 2000,
    seconds: Annotated[float, typer.Option(help="Seconds an arm.")] = 2.0,
    processes: Annotated[int, typer.Option(min=1, help="Processes, for crops and for preparation.")] = 2,
    scenes: Annotated[int, typer.Option(min=0, help="Scenes of four 12-megapixel images to prepare; 0: none.")] = 2,
) -> None:
    """Measure crop storage against per-crop PNG decoding, and the memory that preparation takes."""
    record: dict[str, Any] = {"crops": crop_rates(crops, seconds, processes)}
    if scenes:
        record["prepare"] = prepare_memory(scenes, processes)
    print(json.dumps(record, indent=1))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command on these arguments."""
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command()(command)
    program = typer.main.get_command(app)
    return int(program.main(args=None if arguments is None else list(arguments),
                            prog_name="python -m benchmarks.profiling.data_speed",
                            standalone_mode=False) or 0)


if __name__ == "__main__":
    sys.exit(main())
