"""A long time at half of what Deputy can: whether memory and the 99th percentile stay as they are."""

import pathlib
import statistics

import prepare
from harness import frame, free_port, replay, resident_mib
from servers import deputy

SLICE_S = 30
# What is asked, of a hundred requests: an active token, a call, garbage, one more exchange of a token.
ACTIVE, CALL, GARBAGE, EXCHANGE = 50, 40, 5, 5
# How long a connection waits before its next request, and about how long for an answer.
PAUSE_MS, ANSWER_MS = 2, 0.4
# The most that the last third of the time may be of the first: memory, and the median of the slices'
# 99th percentiles.
MEMORY, P99 = 1.1, 1.5


def table(options, directory: pathlib.Path) -> bool:
    """Prints ten stretches of the time; false if something grew, or the log is not whole."""
    port, home = free_port(), directory / "steady"
    with deputy(options.deputy, home, port, f"sqlite:{directory}/steady.db") as (child, _):
        target = prepare.Deputy(port, home)
        path = directory / "requests"
        mixed(target, path)
        replay(child.pid, port, path, 0, options.seconds)
        peak = replay(child.pid, port, path, 0, SLICE_S).per_s
        connections = max(1, round(peak / 2 * (PAUSE_MS + ANSWER_MS) / 1e3))
        print(f"\nPeak {peak:,.0f} requests a second; {connections} connections that pause "
              f"{PAUSE_MS} ms, for {options.steady} minutes.\n", flush=True)
        print("| minute | req/s | p50 / p99 µs | CPU µs | resident MiB |\n" + "|---" * 5 + "|")
        slices = []
        total = options.steady * 60 // SLICE_S
        for number in range(total):
            mixed(target, path)
            one = replay(child.pid, port, path, 0, SLICE_S, connections, PAUSE_MS)
            slices.append((one, resident_mib(child.pid)))
            if (number + 1) % max(1, total // 10) == 0:
                print(f"| {(number + 1) * SLICE_S / 60:g} | {one.per_s:,.0f} | {one.p50_us:,} / "
                      f"{one.p99_us:,} | {one.cpu_us:.1f} | {slices[-1][1]:.1f} |", flush=True)
        # What a slower machine does to the percentile is not Deputy's.
        after = replay(child.pid, port, path, 0, SLICE_S).per_s
        found = target.audit()
    kept = found["ok"] and not found["lost"]
    print(f"\nAudit log: {found['events']:,} events, {found['lost']:,} lost; "
          f"{'whole' if found['ok'] else 'NOT WHOLE'}.")
    third = max(1, total // 3)
    for name, most, of in (
        ("resident memory", MEMORY, lambda one: one[1]),
        ("p99", P99, lambda one: one[0].p99_us),
    ):
        first = statistics.median(map(of, slices[:third]))
        last = statistics.median(map(of, slices[-third:]))
        kept &= last <= first * most
        print(f"The last third beside the first, {name}: {last:,.1f} / {first:,.1f} = "
              f"{last / first:.2f} (at most {most}: {'kept' if last <= first * most else 'missed'}).")
    rate = statistics.median(one.per_s for one, _ in slices)
    print(f"{rate:,.0f} requests a second, {rate / peak:.2f} of the peak before and "
          f"{rate / after:.2f} of the peak after.", flush=True)
    return kept


def mixed(target: prepare.Deputy, path: pathlib.Path) -> None:
    """Writes a hundred requests, with tokens that outlive a slice."""
    [token] = target.issue(1)
    kinds = {
        target.introspection(token): ACTIVE,
        target.introspection(token, context=True): CALL,
        target.introspection(prepare.GARBAGE): GARBAGE,
        target.exchange(): EXCHANGE,
    }
    every = [(number / of, raw) for raw, of in kinds.items() for number in range(of)]
    frame(path, [raw for _, raw in sorted(every)])
