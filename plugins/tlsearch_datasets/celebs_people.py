"""The five people of `celebs_demo`: the geometry and colours that tell one drawn face from another."""

from dataclasses import dataclass

Colour = tuple[int, int, int]  # RGB, 0 to 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """What stays the same in every picture of one person; lengths in canvas pixels.

    Args:
        name: An invented first name.
        face: Half width and half height of the head.
        jaw: Half width of the chin as a share of the head's.
        skin: Colour of the skin, before light.
        hair: Colour of hair and brows.
        iris: Colour of the eyes.
        fringe: How far the hair comes down the forehead, as a share of the half height.
        length: How far the hair falls beside the face, likewise, measured from the eyes.
        eye_gap: Half the distance between the eyes.
        eye: Half width of an eye.
        brow: Thickness and tilt of the brows.
        nose: Length and half width of the nose.
        mouth: Half width of the mouth and its distance from the nose.
    """

    name: str
    face: tuple[float, float]
    jaw: float
    skin: Colour
    hair: Colour
    iris: Colour
    fringe: float
    length: float
    eye_gap: float
    eye: float
    brow: tuple[float, float]
    nose: tuple[float, float]
    mouth: tuple[float, float]


PEOPLE = (
    Person(
        name="Avaro",
        face=(51.9, 66.0),
        jaw=0.62,
        skin=(205, 156, 117),
        hair=(58, 41, 32),
        iris=(62, 89, 112),
        fringe=0.42,
        length=-0.08,
        eye_gap=21.12,
        eye=9.18,
        brow=(4.9, 2.0),
        nose=(24.9, 8.0),
        mouth=(19.8, 15.2),
    ),
    Person(
        name="Belisa",
        face=(47.9, 67.6),
        jaw=0.47,
        skin=(231, 192, 163),
        hair=(138, 69, 36),
        iris=(70, 113, 72),
        fringe=0.59,
        length=0.88,
        eye_gap=19.52,
        eye=11.18,
        brow=(3.3, 3.6),
        nose=(20.9, 5.6),
        mouth=(15.0, 14.4),
    ),
    Person(
        name="Corvan",
        face=(58.3, 62.8),
        jaw=0.76,
        skin=(193, 145, 112),
        hair=(38, 30, 28),
        iris=(70, 57, 48),
        fringe=0.37,
        length=0.16,
        eye_gap=25.12,
        eye=8.38,
        brow=(7.3, 0.4),
        nose=(28.1, 11.2),
        mouth=(23.0, 17.6),
    ),
    Person(
        name="Dunika",
        face=(52.7, 62.0),
        jaw=0.58,
        skin=(161, 115, 86),
        hair=(50, 35, 28),
        iris=(54, 45, 39),
        fringe=0.63,
        length=0.72,
        eye_gap=23.52,
        eye=11.58,
        brow=(4.1, 1.2),
        nose=(19.3, 8.8),
        mouth=(19.8, 12.8),
    ),
    Person(
        name="Elwyno",
        face=(47.1, 70.8),
        jaw=0.57,
        skin=(225, 182, 153),
        hair=(175, 141, 85),
        iris=(86, 113, 136),
        fringe=0.46,
        length=0.4,
        eye_gap=18.72,
        eye=9.18,
        brow=(3.3, 2.8),
        nose=(29.7, 6.4),
        mouth=(16.6, 19.2),
    ),
)
