"""Downloads against a local server that drops connections, ignores or honours ranges, and serves wrong files."""

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from benchmarks.data import download
from benchmarks.data.published import FILES, Published
from senm.support.errors import DataError, MachineError, UsageError

DATA = np.random.default_rng(0).bytes(3_000_000)
MD5 = "md5:" + hashlib.md5(DATA).hexdigest()


class Server:
    """A server of one file. `drop` is after how many bytes of the body each answer breaks off (None: never)."""

    def __init__(self):
        self.data, self.drop, self.ranges, self.etag, self.kind = DATA, [], True, '"v1"', "application/zip"
        self.requests, self.status = [], 200
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                outer.answer(self)

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/x.zip"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def answer(self, handler):
        asked = handler.headers.get("Range")
        self.requests.append(asked)
        start, status = 0, self.status
        same = handler.headers.get("If-Range") in (None, self.etag)
        if asked and self.ranges and same and status == 200:
            start, status = int(asked[6:-1]), 206
            if start >= len(self.data):
                status = 416
        body = self.data[start:] if status in (200, 206) else b""
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body)))
        handler.send_header("Content-Type", self.kind)
        if self.etag:
            handler.send_header("ETag", self.etag)
        if status == 206:
            handler.send_header("Content-Range", f"bytes {start}-{len(self.data) - 1}/{len(self.data)}")
        handler.end_headers()
        limit = self.drop.pop(0) if self.drop else None
        handler.wfile.write(body if limit is None else body[:limit])
        if limit is not None:
            handler.close_connection = True
            handler.connection.close()


@pytest.fixture
def server():
    server = Server()
    yield server
    server.http.shutdown()
    server.http.server_close()


def fetch(server, tmp_path, hash=MD5, bytes=None, **options):
    return download.fetch(Published("x.zip", server.url, bytes, hash), tmp_path, pause=0.01, timeout=5, **options)


def left(tmp_path):
    return sorted(p.name for p in tmp_path.iterdir())


def test_whole_file_arrives_and_is_not_fetched_twice(server, tmp_path):
    assert fetch(server, tmp_path).read_bytes() == DATA
    fetch(server, tmp_path)
    assert server.requests == [None] and left(tmp_path) == ["x.zip"]


def test_dropped_connections_are_continued_where_they_broke(server, tmp_path):
    server.drop = [1_200_000, 0, 700_000]
    assert fetch(server, tmp_path).read_bytes() == DATA
    starts = [int(r[6:-1]) if r else 0 for r in server.requests]
    assert len(starts) == 4 and starts[0] == 0 and starts[1] == starts[2] > 0 and starts[3] > starts[2]


def test_a_later_run_goes_on_where_a_killed_one_stopped(server, tmp_path):
    server.drop = [1_500_000] + [0] * 2
    with pytest.raises(MachineError, match="run the same command again"):
        fetch(server, tmp_path, attempts=2)
    assert left(tmp_path) == ["x.zip.part", "x.zip.part.json"]
    had = (tmp_path / "x.zip.part").stat().st_size
    assert had >= 1_000_000
    server.requests.clear()
    assert fetch(server, tmp_path).read_bytes() == DATA
    assert server.requests == [f"bytes={had}-"] and left(tmp_path) == ["x.zip"]


def test_a_file_that_changed_meanwhile_is_fetched_anew(server, tmp_path):
    server.drop = [1_500_000] + [0] * 2
    with pytest.raises(MachineError):
        fetch(server, tmp_path, hash=None, attempts=2)
    server.data, server.etag = DATA[::-1], '"v2"'
    assert fetch(server, tmp_path, hash=None).read_bytes() == DATA[::-1]


def test_without_a_validator_only_a_hashed_file_is_continued(server, tmp_path):
    server.etag = ""
    for hash, continued in ((None, False), (MD5, True)):
        server.drop = [1_500_000]
        server.requests.clear()
        folder = tmp_path / str(continued)
        assert fetch(server, folder, hash=hash).read_bytes() == DATA
        assert (server.requests[-1] is not None) == continued


def test_a_server_without_ranges_starts_again_and_still_ends_right(server, tmp_path):
    server.ranges, server.drop = False, [2_000_000]
    assert fetch(server, tmp_path).read_bytes() == DATA


def test_wrong_content_is_refused_and_not_left_behind(server, tmp_path):
    server.data = DATA[:-1] + b"x"
    with pytest.raises(DataError, match="another checksum"):
        fetch(server, tmp_path)
    assert left(tmp_path) == []


def test_wrong_length_is_refused_before_the_body_is_read(server, tmp_path):
    with pytest.raises(DataError, match="has 3000000 bytes; expected: 123 bytes"):
        fetch(server, tmp_path, bytes=123)
    assert left(tmp_path) == []


@pytest.mark.parametrize(("status", "kind", "message"), [
    (404, "text/plain", "answers 404"), (200, "text/html; charset=utf-8", "answers with a web page")])
def test_pages_and_missing_files_are_named(server, tmp_path, status, kind, message):
    server.status, server.kind = status, kind
    with pytest.raises(DataError, match=message):
        fetch(server, tmp_path)
    assert left(tmp_path) == []


def test_server_errors_are_tried_again_then_reported(server, tmp_path):
    server.status = 503
    with pytest.raises(MachineError, match="3 attempts failed"):
        fetch(server, tmp_path, attempts=3)
    assert len(server.requests) == 3


def test_a_part_that_is_already_whole_is_taken(server, tmp_path):
    tmp_path.joinpath("x.zip.part").write_bytes(DATA)
    tmp_path.joinpath("x.zip.part.json").write_text(
        f'{{"url": "{server.url}", "total": {len(DATA)}, "validator": "\\"v1\\""}}')
    assert fetch(server, tmp_path).read_bytes() == DATA
    assert server.requests == [f"bytes={len(DATA)}-"]


def test_full_disk_and_second_process_are_foreseen(server, tmp_path, monkeypatch):
    usage = download.shutil._ntuple_diskusage(1, 1, 1000)
    monkeypatch.setattr(download.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(MachineError, match="GB are free"):
        fetch(server, tmp_path)
    monkeypatch.undo()
    with download.only_one(tmp_path / ".x.zip.lock", "here"), pytest.raises(MachineError, match="another process"):
        fetch(server, tmp_path)


def test_progress_counts_the_megabytes(server, tmp_path):
    from contextlib import contextmanager

    seen = []

    class Counting:
        @contextmanager
        def task(self, label, total=None):
            seen.append((label, total))
            yield self

        def advance(self, n=1, **_):
            seen.append(n)

    download.fetch(Published("x.zip", server.url, None, MD5), tmp_path, Counting())
    assert seen[0] == ("download x.zip (MiB)", len(DATA) // 2**20) and sum(seen[1:]) == len(DATA) // 2**20


def test_sets_without_an_address_name_their_page(tmp_path):
    with pytest.raises(UsageError, match=r"noise\.visinf"):
        download.download("dnd", tmp_path)
    assert {"sidd", "aim19", "ntire20"} == set(FILES)
    assert all(f.url.endswith(f.name) for files in FILES.values() for f in files)
