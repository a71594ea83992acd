"""Commands to run next are asked of where the answer came from."""

from __future__ import annotations

from airmem.rules.asking import next_command, repeat_command


def test_the_running_system_is_asked_by_pid():
    assert next_command("", "pss", 42, "--mappings") == "airmem pss 42 --mappings"
    assert next_command("", "ps") == "airmem ps"
    assert next_command("", "doctor", 42) == "airmem doctor 42"


def test_a_file_is_asked_itself():
    assert next_command("a.airmem", "pss", 42, "--mappings") == "airmem pss --from a.airmem 42 --mappings"
    assert next_command("it's mine.gz", "ps") == "airmem ps --from 'it'\"'\"'s mine.gz'"
    assert next_command("pmap.txt", "pss", 0) == "airmem pss --from pmap.txt"
    assert next_command("bundle", "hang-dump", 42, "-v") == "airmem hang-dump --from bundle -v"


def test_what_no_file_answers_is_not_advised():
    assert next_command("a.airmem", "doctor", 42) == ""
    assert next_command("a.airmem", "heap", 42, "--every 60 --for 10m") == ""
    assert next_command("-", "pss", 42) == "", "standard input is over"


def test_what_a_file_lacks_is_captured_anew():
    assert repeat_command(True, "cow", 42) == "airmem cow 42"
    assert repeat_command(False, "pss", 42, "--exclusive") == "airmem capture 42 -o FILE"
    assert repeat_command(False, "heap", 42) == "airmem capture 42 --contents -o FILE"
    assert repeat_command(False, "hang-dump") == "airmem hang-dump TARGET -o FILE.tar.gz"
