"""What the checks of the test kit share."""

import inspect
import os
import subprocess
import sys
from functools import partial

import torch

from tlsearch.params import Params, ranges_of
from tlsearch.space import Choice, ParamValue
from tlsearch.specs import BackboneSpec, HeadSpec

HEAVY = ("torch", "torchvision", "keras", "tensorflow", "jax", "timm")


def require(holds: bool, message: str) -> None:
    """Raise AssertionError with the message unless something holds."""
    if not holds:
        raise AssertionError(message)


def require_equal(got: torch.Tensor, expected: torch.Tensor, message: str) -> None:
    """Raise AssertionError with the largest difference unless two tensors are equal to the bit."""
    require(got.shape == expected.shape, f"{message}: shapes {tuple(got.shape)} and {tuple(expected.shape)}")
    if not torch.equal(got, expected):
        difference = float((got - expected).abs().max())
        raise AssertionError(f"{message}: by up to {difference:.2e}, of {float(expected.abs().max()):.2e}")


def ends(params: type[Params]) -> list[dict[str, ParamValue]]:
    """The first and last choices, and lowest and highest values, of all of a plugin's parameters."""
    ranges = ranges_of(params)
    low = {k: r.values[0] if isinstance(r, Choice) else r.low for k, r in ranges.items()}
    high = {k: r.values[-1] if isinstance(r, Choice) else r.high for k, r in ranges.items()}
    return [low] if low == high else [low, high]


def check_import_is_light(spec: BackboneSpec | HeadSpec) -> None:
    """Importing the plugin's module, in a process of its own, loads no framework."""
    build = spec.build.func if isinstance(spec.build, partial) else spec.build
    module, file = build.__module__, inspect.getsourcefile(build)
    code = (
        "import importlib, importlib.util, runpy, sys\n"
        "module, file, *heavy = sys.argv[1:]\n"
        "known = importlib.util.find_spec(module.partition('.')[0]) is not None\n"
        "importlib.import_module(module) if known else runpy.run_path(file)\n"
        "print(*[name for name in heavy if name in sys.modules])\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code, module, str(file), *HEAVY],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    require(answer.returncode == 0, f"importing {module} fails: {answer.stderr.strip()[-500:]}")
    heavy = answer.stdout.split()
    require(not heavy, f"importing {module} loads {', '.join(heavy)}: import them inside build and load")
