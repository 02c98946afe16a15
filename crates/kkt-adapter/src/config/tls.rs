//! Certificates and the private key: read from PEM files, checked, held as DER.

use super::secret::readable_by_all;
use jiff::{SignedDuration, Timestamp};
use rustls::{
    CertificateError, InconsistentKeys, RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier as _},
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem, pem::PemObject as _},
    sign::CertifiedKey,
};
use std::{
    fmt,
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// Largest file of certificates or of a key, in bytes.
const FILE_MAX: u64 = 1 << 20;

/// From then on before its end a certificate is warned of each day: time enough to get another one.
const EXPIRES_SOON: Duration = Duration::from_secs(14 * 24 * 3_600);

/// The files that `[server.tls]` names, and what stood in them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// PEM: the server's certificate first, then those between it and its root.
    pub cert_file: PathBuf,
    /// PEM: its private key (PKCS#8, PKCS#1 or SEC1), not encrypted.
    pub key_file: PathBuf,
    /// What stood in them when they were read.
    pub identity: TlsIdentity,
}

/// A chain of certificates and the private key of the first one. `Debug` does not show the key.
#[derive(Clone, PartialEq, Eq)]
pub struct TlsIdentity {
    /// The server's certificate first.
    pub chain: Vec<CertificateDer<'static>>,
    /// Its key.
    pub key: Arc<PrivateKeyDer<'static>>,
}

impl fmt::Debug for TlsIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TlsIdentity({} certificates)", self.chain.len())
    }
}

/// Which of the two files is wrong, and what to do. Never shows content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsProblem {
    /// `server.tls.cert_file` or `server.tls.key_file`.
    pub key: &'static str,
    /// The rule that it breaks.
    pub rule: String,
}

impl fmt::Display for TlsProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.key, self.rule)
    }
}

pub(super) const CERT: &str = "server.tls.cert_file";
pub(super) const KEY: &str = "server.tls.key_file";

impl TlsIdentity {
    /// Reads both files and checks that the key is the certificate's.
    ///
    /// # Errors
    /// [`TlsProblem`].
    pub fn read(cert_file: &Path, key_file: &Path) -> Result<Self, TlsProblem> {
        let wrong = |key, rule: String| TlsProblem { key, rule };
        let chain = certificates(cert_file).map_err(|rule| wrong(CERT, rule))?;
        let pem = read(key_file).map_err(|rule| wrong(KEY, rule))?;
        let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|error| {
            wrong(
                KEY,
                match error {
                    pem::Error::NoItemsFound => {
                        "holds no private key in PEM that is not encrypted (PKCS#8, PKCS#1 or SEC1)".into()
                    }
                    _ => "is not valid PEM".into(),
                },
            )
        })?;
        let fits = CertifiedKey::from_der(chain.clone(), key.clone_key(), &ring::default_provider());
        match fits {
            Ok(_) => Ok(Self { chain, key: Arc::new(key) }),
            Err(rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
                let rule = format!("is not the key of the certificate in {}", cert_file.display());
                Err(wrong(KEY, rule))
            }
            Err(rustls::Error::InvalidCertificate(error)) => {
                Err(wrong(CERT, format!("begins with a certificate that cannot be used: {error:?}")))
            }
            Err(error) => Err(wrong(KEY, format!("holds a key that cannot be used: {error}"))),
        }
    }
}

impl TlsIdentity {
    /// When the server's certificate expires; `None` if that cannot be told.
    #[must_use]
    pub fn expires(&self) -> Option<Timestamp> {
        // rustls has no reader of dates, but its verifier says when a certificate ended that is over at the time it is
        // asked about. Dates are what it looks at first; that the certificate vouches for itself is of no account.
        let end_of_time = UnixTime::since_unix_epoch(Duration::from_secs(253_402_300_799));
        let mut roots = RootCertStore::empty();
        roots.add(self.chain.first()?.clone()).ok()?;
        let provider = Arc::new(ring::default_provider());
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().ok()?;
        let name = ServerName::try_from("localhost").ok()?;
        match verifier.verify_server_cert(self.chain.first()?, &[], &name, &[], end_of_time) {
            Err(rustls::Error::InvalidCertificate(CertificateError::ExpiredContext {
                not_after, ..
            })) => Timestamp::from_second(i64::try_from(not_after.as_secs()).ok()?).ok(),
            _ => None,
        }
    }

    /// What people should know if it has expired, or does within a fortnight.
    #[must_use]
    pub fn expiry_warning(&self, now: Timestamp) -> Option<String> {
        let expires = self.expires()?;
        if expires <= now {
            return Some(format!("{CERT}: the certificate has expired at {expires}: clients refuse it"));
        }
        let soon = expires.duration_since(now) < SignedDuration::try_from(EXPIRES_SOON).ok()?;
        soon.then(|| format!("{CERT}: the certificate expires at {expires}; replace it before"))
    }
}

impl Tls {
    /// Reads the files; the second value are warnings, such as people look for at `now`.
    ///
    /// # Errors
    /// [`TlsProblem`].
    pub fn read(
        cert_file: PathBuf,
        key_file: PathBuf,
        now: Timestamp,
    ) -> Result<(Self, Vec<String>), TlsProblem> {
        let identity = TlsIdentity::read(&cert_file, &key_file)?;
        // As with tokens a warning only: the secrets of Docker and Kubernetes are files of mode 0444 by default.
        let readable = readable_by_all(&key_file).then(|| {
            let path = key_file.display();
            format!("{KEY}: {path} can be read by every user of this machine; run: chmod 640 {path}")
        });
        let warnings = readable.into_iter().chain(identity.expiry_warning(now)).collect();
        Ok((Self { cert_file, key_file, identity }, warnings))
    }
}

/// A file of certificates that are trusted, read. No secret.
#[derive(Clone, PartialEq, Eq)]
pub struct CaFile {
    path: PathBuf,
    certificates: Vec<CertificateDer<'static>>,
}

impl fmt::Debug for CaFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CaFile({})", self.path.display())
    }
}

impl CaFile {
    /// A file that is not read yet.
    #[must_use]
    pub fn at(path: PathBuf) -> Self {
        Self { path, certificates: Vec::new() }
    }

    /// The certificates. None only if the file was not read.
    #[must_use]
    pub fn certificates(&self) -> &[CertificateDer<'static>] {
        &self.certificates
    }

    /// Reads it and checks that each certificate can be a root of trust.
    ///
    /// # Errors
    /// What to do, as the rule of a problem.
    pub fn read(&mut self) -> Result<(), String> {
        let found = certificates(&self.path)?;
        let mut roots = RootCertStore::empty();
        for (index, certificate) in found.iter().enumerate() {
            roots.add(certificate.clone()).map_err(|error| {
                format!("holds as number {} a certificate that cannot be trusted: {error}", index + 1)
            })?;
        }
        self.certificates = found;
        Ok(())
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let pem = read(path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match found {
        Ok(found) if found.is_empty() => {
            Err("holds no certificate in PEM (-----BEGIN CERTIFICATE-----)".into())
        }
        Ok(found) => Ok(found),
        Err(_) => Err("is not valid PEM".into()),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let read = || -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        std::fs::File::open(path)?.take(FILE_MAX + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    match read() {
        Ok(bytes) if bytes.len() as u64 > FILE_MAX => Err(format!("is larger than {FILE_MAX} bytes")),
        Ok(bytes) => Ok(bytes),
        Err(error) => Err(format!("cannot be read: {error}")),
    }
}
