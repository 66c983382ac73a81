"""Samples of which only names and digests are known: enough to find them in another set."""

import dataclasses
import json
from pathlib import Path

from tools.command_line import whole_file
from tools.errors import InputError

_KIND = "rules_quantize.samples"


@dataclasses.dataclass(frozen=True)
class KnownSamples:
    """What a tools.samples.loading.SampleSet says of its samples without its files.

    Attributes:
      names: of each sample.
      sample_digests: SHA-256 of each sample as the model sees it.
    """

    names: tuple[str, ...]
    sample_digests: list[str]


def write_known_samples(path: Path, samples) -> None:
    """Writes names and digests of samples.

    Args:
      path: the JSON file to make.
      samples: tools.samples.loading.SampleSet.
    """
    pairs = [list(one) for one in zip(samples.names, samples.sample_digests, strict=True)]
    with whole_file(path, "w") as file:
        json.dump({"kind": _KIND, "samples": pairs, "schema_version": 1}, file, indent=1)
        file.write("\n")


def read_known_samples(path: Path) -> KnownSamples:
    """Reads what `write_known_samples` wrote.

    Raises:
      InputError: when it is another file.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["kind"] != _KIND or document["schema_version"] != 1:
            raise ValueError(document["kind"])
        pairs = [(str(name), str(digest)) for name, digest in document["samples"]]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise InputError(
            "document.kind",
            f"{path}: no list of samples; quantize_model --calibration_samples_output= writes one",
        ) from None
    return KnownSamples(tuple(name for name, _ in pairs), [digest for _, digest in pairs])
