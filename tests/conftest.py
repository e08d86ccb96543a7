"""What the tests of the engine share: one small study on disk, and MobileNetV2 of both frameworks, built once."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:  # imported where it is used: most tests need no torch
    from tlsearch.data.pixels import PixelStore
    from tlsearch.work import WorkerContext
    from tlsearch.workbench.parts import Parts


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> "PixelStore":
    """54 drawings of three classes, decoded."""
    from engine_world import draw_store

    return draw_store(tmp_path_factory.mktemp("drawn"))


@pytest.fixture
def context(drawn: "PixelStore", tmp_path: Path) -> "WorkerContext":
    """A study over the drawings with the small network, and an empty cache of its own."""
    from engine_world import context_of

    return context_of(drawn, tmp_path)


@pytest.fixture(scope="session")
def mobilenets(drawn: "PixelStore", tmp_path_factory: pytest.TempPathFactory) -> "Parts":
    """A study with MobileNetV2 in both frameworks, random weights, 32 px; what a test trains is put back."""
    from engine_world import PLUGIN, context_of

    from tlsearch.host import PluginHost
    from tlsearch.workbench.parts import Parts

    names = ("mobilenet_v2", "mobilenet_v2_keras")
    context = context_of(drawn, tmp_path_factory.mktemp("mobilenets"), backbones=names)
    return Parts(context, PluginHost.load(files=[PLUGIN]))
