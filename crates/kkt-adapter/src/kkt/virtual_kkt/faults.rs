//! Faults to inject into a virtual KKT, by [`super::VirtualKkt::set_faults`] or by a file that anyone can write
//! next to the device's state, `<folder>/<device>/faults.toml`, read anew at each operation:
//!
//! ```toml
//! paper_out = true                        # until it is taken out of the file
//! off = 3                                 # for the next three operations
//! hang = { for = "30s", times = 1 }       # one operation answers 30 s late; without `for`: never
//! print_delay = { for = "200ms" }
//! ```
//!
//! | fault | what the device does |
//! |---|---|
//! | `off` | refuses everything, `find` and `shift` too |
//! | `hang` | answers nothing, for a time or for ever; what it was told to print is not printed if nobody waits |
//! | `paper_out` | refuses to print |
//! | `fail` | refuses to print, with a fault of its own |
//! | `print_delay` | takes so much longer to print |
//! | `crash_before_print` | the process aborts before the ФН made the document |
//! | `crash_after_print` | the process aborts after the ФН made it, before the answer |
//! | `hang_after_print` | the ФН makes the document, the answer comes late or never |
//! | `lose_find` | `find` answers that it does not know |
//!
//! A count says how many operations meet the fault; in the file it is counted down in the file itself, before
//! the fault takes effect, so that a crash that is to happen once does not happen again at the restart.

use std::{collections::BTreeMap, fs, path::Path, time::Duration};
use toml::{Table, Value};

/// A fault by its name in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// Refuses everything.
    Off,
    /// Does not answer.
    Hang,
    /// Refuses to print.
    PaperOut,
    /// Refuses to print, with a fault of its own.
    Fail,
    /// Prints slowly.
    PrintDelay,
    /// The process aborts, nothing is printed.
    CrashBeforePrint,
    /// The process aborts, the document exists.
    CrashAfterPrint,
    /// The document exists, the answer does not come.
    HangAfterPrint,
    /// `find` does not know.
    LoseFind,
}

impl Fault {
    /// All, in the order in which an operation meets them.
    pub const ALL: [Self; 9] = [
        Self::Off,
        Self::Hang,
        Self::PaperOut,
        Self::Fail,
        Self::PrintDelay,
        Self::CrashBeforePrint,
        Self::CrashAfterPrint,
        Self::HangAfterPrint,
        Self::LoseFind,
    ];

    /// The name in the file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Hang => "hang",
            Self::PaperOut => "paper_out",
            Self::Fail => "fail",
            Self::PrintDelay => "print_delay",
            Self::CrashBeforePrint => "crash_before_print",
            Self::CrashAfterPrint => "crash_after_print",
            Self::HangAfterPrint => "hang_after_print",
            Self::LoseFind => "lose_find",
        }
    }

    fn meets(self, operation: Operation) -> bool {
        match self {
            Self::Off | Self::Hang => true,
            Self::LoseFind => operation == Operation::Find,
            _ => operation == Operation::Print,
        }
    }

    /// Whether nothing more happens in the operation that met it.
    fn ends(self) -> bool {
        matches!(
            self,
            Self::Off | Self::PaperOut | Self::Fail | Self::CrashBeforePrint | Self::CrashAfterPrint
        )
    }

    fn takes_time(self) -> bool {
        matches!(self, Self::Hang | Self::PrintDelay | Self::HangAfterPrint)
    }
}

/// What the device is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Make a document.
    Print,
    /// Look a document up.
    Find,
    /// Tell the shift.
    Shift,
}

/// How a fault acts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Setting {
    /// How many operations meet it; `None`: until it is taken back.
    pub times: Option<u32>,
    /// For those that take time; `None`: for ever.
    pub lasting: Option<Duration>,
}

/// A set of faults.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults(BTreeMap<Fault, Setting>);

impl Faults {
    /// None.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Adds a fault that stays until it is taken back.
    #[must_use]
    pub fn with(self, fault: Fault) -> Self {
        self.set(fault, Setting::default())
    }

    /// Adds a fault that the next `times` operations meet.
    #[must_use]
    pub fn times(self, fault: Fault, times: u32) -> Self {
        self.set(fault, Setting { times: Some(times), lasting: None })
    }

