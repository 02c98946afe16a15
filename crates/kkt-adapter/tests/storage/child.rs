//! A process of its own that fills a buffer and says what was acknowledged, and how its parent reads that.

use crate::fixture::*;
use kkt_adapter::{
    buffer::{SqliteBuffer, SqliteOptions},
    domain::lifecycle::State,
    ports::{Buffer, BufferError, Silent},
};
use std::{
    collections::BTreeMap,
    env,
    io::Write,
    ops::RangeInclusive,
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

const FOLDER: &str = "STORAGE_CHILD_FOLDER";
const DOCUMENTS: &str = "STORAGE_CHILD_DOCUMENTS";
/// The first document of each till, in a folder where others are already; 1 if it is not given.
const FIRST: &str = "STORAGE_CHILD_FIRST";
const TILLS: u32 = 3;
/// The storage has failed.
static FAILED: AtomicBool = AtomicBool::new(false);

/// Not a test of its own: what the child runs. Prints a line for each acknowledged and each refused step.
#[test]
fn child_that_fills_a_buffer() {
    let (Ok(folder), Ok(documents)) = (env::var(FOLDER), env::var(DOCUMENTS)) else { return };
    let documents: u32 = documents.parse().unwrap();
    let first = env::var(FIRST).map_or(1, |text| text.parse().unwrap());
    // Small, so that the WAL begins anew more than once.
    let options = SqliteOptions { checkpoint_pages: (300, 500), ..options(Path::new(&folder)) };
    let opened = SqliteBuffer::open(options, ManualClock::new(), Arc::new(Silent));
    let buffer = match opened {
        Ok(buffer) => Arc::new(buffer),
        Err(error) => return say(&format!("UNOPENED {error}")),
    };
    block_on(async {
        let tills = (0..TILLS).map(|till| tokio::spawn(fill(buffer.clone(), till, first..=documents)));
        for till in tills.collect::<Vec<_>>() {
            till.await.unwrap();
        }
        buffer.close().await;
    });
}

/// One till: each document is taken, printed and, two of three, confirmed.
async fn fill(buffer: Arc<SqliteBuffer>, till: u32, documents: RangeInclusive<u32>) {
    let pos = format!("POS-{till}");
    let mut refused = 0;
    for n in documents {
        let key = format!("{till}-{n}");
        let new = entry_of(&pos, &key);
        let id = new.id;
        // An answer may be given before a failure and heard after it; one to a question asked after it may not be given.
        let late = FAILED.load(Ordering::SeqCst);
        let steps = async {
            let place = buffer.reserve()?;
            buffer.append(place, new, true).await?;
            say(&format!("ACK printing {key}"));
            if late {
                say("LATE");
            }
            buffer.apply(id, printed(n)).await?;
            say(&format!("ACK printed {key}"));
            if n % 3 != 0 {
                buffer.settle(vec![synced(id)]).await?;
                say(&format!("ACK synced {key}"));
            }
            Ok(())
        };
        match steps.await {
            Ok(()) => {}
            Err(error) => {
                let kind = if matches!(error, BufferError::Full { .. }) { "FULL" } else { "FAILED" };
                say(&format!("{kind} {error}"));
                FAILED.fetch_or(kind == "FAILED", Ordering::SeqCst);
                refused += 1;
                // A few more tries, to see that none of them is acknowledged.
                if refused == 5 {
                    return;
                }
            }
        }
    }
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // One write, so that it stands in the trace as one line.
    out.write_all(format!("\n{line}\n").as_bytes()).unwrap();
    out.flush().unwrap();
}

/// The command that runs the child, its words to stand behind those of a wrapper.
pub fn command(wrapper: &[&str], folder: &Path, documents: u32) -> Command {
    let binary = env::current_exe().unwrap();
    let mut words = wrapper.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    words.push(binary.display().to_string());
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).args([
        "--exact",
        "child::child_that_fills_a_buffer",
        "--nocapture",
        "--test-threads=1",
    ]);
    command.env(FOLDER, folder).env(DOCUMENTS, documents.to_string());
    command
}

/// What a child said.
#[derive(Debug, Default, Clone)]
pub struct Said {
    /// How far each key was acknowledged to have come.
    pub acknowledged: BTreeMap<String, State>,
    pub failed: usize,
    pub full: usize,
    pub unopened: Option<String>,
    /// Documents asked for after the storage had failed, and acknowledged.
    pub after_failure: usize,
}

impl Said {
    pub fn hear(&mut self, text: &str) {
        for line in text.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            match words[..] {
                ["ACK", step, key] => {
                    let state = State::from_name(step).unwrap();
                    self.acknowledged.insert(key.to_owned(), state);
                }
                ["LATE"] => self.after_failure += 1,
                ["FAILED", ..] => self.failed += 1,
                ["FULL", ..] => self.full += 1,
                ["UNOPENED", ..] => self.unopened = Some(line.to_owned()),
                _ => {}
            }
        }
    }
}
