"""The rules of a policy, described a second time: keys, waits, budget, breaker.

This file is written from the description of the rules and shares nothing with
lib/rule.  It computes with whole nanoseconds and exact fractions.  It leaves out
everything that only live processes have.  model.py runs calls under these rules.
"""
import re
from fractions import Fraction

NONE = 2**64 - 1  # "none" as a duration: longer than everything
MS = 10**6
SLICES = 16  # parts of a window of time
UNITS = {"ns": 1, "us": 10**3, "ms": MS, "s": 10**9, "m": 60 * 10**9,
         "h": 3600 * 10**9, "d": 86400 * 10**9, "": 0}

SUCCESS = re.compile(r"ok|exit\.0|curl\.0|grpc\.OK|http\.[123]\d\d")
TIMEOUT = ("errno.ETIMEDOUT", "errno.ETIME", "http.408", "http.504",
           "grpc.DEADLINE_EXCEEDED", "curl.28")
THROTTLE = ("http.429", "grpc.RESOURCE_EXHAUSTED")
CONNECT = ("errno.ECONNREFUSED", "errno.EHOSTUNREACH", "errno.ENETUNREACH", "curl.7")
TRANSIENT = TIMEOUT + THROTTLE + CONNECT + (
    "errno.EINTR", "errno.EAGAIN", "errno.EPIPE", "errno.ECONNRESET", "http.425",
    "http.500", "http.502", "http.503", "grpc.UNAVAILABLE", "exit.69", "exit.75")
CLASSES = {"timeout": TIMEOUT, "throttle": THROTTLE, "connect": CONNECT,
           "transient": TRANSIENT}


# ---- values of keys ----

def duration(text):
    """A duration in nanoseconds."""
    if text == "none":
        return NONE
    number, unit = re.fullmatch(r"([0-9.]+)([a-z]*)", text).groups()
    return int(Fraction(number) * UNITS[unit])


def share(text):
    """A percentage as a fraction of 1."""
    return Fraction(text.rstrip("%")) / 100


def rate(text):
    return Fraction(text.removesuffix("/s"))


def count(text):
    return NONE if text in ("none", "unlimited") else int(text)


def window(text):
    """("calls", N) or ("time", nanoseconds)."""
    if text.endswith("calls"):
        return "calls", int(text.split()[0])
    return "time", duration(text)


def chain(text):
    """The waits of wait_chain, one for each retry; the last one repeats."""
    waits = []
    for part in text.split(","):
        wait, _, times = part.strip().partition(" x")
        waits += [duration(wait)] * int(times or 1)
    return waits


def outcomes(text):
    return [] if text == "none" else [part.strip() for part in text.split(",")]


def matches(outcome, patterns):
    """Whether a list of outcomes names this one."""
    domain, _, code = outcome.partition(".")
    for pattern in patterns:
        if pattern in ("any", outcome) or outcome in CLASSES.get(pattern, ()):
            return True
        bounds = re.fullmatch(r"(\w+)\.(\d+)-(\d+)", pattern)
        if bounds and domain == bounds[1] and int(bounds[2]) <= int(code) <= int(bounds[3]):
            return True
        if pattern.endswith("xx") and pattern[:-2] == outcome[:-2]:
            return True
    return False


# key: how its value is read, its default (None: see Policy)
KEYS = {
    "importance": (str, "mandatory"), "paused": (str, "no"),
    "attempts": (count, "3"), "max_elapsed": (duration, "none"),
    "deadline": (duration, "none"), "attempt_timeout": (duration, "none"),
    "reset_after": (duration, "none"),
    "wait": (str, "exponential"), "wait_initial": (duration, "100ms"),
    "wait_min": (duration, "0"), "wait_max": (duration, None),
    "wait_max_holds": (str, "result"), "wait_factor": (Fraction, None),
    "wait_increment": (duration, "0"), "wait_power": (Fraction, "1"),
    "wait_chain": (chain, "0"), "wait_jitter": (str, "full"),
    "free_retries": (count, "0"), "retry_after": (str, "honor"),
    "retry_after_max": (duration, "1m"), "retry_after_spread": (duration, "0"),
    "retry_after_growth": (str, "counts"),
    "retry_on": (outcomes, "transient"), "never_on": (outcomes, "none"),
    "success_on": (outcomes, "none"), "throttle_on": (outcomes, "throttle"),
    "throttle_wait_initial": (duration, None), "throttle_wait_max": (duration, None),
    "budget": (str, "none"), "budget_kind": (str, "tokens"),
    "budget_capacity": (Fraction, "500"), "budget_cost": (Fraction, "5"),
    "budget_timeout_cost": (Fraction, None), "budget_throttle_cost": (Fraction, None),
    "budget_charge": (str, "retry"), "budget_deposit": (Fraction, "1"),
    "budget_refund": (Fraction, None), "budget_refill": (rate, "0/s"),
    "budget_threshold": (share, "0%"), "budget_ratio": (share, "20%"),
    "budget_min_rate": (rate, "10/s"), "budget_window": (duration, "10s"),
    "budget_earn": (str, "all"),
    "breaker": (str, "off"), "breaker_failure_rate": (share, "50%"),
    "breaker_consecutive": (count, "none"), "breaker_slow_after": (duration, "none"),
    "breaker_slow_rate": (share, "100%"), "breaker_window": (window, "10s"),
    "breaker_min_calls": (count, "20"), "breaker_open_for": (duration, "30s"),
    "breaker_open_factor": (Fraction, "1"), "breaker_open_max": (duration, "5m"),
    "breaker_probes": (count, "3"), "breaker_probe_timeout": (duration, "10s"),
    "breaker_judge": (str, "always"), "breaker_probe_failures": (count, "none"),
    "breaker_ignore": (outcomes, "none"),
}


