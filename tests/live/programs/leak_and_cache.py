"""A planted leak beside a bounded cache and churn: `leak_and_cache.py REQUESTS SECONDS`.

Each request keeps LEAK_BYTES for ever; the cache holds CACHE_COUNT entries of CACHE_BYTES, whatever comes.
"""

import json
import sys
import time

LEAK_BYTES = 4096
CACHE_BYTES = 8192
CACHE_COUNT = 500

CACHE = {}
LEAK = []


def look_up(key):
    if key not in CACHE:
        if len(CACHE) >= CACHE_COUNT:
            CACHE.pop(next(iter(CACHE)))
        CACHE[key] = bytearray(CACHE_BYTES)  # the cache's line
    return CACHE[key]


def handle(number):
    look_up(number % 1000)
    LEAK.append(bytearray(LEAK_BYTES))  # the leak's line
    return json.dumps({"rows": [number] * 200})


for number in range(int(sys.argv[1])):
    handle(number)
print("ready", flush=True)
time.sleep(float(sys.argv[2]))
