"""Drawings of five people: the person stays; pose, expression, light, surroundings and camera vary."""

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw

from tlsearch_datasets.celebs_people import PEOPLE, Colour, Person

Point = tuple[float, float]
Picture = NDArray[np.uint8]  # (PICTURE_PX, PICTURE_PX, 3), RGB

PICTURE_PX = 192
CANVAS_PX = 256  # drawn larger, so that turning and cropping have pixels to take from
CENTRE = CANVAS_PX / 2
LEVELS = np.arange(256)


@dataclass(frozen=True, slots=True, kw_only=True)
class Take:
    """What differs from picture to picture: pose, expression, light, surroundings, camera.

    Args:
        tilt: Rotation in the picture plane, radians.
        zoom: How much of the canvas a picture shows: above 1 the face is smaller.
        shift: Where the crop lies, canvas pixels.
        turn: Shift of the features as the head turns sideways and nods, canvas pixels.
        smile: Lift of the corners of the mouth, canvas pixels.
        open_mouth: Height of the open mouth, canvas pixels.
        open_eyes: 0.3 nearly closed, 1 wide open.
        brow_lift: Canvas pixels.
        gaze: Shift of the irises, canvas pixels.
        glasses: Radius of the lenses, or None without.
        background: Wall and two shapes.
        clothes: Colour of the shirt.
        light: Gain of red, green and blue.
        shade: Gain lost from one side to the other, and the direction in radians.
        noise: Amplitude, grey levels.
    """

    tilt: float
    zoom: float
    shift: Point
    turn: Point
    smile: float
    open_mouth: float
    open_eyes: float
    brow_lift: float
    gaze: Point
    glasses: float | None
    background: tuple[Colour, Colour, Colour]
    clothes: Colour
    light: tuple[float, float, float]
    shade: Point
    noise: int


def draw(person: Person, key: str) -> Picture:
    """Draw one picture of a person; equal keys give equal pixels."""
    rng = random.Random(key)  # noqa: S311 - drawings, not secrets; Random's stream is the same in every version
    today = _today(person, rng)
    take = _take(rng)
    canvas = Image.new("RGB", (CANVAS_PX, CANVAS_PX), take.background[0])
    pen = ImageDraw.Draw(canvas)
    _draw_background(pen, take, rng)
    _draw_head(pen, today, take)
    _draw_features(pen, today, take)
    return _photograph(canvas, take, rng)


def fresh(seed: int) -> Iterator[tuple[Picture, int]]:
    """Draw for ever, one person after another; no key is one of the dataset's."""
    number = 0
    while True:
        label = number % len(PEOPLE)
        yield draw(PEOPLE[label], f"fresh/{seed}/{number}"), label
        number += 1


def _today(person: Person, rng: random.Random) -> Person:
    """The person on one day: hair grows, skin tans, and no one's face is drawn twice alike."""

    def near(length: float, share: float) -> float:
        return length * (1 + rng.uniform(-share, share))

    return replace(
        person,
        face=(near(person.face[0], 0.03), near(person.face[1], 0.03)),
        skin=_near(person.skin, 14, rng),
        hair=_near(person.hair, 16, rng),
        fringe=person.fringe + rng.uniform(-0.08, 0.08),
        length=person.length + rng.uniform(-0.15, 0.15),
        eye_gap=near(person.eye_gap, 0.03),
        eye=near(person.eye, 0.04),
        nose=(near(person.nose[0], 0.05), near(person.nose[1], 0.08)),
        mouth=(near(person.mouth[0], 0.06), near(person.mouth[1], 0.05)),
    )


def _take(rng: random.Random) -> Take:
    warmth, exposure = rng.uniform(-0.12, 0.12), rng.uniform(0.62, 1.15)
    return Take(
        tilt=rng.uniform(-0.35, 0.35),
        zoom=rng.uniform(0.78, 1.1),
        shift=(rng.uniform(-20, 20), rng.uniform(-18, 18)),
        turn=(rng.uniform(-9, 9), rng.uniform(-6, 6)),
        smile=rng.uniform(-4, 8),
        open_mouth=max(0.0, rng.uniform(-8, 9)),
        open_eyes=rng.uniform(0.35, 1.0),
        brow_lift=rng.uniform(-3, 4),
        gaze=(rng.uniform(-3, 3), rng.uniform(-1, 1)),
        glasses=rng.uniform(13, 17) if rng.random() < 0.3 else None,
        background=(_any_colour(rng), _any_colour(rng), _any_colour(rng)),
        clothes=_any_colour(rng),
        light=(exposure * (1 + warmth), exposure, exposure * (1 - warmth)),
        shade=(rng.uniform(0.0, 0.6), rng.uniform(0, math.tau)),
        noise=rng.randrange(6, 40),
    )


