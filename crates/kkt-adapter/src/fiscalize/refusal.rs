//! Why a document that is safe was not printed now, in words a cashier understands, Russian and English.

use crate::{domain::ids::ReceiptId, ports::BufferError};
use std::time::Duration;

/// Why a document was not printed now.
#[derive(Debug, Clone)]
pub enum Refusal {
    /// The device did not print it, in its own words.
    Device(String),
    /// The device was busy with others for too long.
    Busy,
    /// The device did not say whether it printed a document; nothing is printed before it does.
    Unsettled(String),
    /// Nobody knows whether this document was printed: nothing is printed until a person decides.
    Blocked(ReceiptId),
    /// The buffer did not take what had to be written first.
    Storage(BufferError),
}

impl From<BufferError> for Refusal {
    fn from(error: BufferError) -> Self {
        Self::Storage(error)
    }
}

/// A device's words may be in both languages, `по-русски / in English`.
fn both(words: &str) -> (&str, &str) {
    words.split_once(" / ").unwrap_or((words, words))
}

/// What is written when a device does not answer.
pub fn no_answer(within: Duration) -> String {
    let seconds = within.as_secs_f32();
    format!("касса не ответила за {seconds} с / the KKT did not answer within {seconds} s")
}

impl Refusal {
    fn reasons(&self) -> (String, String) {
        match self {
            Self::Device(words) => {
                let (russian, english) = both(words);
                (russian.into(), english.into())
            }
            Self::Busy => {
                ("касса занята другими чеками".into(), "the KKT is busy with other receipts".into())
            }
            Self::Unsettled(words) => {
                let (russian, english) = both(words);
                (
                    format!("касса не говорит, напечатан ли последний документ ({russian})"),
                    format!("the KKT does not say whether the last document was printed ({english})"),
                )
            }
            Self::Blocked(id) => (
                format!("касса остановлена: неизвестно, напечатан ли документ {id}; позовите старшего"),
                format!(
                    "the KKT is stopped: nobody knows whether document {id} was printed; call the person in charge"
                ),
            ),
            Self::Storage(error) => {
                let words = error.to_string();
                let (russian, english) = both(&words);
                (format!("буфер не записывает: {russian}"), format!("the buffer does not write: {english}"))
            }
        }
    }

    /// The reason in both languages, for the row and the device's view.
    pub fn reason(&self) -> String {
        let (russian, english) = self.reasons();
        if russian == english { russian } else { format!("{russian} / {english}") }
    }

    /// What the till shows of the receipt `id`.
    pub fn message(&self, id: ReceiptId) -> String {
        let (russian, english) = self.reasons();
        match self {
            Self::Blocked(blocker) if *blocker == id => "Чек сохранён, но неизвестно, напечатан ли он: посмотрите на \
                 бумагу и позовите старшего; не пробивайте чек второй раз. / The receipt is safe, but nobody knows \
                 whether it was printed: look at the paper and call the person in charge; do not ring it up again."
                .into(),
            _ => format!(
                "Чек сохранён, но не напечатан: {russian}. Он напечатается сам, когда касса будет готова; не пробивайте \
                 его второй раз. / The receipt is safe but not printed: {english}. It will be printed by itself once \
                 the KKT is ready; do not ring it up again."
            ),
        }
    }
}
