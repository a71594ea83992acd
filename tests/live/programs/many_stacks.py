"""Hold many small allocations, each at a call stack of its own: `many_stacks.py STACKS`."""

import sys

KEPT = []
LINES = 8
BODY = "def visit(depth, left):\n    if depth == 0:\n        keep(left)\n        return\n" + "".join(
    f"    if left[0] > 0:\n        visit(depth - 1, left)  # line {number}\n" for number in range(LINES)
)
"""A function that calls itself from LINES lines: LINES ** depth stacks."""


def keep(left):
    KEPT.append(bytearray(600))  # more than pymalloc takes: memray sees it in every mode
    left[0] -= 1


def main():
    names = {"keep": keep}
    exec(compile(BODY, "branches.py", "exec"), names)
    names["visit"](6, [int(sys.argv[1])])


main()
print(len(KEPT), flush=True)
