"""The bundle: a folder with the final model in every format, verified before it appears under its name."""

import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import tlsearch
from tlsearch.errors import DataError, TlsearchError
from tlsearch.export.card import model_card
from tlsearch.export.facts import StudyFacts
from tlsearch.export.manifest import (
    BundleError,
    CheckEntry,
    Manifest,
    Part,
    WeightsEntry,
    write_manifest,
)
from tlsearch.export.predict_template import MODEL_FILE
from tlsearch.export.program import PROGRAM, predict_program
from tlsearch.export.target import refuse_target
from tlsearch.export.verify import Pictures, check
from tlsearch.final_files import ANSWERS, SEALED, read_answers, read_final
from tlsearch.holdout import HoldoutScore
from tlsearch.host import PluginHost
from tlsearch.model import load_final
from tlsearch.specs import ExportableModel, ExporterSpec
from tlsearch.text import safe

CARD = "MODEL_CARD.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleReport:
    """What an export wrote.

    Args:
        folder: The bundle.
        manifest: Its description, checks included.
        left_out: Formats that this model does not have, and why, in the order of their names.
        holdout: The final model's score there; None for a study that kept no holdout.
    """

    folder: Path
    manifest: Manifest
    left_out: tuple[tuple[str, str], ...]
    holdout: HoldoutScore | None


def export_best(
    facts: StudyFacts,
    target: Path,
    *,
    host: PluginHost,
    open_holdout: Callable[[], HoldoutScore | None],
    formats: Sequence[str] | None = None,
    force: bool = False,
    plugins: Sequence[Path] = (),
    say: Callable[[str], None] = lambda text: None,
) -> BundleReport:
    """Convert a study's final model, prove the files on the study's pictures, and put the bundle in place.

    Args:
        facts: The study.
        target: The folder to write; appears complete or not at all.
        host: Knows the export formats and the model's parts.
        open_holdout: Called once, after every file proved itself on the development pictures.
        formats: Names of export formats; None takes all that the model has.
        force: Replace the target where it is a bundle of ours.
        plugins: Plugin files given with `--plugin`, for the fresh processes.
        say: Told what is being done.

    Raises:
        BundleError: Where the target cannot be taken, or a format cannot be had.
        VerificationError: Where a file does not give the final model's answers; nothing is written then.
    """
    refuse_target(target, facts, force=force)
    final = read_final(facts.final)
    say("reading the final model")
    model = load_final(facts.final, host)
    exporters, left_out = choose_exporters(host, model, formats)
    with _draft(target) as draft:
        for exporter in exporters:
            say(f"writing {exporter.filename}")
            _export(exporter, model, draft / exporter.filename)
        if (draft / MODEL_FILE).exists():
            (draft / PROGRAM).write_text(predict_program(), encoding="utf-8")
        manifest = write_manifest(draft, _described(facts, final))
        checks, holdout = _prove(draft, exporters, facts, open_holdout=open_holdout, plugins=plugins, say=say)
        manifest = manifest.model_copy(update={"checks": tuple(checks)})
        unproven = [exporter.filename for exporter in exporters if not _provable(exporter)]
        card = model_card(manifest, facts, final, holdout, unproven=unproven)
        (draft / CARD).write_text(card, encoding="utf-8", errors="backslashreplace")
        manifest = write_manifest(draft, manifest)
        _put_in_place(draft, target)
    return BundleReport(folder=target, manifest=manifest, left_out=left_out, holdout=holdout)


def choose_exporters(
    host: PluginHost, model: ExportableModel, formats: Sequence[str] | None
) -> tuple[list[ExporterSpec], tuple[tuple[str, str], ...]]:
    """The formats to write, and those that the model does not have with the reason.

    Raises:
        UnknownNameError: Where no plugin provides a format.
        BundleError: Where the model does not have a format that was asked for.
    """
    names = list(host.exporters()) if formats is None else list(dict.fromkeys(formats))
    exporters = [host.exporter(name) for name in names]
    reasons = [(exporter, exporter.refuses(model)) for exporter in exporters]
    left_out = tuple((exporter.name, reason) for exporter, reason in reasons if reason is not None)
    if formats is not None and left_out:
        told = "; ".join(f"{name}: {reason}" for name, reason in left_out)
        raise BundleError(f"this model does not have every format: {told}", hint="leave it out of --format")
    chosen = [exporter for exporter, reason in reasons if reason is None]
    written = [exporter.filename for exporter in chosen]
    if not chosen or len(set(written)) < len(written):
        raise BundleError(f"there is no way to write these formats into one bundle: {', '.join(names) or 'none'}")
    return chosen, left_out


