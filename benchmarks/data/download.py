"""Downloading published files: pooch checks and files them, the downloader here resumes where a connection broke."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from pathlib import Path
from typing import Any

from benchmarks.data.published import FILES, PAGES, Published
from senm.support.errors import DataError, MachineError, UsageError
from senm.support.files import only_one, writing_failed
from senm.support.progress import NullProgress, Progress

BLOCK = 1 << 16
UNIT = 1 << 20  # progress counts MiB


class Resuming:
    """A downloader for pooch that keeps what has arrived in ``<name>.part`` and asks for the rest only.

    The part is continued only if the server says that the file is still the same (ETag or date, sent as If-Range);
    where it says nothing, only a file whose checksum is known is continued. Otherwise it starts again. Attempts are
    counted anew whenever data has arrived.

    Args:
        part: where the unfinished file is kept between attempts and runs.
        published: the file, with its length and checksum where they are known.
        attempts: tries without any progress before giving up.
        pause: seconds before the second try; doubled each time.
        timeout: seconds without data after which a connection counts as broken.
    """

    def __init__(self, part: Path, published: Published, progress: Progress, attempts: int = 5, pause: float = 1.0,
                 timeout: float = 30.0) -> None:
        self.part, self.progress = part, progress
        self.expected, self.hashed = published.bytes, published.hash is not None
        self.attempts, self.pause, self.timeout = attempts, pause, timeout
        self.state = part.with_name(part.name + ".json")

    def __call__(self, url: str, output_file: Any, pooch: Any, check_only: bool = False) -> None:
        """Fetch `url` into `output_file` (pooch's temporary file)."""
        import requests

        failures, reason = 0, ""
        while failures < self.attempts:
            before = self._length()
            try:
                self._attempt(url)
                os.replace(self.part, output_file)
                self.state.unlink(missing_ok=True)
                return
            except requests.RequestException as error:
                reason = type(error).__name__
            failures = 0 if self._length() > before else failures + 1
            if failures:
                time.sleep(min(self.pause * 2 ** (failures - 1), 30.0))
        raise MachineError(f"{url}: {self.attempts} attempts failed ({reason}), {self._length()} bytes arrived",
                           "a working connection", "run the same command again: it goes on from there")

    def _length(self) -> int:
        return self.part.stat().st_size if self.part.is_file() else 0

    def _attempt(self, url: str) -> None:
        import requests

        have, headers = self._length(), {"Accept-Encoding": "identity"}
        known = json.loads(self.state.read_text()) if have and self.state.is_file() else {}
        if have and known.get("url") == url and known.get("validator"):
            headers |= {"Range": f"bytes={have}-", "If-Range": known["validator"]}
        elif have and known.get("url") == url and self.hashed:
            headers["Range"] = f"bytes={have}-"
        with requests.get(url, headers=headers, stream=True, timeout=self.timeout) as answer:
            if answer.status_code == 416:  # the part is as long as the file, or the file has changed
                if known.get("total") == have:
                    return
                self.part.unlink()
                raise requests.ConnectionError("the part did not fit")
            if 400 <= answer.status_code < 500:
                raise DataError(f"{url} answers {answer.status_code} {answer.reason}", "the published file",
                                "download it by hand, see `python -m benchmarks.run doctor`")
            answer.raise_for_status()
            start = _start_of(answer) if answer.status_code == 206 else 0
            if start != have:
                have, start = 0, 0
                if answer.status_code == 206:
                    self.part.unlink(missing_ok=True)
                    raise requests.ConnectionError("the server sent another range")
            length = answer.headers.get("Content-Length")
            total = have + int(length) if length else None
            self._check(url, answer, total)
            self.state.write_text(json.dumps({"url": url, "total": total, "validator": _validator(answer)}))
            self._receive(answer, have, total)

    def _check(self, url: str, answer: Any, total: int | None) -> None:
        if answer.headers.get("Content-Type", "").startswith("text/html"):
            raise DataError(f"{url} answers with a web page", "the published file",
                            "download it by hand: the server asks for a login or has moved it")
        if self.expected and total and total != self.expected:
            raise DataError(f"{url} has {total} bytes", f"{self.expected} bytes", "the server holds another file")
        free = shutil.disk_usage(self.part.parent).free
        if total and total - self._length() > free:
            raise MachineError(f"{url} needs {total / 1e9:.1f} GB, {free / 1e9:.1f} GB are free", "",
                               "free disk space, or choose another --root")

    def _receive(self, answer: Any, have: int, total: int | None) -> None:
        import requests

        label = f"download {self.part.name.removesuffix('.part')} (MiB)"
        with (self.part.open("ab" if have else "wb") as file,
              self.progress.task(label, total // UNIT if total else None) as task):
            task.advance(have // UNIT)
            for block in answer.iter_content(BLOCK):
                file.write(block)
                task.advance((have + len(block)) // UNIT - have // UNIT)
                have += len(block)
        if total and have != total:
            raise requests.ConnectionError(f"{have} of {total} bytes")


def _start_of(answer: Any) -> int:
    match = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
    return int(match[1]) if match else -1


def _validator(answer: Any) -> str:
    """What If-Range may carry: a strong ETag, else the date."""
    tag = answer.headers.get("ETag", "")
    return tag if tag and not tag.startswith("W/") else answer.headers.get("Last-Modified", "")


def fetch(published: Published, into: Path, progress: Progress | None = None, *, attempts: int = 5, pause: float = 1.0,
          timeout: float = 30.0) -> Path:
    """The file in folder `into`, downloaded unless it is there already with the right checksum.

    Raises:
        DataError: the server has no such file, or sends another one than the published.
        MachineError: no connection, no disk space, or the folder cannot be written.
    """
    import pooch

    pooch.get_logger().setLevel("ERROR")
    target = into / published.name
    resuming = Resuming(into / f"{published.name}.part", published, progress or NullProgress(), attempts, pause,
                        timeout)
    try:
        into.mkdir(parents=True, exist_ok=True)
        lock = into / f".{published.name}.lock"
        with only_one(lock, f"downloading {target}"):
            try:
                pooch.retrieve(published.url, published.hash, fname=published.name, path=into, downloader=resuming)
            finally:
                lock.unlink(missing_ok=True)
    except OSError as error:
        raise writing_failed(target, error) from error
    except ValueError as error:  # how pooch reports a checksum
        raise DataError(f"{published.url}: the file that arrived has another checksum", f"{published.hash}",
                        "try again; if it stays so, the server holds another file") from error
    return target


def download(kind: str, root: Path, progress: Progress | None = None) -> list[Path]:
    """All published files of a data set, in the folder `root`.

    Raises:
        UsageError: the data set cannot be downloaded by a program; the message names its page.
        DataError, MachineError: as `fetch`.
    """
    if kind not in FILES:
        where = PAGES.get(kind)
        raise UsageError(f"{kind} has no download address", "", f"get it from {where}" if where else "give --root")
    return [fetch(published, root, progress) for published in FILES[kind]]
