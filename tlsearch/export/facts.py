"""StudyFacts: what an export needs to know of a study, read from the store."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tlsearch.errors import NothingCompletedError, StoreError, TlsearchError
from tlsearch.holdout import final_folder
from tlsearch.records import Json, TrialRecord, TrialState
from tlsearch.stats import Calibration, Interval, SelectionEstimate
from tlsearch.stats.floors import Reached, doubt
from tlsearch.store.reading import StudyReader

LISTING = "table"  # the source that takes pictures from a list; of any other one it is not known


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyFacts:
    """A study as an export sees it.

    Args:
        name: The study's name.
        metric: What it maximised.
        final: Folder of the final model.
        root: Folder of the pictures.
        development: Their files relative to the root, in the order of the saved answers.
        development_labels: One a file.
        holdout: Likewise, of the pictures that nothing was chosen by.
        holdout_labels: One a file.
        notes: Sentences that must be shown with the model.
        license: Of the pictures, where known.
        counted: Trials that competed.
        expected: The score to expect and its interval, corrected for the choosing; None where none was estimated.
        calibration: What was found of the probabilities when the configuration was chosen; None where nothing was.
        outdated: Whether trials ended after this model was chosen, so that another may win.
        walked: Whether whatever lies in the folder of the pictures may become one; else a list names them.
    """

    name: str
    metric: str
    final: Path
    root: Path
    development: tuple[str, ...]
    development_labels: tuple[int, ...]
    holdout: tuple[str, ...] = ()
    holdout_labels: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()
    license: str = ""
    counted: int = 0
    expected: tuple[float, Interval] | None = None
    calibration: Calibration | None = None
    outdated: bool = False
    walked: bool = True


def study_facts(store: StudyReader, name: str) -> StudyFacts:
    """Read a study that ended with a final model.

    Raises:
        NothingCompletedError: Where no trial completed; says what became of them.
        TlsearchError: Where there is no such study, or no final model yet.
    """
    record = store.study(name)
    if record is None:
        raise StoreError(f"the store has no study '{name}'", hint=f"known: {_known(store)}")
    trials = store.trials(name)
    if not any(trial.state is TrialState.COMPLETED for trial in trials):
        raise nothing_completed(name, trials)
    final = final_folder(store, name)
    if final is None:
        raise TlsearchError(
            f"study '{name}' has no final model yet: its run did not come to an end",
            hint="continue it with the same tlsearch run command",
        )
    chosen = store.events(name, kinds=["chosen"])[-1]
    later = store.events(name, kinds=["told"])
    context = record.context
    return StudyFacts(
        name=name,
        metric=context["metric"],
        final=final,
        root=Path(context["root"]),
        walked=context.get("source") != LISTING,
        development=tuple(context["files"]),
        development_labels=tuple(context["labels"]),
        holdout=tuple(context["holdout_files"]),
        holdout_labels=tuple(context["holdout_labels"]),
        notes=(*context["notes"], *_floors(chosen.data)),
        license=context.get("license", ""),
        counted=sum(trial.counted for trial in trials),
        expected=_expected(chosen.data),
        calibration=_calibration(chosen.data),
        outdated=bool(later) and later[-1].seq > chosen.seq,
    )


def _expected(chosen: Mapping[str, Json]) -> tuple[float, Interval] | None:
    if not chosen.get("estimate"):
        return None
    return SelectionEstimate(**chosen["estimate"]).lowered(float(chosen.get("handicap", 0.0)))


def _floors(chosen: Mapping[str, Json]) -> list[str]:
    """A sentence where the model's configuration does not keep what single classes must reach."""
    said = doubt([Reached.from_json(one) for one in chosen.get("floors", ())])
    return [f"{said[0].upper()}{said[1:]}."] if said else []


def _calibration(chosen: Mapping[str, Json]) -> Calibration | None:
    found = chosen.get("calibration")
    return None if found is None else Calibration.from_json(found)


def nothing_completed(name: str, trials: list[TrialRecord]) -> NothingCompletedError:
    """The error for a study without a completed trial: counts by reason, and the first failure's words."""
    reasons = Counter(trial.reason.value for trial in trials if trial.reason is not None)
    counts = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
    first = next((trial.detail for trial in trials if trial.reason is not None), "")
    told = f"; failed: {counts}; the first: {first}" if counts else ""
    return NothingCompletedError(
        f"no trial of study '{name}' completed ({len(trials)} started{told})",
        hint="mend the cause and run the study again",
    )


def _known(store: StudyReader) -> str:
    return ", ".join(store.names()) or "none"
