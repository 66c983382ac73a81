"""Renders a hand with its forearm: bones as rounded cones, posed, seen by a camera.

Lengths are centimetres. The hand at rest is a right hand with its palm to the viewer and
the fingers up: the wrist at the origin, x to the viewer's right (to the thumb), y up, z to
the viewer. A left hand is its mirror image. Colours are linear light, 0 to 1, float32
[..., 3].
"""

import dataclasses

import numpy as np

from scenes.capsules import FINER, Capsule, Hits, picture_of
from scenes.shading import SKIN, Lighting, mixed, noise, step, to_linear

# Of index, middle, ring and little finger: the knuckle's place, and the phalanges' lengths.
_KNUCKLES = np.float32([(2.7, 9.1, 0.0), (0.7, 9.5, -0.25), (-1.3, 9.0, -0.15), (-3.1, 8.1, 0.2)])
_PHALANGES = np.float32([(4.2, 2.4, 1.8), (4.6, 2.8, 1.9), (4.2, 2.6, 1.9), (3.3, 1.8, 1.6)])
_FINGER_RADII = np.float32(
    [
        (1.08, 0.94, 0.86, 0.70),
        (1.10, 0.96, 0.88, 0.72),
        (1.03, 0.90, 0.83, 0.68),
        (0.92, 0.78, 0.72, 0.60),
    ]
)
_THUMB_BASE = np.float32((2.0, 1.6, 0.4))
_THUMB_LENGTHS = (4.4, 3.2, 2.3)
_THUMB_RADII = (1.5, 1.15, 0.98, 0.72)
_ARM_LENGTH = 40
# Directions of the thumb's three bones, stretched out to the side and laid over the palm.
_THUMB_OPEN = np.float32([(0.80, 0.58, 0.15), (0.66, 0.75, 0.05), (0.52, 0.85, -0.05)])
_THUMB_CLOSED = np.float32([(0.42, 0.72, 0.55), (-0.40, 0.72, 0.56), (-0.90, 0.30, 0.30)])
# Bending of a finger's joints when it is curled up, radians.
_CURL = np.float32((1.45, 1.80, 1.15))

# How far the thumb and the four fingers are curled, 0 to 1, and how far the fingers spread.
GESTURES = {
    "open": ((0.0, 0.02, 0.0, 0.0, 0.02), 1.0),
    "together": ((0.3, 0.03, 0.02, 0.02, 0.03), -0.2),
    "relaxed": ((0.35, 0.2, 0.25, 0.3, 0.33), 0.3),
    "four": ((0.95, 0.02, 0.0, 0.0, 0.03), 0.8),
    "point": ((0.9, 0.0, 0.85, 0.9, 0.92), 0.2),
    "victory": ((0.95, 0.0, 0.0, 0.92, 0.95), 0.9),
    "three": ((0.95, 0.0, 0.0, 0.0, 0.9), 0.7),
    "fist": ((0.85, 0.95, 1.0, 1.0, 0.95), 0.0),
    "thumb": ((-0.2, 0.92, 0.97, 0.97, 0.95), 0.0),
    "call": ((-0.1, 0.92, 0.97, 0.95, 0.0), 0.4),
    "horns": ((0.85, 0.0, 0.95, 0.95, 0.0), 0.3),
    "ring": ((0.45, 0.5, 0.1, 0.05, 0.0), 0.8),
    "claw": ((0.3, 0.45, 0.45, 0.45, 0.45), 0.6),
    "gun": ((-0.1, 0.0, 0.9, 0.95, 0.95), 0.2),
}


@dataclasses.dataclass(frozen=True)
class Hand:
    """What stays the same when a hand moves.

    Attributes:
      finger_length, finger_width, palm_width, palm_length: factors about 1.
      skin, palm, nails, sleeve: colours.
      sleeve_from: where the sleeve begins, below the wrist.
      texture_seed: of the skin's grain.
    """

    finger_length: float
    finger_width: float
    palm_width: float
    palm_length: float
    skin: np.ndarray
    palm: np.ndarray
    nails: np.ndarray
    sleeve: np.ndarray
    sleeve_from: float
    texture_seed: int


@dataclasses.dataclass(frozen=True)
class HandPose:
    """What a hand does.

    Attributes:
      bends: float32 [4, 3], of index, middle, ring and little finger at knuckle, middle
        and last joint, radians; positive towards the palm.
      spreads: float32 [4], of the fingers to the side, radians; positive to the thumb.
      thumb: float32 [3], how far its bones are laid over the palm, 0 to 1.
      wrist: float32 [2], of the forearm against the hand: to the side and to the viewer,
        radians.
    """

    bends: np.ndarray
    spreads: np.ndarray
    thumb: np.ndarray
    wrist: np.ndarray


