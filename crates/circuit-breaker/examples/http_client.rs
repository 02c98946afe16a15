//! An HTTP client behind a breaker, against a local server that falls ill and recovers.
//!
//! ```text
//! cargo run -p circuit-breaker --example http_client
//! ```
//!
//! Watch: three answers of 503 open the circuit; while it is open the server gets no request at all; the server's
//! Retry-After makes the open time longer than the 300 ms that are configured; a 404 is the client's fault and counts
//! as success; two good probes close the circuit.

use circuit_breaker::{CallError, CircuitBreaker, EventKind, Verdict};
use std::error::Error;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

fn main() -> Result<(), Box<dyn Error>> {
    let server = Server::start()?;
    let begun = Instant::now();
    let breaker = CircuitBreaker::builder()
        .name("stock service")
        .failure_threshold(3)
        .success_threshold(2)
        .recovery_timeout(Duration::from_millis(300))
        .on_event(|event| {
            if let EventKind::Transition(why) = &event.kind {
                println!("         ── {} → {}: {why}", why.from, why.to);
            }
        })
        .build()?;
    let client = breaker.with_classifier(meaning);

    println!("   time  path      outcome");
    for n in 0..26 {
        // Ill from the 5th request on, well again after 1.2 s.
        server.is_ill.store(n >= 4 && begun.elapsed() < Duration::from_millis(1_200), Ordering::Relaxed);
        let path = if n == 2 { "/missing" } else { "/stock" };
        let outcome = match client.call(|| get(server.address, path)) {
            Ok(answer) => format!("HTTP {}", answer.status),
            Err(CallError::Rejected(rejected)) => {
                format!("not sent: {}; retry in {:?}", rejected.reason(), round(rejected.retry_after()))
            }
            Err(CallError::Inner(error)) => format!("{error}"),
        };
        println!("{:>4} ms  {path:<8}  {outcome}", begun.elapsed().as_millis());
        thread::park_timeout(Duration::from_millis(80));
    }

    let total = breaker.snapshot();
    println!(
        "\n{} calls succeeded, {} failed, {} were not sent; the server saw {} requests.",
        total.successes,
        total.failures,
        total.rejected,
        server.requests.load(Ordering::Relaxed)
    );
    Ok(())
}

/// What a result means to the breaker: a 5xx and a broken connection are the server's fault, all else is not.
fn meaning(result: &io::Result<Answer>, _elapsed: Duration) -> Verdict {
    match result {
        Ok(answer) if answer.status >= 500 => {
            Verdict::failure().retry_after(answer.retry_after).cause(format!("HTTP {}", answer.status))
        }
        Ok(_) => Verdict::Success,
        Err(error) => Verdict::failure().cause(error.to_string()),
    }
}

fn round(time: Duration) -> Duration {
    Duration::from_millis(time.as_millis() as u64)
}

/// What this client needs of an HTTP answer.
struct Answer {
    status: u16,
    retry_after: Option<Duration>,
}

fn get(address: SocketAddr, path: &str) -> io::Result<Answer> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
    stream.set_read_timeout(Some(Duration::from_secs(1)))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next().ok_or(io::ErrorKind::UnexpectedEof)??;
    let status =
        first.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or(io::ErrorKind::InvalidData)?;
    let mut retry_after = None;
    for line in lines {
        let line = line?;
        if let Some(seconds) = line.strip_prefix("Retry-After: ") {
            retry_after = seconds.parse().ok().map(Duration::from_secs);
        }
    }
    Ok(Answer { status, retry_after })
}

/// A server with one switch.
struct Server {
    address: SocketAddr,
    is_ill: Arc<AtomicBool>,
    requests: Arc<AtomicU32>,
}

impl Server {
    fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let server =
            Server { address: listener.local_addr()?, is_ill: Arc::default(), requests: Arc::default() };
        let (is_ill, requests) = (Arc::clone(&server.is_ill), Arc::clone(&server.requests));
        // Ends with the process.
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                requests.fetch_add(1, Ordering::Relaxed);
                if let Err(error) = answer(stream, is_ill.load(Ordering::Relaxed)) {
                    eprintln!("server: {error}");
                }
            }
        });
        Ok(server)
    }
}

fn answer(mut stream: TcpStream, is_ill: bool) -> io::Result<()> {
    let mut request = BufReader::new(stream.try_clone()?);
    let mut first = String::new();
    request.read_line(&mut first)?;
    let mut header = String::new();
    while request.read_line(&mut header)? > 2 {
        header.clear();
    }
    let head = match (is_ill, first.starts_with("GET /stock ")) {
        (true, _) => "503 Service Unavailable\r\nRetry-After: 1",
        (false, true) => "200 OK",
        (false, false) => "404 Not Found",
    };
    write!(stream, "HTTP/1.1 {head}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
}
