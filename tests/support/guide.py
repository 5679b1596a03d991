"""The commands of a page, run as they stand there, and what they print compared with what the page prints.

Above every ```sh and ```console block a comment says who runs it: <!-- STAGE -->, <!-- STAGE exit 2 -->. A block
below <!-- STAGE write PATH --> is written to that file, and one below <!-- STAGE append PATH --> added to it.

In `console` a line that begins with "$ " is a command, and what follows is its output. `sh` has commands alone.
A block of another kind needs no comment; without one it is only read by people.

    Walk(page, "local", real={"/etc/lifeboat": tmp}, env=…).all()

`real` says what stands here for names of the page. What the program makes up (ids, ports, keys) is learnt when it
is printed, and put into later commands. Of output: sizes, durations, dates and versions may differ, "…" stands for
anything, and a line "…" for any number of lines; everything else must be as it is printed.
"""

import re
import subprocess

from stack import TOP, Failed

MARKER = re.compile(r"^<!-- (\w+)(?: (exit) (\d+)| (write|append) (\S+))? -->$")
# What lifeboat makes up. In the page such a thing stands for the one that was printed here.
MADE_UP = r"\d{8}T\d{6}Z-[0-9a-f]{4}|(?<=127\.0\.0\.1:)\d+|(?<=pid )\d+|/tmp/lifeboat-[0-9a-f]+|age1[0-9a-z]{58}" \
          r"|(?<=seed )\d+|/tmp/tmp\.\w{10}"
# What differs from run to run, by kind: any of it matches any other of its kind.
LOOSE = [
    r"\d{4}-\d\d-\d\d(?:[ T]\d\d:\d\d(?::\d\dZ?)?)?|\d{8}T\d{6}Z",
    r"(?:just now|a moment|[\d.]+ (?:ms|s|min|h|days?)(?: \d+ (?:s|min|h))?)(?: ago| old)?",
    r"[\d.]+ (?:B|bytes|KiB|MiB|GiB)",
    r"\d+\.\d+(?:\.\d+)*(?: \([^)]*\))?|REDIS\d{4}",
]
TOKEN = re.compile(r"(?P<made>%s)|%s|(?P<dots>…)|(?P<space> +)" % (
    MADE_UP, "|".join("(?P<loose%d>%s)" % pair for pair in enumerate(LOOSE))))
# What a job says of its progress every ten seconds.
PROGRESS = re.compile(r".*: (?:\d+ %, )?[\d.]+ (?:B|KiB|MiB|GiB)(?: of .*)?, .*/s.*\n")
END = "--- end of command, status "


class Block:
    def __init__(self, page, line, kind, text, marker, heading):
        self.page, self.line, self.kind, self.text, self.heading = page, line, kind, text, heading
        found = MARKER.match(marker)
        self.stage = found.group(1) if found else None
        self.status = int(found.group(3) or 0) if found else 0
        self.how, self.path = (found.group(4), found.group(5)) if found else (None, None)

    @property
    def where(self):
        return "%s:%d" % (self.page, self.line)

    def commands(self):
        """[command, the lines that it prints, or None where the page does not say]."""
        if self.kind == "sh":  # what fails in the middle of it is no success
            return [["(set -e\n%s)" % self.text, None]]
        found = []
        for line in self.text.splitlines():
            if line.startswith("$ "):
                found.append([line[2:], []])
            elif found and found[-1][0].endswith("\\"):
                found[-1][0] += "\n" + line
            else:
                found[-1][1].append(line)
        return found


def blocks(page):
    """Every fenced block of a page, with the heading that it stands below."""
    found, heading, kind, marker, last = [], "", None, "", ""
    for number, line in enumerate((TOP / page).read_text().splitlines(), 1):
        if kind is None and line.startswith("```"):
            kind, text, begin, marker = line[3:], [], number, last
        elif kind is not None and line == "```":
            found.append(Block(page, begin, kind, "\n".join(text) + "\n", marker, heading))
            kind = None
        elif kind is not None:
            text.append(line)
        elif line.startswith("#"):
            heading = line.lstrip("# ")
        last = line
    return found


