"""Calls of a script under the rules of model_rules.py, in virtual time.

run() gives the events that `bide simulate FILE --script - --random DRAW --json`
prints.  At one instant, attempts that end come first; then come the lines of the
script and the attempts that begin, in the order of the script.
"""
import heapq
import re
from fractions import Fraction

from model_rules import (NONE, Breaker, Budget, Policy, TIMEOUT, duration,
                         hinted_wait, matches, own_wait, total)

ENDS, BEGINS = 0, 1
END_OF = {"mandatory": "aborted", "postponable": "deferred", "optional": "dropped"}


class Call:
    def __init__(self, line, name, outcomes):
        self.line = line
        self.name = name
        self.outcomes = outcomes
        self.attempt = 0  # attempts made
        self.counted = 0  # those that count for `attempts`
        self.grown = 0  # retries that count for the growth of the wait
        self.previous = 0  # the own wait before the last attempt
        self.waits_until = None  # only while it waits
        self.charge = None  # what was paid for the retry that waits
        self.cost = 0  # what the failure before cost


def read_outcome(text):
    """OUTCOME+TOOK or OUTCOME+TOOK;after=HINT as (outcome, took, hint)."""
    text, _, hint = text.partition(";after=")
    outcome, _, took = text.rpartition("+")
    if hint:
        hint = hint if hint == "never" else duration(hint)
    return outcome, duration(took), hint if hint != "" else None


