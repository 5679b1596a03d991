"""Shows each rule of lint.py failing on a bad sample, and accepting a good one."""

import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import lint  # noqa: E402

GOOD_H = """/* A noun. */
#ifndef LIFEBOAT_BASE_NOUN_H
#define LIFEBOAT_BASE_NOUN_H

int noun_count(int of);

#endif
"""
GOOD_C = """/* Its verbs; strcpy( in a comment is fine. */
#include <string.h>
#include "base/noun.h"

static int helper(int n)
{
	return n;
}

int noun_count(int of)
{
	const char *text = "system(1)";
	return helper(of) + (int)strlen(text);
}
"""


class Lint(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.root = Path(self.folder.name)
        top = Path(__file__).resolve().parents[2]
        self.write(".clang-format", (top / ".clang-format").read_text())
        self.write("base/noun.h", GOOD_H)
        self.write("base/noun.c", GOOD_C)

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def findings(self, rule):
        return list(rule(lint.Tree(self.root)))

    def assert_found(self, rule, *texts):
        found = self.findings(rule)
        self.assertEqual(len(found), len(texts), found)
        for text, finding in zip(texts, found):
            self.assertIn(text, finding)

    def test_good_sample__every_rule__finds_nothing(self):
        for rule in lint.RULES:
            self.assertEqual(self.findings(rule), [], rule.__name__)

    def test_layers__include_upwards__named(self):
        self.write("stack/redis/door.h", GOOD_H)
        self.write("base/noun.c", '#include "stack/redis/door.h"\n')
        self.assert_found(lint.layers, "base/noun.c:1: includes 'stack/redis/door.h': an arrow that goes up")

    def test_layers__include_sideways__named(self):
        self.write("storage/store.h", GOOD_H)
        self.write("stack/redis/door.c", '#include "base/noun.h"\n#include "storage/store.h"\n')
        self.assert_found(lint.layers, "stack/redis/door.c:2: includes 'storage/store.h': an arrow that goes sideways")

    def test_layers__base_includes_flow__named(self):
        self.write("base/flow/sink.h", GOOD_H)
        self.write("base/noun.c", '#include "base/flow/sink.h"\n')
        self.assert_found(lint.layers, "goes up")

    def test_layers__folder_of_the_same_room__fine(self):
        self.write("storage/archive/writer.h", GOOD_H)
        self.write("storage/catalog.c", '#include "storage/archive/writer.h"\n')
        self.assertEqual(self.findings(lint.layers), [])

    def test_layers__path_not_from_the_top__named(self):
        self.write("base/noun.c", '#include "noun.h"\n')
        self.assert_found(lint.layers, "no path from the top")

    def test_layers__product_includes_tests__named(self):
        self.write("tests/support/x.h", GOOD_H)
        self.write("base/noun.c", '#include "tests/support/x.h"\n')
        self.assert_found(lint.layers, "which is in no room")

    def test_lengths__long_source_and_header__named(self):
        self.write("base/noun.h", "\n" * (lint.HEADER_LINES + 1))
        self.write("base/noun.c", "\n" * (lint.SOURCE_LINES + 1))
        self.assert_found(lint.lengths, "base/noun.c: 801 lines", "base/noun.h: 201 lines")

    def test_function_lengths__long_function__named_with_its_line(self):
        body = "\tn++;\n" * lint.FUNCTION_LINES
        self.write("base/noun.c", "int noun_count(int a,\n\t       int n)\n{\n%s\treturn n;\n}\n" % body)
        self.assert_found(lint.function_lengths, "base/noun.c:3: noun_count() has 103 lines")

    def test_banned__each_name__found(self):
        for name in lint.BANNED:
            self.write("base/noun.c", "int f(void)\n{\n\treturn %s(a);\n}\n" % name)
            self.assert_found(lint.banned, "base/noun.c:3: %s() is banned" % name)

    def test_banned__part_of_a_longer_name__fine(self):
        self.write("base/noun.c", "int f(void)\n{\n\treturn my_system(a) + snprintf(b) + x.system(c);\n}\n")
        self.assertEqual(self.findings(lint.banned), [])

    def test_typedefs__of_a_struct__named(self):
        self.write("base/noun.h", GOOD_H + "typedef struct noun noun_t;\n")
        self.assert_found(lint.typedefs, "base/noun.h:8: typedef of a struct")

    def test_guards__absent_or_misnamed__named(self):
        self.write("base/noun.h", "int noun_count(int of);\n")
        self.write("base/verb.h", GOOD_H)
        self.assert_found(lint.guards, "base/noun.h: no include guard", "base/verb.h: its guard")

    def test_exports__foreign_name__named(self):
        self.write("base/noun.c", "int helper(int n)\n{\n\treturn n;\n}\n")
        self.assert_found(lint.exports, "base/noun.c:2: exports helper(), which is neither noun_*")

    def test_exports__declared_under_its_headers_noun__fine(self):
        self.write("base/noun.h", GOOD_H.replace("noun_count", "noun_verb"))
        self.write("base/verb.c", "int noun_verb(int n)\n{\n\treturn n;\n}\n")
        self.assert_found(lint.exports)

    def test_exports__another_noun_or_undeclared__named(self):
        self.write("base/verb.c", "int noun_count(int n)\n{\n\treturn n;\n}\n\n"
                                  "int noun_verb(int n)\n{\n\treturn n;\n}\n")
        self.assert_found(lint.exports, "exports noun_count()", "exports noun_verb()")

    def test_words__unfinished_and_em_dash__named(self):
        self.write("README.md", "one\n" + "TO" + "DO more\na \u2014 b\n")
        self.assert_found(lint.words, "README.md:2: 'TO" + "DO': finish it", "README.md:3: an em dash")

    def test_paths__the_checkout_and_a_home__named(self):
        self.write("README.md", "%s/base\n/home/" % self.root.resolve() + "ann/x\n")
        self.assert_found(lint.paths, "README.md:1:", "README.md:2:")

    def test_mentions__a_file_that_moved__named(self):
        self.write("docs/x.md", "See `base/noun.h`, `base/*.c`,\n`base/gone*.c`.\n")
        self.write("base/verb.c", '#include "base/noun.h"\n/* as stack/noun.h says */\n')
        self.assert_found(lint.mentions, "base/verb.c:2: names 'stack/noun.h'", "docs/x.md:2: names 'base/gone*.c'")

    def test_shell__syntax_error__named(self):
        self.write("x.sh", "if true; then\n")
        self.assert_found(lint.shell, "x.sh: ")

    def test_python__syntax_error__named(self):
        self.write("x.py", "def f(:\n")
        self.assert_found(lint.python, "x.py:1:")

    def test_clang_format__wrong_indent__named(self):
        self.write("base/noun.c", GOOD_C.replace("\treturn n;", "  return n;"))
        self.assert_found(lint.clang_format, "base/noun.c: not as clang-format would write it")

    def test_sizes__big_file__named(self):
        self.write("big.bin", "x" * 1000001)
        self.assert_found(lint.sizes, "big.bin: over 1 MB")


if __name__ == "__main__":
    unittest.main()
