//! The certificate of the API: put into force at start, and again whenever its files hold another pair.
//!
//! Invariants: 1. A pair that cannot be used leaves the former one in force and is reported once, not at each look.
//! 2. Certificate and key are read together, so that a look between the writing of the two finds a pair that does not
//! fit, and the next look the right one. 3. One that is about to expire is warned of once a day.

use crate::{
    config::{Tls as Files, TlsIdentity},
    http::Tls,
    ports::Clock,
};
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(10);

/// The pair in force and where it comes from.
pub(super) struct Certificates {
    tls: Arc<Tls>,
    seen: Mutex<Seen>,
}

struct Seen {
    files: Files,
    /// What was wrong at the last look.
    problem: Option<String>,
    /// The day of the latest word about its end.
    warned: Option<Date>,
}

impl Certificates {
    /// Puts the pair of a loaded configuration into force.
    ///
    /// # Errors
    /// It cannot be used, although the configuration's check has passed it.
    pub fn new(files: Files) -> anyhow::Result<Self> {
        let (chain, key) = pair(&files.identity);
        let tls = Arc::new(Tls::new(chain, key)?);
        Ok(Self { tls, seen: Mutex::new(Seen { files, problem: None, warned: None }) })
    }

    /// For the server.
    pub fn tls(&self) -> Arc<Tls> {
        Arc::clone(&self.tls)
    }

    /// Takes over what a configuration names, which may be other files.
    ///
    /// # Errors
    /// The pair cannot be used; the former one stays.
    pub fn take(&self, files: Files) -> anyhow::Result<()> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let Files { cert_file, key_file, identity } = files;
        (seen.files.cert_file, seen.files.key_file) = (cert_file, key_file);
        seen.problem = None;
        self.put(&mut seen, identity)
    }

    fn put(&self, seen: &mut Seen, identity: TlsIdentity) -> anyhow::Result<()> {
        if identity != seen.files.identity {
            let (chain, key) = pair(&identity);
            self.tls.replace(chain, key)?;
            seen.files.identity = identity;
            tracing::info!(file = %seen.files.cert_file.display(), "another TLS certificate is in force");
        }
        Ok(())
    }

    /// Looks at the files once.
    fn look(&self, now: Timestamp) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let found = TlsIdentity::read(&seen.files.cert_file, &seen.files.key_file);
        let taken = found
            .map_err(|problem| problem.to_string())
            .and_then(|identity| self.put(&mut seen, identity).map_err(|error| error.to_string()));
        let problem = taken.err();
        if let Some(problem) = problem.as_ref().filter(|_| seen.problem != problem) {
            tracing::error!(
                problem,
                "the TLS certificate in force stays: its files hold no pair to replace it"
            );
        }
        seen.problem = problem;
        let today = Some(TimeZone::UTC.to_datetime(now).date());
        if seen.warned != today
            && let Some(warning) = seen.files.identity.expiry_warning(now)
        {
            tracing::warn!("{warning}");
            seen.warned = today;
        }
    }

    /// Looks for ever.
    pub async fn watch(self: Arc<Self>, clock: Arc<dyn Clock>) {
        loop {
            tokio::time::sleep(LOOK).await;
            let (this, now) = (Arc::clone(&self), clock.wall());
            let _ = tokio::task::spawn_blocking(move || this.look(now)).await;
        }
    }
}

fn pair(
    identity: &TlsIdentity,
) -> (Vec<rustls::pki_types::CertificateDer<'static>>, rustls::pki_types::PrivateKeyDer<'static>) {
    (identity.chain.clone(), identity.key.clone_key())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn write(folder: &Path) -> TlsIdentity {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(folder.join("cert"), made.cert.pem()).unwrap();
        std::fs::write(folder.join("key"), made.signing_key.serialize_pem()).unwrap();
        read(folder)
    }

    fn read(folder: &Path) -> TlsIdentity {
        TlsIdentity::read(&folder.join("cert"), &folder.join("key")).unwrap()
    }

    #[test]
    fn files_that_change_are_taken_over_and_a_pair_that_does_not_fit_waits_for_its_other_half() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let first = write(folder);
        let first_key = std::fs::read(folder.join("key")).unwrap();
        let (files, _) = Files::read(folder.join("cert"), folder.join("key"), NOW).unwrap();
        let certificates = Certificates::new(files).unwrap();
        let in_force = || certificates.seen.lock().unwrap().files.identity.clone();
        let problem = || certificates.seen.lock().unwrap().problem.clone();
        certificates.look(NOW);
        assert_eq!((in_force(), problem()), (first.clone(), None));

        // Between the writing of the certificate and of its key.
        let second = write(folder);
        let second_key = std::fs::read(folder.join("key")).unwrap();
        std::fs::write(folder.join("key"), first_key).unwrap();
        certificates.look(NOW);
        assert_eq!(in_force(), first);
        assert!(problem().is_some_and(|text| text.contains("is not the key of")));
        std::fs::write(folder.join("key"), second_key).unwrap();
        certificates.look(NOW);
        assert_eq!((in_force(), problem()), (second.clone(), None));

        std::fs::remove_file(folder.join("cert")).unwrap();
        certificates.look(NOW);
        assert_eq!(in_force(), second);
        assert!(problem().is_some_and(|text| text.contains("cannot be read")));
        let third = write(folder);
        certificates.look(NOW);
        assert_eq!((in_force(), problem()), (third, None));
    }

    #[test]
    fn the_end_of_a_certificate_is_known_and_told_of_in_its_last_fortnight_once_a_day() {
        let folder = tempfile::tempdir().unwrap();
        let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        (params.not_before, params.not_after) =
            (rcgen::date_time_ymd(2026, 1, 1), rcgen::date_time_ymd(2027, 1, 1));
        let key = rcgen::KeyPair::generate().unwrap();
        let (cert_file, key_file) = (folder.path().join("cert"), folder.path().join("key"));
        std::fs::write(&cert_file, params.self_signed(&key).unwrap().pem()).unwrap();
        std::fs::write(&key_file, key.serialize_pem()).unwrap();
        std::fs::set_permissions(&key_file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let (files, warnings) = Files::read(cert_file, key_file, at("2026-06-01T00:00:00Z")).unwrap();
        assert_eq!((files.identity.expires(), warnings.len()), (Some(at("2027-01-01T00:00:00Z")), 0));
        let warning = |now| files.identity.expiry_warning(at(now)).unwrap_or_default();
        assert_eq!(warning("2026-12-18T00:00:00Z"), "");
        assert!(warning("2026-12-18T00:00:01Z").contains("expires at 2027-01-01T00:00:00Z"));
        assert!(warning("2027-01-01T00:00:00Z").contains("has expired"));

        let certificates = Certificates::new(files).unwrap();
        let warned = |now| {
            certificates.look(at(now));
            certificates.seen.lock().unwrap().warned.map(|day| day.to_string())
        };
        assert_eq!(warned("2026-12-01T00:00:00Z"), None);
        assert_eq!(warned("2026-12-20T00:00:00Z").as_deref(), Some("2026-12-20"));
        assert_eq!(warned("2026-12-20T23:00:00Z").as_deref(), Some("2026-12-20"));
        assert_eq!(warned("2026-12-21T00:00:00Z").as_deref(), Some("2026-12-21"));
    }
}
