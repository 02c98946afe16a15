//! Random sequences of calls: the file and the model must answer alike, and after a restart still do.
//! A failing case prints its seed and is kept in `proptest-regressions/`.

use crate::fixture::*;
use kkt_adapter::{
    buffer::MemoryBuffer,
    domain::{
        entry::{Actor, Change, Entry},
        ids::ReceiptId,
        lifecycle::State,
    },
    ports::{Appended, Buffer, BufferError, Clock, ListFilter, Lookup, Silent},
};
use proptest::prelude::*;
use std::{sync::Arc, time::Duration};

#[derive(Debug, Clone)]
enum Action {
    Append { key: u8, pos: u8, print_now: bool },
    Apply { document: u8, change: u8 },
    Settle { outcomes: Vec<(u8, u8)> },
    Prune,
    Later { hours: u16 },
    Restart,
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        4 => (0..40_u8, 0..3_u8, any::<bool>())
            .prop_map(|(key, pos, print_now)| Action::Append { key, pos, print_now }),
        8 => (0..40_u8, 0..9_u8).prop_map(|(document, change)| Action::Apply { document, change }),
        4 => prop::collection::vec((0..40_u8, 0..3_u8), 1..6).prop_map(|outcomes| Action::Settle { outcomes }),
        1 => Just(Action::Prune),
        1 => (0..400_u16).prop_map(|hours| Action::Later { hours }),
        1 => Just(Action::Restart),
    ]
}

fn change(number: u8, fd: u32) -> Change {
    match number {
        0 => Change::StartPrinting,
        1 | 2 => printed(fd),
        3 => Change::NotPrinted { reason: "paper".into(), by: Actor::system() },
        4 => Change::PrintUnknown { reason: "no answer".into() },
        5 => Change::Cancel { by: person(), why: "left".into() },
        6 => Change::Requeue { by: person(), why: "again".into() },
        7 => Change::Park { by: person(), why: "holds up its lane".into() },
        _ => Change::Resolve { by: person(), note: "by hand".into() },
    }
}

fn told<T>(result: Result<T, BufferError>) -> Result<T, String> {
    result.map_err(|error| error.to_string())
}

/// Everything the port shows.
async fn seen(buffer: &dyn Buffer, ids: &[ReceiptId]) -> String {
    let mut text = String::new();
    let mut show = |what: &dyn std::fmt::Debug| text.push_str(&format!("{what:?}\n"));
    for id in ids {
        show(&told(buffer.find(Lookup::Id(*id)).await));
    }
    for number in 0..3 {
        let device = device(&format!("POS-{number}"));
        show(&told(buffer.next(&device, None, 100).await));
        show(&told(buffer.next(&device, Some(5), 2).await));
        show(&told(buffer.last_fd(&device).await));
    }
    for state in State::ALL.map(Some).into_iter().chain([None]) {
        for resolved in [false, true] {
            let filter = ListFilter { state, resolved, limit: 7, ascending: resolved, ..Default::default() };
            let page = told(buffer.list(filter).await).unwrap();
            let ids: Vec<_> = page.entries.iter().map(|entry: &Entry| entry.id).collect();
            show(&(ids, page.next));
        }
    }
    show(&told(buffer.devices().await));
    show(&told(buffer.devices_pending().await));
    show(&told(buffer.stats().await));
    show(&told(buffer.audit(None, 1_000).await));
    text
}

async fn run(actions: Vec<Action>) {
    let (folder, clock) = (tempfile::tempdir().unwrap(), ManualClock::new());
    let model = MemoryBuffer::new(30, clock.clone());
    let open = || open_with(folder.path(), 30, clock.clone(), Arc::new(Silent));
    let mut file = Some(open());
    let mut ids: Vec<ReceiptId> = Vec::new();
    let mut fd = 0;
    for action in actions {
        let sqlite = file.as_ref().unwrap();
        match action {
            Action::Append { key, pos, print_now } => {
                let new = entry_of(&format!("POS-{pos}"), &format!("key-{key}"));
                let places = (told(model.reserve()), told(sqlite.reserve()));
                let (Ok(first), Ok(second)) = places else {
                    assert!(places.0.is_err() && places.1.is_err(), "one is full and the other is not");
                    continue;
                };
                let first = told(model.append(first, new.clone(), print_now).await);
                let second = told(sqlite.append(second, new.clone(), print_now).await);
                assert_eq!(format!("{first:?}"), format!("{second:?}"));
                if matches!(first, Ok(Appended::Stored)) {
                    ids.push(new.id);
                }
            }
            Action::Apply { document, change: number } => {
                let id = ids.get(usize::from(document)).copied().unwrap_or_default();
                fd += 1;
                let first = told(model.apply(id, change(number, fd)).await);
                assert_eq!(first, told(sqlite.apply(id, change(number, fd)).await));
            }
            Action::Settle { outcomes } => {
                let outcomes: Vec<_> = outcomes
                    .into_iter()
                    .map(|(document, outcome)| {
                        let id = ids.get(usize::from(document)).copied().unwrap_or_default();
                        [synced, dead, attempt_failed][usize::from(outcome)](id)
                    })
                    .collect();
                told(model.settle(outcomes.clone()).await).unwrap();
                told(sqlite.settle(outcomes).await).unwrap();
            }
            Action::Prune => {
                let (now, week, month) =
                    (clock.wall(), Duration::from_secs(7 * 86_400), Duration::from_secs(30 * 86_400));
                let first = told(model.prune(now, week, month, 1_000).await);
                assert_eq!(first, told(sqlite.prune(now, week, month, 1_000).await));
            }
            Action::Later { hours } => clock.advance(Duration::from_secs(u64::from(hours) * 3_600)),
            Action::Restart => {
                drop(file.take());
                file = Some(open());
            }
        }
    }
    assert_eq!(seen(&model, &ids).await, seen(file.as_ref().unwrap(), &ids).await);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn the_file_and_the_model_answer_alike(actions in prop::collection::vec(action(), 1..120)) {
        block_on(run(actions));
    }
}
