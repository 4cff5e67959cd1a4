/* bide for C++17.  The functions of bide.h can be used beside it.
 *
 *   bide::registry r;
 *   bide::policy payments = r.policy("payments");
 *   bide::result result = payments.run([&](const bide::attempt &a) {
 *       return bide::outcome::http(client.post(url, a.timeout()));
 *   });
 *
 * Results     are values: a call that did not succeed is no exception, unless
 *             or_throw makes it one.
 * Exceptions  one that leaves an attempt ends it with the outcome that a table
 *             has for its type, and the policy decides whether to retry.  If
 *             the table has no such type, the call ends as cancelled and run
 *             throws the exception on.  See bide::exceptions.
 * Leaving     the call ends also if pthread_cancel leaves an attempt, or an
 *             exception leaves a hook; run lets both go on.
 * Ownership   a registry and a call can be moved, not copied; their destructors
 *             end them.  A policy is a value, of no use after its registry.
 * Names       C has a structure bide, so it is a class here.  Its members are
 *             used like those of a namespace; `using namespace` is an error. */
#ifndef BIDE_HPP
#define BIDE_HPP

#include <bide.h>

#include <cerrno>
#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

struct bide {
    using clock = std::chrono::steady_clock; /* CLOCK_MONOTONIC */
    using duration = std::chrono::nanoseconds;
    struct outcome;
    class attempt;
    class result;
    class exceptions;
    class call;
    class policy;
    class registry;
    class error;   /* a function failed */
    class failure; /* a call did not succeed, thrown by or_throw */

    bide() = delete;
    bide(const bide &) = delete;
    bide &operator=(const bide &) = delete;

    /* Convert times of bide.h; UINT64_MAX is duration::max(). */
    static constexpr duration span(uint64_t ns) noexcept {
        return ns > INT64_MAX ? duration::max() : duration(ns);
    }
    static constexpr uint64_t count_ns(duration d) noexcept {
        return d == duration::max() ? UINT64_MAX
               : d.count() > 0      ? static_cast<uint64_t>(d.count())
                                    : 0;
    }
};

class bide::error : public std::runtime_error {
  public:
    int code; /* a BIDE_E code */

    error(const std::string &what, int rc) : runtime_error(what), code(rc) {}

    /* Throws if the result of a function of bide.h is negative. */
    static void check(const std::string &what, int rc) {
        if (rc < 0) {
            throw error(what + ": " + bide_strerror(rc), rc);
        }
    }
};

/* The result of an attempt.  Those of bide.h are converted to it. */
struct bide::outcome : bide_outcome {
    outcome(const bide_outcome &o) noexcept : bide_outcome(o) {}

    static outcome ok() noexcept { return bide_ok(); }
    static outcome app(const char *name) noexcept { return bide_app(name); }
    static outcome http(int status,
                        const char *retry_after = nullptr) noexcept {
        return bide_http(status, retry_after);
    }
    static outcome error(int number) noexcept { return bide_errno(number); }

    /* The codes of errno are errno.NAME, others app.other. */
    static outcome error(const std::error_code &e) noexcept {
        bool is_errno = e.category() == std::generic_category() ||
                        e.category() == std::system_category();

        return is_errno || !e ? bide_errno(e.value()) : bide_app("other");
    }

    /* Returns it with the server's hint to retry after `wait`. */
    outcome after(duration wait) const noexcept {
        return bide_outcome_after(*this, count_ns(wait));
    }

    std::string name() const {
        char text[BIDE_NAME_MAX + 16];

        bide_outcome_name(*this, text, sizeof(text));
        return text;
    }
};

/* The attempt in progress; valid until it returns. */
class bide::attempt {
  public:
    explicit attempt(const bide_attempt &a) noexcept : attempt_(a) {}

    unsigned number() const noexcept { return attempt_.number; }
    duration timeout() const noexcept { return span(attempt_.timeout_ns); }
    clock::time_point deadline() const noexcept {
        return clock::time_point(span(attempt_.deadline_ns));
    }
    int poll_ms() const noexcept { return bide_attempt_poll_ms(&attempt_); }
    const bide_attempt *get() const noexcept { return &attempt_; }

