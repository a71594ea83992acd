"""The document of `airmem imports` (docs/schema/imports.json)."""

from __future__ import annotations

from airmem.codec.document import Json, encode_head, encode_judgement, fields_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.model.import_cost import Explanation, ImportBudget, ImportComparison, ImportLine, ImportsReport


def encode(report: ImportsReport) -> Json:
    """Return the document."""
    cost = report.cost
    return {
        **encode_head(report.head),
        "component": report.component,
        "python": {"executable": cost.executable, "version": cost.python_version},
        "asked": list(cost.asked),
        "modules": [{**fields_of(one), "lines": _encode_lines(one.lines)} for one in cost.modules],
        "distributions": [fields_of(one) for one in cost.distributions],
        "totals": fields_of(cost.totals),
        "without": [fields_of(one) for one in report.without],
        "explanation": None if report.explanation is None else _encode_explanation(report.explanation),
        "compare": None if report.comparison is None else _encode_comparison(report.comparison),
        "budget": None if report.budget is None else _encode_budget(report.budget),
        **encode_judgement(report.gaps, report.findings),
    }


def _encode_lines(lines: tuple[ImportLine, ...]) -> list[Json]:
    return [fields_of(line) for line in lines]


def _encode_explanation(explanation: Explanation) -> Json:
    return {**fields_of(explanation), "sites": [fields_of(one) for one in explanation.sites]}


def _encode_comparison(comparison: ImportComparison) -> Json:
    return {
        **fields_of(comparison),
        "before": fields_of(comparison.before),
        "after": fields_of(comparison.after),
        "changes": [fields_of(one) for one in comparison.changes],
    }


def _encode_budget(budget: ImportBudget) -> Json:
    heavy = [{**fields_of(one), "lines": _encode_lines(one.lines)} for one in budget.heavy]
    return {**fields_of(budget), "heavy": heavy}
