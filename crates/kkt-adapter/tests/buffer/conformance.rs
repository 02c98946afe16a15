//! What every implementation of the port does alike. Numbers of invariants are those of `ports::Buffer`.

use crate::fixture::*;
use kkt_adapter::{
    domain::{
        entry::{Actor, AuditEvent, Change},
        ids::ReceiptId,
        lifecycle::{ALLOWED, State, Step, after},
    },
    ports::{Appended, Buffer, BufferError, Counts, ListFilter, Lookup, NEXT_BYTES},
};
use std::time::Duration;

#[test]
fn what_was_appended_is_found_by_both_names() {
    over_both(10, |bench| async move {
        let new = entry("key-1");
        accept(&*bench.buffer, new.clone()).await;
        for by in [Lookup::Id(new.id), Lookup::Key(new.key.clone())] {
            let found = bench.buffer.find(by).await.unwrap().unwrap();
            assert_eq!(found.state, State::Accepted);
            assert_eq!(found.receipt, new.receipt);
            assert_eq!(found.hash, new.hash);
            assert_eq!(found.notes, new.notes);
            assert_eq!(found.request_id, new.request_id);
            assert_eq!(found.created_at, new.created_at);
            assert_eq!((found.id, found.key, found.pos_id), (new.id, new.key.clone(), new.pos_id.clone()));
        }
        assert!(bench.buffer.find(Lookup::Id(ReceiptId::new())).await.unwrap().is_none());
        assert!(bench.buffer.find(Lookup::Key("other".parse().unwrap())).await.unwrap().is_none());
    });
}

// P4, invariant 4
#[test]
fn a_known_key_stores_nothing_and_answers_with_what_it_names() {
    over_both(10, |bench| async move {
        let buffer = &*bench.buffer;
        let first = print(buffer, entry("key-1"), 1).await;
        let again = entry("key-1");
        let answer = buffer.append(buffer.reserve().unwrap(), again.clone(), true).await.unwrap();
        let Appended::Known(known) = answer else { panic!("stored twice") };
        assert_eq!(known.id, first);
        assert_eq!(known.state, State::Printed);
        assert_eq!(known.fiscal, Some(fiscal(1)));
        assert!(known.receipt.is_some());
        assert!(buffer.find(Lookup::Id(again.id)).await.unwrap().is_none());
        assert_eq!(buffer.stats().await.unwrap().used, 1, "its place was given back");
    });
}

// P4: the same key at once, many times
#[test]
fn one_key_sent_by_many_at_once_makes_one_document() {
    over_both(100, |bench| async move {
        let pending: Vec<_> = (0..64)
            .map(|_| bench.buffer.append(bench.buffer.reserve().unwrap(), entry("key-1"), false))
            .collect();
        let mut stored = 0;
        let mut known = std::collections::BTreeSet::new();
        for answer in pending {
            match answer.await.unwrap() {
                Appended::Stored => stored += 1,
                Appended::Known(entry) => drop(known.insert(entry.id)),
            }
        }
        assert_eq!((stored, known.len()), (1, 1));
        assert_eq!(bench.buffer.stats().await.unwrap().used, 1);
    });
}

// Invariant 2
#[test]
fn writes_take_effect_in_the_order_of_the_calls_not_of_the_polls() {
    over_both(10, |bench| async move {
        let new = entry("key-1");
        let id = new.id;
        let append = bench.buffer.append(bench.buffer.reserve().unwrap(), new, true);
        let print = bench.buffer.apply(id, printed(1));
        let settle = bench.buffer.settle(vec![synced(id)]);
        settle.await.unwrap();
        print.await.unwrap();
        append.await.unwrap();
        assert_eq!(bench.buffer.find(Lookup::Id(id)).await.unwrap().unwrap().state, State::Synced);
    });
}

#[test]
fn a_write_whose_answer_nobody_waits_for_is_done_all_the_same() {
    over_both(10, |bench| async move {
        let new = entry("key-1");
        let id = new.id;
        drop(bench.buffer.append(bench.buffer.reserve().unwrap(), new, true));
        bench.buffer.apply(id, printed(1)).await.unwrap();
        assert_eq!(lane(&*bench.buffer, "POS-001").await, [1]);
    });
}