  private:
    const bide_attempt &attempt_;
};

/* How a call ended: the fields of struct bide_result, and the exception that
 * ended its last attempt. */
class bide::result : public bide_result {
  public:
    result(const bide_result &r, std::exception_ptr left) noexcept
        : bide_result(r), exception_(std::move(left)) {}

    explicit operator bool() const noexcept {
        return verdict == BIDE_SUCCEEDED;
    }
    duration elapsed() const noexcept { return span(elapsed_ns); }
    const std::exception_ptr &exception() const noexcept { return exception_; }

    /* If the call did not succeed, throws the exception of its last attempt,
     * or bide::failure without one. */
    inline const result &or_throw() const;

  private:
    std::exception_ptr exception_;
};

class bide::failure : public std::runtime_error {
  public:
    bide::result result;

    explicit failure(const bide::result &r)
        : runtime_error(std::string(bide_verdict_name(r.verdict)) + " after " +
                        std::to_string(r.attempts) +
                        " attempts: " + bide::outcome(r.outcome).name()),
          result(r) {}
};

const bide::result &bide::result::or_throw() const {
    if (!*this) {
        if (exception_) {
            std::rethrow_exception(exception_);
        }
        throw failure(*this);
    }
    return *this;
}

/* The table of exceptions: outcomes of types.  A registry has standard(), until
 * registry::set_exceptions; policy::with gives one policy another table. */
class bide::exceptions {
  public:
    exceptions() = default; /* no row: all exceptions are thrown on */

    /* std::bad_alloc is errno.ENOMEM, std::system_error its code. */
    static inline exceptions standard();

    /* Adds a row for `E` and what is derived from it, which is asked before
     * earlier rows.  `make` is an outcome, or a function that returns the
     * outcome of an exception. */
    template <class E, class Make> exceptions &add(Make make) {
        rows_.push_back([make]() -> std::optional<outcome> {
            try {
                throw;
            } catch (const E &e) {
                if constexpr (std::is_invocable_v<const Make &, const E &>) {
                    return outcome(make(e));
                } else {
                    (void)e;
                    return outcome(make);
                }
            } catch (...) {
                return std::nullopt;
            }
        });
        return *this;
    }

    /* Returns the outcome of the exception that is being handled. */
    std::optional<outcome> find() const {
        for (auto row = rows_.rbegin(); row != rows_.rend(); ++row) {
            if (std::optional<outcome> found = (*row)()) {
                return found;
            }
        }
        return std::nullopt;
    }

  private:
    std::vector<std::function<std::optional<outcome>()>> rows_;
};

bide::exceptions bide::exceptions::standard() {
    return exceptions()
        .add<std::bad_alloc>(bide_errno(ENOMEM))
        .add<std::system_error>([](const std::system_error &e) {
            return e.code() ? outcome::error(e.code()) : bide_app("other");
        });
}

/* A call with a deadline or work of its own, or that other threads may cancel.
 * It must not be moved while it runs. */
class bide::call {
  public:
    call() noexcept { bide_call_init(&call_); }
    ~call() { abandon(); }
    call(call &&from) noexcept : call_(from.call_) {
        bide_call_init(&from.call_);
    }
    call &operator=(call &&from) noexcept {
        std::swap(call_, from.call_);
        return *this;
    }

    void set_deadline(clock::time_point at) noexcept {
        bide_call_set_deadline_ns(&call_, count_ns(at.time_since_epoch()));
    }
    void set_work(std::string_view bytes, const char *type = nullptr,
                  const char *key = nullptr) {
        bide_work work = {};

        work.bytes = bytes.data();
        work.length = bytes.size();
        work.type = type;
        work.key = key;
        error::check("bide_call_set_work", bide_call_set_work(&call_, &work));
    }
    void cancel() noexcept { bide_call_cancel(&call_); }
    bool is_cancelled() const noexcept {
        return bide_call_is_cancelled(&call_);
    }

    /* Ends the call as cancelled.  An exception of a hook goes no further. */
    void abandon() noexcept {
        try {
            bide_call_abandon(&call_);
        } catch (...) {
        }
    }
    bide_call *get() noexcept { return &call_; }