class Policy:
    """The values of all keys, from the text of a section."""

    def __init__(self, text):
        self.text = {}
        for line in re.sub(r"\n[ \t]+", " ", text).splitlines():
            key, equals, value = line.partition("=")
            if equals:
                self.text[key.strip()] = value.strip()
        self.resolve()

    def resolve(self):
        unknown = set(self.text) - set(KEYS)
        assert not unknown, f"the model does not know {unknown}"
        for key, (read, default) in KEYS.items():
            text = self.text.get(key, default)
            setattr(self, key, None if text is None else read(text))
        if self.wait_factor is None:
            self.wait_factor = Fraction(3 if self.wait == "decorrelated" else 2)
        if self.throttle_wait_initial is None:
            self.throttle_wait_initial = self.wait_initial
        if self.wait_max is None:
            longest = [duration("10s"), self.wait_initial, self.throttle_wait_initial]
            self.wait_max = max(longest + (self.wait_chain if self.wait == "chain" else []))
        if self.throttle_wait_max is None:
            self.throttle_wait_max = self.wait_max
        for cost in ("budget_timeout_cost", "budget_throttle_cost"):
            if getattr(self, cost) is None:
                setattr(self, cost, self.budget_cost)

    def changed(self, settings):
        """A policy with some keys set to other values."""
        other = Policy("")
        other.text = {**self.text, **settings}
        other.resolve()
        return other

    def result_of(self, outcome):
        """ok, rejected (never retried), or failed."""
        if SUCCESS.fullmatch(outcome) or matches(outcome, self.success_on):
            return "ok"
        if matches(outcome, self.never_on) or not matches(outcome, self.retry_on):
            return "rejected"
        return "failed"

    def cost_of(self, outcome):
        if matches(outcome, self.throttle_on):
            return self.budget_throttle_cost
        if matches(outcome, TIMEOUT):
            return self.budget_timeout_cost
        return self.budget_cost


# ---- waits ----

def total(a, b):
    """The sum of two durations; it never exceeds "none"."""
    return min(a + b, NONE)


def formula(policy, retry, previous, initial, draw):
    """The wait of the formula before retry 1, 2, 3 ..., without a limit."""
    if policy.wait == "none":
        return 0
    if policy.wait == "fixed":
        return initial
    if policy.wait == "linear":
        return initial + policy.wait_increment * (retry - 1)
    if policy.wait == "polynomial":
        return initial + policy.wait_increment * retry**policy.wait_power
    if policy.wait == "exponential":
        return initial * policy.wait_factor**(retry - 1)
    if policy.wait == "chain":
        return policy.wait_chain[min(retry, len(policy.wait_chain)) - 1]
    return initial + draw * (policy.wait_factor * max(previous, initial) - initial)


def with_jitter(policy, wait, draw):
    kind = policy.wait_jitter
    if kind == "none" or policy.wait == "decorrelated":
        return wait
    if kind == "full":
        return wait * draw
    if kind == "equal":
        return wait / 2 + wait / 2 * draw
    if kind.startswith("+"):
        return wait + duration(kind[1:]) * draw
    return wait * (1 - share(kind) + 2 * share(kind) * draw)


