/* bide for C++11: a call that ends when its scope does, also by an exception.
 *
 *   bide_scoped_call call;
 *   if (call.run(policy, [&](const bide_attempt &attempt) {
 *           return bide_http(client.get(url, bide_attempt_poll_ms(&attempt)), nullptr);
 *       }) == BIDE_SUCCEEDED) ...
 *
 * An exception that leaves an attempt ends the call as cancelled and goes on to
 * the caller; to have it retried, catch it and return an outcome. */
#ifndef BIDE_HPP
#define BIDE_HPP

#include <bide.h>

#include <type_traits>

class bide_scoped_call {
public:
    bide_scoped_call() noexcept { bide_call_init(&call_); }
    ~bide_scoped_call() { bide_call_abandon(&call_); } /* does nothing if it has ended */
    bide_scoped_call(const bide_scoped_call &) = delete;
    bide_scoped_call &operator=(const bide_scoped_call &) = delete;

    /* As bide_call_run, with a function or a function object as the attempt. */
    template <class Attempt>
    bide_verdict run(bide_policy *policy, Attempt &&attempt)
    {
        held<typename std::remove_reference<Attempt>::type> h = {attempt};
        ending end = {&call_};

        return bide_call_run(&call_, policy, h.make, &h);
    }

    const bide_result &result() const noexcept { return *bide_call_result(&call_); }

    /* The call, for the other functions of bide.h. */
    bide_call *get() noexcept { return &call_; }

private:
    template <class Attempt>
    struct held {
        Attempt &attempt;

        static bide_outcome make(const bide_attempt *a, void *self)
        {
            return static_cast<held *>(self)->attempt(*a);
        }
    };

    struct ending { /* of a run that an exception leaves */
        bide_call *call;

        ~ending() { bide_call_abandon(call); }
    };

    bide_call call_;
};

#endif
