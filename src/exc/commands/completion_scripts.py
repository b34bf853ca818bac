"""The text of completion scripts: one function for each shell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from exc.commands.completion import Command, Option

_BASH = r"""# Completion of exc for bash. Load it with: eval "$(exc completion bash)"
_exc() {
    # bash breaks words at = and @ and :, which job ids hold; so the word is taken from the line.
    local line=${COMP_LINE:0:COMP_POINT} piece=${COMP_WORDS[COMP_CWORD]:-}
    local cur=${line##*[[:space:]]} word command= num=0 kind= options= before=
    local -a words
    read -ra words <<< "${line% "$cur"}"
    [[ $line == *[[:space:]] ]] && cur=
    for word in "${words[@]:1}"; do
        if [[ -z $command && $word != -* ]]; then command=$word
        elif [[ -n $before ]] && _exc_takes "$command" "$before"; then :
        elif [[ $word != -* && -n $command ]]; then num=$((num + 1)); fi
        before=$word
    done
    if [[ -z $command ]]; then
        COMPREPLY=($(compgen -W "@COMMANDS@ --help --version" -- "$cur"))
        return
    fi
    if kind=$(_exc_takes "$command" "$before"); then :
    else
        case $command in
@CASES@
        esac
    fi
    if [[ $cur == -* && -n $options ]]; then COMPREPLY=($(compgen -W "$options" -- "$cur")); return; fi
    case $kind in
        ''|none) COMPREPLY=() ;;
        files) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
        folders) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$cur") ;;
        *) mapfile -t COMPREPLY < <(
            "${COMP_WORDS[0]}" completion --values "$kind" --prefix "$cur" 2>/dev/null
        ) ;;
    esac
    [[ $piece == [=:@] ]] && piece=
    local done=${cur%"$piece"}
    COMPREPLY=("${COMPREPLY[@]#"$done"}")
}
# The kind of value that an option of a command takes; fails for a switch.
_exc_takes() {
    case "$1 $2" in
@TAKES@
        *) return 1 ;;
    esac
}
complete -F _exc exc
"""


def bash(commands: Sequence[Command]) -> str:
    """For bash 4.2 and newer."""
    cases = [
        f"            {c.name}) options='{' '.join(flag for o in c.options for flag in o.flags)}'\n"
        f"                local kinds=({' '.join(c.arguments)})\n"
        "                kind=${kinds[num]:-} ;;"
        for c in commands
    ]
    takes = [
        f"        {'|'.join(_quoted(f'{c.name} {flag}') for flag in o.flags)}) echo {o.kind} ;;"
        for c in commands
        for o in c.options
        if o.kind
    ]
    names = " ".join(c.name for c in commands)
    text = _BASH.replace("@COMMANDS@", names).replace("@CASES@", "\n".join(cases))
    return text.replace("@TAKES@", "\n".join(takes))


def _quoted(text: str) -> str:
    return f"'{text}'"


_ZSH = r"""#compdef exc
# Completion of exc for zsh. Load it, behind compinit, with: eval "$(exc completion zsh)"
_exc_values() {
    local -a found
    found=("${(@f)$($service completion --values $1 2>/dev/null)}")
    [[ -n $found ]] && compadd -a found
}
_exc() {
    local service=$words[1]
    if (( CURRENT == 2 )); then
        local -a commands
        commands=(
@COMMANDS@
        )
        _describe -t commands command commands
        return
    fi
    local command=$words[2]
    shift words
    (( CURRENT-- ))
    case $command in
@CASES@
    esac
}
compdef _exc exc
"""


def zsh(commands: Sequence[Command]) -> str:
    """For zsh 5 and newer."""
    names = "\n".join(f"            {_zsh_text(f'{c.name}:{c.help}')}" for c in commands)
    cases = "\n".join(f"        {c.name}) _arguments -S {' '.join(_zsh_arguments(c))} ;;" for c in commands)
    return _ZSH.replace("@COMMANDS@", names).replace("@CASES@", cases)


def _zsh_arguments(command: Command) -> list[str]:
    parts = [_zsh_option(option, flag) for option in command.options for flag in option.flags]
    places = [f"'{place}::{kind}:{_zsh_action(kind)}'" for place, kind in enumerate(command.arguments, 1)]
    return [*parts, *places]


def _zsh_option(option: Option, flag: str) -> str:
    text = option.help.replace("[", "(").replace("]", ")").replace(":", ";").replace("%%", "%")
    value = f":{option.kind}:{_zsh_action(option.kind)}" if option.kind else ""
    return _zsh_text(f"{flag}[{text}]{value}")


def _zsh_action(kind: str) -> str:
    return {"files": "_files", "folders": "_files -/", "none": " "}.get(kind, f"_exc_values {kind}")


def _zsh_text(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def fish(commands: Sequence[Command]) -> str:
    """For fish 3 and newer."""
    lines = [
        "# Completion of exc for fish. Load it with: exc completion fish | source",
        "complete -c exc -f",
        *(f"complete -c exc -n __fish_use_subcommand -a {c.name} -d {_fish_text(c.help)}" for c in commands),
        *(line for c in commands for line in _fish_command(c)),
    ]
    return "\n".join(lines) + "\n"


def _fish_command(command: Command) -> list[str]:
    start = f"complete -c exc -n '__fish_seen_subcommand_from {command.name}'"
    lines = []
    for option in command.options:
        flags = " ".join(f"-l {f[2:]}" if f.startswith("--") else f"-s {f[1:]}" for f in option.flags)
        value = f" {_fish_action(option.kind)}" if option.kind else ""
        lines.append(f"{start} {flags}{value} -d {_fish_text(option.help)}")
    lines += [f"{start} {_fish_action(kind)}" for kind in dict.fromkeys(command.arguments) if kind != "none"]
    return lines


def _fish_action(kind: str) -> str:
    actions = {
        "files": "-r -F",
        "folders": "-x -a '(__fish_complete_directories (commandline -ct))'",
        "none": "-x",
    }
    return actions.get(kind, f"-x -a '(exc completion --values {kind})'")


def _fish_text(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'").replace("%%", "%") + "'"