def own_wait(policy, grown, previous, throttled, draw):
    """The wait before a retry that follows `grown` retries, without a hint."""
    if grown < policy.free_retries:
        return 0
    initial, longest = policy.wait_initial, policy.wait_max
    if throttled:
        initial, longest = policy.throttle_wait_initial, policy.throttle_wait_max
    retry = grown + 1 - policy.free_retries
    wait = with_jitter(policy, min(
        formula(policy, retry, previous, initial, draw), longest), draw)
    if policy.wait_max_holds == "result":
        wait = min(wait, longest)
    return int(min(max(wait, policy.wait_min), NONE))


def hinted_wait(policy, own, hint, draw):
    """The wait that a server asks for, as the policy takes it; None: no retry."""
    if hint == "never":
        return None
    asked = total(hint, int(policy.retry_after_spread * draw))
    if policy.retry_after == "honor":
        if hint > policy.retry_after_max:
            return None
        wait = asked
    elif policy.retry_after == "cap":
        wait = min(asked, policy.retry_after_max)
    else:
        wait = min(max(asked, own), total(own, policy.retry_after_max))
    return max(wait, policy.wait_min)


# ---- windows ----

class TimeWindow:
    """Sums over a window of time, which is made of 16 slices.  A slice begins at a
    multiple of its length, and counts until a whole window has passed since then."""

    def __init__(self):
        self.slices = {}

    def add(self, now, length, what, amount=1):
        """Adds to the slice of now; returns it, so that the amount can be taken off."""
        start = now // (length // SLICES) * (length // SLICES)
        counts = self.slices.setdefault(start, {})
        counts[what] = counts.get(what, 0) + amount
        return counts

    def sum(self, now, length, what):
        return sum(counts.get(what, 0) for start, counts in self.slices.items()
                   if start >= now - length)


# ---- budget ----

class Budget:
    """Decides whether a retry may be paid.  A charge is what pay() returns; it
    can be given back."""

    def __init__(self, policy, now):
        self.level = policy.budget_capacity
        self.settled_ms = now // MS
        self.window = TimeWindow()

    def settle(self, policy, now):
        """Adds what was refilled in the whole milliseconds since the last time."""
        passed = now // MS - self.settled_ms
        self.settled_ms = now // MS
        self.put(policy, policy.budget_refill * passed / 1000)

    def put(self, policy, tokens):
        self.level = min(self.level + tokens, policy.budget_capacity)

    def change(self, old, new, now):
        """Settles under the old rules; keeps the share that is filled."""
        self.settle(old, now)
        if old.budget_capacity:
            self.level = self.level * new.budget_capacity / old.budget_capacity

    def first_attempt_ended(self, policy, now):
        if policy.budget_kind == "ratio" and policy.budget_earn == "all":
            self.window.add(now, policy.budget_window, "earned")

    def succeeded(self, policy, now, attempt, charged):
        if policy.budget_kind == "ratio":
            if policy.budget_earn == "success":
                self.window.add(now, policy.budget_window, "earned")
            return
        self.settle(policy, now)
        if attempt == 1:
            self.put(policy, policy.budget_deposit)
        else:
            refund = policy.budget_refund
            self.put(policy, charged if refund is None else refund)

    def failed(self, policy, now, cost):
        """Each failure pays under budget_charge = failure."""
        if policy.budget_kind == "tokens" and policy.budget_charge == "failure":
            self.settle(policy, now)
            self.level = max(self.level - cost, 0)

    def pay(self, policy, now, cost):
        """Pays for a retry: returns the charge, or None if it is not allowed."""
        if policy.budget_kind == "ratio":
            length = policy.budget_window
            allowed = (policy.budget_ratio * self.window.sum(now, length, "earned")
                       + policy.budget_min_rate * Fraction(length, 10**9))
            if self.window.sum(now, length, "retries") + 1 > allowed:
                return None
            return ("slice", self.window.add(now, length, "retries"))
        self.settle(policy, now)
        if self.level <= policy.budget_threshold * policy.budget_capacity:
            return None
        if policy.budget_charge == "failure":
            return ("tokens", 0)
        if self.level < cost:
            return None
        self.level -= cost
        return ("tokens", cost)

    def give_back(self, policy, now, charge):
        if charge[0] == "slice":
            charge[1]["retries"] -= 1
        elif policy.budget_kind == "tokens":
            self.settle(policy, now)
            self.put(policy, charge[1])


# ---- breaker ----

