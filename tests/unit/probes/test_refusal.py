"""Programs that may not call process_vm_readv."""

from __future__ import annotations

import os
import platform
import shutil
import sys

import pytest

from airmem.probes.refusal import PROCESS_VM_READV, refusing_shared_reads
from airmem.probes.runner import run_program

ASKING = """
import ctypes, errno, os
libc = ctypes.CDLL(None, use_errno=True)
source, target = ctypes.create_string_buffer(b"secret"), ctypes.create_string_buffer(6)
class Piece(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]
local, remote = Piece(ctypes.addressof(target), 6), Piece(ctypes.addressof(source), 6)
got = libc.process_vm_readv(os.getpid(), ctypes.byref(local), 1, ctypes.byref(remote), 1, 0)
print(got, errno.errorcode.get(ctypes.get_errno(), "no error"))
"""

pytestmark = pytest.mark.skipif(platform.machine() not in PROCESS_VM_READV, reason="needs x86_64 or aarch64")


def asked(before_exec):
    """Return what a program got that read its own memory by process_vm_readv."""
    done = run_program([sys.executable, "-c", ASKING], deadline_seconds=60, before_exec=before_exec)
    assert done.status == 0, done.stderr
    return done.stdout.decode().strip()


def test_the_call_is_refused_as_by_a_kernel_without_it():
    if asked(None) != "6 no error":
        pytest.skip("needs a place where process_vm_readv is allowed")
    assert asked(refusing_shared_reads(sys.executable)) == "-1 ENOSYS"


def test_a_program_that_gains_rights_by_its_file_keeps_them(tmp_path):
    program = shutil.copy("/bin/true", tmp_path / "program")
    assert refusing_shared_reads(str(program)) is not None
    os.chmod(program, 0o4755)
    assert refusing_shared_reads(str(program)) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, who may become another user")
def test_it_needs_no_capability():
    def give_up() -> None:
        os.setresgid(50000, 50000, 50000)
        os.setresuid(50000, 50000, 50000)
        refuse()

    refuse = refusing_shared_reads(sys.executable)
    assert refuse is not None
    done = run_program(["/bin/cat", "/proc/self/status"], deadline_seconds=60, before_exec=give_up)
    assert b"Seccomp:\t2\n" in done.stdout
    assert b"NoNewPrivs:\t1\n" in done.stdout