/// Brings a new document to a state.
async fn bring_to(buffer: &dyn Buffer, state: State, number: u32) -> ReceiptId {
    let id = accept(buffer, entry(&format!("key-{number}"))).await;
    let why = || "why".to_owned();
    let start = Change::StartPrinting;
    let steps: Vec<Change> = match state {
        State::Accepted => vec![],
        State::Cancelled => vec![Change::Cancel { by: person(), why: why() }],
        State::Printing => vec![start],
        State::Buffered => vec![start, Change::NotPrinted { reason: why(), by: Actor::system() }],
        State::PrintUnknown => vec![start, Change::PrintUnknown { reason: why() }],
        State::Printed | State::Synced | State::Dead => vec![start, printed(number)],
    };
    for change in steps {
        buffer.apply(id, change).await.unwrap();
    }
    match state {
        State::Synced => buffer.settle(vec![synced(id)]).await.unwrap(),
        State::Dead => buffer.settle(vec![dead(id)]).await.unwrap(),
        _ => {}
    }
    id
}

// Invariant 3
#[test]
fn a_change_is_allowed_exactly_where_the_life_cycle_says_so() {
    over_both(1_000, |bench| async move {
        let buffer = &*bench.buffer;
        let mut number = 0;
        for state in State::ALL {
            let changes = [
                Change::StartPrinting,
                printed(0),
                Change::NotPrinted { reason: "r".into(), by: person() },
                Change::PrintUnknown { reason: "r".into() },
                Change::Cancel { by: person(), why: "w".into() },
                Change::Park { by: person(), why: "w".into() },
                Change::Requeue { by: person(), why: "w".into() },
                Change::Resolve { by: person(), note: "n".into() },
            ];
            for change in changes {
                number += 1;
                let id = bring_to(buffer, state, number).await;
                let audit_before = buffer.audit(Some(id.to_string()), 100).await.unwrap().len();
                let step = change.step();
                let change = if step == Step::Printed { printed(number) } else { change };
                let result = buffer.apply(id, change).await;
                let now = buffer.find(Lookup::Id(id)).await.unwrap().unwrap().state;
                let audit = buffer.audit(Some(id.to_string()), 100).await.unwrap();
                match after(state, step) {
                    Some(to) => {
                        result.unwrap();
                        assert_eq!(now, to);
                        assert_eq!(audit.len(), audit_before + 1, "the change has its line of the audit");
                        assert_eq!(audit[0].action, step.as_str());
                    }
                    None => {
                        let refused = result.unwrap_err();
                        assert!(
                            matches!(refused, BufferError::NotAllowed { state: s, step: t } if s == state && t == step)
                        );
                        assert_eq!(now, state, "nothing was changed");
                        assert_eq!(audit.len(), audit_before);
                    }
                }
            }
        }
        assert!(ALLOWED.len() > 10);
    });
}

#[test]
fn a_change_of_a_document_that_is_not_there_says_so() {
    over_both(10, |bench| async move {
        let result = bench.buffer.apply(ReceiptId::new(), Change::StartPrinting).await;
        assert!(matches!(result, Err(BufferError::NotFound)));
    });
}

#[test]
fn append_with_print_now_is_printing_and_both_steps_are_in_the_audit() {
    over_both(10, |bench| async move {
        let new = entry("key-1");
        let id = new.id;
        let buffer = &*bench.buffer;
        buffer.append(buffer.reserve().unwrap(), new, true).await.unwrap();
        assert_eq!(buffer.find(Lookup::Id(id)).await.unwrap().unwrap().state, State::Printing);
        let actions: Vec<_> = buffer
            .audit(Some(id.to_string()), 10)
            .await
            .unwrap()
            .into_iter()
            .map(|line| line.action)
            .collect();
        assert_eq!(actions, ["start_printing", "accepted"], "newest first");
    });
}

