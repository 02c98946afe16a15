//! Guessing tokens is slow: an address that sent too many wrong ones is not heard for a while.
//!
//! Those who sell there must not suffer for it. So a token that has been right from the same address before passes all the
//! same, and the same wrong token again is no guess: a script that goes on with a replaced token stops nobody.

use super::door::Digest;
use crate::ports::Monotonic;
use std::{
    collections::{HashMap, VecDeque},
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher},
    net::{IpAddr, Ipv6Addr},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

/// One of them is forgiven after this time.
const FORGIVEN_AFTER: Duration = Duration::from_secs(3);
/// Addresses remembered; beyond it the one with the fewest failures is forgotten.
const ADDRESSES_MAX: usize = 1_024;
/// Wrong tokens of an address that are known again, the latest ones: so many tills may stand behind one address and all
/// go on with tokens that were replaced.
const WRONG_MAX: usize = 32;
/// A wrong token that is sent again and again gets a line in the log once in this time.
const TOLD_EACH: Duration = Duration::from_secs(60);
/// Networks that a token is known from: a till has one, an operator a few.
const NETWORKS_MAX: usize = 8;

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

/// Networks that a token was right from, the latest few.
#[derive(Debug, Default)]
pub struct Networks {
    /// Hashes; 0: none yet.
    known: [AtomicU64; NETWORKS_MAX],
    next: AtomicUsize,
}

impl Networks {
    /// Whether it was right from there.
    #[must_use]
    pub fn has(&self, peer: Peer) -> bool {
        let hash = hash(peer);
        self.known.iter().any(|known| known.load(Ordering::Relaxed) == hash)
    }

    /// It was right from there.
    pub fn note(&self, peer: Peer) {
        if !self.has(peer) {
            let place = self.next.fetch_add(1, Ordering::Relaxed) % NETWORKS_MAX;
            self.known[place].store(hash(peer), Ordering::Relaxed);
        }
    }
}

/// Never 0.
fn hash(peer: Peer) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(peer.network()) | 1
}

/// A wrong token: the first bytes of its digest, and when the log last spoke of it.
#[derive(Debug, Clone, Copy)]
struct Wrong {
    token: u64,
    told: Monotonic,
}

#[derive(Debug)]
struct Failures {
    count: u32,
    at: Monotonic,
    wrong: VecDeque<Wrong>,
}

impl Failures {
    fn left(&self, now: Monotonic) -> u32 {
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

    /// It sent a wrong one. Answers whether that is worth a line in the log.
    pub fn failed(&self, peer: Peer, token: &Digest, now: Monotonic) -> bool {
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
        let none = || Failures { count: 0, at: now, wrong: VecDeque::new() };
        let failures = table.entry(network).or_insert_with(none);
        let token = u64::from_le_bytes(*token.first_chunk().expect("a digest has 32 bytes"));
        if let Some(again) = failures.wrong.iter_mut().find(|wrong| wrong.token == token) {
            let worth_a_line = now.since(again.told) >= TOLD_EACH;
            if worth_a_line {
                again.told = now;
            }
            return worth_a_line;
        }
        failures.count = failures.left(now).saturating_add(1).min(self.failures_max);
        failures.at = now;
        if failures.wrong.len() >= WRONG_MAX {
            failures.wrong.pop_front();
        }
        failures.wrong.push_back(Wrong { token, told: now });
        true
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

    fn digest(number: u32) -> Digest {
        let mut digest = [0; 32];
        digest[..4].copy_from_slice(&number.to_le_bytes());
        digest
    }

    /// So many guesses.
    fn guess(throttle: &Throttle, from: &str, guesses: std::ops::Range<u32>, now: Monotonic) {
        for number in guesses {
            assert!(throttle.failed(peer(from), &digest(number), now));
        }
    }

    #[test]
    fn an_address_is_not_heard_after_too_many_failures_and_heard_again_later() {
        let throttle = Throttle::new(FAILURES_MAX);
        for number in 0..FAILURES_MAX {
            assert_eq!(throttle.wait(peer("10.0.0.1"), at(0)), None);
            assert!(throttle.failed(peer("10.0.0.1"), &digest(number), at(0)));
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
            throttle.failed(peer(&format!("2001:db8::{number:x}")), &digest(number), at(0));
        }
        assert!(throttle.wait(peer("2001:db8::ffff"), at(0)).is_some());
        assert_eq!(throttle.wait(peer("2001:db8:1::1"), at(0)), None);
    }

    #[test]
    fn the_table_is_bounded_and_keeps_those_who_try_hardest() {
        let throttle = Throttle::new(FAILURES_MAX);
        guess(&throttle, "10.9.9.9", 0..FAILURES_MAX, at(0));
        for number in 0..5_000_u32 {
            throttle.failed(Peer(std::net::Ipv4Addr::from(number).into()), &digest(0), at(0));
        }
        assert!(throttle.table.lock().unwrap().len() <= ADDRESSES_MAX);
        assert!(throttle.wait(peer("10.9.9.9"), at(0)).is_some());
    }

    #[test]
    fn tokens_that_were_replaced_and_go_on_being_sent_are_no_guesses_and_do_not_fill_the_log() {
        let throttle = Throttle::new(FAILURES_MAX);
        let replaced = FAILURES_MAX - 1;
        let mut lines = 0;
        for second in 0..600 {
            for number in 0..replaced {
                lines += u32::from(throttle.failed(peer("10.0.0.1"), &digest(number), at(second)));
            }
            assert_eq!(throttle.wait(peer("10.0.0.1"), at(second)), None, "after {second} s");
        }
        assert_eq!(lines, replaced * 10, "a line a minute each");
        // Guesses count beside them.
        guess(&throttle, "10.0.0.1", 100..100 + FAILURES_MAX, at(600));
        assert!(throttle.wait(peer("10.0.0.1"), at(600)).is_some());
    }

    #[test]
    fn a_token_is_known_from_several_networks_and_from_no_more_than_a_few() {
        let networks = Networks::default();
        let from = |number: usize| peer(&format!("10.0.0.{number}"));
        for _ in 0..3 {
            (0..NETWORKS_MAX).for_each(|number| networks.note(from(number)));
        }
        assert!((0..NETWORKS_MAX).all(|number| networks.has(from(number))));
        networks.note(from(NETWORKS_MAX));
        assert_eq!((0..=NETWORKS_MAX).filter(|number| networks.has(from(*number))).count(), NETWORKS_MAX);
        assert!(!networks.has(peer("192.168.0.1")));
    }
}
