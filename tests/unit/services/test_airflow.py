"""Airflow's trees by the titles in its source, version 2.9 to 3.3; what could be captured is in test_captured."""

from __future__ import annotations

import pytest

from airmem.services.detect import detect_roles
from tests.unit.services.trees import AIRFLOW, PYTHON, UUID, Ports, fork, places, process

SCHEDULER = (PYTHON, AIRFLOW, "scheduler")
PROCESSOR = (PYTHON, AIRFLOW, "dag-processor")
FORKSERVER = (PYTHON, "-c", "from multiprocessing.forkserver import main; main(3, 5, [])")
SPAWNED = (PYTHON, "-c", "from multiprocessing.spawn import spawn_main; spawn_main(1)", "--multiprocessing-fork")
MAIN = "[celeryd: celery@host:MainProcess] -active- (celery worker)"
POOL = "[celeryd: celery@host:ForkPoolWorker-1]"


@pytest.mark.parametrize(
    ("arguments", "component"),
    [
        (SCHEDULER, "scheduler"),
        ((PYTHON, "-m", "airflow", "scheduler"), "scheduler"),
        ((PYTHON, "-Im", "airflow", "scheduler"), "scheduler"),
        ((PYTHON, "-X", "dev", "-u", AIRFLOW, "scheduler", "-n", "5"), "scheduler"),
        ((PYTHON, "/lib/airflow/__main__.py", "scheduler"), "scheduler"),
        ((PYTHON, "-m", "memray", "run", "-o", "x.bin", AIRFLOW, "scheduler"), "scheduler"),
        (("airflow", "triggerer"), "triggerer"),
        ((PYTHON, AIRFLOW, "dag-processor"), "dag-processor"),
        ((PYTHON, AIRFLOW, "celery", "worker", "-q", "x"), "celery-worker"),
        ((PYTHON, AIRFLOW, "celery", "flower"), "celery-flower"),
        ((PYTHON, AIRFLOW, "standalone"), "standalone"),
        ((PYTHON, AIRFLOW, "webserver"), "webserver"),
        ((PYTHON, AIRFLOW, "tasks", "run", "a", "b", "c", "--local"), "task"),
        ((PYTHON, "-m", "airflow.sdk.execution_time.execute_workload", "--json-string", "[redacted]"), "task"),
        (("airflow api_server -- host:0.0.0.0 port:8080",), "api-server"),
        ((f"airflow supervisor: {UUID}",), "task"),
    ],
)
def test_a_component_alone(arguments, component):
    assert places(process(1, 0, *arguments)) == {1: (component, "parent")}


@pytest.mark.parametrize(
    "arguments",
    [
        ("grep", "airflow scheduler"),
        ("grep", "airflow", "scheduler"),
        ("vim", "airflow", "scheduler"),
        ("pip", "install", "airflow", "scheduler"),
        (PYTHON, "/usr/bin/pip", "install", "airflow"),
        ("bash", "-c", "exec airflow scheduler"),
        ("/usr/bin/dumb-init", "--", "/entrypoint", "scheduler", "airflow"),
        ("sudo", "-u", "airflow", "airflow", "scheduler"),
        ("postgres: airflow airflow 127.0.0.1(58730) idle",),
        (PYTHON, "x.py", "airflow", "scheduler"),
        (PYTHON, "-c", "airflow scheduler"),
        (PYTHON, AIRFLOW, "dags", "list"),
        (PYTHON, AIRFLOW, "jobs", "check", "scheduler"),
        (PYTHON, AIRFLOW),
        ("tail -f airflow scheduler.log",),
        ("airflow worker",),
        ("",),
    ],
)
def test_words_alone_are_no_component(arguments):
    assert places(process(1, 0, *arguments)) == {}


def test_wrappers_are_not_part_of_the_tree():
    tree = (process(1, 0, "dumb-init", "--", "airflow"), process(2, 1, "bash", "-c", "airflow scheduler"))
    assert places(*tree, process(3, 2, *SCHEDULER)) == {3: ("scheduler", "parent")}


def test_version_2_with_its_own_dag_processing_and_local_executor():
    assert places(
        process(1, 0, *SCHEDULER),
        fork(2, 1, "airflow executor -- LocalExecutor"),
        fork(3, 1, "airflow worker -- LocalExecutor"),
        fork(4, 1, "airflow worker -- LocalExecutor: ['airflow', 'tasks', 'run', 'dag', 'task']"),
        fork(5, 4, "airflow task supervisor: ['airflow', 'tasks', 'run', 'dag', 'task']"),
        fork(6, 5, "airflow task runner: dag task manual__2024 12"),
        fork(7, 1, "airflow scheduler -- DagFileProcessorManager"),
        fork(8, 7, "airflow scheduler - DagFileProcessor /dags/a b.py"),
        fork(9, 1, "gunicorn: master [gunicorn]"),
        fork(10, 9, "gunicorn: worker [gunicorn]"),
    ) == {
        1: ("scheduler", "parent"),
        2: ("scheduler", "queue-manager"),
        3: ("scheduler", "worker"),
        4: ("scheduler", "worker"),
        5: ("scheduler", "supervisor"),
        6: ("scheduler", "task"),
        7: ("scheduler", "manager"),
        8: ("scheduler", "parser"),
        9: ("scheduler", "log-server"),
        10: ("scheduler", "log-server"),
    }