@dataclasses.dataclass(frozen=True)
class HandView:
    """Where a hand is seen.

    Attributes:
      turn: float32 [3, 3], from the hand's coordinates (y up) to the viewer's (y up).
      is_left: whether it is a left hand.
      scale: pixels a centimetre at the middle of the palm.
      centre: x and y of the middle of the palm, pixels.
      distance: of the camera, centimetres.
    """

    turn: np.ndarray
    is_left: bool
    scale: float
    centre: tuple[float, float]
    distance: float


def draw_hand(rng: np.random.Generator, skin: np.ndarray | None = None) -> Hand:
    """Draws a hand at random, with this skin or any."""
    tone = rng.uniform()
    if skin is None:
        skin = mixed(SKIN, tone) * rng.uniform(0.92, 1.08, 3).astype(np.float32)
        # The palm of a dark hand is much lighter than its back.
        palm = mixed(SKIN, tone * 0.62) * np.float32([1.02, 0.84, 0.80])
    else:
        palm = skin ** np.float32(0.7) * np.float32([0.85, 0.75, 0.72])
    painted = rng.uniform() < 0.15
    return Hand(
        finger_length=rng.uniform(0.88, 1.12),
        finger_width=rng.uniform(0.82, 1.15),
        palm_width=rng.uniform(0.88, 1.12),
        palm_length=rng.uniform(0.92, 1.08),
        skin=skin,
        palm=palm,
        nails=to_linear(rng.uniform(20, 250, 3)) if painted else palm * np.float32(1.12),
        sleeve=to_linear(rng.uniform(8, 240, 3)),
        sleeve_from=rng.uniform(1.5, 9) if rng.uniform() < 0.55 else 60.0,
        texture_seed=int(rng.integers(2**31)),
    )


def gesture_pose(rng: np.random.Generator, names) -> HandPose:
    """Draws one of these gestures, done carelessly, sometimes halfway to another."""
    curls, spread = (np.float32(part) for part in GESTURES[str(rng.choice(names))])
    if rng.uniform() < 0.25:
        other, wide = (np.float32(part) for part in GESTURES[str(rng.choice(names))])
        share = np.float32(rng.uniform(0, 0.5))
        curls, spread = curls + (other - curls) * share, spread + (wide - spread) * share
    curls = curls + rng.normal(0, 0.05, 5).astype(np.float32)
    bends = np.clip(curls[1:], -0.06, 1.05)[:, None] * _CURL
    fan = np.float32([0.24, 0.04, -0.13, -0.32])
    return HandPose(
        bends=bends + rng.normal(0, 0.06, (4, 3)).astype(np.float32),
        spreads=fan * np.float32(spread * rng.uniform(0.5, 1.2))
        + rng.normal(0, 0.03, 4).astype(np.float32),
        thumb=curls[0] + rng.normal(0, 0.06, 3).astype(np.float32),
        wrist=rng.normal(0, [0.2, 0.25]).astype(np.float32),
    )


def free_pose(rng: np.random.Generator) -> HandPose:
    """Draws every joint by itself, most fingers rather straight."""
    curls = np.clip(rng.beta(0.6, 1.0, 4), 0, 1).astype(np.float32)
    bends = curls[:, None] * _CURL * rng.uniform(0.6, 1.05, (4, 3)).astype(np.float32)
    fan = np.float32([0.24, 0.04, -0.13, -0.32]) * np.float32(rng.uniform(-0.1, 1.3))
    return HandPose(
        bends=bends.astype(np.float32),
        spreads=fan + rng.normal(0, 0.04, 4).astype(np.float32),
        thumb=(rng.uniform(-0.1, 1) + rng.normal(0, 0.08, 3)).astype(np.float32),
        wrist=rng.normal(0, [0.25, 0.35]).astype(np.float32),
    )


def turned(roll: float, yaw: float, pitch: float) -> np.ndarray:
    """Makes the matrix that turns a hand: about itself first, in the picture last.

    Args:
      roll: radians in the picture; positive turns it clockwise.
      yaw: about its length; 0 shows the palm, pi the back.
      pitch: positive tips the fingers towards the viewer.

    Returns:
      float32 [3, 3], for coordinates with y up.
    """
    cr, sr, cy, sy, cp, sp = (f(a) for a in (roll, yaw, pitch) for f in (np.cos, np.sin))
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    about_z = np.array([[cr, sr, 0], [-sr, cr, 0], [0, 0, 1]])
    return (about_z @ about_x @ about_y).astype(np.float32)


