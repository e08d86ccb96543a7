"""The search: trials over time, what mattered, the response to depth and rate, all trials at once, and the ranking."""

from tlsearch.report.page.charts import by_depth, by_learning_rate, over_time
from tlsearch.report.page.parallel import parallel
from tlsearch.report.page.section import Desk, Section
from tlsearch.report.text import Words, duration, plural, spoken
from tlsearch.report.values import Entry, Summary

GROUP = "The search"


def over_time_section(desk: Desk) -> Section:
    """Scores by trial number, and the best so far."""
    summary, words = desk.material.summary, desk.words
    winner = summary.best.entry.trial if summary.best else None
    chart = over_time(desk.material.tries, words, winner)
    counts = summary.trials
    lead = f"{plural(counts.completed, 'trial')} ran to the end"
    lead += f", {counts.pruned} stopped early for falling behind" if counts.pruned else ""
    lead += f", {counts.failed} failed" if counts.failed else ""
    return Section(
        key="trials",
        group=GROUP,
        nav="Trial by trial",
        title="Trial by trial",
        lead=f"{lead}. A line that still climbs at its end says that a longer search may find more.",
        missing="" if chart else "No trial has completed yet.",
        content={"chart": chart},
        charts=(chart,) if chart else (),
    )


def importance(desk: Desk) -> Section:
    """Which parameters the score depended on."""
    found = desk.material.summary.importance
    missing = ""
    if found is None:
        missing = "This is computed at the end of a run."
    elif found.withheld:
        missing = f"Nothing is claimed here: {found.withheld}."
    shares = [] if found is None else [(spoken(name), 100 * share) for name, share in found.shares]
    branches = (
        []
        if found is None
        else [
            {
                "where": f"where {branch.where} ({plural(branch.trials, 'trial')})",
                "shares": [(spoken(name), 100 * share) for name, share in branch.shares],
            }
            for branch in found.branches
        ]
    )
    return Section(
        key="importance",
        group=GROUP,
        nav="What mattered",
        title="What mattered for the score",
        lead="How much of the difference between good and less good trials each choice explains.",
        missing=missing,
        content={"shares": shares, "branches": branches},
    )


def response(desk: Desk) -> Section:
    """What training more of the network did, and which learning rates worked."""
    tries, words = desk.material.tries, desk.words
    depth = by_depth(tries, desk.material.summary.depths, words)
    rate = by_learning_rate(tries, words)
    charts = tuple(chart for chart in (depth, rate) if chart is not None)
    return Section(
        key="response",
        group=GROUP,
        nav="Freeze depth, learning rate",
        title="How much of the network to train, and how fast",
        lead="Each dot is a trial; a flat cloud says that the choice hardly matters.",
        missing="" if charts else "The trials do not differ in depth or in learning rate.",
        content={
            "figures": [
                (title, chart)
                for title, chart in (("Stages trained, counted from the head", depth), ("Learning rate", rate))
                if chart is not None
            ]
        },
        charts=charts,
    )


def all_at_once(desk: Desk) -> Section:
    """Parallel coordinates."""
    chart = parallel(desk.material.tries, desk.material.summary.importance, desk.words)
    return Section(
        key="parallel",
        group=GROUP,
        nav="All trials at once",
        title="All trials at once",
        lead="Each line is a trial, from choice to choice to its score; the stronger its colour, the better it scored. "
        "Where strong lines gather, the choice matters.",
        missing="" if chart else "There are too few trials, or too few differences between them, to draw this.",
        content={"chart": chart},
        charts=(chart,) if chart else (),
    )


def leaderboard(desk: Desk) -> Section:
    """The ranking by plain score, and how each network did."""
    summary, words = desk.material.summary, desk.words
    winner = summary.best.entry.trial if summary.best else None
    return Section(
        key="leaderboard",
        group=GROUP,
        nav="Ranking",
        title="Ranking while searching",
        lead="By the score while searching, which flatters the first places. Again: scored again with other folds and "
        "seeds.",
        missing="" if summary.leaderboard else "No trial has completed yet.",
        content={
            "rows": [_row(entry, summary, winner, words) for entry in summary.leaderboard],
            "networks": [
                {
                    "names": list(one.names),
                    "note": "one network in two frameworks" if len(one.names) > 1 else "",
                    "weights": one.weights,
                    "trained_on": one.trained_on,
                    "trials": one.completed,
                    "best": words.score(one.best),
                    "median": words.score(one.median),
                }
                for one in summary.backbones
            ],
            "left_out": summary.left_out,
        },
    )


def _row(entry: Entry, summary: Summary, winner: int | None, words: Words) -> dict[str, object]:
    alike = summary.best.alike if summary.best else ()
    mark, kind = "", ""
    if entry.trial == winner:
        mark, kind = "named best", "best"
    elif entry.name:
        mark, kind = f"baseline: {entry.name}", "baseline"
    elif entry.trial in alike:
        mark, kind = "cannot be told apart", "alike"
    again = words.score(sum(entry.confirmed) / len(entry.confirmed)) if entry.confirmed else ""
    depth = (
        "all" if entry.unfrozen is None else f"{entry.unfrozen} of {entry.stages}" if entry.stages else entry.unfrozen
    )
    return {
        "trial": entry.trial,
        "score": words.score(entry.score),
        "again": again,
        "network": entry.backbone,
        "head": entry.head,
        "trained": depth,
        "epochs": entry.epochs,
        "rate": f"{entry.learning_rate:.2g}",
        "time": duration(entry.seconds),
        "mark": mark,
        "kind": kind,
    }
