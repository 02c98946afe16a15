//! What is read, each on a connection that is not the writer's. A damaged row never fails a page: it is left
//! out and handed to the writer to be set aside.

use super::{
    row::{self, Damage, MORE, Part, select},
    store::{Fault, Subject},
};
use crate::{
    buffer::rules::Document,
    domain::{
        document::{DocumentKind, Outgoing},
        entry::{Actor, AuditEvent, Entry},
        ids::{DeviceId, ReceiptId},
        lifecycle::State,
        receipt::Receipt,
    },
    ports::{BufferError, ListFilter, ListPage, Lookup, NEXT_BYTES, Oldest},
};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, ToSql, params, types::ValueRef};
use uuid::Uuid;

/// The column `printed_at` of [`select`].
const PRINTED_AT: usize = 14;
/// Damaged rows that are passed over in search of the oldest document.
const DAMAGED_PASSED: usize = 100;

/// A row, a damaged row, or none.
pub(super) type MaybeRow = Option<Result<(i64, Document), Damage>>;

/// A document by our key.
pub(super) fn document(conn: &Connection, id: ReceiptId) -> rusqlite::Result<MaybeRow> {
    conn.prepare_cached(select!(; "FROM documents d WHERE d.id = ?"))?
        .query_row([id.0.as_bytes()], row::read)
        .optional()
}

fn by_key(conn: &Connection, key: &str) -> rusqlite::Result<MaybeRow> {
    let mut statement = conn.prepare_cached(select!(; "FROM documents d WHERE d.key_hash = ?"))?;
    let mut rows = statement.query([row::key_hash(key)])?;
    while let Some(found) = rows.next()? {
        match row::read(found)? {
            Ok((_, document)) if document.key.as_str() != key => {}
            read => return Ok(Some(read)),
        }
    }
    Ok(None)
}

/// The bytes of a part; `None` if the document has none (any more).
pub(super) fn bytes(
    conn: &Connection,
    part: Part,
    seq: i64,
    id: ReceiptId,
) -> rusqlite::Result<Result<Option<Vec<u8>>, Damage>> {
    let sql = match part {
        Part::Wire => "SELECT wire, checksum FROM wires WHERE seq = ?",
        Part::Body | Part::Document => "SELECT body, checksum FROM bodies WHERE seq = ?",
    };
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query([seq])?;
    let Some(row) = rows.next()? else { return Ok(Ok(None)) };
    let damage = Damage { seq, part };
    let (Ok(bytes), Ok(checksum)) = (row.get::<_, Vec<u8>>(0), row.get::<_, i64>(1)) else {
        return Ok(Err(damage));
    };
    let good = row::part_checksum(id, &bytes) == checksum;
    Ok(if good { Ok(Some(bytes)) } else { Err(damage) })
}

/// The body of a document; `None` if it has none (any more).
pub(super) fn body(
    conn: &Connection,
    seq: i64,
    id: ReceiptId,
) -> rusqlite::Result<Result<Option<Receipt>, Damage>> {
    let damage = Damage { seq, part: Part::Body };
    Ok(bytes(conn, Part::Body, seq, id)?.and_then(|bytes| match bytes {
        Some(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|_| damage),
        None => Ok(None),
    }))
}

/// One document. A damaged one is an error, never «no such document»: its name stays taken.
pub(super) fn find(conn: &Connection, by: &Lookup, damage: &mut Vec<Damage>) -> Result<Option<Entry>, Fault> {
    let (found, name) = match by {
        Lookup::Id(id) => (document(conn, *id)?, id.to_string()),
        Lookup::Key(key) => (by_key(conn, key.as_str())?, key.to_string()),
    };
    match found {
        Some(Ok((seq, document))) => {
            let receipt = body(conn, seq, document.id)?.unwrap_or_else(|bad| {
                damage.push(bad);
                None
            });
            Ok(Some(document.into_entry(receipt)))
        }
        Some(Err(bad)) => {
            damage.push(bad);
            Err(Fault::Rule(BufferError::Damaged(name)))
        }
        None => {
            let known = match by {
                Lookup::Id(id) => conn
                    .prepare_cached("SELECT 1 FROM damaged WHERE part = 'document' AND id = ?")?
                    .exists([id.0.as_bytes()])?,
                Lookup::Key(key) => conn
                    .prepare_cached("SELECT 1 FROM damaged WHERE part = 'document' AND key_hash = ?")?
                    .exists([row::key_hash(key.as_str())])?,
            };
            if known { Err(Fault::Rule(BufferError::Damaged(name))) } else { Ok(None) }
        }
    }
}

