import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tlsearch.errors import StudyFileError
from tlsearch.host import PluginHost
from tlsearch.space import Choice, FloatRange, IntRange
from tlsearch.study import DEFAULT_BACKBONES, StudyConfig, config_from_json, config_json, load_study

Load = Callable[..., StudyConfig]
Faults = Callable[..., dict[str, str]]
STUDIES = sorted((Path(__file__).parents[2] / "studies").glob("*.toml"))
MLP = "[study]\nname = 'x'\n[data]\npath = 'p'\n[[backbones]]\nname = 'resnet18'\n"


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_every_study_of_the_repository_loads(path: Path, host: PluginHost) -> None:
    config = load_study(path, host=host)
    assert config.study.name == path.stem
    assert config_from_json(config_json(config)) == config


def test_five_lines_are_a_study_with_every_default_in_it(load: Load) -> None:
    config = load()
    assert config.data.options == {"path": "photos"}
    assert tuple(table.name for table in config.backbones) == DEFAULT_BACKBONES
    assert all(table.image_px for table in config.backbones)
    assert config.search.epochs == IntRange(2, 20)
    assert config.search.batch_size == Choice(16, 32, 64, strict=False)
    assert config.study.metric is None
    assert config.run.on_missing_weights == "skip", "nobody asked for these very backbones"


def test_listed_backbones_must_have_weights_unless_the_study_says_otherwise(load: Load) -> None:
    assert load(MLP).run.on_missing_weights == "error"


def test_times_are_read_as_seconds(load: Load) -> None:
    config = load(
        """
        [study]
        name = "x"
        budget = { trials = 5, time = "1h30m" }
        [data]
        path = "p"
        [run]
        trial_timeout = "90s"
        grace = "0.5s"
        """
    )
    assert config.study.budget.time_s == 5400
    assert (config.run.trial_timeout_s, config.run.grace_s) == (90, 0.5)


def test_the_articles_recipe_is_read_as_written(host: PluginHost) -> None:
    (celebs,) = (path for path in STUDIES if path.stem == "celebs")
    article = load_study(celebs, host=host).baselines[0]
    assert article.head_params == {"hidden": [1024, 1024, 512]}
    assert article.freeze_until == "block_16_project_BN"
    assert (article.optimizer, article.learning_rate, article.start) == ("rmsprop", 1e-3, "random")


def test_a_head_takes_the_ranges_of_the_file(load: Load) -> None:
    config = load(
        MLP + "[search.head.mlp]\nhidden = [64, 512]\nlearning_rate = { low = 1e-5, high = 1e-3, log = true }\n"
    )
    assert config.search.head["mlp"]["hidden"] == Choice(64, 512, strict=False)
    assert config.search.head["mlp"]["learning_rate"] == FloatRange(1e-5, 1e-3, log=True)


def test_a_range_takes_what_it_leaves_out_from_its_default(load: Load, host: PluginHost) -> None:
    text = MLP + "[search]\nepochs = { high = 5 }\nweight_decay = { low = 1e-4, high = 1e-2 }\n"
    config = load(text + "[search.head.mlp]\nlearning_rate = { high = 2e-3 }\n")
    assert config.search.epochs == IntRange(2, 5)
    assert config.search.weight_decay == FloatRange(1e-4, 1e-2, log=True)
    default = host.head("mlp").learning_rate
    assert config.search.head["mlp"]["learning_rate"] == FloatRange(default.low, 2e-3, log=default.log)


def test_backbones_can_be_listed_by_name_alone(load: Load) -> None:
    config = load("backbones = ['resnet18', 'resnet50']\n[study]\nname = 'x'\n[data]\npath = 'p'\n")
    assert [table.name for table in config.backbones] == ["resnet18", "resnet50"]


