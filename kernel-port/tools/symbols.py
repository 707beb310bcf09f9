#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""symbols.py NM KERNEL OUT: write the functions of a linked kernel as the C table of symbols.h."""

import subprocess
import sys


def main(nm, kernel, out):
    lines = subprocess.run([nm, "-n", kernel], check=True, capture_output=True, text=True).stdout
    found = [(words[0], words[2]) for words in map(str.split, lines.splitlines())
             if len(words) == 3 and words[1] in "tT"]
    if not found:
        sys.exit(f"symbols.py: no function in {kernel}")
    with open(out, "w", encoding="ascii") as file:
        file.write('#include "kernel-port/kernel/lib/symbols.h"\n'
                   '#define TABLE __attribute__((section(".symbols")))\n'
                   "const struct symbol symbols[] TABLE = {\n")
        for address, name in found:
            file.write(f'    {{0x{address}, "{name}"}},\n')
        file.write(f"}};\nconst uint32_t symbol_count TABLE = {len(found)};\n")


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit("usage: symbols.py NM KERNEL OUT")
    main(*sys.argv[1:])
