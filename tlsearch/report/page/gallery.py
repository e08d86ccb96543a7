"""Small pictures on the page: the run's stored copies, taken only where they really are pictures, and not too many."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass

from tlsearch.report.page.material import Pictures

SIGNATURES = ((b"\xff\xd8\xff", "image/jpeg"), (b"\x89PNG\r\n\x1a\n", "image/png"), (b"RIFF", "image/webp"))
MOST_BYTES = 2_600_000  # of base64 text; with plotly's 4.9 MB the page stays below 8 MB


def data_uri(image: str) -> str:
    """A base64 text as `data:` address; "" where it is none of the three kinds of picture that a run stores."""
    try:
        data = base64.b64decode(image, validate=True)
    except (binascii.Error, ValueError):  # ValueError: letters beyond ASCII
        return ""
    kind = next((media for signature, media in SIGNATURES if data.startswith(signature)), "")
    return f"data:{kind};base64,{image}" if kind else ""


@dataclass(kw_only=True)
class Gallery:
    """Hands out pictures until the page is full.

    Args:
        thumbs: base64 texts by file.
        left: Characters that may still be spent, on pictures and on what grows with the study like them.
    """

    thumbs: Mapping[str, str]
    left: int = MOST_BYTES

    @classmethod
    def of(cls, pictures: Pictures | None) -> "Gallery":
        """Of what a run stored, which may be nothing."""
        return cls(thumbs={} if pictures is None else pictures.thumbs)

    def __contains__(self, file: str) -> bool:
        return file in self.thumbs and len(self.thumbs[file]) <= self.left

    def take(self, file: str) -> str:
        """The address of a file's small copy, for one more place on the page; "" where there is none or no room."""
        return self.place(self.thumbs[file]) if file in self else ""

    def spend(self, characters: int) -> None:
        """Leave less room for pictures: something else takes it."""
        self.left -= characters

    def place(self, image: str) -> str:
        """The address of a picture that no file names, such as a heat map; "" where there is no room for it."""
        uri = data_uri(image)
        if len(uri) > self.left:
            return ""
        self.left -= len(uri)
        return uri
