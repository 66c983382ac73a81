"""The promotion: by what the move of an alias was judged."""

import dataclasses

from tools.documents.document import Document


@dataclasses.dataclass(frozen=True)
class Check:
    """One condition, as it was judged.

    Attributes:
      what: what was looked at, such as "cosine_mean/scores".
      device: where it was measured, or "".
      holder: the figure of the version that holds the alias (text for a version of
        TensorFlow Lite), or null.
      candidate: the figure of the version to be promoted, or null.
      condition: what is asked for, in words.
      passed: whether it is so.
    """

    what: str
    device: str
    holder: float | str | None
    candidate: float | str | None
    condition: str
    passed: bool


@dataclasses.dataclass(frozen=True)
class Promotion(Document):
    """A move of an alias from one version to another.

    Attributes:
      after: NAME@VERSION that holds the alias since.
      alias: that was moved.
      before: NAME@VERSION that held it; null without one.
      checks: the policy's conditions; none for a rollback.
      forced: whether the policy was overruled.
      reason: as given, or "".
    """

    KIND = "rules_quantize.promotion"
    MADE_BY = "promote"

    after: str
    alias: str
    before: str | None
    checks: tuple[Check, ...]
    forced: bool
    reason: str
