"""`rqz completion`: a script by which a shell completes subcommands and flags."""

import argparse

from rqz.program import load_subcommand
from rqz.subcommands import SUBCOMMANDS
from tools.command_line import new_parser

_EXAMPLES = """\
  rqz completion bash > ~/.local/share/bash-completion/completions/rqz
  rqz completion zsh > ~/.zfunc/_rqz
  rqz completion fish > ~/.config/fish/completions/rqz.fish

zsh reads ~/.zfunc where ~/.zshrc has `fpath+=~/.zfunc` before `compinit`."""

_BASH = """\
# Completes rqz in bash; `rqz completion bash` wrote it.
_rqz() {{
    local current="${{COMP_WORDS[COMP_CWORD]}}" name="${{COMP_WORDS[1]}}" words="" at
    if [ "$COMP_CWORD" -eq 1 ]; then
        words="{first}"
    elif [ "$COMP_CWORD" -eq 2 ] && [ "$name" = registry ]; then
        words="{second}"
    elif [[ "$current" == -* ]]; then
        [ "$name" != registry ] || name="registry ${{COMP_WORDS[2]}}"
        case "$name" in
{cases}
        esac
    fi
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
    for at in "${{!COMPREPLY[@]}}"; do
        # What takes a value goes on behind the equals sign.
        [[ "${{COMPREPLY[at]}}" == *= ]] || COMPREPLY[at]+=" "
    done
}}
# Where nothing is known, the names of files.
complete -o default -o nospace -F _rqz rqz
"""

_ZSH = """\
#compdef rqz
# Completes rqz in zsh; `rqz completion zsh` wrote it.
_rqz() {{
    local name=$words[2] flags
    if (( CURRENT == 2 )); then
        compadd -- {first}
        return
    elif (( CURRENT == 3 )) && [[ $name == registry ]]; then
        compadd -- {second}
        return
    fi
    [[ $name != registry ]] || name="registry $words[3]"
    case $name in
{cases}
    esac
    if [[ $PREFIX == -* && $PREFIX != *=* ]]; then
        compadd -S '' -- ${{(M)=flags:#*=}}
        compadd -- ${{=flags:#*=}}
    else
        compset -P '*='
        _files
    fi
}}
compdef _rqz rqz
"""


def parser() -> argparse.ArgumentParser:
    result = new_parser(
        "completion",
        "Prints a script by which a shell completes rqz's subcommands and flags.",
        _EXAMPLES,
    )
    result.add_argument("shell", choices=("bash", "fish", "zsh"))
    return result


def flags_of(name: str) -> dict[str, argparse.Action]:
    """Gives a subcommand's flags with two dashes, and what takes each.

    Args:
      name: of the subcommand.

    Returns:
      The actions by flag, as they are listed in the program's help.
    """
    _, found = load_subcommand(name)
    return {
        flag: action
        for action in found._actions
        if action.help != argparse.SUPPRESS
        for flag in action.option_strings
        if flag.startswith("--")
    }


def _first_words() -> list[str]:
    return list(dict.fromkeys(name.split()[0] for name in SUBCOMMANDS))


def _second_words() -> list[str]:
    return [name.split()[1] for name in SUBCOMMANDS if " " in name]


def _typed(flags: dict[str, argparse.Action]) -> str:
    """Writes flags as they are typed, with the equals sign where a value follows."""
    return " ".join(flag if action.nargs == 0 else f"{flag}=" for flag, action in flags.items())


def _by_cases(template: str, variable: str, indent: str) -> str:
    cases = "\n".join(
        f'{indent}"{name}") {variable}="{_typed(flags_of(name))}" ;;' for name in SUBCOMMANDS
    )
    return template.format(
        first=" ".join(_first_words()), second=" ".join(_second_words()), cases=cases
    )


def _fish() -> str:
    """Writes what fish reads: a line for each subcommand and each flag."""
    lines = ["# Completes rqz in fish; `rqz completion fish` wrote it."]
    for word in _first_words():
        summary = SUBCOMMANDS[word].summary if word in SUBCOMMANDS else "the model registry"
        lines.append(f'complete -c rqz -n __fish_use_subcommand -f -a {word} -d "{summary}"')
    of_registry = "__fish_seen_subcommand_from registry"
    others = f"not __fish_seen_subcommand_from {' '.join(_second_words())}"
    for name, one in SUBCOMMANDS.items():
        words = name.split()
        condition = "; and ".join(f"__fish_seen_subcommand_from {word}" for word in words)
        if len(words) == 2:
            lines.append(
                f'complete -c rqz -n "{of_registry}; and {others}" -f -a {words[1]} '
                f'-d "{one.summary}"'
            )
        for flag, action in flags_of(name).items():
            value = "" if action.nargs == 0 else " -r"
            lines.append(f'complete -c rqz -n "{condition}" -l {flag[2:]}{value}')
    return "\n".join(lines) + "\n"


def script(shell: str) -> str:
    """Writes the script of a shell.

    Args:
      shell: "bash", "fish" or "zsh".

    Returns:
      The text.
    """
    if shell == "bash":
        return _by_cases(_BASH, "words", " " * 8)
    return _by_cases(_ZSH, "flags", " " * 4) if shell == "zsh" else _fish()


def main(arguments: argparse.Namespace) -> int:
    print(script(arguments.shell), end="")
    return 0
