"""By which endings a file of samples is known."""

IMAGE_ENDINGS = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".webp"})
ARRAY_ENDINGS = frozenset({".npy", ".npz"})
SAMPLE_ENDINGS = IMAGE_ENDINGS | ARRAY_ENDINGS
