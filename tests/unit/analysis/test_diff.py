"""Two answers compared by role."""

from __future__ import annotations

from airmem.analysis.diff import diff_roles, diff_trees, sum_role
from airmem.model.change import RoleSize
from tests.synthetic import make_account, make_row

BEFORE = (make_row(1, role="parent"), make_row(2), make_row(3), make_row(4, role="log-server"))
AFTER = (make_row(11, role="parent"), make_row(12, account=make_account(1, 2, 3)), make_row(13, role="triggerer"))


def test_roles_are_matched_whoever_has_them():
    changes = {one.role: one for one in diff_roles(BEFORE, AFTER)}
    assert [*changes] == ["parent", "worker", "triggerer", "log-server"]
    assert changes["parent"].before == changes["parent"].after
    assert changes["worker"].before == RoleSize(
        process_count=2, rss_sum_bytes=2000, pss_sum_bytes=200, uss_sum_bytes=20, unread_count=0
    )
    assert changes["worker"].after == RoleSize(
        process_count=1, rss_sum_bytes=1, pss_sum_bytes=2, uss_sum_bytes=3, unread_count=0
    )
    assert changes["triggerer"].before is None
    assert changes["log-server"].after is None


def test_the_same_role_of_two_components_is_two():
    rows = (make_row(1, component="scheduler"), make_row(2, component="triggerer"))
    assert [(one.component, one.role) for one in diff_roles(rows, rows)] == [
        ("scheduler", "worker"),
        ("triggerer", "worker"),
    ]


def test_the_unread_are_counted_and_not_summed():
    size = sum_role([make_row(1), make_row(2, account=make_account(700))])
    assert (size.process_count, size.unread_count, size.rss_sum_bytes) == (2, 1, 1000)


def test_the_total_is_all_roles():
    change = diff_trees(5.0, "there", BEFORE, AFTER)
    assert (change.before_taken_at_seconds, change.before_hostname) == (5.0, "there")
    assert change.total.before is not None
    assert change.total.after is not None
    assert (change.total.before.process_count, change.total.after.process_count) == (4, 3)
    assert change.total.after.pss_sum_bytes == 202