// P5, invariant 5
#[test]
fn a_lane_is_in_fd_order_and_a_requeued_document_is_found_from_the_start() {
    over_both(10, |bench| async move {
        let buffer = &*bench.buffer;
        let mut ids = Vec::new();
        for fd in [3, 1, 2] {
            ids.push(print(buffer, entry(&format!("key-{fd}")), fd).await);
        }
        print(buffer, entry_of("POS-002", "other"), 1).await;
        assert_eq!(lane(buffer, "POS-001").await, [1, 2, 3]);
        let after_one = buffer.next(&device("POS-001"), Some(1), 1).await.unwrap();
        assert_eq!(after_one.len(), 1);
        assert_eq!((after_one[0].fd, after_one[0].wire.as_slice()), (2, b"{\"fd\":2}".as_slice()));
        buffer.settle(vec![dead(ids[1]), synced(ids[2])]).await.unwrap();
        assert_eq!(lane(buffer, "POS-001").await, [3]);
        let requeue = Change::Requeue { by: person(), why: "INN corrected at the OFD".into() };
        buffer.apply(ids[1], requeue).await.unwrap();
        assert!(buffer.next(&device("POS-001"), Some(2), 10).await.unwrap().iter().all(|d| d.fd == 3));
        assert_eq!(lane(buffer, "POS-001").await, [1, 3]);
        assert_eq!(buffer.devices_pending().await.unwrap(), [device("POS-001"), device("POS-002")]);
        assert_eq!(buffer.last_fd(&device("POS-001")).await.unwrap(), Some(3));
        assert_eq!(buffer.last_fd(&device("POS-003")).await.unwrap(), None);
    });
}

#[test]
fn settle_skips_what_a_person_settled_first() {
    over_both(10, |bench| async move {
        let buffer = &*bench.buffer;
        let lost = print(buffer, entry("key-1"), 1).await;
        let fine = print(buffer, entry("key-2"), 2).await;
        let unprinted = accept(buffer, entry("key-3")).await;
        buffer.settle(vec![dead(lost)]).await.unwrap();
        let batch = vec![
            attempt_failed(lost),
            synced(lost),
            synced(ReceiptId::new()),
            synced(unprinted),
            attempt_failed(fine),
            synced(fine),
            dead(fine),
        ];
        buffer.settle(batch).await.unwrap();
        let state = |id| async move { buffer.find(Lookup::Id(id)).await.unwrap().unwrap() };
        let lost_now = state(lost).await;
        assert_eq!((lost_now.state, lost_now.attempts), (State::Dead, 0));
        assert_eq!(state(unprinted).await.state, State::Accepted);
        let fine_now = state(fine).await;
        assert_eq!((fine_now.state, fine_now.attempts), (State::Synced, 1));
        assert_eq!(fine_now.confirmation.unwrap().ofd_id, "ofd-1");
        assert_eq!(fine_now.synced_at, Some(bench.clock_wall()));
        let audit = buffer.audit(Some(lost.to_string()), 1).await.unwrap();
        assert_eq!(audit[0].action, "synced_while_dead", "the audit knows that the OFD has it");
    });
}

// P2: what a person sets aside is a dead letter like any other, with who and why.
#[test]
fn a_document_that_is_set_aside_leaves_its_lane_and_says_who_did_it() {
    over_both(10, |bench| async move {
        let buffer = &*bench.buffer;
        let (first, second) =
            (print(buffer, entry("key-1"), 1).await, print(buffer, entry("key-2"), 2).await);
        buffer
            .apply(first, Change::Park { by: person(), why: "the OFD cannot read it".into() })
            .await
            .unwrap();
        let found = buffer.find(Lookup::Id(first)).await.unwrap().unwrap();
        let why = format!("set aside by {}: the OFD cannot read it", person().0);
        assert_eq!((found.state, found.last_error), (State::Dead, Some(why)));
        let lane = buffer.next(&found.device, None, 10).await.unwrap();
        assert_eq!(lane.iter().map(|document| document.id).collect::<Vec<_>>(), [second]);
        let counts = buffer.stats().await.unwrap();
        assert_eq!((counts.total.pending, counts.total.dead), (1, 1));
        assert!(counts.oldest_unconfirmed.is_some(), "the 30 days go on");
        let line = buffer.audit(Some(first.to_string()), 1).await.unwrap().remove(0);
        let told = (line.action.as_str(), line.actor, line.detail.as_str());
        assert_eq!(told, ("park", person(), "the OFD cannot read it"));
    });
}