class Breaker:
    """Closed, open or half open.  Each half-open state is a round with a number.

    A ticket says how an attempt was let out: (round, place, number) as a probe, else
    None.  A place that is taken has the number of its probe and the time from which
    another probe may take it: NONE once the probe has reported.
    """

    def __init__(self):
        self.state = "closed"
        self.opened = 0
        self.growth = 0  # failed rounds in succession
        self.round = 0
        self.has_opened = False  # since it was last asked
        self.reset_counts()

    def reset_counts(self):
        self.window = TimeWindow()
        self.calls = []
        self.run = 0

    def change(self, old, new):
        """Starts closed if it is switched on.  A window that changes between time and
        calls starts empty, in whatever state."""
        if new.breaker == "on" and old.breaker != "on":
            self.close()
        elif old.breaker_window[0] != new.breaker_window[0]:
            self.reset_counts()

    def open(self, policy, now):
        self.growth = self.growth + 1 if self.state == "half open" else 0
        self.state, self.opened = "open", now // MS * MS
        self.has_opened = True

    def until(self, policy):
        """When an open breaker lets the first probe out, under the present rules."""
        longest = max(policy.breaker_open_for, policy.breaker_open_max)
        lasts = policy.breaker_open_for * policy.breaker_open_factor**self.growth
        return total(self.opened, int(min(lasts, longest)))

    def close(self):
        self.state = "closed"
        self.reset_counts()

    def admit(self, policy, now):
        """(True, ticket), or (False, until) with until None if it is not known."""
        if self.state == "open":
            if now < self.until(policy):
                return False, self.until(policy)
            self.state = "half open"
            self.round += 1
            self.probes, self.reports, self.failures, self.slow = 0, 0, 0, 0
            self.places = {}
        if self.state == "half open":
            self.decide_round(policy, now)
        if self.state == "open":
            return False, self.until(policy)
        if self.state == "closed":
            return True, None
        for i in range(policy.breaker_probes):
            place = self.places.get(i)
            if place is None or now >= place[1]:
                self.probes += 1
                self.places[i] = (
                    self.probes, total(now // MS * MS, policy.breaker_probe_timeout))
                return True, (self.round, i, self.probes)
        return False, None

    def report(self, policy, now, ticket, failed, slow):
        """Counts an attempt that has ended.  A report of an earlier round is ignored."""
        if ticket is not None:
            if self.state != "half open" or ticket[0] != self.round:
                return
            if self.holds_place(ticket):
                self.places[ticket[1]] = (ticket[2], NONE)
            self.reports += 1
            self.failures += failed
            self.slow += slow
            self.decide_round(policy, now)
        elif self.state == "closed":
            self.count(policy, now, failed, slow)
            if failed or policy.breaker_judge == "always":
                self.judge(policy, now)

    def holds_place(self, ticket):
        return self.places.get(ticket[1], (0,))[0] == ticket[2]

    def forget(self, ticket):
        """An attempt is no call for the breaker: its place is free again."""
        if ticket and self.state == "half open" and ticket[0] == self.round:
            if self.holds_place(ticket):
                del self.places[ticket[1]]

    def count(self, policy, now, failed, slow):
        kind, length = policy.breaker_window
        self.run = self.run + 1 if failed else 0
        if kind == "calls":
            self.calls = (self.calls + [(failed, slow)])[-length:]
        else:
            self.window.add(now, length, "calls")
            self.window.add(now, length, "failed", failed)
            self.window.add(now, length, "slow", slow)

    def judge(self, policy, now):
        kind, length = policy.breaker_window
        if kind == "calls":
            calls = len(self.calls)
            failed, slow = (sum(c[i] for c in self.calls) for i in (0, 1))
            enough = calls >= min(policy.breaker_min_calls, length)
        else:
            calls, failed, slow = (
                self.window.sum(now, length, what) for what in ("calls", "failed", "slow"))
            enough = calls >= policy.breaker_min_calls
        if (self.run >= policy.breaker_consecutive
                or enough and reaches(failed, calls, policy.breaker_failure_rate)
                or enough and reaches(slow, calls, policy.breaker_slow_rate)):
            self.open(policy, now)

    def decide_round(self, policy, now):
        limit = policy.breaker_probe_failures
        if limit != NONE and self.failures >= limit:
            self.open(policy, now)
        elif self.reports >= policy.breaker_probes:
            failed = limit == NONE and reaches(
                self.failures, self.reports, policy.breaker_failure_rate)
            if failed or reaches(self.slow, self.reports, policy.breaker_slow_rate):
                self.open(policy, now)
            else:
                self.close()


def reaches(part, whole, limit):
    return part > 0 and Fraction(part, whole) >= limit
