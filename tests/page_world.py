"""A finished study in a real store, with everything that a page may show; names come from the test."""

import base64
import json
from dataclasses import dataclass, field
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tlsearch.records import FailureReason, ModelFacts, StudyRecord, TrialKind, TrialRecord, TrialState
from tlsearch.report.cells import worst_mistakes
from tlsearch.stats import bbc_cv, score
from tlsearch.stats.calibration import calibrate
from tlsearch.store.store import Store
from tlsearch.training.recipe import Phase, Recipe
from tlsearch.work import JobKind, RowResult

TRIALS = 24
FAILED, PRUNED = 22, 23
# RELIABILITY 5's names: what a folder may be called, or what a plugin's error may say.
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=1>',
    "{{7*7}}",
    "{% raw %}",
    "</script><script>alert(1)</script>",
    "<!--<script>",
    "javascript:alert(1)",
    "cat[/]",
    "[link=x]a[/link]",
    "\x1b]0;x\x07",
    "\x1b[2J",
    "two\nlines",
    "\u202egnp.exe",
    "'; DROP TABLE trials;--",
    "../../x",
    "=1+1",
    "CON",
    "\ud800",
    "\x00",
    "x" * 300,
    "{a}",
    "?x#y%00",
    "@accent",
    "%{customdata}<b>",
)