#[test]
fn requeue_starts_the_attempts_anew_and_resolve_closes() {
    over_both(10, |bench| async move {
        let buffer = &*bench.buffer;
        let id = print(buffer, entry("key-1"), 1).await;
        buffer.settle(vec![attempt_failed(id), attempt_failed(id), dead(id)]).await.unwrap();
        let found = buffer.find(Lookup::Id(id)).await.unwrap().unwrap();
        assert_eq!((found.state, found.attempts), (State::Dead, 2));
        assert_eq!(found.last_error.as_deref(), Some("code 4: wrong INN"));
        buffer.apply(id, Change::Resolve { by: person(), note: "sent by hand".into() }).await.unwrap();
        let found = buffer.find(Lookup::Id(id)).await.unwrap().unwrap();
        assert_eq!(found.resolved, Some((bench.clock_wall(), "sent by hand".into())));
        assert_eq!(buffer.stats().await.unwrap().total, Counts::default(), "closed: counted nowhere");
        let list =
            |resolved| ListFilter { state: Some(State::Dead), resolved, limit: 10, ..Default::default() };
        assert_eq!(buffer.list(list(false)).await.unwrap().entries.len(), 0);
        assert_eq!(buffer.list(list(true)).await.unwrap().entries.len(), 1);
        buffer.apply(id, Change::Requeue { by: person(), why: "after all".into() }).await.unwrap();
        let found = buffer.find(Lookup::Id(id)).await.unwrap().unwrap();
        assert_eq!((found.state, found.attempts, found.resolved), (State::Printed, 0, None));
        let line = buffer.audit(Some(id.to_string()), 1).await.unwrap().remove(0);
        assert_eq!((line.actor, line.detail.as_str()), (person(), "after all"));
    });
}

// P7
#[test]
fn capacity_counts_dead_rows_and_reserved_places() {
    over_both(3, |bench| async move {
        let buffer = &*bench.buffer;
        let first = print(buffer, entry("key-1"), 1).await;
        let second = print(buffer, entry("key-2"), 2).await;
        buffer.settle(vec![dead(first)]).await.unwrap();
        let place = buffer.reserve().unwrap();
        let refused = buffer.reserve().unwrap_err();
        assert!(matches!(refused, BufferError::Full { retry_after, .. } if retry_after > Duration::ZERO));
        assert_eq!(buffer.stats().await.unwrap().used, 3);
        drop(place);
        drop(buffer.reserve().expect("a place that was dropped is free again"));
        buffer.settle(vec![synced(second)]).await.unwrap();
        accept(buffer, entry("key-3")).await;
        accept(buffer, entry("key-4")).await;
        buffer.reserve().unwrap_err();
        buffer.apply(first, Change::Resolve { by: person(), note: "n".into() }).await.unwrap();
        drop(buffer.reserve().expect("a closed dead letter takes up no place"));
    });
}

// P7: what is in the buffer leaves it only by being printed, and that needs an open shift.
#[test]
fn documents_of_our_own_have_places_past_the_capacity_and_not_without_bound() {
    over_both(1, |bench| async move {
        let buffer = &*bench.buffer;
        accept(buffer, entry("key-1")).await;
        buffer.reserve().unwrap_err();
        let mut places: Vec<_> = (0..1_000).map(|_| buffer.reserve_own().unwrap()).collect();
        let refused = buffer.reserve_own().unwrap_err();
        assert!(matches!(refused, BufferError::Full { .. }), "{refused}");
        let stored = buffer.append(places.remove(0), entry("key-2"), true).await.unwrap();
        assert!(matches!(stored, Appended::Stored));
        drop(places);
        assert_eq!(buffer.stats().await.unwrap().percent_full(), 100.0);
        drop(buffer.reserve_own().expect("places that were dropped are free again"));
        buffer.reserve().unwrap_err();
    });
}

