"""The release manifest: by what an app knows that it may use a model that it downloads."""

import dataclasses
from typing import Annotated

from tools.documents.document import Document, Limit
from tools.documents.models import AtLeastOne, Count, Sha256


@dataclasses.dataclass(frozen=True)
class ReleasedFile:
    """A file of a release.

    Attributes:
      bytes: size of the file.
      name: of the file, beside the manifest.
      sha256: of the file, hexadecimal.
    """

    bytes: Count
    name: Annotated[str, Limit("pattern", "^[^/\\\\\\x00-\\x1f]+$")]
    sha256: Sha256


@dataclasses.dataclass(frozen=True)
class ReleaseManifest(Document):
    """What belongs to a release of a model.

    Attributes:
      alias: by which the version was fetched; "" where it was by its number.
      files: all of them.
      issued_ms: when the alias was moved to the version, or the version was made, in
        milliseconds since 1970. An app that has a manifest refuses one that is older.
      model: name of the registered model.
      scheme: how the model is quantized.
      version: number of the version in the registry.
    """

    KIND = "rules_quantize.release_manifest"
    MADE_BY = "fetch --manifest="

    alias: str
    files: tuple[ReleasedFile, ...]
    issued_ms: Count
    model: Annotated[str, Limit("minLength", 1)]
    scheme: str
    version: AtLeastOne