def test_version_2_parsers_say_scheduler_even_below_a_dag_processor():
    tree = (process(1, 0, *PROCESSOR), fork(2, 1, "airflow scheduler - DagFileProcessor /dags/a.py"))
    assert places(*tree)[2] == ("dag-processor", "parser")
    assert detect_roles(tree)[2].activity == "/dags/a.py"


def test_version_2_webserver():
    tree = (
        process(1, 0, PYTHON, AIRFLOW, "webserver"),
        process(2, 1, "gunicorn: master [airflow-webserver]"),
        fork(3, 2, "[ready] gunicorn: worker [airflow-webserver]"),
        fork(4, 2, "gunicorn: worker [airflow-webserver]"),
    )
    assert {component for component, _ in places(*tree).values()} == {"webserver"}
    assert [places(*tree)[pid][1] for pid in (1, 2, 3, 4)] == ["parent", "manager", "worker", "worker"]


def test_a_webserver_whose_monitor_is_gone():
    tree = (process(2, 0, "gunicorn: master [airflow-webserver]"), fork(3, 2, "gunicorn: worker [airflow-webserver]"))
    assert places(*tree) == {2: ("webserver", "parent"), 3: ("webserver", "worker")}


def test_an_api_server_on_gunicorn_is_known_by_its_workers():
    tree = (
        process(1, 0, "gunicorn: master [gunicorn]"),
        fork(2, 1, "[ready] airflow api-server worker"),
        fork(3, 1, "gunicorn: worker [gunicorn]"),
    )
    assert places(*tree) == {1: ("api-server", "parent"), 2: ("api-server", "worker"), 3: ("api-server", "worker")}


def test_a_gunicorn_of_somebody_else_beside_airflow():
    tree = (process(1, 0, *SCHEDULER), process(2, 0, "gunicorn: master [shop]"), fork(3, 2, "gunicorn: worker [shop]"))
    assert places(*tree)[2] == ("gunicorn", "parent")
    assert detect_roles(tree)[3].service == "gunicorn"


def test_untitled_children_of_a_scheduler_are_told_by_their_port():
    tree = (process(1, 0, *SCHEDULER), fork(2, 1, *SCHEDULER), fork(3, 1, *SCHEDULER), fork(4, 1, *SCHEDULER))
    found = places(*tree, ports={2: (8974,), 3: (), 4: None})
    assert [found[pid][1] for pid in (2, 3, 4)] == ["health-server", "helper", "helper"]


def test_ports_are_asked_for_twins_only():
    ports = Ports({})
    tree = [process(1, 0, *SCHEDULER), fork(2, 1, *SCHEDULER)]
    tree += [fork(pid, 1, "airflow worker -- LocalExecutor: <idle>") for pid in range(3, 40)]
    detect_roles(tree, ports)
    assert ports.asked == [2]


def test_a_health_server_that_outlived_its_scheduler():
    assert places(fork(2, 1, *SCHEDULER), ports={2: (8974,)}) == {2: ("scheduler", "health-server")}
    assert places(fork(2, 1, *SCHEDULER)) == {2: ("scheduler", "parent")}, "a daemon is forked, too"


def test_other_twins_need_no_port():
    tree = (
        process(1, 0, *PROCESSOR),
        fork(2, 1, *PROCESSOR),
        process(3, 0, PYTHON, AIRFLOW, "triggerer"),
        fork(4, 3, PYTHON, AIRFLOW, "triggerer"),
        fork(5, 3, "airflow serve-logs"),
    )
    found = places(*tree)
    assert (found[2], found[4], found[5]) == (
        ("dag-processor", "parser"),
        ("triggerer", "runner"),
        ("triggerer", "log-server"),
    )


def test_a_task_before_and_after_it_has_its_title():
    worker = f"airflow worker -- LocalExecutor: {UUID}"
    roles = detect_roles(
        [
            process(1, 0, *SCHEDULER),
            fork(2, 1, worker),
            fork(3, 2, worker),
            fork(4, 1, worker),
            fork(5, 4),
            fork(6, 1, worker),
            fork(7, 6, f"airflow worker -- {UUID}"),
            process(8, 7, "bash", "-c", "true"),
        ]
    )
    assert [roles[pid].role for pid in (3, 5, 7, 8)] == ["task", "task", "task", "child"]
    assert [roles[pid].activity for pid in (3, 5, 7)] == [UUID] * 3
    assert roles[8].start_method == "exec"


