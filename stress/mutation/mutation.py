# SPDX-License-Identifier: MIT
"""How a mutation is written, and how it is put into a tree and taken back.

Each LAYER/NAME.mutation of this folder is one mutation. A head says what it breaks; then it names
places, by file and function, and for each what is to be replaced there:

    protocol: 3                     of docs/design.md, or "count", "boot", ...
    test: relacy-whole-2            the test that must fail, as ctest calls it, without the preset
    why: what goes wrong, in words; a line that begins with blanks
        goes on with the line before

    in core/blocks/block_whole.c qi_block_make_whole
    -    qa_store(desc, d, release);
    +    qa_store(desc, 0, release);

         qi_map_words_release(map, 0, MAP_WORDS);
    +    return;

    in core/word.h
    -#define WORD_FULL UINT64_MAX
    +#define WORD_FULL 0

The lines `-` and those that begin with a blank are the text that is looked for; `-` is taken away,
`+` is put in where it stands, the rest stays as it is. An empty line ends one replacement and
begins the next; all are looked for in the unbroken file. The text is compared by the tokens of C,
so it makes no difference how it is wrapped and what comments stand in it. It must be found exactly
once in the function (its head included), or, where none is named, exactly once outside all
functions. Text that is gone or there twice, or a function that has moved, is an error: nothing is
followed, though the message says where it is now.
"""

import collections
import functools
import itertools
import pathlib
import re
import sys

MUTATIONS = pathlib.Path("stress/mutation")  # this folder, in a tree

Token = collections.namedtuple("Token", "text start end directive")
Code = collections.namedtuple("Code", "functions rest")  # see code_of
LEXEME = re.compile(
    r"(?P<newline>\n)|(?P<skip>/\*.*?\*/|//[^\n]*|\\\n|\s)"
    r'|(?P<token>"(?:\\.|[^"\\\n])*"' r"|'(?:\\.|[^'\\\n])*'|\.?\d(?:[eEpP][-+]|[\w.])*|\w+"
    r"|\.\.\.|<<=|>>=|->|\+\+|--|<<|>>|&&|\|\||##|[-+*/%&|^<>=!]=|.)", re.DOTALL)


class Unfit(Exception):
    """The tree is not as a mutation says."""


@functools.lru_cache(maxsize=None)
def tokens_of(text):
    """The tokens of C code, without comments; those of a directive know that they are."""
    tokens, directive, begun = [], False, False
    for m in LEXEME.finditer(text):
        if m["newline"]:
            directive = begun = False
        elif m["token"]:
            directive = directive or (m[0] == "#" and not begun)
            begun = True
            tokens.append(Token(m[0], m.start(), m.end(), directive))
    return tuple(tokens)


def defined(head):
    """The name of the function that begins with these tokens, or None: what stands before the first
    parenthesis that is no attribute's."""
    depth, name = 0, None
    for before, token in itertools.pairwise(head):
        if token.text == "(":
            if depth == 0 and not name and re.fullmatch(r"(?!__attribute__)[A-Za-z_]\w*",
                                                        before.text):
                name = before.text
            depth += 1
        elif token.text == ")":
            depth -= 1
        elif token.text == "=" and depth == 0:
            return None
    return name


@functools.lru_cache(maxsize=None)
def code_of(text):
    """The functions of a file, {name: [tokens, ...]} (several under #if), and the runs of tokens
    between them."""
    tokens = tokens_of(text)
    functions, rest = {}, []
    depth = begin = end = 0  # of the declaration at hand; the end of the last function
    name, branches = None, []
    for i, token in enumerate(tokens):
        if token.directive:
            directive = tokens[i - 1].text == "#" and token.text
            if directive in ("if", "ifdef", "ifndef"):
                branches.append(depth)
            elif directive in ("else", "elif") and branches:
                depth = branches[-1]
            elif directive == "endif" and branches:
                branches.pop()
            if depth == 0:
                begin = i + 1
        elif token.text == "{":
            head = tokens[begin:i]
            if depth == 0:
                name = defined(head)
            if not (depth == 0 and [t.text for t in head] == ["extern", '"C"']):
                depth += 1
            else:
                begin = i + 1
        elif token.text == "}":
            depth = max(depth - 1, 0)
            if depth == 0 and name:
                functions.setdefault(name, []).append(tokens[begin : i + 1])
                rest.append(tokens[end:begin])
                end = i + 1
                name = None
            if depth == 0:
                begin = i + 1
        elif token.text == ";" and depth == 0:
            begin = i + 1
    return Code(functions, rest + [tokens[end:]])


def find(parts, wanted):
    """Where the tokens `wanted` stand: each time, those of the file."""
    found = []
    for part in parts:
        texts = [t.text for t in part]
        for i in range(len(texts) - len(wanted) + 1):
            if texts[i] == wanted[0] and texts[i : i + len(wanted)] == wanted:
                found.append(part[i : i + len(wanted)])
    return found


def read(path):
    """The text of a file; the ends of its lines stay as they are."""
    return path.read_bytes().decode()


def layers(tree):
    """The code that a mutation may break: (file, its text), without the tests."""
    for path in sorted(tree.rglob("*.[ch]")):
        name = path.relative_to(tree)
        if MUTATIONS.parent not in name.parents:
            yield name, read(path)


def listed(places):
    return f"{' and '.join(places)} now" if places else "nowhere"


