#!/usr/bin/env python3
"""Collects what airmem reads of a tree of processes into one file, where airmem is not installed.

    kubectl exec -i POD -- python3 - scheduler < airmem-collector.py > scheduler.airmem

Needs Python 3.6 and nothing else, imports nothing of airmem, writes to standard output only. The file, described in
docs/commands/capture.md, is a tar.gz of raw bytes below /proc and /sys/fs/cgroup, beside what no bytes tell: who
asked, what was refused. Secrets in command lines are replaced; no process's environment is read."""

import errno
import json
import os
import re
import struct
import sys
import time
import zlib
from contextlib import suppress
from typing import Any, Callable

HELP = """Usage: python3 - TARGET [--no-mappings] [--all] [--pages] < airmem-collector.py > FILE.airmem
TARGET is a pid, an Airflow component (scheduler, dag-processor ...), celery-worker, or the name of a program. Without
smaps --mappings cannot be answered. --all takes every tree that matches. --pages needs this to be printed with --pages.
"""
PLACE_FILES = """proc/sys/kernel/random/boot_id proc/sys/kernel/hostname proc/sys/kernel/osrelease proc/meminfo
proc/sys/kernel/yama/ptrace_scope proc/sys/kernel/overflowuid proc/sentry-meminfo""".split()
MARKS = "run/.containerenv .dockerenv usr/bin/setpriv bin/setpriv".split()
FILES_V1 = "memory.limit_in_bytes memory.usage_in_bytes memory.stat memory.oom_control cgroup.procs".split()
FILES_V2 = "memory.max memory.current memory.stat memory.events memory.swap.current cgroup.procs".split()
FORMAT, FINAL, PAGE_BYTES, FRAME_MASK = "airmem-capture", "airmem.json", os.sysconf("SC_PAGE_SIZE"), (1 << 55) - 1

# The rules for secrets are those of airmem/kernel/cmdline.py, where they are explained; a test compares the two.
REDACTED = "[redacted]"
SECRET_WORDS = """auth authorization cookie cookies credential credentials creds dsn jwt pass passwd passwords pwd
secrets token tokens""".split()
SECRET_ENDS = ("password", "passwd", "passphrase", "secret", "token", "apikey", "accesskey", "secretkey", "privatekey")
SECRET_PAIRS = """api-key access-key account-key secret-key private-key fernet-key signing-key encryption-key master-key
shared-key auth-key license-key alchemy-conn secret-id""".split()
COUNTED = "max min num number total count limit per batch input output new".split()
VALUE_WORDS = "value string text plain base64 b64 default".split()
NAMES = "password|passwd|passphrase|secret|token|api_?-?key|access_?-?key|private_?-?key|fernet_?-?key|alchemy_conn"
VALUE = r"(\\?\"[^\"]*\"?|\\?'[^']*'?|[^\s\"',;&}]+)"
HINTS = """pass|pwd|secret|token|key|auth|cred|cookie|jwt|eyj|dsn|conn|@|json|bearer|basic|airflow_var_|ghp_|glpat-|\
xox|akia|_pat_|-user|\0-u\0| -u """


