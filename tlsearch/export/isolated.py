"""Runs a bundle's own predict.py where tlsearch, torch and keras cannot be imported; a program, started by path.

    python -I isolated.py JOB.json

It imports nothing of ours, so that its answers prove that the bundle needs nothing of ours.
"""

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

BLOCKED = ("tlsearch", "torch", "keras", "onnx", "tensorflow")


def main(job_file: str) -> None:
    """Score the job's pictures and save their probabilities."""
    for name in BLOCKED:
        sys.modules[name] = None  # type: ignore[assignment]  # what makes `import name` fail, by the language's rules
    sys.dont_write_bytecode = True  # a bundle holds no cache folders
    job = json.loads(Path(job_file).read_text(encoding="utf-8"))
    bundle = Path(job["bundle"])
    classifier = _load(bundle / "predict.py").Classifier.open(bundle)
    probabilities = classifier.probabilities([Path(path) for path in job["pictures"]])

    import numpy as np  # only now: what predict.py needs is its own business

    np.save(job["out"], probabilities)


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("predict", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules["predict"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main(sys.argv[1])
