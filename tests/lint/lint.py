"""House rules that a machine can check. Usage: lint.py [ROOT]; prints what it finds, exits 1 if anything.

Each rule is a function from a Tree to findings, in RULES at the end; test_lint.py shows each failing.
"""

import re
import subprocess
import sys
from pathlib import Path

# Includes go down: a room may include itself, the rooms that stand beside it here, and what lies below those.
BELOW = {
    "base": (),
    "base/flow": ("base",),
    "stack/postgres": ("base/flow",),
    "stack/redis": ("base/flow",),
    "stack/pgbouncer": ("stack/postgres",),
    "stack/engine": ("stack/postgres",),
    "stack/local": ("stack/engine",),
    "stack/docker": ("stack/engine",),
    "stack/compose": ("stack/docker",),
    "storage/store": ("base/flow",),
    "storage/s3": ("storage/store",),
    "storage/sftp": ("storage/store",),
    "storage/webdav": ("storage/store",),
    "storage/archive": ("storage/store",),
    "storage": ("storage/archive",),
    "snapshot": ("stack/redis", "stack/pgbouncer", "stack/engine", "storage"),
    "restore": ("stack/redis", "stack/pgbouncer", "stack/engine", "storage"),
    "agent/output": ("base/flow",),
    "agent/init": ("stack/docker",),
    "agent/config": ("agent/output", "storage", "stack/engine"),
    "agent/report": ("agent/config",),
    "agent/daemon": ("agent/report",),
    "agent": ("agent/daemon", "agent/init", "snapshot", "restore"),
}
HEADER_LINES = 200
SOURCE_LINES = 800
FUNCTION_LINES = 100
BANNED = {
    "strcpy": "buf_append or memcpy with a length",
    "strcat": "buf_append",
    "strncat": "buf_append",
    "sprintf": "snprintf or buf_printf",
    "vsprintf": "vsnprintf",
    "gets": "getline",
    "scanf": "a parser that says what is wrong",
    "atoi": "strtoul with checks",
    "atol": "strtoul with checks",
    "atoll": "strtoull with checks",
    "atof": "strtod with checks",
    "strtok": "strchr",
    "strtok_r": "strchr",
    "system": "child_run",
    "popen": "child_start",
    "alloca": "malloc with a bound",
    "asctime": "strftime",
    "ctime": "strftime",
    "gmtime": "gmtime_r",
    "localtime": "localtime_r",
    "tmpnam": "mkstemp",
    "tempnam": "mkstemp",
    "mktemp": "mkstemp",
    "rand": "RAND_bytes",
    "srand": "RAND_bytes",
    "random": "RAND_bytes",
    "vfork": "child_start",
}
UNFINISHED = re.compile(r"\b(%s)\b" % "|".join(["TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK"]))
EM_DASH = "\u2014"