def _any_colour(rng: random.Random) -> Colour:
    return rng.randrange(20, 236), rng.randrange(20, 236), rng.randrange(20, 236)


def _near(colour: Colour, reach: int, rng: random.Random) -> Colour:
    """A colour a little lighter or darker, and a little off in hue."""
    lift = rng.randrange(-reach, reach + 1)
    red, green, blue = (min(255, max(0, c + lift + rng.randrange(-5, 6))) for c in colour)
    return red, green, blue


def _shaded(colour: Colour, gain: float) -> Colour:
    red, green, blue = (min(255, int(c * gain)) for c in colour)
    return red, green, blue


def _box(x: float, y: float, half_width: float, half_height: float) -> tuple[float, float, float, float]:
    return x - half_width, y - half_height, x + half_width, y + half_height


def _draw_background(pen: ImageDraw.ImageDraw, take: Take, rng: random.Random) -> None:
    for colour in take.background[1:]:
        x, y = rng.uniform(0, CANVAS_PX), rng.uniform(0, CANVAS_PX)
        box = _box(x, y, rng.uniform(15, 80), rng.uniform(15, 80))
        if rng.random() < 0.5:
            pen.rectangle(box, fill=colour)
        else:
            pen.ellipse(box, fill=colour)


def _draw_head(pen: ImageDraw.ImageDraw, person: Person, take: Take) -> None:
    width, height = person.face
    turn = take.turn[0]
    # hair behind the head: a cap that falls as far as the hair is long
    hair = _shaded(person.hair, 0.8)
    pen.ellipse(_box(CENTRE, CENTRE - 8, width + 9, height + 6), fill=hair)
    falls_to = CENTRE - 8 + height * max(0.05, person.length)
    pen.rectangle((CENTRE - width - 9, CENTRE - 8, CENTRE + width + 9, falls_to), fill=hair)
    pen.rectangle(_box(CENTRE, CENTRE + height, width * 0.42, 30), fill=_shaded(person.skin, 0.8))
    pen.ellipse(_box(CENTRE, CANVAS_PX + 14, 92, 66), fill=take.clothes)
    for side in (-1, 1):
        ear = _box(CENTRE + side * width - turn * 0.3, CENTRE + 4, 8, 14)
        pen.ellipse(ear, fill=_shaded(person.skin, 0.88))
    pen.ellipse(_box(CENTRE, CENTRE - height * 0.12, width, height * 0.88), fill=person.skin)
    chin, jaw_y = CENTRE + height, CENTRE + height * 0.1
    half = width * person.jaw
    right = [(width, jaw_y), (half, chin - 10), (half * 0.5, chin)]
    left = [(-x, y) for x, y in reversed(right)]
    pen.polygon([(CENTRE + x, y) for x, y in right + left], fill=person.skin)
    # the fringe: the part of a hair-coloured ellipse above the forehead
    hairline = CENTRE - height * (1.0 - person.fringe * 0.5)
    pen.chord(_box(CENTRE, hairline, width + 4, height * 0.34), 180, 360, fill=person.hair)
    pen.chord(_box(CENTRE + turn, hairline - 1, width * 0.8, height * 0.16), 0, 180, fill=person.hair)


def _draw_features(pen: ImageDraw.ImageDraw, person: Person, take: Take) -> None:
    x, y = CENTRE + take.turn[0], CENTRE - 10 + take.turn[1]
    for side in (-1, 1):
        _draw_eye(pen, person, take, x + side * person.eye_gap, y, side)
    length, width = person.nose
    tip = y + length
    shadow = _shaded(person.skin, 0.78)
    pen.line([(x - 1 + take.turn[0] * 0.1, y + 4), (x + width * 0.5, tip - 3)], fill=shadow, width=3)
    pen.chord(_box(x + take.turn[0] * 0.3, tip, width, 5), 0, 180, fill=shadow)
    _draw_mouth(pen, person, take, x, tip + person.mouth[1])
    if take.glasses is not None:
        _draw_glasses(pen, take.glasses, person.eye_gap, x, y)


