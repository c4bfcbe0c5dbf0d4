"""The prepare command: options, what it prints, and that nothing is fetched or written unasked."""

import json

import pytest

from benchmarks import run
from benchmarks.data import download as downloads
from benchmarks.data import prepare as command
from benchmarks.data import published
from benchmarks.data.datasets import load, parse
from benchmarks.data.published import Published
from benchmarks.store.store import Store
from senm.data.prepared import PreparedData
from senm.support.errors import DataError, UsageError
from senm.support.progress import NullProgress
from tests import fixtures_official as fx


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    root = tmp_path_factory.mktemp("sidd")
    return fx.sidd_mats(fx.sidd_medium(root, size=(280, 300)), images=2, count=4, size=64)


def main(*arguments):
    return run.main(["prepare", *(str(a) for a in arguments)])


def test_sidd_from_the_command_line(tree, tmp_path, capfd):
    out = tmp_path / "o"
    code = main("sidd", "--root", tree, "--out", out, "--crops", 4, "--workers", 1, "--split-rule", "by-photo",
                "--allow-partial")
    printed = capfd.readouterr()
    assert code == 0 and printed.out.strip() == str(out)
    assert "by-photo" in printed.err and f"--data sidd:{out}" in printed.err
    data = PreparedData.open(out)
    assert data.split_rule == "by-photo" and data.pairs("train").clean[0].shape == (256, 256, 3)
    assert len(data.pairs("train")) == 24


def test_json_says_what_was_prepared(tree, tmp_path, capfd):
    assert main("sidd", "--root", tree, "--out", tmp_path / "o", "--crops", 2, "--seed", 3, "--allow-partial", "--json",
                "--workers", 1) == 0
    found = json.loads(capfd.readouterr().out)
    assert found["items"] == {"train": 12, "validation": 8, "benchmark": 8}
    assert found["fingerprint"] == PreparedData.open(tmp_path / "o").fingerprint


@pytest.mark.parametrize(("option", "values"), [("--seed", (0, 1)), ("--crops", (2, 3)),
                                                ("--split-rule", ("authors", "by-photo"))])
def test_every_option_changes_the_result(tree, tmp_path, option, values):
    prints = []
    for value in values:
        main("sidd", "--root", tree, "--out", tmp_path / str(value), "--allow-partial", "--workers", 1,
             *(() if option == "--crops" else ("--crops", 2)), option, value)
        prints.append(PreparedData.open(tmp_path / str(value)).fingerprint)
    assert prints[0] != prints[1]


@pytest.mark.parametrize(("arguments", "code", "message"), [
    (["sidd", "--root", "TREE"], 3, "6 of 320 pairs"),
    (["siddd", "--root", "TREE"], 2, "did you mean 'sidd'"),
    (["sidd"], 2, "without --root"),
    (["dnd", "--download"], 2, "noise.visinf"),
    (["sidd", "--root", "TREE", "--allow-partial", "--split-rule", "photo"], 2, "by-photo"),
    (["sidd", "--root", "TREE", "--suffixes", "_a,_b"], 2, "of the kind folder"),
    (["sidd", "--crops", "0"], 2, "--crops"),
])
def test_wrong_use_is_one_sentence(tree, tmp_path, capfd, arguments, code, message):
    given = [str(tree) if a == "TREE" else a for a in arguments]
    assert main(*given, "--out", tmp_path / "o", "--workers", 1) == code
    printed = capfd.readouterr()
    assert message in printed.err and "Traceback" not in printed.err and printed.out == ""
    assert not list(tmp_path.iterdir())


def test_download_fetches_into_the_root_first(tmp_path, monkeypatch):
    source = fx.rwsr(tmp_path / "server", "ntire20", zipped=True)
    fetched = []

    def fetch(published: Published, into, progress):
        into.mkdir(parents=True, exist_ok=True)
        fetched.append(published.url)
        (into / published.name).write_bytes((source / published.name).read_bytes())

    monkeypatch.setattr(downloads, "fetch", fetch)
    out = command.prepare("ntire20", tmp_path / "new", tmp_path / "o", download=True, allow_partial=True, workers=1)
    assert len(fetched) == 4 and len(PreparedData.open(out).images("validation", "high")) == 2


def test_archives_of_known_checksum_are_compared_with_it(tmp_path, monkeypatch):
    (tmp_path / "SIDD_Medium_Srgb.zip").write_bytes(b"12345")
    for hash, right in (("md5:827ccb0eea8a706c4c34a16891f84e7b", True), ("md5:" + "0" * 32, False)):
        monkeypatch.setitem(published.FILES, "sidd", (Published("SIDD_Medium_Srgb.zip", "", 5, hash),))
        if right:
            command.check_known("sidd", tmp_path, NullProgress())
        else:
            with pytest.raises(DataError, match="827ccb0e"):
                command.check_known("sidd", tmp_path, NullProgress())


def test_nothing_is_fetched_unless_asked(tree, tmp_path, monkeypatch):
    monkeypatch.setattr(downloads, "fetch", lambda *_: pytest.fail("fetched"))
    command.prepare("sidd", tree, tmp_path / "o", crops=2, allow_partial=True, workers=1)
    with pytest.raises(UsageError, match="does not exist"):
        command.prepare("sidd", tmp_path / "none", tmp_path / "p")


def test_tables_take_an_official_folder_as_it_is(tree, tmp_path):
    data = load(parse(f"sidd:{tree}"), "smoke", "noise", Store(tmp_path / "store"), NullProgress())
    assert data.counts["train"] == 96 and data.counts["validation"] == 8 and data.counts["benchmark"] == 8
    assert data.paired_counts == {10: 10, 96: 96, 960: 96}
