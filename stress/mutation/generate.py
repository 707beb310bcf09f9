# SPDX-License-Identifier: MIT
"""The mutations that follow from the sources: what the labels say is taken back, one at a time.

Of each atomic operation of LAYERS (core/atomic.h), by the order that it names:

    acq_rel             becomes acquire, and becomes release
    acquire, release    become relaxed
    a full fence        is left out
    a compare-and-swap  does not compare: it stores, and says that all went well

and of each `if` that is the first one behind a full fence of its function, which is the look again
that the fence is for, and of each loop or variable that is bounded by a number of tries:

    the look            is skipped: the `if` is not taken
    the bound           is left out: it goes on as long as it has something to do

A mutation is named by what it is in the code, not by a line, so that code may move:

    core/alloc/count.c:qi_count_take:cas.2:acq_rel>release      the second such cas of the function
    core/blocks/home.c:qi_home_take:look.1:skipped

noticed/LAYER.txt names the test that notices it, and the case; or `mutation` and a name: what is
broken by hand there is the same or less, or the order that this one allows, which no search that
runs statements in their order comes to; its own test notices it. Where none can, the comment beside
the operation says so, and why:

    /* E-desc acquire: the map; could be relaxed: the exchange below acquires it */

The words are `could be ORDER`, `could be left out` (a fence), `could be a store` (a
compare-and-swap that does not compare), `could be skipped` (a look) and `could be endless` (a
bound). noticed/open.txt lists those that wait for a test: code that no interleaving test compiles.
"""

import bisect
import collections
import importlib.machinery
import importlib.util
import pathlib
import re
import sys

import mutation

LAYERS = "core", "percpu", "numa"
TABLES = mutation.MUTATIONS / "noticed"
OPEN = "open.txt"  # of TABLES: those that no test notices yet
WEAKER = {"acq_rel": ("acquire", "release"), "acquire": ("relaxed",), "release": ("relaxed",)}
COULD = re.compile(r"\bcould be (relaxed|acquire|release|left out|a store|skipped|endless): \w")
WORDS = {"relaxed": "relaxed", "acquire": "acquire", "release": "release", "none": "left out",
         "store": "a store", "skipped": "skipped", "endless": "endless"}  # of a comment
TRIES = re.compile(r"\b(?:\w+_)?TRIES\b|\btries\b")

# What the command line of an interleaving test calls an operation: see broken.hpp.
Broken = collections.namedtuple("Broken", "file first last kind order to")


