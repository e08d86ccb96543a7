"""MODEL_CARD.md: what a bundle's model is, how good, from what, under which licenses, and how to use it."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from tlsearch.export.facts import StudyFacts
from tlsearch.export.manifest import Manifest
from tlsearch.holdout import HoldoutScore
from tlsearch.stats import Calibration
from tlsearch.text import safe

METRIC_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "accuracy": "accuracy",
        "balanced_accuracy": "balanced accuracy",
        "macro_f1": "macro F1",
        "log_loss": "log loss (smaller is better)",
    }
)
MARKUP = str.maketrans({mark: f"\\{mark}" for mark in "\\`*_{}[]<>#|$~!&"})


def model_card(
    manifest: Manifest,
    facts: StudyFacts,
    final: Mapping[str, Any],
    holdout: HoldoutScore | None,
    *,
    unproven: Sequence[str] = (),
) -> str:
    """Write the card.

    Args:
        manifest: The bundle's description, checks and files included.
        facts: The study.
        final: The content of `final.json`.
        holdout: None for a study that kept none.
        unproven: Files that nothing can load here.
    """
    sections = [
        _what(manifest),
        _quality(facts, holdout),
        _probabilities(manifest, facts.calibration),
        _verification(manifest, unproven),
        _data(manifest, facts),
        _training(manifest, facts, final),
        _usage(manifest),
        _limits(manifest, facts),
    ]
    return "\n\n".join("\n".join(section) for section in sections) + "\n"


def plain(text: str) -> str:
    """Text from outside as Markdown that shows it as it is: no markup, no control characters."""
    return safe(str(text)).translate(MARKUP)


def _what(manifest: Manifest) -> list[str]:
    lines = [
        f"# {plain(manifest.study)}: an image classifier",
        "",
        f"Tells {len(manifest.classes)} classes apart: {', '.join(plain(name) for name in manifest.classes)}.",
        f"It takes one colour picture, made {manifest.image_px} x {manifest.image_px} pixels, and answers with one "
        "probability a class.",
    ]
    return lines + [line for note in manifest.notes for line in ("", f"> **Note:** {plain(note)}")]


def _quality(facts: StudyFacts, holdout: HoldoutScore | None) -> list[str]:
    rows = []
    if facts.expected is not None:
        score, span = facts.expected
        name = "expected, from out-of-fold predictions, corrected for having chosen the best"
        interval = _interval(facts.metric, span.low, span.high)
        rows.append((name, len(facts.development), _score(facts.metric, score), interval))
    if holdout is not None:
        interval = _interval(facts.metric, holdout.low, holdout.high)
        rows.append(("holdout, opened once", holdout.n, _score(facts.metric, holdout.score), interval))
    words = METRIC_WORDS.get(facts.metric, facts.metric)
    lines = ["## How good it is", "", *_table(("measured on", "pictures", words, "95 % interval"), rows)]
    if holdout is not None:
        lines += ["", f"Holdout accuracy: {holdout.accuracy:.2%}. The holdout was opened at {holdout.opened}."]
    if facts.metric == "log_loss" and facts.calibration is not None and facts.calibration.corrects:
        lines += ["", "The expected log loss is that before calibration; that on the holdout is after it."]
    lines += ["", "The intervals cover other pictures of the same kind. They do not cover a new camera, place or time."]
    return lines


def _probabilities(manifest: Manifest, found: Calibration | None) -> list[str]:
    """Whether the probabilities can be taken at their word, and what corrected them."""
    lines = ["## What its probabilities are worth", ""]
    if manifest.temperature == 1.0:
        lines.append("They are the network's own, not calibrated.")
    else:
        lines.append(
            f"They are calibrated: logits are divided by a temperature of {manifest.temperature:g} (Guo et al. 2017, "
            "arXiv:1706.04599), fitted on the predictions of models that had not trained on the picture."
        )
    if found is None:
        return lines
    rows = [
        ("expected calibration error", f"{found.before.ece:.3f}", f"{found.after.ece:.3f}"),
        ("log loss", f"{found.before.log_loss:.3f}", f"{found.after.log_loss:.3f}"),
        ("Brier score", f"{found.before.brier:.3f}", f"{found.after.brier:.3f}"),
    ]
    none = "" if found.corrects else " It made the log loss no smaller, so the model has none."
    measured = (
        f"Measured on {found.n} pictures, each under a temperature that was fitted on others.{none} Probabilities that "
        f"are exactly true would show a calibration error of {found.before.ece_by_chance:.3f} here, by chance alone."
    )
    return [*lines, "", *_table(("smaller is better", "without a temperature", "with one"), rows), "", measured]


def _verification(manifest: Manifest, unproven: Sequence[str]) -> list[str]:
    rows = [
        (e.file, e.part, e.n, f"{e.max_dp:.1e}", f"{e.label_agreement:.2%}", f"{e.accuracy:.2%}")
        for e in manifest.checks
    ]
    header = ("file", "pictures", "n", r"max \|Δp\|", "same label", "accuracy")
    not_verified = ["", f"Not verified, since nothing here loads them: {', '.join(map(plain, unproven))}."]
    if not rows:
        return ["## What was verified", *not_verified]
    return [
        "## What was verified",
        "",
        "Each file was loaded in a fresh process and scored the pictures from their files. Its answers were compared "
        "with those of the final model as it was measured. The development pictures are those that it was fitted on, "
        "so their accuracy says nothing about new ones.",
        "",
        *_table(header, rows),
        *(not_verified if unproven else []),
    ]


def _data(manifest: Manifest, facts: StudyFacts) -> list[str]:
    development, holdout = Counter(facts.development_labels), Counter(facts.holdout_labels)
    rows = [(plain(name), development[label], holdout[label]) for label, name in enumerate(manifest.classes)]
    rows.append(("all", development.total(), holdout.total()))
    license_line = ["", f"License of the pictures: {plain(facts.license)}."] if facts.license else []
    return ["## Data", "", *_table(("class", "development", "holdout"), rows), *license_line]


def _training(manifest: Manifest, facts: StudyFacts, final: Mapping[str, Any]) -> list[str]:
    recipe, weights = final["recipe"], manifest.weights
    origin = "random weights" if weights.source == "random" else f"weights '{plain(weights.source)}'"
    learned = f", trained on {plain(weights.trained_on)}" if weights.trained_on else ""
    lines = [
        "## How it was made",
        "",
        f"tlsearch {manifest.tlsearch}, study '{plain(facts.name)}', trial {manifest.trial}: the winner of "
        f"{facts.counted} configurations, fitted on all development pictures.",
        "",
        f"- backbone: {plain(weights.backbone)}, {origin}{learned}",
        f"- head: {plain(recipe['head'])} {plain(_pairs(recipe['head_params']))}".rstrip(),
    ]
    if recipe.get("freeze_until"):
        lines.append(f"- frozen up to the layer {plain(recipe['freeze_until'])}")
    for phase in recipe["phases"]:
        trained = "all stages" if phase["unfrozen"] is None else f"the last {phase['unfrozen']} stages and the head"
        trained = "the head alone" if phase["unfrozen"] == 0 else trained
        rate = f"learning rate {phase['learning_rate']:.3g}"
        lines.append(f"- {phase['epochs']} epochs that train {trained}, {rate}")
    return [*lines, f"- batches of {recipe['batch_size']}, {recipe['optimizer']}, augmentation '{recipe['augment']}'"]


def _usage(manifest: Manifest) -> list[str]:
    lines = ["## How to use it", ""]
    if "predict.py" in manifest.files:
        lines += ["With onnxruntime, numpy and Pillow, without tlsearch:", "", "    python predict.py PICTURE...", ""]
    lines += ["With tlsearch, which also checks every file of this folder:", "", "    tlsearch predict . PICTURE..."]
    if "model.keras" in manifest.files:
        lines += [
            "",
            "In Keras (built-in layers only; uint8 pictures in, probabilities out):",
            "",
            '    keras.models.load_model("model.keras", compile=False, safe_mode=True)',
        ]
    return [
        *lines,
        "",
        "Normalisation, temperature and softmax are inside the network; making a picture "
        f"{manifest.image_px} x {manifest.image_px} pixels is not, and must be done as `predict.py` does it "
        f"(shorter side to {manifest.stored_px}, then '{manifest.preprocessing.resize}', Pillow's "
        f"{manifest.preprocessing.interpolation} filter): other resizing changes the answers.",
    ]


def _limits(manifest: Manifest, facts: StudyFacts) -> list[str]:
    unknown = "none were used" if manifest.weights.source == "random" else "unknown"
    weights_license = plain(manifest.weights.license) or unknown
    return [
        "## Licenses and limits",
        "",
        f"- pretrained weights: {weights_license}",
        *([f"- pictures: {plain(facts.license)}"] if facts.license else []),
        "- It always answers with one of its classes, also for a picture that shows none of them.",
    ]


def _score(metric: str, score: float) -> str:
    return f"{-score:.3f}" if metric == "log_loss" else f"{score:.1%}"


def _interval(metric: str, low: float, high: float) -> str:
    ends = (high, low) if metric == "log_loss" else (low, high)
    return " to ".join(_score(metric, end) for end in ends)


def _pairs(values: Mapping[str, Any]) -> str:
    return f"({', '.join(f'{key} {value}' for key, value in values.items())})" if values else ""


def _table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    return [
        f"| {' | '.join(header)} |",
        f"|{' --- |' * len(header)}",
        *(f"| {' | '.join(str(cell) for cell in row)} |" for row in rows),
    ]