#[test]
fn the_figures_follow_every_change() {
    over_both(100, |bench| async move {
        let buffer = &*bench.buffer;
        accept(buffer, entry("key-1")).await;
        let cancelled = accept(buffer, entry("key-2")).await;
        buffer.apply(cancelled, Change::Cancel { by: person(), why: "w".into() }).await.unwrap();
        let oldest = print(buffer, entry("key-3"), 1).await;
        let oldest_at = bench.clock_wall();
        bench.clock.advance(Duration::from_secs(60));
        let younger = print(buffer, entry_of("POS-002", "key-4"), 1).await;
        let stats = buffer.stats().await.unwrap();
        assert_eq!(stats.total, Counts { unprinted: 1, pending: 2, cancelled: 1, ..Default::default() });
        let second = &"POS-002".parse().unwrap();
        assert_eq!(stats.per_pos[second], Counts { pending: 1, ..Default::default() });
        assert_eq!((stats.used, stats.capacity), (3, 100));
        assert_eq!(stats.oldest_unconfirmed, Some(oldest_at));
        let named = stats.oldest.expect("it is named");
        assert_eq!((named.id, named.fd, named.state), (oldest, Some(1), State::Printed));
        assert_eq!((named.pos_id.as_str(), named.device.as_str()), ("POS-001", "POS-001"));
        assert_eq!(named.printed_at, oldest_at);
        buffer.settle(vec![dead(oldest)]).await.unwrap();
        assert_eq!(
            buffer.stats().await.unwrap().oldest_unconfirmed,
            Some(oldest_at),
            "a dead letter is still unconfirmed"
        );
        let named = buffer.stats().await.unwrap().oldest.expect("it is named");
        assert_eq!((named.id, named.state), (oldest, State::Dead));
        buffer.apply(oldest, Change::Resolve { by: person(), note: "n".into() }).await.unwrap();
        assert_eq!(buffer.stats().await.unwrap().oldest_unconfirmed, Some(bench.clock_wall()));
        buffer.settle(vec![synced(younger)]).await.unwrap();
        let stats = buffer.stats().await.unwrap();
        assert_eq!((stats.oldest_unconfirmed, stats.oldest), (None, None));
        assert_eq!(stats.total, Counts { unprinted: 1, synced: 1, cancelled: 1, ..Default::default() });
    });
}

#[test]
fn a_list_goes_page_by_page_in_both_directions_and_by_every_filter() {
    over_both(100, |bench| async move {
        let buffer = &*bench.buffer;
        let mut ids = Vec::new();
        for n in 1..=5 {
            ids.push(print(buffer, entry(&format!("key-{n}")), n).await);
        }
        let other = accept(buffer, entry_of("POS-002", "other")).await;
        let page = |filter: ListFilter| async move {
            let page = buffer.list(filter).await.unwrap();
            (page.entries.iter().map(|entry| entry.id).collect::<Vec<_>>(), page.next)
        };
        let base =
            ListFilter { pos_ids: Some(vec!["POS-001".parse().unwrap()]), limit: 2, ..Default::default() };
        let (first, next) = page(base.clone()).await;
        assert_eq!((first, next), (vec![ids[4], ids[3]], Some(ids[3])));
        let (last, next) = page(ListFilter { cursor: Some(ids[1]), ..base.clone() }).await;
        assert_eq!((last, next), (vec![ids[0]], None));
        let (up, next) =
            page(ListFilter { ascending: true, cursor: Some(ids[0]), limit: 4, ..base.clone() }).await;
        assert_eq!((up, next), (ids[1..].to_vec(), None));
        let all = ListFilter { limit: 100, ..Default::default() };
        assert_eq!(page(all.clone()).await.0.len(), 6);
        let printed = ListFilter { state: Some(State::Printed), ascending: true, ..all.clone() };
        assert_eq!(page(printed).await.0, ids);
        let by_device =
            ListFilter { device: Some(device("POS-002")), state: Some(State::Accepted), ..all.clone() };
        assert_eq!(page(by_device).await.0, [other]);
        let by_device = ListFilter { device: Some(device("POS-002")), ..all.clone() };
        assert_eq!(page(by_device).await.0, [other]);
        buffer.settle(vec![synced(ids[2])]).await.unwrap();
        assert_eq!(page(ListFilter { state: Some(State::Synced), ..all.clone() }).await.0, [ids[2]]);
        let fd = |fd| ListFilter { fd: Some(fd), ..all.clone() };
        assert_eq!(page(fd(2)).await.0, [ids[1]]);
        assert_eq!(page(fd(3)).await.0, [ids[2]], "whatever became of it");
        assert_eq!(page(ListFilter { state: Some(State::Printed), ..fd(3) }).await.0, []);
        assert_eq!(page(ListFilter { pos_ids: base.pos_ids.clone(), ..fd(5) }).await.0, [ids[4]]);
        assert_eq!(page(fd(6)).await, (vec![], None));
        let tills = |names: &[&str]| Some(names.iter().map(|name| name.parse().unwrap()).collect());
        let both = ListFilter { pos_ids: tills(&["POS-001", "POS-002"]), ..all.clone() };
        assert_eq!(page(both.clone()).await.0, [other, ids[4], ids[3], ids[2], ids[1], ids[0]]);
        let (first, next) = page(ListFilter { ascending: true, limit: 1, ..both.clone() }).await;
        assert_eq!((first, next), (vec![ids[0]], Some(ids[0])));
        assert_eq!(page(ListFilter { state: Some(State::Accepted), ..both }).await.0, [other]);
        let some = ListFilter { pos_ids: tills(&["POS-002", "POS-404"]), ..all.clone() };
        assert_eq!(page(some).await.0, [other]);
        assert_eq!(page(ListFilter { pos_ids: tills(&[]), ..all.clone() }).await.0, [], "of no till at all");
        let nobody = ListFilter { pos_ids: Some(vec!["POS-404".parse().unwrap()]), ..all };
        assert_eq!(page(nobody).await, (vec![], None));
        assert_eq!(buffer.devices().await.unwrap(), [device("POS-001"), device("POS-002")]);
    });
}

