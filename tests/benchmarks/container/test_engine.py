"""Commands in a container: what is passed on, how the engine's answers are read, and a real run where an engine is."""

import dataclasses
import os

import pytest
import typer
from docker.errors import APIError, DockerException, ImageNotFound
from requests import ReadTimeout

from benchmarks.cli.options import with_options
from benchmarks.container import image as container_image
from benchmarks.container import run as container
from benchmarks.container.arguments import APP, RUNS, STORE, Inside, inside
from benchmarks.core.options import ROOT, Options
from senm.support.errors import MachineError, UsageError
from senm.support.progress import NullProgress


class Container:
    """Answers as docker's container object does, from a script."""

    def __init__(self, chunks=(), code=0, oom=False, start=None):
        self.chunks, self.code, self.start_error, self.calls = chunks, code, start, []
        self.attrs = {"State": {"OOMKilled": oom}}

    def attach(self, **_):
        for chunk in self.chunks:
            if isinstance(chunk, BaseException):
                raise chunk
            yield chunk

    def start(self):
        if self.start_error:
            raise self.start_error

    def wait(self, timeout):
        return {"StatusCode": self.code}

    def __getattr__(self, name):
        return lambda **given: self.calls.append((name, given))


class Client:
    """Answers as docker's client does: `images` that are there, build `events`, one container."""

    def __init__(self, there=None, images=(), events=(), security=()):
        self.there, self.known, self.events, self.security = there or Container(), images, events, security
        self.created, self.built = None, None
        self.containers = self.images = self.api = self

    def get(self, tag):
        if tag not in self.known:
            raise ImageNotFound("no such image")

    def build(self, **given):
        self.built = given
        return iter(self.events)

    def info(self):
        return {"SecurityOptions": list(self.security)}

    def create(self, tag, arguments, **given):
        self.created = (tag, arguments, given)
        return self.there


def options(tmp_path, **given):
    return Options(**{"scale": "smoke", "out": tmp_path / "runs", "store": tmp_path / "store", **given})


def parsed(arguments):
    """The options that the project's own command line reads from arguments."""
    found = []
    app = typer.Typer()
    app.command("table1")(with_options(lambda options: found.append(options) or 0))
    app.command("other")(lambda: None)
    typer.main.get_command(app).main(arguments, standalone_mode=False)
    return found[0]


def test_every_option_arrives_in_the_container_with_its_path_translated(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text("")
    for name in ("pairs", "sidd", "weights", "images"):
        (tmp_path / name).mkdir()
    asked = options(
        tmp_path, data=(f"folder:{tmp_path}/pairs,_n,_c", "embedded", "sidd:sidd"), rows=("senm-vae", "real"),
        seeds=(0, 2), train=True, retrain=True, device="cuda:1", weights=tmp_path / "weights",
        external={"my model": tmp_path / "images"}, plugins=("mine:Model",), deterministic=False, json=True,
        container=True, gpus="all", workers=2, threads=3, resources=("fit=cpu:2",), yes=True, draws=3, trust_pairs=True,
        discard=True,
    )  # fmt: skip
    untouched = {f.name for f in dataclasses.fields(Options) if getattr(asked, f.name) == getattr(Options(), f.name)}
    assert untouched == {"on"}, "an option that this test does not exercise; a container runs on one machine"
    with pytest.raises(UsageError, match="one machine"):
        inside(["table1"], dataclasses.replace(asked, on="ray"), {})
    given = inside(["table1"], asked, {})
    arrived = parsed(given.arguments)
    mounts = {place: (host, writable) for host, place, writable in given.mounts}
    for name in ("scale", "rows", "seeds", "train", "retrain", "device", "plugins", "deterministic", "json",
                 "workers", "threads", "resources", "yes", "draws", "trust_pairs", "discard"):
        assert getattr(arrived, name) == getattr(asked, name), name
    assert arrived.data == ("folder:/mnt/data0,_n,_c", "embedded", "sidd:/mnt/data2")
    assert mounts["/mnt/data0"] == (tmp_path / "pairs", False) and mounts["/mnt/data2"] == (tmp_path / "sidd", False)
    assert mounts[str(arrived.weights)] == (tmp_path / "weights", False)
    assert mounts[str(arrived.external["my model"])] == (tmp_path / "images", False)
    assert mounts["/mnt/plugins/mine.py"] == (tmp_path / "mine.py", False)
    assert given.environment["PYTHONPATH"] == "/mnt/plugins"
    assert mounts[RUNS] == (tmp_path / "runs", True) and mounts[STORE] == (tmp_path / "store", True)
    assert sorted(place for place, (_, writable) in mounts.items() if writable) == [RUNS, STORE]
    assert not arrived.container and not arrived.gpus


def test_the_image_runs_the_results_folders_that_are_mounted():
    assert f"{APP}/{Options().out.relative_to(ROOT)}" == RUNS
    assert f"{APP}/{Options().store.relative_to(ROOT)}" == STORE
    assert f"WORKDIR {APP}" in (ROOT / "Dockerfile").read_text()


def test_published_networks_are_mounted_where_the_container_looks_for_them(tmp_path):
    (tmp_path / "networks").mkdir()
    environ = {"SENM_WEIGHTS": str(tmp_path / "networks"), "NO_COLOR": "1", "SECRET": "x"}
    given = inside(["table1"], options(tmp_path), environ)
    assert (tmp_path / "networks", given.environment["SENM_WEIGHTS"], False) in given.mounts
    assert given.environment["NO_COLOR"] == "1" and "SECRET" not in given.environment


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({"data": ("folder:/no/such/place",)}, "does not exist"),
        ({"plugins": ("json:Model",)}, "not in the image"),
        ({"device": "cuda"}, "--gpus"),
        ({"gpus": "first"}, "separated by commas"),
        ({"scale": "smok"}, "smoke"),
    ],
)
def test_what_cannot_be_passed_on_is_refused_before_an_engine_is_asked(tmp_path, given, word):
    with pytest.raises(UsageError, match=word):
        container.run_in_container(["table1"], options(tmp_path, **given), client=object())


