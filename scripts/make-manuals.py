#!/usr/bin/env python3
"""Writes the manual pages rkt-COMMAND(1), in mdoc, from what the command itself says about its commands.

Usage: make-manuals.py RKT OUTDIR

The names, options and their explanations come from `RKT --experimental-dump-help`; the flags of `run` and `prepare`,
which follow a grammar of their own, from their --help.
"""

import datetime
import json
import os
import re
import subprocess
import sys
import textwrap

EXAMPLES = {
    "run": [
        ("Run an image in the foreground; its exit status becomes rkt's.",
         "rkt run ./redis.oci"),
        ("Two apps in one pod, the second with arguments of its own.",
         "rkt run ./redis.oci ./client.oci.tar --exec /bin/sh -- -c 'redis-cli ping'"),
        ("Leave it running; systemd, machined and the journal know it.",
         "uuid=$(rkt run --detach ./redis.oci)\nsystemctl status pod@$uuid\njournalctl -M rkt-$uuid"),
    ],
    "prepare": [
        ("Start a pod at every boot.",
         "uuid=$(rkt prepare ./redis.oci)\nsystemctl enable --now pod@$uuid"),
    ],
    "logs": [
        ("The last ten lines of one app, and what comes.",
         "rkt logs --follow -n 10 --app redis 3fa1"),
    ],
    "status": [
        ("Wait for the end of a pod, at most a minute.",
         "rkt status --wait=1m 3fa1"),
    ],
    "gc": [
        ("Remove all pods that have ended.",
         "rkt gc --grace-period=0s"),
    ],
    "trust": [
        ("Trust a key for the images of a team, after a look at its fingerprint.",
         "rkt trust --prefix=example.com/team ./team.asc"),
        ("The same of a key that GnuPG has.",
         "rkt trust --prefix=example.com/team <(gpg --armor --export team@example.com)"),
    ],
    "image-list": [
        ("The largest images first.",
         "rkt image list --sort=size --order=desc"),
    ],
}

FLAG = re.compile(r"^ {2,}(--[a-z0-9-]+)(=\S+)?\s+(.*)$")


def output(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, env=dict(os.environ, COLUMNS="200"),
                          text=True).stdout


def plain(text):
    """Text as mdoc shows it unchanged, where it need not be copied into a shell."""
    text = text.replace("\\", "\\e").replace("…", "...").replace("`", "")
    return "\\&" + text if text[:1] in (".", "'") else text


def escaped(text):
    """Text whose every dash is a minus, as shells and programs want it."""
    return plain(text).replace("-", "\\-")


def prose(text):
    """A paragraph, each sentence on a line of its own."""
    sentences = re.split(r"(?<=[.:;]) (?=[A-Z])", " ".join(text.split()))
    return [plain(line) for sentence in sentences if sentence
            for line in textwrap.wrap(sentence, 76, break_long_words=False, break_on_hyphens=False)]


def word(text):
    """One argument of a macro: quoted, and not taken for a macro itself."""
    return '"' + escaped(text).replace('"', "\\(dq") + '"'


def names(argument):
    result = []
    for name in argument.get("names", []):
        result.append(name["name"] if name["kind"] == "short" else "-" + name["name"])
    return sorted(result, key=len)


def is_shown(argument):
    return argument.get("shouldDisplay", True) and argument.get("valueName") != "help"


def item(argument):
    """.It for an option: Fl before each name, Ar for the value."""
    value = f" Ar {word(argument['valueName'])}" if argument["kind"] == "option" else ""
    return ".It " + " , ".join(f"Fl {escaped(name)}{value}" for name in names(argument))


def synopsis(command, path):
    if path in ("run", "prepare"):
        flags = ".Op Ar flags"
        return [flags, ".Ar image", ".Op Ar app\\-flags", ".Op Fl \\- Ar arg ... Op \\-\\-\\-", ".Op Ar image ..."]
    lines = []
    for argument in command.get("arguments", []):
        if not is_shown(argument):
            continue
        if argument["kind"] == "positional":
            repeat = " ..." if argument.get("isRepeating") else ""
            macro = "Op Ar" if argument.get("isOptional") else "Ar"
            lines.append(f".{macro} {word(argument['valueName'])}{repeat}")
        elif argument.get("sectionTitle") != "Global options":
            name = names(argument)[-1]
            value = f" Ar {word(argument['valueName'])}" if argument["kind"] == "option" else ""
            lines.append(f".Op Fl {escaped(name)}{value}")
    if command.get("subcommands"):
        lines.append(".Ar command ...")
    return lines


