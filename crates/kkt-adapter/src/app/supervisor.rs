//! What a service manager is told (sd_notify): ready, stopping, alive. Without `NOTIFY_SOCKET` nobody is told anything.
//!
//! The watchdog is fed from the same runtime that serves, so a runtime that hangs is noticed.

use std::{
    ffi::OsString,
    os::{
        linux::net::SocketAddrExt,
        unix::{
            ffi::OsStrExt,
            net::{SocketAddr, UnixDatagram},
        },
    },
    time::Duration,
};

/// The manager's socket, if there is one.
pub(super) struct Supervisor {
    socket: Option<(UnixDatagram, SocketAddr)>,
    /// Half of what the manager allows between two signs of life.
    beat: Option<Duration>,
}

impl Supervisor {
    /// As the environment names it; one that cannot be reached is none.
    pub fn from_environment() -> Self {
        let beat = std::env::var("WATCHDOG_USEC").ok().and_then(|text| text.parse().ok());
        Self::new(std::env::var_os("NOTIFY_SOCKET"), beat.map(Duration::from_micros))
    }

    fn new(path: Option<OsString>, watchdog: Option<Duration>) -> Self {
        let address = path.and_then(|path| match path.as_bytes() {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name).ok(),
            _ => SocketAddr::from_pathname(path).ok(),
        });
        let socket = address.and_then(|address| {
            let socket = UnixDatagram::unbound().ok()?;
            // A manager that does not read must not make the runtime wait.
            socket.set_nonblocking(true).ok()?;
            Some((socket, address))
        });
        Self { socket, beat: watchdog.filter(|time| !time.is_zero()).map(|time| time / 2) }
    }

    /// It serves.
    pub fn ready(&self) {
        self.tell("READY=1");
    }

    /// It was told to stop.
    pub fn stopping(&self) {
        self.tell("STOPPING=1");
    }

    /// Gives signs of life, for ever; never completes where none are wanted.
    pub async fn beats(&self) {
        let (Some(beat), Some(_)) = (self.beat, &self.socket) else { return std::future::pending().await };
        let mut ticks = tokio::time::interval(beat);
        // After a stall one sign of life is enough.
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.tell("WATCHDOG=1");
        }
    }

    fn tell(&self, state: &str) {
        if let Some((socket, address)) = &self.socket
            && let Err(error) = socket.send_to_addr(state.as_bytes(), address)
        {
            tracing::warn!(%error, state, "the service manager cannot be told");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(socket: &UnixDatagram) -> String {
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut bytes = [0; 64];
        let length = socket.recv(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    }

    #[tokio::test]
    async fn the_manager_hears_ready_signs_of_life_and_stopping() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let supervisor = Supervisor::new(Some(path.into()), Some(Duration::from_millis(20)));
        supervisor.ready();
        assert_eq!(heard(&manager), "READY=1");
        let _ = tokio::time::timeout(Duration::from_millis(100), supervisor.beats()).await;
        assert_eq!(heard(&manager), "WATCHDOG=1");
        assert_eq!(heard(&manager), "WATCHDOG=1");
        manager.set_nonblocking(true).unwrap();
        while manager.recv(&mut [0; 64]).is_ok() {}
        manager.set_nonblocking(false).unwrap();
        supervisor.stopping();
        assert_eq!(heard(&manager), "STOPPING=1");
    }

    #[tokio::test]
    async fn without_a_manager_nothing_is_told_and_nothing_fails() {
        let nobody = Supervisor::new(None, None);
        nobody.ready();
        assert!(tokio::time::timeout(Duration::from_millis(5), nobody.beats()).await.is_err());
        Supervisor::new(Some("/nowhere/at/all".into()), None).ready();
    }
}