class Replacement:
    """In a file, and a function of it or '', pieces of text: (mark, text)."""

    def __init__(self, file, function, lines):
        self.file = file
        self.function = function
        self.pieces = [(mark, [line[1:] for line in some])
                       for mark, some in itertools.groupby(lines, lambda line: line[0])]
        self.wanted = [t.text for mark, some in self.pieces if mark != "+"
                       for t in tokens_of("\n".join(some))]
        self.place = f"{file} {function}" if function else file

    def parts(self, tree):
        """The tokens to look at."""
        path = tree / self.file
        code = code_of(read(path)) if path.is_file() else None
        if code and not self.function:
            return code.rest
        if code and self.function in code.functions:
            return code.functions[self.function]
        if not self.function:
            raise Unfit(f"there is no {self.file}")
        now = [str(name) for name, text in layers(tree) if self.function in code_of(text).functions]
        lost = f"not in {self.file}" if code else f"there is no {self.file}"
        raise Unfit(f"{lost}: function {self.function} is {'in ' * bool(now)}{listed(now)}")

    def elsewhere(self, tree):
        """Where the text is gone from the function: where else it stands."""
        now = []
        for name, text in layers(tree):
            code = code_of(text)
            now += [f"{name} {function}" for function, parts in code.functions.items()
                    if find(parts, self.wanted)]
            now += [str(name)] if find(code.rest, self.wanted) else []
        return f"in {listed(now)}" if 0 < len(now) <= 3 else ""

    def edits(self, tree):
        """What to do to the text of the file: (start, end, new text)."""
        found = find(self.parts(tree), self.wanted)
        what = f"`{' '.join(self.wanted)}`"
        if not found:
            where = self.elsewhere(tree)
            raise Unfit(f"text gone from {self.place}: {what}{'; it is ' * bool(where)}{where}")
        if len(found) > 1:
            raise Unfit(f"text found {len(found)} times in {self.place}: {what}")
        return self.edits_at(found[0], read(tree / self.file))

    def edits_at(self, found, text):
        result, i, taken = [], 0, None
        for mark, lines in self.pieces:
            if mark == "+":
                at = taken or found[max(i - 1, 0)]
                new = indented(lines, text, at)
                end = " \\\n" if at.directive else "\n"
                if taken:
                    start, stop, _ = result.pop()
                    result.append((start, stop, new.lstrip()))
                elif i:
                    result.append((at.end, at.end, end + new))
                else:
                    blanks = new[: len(new) - len(new.lstrip())]
                    result.append((at.start, at.start, new.lstrip() + end + blanks))
                taken = None
                continue
            n = len(tokens_of("\n".join(lines)))
            taken = found[i] if mark == "-" and n > 0 else None
            if taken:
                result.append((taken.start, found[i + n - 1].end, " "))
            i += n
        return result


def indented(lines, text, at):
    """The new lines, moved to where the line of `at` begins."""
    line = text[text.rfind("\n", 0, at.start) + 1 : at.start]
    blanks = line[: len(line) - len(line.lstrip())]
    first = len(lines[0]) - len(lines[0].lstrip())
    end = " \\\n" if at.directive else "\n"
    return end.join(blanks + (line[first:] if not line[:first].strip() else line.lstrip())
                    for line in lines)


class Mutation:
    def __init__(self, path):
        self.name = path.stem
        self.path = path
        self.head = {}
        self.replacements = []
        place, lines = None, []
        last = ""  # of the head
        for number, line in enumerate(path.read_text().splitlines() + [""], 1):
            head = re.fullmatch(r"(protocol|test|why): (.*\S)\s*", line)
            begin = re.fullmatch(r"in (\S+)(?: (\w+))?\s*", line)
            if lines and (begin or not line.strip()):
                self.add(number, place, lines)
                lines = []
            if begin:
                place = (begin[1], begin[2] or "")
            elif place and line.strip() and line[0] in "-+ ":
                lines.append(line)
            elif head and not place:
                last = head[1]
                self.head[last] = head[2]
            elif last and not place and line.startswith(" "):
                self.head[last] += " " + line.strip()
            elif line.strip():
                sys.exit(f"{path}:{number}: what is this? {line}")
        missing = {"protocol", "test", "why"} - set(self.head)
        if missing:
            sys.exit(f"{path}: the head lacks {', '.join(sorted(missing))}")
        if not self.replacements:
            sys.exit(f"{path}: it breaks nothing")

    def add(self, number, place, lines):
        replacement = Replacement(*place, lines)
        if not replacement.wanted:
            sys.exit(f"{self.path}:{number}: no text says where the new one goes")
        if all(line[0] == " " for line in lines):
            sys.exit(f"{self.path}:{number}: a replacement that replaces nothing")
        self.replacements.append(replacement)

    def apply(self, tree):
        """Break the tree. Returns what the files were, and what they are now, to be taken back."""
        edits = {}
        for replacement in self.replacements:
            edits.setdefault(tree / replacement.file, []).extend(replacement.edits(tree))
        saved = {}
        for path, some in edits.items():
            text = old = read(path)
            some.sort(key=lambda edit: edit[:2], reverse=True)
            for later, earlier in itertools.pairwise(some):
                if earlier[1] > later[0] or earlier[:2] == later[:2]:
                    raise Unfit(f"two replacements meet in {path.relative_to(tree)}")
            for start, end, new in some:
                text = text[:start] + new + text[end:]
            if [t.text for t in tokens_of(text)] == [t.text for t in tokens_of(old)]:
                raise Unfit(f"nothing is changed in {path.relative_to(tree)}")
            saved[path] = (old, text)
        for path, (_, text) in saved.items():
            path.write_bytes(text.encode())
        return saved

    def take_back(self, saved):
        for path, (old, text) in saved.items():
            if read(path) != text:
                sys.exit(f"{self.name} cannot be taken back: somebody else has written {path}")
            path.write_bytes(old.encode())
