"""A comparison of two models in words, on a terminal."""

from rich.console import Console, Group, RenderableType
from rich.rule import Rule
from rich.text import Text

from tlsearch.report.contender import Contender
from tlsearch.report.diff import Changed, Diff
from tlsearch.report.results import section, table
from tlsearch.report.text import Words, article, number, plural, trained
from tlsearch.stats import Verdict

MOST_SHOWN = 5  # pictures of each list, and classes' names
STYLES = {Verdict.BETTER: "bold green", Verdict.WORSE: "bold red", Verdict.ALIKE: "bold yellow"}


def render_diff(diff: Diff, console: Console) -> None:
    """Print a comparison on a console, as wide as it is; nothing in it is read as markup."""
    words = Words.for_console(diff.metric, console)
    console.print(Rule(_title(diff, words), style="dim"))
    console.print(words.text(_answer(diff, words), STYLES[diff.difference.verdict]))
    console.print()
    console.print(_sides(diff, words))
    for remark in _remarks(diff):
        console.print(words.text(remark, "dim"))
    console.print()
    console.print(_classes(diff, words))
    for name, found, wrong in (("A", diff.a_right, "B"), ("B", diff.b_right, "A")):
        console.print()
        console.print(_changed(found, name, wrong, words, console.width))


def _title(diff: Diff, words: Words) -> Text:
    title = words.name(diff.a.study, "bold", longest=24)
    title.append_text(words.text(" against ", "dim"))
    title.append_text(words.name(diff.b.study, "bold", longest=24))
    return title


def _answer(diff: Diff, words: Words) -> str:
    """The one sentence that a person came for."""
    gain, on = diff.difference, f"on {plural(diff.pairing.compared, 'picture')} that both were asked about"
    if gain.verdict is Verdict.ALIKE:
        ahead = "A is ahead" if gain.value > 0 else "B is ahead"
        by = f"{ahead} by {words.size(gain.value)}, which may be luck" if gain.value else "they score the same"
        sure = f"95 % sure: A is between {words.size(gain.low)} worse and {words.size(gain.high)} better"
        return f"A and B cannot be told apart {on}: {by} ({sure})."
    first, second, ends = ("A", "B", (gain.low, gain.high))
    if gain.verdict is Verdict.WORSE:
        first, second, ends = ("B", "A", (-gain.high, -gain.low))
    sure = f"95 % sure: {words.gain(ends[0])} to {words.gain(ends[1])}"
    return f"{first} is better than {second} by {words.size(gain.value)} ({sure}) {on}."


def _sides(diff: Diff, words: Words) -> RenderableType:
    found = table()
    found.add_column("")
    found.add_column("score", justify="right", no_wrap=True)
    found.add_column("trial", overflow="fold")
    for letter, one, score in (("A", diff.a, diff.a_score), ("B", diff.b, diff.b_score)):
        found.add_row(letter, words.score(score), words.text(_described(one, words)))
    return section(f"What was compared, by {diff.metric.replace('_', ' ')}", found)


def _described(one: Contender, words: Words) -> str:
    entry = one.entry
    name = f' "{words.name(entry.name)}"' if entry.name else ""
    return (
        f"{words.name(one.study)}, trial {entry.trial}{name}: {words.name(entry.backbone)}, "
        f"{article(entry.head)} {words.name(entry.head)} head, {trained(entry.unfrozen, entry.stages)}"
    )


def _remarks(diff: Diff) -> list[str]:
    """On which pictures, and what the comparison does not know."""
    a, b, pairing = diff.a, diff.b, diff.pairing
    said = []
    if pairing.a_only or pairing.b_only:
        said.append(
            f"{plural(pairing.shared, 'picture')} are in both studies; {number(pairing.a_only)} only in A, "
            f"{number(pairing.b_only)} only in B, and those that are held out, take no part."
        )
    if pairing.relabelled:
        shown = ", ".join(pairing.relabelled[:MOST_SHOWN]) + (", …" if len(pairing.relabelled) > MOST_SHOWN else "")
        said.append(f"Left out, since A and B have them in different classes: {len(pairing.relabelled)} ({shown}).")
    if pairing.unscored:
        said.append(f"Left out, since one of both was never asked about them: {number(pairing.unscored)}.")
    if a.metric != b.metric:
        chose = [one.metric.replace("_", " ") for one in (a, b)]
        said.append(f"A's study chose by {chose[0]}, B's by {chose[1]}: each is at its best by its own.")
    said.append("No model is asked about a picture that it was trained on." + _scored_again(diff))
    if luck := _luck(diff):
        said.append(luck)
    return said + _outdated(diff)


def _scored_again(diff: Diff) -> str:
    return " Both were scored again, with other folds and seeds than while searching." if diff.again else ""


def _luck(diff: Diff) -> str:
    """Who was picked because it scored high on these very pictures, and so looks better than it is."""
    picked = [(letter, one.picked_from) for letter, one in (("A", diff.a), ("B", diff.b)) if (one.picked_from or 0) > 1]
    if not picked:
        return ""
    of = " and ".join(f"{letter} is the best of {count}" for letter, count in picked)
    if len(picked) == 2:
        return f"{of} trials, picked by these pictures: each search's own luck is in its score."
    letter = picked[0][0]
    return f"{of} trials, picked by these pictures: the search's luck is in {letter}'s score alone, in its favour."


def _outdated(diff: Diff) -> list[str]:
    """Which side was chosen before its study's last results, so that the study may name another one by now."""
    return [
        f"{letter} was chosen before {plural(one.later, 'later trial')} of its study ended: continue that run to "
        "choose again."
        for letter, one in (("A", diff.a), ("B", diff.b))
        if one.later
    ]


def _classes(diff: Diff, words: Words) -> RenderableType:
    found = table()
    found.add_column("class", overflow="fold")
    found.add_column("pictures", justify="right")
    for column in ("A finds", "B finds", "only A", "only B"):
        found.add_column(column, justify="right", no_wrap=True)
    for one in diff.classes:
        shares = (_share(one.a_found, one.pictures), _share(one.b_found, one.pictures))
        found.add_row(words.name(one.name, longest=32), str(one.pictures), *shares, str(one.only_a), str(one.only_b))
    return section("Class by class", found)


def _share(found: int, of: int) -> str:
    return f"{100 * found / of:.0f} %" if of else "-"


def _changed(found: tuple[Changed, ...], right: str, wrong: str, words: Words, width: int) -> RenderableType:
    if not found:
        return Text(f"No picture is named rightly by {right} alone.", style="bold")
    shown = table()
    shown.add_column("file", overflow="fold")
    shown.add_column("is", overflow="fold")
    shown.add_column(f"{wrong} says", overflow="fold")
    shown.add_column("sure", justify="right", no_wrap=True)
    for one in found[:MOST_SHOWN]:
        file = words.name(one.file, longest=60 if width >= 80 else 40)
        said = (words.name(one.label, longest=24), words.name(one.mistaken, longest=24))
        shown.add_row(file, *said, f"{100 * one.sure:.0f} %")
    title = f"Right in {right}, wrong in {wrong}: {plural(len(found), 'picture')}"
    if len(found) > MOST_SHOWN:
        title += f", of which the {MOST_SHOWN} clearest"
    return section(title, Group(shown))
