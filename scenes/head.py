"""Renders a person's head and shoulders: an implicit surface, ray-marched and shaded.

Everything is in units of half the head's height. The face plane has x to the viewer's
right and y down; z points at the viewer. The head is centred at the origin, with the
eyes at y = 0, the tip of the nose at y = 0.36 and the mouth at y = 0.58. Colours are
linear light, 0 to 1, float32 [..., 3].
"""

import dataclasses

import numpy as np

from scenes.shading import SKIN, Lighting, angle_of, bump, lit, mixed, noise, step, to_linear

_HAIR = ((22, 18, 17), (52, 36, 28), (94, 62, 40), (150, 104, 60), (205, 170, 115), (150, 150, 150))
_IRIS = ((60, 38, 22), (92, 66, 36), (80, 110, 80), (78, 112, 148), (120, 130, 135))
_MARCH_STEPS = 14
_MARCH_DAMPING = 0.62


@dataclasses.dataclass(frozen=True)
class Person:
    """What stays the same when a person moves.

    Attributes:
      width: half the head's width.
      jaw: how much wider the lower face is than an ellipsoid's, as a fraction.
      nose_length, nose_width, brow, cheeks, chin: factors about 1 on what stands out.
      eye_distance: of an eye from the middle.
      eye_size: factor about 1.
      skin, hair_color, lips, iris, clothes: colours.
      hair: "bald", "short", "full", "long" or "curly".
      hairline: y of the hair's edge above the forehead.
      brow_weight: how dark the eyebrows are, 0 to 1.
      beard, moustache: how dense, 0 to 1.
      glasses: "none", "clear" or "dark".
      frame_color: of the glasses.
      texture_seed: of freckles and strands.
    """

    width: float
    jaw: float
    nose_length: float
    nose_width: float
    brow: float
    cheeks: float
    chin: float
    eye_distance: float
    eye_size: float
    skin: np.ndarray
    hair_color: np.ndarray
    lips: np.ndarray
    iris: np.ndarray
    clothes: np.ndarray
    hair: str
    hairline: float
    brow_weight: float
    beard: float
    moustache: float
    glasses: str
    frame_color: np.ndarray
    texture_seed: int


@dataclasses.dataclass(frozen=True)
class Expression:
    """What a face does.

    Attributes:
      smile: height of the corners of the mouth, -1 to 1.
      mouth_open: 0 to 1.
      eyes_open: 0 (closed) to 1.
      brows_raised: -1 to 1.
      gaze: horizontal, -1 to 1.
    """

    smile: float
    mouth_open: float
    eyes_open: float
    brows_raised: float
    gaze: float


def draw_person(rng: np.random.Generator) -> Person:
    """Draws a person at random."""
    tone = rng.uniform()
    skin = mixed(SKIN, tone) * rng.uniform(0.92, 1.08, 3).astype(np.float32)
    grey = rng.uniform() < 0.15
    shade = rng.uniform(0, 1 if tone < 0.5 else 0.35)
    bearded = rng.uniform() < 0.3
    return Person(
        width=rng.uniform(0.68, 0.8),
        jaw=rng.uniform(-0.06, 0.16),
        nose_length=rng.uniform(0.8, 1.25),
        nose_width=rng.uniform(0.8, 1.35),
        brow=rng.uniform(0.5, 1.5),
        cheeks=rng.uniform(0.6, 1.4),
        chin=rng.uniform(0.5, 1.4),
        eye_distance=rng.uniform(0.28, 0.33),
        eye_size=rng.uniform(0.85, 1.2),
        skin=skin,
        hair_color=to_linear(_HAIR[-1]) * rng.uniform(0.7, 1.6)
        if grey
        else mixed(_HAIR[:-1], shade),
        lips=skin * np.float32([0.82, 0.45, 0.45]) * np.float32(rng.uniform(0.75, 1.1)),
        iris=mixed(_IRIS, rng.uniform(0, 1 if tone < 0.4 else 0.25)),
        clothes=to_linear(rng.uniform(15, 240, 3)),
        hair=str(
            rng.choice(["bald", "short", "full", "long", "curly"], p=[0.1, 0.3, 0.2, 0.25, 0.15])
        ),
        hairline=rng.uniform(-0.68, -0.42),
        brow_weight=rng.uniform(0.35, 0.95),
        beard=rng.uniform(0.35, 1) if bearded else 0.0,
        moustache=rng.uniform(0.4, 1) if bearded or rng.uniform() < 0.08 else 0.0,
        glasses=str(rng.choice(["none", "clear", "dark"], p=[0.73, 0.22, 0.05])),
        frame_color=to_linear(rng.uniform(10, 110, 3)),
        texture_seed=int(rng.integers(2**31)),
    )


