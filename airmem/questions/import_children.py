"""The children that answer what imports cost: the plain one, those with modules blocked, those of a comparison."""

from __future__ import annotations

from airmem.analysis.import_cost import attribute_imports, diff_distributions, explain_module, relocate_record
from airmem.collect.imports import (
    ImportRequest,
    collect_record,
    exported_revision,
    find_python,
    import_environment,
    is_revision,
    looks_like_python,
    python_of,
    why_git_refuses,
)
from airmem.errors import NotMeasurable, ProcessGone, UsageProblem
from airmem.model.import_cost import BlockedImport, ImportComparison
from airmem.model.noun import noun, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from contextlib import ExitStack

    from airmem.collect.source import Source
    from airmem.model.import_cost import Explanation, ImportCost, ImportRecord

COMPONENTS = ("scheduler", "dag-processor", "api-server", "triggerer", "webserver")
"""Components of Airflow whose start is known (probes/payloads/airflow_start.py)."""

START = "airflow_start"
SERVICE = "airflow"


@noun
class ImportsQuestion:
    """What is asked: modules or a component, in which Python, and what else to measure.

    `compare` are two interpreters or two revisions where modules are given, else two modules. `deadline_seconds` is for
    each child.
    """

    modules: tuple[str, ...]
    component: str | None = None
    python: str | None = None
    worker_count: int | None = None
    without: tuple[str, ...] = ()
    explain: str | None = None
    compare: tuple[str, str] | None = None
    budget_bytes: int | None = None
    deadline_seconds: float = 120.0


class Measurer:
    """Runs the children of one question, all in the same environment."""

    def __init__(self, question: ImportsQuestion, source: Source, stack: ExitStack) -> None:
        self.question = question
        self.stack = stack
        component = question.component
        running = _running_python(component, source) if component and not question.python else None
        self.python = find_python(question.python, running, SERVICE if component else None)
        self.request = ImportRequest(modules=question.modules, start=(START, component) if component else None)
        self.environment = stack.enter_context(import_environment())

    def record(self) -> ImportRecord:
        """Return the record of what was asked for. Errors: NotMeasurable when it cannot be imported to the end."""
        return self._run(self.python, self.request)

    def block(self, name: str, cost: ImportCost, record: ImportRecord) -> BlockedImport:
        """Return what blocking a module saved, with placeholders for it and where those fail as if not installed.

        Errors: UsageProblem when the module was not loaded.
        """
        predicted = next((one for one in cost.modules if one.name == name), None)
        if predicted is None:
            raise UsageProblem(
                f"{name} is not imported, so nothing can be saved", _near(name, [one.name for one in cost.modules])
            )
        if any(asked == name or asked.startswith(name + ".") for asked in cost.asked):
            raise UsageProblem(f"{name} is what was asked for", "Block something that it imports.")
        details = []
        for way, is_missing in (("placeholder", False), ("missing", True)):
            request = replace(self.request, without=(name,), is_missing=is_missing)
            again = collect_record(self.python, request, self.question.deadline_seconds, self.environment)
            if again.failure is None:
                return BlockedImport(
                    name=name,
                    predicted_bytes=predicted.retained_bytes,
                    saved_bytes=record.growth_bytes - again.growth_bytes,
                    predicted_count=predicted.retained_count,
                    saved_count=len(record.loads) - len([one for one in again.loads if one.origin != "blocked"]),
                    way=way,
                    detail="",
                )
            failure = again.failure
            details.append(f"as {way} {failure.kind} in {failure.path}:{failure.line}")
        return BlockedImport(
            name=name,
            predicted_bytes=predicted.retained_bytes,
            saved_bytes=None,
            predicted_count=predicted.retained_count,
            saved_count=None,
            way="",
            detail=f"nothing can be imported without it: {', '.join(details)}",
        )

    def explain(self, record: ImportRecord) -> Explanation:
        """Return a module by allocation, from a second child under memray. Errors: UsageProblem, NotMeasurable."""
        from airmem.collect.import_trace import collect_trace  # noqa: PLC0415  # only with --explain

        name = self.question.explain or ""
        module = next((one for one in record.loads if one.name == name), None)
        if module is None:
            raise UsageProblem(f"{name} is not imported", _near(name, [one.name for one in record.loads]))
        failure, traced = collect_trace(
            self.python, self.request, module.origin, self.question.deadline_seconds, self.environment
        )
        if failure is not None:
            raise explain_failure(replace(record, failure=failure, open_names=()), self.python)
        return explain_module(name, record, traced)

    def compare(self) -> tuple[ImportComparison, ImportRecord]:
        """Return the comparison and the record of its second side. Errors: UsageProblem for sides that are neither."""
        names = self.question.compare or ("", "")
        kind = self._kind(names)
        before, after = (self._side(kind, name) for name in names)
        old, new = attribute_imports(before), attribute_imports(after, self.question.worker_count)
        comparison = ImportComparison(
            kind=kind,
            before_name=names[0],
            after_name=names[1],
            before=old.totals,
            after=new.totals,
            changes=diff_distributions(old, new),
        )
        return comparison, after

    def _kind(self, names: tuple[str, str]) -> str:
        if not self.question.modules and not self.question.component:
            return "module"
        if all(looks_like_python(name) for name in names):
            return "python"
        unknown = [name for name in names if not is_revision(name)]
        if unknown:
            refused = why_git_refuses()
            cause = f"{unknown[0]} is neither an interpreter or virtual environment nor a git revision here"
            cause += f" (git says: {refused})" if refused else ""
            raise UsageProblem(cause, "Give two of a kind; to compare two modules, give no other MODULE.")
        return "revision"

    def _side(self, kind: str, name: str) -> ImportRecord:
        if kind == "module":
            return self._run(self.python, replace(self.request, modules=(name,)))
        if kind == "python":
            return self._run(find_python(name), self.request)
        folder, moved = self.stack.enter_context(exported_revision(name, self.python))
        record = self._run(self.python, replace(self.request, moved=moved), folder)
        return relocate_record(record, moved[0][1] + "/", f"{name}:")

    def _run(self, python: str, request: ImportRequest, cwd: str | None = None) -> ImportRecord:
        record = collect_record(python, request, self.question.deadline_seconds, self.environment, cwd)
        if record.failure is not None:
            raise explain_failure(record, python)
        return record


