"""Whose code it is that waits: the innermost function outside the libraries, and what it calls there."""

from __future__ import annotations

from airmem.analysis.waiting.scene import is_console_script, is_library, is_standard

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.analysis.waiting.scene import Scene, Thread
    from airmem.model.stack import Frame
    from airmem.model.verdict import Evidence

ENDLESS_CALLS = frozenset(
    {"get", "recv", "recv_bytes", "read", "readline", "accept", "wait", "poll", "receive", "select", "get_nowait"}
)
"""Calls by which the loop of a worker takes its next piece of work."""

INLINED = frozenset({"<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>"})
"""No functions that anybody has written: from Python 3.12 on most are part of the one around (PEP 709)."""

SQL_CALLS = frozenset(
    {"execute", "executemany", "executescript", "commit", "rollback", "fetchone", "fetchall", "fetchmany"}
)

CARRIERS = (
    "/urllib3/", "/requests/", "/httpx/", "/httpcore/", "/aiohttp/", "/anyio/", "/kubernetes/client/rest.py",
    "/kubernetes/client/api_client.py", "/botocore/httpsession.py", "/botocore/awsrequest.py", "/sqlalchemy/",
    "/psycopg2/", "/psycopg/", "/pymysql/", "/redis/connection.py", "/amqp/", "/billiard/",
    "/kombu/",
)  # fmt: skip
"""Packages that carry other packages' requests."""


def caller_frame(thread: Thread) -> tuple[int, Frame] | None:
    """Return (position, frame) of the innermost function outside the standard library and installed packages."""
    for position, frame in enumerate(thread.frames):
        if not is_library(frame):
            return position, frame
    return None


def caller_evidence(scene: Scene, thread: Thread) -> Evidence:
    """Return `caller` and `call`; nothing for a thread that is in libraries only."""
    found = caller_frame(thread)
    if found is None:
        return {}
    position, frame = found
    outer = (one for one in thread.frames[position:] if one.short_function not in INLINED and not is_library(one))
    call = scene.syntax(thread.pid, frame).call_text(frame.line, inner_name(thread, position))
    return {"caller": next(outer, frame).short_function, "call": call}


def asker_name(frames: tuple[Frame, ...]) -> str:
    """Return whose call it is that waits, to be named in a sentence.

    The innermost function outside all libraries; in a thread of libraries only the innermost one of a package that
    is not just passing bytes on: `create_namespaced_pod` rather than urllib3's `urlopen`. Empty where nobody is.
    """
    for frame in frames:
        if not is_library(frame) and frame.short_function not in INLINED:
            return frame.short_function
    for frame in frames:
        is_carrier = is_standard(frame) or is_console_script(frame) or any(part in frame.file for part in CARRIERS)
        if not is_carrier:
            return frame.short_function
    return ""


def inner_name(thread: Thread, position: int) -> str:
    """Return the name of the function that a frame is calling, empty where that is C code."""
    return thread.frames[position - 1].short_function if position else ""


def takes_work_in_loop(scene: Scene, thread: Thread) -> bool:
    """Whether the innermost function outside the libraries asks for its next piece of work, again and again.

    A worker of one's own: `while True: job = queue.get()`. A single `get` is somebody who waits for an answer.
    """
    found = caller_frame(thread)
    if found is None:
        return _is_library_loop(scene, thread)
    frame = found[1]
    syntax = scene.syntax(thread.pid, frame)
    return bool(syntax.calls(frame.line) & ENDLESS_CALLS) and syntax.in_endless_loop(frame.line)


def _is_library_loop(scene: Scene, thread: Thread) -> bool:
    """Whether a thread is a package's own: its `run` turns in an endless loop, and nobody else's code is in it."""
    frames = [one for one in thread.frames if not is_standard(one) and not is_console_script(one)]
    outermost = frames[-1] if frames and not thread.is_main else None
    return outermost is not None and scene.syntax(thread.pid, outermost).in_endless_loop(outermost.line)


def iterates(scene: Scene, thread: Thread) -> bool:
    """Whether the innermost function outside the libraries is at the head of a loop: `for line in sys.stdin`."""
    found = caller_frame(thread)
    return found is not None and scene.syntax(thread.pid, found[1]).iterates(found[1].line)


def sql_call(scene: Scene, thread: Thread) -> str:
    """Return the call of somebody's own code that runs a statement (`cursor.execute`), empty where there is none."""
    found = caller_frame(thread)
    if found is None:
        return ""
    syntax = scene.syntax(thread.pid, found[1])
    text = syntax.call_text(found[1].line, inner_name(thread, found[0])) or ""
    return text if text.rpartition(".")[2] in SQL_CALLS else ""


def is_sql(scene: Scene, thread: Thread) -> bool:
    """Whether the innermost function, written in Python, is calling a database."""
    if not thread.frames:
        return False
    return bool(scene.syntax(thread.pid, thread.frames[0]).calls(thread.frames[0].line) & SQL_CALLS)
