# SPDX-License-Identifier: MIT
"""What the checks of the figures in docs/porting.md share (stress/lint/stack, size).

A table stands between the lines `<!-- NAME -->` and `<!-- end NAME -->`, has the columns of its
head, and in each row a key and a number of bytes.
"""

import concurrent.futures
import os
import re
import subprocess
import sys

COMMAND = ("gcc -std=gnu17 -ffreestanding -fno-pic -fno-stack-protector -mgeneral-regs-only "
           "-mno-red-zone").split()
LOWEST = 0.75  # of what is published


def compile_layers(source, work, options):
    """The objects of all sources of the layers."""
    text = (source / "core/cmake/layers.cmake").read_text()
    names = re.findall(r"^    ((?:core|percpu|numa)/\S+?\.c)", text, re.MULTILINE)

    def one(name):
        target = work / (name.replace("/", "-")[:-2] + ".o")
        subprocess.run([*COMMAND, *options, "-I", source / "include", "-I", source, "-c",
                        source / name, "-o", target], check=True, cwd=work)
        return target

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(one, names))


def rounded(bytes_):
    return (bytes_ * 11 // 10 + 15) // 16 * 16


def check(source, name, rows, write):
    """Compare the rows with the table; how many do not hold."""
    path = source / "docs/porting.md"
    text = path.read_text()
    match = re.search(rf"(<!-- {name} -->\n)(.*?)(<!-- end {name} -->)", text, re.DOTALL)
    if not match:
        sys.exit(f"{path}: no table {name}")
    if write:
        head = "\n".join(match[2].splitlines()[:2])
        body = "".join(f"| {key} | {rounded(bytes_)} |\n" for key, bytes_ in rows.items())
        path.write_text(text[: match.start(2)] + f"{head}\n{body}" + text[match.end(2):])
        return 0
    table = {key: int(most) for key, most in re.findall(r"^\| (.*?) \| (\d+) \|$", match[2],
                                                        re.MULTILINE)}
    failed = 0
    for key in {**rows, **table}:
        have, said = rows.get(key), table.get(key)
        if have is None or said is None or have > said or have < said * LOWEST - 32:
            print(f"docs/porting.md, {name}: {key} takes {have} bytes, and the table says {said}")
            failed += 1
    return failed
