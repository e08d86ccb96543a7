"""Loads an exported file in a process that never saw the model, and scores pictures with it.

A file of weights alone is read into a network that is built anew from the description of the final model.

python -m tlsearch.export.child JOB.json
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tlsearch.errors import VerificationError
from tlsearch.export.predict_template import BATCH, describe, read_pixels
from tlsearch.host import PluginHost
from tlsearch.specs import ExporterSpec

Predictor = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


def main(job_file: str) -> None:
    """Score the job's pictures with the exporter's own `load` and save their probabilities."""
    job = json.loads(Path(job_file).read_text(encoding="utf-8"))
    bundle = Path(job["bundle"])
    host = PluginHost.load(files=[Path(file) for file in job["plugins"]])
    predictor = _predictor(host.exporters()[job["exporter"]], bundle / job["file"], Path(job["final"]), host)
    description = describe(bundle)
    answers = [np.zeros((0, len(description.classes)), np.float32)]
    for start in range(0, len(job["pictures"]), BATCH):
        paths = job["pictures"][start : start + BATCH]
        answers.append(predictor(np.stack([read_pixels(Path(path), description) for path in paths])))
    np.save(job["out"], np.concatenate(answers))


def _predictor(exporter: ExporterSpec, file: Path, final: Path, host: PluginHost) -> Predictor:
    if exporter.load is not None:
        return exporter.load(file)
    if exporter.restore is None:
        raise VerificationError(f"exporter '{exporter.name}' cannot load what it writes")
    import torch  # only a file of weights needs it

    from tlsearch.model import build_final

    model = build_final(final, host)
    exporter.restore(file, model)

    @torch.no_grad()
    def predict(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.asarray(model.network(torch.from_numpy(pixels)).numpy(), dtype=np.float32)

    return predict


if __name__ == "__main__":
    main(sys.argv[1])
