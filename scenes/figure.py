"""Renders a whole person: limbs and trunk as rounded cones, with a head and hands.

Lengths are centimetres. The figure at rest stands with its front to the viewer: the middle
between the hips at the origin, x to the viewer's right (to the figure's left side), y up, z
to the viewer. Colours are linear light, 0 to 1, float32 [..., 3].
"""

import dataclasses

import numpy as np

from scenes.capsules import FINER, Capsule, Hits, picture_of
from scenes.hand import Hand, HandPose, HandView, hand_capsules, unit
from scenes.head import Expression, Person, render
from scenes.shading import Lighting, noise, step

_HIP = np.float32([9.5, -2, 0])
_SHOULDER = np.float32([17.5, 46, 0])
_NECK = np.float32([0, 50, 0])
_HEAD = np.float32([0, 69.5, 2.5])
# Half of the head's height, which is the unit of head.py.
_HEAD_UNIT = 11.8
_UPPER_ARM, _FOREARM, _THIGH, _SHIN, _FOOT = 28.0, 24.0, 43.0, 42.0, 17.0

# Directions of the upper arm and the forearm of the arm on the viewer's right, and which
# way its palm looks.
ARMS = {
    "down": ((0.14, -1, 0.05), (0.08, -1, 0.18), (-1, 0, -0.2)),
    "behind": ((0.25, -1, -0.3), (-0.3, -0.9, -0.3), (0, 0, -1)),
    "akimbo": ((0.65, -0.8, -0.1), (-0.7, -0.7, 0.25), (-0.5, 0, -1)),
    "greeting": ((0.55, -0.8, 0.2), (0.3, 0.9, 0.3), (0, 0, 1)),
    "phone": ((0.6, -0.75, 0.3), (-0.3, 0.9, 0.35), (-0.4, 0, 1)),
    "high": ((0.4, 0.9, 0), (0.1, 1, 0.05), (0, 0, 1)),
    "level": ((1, 0.02, 0), (1, 0.05, 0.05), (0, -1, 0.4)),
    "flexed": ((1, 0.05, 0), (0.1, 1, 0.15), (-1, 0, 0.3)),
    "forward": ((0.25, -0.5, 0.8), (0, 0.05, 1), (-0.5, 0.8, 0)),
    "folded": ((0.3, -0.9, 0.35), (-0.9, 0.25, 0.45), (0, -0.3, -1)),
    "offering": ((0.2, -1, 0.1), (0.25, -0.1, 0.9), (0, 1, 0.2)),
}
# Directions of thigh and shin, for the leg on the viewer's right.
LEGS = {
    "straight": ((0.05, -1, 0.02), (0.0, -1, -0.03)),
    "apart": ((0.3, -0.95, 0.05), (0.22, -1, -0.05)),
    "ahead": ((0.1, -0.9, 0.42), (0, -0.95, -0.2)),
    "behind": ((0.05, -0.95, -0.3), (0, -0.8, -0.55)),
    "raised": ((0.15, -0.25, 1), (0, -1, -0.1)),
    "squatting": ((0.5, -0.3, 0.85), (0.05, -1, -0.3)),
    "seated": ((0.25, -0.15, 1), (0.03, -1, 0.05)),
    "bent": ((0.3, -0.8, 0.4), (0.1, -0.9, -0.35)),
}


@dataclasses.dataclass(frozen=True)
class Build:
    """A body and its clothes.

    Attributes:
      girth: of the trunk, a factor about 1.
      limb_width, leg_length, arm_length, shoulder_width: factors about 1.
      belly: how far it stands out, centimetres.
      top, bottom, shoes: colours.
      sleeve: how much of an arm is covered, 0 (none) to 2 (to the wrist).
      legging: the same for a leg, 0 to 2.
      skirt: its length as a share of the thigh, 0 for trousers.
      stripes: of the top, a centimetre's radians; 0 for none.
      texture_seed: of folds and weave.
    """

    girth: float
    limb_width: float
    leg_length: float
    arm_length: float
    shoulder_width: float
    belly: float
    top: np.ndarray
    bottom: np.ndarray
    shoes: np.ndarray
    sleeve: float
    legging: float
    skirt: float
    stripes: float
    texture_seed: int


