"""Name what pictures show, with the model beside this file; needs onnxruntime, numpy and Pillow alone.

    python predict.py PICTURE... [--top 3] [--json]

Or from Python: `Classifier.open(folder).probabilities([path, ...])`.
"""

import argparse
import hashlib
import json
import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

# before the imports that fail where one is missing, and only as a program: tlsearch imports this file as well
if __name__ == "__main__" and not all(map(find_spec, ("onnxruntime", "numpy", "PIL"))):
    sys.exit("predict.py needs onnxruntime, numpy and pillow: pip install onnxruntime numpy pillow")

import numpy as np
from numpy.typing import NDArray

from tlsearch.data.pillow_rules import PictureError, decode, fit, shrink

MODEL_FILE = "model.onnx"
DESCRIPTION_FILE = "model.json"
FORMAT = 1  # of model.json
BATCH = 16  # pictures a run: above 32 ONNX Runtime only needs more memory


class PredictError(Exception):
    """A picture or a bundle that cannot be used: one sentence that says why."""


@dataclass(frozen=True, kw_only=True)
class Description:
    """What model.json says about the network's input and answer.

    Args:
        classes: Names in the order of the probabilities.
        image_px: Side of the network's input.
        stored_px: The shorter side that a picture is shrunk to first.
        resize: Then "crop", "squash" or "pad"; the colours' range is the network's own business.
        crop_fraction: Of "crop".
        interpolation: Pillow's filter.
        sha256: Of each file, by name.
    """

    classes: tuple[str, ...]
    image_px: int
    stored_px: int
    resize: str
    crop_fraction: float
    interpolation: str
    sha256: dict[str, str]


def describe(folder: Path) -> Description:
    """Read model.json; raises PredictError where it is not what this file knows."""
    path = folder / DESCRIPTION_FILE
    try:
        data = json.loads(path.read_bytes())
        if data["format"] != FORMAT:
            raise PredictError(f"{path}: format version {data['format']!r} is unknown; version {FORMAT} is read here")
        return Description(
            classes=tuple(data["classes"]),
            image_px=data["image_px"],
            stored_px=data["stored_px"],
            **{key: data["preprocessing"][key] for key in ("resize", "crop_fraction", "interpolation")},
            sha256={name: entry["sha256"] for name, entry in data["files"].items()},
        )
    except OSError as error:
        raise PredictError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise _damaged(folder, "it is no JSON") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise _damaged(folder, "an entry is missing or of another kind") from error


def _damaged(folder: Path, why: str) -> PredictError:
    return PredictError(f"{DESCRIPTION_FILE} of {folder} is damaged ({why}): export it again")


def read_pixels(path: Path, description: Description) -> NDArray[np.uint8]:
    """Decode a picture and make the network's input of it, `(image_px, image_px, 3)`; raises PredictError."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")  # odd headers: what matters of them is an error
        try:
            picture = shrink(decode(path), description.stored_px)
        except PictureError as error:
            raise PredictError(f"{path} cannot be read as a picture: {error}") from error
    return fit(
        np.asarray(picture),
        image_px=description.image_px,
        resize=description.resize,
        crop_fraction=description.crop_fraction,
        interpolation=description.interpolation,
    )


class Classifier:
    """A bundle's network in ONNX Runtime.

    Args:
        description: What model.json says.
        session: An `onnxruntime.InferenceSession`.
    """

    def __init__(self, description: Description, session: Any) -> None:
        self.description = description
        self.session = session

    @classmethod
    def open(cls, folder: Path) -> "Classifier":
        """Open a bundle whose model file is what was written; raises PredictError."""
        import onnxruntime

        description = describe(folder)
        path = folder / MODEL_FILE
        try:
            content = path.read_bytes()
        except OSError as error:
            raise PredictError(f"{path} cannot be read: {error}") from error
        if hashlib.sha256(content).hexdigest() != description.sha256.get(MODEL_FILE):
            raise PredictError(f"{path} is not the file that {DESCRIPTION_FILE} describes: its sha256 differs")
        session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
        return cls(description, session)

    def probabilities(self, paths: Sequence[Path]) -> NDArray[np.float32]:
        """Probabilities `(pictures, classes)`, in the order of the paths; raises PredictError."""
        answers = [np.zeros((0, len(self.description.classes)), np.float32)]
        for start in range(0, len(paths), BATCH):
            batch = [read_pixels(path, self.description) for path in paths[start : start + BATCH]]
            answers += self.session.run(["probabilities"], {"pixels": np.stack(batch)})
        return np.concatenate(answers)


def best(classes: Sequence[str], probabilities: NDArray[np.float32], top: int) -> list[tuple[str, float]]:
    """The most probable classes of one picture, best first."""
    order = np.argsort(-probabilities, kind="stable")[:top]
    return [(classes[index], float(probabilities[index])) for index in order]


def answer(classifier: Classifier, path: Path, top: int) -> dict[str, Any]:
    """What `--json` shows of one picture: its best classes, or why it has none."""
    try:
        probabilities = classifier.probabilities([path])[0]
    except PredictError as error:
        return {"image": str(path), "error": str(error)}
    ranked = best(classifier.description.classes, probabilities, top)
    return {"image": str(path), "top": [{"label": name, "probability": p} for name, p in ranked]}


def line(item: dict[str, Any]) -> str:
    """One answer as one line that cannot steer a terminal."""
    ranked = ", ".join(f"{entry['label']} {100 * entry['probability']:.1f} %" for entry in item["top"])
    return _printable(f"{item['image']}: {ranked}")


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in text)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; 2 where a picture or the bundle cannot be used."""
    parser = argparse.ArgumentParser(description="Name what pictures show.")
    parser.add_argument("pictures", nargs="+", type=Path, metavar="PICTURE")
    parser.add_argument("--top", type=int, default=3, help="how many classes to show (default 3)")
    parser.add_argument("--json", action="store_true", help="one JSON list, for programs")
    options = parser.parse_args(arguments)
    try:
        classifier = Classifier.open(Path(__file__).resolve().parent)
    except PredictError as error:
        sys.stderr.write(_printable(f"error: {error}") + "\n")
        return 2
    items = [answer(classifier, path, options.top) for path in options.pictures]
    if options.json:
        sys.stdout.write(json.dumps(items, indent=2) + "\n")
    for item in items:
        if "error" in item:
            sys.stderr.write(_printable(f"error: {item['error']}") + "\n")
        elif not options.json:
            sys.stdout.write(line(item).encode(sys.stdout.encoding, "backslashreplace").decode(sys.stdout.encoding))
            sys.stdout.write("\n")
    return 2 if any("error" in item for item in items) else 0


if __name__ == "__main__":
    sys.exit(main())
