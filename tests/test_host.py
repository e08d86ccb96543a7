import logging
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tlsearch.errors import PluginError, UnknownNameError
from tlsearch.host import PluginHost
from tlsearch.records import TrialKind, TrialRecord, TrialState

HEAD = """
from tlsearch import FloatRange, HeadSpec, Params, hookimpl

def build(params, feature_dim, classes):
    raise NotImplementedError

def head(name):
    return HeadSpec(name=name, params=Params, build=build, learning_rate=FloatRange(1e-3, 1e-1, log=True))
"""
WritePlugin = Callable[..., Path]


@pytest.fixture
def write_plugin(tmp_path: Path) -> WritePlugin:
    def write(name: str, body: str, start: str = HEAD) -> Path:
        path = tmp_path / f"{name}.py"
        path.write_text(start + textwrap.dedent(body))
        return path

    return write


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], None]]:
    """Lay out a stranger's distribution as an installer does, and put it on the path."""
    installed = []

    def install(name: str, source: str) -> None:
        module = name.replace("-", "_")
        site = tmp_path / "site"
        info = site / f"{module}-3.2.1.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 3.2.1\n")
        (info / "entry_points.txt").write_text(f"[tlsearch]\n{name} = {module}\n")
        (site / f"{module}.py").write_text(textwrap.dedent(source))
        monkeypatch.syspath_prepend(str(site))
        installed.append(module)

    yield install
    for module in installed:
        sys.modules.pop(module, None)


def a_trial() -> TrialRecord:
    return TrialRecord(number=3, kind=TrialKind.SEARCH, state=TrialState.COMPLETED, params={}, recipe={})


def test_a_plugin_file_provides_its_head(write_plugin: WritePlugin) -> None:
    path = write_plugin(
        "mine",
        """
        @hookimpl
        def tlsearch_heads():
            return [head("zeta"), head("alpha")]
        """,
    )
    host = PluginHost.load(files=[path], allow=())
    assert list(host.heads()) == ["alpha", "zeta"]
    assert host.head("zeta").name == "zeta"
    (mine,) = (p for p in host.providers() if p.status == "active")
    assert (mine.source.name, mine.source.distribution) == ("mine", "")
    assert [spec.name for spec in mine.specs] == ["alpha", "zeta"]


def test_first_party_plugins_come_through_entry_points() -> None:
    host = PluginHost.load(allow=["tlsearch"])
    assert {"linear", "mlp"} <= set(host.heads())
    assert {"mobilenet_v2", "mobilenet_v2_keras", "efficientnet_lite0", "resnet18"} <= set(host.backbones())
    assert host.broken == ()


def test_an_unknown_name_gets_a_suggestion_and_the_way_out() -> None:
    host = PluginHost.load(allow=["resnet"])
    with pytest.raises(UnknownNameError) as caught:
        host.backbone("resnt50")
    assert caught.value.message == "no plugin provides backbone 'resnt50'; did you mean 'resnet50'?"
    assert caught.value.hint == "See: tlsearch plugins list"


def test_a_broken_installed_plugin_is_named_and_left_out(install: Callable[[str, str], None]) -> None:
    install("tlsearch-breaks", "raise RuntimeError('no \\x1b[2J licence\\nsecond line')")
    host = PluginHost.load(allow=["tlsearch-breaks", "linear"])
    (broken,) = host.broken
    assert (broken.source.distribution, broken.source.version) == ("tlsearch-breaks", "3.2.1")
    assert broken.error == "RuntimeError: no \\x1b[2J licence"
    assert "linear" in host.heads()
    with pytest.raises(UnknownNameError) as caught:
        host.head("nothing")
    assert "tlsearch-breaks" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("import tlsearch\n@tlsearch.hookimpl\ndef tlsearch_heads(): return None", "returned None"),
        ("import tlsearch\n@tlsearch.hookimpl\ndef tlsearch_heads(): return ['mlp']", "type str"),
        ("import tlsearch\n@tlsearch.hookimpl\ndef tlsearch_heads(size): return []", "size"),
        ("import tlsearch\n@tlsearch.hookimpl\ndef tlsearch_head(): return []", "did you mean 'tlsearch_heads'"),
        ("import tlsearch\n@tlsearch.hookimpl\ndef tlsearch_heads(): return 1 / 0", "ZeroDivisionError"),
        ("import sys\nsys.exit(3)", "SystemExit: 3"),
        ("x = 1", "answers no hook"),
        (HEAD + "@hookimpl\ndef tlsearch_heads(): return [head('')]", "a name is a text"),
    ],
)
def test_a_plugin_that_breaks_its_hook_is_left_out_with_the_reason(
    install: Callable[[str, str], None], source: str, words: str
) -> None:
    install("tlsearch-odd", source)
    host = PluginHost.load(allow=["tlsearch-odd", "linear"])
    (broken,) = host.broken
    assert words in broken.error
    assert list(host.heads()) == ["linear"]


def test_a_backbone_with_impossible_values_is_refused(install: Callable[[str, str], None]) -> None:
    install(
        "tlsearch-badnet",
        """
        from tlsearch import BackboneSpec, hookimpl

        @hookimpl
        def tlsearch_backbones():
            return [BackboneSpec(name="net", framework="jax", build=print, load=None, weights=(), image_px=16,
                                 min_image_px=32, parameters=1, gmacs=1.0, paper="", license="", params=dict)]
        """,
    )
    (broken,) = PluginHost.load(allow=["tlsearch-badnet"]).broken
    for part in ("framework", "image_px 16 is below min_image_px 32", "load cannot be called", "tlsearch.Params"):
        assert part in broken.error


