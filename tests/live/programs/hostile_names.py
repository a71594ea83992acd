"""Allocate in code whose names hold terminal escapes, HTML, and what a spreadsheet takes for a formula."""

kept = []
NAME = "=cmd|\x1b[31m</td><script>alert(1)</script>\u202e.py"
exec(compile("def f():\n    kept.append(bytearray(5 << 20))\nf()\n", "/tmp/" + NAME, "exec"), {"kept": kept})