@dataclasses.dataclass(frozen=True)
class FigurePose:
    """What a figure does; of pairs, the side on the viewer's right comes first.

    Attributes:
      arms: float32 [2, 3, 3]: directions of upper arm and forearm, and which way the palm
        looks, with x mirrored for the second.
      legs: float32 [2, 2, 3]: directions of thigh and shin, likewise.
      lean: float32 [2], of the trunk to the side and forward, radians.
      hands: of both hands.
      head: yaw and pitch of the head against the viewer, radians.
      head_roll: against the trunk, radians.
    """

    arms: np.ndarray
    legs: np.ndarray
    lean: np.ndarray
    hands: tuple[HandPose, HandPose]
    head: tuple[float, float]
    head_roll: float


@dataclasses.dataclass(frozen=True)
class FigureView:
    """Where a figure is seen.

    Attributes:
      yaw: radians; positive turns its front to the viewer's right.
      pitch: positive tips its head towards the viewer.
      roll: in the picture; positive turns it clockwise.
      scale: pixels a centimetre at the middle of the hips.
      centre: x and y of that, pixels.
      distance: of the camera, centimetres.
    """

    yaw: float
    pitch: float
    roll: float
    scale: float
    centre: tuple[float, float]
    distance: float


def draw_build(rng: np.random.Generator, clothes: np.ndarray, colors) -> Build:
    """Draws a body and clothes at random.

    Args:
      rng: what decides everything.
      clothes: colour of the top.
      colors: float32 [2, 3], of what covers the legs, and of the shoes.
    """
    return Build(
        girth=rng.uniform(0.82, 1.22),
        limb_width=rng.uniform(0.85, 1.2),
        leg_length=rng.uniform(0.92, 1.08),
        arm_length=rng.uniform(0.92, 1.08),
        shoulder_width=rng.uniform(0.88, 1.12),
        belly=rng.uniform(0, 5) if rng.uniform() < 0.4 else 0.0,
        top=clothes,
        bottom=colors[0],
        shoes=colors[1],
        sleeve=float(rng.choice([0.0, 0.55, 0.9, 1.5, 2.0], p=[0.1, 0.3, 0.1, 0.1, 0.4])),
        legging=float(rng.choice([0.6, 1.4, 2.0], p=[0.22, 0.13, 0.65])),
        skirt=rng.uniform(0.5, 1.3) if rng.uniform() < 0.15 else 0.0,
        stripes=rng.uniform(0.6, 2) if rng.uniform() < 0.15 else 0.0,
        texture_seed=int(rng.integers(2**31)),
    )


def _turn(view: FigureView) -> np.ndarray:
    """Makes the matrix from the figure's coordinates to the viewer's, both with y up."""
    cy, sy, cp, sp, cr, sr = (
        f(angle) for angle in (view.yaw, view.pitch, view.roll) for f in (np.cos, np.sin)
    )
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    about_z = np.array([[cr, sr, 0], [-sr, cr, 0], [0, 0, 1]])
    return (about_z @ about_x @ about_y).astype(np.float32)


def _leaned(point: np.ndarray, lean: np.ndarray) -> np.ndarray:
    """Leans a point of the trunk about the hips."""
    side, ahead = (float(angle) for angle in lean)
    x, y, z = (float(value) for value in point)
    x, y = x * np.cos(side) + y * np.sin(side), y * np.cos(side) - x * np.sin(side)
    y, z = y * np.cos(ahead) - z * np.sin(ahead), z * np.cos(ahead) + y * np.sin(ahead)
    return np.float32([x, y, z])


@dataclasses.dataclass(frozen=True)
class _Part:
    """A rounded cone in the figure's coordinates."""

    kind: str
    start: np.ndarray
    end: np.ndarray
    start_radius: float
    end_radius: float
    softness: float


def _trunk(build: Build, pose: FigurePose) -> list[_Part]:
    girth, wide = build.girth, build.shoulder_width
    parts = []

    def part(kind, start, end, start_radius, end_radius, softness=4.0):
        ends = (_leaned(np.float32(place), pose.lean) for place in (start, end))
        parts.append(_Part(kind, *ends, start_radius, end_radius, softness))

    for side in (-1, 1):
        part("hips", (side * 6, 1, -1), (side * 5.5, -5, -1), 10 * girth, 9.5 * girth)
        part("trunk", (side * 6, 2, 0), (side * 5, 18, 0), 9.5 * girth, 8.8 * girth)
        part("trunk", (side * 5, 18, 0), (side * 8 * wide, 39, 0), 8.8 * girth, 9.5 * girth)
        part("trunk", (side * 2, 51, -2), (side * 16 * wide, 46, -0.5), 4.0, 5.4)
    part("trunk", (0, 16, 1.5), (0, 40, 2.0), 9.2 * girth, 9.8 * girth, 5.0)
    part("trunk", (0, 2, 1), (0, 16, 1.5), 9.4 * girth, 9.2 * girth, 5.0)
    part("trunk", (0, 8, build.belly), (0, 20, build.belly), 9 * girth, 9 * girth, 6.0)
    part("neck", (0, 46, -1.5), _HEAD - np.float32([0, 6, 3.5]), 5.6, 5.2, 1.0)
    return parts


