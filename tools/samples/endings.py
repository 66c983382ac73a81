"""By which endings a file of samples is known."""

# Of moving pictures (.gif, .tiff of several pages) the first is read.
IMAGE_ENDINGS = frozenset(
    {
        ".bmp",
        ".gif",
        ".jpeg",
        ".jpg",
        ".pgm",
        ".png",
        ".ppm",
        ".tif",
        ".tiff",
        ".webp",
    }
)
ARRAY_ENDINGS = frozenset({".npy", ".npz"})
SAMPLE_ENDINGS = IMAGE_ENDINGS | ARRAY_ENDINGS
