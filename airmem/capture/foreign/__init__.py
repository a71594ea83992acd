"""What other tools save of processes: pmap's output, a smaps file, a smemcap tar, a copy of /proc."""
