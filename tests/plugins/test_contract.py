"""Every registered backbone and head keeps the contract that strangers' plugins are held to."""

from collections.abc import Callable, Iterator, Sequence
from importlib import metadata
from typing import Any

import pytest
import torch

from tlsearch import BackboneSpec
from tlsearch.specs import HeadSpec
from tlsearch.testing import BACKBONE_CHECKS, HEAD_CHECKS, check_exports_to_onnx

# One of each family is exported at every run; these are of the same layers.
EXPORTED_LATER = {"efficientnet_b0", "mobilenet_v2", "resnet50"}


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Pictures this small gain nothing from a second thread, and wait for it where cores are shared."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def registered(package: str) -> list[Any]:
    """The specs of the first-party plugins of one kind, whose hook is called like their package."""
    entries = metadata.entry_points(group="tlsearch")
    modules = [entry.load() for entry in entries if entry.module.startswith(f"{package}.")]
    return [spec for module in modules for spec in getattr(module, package)()]


def cases(package: str, checks: Sequence[Callable[[Any], None]]) -> list[Any]:
    """One case for each spec and check."""
    return [
        pytest.param(
            spec,
            check,
            id=f"{spec.name}-{check.__name__.removeprefix('check_')}",
            marks=pytest.mark.full if check is check_exports_to_onnx and spec.name in EXPORTED_LATER else (),
        )
        for spec in registered(package)
        for check in checks
    ]


@pytest.mark.parametrize(("spec", "check"), cases("tlsearch_backbones", BACKBONE_CHECKS))
def test_backbone(spec: BackboneSpec, check: Callable[[BackboneSpec], None]) -> None:
    check(spec)


@pytest.mark.parametrize(("spec", "check"), cases("tlsearch_heads", HEAD_CHECKS))
def test_head(spec: HeadSpec, check: Callable[[HeadSpec], None]) -> None:
    check(spec)
