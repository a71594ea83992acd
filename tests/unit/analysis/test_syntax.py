from __future__ import annotations

import pytest

from airmem.analysis.waiting.lock_syntax import LockSyntax

SOURCE = """
import threading
LOCK = threading.Lock()

def held(self):
    with self.lock:
        work()

def one_line(self):
    with self.lock: work()

def acquired(self):
    LOCK.acquire()
    work()
    LOCK.release()
    work()

def loops(queue):
    while True:
        queue.get()
    queue.get()

def iterates(queue):
    for job in iter(queue.get, None):
        pass

def lends(self):
    with self.lock:
        yield

def take(self):
    self.lock.acquire()

def calls():
    first(second(third()))
    connect(address).execute(statement)
    spread(
        over,
        lines,
    )
"""


@pytest.fixture(scope="module")
def syntax():
    return LockSyntax(SOURCE)


def line_of(text, number=0):
    return [at for at, line in enumerate(SOURCE.split("\n"), 1) if text in line][number]


def test_a_with_block_wants_its_lock_where_it_begins(syntax):
    assert syntax.wanted_locks(line_of("with self.lock:")) == ["self.lock"]
    assert syntax.wanted_locks(line_of("LOCK.acquire()")) == ["LOCK"]
    assert syntax.wanted_locks(line_of("work()")) == []


def test_a_with_block_holds_its_lock_inside(syntax):
    assert syntax.held_locks(line_of("work()"), "", is_entering=False) == {"self.lock"}
    assert syntax.held_locks(line_of("with self.lock:"), "", is_entering=True) == set()


def test_a_block_in_one_line_is_held_once_it_is_entered(syntax):
    line = line_of("with self.lock: work()")
    assert syntax.held_locks(line, "", is_entering=True) == set()
    assert syntax.held_locks(line, "", is_entering=False) == {"self.lock"}


def test_what_was_acquired_is_held_until_it_is_released(syntax):
    start = line_of("LOCK.acquire()")
    assert syntax.held_locks(start + 1, "", is_entering=False) == {"LOCK"}
    assert syntax.held_locks(start + 3, "", is_entering=False) == set()


def test_a_loop_is_told_from_what_stands_behind_it(syntax):
    assert syntax.in_endless_loop(line_of("queue.get()", 0))
    assert not syntax.in_endless_loop(line_of("queue.get()", 1))
    assert syntax.in_endless_loop(line_of("for job in iter"))


def test_a_function_that_gives_a_lock_away_is_known(syntax):
    assert syntax.acquirers("self.lock") == {"lends", "take"}
    assert syntax.acquirers("LOCK") == set()  # it gives it back itself


def test_the_call_of_the_next_frame_is_named(syntax):
    line = line_of("first(second(third()))")
    assert syntax.call_text(line, "second") == "second"
    assert syntax.call_text(line_of("connect(address)"), "") == "connect(address).execute"
    assert syntax.call_text(line_of("over,"), "spread") == "spread"
    assert syntax.call_text(line_of("import threading"), "") is None


def test_calls_of_a_line_include_what_iter_calls(syntax):
    assert "get" in syntax.calls(line_of("for job in iter"))


@pytest.mark.parametrize("text", [None, "", "def broken(:", "\0", "x = (" * 500])
def test_a_file_that_is_no_python_answers_nothing(text):
    syntax = LockSyntax(text)
    assert syntax.wanted_locks(1) == []
    assert syntax.held_locks(1, "", is_entering=False) == set()
    assert not syntax.in_endless_loop(1)
    assert syntax.calls(1) == set()


LINES = """
def stacked(locks):
    with ExitStack() as stack:
        stack.enter_context(LOCK)
        work()
    work()

def one_line():
    A.acquire(); sleep(9)

def several():
    with A, open(path) as file, B:
        pass

def items(key):
    lock = LOCKS[key]
    with lock:
        work()

def helper(pool, other):
    pool.take()
    work()
    pool.give()
    work()
"""


def at(text, number=0):
    return [line for line, one in enumerate(LINES.split("\n"), 1) if text in one][number]


def test_a_stack_of_contexts_holds_what_it_was_given_until_its_end():
    syntax = LockSyntax(LINES)
    assert "LOCK" in syntax.held_locks(at("work()"), "work", is_entering=False)
    assert "LOCK" not in syntax.held_locks(at("work()", 1), "work", is_entering=False)


def test_in_one_line_what_stands_before_the_call_has_been_done():
    assert LockSyntax(LINES).held_locks(at("A.acquire()"), "", is_entering=False) == {"A"}


def test_of_several_locks_in_a_line_all_are_named_and_the_last_is_not_held():
    syntax = LockSyntax(LINES)
    assert syntax.wanted_locks(at("with A, open")) == ["A", "B"]
    assert syntax.entered_locks(at("with A, open")) == ["A"]


def test_the_variable_of_a_function_is_another_object_in_each_call():
    syntax = LockSyntax(LINES)
    assert syntax.is_exact(at("with A, open"), "A")
    assert not syntax.is_exact(at("with lock"), "lock")
    assert not syntax.is_exact(at("with lock"), "LOCKS[key]")


def test_what_a_function_took_for_its_caller_is_held_until_another_gives_it_back():
    syntax = LockSyntax(LINES)
    assert syntax.taken_by_calls(at("work()", 3), "work", {"take"}, {"give"}) == {"pool"}
    assert syntax.taken_by_calls(at("work()", 4), "work", {"take"}, {"give"}) == set()
