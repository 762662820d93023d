# SPDX-License-Identifier: Apache-2.0
"""The exit codes of the commands, read from the header that defines them."""

import os
import re

HEADER = os.path.join(os.path.dirname(__file__), "../../src/util/exitcode.h")

with open(HEADER) as _file:
    NUMBERS = {
        match[1]: int(match[2])
        for match in re.finditer(r"^\s*EXIT_(\w+) = (\d+),", _file.read(), re.MULTILINE)
    }


def name_of(number):
    for name, value in NUMBERS.items():
        if value == number:
            return name
    return f"{number} (not in exitcode.h)"