def _arm(build: Build, pose: FigurePose, side: int):
    """Makes an arm: (its parts, the wrist, the forearm's direction, where the palm looks)."""
    mirror = np.float32([1 if side == 0 else -1, 1, 1])
    wide = np.float32([build.shoulder_width, 1, 1])
    shoulder = _leaned(_SHOULDER * wide * mirror, pose.lean)
    upper, fore, palm = (unit(np.float32(d) * mirror) for d in pose.arms[side])
    elbow = shoulder + upper * np.float32(_UPPER_ARM * build.arm_length)
    wrist = elbow + fore * np.float32(_FOREARM * build.arm_length)
    width = build.limb_width
    parts = [
        _Part("upper arm", shoulder, elbow, 5.8 * width, 4.2 * width, 2.0),
        _Part("forearm", elbow, wrist, 4.2 * width, 2.9 * width, 1.5),
    ]
    return parts, wrist, fore, palm


def _leg(build: Build, pose: FigurePose, side: int) -> list[_Part]:
    mirror = np.float32([1 if side == 0 else -1, 1, 1])
    hip = _HIP * mirror * np.float32([build.girth, 1, 1])
    thigh, shin = (unit(np.float32(d) * mirror) for d in pose.legs[side])
    knee = hip + thigh * np.float32(_THIGH * build.leg_length)
    ankle = knee + shin * np.float32(_SHIN * build.leg_length)
    width = build.limb_width
    # A foot stands across the shin, its tip forward and a little outward.
    ahead = np.float32([0.3, -0.15, 1]) * mirror
    ahead = unit(ahead - shin * (shin @ ahead) * np.float32(0.8))
    sole = ankle + shin * np.float32(4.5)
    parts = [
        _Part("thigh", hip, knee, 9.2 * width, 6.0 * width, 2.5),
        _Part("shin", knee, ankle, 6.0 * width, 3.8 * width, 2.0),
        _Part(
            "shoe",
            sole - ahead * np.float32(3),
            sole + ahead * np.float32(_FOOT - 3),
            4.4,
            3.6,
            1.0,
        ),
    ]
    if build.skirt:
        hem = hip + (knee - hip) * np.float32(build.skirt)
        radius = 9.5 + 6.0 * build.skirt
        parts.append(
            _Part("skirt", hip + np.float32([0, 6, 0]), hem, 10 * build.girth, radius, 5.0)
        )
    return parts


