//! Secrets: read from files of their own, never shown.

use std::{
    fmt,
    path::{Path, PathBuf},
};

/// Largest token in bytes.
const SECRET_MAX: usize = 4_096;

/// A secret. `Debug` does not show it and there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes a secret.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The secret itself: for a header or a comparison, never for a log.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A file with one token in it, and the token once it was read.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretFile {
    path: PathBuf,
    secret: Option<Secret>,
}

impl fmt::Debug for SecretFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretFile({})", self.path.display())
    }
}

impl SecretFile {
    /// A file that is not read yet.
    #[must_use]
    pub fn at(path: PathBuf) -> Self {
        Self { path, secret: None }
    }

    /// Its path, relative to the working folder unless it starts with `/`.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The token. Empty only if the configuration was not loaded by `config::load`.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.secret.as_ref().map_or("", Secret::expose)
    }

    /// Reads it; white space at the end, as editors and `echo` leave it, is no part of it.
    ///
    /// Others than the owner being able to read it is a warning and no error: in a container the secrets of Docker
    /// and Kubernetes are world-readable files by default, inside a file system that nobody else sees.
    ///
    /// # Errors
    /// What to do, as the rule of a problem; never the content.
    pub fn read(&mut self) -> Result<Option<String>, String> {
        let path = self.path.display();
        let bytes = read_bounded(&self.path).map_err(|error| format!("cannot be read: {error}"))?;
        let text = String::from_utf8(bytes).map_err(|_| "is not a token: not UTF-8".to_owned())?;
        let token = text.trim_end();
        if token.is_empty() || token.len() > SECRET_MAX || !token.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(format!(
                "is not a token: its file must hold one line of 1 to {SECRET_MAX} visible ASCII characters"
            ));
        }
        self.secret = Some(Secret::new(token.into()));
        Ok(readable_by_all(&self.path)
            .then(|| format!("{path} can be read by every user of this machine; run: chmod 600 {path}")))
    }
}

fn read_bounded(path: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(SECRET_MAX as u64 + 64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(unix)]
pub(super) fn readable_by_all(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).is_ok_and(|meta| meta.permissions().mode() & 0o004 != 0)
}

#[cfg(not(unix))]
pub(super) fn readable_by_all(_path: &Path) -> bool {
    false
}
