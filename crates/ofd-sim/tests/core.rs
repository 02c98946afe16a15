//! The decision logic by itself: no sockets, no clock but the one handed in.

use ofd_sim::core::action::{Action, Delivery};
use ofd_sim::core::call::{Call, Submission};
use ofd_sim::core::{Core, Now};
use ofd_sim::plan::{DownMode, Fault, GarbageForm, When};
use ofd_sim::{Plan, Rule, ViolationKind};
use std::time::Duration;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn at(millis: u64) -> Now {
    Now { since_start: ms(millis), unix_ms: 1_700_000_000_000 + millis as i64 }
}

fn document(key: &str, fn_number: &str, fd: u32) -> Submission {
    Submission {
        key: key.into(),
        receipt_id: Some(key.into()),
        pos_id: "POS-001".into(),
        fn_number: fn_number.into(),
        fd,
        document: "receipt".into(),
        total: Some(20_000),
        hash: 7,
    }
}

struct Bench {
    core: Core,
    now: u64,
}

impl Bench {
    fn new(plan: Plan) -> Self {
        let mut core = Core::new(1000);
        core.set_plan(at(0), plan);
        Self { core, now: 0 }
    }

    fn call(&mut self, call: &Call) -> Action {
        let action = self.core.step(at(self.now), call);
        self.core.finish();
        action
    }

    fn send(&mut self, document: Submission) -> Action {
        self.call(&Call::Receipt { authorised: true, document: Ok(document) })
    }

    /// Status of a document of its own, or of one sent before under the same key.
    fn status(&mut self, key: &str, fd: u32) -> u16 {
        status(&self.send(document(key, "9999", fd)))
    }

    fn ping(&mut self) -> u16 {
        status(&self.call(&Call::Ping { authorised: true }))
    }
}

fn status(action: &Action) -> u16 {
    match &action.delivery {
        Delivery::Answer(answer) => answer.status,
        other => panic!("no answer but {other:?}"),
    }
}

#[test]
fn a_key_is_counted_once_however_often_it_comes() {
    // P3
    let mut ofd = Bench::new(Plan::ok());
    let first = ofd.send(document("a", "9999", 1));
    let again = ofd.send(document("a", "9999", 1));
    let (Delivery::Answer(first), Delivery::Answer(again)) = (&first.delivery, &again.delivery) else {
        panic!("two answers expected");
    };
    assert_eq!(first.body, again.body, "a replay gives the first answer again");
    assert_eq!((first.replayed, again.replayed), (false, true));
    let entry = ofd.core.ledger().find("a").unwrap();
    assert_eq!((entry.received, entry.counted, entry.first_seq), (2, 1, 1));
    assert_eq!(ofd.core.stats().violations, 0);
}

#[test]
fn with_dedup_off_every_arrival_is_counted_so_a_control_run_shows_duplicates() {
    let mut ofd = Bench::new(Plan::ok().dedup_off());
    for _ in 0..3 {
        assert_eq!(ofd.status("a", 1), 200);
    }
    let entry = ofd.core.ledger().find("a").unwrap();
    assert_eq!((entry.received, entry.counted, entry.first_seq), (3, 3, 1));
}

#[test]
fn the_same_key_with_other_bytes_is_a_conflict_and_told_on() {
    // P3
    let mut ofd = Bench::new(Plan::ok());
    ofd.status("a", 1);
    let other = Submission { hash: 8, ..document("a", "9999", 1) };
    assert_eq!(status(&ofd.send(other)), 409);
    assert_eq!(ofd.core.stats().violations_of(ViolationKind::KeyConflict), 1);
    let entry = ofd.core.ledger().find("a").unwrap();
    assert_eq!((entry.received, entry.counted), (2, 1));
}

#[test]
fn other_bytes_are_told_on_even_while_a_fault_hides_the_conflict() {
    let mut ofd = Bench::new(Plan::fail_always(503));
    ofd.status("a", 1);
    let other = Submission { hash: 8, ..document("a", "9999", 1) };
    assert_eq!(status(&ofd.send(other)), 503);
    assert_eq!(ofd.core.stats().violations_of(ViolationKind::KeyConflict), 1);
}

