//! Guessing tokens is slow: an address that sent too many wrong ones is not heard for a while.
//!
//! A token that has been right from the same address before passes all the same, so that one mistyped script on the
//! shop's machine does not stop its tills.

use crate::ports::Monotonic;
use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// One of them is forgiven after this time.
const FORGIVEN_AFTER: Duration = Duration::from_secs(3);
/// Addresses remembered; beyond it the one with the fewest failures is forgotten.
const ADDRESSES_MAX: usize = 1_024;

/// Where a request came from; put into its extensions by the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer(pub IpAddr);

impl Peer {
    /// One network of one household: an IPv6 address counts by its first 64 bits.
    #[must_use]
    pub fn network(self) -> IpAddr {
        match self.0.to_canonical() {
            IpAddr::V6(address) => {
                let first = u128::from(address) & !u128::from(u64::MAX);
                IpAddr::V6(Ipv6Addr::from(first))
            }
            v4 => v4,
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    at: Monotonic,
}

impl Failures {
    fn left(self, now: Monotonic) -> u32 {
        let forgiven = now.since(self.at).as_millis() / FORGIVEN_AFTER.as_millis();
        self.count.saturating_sub(u32::try_from(forgiven).unwrap_or(u32::MAX))
    }
}

/// Who sent wrong tokens lately.
#[derive(Debug)]
pub struct Throttle {
    /// Wrong tokens in a row that an address may send.
    failures_max: u32,
    table: Mutex<HashMap<IpAddr, Failures>>,
}

impl Throttle {
    /// Nobody has sent a wrong one yet.
    #[must_use]
    pub fn new(failures_max: u32) -> Self {
        Self { failures_max, table: Mutex::default() }
    }

    /// How long this address is not heard; `None`: it is.
    #[must_use]
    pub fn wait(&self, peer: Peer, now: Monotonic) -> Option<Duration> {
        let table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let failures = table.get(&peer.network())?;
        (failures.left(now) >= self.failures_max).then_some(FORGIVEN_AFTER)
    }

    /// It sent a wrong one.
    pub fn failed(&self, peer: Peer, now: Monotonic) {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let network = peer.network();
        if table.len() >= ADDRESSES_MAX && !table.contains_key(&network) {
            table.retain(|_, failures| failures.left(now) > 0);
            let fewest =
                table.iter().min_by_key(|(_, failures)| failures.left(now)).map(|(network, _)| *network);
            if let Some(network) = fewest.filter(|_| table.len() >= ADDRESSES_MAX) {
                table.remove(&network);
            }
        }
        let failures = table.entry(network).or_insert(Failures { count: 0, at: now });
        *failures = Failures { count: failures.left(now).saturating_add(1).min(self.failures_max), at: now };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAILURES_MAX: u32 = 20;

    fn at(seconds: u64) -> Monotonic {
        Monotonic(Duration::from_secs(seconds))
    }

    fn peer(text: &str) -> Peer {
        Peer(text.parse().unwrap())
    }

    #[test]
    fn an_address_is_not_heard_after_too_many_failures_and_heard_again_later() {
        let throttle = Throttle::new(FAILURES_MAX);
        for _ in 0..FAILURES_MAX {
            assert_eq!(throttle.wait(peer("10.0.0.1"), at(0)), None);
            throttle.failed(peer("10.0.0.1"), at(0));
        }
        assert!(throttle.wait(peer("10.0.0.1"), at(0)).is_some());
        assert!(throttle.wait(peer("::ffff:10.0.0.1"), at(0)).is_some(), "the same address in another dress");
        assert_eq!(throttle.wait(peer("10.0.0.2"), at(0)), None, "another one");
        assert_eq!(throttle.wait(peer("10.0.0.1"), at(3)), None);
    }

    #[test]
    fn a_network_of_ipv6_addresses_counts_as_one() {
        let throttle = Throttle::new(FAILURES_MAX);
        for number in 0..FAILURES_MAX {
            throttle.failed(peer(&format!("2001:db8::{number:x}")), at(0));
        }
        assert!(throttle.wait(peer("2001:db8::ffff"), at(0)).is_some());
        assert_eq!(throttle.wait(peer("2001:db8:1::1"), at(0)), None);
    }

    #[test]
    fn the_table_is_bounded_and_keeps_those_who_try_hardest() {
        let throttle = Throttle::new(FAILURES_MAX);
        for _ in 0..FAILURES_MAX {
            throttle.failed(peer("10.9.9.9"), at(0));
        }
        for number in 0..5_000_u32 {
            throttle.failed(Peer(std::net::Ipv4Addr::from(number).into()), at(0));
        }
        assert!(throttle.table.lock().unwrap().len() <= ADDRESSES_MAX);
        assert!(throttle.wait(peer("10.9.9.9"), at(0)).is_some());
    }
}