class Secrets:
    """Replaces secrets in command lines."""

    def redact(self, raw: bytes) -> bytes:
        """Return a command line with secrets replaced, otherwise as it is."""
        text = raw.rstrip(b"\0 ").decode(errors="surrogateescape")
        separator = "\0" if "\0" in text else " "
        kept = separator.join(self._words(text.split(separator))) if re.search(HINTS, text.lower()) else text
        return raw if kept == text else kept.encode(errors="surrogateescape") + b"\0"

    def _words(self, words: "list[str]") -> "list[str]":
        kept, before = [], ""  # type: list[str], str
        for word in words:
            is_json = before == "--json" and word.startswith(("{", "[")) and word != REDACTED
            if word.startswith("--json-string") or is_json:
                return kept + ([] if before == "--json" else ["--json-string"]) + [REDACTED]
            if before and not word.startswith("--") and self._announces(before):
                kept.append(REDACTED)
                before = word if word.lower() in ("bearer", "basic", "token") else ""
                continue
            is_user = before in ("-u", "--user", "--proxy-user") and ":" in word
            kept.append(word.partition(":")[0] + ":" + REDACTED if is_user else self._word(word))
            before = word
        return kept

    def _announces(self, word: str) -> bool:
        if word.startswith("-") and "=" not in word:
            return self._is_name(word)
        return word.lower() == "bearer" or (word.endswith(":") and self._is_name(word))

    def _is_name(self, name: str) -> bool:
        if len(name) > 80 or not all(one.isalnum() or one in "-_.:" for one in name):
            return False
        spaced = "".join("-" + one if one.isupper() and was.islower() else one for was, one in zip(" " + name, name))
        words = [word for word in re.split("[-_.:]", spaced.lower()) if word]
        while len(words) > 1 and (words[-1] in VALUE_WORDS or words[-1].isdigit()):
            words.pop()
        if words[:2] in (["airflow", "conn"], ["airflow", "var"]) and len(words) > 2:
            return True
        last = words[-1].rstrip("0123456789") if words else ""
        if last == "tokens" and set(words).intersection(COUNTED):
            return False
        return last in SECRET_WORDS or last.endswith(SECRET_ENDS) or "-".join(words[-2:]) in SECRET_PAIRS

    def _word(self, word: str) -> str:
        for separator in ("=", ":"):
            name, found, _ = word.partition(separator)
            if found and word != name + separator and self._is_name(name):
                return name + ("=" if separator == "=" else ": ") + REDACTED
        if word.startswith(("ghp_", "github_pat_", "glpat-", "xoxb-", "xoxp-", "AKIA")) and len(word) >= 20:
            return REDACTED
        parts = word.split("://")
        for number, part in enumerate(parts[1:], 1):
            end = len(part.split(None, 1)[0]) if part.strip() and not part[0].isspace() else 0
            at = part.rfind("@", 0, end)
            if at > 0 and (":" in part[:at] or at >= 16):
                parts[number] = REDACTED + part[at:]
        word = "://".join(parts)
        if re.search(HINTS, word.lower()):
            word = re.sub(r"eyJ[\w-]{6,}(?:\.[\w-]*){0,4}", REDACTED, word)
            word = re.sub(r"(?i)\b(bearer|basic) {1,4}[^\s\"',;&}]{8,}", r"\1 " + REDACTED, word)
            given = r"(?i)((?:%s)[\w.-]{0,20}\\?[\"']?\s{0,4}[=:]\s{0,4})%s" % (NAMES, VALUE)
            word = re.sub(given, r"\1" + REDACTED, word)
        return word


class Sink:
    """Packs members into a gzip-compressed tar, one after the other."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write
        self._packer = zlib.compressobj(1, zlib.DEFLATED, 31)
        self.known, self.paths = {}, set()  # type: dict[bytes, str], set[str]

    def add(self, path: str, *blocks: bytes) -> None:
        """Add a file from its blocks, unless it was added before."""
        if path in self.paths:
            return
        self.paths.add(path)
        name = os.fsencode(path)
        if len(name) > 100:
            self._put(b"././@LongLink", b"L", (name + b"\0",))
        self._put(name[:100], b"0", blocks)

    def add_facts(self, path: str, **facts: object) -> None:
        """Add facts as JSON, and let everything so far reach the reader; the final ones end the file."""
        self.add(path, json.dumps(facts, sort_keys=True).encode("ascii"))
        if path == FINAL:
            self._write(self._packer.compress(bytes(1024)) + self._packer.flush())
        self._write(self._packer.flush(zlib.Z_SYNC_FLUSH) if path != FINAL else b"")

    def _put(self, name: bytes, kind: bytes, blocks: "tuple[bytes, ...]") -> None:
        size = sum(map(len, blocks))
        fields = (name, b"0000600", b"0000000", b"0000000", b"%011o" % size, b"00000000000", b" " * 8, kind)
        header = struct.pack("100s8s8s8s12s12s8s1s100x8s247x", *fields, b"ustar\00000")
        packed = [self._packer.compress(header[:148] + b"%06o\0 " % sum(header) + header[156:])]
        packed += [self._packer.compress(block) for block in blocks]
        self._write(b"".join(packed) + self._packer.compress(bytes(-size % 512)))


class Reads:
    """Reads files below a path into a sink, and keeps what was refused and where links point."""

    def __init__(self, sink: Sink, path: str) -> None:
        self.errors, self.links, self.same = {}, {}, {}  # type: dict[str, int], dict[str, str], dict[str, str]
        self._sink = sink
        self._path = path

    def take(self, name: str) -> bool:
        """Put a file into the sink; return whether it could be read."""
        blocks = self._blocks(name)
        if name not in self.errors:
            self._sink.add(self._path + name, *blocks)
        return name not in self.errors

    def keep(self, name: str, content: bytes) -> None:
        """Put bytes into the sink, or remember where the same ones are."""
        same = self._sink.known.setdefault(content, self._path + name)
        if same == self._path + name and name not in self.errors:
            self._sink.add(same, content)
        elif name not in self.errors:
            self.same[name] = same

    def whole(self, name: str) -> bytes:
        """Return the content of a small file, nothing where it was refused."""
        return b"".join(self._blocks(name))

    def names(self, name: str) -> "list[str]":
        """Return the names in a folder, none where it was refused."""
        try:
            return os.listdir("/" + self._path + name)
        except OSError as problem:
            self.errors[name] = problem.errno or errno.EIO
            return []

    def link(self, name: str) -> None:
        """Keep where a link points, unless it is one to a file, whose name is nobody's business."""
        with suppress(OSError):
            target = os.readlink("/" + self._path + name)
            self.links.update({name: target} if not target.startswith("/") else {})

    def _blocks(self, name: str) -> "list[bytes]":
        try:
            with open("/" + self._path + name, "rb", buffering=0) as file:
                return list(iter(lambda: file.read(1 << 17), b""))
        except OSError as problem:
            self.errors[name] = problem.errno or errno.EIO
            return []


