#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Put files into a ramdisk: ramdisk.py RAMDISK FILE... (the form: kernel/user/ramdisk.h)."""

import pathlib
import struct
import sys

PAGE = 4096
NAME = 32


def pad(data):
    return data + bytes(-len(data) % PAGE)


def main():
    if len(sys.argv) < 3:
        sys.exit("ramdisk.py: say ramdisk.py RAMDISK FILE...")
    files = [(pathlib.Path(path).name, pathlib.Path(path).read_bytes()) for path in sys.argv[2:]]
    offset = -(-(16 + 48 * len(files)) // PAGE) * PAGE
    table, contents = struct.pack("<8sQ", b"quire rd", len(files)), b""
    for name, data in files:
        if not name.isascii() or not 0 < len(name) < NAME:
            sys.exit(f"ramdisk.py: '{name}' is not a name of 1 to {NAME - 1} ASCII characters")
        table += struct.pack(f"<{NAME}sQQ", name.encode(), offset + len(contents), len(data))
        contents += pad(data)
    pathlib.Path(sys.argv[1]).write_bytes(pad(table) + contents)


if __name__ == "__main__":
    try:
        main()
    except OSError as error:
        sys.exit(f"ramdisk.py: {error}")
