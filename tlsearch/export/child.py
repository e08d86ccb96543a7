"""Loads an exported file in a process that never saw the model, and scores pictures with it.

python -m tlsearch.export.child JOB.json
"""

import json
import sys
from pathlib import Path

import numpy as np

from tlsearch.errors import VerificationError
from tlsearch.export.predict_template import BATCH, describe, read_pixels
from tlsearch.host import PluginHost


def main(job_file: str) -> None:
    """Score the job's pictures with the exporter's own `load` and save their probabilities."""
    job = json.loads(Path(job_file).read_text(encoding="utf-8"))
    bundle = Path(job["bundle"])
    host = PluginHost.load(files=[Path(file) for file in job["plugins"]])
    exporter = host.exporters()[job["exporter"]]
    if exporter.load is None:
        raise VerificationError(f"exporter '{exporter.name}' cannot load what it writes")
    predictor = exporter.load(bundle / job["file"])
    description = describe(bundle)
    answers = [np.zeros((0, len(description.classes)), np.float32)]
    for start in range(0, len(job["pictures"]), BATCH):
        paths = job["pictures"][start : start + BATCH]
        answers.append(predictor(np.stack([read_pixels(Path(path), description) for path in paths])))
    np.save(job["out"], np.concatenate(answers))


if __name__ == "__main__":
    main(sys.argv[1])
