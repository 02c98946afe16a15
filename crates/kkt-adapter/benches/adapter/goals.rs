//! What was aimed at beside what was seen. A benchmark fails nothing: it tells.

use super::{floor::Floor, measure::round};
use serde_json::{Value, json};

/// One goal.
struct Goal {
    what: &'static str,
    seen: f64,
    limit: f64,
    at_least: bool,
    unit: &'static str,
}

/// Prints those goals whose cases were run, and answers them for the file.
pub fn print(results: &[Value], floor: &Floor) -> Vec<Value> {
    let seen = |wanted: Value, figure: &str| {
        let fits =
            |case: &&Value| wanted.as_object().unwrap().iter().all(|(name, value)| case[name] == *value);
        results.iter().find(fits).and_then(|case| case[figure].as_f64())
    };
    let receipts = |connections: usize, devices: usize, figure| {
        let case =
            json!({"case": "receipts", "connections": connections, "devices": devices, "delivering": false});
        seen(case, figure)
    };
    let backlogs: Vec<&Value> = results.iter().filter(|case| case["case"] == "backlog").collect();
    let backlog = |index: usize, figure: &str| backlogs.get(index).and_then(|case| case[figure].as_f64());
    let share = |many: Option<f64>, few: Option<f64>| Some(many? / few?);
    let drained = results.iter().filter_map(|case| case["ratio_to_arrivals"].as_f64()).reduce(f64::min);
    let slowest = |figure| share(backlog(2, figure), backlog(1, figure));
    let rows = [
        (
            "one connection: share of SQLite's single-row commits/s by k",
            receipts(1, 1, "ratio_to_sqlite_single_by_k"),
            0.6,
            true,
            "x",
        ),
        ("64 connections", receipts(64, 64, "per_second"), 5_000.0, true, "receipts/s"),
        (
            "64 connections: p99 (10 x fdatasync p99 + 10 ms)",
            receipts(64, 64, "p99_ms"),
            floor.sync.ms(0.99).mul_add(10.0, 10.0),
            false,
            "ms",
        ),
        ("resident memory, idle", backlog(0, "memory_mib"), 25.0, false, "MiB"),
        ("resident memory, with receipts waiting", backlog(2, "memory_mib"), 50.0, false, "MiB"),
        ("start, empty", backlog(0, "start_ms"), 50.0, false, "ms"),
        ("start, with all rows", backlog(3, "start_ms"), 2_000.0, false, "ms"),
        ("drains, against what arrives meanwhile", drained, 10.0, true, "x"),
        ("health, many waiting against 10", slowest("health_p50_ms"), 1.2, false, "x"),
        ("buffer status, many waiting against 10", slowest("status_p50_ms"), 1.2, false, "x"),
    ];
    println!("goals");
    let goals = rows.into_iter().filter_map(|(what, seen, limit, at_least, unit)| {
        Some(Goal { what, seen: seen?, limit, at_least, unit })
    });
    goals.map(|goal| goal.print()).collect()
}

impl Goal {
    fn print(&self) -> Value {
        let Self { what, seen, limit, at_least, unit } = self;
        let met = if *at_least { seen >= limit } else { seen <= limit };
        let sign = if *at_least { "≥" } else { "≤" };
        let verdict = if met { "met" } else { "NOT MET" };
        println!("  {what:<62} {seen:>9.2} {sign} {limit:>8.2} {unit:<11} {verdict}");
        json!({"case": "goal", "what": what, "seen": round(*seen), "limit": round(*limit), "at_least": at_least, "met": met})
    }
}