def _export(exporter: ExporterSpec, model: ExportableModel, path: Path) -> None:
    try:
        exporter.export(model, path)
    except Exception as error:  # whatever a stranger's exporter does
        words = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise BundleError(
            f"exporter '{exporter.name}' failed: {type(error).__name__}: {safe(words)}",
            hint="leave it out of --format, or see the traceback with --debug",
        ) from error
    if not path.is_file():
        raise BundleError(f"exporter '{exporter.name}' did not write {exporter.filename}")


def _described(facts: StudyFacts, final: dict[str, Any]) -> Manifest:
    backbone = final["backbone"]
    weights = {key: backbone[key] for key in ("source", "trained_on", "license", "digest")}
    return Manifest(
        tlsearch=tlsearch.__version__,
        study=facts.name,
        trial=final["trial"],
        final=final["digest"],
        classes=tuple(final["classes"]),
        image_px=final["image_px"],
        stored_px=final["stored_px"],
        preprocessing=final["preprocessing"],
        temperature=final["temperature"],
        weights=WeightsEntry(backbone=backbone["name"], **weights),
        notes=facts.notes,
    )


def _prove(
    draft: Path,
    exporters: Sequence[ExporterSpec],
    facts: StudyFacts,
    *,
    open_holdout: Callable[[], HoldoutScore | None],
    plugins: Sequence[Path],
    say: Callable[[str], None],
) -> tuple[list[CheckEntry], HoldoutScore | None]:
    """Check every file on the development pictures; only then open the holdout, and check them on it."""
    provable = [exporter for exporter in exporters if _provable(exporter)]
    if not provable:
        return [], None

    def check_all(pictures: Pictures) -> Iterator[CheckEntry]:
        for exporter in provable:
            say(f"checking {exporter.filename} on {len(pictures.paths)} {pictures.part} pictures")
            yield check(draft, exporter, pictures, final=facts.final, plugins=plugins)

    files, labels = facts.development, facts.development_labels
    checks = list(check_all(_pictures(facts, "development", ANSWERS, files, labels)))
    holdout = open_holdout()
    if holdout is not None:
        checks += check_all(_pictures(facts, "holdout", SEALED, facts.holdout, facts.holdout_labels))
    return checks, holdout


def _provable(exporter: ExporterSpec) -> bool:
    return exporter.load is not None or exporter.restore is not None


def _pictures(facts: StudyFacts, part: Part, saved: str, files: Sequence[str], labels: Sequence[int]) -> Pictures:
    log_probs = read_answers(facts.final / saved).log_probs
    if len(log_probs) != len(files):
        raise TlsearchError(f"{facts.final / saved} holds {len(log_probs)} answers for {len(files)} {part} pictures")
    paths = tuple(facts.root / file for file in files)
    missing = [str(path) for path in paths if not path.is_file()]
    if missing:
        raise DataError(
            f"{len(missing)} of {len(paths)} {part} pictures are gone, so nothing can be verified on them: "
            f"{', '.join(missing[:3])}",
            hint="put them back, or run the study again",
        )
    return Pictures(
        part=part, paths=paths, labels=np.asarray(labels, np.int64), probabilities=np.exp(log_probs, dtype=np.float32)
    )


@contextmanager
def _draft(target: Path) -> Iterator[Path]:
    """A new folder beside the target, gone afterwards unless it was put in place."""
    draft = target.parent / f".{target.name}.{secrets.token_hex(4)}.partial"
    try:
        draft.mkdir(parents=True)
        yield draft
    except OSError as error:
        raise BundleError(f"{target} cannot be written: {error}", hint="name another folder") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _put_in_place(draft: Path, target: Path) -> None:
    """Rename the draft; an old bundle is moved aside first, so no moment has half of each."""
    if not target.exists():
        draft.rename(target)
        return
    old = target.parent / f".{target.name}.{secrets.token_hex(4)}.old"
    target.rename(old)
    draft.rename(target)
    shutil.rmtree(old)
