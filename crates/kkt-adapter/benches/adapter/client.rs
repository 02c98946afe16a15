//! A till as plain as can be: one blocking connection, one receipt after the other.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
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
}

/// When a load ends.
#[derive(Clone, Copy)]
pub enum Until {
    After(Duration),
    /// So many receipts over all connections.
    Count(usize),
}

/// `connections` tills at once, each with a device of its own; the time of each receipt.
pub fn load(address: SocketAddr, connections: usize, until: Until, run: &str) -> (Vec<Duration>, Duration) {
    let began = Instant::now();
    let tills: Vec<_> = (0..connections)
        .map(|till| {
            let run = run.to_owned();
            std::thread::spawn(move || {
                let mut connection = Connection::open(address);
                let body = format!(
                    r#"{{"pos_id":"bench-{till}","type":"sale","items":[{{"name":"Оправа","price":"100.00","quantity":2,"total":"200.00","vat_rate":22}}],"payments":[{{"type":"cash","amount":"200.00"}}]}}"#
                );
                let mut times = Vec::new();
                loop {
                    match until {
                        Until::After(time) if began.elapsed() >= time => break,
                        Until::Count(count) if times.len() >= count / connections => break,
                        _ => {}
                    }
                    let key = format!("{run}-{till}-{}", times.len());
                    let sent = Instant::now();
                    let status = connection.request("POST", "/v1/kkt/receipt", &key, &body);
                    assert_eq!(status, 200, "{}", connection.text());
                    times.push(sent.elapsed());
                }
                times
            })
        })
        .collect();
    let times = tills.into_iter().flat_map(|till| till.join().expect("a till ended early")).collect();
    (times, began.elapsed())
}
