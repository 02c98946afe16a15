//! `buffer stats`.

use super::print;
use crate::cli::{
    BufferCommand, Failure,
    remote::Adapter,
    table::{Column, fields, table},
};
use serde_json::Value;
use std::process::ExitCode;

const TILLS: &[Column] = &[
    Column("TILL", &["pos_id"]),
    Column("UNPRINTED", &["unprinted"]),
    Column("PENDING", &["pending"]),
    Column("SYNCED", &["synced"]),
    Column("DEAD", &["dead", "failed", "dlq_size"]),
    Column("CANCELLED", &["cancelled"]),
];

/// Carries it out.
///
/// # Errors
/// [`Failure`].
pub async fn buffer(command: BufferCommand) -> Result<ExitCode, Failure> {
    let BufferCommand::Stats(remote) = command;
    let answer = Adapter::new(&remote)?.get(&["v1", "kkt", "buffer", "status"]).await?;
    print(&remote, &answer, |answer| {
        let mut whole = answer.clone();
        let tills = whole.as_object_mut().and_then(|fields| fields.shift_remove("per_pos"));
        match tills.as_ref().and_then(Value::as_array).map(Vec::as_slice) {
            None | Some([]) => fields(&whole),
            Some(tills) => format!("{}\n\n{}", fields(&whole), table(tills, TILLS)),
        }
    });
    Ok(ExitCode::SUCCESS)
}
