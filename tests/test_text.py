import pytest

from tlsearch.text import did_you_mean, safe, slug

HOSTILE = [
    "<script>alert(1)</script>",
    "cat[/]",
    "\x1b]0;x\x07",
    "\x1b[2J",
    "a\nb",
    "\u202egnp.exe",
    "'; DROP TABLE trials;--",
    "../../x",
    "/etc/passwd",
    "=1+1",
    "CON",
    "con",
    "\ud800",
    "\x00",
    "x" * 300,
    "{a}",
    "?x#y%00",
    "",
    ".",
    "..",
    "Ω",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_slug_is_one_harmless_path_component(name: str) -> None:
    made = slug(name)
    assert 0 < len(made) <= 64
    assert all(c in "abcdefghijklmnopqrstuvwxyz0123456789_-" for c in made)
    assert made not in ("con", "nul")


def test_a_name_that_is_a_slug_keeps_its_name() -> None:
    assert slug("celebs_keras-2") == "celebs_keras-2"


def test_names_that_differ_get_different_slugs() -> None:
    names = ["Celebs", "celebs", "CELEBS", "celebs!", "celebs?", "célebs", *HOSTILE]
    assert len({slug(name) for name in names}) == len(names)


@pytest.mark.parametrize("name", HOSTILE)
def test_safe_text_holds_no_control_or_direction_marks(name: str) -> None:
    shown = safe(name)
    assert not any(ord(c) < 32 or 0x7F <= ord(c) < 0xA0 or c in "\u202e\u2066\u2028" for c in shown)
    shown.encode("utf-8")  # a lone surrogate could not be written anywhere


def test_safe_text_leaves_ordinary_words_of_any_language_alone() -> None:
    words = "Zoë, Наталья, 猫, عمر, cat[/] 50 %"
    assert safe(words) == words
    assert safe("one\ntwo", keep_lines=True) == "one\ntwo"


def test_a_close_name_is_suggested_and_a_far_one_is_not() -> None:
    assert did_you_mean("resnt50", ["resnet18", "resnet50"]) == "; did you mean 'resnet50'?"
    assert did_you_mean("vit", ["resnet18", "resnet50"]) == ""