#[test]
fn the_audit_keeps_what_belongs_to_no_document() {
    over_both(10, |bench| async move {
        let line = AuditEvent {
            at: bench.clock_wall(),
            subject: "breaker:ofd".into(),
            action: "force_open".into(),
            actor: person(),
            detail: "maintenance".into(),
        };
        bench.buffer.record(line.clone()).await.unwrap();
        accept(&*bench.buffer, entry("key-1")).await;
        let found = bench.buffer.audit(Some("breaker:ofd".into()), 10).await.unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].actor.clone(), found[0].detail.as_str()), (person(), "maintenance"));
        let all = bench.buffer.audit(None, 1).await.unwrap();
        assert_eq!(all[0].action, "accepted", "of all, newest first");
    });
}

#[test]
fn a_closed_store_refuses_and_says_so() {
    over_both(10, |bench| async move {
        let buffer = &*bench.buffer;
        let place = buffer.reserve().unwrap();
        let queued = buffer.append(buffer.reserve().unwrap(), entry("key-1"), false);
        buffer.close().await;
        queued.await.expect("what was queued before is done");
        let refused = buffer.append(place, entry("key-2"), false).await;
        assert!(matches!(refused, Err(BufferError::Failed(_))));
        assert!(matches!(
            buffer.find(Lookup::Key("key-1".parse().unwrap())).await,
            Err(BufferError::Failed(_))
        ));
        assert!(!buffer.health().ok);
        buffer.close().await;
    });
}

// P7: what a lane holds in memory has a bound in bytes.
#[test]
fn the_next_documents_of_a_lane_end_with_the_one_that_fills_a_page() {
    over_both(100, |bench| async move {
        let buffer = &*bench.buffer;
        let device = "POS-001".parse().unwrap();
        let mut ids = Vec::new();
        for fd in 1..=5 {
            let id = accept(buffer, entry(&format!("key-{fd}"))).await;
            buffer.apply(id, Change::StartPrinting).await.unwrap();
            let Change::Printed { fiscal, by, why, .. } = printed(fd) else { panic!() };
            let wire = vec![b' '; NEXT_BYTES / 2 - 1];
            buffer.apply(id, Change::Printed { fiscal, wire, by, why }).await.unwrap();
            ids.push(id);
        }
        let next = async |limit| {
            let next = buffer.next(&device, None, limit).await.unwrap();
            next.iter().map(|document| document.id).collect::<Vec<_>>()
        };
        assert_eq!(next(64).await, ids[..3], "two are a little less than a page");
        assert_eq!(next(1).await, ids[..1]);
        buffer.settle(ids[..3].iter().map(|id| synced(*id)).collect()).await.unwrap();
        assert_eq!(next(64).await, ids[3..]);
    });
}
