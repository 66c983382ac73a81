"""The registration: what the register command recorded, and where."""

import dataclasses
from typing import Literal

from tools.documents.document import Document
from tools.documents.models import Sha256


@dataclasses.dataclass(frozen=True)
class Registration(Document):
    """What was recorded of an artifact.

    Attributes:
      artifact_sha256: of the quantized model, hexadecimal.
      created: whether this command made the version.
      experiment_id: of MLflow.
      failures: one line for each gate that failed, the most severe first.
      gates: what was said of the gates.
      parent: the float master that it was made of, NAME/VERSION; null where it is not recorded.
      registered_model: name in the registry.
      restored: what had been deleted and is there again, in words.
      run_created: whether this command made the run.
      run_id: of MLflow.
      tracking_uri: of the store.
      version: of the registered model; null where a gate failed.
    """

    KIND = "rules_quantize.registration"
    MADE_BY = "register --output="

    artifact_sha256: Sha256
    created: bool
    experiment_id: str
    failures: tuple[str, ...]
    gates: Literal["passed", "failed", "not checked"]
    parent: str | None
    registered_model: str
    run_created: bool
    run_id: str
    tracking_uri: str
    version: str | None
    restored: tuple[str, ...] = ()
