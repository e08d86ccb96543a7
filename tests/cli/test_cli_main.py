import os
import subprocess
import sys
from pathlib import Path

import pytest

from tlsearch import __version__
from tlsearch.cli import main
from tlsearch.cli.app import COMMANDS

PLUGIN = """
from tlsearch import DatasetSpec, Params, hookimpl

def load(options, cache_dir):
    raise ZeroDivisionError("of the plugin's own")

@hookimpl
def tlsearch_datasets():
    return [DatasetSpec(name="falling", options=Params, load=load)]
"""


def tlsearch(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    code = "from tlsearch.cli import program; program()"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


def test_help_names_every_command_and_loads_no_framework() -> None:
    code = (
        "import sys; from tlsearch.cli import main; main(['--help'])\n"
        "heavy = ('torch', 'keras', 'optuna', 'sqlalchemy', 'numpy', 'PIL', 'rich.console')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert all(entry.help in done.stdout for entry in COMMANDS.values())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_help_of_its_own(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    assert f"Usage: tlsearch {name}" in capsys.readouterr().out


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"tlsearch {__version__}\n"


def test_a_misspelt_command_gets_a_suggestion(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plugin"]) == 2
    assert "Did you mean 'plugins'?" in capsys.readouterr().err


def test_a_users_error_is_a_line_and_a_hint_without_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "nowhere.toml"]) == 2
    shown = capsys.readouterr()
    assert shown.err.splitlines() == [
        "error: nowhere.toml: there is no such file",
        "hint: tlsearch init PHOTOS writes a study file",
    ]
    assert shown.out == ""


def test_debug_shows_where_an_error_came_from() -> None:
    done = tlsearch("doctor", "nowhere.toml", "--debug")
    assert "Traceback" in done.stderr
    assert "StudyFileError" in done.stderr


def test_several_faults_are_listed_each_on_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = tmp_path / "x.toml"
    study.write_text("[study]\nname = 'x'\nsed = 1\n[data]\nsource = 'celebs_demo'\nfolds = 0\n")
    assert main(["doctor", str(study)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "error: 2 faults"
    assert f"  {study}: study.sed: unknown; did you mean 'seed'?" in lines


def test_a_fault_of_our_own_is_said_to_be_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "falling.py").write_text(PLUGIN)
    study = tmp_path / "x.toml"
    study.write_text("[study]\nname = 'x'\n[data]\nsource = 'falling'\n")
    assert main(["doctor", str(study), "--plugin", str(tmp_path / "falling.py")]) == 70
    assert "internal error: ZeroDivisionError: of the plugin's own" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["\x1b[2J\x1b]0;x\x07", "cat[/]", "[link=x]a[/link]", "a\u202eb", "{a}", ":smile:"])
def test_a_hostile_name_is_shown_as_text(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", f"{name}.toml"]) == 2
    shown = capsys.readouterr().err
    assert not any(char in shown for char in "\x1b\x07\u202e")
    if name.isprintable():
        assert name in shown


@pytest.mark.parametrize(
    "environment",
    [
        {"NO_COLOR": "1"},
        {"COLUMNS": "40"},
        {"LANG": "C", "LC_ALL": "C"},
        {"PYTHONIOENCODING": "ascii"},
        {"TERM": "dumb"},
    ],
    ids=str,
)
def test_any_terminal_gets_plain_output(tmp_path: Path, environment: dict[str, str]) -> None:
    (tmp_path / "café.py").write_text(PLUGIN.replace("falling", "café…"), encoding="utf-8")
    done = tlsearch("plugins", "list", "--plugin", str(tmp_path / "café.py"), **environment)
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout
    assert "resnet18" in done.stdout


@pytest.mark.parametrize("command", [["plugins", "list"], ["doctor", "--json"]], ids=" ".join)
def test_a_reader_that_leaves_is_no_fault(command: list[str], tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", "from tlsearch.cli import program; program()", *command],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait(60) == 0


def test_the_process_is_not_taken_down_but_ends_what_still_runs_and_what_was_registered() -> None:
    code = (
        "import atexit, os, threading\n"
        "from tlsearch import cli\n"
        "class Torn:\n"
        "    def __del__(self, say=os.write): say(1, b'torn down')\n"
        "torn = Torn()\n"
        "def late():\n"
        "    threading.main_thread().join()\n"
        "    print('thread')\n"
        "def command(main=cli.main):\n"
        "    threading.Thread(target=late).start()\n"
        "    atexit.register(print, 'registered')\n"
        "    return main()\n"
        "cli.main = command\n"
        "cli.program()"
    )
    command = [sys.executable, "-c", code, "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (0, f"tlsearch {__version__}\nthread\nregistered\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
def test_a_disk_that_takes_no_more_output_is_a_failure() -> None:
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-c", "from tlsearch.cli import program; program()", "--version"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=60)
    assert done.returncode != 0
    assert "No space left" in done.stderr