@pytest.mark.parametrize("name", ["auto", "random"])
def test_a_weights_source_that_a_study_could_never_name_is_refused(
    install: Callable[[str, str], None], name: str
) -> None:
    install(
        "tlsearch-badnet",
        f"""
        from tlsearch import BackboneSpec, PackageLocation, Preprocessing, WeightsSource, hookimpl

        location = PackageLocation(distribution="d", path="p", install="i")
        source = WeightsSource(name="{name}", location=location, digest=None, license="MIT", trained_on="x",
                               preprocessing=Preprocessing())

        @hookimpl
        def tlsearch_backbones():
            return [BackboneSpec(name="net", framework="torch", build=print, load=print, weights=(source,), image_px=32,
                                 min_image_px=32, parameters=1, gmacs=1.0, paper="", license="")]
        """,
    )
    (broken,) = PluginHost.load(allow=["tlsearch-badnet"]).broken
    assert f"a weights source cannot be called '{name}'" in broken.error


def test_a_head_whose_input_nobody_knows_is_refused(install: Callable[[str, str], None]) -> None:
    install(
        "tlsearch-odd",
        HEAD
        + """
@hookimpl
def tlsearch_heads():
    return [HeadSpec(name="h", params=Params, build=build, learning_rate=FloatRange(1e-3, 1e-1), input="maps")]
""",
    )
    (broken,) = PluginHost.load(allow=["tlsearch-odd"]).broken
    assert "input is 'features' or 'map', not 'maps'" in broken.error


def test_one_name_from_two_plugins_is_refused_naming_both(write_plugin: WritePlugin) -> None:
    body = "\n@hookimpl\ndef tlsearch_heads():\n    return [head('twice')]\n"
    files = [write_plugin("one", body), write_plugin("two", body)]
    with pytest.raises(PluginError) as caught:
        PluginHost.load(files=files, allow=())
    assert "'twice'" in caught.value.message
    assert "plugin 'one'" in caught.value.message
    assert "plugin 'two'" in caught.value.message
    assert "TLSEARCH_LOAD_PLUGINS" in (caught.value.hint or "")


def test_a_plugin_file_that_fails_is_an_error_with_its_line(write_plugin: WritePlugin) -> None:
    path = write_plugin("bad", "import json\nraise ValueError('no')\n", start="")
    with pytest.raises(PluginError, match=r"bad\.py:2: ValueError: no"):
        PluginHost.load(files=[path], allow=())
    path = write_plugin("typo", "def f(:\n", start="")
    with pytest.raises(PluginError, match=r"typo\.py:1: SyntaxError"):
        PluginHost.load(files=[path], allow=())


def test_a_plugin_file_that_breaks_its_hook_is_an_error(write_plugin: WritePlugin) -> None:
    path = write_plugin("odd", "@hookimpl\ndef tlsearch_heads():\n    return 'mlp'\n")
    with pytest.raises(PluginError, match="not a list of HeadSpec"):
        PluginHost.load(files=[path], allow=())


def test_a_missing_plugin_file_or_one_of_another_kind_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="no such file"):
        PluginHost.load(files=[tmp_path / "nowhere.py"], allow=())
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(PluginError, match="not a Python file"):
        PluginHost.load(files=[tmp_path / "notes.txt"], allow=())


def test_plugins_that_are_not_allowed_are_listed_and_never_imported(
    install: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    install("tlsearch-stranger", "raise SystemExit('imported')")
    monkeypatch.setenv("TLSEARCH_LOAD_PLUGINS", "linear, mlp")
    host = PluginHost.load()
    assert list(host.heads()) == ["linear", "mlp"]
    assert host.broken == ()
    status = {p.source.name: p.status for p in host.providers()}
    assert status["tlsearch-stranger"] == "disabled"
    assert status["mlp"] == "active"
    assert "tlsearch_stranger" not in sys.modules


def test_an_observer_that_raises_is_reported_and_the_others_are_told(
    write_plugin: WritePlugin, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    seen = tmp_path / "seen.txt"
    raising = write_plugin("raising", "@hookimpl\ndef tlsearch_trial_finished(trial):\n    trial.number / 0\n")
    telling = write_plugin(
        "telling",
        f"""
        from pathlib import Path

        @hookimpl
        def tlsearch_trial_finished(trial):
            Path({str(seen)!r}).write_text(str(trial.number))
        """,
    )
    silent = write_plugin("silent", "@hookimpl\ndef tlsearch_trial_finished():\n    pass\n")
    host = PluginHost.load(files=[raising, telling, silent], allow=())
    with caplog.at_level(logging.WARNING):
        (notice,) = host.notify_trial_finished(a_trial())
    assert "plugin 'raising'" in notice
    assert "ZeroDivisionError" in notice
    assert notice in caplog.text
    assert seen.read_text() == "3"


def test_versions_name_the_distributions_of_active_plugins(install: Callable[[str, str], None]) -> None:
    install("tlsearch-good", HEAD + "\n@hookimpl\ndef tlsearch_heads(): return [head('good')]\n")
    versions = PluginHost.load(allow=["tlsearch-good"]).versions()
    assert versions["tlsearch-good"] == "3.2.1"
    assert {"tlsearch", "torch", "keras", "optuna"} <= set(versions)
    assert "tlsearch-good" not in PluginHost.load(allow=["linear"]).versions()


def test_loading_every_plugin_loads_no_framework() -> None:
    code = (
        "import sys\n"
        "from tlsearch.host import PluginHost\n"
        "host = PluginHost.load(); host.versions(); host.providers()\n"
        "print([m for m in ('torch', 'torchvision', 'keras', 'optuna', 'sqlalchemy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
