//! What a service manager is told (sd_notify): starting, ready, stopping, alive. Without `NOTIFY_SOCKET` nobody is told anything.
//!
//! The watchdog is fed from the same runtime that serves, so a runtime that hangs is noticed.

use std::{
    convert::Infallible,
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

/// What is asked for at a time while it starts; should it hang as a whole, the manager ends it after that.
const START_ASKED: Duration = Duration::from_secs(30);
const START_ASK_EVERY: Duration = Duration::from_secs(10);
/// After this no more is asked for.
const START_MAX: Duration = Duration::from_secs(3_600);

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

    /// Asks for time while it starts, so that the manager does not end the check of a large buffer; for [`START_MAX`], then
    /// the manager may judge. Never completes.
    pub async fn starting(&self) -> Infallible {
        let asked = format!("EXTEND_TIMEOUT_USEC={}", START_ASKED.as_micros());
        let mut ticks = tokio::time::interval(START_ASK_EVERY);
        for _ in 0..START_MAX.as_secs() / START_ASK_EVERY.as_secs() {
            ticks.tick().await;
            self.tell(&asked);
        }
        std::future::pending().await
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

    #[tokio::test(start_paused = true)]
    async fn a_start_asks_for_time_again_and_again_but_not_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        manager.set_nonblocking(true).unwrap();
        let supervisor = Supervisor::new(Some(path.into()), None);
        let heard = || {
            let mut bytes = [0; 64];
            let mut count = 0;
            while let Ok(length) = manager.recv(&mut bytes) {
                assert_eq!(String::from_utf8_lossy(&bytes[..length]), "EXTEND_TIMEOUT_USEC=30000000");
                count += 1;
            }
            count
        };
        let mut starting = std::pin::pin!(supervisor.starting());
        let _ = tokio::time::timeout(Duration::from_secs(65), &mut starting).await;
        assert_eq!(heard(), 7, "every ten seconds, from the first instant on");
        let _ = tokio::time::timeout(START_MAX, &mut starting).await;
        heard();
        let _ = tokio::time::timeout(Duration::from_secs(60), &mut starting).await;
        assert_eq!(heard(), 0, "after an hour the manager may judge");
    }

    #[tokio::test]
    async fn without_a_manager_nothing_is_told_and_nothing_fails() {
        let nobody = Supervisor::new(None, None);
        nobody.ready();
        assert!(tokio::time::timeout(Duration::from_millis(5), nobody.beats()).await.is_err());
        Supervisor::new(Some("/nowhere/at/all".into()), None).ready();
    }
}
