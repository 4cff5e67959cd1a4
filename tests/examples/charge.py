import bide

failures = iter([ConnectionResetError, TimeoutError])


@bide.policy("payments")
def charge(order):
    for failure in failures:  # the first two attempts fail
        raise failure
    return f"{order} is paid"


print(charge("order 7"))