def test_overrides_reach_every_value(load: Load) -> None:
    config = load(
        MLP + "[[baselines]]\nname = 'b'\nbackbone = 'resnet18'\n[search]\nepochs = { low = 3, high = 9 }\n",
        "search.epochs.high=5",
        "study.budget.time=30s",
        "study.name=bare words",
        "backbones.resnet18.image_px=96",
        "baselines.0.epochs=2",
        "search.heads=['linear']",
        "data.path=2024-01-01",
        "run.deterministic=true",
    )
    assert config.search.epochs == IntRange(3, 5)
    assert config.study.budget.time_s == 30
    assert config.study.name == "bare words"
    assert config.backbones[0].image_px == 96
    assert config.baselines[0].epochs == 2
    assert config.search.heads == ("linear",)
    assert config.data.options["path"] == "2024-01-01"
    assert config.run.deterministic


def test_an_override_of_one_end_alone_starts_from_the_default(load: Load) -> None:
    assert load(MLP, "search.epochs.high=5").search.epochs == IntRange(2, 5)


def test_another_source_takes_the_former_ones_options_along(load: Load) -> None:
    text = "[study]\nname = 'x'\n[data]\nsource = 'celebs_demo'\npictures = 12\nholdout = 0.3\n"
    assert load(text).data.options == {"pictures": 12}
    for overrides in (["data.source=folder", "data.path=mine"], ["data.path=mine", "data.source=folder"]):
        config = load(text, *overrides)
        assert config.data.source == "folder"
        assert config.data.options == {"path": "mine"}
        assert config.data.holdout == 0.3


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("search.epochs", "expected KEY=VALUE"),
        ("=5", "expected KEY=VALUE"),
        ("backbones.resnet19.image_px=96", "did you mean 'resnet18'"),
        ("study.name.first=x", "study.name is 'x', not a table"),
    ],
)
def test_an_override_that_leads_nowhere_is_refused(load: Load, override: str, message: str) -> None:
    with pytest.raises(StudyFileError, match="--set") as caught:
        load(MLP, override)
    assert message in caught.value.faults[0].message


def test_a_bad_override_is_reported_at_its_key(faults: Faults) -> None:
    assert faults(MLP, "search.epohcs.high=5") == {"search.epohcs": "unknown; did you mean 'epochs'?"}
    assert faults(MLP, "epochs=5") == {"epochs": "unknown; did you mean 'search.epochs'?"}
    assert faults(MLP, "trials=5") == {"trials": "unknown; did you mean 'study.budget.trials'?"}
    assert "above high 1" in faults(MLP, "search.epochs.high=1")["search.epochs.low"]