def labels_of(tree):
    """The check of the labels, as a module: it knows which comment explains which operation."""
    loader = importlib.machinery.SourceFileLoader("labels", str(tree / "stress/lint/labels"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("labels", loader))
    loader.exec_module(module)
    return module


class Generated:
    """One mutation: its name, and how it is done: as an option, or as an edit of the file."""

    def __init__(self, name, file, comments, word, broken=None, edit=None):
        self.name, self.file = name, file
        self.broken = broken  # a Broken, or None
        self.edit = edit  # (start, end, new text), or None
        self.reasons = [c for c in comments if word in COULD.findall(c.words)]
        self.word = word

    @property
    def layer(self):
        return self.file.split("/")[0]

    @property
    def option(self):
        b = self.broken
        return f"--broken={b.file}:{b.first}-{b.last}:{b.kind}:{b.order}:{b.to}"


class File:
    """What is generated of one file."""

    def __init__(self, tree, path, labels):
        self.name = str(path.relative_to(tree))
        self.text = mutation.read(path)
        self.comments, self.code = labels.split(self.text)
        self.labels = labels
        self.ends = [m.start() for m in re.finditer("\n", self.text)]
        self.found, self.counts = [], collections.Counter()
        for function, parts in mutation.code_of(self.text).functions.items():
            for part in parts:
                self.function(function, part)

    def line(self, at):
        return bisect.bisect_left(self.ends, at) + 1

    def add(self, function, what, to, comments, **how):
        name = f"{self.name}:{function}:{what}:{to}"
        self.found.append(Generated(name, self.name, comments, WORDS[to.rpartition(">")[2]], **how))

    def number(self, function, what):
        self.counts[function, what] += 1
        return f"{what.split()[0]}.{self.counts[function, what]}"

    def function(self, function, part):
        start, end = part[0].start, part[-1].end
        fences = []
        for use in self.labels.operations(self.code):
            if not start <= use.start < end:
                continue
            kind = use.macro.removeprefix("qa_").partition("_")[0]
            beside = use.beside(self.comments)
            lines = self.line(use.start), self.line(use.end)
            if kind == "fence":
                fences.append(use.end)
                self.add(function, self.number(function, "fence"), "seq_cst>none", beside,
                         broken=Broken(self.name, *lines, kind, "seq_cst", "none"))
                continue
            what = self.number(function, f"{kind} {use.order}")
            for to in WEAKER.get(use.order, ()):
                self.add(function, what, f"{use.order}>{to}", beside,
                         broken=Broken(self.name, *lines, kind, use.order, to))
            if kind == "cas":
                self.add(function, what, f"{use.order}>store", beside,
                         broken=Broken(self.name, *lines, kind, use.order, "none"))
        self.looks(function, part, fences)
        self.bounds(function, part)

    def near(self, at):
        """The comments on the line of `at`, or by themselves right above."""
        line = self.line(at)
        return [c for c in self.comments if c.first == line or (c.alone and c.last == line - 1)]

    def behind(self, part, fence):
        """The tokens that are executed behind a fence: not the other branches of what it is in."""
        rest = [token for token in part if token.start > fence]
        depth = i = 0
        while i < len(rest):
            depth += {"{": 1, "}": -1}.get(rest[i].text, 0)
            if depth < 0 and rest[i].text == "else":
                inner = 0  # up to the end of the statement
                while i < len(rest):
                    inner += {"{": 1, "(": 1, "}": -1, ")": -1}.get(rest[i].text, 0)
                    over = inner == 0 and rest[i].text in "};"
                    if over and not (i + 1 < len(rest) and rest[i + 1].text == "else"):
                        break
                    i += 1
            elif i < len(rest):
                yield rest[i]
            i += 1

    def looks(self, function, part, fences):
        for fence, beyond in zip(fences, fences[1:] + [part[-1].end]):
            for token in self.behind(part, fence):
                if token.start < beyond and token.text == "if":
                    opened = self.code.index("(", token.end)
                    asked = self.code[opened + 1 : self.labels.arguments_end(self.code, opened)]
                    if asked.strip() == "error":  # no look, but the way out behind one
                        continue
                    self.add(function, self.number(function, "look"), "skipped", self.near(fence)
                             + self.near(token.start), edit=(opened, opened + 1, "(0 && "))
                    closed = self.labels.arguments_end(self.code, opened)
                    edit = self.found[-1].edit
                    self.found[-1].edit = (edit[0], closed + 1,
                                           f"(0 && {self.text[opened:closed + 1]})")
                    break

    def bounds(self, function, part):
        for token in part:
            if token.text != "for":
                continue
            opened = self.code.index("(", token.end)
            closed = self.labels.arguments_end(self.code, opened)
            head = self.code[opened + 1 : closed].split(";")
            if len(head) != 3 or not TRIES.search(head[1]):
                continue
            begin = opened + 1 + len(head[0]) + 1
            limits = [m for m in re.finditer(r"\b\w+ < [^&;]+?(?= &&|$)", head[1])
                      if TRIES.search(m[0])]
            if not limits:
                continue
            self.add(function, self.number(function, "bound"), "endless", self.near(token.start),
                     edit=(begin + limits[0].start(), begin + limits[0].end(),
                           f"({limits[0][0]} || 1)"))  # what it names stays in use


def generate(tree):
    """All mutations of a tree, in the order of their files; and what is wrong with the comments."""
    labels = labels_of(tree)
    every, wrong = [], []
    for layer in LAYERS:
        for path in sorted((tree / layer).rglob("*.[ch]")):
            if any(path.match(pattern) for pattern in labels.OWN):
                continue
            file = File(tree, path, labels)
            every += file.found
            used = {(c.first, m.word) for m in file.found for c in m.reasons}
            wrong += [f"{file.name}:{c.first}: `could be {word}`: nothing beside it could be that"
                      for c in file.comments for word in COULD.findall(c.words)
                      if (c.first, word) not in used]
    return every, wrong


class Table:
    """noticed/*.txt: which test notices which mutation, `NAME  TEST CASE`, and which are open,
    `NAME` alone; # begins a remark."""

    BY_HAND = "mutation"  # in place of a test

    def __init__(self, tree):
        self.tree = tree
        self.folder, self.tests, self.open, self.wrong = tree / TABLES, {}, set(), []
        for path in sorted(self.folder.glob("*.txt")):
            for number, line in enumerate(path.read_text().splitlines(), 1):
                words = line.partition("#")[0].split()
                if not words:
                    continue
                if len(words) != (1 if path.name == OPEN else 3):
                    sys.exit(f"{path}:{number}: not understood: {line}")
                if words[0] in self.tests or words[0] in self.open:
                    self.wrong.append(f"{path.name}:{number}: {words[0]} is there twice")
                if path.name == OPEN:
                    self.open.add(words[0])
                else:
                    self.tests[words[0]] = (words[1], words[2])

    def check(self, every):
        """What does not fit: each mutation is noticed, or argued beside the code, or open."""
        wrong, names = self.wrong[:], {m.name for m in every}
        for m in every:
            said = [m.name in self.tests, m.name in self.open, bool(m.reasons)]
            if sum(said) > 1:
                wrong.append(f"{m.name}: it has two of a test, `could be {m.word}`, and open.txt")
            elif not any(said):
                wrong.append(f"{m.name}: it has neither a test nor `could be {m.word}` beside it")
        wrong += [f"{m.name}: {self.tests[m.name][1]}.mutation does not break {m.file}"
                  for m in every if self.is_by_hand(m.name) and not self.breaks(m)]
        wrong += [f"{name}: there is no such mutation (any more)"
                  for name in sorted((set(self.tests) | self.open) - names)]
        return wrong

    def is_by_hand(self, name):
        return self.tests.get(name, ("",))[0] == self.BY_HAND

    def breaks(self, m):
        """Is there this mutation by hand, and is it of the same file?"""
        paths = (self.tree / mutation.MUTATIONS).rglob(f"{self.tests[m.name][1]}.mutation")
        return any(r.file == m.file for p in paths for r in mutation.Mutation(p).replacements)

    def write(self, every):
        """Write the tables anew, in the order of the sources; what is gone is left out."""
        self.folder.mkdir(exist_ok=True)
        for layer in LAYERS:
            some = [m.name for m in every if m.layer == layer and m.name in self.tests]
            wide = max(map(len, some), default=0)
            self.put(f"{layer}.txt", "Which test notices which generated mutation: mutation, test, "
                     "case.", [f"{n:{wide}}  {' '.join(self.tests[n])}" for n in some])
        self.put(OPEN, "Generated mutations that no interleaving test notices yet.",
                 [m.name for m in every if m.name not in self.tests and not m.reasons])

    def put(self, name, what, lines):
        head = [f"# {what}",
                "# Written by `./dev mutate --generated --search`; see ../generate.py."]
        (self.folder / name).write_text("\n".join(head + [""] + lines) + "\n")
