"""What size costs: the same two questions beside many delegations, clients, tools or policies.

Each kind of thing grows on a Deputy of its own, on SQLite. What a question costs is its ratio to the
floor in the same rounds, so that a slow minute of the machine is no growth.
"""

import pathlib

import prepare
from cases import cases, measure, ratio
from harness import free_port, summary
from servers import deputy

# 500 policies are the most that Deputy takes.
SIZES = {
    "delegations": [100, 10_000, 1_000_000],
    "clients": [100, 10_000],
    "tools": [100, 10_000],
    "policies": [100, 500],
}
ASKED = ("introspect, call context", "exchange, new subject token")
# The most that a step may cost of the one before.
STEP = 1.2
AT_ONCE = 2_000
TOOLS_AT_ONCE = 250


def table(options, directory: pathlib.Path) -> bool:
    """Prints what each size costs; false if a step costs more than it may."""
    print("\n| beside | how many | " + " | ".join(f"{name}: CPU µs / floor" for name in ASKED)
          + " | step |\n" + "|---" * 5 + "|")
    kept = True
    for kind, sizes in SIZES.items():
        if options.only not in kind:
            continue
        port, home = free_port(), directory / kind
        with deputy(options.deputy, home, port, f"sqlite:{directory}/{kind}.db") as (child, _):
            target = prepare.Deputy(port, home, others=int(kind == "policies"))
            before, have = None, 0
            for size in sizes:
                grow(target, kind, have, size)
                have = size
                costs = ask(target, child, options, directory, f"{kind}-{size}")
                ratios = [1 / share for _, _, share in costs]
                steps = [now / then for now, then in zip(ratios, before or ratios)]
                worst, before = max(steps), ratios
                kept &= worst <= STEP
                told = " | ".join(f"{mine:.1f} / {its:.1f}" for mine, its, _ in costs)
                step = f"{worst:.2f} {'kept' if worst <= STEP else 'missed'}"
                print(f"| {kind} | {size:,} | {told} | {step if have != sizes[0] else ''} |",
                      flush=True)
    return kept


def ask(
    target, child, options, directory: pathlib.Path, name: str
) -> list[tuple[float, float, float]]:
    """The CPU, in µs, of each question and of its floor, and the ratio."""
    costs = []
    for case in cases(target):
        if case.name in ASKED:
            durable = f"sqlite:{directory}/floor-{name}.db"
            ours, floors = measure(case, target, child, options, directory, durable)
            own, its = summary(ours).cpu_us, summary(floors).cpu_us
            costs.append((own, its, ratio(ours, floors)))
    return costs


def grow(target: prepare.Deputy, kind: str, have: int, size: int) -> None:
    """From `have` things of a kind to `size`."""
    if kind == "delegations":
        for start in range(have, size, AT_ONCE):
            target.issue(min(AT_ONCE, size - start))
    elif kind == "clients":
        for number in range(have, size):
            target.add_client(number)
    elif kind == "tools":
        for start in range(have, size, TOOLS_AT_ONCE):
            target.add_tools(f"more-{start}", min(TOOLS_AT_ONCE, size - start))
    else:
        target.add_policies(size)