@pytest.mark.parametrize(
    ("lines", "place", "words"),
    [
        ("[serch]\nepochs = 3", "serch", "did you mean 'search'"),
        ("[search]\nepohcs = 3", "search.epohcs", "did you mean 'epochs'"),
        ("[search]\nepochs = { low = 9, high = 3 }", "search.epochs.low", "9 is above high 3"),
        ("[search]\nepochs = { low = 1, hihg = 3 }", "search.epochs.hihg", "unknown"),
        ("[search]\nepochs = { low = 'a', high = 3 }", "search.epochs.low", "a number"),
        ("[search]\nepochs = 2.5", "search.epochs", "whole numbers"),
        ("[search]\nepochs = 0", "search.epochs", "at least 1"),
        ("[search]\nweight_decay = { low = 0, high = 1, log = true }", "search.weight_decay.low", "above 0, not at 0"),
        ("[search]\nweight_decay = { low = nan, high = 1 }", "search.weight_decay.low", "a number, not nan"),
        ("[search]\nbatch_size = []", "search.batch_size", "is empty"),
        ("[search]\nbatch_size = [8, 8]", "search.batch_size", "twice"),
        ("[search]\nlabel_smoothing = [0, 1]", "search.label_smoothing", "below 1"),
        ("[search]\naugment = []", "search.augment", "is empty"),
        ("[search]\naugment = ['flop']", "search.augment.0", "did you mean 'flip'"),
        ("[search]\nimbalance = 'class_weight'", "search.imbalance", "expected 'none', 'class_weights'"),
        ("[search]\nimbalance = ['class_weight']", "search.imbalance.0", "did you mean 'class_weights'"),
        ("[search]\nimbalance = ['none', 'none']", "search.imbalance", "twice"),
        ("[constraints]\nmin_recal.cat = 0.8", "constraints.min_recal", "did you mean 'min_recall'"),
        ("[constraints]\nmin_recall.cat = 80", "constraints.min_recall.cat", "at most 1"),
        ("[constraints]\nmin_precision.cat = 0", "constraints.min_precision.cat", "more than 0"),
        ("[constraints]\nmin_recall = 0.8", "constraints.min_recall", "CLASS = 0.8"),
        ("[search]\nheads = ['mpl']", "search.heads", "did you mean 'mlp'"),
        ("[search]\nsampler = 'tpee'", "search.sampler", "did you mean 'tpe'"),
        ("[search.head.mpl]\nhidden = [1]", "search.head.mpl", "did you mean 'mlp'"),
        ("[search.head.mlp]\nhiden = [1]", "search.head.mlp.hiden", "did you mean 'hidden'"),
        ("[search.head.mlp]\nhidden = ['a']", "search.head.mlp.hidden", "a whole number"),
        ("[search.head.mlp]\nlayers = { low = 1, high = 9 }", "search.head.mlp.layers.high", "9 is outside 1 to 3"),
        ("[search.head.mlp]\nlearning_rate = [0.0]", "search.head.mlp.learning_rate", "above 0"),
        ("[[backbones]]\nname = 'resnt50'", "backbones.resnt50", "did you mean 'resnet50'"),
        ("[[backbones]]\nname = 'resnet18'", "backbones.resnet18", "is listed twice"),
        ("[[backbones]]\nweights = 'auto'", "backbones.1.name", "is required"),
        ("[[backbones]]\nname = 'resnet50'\nimage_px = 8", "backbones.resnet50.image_px", "minimum of 32"),
        ("[[backbones]]\nname = 'resnet50'\nweights = 'imagnet1k_v1'", "backbones.resnet50.weights", "did you mean"),
        ("[[backbones]]\nname = 'resnet50'\nparams = { a = 1 }", "backbones.resnet50.params.a", "unknown"),
        ("[[baselines]]\nname = 'b'\nbackbone = 'resnet50'", "baselines.b.backbone", "not among the backbones"),
        ("[[baselines]]\nname = 'b'\nbackbone = 'resnet18'\nhead = 'mpl'", "baselines.b.head", "did you mean 'mlp'"),
        ("[[baselines]]\nname = 'b'\nbackbone = 'resnet18'\nhidden = 3", "baselines.b.hidden", "unknown"),
        (
            "[[baselines]]\nname = 'b'\nbackbone = 'resnet18'\nhead = 'mlp'\nhiden = 3",
            "baselines.b.hiden",
            "did you mean 'hidden'",
        ),
        (
            "[[baselines]]\nname = 'b'\nbackbone = 'resnet18'\nhead = 'mlp'\nhidden = 'wide'",
            "baselines.b.hidden",
            "not 'wide'",
        ),
        (
            "[[baselines]]\nname = 'b'\nbackbone = 'resnet18'\nunfrozen = 1\nfreeze_until = 'layer4'",
            "baselines.b.freeze_until",
            "keep one",
        ),
        (
            "[[baselines]]\nname = 'b'\nbackbone = 'resnet18'\nepochs = 3\nphases = [{ epochs = 1 }]",
            "baselines.b.epochs",
            "said by the phases",
        ),
        (
            "[[baselines]]\nname = 'b'\nbackbone = 'resnet18'\nphases = [{ epochs = 0 }]",
            "baselines.b.phases.0.epochs",
            "at least 1",
        ),
        (
            "[[baselines]]\nname = 'b'\nbackbone = 'resnet18'\npreprocessing = { value_rang = [0, 1] }",
            "baselines.b.preprocessing.value_rang",
            "did you mean 'value_range'",
        ),
        ("[run]\ndevices = []", "run.devices", "is empty"),
        ("[run]\ndevices = 'gpu'", "run.devices", "'auto' or a list"),
        ("[run]\ngrace = '5 minutes'", "run.grace", '"1h30m"'),
        ("[run]\ntrial_timeout = '0s'", "run.trial_timeout", "above 0"),
        ("[run]\ntrial_timeout_s = 3.0", "run.trial_timeout_s", "did you mean 'trial_timeout'"),
        ("[run]\ndeterministic = 'yes'", "run.deterministic", "true or false"),
        ("[run]\ncache_gb = inf", "run.cache_gb", "a finite number"),
    ],
)
def test_a_fault_is_reported_at_its_key(faults: Faults, lines: str, place: str, words: str) -> None:
    found = faults(f"{MLP}{lines}\n")
    assert set(found) == {place}
    assert words in found[place]


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("", "study", "is required"),
        ("study = 3\n", "study", "a table"),
        ("[study]\nname = ' '\n[data]\npath = 'p'\n", "study.name", "is empty"),
        ("[study]\nname = 5\n[data]\npath = 'p'\n", "study.name", "a text in quotes"),
        ("[study]\nname = 'x'\n", "data.path", "is required"),
        ("[study]\nname = 'x'\n[data]\npth = 'p'\n", "data.pth", "did you mean 'path'"),
        ("[study]\nname = 'x'\n[data]\npath = 3\n", "data.path", "a text in quotes"),
        ("[study]\nname = 'x'\n[data]\nsource = 'foldr'\npath = 'p'\n", "data.source", "did you mean 'folder'"),
        ("[study]\nname = 'x'\n[data]\npath = 'p'\nfolds = 'aut'\n", "data.folds", "'auto' or a whole number"),
        ("[study]\nname = 'x'\n[data]\npath = 'p'\nholdout = 1\n", "data.holdout", "less than 1"),
        ("[study]\nname = 'x'\n[data]\npath = 'p'\ngroup_by = '('\n", "data.group_by", "not a regular expression"),
        ("[study]\nname = 'x'\nseed = '7'\n[data]\npath = 'p'\n", "study.seed", "a whole number, not '7'"),
        ("[study]\nname = 'x'\nmetric = 'acuracy'\n[data]\npath = 'p'\n", "study.metric", "did you mean 'accuracy'"),
        ("[study]\nname = 'x'\nbudget = { trials = 0 }\n[data]\npath = 'p'\n", "study.budget.trials", "at least 1"),
        ("[study]\nname = 'x'\nbudget = { tim = '1m' }\n[data]\npath = 'p'\n", "study.budget.tim", "mean 'time'"),
        ("[study]\nname = 'x'\nplugins = ['nonesuch']\n[data]\npath = 'p'\n", "study.plugins", "install"),
    ],
)
def test_a_fault_of_the_first_tables_is_reported_at_its_key(faults: Faults, text: str, place: str, words: str) -> None:
    found = faults(text)
    assert place in found
    assert words in found[place]


