"""Shows: small copies of the pictures that matter, and where the winner looked when it erred, kept for reports."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest

import numpy as np
from numpy.typing import NDArray

from tlsearch.records import Json, TrialRecord, TrialState
from tlsearch.report.alike import shown_files
from tlsearch.report.cells import cell_pictures, shown_cells, worst_mistakes
from tlsearch.report.text import plural
from tlsearch.runner.budget import refit_seconds
from tlsearch.runner.dispatch import Dispatcher
from tlsearch.runner.jobs import job_id
from tlsearch.runner.journal import Journal
from tlsearch.runner.setup import Setup
from tlsearch.runner.thumbnails import MEDIA, as_text, heated, thumbnails
from tlsearch.specs import Preprocessing
from tlsearch.stats import confusion_matrix
from tlsearch.store.store import Store
from tlsearch.training.recipe import Recipe
from tlsearch.work import Job, JobKind, Row, RowResult

MOST_LABEL_ERRORS = 48
MOST_BYTES = 2_500_000  # of the stored JSON: a page of 8 MB holds 5 MB of plotly.js
SAME_ANSWER = 0.01  # refits that differ by no more than this probability are told as the models that answered
NO_MAPS = "Where the network looked is not shown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Maps:
    """Where the winner looked.

    Args:
        cams: As a report reads them.
        note: What a reader must know of them, such as why there are none; "" where nothing.
        settled: Whether nothing else would come of another try.
    """

    cams: Sequence[Json] = ()
    note: str = ""
    settled: bool = True


class Showing:
    """Keeps the pictures of a study's report as the file "pictures", and says so in the event "pictured".

    Args:
        setup: Of the study.
        store: Its truth.
        journal: Of the run.
        dispatcher: Runs the job that explains mistakes.
    """

    def __init__(self, setup: Setup, *, store: Store, journal: Journal, dispatcher: Dispatcher) -> None:
        self._setup, self._store, self._journal, self._dispatcher = setup, store, journal, dispatcher
        self._study = setup.record.name
        self._place = {file: place for place, file in enumerate(setup.data.files)}  # in the pixel store

    def keep(self, record: TrialRecord) -> None:
        """Keep what shows the winner's answers; what an earlier run kept of the same answers stays.

        Raises:
            StoreError: Where the disk takes no more. Pictures that cannot be explained are no error: the note tells.
        """
        log_probs = self._store.predictions(self._study)[record.number]
        mistakes = worst_mistakes(log_probs, self._labels)
        files = self._files(log_probs, mistakes)
        plan = _digest([record.recipe, hashlib.sha256(log_probs.tobytes()).hexdigest(), files])
        if self._is_kept(plan):
            return
        maps = self._maps(record, log_probs, mistakes)
        shown: dict[str, Json] = {"media": MEDIA, "cams": list(maps.cams), "cam_note": maps.note}
        thumbs = thumbnails(((file, self._pixels(file)) for file in files), MOST_BYTES - len(json.dumps(shown)))
        left_out = len(files) - len(thumbs)
        named = plural(left_out, "more picture has", "more pictures have")
        note = f"{named} no small copy: this page would become too large." if left_out else ""
        shown |= {"thumbs": thumbs, "thumb_note": note}
        self._store.put_file(self._study, "pictures", json.dumps(shown).encode())
        told = {"thumbs": len(thumbs), "left_out": left_out, "cams": len(maps.cams), "cam_note": maps.note}
        self._journal.event("pictured", trial=record.number, plan=plan, settled=maps.settled, **told)

    @property
    def _labels(self) -> Sequence[int]:
        labels: Sequence[int] = self._setup.record.context["labels"]
        return labels

    def _is_kept(self, plan: str) -> bool:
        """Whether the last pictures show just these answers, and were all that could be had."""
        kept = self._store.events(self._study, ["pictured"])[-1:]
        return any(event.data["plan"] == plan and event.data["settled"] for event in kept)

    def _files(self, log_probs: NDArray[np.float32], mistakes: Sequence[int]) -> list[str]:
        """The files to show in small, the most important first."""
        development = self._setup.record.context["files"]
        pictures = cell_pictures(log_probs, self._labels)
        cells = shown_cells(confusion_matrix(log_probs, self._labels).tolist())
        wrong = _in_turn(pictures[cell] for cell in cells if cell[0] != cell[1])
        right = _in_turn(pictures[cell] for cell in cells if cell[0] == cell[1])
        wanted = chain(
            (development[place] for place in mistakes),
            self._suspected(),
            shown_files(self._setup.record.context["findings"]),
            (development[place] for place in (*wrong, *right)),
        )
        return [file for file in dict.fromkeys(wanted) if self._can_be_shown(file)]

    def _can_be_shown(self, file: str) -> bool:
        return file in self._place and self._place[file] not in self._setup.data.store.failures

    def _suspected(self) -> list[str]:
        """Likely label errors, where the data were checked."""
        checked = self._store.get_file(self._study, "data_check")
        errors = [] if checked is None else json.loads(checked)["label_errors"]
        return [str(error["file"]) for error in errors[:MOST_LABEL_ERRORS]]

    def _pixels(self, file: str) -> NDArray[np.uint8]:
        return self._setup.data.store[self._place[file]]

    def _maps(self, record: TrialRecord, log_probs: NDArray[np.float32], mistakes: Sequence[int]) -> Maps:
        """Where the models that made the mistakes looked: those models are fitted once more."""
        if not mistakes:
            return Maps()
        if self._out_of_time(record, mistakes):
            return Maps(note=f"{NO_MAPS}: the time budget is used up.", settled=False)
        result = self._explained(record, log_probs, mistakes)
        if result.state is not TrialState.COMPLETED:
            why = f"the models behind the mistakes could not be fitted again: {result.detail}"
            return Maps(note=f"{NO_MAPS}: {why}.", settled=False)
        if result.extras["note"]:
            return Maps(note=f"{NO_MAPS}: {result.extras['note']}.")
        grids = {found["image"]: found for found in result.extras["maps"]}
        cams = [self._cam(record, grids[place]) for place in mistakes]
        return Maps(cams=cams, note=_difference(result, log_probs, mistakes))

    def _out_of_time(self, record: TrialRecord, mistakes: Sequence[int]) -> bool:
        limit_s = self._setup.config.study.budget.time_s
        if limit_s is None:
            return False
        folds = self._setup.data.folds[0]
        share = len({folds[place] for place in mistakes}) / (max(folds) + 1)
        return self._journal.used_seconds + share * self._refit_seconds(record) > limit_s

    def _refit_seconds(self, record: TrialRecord) -> float:
        return refit_seconds(record, self._dispatcher.ledger.side_by_side.get(record.number, 1))

    def _explained(self, record: TrialRecord, log_probs: NDArray[np.float32], mistakes: Sequence[int]) -> RowResult:
        recipe = Recipe.from_json(record.recipe)
        row = Row(trial=record.number, attempt=1, recipe=recipe, seed_key=record.number)
        answers = [[place, int(log_probs[place].argmax())] for place in mistakes]
        job = Job(
            id=job_id("explain", record.number),
            kind=JobKind.EXPLAIN,
            rows=(row,),
            timeout_s=self._setup.config.run.trial_timeout_s,
            options={"answers": answers},
        )
        return self._dispatcher.run(job)

    def _cam(self, record: TrialRecord, found: Json) -> dict[str, Json]:
        file = self._setup.record.context["files"][found["image"]]
        grid = np.asarray(found["grid"], dtype=np.float32)
        lit = heated(self._pixels(file), grid, _preprocessing(self._setup, record))
        return {"file": file, "image": as_text(lit), "fold": found["fold"]}


def _preprocessing(setup: Setup, record: TrialRecord) -> Preprocessing:
    """What a trial's pictures go through: the weights' own, with what its recipe overrides."""
    own = setup.contexts[0].backbones[record.recipe["backbone"]].preprocessing
    return Preprocessing().changed(own).changed(record.recipe["preprocessing"])


def _difference(result: RowResult, log_probs: NDArray[np.float32], mistakes: Sequence[int]) -> str:
    """What to say where the models, fitted again, don't answer as they did: on a GPU they need not."""
    assert result.log_probs is not None, "a completed explanation has the answers of its models"
    places = list(mistakes)
    gap = float(np.abs(np.exp(result.log_probs[places]) - np.exp(log_probs[places])).max())
    if gap <= SAME_ANSWER:
        return ""
    return f"The models were fitted again for this, and their answers differ by up to {100 * gap:.0f} points."


def _in_turn(lists: Iterable[Sequence[int]]) -> list[int]:
    """The first of each list, then the second of each, and so on."""
    return [place for places in zip_longest(*lists) for place in places if place is not None]


def _digest(value: Json) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