def test_a_task_of_another_user():
    sudo = ("sudo", "-E", "-H", "-u", "alice", "python", "-c", "x")
    tree = (
        process(1, 0, *SCHEDULER),
        fork(2, 1, f"airflow worker -- LocalExecutor: {UUID}"),
        process(3, 2, *sudo),
        process(4, 3, "python", "-c", "x"),
    )
    assert [places(*tree)[pid][1] for pid in (3, 4)] == ["helper", "task"]


def test_teams_and_callbacks_in_titles():
    team = fork(2, 1, f"airflow worker -- LocalExecutor [red team]: {UUID}")
    roles = detect_roles([team, fork(3, 1, "airflow worker -- LocalExecutor: connection-test db")])
    assert (roles[2].activity, roles[3].activity) == (UUID, "connection-test db")


def test_celery_below_airflow():
    tree = [
        process(1, 0, MAIN),
        fork(2, 1, POOL),
        fork(3, 2, POOL),
        fork(4, 1, "airflow serve-logs"),
        fork(5, 1, PYTHON, AIRFLOW, "celery", "worker"),
        fork(6, 1, f"airflow supervisor: {UUID}"),
        fork(7, 6, f"airflow worker -- {UUID}"),
        fork(8, 1, f"airflow supervisor: {UUID}"),
        fork(9, 6, f"airflow supervisor: {UUID}"),
    ]
    roles = detect_roles(tree)
    assert {role.component for role in roles.values()} == {"celery-worker"}
    assert {role.service for role in roles.values()} == {"airflow"}
    expected = ["parent", "worker", "task", "log-server", "helper", "worker", "task", "worker", "task"]
    assert [roles[one.pid].role for one in tree] == expected
    assert (roles[6].activity, roles[8].activity) == (UUID, ""), "a title without a task is stale"


def test_a_task_in_its_own_interpreter_belongs_to_its_worker():
    tree = (
        process(1, 0, *SCHEDULER),
        fork(2, 1, "airflow worker -- LocalExecutor: ['airflow']"),
        process(3, 2, PYTHON, AIRFLOW, "tasks", "run", "a", "b", "c"),
    )
    assert places(*tree)[3] == ("scheduler", "supervisor")


def test_a_pod_with_one_task():
    command = (PYTHON, "-m", "airflow.sdk.execution_time.execute_workload", "--json-string", "[redacted]")
    tree = (process(1, 0, *command), fork(2, 1, *command), fork(3, 1, f"airflow worker -- {UUID}"))
    assert places(*tree) == {1: ("task", "parent"), 2: ("task", "task"), 3: ("task", "task")}


def test_standalone_and_what_it_starts():
    tree = (
        process(1, 0, PYTHON, AIRFLOW, "standalone"),
        process(2, 1, *SCHEDULER),
        process(3, 1, "airflow api_server -- host:0 port:1"),
        fork(4, 2, "airflow serve-logs"),
    )
    assert places(*tree) == {
        1: ("standalone", "parent"),
        2: ("scheduler", "parent"),
        3: ("api-server", "parent"),
        4: ("scheduler", "log-server"),
    }


def test_workers_of_a_fork_server():
    tree = [
        process(1, 0, *SCHEDULER),
        process(2, 1, *FORKSERVER),
        fork(3, 2, "airflow worker -- LocalExecutor: <idle>"),
        fork(4, 2, *FORKSERVER),
        process(5, 1, PYTHON, "-c", "from multiprocessing.resource_tracker import main;main(3)"),
        process(6, 1, *SPAWNED),
    ]
    roles = detect_roles(tree, Ports({4: (8974,)}))
    assert [(one.role, one.start_method) for one in (roles[pid] for pid in range(2, 7))] == [
        ("forkserver", "exec"),
        ("worker", "forkserver"),
        ("health-server", "forkserver"),
        ("resource-tracker", "exec"),
        ("helper", "spawn"),
    ]
    assert {role.component for role in roles.values()} == {"scheduler"}


def test_workers_that_outlived_their_scheduler_are_no_parents():
    assert places(fork(3, 1, "airflow worker -- LocalExecutor: <idle>")) == {3: ("scheduler", "worker")}
    assert places(fork(3, 1, "airflow serve-logs")) == {3: ("log-server", "log-server")}


def test_a_worker_that_forks_256_times_is_named_in_little_time():
    from time import process_time

    tree = [process(1, 0, *SCHEDULER)]
    tree += [fork(pid, 1, "airflow worker -- LocalExecutor: <idle>") for pid in range(2, 2002)]
    detect_roles(tree)
    began = process_time()
    detect_roles(tree)
    assert (process_time() - began) / len(tree) < 50e-6
