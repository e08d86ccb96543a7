"""One small final model and one bundle of it, exported once; tests that change a bundle take a copy."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from final_model import OPAQUE, SMALL_NET, make_facts, small_host

from tlsearch.export.bundle import BundleReport, export_best
from tlsearch.export.facts import StudyFacts
from tlsearch.holdout import HoldoutScore
from tlsearch.host import PluginHost


@pytest.fixture(scope="session")
def host() -> PluginHost:
    return small_host()


@pytest.fixture(scope="session")
def facts(tmp_path_factory: pytest.TempPathFactory, host: PluginHost) -> StudyFacts:
    return make_facts(tmp_path_factory.mktemp("study"), host)


@pytest.fixture(scope="session")
def opened() -> HoldoutScore:
    numbers = {"n": 4, "accuracy": 0.5, "score": 0.5, "low": 0.15, "high": 0.85}
    return HoldoutScore(**numbers, metric="accuracy", final="f" * 64, trial=3, opened="2026-11-22T10:00:00+00:00")


@pytest.fixture(scope="session")
def exported(
    tmp_path_factory: pytest.TempPathFactory, facts: StudyFacts, host: PluginHost, opened: HoldoutScore
) -> BundleReport:
    target = tmp_path_factory.mktemp("out") / "bundle"
    return export_best(facts, target, host=host, open_holdout=lambda: opened, plugins=[SMALL_NET])


@pytest.fixture
def bundle(exported: BundleReport, tmp_path: Path) -> Path:
    return Path(shutil.copytree(exported.folder, tmp_path / "bundle"))


@pytest.fixture
def own_facts(facts: StudyFacts, tmp_path: Path) -> StudyFacts:
    """The study with pictures and a final model of its own, for tests that change them."""
    root = shutil.copytree(facts.root, tmp_path / "own" / "pictures")
    final = shutil.copytree(facts.final, tmp_path / "own" / "final")
    return replace(facts, root=Path(root), final=Path(final))


@pytest.fixture
def export(opened: HoldoutScore) -> Callable[..., BundleReport]:
    """Write a file that nothing loads, which needs no fresh process."""
    host = PluginHost.load(files=[SMALL_NET, OPAQUE])

    def run(facts: StudyFacts, target: Path, **options: object) -> BundleReport:
        given = {
            "host": host,
            "open_holdout": lambda: opened,
            "formats": ["opaque"],
            **options,
        }
        return export_best(facts, target, **given)

    return run