#[test]
fn one_fiscal_document_under_two_keys_counts_twice_and_is_told_on() {
    let mut ofd = Bench::new(Plan::ok());
    assert_eq!((ofd.status("a", 1), ofd.status("b", 1)), (200, 200));
    let stats = ofd.core.stats();
    assert_eq!((stats.counted, stats.violations_of(ViolationKind::DocumentUnderTwoKeys)), (2, 1));
    assert!(stats.latest_violations[0].detail.contains("key a"), "{:?}", stats.latest_violations);
    assert_eq!(status(&ofd.send(document("c", "8888", 1))), 200, "another ФН has its own ФД 1");
    assert_eq!(ofd.core.stats().violations, 1);
}

#[test]
fn a_receipt_id_that_is_not_the_key_is_told_on() {
    let mut ofd = Bench::new(Plan::ok());
    ofd.send(Submission { receipt_id: Some("z".into()), ..document("a", "9999", 1) });
    assert_eq!(ofd.core.stats().violations_of(ViolationKind::KeyMismatch), 1);
}

#[test]
fn the_order_of_first_acceptance_is_kept_and_a_late_document_shows() {
    // P5
    let mut ofd = Bench::new(Plan::ok().rule(Rule::fail(500).key("b").times(1)));
    for (key, fd) in [("a", 1), ("b", 2), ("c", 3), ("b", 2)] {
        ofd.status(key, fd);
    }
    let order: Vec<_> =
        ofd.core.ledger().page(0, 10).into_iter().map(|d| (d.key, d.seq, d.first_seq)).collect();
    assert_eq!(order, [("a".into(), 1, 1), ("b".into(), 2, 3), ("c".into(), 3, 2)]);
    assert_eq!(ofd.core.stats().out_of_order, 1);
}

#[test]
fn a_document_never_accepted_is_in_the_ledger_with_nothing_counted() {
    let mut ofd = Bench::new(Plan::fail_always(503));
    ofd.status("a", 1);
    ofd.status("a", 1);
    let entry = ofd.core.ledger().find("a").unwrap();
    assert_eq!((entry.received, entry.counted, entry.first_seq), (2, 0, 0));
}

#[test]
fn who_has_no_token_gets_401_and_leaves_no_trace_in_the_ledger() {
    let mut ofd = Bench::new(Plan::ok());
    let call = Call::Receipt { authorised: false, document: Ok(document("a", "9999", 1)) };
    assert_eq!(status(&ofd.call(&call)), 401);
    assert_eq!(status(&ofd.call(&Call::Ping { authorised: false })), 401);
    assert!(ofd.core.ledger().is_empty());
    ofd.core.set_plan(at(0), Plan::ok().rule(Rule::store_then_cut()));
    assert_eq!(ofd.call(&call).delivery, Delivery::Cut);
    assert_eq!(ofd.core.ledger().counted(), 0, "a fault that stores does not store for strangers");
}

#[test]
fn a_full_ledger_refuses_new_keys_and_still_knows_the_old_ones() {
    let mut core = Core::new(1);
    let mut send = |key| {
        let call = Call::Receipt { authorised: true, document: Ok(document(key, "9999", 1)) };
        status(&core.step(at(0), &call))
    };
    assert_eq!((send("a"), send("b"), send("a")), (200, 507, 200));
}