/// The row of a document. That it is in the file and not in the index of ids is damage of the file, which must not pass for
/// «no such document»: a start that pages through what waits would fail on it for ever.
pub(super) fn seq_of(conn: &Connection, id: ReceiptId) -> rusqlite::Result<Option<i64>> {
    let seq = conn
        .prepare_cached("SELECT seq FROM documents WHERE id = ?")?
        .query_row([id.0.as_bytes()], |row| row.get(0))
        .optional()?;
    if seq.is_none()
        && conn
            .prepare_cached("SELECT 1 FROM documents NOT INDEXED WHERE id = ?")?
            .exists([id.0.as_bytes()])?
    {
        let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
        let what = format!("document {id} is not in the index of ids");
        return Err(rusqlite::Error::SqliteFailure(code, Some(what)));
    }
    Ok(seq)
}

/// A page of documents in the order of acceptance.
pub(super) fn list(
    conn: &Connection,
    filter: &ListFilter,
    damage: &mut Vec<Damage>,
) -> Result<ListPage, Fault> {
    let limit = filter.limit.clamp(1, 1_000);
    let after = match filter.cursor {
        Some(cursor) => Some(seq_of(conn, cursor)?.ok_or(Fault::Rule(BufferError::NotFound))?),
        None => None,
    };
    let sql = list_sql(filter);
    let state = filter.state.map(row::state_code);
    let tills: Vec<_> = filter.pos_ids.iter().flatten().map(|pos_id| pos_id.as_str()).collect();
    // One till by its name, several as JSON: the statement stays the same however many they are.
    let pos = match tills.as_slice() {
        [one] => (*one).to_owned(),
        several => serde_json::json!(several).to_string(),
    };
    let device = filter.device.as_ref().map(|device| device.as_str());
    let values: [(&str, &dyn ToSql); 5] =
        [(":state", &state), (":pos", &pos), (":device", &device), (":after", &after), (":fd", &filter.fd)];
    let mut statement = conn.prepare_cached(&sql)?;
    let used: Vec<_> = values.into_iter().filter(|(name, _)| sql.contains(name)).collect();
    let mut rows = statement.query(used.as_slice())?;
    let mut page = ListPage { entries: Vec::new(), next: None };
    while let Some(found) = rows.next()? {
        let (seq, document) = match row::read(found)? {
            Ok(read) => read,
            Err(bad) => {
                damage.push(bad);
                continue;
            }
        };
        if page.entries.len() == limit {
            page.next = page.entries.last().map(|entry| entry.id);
            break;
        }
        // Without its body it cannot be printed: whoever asks what to print must not see it.
        let to_print = filter.state == Some(State::Buffered);
        let needs_body = to_print && document.kind == DocumentKind::Receipt;
        match body(conn, seq, document.id)? {
            Ok(None) if needs_body => damage.push(Damage { seq, part: Part::Body }),
            Ok(receipt) => page.entries.push(document.into_entry(receipt)),
            Err(bad) => {
                damage.push(bad);
                if !to_print {
                    page.entries.push(document.into_entry(None));
                }
            }
        }
    }
    Ok(page)
}

