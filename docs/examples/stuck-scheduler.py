"""A scheduler whose workers ask a cluster one at a time, and a cluster that accepts and never answers."""

import http.client
import multiprocessing
import signal
import socket
import sys
import time


def cluster(listener):
    connections = []
    while True:
        connections.append(listener.accept())


def create_namespaced_pod(port):
    connection = http.client.HTTPConnection("127.0.0.1", port)  # nobody gave a timeout
    connection.request("POST", "/api/v1/namespaces/default/pods")
    return connection.getresponse()


def worker(lock, port):
    with lock:
        create_namespaced_pod(port)


def schedule(workers):
    for one in workers:
        one.join()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # ends the workers, too
    fork = multiprocessing.get_context("fork")
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    fork.Process(target=cluster, args=(listener,), daemon=True).start()
    listener.close()
    lock = fork.Lock()
    workers = [fork.Process(target=worker, args=(lock, port), daemon=True) for _ in range(4)]
    for one in workers:
        one.start()
        time.sleep(0.2)
    schedule(workers)
