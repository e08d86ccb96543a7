"""The study file that a page prints is the study: `tlsearch run` reads it as the same one."""

from pathlib import Path

import pytest

from tlsearch.host import PluginHost
from tlsearch.report.page.study_text import study_text
from tlsearch.study import load_study

STUDIES = Path(__file__).parents[2] / "studies"


@pytest.mark.parametrize("name", sorted(path.name for path in STUDIES.glob("*.toml")))
def test_a_printed_study_file_is_the_study(name: str, tmp_path: Path) -> None:
    host = PluginHost.load()
    config = load_study(STUDIES / name, host=host)
    printed = tmp_path / "study.toml"
    printed.write_text(study_text(config.model_dump(mode="json")), encoding="utf-8")
    assert load_study(printed, host=host) == config


def test_names_that_are_no_bare_keys_and_texts_with_quotes_survive(tmp_path: Path) -> None:
    host = PluginHost.load()
    name = 'my "best" study\\ = 1\n# no comment'
    config = load_study(STUDIES / "solar.toml", overrides=[], host=host)
    config = config.model_copy(update={"study": config.study.model_copy(update={"name": name})})
    printed = tmp_path / "study.toml"
    printed.write_text(study_text(config.model_dump(mode="json")), encoding="utf-8")
    assert load_study(printed, host=host).study.name == name


def test_a_baseline_in_phases_says_each_thing_once(tmp_path: Path) -> None:
    host = PluginHost.load()
    source = tmp_path / "phases.toml"
    source.write_text(
        """
        backbones = ["efficientnet_lite0"]
        [study]
        name = "phases"
        [data]
        source = "celebs_demo"
        [[baselines]]
        name = "two phases"
        backbone = "efficientnet_lite0"
        freeze_until = "_blocks.10"
        phases = [{ epochs = 2, learning_rate = 1e-2 }, { epochs = 3, learning_rate = 1e-4 }]
        """,
        encoding="utf-8",
    )
    config = load_study(source, host=host)
    printed = tmp_path / "study.toml"
    printed.write_text(study_text(config.model_dump(mode="json")), encoding="utf-8")
    assert load_study(printed, host=host) == config
