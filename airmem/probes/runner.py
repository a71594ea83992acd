"""Runs other programs: the only user of subprocess.

A program runs in a session of its own, so that Ctrl-C at the terminal reaches airmem alone, which then ends the program
the way that is safe for its target. On its deadline the program's whole group gets SIGKILL.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from airmem.errors import NotMeasurable
from airmem.model.noun import noun

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import IO

PR_SET_PDEATHSIG = 1
"""prctl(2): the signal that a process gets when the thread that made it ends."""

LEAST_WAIT_SECONDS = 0.001
LONGEST_WAIT_SECONDS = 0.05


class ProgramMissing(NotMeasurable):
    """A program that is not there, or that may not be executed (exit status 5)."""


@noun
class Completed:
    """What a program left.

    `status` is its exit status, negative for the signal that ended it. `is_cut` tells that it wrote more than was asked
    for: the rest is lost. `seconds` is wall time.
    """

    status: int
    stdout: bytes
    stderr: bytes
    timed_out: bool
    is_cut: bool
    seconds: float


class Running:
    """A program that was started and that goes on."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        """Its process id, which stays its own until `wait` or `poll` has told how it ended."""
        return self._process.pid

    def poll(self) -> int | None:
        """Return its exit status, negative for a signal, or None while it runs."""
        return self._process.poll()

    def wait(self, seconds: float | None = None) -> int | None:
        """Return its exit status, negative for a signal, or None when it still runs after so many seconds."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        self._process.send_signal(number)


def find_program(name: str) -> str | None:
    """Return the path of a program that came with this Python's packages, else of the one in PATH, else None."""
    from shutil import which  # noqa: PLC0415  # most programs are named with their paths

    beside = os.path.join(os.path.dirname(sys.executable), name)
    return beside if os.access(beside, os.X_OK) else which(name)


def run_program(
    argv: Sequence[str],
    *,
    deadline_seconds: float,
    environment: Mapping[str, str] | None = None,
    cwd: str | None = None,
    stdin: bytes = b"",
    max_output_bytes: int = 64 << 20,
    dies_with_us: bool = True,
    before_exec: Callable[[], None] | None = None,
) -> Completed:
    """Run a program to its end and return what it left; at the deadline its whole group gets SIGKILL.

    `environment` None is airmem's own. With `dies_with_us` the kernel ends it with the thread that called this.
    `before_exec` is called in the child between fork and exec: nothing but system calls.
    Its output goes through files in memory: what a descendant keeps open cannot hold airmem up. Raises ProgramMissing.
    """
    began = time.monotonic()
    with _unnamed() as given, _unnamed() as out, _unnamed() as err:
        given.write(stdin)
        given.seek(0)
        process = _open(
            argv,
            stdin=given,
            stdout=out,
            stderr=err,
            environment=environment,
            cwd=cwd,
            own_session=True,
            dies_with_us=dies_with_us,
            before_exec=before_exec,
        )
        timed_out = False
        try:
            timed_out = not _ended_within(process, began + deadline_seconds, (out, err), max_output_bytes)
        finally:
            # Its pid stays reserved until it is waited for, so the group is still its own; what it left goes too.
            _signal_group(process.pid, signal.SIGKILL)
            process.wait()
        stdout, out_is_cut = _kept(out, max_output_bytes)
        stderr, err_is_cut = _kept(err, max_output_bytes)
    return Completed(
        status=process.returncode,
        stdout=stdout,
        stderr=stderr,
        timed_out=timed_out,
        is_cut=out_is_cut or err_is_cut,
        seconds=time.monotonic() - began,
    )


def start_program(
    argv: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    cwd: str | None = None,
    stdout: int | IO[bytes] | None = None,
    stderr: int | IO[bytes] | None = None,
    own_session: bool = True,
    dies_with_us: bool = False,
) -> Running:
    """Start a program and return at once; `stdout` and `stderr` None are airmem's own. Raises ProgramMissing."""
    process = _open(
        argv,
        stdin=subprocess.DEVNULL if own_session else None,  # a terminal's input belongs to its own session
        stdout=stdout,
        stderr=stderr,
        environment=environment,
        cwd=cwd,
        own_session=own_session,
        dies_with_us=dies_with_us,
    )
    return Running(process)


def _unnamed() -> IO[bytes]:
    """Return a file in memory: it needs no place that can be written, as with a read-only root."""
    return open(os.memfd_create("airmem", os.MFD_CLOEXEC), "w+b")  # its caller closes it


def _open(
    argv: Sequence[str],
    *,
    stdin: int | IO[bytes] | None,
    stdout: int | IO[bytes] | None,
    stderr: int | IO[bytes] | None,
    environment: Mapping[str, str] | None,
    cwd: str | None,
    own_session: bool,
    dies_with_us: bool,
    before_exec: Callable[[], None] | None = None,
) -> subprocess.Popen[bytes]:
    steps = [_dying_with(os.getpid())] if dies_with_us else []
    steps += [before_exec] if before_exec else []
    try:
        return subprocess.Popen(  # noqa: S603  # a list, never through a shell
            list(argv),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            env=None if environment is None else dict(environment),
            cwd=cwd,
            start_new_session=own_session,
            preexec_fn=(lambda: [step() for step in steps]) if steps else None,  # noqa: PLW1509  # few system calls
        )
    except OSError as error:
        remedy = "Give the path of an executable file" if os.sep in argv[0] else "Install it, or give its whole path"
        raise ProgramMissing(f"{argv[0]} cannot be run: {error.strerror}", remedy) from error


def _dying_with(parent_pid: int) -> Callable[[], None]:
    prctl = ctypes.CDLL(None).prctl  # looked up before the fork: little may be done between fork and exec

    def ask_the_kernel() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent_pid:  # it ended before the kernel was asked
            os._exit(1)

    return ask_the_kernel


def _ended_within(
    process: subprocess.Popen[bytes], until: float, outputs: tuple[IO[bytes], ...], max_output_bytes: int
) -> bool:
    """Wait for the end without reaping: its pid, which is its group's, must not be given to somebody else."""
    pause = LEAST_WAIT_SECONDS
    while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        if time.monotonic() >= until:
            return False
        if any(os.fstat(output.fileno()).st_size > max_output_bytes for output in outputs):
            return True
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_WAIT_SECONDS)
    return True


def _signal_group(group: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, number)


def _kept(output: IO[bytes], most: int) -> tuple[bytes, bool]:
    output.seek(0)
    kept = output.read(most + 1)
    return kept[:most], len(kept) > most