def test_all_faults_are_reported_at_once(faults: Faults) -> None:
    found = faults(
        """
        [study]
        name = "x"
        metric = "acuracy"
        budget = { trials = 0, time = "soon" }
        [data]
        pth = "p"
        [[backbones]]
        name = "resnt50"
        [search]
        epohcs = 3
        unfrozen = { low = 4, high = 1 }
        heads = ["linear", "mpl"]
        [[baselines]]
        name = "b"
        backbone = "resnet18"
        epochs = "5"
        [run]
        grace = "x"
        """
    )
    assert set(found) == {
        "study.metric",
        "study.budget.trials",
        "study.budget.time",
        "data.pth",
        "data.path",
        "backbones.resnt50",
        "search.epohcs",
        "search.unfrozen.low",
        "search.heads",
        "baselines.b.backbone",
        "baselines.b.epochs",
        "run.grace",
    }


def test_a_broken_plugin_that_a_study_needs_is_named_with_its_error(tmp_path: Path) -> None:
    from tlsearch.plugin_sources import BrokenPlugin, PluginSource  # values of the host's own making

    whole = PluginHost.load(allow=["tlsearch"])
    broken = BrokenPlugin(source=PluginSource(name="mynet", origin="mynet"), error="ImportError: no module")
    host = PluginHost([], broken=[broken, *whole.broken])
    path = tmp_path / "x.toml"
    path.write_text("[study]\nname = 'x'\nplugins = ['mynet']\n")
    with pytest.raises(StudyFileError, match=r"plugin 'mynet' is broken: ImportError: no module"):
        load_study(path, host=host)