class Simulation:
    def __init__(self, policy, script, draw):
        self.policy = Policy(policy)
        self.draw = Fraction(draw)
        self.budget = Budget(self.policy, 0)
        self.breaker = Breaker()
        self.waiting = []
        self.events = []
        self.queue = []  # (time, ENDS or BEGINS, line, number, action)
        self.number = 0
        for line, text in enumerate(script):
            at, what, *rest = text.split()
            if what == "set":
                settings = dict(re.findall(r"(\w+)=(.*?)(?= \w+=|$)", " ".join(rest)))
                action = lambda now, settings=settings: self.change(now, settings)
            else:
                call = Call(line, what, [read_outcome(text) for text in rest])
                action = lambda now, call=call: self.begin(now, call)
            self.at(duration(at), BEGINS, line, action)

    def at(self, time, kind, line, action):
        self.number += 1
        heapq.heappush(self.queue, (time, kind, line, self.number, action))

    def run(self):
        while self.queue:
            time, _, _, _, action = heapq.heappop(self.queue)
            action(time)
            if self.breaker.has_opened:
                self.breaker.has_opened = False
                self.decide_again(time)
        return self.events

    def tell(self, now, call, says, **fields):
        event = {"t_ms": now / 1e6, "call": call.name, "attempt": call.attempt,
                 "says": says}
        if "until" in fields:
            event["until_ms"] = fields.pop("until") / 1e6
        self.events.append({**event, **fields})

    def fail(self, now, call, reason):
        self.tell(now, call, "done", verdict="exhausted", reason=reason,
                  end=END_OF[self.policy.importance])

    # ---- an attempt begins ----

    def begin(self, now, call):
        call.begun = call.since = now
        if self.policy.paused == "yes":
            self.refuse(now, call, "paused", None)
            return
        allowed, until = self.admit(now, call)
        if allowed:
            self.start(now, call)
        else:
            self.refuse(now, call, "breaker", until)

    def refuse(self, now, call, reason, until):
        fields = {} if until is None else {"until": until}
        self.tell(now, call, "refused", reason=reason,
                  end=END_OF[self.policy.importance], **fields)

    def admit(self, now, call):
        call.ticket = None
        if self.policy.breaker == "open":
            return False, None
        if self.policy.breaker != "on":
            return True, None
        allowed, answer = self.breaker.admit(self.policy, now)
        if allowed:
            call.ticket = answer
        return allowed, answer

    def wake(self, now, call):
        if now != call.waits_until:
            return  # the wait was decided again
        self.waiting.remove(call)
        call.waits_until = None
        if now - call.begun >= self.policy.deadline:
            reason = "deadline"
        elif not self.admit(now, call)[0]:
            reason = "breaker"
        else:
            call.charge = None
            self.grow(call)
            self.start(now, call)
            return
        self.give_back(now, call)
        self.fail(now, call, reason)

    def grow(self, call):
        """Counts the retry that starts for the growth of the waits."""
        how = self.policy.retry_after_growth if call.followed_hint else "counts"
        if how == "counts":
            call.grown += 1
            call.previous = call.own
        elif how == "resets":
            call.grown = self.policy.free_retries
            call.previous = 0

    def start(self, now, call):
        call.attempt += 1
        call.counted += 1
        self.tell(now, call, "go")
        outcome = call.outcomes.pop(0) if call.outcomes else ("ok", 0, None)
        self.at(total(now, outcome[1]), ENDS, call.line,
                lambda then: self.end(then, call, *outcome))

    # ---- an attempt ends ----

    def end(self, now, call, outcome, took, hint):
        policy = self.policy
        result = policy.result_of(outcome)
        self.report(now, call, outcome, took, result)
        if policy.budget != "none" and call.attempt == 1:
            self.budget.first_attempt_ended(policy, now)
        if took >= policy.reset_after:
            call.counted, call.grown, call.previous, call.since = 1, 0, 0, now
        call.ended, call.outcome, call.hint = now, outcome, hint
        if result == "ok":
            if policy.budget != "none":
                self.budget.succeeded(policy, now, call.attempt, call.cost)
            self.tell(now, call, "done", verdict="succeeded")
        else:
            never = hint == "never" and policy.retry_after != "ignore"
            if policy.budget != "none" and (result == "failed" or never):
                call.cost = policy.cost_of(outcome)
                self.budget.failed(policy, now, call.cost)
            if result == "failed":
                self.decide(now, call)
            else:
                self.tell(now, call, "done", verdict="rejected", reason="rejected")

    def report(self, now, call, outcome, took, result):
        policy = self.policy
        if policy.breaker != "on":
            return
        if matches(outcome, policy.breaker_ignore):
            self.breaker.forget(call.ticket)
        else:
            self.breaker.report(policy, now, call.ticket, result == "failed",
                                took > policy.breaker_slow_after)

    # ---- what comes after a failure ----

    def decide(self, now, call, again=False):
        """Asks the rules in their order.  `again`: the call waits already; its
        wait is decided again as of the end of its last attempt, and not charged."""
        stop, until = self.stop_or_wait(now, call)
        if not stop and not again and self.policy.budget != "none":
            call.charge = self.budget.pay(self.policy, now, call.cost)
            if call.charge is None:
                stop = "budget"
        if stop:
            if again:
                self.waiting.remove(call)
                self.give_back(now, call)
            call.waits_until = None
            self.fail(now, call, stop)
        elif until != call.waits_until:
            if not again:
                self.waiting.append(call)
                self.waiting.sort(key=lambda call: call.line)
            call.waits_until = until
            self.tell(now, call, "wait", until=until)
            self.at(until, BEGINS, call.line, lambda then: self.wake(then, call))

    def stop_or_wait(self, now, call):
        policy = self.policy
        if call.counted >= policy.attempts:
            return "attempts", None
        if call.ended - call.since >= policy.max_elapsed:
            return "max_elapsed", None
        throttled = matches(call.outcome, policy.throttle_on)
        call.own = wait = own_wait(
            policy, call.grown, call.previous, throttled, self.draw)
        call.followed_hint = call.hint is not None and policy.retry_after != "ignore"
        if call.followed_hint:
            wait = hinted_wait(policy, call.own, call.hint, self.draw)
            if wait is None:
                return "retry_after", None
        until = total(call.ended, wait)
        if until - call.begun >= policy.deadline:
            return "deadline", None
        until = max(until, now)
        if policy.breaker == "open" or (
                policy.breaker == "on" and self.breaker.state == "open"
                and self.breaker.until(policy) > until):
            return "breaker", None
        return None, until

    def give_back(self, now, call):
        if call.charge and self.policy.budget != "none":
            self.budget.give_back(self.policy, now, call.charge)
        call.charge = None

    # ---- a change of the rules ----

    def change(self, now, settings):
        old, new = self.policy, self.policy.changed(settings)
        self.policy = new
        self.breaker.change(old, new)
        if new.budget != old.budget or new.budget_kind != old.budget_kind:
            self.budget = Budget(new, now)
            for call in self.waiting:
                call.charge = None
        else:
            self.budget.change(old, new, now)
        self.decide_again(now)

    def decide_again(self, now):
        for call in list(self.waiting):
            self.decide(now, call, again=True)


def run(policy, script, draw):
    return Simulation(policy, script, draw).run()
