//! What a process asked of the kernel, from `strace`: the writes, the syncs, and what it said meanwhile.

use std::{collections::HashMap, path::PathBuf};

/// One request, in the order in which the kernel had them.
#[derive(Debug)]
pub enum Request {
    /// A name may be new.
    Create {
        path: PathBuf,
    },
    /// A name goes.
    Unlink {
        path: PathBuf,
    },
    Write {
        path: PathBuf,
        offset: u64,
        bytes: Vec<u8>,
    },
    Truncate {
        path: PathBuf,
        length: u64,
    },
    /// Completed: whatever was written before it began is on the disk.
    Sync {
        path: PathBuf,
    },
    /// To the standard output.
    Said(String),
}

/// System calls that change files or names; those that the parser does not know end the test.
pub const CALLS: &str = "trace=write,pwrite64,writev,pwritev,pwritev2,lseek,fsync,fdatasync,sync_file_range,ftruncate,\
                         truncate,fallocate,openat,creat,unlink,unlinkat,rename,renameat,renameat2,link,linkat";

/// Reads a trace of `strace -f -y -xx`; only what lies under `folder`, and the standard output.
pub fn read(text: &str, folder: &str) -> Vec<Request> {
    let mut requests = Vec::new();
    let mut offsets: HashMap<String, u64> = HashMap::new();
    let mut begun: HashMap<&str, String> = HashMap::new();
    for line in text.lines() {
        let Some((thread, rest)) = line.split_once(' ') else { continue };
        let rest = rest.trim_start();
        // A call that other threads' calls interrupted in the trace stands where it ended. For a write that is late, but
        // only one thread writes, and it does nothing else meanwhile.
        let call = if let Some(start) = rest.strip_suffix(" <unfinished ...>") {
            begun.insert(thread, start.to_owned());
            continue;
        } else if rest.starts_with("<... ") {
            let end = rest.split_once("resumed>").map_or("", |(_, end)| end);
            begun.remove(thread).unwrap_or_default() + end
        } else {
            rest.to_owned()
        };
        requests.extend(request(&call, folder, &mut offsets));
    }
    requests
}

fn request(call: &str, folder: &str, offsets: &mut HashMap<String, u64>) -> Option<Request> {
    let (name, rest) = call.split_once('(')?;
    let (arguments, result) = rest.rsplit_once(" = ")?;
    let arguments = arguments.trim_end().strip_suffix(')')?;
    if result.starts_with('-') {
        return None;
    }
    let value: u64 = result.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()?;
    if matches!(name, "openat") {
        let path = descriptor(result).1;
        return (path.starts_with(folder) && arguments.contains("O_CREAT"))
            .then(|| Request::Create { path: path.into() });
    }
    if matches!(name, "unlink") {
        let path = unescape(quoted(arguments)?);
        let path = String::from_utf8(path).ok()?;
        return path.starts_with(folder).then(|| Request::Unlink { path: path.into() });
    }
    let (number, path) = descriptor(arguments);
    if name == "write" && number == "1" {
        return Some(Request::Said(String::from_utf8_lossy(&unescape(quoted(arguments)?)).into_owned()));
    }
    if !path.starts_with(folder) {
        assert!(!call.contains(folder), "a call that the model does not know: {call}");
        return None;
    }
    let path_buf = PathBuf::from(&path);
    match name {
        "lseek" => {
            offsets.insert(number, value);
            None
        }
        "write" | "pwrite64" => {
            let mut bytes = unescape(quoted(arguments)?);
            bytes.truncate(value as usize);
            let offset = if name == "write" {
                let at = offsets.entry(number).or_insert(0);
                let offset = *at;
                *at += value;
                offset
            } else {
                arguments.rsplit(", ").next()?.parse().ok()?
            };
            Some(Request::Write { path: path_buf, offset, bytes })
        }
        "ftruncate" => {
            Some(Request::Truncate { path: path_buf, length: arguments.rsplit(", ").next()?.parse().ok()? })
        }
        "fsync" | "fdatasync" => Some(Request::Sync { path: path_buf }),
        _ => panic!("a call that the model does not know: {call}"),
    }
}

/// `5</a/path>…` as number and path.
fn descriptor(text: &str) -> (String, String) {
    let number: String = text.chars().take_while(char::is_ascii_digit).collect();
    let path = text.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map_or("", |(path, _)| path);
    (number, String::from_utf8_lossy(&unescape(path)).into_owned())
}

/// What stands between the first and the last quote.
fn quoted(text: &str) -> Option<&str> {
    let (from, to) = (text.find('"')? + 1, text.rfind('"')?);
    assert!(!text[to..].starts_with("\"..."), "strace cut a string: its -s is too small");
    text.get(from..to)
}

/// `\x41\x42` as bytes; other letters stand for themselves.
fn unescape(text: &str) -> Vec<u8> {
    let text = text.as_bytes();
    let mut bytes = Vec::with_capacity(text.len() / 4);
    let mut at = 0;
    while at < text.len() {
        if text[at..].starts_with(b"\\x") {
            let digit = |byte: u8| (byte as char).to_digit(16).unwrap() as u8;
            bytes.push(digit(text[at + 2]) * 16 + digit(text[at + 3]));
            at += 4;
        } else {
            bytes.push(text[at]);
            at += 1;
        }
    }
    bytes
}
