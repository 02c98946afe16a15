//! A till as plain as can be: one blocking connection, one receipt after the other.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

/// One keep-alive connection.
pub struct Connection {
    stream: BufReader<TcpStream>,
    answer: Vec<u8>,
}

impl Connection {
    pub fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        Self { stream: BufReader::new(stream), answer: Vec::new() }
    }

    /// One request; the status and, in `answer`, the body.
    pub fn request(&mut self, method: &str, path: &str, key: &str, body: &str) -> u16 {
        let key = if key.is_empty() { String::new() } else { format!("Idempotency-Key: {key}\r\n") };
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n{key}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.stream.get_mut().write_all(request.as_bytes()).unwrap();
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status line");
        let mut length = 0;
        loop {
            line.clear();
            self.stream.read_line(&mut line).unwrap();
            let header = line.trim_end();
            if header.is_empty() {
                break;
            }
            if let Some((name, value)) = header.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().unwrap();
            }
        }
        self.answer.resize(length, 0);
        self.stream.read_exact(&mut self.answer).unwrap();
        status
    }

    /// A look at something small.
    pub fn get(&mut self, path: &str) -> serde_json::Value {
        assert_eq!(self.request("GET", path, "", ""), 200, "{path}");
        serde_json::from_slice(&self.answer).unwrap_or_default()
    }

    /// The body of the last answer, as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.answer).into_owned()
    }

    /// One receipt of 200.00; asserts that it was printed.
    pub fn sell(&mut self, pos_id: &str, key: &str) {
        let body = format!(
            r#"{{"pos_id":"{pos_id}","type":"sale","items":[{{"name":"Оправа","price":"100.00","quantity":2,"total":"200.00","vat_rate":22}}],"payments":[{{"type":"cash","amount":"200.00"}}]}}"#
        );
        let status = self.request("POST", "/v1/kkt/receipt", key, &body);
        assert!(status == 200 && self.text().contains(r#""printed""#), "{status} {}", self.text());
    }

    /// The commits that the adapter has made since its start, and the seconds that they took.
    pub fn commits(&mut self) -> (f64, f64) {
        self.get("/metrics");
        let text = self.text();
        let value = |name: &str| {
            let line = text.lines().find(|line| line.starts_with(name)).expect("the metric");
            line.rsplit(' ').next().unwrap().parse().unwrap()
        };
        (value("kkt_fsync_seconds_count"), value("kkt_fsync_seconds_sum"))
    }

    /// A command to the OFD's breaker.
    pub fn breaker(&mut self, command: &str) {
        let path = format!("/v1/kkt/circuit-breakers/ofd/{command}");
        assert_eq!(self.request("POST", &path, "", r#"{"reason":"bench"}"#), 200, "{}", self.text());
    }

    /// Documents that wait for the OFD.
    pub fn pending(&mut self) -> u64 {
        self.get("/v1/kkt/buffer/status")["pending"].as_u64().unwrap()
    }
}

/// When a load ends.
#[derive(Clone, Copy)]
pub enum Until<'a> {
    After(Duration),
    Told(&'a AtomicBool),
}

impl Until<'_> {
    fn is_over(self, began: Instant) -> bool {
        match self {
            Until::After(time) => began.elapsed() >= time,
            Until::Told(stop) => stop.load(Ordering::Relaxed),
        }
    }
}

/// `tills` tills at once, each with a connection of its own, over `devices` devices; `pause` after each receipt. The time of
/// each receipt, and how long it took in all.
pub fn load(
    address: SocketAddr,
    (tills, devices): (usize, usize),
    pause: Duration,
    until: Until<'_>,
    run: &str,
) -> (Vec<Duration>, Duration) {
    let began = Instant::now();
    let times = std::thread::scope(|scope| {
        let handles: Vec<_> = (0..tills)
            .map(|till| {
                scope.spawn(move || {
                    let mut connection = Connection::open(address);
                    let pos_id = pos_id(till % devices);
                    let mut times = Vec::new();
                    while !until.is_over(began) {
                        let key = format!("{run}-{till}-{}", times.len());
                        let sent = Instant::now();
                        connection.sell(&pos_id, &key);
                        times.push(sent.elapsed());
                        if !pause.is_zero() {
                            std::thread::park_timeout(pause);
                        }
                    }
                    times
                })
            })
            .collect();
        handles.into_iter().flat_map(|till| till.join().expect("a till ended early")).collect()
    });
    (times, began.elapsed())
}

/// The name of a till, which is that of its device.
pub fn pos_id(device: usize) -> String {
    format!("bench-{device}")
}
