"""README and docs say what is so: commands are run or listed with a reason, blocks run, links exist, tables agree."""

from __future__ import annotations

import doctest
import importlib
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from senm.data.images import write_png
from tests import ROOT
from tests.docs.systems_table import markdown

PAGES = [ROOT / "README.md", ROOT / "results" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TEXTS = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in PAGES}
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
COMMAND = re.compile(r"(?:[A-Z_]+=\S+ )?"
                     r"(?:python -m (?:senm|benchmarks|ci)[\w.]*|pytest|pip install|docker image|docker run)"
                     r"\b[^`\n#]*")
TRAIN, SAMPLE, DENOISE = "python -m senm train", "python -m senm sample", "python -m senm denoise"
RUN_HERE = (TRAIN, SAMPLE, DENOISE, "python -m benchmarks.run list",
            "python -m benchmarks.run presets", "python -m senm models")
# What a test of this file does not run: pattern -> why, or which test runs it.
NOT_RUN = {
    r"pip install|^pytest": "installs, measures for minutes or starts these tests; .ci/run does so afresh",
    r"--container|^docker": "a container engine; tests/benchmarks/container runs it with a scripted one",
    r"--device cuda": "a GPU",
    r"--scale paper": "a GPU and the official data",
    r"benchmarks\.run (table\d|all)\b": "time; tests/benchmarks/cli runs tables at smoke scale",
    r"benchmarks\.run prepare": "official data; tests/benchmarks/cli/test_prepare.py runs it on small copies",
    r"benchmarks\.run doctor": "looks at the machine; tests/benchmarks/cli/test_doctor.py runs it",
    r"benchmarks\.run profile": "time; tests/benchmarks/profiling runs it",
    r"benchmarks\.run denoise": "time; tests/baselines/test_own_images.py runs every system",
    r"benchmarks\.run plan": "tests/benchmarks/cli plans, also all at paper scale without data",
    r"benchmarks\.run (store|throughput|gpu-day)|benchmarks\.run$": "tests/benchmarks/cli, or a name to fill in",
    r"benchmarks\.profiling\.study": "time; tests/benchmarks/profiling/test_study.py runs what it is made of",
    r"benchmarks\.profiling\.data_speed": "time; a measurement",
    r"benchmarks\.run slurm": "tests/benchmarks/cluster/test_slurm.py prints jobs and runs them with a scripted Slurm",
    r"benchmarks\.run weights": "downloads; tests/baselines/published/test_contents.py runs it on made-up ones",
    r"senm export": "needs a model of one's own; tests/senm/test_models.py exports one",
    r"^python -m ci": "time; tests/ci run what these commands are made of",
    r"tests\.bad_inputs": "tests/benchmarks/cli/test_bad_inputs.py",
    r"^python -m (senm|benchmarks)$": "the name of a command line, not a command",
}


def blocks(page: str, *languages: str) -> list[str]:
    return [text for language, text in FENCE.findall(TEXTS[page]) if language in languages]


def commands() -> list[tuple[str, str]]:
    """(page, command) of every command in a shell block, an indented block or between backticks."""
    return [(page, re.sub(r"\s+", " ", found).strip(" &;,.")) for page, text in TEXTS.items()
            for found in COMMAND.findall(text) if "<" not in found]


@pytest.mark.parametrize("page", TEXTS)
def test_every_relative_link_exists(page: str) -> None:
    links = re.findall(r"\]\(([^)#\s]+)", TEXTS[page])
    missing = [link for link in links if "://" not in link and not ((ROOT / page).parent / link).exists()]
    assert missing == []


@pytest.mark.parametrize("page", TEXTS)
def test_tests_that_are_named_exist(page: str) -> None:
    named = re.findall(r"`(?:tests/)?([\w/]+\.py)::(test_\w+)", TEXTS[page])
    missing = [(file, name) for file, name in named
               if not (path := ROOT / "tests" / file).is_file() or f"def {name}(" not in path.read_text()]
    assert missing == []


@pytest.mark.parametrize("page", TEXTS)
def test_no_path_of_a_machine_is_in_a_page(page: str) -> None:
    assert re.findall(r"(?<![\w.])/(?:home|work|tmp|root|Users)/\S*", TEXTS[page]) == []


@pytest.mark.parametrize("page", TEXTS)
def test_files_that_are_named_exist(page: str) -> None:
    named = re.findall(r"`((?:senm|baselines|benchmarks|ci|tests)/[\w/]+\.py)`", TEXTS[page])
    assert [name for name in named if not (ROOT / name).exists() and "/mine" not in name] == []


