import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scenes.capsules import (
    FINER,
    NOTHING,
    Capsule,
    occluded,
    picture_of,
    render_capsules,
    shadowed,
)
from scenes.shading import Lighting

SHAPE = (40, 48)
OVERHEAD = Lighting(
    direction=np.float32([0, 0, 1]),
    lamp=np.full(3, 0.7, np.float32),
    above=np.full(3, 0.3, np.float32),
    below=np.full(3, 0.3, np.float32),
    gloss=0.0,
)


def painted(red: float):
    return lambda hits: np.tile(np.float32([red, 0.2, 0.4]), (hits.along.size, 1))


def capsule(start, end, start_radius, end_radius, red=0.5, softness=1.0) -> Capsule:
    return Capsule(
        np.float32(start), np.float32(end), start_radius, end_radius, softness, painted(red)
    )


def swept(one: Capsule, steps: int = 4000) -> np.ndarray:
    """The height of the surface, by its definition: the highest of many spheres."""
    s = np.linspace(0, 1, steps)[:, None]
    centres = one.start + (one.end - one.start) * s
    radii = one.start_radius + (one.end_radius - one.start_radius) * s[:, 0]
    rows, columns = np.mgrid[0 : SHAPE[0], 0 : SHAPE[1]]
    height = np.full(SHAPE, -np.inf)
    for (x, y, z), radius in zip(centres, radii, strict=True):
        q = radius**2 - (columns - x) ** 2 - (rows - y) ** 2
        inside = q > 0
        height[inside] = np.maximum(height[inside], z + np.sqrt(q[inside]))
    return height


place = st.tuples(st.floats(8, 40), st.floats(8, 32), st.floats(-15, 15))
radius = st.floats(2, 9)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(start=place, end=place, start_radius=radius, end_radius=radius)
def test_surface_is_what_a_moving_and_growing_sphere_sweeps(start, end, start_radius, end_radius):
    one = capsule(start, end, start_radius, end_radius)
    surface = render_capsules([one], SHAPE)
    expected = swept(one, 600)
    seen = surface.height > NOTHING
    # Near the outline the surface is steep: a step of the sweep changes much there.
    inner = seen & np.isfinite(expected) & (surface.normal[..., 2] > 0.3)
    # Where the outline touches a pixel's middle, either may see it.
    around = np.stack(
        [
            np.roll(np.isfinite(expected), (down, right), (0, 1))
            for down in (-1, 0, 1)
            for right in (-1, 0, 1)
        ]
    )
    outline = around.any(axis=0) != around.all(axis=0)
    assert not ((seen != np.isfinite(expected)) & ~outline).any()
    if abs(end[0] - start[0]) + abs(end[1] - start[1]) > abs(end_radius - start_radius) * 1.5:
        assert np.abs(surface.height - expected)[inner].max(initial=0) < 0.15
    lengths = np.linalg.norm(surface.normal, axis=-1)
    assert np.allclose(lengths[seen], 1, atol=1e-3)
    assert surface.normal[..., 2][seen].min(initial=0) >= 0


def test_cone_that_points_at_the_viewer_shows_its_near_end():
    surface = render_capsules([capsule((20, 20, 0), (20, 20, 30), 8, 5)], SHAPE)
    assert surface.height[20, 20] == pytest.approx(35, abs=1e-3)
    assert surface.height[20, 27] == pytest.approx(np.sqrt(64 - 49), abs=1e-3)


def test_nearer_one_hides_the_other_and_equals_mix():
    far = capsule((5, 20, 0), (42, 20, 0), 6, 6, red=0.0)
    near = capsule((24, 5, 30), (24, 35, 30), 6, 6, red=1.0)
    color = render_capsules([far, near], SHAPE).color
    assert color[20, 24, 0] == pytest.approx(1.0, abs=1e-3)
    assert color[20, 10, 0] == pytest.approx(0.0, abs=1e-3)
    same = capsule((5, 20, 0), (42, 20, 0), 6, 6, red=1.0)
    assert render_capsules([far, same], SHAPE).color[20, 24, 0] == pytest.approx(0.5, abs=1e-3)


def test_order_of_capsules_does_not_matter():
    parts = [capsule((9 * n, 20, n), (9 * n + 6, 25, 5 - n), 6, 4, red=n / 5) for n in range(5)]
    there, back = render_capsules(parts, SHAPE), render_capsules(parts[::-1], SHAPE)
    assert np.allclose(there.color, back.color, atol=1e-6)
    assert np.array_equal(there.height, back.height)


def test_shadow_falls_away_from_the_lamp_and_a_pit_is_dark():
    floor = capsule((0, 20, -30), (48, 20, -30), 30, 30)
    post = capsule((24, 20, 12), (24, 20, 13), 4, 4)
    surface = render_capsules([floor, post], SHAPE)
    right = np.float32([0.7, 0, 0.714])
    shadow = shadowed(surface, right, 16)
    assert shadow[20, 14] > 0.9
    assert shadow[20, 36] == 0
    crevice = occluded(surface, 5)
    assert crevice[20, 18] > crevice[20, 4] + 0.05


def test_picture_is_the_same_wherever_its_window_lies():
    """The window around the capsules is an economy: it must not show."""
    one = capsule((30, 40, 0), (50, 44, 4), 9, 6)
    small, cover = picture_of([one], OVERHEAD, (48, 40), 12)
    spread = [one, capsule((0, 0, -500), (95, 79, -500), 2, 2, red=0.0)]
    large, other = picture_of(spread, OVERHEAD, (48, 40), 12)
    covered = cover > 0.99
    assert covered.sum() > 100
    assert np.abs(small - large)[covered].max() < 0.02
    assert cover.max() <= 1
    assert other[0, 0] > 0


def test_capsules_outside_the_picture_leave_it_empty():
    color, cover = picture_of([capsule((-90, -90, 0), (-80, -70, 0), 5, 5)], OVERHEAD, (20, 10), 8)
    assert color.shape == (10, 20, 3)
    assert not cover.any()
    assert FINER == 2