def unit(vector: np.ndarray) -> np.ndarray:
    """Scales a vector to the length 1, float32."""
    return (vector / np.linalg.norm(vector)).astype(np.float32)


@dataclasses.dataclass(frozen=True)
class _Bone:
    """A rounded cone in the hand's coordinates; `back` points out of the hand's back."""

    kind: str
    start: np.ndarray
    end: np.ndarray
    start_radius: float
    end_radius: float
    back: np.ndarray


def _bones(hand: Hand, pose: HandPose) -> list[_Bone]:
    bones = []
    out = np.float32([0, 0, -1])
    size = np.float32([hand.palm_width, hand.palm_length, 1])
    for finger in range(4):
        knuckle = _KNUCKLES[finger] * size
        root = np.float32([knuckle[0] * 0.42, 0.9, 0.0])
        bones.append(_Bone("palm", root, knuckle, 1.35, 1.12, out))
        spread = float(pose.spreads[finger])
        side = np.float32([np.sin(spread), np.cos(spread), 0])
        place, bend = knuckle, 0.0
        radii = _FINGER_RADII[finger] * np.float32(hand.finger_width)
        for joint, kind in enumerate(("first", "middle", "tip")):
            bend += float(pose.bends[finger, joint])
            direction = side * np.float32(np.cos(bend)) + np.float32([0, 0, np.sin(bend)])
            end = place + direction * _PHALANGES[finger, joint] * np.float32(hand.finger_length)
            back = side * np.float32(np.sin(bend)) - np.float32([0, 0, np.cos(bend)])
            bones.append(_Bone(kind, place, end, radii[joint], radii[joint + 1], back))
            place = end
    # The heel of the hand below the little finger, and the web below the thumb.
    heel = np.float32([-2.4, 1.6, 0.45]) * size
    bones.append(_Bone("palm", heel, np.float32([-2.7, 5.2, 0.3]) * size, 1.3, 1.2, out))
    place = _THUMB_BASE * size
    names = ("palm", "first", "tip")
    for joint in range(3):
        lay = pose.thumb[joint]
        mean = _THUMB_OPEN[joint] + (_THUMB_CLOSED[joint] - _THUMB_OPEN[joint]) * lay
        direction = unit(mean)
        end = place + direction * np.float32(_THUMB_LENGTHS[joint] * hand.finger_length)
        # A thumb's nail looks to the side, more so the less it lies over the palm.
        back = np.float32([0.75, 0.1, -0.65]) * np.float32(1 - lay) + np.float32(
            [0.45, 0.3, 0.85]
        ) * np.float32(lay)
        back = unit(back - direction * (back @ direction))
        width = hand.finger_width if joint else hand.palm_width
        start_radius, end_radius = (_THUMB_RADII[joint] * width, _THUMB_RADII[joint + 1] * width)
        if joint == 0:
            web = np.float32([1.9, 6.2, 0.1]) * size
            bones.append(_Bone("palm", place, web, 1.3, 0.85, out))
        bones.append(_Bone(names[joint], place, end, start_radius, end_radius, back))
        place = end
    side, tip = float(pose.wrist[0]), float(pose.wrist[1])
    down = np.float32([np.sin(side), -np.cos(side) * np.cos(tip), np.sin(tip)])
    across = unit(np.cross(down, out))
    for offset in (-1, 1):
        wrist = np.float32([0.95 * offset * hand.palm_width, 0.6, 0])
        elbow = down * np.float32(_ARM_LENGTH) + across * np.float32(1.8 * offset)
        bones.append(_Bone("arm", wrist, elbow, 1.75 * hand.palm_width, 3.8, out))
    return bones


