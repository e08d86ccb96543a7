"""Runs one contender as a process, from its start to its end, and says what the whole row would have taken it.

tlsearch is the command `tlsearch run` with an empty cache: decoding, copies, features, trials, the confirmation of the
best five, the final fit and the pictures are in its time. Where only some trials, or some epochs of each, are run, the
rest is multiplied. What is multiplied is what trials and epochs after the first take, so that one-off costs count once;
where a peer runs one trial only, nothing that this trial does beside its epochs and its evaluation is multiplied.

tlsearch stops some fine-tuning trials early, the peers none: a second figure says what it would have taken had it
trained all of them to their end, from the seconds of those that it did.

All processes have the same number of threads to choose from, one a core; a caller's OMP_NUM_THREADS does not reach
them. tlsearch starts its worker with settings by which the C library keeps freed memory, the peers run without, as
people write them, and once with them, so that a reader sees what they bring.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from statistics import mean
from typing import Any

from peers_material import IMAGE_PX, KERAS_WEIGHTS, TORCH_WEIGHTS, WEIGHTS
from peers_rows import Contender, Row
from tlsearch.devices import KEEP_FREED_MEMORY
from tlsearch.records import TrialKind, TrialRecord, TrialState
from tlsearch.store.reading import StoreReader

HERE = Path(__file__).parent
NAME = "peers"
STUDY = """
[study]
name = "{name}"
metric = "accuracy"
budget = {{ trials = {trials} }}
seed = {seed}

[data]
source = "folder"
path = "{pictures}"
leaks = "drop" # of the photographs three show what one of another part shows

[[backbones]]
name = "{backbone}"
weights = "{weights}"
image_px = {image_px}

[search]
unfrozen = {unfrozen}
heads = {heads}
epochs = {epochs}
"""
# What a caller may have set for itself, and would bind some contenders more than others.
NOT_HANDED_ON = (*KEEP_FREED_MEMORY, "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """One process from start to end.

    Args:
        seconds: Of all trials; where only some were run, multiplied.
        measured: Of the process as it ran.
        last_trial_s: Until the last trial's result, of all trials.
        best: The best validation score of the trials that ran.
        curve: Seconds since the start and score of each trial that ran.
        trial_s: Of one trial, where all its epochs are run.
        phases: Seconds of each phase, where the process tells them.
        pruned: How many of the trials that ran were stopped early.
        unraced_s: Of all trials, had none been stopped early; None where none was.
    """

    seconds: float
    measured: float
    last_trial_s: float
    best: float
    curve: list[tuple[float, float]]
    trial_s: float
    phases: dict[str, float] = field(default_factory=dict)
    pruned: int = 0
    unraced_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A process that ended well: when it began, what it took, and what it printed."""

    began: float
    seconds: float
    printed: str


def time_contender(who: str, row: Row, material: Path, scratch: Path, *, seed: int, keep_freed: bool) -> Timed:
    """Time one contender in one round.

    Args:
        who: "B1", "B2", "B3" or "tlsearch".
        row: What is searched.
        material: Folder of pictures and weights.
        scratch: An empty folder of its own.
        seed: Of the search.
        keep_freed: Whether a peer's process gets the memory settings that tlsearch gives its workers.
    """
    if who == "tlsearch":
        return time_tlsearch(row, material, scratch, seed=seed)
    how = row.contenders[who]
    command = peer_command(who, row, material, seed)
    run = timed(command, scratch, KEEP_FREED_MEMORY if keep_freed else {})
    return extrapolated(run, json.loads(run.printed)["trials"], row, how)


def peer_command(who: str, row: Row, material: Path, seed: int) -> list[str]:
    """The command line of B1, B2 or B3."""
    how = row.contenders[who]
    script, weights = ("keras_tuner_loop.py", KERAS_WEIGHTS) if who == "B3" else ("plain_loop.py", TORCH_WEIGHTS)
    options = {
        "--weights": material / weights,
        "--trials": how.trials or row.trials,
        "--epochs": row.epochs,
        "--stop-after": how.epochs or 0,
        "--unfrozen": row.unfrozen,
        "--seed": seed,
    }
    told = [str(part) for pair in options.items() for part in pair]
    once = ["--features-once"] if who == "B2" else []
    return [sys.executable, str(HERE / script), str(material / row.data), *told, *once, "--heads", *row.heads]


def extrapolated(run: Run, trials: Sequence[dict[str, Any]], row: Row, how: Contender) -> Timed:
    """What all trials would have taken, from those that ran."""
    usual = (
        mean(usual_trial(one, row.epochs) for one in trials[1:]) if trials[1:] else lone_trial(trials[0], row.epochs)
    )
    first = trials[0]["seconds"] + (row.epochs - len(trials[0]["epochs"])) * usual_epoch(trials[0])
    outside = run.seconds - sum(one["seconds"] for one in trials)
    multiplied = how.trials is not None or how.epochs is not None
    seconds = outside + first + (row.trials - 1) * usual if multiplied else run.seconds
    after = run.began + run.seconds - trials[-1]["ended"]  # from the last result to the end of the process
    return Timed(
        seconds=seconds,
        measured=run.seconds,
        last_trial_s=seconds - after,
        best=max(one["score"] for one in trials),
        curve=[(one["ended"] - run.began, one["score"]) for one in trials],
        trial_s=usual,
    )


