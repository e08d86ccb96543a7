"""What workers import while data are checked: the workbench, and the frameworks that the study needs."""

import importlib.util
from pathlib import Path

import pytest
from runner_world import STUDY, write_study

from tlsearch.execution.warm_up import EXPORTING, WORKBENCH
from tlsearch.host import PluginHost
from tlsearch.runner.warming import warm_up_of
from tlsearch.study import load_study


@pytest.mark.parametrize(
    ("backbones", "devices", "modules"),
    [
        (("mobilenet_v2", "efficientnet_lite0"), ["cuda:0", "cuda:1"], ()),
        (("mobilenet_v2", "mobilenet_v2_keras"), ["cuda:0", "cuda:1"], ("keras",)),
        (("mobilenet_v2", "mobilenet_v2_keras"), ["cpu"], ("keras", *EXPORTING)),
    ],
)
def test_after_the_workbench_come_frameworks_of_the_study_and_on_a_processor_what_exports_a_network(
    tmp_path: Path, backbones: tuple[str, str], devices: list[str], modules: tuple[str, ...]
) -> None:
    text = STUDY.replace("tiny_a", backbones[0]).replace("tiny_b", backbones[1])
    host = PluginHost.load()
    config = load_study(write_study(tmp_path, tmp_path, text), host=host)
    wanted = warm_up_of(config, host=host, devices=devices)
    assert wanted.modules == (WORKBENCH, *modules)
    assert wanted.workers == len(devices)
    assert wanted.versions == host.versions()
    assert all(importlib.util.find_spec(name) for name in wanted.modules)
