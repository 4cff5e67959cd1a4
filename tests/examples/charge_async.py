import asyncio

import bide

failures = iter([ConnectionResetError, TimeoutError])


@bide.policy("payments")
async def charge(order):
    for failure in failures:
        raise failure
    return f"{order} is paid"


async def main():
    print(await charge("order 7"))
    async for attempt in bide.policy("payments"):  # the same for a block
        with attempt:
            print("paid in attempt", attempt.number)


asyncio.run(main())
