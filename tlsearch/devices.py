"""Which devices this machine has, and how a process that computes is started; told without loading torch."""

import ctypes
import os
import platform
import shutil
import subprocess
from collections.abc import Sequence
from typing import Literal

from tlsearch.errors import DeviceError

DRIVER_TIMEOUT_S = 20.0

# Activations of tens of megabytes come and go with every layer. glibc gives each back to the system and faults it in
# again, page by page: that took four fifths of an inference pass at 300 px, and a third of a training step
# (docs/design.md). Other C libraries don't read these; who sets them has the last word.
KEEP_FREED_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2 << 30), "MALLOC_TOP_PAD_": str(64 << 20)}


def find_devices() -> tuple[str, ...]:
    """All devices, the fastest first: every CUDA GPU, else Apple's, and always the CPU last."""
    gpus = tuple(f"cuda:{index}" for index in range(_cuda_gpus()))
    apple = ("mps",) if platform.system() == "Darwin" and platform.machine() == "arm64" else ()
    return (*(gpus or apple), "cpu")


def choose_devices(wanted: Literal["auto"] | Sequence[str]) -> tuple[str, ...]:
    """The devices that a study computes on, one worker each.

    Args:
        wanted: "auto" takes every GPU, or else the CPU.

    Raises:
        DeviceError: Where a named device is not there.
    """
    there = find_devices()
    if wanted == "auto":
        fast = tuple(device for device in there if device != "cpu")
        return fast or there
    missing = [device for device in wanted if device not in there]
    if missing or not wanted:
        raise DeviceError(
            f"this machine has no device '{missing[0]}'" if missing else "run.devices names no device",
            hint=f"its devices: {', '.join(there)}",
        )
    return tuple(wanted)


def cpu_threads() -> int:
    """Cores that this process may use; more threads than cores are slower."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def computing_environment() -> dict[str, str]:
    """This process's environment for one that is started to compute: what is decided before a framework is imported."""
    return {**KEEP_FREED_MEMORY, **os.environ, "KERAS_BACKEND": "torch"}


def give_back_freed_memory() -> None:
    """Give the system what this process has freed and kept, where its C library can: after work that is not repeated.

    It takes milliseconds. Without it a worker would hold the peaks of all its phases to its end.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if platform.system() == "Linux" else None
    if trim is not None:
        trim(0)


def _cuda_gpus() -> int:
    """How many the driver lists and CUDA_VISIBLE_DEVICES leaves; 0 without a driver that answers."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return 0
    try:
        told = subprocess.run([tool, "-L"], capture_output=True, text=True, timeout=DRIVER_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):  # a driver that hangs or cannot be asked can compute nothing
        return 0
    there = sum(line.startswith("GPU ") for line in told.stdout.splitlines()) if told.returncode == 0 else 0
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return there
    return min(there, len([part for part in visible.split(",") if part.strip() not in ("", "-1")]))
