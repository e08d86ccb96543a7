"""What workers import while data are checked: the workbench, and the frameworks that the study needs."""

import importlib.util
from pathlib import Path

import pytest
from runner_world import STUDY, write_study

from tlsearch.host import PluginHost
from tlsearch.runner.warming import WORKBENCH, warm_up_of
from tlsearch.study import load_study


@pytest.mark.parametrize(
    ("backbones", "modules"),
    [(("mobilenet_v2", "efficientnet_lite0"), ()), (("mobilenet_v2", "mobilenet_v2_keras"), ("keras",))],
)
def test_the_frameworks_of_a_studys_backbones_come_after_the_workbench(
    tmp_path: Path, backbones: tuple[str, str], modules: tuple[str, ...]
) -> None:
    text = STUDY.replace("tiny_a", backbones[0]).replace("tiny_b", backbones[1])
    host = PluginHost.load()
    config = load_study(write_study(tmp_path, tmp_path, text), host=host)
    wanted = warm_up_of(config, host=host, devices=["cuda:0", "cuda:1"])
    assert wanted.modules == (WORKBENCH, *modules)
    assert wanted.workers == 2
    assert wanted.versions == host.versions()
    assert all(importlib.util.find_spec(name) for name in wanted.modules)
