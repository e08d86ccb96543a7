"""Runs one contender as a process, from its start to its end, and says what the whole row would have taken it.

tlsearch is the command `tlsearch run` with an empty cache: decoding, copies, features, trials, the confirmation of the
best five, the final fit and the pictures are in its time. Where only some trials, or some epochs of each, are run, the
rest is multiplied: trials after the first and epochs after the first are what is multiplied, so that one-off costs
count once.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from statistics import mean
from typing import Any

from peers_material import IMAGE_PX, KERAS_WEIGHTS, TORCH_WEIGHTS, WEIGHTS
from peers_rows import Contender, Row
from tlsearch.devices import KEEP_FREED_MEMORY

HERE = Path(__file__).parent
STUDY = """
[study]
name = "peers"
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """One process from start to end.

    Args:
        seconds: Of all trials; where only some were run, multiplied.
        measured: Of the process as it ran.
        last_trial_s: Until the last trial's result, of all trials.
        best: The best validation score of the trials that ran.
        curve: Seconds since the start and score of each trial that ran.
        phases: Seconds of each phase, where the process tells them.
        trial_s: Of one trial, where all its epochs are run.
        pruned: How many of the trials that ran were stopped early.
    """

    seconds: float
    measured: float
    last_trial_s: float
    best: float
    curve: list[tuple[float, float]]
    trial_s: float
    phases: dict[str, float] = field(default_factory=dict)
    pruned: int = 0


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
        keep_freed: Whether the peers' processes get the memory settings that tlsearch gives its workers.
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
    usual = mean(usual_trial(one, row.epochs) for one in trials[1:] or trials)
    first = trials[0]["seconds"] + usual_trial(trials[0], row.epochs) - usual_trial(trials[0], len(trials[0]["epochs"]))
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


def usual_trial(trial: dict[str, Any], epochs: int) -> float:
    """Seconds of a trial of so many epochs, as fast as those after the first."""
    ran = trial["epochs"]
    return float(trial["seconds"] - sum(ran) + epochs * mean(ran[1:] or ran))


def time_tlsearch(row: Row, material: Path, scratch: Path, *, seed: int) -> Timed:
    """The command as a user runs it, in a folder of its own with an empty cache."""
    run = run_tlsearch(row, material, scratch, seed=seed)
    log = scratch / "runs" / "peers" / "logs" / "events.jsonl"
    events = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    return told(run, events, row)


def run_tlsearch(row: Row, material: Path, folder: Path, *, seed: int) -> Run:
    """Run a row's study in a folder, on the pictures that `material` has under the name of the row's data."""
    text = STUDY.format(
        trials=row.contenders["tlsearch"].trials or row.trials,
        seed=seed,
        pictures=material / row.data,
        backbone=row.backbone,
        weights=WEIGHTS,
        image_px=IMAGE_PX,
        unfrozen=row.unfrozen,
        heads=json.dumps(row.heads),
        epochs=row.epochs,
    )
    (folder / "peers.toml").write_text(text, encoding="utf-8")
    return timed([str(Path(sys.executable).with_name("tlsearch")), "run", "peers.toml"], folder, {})


def told(run: Run, events: Sequence[dict[str, Any]], row: Row) -> Timed:
    """What a run of tlsearch says of its time in its own log."""
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
    return Timed(
        seconds=run.seconds + rest,
        measured=run.seconds,
        last_trial_s=curve[-1][0] + rest,
        best=max(score for _, score in curve),
        curve=curve,
        trial_s=each,
        phases={"start-up": run.seconds - sum(phases.values()), **phases},
        pruned=sum(event["state"] == "pruned" for event in ended),
    )


def timed(command: Sequence[str], folder: Path, environment: dict[str, str]) -> Run:
    """Run a command in a folder, with an empty cache there."""
    own = {"TLSEARCH_CACHE": str(folder / "cache"), "TLSEARCH_OFFLINE": "1"}
    wall, began = time.time(), time.monotonic()
    done = subprocess.run(
        command, cwd=folder, env={**os.environ, **own, **environment}, capture_output=True, text=True, check=False
    )
    took = time.monotonic() - began
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return Run(began=wall, seconds=took, printed=done.stdout)
