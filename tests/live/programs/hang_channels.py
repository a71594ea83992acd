"""Sockets, pipes, files and children that do not answer, one case for each mechanism: `hang_channels.py CASE`."""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import multiprocessing
import os
import select
import socket
import socketserver
import sqlite3
import ssl
import struct
import subprocess
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable

from hanging import FOREVER, case, fork, ready, rest, run, run_with_parent


def tell_later(**truth: object) -> None:
    """Say that all is ready when a child has had the time to come as far as this."""
    time.sleep(0.5)
    ready(**truth)


CONTEXT = multiprocessing.get_context("fork")


def silent_server(family: int = socket.AF_INET) -> tuple[int, tuple[str, int]]:
    """Fork a server that accepts and never answers; return its pid and address."""
    listener = socket.socket(family)
    listener.bind(("127.0.0.1" if family == socket.AF_INET else "::1", 0))
    listener.listen(8)

    def serve() -> None:
        kept = []
        while True:
            kept.append(listener.accept())

    pid = fork(serve)
    address = listener.getsockname()[:2]
    listener.close()
    return pid, address


@case
def http_without_timeout() -> None:
    pid, (host, port) = silent_server()
    ready(server=pid, remote=f"{host}:{port}")
    urllib.request.urlopen(f"http://{host}:{port}/api/v1/pods")


@case
def http_with_long_timeout() -> None:
    pid, (host, port) = silent_server()
    connection = http.client.HTTPConnection(host, port, timeout=300)
    connection.request("GET", "/")
    ready(server=pid)
    connection.getresponse()


@case
def http_with_short_timeout() -> None:
    pid, (host, port) = silent_server()
    ready(server=pid)
    while True:
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"http://{host}:{port}/", timeout=30)


@case
def ipv6() -> None:
    pid, address = silent_server(socket.AF_INET6)
    client = socket.create_connection(address)
    ready(server=pid)
    client.recv(1)


@case
def kernel_timeout() -> None:
    """SO_RCVTIMEO is in no argument of the call."""
    pid, address = silent_server()
    client = socket.create_connection(address)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", FOREVER, 0))
    ready(server=pid)
    client.recv(1)


@case
def send_to_full_socket() -> None:
    pid, address = silent_server()
    client = socket.create_connection(address)
    ready(server=pid)
    client.sendall(bytes(64 << 20))


@case
def tls_read() -> None:
    pid, address = silent_server()
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    ready(server=pid)
    context.wrap_socket(socket.create_connection(address))


@case
def udp_answer() -> None:
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 0))
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.connect(server.getsockname())
    client.send(b"?")
    host, port = server.getsockname()
    ready(remote=f"{host}:{port}")
    client.recv(1)


@case
def select_for_read() -> None:
    pid, address = silent_server()
    client = socket.create_connection(address)
    ready(server=pid)
    select.select([client], [], [])


@case
def epoll_on_one_client() -> None:
    pid, address = silent_server()
    client = socket.create_connection(address)
    poller = select.epoll()
    poller.register(client, select.EPOLLIN)
    ready(server=pid)
    poller.poll()


@case
def unix_stream() -> None:
    ours, theirs = socket.socketpair()

    def child() -> None:
        ours.close()
        time.sleep(FOREVER)

    pid = fork(child)
    theirs.close()
    ready(child=pid)
    ours.recv(1)


@case
def unix_cycle_in_loops() -> None:
    """Both ends read in a loop: no idle workers, since each waits for the other."""
    ours, theirs = CONTEXT.Pipe()

    def child() -> None:
        ours.close()
        while True:
            theirs.send(theirs.recv())

    pid = fork(child)
    theirs.close()
    ready(child=pid)
    while True:
        ours.recv()


@case
def pipe_of_dead_writer() -> None:
    """The only writer left is the reader itself, which forgot to close its end."""
    reading, writing = os.pipe()
    pid = fork(lambda: None)
    os.waitpid(pid, 0)
    ready(fds=[reading, writing])
    os.read(reading, 1)


@case
def pipe_of_grandchild() -> None:
    """The child has ended; what it left running keeps the pipe open."""
    command = "sleep 600 & echo started"
    child = subprocess.Popen(["sh", "-c", command], stdout=subprocess.PIPE, preexec_fn=run_with_parent)
    time.sleep(0.3)
    ready(child=child.pid)
    child.communicate()


@case
def child_output() -> None:
    child = subprocess.Popen(["sleep", "1000000"], stdout=subprocess.PIPE, preexec_fn=run_with_parent)
    ready(child=child.pid)
    child.stdout.read()


@case
def child_wait() -> None:
    child = subprocess.Popen(["sleep", "1000000"], preexec_fn=run_with_parent)
    ready(child=child.pid)
    child.wait()


@case
def any_child() -> None:
    pids = [fork(lambda: time.sleep(FOREVER)) for _ in range(2)]
    ready(children=pids)
    os.wait()


