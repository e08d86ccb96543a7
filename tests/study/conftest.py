"""A host with the first-party plugins, and study files written in one line."""

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from tlsearch.errors import StudyFileError
from tlsearch.host import PluginHost
from tlsearch.study import StudyConfig, load_study

SMALL = """
[study]
name = "mine"
[data]
path = "photos"
"""


@pytest.fixture(scope="session")
def host() -> PluginHost:
    return PluginHost.load(allow=["tlsearch"])


@pytest.fixture
def load(host: PluginHost, tmp_path: Path) -> Callable[..., StudyConfig]:
    """Load a study from text, with `--set` overrides."""

    def load(text: str = SMALL, *overrides: str) -> StudyConfig:
        path = tmp_path / "x.toml"
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return load_study(path, overrides=overrides, host=host)

    return load


@pytest.fixture
def faults(load: Callable[..., StudyConfig]) -> Callable[..., dict[str, str]]:
    """The faults of a study that must be refused, by their places."""

    def faults(text: str = SMALL, *overrides: str) -> dict[str, str]:
        with pytest.raises(StudyFileError) as caught:
            load(text, *overrides)
        found = {fault.place: fault.message for fault in caught.value.faults}
        assert len(found) == len(caught.value.faults), "a place is named twice"
        assert all(place in str(caught.value) for place in found)
        return found

    return faults
