use super::{key::*, rules, section::section};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

section! {
    /// `[buffer]`: where documents are kept and how many.
    Buffer {
        /// The database. Its folder is made if it is missing and belongs to one adapter alone.
        "buffer.url" "KKT_BUFFER__URL" url: String = "sqlite://data/buffer.db", Kind::Text(&rules::BUFFER_URL);
        /// Documents that may wait at once (unprinted, printed, dead); at the limit receipts are answered 503.
        "buffer.capacity" "KKT_BUFFER__CAPACITY" capacity: u64 = "300000", int(1, 10_000_000);
        /// Below this much free disk no receipt is taken, so that those already taken can be settled.
        "buffer.min_free_disk" "KKT_BUFFER__MIN_FREE_DISK" min_free_disk: u64 = "1GiB", Kind::Size(0, 1 << 50);
        /// The body of a delivered or cancelled receipt is removed after this; its key is kept.
        "buffer.retention" "KKT_BUFFER__RETENTION" retention: Duration = "7d", span(MINUTE, 3_650 * DAY);
        /// The same for dead letters that a person has closed.
        "buffer.dlq_retention" "KKT_BUFFER__DLQ_RETENTION" dlq_retention: Duration = "90d", span(MINUTE, 3_650 * DAY);
    }
}

impl Buffer {
    /// The database file, relative to the working folder unless it starts with `/`.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        PathBuf::from(self.url.strip_prefix("sqlite://").unwrap_or(&self.url))
    }

    /// The folder of the database, in which the adapter keeps everything else too.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        match self.path().parent() {
            Some(folder) if folder != Path::new("") => folder.to_path_buf(),
            _ => PathBuf::from("."),
        }
    }
}
