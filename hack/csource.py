# SPDX-License-Identifier: Apache-2.0
"""What the checks of hack/ share: the C files of the tree, and their text without comments."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

_TEST = re.compile(r"_(test|fuzz|bench|peer)(\.|_)")
_NO_CODE = re.compile(
    r"""/\*.*?\*/ | //[^\n]* | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*'""",
    re.DOTALL | re.VERBOSE,
)


def c_files(root: Path) -> list[Path]:
    """Return the C sources and headers of pkg/, cmd/, and hack/explore, sorted."""
    tops = ("pkg/*", "cmd/*", "hack/explore")
    return sorted(path for top in tops for path in root.glob(f"{top}/*.[ch]"))


def is_test(path: Path) -> bool:
    """Tell whether the file is only built into test programs: x_test.c, x_test_y.h, x_peer.h."""
    return bool(_TEST.search(path.name))


def code_of(text: str) -> str:
    """Blank comments and the insides of strings, keeping every line where it is."""

    def blank(match: re.Match[str]) -> str:
        found = match.group()
        return re.sub(r"[^\n]", " ", found) if found[0] == "/" else found[0] * 2

    return _NO_CODE.sub(blank, text)


def line_of(text: str, offset: int) -> int:
    """Return the number of the line that holds the offset."""
    return text.count("\n", 0, offset) + 1


def finish(check: str, complaints: Iterable[str]) -> None:
    """Print the complaints, each "file:line: message", and exit accordingly."""
    found = list(complaints)
    for complaint in found:
        print(complaint)
    if found:
        sys.exit(f"{check}: {len(found)} to mend")