def render_figure(
    person: Person,
    mood: Expression,
    build: Build,
    hand: Hand,
    pose: FigurePose,
    view: FigureView,
    lighting: Lighting,
    size: tuple[int, int],
) -> tuple[np.ndarray, np.ndarray]:
    """Renders a person from head to foot.

    Args:
      person: the head, and the skin's colour.
      mood: the face's expression.
      build: body and clothes.
      hand: the hands.
      pose: what the figure does.
      view: where it is.
      lighting: of the scene.
      size: width and height of the picture, pixels.

    Returns:
      (colour float32 [height, width, 3] in linear light, coverage float32
      [height, width]).
    """
    turn = _turn(view)
    flip = np.float32([1, -1, 1])

    def seen(point, finer=1):
        moved = (turn @ point) * flip
        near = view.distance / max(view.distance - float(moved[2]), view.distance * 0.3)
        factor = np.float32(near * view.scale * finer)
        x, y = ((place + 0.5) * finer - 0.5 for place in view.centre)
        return moved * factor + np.float32([x, y, 0]), factor

    hips, hips_factor = seen(np.zeros(3, np.float32), FINER)

    def painter(kind: str, start, factor):
        def paint(hits: Hits) -> np.ndarray:
            local = (hits.position - start) / factor
            folds = noise(build.texture_seed, local[:, 0], local[:, 1] * 0.6, 0.22)
            weave = noise(build.texture_seed + 1, local[:, 0] + local[:, 2], local[:, 1], 0.9)
            skin = person.skin * (1 + 0.06 * weave)[:, None]
            pleats = (1 + 0.22 * folds + 0.08 * weave)[:, None]
            top = build.top * pleats
            if build.stripes:
                band = np.sign(np.sin(local[:, 1] * np.float32(build.stripes)))
                top = top * (1 + 0.55 * band)[:, None]
            bottom = build.bottom * pleats

            def covered(cloth, share):
                mask = step(share + 0.015, share - 0.015, hits.along)[:, None]
                return skin + (cloth - skin) * mask

            if kind in ("hips", "trunk"):
                up = (((hits.position - hips) / hips_factor * flip) @ turn)[:, 1]
                return bottom + (top - bottom) * step(1.5, 2.5, up)[:, None]
            if kind == "skirt":
                return bottom
            if kind == "neck":
                return covered(top, 0.18) * np.float32(0.8)
            if kind == "upper arm":
                return covered(top, build.sleeve)
            if kind == "forearm":
                return covered(top, build.sleeve - 1)
            if kind == "thigh":
                return covered(bottom, build.legging)
            if kind == "shin":
                return covered(bottom, build.legging - 1)
            return build.shoes * (1 + 0.15 * weave)[:, None]

        return lambda hits: paint(hits).astype(np.float32)

    def projected(parts: list[_Part]) -> list[Capsule]:
        capsules = []
        for part in parts:
            start, near = seen(part.start, FINER)
            end, far = seen(part.end, FINER)
            capsules.append(
                Capsule(
                    start, end, float(part.start_radius * near), float(part.end_radius * far),
                    float(part.softness * view.scale * FINER), painter(part.kind, start, near),
                )
            )  # fmt: skip
        return capsules

    def hand_on(wrist, fore, palm, side: int) -> list[Capsule]:
        front = unit(palm - fore * (palm @ fore))
        frame = np.stack([np.cross(fore, front), fore, front], -1)
        middle, factor = seen(wrist + fore * np.float32(4.5), FINER)
        where = HandView(
            (turn @ frame).astype(np.float32), side == 0, float(factor),
            (float(middle[0]), float(middle[1])), view.distance,
        )  # fmt: skip
        return hand_capsules(hand, pose.hands[side], where, float(middle[2]), arm=False)

    body = projected(_trunk(build, pose))
    arms: list[Capsule] = []
    head, head_factor = seen(_leaned(_HEAD, pose.lean))
    for side in (0, 1):
        body += projected(_leg(build, pose, side))
        parts, wrist, fore, palm = _arm(build, pose, side)
        arm = projected(parts) + hand_on(wrist, fore, palm, side)
        body += arm
        if max(float(c.end[2]) for c in arm) / FINER > head[2] + 4 * view.scale:
            arms += arm
    reach = 12 * view.scale * FINER
    color, cover = picture_of(body, lighting, size, reach)

    # The head, and what of the arms is before it.
    half = float(_HEAD_UNIT * head_factor)
    width, height = size
    left, right = max(int(head[0] - 1.7 * half), 0), min(int(head[0] + 1.7 * half) + 2, width)
    top, bottom = max(int(head[1] - 1.6 * half), 0), min(int(head[1] + 1.8 * half) + 2, height)
    if right - left < 3 or bottom - top < 3:
        return color, cover
    y, x = np.mgrid[top:bottom, left:right].astype(np.float32)
    x, y = (x - head[0]) / np.float32(half), (y - head[1]) / np.float32(half)
    roll = view.roll + float(pose.lean[0]) * np.cos(view.yaw) + pose.head_roll
    cos, sin = np.float32(np.cos(roll)), np.float32(np.sin(roll))
    x, y = x * cos + y * sin, y * cos - x * sin
    face, mask = render(person, mood, lighting, *pose.head, x, y, bust=False)
    window = (slice(top, bottom), slice(left, right))

    def lay(paint, mask):
        color[window] += (paint - color[window]) * mask[..., None]
        cover[window] += (1 - cover[window]) * mask

    lay(face, mask)
    if arms:
        paint, mask = picture_of(arms, lighting, size, reach)
        lay(paint[window], mask[window])
    return color, cover
