"""Event loops, computing threads and the interpreter's lock, one case for each mechanism: `hang_loops.py CASE`."""

from __future__ import annotations

import asyncio
import ctypes
import hashlib
import json
import queue
import re
import signal
import socket
import subprocess
import threading
import time

from hang_channels import silent_server
from hanging import FOREVER, case, ready, rest, run, run_with_parent

LOCK = threading.Lock()


async def heartbeat() -> None:
    while True:
        await asyncio.sleep(0.1)


@case
def lock_in_coroutine() -> None:
    def own() -> None:
        with LOCK:
            time.sleep(FOREVER)

    async def main() -> None:
        asyncio.create_task(heartbeat())
        await asyncio.sleep(0.2)
        ready()
        LOCK.acquire()

    threading.Thread(target=own, name="owner", daemon=True).start()
    asyncio.run(main())


@case
def sleep_in_coroutine() -> None:
    async def main() -> None:
        await asyncio.create_task(stuck(), name="trigger-1")

    async def stuck() -> None:
        ready()
        time.sleep(FOREVER)

    asyncio.run(main())


@case
def queue_in_callback() -> None:
    async def main() -> None:
        ready()
        asyncio.get_running_loop().call_soon(queue.Queue().get)
        await asyncio.sleep(FOREVER)

    asyncio.run(main())


@case
def subprocess_in_coroutine() -> None:
    async def main() -> None:
        ready()
        subprocess.run(["sleep", "1000000"], preexec_fn=run_with_parent, check=False)

    asyncio.run(main())


@case
def nobody_sets_the_event() -> None:
    async def inner(event: asyncio.Event) -> None:
        await event.wait()

    async def outer(event: asyncio.Event) -> None:
        await inner(event)

    async def main() -> None:
        event = asyncio.Event()
        task = asyncio.create_task(outer(event), name="watcher")
        asyncio.get_running_loop().call_later(0.3, ready)
        await task

    asyncio.run(main())


@case
def nobody_fills_the_queue() -> None:
    async def consume(jobs: asyncio.Queue[int]) -> None:
        await jobs.get()

    async def main() -> None:
        jobs: asyncio.Queue[int] = asyncio.Queue()
        await asyncio.to_thread(int)  # leaves an idle worker of the loop's pool
        asyncio.get_running_loop().call_later(0.3, ready)
        await asyncio.gather(*(consume(jobs) for _ in range(2)))

    asyncio.run(main())


@case
def gathered_in_another_thread() -> None:
    """The loop runs in a thread; the main thread waits for its result."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="loop", daemon=True).start()

    async def stuck() -> None:
        await asyncio.Event().wait()

    future = asyncio.run_coroutine_threadsafe(stuck(), loop)
    ready()
    future.result()


@case
def healthy_client() -> None:
    """A loop that waits for a server's answer is idle: its own timeouts are not seen from outside."""
    _, address = silent_server()

    async def main() -> None:
        reader, _ = await asyncio.open_connection(*address)
        ready()
        await reader.read(1)

    asyncio.run(main())


@case
def healthy_ticker() -> None:
    async def main() -> None:
        asyncio.create_task(heartbeat())
        await asyncio.sleep(0.2)
        ready()
        await asyncio.Event().wait()

    asyncio.run(main())


@case
def healthy_child_watcher() -> None:
    async def main() -> None:
        child = await asyncio.create_subprocess_exec("sleep", "1000000", preexec_fn=run_with_parent)
        ready()
        await child.wait()

    asyncio.run(main())


@case
def healthy_thread_work() -> None:
    async def main() -> None:
        asyncio.get_running_loop().call_later(0.2, ready)
        await asyncio.to_thread(time.sleep, 3)
        await asyncio.to_thread(time.sleep, FOREVER)

    asyncio.run(main())


@case
def circle() -> None:
    chain = {"a": "b", "b": "a"}
    ready()
    name = "a"
    while name in chain:
        name = chain[name]


@case
def circle_through_functions() -> None:
    """A loop that calls small functions, none for most of the time: work, as far as anybody can tell from outside."""
    ready()
    while True:
        sorted(json.loads(json.dumps(list(range(300)))), key=str)


@case
def regular_expression() -> None:
    ready()
    re.match(r"(x+x+)+y", "x" * 64)


@case
def starved_by_regular_expression() -> None:
    def beat() -> None:
        while True:
            time.sleep(0.05)

    threading.Thread(target=beat, name="beat", daemon=True).start()
    time.sleep(0.2)
    ready()
    re.match(r"(x+x+)+y", "x" * 64)


@case
def hash_without_gil() -> None:
    ready()
    hashlib.scrypt(b"x", salt=b"y", n=1 << 14, r=8, p=1 << 14, maxmem=1 << 30)


@case
def gil_kept_in_read() -> None:
    ours, _ = socket.socketpair()

    def beat() -> None:
        while True:
            time.sleep(0.05)

    threading.Thread(target=beat, name="beat", daemon=True).start()
    time.sleep(0.2)
    ready()
    ctypes.PyDLL(None).recv(ours.fileno(), ctypes.create_string_buffer(1), 1, 0)


@case
def sleeping() -> None:
    ready()
    time.sleep(FOREVER)


@case
def waiting_for_signal() -> None:
    ready()
    signal.pause()


@case
def waiting_for_chosen_signal() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    ready()
    signal.sigwait([signal.SIGUSR1])


@case
def healthy_work() -> None:
    ready()
    while True:
        json.loads(json.dumps({str(number): number for number in range(2000)}))
        hashlib.sha256(bytes(20000)).hexdigest()
        time.sleep(0.003)


@case
def healthy_threads_at_work() -> None:
    def work() -> None:
        while True:
            sum(len(str(number)) for number in range(3000))
            json.dumps([0] * 1000)

    for at in range(3):
        threading.Thread(target=work, name=f"work-{at}", daemon=True).start()
    ready()
    rest()


if __name__ == "__main__":
    run()