def hand_capsules(
    hand: Hand, pose: HandPose, view: HandView, depth: float = 0.0, arm: bool = True
) -> list[Capsule]:
    """Poses the bones, projects them and gives them their paint.

    Args:
      hand: whose.
      pose: what it does.
      view: where it is.
      depth: height of the middle of the palm over the picture, pixels.
      arm: whether the forearm comes with it.

    Returns:
      What `picture_of` renders.
    """
    mirror = np.float32([-1 if view.is_left else 1, 1, 1])
    middle = np.float32([0, 5 * hand.palm_length, 0])
    flip = np.float32([1, -1, 1])
    origin = np.float32([*view.centre, depth])
    front = (view.turn @ (np.float32([0, 0, 1]) * mirror)) * flip

    def seen(point):
        moved = (view.turn @ ((point - middle) * mirror)) * flip
        near = view.distance / max(view.distance - moved[2], view.distance * 0.3)
        factor = np.float32(near * view.scale)
        return moved * factor + origin, factor

    def painter(bone: _Bone, start, factor):
        back = (view.turn @ (bone.back * mirror)) * flip
        axis = unit((view.turn @ ((bone.end - bone.start) * mirror)) * flip)

        def paint(hits: Hits) -> np.ndarray:
            away = hits.normal @ back
            local = (hits.position - start) / factor
            grain = noise(hand.texture_seed, local[:, 0], local[:, 1], 2.2)
            fine = noise(hand.texture_seed + 1, local[:, 0], local[:, 1] + local[:, 2], 7.0)
            mottle = (1 + 0.07 * grain + 0.05 * fine)[:, None]
            inner = step(0.25, -0.35, away)[:, None]
            color = (hand.skin + (hand.palm - hand.skin) * inner) * mottle
            if bone.kind == "arm":
                inner = step(0.5, -0.9, hits.normal @ -front)[:, None] * 0.6
                color = (hand.skin + (hand.palm - hand.skin) * inner) * mottle
                down = hits.along * np.float32(_ARM_LENGTH)
                cloth = step(hand.sleeve_from - 0.15, hand.sleeve_from + 0.15, down)[:, None]
                weave = (1 + 0.12 * grain + 0.1 * fine)[:, None]
                return (color + (hand.sleeve * weave - color) * cloth).astype(np.float32)
            palmar = step(0.1, -0.5, away)
            dorsal = step(0.1, 0.6, away)
            if bone.kind in ("middle", "tip"):
                # Creases where a finger bends, wrinkles over the joint on its back.
                crease = np.exp(-np.square(hits.along / 0.07)) * palmar * 0.45
                color = color * (1 - crease[:, None])
            if bone.kind == "first":
                crease = np.exp(-np.square((hits.along - 0.12) / 0.06)) * palmar * 0.4
                color = color * (1 - crease[:, None])
            if bone.kind in ("first", "middle"):
                over = np.exp(-np.square((hits.along - 0.98) / 0.16)) * dorsal
                wrinkles = 0.75 + 0.25 * np.cos(hits.along * 90)
                color = color * (1 - (over * 0.22 * wrinkles)[:, None] * np.float32([0.7, 1, 1]))
            if bone.kind == "tip":
                lateral = np.abs(hits.normal @ np.cross(axis, back))
                ahead = hits.normal @ axis
                nail = step(0.72, 0.6, lateral) * step(0.25, 0.4, away)
                nail = nail * step(0.38, 0.5, hits.along) * step(0.86, 0.7, ahead)
                color = color + (hand.nails - color) * (0.85 * nail)[:, None]
                tip = step(0.2, 0.8, ahead) * (1 - nail)
                color = color * (1 - tip[:, None] * np.float32([0, 0.10, 0.09]))
            if bone.kind == "palm":
                plane = (((hits.position - origin) / factor) * flip) @ view.turn
                u, v = (plane[:, 0] * mirror[0]).astype(np.float32), plane[:, 1] + middle[1]
                u, v = u / hand.palm_width, v / hand.palm_length
                life = np.abs(np.hypot((u - 3.4) / 1.0, (v - 3.2) / 1.25) - 3.1)
                head = np.abs(v - 6.3 - 0.32 * u)
                heart = np.abs(v - 7.5 + 0.10 * u - 0.05 * u * u) + 4 * step(1.6, 2.4, u)
                lines = np.exp(-np.square(np.minimum(np.minimum(life, head), heart) / 0.13))
                color = color * (1 - 0.38 * (lines * palmar)[:, None] * np.float32([0.8, 1, 1]))
            return color.astype(np.float32)

        return paint

    capsules = []
    for bone in _bones(hand, pose):
        if bone.kind == "arm" and not arm:
            continue
        start, near = seen(bone.start)
        end, far = seen(bone.end)
        soft = {"palm": 0.55, "arm": 0.6, "first": 0.22}.get(bone.kind, 0.12)
        capsules.append(
            Capsule(
                start, end, float(bone.start_radius * near), float(bone.end_radius * far),
                float(soft * view.scale), painter(bone, start, near),
            )
        )  # fmt: skip
    return capsules


def render_hand(
    hand: Hand, pose: HandPose, view: HandView, lighting: Lighting, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Renders a hand.

    Args:
      hand: whose.
      pose: what it does.
      view: where it is.
      lighting: of the scene.
      size: width and height of the picture, pixels.

    Returns:
      (colour float32 [height, width, 3] in linear light, coverage float32
      [height, width]).
    """
    fine = dataclasses.replace(
        view,
        scale=view.scale * FINER,
        centre=tuple((place + 0.5) * FINER - 0.5 for place in view.centre),
    )
    return picture_of(hand_capsules(hand, pose, fine), lighting, size, fine.scale * 3)
