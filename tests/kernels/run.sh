#!/bin/sh
# Runs airmem on Debian's kernels under emulation; see run.py beside this file for what it needs and its options.
python=.venv/bin/python
[ -x "$python" ] || python=python3
exec "$python" "$(dirname "$0")/run.py" "$@"