#[test]
fn an_unreadable_document_is_refused_by_field_name() {
    let mut ofd = Bench::new(Plan::ok());
    let good = r#"{"pos_id":"P","fn_number":"9","fiscal_doc_number":1}"#;
    for (key, body, field) in [
        (None, good, "Idempotency-Key"),
        (Some(""), good, "Idempotency-Key"),
        (Some("ключ"), good, "Idempotency-Key"),
        (Some("k"), "{", "\"body\""),
        (Some("k"), "[]", "\"body\""),
        (Some("k"), r#"{"fn_number":"9","fiscal_doc_number":1}"#, "pos_id"),
        (Some("k"), r#"{"pos_id":"P","fiscal_doc_number":1}"#, "fn_number"),
        (Some("k"), r#"{"pos_id":"P","fn_number":"9","fiscal_doc_number":-1}"#, "fiscal_doc_number"),
        (Some("k"), r#"{"pos_id":"P","fn_number":"9","fiscal_doc_number":1,"document":5}"#, "\"document\""),
    ] {
        let action = ofd.call(&Call::receipt(true, key, body.as_bytes()));
        let Delivery::Answer(answer) = &action.delivery else { panic!("no answer to {body}") };
        assert_eq!(answer.status, 422, "{body}");
        assert!(answer.body.contains(field), "{body}: {}", answer.body);
    }
    let stats = ofd.core.stats();
    assert_eq!((stats.answered("invalid"), stats.violations_of(ViolationKind::InvalidDocument)), (9, 9));
    assert_eq!(status(&ofd.call(&Call::receipt(true, Some("k"), good.as_bytes()))), 200);
}

#[test]
fn identity_may_stand_in_fiscal_doc_and_totals_are_exact() {
    let read = |total: &str| {
        let body = format!(
            r#"{{"pos_id":"P","total":{total},"fiscal_doc":{{"fn_number":9960440300000001,"fiscal_doc_number":"17"}}}}"#
        );
        Submission::read(Some("k"), body.as_bytes()).unwrap()
    };
    let document = read("\"0.10\"");
    assert_eq!((document.fn_number.as_str(), document.fd), ("9960440300000001", 17));
    for (text, kopecks) in [
        ("0.1", Some(10)),
        ("200", Some(20_000)),
        ("\"200.05\"", Some(20_005)),
        ("0.001", None),
        ("-1", None),
        ("1e3", None),
        ("null", None),
        ("\".5\"", None),
    ] {
        assert_eq!(read(text).total, kopecks, "{text}");
    }
}

#[test]
fn the_first_matching_rule_decides() {
    let plan = Plan::ok()
        .rule(Rule::ok().pos_id("POS-009"))
        .rule(Rule::reject(14).key("bad"))
        .rule(Rule::fail(503).times(2));
    let mut ofd = Bench::new(plan);
    assert_eq!(status(&ofd.send(Submission { pos_id: "POS-009".into(), ..document("x", "1", 1) })), 200);
    assert_eq!(ofd.status("bad", 1), 422);
    assert_eq!((ofd.status("a", 2), ofd.status("b", 3), ofd.status("c", 4)), (503, 503, 200));
    assert_eq!(ofd.core.plan().1, [1, 1, 2]);
}

#[test]
fn fail_n_counts_pings_too_unless_told_otherwise() {
    let mut ofd = Bench::new(Plan::fail_times(2, 503));
    assert_eq!((ofd.ping(), ofd.status("a", 1), ofd.ping()), (503, 503, 200));
    let mut ofd = Bench::new(Plan::ok().rule(Rule::fail(503).times(1).receipts()));
    assert_eq!((ofd.ping(), ofd.status("a", 1), ofd.ping()), (200, 503, 200));
    let mut ofd = Bench::new(Plan::ok().rule(Rule::fail(503).pings()));
    assert_eq!((ofd.ping(), ofd.status("a", 1)), (503, 200));
    let mut ofd = Bench::new(Plan::ok().rule(Rule::reject(14)));
    assert_eq!((ofd.ping(), ofd.status("a", 1)), (200, 422), "a ping cannot be refused as a document");
}

#[test]
fn conditions_pick_out_calls_by_document_attempt_order_and_time() {
    let mut ofd = Bench::new(Plan::ok().rule(Rule::poison_document("9999", 2)));
    assert_eq!((ofd.status("a", 1), ofd.status("b", 2), ofd.status("b", 2)), (200, 500, 500));
    assert_eq!(status(&ofd.send(document("c", "8888", 2))), 200);

    let mut ofd = Bench::new(Plan::ok().rule(Rule::fail(500).attempt(2)));
    assert_eq!((ofd.status("a", 1), ofd.status("a", 1), ofd.status("a", 1)), (200, 500, 200));

    let mut ofd = Bench::new(Plan::ok().rule(Rule::fail(500).nth(2)));
    assert_eq!((ofd.status("a", 1), ofd.status("b", 2), ofd.status("c", 3)), (200, 500, 200));

    let every = When { every: Some(2), ..When::default() };
    let mut ofd = Bench::new(Plan::ok().rule(Rule { when: every, ..Rule::fail(500) }));
    assert_eq!([1, 2, 3, 4].map(|fd| ofd.status(&format!("k{fd}"), fd)), [200, 500, 200, 500]);

    let window = When { from: Some(ms(10)), until: Some(ms(20)), ..When::default() };
    let mut ofd = Bench::new(Plan::ok().rule(Rule { when: window, ..Rule::fail(500) }));
    let seen = [0, 9, 10, 19, 20].map(|now| {
        ofd.now = now;
        ofd.ping()
    });
    assert_eq!(seen, [200, 200, 500, 500, 200]);

    let shift = When { document: Some("shift_open".into()), ..When::default() };
    let mut ofd = Bench::new(Plan::ok().rule(Rule { when: shift, ..Rule::fail(500) }));
    let opening = Submission { document: "shift_open".into(), ..document("s", "9999", 1) };
    assert_eq!((status(&ofd.send(opening)), ofd.status("a", 2)), (500, 200));
}

#[test]
fn chance_depends_on_seed_and_call_and_not_on_who_comes_first() {
    let fate = |seed, order: &[u32]| {
        let mut ofd = Bench::new(Plan::ok().seed(seed).rule(Rule::fail(500).probability(0.3)));
        let mut fates: Vec<_> = order.iter().map(|fd| (*fd, ofd.status(&format!("k{fd}"), *fd))).collect();
        fates.sort_unstable();
        fates
    };
    let up: Vec<u32> = (0..500).collect();
    let down: Vec<u32> = (0..500).rev().collect();
    assert_eq!(fate(1, &up), fate(1, &down));
    assert_ne!(fate(1, &up), fate(2, &up));
    let failed = fate(1, &up).iter().filter(|(_, status)| *status == 500).count();
    assert!((110..190).contains(&failed), "30 % of 500 by seed 1: {failed}");
}

#[test]
fn a_retry_rolls_anew_so_random_faults_let_everything_through_in_the_end() {
    let mut ofd = Bench::new(Plan::ok().seed(3).rule(Rule::fail(500).probability(0.7)));
    for fd in 0..100 {
        assert!((0..200).any(|_| ofd.status(&format!("k{fd}"), fd) == 200), "seed 3, fd {fd}");
    }
}

#[test]
fn delay_is_between_its_bounds_and_repeatable() {
    let rule = Rule::latency(ms(100)).delay_jitter(ms(50));
    let delays = || -> Vec<_> {
        let mut ofd = Bench::new(Plan::ok().seed(5).rule(rule.clone()));
        (0..200).map(|fd| ofd.send(document(&format!("k{fd}"), "9999", fd)).delay).collect()
    };
    assert!(delays().iter().all(|d| (ms(100)..=ms(150)).contains(d)));
    assert!(delays().iter().max() > delays().iter().min());
    assert_eq!(delays(), delays());
}

#[test]
fn a_flap_goes_up_and_down_by_the_clock() {
    let mut ofd = Bench::new(Plan::ok().rule(Rule::flap(ms(10), ms(5))));
    let seen: Vec<_> = [0, 9, 10, 14, 15, 24, 25, 30, 15 * 1_000_000_000]
        .map(|now| {
            ofd.now = now;
            ofd.ping()
        })
        .to_vec();
    assert_eq!(seen, [200, 200, 503, 503, 200, 200, 503, 200, 200]);
}

#[test]
fn a_flap_of_random_lengths_is_repeatable_and_within_its_bounds() {
    let phases = |seed| {
        let flap = Fault::Flap { up: (ms(10), ms(30)), down: (ms(5), ms(9)), mode: DownMode::Reset };
        let mut ofd = Bench::new(Plan::ok().seed(seed).rule(Rule::new(flap)));
        let mut lengths = vec![(true, 0)];
        for now in 0..10_000 {
            ofd.now = now;
            let up = ofd.call(&Call::Ping { authorised: true }).delivery != Delivery::Reset;
            match lengths.last_mut() {
                Some((was, length)) if *was == up => *length += 1,
                _ => lengths.push((up, 1)),
            }
        }
        lengths.pop();
        lengths
    };
    assert_eq!(phases(1), phases(1));
    assert_ne!(phases(1), phases(2));
    for (up, length) in phases(1) {
        let (low, high) = if up { (10, 30) } else { (5, 9) };
        assert!((low - 1..=high + 1).contains(&length), "up {up}: {length} ms");
    }
}

#[test]
fn each_fault_is_delivered_as_its_kind_and_stores_only_when_told() {
    let cases = [
        (Rule::hang(), Delivery::Hang, 0),
        (Rule::new(Fault::Hang { store: true }), Delivery::Hang, 1),
        (Rule::reset(), Delivery::Reset, 0),
        (Rule::new(Fault::Reset { store: true }), Delivery::Reset, 1),
        (Rule::store_then_cut(), Delivery::Cut, 1),
        (Rule::garbage(GarbageForm::Wire), Delivery::NotHttp, 0),
        (Rule::new(Fault::Garbage { form: GarbageForm::Wire, store: true }), Delivery::NotHttp, 1),
        (Rule::endless(), Delivery::Endless, 0),
        (Rule::new(Fault::Endless { store: true }), Delivery::Endless, 1),
    ];
    for (rule, delivery, counted) in cases {
        let mut ofd = Bench::new(Plan::ok().rule(rule.clone()));
        let action = ofd.send(document("a", "9999", 1));
        assert_eq!((action.delivery, ofd.core.ledger().counted()), (delivery, counted), "{rule:?}");
        assert!(action.sighting.is_some(), "what came is written down: {rule:?}");
    }
}

#[test]
fn in_flight_and_its_peak_are_counted() {
    // P6 is checked with these.
    let mut core = Core::new(10);
    let ping = Call::Ping { authorised: true };
    core.step(at(0), &ping);
    core.step(at(0), &ping);
    core.finish();
    core.step(at(0), &ping);
    let stats = core.stats();
    assert_eq!((stats.in_flight, stats.most_in_flight, stats.pings, stats.calls), (2, 2, 3, 0));
    core.reset(at(0));
    let stats = core.stats();
    assert_eq!((stats.in_flight, stats.most_in_flight, stats.pings), (2, 2, 0));
}

#[test]
fn replaying_what_was_written_down_rebuilds_the_ledger() {
    for seed in 0..50_u64 {
        let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut next = |below: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random % below
        };
        let plan = Plan::ok()
            .seed(seed)
            .rule(Rule::store_then_cut().probability(0.2))
            .rule(Rule::fail(500).probability(0.2));
        let mut ofd = Bench::new(if seed % 5 == 0 { plan.dedup_off() } else { plan });
        let mut copy = Core::new(1000);
        for _ in 0..500 {
            let n = next(60);
            let hash = if next(10) == 0 { 8 } else { 7 };
            let fd = u32::try_from(n / 2).unwrap();
            let action = ofd.send(Submission { hash, ..document(&format!("k{n}"), "9999", fd) });
            // As the journal does it: through JSON.
            let line = serde_json::to_string(&action.sighting.unwrap()).unwrap();
            copy.replay(&serde_json::from_str(&line).unwrap());
        }
        assert_eq!(ofd.core.ledger().page(0, 1000), copy.ledger().page(0, 1000), "seed {seed}");
        let (real, copied) = (ofd.core.stats(), copy.stats());
        assert_eq!(
            (real.counted, real.out_of_order, real.violations_by_kind),
            (copied.counted, copied.out_of_order, copied.violations_by_kind),
            "seed {seed}"
        );
    }
}

#[test]
fn the_ledger_is_read_in_pages() {
    let mut ofd = Bench::new(Plan::ok());
    for fd in 1..=25 {
        ofd.status(&format!("k{fd}"), fd);
    }
    let (mut after, mut got) = (0, Vec::new());
    loop {
        let page = ofd.core.ledger().page(after, 10);
        let Some(last) = page.last() else { break };
        after = last.seq;
        got.extend(page.into_iter().map(|d| d.fd));
    }
    assert_eq!(got, (1..=25).collect::<Vec<_>>());
    assert!(ofd.core.ledger().page(u64::MAX, usize::MAX).is_empty());
}
