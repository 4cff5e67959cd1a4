// Retry libraries of Rust: a call that succeeds at once.
use std::hint::black_box;
use std::time::Instant;

#[inline(never)]
fn fine() -> Result<u32, u32> {
    black_box(Ok(1))
}

fn best<F: FnMut()>(mut call: F, n: u32) -> f64 {
    (0..60)
        .map(|_| {
            let begin = Instant::now();
            for _ in 0..n {
                call();
            }
            begin.elapsed().as_nanos() as f64 / f64::from(n)
        })
        .fold(f64::INFINITY, f64::min)
}

fn main() {
    let by_retry = || {
        let waits = retry::delay::Exponential::from_millis(100).take(3);
        let _ = black_box(retry::retry(waits, fine));
    };
    let by_backoff = || {
        let waits = backoff::ExponentialBackoff::default();
        let call = || fine().map_err(backoff::Error::transient);
        let _ = black_box(backoff::retry(waits, call));
    };
    println!("rust_backoff {:.2}", best(by_backoff, 30_000));
    println!("rust_retry {:.2}", best(by_retry, 500_000));
}
