"""Which process is meant."""

from __future__ import annotations

from airmem.errors import ProcessGone, UsageProblem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.collect.source import Source
    from airmem.model.process import Process
    from airmem.questions.survey import Survey

MOST_PID = 1 << 22
"""No kernel gives higher pids (PID_MAX_LIMIT, include/linux/threads.h)."""

LONGEST_TITLE = 60
LIST = "List what runs here with: airmem ps"
COMPONENT_HINT = "Give a pid or a component such as scheduler, celery-worker or gunicorn; list them with: airmem ps"


def resolve_target(target: str | None, source: Source | None = None) -> int:
    """Return the pid that a target means: a pid, a component (its parent process), None (the one tree that there is).

    It is looked for in `source`, by default the running system; of a capture None means what was captured. A pid is
    only checked for its form. Errors: UsageProblem when it means nothing or several things, ProcessGone when
    no such component runs.
    """
    text = "" if target is None else target.strip()
    if text.lstrip("+-").isdigit():
        return _among(source, _resolve_pid(text))
    from airmem.collect.source import open_source  # noqa: PLC0415  # a pid needs none of it
    from airmem.questions.survey import survey_services  # noqa: PLC0415

    reader = source or open_source()
    if target is None:
        return reader.root_pids[0] if len(reader.root_pids) == 1 else _resolve_only_tree(survey_services(reader))
    return _among(source, _resolve_component(text, survey_services(reader)))


def check_target(target: str) -> str:
    """Return what speaks against a target that is needed later only, empty if nothing does: a pid that nobody has now.

    Errors: UsageProblem for what can never mean a process, whatever will run then.
    """
    text = target.strip()
    if text.lstrip("+-").isdigit():
        from airmem.collect.source import open_source  # noqa: PLC0415

        pid = _resolve_pid(text)
        return "" if open_source().has_process(pid) else f"there is no process {pid} now"
    from airmem.services.components import COMPONENTS  # noqa: PLC0415

    if _component_name(text) not in (*COMPONENTS, *SERVICES, LOG_SERVER):
        raise UsageProblem(f"{text[:40]!r} is no pid and no component", COMPONENT_HINT)
    return ""


def resolve_all() -> tuple[int, ...]:
    """Return the root of every service that runs here, airmem's own tree left out. Errors: UsageProblem for none."""
    from airmem.collect.source import open_source  # noqa: PLC0415
    from airmem.questions.survey import survey_services  # noqa: PLC0415

    survey = survey_services(open_source())
    roots = tuple(process.pid for process in survey.roots() if process.pid not in survey.own_pids)
    if not roots:
        raise UsageProblem("no service that airmem knows runs here", "Give a pid; any process will do.")
    return roots


def _among(source: Source | None, pid: int) -> int:
    """Return the pid if its tree can be asked about. Errors: ProcessGone."""
    if source is not None and not source.has_tree(pid):
        roots = ", ".join(str(one) for one in source.root_pids)
        raise ProcessGone(f"the tree of process {pid} is not in the file", f"It has: {roots}")
    return pid


def component_names() -> tuple[str, ...]:
    """Return every word that can stand for a pid, for a shell to complete."""
    from airmem.services.components import COMPONENTS  # noqa: PLC0415

    return (*COMPONENTS, *SERVICES)


def resolve_user(name: str) -> int:
    """Return the id of a user. Errors: UsageProblem."""
    from airmem.collect.users import find_user_id  # noqa: PLC0415  # only with --user

    user_id = find_user_id(name)
    if user_id is None:
        raise UsageProblem(f"there is no user {name!r} here", "Give a number: inside a container names may be unknown.")
    return user_id


def _resolve_pid(text: str) -> int:
    number = int(text) if text.isascii() and len(text) < 20 else 0
    if text.startswith("+") or not 0 < number <= MOST_PID:
        raise UsageProblem(f"{text[:40]!r} is no pid", f"Pids are 1 to {MOST_PID}. {LIST}")
    return number


def _resolve_only_tree(survey: Survey) -> int:
    roots = [process for process in survey.roots() if process.pid not in survey.own_pids]
    if len(roots) == 1:
        return roots[0].pid
    if not roots:
        raise UsageProblem("no service that airmem knows runs here", "Give a pid; any process will do.")
    raise UsageProblem(
        f"{len(roots)} services run here; say which", "Give a pid or a component.", _candidates(survey, roots)
    )


def _resolve_component(text: str, survey: Survey) -> int:
    from airmem.services.components import COMPONENTS  # noqa: PLC0415

    name = _component_name(text)
    heads = [survey.processes[pid] for pid, role in survey.roles.items() if role.role == "parent"]
    found = [one for one in heads if survey.roles[one.pid].component == name]
    if not found:
        found = [one for one in survey.roots() if survey.roles[one.pid].service == name]
    found = [one for one in found if one.pid not in survey.own_pids] or found  # a task may ask about its own scheduler
    if len(found) == 1:
        return found[0].pid
    if found:
        cause = f"{len(found)} processes here are {name}; say which"
        raise UsageProblem(cause, "Give a pid.", _candidates(survey, found))
    if name in COMPONENTS or name in SERVICES:
        raise ProcessGone(f"no {name} runs here", f"It would be found as: {COMPONENTS.get(name, name)}. {LIST}")
    if name in {role.role for role in survey.roles.values()} | {"worker", "parent"}:
        raise UsageProblem(f"{name} is a role in a component, not a component", COMPONENT_HINT)
    raise UsageProblem(f"{text[:40]!r} is no pid and no component", _suggestion(name, survey))


def _component_name(text: str) -> str:
    return text.lower().replace("_", "-")


def _suggestion(name: str, survey: Survey) -> str:
    from difflib import get_close_matches  # noqa: PLC0415

    from airmem.services.components import COMPONENTS  # noqa: PLC0415

    known = dict.fromkeys([role.component for role in survey.roles.values()] + [*COMPONENTS])
    near = get_close_matches(name, [*known], n=3, cutoff=0.5)
    return f"Did you mean {' or '.join(near)}? {COMPONENT_HINT}" if near else COMPONENT_HINT


def _candidates(survey: Survey, processes: list[Process]) -> tuple[str, ...]:
    """Return a line for each candidate: pid, component, title."""
    width = max(len(survey.roles[one.pid].component) for one in processes)
    return tuple(
        f"{one.pid:>7}  {survey.roles[one.pid].component:<{width}}  {one.title[:LONGEST_TITLE]}" for one in processes
    )


LOG_SERVER = "log-server"
"""A role everywhere but where `airflow serve-logs` runs by itself."""

SERVICES = ("airflow", "celery")
"""Services with several components; their names stand for the one tree of theirs that runs."""
