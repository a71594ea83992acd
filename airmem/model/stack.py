"""Where the threads of a Python process stand."""

from __future__ import annotations

from airmem.model.noun import noun


@noun
class Local:
    """A local variable of a frame: its name and the address of the object it is bound to.

    Two frames with the same address have the same object. `object_address` 0 is a variable that is not bound yet.
    `text` is the value as py-spy prints it, only where it was asked for or is a module's name inside importlib; it may
    hold a secret. `is_argument` tells a parameter from another variable.
    """

    name: str
    object_address: int
    is_argument: bool
    text: str | None = None


@noun
class Frame:
    """One call: `function` as py-spy names it (`Queue.get` from Python 3.11 on, else `get`), `file` as the code object
    has it, the line being executed (0 if unknown). `locals` is None where variables were not read.
    """

    function: str
    file: str
    line: int
    locals: tuple[Local, ...] | None = None
    is_native: bool = False

    @property
    def short_function(self) -> str:
        """The function's last name: `get` of `Queue.get`, `<lambda>` of `f.<locals>.<lambda>`."""
        return self.function.rpartition(".")[2]

    def local_address(self, name: str) -> int | None:
        """Return the address of the object that a variable is bound to, None if there is none or nobody read it."""
        return next((one.object_address for one in self.locals or () if one.name == name and one.object_address), None)


@noun
class ThreadStack:
    """The Python frames of one thread, innermost first.

    `tid` is the kernel's thread id as seen from where airmem runs, None if py-spy could not tell it. `ident` is
    threading.get_ident() in the process. `name` is raw: it may hold any character, and is None where unknown.
    `is_active` is what the scheduler says; `owns_gil` what the interpreter says.
    """

    tid: int | None
    ident: int
    name: str | None
    is_active: bool
    owns_gil: bool
    frames: tuple[Frame, ...]


@noun
class ProcessStacks:
    """One look at the stacks of one process.

    `at_seconds` since the first look at the tree began; `took_seconds` of py-spy. `paused_seconds` is 0.0 where the
    process was not stopped. `has_locals` tells whether variables were read.
    """

    pid: int
    at_seconds: float
    took_seconds: float
    paused_seconds: float
    has_locals: bool
    threads: tuple[ThreadStack, ...]

    def thread(self, tid: int) -> ThreadStack | None:
        """Return the stack of a thread by the kernel's id, None if it has no Python frames or came later."""
        return next((one for one in self.threads if one.tid == tid), None)
