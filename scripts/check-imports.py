#!/usr/bin/env python3
"""Checks which module imports which: the layers of CONTRIBUTING.md, and what no module may use.

Usage: check-imports.py [SOURCES]       (default: Sources beside this script's directory)

Prints one line per offence and fails if there is any.
"""

import pathlib
import re
import sys

# A module may import its own line, what every module may, and no other module of ours.
MAY_IMPORT = {
    "Diagnostics": "",
    "Manifests": "",
    "UnitGen": "Manifests",
    "LinuxOS": "CLinux",
    "DBusBridge": "CDBus LinuxOS",
    "Journal": "CSystemd LinuxOS",
    "SystemdClient": "DBusBridge LinuxOS",
    "ImageStore": "CArchive CLinux LinuxOS Manifests",
    "ImageFetch": "CLinux ImageStore LinuxOS Manifests",
    "PodNetwork": "LinuxOS Manifests",
    "Pods": "CLinux ImageFetch ImageStore Journal LinuxOS Manifests PodNetwork SystemdClient UnitGen",
    # The command also reads the store's errors and the terminal; all work is in Pods.
    "rkt-systemd": "ImageStore LinuxOS Manifests Pods UnitGen",
    "pod-init": "CMusl",
}
EVERYBODY = {"Diagnostics"}
C_MODULES = {"CArchive", "CDBus", "CLinux", "CMusl", "CSystemd"}

# Others' modules, and who may use them.
FOREIGN = {
    "ArgumentParser": {"rkt-systemd"},
    "Crypto": {"ImageStore", "ImageFetch"},
    "CryptoExtras": {"ImageFetch"},
    "Dispatch": {"rkt-systemd"},
    "FoundationEssentials": {"Manifests", "UnitGen", "Journal", "ImageStore", "ImageFetch", "Pods", "rkt-systemd"},
    "Glibc": set(MAY_IMPORT) - {"Diagnostics", "Manifests", "UnitGen", "pod-init"},
    "Synchronization": set(MAY_IMPORT) - {"pod-init"},
    "SystemPackage": {"LinuxOS", "ImageStore", "ImageFetch", "Pods"},
}

FORBIDDEN = [
    (re.compile(r"\bimport\s+(?:\w+\s+)?Foundation\b"), set(),
     "Foundation costs every start some milliseconds: FoundationEssentials"),
    (re.compile(r"(?<![\w.])(?<!func )kill\("), {"pod-init", "LinuxOS"},
     "processes are held by pidfd, or killed through systemd, never by number"),
    (re.compile(r"(?<![\w.])(?:u|nano)?sleep\(|Task\.sleep|\.sleep\(for"), set(), "wait for the event, never for a time"),
]

LINES = 500
IMPORT = re.compile(
    r"^\s*(?:@\w+(?:\([^)]*\))?\s+)*(?:(?:public|package|internal|private|fileprivate)\s+)?"
    r"import\s+(?:(?:struct|class|enum|protocol|func|var|let|typealias)\s+)?(\w+)")


def code(lines):
    """The lines without comments and string literals, roughly: enough to find calls."""
    for number, line in enumerate(lines, 1):
        line = re.sub(r'"(?:\\.|[^"\\])*"', '""', line)
        yield number, line.split("//")[0]


def offences(module, path):
    lines = path.read_text(encoding="utf-8").splitlines()
    if len(lines) > LINES:
        yield len(lines), f"over {LINES} lines: which room do some of these belong in?"
    allowed = set(MAY_IMPORT[module].split()) | EVERYBODY | {module}
    for number, line in code(lines):
        match = IMPORT.match(line)
        if match:
            name = match.group(1)
            if name in MAY_IMPORT or name in C_MODULES:
                if name not in allowed:
                    yield number, f"{module} may not import {name}"
            elif name in FOREIGN and module not in FOREIGN[name]:
                yield number, f"{module} may not import {name}"
            elif name not in FOREIGN and name != "Foundation":
                yield number, f"{name} is on no list: add it to {pathlib.Path(__file__).name} if it is meant"
        for pattern, exempt, reason in FORBIDDEN:
            if module not in exempt and pattern.search(line):
                yield number, reason


def main():
    if "--help" in sys.argv or len(sys.argv) > 2:
        print(__doc__.strip())
        return 0 if "--help" in sys.argv else 2
    default = pathlib.Path(__file__).resolve().parent.parent / "Sources"
    sources = pathlib.Path(sys.argv[1]) if len(sys.argv) == 2 else default
    count = 0
    for directory in sorted(sources.iterdir()):
        if not directory.is_dir() or directory.name in C_MODULES:
            continue
        if directory.name not in MAY_IMPORT:
            print(f"{directory}: a module without a line in the table of imports")
            count += 1
            continue
        for path in sorted(directory.rglob("*.swift")):
            for number, reason in offences(directory.name, path):
                print(f"{path}:{number}: {reason}")
                count += 1
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
