"""Checks a study's labels and the amount of its data, once, before the search: one job on features that are cached."""

import json
from collections.abc import Callable, Mapping, Sequence

from tlsearch.host import PluginHost
from tlsearch.records import Json, TrialState
from tlsearch.report.data_check import would_more_help
from tlsearch.report.text import join, number
from tlsearch.runner.dispatch import Dispatcher
from tlsearch.runner.jobs import job_id
from tlsearch.runner.journal import Journal
from tlsearch.runner.setup import Setup
from tlsearch.store.store import Store
from tlsearch.training.recipe import LINEAR, Recipe, probe_recipe
from tlsearch.work import Job, JobKind, Row


class Checking:
    """Keeps what probes say of a study's data as the file "data_check", and says so in the event "data_checked".

    Args:
        setup: Of the study.
        host: With its plugins.
        store: Its truth.
        journal: Of the run.
        dispatcher: Runs the job.
        notice: Told where the check failed.
    """

    def __init__(
        self,
        setup: Setup,
        *,
        host: PluginHost,
        store: Store,
        journal: Journal,
        dispatcher: Dispatcher,
        notice: Callable[[str], None],
    ) -> None:
        self._setup, self._host, self._store = setup, host, store
        self._journal, self._dispatcher, self._notice = journal, dispatcher, notice

    def keep(self) -> None:
        """Check the development images; what an earlier run kept stays. A check that fails stops no search."""
        study, context = self._setup.record.name, self._setup.record.context
        if self._store.events(study, ["data_checked"]):
            return
        networks = list(context["backbones"])
        result = self._dispatcher.run(check_job(self._host, networks, context["groups"]))
        if result.state is not TrialState.COMPLETED:
            self._notice(f"labels and the amount of data could not be checked: {result.detail}")
            return
        checked = named(
            result.extras,
            networks=networks,
            classes=context["classes"],
            files=context["files"],
            metric=context["metric"],
        )
        self._store.put_file(study, "data_check", json.dumps(checked).encode())
        self._journal.event("data_checked", label_errors=checked["suspects"], seconds=result.seconds)


def check_job(host: PluginHost, backbones: Sequence[str], groups: Sequence[str]) -> Job:
    """The job that checks a context's development images.

    Args:
        host: Knows the head of a probe.
        backbones: Of the context; what their probes say is averaged.
        groups: One key a development image, equal for images that belong together.
    """
    linear = host.head(LINEAR)
    recipes = [Recipe(backbone=name, head=linear.name, phases=()) for name in backbones]
    rows = tuple(Row(trial=-1, attempt=1, recipe=probe_recipe(one, linear.learning_rate)) for one in recipes)
    numbers: dict[str, int] = {}
    belongs = [numbers.setdefault(key, len(numbers)) for key in groups]
    return Job(id=job_id("check", "data"), kind=JobKind.CHECK, rows=rows, options={"groups": belongs})


def named(
    found: Mapping[str, Json],
    *,
    networks: Sequence[str],
    classes: Sequence[str],
    files: Sequence[str],
    metric: str,
) -> dict[str, Json]:
    """What the job found, with names in place of numbers, and the learning curve's sentence.

    Args:
        found: The `extras` of the job's result.
        networks: That were probed.
        classes: In label order.
        files: Of the development images, in order.
        metric: Of the scores.
    """
    curve = dict(found["learning"])
    rise, recalls, tried = curve.pop("rise"), curve.pop("recalls"), curve.pop("tried")
    per_class = dict(zip(classes, recalls, strict=True))
    says = would_more_help(curve["score"], tuple(rise), per_class, metric)
    if tried < found["images"]:
        says += (
            f" Only {number(tried)} of the {number(found['images'])} pictures, drawn at random, were tried for this."
        )
    errors = [
        {
            "file": files[one["image"]],
            "label": classes[one["label"]],
            "suggested": classes[one["suggested"]],
            "probability": one["probability"],
            "sure": one["sure"],
        }
        for one in found["suspects"]
    ]
    return {
        "network": join(list(networks)),
        "images": found["images"],
        "suspects": found["suspected"],
        "label_errors": errors,
        "learning": {**curve, "per_class": per_class, "says": says},
    }
