"""What a study began with: it is the same study while its space, data, metric, seed and weights are the same."""

import hashlib
import json
from dataclasses import replace

from tlsearch.data.linking import FindLinks, recorded_links
from tlsearch.data.prepare import PreparedData
from tlsearch.errors import StudyChangedError
from tlsearch.records import Json, StudyRecord
from tlsearch.runner.chosen import Chosen
from tlsearch.search.space import SearchSpace
from tlsearch.store.store import Store
from tlsearch.study import StudyConfig, differences

ALSO_FIXED = (("search", "sampler"), ("data", "views"))  # no hash tells of these; the stored study file does


def begun_study(store: Store, study: str) -> StudyRecord | None:
    """The stored study; None where it has no trial yet, so that everything about it may still change."""
    return store.study(study) if store.has_trials(study) else None


def links_of(begun: StudyRecord) -> FindLinks:
    """The links that a study began with, whatever would be found now; without pictures that are no longer there."""
    links = recorded_links(begun.context["findings"])
    return lambda store, _, indices: links.among({store.hashes[index] for index in indices})


def stored_as(store: Store, begun: StudyRecord | None, now: StudyRecord) -> StudyRecord:
    """The study as the store knows it from now on; refuses what may not change once it has begun."""
    if begun is None:
        former = store.study(now.name)
        if former is None or former.definition != now.definition:
            store.define_study(now)
        else:  # stopped before its first trial: what was prepared still holds
            store.update_study(now.name, config=now.config, context=now.context)
        return now
    _refuse_change(begun, now)
    context = {**begun.context, "root": now.context["root"]}  # the same pictures may lie elsewhere now
    store.update_study(now.name, config=now.config, context=context)
    return replace(begun, config=now.config, context=context)


def _refuse_change(stored: StudyRecord, now: StudyRecord) -> None:
    """Raise where a stored study is not this one: its space, data, metric, seed or weights are others."""
    before, after = stored.definition, now.definition
    changed = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    changed += [key for table, key in ALSO_FIXED if stored.config[table][key] != now.config[table][key]]
    if changed:
        told = differences(stored.config, now.config)
        raise StudyChangedError(now.name, told or [f"the {name} changed" for name in changed])


def definition_of(
    config: StudyConfig, space: SearchSpace, data: PreparedData, chosen: Chosen, metric: str
) -> dict[str, str]:
    """Hashes of what may not change between runs of a study."""
    backbones = {name: [c.digest, c.image_px, c.variant, c.preprocessing] for name, c in chosen.backbones.items()}
    split = [data.store.digest, data.labels, data.development, data.holdout, data.folds]
    return {
        "search space": space.digest(),
        "data": _digest([config.data.source, list(data.files), list(data.store.hashes), split]),
        "metric": metric,
        "seed": str(config.study.seed),
        "backbones": _digest(backbones),
        **({"floors": _digest(floors)} if (floors := config.constraints.model_dump(exclude_defaults=True)) else {}),
    }


def _digest(value: Json) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()