def test_folders_are_checked_before_an_image_is_built(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(MachineError, match="is a file"):
        container.run_in_container(["table1"], options(tmp_path, out=tmp_path / "file" / "runs"), client=object())


def test_gpus_are_asked_for_and_used(tmp_path):
    for gpus, count, ids in (("all", -1, None), ("0,2", 0, ["0", "2"])):
        client = Client()
        container.run_in_container(["table1"], options(tmp_path, gpus=gpus), client, "image")
        request = client.created[2]["device_requests"][0]
        assert (request["Count"], request["DeviceIDs"] or None) == (count, ids)
        assert parsed(client.created[1]).device == "cuda"
    client = Client()
    container.run_in_container(["table1"], options(tmp_path), client, "image")
    assert "device_requests" not in client.created[2] and parsed(client.created[1]).device == "cpu"


def test_the_container_is_confined_and_its_results_are_the_callers(tmp_path):
    client = Client()
    container.run_in_container(["table1"], options(tmp_path), client, "image")
    given = client.created[2]
    assert given["network_mode"] == "none" and given["cap_drop"] == ["ALL"]
    assert given["user"] == f"{os.getuid()}:{os.getgid()}"
    assert {m["Target"] for m in given["mounts"] if not m["ReadOnly"]} == {RUNS, STORE}
    assert client.there.calls[-1] == ("remove", {"force": True, "v": True})
    rootless = Client(security=("name=seccomp", "name=rootless"))
    container.run_in_container(["table1"], options(tmp_path), rootless, "image")
    assert rootless.created[2]["user"] == "0:0"


def test_output_keeps_its_stream_its_lines_and_this_machines_paths(tmp_path, capsys):
    chunks = [(b"| a ", b"step 1\nwritten: /app/res"), (b"| b |\n", None), (None, b"ults/runs/t\n"), (b"end", None)]
    client = Client(Container(chunks, code=3))
    assert container.run_in_container(["table1"], options(tmp_path), client, "image") == 3
    out, err = capsys.readouterr()
    assert out == "| a | b |\nend"
    assert err == f"step 1\nwritten: {tmp_path}/runs/t\n"


def test_paths_that_only_begin_alike_stay_as_they_are(tmp_path):
    given = Inside(mounts=[(tmp_path / "one", "/mnt/data1", False), (tmp_path / "ten", "/mnt/data10", False)])
    assert given.outside("/mnt/data10/x /mnt/data1. /mnt/data2 /a/mnt/data1") == (
        f"{tmp_path}/ten/x {tmp_path}/one. /mnt/data2 /a/mnt/data1"
    )


def test_an_interrupt_stops_and_removes_the_container(tmp_path):
    there = Container([(None, b"training\n"), KeyboardInterrupt()])
    with pytest.raises(KeyboardInterrupt):
        container.run_in_container(["table1"], options(tmp_path), Client(there), "image")
    assert [name for name, _ in there.calls] == ["stop", "remove"]


@pytest.mark.parametrize(
    ("there", "word"),
    [
        (Container(start=APIError("x", explanation='could not select device driver "" with capabilities: [[gpu]]')),
         "NVIDIA container toolkit"),
        (Container(start=APIError("x", explanation="invalid mount")), "invalid mount"),
        (Container(start=ReadTimeout("timed out")), "timed out"),
        (Container(code=137, oom=True), "memory"),
    ],
)  # fmt: skip
def test_refusals_are_machine_errors_and_leave_no_container(tmp_path, there, word):
    with pytest.raises(MachineError, match=word):
        container.run_in_container(["table1"], options(tmp_path), Client(there), "image")
    assert there.calls[-1][0] == "remove"


def refusal(cause):
    """What docker.from_env raises: the system's error deep inside that of an HTTP library."""
    outer = DockerException("Error while fetching server API version")
    outer.__cause__ = ConnectionError(OSError("Connection aborted.", cause))
    return outer


@pytest.mark.parametrize(
    ("cause", "word"),
    [(PermissionError(13, "denied"), "group docker"), (FileNotFoundError(2, "none"), "no Docker engine answers")],
)
def test_no_engine_and_no_permission_are_told_apart(monkeypatch, cause, word):
    def from_env():
        raise refusal(cause)

    monkeypatch.setattr("docker.from_env", from_env)
    with pytest.raises(MachineError, match=word):
        container_image.engine()


@pytest.fixture
def checkout(tmp_path):
    """A small checkout: a Dockerfile, sources, and what must not reach the engine."""
    root = tmp_path / "checkout"
    for name, text in {
        "Dockerfile": "FROM scratch\n", ".dockerignore": "# a remark\n*\n!senm\n**/*.pyc\n", "senm/a.py": "a = 1\n",
        "senm/a.pyc": "-", "results/store/huge.bin": "-", "notes.md": "-",
    }.items():  # fmt: skip
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_the_tag_follows_sources_and_build_arguments_only(checkout):
    def tag(environ=None):
        client = Client(events=[{"stream": "Step 1/1 : FROM scratch\n"}])
        return container_image.image(client, NullProgress(), checkout, environ or {})

    before = tag()
    (checkout / "notes.md").write_text("other")
    assert tag() == before == tag({"HTTP_PROXY": "proxy.example", "PIP_CERT": str(checkout / "notes.md")})
    assert tag({"SENM_BASE_IMAGE": "other"}) != before
    (checkout / "senm" / "a.py").write_text("a = 2\n")
    assert tag() != before


def test_an_image_that_is_there_is_not_built_again(checkout):
    client = Client()
    tag = container_image.image(client, NullProgress(), checkout, {})
    assert client.built["tag"] == tag
    again = Client(images=(tag,))
    assert container_image.image(again, NullProgress(), checkout, {}) == tag and again.built is None


def test_the_build_gets_settings_and_certificates_of_this_machine(checkout, monkeypatch):
    seen = []
    monkeypatch.setattr("docker.utils.build.create_archive", lambda *_, **given: seen.append(given["extra_files"]))
    (checkout / "ca").write_text("PEM")
    client = Client()
    environ = {"SENM_BASE_IMAGE": "base", "SENM_BUILD_NETWORK": "host", "PIP_CERT": str(checkout / "ca"), "OTHER": "x"}
    container_image.image(client, NullProgress(), checkout, environ)
    assert client.built["buildargs"] == {"BASE_IMAGE": "base"} and client.built["network_mode"] == "host"
    assert seen == [[("certificates.pem", "PEM")]]


def test_a_failed_build_shows_its_last_lines(checkout):
    events = [{"stream": f"line {i}\n"} for i in range(40)] + [{"error": "pip returned 1"}]
    with pytest.raises(MachineError, match="line 39\n  pip returned 1") as caught:
        container_image.image(Client(events=events), NullProgress(), checkout, {})
    assert "line 10" not in str(caught.value)


def test_an_installation_without_a_checkout_is_told_so(tmp_path):
    with pytest.raises(MachineError, match="checkout"):
        container_image.context_files(tmp_path)


def test_the_context_of_this_project_is_sources_only():
    files = container_image.context_files(ROOT)
    assert {"constraints.txt", "pyproject.toml", "benchmarks/run.py", "results/reference/paper.json"} <= set(files)
    assert not [name for name in files if name.startswith(("tests/", ".git/", "results/store", "results/runs"))]
    assert not [name for name in files if "__pycache__" in name]
    assert sum((ROOT / name).stat().st_size for name in files) < 10 * 2**20


@pytest.fixture(scope="module")
def real():
    """A client of a real engine, an image of this project that it has, or a skip that says what is missing."""
    try:
        client = container_image.engine()
    except MachineError as error:
        pytest.skip(f"no Docker engine answers: {error}")
    tags = [tag for image in client.images.list(container_image.NAME) for tag in image.tags]
    if not tags:
        pytest.skip("the engine has no image of this project; `table1 --scale smoke --container` builds it")
    return client, tags[0]


def test_a_real_container_answers_with_its_exit_code_and_writes_only_where_it_may(real, tmp_path, capfd):
    client, tag = real
    (tmp_path / "pairs").mkdir()
    given = inside(["table1"], options(tmp_path, data=(f"folder:{tmp_path}/pairs",)), {})
    for folder in ("runs", "store"):
        (tmp_path / folder).mkdir()
    ran = client.containers.create(tag, ["list", "--json"], **container.settings(client, given, []))
    try:
        assert container.attend(ran, given) == 0
    finally:
        ran.remove(force=True, v=True)
    assert '"table1"' in capfd.readouterr().out
    code = "open('results/runs/a', 'w'); open('/mnt/data0/a', 'w')"
    ran = client.containers.create(tag, ["-c", code], entrypoint="python", **container.settings(client, given, []))
    try:
        assert container.attend(ran, given) == 1
    finally:
        ran.remove(force=True, v=True)
    assert "Read-only file system" in capfd.readouterr().err and not list((tmp_path / "pairs").iterdir())
    assert (tmp_path / "runs" / "a").stat().st_uid == os.getuid()
