// bide.hpp: results, exceptions, hooks, cancellation, moves.  argv[1] is an empty registry
// or none; without $BIDE no command is asked which calls are open.
#include <bide.hpp>

#include <pthread.h>

#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <future>
#include <mutex>
#include <thread>

#define CHECK(yes)                                                             \
    do {                                                                       \
        if (!(yes)) {                                                          \
            fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, __func__, #yes); \
            exit(1);                                                           \
        }                                                                      \
    } while (0)

static const char *dir;
static const char rules[] = "[shop]\nattempts = 3\nwait = none\nretry_on = any\n"
                            "[slow]\nattempts = 3\nwait_initial = 1h\nwait_max = 1h\nretry_on = any\n"
                            "[later]\nattempts = 1\nimportance = postponable\n";

// What holds at compile time.
template <class T>
constexpr bool owns = std::is_nothrow_move_constructible_v<T> && std::is_nothrow_move_assignable_v<T> &&
                      !std::is_copy_constructible_v<T> && !std::is_copy_assignable_v<T>;
static_assert(owns<bide::registry> && owns<bide::call>);
static_assert(std::is_nothrow_move_constructible_v<bide::policy> && std::is_copy_constructible_v<bide::policy>);
static_assert(std::is_nothrow_copy_constructible_v<bide::result> && std::is_nothrow_copy_constructible_v<bide::failure>);
static_assert(!std::is_constructible_v<bide> && !std::is_convertible_v<bide::result, bool>);
static_assert(noexcept(std::declval<bide::call &>().cancel()) && noexcept(std::declval<bide::registry &>().close()));

struct shop : bide::registry {
    explicit shop(const bide_hooks *hooks = nullptr) : registry(bide_options{dir, 0, 0, 0, nullptr, hooks, 0})
    {
        declare(rules);
    }
    bide_stats stats(const char *name) const
    {
        bide_stats s;

        CHECK(bide_read_stats(policy(name).get(), sizeof(s), &s) == 0);
        return s;
    }
};

// Ends a test: no call of the registry is open, in this process or for operators.
static void expect_no_call(shop &s)
{
    const char *command = getenv("BIDE");

    if (command) {
        std::string line = std::string(command) + " --dir " + dir + " calls --json", text;
        FILE *out = popen(line.c_str(), "r");

        for (int c; (c = getc(out)) != EOF;) {
            text += static_cast<char>(c);
        }
        CHECK(pclose(out) == 0 && text.find("\"policy\"") == std::string::npos);
    }
    CHECK(s.close() == 0);
}

static int throw_error(int number)
{
    throw std::system_error(number, std::generic_category());
}

static void results_are_values()
{
    shop s;
    bide::policy p = s.policy("shop");
    bide::result good = p.run([](const bide::attempt &a) -> bide::outcome {
        return a.number() < 3 ? bide::outcome::http(503, "0") : bide::outcome::ok();
    });
    bide::result bad = p.run([] { return bide::outcome::app("x"); });

    CHECK(good && good.attempts == 3 && good.elapsed() > bide::duration(0));
    CHECK(&good.or_throw() == &good && !good.exception());
    CHECK(!bad && bad.verdict == BIDE_EXHAUSTED && !bad.exception());
    try {
        bad.or_throw();
        CHECK(false);
    } catch (const bide::failure &f) {
        CHECK(strcmp(f.what(), "exhausted after 3 attempts: app.x") == 0 && f.result.attempts == 3);
    }
    CHECK(p.run([] {}) && p.run([](const bide::attempt &) {}));
    expect_no_call(s);
}

static void an_exception_of_the_table_is_an_outcome()
{
    shop s;
    bide::policy p = s.policy("shop");
    bide::result good = p.run([](const bide::attempt &a) {
        return a.number() < 3 ? bide_errno(throw_error(ECONNRESET)) : bide_ok();
    });
    bide::result bad = p.run([] { throw_error(EPIPE); });
    bide::result memory = p.run([] { throw std::bad_alloc(); });
    bide::result other = p.run([] { throw std::system_error(std::make_error_code(std::future_errc::no_state)); });

    CHECK(!p.run([] { throw_error(0); })); // an exception is no success
    CHECK(good && good.attempts == 3 && !good.exception());
    CHECK(!bad && bide::outcome(bad.outcome).name() == "errno.EPIPE" && bad.exception());
    CHECK(bide::outcome(memory.outcome).name() == "errno.ENOMEM");
    CHECK(bide::outcome(other.outcome).name() == "app.other");
    try {
        bad.or_throw();
        CHECK(false);
    } catch (const std::system_error &e) {
        CHECK(e.code().value() == EPIPE);
    }
    CHECK(s.stats("shop").cancelled == 0);
    expect_no_call(s);
}

