//! The certificate of the API: put into force at start, and again whenever its files hold another pair.
//!
//! Invariants: 1. A pair that cannot be used leaves the former one in force and is reported once, not at each look.
//! 2. Certificate and key are read together, so that a look between the writing of the two finds a pair that does not
//! fit, and the next look the right one.

use crate::{
    config::{Tls as Files, TlsIdentity},
    http::Tls,
};
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
}

impl Certificates {
    /// Puts the pair of a loaded configuration into force.
    ///
    /// # Errors
    /// It cannot be used, although the configuration's check has passed it.
    pub fn new(files: Files) -> anyhow::Result<Self> {
        let (chain, key) = pair(&files.identity);
        let tls = Arc::new(Tls::new(chain, key)?);
        Ok(Self { tls, seen: Mutex::new(Seen { files, problem: None }) })
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
    fn look(&self) {
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
    }

    /// Looks for ever.
    pub async fn watch(self: Arc<Self>) {
        loop {
            tokio::time::sleep(LOOK).await;
            let this = Arc::clone(&self);
            let _ = tokio::task::spawn_blocking(move || this.look()).await;
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
        let (files, _) = Files::read(folder.join("cert"), folder.join("key")).unwrap();
        let certificates = Certificates::new(files).unwrap();
        let in_force = || certificates.seen.lock().unwrap().files.identity.clone();
        let problem = || certificates.seen.lock().unwrap().problem.clone();
        certificates.look();
        assert_eq!((in_force(), problem()), (first.clone(), None));

        // Between the writing of the certificate and of its key.
        let second = write(folder);
        let second_key = std::fs::read(folder.join("key")).unwrap();
        std::fs::write(folder.join("key"), first_key).unwrap();
        certificates.look();
        assert_eq!(in_force(), first);
        assert!(problem().is_some_and(|text| text.contains("is not the key of")));
        std::fs::write(folder.join("key"), second_key).unwrap();
        certificates.look();
        assert_eq!((in_force(), problem()), (second.clone(), None));

        std::fs::remove_file(folder.join("cert")).unwrap();
        certificates.look();
        assert_eq!(in_force(), second);
        assert!(problem().is_some_and(|text| text.contains("cannot be read")));
        let third = write(folder);
        certificates.look();
        assert_eq!((in_force(), problem()), (third, None));
    }
}
