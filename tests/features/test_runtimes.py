"""ONNX Runtime against eager PyTorch at every cut, which of the two runs, and that the choice is kept (contract C2)."""

import itertools
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
import torch
from engine_world import DEVELOPMENT, RULES, recipe, squares
from feature_world import MakeProvider, open_engine, open_provider, repeating, small

from tlsearch.data.pixels import PixelStore
from tlsearch.errors import TlsearchError
from tlsearch.features import extract, passes
from tlsearch.features.checks import agrees, check_independent
from tlsearch.features.exporting import export_prefix, read_exported
from tlsearch.features.extract import choose_pass
from tlsearch.features.passes import eager_pass, onnx_pass
from tlsearch.features.provider import POOLED, FeatureProvider
from tlsearch.host import PluginHost
from tlsearch.hubs import Hubs
from tlsearch.model import LoadedBackbone, Prefix, build_backbone
from tlsearch.weights import resolve_weights
from tlsearch.workbench.parts import Parts

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def pixels(drawn: PixelStore) -> np.ndarray:
    return squares(drawn, range(8))


@pytest.fixture(scope="module")
def exported(pixels: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small prefix, exported because many passes were announced."""
    file = tmp_path_factory.mktemp("exported") / "small.prefix"
    choose(small_prefix(), pixels, file, passes=10**9)
    return file


@pytest.fixture(scope="module")
def decided(drawn: PixelStore, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a study that decided for ONNX Runtime, with its features at cut 2."""
    folder = tmp_path_factory.mktemp("decided")
    decide_for_onnx(drawn, folder)
    open_provider(drawn, open_engine(folder)).views(2, "none")
    return folder


def decide_for_onnx(store: PixelStore, folder: Path, **changes: Any) -> None:
    """Let a study be one whose measured rates spoke for ONNX Runtime: here they never pay for an export."""
    before = set(folder.glob("prefixes/*.runtime"))
    assert open_provider(store, open_engine(folder), **changes).runtime == "eager"
    (decision,) = set(folder.glob("prefixes/*.runtime")) - before
    decision.write_text("onnxruntime")


def small_prefix() -> Prefix:
    return Prefix(RULES, small().backbone, (1, 2, 3, 4), pooled=True)


def choose(prefix: Prefix, pixels: np.ndarray, file: Path, *, passes: int) -> str:
    """Which runtime is chosen for so many passes; whichever it is agrees with PyTorch."""
    chosen = choose_pass(prefix, pixels, passes=passes, onnx_file=file, device=CPU, threads=1, deterministic=False)
    assert all(agrees(a, b) for a, b in zip(chosen.run(pixels), eager_pass(prefix, CPU)(pixels), strict=True))
    return chosen.run.runtime


def differences(ours: np.ndarray, reference: np.ndarray) -> tuple[float, float]:
    """Relative L2, and the largest difference as a share of the largest value."""
    d = ours.astype(np.float64) - reference
    return float(np.linalg.norm(d) / np.linalg.norm(reference)), float(np.abs(d).max() / np.abs(reference).max())


def pretrained(folder: Path) -> LoadedBackbone:
    """EfficientNet-Lite0 with the weights that come with the installation: its statistics are those of photographs."""
    spec = PluginHost.load().backbone("efficientnet_lite0")
    weights = resolve_weights(spec, "imagenet", cache_dir=folder, seed=0, hubs=Hubs(offline=True))
    return build_backbone(spec, params={}, image_px=32, variant=weights.variant, weights=weights.path, seed=0)


@pytest.mark.parametrize("name", ["small", "efficientnet_lite0", "mobilenet_v2", "mobilenet_v2_keras"])
def test_onnx_runtime_agrees_with_pytorch_at_every_cut_whatever_the_batch(
    name: str, mobilenets: Parts, pixels: np.ndarray, tmp_path: Path
) -> None:
    own = {"small": small, "efficientnet_lite0": partial(pretrained, tmp_path)}
    backbone = (own[name]() if name in own else mobilenets.loaded(recipe(backbone=name))).backbone
    cuts = range(1, len(backbone.stages) + 1)
    prefix = Prefix(RULES, backbone, tuple(cuts), pooled=True)
    eager = eager_pass(prefix, CPU)
    onnx = onnx_pass(export_prefix(prefix, pixels), threads=2, image_px=32)
    reference = eager(pixels)
    assert len(reference) == len(cuts) + 1
    for run, size in itertools.product((eager, onnx), (1, 3, len(pixels))):
        pieces = [run(pixels[start : start + size]) for start in range(0, len(pixels), size)]
        for cut, parts in enumerate(zip(*pieces, strict=True), start=1):
            relative, largest = differences(np.concatenate(parts), reference[cut - 1])
            assert relative <= 1e-5, f"{size} at a time, cut {cut}"
            assert largest <= 1e-4, f"{size} at a time, cut {cut}"


@pytest.mark.parametrize(
    ("change", "agreed"),
    [(0.0, True), (5e-6, True), (5e-5, False)],
    ids=["equal", "within relative L2", "beyond relative L2"],
)
def test_agreement_is_relative_to_the_whole_tensor(change: float, agreed: bool) -> None:
    reference = np.random.default_rng(0).normal(size=(8, 50)).astype(np.float32)
    assert agrees((reference * (1 + change)).astype(np.float32), reference) is agreed


def test_one_value_far_off_is_no_agreement_even_where_the_norm_hides_it() -> None:
    reference = np.ones((100, 10_000), dtype=np.float32)
    ours = reference.copy()
    ours[3, 7] += 2e-4
    assert not agrees(ours, reference)
    assert not agrees(np.full_like(reference, np.nan), reference)
    assert agrees(np.zeros(4, dtype=np.float32), np.zeros(4, dtype=np.float32))


def test_few_passes_do_not_pay_for_an_export(pixels: np.ndarray, tmp_path: Path) -> None:
    assert choose(small_prefix(), pixels, tmp_path / "exported", passes=100) == "eager"
    assert list(tmp_path.iterdir()) == []


def test_many_passes_export_the_prefix_once(exported: Path, pixels: np.ndarray) -> None:
    assert read_exported(exported) is not None
    written = exported.stat().st_mtime_ns
    assert choose(small_prefix(), pixels, exported, passes=10**9) in ("eager", "onnxruntime")
    assert exported.stat().st_mtime_ns == written, "what was exported is measured, not exported again"


def test_an_export_of_other_weights_is_not_used(exported: Path, pixels: np.ndarray) -> None:
    changed = small()
    with torch.no_grad():
        changed.weights[0][0].mul_(1.001)
    prefix = Prefix(RULES, changed.backbone, (1, 2, 3, 4), pooled=True)
    assert choose(prefix, pixels, exported, passes=10**9) == "eager"


@pytest.mark.parametrize("damage", [lambda c: b"", lambda c: c[:-1], lambda c: c[:-99] + b"\x01" + c[-98:]])
def test_a_damaged_export_is_none(damage: Callable[[bytes], bytes], exported: Path, tmp_path: Path) -> None:
    file = tmp_path / "damaged"
    file.write_bytes(exported.read_bytes())
    assert read_exported(file) is not None
    file.write_bytes(damage(exported.read_bytes()))
    assert read_exported(file) is None


def test_a_missing_export_is_none(tmp_path: Path) -> None:
    assert read_exported(tmp_path / "nothing") is None


def test_the_runtime_is_decided_once_and_the_same_in_every_later_run(
    make_provider: MakeProvider, tmp_path: Path
) -> None:
    assert make_provider().runtime == "eager"  # 45 pictures don't pay for an export
    (decision,) = tmp_path.glob("prefixes/*.runtime")
    assert decision.read_text() == "eager"
    decision.write_text("onnxruntime")
    assert make_provider().runtime == "onnxruntime"
    assert decision.read_text() == "onnxruntime"


def test_equal_bits_are_computed_eagerly_whatever_a_stopwatch_said(make_provider: MakeProvider, tmp_path: Path) -> None:
    assert make_provider().runtime == "eager"
    (decision,) = tmp_path.glob("prefixes/*.runtime")
    decision.write_text("onnxruntime")
    assert make_provider(engine=replace(open_engine(tmp_path), deterministic=True)).runtime == "eager"


def test_where_equal_bits_are_asked_for_nothing_is_exported(pixels: np.ndarray, tmp_path: Path) -> None:
    file = tmp_path / "exported"
    chosen = choose_pass(
        small_prefix(), pixels, passes=10**9, onnx_file=file, device=CPU, threads=1, deterministic=True
    )
    assert (chosen.run.runtime, chosen.note, file.exists()) == ("eager", "", False)


@pytest.mark.parametrize(
    "content", [b"", b"onnxrun", b"e\xefger", b"\0" * 5], ids=["empty", "torn", "flipped", "zeros"]
)
def test_a_damaged_decision_is_made_again(make_provider: MakeProvider, tmp_path: Path, content: bytes) -> None:
    assert make_provider().runtime == "eager"
    (decision,) = tmp_path.glob("prefixes/*.runtime")
    decision.write_bytes(content)
    assert make_provider().runtime == "eager"
    assert decision.read_bytes() == b"eager"


def test_a_decision_is_on_the_disk_whole_or_not_at_all(make_provider: MakeProvider, tmp_path: Path) -> None:
    assert make_provider().runtime == "eager"
    (decision,) = tmp_path.glob("prefixes/*.runtime")
    decision.write_bytes(b"torn")
    held = tmp_path / "held"
    held.hardlink_to(decision)
    assert make_provider().runtime == "eager"
    assert decision.read_bytes() == b"eager"
    assert held.read_bytes() == b"torn", "a new file took its place"
    assert list(tmp_path.glob("prefixes/*")) == [decision]


def test_a_decision_that_cannot_be_read_counts_as_missing(make_provider: MakeProvider, tmp_path: Path) -> None:
    assert make_provider().runtime == "eager"
    (decision,) = tmp_path.glob("prefixes/*.runtime")
    decision.unlink()
    decision.symlink_to(decision)
    assert make_provider().runtime == "eager"
    assert decision.read_bytes() == b"eager"


def refused(*_: object) -> NoReturn:
    raise RuntimeError("CUDA error: out of memory")


@pytest.mark.parametrize("ask", [FeatureProvider.fill, lambda one: one.views(POOLED, "flip")], ids=["fill", "views"])
def test_a_cuda_graph_that_cannot_be_captured_any_more_is_decided_anew(
    make_provider: MakeProvider,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    ask: Callable[[FeatureProvider], object],
) -> None:
    make_provider().fill()
    eager = make_provider().views(POOLED, "flip")
    (decision,) = tmp_path.glob("prefixes/*.runtime")
    decision.write_text("cuda graph")
    monkeypatch.setattr(passes, "cuda_graph", repeating)
    provider = make_provider()
    provider.views(POOLED, "none")
    assert provider.counts.pictures == DEVELOPMENT
    monkeypatch.setattr(passes, "cuda_graph", refused)
    provider = make_provider()
    assert provider.runtime == "cuda graph"
    ask(provider)
    assert (provider.runtime, decision.read_text()) == ("eager", "eager")
    assert [one.tobytes() for one in provider.views(POOLED, "flip")] == [one.tobytes() for one in eager]
    assert provider.counts.pictures == 0, "what PyTorch had computed is there still"


def test_only_a_cuda_graph_gives_way_to_another_runtime(
    make_provider: MakeProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert make_provider().runtime == "eager"
    monkeypatch.setattr(extract, "eager_pass", refused)
    with pytest.raises(RuntimeError, match="out of memory"):
        make_provider().views(POOLED, "none")


def test_another_runtime_is_an_entry_of_its_own_and_agrees(
    make_provider: MakeProvider, decided: Path, drawn: PixelStore
) -> None:
    eager = make_provider().views(2, "none")[0]
    onnx = open_provider(drawn, open_engine(decided)).views(2, "none")[0]
    assert eager.tobytes() != onnx.tobytes()
    assert agrees(np.asarray(onnx), np.asarray(eager))


def test_an_export_with_other_cuts_folds_otherwise_and_is_an_entry_of_its_own(
    decided: Path, drawn: PixelStore, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(decided, tmp_path / "copy"))
    same = open_provider(drawn, open_engine(folder))
    same.views(2, "none")
    decide_for_onnx(drawn, folder, cuts=(1, 2, 3))
    deeper = open_provider(drawn, open_engine(folder), cuts=(1, 2, 3))
    deeper.views(2, "none")
    assert (same.counts.misses, deeper.counts.misses) == (0, 1)


def test_a_damaged_export_is_made_again_before_it_is_run(decided: Path, drawn: PixelStore, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(decided, tmp_path / "copy"))
    opened = open_provider(drawn, open_engine(folder))
    expected = opened.views(2, "none")[0].tobytes()
    assert opened.counts.misses == 0
    (file,) = folder.glob("prefixes/*.prefix")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    shutil.rmtree(folder / "features")
    assert open_provider(drawn, open_engine(folder)).views(2, "none")[0].tobytes() == expected
    assert read_exported(file) is not None


def test_the_same_weights_at_another_size_get_an_export_of_their_own(
    decided: Path, drawn: PixelStore, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(decided, tmp_path / "copy"))
    decide_for_onnx(drawn, folder, image_px=24)
    values = open_provider(drawn, open_engine(folder), image_px=24).views(2, "none")[0]
    assert values.shape == (DEVELOPMENT, 8, 6, 6)
    assert len(list(folder.glob("prefixes/*.prefix"))) == 2


def test_a_mixing_prefix_is_found_out_whatever_runs_it(pixels: np.ndarray) -> None:
    mixing = eager_pass(Prefix(RULES, small("small_mixing").backbone, (3,), pooled=True), CPU)
    with pytest.raises(TlsearchError, match="mixes the pictures"):
        check_independent(mixing, pixels[:3])
    check_independent(eager_pass(small_prefix(), CPU), pixels[:3])