@dataclass(kw_only=True)
class PageStudy:
    """What is written; a test changes what it is about."""

    name: str = "pets"
    classes: tuple[str, ...] = ("cat", "dog", "fox")
    file: str = "{i:03d}.png"  # of picture i, below its class
    backbone: str = "small_net"
    second: str = ""  # a network that every other trial has instead
    head: str = "linear"
    baseline: str = "frozen probe"
    said: str = "nothing special"  # notes, failures, licenses: what others wrote
    metric: str = "accuracy"
    n: int = 90
    stored: tuple[str, ...] = ("pictures", "data_check", "importance")
    findings: dict[str, Any] = field(default_factory=dict)
    picture: str = field(default_factory=lambda: drawn_picture(0))
    trials: int = TRIALS
    ends: bool = True  # else its run is still searching
    floors: tuple[dict[str, Any], ...] = ()
    plugin_files: tuple[dict[str, str], ...] = ()

    @property
    def labels(self) -> np.ndarray:
        return np.arange(self.n) % len(self.classes)

    @cached_property
    def files(self) -> list[str]:
        return [
            f"{self.classes[label]}/{self.file.replace('{i:03d}', f'{i:03d}')}" for i, label in enumerate(self.labels)
        ]

    def predictions(self, trial: int) -> np.ndarray:
        """Log-probabilities of a trial: pictures are equally hard for all; of 24 trials later ones are better."""
        shared, own = np.random.default_rng(5), np.random.default_rng(trial)
        shape = (self.n, len(self.classes))
        logits = 1.5 * shared.normal(size=shape) + 0.6 * own.normal(size=shape)
        logits[np.arange(self.n), self.labels] += 1.6 + 0.03 * (trial % TRIALS)
        return (logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))).astype(np.float32)

    def write(self, folder: Path) -> str:
        """Write the store into a folder, and return its URL."""
        url = f"sqlite:///{folder / 'study.db'}"
        with Store.open(url) as store:
            store.define_study(self._record())
            self._run_trials(store)
            if self.ends:
                self._choose(store)
            for name in self.stored:
                store.put_file(self.name, name, json.dumps(getattr(self, f"_{name}")()).encode())
        return url

    def _record(self) -> StudyRecord:
        config = {
            "study": {
                "name": self.name,
                "metric": self.metric,
                "budget": {"trials": TRIALS, "time_s": None},
                "seed": 3,
            },
            "data": {"source": "folder", "options": {"path": f"photos of {self.said}"}},
            "backbones": [{"name": self.backbone, "image_px": 96}],
        }
        context = {
            "classes": list(self.classes),
            "labels": self.labels.tolist(),
            "files": self.files,
            "groups": None,
            "metric": self.metric,
            "n_development": self.n,
            "n_holdout": 20,
            "folds": 3,
            "notes": [self.said],
            "left_out": [{"name": "big_net", "why": self.said}],
            "license": self.said,
            "findings": self._findings(),
            "backbones": {self.backbone: self._backbone()},
        }
        definition = {"data": "d" * 64, "seed": "3"}
        return StudyRecord(
            name=self.name, config=config, definition=definition, context=context, created="2026-11-22T17:00:00+00:00"
        )

    def _findings(self) -> dict[str, Any]:
        files, first = self.files, self.classes[0]
        return {
            "images": self.n,
            "used": self.n,
            "per_class": {name: int((self.labels == i).sum()) for i, name in enumerate(self.classes)},
            "ignored": [self.said],
            "unreadable": {files[0]: self.said},
            "conversions": {"grey": 2},
            "enlarged": 4,
            "duplicates": [files[1:3]],
            "dropped": [files[3]],
            "near": [{"files": files[4:6], "likeness": 0.981, "how": "mirrored", "labels": [first, self.classes[1]]}],
            "too_alike": [files[6:12]],
            **self.findings,
        }

    def _backbone(self) -> dict[str, Any]:
        return {
            "source": "imagenet",
            "digest": "c0ffee",
            "trained_on": self.said,
            "license": self.said,
            "image_px": 96,
            "preprocessing": {"resize": "crop"},
            "framework": "torch",
            "parameters": 1000,
        }

    def _run_trials(self, store: Store) -> None:
        store.add_trials(self.name, [self._trial(number) for number in range(self.trials)])
        store.start_attempts(self.name, "j1", [(number, 1) for number in range(self.trials)])
        store.record(self.name, [self._result(number) for number in range(self.trials)])
        told: dict[str, Any] = {"versions": {"keras": "3.15.1", "torch": "2.15.0"}}  # as earlier code told it
        if self.plugin_files:
            told["plugin_files"] = list(self.plugin_files)
        store.add_event(self.name, "run_started", told)
        for phase, seconds in (("data", 2.0), ("search", 61.0), ("final fit", 5.5)):
            store.add_event(self.name, "phase_timed", {"phase": phase, "seconds": seconds})
        store.add_event(self.name, "cache", {"hits": 30, "misses": 2, "images": 90, "seconds": 12.0})

    def _trial(self, number: int) -> TrialRecord:
        baseline = number == 0
        network = self.second if self.second and number % 2 else self.backbone
        phase = Phase(
            epochs=4 + number % 3, unfrozen=number % 4, learning_rate=0.001 * (1 + number), suffix_lr_scale=0.1
        )
        params = {"unfrozen": number % 4, "epochs": 4 + number % 3, "batch_size": (16, 32)[number % 2]}
        return TrialRecord(
            number=number,
            kind=TrialKind.BASELINE if baseline else TrialKind.SEARCH,
            name=self.baseline if baseline else "",
            state=TrialState.WAITING,
            params={} if baseline else params,
            recipe=Recipe(backbone=network, head=self.head, phases=(phase,)).to_json(),
        )

    def _result(self, number: int) -> RowResult:
        facts = ModelFacts(
            unfrozen=number % 4, stages=9, cut="x", parameters=1000, trained_parameters=10, macs=500, trained_macs=10
        )
        known: dict[str, Any] = {"job": "j1", "kind": JobKind.TRIALS, "trial": number, "attempt": 1, "seconds": 2.5}
        if number == FAILED:
            return RowResult(state=TrialState.FAILED, reason=FailureReason.EXCEPTION, detail=self.said, **known)
        if number == PRUNED:
            return RowResult(state=TrialState.PRUNED, fold_scores=(0.4,), detail="below the median", **known)
        log_probs = self.predictions(number)
        found = score(self.metric, log_probs, self.labels)
        return RowResult(
            state=TrialState.COMPLETED, score=found, fold_scores=(found,) * 3, log_probs=log_probs, facts=facts, **known
        )

    def _choose(self, store: Store) -> None:
        predictions = store.predictions(self.name)
        scores = {trial: score(self.metric, found, self.labels) for trial, found in predictions.items() if trial}
        best = max(scores, key=lambda trial: (scores[trial], -trial))
        found = bbc_cv([predictions[trial] for trial in scores], self.labels, self.metric, repeats=50)
        calibrated = calibrate(predictions[best], self.labels, folds=np.arange(self.n) % 3)
        store.add_event(
            self.name,
            "chosen",
            {
                "trial": best,
                "reason": "the cheapest",
                "indistinguishable": [best],
                "estimate": {key: getattr(found, key) for key in found.__dataclass_fields__},
                "calibration": None if calibrated is None else calibrated.to_json(),
                "floors": list(self.floors),
            },
        )
        told = {"trial": best, "n": 500, "score": 0.8, "accuracy": 0.8, "low": 0.77, "high": 0.83}
        store.add_event(self.name, "truth_scored", told)
        self._best = best

    def _pictures(self) -> dict[str, Any]:
        worst = worst_mistakes(self.predictions(self._best), self.labels)
        return {
            "thumbs": dict.fromkeys(self.files, self.picture),
            "media": "image/jpeg",
            "cams": [{"file": self.files[place], "image": drawn_picture(9), "fold": 0} for place in worst[:6]],
            "cam_note": "",
        }

    def _data_check(self) -> dict[str, Any]:
        doubts = [
            {"file": file, "label": self.classes[0], "suggested": self.classes[1], "probability": 0.02, "sure": 0.9}
            for file in self.files[:40]
        ]
        learning = {
            "shares": [0.25, 0.5, 0.75, 1.0],
            "images": [20, 40, 60, 80],
            "score": [0.7, 0.75, 0.78, 0.8],
            "low": [0.6, 0.66, 0.7, 0.72],
            "high": [0.8, 0.83, 0.85, 0.86],
            "per_class": {name: [0.6, 0.7, None, 0.8] for name in self.classes},
            "says": self.said,
        }
        return {"network": self.backbone, "images": self.n, "label_errors": doubts, "learning": learning}

    def _importance(self) -> dict[str, Any]:
        shared = {"unfrozen": 0.6, "epochs": 0.3, "batch_size": 0.1}
        branches = {f"head={self.head}": {"n": 20, "shares": {f"{self.head}.dropout": 1.0}}}
        return {"shared": shared, "branches": branches, "withheld": None}


def drawn_picture(seed: int, side_px: int = 32) -> str:
    """A small JPEG as base64 text."""
    pixels = np.random.default_rng(seed).integers(0, 255, size=(side_px, side_px, 3), dtype=np.uint8)
    written = BytesIO()
    Image.fromarray(pixels).save(written, "JPEG", quality=60)
    return base64.b64encode(written.getvalue()).decode("ascii")
