"""Runs and watches traces: a program that memray records from its start, or a process that memray is put into."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress

from airmem._version import __version__
from airmem.collect import clock
from airmem.collect.processes import collect_tree_processes
from airmem.collect.trace_place import MODE_FIELDS
from airmem.collect.trace_subject import catches, has_open, holds_below
from airmem.errors import UsageProblem
from airmem.kernel.cmdline import redact
from airmem.model.trace import TraceProgress
from airmem.probes import memray, traces
from airmem.probes.runner import start_program
from airmem.probes.writer_notes import MOST_CRAMPED, growth_bytes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from airmem.kernel.source import Source
    from airmem.model.trace import TracePlan
    from airmem.probes.runner import Running

    Show = Callable[[TraceProgress], object]

PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
ENDING = (signal.SIGTERM, signal.SIGHUP)
"""After these nobody waits for an answer: a service manager has asked to end, and will not wait for long."""

FROM_KERNEL = 0x80
"""si_code SI_KERNEL: the terminal sent it, to the program as well (sigaction(2))."""

AIRFLOW_NAMES = {"api-server": "api", "dag-processor": "dag_processor"}
"""Component -> how Airflow begins the name of its capture, where that differs (airflow/utils/memray_utils.py)."""

REPEATED_SECONDS = 0.2
"""A signal that comes twice from one process within this time was sent to airmem and to its group. It is passed on
once, since to Airflow a second SIGTERM means not to wait for running tasks."""

LOOK_SECONDS = 0.5
SETTLE_SECONDS = 2.0


class Growth:
    """Sizes over time. `cramped` are the files that could not grow when they were last looked at."""

    def __init__(self, folder: str, elsewhere: str = "") -> None:
        self._folder = folder
        self._elsewhere = elsewhere
        self._began = clock.monotonic_seconds()
        self._last = (0.0, 0)
        self._rate = 0.0
        self.cramped: list[str] = []

    def look(self, stage: str) -> TraceProgress:
        """Return how far it is; growth is in bytes per second over the last two seconds or more."""
        files = [*traces.capture_files(self._folder), *traces.capture_file(self._elsewhere)]
        size_bytes = sum(size for _, size in files)
        free_bytes = traces.free_bytes(self._folder)
        self.cramped = [path for path, size in files if growth_bytes(size) > free_bytes]
        elapsed = clock.monotonic_seconds() - self._began
        if elapsed - self._last[0] >= 2.0:
            self._rate = max(0.0, (size_bytes - self._last[1]) / (elapsed - self._last[0]))
            self._last = (elapsed, size_bytes)
        return TraceProgress(
            elapsed_seconds=elapsed,
            size_bytes=size_bytes,
            file_count=len(files),
            growth_bytes=self._rate,
            free_bytes=free_bytes,
            stage=stage,
        )


class Launch:
    """A program in the foreground that memray records."""

    def __init__(self, source: Source, plan: TracePlan, folder: str, settings: dict[str, str] | None) -> None:
        """Start it. `settings` are variables with which Airflow records by itself, None where memray is to."""
        self._source = source
        self._plan = plan
        self._folder = folder
        self._own_capture = "" if settings is None else _clear_own_capture(plan)
        self._growth = Growth(folder, self._own_capture)
        self._note = describe(plan, None)
        self._cramped: set[int] = set()
        self._seen: list[int] = []
        self._settled_at = 0.0
        self._last = (0, 0, 0.0)
        self.stopped_by = ""
        self.was_asked_to_end = False
        for number in PASSED_ON:  # until the program is there to pass them on to
            signal.signal(number, lambda caught, _frame: self._seen.append(caught))
        at_terminal = any(os.isatty(number) for number in range(3))
        if settings is None:
            traces.make_notes(folder)
            line = memray.launch_line(plan, folder, not at_terminal)
            self._running: Running = start_program(line, own_session=False)
        else:
            self._running = start_program(
                plan.words, environment={**os.environ, **settings}, own_session=not at_terminal
            )
        self._note["pid"] = self._running.pid
        self.note()

    @property
    def pid(self) -> int:
        """The program's process id."""
        return self._running.pid

    def note(self, **more: object) -> None:
        """Write down what is traced and what became of it."""
        self._note.update(more)
        traces.write_document(self._folder, traces.DOCUMENT, self._note)

    def watch(self, show: Show) -> int:
        """Pass signals on and watch the disk until the program ends; return its status, negative for a signal."""
        signal.pthread_sigmask(signal.SIG_BLOCK, {*PASSED_ON, signal.SIGCHLD})
        for number in self._seen:
            self._pass_on(number)
        while (status := self._running.poll()) is None:
            caught = signal.sigtimedwait({*PASSED_ON, signal.SIGCHLD}, LOOK_SECONDS)
            if caught is not None and caught.si_signo != signal.SIGCHLD:
                self.was_asked_to_end |= caught.si_signo in ENDING
                if caught.si_code != FROM_KERNEL and not self._is_repeated(caught.si_signo, caught.si_pid):
                    self._pass_on(caught.si_signo)
            progress = self._growth.look("recording" if not self.stopped_by else "no longer recording")
            show(progress)
            self._note_cramped()
            self._keep_within(progress)
            self._settle()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {*PASSED_ON, signal.SIGCHLD})
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self._growth.look("")
        self._note_cramped()
        self._settle(at_once=True)
        if self._own_capture and traces.capture_file(self._own_capture):
            where = traces.take_in(self._own_capture, self._folder, traces.name_capture(self._plan.label, self.pid))
            self._note["capture_path"] = where  # another file system keeps its own
        self.note(ended_at_seconds=clock.now_seconds(), outcome=self.stopped_by or "ended", status=status)
        return status

    def _is_repeated(self, number: int, sender_pid: int) -> bool:
        """Whether the same was just sent: timeout(1) sends to the process and to its group."""
        before, self._last = self._last, (number, sender_pid, clock.monotonic_seconds())
        return before[:2] == self._last[:2] and self._last[2] - before[2] < REPEATED_SECONDS

    def _pass_on(self, number: int) -> None:
        with suppress(ProcessLookupError):
            self._running.signal(number)

    def _note_cramped(self) -> None:
        """Note which processes record into files that have no room to grow: memray gives up when it next needs some.

        Captures that have their last names were finished before, and need none.
        """
        pids = {traces.read_name(path)[0] for path in self._growth.cramped if not traces.is_settled(path)}
        if self._own_capture in self._growth.cramped:
            pids.add(self.pid)
        new = {pid for pid in pids if pid is not None} - self._cramped
        if new and len(self._cramped) < MOST_CRAMPED:
            self._cramped |= new
            with suppress(UsageProblem):
                self.note(cramped_pids=sorted(self._cramped))

    def _keep_within(self, progress: TraceProgress) -> None:
        """End the recording, not the program, when the budget is used or the disk is nearly full."""
        if self.stopped_by or self._plan.kind == "airflow":
            return
        if progress.size_bytes > self._plan.budget_bytes:
            self.stopped_by = "budget"
        elif progress.free_bytes < self._plan.least_free_bytes:
            self.stopped_by = "disk"
        if self.stopped_by:
            self.stop_recording()

    def stop_recording(self) -> None:
        """Ask every process of the tree that records to end that."""
        for process in collect_tree_processes(self._source, self.pid):
            if holds_below(self._source, process.pid, self._folder) and catches(
                self._source, process.pid, memray.STOP_SIGNAL
            ):
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(process.pid, memray.STOP_SIGNAL)

    def _settle(self, at_once: bool = False) -> None:
        """Give the captures of children that have ended names that no later child can take."""
        now = clock.monotonic_seconds()
        if now < self._settled_at + SETTLE_SECONDS and not at_once:
            return
        self._settled_at = now
        loose = [path for path, _ in traces.capture_files(self._folder) if _is_childs(path)]
        alive = {one.pid for one in collect_tree_processes(self._source, self.pid)} if loose else set()
        for path in loose:
            pid = int(path.rpartition(".")[2])
            if pid not in alive and not has_open(self._source, pid, path):  # a child that stops compresses its file
                with suppress(OSError):
                    traces.settle_child(path)