/// Each way to walk the documents yields them in the order of the list, so a page is never sorted: what a device has not
/// printed and its dead letters have an index, then every state but `synced`, then a till, and else the table itself. For
/// several tills, and for a ФД number, rows are passed over: an index for what a person asks now and then would cost each
/// sale a page more.
pub(super) fn list_sql(filter: &ListFilter) -> String {
    let (order, beyond) = if filter.ascending { ("ASC", ">") } else { ("DESC", "<") };
    let open = filter.state.is_some_and(|state| state != State::Synced);
    let held = filter.device.is_some() && matches!(filter.state, Some(State::Buffered | State::Dead));
    let tills = filter.pos_ids.as_ref().map(Vec::len);
    let index = match (tills, open) {
        _ if held => "INDEXED BY documents_held",
        (_, true) => "INDEXED BY documents_open",
        (Some(1), false) => "INDEXED BY documents_pos",
        _ => "NOT INDEXED",
    };
    let mut sql = format!("{} {index} WHERE TRUE", select!(; "FROM documents d"));
    let name = |column: &str, parameter: &str| {
        format!(" AND d.{column} = (SELECT n FROM names WHERE name = {parameter})")
    };
    if filter.state.is_some() {
        sql.push_str(" AND d.state = :state");
    }
    // A partial index serves only who repeats its condition.
    if held {
        sql.push_str(" AND d.state IN (2, 6)");
    } else if open {
        sql.push_str(" AND d.state <> 5");
    }
    match tills {
        None => {}
        Some(1) => sql.push_str(&name("pos", ":pos")),
        Some(_) => sql.push_str(
            " AND d.pos IN (SELECT n FROM names WHERE name IN (SELECT value FROM json_each(:pos)))",
        ),
    }
    if filter.fd.is_some() {
        // Of what came from elsewhere the column has its place in the lane, below zero, and the number is in its document.
        // Damage there must not fail the page.
        sql.push_str(
            " AND CASE WHEN d.fd >= 0 THEN d.fd = :fd \
             WHEN json_valid(d.fiscal) THEN d.fiscal ->> 'fiscal_doc_number' = :fd END",
        );
    }
    if filter.device.is_some() {
        sql.push_str(&name("device", ":device"));
    }
    if filter.state == Some(State::Dead) && !filter.resolved {
        sql.push_str(" AND d.resolved_at IS NULL");
    }
    if filter.cursor.is_some() {
        sql.push_str(&format!(" AND d.seq {beyond} :after"));
    }
    sql + " ORDER BY d.seq " + order
}

/// The head of a lane. Damaged rows are passed over, so they cannot block it however many they are.
pub(super) fn next(
    conn: &Connection,
    device: &DeviceId,
    after_fd: Option<u32>,
    limit: usize,
    damage: &mut Vec<Damage>,
) -> Result<Vec<Outgoing>, Fault> {
    let sql = select!(", w.wire, w.checksum"; "FROM documents d INDEXED BY documents_lane \
        LEFT JOIN wires w ON w.seq = d.seq \
        WHERE d.state = 3 AND d.device = (SELECT n FROM names WHERE name = ?1) AND d.fd > ?2 ORDER BY d.fd");
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query(params![device.as_str(), after_fd.map_or(i64::MIN, i64::from)])?;
    let (mut lane, mut bytes) = (Vec::new(), 0);
    while lane.len() < limit
        && bytes < NEXT_BYTES
        && let Some(found) = rows.next()?
    {
        match outgoing(found)? {
            Ok(document) => {
                bytes += document.wire.len();
                lane.push(document);
            }
            Err(bad) => damage.push(bad),
        }
    }
    Ok(lane)
}

fn outgoing(found: &rusqlite::Row<'_>) -> rusqlite::Result<Result<Outgoing, Damage>> {
    let (seq, document) = match row::read(found)? {
        Ok(read) => read,
        Err(bad) => return Ok(Err(bad)),
    };
    let damage = Damage { seq, part: Part::Wire };
    let (Ok(Some(wire)), Ok(Some(checksum)), Some(fd)) =
        (found.get::<_, Option<Vec<u8>>>(MORE), found.get::<_, Option<i64>>(MORE + 1), document.fd())
    else {
        return Ok(Err(damage));
    };
    if row::part_checksum(document.id, &wire) != checksum || row::is_body(&document, &wire) {
        return Ok(Err(damage));
    }
    Ok(Ok(Outgoing {
        id: document.id,
        pos_id: document.pos_id,
        device: document.device,
        fd,
        attempts: document.attempts,
        request_id: document.request_id,
        wire,
    }))
}

/// Devices with a lane that is not empty: one seek each, however long the lanes.
pub(super) fn devices_pending(conn: &Connection) -> Result<Vec<DeviceId>, Fault> {
    names(
        conn,
        "WITH RECURSIVE lane (n) AS ( \
             SELECT min(device) FROM documents INDEXED BY documents_lane WHERE state = 3 \
             UNION ALL \
             SELECT (SELECT min(device) FROM documents INDEXED BY documents_lane \
                     WHERE state = 3 AND device > lane.n) \
             FROM lane WHERE lane.n IS NOT NULL) \
         SELECT name FROM lane JOIN names USING (n) ORDER BY name",
    )
}

