"""The limits of docs/architecture.md on files, functions and lines."""

import ast
from unittest import TestCase

from tests.tree import sources, syntax

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 50
MAX_LINE_CHARACTERS = 120


class TestSize(TestCase):
    def test_no_file_is_longer_than_400_lines(self):
        counts = {str(path): len(path.read_text().splitlines()) for path in sources()}
        self.assertEqual({path: count for path, count in counts.items() if count > MAX_FILE_LINES}, {})

    def test_no_function_is_longer_than_50_lines(self):
        long = []
        for path in sources():
            for node in ast.walk(syntax(path)):
                if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                    count = node.end_lineno - node.lineno + 1
                    if count > MAX_FUNCTION_LINES:
                        long.append(f"{path}:{node.lineno}: {node.name}: {count}")
        self.assertEqual(long, [])

    def test_no_line_is_longer_than_120_characters(self):
        long = []
        for path in sources():
            for number, line in enumerate(path.read_text().splitlines(), 1):
                if len(line) > MAX_LINE_CHARACTERS:
                    long.append(f"{path}:{number}: {len(line)}")
        self.assertEqual(long, [])

    def test_every_shipped_module_says_what_it_is(self):
        silent = [str(path) for path in sources() if path.read_text().strip() and not ast.get_docstring(syntax(path))]
        silent = [path for path in silent if "/tests/" not in path]
        self.assertEqual(silent, [])
