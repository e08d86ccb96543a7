"""The run: where the time went, what failed, and how to repeat the study."""

from collections.abc import Mapping
from shlex import quote

from tlsearch.records import Json
from tlsearch.report.details import what_the_cache_saved
from tlsearch.report.page.material import Origin
from tlsearch.report.page.section import Desk, Section
from tlsearch.report.page.study_text import study_text
from tlsearch.report.text import duration, moment, plural, spoken

GROUP = "The run"
MOST_NUMBERS = 8
SHA256_DIGITS = 64


def time(desk: Desk) -> Section:
    """Where the time went, and what the cache saved."""
    summary = desk.material.summary
    total = sum(summary.seconds.values())
    longest = max(summary.seconds.values(), default=0.0) or 1.0
    return Section(
        key="time",
        group=GROUP,
        nav="Where the time went",
        title=f"Where {duration(total)} went" if total else "Where the time went",
        lead="" if summary.cache is None else what_the_cache_saved(summary.cache),
        missing="" if summary.seconds else "No times are stored yet.",
        content={
            "rows": [
                (phase, duration(seconds), round(100 * seconds / longest, 1))
                for phase, seconds in summary.seconds.items()
            ]
        },
    )


def failures(desk: Desk) -> Section:
    """What failed, and why."""
    found = desk.material.summary.failures
    return Section(
        key="failures",
        group=GROUP,
        nav="What failed",
        title="What failed",
        missing="" if found else "No trial failed.",
        content={
            "rows": [
                {
                    "reason": one.reason.replace("_", " "),
                    "trials": plural(len(one.trials), "trial"),
                    "numbers": ", ".join(str(n) for n in one.trials[:MOST_NUMBERS])
                    + (", …" if len(one.trials) > MOST_NUMBERS else ""),
                    "detail": one.detail,
                }
                for one in found
            ]
        },
    )


def reproduce(desk: Desk) -> Section:
    """The study file, versions, seeds, hashes and the command."""
    origin, name = desk.material.origin, desk.material.summary.study
    seed = origin.config.get("study", {}).get("seed", 0)
    return Section(
        key="reproduce",
        group=GROUP,
        nav="How to repeat it",
        title="How to repeat it",
        lead=_how(origin),
        content={
            "command": _command(origin),
            "study_file": study_text(origin.config) if "study" in origin.config else "",
            "facts": _facts(origin, name, seed),
            "recipe": [] if origin.recipe is None else _settings(origin.recipe),
            "hashes": _hashes(origin),
            "weights": [_weights(backbone, facts) for backbone, facts in origin.backbones.items()],
            "versions": sorted(origin.versions.items()),
        },
    )


def _how(origin: Origin) -> str:
    """What to do, in sentences."""
    plugins = ", the plugin files beside it" if origin.plugin_files else ""
    return (
        f"Save the study file{plugins}, have the same pictures in place, and run the command. Where this study was run "
        "before, add --new-study NAME: else that run is continued. Equal hashes mean equal data."
    )


def _command(origin: Origin) -> str:
    return " ".join(["tlsearch run study.toml", *(f"--plugin {quote(name)}" for name, _ in origin.plugin_files)])


def _hashes(origin: Origin) -> list[tuple[str, str]]:
    """Of the data and whatever else must be equal, and of the plugin files."""
    found = [(what, text) for what, text in origin.definition.items() if len(text) == SHA256_DIGITS]
    return found + [(f"plugin {name}", digest) for name, digest in origin.plugin_files]


def _facts(origin: Origin, name: str, seed: Json) -> list[tuple[str, str]]:
    found = [("study", name), ("begun", moment(origin.created)), ("seed", str(seed))]
    if origin.license:
        found.append(("license of the pictures", origin.license))
    if origin.holdout_opened:
        found.append(("holdout opened", moment(origin.holdout_opened)))
    return found


def _weights(backbone: str, facts: Mapping[str, Json]) -> dict[str, str]:
    return {
        "backbone": backbone,
        "source": str(facts.get("source") or ""),
        "license": str(facts.get("license") or ""),
        "digest": str(facts.get("digest") or ""),
        "image_px": f"{facts['image_px']} px" if facts.get("image_px") else "",
    }


def _settings(recipe: Mapping[str, Json]) -> list[tuple[str, str]]:
    """A recipe's values, those of its last phase and of its head beside them; empty ones are left out."""
    flat: dict[str, Json] = {}
    for name, value in recipe.items():
        if name == "phases":
            flat |= {f"{key}": entry for key, entry in value[-1].items()}
        elif isinstance(value, Mapping):
            flat |= {f"{name.removesuffix('_params')}: {key}": entry for key, entry in value.items()}
        else:
            flat[name] = value
    return [(spoken(name), _said(value)) for name, value in flat.items() if value is not None]


def _said(value: Json) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:.4g}"
