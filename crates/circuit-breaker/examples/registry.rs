//! One breaker a host, made on first use, with a bound on how many there may be.
//!
//! ```text
//! cargo run -p circuit-breaker --example registry
//! ```
//!
//! The clock is a `ManualClock`, so the hour that passes here takes no time.

use circuit_breaker::{CallError, CircuitBreaker, Config, ManualClock, Registry, RegistryError};
use std::error::Error;
use std::time::Duration;

fn main() -> Result<(), Box<dyn Error>> {
    let clock = ManualClock::new();
    let shared = CircuitBreaker::builder()
        .failure_threshold(2)
        .recovery_timeout(Duration::from_secs(30))
        .clock(clock.clone());
    let registry = Registry::builder(shared)
        // This one is known to stumble.
        .override_key("legacy.example", Config::new().failure_threshold(10))
        .max_keys(4)
        .idle_after(Duration::from_secs(600))
        .build()?;

    println!("Each host has a breaker of its own:");
    for host in ["api.example", "legacy.example", "cdn.example"] {
        for _ in 0..3 {
            fetch(&registry, host, host == "cdn.example")?;
        }
    }
    report(&registry);

    println!("\nThe number of hosts is bounded; asking for one more is an error that names it:");
    for host in ["a.example", "b.example"] {
        match registry.get_or_create(host) {
            Ok(breaker) => println!("  {}: {}", breaker.name(), breaker.state()),
            Err(error @ RegistryError::TooManyKeys { .. }) => println!("  {error}"),
            Err(error) => return Err(error.into()),
        }
    }

    println!("\nAn hour later, those that are CLOSED, idle and held by nobody make room:");
    clock.advance(Duration::from_secs(3_600));
    // Those that opened stay, though their open time is over: nobody has looked, and nobody has seen them work.
    let evicted = registry.evict_idle();
    println!("  evicted {evicted}");
    println!("  b.example: {}", registry.get_or_create("b.example")?.state());
    report(&registry);

    println!("\nNew settings for all but the overridden reach the breakers that are there:");
    registry.set_config(Config::new().failure_threshold(1))?;
    fetch(&registry, "b.example", false)?;
    fetch(&registry, "legacy.example", false)?;
    report(&registry);
    Ok(())
}

fn fetch(registry: &Registry, host: &str, works: bool) -> Result<(), RegistryError> {
    let breaker = registry.get_or_create(host)?;
    let outcome = match breaker.call(|| if works { Ok(()) } else { Err("connection refused") }) {
        Ok(()) => "ok".to_owned(),
        Err(CallError::Inner(error)) => error.to_owned(),
        Err(CallError::Rejected(rejected)) => format!("not sent, {rejected}"),
    };
    println!("  {host:<15} {outcome}");
    Ok(())
}

fn report(registry: &Registry) {
    println!("  ─ {} hosts", registry.len());
    for (host, breaker) in registry.breakers() {
        let now = breaker.snapshot();
        println!("  {host:<15} {:<9} {} failed, {} not sent", now.state, now.failures, now.rejected);
    }
}