/// Devices that any document names.
pub(super) fn devices(conn: &Connection) -> Result<Vec<DeviceId>, Fault> {
    names(conn, "SELECT name FROM names WHERE device ORDER BY name")
}

fn names(conn: &Connection, sql: &str) -> Result<Vec<DeviceId>, Fault> {
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        // A name that rotted shows in the checksum of each document that bears it.
        if let Ok(name) = row.get::<_, String>(0).unwrap_or_default().parse() {
            found.push(name);
        }
    }
    Ok(found)
}

/// The highest ФД number known of a device.
pub(super) fn last_fd(conn: &Connection, device: &DeviceId) -> Result<Option<u32>, Fault> {
    Ok(conn
        .prepare_cached("SELECT last_fd FROM names WHERE name = ?")?
        .query_row([device.as_str()], |row| row.get(0))
        .optional()?
        .flatten())
}

/// When the oldest unconfirmed document was printed, and the oldest one that can be read: one seek of an index, however
/// many wait.
pub(super) fn oldest_unconfirmed(
    conn: &Connection,
    damage: &mut Vec<Damage>,
) -> Result<(Option<Timestamp>, Option<Oldest>), Fault> {
    let mut statement =
        conn.prepare_cached(select!(; "FROM documents d INDEXED BY documents_unconfirmed \
        WHERE (d.state = 3 OR (d.state = 6 AND d.resolved_at IS NULL)) AND d.printed_at IS NOT NULL \
        ORDER BY d.printed_at"))?;
    let mut rows = statement.query([])?;
    let mut first = None;
    for _ in 0..DAMAGED_PASSED {
        let Some(found) = rows.next()? else { break };
        let printed_at = Timestamp::from_microsecond(found.get(PRINTED_AT)?).ok();
        first = first.or(printed_at);
        match (row::read(found)?, printed_at) {
            (Ok((_, document)), Some(printed_at)) => {
                let fd = document.fd();
                let Document { id, pos_id, device, state, .. } = document;
                return Ok((first, Some(Oldest { id, pos_id, device, fd, state, printed_at })));
            }
            (Ok(_), None) => {}
            (Err(bad), _) => damage.push(bad),
        }
    }
    Ok((first, None))
}

/// The latest lines of the audit.
pub(super) fn audit(
    conn: &Connection,
    subject: Option<&str>,
    limit: usize,
) -> Result<Vec<AuditEvent>, Fault> {
    let columns = "SELECT at, subject, action, actor, detail FROM audit";
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    // No checksum covers a line: one that rotted must not hide the others.
    let line = |row: &rusqlite::Row<'_>| {
        let text = |column| match row.get_ref(column)? {
            ValueRef::Text(bytes) => Ok(String::from_utf8_lossy(bytes).into_owned()),
            _ => Ok::<_, rusqlite::Error>("?".to_owned()),
        };
        let subject = match row.get_ref(1)? {
            ValueRef::Blob(bytes) => {
                Uuid::from_slice(bytes).map_or_else(|_| "?".to_owned(), |id| id.to_string())
            }
            _ => text(1)?,
        };
        let at = row.get(0).ok().and_then(|at| Timestamp::from_microsecond(at).ok());
        Ok(AuditEvent {
            at: at.unwrap_or(Timestamp::UNIX_EPOCH),
            subject,
            action: text(2)?,
            actor: Actor(text(3)?),
            detail: text(4)?,
        })
    };
    let lines: rusqlite::Result<Vec<_>> = match subject {
        Some(subject) => conn
            .prepare_cached(&format!("{columns} WHERE subject = ? ORDER BY seq DESC LIMIT ?"))?
            .query_map(params![Subject::of(subject), limit], line)?
            .collect(),
        None => conn
            .prepare_cached(&format!("{columns} ORDER BY seq DESC LIMIT ?"))?
            .query_map([limit], line)?
            .collect(),
    };
    Ok(lines?)
}