class Collector:
    """Captures trees of processes into a sink. Without `frames` page tables are left out."""

    def __init__(self, sink: Sink, frames: Any = None, with_mappings: bool = True) -> None:
        self._sink, self._frames, self._with_mappings = sink, frames, with_mappings
        self._hides, self.refused = False, []  # type: bool, list[int]
        self._groups = []  # type: list[str]

    def run(self, host: "Host", roots: "list[int]", progress: "Callable[[int, int], object] | None" = None) -> None:
        """Capture the trees of some processes, and beside them their ancestors and whoever reads this."""
        began, lines, tree, own = time.monotonic(), host.lines, host.family(roots), int(os.readlink("/proc/self"))
        self._place(Reads(self._sink, ""), roots, tree, own, time.time())
        for pid in [above for root in [own] + roots for above in host.lineage(root) if above not in tree]:
            self._process(pid, lines.get(pid), False)
        for number, pid in enumerate(tree):
            self._process(pid, lines[pid], True)
            if progress is not None:
                progress(number + 1, len(tree))
        last = Reads(self._sink, "")
        for pid in self._members(last) if self.refused else ():
            self._process(pid, lines.get(pid), False)
        if self._frames is not None:
            self._frames.add_counts(self._sink)
        took_seconds = round(time.monotonic() - began, 6)
        self._sink.add_facts(FINAL, format=FORMAT, format_version=1, errors=last.errors, took_seconds=took_seconds)

    def _place(self, place: Reads, roots: "list[int]", tree: "list[int]", own: int, taken_at: float) -> None:
        for path in PLACE_FILES + ["proc/%d/uid_map" % own]:
            place.take(path)
        self._sink.add("proc/stat", *re.findall(rb"^btime.*\n", place.whole("proc/stat"), re.M))
        mounts = place.whole("proc/self/mountinfo")
        self._hides = re.search(rb" /proc .*\bhidepid=(?!0|off)", mounts) is not None
        for root in roots:
            self._cgroup(place, os.fsdecode(place.whole("proc/%d/cgroup" % root)), os.fsdecode(mounts))
        self._sink.add_facts(
            "airmem/place.json", format=FORMAT, format_version=1, collector_version="1", own_pid=own,
            taken_at_seconds=taken_at, root_pids=roots, tree_pids=tree, own_user_id=os.geteuid(), errors=place.errors,
            links={"proc/self": str(own)}, page_bytes=PAGE_BYTES, byte_order=sys.byteorder, machine=os.uname().machine,
            ticks_per_second=os.sysconf("SC_CLK_TCK"), has_frames=shows_frames(),
            zero_frames=None if self._frames is None else self._frames.zero_frames,
            present=[path for path in MARKS if os.path.exists("/" + path)],
        )  # fmt: skip

    def _cgroup(self, place: Reads, membership: str, mounts: str) -> None:
        found = re.search(r"^\d+:(?:[^:]*,)?memory(?:,[^:]*)?:(.*)$", membership, re.M)
        version, found = (1, found) if found else (2, re.search(r"^0::(.*)$", membership, re.M))
        for line in mounts.splitlines() if found else ():
            fields, rest = (half.split(" ") for half in line.split(" - ", 1))
            if rest[0] != ("cgroup", "cgroup2")[version - 1] or (version == 1 and "memory" not in rest[-1].split(",")):
                continue
            root, mount = (re.sub(r"\\(\d{3})", lambda one: chr(int(one.group(1), 8)), path) for path in fields[3:5])
            root, group = root.rstrip("/"), found.group(1)  # type: ignore[union-attr]
            levels = [(mount.strip("/") + "/" + group[len(root) :].strip("/")).rstrip("/")]
            while version == 2 and len(levels[-1]) > len(mount.strip("/")):  # limits above it count, too
                levels.append(levels[-1].rpartition("/")[0])
            files = FILES_V1 if version == 1 else FILES_V2
            for level in levels if (group + "/").startswith(root + "/") else ():
                has_account = [place.take(level + "/" + name) for name in files][1]
                self._groups += [level] if has_account and not set(levels).intersection(self._groups) else []
            return

    def _members(self, place: Reads) -> "list[int]":
        pids, pending = [], list(self._groups)  # type: list[int], list[str]
        while pending:
            group = pending.pop()
            raw = place.whole(group + "/cgroup.procs")
            self._sink.add(group + "/cgroup.procs", raw)
            pids += [int(pid) for pid in raw.split()]
            for name in place.names(group):
                path = group + "/" + name
                pending += [path] if os.path.exists("/" + path + "/cgroup.procs") else []
        return pids

    def _process(self, pid: int, stat: "bytes | None", whole: bool) -> None:
        reads, owner, runs = Reads(self._sink, "proc/%d/" % pid), None, []  # type: Reads, int | None, list[object]
        if stat is None or "airmem/%d.json" % pid in self._sink.paths:
            return
        self._sink.add("proc/%d/stat" % pid, stat)
        try:
            owner = os.stat("/proc/%d/status" % pid).st_uid
            runs = self._files(reads, pid, whole)
            if fields_of(reads.whole("stat"))[19:20] != fields_of(stat)[19:20]:
                raise OSError(errno.ESRCH, "it ended, and another process has its pid")
        except OSError as problem:
            reads.errors[""] = problem.errno or errno.EIO
        self._sink.add_facts("airmem/%d.json" % pid, pid=pid, owner_uid=owner, runs=runs, errors=reads.errors,
                             links=reads.links, same=reads.same)  # fmt: skip

    def _files(self, reads: Reads, pid: int, whole: bool) -> "list[object]":
        fields, prefix, runs = fields_of(reads.whole("stat")), "", []  # type: list[bytes], str, list[object]
        reads.take("status")
        reads.keep("cmdline", Secrets().redact(reads.whole("cmdline")[: 1 << 16]))
        for name, link in (("cgroup", "ns/pid"), ("mountinfo", "ns/user")):
            reads.keep(name, reads.whole(name))
            reads.link(link)
        if fields[:1] and fields[0] in b"ZXx":  # its first thread has ended; others may run on
            threads = sorted(int(name) for name in reads.names("task")) if fields[17] != b"1" else []
            prefix = "task/%d/" % threads[1] if len(threads) > 1 else "-"
        if prefix != "-" and fields[6:] and not int(fields[6]) & 0x00200000:  # a kernel thread
            reads.take(prefix + "smaps_rollup")
            refusal = reads.errors.get(prefix + "smaps_rollup", 0)
            self.refused += [pid] if whole and refusal in (errno.EACCES, errno.EPERM) else []
            runs = self._frames.add_table(self._sink, reads, pid) if self._frames is not None and whole else []
            if (self._with_mappings or refusal) if whole else self._frames is not None:
                reads.take(prefix + "smaps")
            for name in reads.names("fd") if whole else ():
                reads.link("fd/" + name)
            for name in ("net/tcp", "net/tcp6") if any("socket:" in one for one in reads.links.values()) else ():
                lines = reads.whole(name).splitlines(True)  # of the sockets only those that listen
                reads.keep(name, b"".join(lines[:1] + [line for line in lines[1:] if line.split()[3:4] == [b"0A"]]))
        for name in reads.names("task") if whole and self._hides else ():
            reads.take("task/%s/children" % name)
        return runs


