"""A record of what hang-dump read, as members of a bundle, and back: raw files, stacks, memory and sources as read.

`raw/LOOK/proc/42/stat` is that file at that look; stacks are py-spy's JSON; `airmem/hang.json` has what no file tells,
links and refusals. A bundle holds facts, never conclusions: newer rules judge it anew.
"""

from __future__ import annotations

import hashlib
import json
import os

from airmem.capture.archive import MOST_BYTES, MOST_MEMBERS, read_members
from airmem.capture.facts import PLACE
from airmem.errors import Malformed, UsageProblem
from airmem.kernel.record import HangRecord

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from airmem.kernel.record import Kept

INDEX = "airmem/hang.json"
FORMAT, FORMAT_VERSION = "airmem-hang", 1
VERDICT = "verdict.txt"
REMEDY = "Make one with: airmem hang-dump TARGET -o FILE.tar.gz"


def pack_record(record: HangRecord) -> dict[str, bytes]:
    """Return the members that a record is kept in, by their paths."""
    members: dict[str, bytes] = {}
    files: dict[str, dict[str, str]] = {}
    facts: dict[str, dict[str, Any]] = {}
    for layer, kept in record.layers.items():
        folder = layer.replace(" ", "-")
        files[layer], facts[layer] = {}, {}
        for key, found in kept.items():
            if isinstance(found, bytes):
                path = f"raw/{folder}/{key.replace(' ', '%20')}"
                members[path] = found
                files[layer][key] = path
            else:
                facts[layer][key] = list(found) if isinstance(found, tuple) else found
    for name, raw in record.dumps.items():
        members[f"stacks/{name.replace(' ', '-')}.json"] = raw
    index = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "told": record.told,
        "files": files,
        "facts": facts,
        "dumps": {name: f"stacks/{name.replace(' ', '-')}.json" for name in record.dumps},
        "sources": _pack_sources(record, members),
        "memory": [[pid, address, size, found.hex()] for (pid, address, size), found in record.memory.items()],
        "found": [[pid, word.hex(), list(found)] for (pid, word), found in record.found.items()],
    }
    members[INDEX] = json.dumps(index, sort_keys=True, separators=(",", ":")).encode("ascii")
    return members


def _pack_sources(record: HangRecord, members: dict[str, bytes]) -> list[list[Any]]:
    """Add each source text once; return [pid, path, member or None]."""
    packed: list[list[Any]] = []
    for (pid, path), text in record.sources.items():
        member = None
        if text is not None:
            raw = text.encode(errors="surrogateescape")
            member = f"sources/{hashlib.sha256(raw).hexdigest()[:16]}.py"
            members[member] = raw
        packed.append([pid, path, member])
    return packed


def read_record(members: dict[str, bytes], name: str, is_cut: bool = False) -> HangRecord:
    """Return the record that the members of a bundle hold; `name` is for messages. Errors: Malformed.

    The index is written last: where it is, all that it names is, too.
    """
    if INDEX not in members:
        raise _explain_lack(members, name, is_cut)
    try:
        index = json.loads(members[INDEX])
        if index["format"] != FORMAT or index["format_version"] != FORMAT_VERSION:
            raise Malformed(f"{name}: a bundle of another form, {index['format_version']!r}", "Update airmem.")
        return _record(index, members)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as problem:
        raise Malformed(f"{name}: damaged: {INDEX} is not what hang-dump writes ({problem})", REMEDY) from problem


def _explain_lack(members: dict[str, bytes], name: str, is_cut: bool) -> Malformed:
    """Return why a bundle has no index."""
    if PLACE in members:
        return Malformed(f"{name} is a capture, no bundle of hang-dump", f"Ask it with: airmem pss --from {name}")
    if is_cut and members:
        cause = f"{name} was cut short: it lacks {INDEX}, with which a bundle ends"
        return Malformed(cause, f"Copy it again, whole; what is whole in it can be read with: tar -xzf {name}")
    if VERDICT in members:
        cause = f"{name} has its verdict only: with what it was made from it would have been too large"
        return Malformed(cause, f"Read {VERDICT} in it; {REMEDY[0].lower()}{REMEDY[1:]}")
    return Malformed(f"{name} is no bundle of hang-dump: it lacks {INDEX}", REMEDY)


def _record(index: dict[str, Any], members: dict[str, bytes]) -> HangRecord:
    record = HangRecord(told=dict(index["told"]))
    for layer, facts in index["facts"].items():
        kept: dict[str, Kept] = {key: _fact(found) for key, found in facts.items()}
        kept.update({key: members[path] for key, path in index["files"].get(layer, {}).items() if path in members})
        record.layers[layer] = kept
    record.dumps.update({name: members[path] for name, path in index["dumps"].items() if path in members})
    for pid, path, member in index["sources"]:
        raw = members.get(member) if member else None
        record.sources[int(pid), str(path)] = None if raw is None else raw.decode(errors="surrogateescape")
    for pid, address, size, found in index["memory"]:
        record.memory[int(pid), int(address), int(size)] = bytes.fromhex(found)
    for pid, word, addresses in index["found"]:
        record.found[int(pid), bytes.fromhex(word)] = tuple(int(address) for address in addresses)
    return record


def _fact(found: Any) -> Kept:
    if isinstance(found, list):
        return tuple(str(one) for one in found)
    return found if isinstance(found, str) else int(found)


def open_bundle(path: str) -> HangRecord:
    """Return the record in a bundle, a file or a folder.

    Errors: UsageProblem when it cannot be read, Malformed when it is none.
    """
    try:
        if os.path.isdir(path):
            return read_record(_read_folder(path), path)
        with open(path, "rb") as file:
            members, is_cut = read_members(file, path, REMEDY)
            return read_record(members, path, is_cut)
    except OSError as problem:
        raise UsageProblem(f"cannot read {path}: {problem.strerror}", "Give a bundle that you may read.") from problem


def _read_folder(path: str) -> dict[str, bytes]:
    """Return the plain files below a folder by their paths in it; links are passed over. Errors: OSError, Malformed."""
    members: dict[str, bytes] = {}
    size_bytes = 0
    for folder, _, names in os.walk(path):
        for name in sorted(names):
            whole = os.path.join(folder, name)
            if os.path.islink(whole) or not os.path.isfile(whole):
                continue
            with open(whole, "rb") as file:
                raw = file.read(MOST_BYTES + 1)
            size_bytes += len(raw)
            if size_bytes > MOST_BYTES or len(members) >= MOST_MEMBERS:
                raise Malformed(f"{path} is too large to be a bundle of hang-dump", REMEDY)
            members[os.path.relpath(whole, path)] = raw
    return members
