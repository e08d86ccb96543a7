"""A finished study of any size, written through the store as a run writes it, in seconds: no picture, no training.

Its answers are drawn: pictures are equally hard for all configurations, some of which are better. All else that a
report reads is there, of the sizes that runs leave behind: epochs, events, confirmations, a choice with its corrected
score, calibration, importance, baselines, and trials that were pruned or failed.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tlsearch.records import EpochRecord, FailureReason, ModelFacts, StudyRecord, TrialKind, TrialRecord, TrialState
from tlsearch.space import ParamValue
from tlsearch.stats import bbc_cv, calibrate, score
from tlsearch.store.store import Store
from tlsearch.training.recipe import Phase, Recipe
from tlsearch.work import JobKind, RowResult

METRIC, FOLDS, STAGES = "accuracy", 5, 19
BACKBONES = ("mobilenet_v2", "efficientnet_lite0", "resnet18")
BASELINES = 2
JOB_ROWS = 50
COMPETITORS = 200  # as many as a choice looks at
PRUNED_EVERY, FAILED_EVERY = 12, 40


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenStudy:
    """What is written.

    Args:
        name: The study's.
        trials: Baselines among them.
        images: Development pictures.
        classes: How many.
    """

    name: str
    trials: int
    images: int
    classes: int

    @property
    def labels(self) -> NDArray[np.int64]:
        """(images,)"""
        return np.arange(self.images) % self.classes

    def write(self, folder: Path) -> str:
        """Write the store into a folder; returns its URL."""
        folder.mkdir(parents=True, exist_ok=True)
        url = f"sqlite:///{folder / 'study.db'}"
        hard = 1.5 * np.random.default_rng(0).normal(size=(self.images, self.classes))
        with Store.open(url) as store:
            store.define_study(self._record())
            store.add_event(self.name, "run_started", {"versions": {"tlsearch": "0.1.0"}, "run_s": 0.0})
            for first in range(0, self.trials, JOB_ROWS):
                self._run_job(store, range(first, min(first + JOB_ROWS, self.trials)), hard)
            self._end(store)
        return url

    def _record(self) -> StudyRecord:
        names = [f"class_{place}" for place in range(self.classes)]
        context = {
            "classes": names,
            "labels": self.labels.tolist(),
            "files": [f"{names[label]}/picture_{place:05d}.jpg" for place, label in enumerate(self.labels)],
            "groups": [f"{place:064x}" for place in range(self.images)],
            "hashes": [f"{place:064x}" for place in range(self.images)],
            "metric": METRIC,
            "n_development": self.images,
            "n_holdout": self.images // 5,
            "folds": FOLDS,
            "backbones": {
                name: {"source": "imagenet", "digest": name, "framework": "torch", "image_px": 160, "trained_on": ""}
                for name in BACKBONES
            },
        }
        config = {"study": {"name": self.name, "metric": METRIC, "budget": {"trials": self.trials - BASELINES}}}
        return StudyRecord(
            name=self.name, config=config, definition={}, context=context, created="2026-11-23T07:00:00+00:00"
        )

    def _run_job(self, store: Store, numbers: range, hard: NDArray[np.float64]) -> None:
        job, run_s = f"trials-{numbers.start}", float(numbers.start)
        store.add_trials(self.name, [self._trial(number) for number in numbers])
        store.add_event(self.name, "asked", {"trials": list(numbers), "run_s": run_s})
        store.start_attempts(self.name, job, [(number, 1) for number in numbers])
        store.add_event(self.name, "dispatched", {"job": job, "trials": [[n, 1] for n in numbers], "run_s": run_s})
        results = [self._result(number, job, hard) for number in numbers]
        store.record(self.name, results, [epoch for result in results for epoch in _epochs(result)])
        told = [{"trial": one.trial, "state": one.state, "score": one.score, "run_s": run_s} for one in results]
        store.add_events(self.name, "told", told)

    def _trial(self, number: int) -> TrialRecord:
        drawn = np.random.default_rng(number)
        unfrozen, epochs, rate = int(drawn.integers(0, 5)), 5, float(10 ** drawn.uniform(-4, -1))
        recipe = Recipe(
            backbone=BACKBONES[number % len(BACKBONES)],
            head="linear",
            phases=(Phase(epochs=epochs, unfrozen=unfrozen, learning_rate=rate),),
            head_params={"dropout": 0.2},
            batch_size=32,
        )
        baseline = number < BASELINES
        params: dict[str, ParamValue] = {"backbone": recipe.backbone, "head": "linear", "linear.learning_rate": rate}
        return TrialRecord(
            number=number,
            kind=TrialKind.BASELINE if baseline else TrialKind.SEARCH,
            name=f"recipe {number}" if baseline else "",
            state=TrialState.WAITING,
            params={} if baseline else {**params, "unfrozen": unfrozen, "epochs": epochs},
            recipe=recipe.to_json(),
        )

    def _result(self, number: int, job: str, hard: NDArray[np.float64]) -> RowResult:
        known: dict[str, Any] = {"job": job, "kind": JobKind.TRIALS, "trial": number, "attempt": 1, "seconds": 0.2}
        if number >= BASELINES and number % FAILED_EVERY == 0:
            return RowResult(state=TrialState.FAILED, reason=FailureReason.EXCEPTION, detail="it broke", **known)
        if number >= BASELINES and number % PRUNED_EVERY == 0:
            return RowResult(state=TrialState.PRUNED, fold_scores=(0.4,), detail="below the median", **known)
        drawn = np.random.default_rng(number)
        logits = hard + 0.6 * drawn.normal(size=hard.shape)
        logits[np.arange(self.images), self.labels] += drawn.uniform(1.0, 2.5)
        log_probs = (logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))).astype(np.float32)
        found = score(METRIC, log_probs, self.labels)
        facts = ModelFacts(
            unfrozen=number % 5,
            stages=STAGES,
            cut="features.14",
            parameters=2_230_277,
            trained_parameters=6405,
            macs=152_805_760,
            trained_macs=6400,
        )
        scored: dict[str, Any] = {"score": found, "fold_scores": (found,) * FOLDS, "log_probs": log_probs}
        return RowResult(state=TrialState.COMPLETED, facts=facts, **scored, **known)

    def _end(self, store: Store) -> None:
        """Confirm five, choose, and say where the time went."""
        searched = [trial for trial in store.trials(self.name) if trial.number >= BASELINES and trial.score is not None]
        best = sorted(searched, key=lambda trial: -(trial.score or 0.0))[:COMPETITORS]
        answers = store.predictions(self.name, trials=[trial.number for trial in best])
        again = [
            RowResult(job="confirm", kind=JobKind.CONFIRM, trial=trial.number, attempt=1, repeat=1,
                      state=TrialState.COMPLETED, score=trial.score, fold_scores=trial.fold_scores,
                      log_probs=answers[trial.number])
            for trial in best[:5]
        ]  # fmt: skip
        store.record(self.name, again)
        chosen = best[0].number
        estimate = bbc_cv([answers[trial.number] for trial in best], self.labels, METRIC, repeats=50)
        calibrated = calibrate(answers[chosen], self.labels, folds=np.arange(self.images) % FOLDS)
        told = {
            "trial": chosen,
            "reason": "it had the best score",
            "indistinguishable": [trial.number for trial in best[:5]],
            "estimate": asdict(estimate),
            "calibration": None if calibrated is None else calibrated.to_json(),
        }
        store.add_event(self.name, "chosen", told)
        for phase in ("data", "features", "search", "confirmation", "final fit"):
            store.add_event(self.name, "phase_timed", {"phase": phase, "seconds": 10.0, "run_s": self.trials + 50.0})
        store.add_event(self.name, "cache", {"hits": 30, "misses": 3, "images": self.images, "seconds": 12.0})
        store.add_event(self.name, "run_ended", {"why": "trials", "run_s": self.trials + 50.0})
        importance = {"shared": {"unfrozen": 0.6, "epochs": 0.4}, "branches": {}, "withheld": None}
        store.put_file(self.name, "importance", json.dumps(importance).encode())


def _epochs(result: RowResult) -> list[EpochRecord]:
    return [
        EpochRecord(
            trial=result.trial, attempt=1, repeat=0, fold=fold, epoch=epoch, train_loss=1.0 / (1 + epoch), seconds=0.01
        )
        for fold in range(len(result.fold_scores))
        for epoch in range(5)
    ]
