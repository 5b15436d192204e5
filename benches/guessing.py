"""What guessers cost everybody else: the latency of honest requests beside four connections that send
wrong secrets as fast as they are answered; and beside four that are honest, to tell one from the other."""

import contextlib
import pathlib
import statistics
import subprocess

import prepare
from harness import ROOT, frame, replay

CONNECTIONS = 4
# The most that the 99th percentile may be of what it is beside as many honest connections: these cost
# latency as well, whatever they send.
WRONG_TAG, OLD_SECRET = 1.1, 1.5
NOBODY, HONEST = "nobody", "four honest connections more"


def table(target: prepare.Deputy, child, options, directory: pathlib.Path) -> bool:
    """Prints the percentiles, by turns; false if a mark is missed."""
    [token] = target.issue(1)
    honest = directory / "requests"
    frame(honest, [target.introspection(token)])
    guesses = {
        NOBODY: (None, None),
        HONEST: (target.introspection(token), None),
        "wrong secrets with a wrong tag": (target.guess(token, is_old=False), WRONG_TAG),
        "an old secret, well-formed": (target.guess(token, is_old=True), OLD_SECRET),
    }
    found = {name: [] for name in guesses}
    guessed = {name: [0.0] for name in guesses}
    for turn in range(options.rounds + 1):
        for name, (guess, _) in guesses.items():
            with guessing(guess, target.port, directory, options.seconds, guessed[name]):
                one = replay(child.pid, target.port, honest, 0, options.seconds)
            if turn:
                found[name].append(one.p99_us)
    medians = {name: statistics.median(p99) for name, p99 in found.items()}
    print("\n| beside | a second of them | p99 of an introspection, µs | of what it is beside nobody "
          "| beside honest ones | at most |\n" + "|---" * 6 + "|")
    kept = True
    for name, (_, most) in guesses.items():
        p99, rate = medians[name], statistics.median(guessed[name][1:] or [0.0])
        more = p99 / medians[HONEST]
        mark = "" if most is None else f"{most:g} {'kept' if more <= most else 'missed'}"
        kept &= most is None or more <= most
        print(f"| {name} | {rate:,.0f} | {p99:,.0f} | {p99 / medians[NOBODY]:.2f} | {more:.2f} "
              f"| {mark} |", flush=True)
    return kept


@contextlib.contextmanager
def guessing(guess: bytes | None, port: int, directory: pathlib.Path, seconds: int, rates: list):
    """Sends one guess again and again for so long, and some more to be there at both ends; adds to
    `rates` how many a second."""
    if guess is None:
        yield
        return
    path = directory / "guesses"
    frame(path, [guess])
    # On what the honest load leaves of its core: the clients of one server share no core with those
    # of another, and what is measured is the server.
    command = [
        "nice", "-n19", "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds + 1}s", "-s",
        str(ROOT / "benches/replay.lua"), f"http://127.0.0.1:{port}", str(path),
    ]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield
    finally:
        output, _ = child.communicate()
        line = next(line for line in output.splitlines() if line.startswith("REPLAYED"))
        sent, duration_us = map(int, line.split()[1:3])
        rates.append(sent / duration_us * 1e6)
