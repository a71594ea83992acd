"""A remedy is a line to copy that fits the place."""

from __future__ import annotations

import shlex
from dataclasses import replace

import pytest

from airmem.model.gap import Gap
from airmem.rules.gaps import REMEDIES, advise
from airmem.rules.remedies import ENGINES, NEEDS, remedy_for
from tests.unit.rules.places import ALL, DOCKER, identity, place

AGAIN = "airmem pss 42"
SERVICE = identity(50000, 0)
SECRETIVE = identity(50000, 0, owner_uid=0)
KINDS = ("host", "systemd", "docker", "podman", "kubernetes", "container")


def line(reason, where, subject=None):
    return remedy_for(reason, AGAIN, where, subject).line


@pytest.mark.parametrize("reason", NEEDS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("own", [identity(), identity(0, 0, DOCKER), identity(no_new_privileges=True)])
def test_everywhere_there_is_a_line_that_a_shell_understands(reason, kind, own):
    remedy = remedy_for(reason, AGAIN, place(kind, own), SERVICE)
    assert "airmem" in shlex.split(remedy.line)
    assert remedy.text == f"{remedy.advice}: {remedy.line}"
    assert remedy.text.rpartition(": ")[2] == remedy.line
    assert not remedy.advice.endswith((".", ":"))


def test_root_without_the_capability_becomes_the_user():
    expected = f"setpriv --reuid 50000 --regid 0 --clear-groups {AGAIN}"
    for kind in KINDS:
        assert line("other_user", place(kind, identity(0, 0, DOCKER)), SERVICE) == expected


def test_without_setpriv_the_engine_enters_as_the_user():
    where = place("docker", identity(0, 0, DOCKER), has_setpriv=False)
    assert line("other_user", where, SERVICE) == f"docker exec -u 50000:0 0123456789ab {AGAIN}"


@pytest.mark.parametrize("subject", [SECRETIVE, identity(50000, 0, user_ids=(0, 50000, 50000, 50000)), None])
def test_becoming_the_user_is_not_advised_where_it_would_not_do(subject):
    where = place("host", identity(0, 0, DOCKER))
    assert line("other_user", where, subject) == AGAIN
    assert "--privileged" in line("other_user", place("docker"), subject)


def test_a_user_on_a_host_asks_root():
    assert line("not_dumpable", place()) == f'sudo env "PATH=$PATH" {AGAIN}'
    assert "no effect" in remedy_for("denied", AGAIN, place(own=identity(no_new_privileges=True)), None).advice


@pytest.mark.parametrize("engine", ENGINES)
def test_an_engine_lends_its_capabilities(engine):
    where = place(engine)
    for reason in ("not_dumpable", "no_page_frames"):
        assert line(reason, where) == f"{engine} exec --privileged -u 0 0123456789ab {AGAIN}"
    assert "cap_add: [SYS_PTRACE]" in remedy_for("not_dumpable", AGAIN, where, None).lasting


def test_a_pod_gets_an_ephemeral_container():
    debug = "kubectl debug -it scheduler-0 --target=CONTAINER --profile={} --image=IMAGE-WITH-AIRMEM -- " + AGAIN
    where = place("kubernetes")
    assert line("not_dumpable", where) == debug.format("general")
    assert line("no_page_frames", where) == debug.format("sysadmin")
    assert "runAsUser: 0" in remedy_for("not_dumpable", AGAIN, where, None).lasting


@pytest.mark.parametrize("name", ["$(reboot)", "a b", "--help", "x;y", "", "caf\u00e9", "a\nb"])
def test_a_hostname_is_not_trusted_in_a_line_to_copy(name):
    where = replace(place("kubernetes"), name=name)
    assert line("not_dumpable", where).startswith("kubectl debug -it NAME --target=")


def test_adding_a_capability_to_a_users_container_is_never_advised():
    for kind in KINDS:
        remedy = remedy_for("other_user", AGAIN, place(kind), SECRETIVE)
        assert "cap-add" not in remedy.line
        assert "SYS_PTRACE" not in remedy.lasting or "root" in remedy.lasting + remedy.advice


def test_outside_a_container_pids_differ():
    for reason in ("user_namespace", "no_page_frames"):
        where = place("podman", is_first_user_namespace=False)
        assert line(reason, where) == 'sudo env "PATH=$PATH" airmem ps'


def test_no_capability_helps_against_a_security_module():
    remedy = remedy_for("security_module", AGAIN, place(own=identity(0, 0, ALL)), None)
    assert (remedy.line, "security module" in remedy.advice) == ("", True)


def test_gaps_of_a_known_place_get_its_lines_and_others_the_general_words():
    gaps = (
        Gap(pid=42, fact="pss_bytes", reason="other_user", detail=""),
        Gap(pid=43, fact="pss_bytes", reason="other_user", detail=""),
        Gap(pid=44, fact="memory", reason="zombie", detail=""),
        Gap(pid=45, fact="memory", reason="zombie", detail="", remedy="said before"),
    )
    advised = advise(gaps, place("host", identity(0, 0, DOCKER)), {42: SERVICE}, AGAIN)
    assert "setpriv --reuid 50000" in advised[0].remedy
    assert "setpriv" not in advised[1].remedy
    assert [gap.remedy for gap in advised[2:]] == [REMEDIES["zombie"], "said before"]
    assert advise(gaps)[0].remedy == REMEDIES["other_user"]
