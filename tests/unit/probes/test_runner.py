from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from airmem.probes.runner import ProgramMissing, find_program, run_program, start_program


def python(code: str) -> list[str]:
    return [sys.executable, "-c", textwrap.dedent(code)]


def is_alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    except FileNotFoundError:
        return False


def is_gone(pid: int) -> bool:
    until = time.monotonic() + 60
    while is_alive(pid) and time.monotonic() < until:
        time.sleep(0.02)
    return not is_alive(pid)


def test_output_and_status_are_the_programs_own():
    done = run_program(
        python("import sys; print(sys.stdin.read()[::-1], end=''); print('e', file=sys.stderr); sys.exit(7)"),
        deadline_seconds=60,
        stdin=b"abc",
    )
    assert (done.status, done.stdout, done.stderr) == (7, b"cba", b"e\n")
    assert not done.timed_out
    assert not done.is_cut


def test_environment_and_folder_are_those_given(tmp_path):
    done = run_program(
        python("import os; print(os.getcwd(), sorted(set(os.environ) - {'LC_CTYPE'}))"),
        deadline_seconds=60,
        environment={"A": "1"},
        cwd=str(tmp_path),
    )
    assert done.stdout.decode().strip() == f"{tmp_path} ['A']"


def test_a_signal_is_told_as_a_negative_status():
    done = run_program(python("import os; os.kill(os.getpid(), 9)"), deadline_seconds=60)
    assert done.status == -signal.SIGKILL
    assert not done.timed_out


def test_the_deadline_ends_the_program_and_what_it_started():
    done = run_program(
        python("""
            import subprocess, sys, time
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
            print(child.pid, flush=True)
            time.sleep(600)
        """),
        deadline_seconds=3,
    )
    assert done.timed_out
    assert done.status == -signal.SIGKILL
    assert is_gone(int(done.stdout))


def test_a_descendant_that_keeps_the_output_open_does_not_hold_us_up():
    done = run_program(
        python("""
            import subprocess, sys
            print(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]).pid)
        """),
        deadline_seconds=300,
    )
    assert done.status == 0
    assert not done.timed_out
    assert is_gone(int(done.stdout))


def test_a_flood_is_cut():
    done = run_program(python("while True: print('x' * 10000)"), deadline_seconds=300, max_output_bytes=100_000)
    assert done.is_cut
    assert not done.timed_out
    assert len(done.stdout) == 100_000


def test_a_missing_program_is_an_error_with_a_remedy():
    with pytest.raises(ProgramMissing) as caught:
        run_program(["no-such-program-here"], deadline_seconds=1)
    assert "no-such-program-here cannot be run" in caught.value.cause
    assert caught.value.remedy
    assert caught.value.exit_status == 5


def test_a_program_beside_this_python_is_found_first():
    assert find_program("python") == os.path.join(os.path.dirname(sys.executable), "python")
    assert find_program("no-such-program-here") is None


@pytest.mark.parametrize(("dies", "number"), [(True, signal.SIGKILL), (True, signal.SIGTERM), (False, signal.SIGKILL)])
def test_a_program_ends_with_us_if_it_should(dies, number):
    caller = subprocess.Popen(
        python(f"""
            import time
            from airmem.probes.runner import start_program
            running = start_program(["sleep", "600"], dies_with_us={dies})
            print(running.pid, flush=True)
            time.sleep(600)
        """),
        stdout=subprocess.PIPE,
    )
    pid = int(caller.stdout.readline())
    caller.send_signal(number)
    caller.wait()
    caller.stdout.close()
    if dies:
        assert is_gone(pid)
    else:
        assert is_alive(pid)
        os.kill(pid, signal.SIGKILL)


def test_a_started_program_is_polled_waited_for_and_signaled():
    running = start_program(["sleep", "600"])
    assert running.poll() is None
    assert running.wait(0.01) is None
    assert os.getsid(running.pid) == running.pid
    running.signal(signal.SIGTERM)
    assert running.wait(60) == -signal.SIGTERM
    running.signal(signal.SIGTERM)