static void other_exceptions_end_the_call_and_are_thrown_on()
{
    shop s;
    uint64_t before = s.stats("shop").cancelled;
    int caught = 0;

    for (unsigned at = 1; at <= 3; at++) {
        try {
            s.policy("shop").run([at](const bide::attempt &a) {
                if (a.number() == at) {
                    throw std::logic_error("mine");
                }
                return bide_app("x");
            });
        } catch (const std::logic_error &) {
            caught++;
        }
    }
    bide::call c;

    try {
        s.policy("shop").run(c, []() -> bide::outcome { throw 42; });
    } catch (int) {
        caught++;
    }
    CHECK(!bide_call_policy(c.get()) && s.policy("shop").run(c, [] {}));
    CHECK(caught == 4 && s.stats("shop").cancelled == before + 4);
    expect_no_call(s);
}

struct soft_error : std::runtime_error {
    using runtime_error::runtime_error;
};

static void the_table_can_be_extended()
{
    shop s;
    bide::policy p = s.policy("shop").with(
        bide::exceptions::standard()
            .add<std::exception>(bide::outcome::app("unknown"))
            .add<std::runtime_error>([](const std::runtime_error &e) { return bide::outcome::app(e.what()); })
            .add<soft_error>(bide::outcome::app("soft"))
            .add<int>([](int number) { return bide::outcome::http(number); }));
    auto name = [&p](auto attempt) { return bide::outcome(p.run(attempt).outcome).name(); };

    CHECK(name([] { throw soft_error("x"); }) == "app.soft");
    CHECK(name([] { throw std::runtime_error("hard"); }) == "app.hard");
    CHECK(name([] { throw std::logic_error("x"); }) == "app.unknown");
    CHECK(name([] { throw 503; }) == "http.503");

    bool is_out = false;
    try { // a row that throws itself
        s.policy("shop").with(bide::exceptions().add<int>([](int) { return bide_errno(throw_error(EIO)); })).run([] {
            throw 1;
        });
    } catch (const std::system_error &) {
        is_out = true;
    }
    s.set_exceptions(bide::exceptions());
    try { // an empty table
        s.policy("shop").run([] { throw std::bad_alloc(); });
        CHECK(false);
    } catch (const std::bad_alloc &) {
    }
    CHECK(is_out);
    expect_no_call(s);
}

// ---- hooks ----

static int hook; // the one that throws

static void throw_at(int number)
{
    if (hook == number) {
        throw std::logic_error("hook");
    }
}

static bide_outcome fail_twice(const bide_attempt *a, void *)
{
    return a->number < 3 ? bide_app("x") : bide_ok();
}

static void an_exception_in_a_hook_leaves_no_call_open()
{
    bide_hooks hooks = {};

    hooks.before_attempt = [](void *, const bide_call *, const bide_attempt *) { throw_at(1); };
    hooks.after_attempt = [](void *, const bide_call *, const bide_attempt *, const bide_outcome *, uint64_t) {
        throw_at(2);
    };
    hooks.before_wait = [](void *, const bide_call *, uint32_t, const bide_outcome *, uint64_t) { throw_at(3); };
    hooks.at_verdict = [](void *, const bide_call *, const bide_result *) { throw_at(4); };
    for (hook = 1; hook <= 4; hook++) {
        shop s(&hooks);
        bide::policy p = s.policy("shop");
        uint64_t before = s.stats("shop").cancelled;
        int caught = 0;

        try {
            p.run([](const bide::attempt &a) { return fail_twice(a.get(), nullptr); });
        } catch (const std::logic_error &) {
            caught++;
        }
        try {
            bide_run(p.get(), fail_twice, nullptr);
        } catch (const std::logic_error &) {
            caught++;
        }
        bide_call tried = {};
        try {
            BIDE_TRY(&tried, p.get())
            {
                bide_call_outcome(&tried, fail_twice(bide_call_attempt(&tried), nullptr));
            }
        } catch (const std::logic_error &) {
            caught++;
        }
        // at_verdict runs once for a call, which has ended then.
        CHECK(caught == 3 && s.stats("shop").cancelled == before + (hook == 4 ? 0 : 3));
        { // abandoned by its destructor: the exception goes no further
            bide::call c;
            try {
                bide_step_begin(c.get(), p.get(), nullptr);
            } catch (const std::logic_error &) {
            }
        }
        expect_no_call(s);
    }
    hook = 0;
}

// ---- threads ----

