// Retry libraries of Go: a call that succeeds at once, and a failed attempt without
// a wait.
package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/avast/retry-go"
	"github.com/cenkalti/backoff"
)

var errRefused = errors.New("connection refused")
var calls int

//go:noinline
func fine() error { return nil }

func succeedThirdTime() error {
	calls++
	if calls%3 != 0 {
		return errRefused
	}
	return nil
}

func best(call func(), n int) float64 {
	lowest := 1e12
	for round := 0; round < 60; round++ {
		begin := time.Now()
		for i := 0; i < n; i++ {
			call()
		}
		ns := float64(time.Since(begin).Nanoseconds()) / float64(n)
		if ns < lowest {
			lowest = ns
		}
	}
	return lowest
}

func main() {
	exponential := backoff.NewExponentialBackOff()
	exponential.MaxElapsedTime = 0
	zero := &backoff.ZeroBackOff{}
	fmt.Printf("go_backoff %.2f\n",
		best(func() { _ = backoff.Retry(fine, exponential) }, 20000))
	fmt.Printf("go_retry %.2f\n",
		best(func() { _ = retry.Do(fine) }, 20000))
	fmt.Printf("go_backoff_fail %.2f\n",
		best(func() { _ = backoff.Retry(succeedThirdTime, zero) }, 3000)/2)
}
