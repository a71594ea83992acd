"""The kernel's capabilities by number (include/uapi/linux/capability.h, capabilities(7))."""

from __future__ import annotations

NAMES = (
    "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP",
    "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER",
    "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE",
    "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP",
    "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF",
    "CHECKPOINT_RESTORE",
)  # fmt: skip
"""Without their `CAP_`; the place is the number."""

DAC_OVERRIDE, DAC_READ_SEARCH, SETGID, SETUID, SYS_PTRACE, SYS_ADMIN, PERFMON = 1, 2, 6, 7, 19, 21, 38


def capability_names(mask: int) -> tuple[str, ...]:
    """Return the capabilities of a mask as `CAP_SYS_PTRACE`; numbers that this version does not know as `CAP_41`."""
    return tuple(
        f"CAP_{NAMES[number] if number < len(NAMES) else number}"
        for number in range(mask.bit_length())
        if mask >> number & 1
    )
