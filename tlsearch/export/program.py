"""predict.py: composed of the template and the picture rules that the measurements went through, word for word."""

from importlib.resources import files

PROGRAM = "predict.py"
RULES_IMPORT = "from tlsearch.data.pillow_rules import PictureError, decode, fit, shrink\n"
START = "# How a picture becomes the network's input: the rules that tlsearch measured the model with.\n"
END = "# The end of the rules.\n"


def rules_source() -> str:
    """The source of `tlsearch.data.pillow_rules`, which imports nothing of ours."""
    return files("tlsearch.data").joinpath("pillow_rules.py").read_text(encoding="utf-8")


def predict_program() -> str:
    """The text of a bundle's predict.py: the template, with its one import of ours replaced by the rules."""
    template = files("tlsearch.export").joinpath("predict_template.py").read_text(encoding="utf-8")
    before, found, after = template.partition(RULES_IMPORT)
    if not found:
        raise AssertionError("predict_template.py no longer imports the picture rules in the agreed words")
    return f"{before}\n{START}{rules_source()}{END}{after}"
