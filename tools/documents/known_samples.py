"""Samples of which only names and digests are known: enough to find them in another set."""

import dataclasses
from collections.abc import Iterable
from typing import Self

from tools.documents.document import Document
from tools.documents.models import Sha256


@dataclasses.dataclass(frozen=True)
class KnownSample:
    """One sample without its file.

    Attributes:
      digest: SHA-256 of the sample as the model sees it, hexadecimal.
      name: of its file.
    """

    digest: Sha256
    name: str


@dataclasses.dataclass(frozen=True)
class KnownSamples(Document):
    """What a data set says of its samples without its files.

    Attributes:
      samples: in the order of the data set.
    """

    KIND = "rules_quantize.known_samples"
    MADE_BY = "quantize_model --calibration_samples_output="

    samples: tuple[KnownSample, ...]

    @classmethod
    def of(cls, names: Iterable[str], digests: Iterable[str]) -> Self:
        """Lists samples by their names and their digests, which are as many."""
        pairs = zip(digests, names, strict=True)
        return cls(tuple(KnownSample(digest, name) for digest, name in pairs))

    @property
    def names(self) -> tuple[str, ...]:
        """Gives the name of each sample."""
        return tuple(sample.name for sample in self.samples)

    @property
    def sample_digests(self) -> list[str]:
        """Gives the digest of each sample."""
        return [sample.digest for sample in self.samples]
