//! `dlq list | park | requeue | resolve`.

use super::print;
use crate::cli::{
    DlqCommand, Failure, Remote,
    remote::Adapter,
    table::{Column, fields, rows, table},
};
use serde_json::{Value, json};
use std::process::ExitCode;

const COLUMNS: &[Column] = &[
    Column("RECEIPT", &["receipt_id"]),
    Column("TILL", &["pos_id"]),
    Column("FD", &["fiscal_doc.fiscal_doc_number"]),
    Column("PRINTED", &["printed_at", "created_at"]),
    Column("ATTEMPTS", &["attempts"]),
    Column("LAST ERROR", &["last_error"]),
];

/// Carries it out.
///
/// # Errors
/// [`Failure`].
pub async fn dlq(command: DlqCommand) -> Result<ExitCode, Failure> {
    match command {
        DlqCommand::List(remote) => {
            let answer = Adapter::new(&remote)?.list(&["v1", "kkt", "dlq"], "dead_letters").await?;
            print(&remote, &answer, |answer| match rows(answer) {
                [] => "no dead letters".into(),
                rows => table(rows, COLUMNS),
            });
        }
        DlqCommand::Park { id, reason, remote } => {
            order(&remote, &["v1", "kkt", "receipt", &id, "park"], &json!({ "reason": reason })).await?;
        }
        DlqCommand::Requeue { id, reason, remote } => {
            let body = reason.map_or_else(|| json!({}), |reason| json!({ "reason": reason }));
            order(&remote, &["v1", "kkt", "dlq", &id, "requeue"], &body).await?;
        }
        DlqCommand::Resolve { id, note, remote } => {
            order(&remote, &["v1", "kkt", "dlq", &id, "resolve"], &json!({ "note": note })).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn order(remote: &Remote, path: &[&str], body: &Value) -> Result<(), Failure> {
    let answer = Adapter::new(remote)?.post(path, body).await?;
    print(remote, &answer, fields);
    Ok(())
}
