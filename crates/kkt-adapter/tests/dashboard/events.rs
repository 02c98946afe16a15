//! `GET /v1/kkt/events` over real HTTP.

use super::shop::{Setup, Shop, token};
use reqwest::{Method, Response};
use serde_json::{Value, json};

/// A reader of the stream.
struct Stream<'a> {
    shop: &'a Shop,
    answer: Response,
    text: String,
}

#[derive(Debug, Clone)]
struct Event {
    id: String,
    name: String,
    data: Value,
}

impl<'a> Stream<'a> {
    fn open(shop: &'a Shop, last: Option<&str>) -> Self {
        let mut request = shop.request(Method::GET, "/v1/kkt/events");
        if let Some(id) = last {
            request = request.header("Last-Event-ID", id);
        }
        let answer = shop.send(request);
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        Self { shop, answer, text: String::new() }
    }

    fn next(&mut self) -> Event {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                let field =
                    |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
                if let Some(name) = field("event: ") {
                    let data = serde_json::from_str(&field("data: ").unwrap()).unwrap();
                    return Event { id: field("id: ").unwrap(), name, data };
                }
                continue;
            }
            let piece = self.shop.runtime.block_on(self.answer.chunk()).unwrap().expect("the stream goes on");
            self.text.push_str(std::str::from_utf8(&piece).unwrap());
        }
    }
}

fn force(shop: &Shop, why: &str) {
    let (status, body) = shop.post("/v1/kkt/circuit-breakers/ofd/force-open", &json!({ "reason": why }));
    assert_eq!(status, 200, "{body}");
}

#[test]
fn events_come_in_the_order_in_which_things_happened() {
    let shop = Shop::open();
    let mut stream = Stream::open(&shop, None);
    assert_eq!(stream.next().name, "hello");
    let sold = shop.sell("POS-001");
    let mut seen = Vec::new();
    // The shift's report and the receipt are each printed, then synced.
    while seen.len() < 4 {
        seen.push(stream.next());
    }
    let of = |id: &Value| -> Vec<&str> {
        let mine = seen.iter().filter(|event| event.data["receipt_id"] == *id);
        mine.map(|event| event.data["state"].as_str().unwrap()).collect()
    };
    assert_eq!(of(&sold["receipt_id"]), ["printed", "synced"]);
    force(&shop, "line\nbreaks\r\nand \u{2028} are no events");
    let command = stream.next();
    assert_eq!((command.name.as_str(), command.data["by"].as_str()), ("command", Some("anonymous@loopback")));
    assert_eq!(command.data["why"], "line breaks and \u{2028} are no events");
    let moved = stream.next();
    assert_eq!(moved.name, "breaker");
    assert_eq!((&moved.data["from"], &moved.data["to"]), (&json!("CLOSED"), &json!("FORCED_OPEN")));
    let numbers: Vec<u64> =
        seen.iter().map(|event| event.id.rsplit_once('-').unwrap().1.parse().unwrap()).collect();
    assert!(numbers.windows(2).all(|two| two[0] + 1 == two[1]), "{numbers:?}");
}

#[test]
fn a_reader_that_comes_back_gets_exactly_what_it_has_missed() {
    let shop = Shop::open();
    let mut stream = Stream::open(&shop, None);
    let hello = stream.next();
    force(&shop, "one");
    let one = stream.next();
    drop(stream);
    force(&shop, "two");
    let mut resumed = Stream::open(&shop, Some(&one.id));
    assert_eq!(resumed.next().name, "hello");
    let missed: Vec<Event> = (0..3).map(|_| resumed.next()).collect();
    assert_eq!(missed[0].name, "breaker", "the transition of the first command");
    assert_eq!((missed[1].name.as_str(), &missed[1].data["why"]), ("command", &json!("two")));
    // From before anything happened: all of it.
    let mut whole = Stream::open(&shop, Some(&hello.id));
    assert_eq!(whole.next().name, "hello");
    assert_eq!(whole.next().data["why"], "one");
    // An id of another run, or none of ours: told to look anew.
    for id in ["0-1", "nonsense", ""] {
        let mut lost = Stream::open(&shop, Some(id));
        let first = lost.next();
        assert_eq!((first.name.as_str(), &first.data["count"]), ("lost", &Value::Null), "{id}");
    }
}

#[test]
fn a_reader_that_was_away_for_too_long_is_told_how_much_it_has_lost() {
    let shop = Shop::open();
    let mut stream = Stream::open(&shop, None);
    let hello = stream.next();
    drop(stream);
    // Each command is an event, and so is each new reason for the same state.
    let rounds = 600_u64;
    for round in 0..rounds {
        force(&shop, &format!("round {round}"));
    }
    let mut resumed = Stream::open(&shop, Some(&hello.id));
    assert_eq!(resumed.next().name, "hello");
    let lost = resumed.next();
    assert_eq!(lost.name, "lost");
    let count = lost.data["count"].as_u64().unwrap();
    let first: u64 = resumed.next().id.rsplit_once('-').unwrap().1.parse().unwrap();
    assert_eq!(first, count + 1, "it goes on right after what was lost");
    assert_eq!(count, rounds * 2 - 1_024);
}

#[test]
fn readers_are_bounded_and_a_place_is_free_again_when_one_leaves() {
    let shop = Shop::with(&Setup { tokens: vec![("ops", "operator")], ..Setup::default() });
    let mut streams: Vec<Stream> = (0..64).map(|_| Stream::open(&shop, None)).collect();
    let refused = shop.send(shop.request(Method::GET, "/v1/kkt/events"));
    assert_eq!(refused.status(), 503);
    assert!(refused.headers().contains_key("retry-after"));
    assert_eq!(shop.get("/v1/health")["status"], "healthy", "others are served all the while");
    drop(streams.pop());
    shop.until("a place", || {
        let answer = shop.send(shop.request(Method::GET, "/v1/kkt/events"));
        (answer.status() == 200).then_some(())
    });
    assert_eq!(shop.send(shop.anonymous(Method::GET, "/v1/kkt/events")).status(), 401);
    let till = shop.anonymous(Method::GET, "/v1/kkt/events").bearer_auth(token("nobody"));
    assert_eq!(shop.send(till).status(), 401);
}

#[test]
fn the_adapter_stops_although_somebody_listens() {
    let mut shop = Shop::open();
    let mut stream = shop.send(shop.request(Method::GET, "/v1/kkt/events"));
    let began = std::time::Instant::now();
    shop.stop();
    let end = shop.runtime.block_on(async {
        while let Ok(Some(_)) = stream.chunk().await {}
        true
    });
    assert!(end && began.elapsed() < std::time::Duration::from_secs(10), "P11 gives the whole stop 10 s");
}
