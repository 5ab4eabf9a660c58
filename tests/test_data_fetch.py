"""`advbounds data`: downloads from a server on this machine that cuts, forgets and lies."""

import argparse
import hashlib
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from empirics.data import DATASETS
from empirics.data.cli import COMMANDS
from empirics.data.fetch import fetch
from empirics.data.files import OfficialFile
from theory.errors import InputError

CONTENT = bytes(range(256)) * 40


class Server(ThreadingHTTPServer):
    """Serves one content at every address.

    `ranges`: whether it knows the Range header. `cut`: how many bytes of a body it sends.
    `asked`: the Range headers that came, in order.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.ranges, self.cut = CONTENT, True, len(CONTENT)
        self.asked: list[str | None] = []


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        asked = self.headers["Range"]
        self.server.asked.append(asked)
        if self.path == "/missing":
            self.send_error(404)
            return
        start = int(asked[len("bytes=") : -1]) if asked and self.server.ranges else 0
        body = self.server.content[start:]
        if not body:
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: self.server.cut])

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def published(port: int, path: str = "file.gz", content: bytes = CONTENT) -> OfficialFile:
    digest = hashlib.sha256(content).hexdigest()
    return OfficialFile("file.gz", len(content), digest, f"http://127.0.0.1:{port}/{path}")


def refusal(action: Callable[[], object]) -> str:
    with pytest.raises(InputError) as caught:
        action()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_file_is_downloaded_once(server: Server, tmp_path: Path) -> None:
    folder = tmp_path / "data" / "mnist"
    for _ in range(2):
        fetch([published(server.server_port)], folder)
        assert (folder / "file.gz").read_bytes() == CONTENT
    assert server.asked == [None]
    assert [path.name for path in folder.iterdir()] == ["file.gz"]


@pytest.mark.parametrize(("ranges", "cuts"), [(True, [4000, 4000]), (False, [4000])])
def test_a_cut_download_goes_on_or_starts_anew(
    server: Server, tmp_path: Path, ranges: bool, cuts: list[int]
) -> None:
    file = published(server.server_port)
    server.ranges = ranges
    done = 0
    for server.cut in cuts:
        done += server.cut
        message = refusal(lambda: fetch([file], tmp_path))
        assert f"the connection ended after {done} of {len(CONTENT)} bytes" in message
        assert not (tmp_path / "file.gz").exists()
    server.cut = len(CONTENT)
    fetch([file], tmp_path)
    assert (tmp_path / "file.gz").read_bytes() == CONTENT
    assert server.asked == [None, *(f"bytes={4000 * (i + 1)}-" for i in range(len(cuts)))]
    assert not (tmp_path / "file.gz.part").exists()


def test_a_part_that_is_whole_already_needs_no_server(tmp_path: Path) -> None:
    (tmp_path / "file.gz.part").write_bytes(CONTENT)
    fetch([published(1)], tmp_path)
    assert (tmp_path / "file.gz").read_bytes() == CONTENT


def test_other_content_never_gets_the_name_of_the_file(server: Server, tmp_path: Path) -> None:
    file = published(server.server_port)
    old = tmp_path / "file.gz"
    old.write_bytes(b"damaged before")
    server.content = CONTENT[:-1] + b"!"
    assert "checksum or size is another" in refusal(lambda: fetch([file], tmp_path))
    assert old.read_bytes() == b"damaged before"
    assert not (tmp_path / "file.gz.part").exists()
    server.content = b"<html>please log in</html>"
    message = refusal(lambda: fetch([file], tmp_path))
    assert f"the server has 26 bytes, expected {len(CONTENT)}" in message
    assert not (tmp_path / "file.gz.part").exists()
    server.content = CONTENT
    fetch([file], tmp_path)
    assert old.read_bytes() == CONTENT


def test_a_part_that_the_server_cannot_continue_is_dropped(server: Server, tmp_path: Path) -> None:
    part = tmp_path / "file.gz.part"
    part.write_bytes(CONTENT[:5000])
    server.content = CONTENT[:4000]
    assert "HTTP Error 416" in refusal(lambda: fetch([published(server.server_port)], tmp_path))
    assert not part.exists()


def test_a_refusing_server_and_a_closed_network_are_one_line(
    server: Server, tmp_path: Path
) -> None:
    gone = published(server.server_port, "missing")
    assert "/missing: HTTP Error 404: Not Found" in refusal(lambda: fetch([gone], tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    message = refusal(lambda: fetch([published(port)], tmp_path))
    assert "Connection refused" in message
    assert f"put the file at {tmp_path / 'file.gz'} by hand" in message


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "mnist").write_text("a file where the folder should be")
    assert "mnist" in refusal(lambda: fetch([published(1)], tmp_path / "mnist"))


# The command


def advbounds(*words: str) -> int:
    parser = argparse.ArgumentParser()
    (command,) = COMMANDS
    command.configure(parser)
    return command.run(parser.parse_args(words))


def test_list_is_a_line_for_each_data_set(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert advbounds("list", "--root", str(tmp_path)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(DATASETS)
    found = {line.split()[0]: line.split()[1] for line in lines}
    assert found["digits"] == "csv"
    assert found["mnist"] == "-"


def test_fetch_puts_every_file_in_the_folder_of_the_data_set(
    server: Server,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(DATASETS["svhn"], "files", (published(server.server_port),))
    assert advbounds("fetch", "svhn", "--root", str(tmp_path)) == 0
    assert (tmp_path / "svhn" / "file.gz").read_bytes() == CONTENT
    assert capsys.readouterr().out == ""
    assert advbounds("fetch", "digits") == 0
    assert "nothing to download" in capsys.readouterr().err
    assert "known: " in refusal(lambda: advbounds("fetch", "zzz"))


def test_every_published_file_has_an_address_and_a_sha256() -> None:
    for source in DATASETS.values():
        for file in source.files:
            assert file.url.endswith(f"/{file.name}")
            assert len(file.digest) == 64