    /// Adds a fault.
    #[must_use]
    pub fn set(mut self, fault: Fault, setting: Setting) -> Self {
        self.0.insert(fault, setting);
        self
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The faults that an operation meets, in order, each counted down.
    pub fn take(&mut self, operation: Operation) -> Vec<(Fault, Setting)> {
        let mut met = Vec::new();
        for fault in Fault::ALL.into_iter().filter(|fault| fault.meets(operation)) {
            let Some(setting) = self.0.get_mut(&fault) else { continue };
            met.push((fault, *setting));
            if let Some(times) = &mut setting.times {
                *times = times.saturating_sub(1);
                if *times == 0 {
                    self.0.remove(&fault);
                }
            }
            if fault.ends() {
                break;
            }
        }
        met
    }

    /// Reads the file's text.
    ///
    /// # Errors
    /// What is wrong, with the fault's name and what is allowed.
    pub fn parse(text: &str) -> Result<Self, String> {
        let table: Table = text.parse().map_err(|error: toml::de::Error| error.message().to_owned())?;
        let mut faults = Self::default();
        for (name, value) in &table {
            let fault = Fault::ALL.into_iter().find(|fault| fault.as_str() == name).ok_or_else(|| {
                format!("{name:?} is no fault; allowed are {}", Fault::ALL.map(Fault::as_str).join(", "))
            })?;
            if let Some(setting) = setting(fault, value).map_err(|why| format!("{name}: {why}"))? {
                faults.0.insert(fault, setting);
            }
        }
        Ok(faults)
    }

    fn print(&self) -> String {
        let mut table = Table::new();
        for (fault, setting) in &self.0 {
            let mut entry = Table::new();
            if let Some(times) = setting.times {
                entry.insert("times".into(), Value::Integer(times.into()));
            }
            if let Some(lasting) = setting.lasting {
                entry.insert("for".into(), Value::String(format!("{}ms", lasting.as_millis())));
            }
            table.insert(fault.as_str().into(), Value::Table(entry));
        }
        table.to_string()
    }
}

const ALLOWED: &str = "allowed are true, a count of 1 to 1000000, a time such as \"5s\" or \"forever\", or \
                       { times = 2, for = \"5s\" }";

fn setting(fault: Fault, value: &Value) -> Result<Option<Setting>, String> {
    match value {
        Value::Boolean(on) => Ok(on.then(Setting::default)),
        Value::Integer(_) => Ok(Some(Setting { times: Some(count(value)?), lasting: None })),
        Value::String(_) => Ok(Some(Setting { times: None, lasting: lasting(fault, value)? })),
        Value::Table(table) => {
            let mut setting = Setting::default();
            for (name, value) in table {
                match name.as_str() {
                    "times" => setting.times = Some(count(value)?),
                    "for" => setting.lasting = lasting(fault, value)?,
                    _ => return Err(format!("unknown {name:?}; {ALLOWED}")),
                }
            }
            Ok(Some(setting))
        }
        _ => Err(ALLOWED.into()),
    }
}

fn count(value: &Value) -> Result<u32, String> {
    match value {
        Value::Integer(times @ 1..=1_000_000) => u32::try_from(*times).map_err(|_| ALLOWED.into()),
        _ => Err(ALLOWED.into()),
    }
}

fn lasting(fault: Fault, value: &Value) -> Result<Option<Duration>, String> {
    let Value::String(text) = value else { return Err(ALLOWED.into()) };
    if !fault.takes_time() {
        return Err("it takes no time; allowed are true, a count, or { times = 2 }".into());
    }
    if text == "forever" {
        return Ok(None);
    }
    let span: jiff::SignedDuration = text.parse().map_err(|_| ALLOWED.to_owned())?;
    Duration::try_from(span).map(Some).map_err(|_| ALLOWED.into())
}

/// Takes the faults that an operation meets from the file and counts them down there. No file: no faults.
///
/// # Errors
/// What is wrong with the file.
pub fn take_from_file(path: &Path, operation: Operation) -> Result<Vec<(Fault, Setting)>, String> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(format!("{}: {error}", path.display())),
    };
    let mut faults = Faults::parse(&text).map_err(|why| format!("{}: {why}", path.display()))?;
    let met = faults.take(operation);
    if met.iter().any(|(_, setting)| setting.times.is_some()) {
        let draft = path.with_extension("toml.new");
        fs::write(&draft, faults.print())
            .and_then(|()| fs::rename(&draft, path))
            .map_err(|error| format!("{} cannot be counted down: {error}", path.display()))?;
    }
    Ok(met)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_read_in_all_its_forms_and_written_back_the_same() {
        let faults = Faults::parse(
            "paper_out = true\noff = 3\nlose_find = false\nprint_delay = \"200ms\"\nhang = { for = \"1m\", times = 1 }\n\
             hang_after_print = \"forever\"\nfail = { times = 2 }",
        )
        .unwrap();
        let lasting = |millis| Some(Duration::from_millis(millis));
        let expected = Faults::none()
            .with(Fault::PaperOut)
            .times(Fault::Off, 3)
            .set(Fault::PrintDelay, Setting { times: None, lasting: lasting(200) })
            .set(Fault::Hang, Setting { times: Some(1), lasting: lasting(60_000) })
            .with(Fault::HangAfterPrint)
            .times(Fault::Fail, 2);
        assert_eq!(faults, expected);
        assert_eq!(Faults::parse(&faults.print()).unwrap(), expected);
    }

    #[test]
    fn a_malformed_file_is_refused_with_the_fault_and_what_is_allowed() {
        for (text, words) in [
            ("papier_out = true", vec!["papier_out", "paper_out"]),
            ("off = 0", vec!["off", "count of 1"]),
            ("off = 1.5", vec!["off", "allowed"]),
            ("off = \"5s\"", vec!["off", "takes no time"]),
            ("hang = \"soon\"", vec!["hang", "forever"]),
            ("hang = \"-5s\"", vec!["hang", "forever"]),
            ("hang = { wait = 1 }", vec!["hang", "wait"]),
            ("hang", vec!["expected"]),
        ] {
            let error = Faults::parse(text).unwrap_err();
            for word in words {
                assert!(error.contains(word), "{text}: {error}");
            }
        }
    }

    #[test]
    fn a_count_in_the_file_is_counted_down_in_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("faults.toml");
        assert_eq!(take_from_file(&path, Operation::Print), Ok(vec![]));
        fs::write(&path, "paper_out = 2\nlose_find = true").unwrap();
        for _ in 0..2 {
            assert_eq!(take_from_file(&path, Operation::Print).unwrap().len(), 1);
        }
        assert_eq!(take_from_file(&path, Operation::Print), Ok(vec![]));
        assert_eq!(take_from_file(&path, Operation::Find).unwrap()[0].0, Fault::LoseFind);
        assert_eq!(take_from_file(&path, Operation::Shift), Ok(vec![]));
    }
}
