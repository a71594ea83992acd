"""Detectors take any tree: loops of parents, pids twice, titles with anything in them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from airmem.kernel.cmdline import parse_cmdline
from airmem.services.detect import detect_roles
from airmem.services.family import Family, read_program
from tests.unit.services.trees import process

WORDS = [
    "python",
    "/usr/bin/python3",
    "-m",
    "-c",
    "-Im",
    "-X",
    "airflow",
    "scheduler",
    "celery",
    "worker",
    "-A",
    "beat",
    "gunicorn",
    "gunicorn: master [gunicorn]",
    "[ready] airflow api-server worker",
    "airflow worker -- ",
    "uwsgi",
    "airflow worker -- LocalExecutor: <idle>",
    "airflow supervisor: x",
    "uWSGI worker 1",
    "--http",
    ":8",
    "uvicorn",
    "from multiprocessing.forkserver import main",
    "from multiprocessing.spawn import spawn_main",
    "",
    " ",
    "memray",
    "[celeryd: a:MainProcess] -active- (celery worker)",
    "[celeryd: a:ForkPoolWorker-1]",
    "sudo",
    "\n",
    "\x1b[2J",
    "airflow serve-logs",
    "airflow api_server -- x",
    "dag-processor",
    "triggerer",
    "standalone",
    "tasks",
    "run",
]

any_word = st.sampled_from(WORDS) | st.text(max_size=8)
any_process = st.builds(
    lambda pid, parent, words, forked, state: process(pid, parent, *words, forked=forked, state=state),
    st.integers(0, 12),
    st.integers(0, 12),
    st.lists(any_word, max_size=5),
    st.booleans(),
    st.sampled_from("RSDZ"),
)


@given(st.lists(any_process, max_size=12))
def test_any_tree_is_taken(tree):
    pids = {one.pid for one in tree}
    for pid, role in detect_roles(tree).items():
        assert pid in pids
        assert role.service
        assert role.component
        assert role.role
        assert role.start_method in ("fork", "forkserver", "spawn", "exec")


@given(st.lists(any_process, max_size=12))
def test_an_order_of_parents_first_has_each_process_once(tree):
    family = Family(tree)
    order = [one.pid for one in family.parents_first()]
    assert len(order) == len(set(order))


@given(st.lists(any_word, max_size=6))
def test_any_command_line_names_a_program(words):
    name, rest = read_program(tuple(words))
    assert isinstance(name, str)
    assert isinstance(rest, tuple)


@given(st.binary(max_size=80))
def test_any_bytes_of_a_command_line_are_taken(raw):
    detect_roles([process(1, 0, *parse_cmdline(raw)), process(2, 1, *parse_cmdline(raw), forked=True)])
