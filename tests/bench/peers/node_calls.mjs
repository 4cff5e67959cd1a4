// Retry libraries of npm: a call that succeeds at once.
import { ExponentialBackoff, SamplingBreaker, circuitBreaker, handleAll,
         retry, wrap } from 'cockatiel';
import asyncRetry from 'async-retry';
import CircuitBreaker from 'opossum';
import { backOff } from 'exponential-backoff';
import pRetry from 'p-retry';

const fine = async () => 0;

async function best(call, n, rounds = 60) {
  let lowest = Infinity;
  for (let round = 0; round < rounds; round++) {
    const begin = process.hrtime.bigint();
    for (let i = 0; i < n; i++) await call();
    lowest = Math.min(lowest, Number(process.hrtime.bigint() - begin) / n);
  }
  return lowest;
}

const again = retry(handleAll,
    { maxAttempts: 3, backoff: new ExponentialBackoff() });
const breaker = circuitBreaker(handleAll, {
  halfOpenAfter: 10000,
  breaker: new SamplingBreaker({ threshold: 0.5, duration: 10000 }),
});
const both = wrap(again, breaker);
const opossum = new CircuitBreaker(fine, { timeout: false });
const peers = {
  node_empty: [fine, 20000],
  cockatiel: [() => again.execute(fine), 5000],
  cockatiel_breaker: [() => both.execute(fine), 5000],
  opossum: [() => opossum.fire(), 5000],
  exponential_backoff: [() => backOff(fine), 2000],
  async_retry: [() => asyncRetry(fine, { retries: 3 }), 2000],
  p_retry: [() => pRetry(fine, { retries: 3 }), 1000],
};
for (const [id, [call, n]] of Object.entries(peers)) {
  console.log(id, (await best(call, n)).toFixed(2));
}
process.exit(0); // opossum's timer would keep the process alive
