//! From what was configured to what each room takes.

use crate::{
    config::{self, Config},
    domain::{
        document::Identity,
        ids::{DeviceId, PosId},
        receipt::Taxation,
    },
    fiscalize,
    heartbeat::HeartbeatOptions,
    http::{AllowedHosts, HttpOptions, Role, ServerLimits, TokenEntry, Tokens},
    kkt::virtual_kkt::{VirtualDevice, VirtualOptions},
    ofd::OfdTokens,
    sync::{OnRejected, SyncOptions},
};
use circuit_breaker::Backoff;
use std::{
    collections::BTreeMap,
    hash::{BuildHasher as _, RandomState},
    sync::Arc,
};

/// Who a virtual device is registered as when nobody said so. All of it is made up, and says so.
fn virtual_identity() -> Identity {
    Identity {
        inn: "0000000000".into(),
        rn_kkt: "0000000000000000".into(),
        ofd_name: "НЕ ФИСКАЛЬНЫЙ (симулятор ОФД)".into(),
        taxation: Taxation::Osn,
    }
}

/// `[breaker]`.
pub(super) fn breaker(breaker: &config::Breaker) -> circuit_breaker::Config {
    let backoff = match breaker.backoff() {
        config::Backoff::Fixed { jitter } => Backoff::fixed().jitter(jitter),
        config::Backoff::Exponential { multiplier, max, jitter } => {
            Backoff::exponential(multiplier, max).jitter(jitter)
        }
    };
    let numbers = circuit_breaker::Config::new()
        .failure_threshold(breaker.failure_threshold)
        .recovery_timeout(breaker.recovery_timeout)
        .success_threshold(breaker.success_threshold)
        .half_open_max_calls(breaker.half_open_max_calls)
        .retry_after_max(breaker.retry_after_max)
        .backoff(backoff);
    match breaker.half_open_timeout {
        Some(timeout) => numbers.half_open_timeout(timeout),
        None => numbers,
    }
}

/// `[sync]`.
pub(super) fn sync(sync: &config::Sync) -> SyncOptions {
    SyncOptions {
        interval: sync.interval,
        retry_after: sync.retry_after,
        attempts_max: sync.max_attempts,
        backoff_initial: sync.backoff_initial,
        backoff_max: sync.backoff_max,
        lanes_max: sync.max_lanes,
        on_rejected: match sync.on_rejected {
            config::OnRejected::Park => OnRejected::Park,
            config::OnRejected::Stop => OnRejected::Stop,
        },
        seed: RandomState::new().hash_one(()),
    }
}

/// `[kkt]`, phase 1's side.
pub(super) fn fiscalize(kkt: &config::Kkt) -> fiscalize::Options {
    fiscalize::Options { print_timeout: kkt.print_timeout, ..fiscalize::Options::default() }
}

/// `[[kkt.device]]`: names and tills are valid, as the configuration has checked them.
pub(super) fn devices(config: &Config) -> VirtualOptions {
    let folder = config.buffer.folder().join("virtual-kkt");
    let mut options = VirtualOptions::new(folder, virtual_identity());
    options.devices = config
        .kkt
        .device
        .iter()
        .map(|device| VirtualDevice {
            id: device_id(device),
            pos_ids: names(&device.pos_ids),
            identity: device.identity().unwrap_or_else(virtual_identity),
        })
        .collect();
    options
}

/// The till's name for metrics, where a configured device has exactly one.
pub(super) fn pos_of(config: &Config) -> BTreeMap<DeviceId, String> {
    let name = |device: &config::Device| match device.pos_ids.as_slice() {
        [one] => one.clone(),
        _ => String::new(),
    };
    config.kkt.device.iter().map(|device| (device_id(device), name(device))).collect()
}

pub(super) fn device_id(device: &config::Device) -> DeviceId {
    device.id.parse().expect("the configuration has checked the device's id")
}

fn names(pos_ids: &[String]) -> Vec<PosId> {
    pos_ids.iter().map(|pos| pos.parse().expect("the configuration has checked the till's name")).collect()
}

/// `[server]` and `[auth]`, the API's side.
pub(super) fn http(config: &Config, ofd_fiscal: bool) -> Arc<HttpOptions> {
    Arc::new(HttpOptions {
        allowed_hosts: AllowedHosts::new(config.server.allowed_hosts.clone()),
        tokens: Tokens::new(tokens(&config.auth)),
        ofd_fiscal,
        tls: config.tls.is_some(),
        request_timeout: config.server.request_timeout,
        ..HttpOptions::default()
    })
}

/// `auth.tokens`.
pub(super) fn tokens(auth: &config::Auth) -> Vec<TokenEntry> {
    let entry = |token: &config::Token| TokenEntry {
        name: token.name.clone(),
        role: match token.role {
            config::Role::Pos => Role::Pos,
            config::Role::Reader => Role::Reader,
            config::Role::Operator => Role::Operator,
        },
        pos_ids: names(&token.pos_ids),
        secret: token.token_file.expose().to_owned(),
        expires: token.expires,
    };
    auth.tokens.iter().map(entry).collect()
}

/// `ofd.token_file`, and `token_file` of each `[[kkt.device]]`.
pub(super) fn ofd_tokens(config: &Config) -> OfdTokens {
    let secret = |file: &config::SecretFile| file.expose().to_owned();
    let devices = config.kkt.device.iter();
    OfdTokens {
        common: config.ofd.token_file.as_ref().map(secret),
        of_devices: devices
            .filter_map(|device| Some((device_id(device), secret(device.token_file.as_ref()?))))
            .collect(),
    }
}

/// `heartbeat.token_file`.
pub(super) fn heartbeat_token(heartbeat: &config::Heartbeat) -> Option<String> {
    heartbeat.token_file.as_ref().map(|file| file.expose().to_owned())
}

/// `[heartbeat]`; `None`: none is configured.
pub(super) fn heartbeat(heartbeat: &config::Heartbeat) -> Option<HeartbeatOptions> {
    Some(HeartbeatOptions {
        url: heartbeat.url.clone()?,
        interval: heartbeat.interval,
        timeout: heartbeat.timeout,
        token: heartbeat_token(heartbeat),
        roots: roots(heartbeat.ca_file.as_ref()),
        name: heartbeat.name.clone().unwrap_or_else(host_name),
    })
}

/// The machine's name, or the program's where the machine has none.
fn host_name() -> String {
    rustix::system::uname()
        .nodename()
        .to_str()
        .ok()
        .filter(|name| !name.is_empty())
        .map_or_else(|| "kkt-adapter".into(), ToOwned::to_owned)
}

/// The certificates of a file, in DER; none: those of the system.
pub(super) fn roots(file: Option<&config::CaFile>) -> Vec<Vec<u8>> {
    let certificates = file.map(config::CaFile::certificates).unwrap_or_default();
    certificates.iter().map(|certificate| certificate.to_vec()).collect()
}

/// `[server]`, the socket's side.
pub(super) fn limits(config: &Config) -> ServerLimits {
    ServerLimits {
        max_connections: config.server.max_connections,
        shutdown_deadline: super::STOP_MAX / 5 * 2,
        ..ServerLimits::default()
    }
}
