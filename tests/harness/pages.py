"""What a page of the documentation tells its reader to type, and the files that it tells them to write."""

import dataclasses
import re

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMENT = re.compile(r"(^|\s{2,})# .*$")
FILE_NAME = re.compile(r"^# ([\w./-]+\.ya?ml)$")


@dataclasses.dataclass(frozen=True)
class Command:
    page: str
    line: int
    text: str

    def __str__(self):
        return f"{self.page}:{self.line}: {self.text}"


def fences(path):
    """(language, number of its first line, text) of every fenced block."""
    page = path.read_text(encoding="utf-8")
    for match in FENCE.finditer(page):
        yield match[1], page[:match.start(2)].count("\n") + 1, match[2]


def commands(path, root):
    """The lines of the blocks marked `sh`, without their comments."""
    found = []
    for language, first, text in fences(path):
        if language != "sh":
            continue
        for offset, line in enumerate(text.splitlines()):
            command = COMMENT.sub("", line).strip()
            if command:
                found.append(Command(str(path.relative_to(root)), first + offset, command))
    return found


def unmarked_commands(path):
    """Lines that look like commands, in blocks that no test would run."""
    return [(first + offset, line) for language, first, text in fences(path) if language != "sh"
            for offset, line in enumerate(text.splitlines()) if line.startswith(("microagent ", "make ", "curl "))]


def files(path):
    """The YAML blocks whose first line is a comment that names a file: name and text."""
    named = ((FILE_NAME.match(text.splitlines()[0]), text) for language, _, text in fences(path)
             if language == "yaml")
    return {name[1]: text for name, text in named if name}


def fragments(path):
    """The YAML blocks that name no file: parts of a spec. (number of the first line, text)"""
    return [(first, text) for language, first, text in fences(path)
            if language == "yaml" and not FILE_NAME.match(text.splitlines()[0])]
