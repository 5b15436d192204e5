"""What is asked of Deputy, the floor that does the same, and the mark between them."""

import dataclasses
import pathlib
import statistics

import prepare
import wire
from harness import Round, frame, replay, summary
from servers import floor

# More exchanges a second than one core can verify and sign: no subject token is replayed twice.
FRESH_PER_S = 20_000
# The least ratio to the floor, by case and engine; docs/PERFORMANCE.md has the reasons.
BOTH = ("SQLite", "PostgreSQL")
ACTIVE = dict.fromkeys(BOTH, 0.8)
GARBAGE = dict.fromkeys(BOTH, 0.9)
CALL = dict.fromkeys(BOTH, 0.65)
RECORDED = dict.fromkeys(BOTH, 0.6)
FIRST_SEEN = {"SQLite": 0.5, "PostgreSQL": 0.7}
SEEN = {"SQLite": 0.33, "PostgreSQL": 0.5}
WITH_ACTOR = {"PostgreSQL": 0.7}
BY_KEY = dict.fromkeys(BOTH, 0.6)
# The most that the 99th percentile may be of the floor's.
P99_MOST = 3.0


@dataclasses.dataclass
class Case:
    """What is asked of Deputy, and the floor that does the same."""

    name: str
    make: object  # count -> list of whole requests
    fresh: bool  # every request only once
    work: str
    durable: bool
    marks: dict[str, float]  # least ratio to the floor, by engine
    expect: bytes = b""  # found in Deputy's answer


def cases(target: prepare.Deputy) -> list[Case]:
    [token] = target.issue(1)
    active = target.introspection(token)
    garbage = target.introspection(prepare.GARBAGE)
    call = target.introspection(token, context=True)
    again = target.exchange()

    def fresh(count: int) -> list[bytes]:
        return [target.exchange() for _ in range(count)]

    def by_key(count: int) -> list[bytes]:
        return [target.exchange(by_key=True) for _ in range(count)]

    def bound(count: int) -> list[bytes]:
        nonce = target.nonce()
        return [target.exchange(nonce=nonce) for _ in range(count)]

    def bound_by_key(count: int) -> list[bytes]:
        nonce = target.nonce()
        return [target.exchange(by_key=True, nonce=nonce) for _ in range(count)]

    def with_actor(count: int) -> list[bytes]:
        agent = target.agent_token()
        return [target.exchange(actor=agent) for _ in range(count)]

    def ask(name: str, raw: bytes, expect: bytes, marks, durable: bool = False) -> Case:
        return Case(f"introspect, {name}", lambda _: [raw], False, "echo", durable, marks, expect)

    def exchange(name: str, make, work: str, marks, durable: bool = True, is_fresh=True) -> Case:
        return Case(f"exchange, {name}", make, is_fresh, work, durable, marks, b'"access_token"')

    allowed = b'"allow":true'
    return [
        ask("active", active, b'"active":true', ACTIVE),
        ask("garbage", garbage, b'{"active":false}', GARBAGE),
        ask("call context", call, allowed, CALL),
        ask("a call of a `write` tool", target.write_call(), allowed, RECORDED, durable=True),
        ask("a counted call", target.counted_call(), allowed, RECORDED, durable=True),
        exchange("new subject token", fresh, "verify1sign1", FIRST_SEEN),
        exchange("floor without the row", fresh, "verify1sign1", {}, durable=False),
        exchange("known subject token", lambda _: [again], "sign1", SEEN, is_fresh=False),
        exchange("with an actor token", with_actor, "verify2sign1", WITH_ACTOR),
        exchange("private_key_jwt", by_key, "verify2sign1", BY_KEY),
        exchange("DPoP", bound, "verify2sign1", BY_KEY),
        exchange("private_key_jwt and DPoP", bound_by_key, "verify3sign1", BY_KEY),
    ]


def measure(case: Case, target, child, options, directory: pathlib.Path, durable: str):
    """Interleaved rounds, Deputy and floor by turns on the same bytes, after one that warms up."""
    status, body = wire.once(target.port, case.make(1)[0])
    if status != 200 or case.expect not in body:
        raise SystemExit(f"bench: {case.name} answered {status}: {body.decode()[:500]}")
    ours, floors = [], []
    path = directory / "requests"
    table = durable if case.durable else None
    with floor(options.floor, case.work, len(body), table) as (base, port):
        for turn in range(options.rounds + 1):
            seconds = options.seconds if turn else 1
            count = FRESH_PER_S * seconds if case.fresh else 1
            frame(path, case.make(count))
            limit = count if case.fresh else 0
            mine = replay(child.pid, target.port, path, limit, seconds)
            its = replay(base.pid, port, path, 0, seconds)
            if turn:
                ours.append(mine)
                floors.append(its)
    return ours, floors


def ratio(ours: list[Round], floors: list[Round]) -> float:
    """What the floor costs beside Deputy: the median over the rounds, each with the one that followed
    it, so that a slow moment of the machine falls on both."""
    return statistics.median(its.cpu_us / mine.cpu_us for mine, its in zip(ours, floors))


def slower(ours: list[Round], floors: list[Round]) -> float:
    """The 99th percentile beside the floor's: the median over the rounds, paired likewise."""
    return statistics.median(mine.p99_us / its.p99_us for mine, its in zip(ours, floors))


HEADER = (
    "| case | floor | req/s best (median) | floor req/s best | p50 / p99 µs | floor p50 / p99 µs "
    "| CPU µs | floor CPU µs | ratio by CPU | ratio by wall | mark | p99 by floor's |\n"
    + "|---" * 12 + "|"
)


def row(case: Case, name: str, ours: list[Round], floors: list[Round]) -> bool:
    """Prints one row; false if its mark on that engine is missed."""
    mine, its = summary(ours), summary(floors)
    median = statistics.median(one.per_s for one in ours)
    share = ratio(ours, floors)
    least = case.marks.get(name)
    missed = least is not None and share < least
    mark = "–" if least is None else f"{least} {'missed' if missed else 'kept'}"
    tail = slower(ours, floors)
    missed |= least is not None and tail > P99_MOST
    late = f"{tail:.2f}" + ("" if least is None else " kept" if tail <= P99_MOST else " missed")
    work = case.work + (" + row" if case.durable else "")
    print(
        f"| {case.name} | {work} | {mine.per_s:,.0f} ({median:,.0f}) | {its.per_s:,.0f} "
        f"| {mine.p50_us:,} / {mine.p99_us:,} | {its.p50_us:,} / {its.p99_us:,} "
        f"| {mine.cpu_us:.1f} | {its.cpu_us:.1f} | {share:.2f} | {mine.per_s / its.per_s:.2f} "
        f"| {mark} | {late} |",
        flush=True,
    )
    return not missed


def by_turns(
    questions: dict[str, bytes], expect: bytes, target, child, options, directory: pathlib.Path
) -> list[list[float]]:
    """The CPU, in µs, of each of some questions that are asked by turns, round by round."""
    rounds: dict[str, list[Round]] = {name: [] for name in questions}
    path = directory / "requests"
    for turn in range(options.rounds + 1):
        for name, raw in questions.items():
            status, body = wire.once(target.port, raw)
            if status != 200 or expect not in body:
                raise SystemExit(f"bench: {name} answered {status}: {body.decode()[:500]}")
            frame(path, [raw])
            one = replay(child.pid, target.port, path, 0, options.seconds if turn else 1)
            if turn:
                rounds[name].append(one)
    return [[one.cpu_us for one in all_] for all_ in rounds.values()]
