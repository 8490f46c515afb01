"""What a page has a reader type, as a script that can be run."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

FENCE = re.compile(r"^```(?P<words>[^\n]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
TITLE = re.compile(r'title="([^"]+)"')

STATUS = """
ended() {
    if [ "$1" -ne 0 ] && [ "$2" != refused ]; then echo "exit code $1 of: $3"; exit 1; fi
    if [ "$1" -eq 0 ] && [ "$2" = refused ]; then echo "not refused: $3"; exit 1; fi
}
"""


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, what else is said of it, its lines."""

    language: str
    words: str
    text: str

    @property
    def title(self) -> str | None:
        """The file that it is the content of, or a part of."""
        found = TITLE.search(self.words)
        return found[1] if found else None

    @property
    def commands(self) -> list[str]:
        """What is typed, with its comment."""
        lines = self.text.splitlines() if self.language == "console" else []
        return [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]

    @property
    def shown(self) -> list[str]:
        """What is answered."""
        lines = self.text.splitlines() if self.language == "console" else []
        return [line for line in lines if line.strip() and not line.startswith("$ ")]


def blocks(page: Path) -> Iterator[Block]:
    """Find the fenced blocks of a page, in order."""
    for found in FENCE.finditer(page.read_text()):
        language, _, words = found["words"].partition(" ")
        yield Block(language, words, found["text"])


def bare(command: str) -> str:
    """Leave out the comment behind a command."""
    return re.sub(r"\s+#\s.*$", "", command).strip()


def script(
    page: Path, folder: Path, elsewhere: Collection[str], instead: Mapping[str, str]
) -> Iterator[str]:
    """Give the lines of a shell script that does what a page says, in order.

    Parameters
    ----------
    page : pathlib.Path
    folder : pathlib.Path
        Where it is going to run; files that the page shows are written there.
    elsewhere : collection of str
        Commands to leave out.
    instead : mapping
        Commands, and what to run in their place.
    """
    yield STATUS
    for number, block in enumerate(blocks(page)):
        if block.title:
            with (folder / block.title).open("a") as file:
                file.write(f"{block.text}\n\n")
        elif block.language == "python":
            name = f"block{number}.py"
            (folder / name).write_text(block.text)
            yield f"python {name}; ended $? done {name}"
        for command in block.commands:
            if bare(command) not in elsewhere:
                expected = "refused" if command.endswith("# refused") else "done"
                run = instead.get(bare(command), bare(command))
                yield f"{run}\nended $? {expected} {shlex.quote(command)}"


def answers(line: str, output: str) -> bool:
    """Tell whether a line is in the output; … stands for anything, spaces do not matter."""
    parts = [r"\s+".join(map(re.escape, part.split())) for part in line.split("…")]
    return re.search(r"[^\n]*?".join(parts), output) is not None
