//! The names of all metrics, what each means, its unit and its labels.

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// Goes up and down.
    Gauge,
    /// Only goes up; starts at zero with the process.
    Counter,
    /// Counts by size; `_sum` and `_count` with it.
    Histogram,
}

impl Type {
    /// Its name in the exposition format.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gauge => "gauge",
            Self::Counter => "counter",
            Self::Histogram => "histogram",
        }
    }
}

/// One metric.
#[derive(Debug)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub kind: Type,
    /// Its labels.
    pub labels: &'static [&'static str],
    /// What it means, with the unit.
    pub help: &'static str,
    /// Upper bounds of a histogram's buckets.
    pub buckets: &'static [f64],
}

macro_rules! metrics {
    ($($constant:ident: $kind:ident $name:literal [$($label:literal),*] $help:literal $($buckets:expr)?;)+) => {
        $(
            #[doc = $help]
            pub const $constant: Metric = Metric {
                name: $name,
                kind: Type::$kind,
                labels: &[$($label),*],
                help: $help,
                buckets: metrics!(@buckets $($buckets)?),
            };
        )+

        /// All of them, in the order of the documentation.
        pub const ALL: &[&Metric] = &[$(&$constant),+];
    };
    (@buckets $buckets:expr) => { $buckets };
    (@buckets) => { &[] };
}

metrics! {
    BUFFER_SIZE: Gauge "kkt_buffer_size" ["pos_id"]
        "Documents of a till that are not settled: unprinted, printed and not yet confirmed, dead letters.";
    BUFFER_CAPACITY: Gauge "kkt_buffer_capacity" []
        "Documents that the buffer may hold unsettled at once.";
    BUFFER_PERCENT_FULL: Gauge "kkt_buffer_percent_full" []
        "Share of the capacity in use in percent, 0 to 100, places reserved by running requests included.";
    ACCEPTING: Gauge "kkt_accepting" []
        "1 while a new receipt would be taken; 0 while the buffer is full, the disk has too little free space, or the storage has failed.";
    DISK_FREE: Gauge "kkt_disk_free_bytes" []
        "Bytes free on the disk on which the buffer lies; absent if the disk cannot be asked.";
    DISK_FLOOR: Gauge "kkt_disk_floor_bytes" []
        "Bytes that must be free there (buffer.min_free_disk): with less no new receipt is taken; absent as kkt_disk_free_bytes.";
    DAMAGED: Gauge "kkt_damaged_documents" []
        "Documents, or parts of them, that failed their checksum and were set aside, and that no person has seen to yet.";
    DATABASE_ERROR: Gauge "kkt_database_error" []
        "1 while health shows an error of the database: it has failed, a part of its file is damaged, or a damaged file was set aside; else 0.";
    START_TIME: Gauge "kkt_start_time_seconds" []
        "When this process started, in seconds since 1970 (UTC): how often it changes is how often the adapter was started anew.";
    BREAKER_STATE: Gauge "kkt_circuit_breaker_state" ["key", "pos_id"]
        "State of a circuit breaker: 0 CLOSED, 1 OPEN, 2 HALF_OPEN, 3 FORCED_OPEN, 4 FORCED_CLOSED, 5 METRICS_ONLY.";
    BREAKER_FAILURES: Counter "kkt_circuit_breaker_failures_total" ["key", "pos_id"]
        "Calls that a circuit breaker counted as failures.";
    BREAKER_OPENS: Counter "kkt_circuit_breaker_opens_total" ["key", "pos_id"]
        "Times that a circuit breaker opened.";
    BREAKER_CALLS: Counter "kkt_circuit_breaker_calls_total" ["key", "pos_id", "outcome"]
        "Calls at a circuit breaker by outcome: succeeded, failed, ignored, abandoned, late, rejected (not made).";
    BREAKER_STATE_SECONDS: Counter "kkt_circuit_breaker_state_seconds_total" ["key", "pos_id", "state"]
        "Seconds that a circuit breaker spent in each state.";
    SYNC_DURATION: Histogram "kkt_sync_duration_seconds" []
        "Seconds that a round of a lane took, from its first send to the last confirmation stored." SYNC_BUCKETS;
    RECEIPTS_SYNCED: Counter "kkt_receipts_synced_total" ["pos_id", "status"]
        "Documents that left their lane by status: synced (the OFD has confirmed them) or dead (dead letters).";
    DEVICE_BLOCKED: Gauge "kkt_device_blocked" ["device"]
        "1 while a device prints nothing because a person must decide whether a document is on paper (print_unknown), else 0.";
    LANE_STUCK: Gauge "kkt_lane_stuck" ["device"]
        "1 while a person must look at a device's lane: its first document has not got through for ten minutes, or it is stopped or has failed; else 0.";
    RECEIPTS: Counter "kkt_receipts_total" ["pos_id", "type", "status"]
        "Receipts answered by type (sale, refund, correction) and status (printed, buffered, replayed, failed).";
    DLQ_SIZE: Gauge "kkt_dlq_size" []
        "Dead letters that no person has closed yet.";
    OLDEST_PENDING: Gauge "kkt_oldest_pending_seconds" []
        "Seconds since the oldest document that the OFD has not confirmed was printed; 0 if there is none.";
    FSYNC: Histogram "kkt_fsync_seconds" []
        "Seconds that a commit of the buffer took, fsync included." FSYNC_BUCKETS;
    HTTP_REQUESTS: Counter "kkt_http_requests_total" ["method", "route", "status"]
        "HTTP requests answered by method, route (the pattern, not the path) and status code.";
    HTTP_REQUEST: Histogram "kkt_http_request_seconds" ["method", "route"]
        "Seconds from an HTTP request to its answer." HTTP_BUCKETS;
    OFD_CALL: Histogram "kkt_ofd_call_seconds" ["outcome"]
        "Seconds that sending a document to the OFD took by outcome: accepted, unavailable, unauthorised, rejected, ambiguous." OFD_BUCKETS;
}

const SYNC_BUCKETS: &[f64] =
    &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];
const FSYNC_BUCKETS: &[f64] = &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];
const HTTP_BUCKETS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
const OFD_BUCKETS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