def explain_failure(record: ImportRecord, python: str) -> NotMeasurable:
    """Return the error for a child that did not import everything: how, where and how far it came."""
    failure = record.failure
    assert failure is not None  # noqa: S101  # the caller has looked
    if failure.path == START:
        return NotMeasurable(f"the component's start is not known: {failure.message}", "Name the modules instead.")
    name = record.asked[-1] if record.asked else "what the component needs"
    where = f" ({failure.path}:{failure.line})" if failure.path else ""
    chain = f", while it loaded {' > '.join(record.open_names)}" if record.open_names else ""
    if failure.kind in ("Timeout", "Ended"):
        cause = f"importing {name}: {failure.message}{chain}"
        longer = " A longer --deadline may do." if failure.kind == "Timeout" else ""
        return NotMeasurable(cause, f"See what it does: {python} -X faulthandler -v -c 'import {name}'.{longer}")
    cause = f"importing {name} failed: {failure.kind}: {failure.message}{where}"
    if failure.kind == "ModuleNotFoundError":
        remedy = "Give the Python that has it with --python, or run airmem in the folder of your code."
        return NotMeasurable(cause, f"{python} has no such module. {remedy}")
    return NotMeasurable(cause, f"See the whole traceback: {python} -c 'import {name}'")


def _running_python(component: str, source: Source) -> str | None:
    """Return the interpreter of a component that runs here, None where none runs or its title hides it."""
    from airmem.questions.survey import survey_services  # noqa: PLC0415  # only for a component

    try:
        survey = survey_services(source)
    except (OSError, ProcessGone):
        return None
    pids = [pid for pid, role in survey.roles.items() if role.component == component]
    found = (python_of(survey.processes[pid].arguments) for pid in pids)
    return next((path for path in found if path), None)


def _near(name: str, known: list[str]) -> str:
    from difflib import get_close_matches  # noqa: PLC0415  # only for a wrong name

    near = get_close_matches(name, known, n=3, cutoff=0.6)
    return f"Did you mean {' or '.join(near)}?" if near else "See with -v what is imported."
