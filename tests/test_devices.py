"""Devices are those that the driver lists and the environment leaves; a driver that does not answer lists none."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tlsearch import devices
from tlsearch.devices import choose_devices, computing_environment, find_devices
from tlsearch.errors import DeviceError

Driver = Callable[[str], None]
TWO_GPUS = """
echo "GPU 0: NVIDIA H200 (UUID: GPU-a)"
echo "  MIG 1g.18gb     Device  0: (UUID: MIG-c)"
echo "GPU 1: NVIDIA H200 (UUID: GPU-b)"
"""
FREES = """
import re
from pathlib import Path

from tlsearch.devices import give_back_freed_memory

def held():
    return int(re.search(r"RssAnon:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) // 1024

freed = [bytes(bytearray(1 << 20)) for _ in range(256)]
del freed
kept = held()
give_back_freed_memory()
print(kept, held())
"""


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Driver:
    """Put a driver's tool that runs such a script where it is looked for."""
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr("platform.system", lambda: "Linux")

    def install(script: str) -> None:
        tool = tmp_path / "nvidia-smi"
        tool.write_text(script)
        tool.chmod(0o755)

    return install


@pytest.mark.parametrize(
    ("visible", "found"),
    [
        (None, 2),
        ("0,1", 2),
        ("1", 1),
        ("GPU-b", 1),
        ("0,1,2,3", 2),  # more than there are
        ("", 0),
        ("-1", 0),
    ],
)
def test_gpus_are_those_that_the_driver_lists_and_the_environment_leaves(
    driver: Driver, monkeypatch: pytest.MonkeyPatch, visible: str | None, found: int
) -> None:
    driver(f"#!/bin/sh\n{TWO_GPUS}")
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert find_devices() == (*(f"cuda:{index}" for index in range(found)), "cpu")


@pytest.mark.parametrize(
    "script",
    [
        "#!/bin/sh\necho 'GPU 0: it fell off the bus'; exit 9",
        "#!/bin/sh\nexec sleep 600",
        "no program at all",
    ],
    ids=["fails", "hangs", "cannot be run"],
)
def test_a_driver_that_does_not_answer_lists_none_though_the_environment_names_one(
    driver: Driver, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    driver(script)
    monkeypatch.setattr(devices, "DRIVER_TIMEOUT_S", 0.3)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert find_devices() == ("cpu",)


def test_without_a_driver_there_is_no_gpu_though_the_environment_names_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.setattr("platform.system", lambda: "Linux")
    assert find_devices() == ("cpu",)


def test_every_gpu_is_taken_or_what_is_named_and_nothing_that_is_not_there(driver: Driver) -> None:
    driver(f"#!/bin/sh\n{TWO_GPUS}")
    assert choose_devices("auto") == ("cuda:0", "cuda:1")
    assert choose_devices(["cuda:1"]) == ("cuda:1",)
    with pytest.raises(DeviceError, match="no device 'cuda:2'") as caught:
        choose_devices(["cuda:0", "cuda:2"])
    assert "cuda:1, cpu" in (caught.value.hint or "")


def test_a_process_that_computes_keeps_what_it_freed_until_it_is_told_to_give_it_back() -> None:
    told = subprocess.run(
        [sys.executable, "-c", FREES], env=computing_environment(), capture_output=True, text=True, check=True
    )
    kept, left = map(int, told.stdout.split())
    assert kept > 256  # MB
    assert left < 100