class Walk:
    """One stage of a page, in its order, in one shell."""

    def __init__(self, page, stage, real=(), env=None, cwd=None, before=None, instead=None, shell=("sh",)):
        """before: {heading: function}, called when the walk gets there. instead(command): what it prints, for
        a command that can't be run here; None for all others. shell: where they are run."""
        self.blocks = [b for b in blocks(page) if b.stage == stage]
        self.real = {name: str(value) for name, value in dict(real).items()}
        self.before, self.instead = dict(before or {}), instead or (lambda command: None)
        self.where = {"args": list(shell), "cwd": cwd, "env": env}

    def all(self):
        self.shell = subprocess.Popen(stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **self.where)
        try:
            for block in self.blocks:
                self.before.pop(block.heading, lambda: None)()
                self.block(block)
        finally:
            self.shell.stdin.close()
            self.shell.wait(60)
            self.shell.stdout.close()
        if self.before:
            raise Failed("the page has no heading %s" % sorted(self.before))

    def block(self, block):
        if block.how:
            with open(self.here(block.path), "a" if block.how == "append" else "w", encoding="utf-8") as out:
                out.write(self.here(block.text))
            return
        for command, lines in block.commands():
            said, status = self.run(self.here(command))
            problem = None
            if status != block.status:
                problem = "status %d instead of %d" % (status, block.status)
            elif lines is not None:
                problem = self.compare(lines, said.splitlines())
            if problem:
                raise Failed("%s: %s: %s\n--- printed:\n%s--- instead of:\n%s\n" % (
                    block.where, command, problem, said, "\n".join(lines or [])))

    def run(self, command):
        said = self.instead(command)
        if said is not None:
            return said, 0
        self.shell.stdin.write(("{ %s\n} </dev/null\necho \"%s$?\"\n" % (command.rstrip("\n"), END)).encode())
        self.shell.stdin.flush()
        lines = []
        for line in self.shell.stdout:
            lines.append(line.decode(errors="replace"))
            if END in lines[-1]:
                last, status = lines.pop().split(END)
                return "".join(x for x in lines if not PROGRESS.fullmatch(x)) + last, int(status)
        raise Failed("the shell ended with %s in: %s\n%s" % (self.shell.wait(), command, "".join(lines)))

    def here(self, text):
        """Names of the page replaced by what stands for them here, the longest first, each once."""
        names = sorted(self.real, key=len, reverse=True)
        return re.sub("|".join(map(re.escape, names)), lambda m: self.real[m.group()], text) if names else text

    # ---- what it prints

    def compare(self, expected, said):
        """None, or what is wrong."""
        at = 0
        for number, line in enumerate(expected):
            if line == "…":
                if number + 1 == len(expected):
                    return None
                while at < len(said) and not self.fits(expected[number + 1], said[at]):
                    at += 1
                continue
            if at == len(said) or not self.fits(line, said[at], learn=True):
                return "no line like: " + line
            at += 1
        return "a line more: " + said[at] if at < len(said) else None

    def fits(self, line, said, learn=False):
        line = self.here(line)
        pattern, end, new = "", 0, []
        for token in TOKEN.finditer(line):
            pattern += re.escape(line[end:token.start()])
            end = token.end()
            if token.lastgroup == "made":
                known = token.group() in self.real.values()
                pattern += re.escape(token.group()) if known else "(%s)" % MADE_UP
                new += [] if known else [token.group()]
            elif token.lastgroup == "dots":
                pattern += ".*"
            elif token.lastgroup == "space":
                pattern += " +"
            else:
                pattern += "(?:%s)" % LOOSE[int(token.lastgroup[5:])]
        found = re.fullmatch(pattern + re.escape(line[end:]) + " *", said.expandtabs())
        if found and learn:
            self.real.update(zip(new, found.groups()))
        return bool(found)