def draw_half_height(rng: np.random.Generator, far: bool) -> np.float64:
    """Draws how large a head is in a picture.

    Args:
      rng: what decides.
      far: whether it may be far away, too.

    Returns:
      Half of its height, as a share of the picture's shorter side.
    """
    return np.exp(rng.uniform(*np.log((0.04 if far else 0.11, 0.46))))


def draw_expression(rng: np.random.Generator) -> Expression:
    """Draws an expression at random; most people look at the camera with open eyes."""
    return Expression(
        smile=rng.uniform(-0.4, 1),
        mouth_open=rng.uniform(0.15, 1) if rng.uniform() < 0.35 else 0.0,
        eyes_open=rng.uniform(0, 0.3) if rng.uniform() < 0.08 else rng.uniform(0.65, 1),
        brows_raised=rng.uniform(-0.7, 1),
        gaze=rng.uniform(-0.6, 0.6),
    )


def rotation(yaw: float, pitch: float) -> np.ndarray:
    """Makes the matrix that turns head coordinates into the viewer's.

    Args:
      yaw: radians; positive turns the face to the viewer's right.
      pitch: radians; positive turns it down.

    Returns:
      float32 [3, 3].
    """
    cy, sy, cp, sp = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch)
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cp, sp], [0, -sp, cp]])
    return (about_x @ about_y).astype(np.float32)


