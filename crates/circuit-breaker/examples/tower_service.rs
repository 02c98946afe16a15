//! A tower service behind a breaker.
//!
//! ```text
//! cargo run -p circuit-breaker --features tower --example tower_service
//! ```
//!
//! Three things to watch: an answer that is `Ok` but bad can count as a failure; a backend that hangs opens the circuit
//! although every call of it was dropped by a time-out; with back-pressure a caller waits to be ready, where otherwise it
//! is rejected.

use circuit_breaker::{CallError, CircuitBreaker, CircuitBreakerLayer, OnDrop, Verdict};
use std::convert::Infallible;
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};
use tower::{Layer, Service, ServiceExt, service_fn};

const HEALTHY: u8 = 0;
const FAILING: u8 = 1;
const HANGING: u8 = 2;
const TIMEOUT: Duration = Duration::from_millis(50);

fn main() -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    runtime.block_on(story())
}

async fn story() -> Result<(), Box<dyn Error>> {
    let health = Arc::new(AtomicU8::new(HEALTHY));
    let breaker = CircuitBreaker::builder()
        .failure_threshold(3)
        .success_threshold(1)
        .recovery_timeout(Duration::from_millis(200))
        // A time-out drops the call. Without this, a backend that hangs would never open the circuit.
        .on_drop(OnDrop::FailureAfter(TIMEOUT / 2))
        .build()?;
    // This backend never fails in tower's sense: what went wrong is in the status.
    let classifier = |result: &Result<u16, Infallible>, _elapsed| match result {
        Ok(500..) => Verdict::failure().cause("server error"),
        _ => Verdict::Success,
    };
    let layer = CircuitBreakerLayer::new(breaker.clone()).classifier(classifier);
    let mut service = layer.layer(service_fn({
        let health = Arc::clone(&health);
        move |_path: &'static str| backend(health.load(Ordering::Relaxed))
    }));

    println!("Healthy:");
    ask(&mut service, 1).await;
    println!("\nThe backend answers 503:");
    health.store(FAILING, Ordering::Relaxed);
    ask(&mut service, 4).await;
    println!("  why: {}", breaker.explain());

    println!("\nIt recovers, and so does the breaker, once its 200 ms are over:");
    health.store(HEALTHY, Ordering::Relaxed);
    sleep(Duration::from_millis(210)).await;
    ask(&mut service, 2).await;

    println!("\nThe backend hangs; each call is dropped by a time-out of {TIMEOUT:?}:");
    health.store(HANGING, Ordering::Relaxed);
    ask(&mut service, 4).await;

    println!("\nThe same breaker with back-pressure: ready only when a call would be let through:");
    health.store(HEALTHY, Ordering::Relaxed);
    let mut patient =
        CircuitBreakerLayer::new(breaker).back_pressure(sleep).layer(service_fn(|_: &str| backend(HEALTHY)));
    let asked = Instant::now();
    let answer = patient.ready().await?.call("/").await?;
    println!("  {answer} after {} ms of waiting", asked.elapsed().as_millis());
    Ok(())
}

async fn backend(health: u8) -> Result<u16, Infallible> {
    match health {
        HEALTHY => Ok(200),
        FAILING => Ok(503),
        _ => std::future::pending().await,
    }
}

async fn ask<S>(service: &mut S, times: u32)
where
    S: Service<&'static str, Response = u16, Error = CallError<Infallible>>,
{
    for _ in 0..times {
        let call = async { service.ready().await?.call("/").await };
        match timeout(TIMEOUT, call).await {
            Ok(Ok(status)) => println!("  {status}"),
            Ok(Err(CallError::Rejected(rejected))) => println!("  not sent: {rejected}"),
            Ok(Err(CallError::Inner(never))) => match never {},
            Err(_) => println!("  timed out"),
        }
    }
}