def _is_childs(path: str) -> bool:
    """Whether memray named a capture after its parent's, by a pid that may come round again."""
    return path.rpartition(".")[2].isdecimal() and not traces.is_settled(path)


class Attachment:
    """A process with memray put into it by a supervisor."""

    def __init__(self, plan: TracePlan, folder: str) -> None:
        """Start the supervisor, which begins at once."""
        assert plan.subject is not None  # noqa: S101  # a plan to attach has one
        subject = plan.subject
        self._folder = folder
        self._growth = Growth(folder)
        attempt = traces.make_attempt(folder, subject.user_id, subject.group_id)
        name = traces.name_capture(plan.label, subject.process.pid)
        output = os.path.join(attempt, name)
        attach = memray.attach_line(plan.python.executable, plan.mode, output, subject.process.pid)
        detach = memray.detach_line(plan.python.executable, subject.process.pid)
        environment = dict(os.environ)
        if subject.user_id != os.geteuid():
            user = (subject.user_id, subject.group_id)
            attach, detach = memray.as_user(user, attach), memray.as_user(user, detach)
            environment = memray.environment_of(subject.user_id)
        document: dict[str, Any] = {
            "airmem_pid": os.getpid(),
            "pid": subject.process.pid,
            "start_ticks": subject.process.start_ticks,
            "attach": attach,
            "detach": detach,
            "deadline_seconds": plan.wait_seconds,
            "duration_seconds": plan.duration_seconds,
            "budget_bytes": plan.budget_bytes,
            "least_free_bytes": plan.least_free_bytes,
            "attempt_folder": attempt,
            "output": output,
            "final": os.path.join(folder, name),
            "state": os.path.join(folder, traces.STATE),
        }
        traces.write_document(folder, traces.PLAN, document)
        traces.write_document(folder, traces.DOCUMENT, describe(plan, subject.process.pid))
        line = memray.supervisor_line(sys.executable, os.path.join(folder, traces.PLAN))
        self._supervisor = start_program(line, environment=memray.debugger_environment(environment))

    def watch(self, show: Show) -> dict[str, Any]:
        """Wait for the end and return the supervisor's last word: ended, or waiting where memray cannot leave yet.

        Ctrl-C and SIGTERM end the trace early; the supervisor then does what is safe for the target.
        """

        def ask(_number: int, _frame: object) -> None:
            self._supervisor.signal(signal.SIGTERM)

        before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
        try:
            while True:
                ended = self._supervisor.poll() is not None
                state = traces.read_document(self._folder, traces.STATE) or {"stage": "attaching"}
                show(self._growth.look(str(state["stage"])))
                if ended or state["stage"] in ("ended", "waiting"):
                    return state
                clock.pause_seconds(LOOK_SECONDS / 5)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def describe(plan: TracePlan, pid: int | None) -> dict[str, Any]:
    """Return the document of a trace that begins now; secrets in its command line are replaced."""
    title = plan.title if plan.kind == "attach" else " ".join(redact(tuple(plan.title.split(" "))))
    return {
        "airmem_version": __version__,
        "kind": plan.kind,
        "label": plan.label,
        "title": title,
        "pid": pid,
        "python": {name: getattr(plan.python, name) for name in memray.PYTHON_FACTS},
        "mode": {name: getattr(plan.mode, name) for name in MODE_FIELDS},
        "began_at_seconds": clock.now_seconds(),
        "duration_seconds": plan.duration_seconds,
        "budget_bytes": plan.budget_bytes,
        "ended_at_seconds": None,
        "outcome": "",
        "status": None,
    }


def _clear_own_capture(plan: TracePlan) -> str:
    """Return where Airflow will write, after an old capture there was renamed: with one it would not start.

    The folder is the one that Airflow itself chooses (airflow.configuration.get_airflow_home).
    """
    home = os.path.expanduser(os.environ.get("AIRFLOW_HOME", "~/airflow"))
    path = os.path.join(home, f"{AIRFLOW_NAMES.get(plan.label, plan.label)}_memory.bin")
    traces.move_aside(path)
    return path
