"""The profiler: counted work, interleaved timing, failures that stay local, and the files it leaves."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.core.environment import peak_mib
from benchmarks.profiling import profiler
from benchmarks.profiling.arms import Case, make_network
from benchmarks.profiling.parts import counted, part_modules
from benchmarks.profiling.quality import differences, flops_per_pixel, on_meta
from benchmarks.profiling.timing import race, spread
from senm.support.errors import MachineError, UsageError

CPU = torch.device("cpu")
TINY = Case("senm", "smoke", 1, 16)


def test_flops_a_pixel_of_the_paper_network() -> None:
    work = flops_per_pixel(Case("senm", "authors"))
    assert work["plain"] == pytest.approx(9.42e6, rel=0.01)
    assert 0.85 < work["executed"] / work["plain"] < 0.95


@pytest.mark.parametrize("model", ["senm", "paired"])
def test_parts_hold_all_convolutions(model: str) -> None:
    network, call = on_meta(Case(model, "smoke", 1, 16), plain=False)
    counter = counted(network, call)
    total = sum(counter.flops.values())
    assert counter.flops[(-1, "rest")] < 0.001 * total
    assert {layer for layer, _ in counter.flops} - {-1} == set(range(network.settings.layers))
    assert all(counter.bytes[key] > 0 for key in counter.flops)


def test_every_module_belongs_to_one_part() -> None:
    network = make_network(TINY)
    modules = [id(module) for found in part_modules(network).values() for module in found]
    assert len(modules) == len(set(modules))
    covered = {id(p) for found in part_modules(network).values() for module in found for p in module.parameters()}
    assert covered == {id(p) for p in network.parameters()}


def test_race_keeps_a_failing_arm_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(10_000))
    ticks = {"slow": 7, "fast": 0}

    def arm(name: str) -> None:
        for _ in range(ticks[name]):
            next(clock)

    def broken() -> None:
        raise RuntimeError("no such kernel\nand more")

    arms = {"slow": lambda: arm("slow"), "broken": broken, "fast": lambda: arm("fast")}
    found = race(arms, CPU, rounds=5, clock=lambda: float(next(clock)))
    assert found["fast"]["speedup"] == 8 and found["slow"]["speedup"] == 1
    assert found["broken"] == {"status": "failed", "reason": "RuntimeError: no such kernel"}
    assert list(found) == ["slow", "broken", "fast"]


def test_spread_of_few_values() -> None:
    assert spread([3.0]) == {"seconds": 3.0, "q25": 3.0, "q75": 3.0, "rounds": 1}
    assert spread([1.0, 2.0, 3.0, 4.0, 50.0])["seconds"] == 3.0


def test_differences_name_what_an_arm_costs() -> None:
    found = differences(["plain float32", "fast float32", "fast bf16"], TINY, CPU)
    assert found["plain float32"]["max_difference"] < 1e-5 and found["fast float32"]["changed_8bit"] == 0
    assert found["fast bf16"]["max_difference"] > 1e-4 and found["fast bf16"]["psnr_to_float32"] > 30
    assert "semi-supervised" in differences(["plain float32"], Case("paired", "smoke", 1, 16), CPU)["plain float32"][
        "quality"]


@pytest.mark.parametrize("model", ["senm", "paired"])
def test_record_tables_and_plots(model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                 capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(profiler, "CPU_SIZES", {"smoke": (1, 16, 8)})
    monkeypatch.setattr("benchmarks.profiling.timing.peaks", lambda device: {"conv_float32": 0.1})
    monkeypatch.setattr(profiler.Session, "memory", lambda self: [])
    arguments = ["--model", model, "--scale", "smoke", "--rounds", "1", "--out", str(tmp_path)]
    assert profiler.main(arguments) == 0
    record = json.loads((tmp_path / "profile.json").read_text())
    assert record["failures"] == [] and record["provenance"]["versions"]["torch"]
    assert {row["status"] for row in record["arms"]} == {"ok"}
    fast = record["arms"][-1]
    assert fast["images_per_s"] == pytest.approx(1 / fast["seconds"])
    assert fast["utilisation"] == pytest.approx(record["mflop_per_pixel"]["executed"] * 256e-6 / fast["seconds"] / 0.1)
    assert all(0 <= row["share"] < 1 for row in record["parts"])
    assert {row["part"] for row in record["parts"]} >= {"encoder", "decoder", "output"}
    assert len(record["training"]) == (2 if model == "senm" else 0)
    assert {"arms.csv", "parts.csv", "roofline.png", "arms.png"} <= {path.name for path in tmp_path.iterdir()}
    assert "fast float32" in capsys.readouterr().out


def test_the_memory_of_a_process_is_its_own() -> None:
    held = np.ones(64 * 2**20, np.float32)  # 256 MiB that the child must not count
    code = "from benchmarks.core.environment import peak_mib; print(peak_mib())"
    child = float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
    assert held.nbytes / 2**20 < peak_mib() and 5 < child < 200


def test_a_part_that_fails_is_recorded_and_the_rest_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: profiler.Session) -> None:
        raise RuntimeError("out of luck")

    for part in ("arms", "parts", "memory"):
        monkeypatch.setattr(profiler.Session, part, broken)
    monkeypatch.setattr(profiler.Session, "training", lambda self: [])
    monkeypatch.setattr("benchmarks.profiling.timing.peaks", lambda device: {})
    assert profiler.main(["--scale", "smoke", "--out", str(tmp_path)]) == 0
    record = json.loads((tmp_path / "profile.json").read_text())
    assert [item["name"] for item in record["failures"]] == ["arms", "parts", "memory"]
    assert record["failures"][0]["reason"] == "RuntimeError: out of luck"


def test_wrong_use_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(MachineError, match="no CUDA device"):
        profiler.main(["--device", "cuda", "--out", str(tmp_path)])
    with pytest.raises(UsageError):
        profiler.main(["--modle", "senm"])
    with pytest.raises(UsageError, match="did you mean 'deflow'"):
        profiler.main(["--model", "deflo", "--out", str(tmp_path)])


def test_another_noise_model_is_profiled_in_brief(tmp_path, capsys):
    assert profiler.main(["--model", "gaussian", "--scale", "smoke", "--out", str(tmp_path)]) == 0
    assert "Mpixel/s" in capsys.readouterr().out
    (rate,) = json.loads((tmp_path / "costs.json").read_text())["rates"]
    assert (rate["kind"], rate["system"]) == ("sample", "gaussian") and rate["memory_mib"] > 0