@case
def file_lock_of_dead_maker() -> None:
    """The process that locked has ended; its child inherited the file description, and the lock with it."""
    path = tempfile.mktemp(prefix="airmem-lock-")
    file = open(path, "w")
    alive, held_by_root = os.pipe()

    def maker() -> None:
        fcntl.flock(file, fcntl.LOCK_EX)
        os.close(held_by_root)
        if os.fork() == 0:
            os.close(1)
            os.read(alive, 1)  # the end of the root ends this orphan

    os.waitpid(fork(maker), 0)
    file.close()
    ready(path=path)
    other = open(path)
    os.unlink(path)
    fcntl.flock(other, fcntl.LOCK_EX)


@case
def file_locks_crossed() -> None:
    paths = [tempfile.mktemp(prefix="airmem-lock-") for _ in range(2)]

    def take(first: str, second: str, told: Callable[[], None]) -> None:
        with open(first, "w") as one, open(second, "w") as other:
            fcntl.flock(one, fcntl.LOCK_EX)
            time.sleep(0.5)
            told()
            fcntl.flock(other, fcntl.LOCK_EX)

    pid = fork(lambda: take(*paths, lambda: None))
    take(*reversed(paths), lambda: tell_later(child=pid))


@case
def sqlite_in_one_process() -> None:
    path = tempfile.mktemp(prefix="airmem-", suffix=".db")
    first = sqlite3.connect(path, isolation_level=None)
    first.execute("create table t(x)")
    first.execute("begin exclusive")
    ready(path=path)
    sqlite3.connect(path, timeout=FOREVER).execute("insert into t values (1)")


@case
def sqlite_wal() -> None:
    path = tempfile.mktemp(prefix="airmem-", suffix=".db")
    first = sqlite3.connect(path, isolation_level=None)
    first.execute("pragma journal_mode=wal")
    first.execute("create table t(x)")
    first.close()

    def writer() -> None:
        connection = sqlite3.connect(path, isolation_level=None)
        connection.execute("begin immediate")
        connection.execute("insert into t values (1)")
        time.sleep(FOREVER)

    pid = fork(writer)
    time.sleep(0.3)
    ready(child=pid, path=path)
    sqlite3.connect(path, timeout=FOREVER).execute("insert into t values (2)")


@case
def process_join() -> None:
    child = CONTEXT.Process(target=lambda: (run_with_parent(), time.sleep(FOREVER)))
    child.start()
    ready(child=child.pid)
    child.join()


@case
def process_join_with_full_queue() -> None:
    jobs = CONTEXT.Queue()
    child = CONTEXT.Process(target=lambda: (run_with_parent(), jobs.put(bytes(1 << 20))))
    child.start()
    time.sleep(0.4)
    ready(child=child.pid)
    child.join()


@case
def locks_of_processes_crossed() -> None:
    one, other = CONTEXT.Lock(), CONTEXT.Lock()

    def take(first, second, told: Callable[[], None]) -> None:
        with first:
            time.sleep(0.5)
            told()
            with second:
                pass

    pid = fork(lambda: take(one, other, lambda: None))
    take(other, one, lambda: tell_later(child=pid))


@case
def lock_of_process() -> None:
    lock = CONTEXT.Lock()

    def own() -> None:
        with lock:
            time.sleep(FOREVER)

    pid = fork(own)
    time.sleep(0.3)
    ready(child=pid)
    with lock:
        pass


@case
def lock_of_dead_process() -> None:
    lock = CONTEXT.RLock()
    os.waitpid(fork(lock.acquire), 0)
    ready()
    with lock:
        pass


@case
def event_of_process() -> None:
    event = CONTEXT.Event()
    ready(child=fork(lambda: time.sleep(FOREVER)))
    event.wait()


@case
def bounded_queue_of_processes() -> None:
    jobs = CONTEXT.Queue(1)
    ready(child=fork(lambda: time.sleep(FOREVER)))
    jobs.put(1)
    jobs.put(2)


@case
def manager_queue() -> None:
    manager = CONTEXT.Manager()
    ready()
    manager.Queue().get()


@case
def healthy_server() -> None:
    """A threading server with one quiet client, and a reader of datagrams."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(1)

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
    client = socket.create_connection(server.server_address)
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.bind(("127.0.0.1", 0))
    threading.Thread(target=lambda: datagrams.recvfrom(100), name="datagrams", daemon=True).start()
    ready(client=client.fileno())
    server.serve_forever()


@case
def healthy_workers() -> None:
    """Forked workers that share a queue, with nothing to do: one reads, the others wait for its lock."""
    jobs, results = CONTEXT.Queue(), CONTEXT.SimpleQueue()

    def work() -> None:
        while True:
            results.put(jobs.get())

    pids = [fork(work) for _ in range(3)]
    time.sleep(0.3)
    ready(children=pids)
    rest()


@case
def healthy_executor() -> None:
    from concurrent.futures import ProcessPoolExecutor

    with ProcessPoolExecutor(2, mp_context=CONTEXT) as pool:
        pool.submit(int).result()
        ready()
        rest()


@case
def healthy_manager() -> None:
    manager = CONTEXT.Manager()
    things = manager.dict()
    things["x"] = 1
    ready()
    rest()


@case
def healthy_spawned() -> None:
    pool = multiprocessing.get_context("forkserver").Pool(2)
    pool.map(abs, [1, 2])
    ready()
    rest()


if __name__ == "__main__":
    run()