def option_sections(command):
    sections = {}
    for argument in command.get("arguments", []):
        if is_shown(argument) and argument["kind"] != "positional":
            sections.setdefault(argument.get("sectionTitle") or "Options", []).append(argument)
    lines = []
    for title in sorted(sections, key=lambda title: title == "Global options"):
        lines += [f".Sh {title.upper()}", ".Bl -tag -width Ds"]
        for argument in sections[title]:
            lines.append(item(argument))
            text = argument.get("abstract", "")
            default = argument.get("defaultValue")
            if default:
                text = f"{text.rstrip('.')} (default: {default})."
            lines += prose(text)
        lines.append(".El")
    return lines


def positional_section(command):
    shown = [a for a in command.get("arguments", []) if is_shown(a) and a["kind"] == "positional" and a.get("abstract")]
    if not shown:
        return []
    lines = [".Sh ARGUMENTS", ".Bl -tag -width Ds"]
    for argument in shown:
        lines += [f".It Ar {word(argument['valueName'])}"] + prose(argument["abstract"])
    return lines + [".El"]


def flag_sections(program, words):
    """The tables that `run` and `prepare` print below their help."""
    lines, is_open = [], False
    for line in output(program, *words, "--help").splitlines():
        match = FLAG.match(line)
        if re.match(r"^[A-Z][A-Za-z ()]*FLAGS.*:$|^FLAGS:$", line):
            lines += [".El"] if is_open else []
            lines += [f".Sh {line.rstrip(':').upper()}", ".Bl -tag -width Ds"]
            is_open = True
        elif match and is_open:
            name, value, text = match.groups()
            lines.append(f".It Fl {escaped(name[1:])}" + (" Ns = Ns Ar value" if value else ""))
            lines += prose(text + ".")
    return lines + ([".El"] if is_open else [])


def page(program, command, words, date):
    path = "-".join(words)
    title = f"rkt-{path}"
    lines = [
        f".Dd {date}", f".Dt {title.upper()} 1", ".Os", ".Sh NAME", f".Nm {title}",
        f".Nd {plain(command.get('abstract', '').rstrip('.'))}",
        ".Sh SYNOPSIS", ".Nm rkt " + " ".join(words), *synopsis(command, path), ".Sh DESCRIPTION",
    ]
    lines += prose(command.get("abstract", ""))
    if command.get("discussion"):
        for paragraph in command["discussion"].split("\n\n"):
            lines += [".Pp"] + prose(paragraph)
    children = [c for c in command.get("subcommands", []) if is_page(c)]
    if children:
        lines.append(".Bl -tag -width Ds")
        for child in children:
            lines += [f".It Xr rkt-{path}-{child['commandName']} 1"] + prose(child.get("abstract", ""))
        lines.append(".El")
    lines += positional_section(command)
    if path in ("run", "prepare"):
        lines += flag_sections(program, words)
    else:
        lines += option_sections(command)
    lines += [".Sh EXIT STATUS"]
    if path in ("run", "run-prepared"):
        lines += prose(
            "In the foreground that of the first app that failed, or 0. An app that a signal ended counts as the "
            "number of that signal, also where systemd takes it for a good end (SIGHUP, SIGINT, SIGTERM, SIGPIPE), "
            "unless just its unit was told to stop. A start that an interruption called off counts as 128 and the signal's "
            "number.")
    else:
        lines += ["0 when all went well."]
    lines += ["254 when", ".Nm rkt", "itself failed; standard error says why."]
    if path in EXAMPLES:
        lines.append(".Sh EXAMPLES")
        for number, (text, code) in enumerate(EXAMPLES[path]):
            lines += ([".Pp"] if number else []) + prose(text) + [".Bd -literal -offset indent"]
            lines += [escaped(line) for line in code.splitlines()] + [".Ed"]
    lines += [".Sh SEE ALSO", ".Xr rkt 1 ,", ".Xr systemctl 1 ,", ".Xr pod@.service 8"]
    return title, "\n".join(lines) + "\n"


def is_page(command):
    return command.get("shouldDisplay", True) and command["commandName"] != "help"


def pages(program, command, words, date):
    for child in command.get("subcommands", []):
        if is_page(child):
            below = words + [child["commandName"]]
            yield page(program, child, below, date)
            yield from pages(program, child, below, date)


def main():
    if len(sys.argv) != 3 or sys.argv[1].startswith("-"):
        print(__doc__.strip(), file=sys.stdout if "--help" in sys.argv else sys.stderr)
        return 0 if "--help" in sys.argv else 2
    program, outdir = os.path.abspath(sys.argv[1]), sys.argv[2]
    # The date of the source, so that the same source gives the same pages.
    when = int(os.environ.get("SOURCE_DATE_EPOCH", os.stat(__file__).st_mtime))
    moment = datetime.datetime.fromtimestamp(when, datetime.timezone.utc)
    date = f"{moment:%B} {moment.day}, {moment.year}"
    for title, text in pages(program, json.loads(output(program, "--experimental-dump-help"))["command"], [], date):
        path = os.path.join(outdir, f"{title}.1")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
