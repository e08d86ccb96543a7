"""Text that came from outside: compared with known names, made safe for a terminal, turned into a path or TOML."""

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable
from difflib import get_close_matches

_SLUG = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_SLUG_LENGTH = 48  # of the readable part, before the hash
# Windows keeps these for devices, with any ending.
_DEVICES = re.compile(r"con|prn|aux|nul|com[0-9]|lpt[0-9]")
# Marks that reorder or hide the text around them, and line separators that a terminal may honour.
_INVISIBLE = frozenset("\u061c\u200b\u200e\u200f\u2028\u2029\u2060\ufeff") | frozenset(
    chr(code) for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))
)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?` where a known name is close, else nothing: the end of a sentence."""
    close = get_close_matches(name, sorted(known), n=1, cutoff=0.6)
    return f"; did you mean '{close[0]}'?" if close else ""


def safe(text: str, *, keep_lines: bool = False) -> str:
    """Text that cannot steer a terminal or a log: control, escape and direction marks become visible escapes.

    Args:
        text: Anything: a file's name, a class, a plugin's error.
        keep_lines: Whether line feeds stay; else a text is one line.
    """
    if text.isascii() and text.isprintable():
        return text  # as most is: a page has a million characters
    return "".join(char if _harmless(char, keep_lines=keep_lines) else _escape(char) for char in text)


def toml_text(text: str) -> str:
    """A text as TOML writes it; JSON's escapes are TOML's, but for the delete character."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def slug(name: str) -> str:
    """A name as one path component: itself where it is one already, else a readable part and a short hash.

    Two names never share a slug on a file system that ignores case.
    """
    if _SLUG.fullmatch(name) and not _DEVICES.fullmatch(name):
        return name
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    readable = re.sub(r"[^a-z0-9]+", "-", plain.lower())[:_SLUG_LENGTH].strip("-")
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{readable}-{digest}" if readable else digest


def _harmless(char: str, *, keep_lines: bool) -> bool:
    if char == "\n":
        return keep_lines
    return char not in _INVISIBLE and unicodedata.category(char) not in ("Cc", "Cs")


def _escape(char: str) -> str:
    return char.encode("unicode_escape", "backslashreplace").decode("ascii")
