"""Flags that say how an image becomes a model's input."""

import argparse
import dataclasses


@dataclasses.dataclass(frozen=True)
class PreprocessingChoice:
    """What a command line says of an image's way into a model.

    Attributes:
      mean: in pixel units; None where the model's metadata decides.
      std: in pixel units; None where the model's metadata decides.
      resize: as of tools.samples.loading.Preprocessing.
    """

    mean: float | None = None
    std: float | None = None
    resize: str = "letterbox"


def add_input_flags(parser: argparse.ArgumentParser) -> None:
    """Adds the flags that `preprocessing_choice` reads."""
    parser.add_argument(
        "--input_mean",
        type=float,
        help="subtracted from each pixel (default: the model's metadata, else 127.5)",
    )
    parser.add_argument(
        "--input_std",
        type=float,
        help="what the difference is divided by (default: the model's metadata, else 127.5)",
    )
    parser.add_argument(
        "--input_resize",
        choices=("letterbox", "stretch", "center_crop"),
        default="letterbox",
        help="how an image of another shape becomes the input (default: %(default)s)",
    )


def preprocessing_choice(arguments: argparse.Namespace) -> PreprocessingChoice:
    """Reads the flags of `add_input_flags`."""
    return PreprocessingChoice(arguments.input_mean, arguments.input_std, arguments.input_resize)