@pytest.mark.parametrize(("page", "command"), commands())
def test_every_command_is_run_or_has_a_reason(page: str, command: str) -> None:
    assert command.startswith(RUN_HERE) or any(re.search(pattern, command) for pattern in NOT_RUN), command


def test_every_reason_is_needed() -> None:
    unused = [pattern for pattern in NOT_RUN if not any(re.search(pattern, command) for _, command in commands())]
    assert [p for p in unused if "tests" not in p and "senm|bench" not in p] == []


def options(words: list[str]) -> list[str]:
    return [word.split("=")[0] for word in words if word.startswith("--")]


@pytest.mark.parametrize(("page", "command"), [c for c in commands() if " -m benchmarks.run " in c[1]])
def test_commands_and_options_are_known_to_the_command_line(page: str, command: str) -> None:
    import typer

    from benchmarks.run import app

    words = shlex.split(command.replace("...", ""))
    words = words[words.index("benchmarks.run") + 1:]
    known = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    name = words[0]
    if name.isupper() or name in ("prepare", "doctor", "profile", "throughput", "gpu-day"):
        return
    assert name in known, command
    inner = getattr(known[name], "commands", None)
    found = known[name] if inner is None or len(words) < 2 else inner.get(words[1], known[name])
    accepted = {opt for parameter in found.params for opt in (*parameter.opts, *parameter.secondary_opts)}
    assert set(options(words)) <= accepted, command


def test_the_table_of_systems_is_that_of_the_code() -> None:
    assert markdown() in TEXTS["docs/systems.md"], "python -m tests.docs.systems_table prints the table"


def test_presets_are_printed_with_every_setting(capsys: pytest.CaptureFixture[str]) -> None:
    from benchmarks.run import main

    assert main(["presets"]) == 0
    printed = capsys.readouterr().out
    assert "[short]" in printed and "network.level_scale = 16.0" in printed


def test_dialects_is_what_the_command_prints(capsys: pytest.CaptureFixture[str]) -> None:
    from benchmarks.run import main

    assert main(["presets", "--diff"]) == 0
    assert blocks("docs/dialects.md", "text") == [capsys.readouterr().out]


@pytest.mark.parametrize("module", ["senm.api", "senm.model", "senm.paired", "senm.support.errors",
                                    "senm.support.progress",
                                    "benchmarks.core.options", "benchmarks.cli.store"])
def test_examples_in_docstrings(module: str) -> None:
    assert doctest.testmod(importlib.import_module(module)).failed == 0


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """PAIRS (with suffixes), CLEAN and NOISY, as the pages call them: small photographs."""
    from tests.benchmarks.tiny import noisy, photograph

    folder = tmp_path_factory.mktemp("docs")
    for i in range(3):
        clean = photograph(f"docs-{i}", 64)
        sides = {f"PAIRS/p{i}_mean": clean, f"PAIRS/p{i}_real": noisy(f"p{i}", clean), f"CLEAN/c{i}": clean,
                 f"NOISY/n{i}": noisy(f"n{i}", clean)}
        for name, image in sides.items():
            (folder / name).parent.mkdir(exist_ok=True)
            write_png(folder / f"{name}.png", np.ascontiguousarray(image))
    return folder


def test_the_lines_on_ones_own_photographs(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The README's four commands as written, at the smallest size, then the Python blocks of both pages."""
    from baselines import get
    from senm.__main__ import main

    monkeypatch.chdir(place)
    dncnn = get("dncnn")
    smallest = dncnn.default_settings("smoke")
    monkeypatch.setattr(dncnn, "default_settings", classmethod(lambda cls, scale: smallest))
    lines = [line for block in blocks("README.md", "bash") for line in block.splitlines() if " -m senm " in line]
    assert [line.split()[3] for line in lines] == ["sample", "train", "sample", "denoise"]
    for line in lines:
        words = shlex.split(line)[3:]
        small = ["--preset", "smoke", "--set", "train.iterations=2"] if words[0] == "train" else []
        assert main([*words, *small]) == 0
    assert len(list((place / "synthetic").glob("*.png"))) == len(list((place / "denoised").glob("*.png"))) == 3
    scope = {"clean_images": np.full((1, 48, 48, 3), 128, np.uint8)}
    for block in (*blocks("README.md", "python"), *blocks("docs/use.md", "python")):
        exec(block, scope)
    assert (place / "denoiser" / "model.safetensors").is_file()
    assert getattr(scope["again"], "shape", None) == (2, 64, 96, 3)