  private:
    bide_call call_;
};

class bide::policy {
  public:
    policy(bide_policy *p, std::shared_ptr<const exceptions> table) noexcept
        : policy_(p), table_(std::move(table)) {}

    /* Runs `attempt` until it succeeds or the rules end the call.  It is called
     * with a const bide::attempt & or without an argument; it returns an
     * outcome, or nothing, which is success. */
    template <class Attempt> result run(Attempt &&attempt) const {
        call c;

        return run(c, attempt);
    }
    template <class Attempt> result run(call &c, Attempt &&attempt) const {
        held<std::remove_reference_t<Attempt>> h{attempt, *table_, nullptr};
        ending end{c};

        bide_call_run(c.get(), policy_, h.make, &h);
        return result(*bide_call_result(c.get()), std::move(h.left));
    }

    policy with(exceptions table) const {
        return policy(policy_,
                      std::make_shared<const exceptions>(std::move(table)));
    }
    const char *name() const noexcept { return bide_policy_name(policy_); }
    bide_policy *get() const noexcept { return policy_; }

  private:
    template <class Attempt> struct held {
        Attempt &run;
        const exceptions &table;
        std::exception_ptr left; /* the last attempt */

        static bide_outcome make(const bide_attempt *a, void *self) {
            held &h = *static_cast<held *>(self);

            try {
                h.left = nullptr;
                return outcome_of(h.run, attempt(*a));
            } catch (...) {
                /* pthread_cancel unwinds without an exception. */
                if ((h.left = std::current_exception())) {
                    if (std::optional<outcome> found = h.table.find()) {
                        return *found;
                    }
                }
                throw;
            }
        }

        static outcome outcome_of(Attempt &run, const attempt &a) {
            auto go = [&]() -> decltype(auto) {
                if constexpr (std::is_invocable_v<Attempt &, const attempt &>) {
                    return run(a);
                } else {
                    return run();
                }
            };
            if constexpr (std::is_void_v<decltype(go())>) {
                go();
                return bide_ok();
            } else {
                return go();
            }
        }
    };

    struct ending { /* of a run, however it is left */
        call &running;

        ~ending() { running.abandon(); }
    };

    bide_policy *policy_;
    std::shared_ptr<const exceptions> table_;
};

class bide::registry {
  public:
    /* Open a registry as bide_open and bide_open_with do; throw bide::error. */
    explicit registry(const char *dir = nullptr, unsigned flags = 0)
        : registry(bide_options{dir, flags, 0, 0, nullptr, nullptr, 0}) {}
    explicit registry(bide_options o) {
        o.hooks_size = o.hooks ? sizeof(*o.hooks) : 0;
        struct bide *b = nullptr;

        error::check("bide_open", bide_open_with(&o, sizeof(o), &b));
        bide_.reset(b);
    }
    /* Returns the number of calls that still run; they go on to their end. */
    int close() noexcept { return bide_close(bide_.release()); }

    void declare(const char *ini) {
        int rc = bide_declare(bide_.get(), ini);

        if (rc == BIDE_EINPUT) {
            throw error(bide_declare_error(), rc);
        }
        error::check("bide_declare", rc);
    }
    bide::policy policy(const std::string &name,
                        const std::string &scope = "") const {
        bide_policy *p;

        error::check(name,
                     bide_lookup(bide_.get(), name.c_str(),
                                 scope.empty() ? nullptr : scope.c_str(), &p));
        return bide::policy(p, table_);
    }

    /* For the policies that are looked up after this. */
    void set_exceptions(exceptions table) {
        table_ = std::make_shared<const exceptions>(std::move(table));
    }
    int status() const noexcept { return bide_registry_status(bide_.get()); }
    struct bide *get() const noexcept {
        return bide_.get();
    }

  private:
    std::shared_ptr<const exceptions> table_ =
        std::make_shared<const exceptions>(exceptions::standard());
    struct closer {
        void operator()(struct bide *b) const noexcept { bide_close(b); }
    };

    std::unique_ptr<struct bide, closer> bide_;
};

#endif
