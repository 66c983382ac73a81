"""Images and arrays as the inputs of one model."""

import sys
from collections.abc import Sequence
from pathlib import Path

from tools.graph.model_metadata import normalization
from tools.graph.runtime import input_specifications
from tools.samples.flags import PreprocessingChoice
from tools.samples.loading import InputSpec, Preprocessing, SampleSet, load_samples

# MediaPipe's models take pixels from -1 to 1, most often.
_USUAL = (127.5, 127.5)


def preprocessing_for(master: bytes, choice: PreprocessingChoice) -> Preprocessing:
    """Finds how pixels become a model's input: by choice, metadata, or the usual way.

    Args:
      master: the float master.
      choice: what the user says of it.

    Returns:
      The preprocessing. Somebody at a terminal is told where it is the usual one.
    """
    stated = normalization(master)
    if stated is None and None in (choice.mean, choice.std) and sys.stderr.isatty():
        print(
            "The model's metadata does not say how its input is normalised: taking "
            "(pixel - 127.5) / 127.5; --input_mean and --input_std say otherwise.",
            file=sys.stderr,
        )
    stated_mean, stated_std = stated or _USUAL
    mean = choice.mean if choice.mean is not None else stated_mean
    std = choice.std if choice.std is not None else stated_std
    return Preprocessing(mean, std, choice.resize)


def load_model_samples(
    master: bytes,
    where: str,
    paths: Sequence[Path],
    choice: PreprocessingChoice,
    named_by_folder: bool = False,
) -> SampleSet:
    """Loads images or arrays as a model's inputs.

    Args:
      master: the float master.
      where: how messages name it.
      paths: files or folders.
      choice: how an image becomes an input.
      named_by_folder: as `load_samples` has it.

    Returns:
      The samples, ordered by file name. What is given and not used is told on stderr.

    Raises:
      InputError: when the data cannot be used, or the runtime cannot run the model.
    """
    inputs = [InputSpec(*entry) for entry in input_specifications(master, where)]
    samples = load_samples(paths, inputs, preprocessing_for(master, choice), named_by_folder)
    for note in samples.notes:
        print(f"warning: {note}", file=sys.stderr)
    return samples