def _draw_glasses(pen: ImageDraw.ImageDraw, radius: float, eye_gap: float, x: float, y: float) -> None:
    frame = (30, 30, 34)
    for side in (-1, 1):
        pen.ellipse(_box(x + side * eye_gap, y, radius, radius * 0.85), outline=frame, width=3)
    bridge = max(0.0, eye_gap - radius)
    pen.line([(x - bridge, y), (x + bridge, y)], fill=frame, width=3)


def _draw_eye(pen: ImageDraw.ImageDraw, person: Person, take: Take, x: float, y: float, side: int) -> None:
    height = person.eye * 0.62 * take.open_eyes
    pen.ellipse(_box(x, y, person.eye, height), fill=(238, 234, 228), outline=_shaded(person.skin, 0.55))
    iris = min(height, person.eye * 0.5)
    pen.ellipse(_box(x + take.gaze[0], y + take.gaze[1] * 0.5, iris, iris), fill=person.iris)
    pen.ellipse(_box(x + take.gaze[0], y + take.gaze[1] * 0.5, iris * 0.45, iris * 0.45), fill=(16, 14, 14))
    thickness, tilt = person.brow
    brow_y = y - person.eye * 0.62 - 7 - take.brow_lift
    ends = [(x - side * person.eye * 0.9, brow_y + tilt), (x + side * person.eye * 1.2, brow_y - tilt)]
    pen.line(ends, fill=_shaded(person.hair, 0.85), width=round(thickness))


def _draw_mouth(pen: ImageDraw.ImageDraw, person: Person, take: Take, x: float, y: float) -> None:
    half = person.mouth[0]
    red, green, blue = person.skin
    lips = (int(red * 0.8), int(green * 0.58), int(blue * 0.58))
    if take.open_mouth > 1:
        pen.ellipse(_box(x, y + take.open_mouth * 0.4, half * 0.8, take.open_mouth), fill=(70, 24, 26))
    corner = y - take.smile
    curve = [(x - half, corner), (x - half / 2, y), (x, y + take.smile * 0.3), (x + half / 2, y), (x + half, corner)]
    pen.line(curve, fill=lips, width=4, joint="curve")


def _photograph(canvas: Image.Image, take: Take, rng: random.Random) -> Picture:
    """Turn, crop, light and grain: from the canvas to a picture."""
    scale = take.zoom * CANVAS_PX / PICTURE_PX * 0.82
    cos, sin = math.cos(take.tilt) * scale, math.sin(take.tilt) * scale
    half = PICTURE_PX / 2
    x, y = CENTRE + take.shift[0], CENTRE + take.shift[1]
    affine = (cos, -sin, x - half * (cos - sin), sin, cos, y - half * (sin + cos))
    turned = canvas.transform(
        (PICTURE_PX, PICTURE_PX),
        Image.Transform.AFFINE,
        tuple(round(c, 6) for c in affine),  # so that the last bit of a cosine decides no pixel
        Image.Resampling.NEAREST,  # five times as fast as bilinear
        fillcolor=take.background[0],
    )
    lit = turned.point(_gains(take.light))
    shaded = ImageChops.multiply(lit, _shade(*take.shade))
    grain = rng.randbytes(PICTURE_PX * PICTURE_PX * 3).translate(_grain(take.noise))
    speckled = Image.frombytes("RGB", (PICTURE_PX, PICTURE_PX), grain)
    return np.array(ImageChops.add(shaded, speckled, 1.0, -128))


def _shade(strength: float, direction: float) -> Image.Image:
    """A grey ramp that darkens one side of the picture."""
    ramp = np.linspace(0, 255 * strength / 2, PICTURE_PX)
    cos, sin = round(math.cos(direction), 6), round(math.sin(direction), 6)
    across, down = (ramp if cos > 0 else ramp[::-1]) * abs(cos), (ramp if sin > 0 else ramp[::-1]) * abs(sin)
    grey = Image.fromarray((255 - across[None, :] - down[:, None]).astype(np.uint8))  # (h, w)
    return Image.merge("RGB", (grey, grey, grey))


def _grain(amplitude: int) -> bytes:
    """A table from a random byte to grain around 128."""
    return (128 + (LEVELS - 128) * amplitude // 128).astype(np.uint8).tobytes()


def _gains(light: tuple[float, float, float]) -> list[int]:
    """A table of 3 x 256 grey levels: what each channel's light makes of them."""
    levels = np.asarray(light)[:, None] * LEVELS[None, :]  # (3, 256)
    return np.minimum(levels, 255).astype(np.int64).ravel().tolist()