class Tree:
    """The project's files: what git knows, or every file of a folder that is no checkout."""

    def __init__(self, root):
        self.root = Path(root).resolve()
        listed = subprocess.run(
            ["git", "-C", str(self.root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
        if listed.returncode == 0:
            names = [n for n in listed.stdout.decode().split("\0") if n]
        else:
            names = [str(p.relative_to(self.root)) for p in self.root.rglob("*") if p.is_file()]
        self.names = sorted(n for n in names if (self.root / n).is_file() and not n.startswith("build/"))
        self._texts = {}

    def text(self, name):
        if name not in self._texts:
            data = (self.root / name).read_bytes()
            self._texts[name] = None if b"\0" in data else data.decode("utf-8", "replace")
        return self._texts[name]

    def c_files(self):
        return [n for n in self.names if n.endswith((".c", ".h"))]

    def product_files(self):
        return [n for n in self.c_files() if room_of(n) is not None]


def room_of(name):
    """The innermost room that a file is in; None for tests and the like."""
    return max((room for room in BELOW if name.startswith(room + "/")), key=len, default=None)


def lies_below(room, other):
    return any(other == below or lies_below(below, other) for below in BELOW[room])


def strip(text):
    """The text without comments, strings and character constants; line numbers stay."""
    pattern = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)

    def blank(match):
        found = match.group(0)
        if found.startswith("/"):
            return " " + "\n" * found.count("\n")
        return found[0] * 2
    return pattern.sub(blank, text)


def line_of(text, position):
    return text.count("\n", 0, position) + 1


def layers(tree):
    for name in tree.product_files():
        room = room_of(name)
        for match in re.finditer(r'^[ \t]*#[ \t]*include[ \t]+"([^"]+)"', tree.text(name), re.M):
            target = match.group(1)
            where = "%s:%d" % (name, line_of(tree.text(name), match.start()))
            if not (tree.root / target).is_file():
                yield "%s: includes '%s', which is no path from the top of the project" % (where, target)
                continue
            there = room_of(target)
            if there is None:
                yield "%s: includes '%s', which is in no room" % (where, target)
            elif there != room and not lies_below(room, there):
                way = "up" if lies_below(there, room) else "sideways"
                yield "%s: includes '%s': an arrow that goes %s" % (where, target, way)


def lengths(tree):
    for name in tree.c_files():
        lines = tree.text(name).count("\n")
        limit = HEADER_LINES if name.endswith(".h") else SOURCE_LINES
        if lines > limit:
            yield "%s: %d lines, at most %d: split it by noun" % (name, lines, limit)


def functions(text):
    """Of each function defined in a source: (what stands before its brace, first line, lines)."""
    code = strip(text)
    lines = code.split("\n")
    head, begin = [], None
    for number, line in enumerate(lines, 1):
        if begin is not None:
            if line.startswith("}"):
                yield " ".join(head), begin, number - begin + 1
                head, begin = [], None
        elif line == "{" and "(" in " ".join(head):
            begin = number
        elif line.startswith("#") or line.rstrip().endswith((";", "}", "\\")) or not line.strip():
            head = []
        else:
            head.append(line.strip())


def function_name(head):
    match = re.search(r"([A-Za-z_]\w*)\s*\(", head)
    return match.group(1) if match else head


def function_lengths(tree):
    for name in tree.c_files():
        for head, begin, count in functions(tree.text(name)):
            if count > FUNCTION_LINES:
                yield "%s:%d: %s() has %d lines, at most %d" % (name, begin, function_name(head), count,
                                                               FUNCTION_LINES)


def banned(tree):
    pattern = re.compile(r"(?<![\w.>])(%s)\s*\(" % "|".join(sorted(BANNED)))
    for name in tree.c_files():
        code = strip(tree.text(name))
        for match in pattern.finditer(code):
            yield "%s:%d: %s() is banned: use %s" % (name, line_of(code, match.start()), match.group(1),
                                                     BANNED[match.group(1)])


def typedefs(tree):
    for name in tree.c_files():
        code = strip(tree.text(name))
        for match in re.finditer(r"\btypedef\s+(struct|union|enum)\b", code):
            yield "%s:%d: typedef of a %s" % (name, line_of(code, match.start()), match.group(1))


def guards(tree):
    """LIFEBOAT_ROOM_NOUN_H; a folder in a room may leave its room's name out."""
    for name in tree.c_files():
        if not name.endswith(".h"):
            continue
        words = re.sub(r"\W", "_", name[:-2]).upper().split("_")
        match = re.search(r"^#ifndef (\w+)\n#define (\w+)$", tree.text(name), re.M)
        if not match or match.group(1) != match.group(2):
            yield "%s: no include guard" % name
        elif not (match.group(1).startswith("LIFEBOAT_") and match.group(1).endswith("_%s_H" % words[-1])):
            yield "%s: its guard '%s' is not named after it" % (name, match.group(1))


def exports(tree):
    """x.c exports x_*, or what a header of its folder declares and a word of whose name says why it is
    here: filter.h may declare filter_unzstd, which is in unzstd.c; engine.h what engine_local.c defines."""
    headers = {n: strip(tree.text(n)) for n in tree.product_files() if n.endswith(".h")}
    for name in tree.product_files():
        if not name.endswith(".c") or name == "agent/main.c":
            continue
        folder, stem = name[:-2].rsplit("/", 1)
        ours = set(stem.split("_")) | {folder.rsplit("/", 1)[-1]}
        for head, begin, _ in functions(tree.text(name)):
            symbol = function_name(head)
            if re.search(r"\bstatic\b|^DEFINE_", head) or re.match(stem + r"(_|$)", symbol):
                continue
            homes = [header for header, text in headers.items() if header.rsplit("/", 1)[0] == folder
                     and re.search(r"\b%s\s*\(" % re.escape(symbol), text)]
            nouns = {word for header in homes for word in header[:-2].rsplit("/", 1)[1].split("_")}
            if not set(symbol.split("_")) & ours and not (nouns & ours) or not homes:
                yield ("%s:%d: exports %s(), which is neither %s_* nor declared in a header of its noun"
                       % (name, begin, symbol, stem))


def words(tree):
    for name in tree.names:
        text = tree.text(name)
        if text is None:
            continue
        for match in UNFINISHED.finditer(text):
            yield "%s:%d: '%s': finish it" % (name, line_of(text, match.start()), match.group(0))
        for match in re.finditer(EM_DASH, text):
            yield "%s:%d: an em dash" % (name, line_of(text, match.start()))


def paths(tree):
    """No path that exists on one machine only: the checkout itself, somebody's home."""
    patterns = [r"/home/[a-z]\w*/", r"/Users/\w+/"]
    if len(tree.root.parts) > 2:
        patterns.append(re.escape(str(tree.root)) + r"\b")
    pattern = re.compile("|".join(patterns))
    for name in tree.names:
        text = tree.text(name)
        for match in pattern.finditer(text or ""):
            yield "%s:%d: '%s' is a path of one machine" % (name, line_of(text, match.start()), match.group(0))


def mentions(tree):
    """A file that a comment or a page names is there."""
    rooms = "|".join({room.split("/")[0] for room in BELOW})
    for name in tree.names:
        if not name.endswith((".md", ".c", ".h")):
            continue
        for match in re.finditer(r"(?<![\w/])(?:%s)/[\w/*]+\.[ch]\b" % rooms, tree.text(name)):
            if not any(tree.root.glob(match.group(0))):
                yield "%s:%d: names '%s', which is not there" % (
                    name, line_of(tree.text(name), match.start()), match.group(0))


def shell(tree):
    for name in tree.names:
        text = tree.text(name) or ""
        if name.endswith(".sh") or re.match(r"#!/bin/sh\b", text):
            done = subprocess.run(["sh", "-n", str(tree.root / name)], stderr=subprocess.PIPE, check=False)
            if done.returncode != 0:
                yield "%s: %s" % (name, done.stderr.decode().strip())


def python(tree):
    for name in tree.names:
        if name.endswith(".py"):
            try:
                compile(tree.text(name), name, "exec")
            except SyntaxError as problem:
                yield "%s:%s: %s" % (name, problem.lineno, problem.msg)


def clang_format(tree):
    files = tree.c_files()
    if not files:
        return
    done = subprocess.run(["clang-format", "--dry-run", "-Werror", "--style=file"] + files, cwd=tree.root,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode != 0:
        seen = sorted(set(re.findall(r"^([^\s:]+):\d+:\d+: error", done.stdout.decode(), re.M)))
        for name in seen:
            yield "%s: not as clang-format would write it: clang-format -i %s" % (name, name)
        if not seen:
            yield "clang-format: %s" % done.stdout.decode().strip()


def sizes(tree):
    for name in tree.names:
        if (tree.root / name).stat().st_size > 1000000:
            yield "%s: over 1 MB: make it in the test" % name


RULES = [layers, lengths, function_lengths, banned, typedefs, guards, exports, words, paths, mentions, shell, python,
         clang_format, sizes]


def main():
    tree = Tree(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).resolve().parents[2])
    findings = 0
    for rule in RULES:
        for finding in rule(tree):
            print("%s: %s" % (rule.__name__, finding))
            findings += 1
    print("lint: %d files, %d of them C, %d rules, %d findings"
          % (len(tree.names), len(tree.c_files()), len(RULES), findings))
    if not tree.c_files():
        print("lint: there is nothing to check under %s" % tree.root)
        return 1
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