class Host:
    """The processes that show, and who descends from whom."""

    def __init__(self) -> None:
        self.lines, self.parents = {}, {}  # type: dict[int, bytes], dict[int, int]
        for name in os.listdir("/proc"):
            with suppress(OSError, ValueError), open("/proc/%d/stat" % int(name), "rb", buffering=0) as file:
                self.lines[int(name)] = file.read()
        for pid, stat in sorted(self.lines.items()):
            self.parents[pid] = int(fields_of(stat)[1])

    def family(self, roots: "list[int]") -> "list[int]":
        """Return processes and all their descendants, parents first."""
        tree = list(roots)
        for pid in tree:
            tree += [child for child, parent in self.parents.items() if parent == pid and child not in tree]
        return tree

    def lineage(self, pid: int) -> "list[int]":
        """Return a process and its ancestors."""
        found = []  # type: list[int]
        while pid in self.parents and pid not in found:
            found.append(pid)
            pid = self.parents[pid]
        return found

    def find(self, target: str, take_all: bool) -> "list[int]":
        """Return the pids that a target means; raises ValueError."""
        if target.isdigit():
            matches = {int(target): ""} if int(target) in self.lines else {}
        else:
            matches = {pid: self._title(pid) for pid in self.lines if pid not in self.lineage(os.getpid())}
            matches = {pid: title for pid, title in matches.items() if is_called(target, title)}
        roots = [pid for pid in sorted(matches) if not any(one in matches for one in self.lineage(pid)[1:])]
        if not roots:
            raise ValueError("no process %s shows here" % target)
        if len(roots) > 1 and not take_all:
            lines = "".join("\n%7d  %a" % (pid, matches[pid][:60]) for pid in roots)
            raise ValueError("%d trees match %s; give a pid, or --all:%s" % (len(roots), target, lines))
        return roots

    def _title(self, pid: int) -> str:
        with suppress(OSError), open("/proc/%d/cmdline" % pid, "rb", buffering=0) as file:
            return os.fsdecode(Secrets().redact(file.read(1 << 16))).replace("\0", " ").strip()
        return ""


