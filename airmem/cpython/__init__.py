"""CPython's memory, told from the words of its pages alone: 64-bit builds with a GIL, 3.10 and later.

Pure: pages come in as arrays through model.contents, objects go out as arrays. In the order of use:

1. `learn.learn_types(contents, key, pages)` -> `learn.TypeLearner`, and its
   `table()` -> `types.TypeTable`: all type objects of a process. It raises
   NotMeasurable where the memory is not that of a CPython that this room knows: free-threaded, a debug build, no Python
   at all. `TypeTable.find(words)` says which words are type pointers, and of which types.
2. `objects.scan_objects(table, words)` -> which 16-byte slots of a block hold live objects, and of which types.
3. `heads.HeadList`: the garbage collector's heads of those objects, block after block; `finish()` -> `heads.Heads`.
4. `heads.complete_heads` follows chains that leave the known set; `heads.check_lists` -> which objects the collector
   tracks: a neighbor in its doubly linked list points back at them.
5. `collector.find_collectors(contents, key, heads)` -> the collector's lists: per head the generation (0, 1, 2, or
   FROZEN), `read_counters` -> how many collections each process has run, `is_collecting`.
6. `names.TypeNames(contents, key).name(type)` -> the module-qualified name.

For one object by its address, without looking at pages: `objects_at`, `lock_objects`, `asyncio_tasks`.
"""
