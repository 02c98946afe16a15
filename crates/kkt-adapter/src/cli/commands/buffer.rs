//! `buffer stats | verify | export | import`.

use super::print;
use crate::{
    app,
    buffer::sqlite,
    cli::{
        BufferCommand, Failure, Stopped,
        remote::Adapter,
        say,
        table::{Column, fields, table},
        warn,
    },
    config,
};
use serde_json::{Value, json};
use std::{
    ffi::OsString,
    fs::{File, OpenOptions},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

const TILLS: &[Column] = &[
    Column("TILL", &["pos_id"]),
    Column("UNPRINTED", &["unprinted"]),
    Column("PENDING", &["pending"]),
    Column("SYNCED", &["synced"]),
    Column("DEAD", &["failed"]),
    Column("CANCELLED", &["cancelled"]),
];

/// Carries it out.
///
/// # Errors
/// [`Failure`]; faults found, and documents that could not be exported, are a refusal too.
pub async fn buffer(
    command: BufferCommand,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<ExitCode, Failure> {
    match command {
        BufferCommand::Stats(remote) => {
            let answer = Adapter::new(&remote)?.get(&["v1", "kkt", "buffer", "status"]).await?;
            print(&remote, &answer, stats);
        }
        BufferCommand::Verify { stopped, json } => verify(&database(stopped, variables)?, json)?,
        BufferCommand::Import { file, stopped, dry_run, json } => {
            import(&file, stopped, variables, dry_run, json)?;
        }
        BufferCommand::Export { stopped, output } => {
            export(&database(stopped, variables)?, output.as_deref())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn stats(answer: &Value) -> String {
    let mut whole = answer.clone();
    let tills = whole.as_object_mut().and_then(|fields| fields.shift_remove("per_pos"));
    match tills.as_ref().and_then(Value::as_array).map(Vec::as_slice) {
        None | Some([]) => fields(&whole),
        Some(tills) => format!("{}\n\n{}", fields(&whole), table(tills, TILLS)),
    }
}

fn database(
    stopped: Stopped,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<PathBuf, Failure> {
    Ok(config::load(&stopped.files().sources(variables))?.config.buffer.path())
}

fn verify(path: &Path, json: bool) -> Result<(), Failure> {
    let report = sqlite::verify(path).map_err(Failure::of)?;
    let faults = usize::try_from(report.fault_count).unwrap_or(usize::MAX);
    if json {
        let answer =
            json!({ "good": report.good, "faults": report.faults, "fault_count": report.fault_count });
        say(&format!("{answer:#}"));
    } else {
        report.faults.iter().for_each(|fault| say(fault));
    }
    if !json && faults > report.faults.len() {
        say(&format!("… and {} more", faults - report.faults.len()));
    }
    if faults > 0 {
        return Err(Failure::Refused(format!(
            "{} has {faults} faults and {} good documents; at its next start the adapter sets aside what is damaged. \
             Before that, keep a copy of the folder",
            path.display(),
            report.good
        )));
    }
    if !json {
        say(&format!("{}: {} documents, all good", path.display(), report.good));
    }
    Ok(())
}

fn export(path: &Path, output: Option<&Path>) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::Refused(format!("the export failed: {error}"));
    let (written, damaged) = match output {
        Some(output) => {
            let file = new_file(output).map_err(|error| {
                Failure::Usage(format!("--output {} cannot be made: {error}", output.display()))
            })?;
            let mut file = BufWriter::new(file);
            let counts = sqlite::export(path, &mut file).map_err(failed)?;
            file.into_inner().map_err(|error| failed(error.into_error()))?.sync_all().map_err(failed)?;
            counts
        }
        None => {
            let mut out = BufWriter::new(io::stdout().lock());
            let counts = sqlite::export(path, &mut out).map_err(failed)?;
            out.flush().map_err(failed)?;
            counts
        }
    };
    warn(&format!("{written} documents written"));
    if damaged > 0 {
        return Err(Failure::Refused(format!(
            "{damaged} damaged documents could not be written; `buffer verify` lists them"
        )));
    }
    Ok(())
}

fn import(
    file: &Path,
    stopped: Stopped,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
    dry_run: bool,
    json: bool,
) -> Result<(), Failure> {
    let config = config::load(&stopped.files().sources(variables))?.config;
    let path = config.buffer.path();
    let report = app::import(&config, file, dry_run).map_err(|error| match error {
        sqlite::ImportError::Source { .. } => Failure::Usage(error.to_string()),
        _ => Failure::of(error),
    })?;
    if json {
        let text = serde_json::to_string_pretty(&report).expect("a report is numbers and texts");
        say(&text);
    } else {
        say(&told(&report, &path, dry_run));
    }
    if report.left_something() {
        return Err(Failure::Refused(format!(
            "not all of {} could be taken over: {} rows stay behind, named above{}; keep the file",
            file.display(),
            report.unreadable,
            if report.complete { "" } else { ", and reading stopped before its end" }
        )));
    }
    Ok(())
}

fn told(report: &sqlite::ImportReport, path: &Path, dry_run: bool) -> String {
    let counts = [
        (report.pending, "pending: they go to the OFD at the next start"),
        (report.dead, "dead letters: a person settles them"),
        (report.resolved, "dead letters that were resolved already"),
        (report.synced, "synced: their keys answer replays"),
        (report.already_there, "taken over before: left as they are"),
        (report.events, "events: history of their receipts"),
        (report.unreadable, "not taken over"),
    ];
    let mut lines =
        vec![format!("{}{}", path.display(), if dry_run { ", dry run: nothing is changed" } else { "" })];
    lines.extend(counts.iter().map(|(count, what)| format!("{count:>8}  {what}")));
    if !report.problems.is_empty() {
        lines.push("To look at:".into());
        lines.extend(report.problems.iter().map(|problem| format!("  {problem}")));
    }
    lines.join("\n")
}

/// Receipts name buyers and cashiers, so only the owner may read it; an existing file is never overwritten.
fn new_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