def usual_epoch(trial: dict[str, Any]) -> float:
    """Seconds of an epoch after the first."""
    ran = trial["epochs"]
    return float(mean(ran[1:] or ran))


def usual_trial(trial: dict[str, Any], epochs: int) -> float:
    """Seconds of a trial after the first, of so many epochs as fast as those after its first."""
    return float(trial["seconds"] - sum(trial["epochs"]) + epochs * usual_epoch(trial))


def lone_trial(trial: dict[str, Any], epochs: int) -> float:
    """The same where there is a first trial alone: imports and what else it does once are not in it."""
    return float(trial["evaluation"] + epochs * usual_epoch(trial))


def time_tlsearch(row: Row, material: Path, scratch: Path, *, seed: int) -> Timed:
    """The command as a user runs it, in a folder of its own with an empty cache."""
    run = run_tlsearch(row, material, scratch, seed=seed)
    folder = scratch / "runs" / NAME
    events = [json.loads(line) for line in (folder / "logs" / "events.jsonl").read_text(encoding="utf-8").splitlines()]
    with StoreReader.open(f"sqlite:///{folder / 'study.db'}") as store:
        return told(run, events, store.trials(NAME), row)


def run_tlsearch(row: Row, material: Path, folder: Path, *, seed: int) -> Run:
    """Run a row's study in a folder, on the pictures that `material` has under the name of the row's data."""
    (folder / "peers.toml").write_text(study_file(row, material / row.data, seed=seed), encoding="utf-8")
    return timed([str(Path(sys.executable).with_name("tlsearch")), "run", "peers.toml"], folder, {})


def study_file(row: Row, pictures: Path, *, seed: int) -> str:
    """The study of a row, on the pictures of a folder."""
    return STUDY.format(
        name=NAME,
        trials=row.contenders["tlsearch"].trials or row.trials,
        seed=seed,
        pictures=pictures,
        backbone=row.backbone,
        weights=WEIGHTS,
        image_px=IMAGE_PX,
        unfrozen=row.unfrozen,
        heads=json.dumps(row.heads),
        epochs=row.epochs,
    )


def told(run: Run, events: Sequence[dict[str, Any]], trials: Sequence[TrialRecord], row: Row) -> Timed:
    """What a run of tlsearch says of its time in its own log and store."""
    ran = row.contenders["tlsearch"].trials or row.trials
    ended = [event for event in events if event["kind"] == "told"]
    if len({event["trial"] for event in ended}) < ran or any(event["state"] == "failed" for event in ended):
        raise SystemExit(f"tlsearch ended {len(ended)} trials of {ran}, or some failed")
    curve = [
        (datetime.fromisoformat(event["at"]).timestamp() - run.began, event["score"])
        for event in ended
        if event["score"] is not None
    ]
    phases = {event["phase"]: event["seconds"] for event in events if event["kind"] == "phase_timed"}
    each = phases["search"] / ran
    rest = (row.trials - ran) * each
    slower = whole_against_raced(trials)
    return Timed(
        seconds=run.seconds + rest,
        measured=run.seconds,
        last_trial_s=curve[-1][0] + rest,
        best=max(score for _, score in curve),
        curve=curve,
        trial_s=each,
        phases={"start-up": run.seconds - sum(phases.values()), **phases},
        pruned=sum(event["state"] == "pruned" for event in ended),
        unraced_s=None if slower is None else run.seconds - phases["search"] + row.trials * each * slower,
    )


def whole_against_raced(trials: Sequence[TrialRecord]) -> float | None:
    """How many times as long all trials take where none is stopped early; None where none was."""
    trained = [trial for trial in trials if trial.kind is not TrialKind.DUPLICATE]
    whole = [trial.seconds for trial in trained if trial.state is TrialState.COMPLETED]
    stopped = [trial.seconds for trial in trained if trial.state is TrialState.PRUNED]
    return mean(whole) / mean(whole + stopped) if stopped else None


def timed(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> Run:
    """Run a command in a folder, with an empty cache there."""
    own = {"TLSEARCH_CACHE": str(folder / "cache"), "TLSEARCH_OFFLINE": "1"}
    given = {name: value for name, value in os.environ.items() if name not in NOT_HANDED_ON}
    wall, began = time.time(), time.monotonic()
    done = subprocess.run(
        command, cwd=folder, env={**given, **own, **environment}, capture_output=True, text=True, check=False
    )
    took = time.monotonic() - began
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return Run(began=wall, seconds=took, printed=done.stdout)