def test_a_file_that_is_no_toml_is_refused_with_line_and_column(faults: Faults) -> None:
    assert set(faults("[study]\nname = \n")) == {"2:8"}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"[study]\nname = 'caf\xe9'\n", "x.toml:2:12: not UTF-8"),
        (b"a = " + b"[" * 3000, "nested too deeply"),
        (b"a = " + b"9" * 5000, "not TOML"),
        (b"#" * 1_100_000, "larger than"),
    ],
)
def test_a_file_that_cannot_be_read_as_text_is_refused(
    host: PluginHost, tmp_path: Path, content: bytes, words: str
) -> None:
    path = tmp_path / "x.toml"
    path.write_bytes(content)
    with pytest.raises(StudyFileError, match=words):
        load_study(path, host=host)


@pytest.mark.parametrize(
    ("name", "words"), [("none.toml", "no such file"), (".", "a folder"), ("\0", "cannot be read")]
)
def test_a_missing_file_or_a_folder_is_refused_with_the_way_out(
    host: PluginHost, tmp_path: Path, name: str, words: str
) -> None:
    with pytest.raises(StudyFileError, match=words):
        load_study(tmp_path / name, host=host)


@pytest.mark.parametrize("name", ["cat[/]", "\x1b[2J", "a\nb", "\u202ex", "../../x", "{a}", "x" * 300, "'; DROP TABLE"])
def test_a_hostile_study_name_is_only_a_name(host: PluginHost, tmp_path: Path, name: str) -> None:
    path = tmp_path / "x.toml"
    path.write_text("[study]\nname = 'x'\n[data]\npath = 'p'\n")
    assert load_study(path, overrides=[f"study.name={name}"], host=host).study.name == name.strip()


def test_a_text_that_is_no_unicode_is_refused(faults: Faults) -> None:
    assert set(faults(MLP, "study.name=\udce9")) == {"study.name"}


def test_mutated_study_files_raise_nothing_but_faults(host: PluginHost, tmp_path: Path) -> None:
    chance = random.Random(7)
    text = (Path(__file__).parents[2] / "studies" / "celebs.toml").read_text(encoding="utf-8")
    words = ["=", "[", "]", "{", "}", '"', "'", "\n", "nan", "-1", "1e999", "true", "1979-05-27", "[[", ".", "\\", "é"]
    path, refused = tmp_path / "x.toml", 0
    for _ in range(200):
        mutated = text
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(mutated))
            mutated = mutated[:at] + chance.choice(words) + mutated[at + chance.randint(0, 8) :]
        path.write_text(mutated, encoding="utf-8")
        try:
            load_study(path, host=host)
        except StudyFileError as error:
            refused += bool(error.faults)
    assert refused > 100


def test_one_answer_to_skewed_classes_is_written_as_a_list_or_alone(load: Load) -> None:
    assert load(MLP).search.imbalance is None, "decided once the pictures are counted"
    for written in ("'class_weights'", "['class_weights']"):
        assert load(MLP, f"search.imbalance={written}").search.imbalance == ("class_weights",)


def test_floors_are_read_by_class_whatever_its_name(load: Load) -> None:
    config = load(MLP + "[constraints]\nmin_recall.cat = 0.8\nmin_precision.'big dog' = 1\n")
    assert config.constraints.min_recall == {"cat": 0.8}
    assert config.constraints.min_precision == {"big dog": 1.0}