class latch
{
public:
    void open()
    {
        std::lock_guard<std::mutex> held(mutex_);
        is_open_ = true;
        changed_.notify_all();
    }
    void wait()
    {
        std::unique_lock<std::mutex> held(mutex_);
        changed_.wait(held, [this] { return is_open_; });
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    bool is_open_ = false;
};

struct cancelled {
    bide::policy p;
    bool is_destroyed;
};

static void *run_until_cancelled(void *arg)
{
    cancelled *c = static_cast<cancelled *>(arg);
    struct note {
        bool &is_destroyed;
        ~note() { is_destroyed = true; }
    } n{c->is_destroyed};

    c->p.run([](const bide::attempt &a) {
        while (a.number() == 2) {
            pthread_cancel(pthread_self());
            pthread_testcancel();
        }
        return bide_app("x");
    });
    return nullptr;
}

static void pthread_cancel_goes_through_a_run()
{
    shop s;
    bide::exceptions all = bide::exceptions::standard().add<std::exception>(bide::outcome::app("x"));
    uint64_t before = s.stats("shop").cancelled;
    cancelled c{s.policy("shop").with(all), false};
    pthread_t thread;
    void *left;

    CHECK(pthread_create(&thread, nullptr, run_until_cancelled, &c) == 0 && pthread_join(thread, &left) == 0);
    CHECK(left == PTHREAD_CANCELED && c.is_destroyed);
    CHECK(s.stats("shop").cancelled == before + 1);
    expect_no_call(s);
}

static void a_registry_can_be_closed_with_calls_in_flight()
{
    latch is_running, is_closed;
    bide::registry moved;
    shop s;
    bide::policy p = s.policy("shop");
    std::thread other([&] {
        bide::result r = p.run([&](const bide::attempt &a) {
            is_running.open();
            is_closed.wait();
            return a.number() == 1 ? bide_errno(throw_error(EIO)) : bide_ok();
        });
        CHECK(r && r.attempts == 2);
    });

    is_running.wait();
    moved = std::move(s);
    CHECK(s.get() == nullptr && s.close() == 0);
    CHECK(moved.close() == 1 && moved.close() == 0);
    is_closed.open();
    other.join();
}

static void a_waiting_call_is_cancelled_by_another_thread()
{
    shop s;
    bide::policy p = s.policy("slow");
    bide::call c;
    std::thread other;
    bide::result r = p.run(c, [&] {
        other = std::thread([&c] { c.cancel(); });
        return bide_app("x");
    });

    other.join();
    CHECK(r.verdict == BIDE_CANCELLED && r.attempts == 1 && c.is_cancelled());
    expect_no_call(s);
}

static void a_call_can_be_moved_and_has_a_deadline_and_work()
{
    shop s;
    bide::policy p = s.policy("slow"), later = s.policy("later");
    bide::call a, b, c, work;

    bide_step_begin(a.get(), p.get(), nullptr);
    CHECK(bide_step_ended(a.get(), bide_app("x")) == BIDE_WAIT);
    b = std::move(a);
    CHECK(bide_call_policy(b.get()) == p.get() && !bide_call_policy(a.get()));
    b = bide::call(); // abandons the earlier one
    CHECK(!bide_call_policy(b.get()) && p.run(b, [] {}));

    c.set_deadline(bide::clock::now() + std::chrono::minutes(1));
    bide::result r = p.run(c, [](const bide::attempt &at) {
        CHECK(at.deadline() <= bide::clock::now() + std::chrono::minutes(1) && at.poll_ms() > 0);
        CHECK(at.timeout() <= std::chrono::minutes(1) && at.timeout() > bide::duration(0));
        return bide_app("x");
    });
    CHECK(r.reason == BIDE_BY_DEADLINE);

    work.set_work("a thing to do", "text/plain");
    r = later.run(work, [] { return bide_errno(ETIMEDOUT); });
    CHECK(r.end == (getenv("BIDE") ? BIDE_END_DEFERRED : BIDE_END_NOT_STORED));
    try {
        work.set_work(std::string(BIDE_WORK_MAX + 1, 'x'));
        CHECK(false);
    } catch (const bide::error &e) {
        CHECK(e.code == BIDE_EINVAL && strcmp(e.what(), "bide_call_set_work: invalid argument") == 0);
    }
    expect_no_call(s);
}

static void what_cannot_be_opened_is_thrown()
{
    shop s;
    int caught = 0;

    try {
        s.policy("Not A Name");
    } catch (const bide::error &e) {
        caught += e.code == BIDE_ENAME;
    }
    try {
        s.declare("[shop]\nattempts = many\n");
    } catch (const bide::error &e) {
        caught += e.code == BIDE_EINPUT && strstr(e.what(), "declared:2:");
    }
    try {
        bide::registry r(dir, 1u << 31);
    } catch (const bide::error &e) {
        caught += e.code == BIDE_EINVAL;
    }
    CHECK(caught == 3 && bide::outcome::app("x").after(std::chrono::seconds(2)).after_ns == 2000000000);
    expect_no_call(s);
}

int main(int argc, char **argv)
{
    dir = argc > 1 ? argv[1] : "/nonexistent";
    results_are_values();
    an_exception_of_the_table_is_an_outcome();
    other_exceptions_end_the_call_and_are_thrown_on();
    the_table_can_be_extended();
    an_exception_in_a_hook_leaves_no_call_open();
    pthread_cancel_goes_through_a_run();
    a_registry_can_be_closed_with_calls_in_flight();
    a_waiting_call_is_cancelled_by_another_thread();
    a_call_can_be_moved_and_has_a_deadline_and_work();
    what_cannot_be_opened_is_thrown();
    return 0;
}
