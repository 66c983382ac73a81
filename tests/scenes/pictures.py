"""What the tests show to models: a rendered object before a wall."""

import numpy as np

from scenes.shading import to_linear


def before_wall(color: np.ndarray, cover: np.ndarray, wall: tuple[int, int, int]) -> np.ndarray:
    """Lays a rendered object over one color.

    Args:
      color: float32 [height, width, 3], linear light.
      cover: float32 [height, width], 0 where the wall shows.
      wall: its color, sRGB.

    Returns:
      uint8 [height, width, 3], sRGB.
    """
    behind = to_linear(wall)
    seen = behind + (color - behind) * cover[..., None]
    return np.rint(np.clip(seen, 0, 1) ** np.float32(1 / 2.2) * 255).astype(np.uint8)