def _relief(person: Person, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """How far the face stands out of the head's ellipsoid at (x, y)."""
    side = np.abs(x)
    ramp = np.clip((y + 0.14) / 0.46, 0, 1)
    tip = 1 / (1 + np.exp(np.clip((y - 0.405) / 0.022, -30, 30)))
    nose = 0.25 * person.nose_length * ramp * tip
    nose = nose * np.exp(-np.square(x / (person.nose_width * (0.07 + 0.05 * ramp))))
    wings = 0.075 * bump(side - 0.115 * person.nose_width, y - 0.345, 0.055, 0.055)
    eyes = person.eye_distance
    sockets = -0.085 * bump(side - eyes + 0.03, y + 0.01, 0.15, 0.10)
    balls = 0.035 * bump(side - eyes, y - 0.02, 0.10, 0.065)
    brows = 0.045 * person.brow * bump(side - 0.2, y + 0.17, 0.24, 0.07)
    cheeks = 0.05 * person.cheeks * bump(side - 0.37, y - 0.28, 0.16, 0.15)
    mouth = 0.05 * bump(x, y - 0.53, 0.19, 0.05) + 0.06 * bump(x, y - 0.64, 0.16, 0.05)
    chin = 0.07 * person.chin * bump(x, y - 0.88, 0.2, 0.1) - 0.04 * bump(x, y - 0.745, 0.2, 0.05)
    return nose + wings + sockets + balls + brows + cheeks + mouth + chin


def _field(person: Person, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """The head's implicit function: about the distance to its surface, negative inside."""
    width = person.width * (1 + person.jaw * step(0.05, 0.7, y))
    depth = 0.92 - 0.1 * step(0.2, 1.0, y)
    radius = np.sqrt(np.square(x / width) + np.square(y) + np.square(z / depth))
    return radius - 1 - step(0.05, 0.4, z) * _relief(person, x, y)


def _skin_color(person: Person, mood: Expression, x, y, z, grain) -> tuple[np.ndarray, np.ndarray]:
    """Paints the face.

    Returns:
      (colour, gloss factor) at each point.
    """
    front = step(0.1, 0.35, z)
    side = np.abs(x)

    def over(color, paint, mask):
        mask = np.clip(mask * front, 0, 1)[:, None]
        return color + (paint - color) * mask

    skin = person.skin
    color = np.broadcast_to(skin, (*x.shape, 3)) * (1 + 0.10 * grain[:, None])
    red = skin * np.float32([1.0, 0.72, 0.70])
    color = over(color, red, 0.5 * bump(side - 0.36, y - 0.30, 0.17, 0.14))
    color = over(color, red, 0.45 * bump(x, y - 0.36, 0.11, 0.08))
    # Folds from the nose to the mouth, deeper in a smile.
    fold = 0.16 + 0.42 * (y - 0.36)
    depth = (0.18 + 0.3 * max(mood.smile, 0)) * step(0.34, 0.42, y) * step(0.66, 0.54, y)
    color = over(color, skin * 0.45, depth * np.exp(-np.square((side - fold - 0.04) / 0.028)))
    color = over(
        color, skin * 0.12, 0.9 * bump(side - 0.062 * person.nose_width, y - 0.405, 0.035, 0.02)
    )
    color = over(color, skin * 0.4, 0.55 * bump(x, y - 0.425, 0.15, 0.022))
    # Eye sockets lie in shade.
    color = over(
        color, skin * 0.5, 0.5 * bump(side - person.eye_distance + 0.05, y + 0.03, 0.15, 0.075)
    )
    # Beard and moustache, before the lips.
    stubble = np.clip(1 + 1.2 * grain, 0.2, 1.8)
    jawline = 0.30 + 0.42 * np.square(np.clip(1 - side / 0.62, 0, 1))
    growth = step(0.0, 0.14, y - jawline) * step(0.05, 0.3, z + 0.3)
    if person.beard:
        color = over(color, person.hair_color, 0.95 * person.beard * growth * stubble)
    if person.moustache:
        lip = bump(x, y - 0.475 - 0.25 * np.square(x), 0.21, 0.042)
        color = over(color, person.hair_color, 1.1 * person.moustache * lip * stubble)
    # Mouth: the corners follow the smile.
    half = 0.24 + 0.05 * max(mood.smile, 0)
    curve = 0.58 - 0.9 * mood.smile * np.square(x) + 0.02 * mood.smile
    gap = 0.10 * mood.mouth_open * np.sqrt(np.clip(1 - np.square(x / (half * 0.85)), 0, 1))
    inside = np.sqrt(np.clip(1 - np.square(x / half), 0, 1))
    upper, lower = curve - gap * 0.3, curve + gap
    upper_lip = step(-0.012, 0.012, y - (upper - 0.055 * inside)) * step(0.01, -0.01, y - upper)
    lower_lip = step(-0.01, 0.01, y - lower) * step(0.012, -0.012, y - (lower + 0.075 * inside))
    within = step(half, half * 0.92, side)
    color = over(color, person.lips * 0.8, upper_lip * within)
    color = over(color, person.lips, lower_lip * within)
    opening = step(-0.008, 0.008, y - upper) * step(0.008, -0.008, y - lower) * within
    if mood.mouth_open:
        color = over(color, np.float32([0.05, 0.012, 0.012]), opening)
        teeth = (
            opening * step(0.01, -0.01, y - (upper + 0.065)) * step(half * 0.85, half * 0.7, side)
        )
        color = over(color, np.float32([0.72, 0.68, 0.60]), 0.9 * teeth)
    line = np.exp(-np.square((y - upper) / 0.013)) * within
    color = over(color, person.lips * 0.18, 0.85 * line)
    # Eyes: an almond, in it the iris; then the lids' edges.
    across = (side - person.eye_distance) / (0.125 * person.eye_size)
    almond = np.clip(1 - np.square(across), 0, 1)
    upper_lid = 0.02 - 0.062 * person.eye_size * mood.eyes_open * almond**0.8
    lower_lid = 0.02 + 0.036 * person.eye_size * max(mood.eyes_open, 0.1) * almond
    socket = step(1.04, 0.96, np.abs(across))
    eye = step(-0.008, 0.008, y - upper_lid) * step(0.008, -0.008, y - lower_lid) * socket
    centre = person.eye_distance + np.sign(x) * 0.035 * mood.gaze
    distance = np.hypot(side - centre, y - 0.012) / (0.056 * person.eye_size)
    color = over(color, np.float32([0.62, 0.58, 0.55]), eye)
    color = over(color, person.iris, eye * step(1.12, 0.92, distance))
    color = over(color, np.float32([0.006, 0.006, 0.006]), eye * step(0.55, 0.4, distance))
    color = over(color, np.float32([0.05, 0.03, 0.03]), 0.6 * eye * step(0.0, -0.03, y + 0.028))
    glint = step(0.3, 0.12, np.hypot(x - np.sign(x) * centre - 0.018, y + 0.008) / 0.056)
    color = over(color, np.float32([1.3, 1.3, 1.3]), eye * glint)
    lashes = np.exp(-np.square((y - upper_lid) / 0.016)) * socket
    color = over(color, np.float32([0.012, 0.008, 0.006]), 0.85 * lashes)
    color = over(color, skin * 0.35, 0.45 * np.exp(-np.square((y - lower_lid) / 0.012)) * socket)
    crease = np.exp(-np.square((y - upper_lid + 0.045) / 0.014)) * socket
    color = over(color, skin * 0.35, 0.4 * crease)
    # Eyebrows.
    arch = -0.155 - 0.045 * mood.brows_raised - 0.05 * (1 - np.square((side - 0.34) / 0.22))
    thickness = 0.034 * step(0.58, 0.3, side) + 0.006
    brow = np.exp(-np.square((y - arch) / thickness))
    brow = brow * step(0.09, 0.15, side) * step(0.56, 0.46, side)
    color = over(color, person.hair_color * 0.55, person.brow_weight * brow * (1 + 0.5 * grain))
    gloss = (
        np.clip(1 - 0.8 * growth * person.beard, 0, 1) + 1.5 * (lower_lip * within + eye) * front
    )
    # Glasses lie a little off the surface; painting them on is close enough at this size.
    if person.glasses != "none":
        lens = np.power(
            np.power(np.abs((side - person.eye_distance - 0.01) / 0.215), 2.6)
            + np.power(np.abs((y - 0.03) / 0.155), 2.6),
            1 / 2.6,
        )
        if person.glasses == "dark":
            color = over(color, np.float32([0.012, 0.012, 0.015]), 0.97 * step(1.02, 0.96, lens))
        frame = np.exp(-np.square((lens - 1) / 0.085))
        bridge = np.exp(-np.square((y + 0.035) / 0.022)) * step(0.12, 0.09, side)
        temple = np.exp(-np.square((y + 0.03) / 0.022)) * step(0.5, 0.53, side)
        color = over(color, person.frame_color, np.maximum(np.maximum(frame, bridge), temple))
    return color.astype(np.float32), gloss


def _ellipsoid(turn: np.ndarray, x, y, centre, radii):
    """Meets rays from the viewer with an ellipsoid of the head's frame.

    Returns:
      (hit mask, z of the viewer, point in the head's frame [n, 3], normal of the viewer).
    """
    origin = np.stack([x, y, np.zeros_like(x)], -1) @ turn - np.float32(centre)
    ray = turn[2]
    scaled_origin, scaled_ray = origin / np.float32(radii), ray / np.float32(radii)
    a = scaled_ray @ scaled_ray
    b = scaled_origin @ scaled_ray
    c = np.square(scaled_origin).sum(-1) - 1
    root = b * b - a * c
    hit = root > 0
    z = (-b + np.sqrt(np.maximum(root, 0))) / a
    inside = origin + z[:, None] * ray
    normal = (inside / np.square(np.float32(radii))) @ turn.T
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True) + 1e-6
    return hit, z, inside + np.float32(centre), normal


class _Layers:
    """Colour and coverage of what lies behind the head, from back to front."""

    def __init__(self, shape: tuple[int, ...]):
        self.color = np.zeros((*shape, 3), np.float32)
        self.alpha = np.zeros(shape, np.float32)

    def lay(self, paint, mask) -> None:
        self.color = self.color + (paint - self.color) * mask[..., None]
        self.alpha = self.alpha + (1 - self.alpha) * mask


def _hair_behind(layers: _Layers, person: Person, lighting: Lighting, x, y) -> None:
    """Lays the long hair that falls behind the head."""
    if person.hair in ("long", "curly"):
        strands = noise(person.texture_seed + 1, x, y * 0.15, 9)
        length = 1.35 if person.hair == "long" else 0.85
        wide = person.width * (1.22 if person.hair == "long" else 1.55)
        edge = np.hypot(x / wide, (y + 0.1) / length) + 0.03 * strands
        paint = person.hair_color * (0.35 + 0.25 * strands[..., None]) * lighting.above * 1.4
        layers.lay(paint, step(1.04, 0.97, edge))


def _bust(layers: _Layers, person: Person, lighting: Lighting, x, y) -> None:
    """Lays neck and shoulders."""
    neck = 0.58 * person.width
    bend = np.clip(x / neck, -1, 1)
    normal = np.stack([bend, np.zeros_like(x), np.sqrt(1 - bend * bend)], -1)
    shade = (0.45 + 0.55 * step(0.85, 1.45, y))[..., None]
    flare = 0.25 * np.square(np.clip(y - 1.05, 0, 1))
    layers.lay(
        person.skin * lit(lighting, normal) * shade,
        step(0.03, -0.03, np.abs(x) - neck - flare) * step(0.3, 0.4, y),
    )
    top = 1.32 + 0.30 * np.square(x / 1.3) + 0.9 * np.clip(np.abs(x) - 1.45, 0, None) ** 1.5
    collar = np.where(
        np.abs(x) < neck * 1.35, 0.45 * np.clip(1 - np.abs(x) / (neck * 1.35), 0, 1), 0
    )
    bend = np.clip(x / 1.9, -1, 1)
    fall = np.clip(1 - (y - top) / 0.5, 0, 1) * 0.75
    normal = np.stack([bend * 0.8, -fall, np.sqrt(np.clip(1 - 0.64 * bend * bend, 0.1, 1))], -1)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    weave = 1 + 0.12 * noise(person.texture_seed + 2, x, y, 5)[..., None]
    layers.lay(person.clothes * lit(lighting, normal) * weave, step(-0.02, 0.03, y - top - collar))


def render(
    person: Person,
    mood: Expression,
    lighting: Lighting,
    yaw: float,
    pitch: float,
    x: np.ndarray,
    y: np.ndarray,
    bust: bool = True,
) -> tuple[np.ndarray, np.ndarray]:
    """Renders a person at points of the face plane.

    Args:
      person: who.
      mood: the expression.
      lighting: in the face plane's coordinates.
      yaw: radians; positive turns the face to the viewer's right.
      pitch: radians; positive turns it down.
      x: float32 [height, width], the points' coordinates.
      y: the same shape.
      bust: whether neck and shoulders come with the head.

    Returns:
      (colour float32 [height, width, 3] in linear light, coverage float32
      [height, width]).
    """
    layers = _Layers(x.shape)
    _hair_behind(layers, person, lighting, x, y)
    if bust:
        _bust(layers, person, lighting, x, y)
    color, alpha = layers.color, layers.alpha
    near = np.square(x / 1.35) + np.square((y + 0.05) / 1.45) < 1
    px, py = x[near], y[near]
    turn = rotation(yaw, pitch)
    rgb, cover = color[near], alpha[near]

    def lay(paint, mask):
        nonlocal rgb, cover
        rgb = rgb + (paint - rgb) * mask[:, None]
        cover = cover + (1 - cover) * mask

    for ear in (-1, 1):
        hit, _, _, normal = _ellipsoid(
            turn, px, py, (ear * person.width * 0.99, 0.1, -0.08), (0.085, 0.21, 0.13)
        )
        light = lit(lighting, normal) * np.float32([0.95, 0.75, 0.72])
        lay(person.skin * light, hit.astype(np.float32))

    # March from in front towards the surface; the field is about the distance to it.
    ray = turn[2]
    flat = np.stack([px, py, np.zeros_like(px)], -1) @ turn
    depth = np.full(px.shape, 1.35, np.float32)
    for _ in range(_MARCH_STEPS):
        point = flat + depth[:, None] * ray
        depth = np.maximum(depth - _MARCH_DAMPING * _field(person, *point.T), -0.4)
    point = flat + depth[:, None] * ray
    here = _field(person, *point.T)
    # A hit's edge is soft over about a pixel, in the field's own units.
    pixel = np.float32(abs(float(y[1, 0] - y[0, 0])) + abs(float(x[1, 0] - x[0, 0])))
    solid = step(0.03 + pixel, 0.01, here)
    nudge = np.float32(0.01)
    slope = np.stack(
        [_field(person, *(point + nudge * axis).T) - here for axis in np.eye(3, dtype=np.float32)],
        -1,
    )
    normal = slope @ turn.T
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True) + 1e-9
    hx, hy, hz = point.T
    grain = 0.6 * noise(person.texture_seed, hx, hy, 23) + 0.4 * noise(
        person.texture_seed + 3, hx, hy, 7
    )
    paint, gloss = _skin_color(person, mood, hx, hy, hz, grain)
    # The nose's shadow, on the side away from the lamp.
    away = -np.sign(lighting.direction[0]) * (0.10 + 0.08 * abs(lighting.direction[0]))
    shadow = abs(lighting.direction[0]) * bump(hx - away, hy - 0.30, 0.08, 0.14)
    light = lit(lighting, normal) * (1 - 0.45 * shadow * step(0.2, 0.5, hz))[:, None]
    half = lighting.direction + np.float32([0, 0, 1])
    half /= np.linalg.norm(half)
    shine = np.clip(normal @ half, 0, 1) ** 18 * gloss * np.float32(0.22 * lighting.gloss)
    lay(paint * light + shine[:, None] * lighting.lamp, solid)

    if person.hair != "bald":
        size = {"short": 1.05, "full": 1.13, "long": 1.10, "curly": 1.26}[person.hair]
        radii = (person.width * size * 1.02, 1.0 * size, 0.95 * size)
        hit, z, spot, bent = _ellipsoid(turn, px, py, (0, -0.05, -0.05), radii)
        sx, sy, sz = spot.T
        strand = noise(person.texture_seed + 4, angle_of(sx, -sy - 0.4) * 2, sy * 0.2, 9)
        curl = noise(person.texture_seed + 5, sx + 0.3 * sz, sy, 8)
        texture = curl if person.hair == "curly" else strand
        edge = person.hairline + 0.55 * np.power(np.abs(sx) / person.width, 3) + 0.05 * texture
        length = {"short": -0.05, "full": 0.25, "long": 1.1, "curly": 0.3}[person.hair]
        back = step(0.32, 0.05, sz)
        edge = edge + (length - edge) * back
        mask = (
            step(0.05, -0.05, sy - edge) * hit * step(-0.05, 0.0, z - depth + 0.12 * (here > 0.03))
        )
        light = lit(lighting, bent, 0.3) * (0.75 + 0.45 * texture)[:, None]
        sheen = np.exp(-np.square((bent @ half - 0.93) / 0.05)) * (0.5 + 0.5 * texture)
        lay(
            person.hair_color * light + (0.08 * sheen)[:, None] * lighting.lamp,
            np.clip(mask, 0, 1),
        )
        if person.hair in ("long", "full"):
            # What hangs at the sides of the face, in front of the ears.
            fall = 0.2 if person.hair == "full" else 1.15
            rim = person.width * size
            lock = step(
                -0.16, -0.08, np.abs(px) - rim * np.sqrt(np.clip(1 - py * py / 1.9, 0.25, 1))
            )
            lock = lock * step(0.06, 0.0, np.abs(px) - rim * 1.02) * step(-0.5, -0.3, py)
            lock = lock * step(fall, fall - 0.15, py)
            lay(person.hair_color * (0.45 + 0.3 * texture)[:, None] * lighting.above * 1.5, lock)
    color[near], alpha[near] = rgb, cover
    return np.clip(color, 0, 4), np.clip(alpha, 0, 1)
