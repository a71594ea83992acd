"""The document of `airmem doctor` (docs/schema/doctor.json)."""

from __future__ import annotations

from airmem.codec.document import Json, encode_head, encode_judgement, fields_of
from airmem.model.capability import capability_names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from airmem.model.environment import Ability, DoctorReport, Environment, Identity, TargetFacts

TARGET_FIELDS = ("container_id", "user_namespace", "pid_namespace", "files", "reason", "detail", "python_version",
                 "python_evidence")  # fmt: skip


def encode(report: DoctorReport) -> Json:
    """Return the document."""
    return {
        **encode_head(report.head),
        "environment": _encode_environment(report.environment),
        "target": None if report.target is None else _encode_target(report.target),
        "commands": [_encode_ability(one) for one in report.abilities],
        **encode_judgement(report.gaps, report.findings),
    }


def _encode_environment(environment: Environment) -> Json:
    place = fields_of(environment.place)
    return {
        "kernel": fields_of(environment.kernel),
        "place": {**place, "identity": _encode_identity(environment.place.identity)},
        "programs": [fields_of(one) for one in environment.programs],
        "cgroup_version": environment.cgroup_version,
        "has_memory_account": environment.has_memory_account,
    }


def _encode_identity(identity: Identity) -> Json:
    fields = fields_of(identity)
    masks = {name: list(capability_names(value)) for name, value in fields.items() if name.endswith("_capabilities")}
    return {**fields, **masks, "is_dumpable": identity.is_dumpable}


def _encode_target(target: TargetFacts) -> Json:
    process, identity = target.process, target.identity
    return {
        "pid": target.pid,
        "start_ticks": process.start_ticks if process else None,
        "title": process.title if process else None,
        "identity": _encode_identity(identity) if identity else None,
        **{name: getattr(target, name) for name in TARGET_FIELDS},
    }


def _encode_ability(ability: Ability) -> Json:
    possible: bool | str = {"yes": True, "no": False}.get(ability.possible, ability.possible)
    return {
        "command": ability.command,
        "depth": ability.depth,
        "capability": ability.capability,
        "possible": possible,
        "reason": ability.reason,
        "cause": ability.cause,
        "remedy": ability.remedy.text,
        "line": ability.remedy.line,
        "lasting": ability.remedy.lasting,
    }
