"""Flags that speak of one part of a bundle: `--flag=hand_detector.tflite=VALUE`."""

from collections.abc import Sequence

from tools.bundle.task_bundle import MODEL_ENDING
from tools.errors import InputError


def _refuse_unknown(flag: str, member: str, models: Sequence[str], where: str) -> None:
    if member not in models:
        raise InputError(
            "bundle.member",
            f"{where}: --{flag} names the member {member}; its models are {', '.join(models)}",
        )


def by_member(
    flag: str, texts: Sequence[str], models: Sequence[str], where: str
) -> dict[str, list[str]]:
    """Sorts what a flag was given by the member that it is for.

    Args:
      flag: without its dashes, for messages.
      texts: MEMBER=VALUE, or VALUE for the members of which no other text speaks.
      models: paths of the bundle's models.
      where: how messages name the bundle.

    Returns:
      The values of every model that has some.

    Raises:
      InputError: when a text names a member that is no model of the bundle.
    """
    named: dict[str, list[str]] = {}
    common = []
    for text in texts:
        # A path may have an equals sign as well.
        member, equals, value = text.partition("=")
        if equals and (member in models or member.endswith(MODEL_ENDING)):
            _refuse_unknown(flag, member, models, where)
            named.setdefault(member, []).append(value)
        else:
            common.append(text)
    values = {model: named.get(model, common) for model in models}
    return {model: value for model, value in values.items() if value}


def one_by_member(
    flag: str, texts: Sequence[str], models: Sequence[str], where: str
) -> dict[str, str]:
    """Reads a flag that gives each member at most one value, and never all of them.

    Args:
      flag: without its dashes, for messages.
      texts: MEMBER=VALUE.
      models: paths of the bundle's models.
      where: how messages name the bundle.

    Returns:
      Value by member.

    Raises:
      InputError: when a text is of another form, names no model of the bundle, or one that
        another text has named.
    """
    values = name_and_value(flag, texts)
    for member in values:
        _refuse_unknown(flag, member, models, where)
    return values


def name_and_value(flag: str, texts: Sequence[str]) -> dict[str, str]:
    """Reads a flag of the form NAME=VALUE that is given once for each name.

    Args:
      flag: without its dashes, for messages.
      texts: NAME=VALUE.

    Returns:
      Value by name, in the order in which they were given.

    Raises:
      InputError: when a text is of another form, or names what another has named.
    """
    values: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise InputError("flag.value", f"--{flag}={text}: give NAME=VALUE")
        if name in values:
            raise InputError("flag.conflict", f"--{flag} names {name} twice")
        values[name] = value
    return values