def fields_of(stat: bytes) -> "list[bytes]":
    """Return the fields of /proc/PID/stat from the state on: the name before it may hold anything."""
    return stat.rpartition(b")")[2].split()


def is_called(target: str, title: str) -> bool:
    """Whether a command line is the component, or the program, that a target names."""
    words = [word.rpartition("/")[2].rstrip(":") for word in title.split()]
    if target == "celery-worker":
        return {"celery", "worker"}.issubset(words) or words[:1] == ["[celeryd"]
    return target in words[:3] or "airflow " + target in " ".join(words).replace("_", "-")


def shows_frames() -> bool:
    """Whether page frame numbers show, probed on a page of this process."""
    with suppress(OSError), open("/proc/self/pagemap", "rb", buffering=0) as file:
        return int.from_bytes(os.pread(file.fileno(), 8, id(file) // PAGE_BYTES * 8), sys.byteorder) & FRAME_MASK > 0
    return False


def main(arguments: "list[str]") -> int:
    """Write a capture to standard output; return the exit status."""
    targets = [word for word in arguments if not word.startswith("-")]
    options = set(arguments).difference(targets)
    frames = globals().get("Frames") if "--pages" in options else None
    if len(targets) != 1 or options - {"--pages", "--no-mappings", "--all"} or ("--pages" in options and not frames):
        return sys.stderr.write(HELP) and 2
    if sys.stdout.isatty():
        return sys.stderr.write("a capture is binary: redirect it, > FILE.airmem\n") and 2
    try:
        host = Host()
        sink = Sink(sys.stdout.buffer.write)
        collector = Collector(sink, frames() if frames else None, "--no-mappings" not in options)
        collector.run(host, host.find(targets[0], "--all" in options))
        sys.stdout.buffer.flush()
    except (ValueError, OSError) as problem:
        return sys.stderr.write("airmem-collector: %s\n" % problem) and (3 if isinstance(problem, ValueError) else 5)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
